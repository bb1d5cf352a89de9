//! How arrivals are spread over the time of a load.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::DURATION_PATTERN;

/// A point of a rate's course. Between two points the rate goes in a straight line; two points at the same moment are a
/// step.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RatePoint {
    /// When, from the start.
    #[schemars(length(max = 32), regex(pattern = DURATION_PATTERN))]
    pub at: String,
    /// How much of `rate` there is at that moment.
    #[schemars(range(min = 0, max = 100))]
    pub percent: i32,
}

/// How arrivals follow each other.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq, Clone, Copy, Default, JsonSchema)]
pub enum ArrivalProcess {
    /// By chance, as those of many independent users do: a Poisson process.
    #[default]
    Poisson,
    /// At even distances.
    Fixed,
}

impl ArrivalProcess {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn is_poisson(&self) -> bool {
        *self == Self::Poisson
    }
}
