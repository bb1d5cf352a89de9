//! `pool`: to be built.

use super::{Answer, Asking, Trouble};
use crate::api::PoolCheck;

/// What it can find.
pub(super) const KINDS: &[super::FindingKind] = &[];

pub(super) async fn ask(_question: &PoolCheck, _asking: &Asking<'_>) -> Result<Answer, Trouble> {
    Err(Trouble::error("to be built"))
}
