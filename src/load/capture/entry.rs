//! What becomes of one statement.
//!
//! Decides whether it is taken, and if not, why not; asks the server only whether it can be prepared.

use tokio::time::timeout;
use tokio_postgres::types::Type;

use super::{
    CaptureError, CaptureOptions, STEP_TIMEOUT,
    census::Seen,
    columns::{self, Catalog, Table, Use},
    draw::{self, Drawn},
    literal,
};
use crate::{
    api::SampleParameter,
    load::{
        act::{Act, act, is_felt_though_read_only},
        model::MAX_SAMPLES,
        scan::{self, Token},
    },
    postgres::Session,
};

/// Most parameters of one statement, as the API has it.
const MAX_PARAMS: usize = 32;

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
    pub(super) async fn of(
        session: &Session,
        catalog: &mut Catalog<'_>,
        seen: &Seen,
        options: &CaptureOptions,
    ) -> Result<Self, CaptureError> {
        let tokens = scan::tokens(&seen.text).unwrap_or_default();
        let tokens = without_end(&tokens);
        let mut entry = Self {
            sql: literal::without_comments(&seen.text, tokens),
            calls: seen.calls,
            writes: writes(tokens),
            fate: fate(tokens, options.writes),
            params: Vec::new(),
            reason: None,
        };
        if entry.fate != Fate::Taken {
            return Ok(entry);
        }
        let tables = columns::tables(tokens);
        let is_qualified = tokens.iter().any(|token| token.is_word("pg_catalog"));
        if tables.is_empty() && is_qualified || catalog.is_about_the_server(&tables).await? {
            return Ok(Self { fate: Fate::OfTheServer, ..entry });
        }
        // Outside a transaction no timeout of the server holds, and a table that is being rewritten is locked for long.
        let Ok(prepared) = timeout(STEP_TIMEOUT, session.client().prepare(&entry.sql)).await else {
            return Err(CaptureError::Locked(STEP_TIMEOUT.as_secs()));
        };
        match prepared {
            Ok(statement) => {
                entry.find_parameters(catalog, &seen.text, tokens, &tables, statement.params()).await?;
            }
            Err(error) if error.as_db_error().is_some() => {
                entry.is_unusable(format!("it can't be prepared: {}", session.explain(&error)));
            }
            Err(error) => return Err(CaptureError::Read(session.explain(&error))),
        }
        Ok(entry)
    }

    async fn find_parameters(
        &mut self,
        catalog: &mut Catalog<'_>,
        text: &str,
        tokens: &[Token<'_>],
        tables: &[Table],
        kinds: &[Type],
    ) -> Result<(), CaptureError> {
        if kinds.len() > MAX_PARAMS {
            let count = kinds.len();
            self.is_unusable(format!("it takes {count} parameters, and a model gives at most {MAX_PARAMS}"));
            return Ok(());
        }
        for (index, kind) in kinds.iter().enumerate() {
            let number = index + 1;
            let used = columns::use_of(tokens, number);
            let column = match &used {
                Use::Compared(column) | Use::Inserted(column) => catalog.resolve(tables, column).await?,
                _ => None,
            };
            let Some(mut drawn) = draw::parameter(kind, &used, column.as_ref()) else {
                self.is_unusable(format!("${number} is of type {}, of which no value is known", kind.name()));
                return Ok(());
            };
            if is_shortened(text, number) {
                drawn.note.push_str("; one value, where the application sent a list");
            }
            self.params.push(drawn);
        }
        Ok(())
    }

    /// Adds what its parameters are sampled from to that of the statements before it; where that is more than a model may have, it
    /// is left out.
    pub(super) fn add_samples(&mut self, samples: &mut Vec<SampleParameter>) {
        if self.fate != Fate::Taken {
            return;
        }
        let before = samples.len();
        for sample in self.params.iter().filter_map(|drawn| drawn.parameter.sample.as_ref()) {
            if !samples.contains(sample) {
                samples.push(sample.clone());
            }
        }
        if samples.len() > MAX_SAMPLES {
            samples.truncate(before);
            self.is_unusable(format!(
                "with those before it it would be sampled from more than the {MAX_SAMPLES} columns that a model may have"
            ));
        }
    }

    fn is_unusable(&mut self, reason: String) {
        self.fate = Fate::Unusable;
        self.reason = Some(reason);
    }
}

/// What a model that only reads does not take: also what others feel although it writes no row.
fn writes(tokens: &[Token<'_>]) -> bool {
    act(tokens) == Act::Writes || is_felt_though_read_only(tokens)
}

/// As far as the text tells.
fn fate(tokens: &[Token<'_>], are_writes_wanted: bool) -> Fate {
    match act(tokens) {
        Act::Reads | Act::Writes if literal::has_literal(tokens) => Fate::Literal,
        Act::Reads | Act::Writes if writes(tokens) && !are_writes_wanted => Fate::Writes,
        Act::Reads | Act::Writes => Fate::Taken,
        Act::Begins | Act::Commits | Act::Other => Fate::NotForLoad,
    }
}

/// From PostgreSQL 18 on the server keeps the first of a list of constants, and a comment in place of the others.
fn is_shortened(text: &str, number: usize) -> bool {
    text.contains(&format!("${number} /*, ... */"))
}

/// Some clients send the semicolon along.
fn without_end<'a, 'b>(tokens: &'a [Token<'b>]) -> &'a [Token<'b>] {
    match tokens {
        [rest @ .., last] if last.is_symbol(";") => rest,
        _ => tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_the_server_shortened_is_told() {
        let text = "SELECT a FROM t WHERE b IN ($1 /*, ... */) AND c = $2";
        assert!(is_shortened(text, 1) && !is_shortened(text, 2));
    }
}
