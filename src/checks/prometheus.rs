//! `prometheus`: to be built.

use super::{Answer, Asking, Trouble};
use crate::api::PrometheusCheck;

pub(super) async fn ask(_question: &PrometheusCheck, _asking: &Asking<'_>) -> Result<Answer, Trouble> {
    Err(Trouble::error("to be built"))
}
