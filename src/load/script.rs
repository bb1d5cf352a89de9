//! Scripts in the language of pgbench: the part of it that describes traffic.
//!
//! Decides what of that language is understood, and refuses the rest with its line and a reason: what would run programs
//! here, what changes the database's definition or the session, what an open-loop load has no use for. A `:variable` in
//! SQL becomes a parameter and is never pasted into the text. Pure: what a script does is done by [`super::connection`].
//! Never panics, whatever the text.

use std::fmt::Write as _;

use super::{
    act::{Act, act},
    scan::{Kind, Scanner, Token, Unterminated},
    step::{Argument, Query, Step},
};

mod evaluate;
mod expression;
mod frame;
mod meta;
mod pgbench;

pub(super) use expression::Expression;
pub(super) use frame::Frame;
pub use pgbench::from_pgbench;
pub(crate) use pgbench::statements_of;

use meta::Meta;

/// Longest script, in bytes.
const MAX_LENGTH: usize = 16_384;
/// Most statements and settings.
const MAX_STEPS: usize = 64;

/// Why a script can't be used.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
#[error("line {line}: {reason}")]
pub struct ScriptError {
    /// Where, counted from 1.
    pub line: usize,
    /// Why, and what to do.
    pub reason: String,
}

/// A script that is understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    /// The names of its variables; the first is `scale`, which is set from the beginning.
    pub(super) variables: Vec<String>,
}

/// Understands a script. `name` is what messages call it.
pub(super) fn parse(name: &str, text: &str) -> Result<Script, ScriptError> {
    if text.len() > MAX_LENGTH {
        return Err(ScriptError { line: 1, reason: format!("the script is longer than {MAX_LENGTH} bytes") });
    }
    let mut parser = Parser {
        name,
        text,
        steps: Vec::new(),
        variables: vec!["scale".to_owned()],
        is_set: vec![true],
        prefixes: Vec::new(),
        open: None,
    };
    let mut position = 0;
    while let Some(next) = parser.next(position)? {
        position = next;
        if parser.steps.len() > MAX_STEPS {
            return Err(parser.error(position, format!("the script has more than {MAX_STEPS} statements")));
        }
    }
    if let Some(begin) = parser.open {
        return Err(parser.error(begin, "the transaction that begins here has no END or COMMIT"));
    }
    if !parser.steps.iter().any(|step| matches!(step, Step::Send(_))) {
        return Err(parser.error(0, "the script sends no statement"));
    }
    Ok(Script { steps: parser.steps, variables: parser.variables })
}

struct Parser<'a> {
    name: &'a str,
    text: &'a str,
    steps: Vec<Step>,
    variables: Vec<String>,
    /// Of each variable, whether the script has set it so far.
    is_set: Vec<bool>,
    /// Of the `\gset`s so far: which variables those set is known when the server has told the columns.
    prefixes: Vec<String>,
    /// Where the open transaction begins.
    open: Option<usize>,
}

impl Parser<'_> {
    /// Takes the command at `position`, and says where the next one is looked for.
    fn next(&mut self, position: usize) -> Result<Option<usize>, ScriptError> {
        let mut scanner = Scanner::new(self.text, position);
        scanner.pass_blank().map_err(|fault| self.unterminated(fault))?;
        let start = scanner.position();
        let rest = &self.text[start..];
        if rest.is_empty() {
            return Ok(None);
        }
        if rest.starts_with('\\') {
            let length = meta::length(rest);
            self.meta(start, &rest[..length])?;
            return Ok(Some(start + length));
        }
        let mut tokens = Vec::new();
        for token in scanner {
            let token = token.map_err(|fault| self.unterminated(fault))?;
            if token.is_symbol(";") || token.is_symbol("\\") {
                self.statement(&tokens)?;
                return Ok(Some(if token.is_symbol(";") { token.end() } else { token.start }));
            }
            tokens.push(token);
        }
        self.statement(&tokens)?;
        Ok(Some(self.text.len()))
    }

    fn meta(&mut self, start: usize, text: &str) -> Result<(), ScriptError> {
        match Meta::parse(text).map_err(|reason| self.error(start, reason))? {
            Meta::Set { name, expression } => {
                let expression = Expression::parse(&expression, &mut |name| self.used(name))
                    .map_err(|reason| self.error(start, reason))?;
                let slot = self.slot(&name);
                self.is_set[slot] = true;
                self.steps.push(Step::Set { slot, expression, line: self.line(start) });
            }
            Meta::Gset { prefix } => {
                let Some(Step::Send(query)) =
                    self.steps.last_mut().filter(|step| matches!(step, Step::Send(q) if q.gset.is_none()))
                else {
                    return Err(self.error(start, "\\gset must follow a query"));
                };
                query.gset = Some(prefix.clone());
                self.prefixes.push(prefix);
            }
        }
        Ok(())
    }

    fn statement(&mut self, tokens: &[Token<'_>]) -> Result<(), ScriptError> {
        let Some(first) = tokens.first() else {
            return Ok(());
        };
        let start = first.start;
        match act(tokens) {
            Act::Begins if !is_bare(tokens, &["begin", "start"]) => {
                Err(self.error(start, "BEGIN takes no options here: access is that of the traffic model"))
            }
            Act::Begins if self.open.is_some() => {
                Err(self.error(start, "a transaction is open already; end it first"))
            }
            Act::Begins => {
                self.open = Some(start);
                self.steps.push(Step::Begin);
                Ok(())
            }
            Act::Commits if !is_bare(tokens, &["commit", "end"]) => {
                Err(self.error(start, "END and COMMIT take no options here"))
            }
            Act::Commits if self.open.take().is_none() => {
                Err(self.error(start, "there is no open transaction to end"))
            }
            Act::Commits => {
                self.steps.push(Step::Commit);
                Ok(())
            }
            Act::Reads | Act::Writes => {
                let query = self.query(tokens)?;
                self.steps.push(Step::Send(query));
                Ok(())
            }
            Act::Other => Err(self.error(start, refusal(first))),
        }
    }

    /// The statement with each variable in it replaced by a parameter of its own.
    fn query(&mut self, tokens: &[Token<'_>]) -> Result<Query, ScriptError> {
        let (start, end) = (tokens[0].start, tokens[tokens.len() - 1].end());
        let place = format!("line {} of script {:?}", self.line(start), self.name);
        let mut query = Query { place, sql: String::new(), arguments: Vec::new(), gset: None };
        let mut copied = start;
        for token in tokens {
            match token.kind {
                Kind::Placeholder => {
                    let reason =
                        format!("{} has no value: in a script, parameters are :variables", token.text);
                    return Err(self.error(token.start, reason));
                }
                Kind::Text | Kind::Quoted => self.has_no_variable(*token)?,
                Kind::Variable => {
                    let slot =
                        self.used(&token.text[1..]).map_err(|reason| self.error(token.start, reason))?;
                    query.sql.push_str(&self.text[copied..token.start]);
                    query.arguments.push(Argument::Variable(slot));
                    let _ = write!(query.sql, "${}", query.arguments.len());
                    copied = token.end();
                }
                _ => {}
            }
        }
        query.sql.push_str(&self.text[copied..end]);
        Ok(query)
    }

    /// pgbench puts values even into quotes; sending the name instead would change what is asked without a word.
    fn has_no_variable(&self, token: Token<'_>) -> Result<(), ScriptError> {
        let inside = |name: &&String| {
            token.text.match_indices(&format!(":{name}")).any(|(index, found)| {
                let after = token.text[index + found.len()..].chars().next();
                !after.is_some_and(|c| c.is_alphanumeric() || c == '_') && !token.text[..index].ends_with(':')
            })
        };
        match self.variables.iter().find(inside) {
            Some(name) => Err(self.error(
                token.start,
                format!(
                    "variable :{name} is inside quotes, where no parameter can be; write it outside of them"
                ),
            )),
            None => Ok(()),
        }
    }

    /// The slot of a variable that is made use of.
    fn used(&mut self, name: &str) -> Result<usize, String> {
        let slot = self.slot(name);
        let may_be_set =
            self.is_set[slot] || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
        if may_be_set { Ok(slot) } else { Err(format!("variable :{name} is not set before it is used")) }
    }

    fn slot(&mut self, name: &str) -> usize {
        if let Some(slot) = self.variables.iter().position(|known| known == name) {
            return slot;
        }
        self.variables.push(name.to_owned());
        self.is_set.push(false);
        self.variables.len() - 1
    }

    fn line(&self, position: usize) -> usize {
        1 + self.text.as_bytes().iter().take(position).filter(|byte| **byte == b'\n').count()
    }

    fn error(&self, position: usize, reason: impl Into<String>) -> ScriptError {
        ScriptError { line: self.line(position), reason: reason.into() }
    }

    fn unterminated(&self, fault: Unterminated) -> ScriptError {
        self.error(fault.start, fault.to_string())
    }
}

/// `BEGIN`, `END` and alike, with nothing but a noise word behind them.
fn is_bare(tokens: &[Token<'_>], verbs: &[&str]) -> bool {
    let noise = |token: &Token<'_>| token.is_word("work") || token.is_word("transaction");
    match tokens {
        [verb] => verbs.iter().any(|word| verb.is_word(word)),
        [verb, after] => verbs.iter().any(|word| verb.is_word(word)) && noise(after),
        _ => false,
    }
}

fn refusal(first: &Token<'_>) -> String {
    let word: String = first.text.chars().take(20).collect::<String>().to_uppercase();
    match word.as_str() {
        "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" => {
            format!("{word} is not supported: a transaction goes from BEGIN to END or COMMIT")
        }
        "SET" | "RESET" | "DISCARD" => {
            format!(
                "{word} would change the session for all that follows it; settings belong to the role or the database"
            )
        }
        _ => format!(
            "{word} is not for load: only SELECT, VALUES, TABLE, WITH, SHOW, EXPLAIN, INSERT, UPDATE, DELETE, MERGE, CALL, \
             LOCK and NOTIFY are"
        ),
    }
}

#[cfg(test)]
mod tests;
