//! The statements of a class, prepared on a connection, and what a script reads of their answers.
//!
//! Decides whether the model gives each statement the parameters that the server says it takes, and which columns of an
//! answer go into which variables. An answer that no variable is set from is thrown away unread.

use std::{str::FromStr, sync::Arc};

use tokio_postgres::types::Type;

use super::{
    connection::OpenError,
    model::{Class, Model},
    parameter::Value,
    script::Frame,
    step::{Argument, Query, Step},
};
use crate::postgres::{Row, Rows, Scope, Statement, Wire};

/// A class, ready on a connection: for each step that sends something, what that is.
#[derive(Debug)]
pub(super) struct PreparedClass {
    pub(super) steps: Vec<Option<Prepared>>,
}

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) statement: Statement,
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

/// Prepares the statements of all classes, by class.
pub(super) async fn prepare_all(
    wire: &mut Wire,
    model: &Model,
    scope: Scope,
    before: &[String],
) -> Result<Vec<PreparedClass>, OpenError> {
    let queries: Vec<_> = model.classes.iter().flat_map(queries).collect();
    let texts: Vec<_> = queries.iter().map(|query| query.sql.as_str()).collect();
    let statements = wire.prepare(&texts, scope, before).await;
    let mut statements = statements
        .map_err(|(index, fault)| OpenError::Prepare { place: queries[index].place.clone(), fault })?
        .into_iter();
    model.classes.iter().map(|class| prepared(class, &mut statements)).collect()
}

fn queries(class: &Class) -> impl Iterator<Item = &Query> {
    class.steps.iter().filter_map(|step| match step {
        Step::Send(query) => Some(query),
        _ => None,
    })
}

/// A class with its statements, which are the next ones.
fn prepared(
    class: &Class,
    statements: &mut impl Iterator<Item = Statement>,
) -> Result<PreparedClass, OpenError> {
    let mut steps = Vec::with_capacity(class.steps.len());
    for step in &class.steps {
        steps.push(match step {
            Step::Send(query) => {
                statements.next().map(|statement| fitted(class, query, statement)).transpose()?
            }
            _ => None,
        });
    }
    if class.is_script() {
        every_variable_is_set(class, &steps)?;
    }
    Ok(PreparedClass { steps })
}

/// The statement, if the model gives what it takes and can read what it returns.
fn fitted(class: &Class, query: &Query, statement: Statement) -> Result<Prepared, OpenError> {
    let (takes, gives) = (statement.parameters, query.arguments.len());
    if takes != gives {
        return Err(OpenError::Parameters { place: query.place.clone(), takes, gives });
    }
    let reads = query.gset.as_ref().map(|prefix| reads(class, query, &statement, prefix)).transpose()?;
    Ok(Prepared { statement, reads })
}

fn reads(
    class: &Class,
    query: &Query,
    statement: &Statement,
    prefix: &str,
) -> Result<Vec<(usize, Type, usize)>, OpenError> {
    let mut reads = Vec::new();
    for (index, column) in statement.columns.iter().enumerate() {
        let name = format!("{prefix}{}", column.name);
        // A column that the script makes no use of needs no variable.
        let Some(slot) = class.variables.iter().position(|variable| *variable == name) else {
            continue;
        };
        let kind = column.kind.clone().filter(is_readable);
        let kind = kind.ok_or_else(|| OpenError::Column { place: query.place.clone(), column: name })?;
        reads.push((index, kind, slot));
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
    /// Whether variables are set from its answer.
    pub(super) fn is_read(&self) -> bool {
        self.reads.is_some()
    }

    /// Puts what was read into the script's variables.
    pub(super) fn put(&self, rows: &Rows, frame: &mut Frame) -> Result<(), GsetTrouble> {
        let Some(reads) = &self.reads else { return Ok(()) };
        let row = rows.first.as_ref().ok_or(GsetTrouble::NoRow)?;
        if rows.count > 1 {
            return Err(GsetTrouble::SeveralRows);
        }
        for (index, kind, slot) in reads {
            frame.put(*slot, read(row, *index, kind).ok_or(GsetTrouble::Unreadable)?);
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

/// A column's value; `None` if it can't be made out.
fn read(row: &Row, index: usize, kind: &Type) -> Option<Value> {
    let Some(text) = row.text(index).ok()? else { return Some(Value::Null) };
    match *kind {
        Type::INT2 | Type::INT4 | Type::INT8 => i64::from_str(text).ok().map(Value::Int),
        Type::FLOAT4 | Type::FLOAT8 => f64::from_str(text).ok().map(Value::Double),
        _ => Some(Value::Text(Arc::from(text))),
    }
}
