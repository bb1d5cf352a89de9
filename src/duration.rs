//! Durations as the API writes them.
/// Parses.
pub fn parse(text: &str) -> Result<std::time::Duration, String> {
    let mut total = std::time::Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or("no unit")?;
        let n: u64 = rest[..digits].parse().map_err(|_| "no number")?;
        rest = &rest[digits..];
        let (unit, len) = if rest.starts_with("ms") {
            (1, 2)
        } else if rest.starts_with('s') {
            (1000, 1)
        } else if rest.starts_with('m') {
            (60_000, 1)
        } else if rest.starts_with('h') {
            (3_600_000, 1)
        } else {
            return Err("unknown unit".into());
        };
        total += std::time::Duration::from_millis(n.saturating_mul(unit));
        rest = &rest[len..];
    }
    Ok(total)
}
