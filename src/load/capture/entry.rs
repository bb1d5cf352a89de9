//! What becomes of one statement.
//!
//! Decides whether it is taken, and if not, why not; asks the server only whether it can be prepared.

use super::{
    CaptureError, CaptureOptions,
    census::Seen,
    columns::{self, Catalog, Use},
    draw::{self, Drawn},
    literal,
};
use crate::{
    load::{
        act::{Act, act},
        scan::{self, Token},
    },
    postgres::Session,
};

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is part of the model.
    Taken,
    /// It writes or locks rows, which was not asked for.
    Writes,
    /// It is no query.
    NotForLoad,
    /// It asks for what the server knows of itself.
    OfTheServer,
    /// Its text may hold user data.
    Literal,
    /// It can't be prepared, or a parameter of it has no values.
    Unusable,
}

/// A statement and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) sql: String,
    pub(super) calls: i64,
    pub(super) writes: bool,
    pub(super) fate: Fate,
    pub(super) params: Vec<Drawn>,
    /// Why it can't be used, for what has a text that may be shown.
    pub(super) reason: Option<String>,
}

impl Entry {
    fn left(calls: i64, fate: Fate) -> Self {
        Self { sql: String::new(), calls, writes: false, fate, params: Vec::new(), reason: None }
    }

    pub(super) async fn of(
        session: &Session,
        catalog: &mut Catalog<'_>,
        seen: &Seen,
        options: &CaptureOptions,
    ) -> Result<Self, CaptureError> {
        let Ok(tokens) = scan::tokens(&seen.text) else {
            return Ok(Self::left(seen.calls, Fate::NotForLoad));
        };
        let tokens = without_end(&tokens);
        let writes = match act(tokens) {
            Act::Reads => false,
            Act::Writes => true,
            _ => return Ok(Self::left(seen.calls, Fate::NotForLoad)),
        };
        if literal::has_literal(tokens) {
            return Ok(Self::left(seen.calls, Fate::Literal));
        }
        if writes && !options.writes {
            return Ok(Self::left(seen.calls, Fate::Writes));
        }
        let tables = columns::tables(tokens);
        if catalog.is_about_the_server(&tables).await? {
            return Ok(Self::left(seen.calls, Fate::OfTheServer));
        }
        let sql = literal::without_comments(&seen.text, tokens);
        let mut entry =
            Self { sql, calls: seen.calls, writes, fate: Fate::Taken, params: Vec::new(), reason: None };
        let statement = match session.client().prepare(&entry.sql).await {
            Ok(statement) => statement,
            Err(error) if error.as_db_error().is_some() => {
                return Ok(entry.unusable(format!("it can't be prepared: {}", session.explain(&error))));
            }
            Err(error) => return Err(CaptureError::Read(session.explain(&error))),
        };
        for (index, kind) in statement.params().iter().enumerate() {
            let number = index + 1;
            let used = columns::use_of(tokens, number);
            let column = match &used {
                Use::Compared(column) | Use::Inserted(column) => catalog.resolve(&tables, column).await?,
                _ => None,
            };
            match draw::parameter(kind, &used, column.as_ref()) {
                Some(drawn) => entry.params.push(drawn),
                None => {
                    let reason = format!("${number} is of type {}, of which no value is known", kind.name());
                    return Ok(entry.unusable(reason));
                }
            }
        }
        Ok(entry)
    }

    fn unusable(self, reason: String) -> Self {
        Self { fate: Fate::Unusable, reason: Some(reason), ..self }
    }
}

/// Some clients send the semicolon along.
fn without_end<'a, 'b>(tokens: &'a [Token<'b>]) -> &'a [Token<'b>] {
    match tokens {
        [rest @ .., last] if last.is_symbol(";") => rest,
        _ => tokens,
    }
}
