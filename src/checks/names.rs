//! Names of objects as they are shown. They come from a server that may be hostile: any length, any character.

/// Longest name that is shown, in characters; PostgreSQL's own have at most 63 bytes.
const MAX_NAME: usize = 64;

/// A name without control characters and of bounded length.
pub(super) fn clip(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

/// `schema.name`, each of them clipped.
pub(super) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", clip(schema), clip(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_shown_without_control_characters_and_clipped() {
        assert_eq!(qualified("public", "a\u{1b}[2J\nb"), "public.a[2Jb");
        assert_eq!(clip(&"é".repeat(1000)).chars().count(), MAX_NAME);
    }
}
