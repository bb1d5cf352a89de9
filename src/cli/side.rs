//! A side of a comparison, as a person names it at the command line.

use anyhow::Context as _;

use super::{say, target::target};
use crate::postgres::Target;

/// How a side is named: as an option and as an environment variable.
pub(super) type Names = (&'static str, &'static str);

pub(super) const LEGACY: Names = ("legacy", "CUTOVER_LEGACY_URI");
pub(super) const CANDIDATE: Names = ("candidate", "CUTOVER_CANDIDATE_URI");

/// A side, by its option, else by the manifest, else by the environment: what was exported for another day must not
/// silently be asked in place of what a manifest names. Says which database it is.
pub(super) fn named(
    option: Option<&String>,
    (name, variable): Names,
    of_manifest: impl FnOnce() -> anyhow::Result<Option<Target>>,
) -> anyhow::Result<Option<Target>> {
    let side = match option {
        Some(uri) => Some(target(uri).with_context(|| format!("--{name}"))?),
        None => match of_manifest()? {
            Some(target) => Some(target),
            None => match std::env::var(variable) {
                Ok(uri) => Some(target(&uri).with_context(|| variable)?),
                Err(_) => None,
            },
        },
    };
    if let Some(side) = &side {
        say(format_args!("{name}: {}", side.uri.endpoint()));
    }
    Ok(side)
}
