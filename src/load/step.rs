//! What a class of traffic does, step by step, on one connection.

use super::script::Expression;

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Opens a transaction.
    Begin,
    /// Ends it.
    Commit,
    /// Sets a variable of a script.
    Set {
        /// Which.
        slot: usize,
        /// To what.
        expression: Expression,
        /// Where the script says so.
        line: usize,
    },
    /// Sends a statement and waits for its end.
    Send(Query),
}

/// A statement to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    /// What messages call it, such as `statement 2`.
    pub(super) place: String,
    /// With `$1`, `$2`, … for parameters.
    pub(super) sql: String,
    /// Of each parameter, in order.
    pub(super) arguments: Vec<Argument>,
    /// Its one row goes into variables: the columns' names behind this prefix.
    pub(super) gset: Option<String>,
}

/// Where a parameter's value is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    /// Among those that were drawn with the arrival.
    Drawn(usize),
    /// In a variable of the script.
    Variable(usize),
}
