//! Script files, as pgbench takes them: `script.sql@3`.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};

use crate::{
    api::{Access, Traffic},
    load::from_pgbench,
};

/// Longest file; a script of a traffic model is no longer.
const MAX_BYTES: u64 = 16 << 10;

/// The traffic model of all of them.
pub(super) fn read(files: &[String], access: Access, scale: i32) -> anyhow::Result<Traffic> {
    let scripts = files.iter().map(|file| read_one(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let scripts: Vec<_> =
        scripts.iter().map(|(name, text, weight)| (name.as_str(), text.as_str(), *weight)).collect();
    Ok(from_pgbench("scripts", access, scale, &scripts)?)
}

/// The options that name them, as they were given.
pub(super) fn options(files: &[String], access: Access, scale: i32) -> String {
    let mut options: Vec<_> = files.iter().map(|file| format!("-f {file}")).collect();
    options.extend((scale != 1).then(|| format!("--scale {scale}")));
    options.extend((access == Access::ReadWrite).then(|| "--read-write".to_owned()));
    options.join(" ")
}

fn read_one(file: &str) -> anyhow::Result<(String, String, i32)> {
    let (path, weight) = split(file)?;
    let length = std::fs::metadata(path).with_context(|| format!("cannot read {path}"))?.len();
    if length > MAX_BYTES {
        bail!("{path} is longer than {} KiB", MAX_BYTES >> 10);
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let name = Path::new(path).file_stem().and_then(|name| name.to_str());
    Ok((name.ok_or_else(|| anyhow!("{path} has no name"))?.to_owned(), text, weight))
}

/// As pgbench does, what follows the last `@` is a weight.
fn split(file: &str) -> anyhow::Result<(&str, i32)> {
    let Some((path, weight)) = file.rsplit_once('@') else { return Ok((file, 1)) };
    match weight.parse() {
        Ok(weight) if weight >= 1 => Ok((path, weight)),
        _ => bail!(
            "{weight:?} is no weight: give a whole number of at least 1 after the @, as in script.sql@3"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_follows_the_last_at() {
        assert_eq!(split("a.sql").unwrap(), ("a.sql", 1));
        assert_eq!(split("a@b.sql@3").unwrap(), ("a@b.sql", 3));
        for refused in ["a.sql@", "a.sql@0", "a.sql@-1", "a.sql@x"] {
            assert!(split(refused).is_err(), "{refused}");
        }
    }
}
