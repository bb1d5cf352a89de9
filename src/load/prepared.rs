//! The statements of a class, prepared on a connection, and what a script reads of their answers.
//!
//! Decides whether the model gives each statement the parameters that the server says it takes, and which columns of an
//! answer go into which variables. An answer that no variable is set from is thrown away unread.

use std::{pin::pin, sync::Arc};

use futures::TryStreamExt;
use tokio_postgres::{Client, Error, Row, Statement, types::Type};

use super::{
    connection::OpenError,
    model::Class,
    parameter::Value,
    script::Frame,
    step::{Argument, Query, Step},
};
use crate::postgres::Session;

/// A class, ready on a connection: for each step that sends something, what that is.
#[derive(Debug)]
pub(super) struct PreparedClass {
    pub(super) steps: Vec<Option<Prepared>>,
}

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Prepared {
    statement: Statement,
    /// The column, its type and the variable that it goes into; `None` where the answer is thrown away.
    reads: Option<Vec<(usize, Type, usize)>>,
}

/// Why an answer could not be read into variables.
#[derive(thiserror::Error, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GsetTrouble {
    #[error("\\gset got no row, and needs one")]
    NoRow,
    #[error("\\gset got several rows, and needs one")]
    SeveralRows,
    #[error("\\gset got a value that can't be read")]
    Unreadable,
}

/// What an answer had, of one that is read.
#[derive(Debug)]
pub(super) enum Answer {
    Unread,
    Rows { first: Option<Row>, is_only: bool },
}

pub(super) async fn prepare(session: &Session, class: &Class) -> Result<PreparedClass, OpenError> {
    let mut steps = Vec::with_capacity(class.steps.len());
    for step in &class.steps {
        steps.push(match step {
            Step::Send(query) => Some(prepare_one(session, class, query).await?),
            _ => None,
        });
    }
    if class.is_script() {
        every_variable_is_set(class, &steps)?;
    }
    Ok(PreparedClass { steps })
}

async fn prepare_one(session: &Session, class: &Class, query: &Query) -> Result<Prepared, OpenError> {
    let place = || query.place.clone();
    let statement = session.client().prepare(&query.sql).await;
    let statement =
        statement.map_err(|error| OpenError::Prepare { place: place(), fault: session.explain(&error) })?;
    let (takes, gives) = (statement.params().len(), query.arguments.len());
    if takes != gives {
        return Err(OpenError::Parameters { place: place(), takes, gives });
    }
    let reads = match &query.gset {
        Some(prefix) => Some(reads(class, query, &statement, prefix)?),
        None => None,
    };
    Ok(Prepared { statement, reads })
}

fn reads(
    class: &Class,
    query: &Query,
    statement: &Statement,
    prefix: &str,
) -> Result<Vec<(usize, Type, usize)>, OpenError> {
    let mut reads = Vec::new();
    for (index, column) in statement.columns().iter().enumerate() {
        let name = format!("{prefix}{}", column.name());
        // A column that the script makes no use of needs no variable.
        let Some(slot) = class.variables.iter().position(|variable| *variable == name) else {
            continue;
        };
        if !is_readable(column.type_()) {
            return Err(OpenError::Column { place: query.place.clone(), column: name });
        }
        reads.push((index, column.type_().clone(), slot));
    }
    Ok(reads)
}

/// Where `\gset` sets variables, the parser could not yet tell which.
fn every_variable_is_set(class: &Class, prepared: &[Option<Prepared>]) -> Result<(), OpenError> {
    let mut is_set = vec![false; class.variables.len()];
    is_set[0] = true;
    for (step, prepared) in class.steps.iter().zip(prepared) {
        let mut used = Vec::new();
        let place = match step {
            Step::Set { expression, line, .. } => {
                expression.variables(&mut |slot| used.push(slot));
                format!("line {line} of script {:?}", class.name)
            }
            Step::Send(query) => {
                used.extend(query.arguments.iter().filter_map(|argument| match argument {
                    Argument::Variable(slot) => Some(*slot),
                    Argument::Drawn(_) => None,
                }));
                query.place.clone()
            }
            Step::Begin | Step::Commit => continue,
        };
        if let Some(slot) = used.into_iter().find(|slot| !is_set[*slot]) {
            return Err(OpenError::Unset { place, variable: class.variables[slot].clone() });
        }
        if let Step::Set { slot, .. } = step {
            is_set[*slot] = true;
        }
        for (_, _, slot) in prepared.iter().filter_map(|prepared| prepared.reads.as_ref()).flatten() {
            is_set[*slot] = true;
        }
    }
    Ok(())
}

impl Prepared {
    /// Sends the statement and waits for its end.
    pub(super) async fn send<'a, I>(&self, client: &Client, values: I) -> Result<Answer, Error>
    where
        I: IntoIterator<Item = &'a Value, IntoIter: ExactSizeIterator>,
    {
        if self.reads.is_none() {
            return client.execute_raw(&self.statement, values).await.map(|_| Answer::Unread);
        }
        let mut rows = pin!(client.query_raw(&self.statement, values).await?);
        let (mut first, mut count) = (None, 0_u64);
        while let Some(row) = rows.try_next().await? {
            count += 1;
            first.get_or_insert(row);
        }
        Ok(Answer::Rows { first, is_only: count <= 1 })
    }

    /// Puts what was read into the script's variables.
    pub(super) fn put(&self, answer: Answer, frame: &mut Frame) -> Result<(), GsetTrouble> {
        let (Answer::Rows { first, is_only }, Some(reads)) = (answer, &self.reads) else {
            return Ok(());
        };
        let row = first.ok_or(GsetTrouble::NoRow)?;
        if !is_only {
            return Err(GsetTrouble::SeveralRows);
        }
        for (index, kind, slot) in reads {
            frame.put(*slot, read(&row, *index, kind).map_err(|_| GsetTrouble::Unreadable)?);
        }
        Ok(())
    }
}

fn is_readable(kind: &Type) -> bool {
    [
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::BOOL,
        Type::TEXT,
        Type::VARCHAR,
        Type::BPCHAR,
        Type::NAME,
    ]
    .contains(kind)
}

fn read(row: &Row, index: usize, kind: &Type) -> Result<Value, Error> {
    let value = match *kind {
        Type::INT2 => row.try_get::<_, Option<i16>>(index)?.map(|number| Value::Int(number.into())),
        Type::INT4 => row.try_get::<_, Option<i32>>(index)?.map(|number| Value::Int(number.into())),
        Type::INT8 => row.try_get::<_, Option<i64>>(index)?.map(Value::Int),
        Type::FLOAT4 => row.try_get::<_, Option<f32>>(index)?.map(|number| Value::Double(number.into())),
        Type::FLOAT8 => row.try_get::<_, Option<f64>>(index)?.map(Value::Double),
        Type::BOOL => {
            row.try_get::<_, Option<bool>>(index)?.map(|yes| Value::Text(if yes { "t" } else { "f" }.into()))
        }
        _ => row.try_get::<_, Option<&str>>(index)?.map(|text| Value::Text(Arc::from(text))),
    };
    Ok(value.unwrap_or(Value::Null))
}
