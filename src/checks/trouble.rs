//! Why a question could not be answered, and what that means for its check.

use super::Answer;
use crate::{
    api::Verdict,
    postgres::{ConnectError, ErrorClass, Fault},
};

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) verdict: Verdict,
    pub(super) message: String,
}

impl Trouble {
    /// What was asked about is at fault.
    pub(super) fn fail(message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, message: message.into() }
    }

    /// It could not be asked.
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Error, message: message.into() }
    }

    /// Says which side, or which question, it is about.
    pub(super) fn about(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }
}

impl From<ConnectError> for Trouble {
    fn from(error: ConnectError) -> Self {
        // Trouble with the connection says nothing about what was asked. A role that must not be used does not heal.
        let verdict = if error.is_refused_role() { Verdict::Fail } else { Verdict::Error };
        Self { verdict, message: error.to_string() }
    }
}

/// A fault of a statement that this program wrote itself: it says nothing about the databases, except where the role
/// lacks a privilege, which does not heal.
impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        let verdict = if fault.class == ErrorClass::Privilege { Verdict::Fail } else { Verdict::Error };
        Self { verdict, message: fault.to_string() }
    }
}

impl From<Trouble> for Answer {
    fn from(trouble: Trouble) -> Self {
        Self::new(trouble.verdict, trouble.message)
    }
}
