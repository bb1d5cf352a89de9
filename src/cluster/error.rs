//! What can go wrong with a call to the API server, and what that means for trying again.

use std::{fmt, time::Duration};

/// How a failed call is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Try again after a pause: the API server is busy, away, or slow. The call may have been carried out.
    Transient,
    /// The world is not as it was seen: look again at once.
    Precondition,
    /// It will not get better by trying again soon: missing rights, refused by admission.
    Permanent,
}

/// A call that failed. Never holds what was written: that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterError {
    /// What was attempted.
    pub attempted: String,
    /// How to take it.
    pub class: ErrorClass,
    /// A CamelCase word, for metrics.
    pub reason: String,
    detail: String,
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {}: {}", self.attempted, self.detail)
    }
}

impl std::error::Error for ClusterError {}

impl ClusterError {
    pub(super) fn of(attempted: String, error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self {
                attempted,
                class: ErrorClass::Transient,
                reason: "Unreachable".to_owned(),
                detail: "no usable answer from the API server".to_owned(),
            };
        };
        let class = match status.code {
            // 422 is what a failed test of a JSON patch gives, and an apply to another uid.
            404 | 409 | 422 => ErrorClass::Precondition,
            400 | 401 | 403 | 405 | 413 => ErrorClass::Permanent,
            _ => ErrorClass::Transient,
        };
        let reason =
            if status.reason.is_empty() { format!("Http{}", status.code) } else { status.reason.clone() };
        // Only a missing right is told in the API server's words; what else refuses, a webhook for one, may quote the object.
        let is_missing_right = status.code == 403 && status.message.contains(" cannot ");
        let detail = if is_missing_right {
            status.message.clone()
        } else {
            format!("{reason} (HTTP {})", status.code)
        };
        Self { attempted, class, reason, detail }
    }

    /// No answer came in that time.
    #[must_use]
    pub fn timeout(attempted: String, after: Duration) -> Self {
        Self {
            attempted,
            class: ErrorClass::Transient,
            reason: "Timeout".to_owned(),
            detail: format!("no answer from the API server within {} s", after.as_secs()),
        }
    }

    pub(super) fn precondition(attempted: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            attempted: attempted.into(),
            class: ErrorClass::Precondition,
            reason: "Precondition".to_owned(),
            detail: detail.into(),
        }
    }
}
