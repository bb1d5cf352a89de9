//! A traffic model in a file of its own: one entry of a rollout's `spec.traffic`, as YAML.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};

use crate::api::Traffic;

/// Longest file.
const MAX_BYTES: u64 = 1 << 20;

/// Reads it.
pub(super) fn read(path: &Path) -> anyhow::Result<Traffic> {
    let shown = path.display();
    let length = std::fs::metadata(path).with_context(|| format!("cannot read {shown}"))?.len();
    if length > MAX_BYTES {
        bail!("{shown} is longer than {} KiB", MAX_BYTES >> 10);
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    // Without the lines around the error: statements may hold values.
    serde_saphyr::from_str(&text)
        .map_err(|error| anyhow!("{shown} is not one entry of spec.traffic: {}", error.without_snippet()))
}
