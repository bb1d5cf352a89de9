//! `http`: to be built.

use super::{Answer, Asking, Trouble};
use crate::api::HttpCheck;

pub(super) async fn ask(_question: &HttpCheck, _asking: &Asking<'_>) -> Result<Answer, Trouble> {
    Err(Trouble::error("to be built"))
}
