//! The tokens of SQL, as far as telling them apart needs no grammar.
//!
//! Decides where strings, comments and identifiers begin and end, so that what is inside them is not taken for
//! something else. Strings follow `standard_conforming_strings = on`. Never judges whether the SQL is valid: that is the
//! server's to say. Pure, and total: any text is either tokens or an error.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A string, in whichever kind of quotes.
    Text,
    /// A number.
    Number,
    /// `$1`.
    Placeholder,
    /// `:name`.
    Variable,
    /// Anything else: one character, or `::`.
    Symbol,
}

/// A token and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// In bytes from the beginning of what is scanned.
    pub(super) start: usize,
}

impl Token<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether it is this keyword, which is in lower case.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }
}

/// A string, a name or a comment without an end.
#[derive(thiserror::Error, Debug, Clone, Copy, PartialEq, Eq)]
#[error("a {what} that begins here has no end")]
pub(super) struct Unterminated {
    pub(super) what: &'static str,
    /// Where it begins.
    pub(super) start: usize,
}

/// Goes through a text, token by token. White space and comments are passed over.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    position: usize,
}

/// A statement on one line, with `?` in place of every value and without comments: what may be shown to whoever may not see the
/// values. Empty where the text can't be read.
pub(super) fn without_values(text: &str) -> String {
    let tokens = tokens(text).unwrap_or_default();
    let mut shown = String::with_capacity(text.len());
    let mut end = None;
    for token in &tokens {
        if end.is_some_and(|end| end < token.start) {
            shown.push(' ');
        }
        shown.push_str(if matches!(token.kind, Kind::Text | Kind::Number) { "?" } else { token.text });
        end = Some(token.end());
    }
    shown
}

/// All tokens of a text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Unterminated> {
    Scanner::new(text, 0).collect()
}

impl<'a> Iterator for Scanner<'a> {
    type Item = Result<Token<'a>, Unterminated>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.pass_blank() {
            self.position = self.text.len();
            return Some(Err(error));
        }
        let start = self.position;
        let first = self.rest().chars().next()?;
        match self.measure(first) {
            Ok((kind, length)) => {
                self.position += length;
                Some(Ok(Token { kind, text: &self.text[start..self.position], start }))
            }
            Err(what) => {
                self.position = self.text.len();
                Some(Err(Unterminated { what, start }))
            }
        }
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, position: usize) -> Self {
        Self { text, position }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    /// Passes over white space and comments.
    pub(super) fn pass_blank(&mut self) -> Result<(), Unterminated> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.position += rest.len() - trimmed.len();
            if trimmed.starts_with("--") {
                // To PostgreSQL a carriage return ends a line, too.
                self.position += trimmed.find(['\n', '\r']).unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                let start = self.position;
                self.position += comment(trimmed).ok_or(Unterminated { what: "comment", start })?;
            } else {
                return Ok(());
            }
        }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The kind and the length of the token that is next and begins with `first`; or what has no end.
    fn measure(&self, first: char) -> Result<(Kind, usize), &'static str> {
        let rest = self.rest();
        match first {
            '\'' => Ok((Kind::Text, quoted(rest, '\'', false).ok_or("string")?)),
            '"' => Ok((Kind::Quoted, quoted(rest, '"', false).ok_or("quoted name")?)),
            '$' => dollar(rest),
            ':' if rest[1..].starts_with(':') => Ok((Kind::Symbol, 2)),
            ':' if rest[1..].starts_with(begins_name) => Ok((Kind::Variable, 1 + name(&rest[1..], false))),
            _ if first.is_ascii_digit() => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'));
                Ok((Kind::Number, end.unwrap_or(rest.len())))
            }
            _ if begins_name(first) => word(rest),
            _ => Ok((Kind::Symbol, first.len_utf8())),
        }
    }
}

fn begins_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

/// The length of the name at the beginning of `text`.
fn name(text: &str, with_dollar: bool) -> usize {
    let ends = |c: char| !(begins_name(c) || c.is_ascii_digit() || (with_dollar && c == '$'));
    text.find(ends).unwrap_or(text.len())
}

/// A word, or a string whose kind is said by a word before it: `E'…'`, `U&'…'`.
fn word(rest: &str) -> Result<(Kind, usize), &'static str> {
    let length = name(rest, true);
    let (prefix, after) = rest.split_at(length);
    let text = |skipped: usize, escapes: bool| {
        let length = quoted(&after[skipped..], '\'', escapes).ok_or("string")?;
        Ok((Kind::Text, prefix.len() + skipped + length))
    };
    match prefix.to_ascii_lowercase().as_str() {
        "e" if after.starts_with('\'') => text(0, true),
        "b" | "x" | "n" if after.starts_with('\'') => text(0, false),
        "u" if after.starts_with("&'") => text(1, false),
        "u" if after.starts_with("&\"") => {
            let length = quoted(&after[1..], '"', false).ok_or("quoted name")?;
            Ok((Kind::Quoted, prefix.len() + 1 + length))
        }
        _ => Ok((Kind::Word, length)),
    }
}

/// The length of what `text` begins with, up to the quote that ends it; two in a row do not.
fn quoted(text: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((index, c)) = characters.next() {
        if escapes && c == '\\' {
            characters.next();
        } else if c == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return Some(index + 1);
        }
    }
    None
}

/// `$1`, or a string between two tags such as `$body$`.
fn dollar(rest: &str) -> Result<(Kind, usize), &'static str> {
    let after = &rest[1..];
    if after.starts_with(|c: char| c.is_ascii_digit()) {
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        return Ok((Kind::Placeholder, 1 + digits));
    }
    let tag = if after.starts_with(begins_name) { name(after, false) } else { 0 };
    if !after[tag..].starts_with('$') {
        return Ok((Kind::Symbol, 1));
    }
    let tag = &rest[..tag + 2];
    let end = rest[tag.len()..].find(tag).ok_or("string")?;
    Ok((Kind::Text, end + 2 * tag.len()))
}

/// The length of the comment at the beginning of `text`; comments nest.
fn comment(text: &str) -> Option<usize> {
    let (mut depth, mut position) = (0_u32, 0);
    loop {
        let rest = &text[position..];
        let step = if rest.starts_with("/*") {
            depth += 1;
            2
        } else if rest.starts_with("*/") {
            depth -= 1;
            2
        } else {
            rest.chars().next()?.len_utf8()
        };
        position += step;
        if depth == 0 {
            return Some(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_statement_without_its_values_is_one_line() {
        let sql = "SELECT id -- canary\n  FROM t /* canary */ WHERE a = 'canary' AND b IN (17, 1.5)\n AND c = $1::int";
        assert_eq!(without_values(sql), "SELECT id FROM t WHERE a = ? AND b IN (?, ?) AND c = $1::int");
        assert_eq!(without_values("SELECT 'canary"), "");
    }

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        tokens(text).unwrap().into_iter().map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn what_is_quoted_or_commented_is_one_token_or_none() {
        use Kind::{Number, Placeholder, Quoted, Symbol, Text, Variable, Word};
        for (text, expected) in [
            ("a -- ; :b\n;", vec![(Word, "a"), (Symbol, ";")]),
            ("a -- b\rc", vec![(Word, "a"), (Word, "c")]),
            ("/* /* ; */ :a */ 1.5e3", vec![(Number, "1.5e3")]),
            ("'a;''b' \"c\"\"d\"", vec![(Text, "'a;''b'"), (Quoted, "\"c\"\"d\"")]),
            (r"E'a\';' 'b\'", vec![(Text, r"E'a\';'"), (Text, r"'b\'")]),
            ("$$a;$$ $x$ $$ $x$ $1", vec![(Text, "$$a;$$"), (Text, "$x$ $$ $x$"), (Placeholder, "$1")]),
            (
                "x::int :y :_z",
                vec![(Word, "x"), (Symbol, "::"), (Word, "int"), (Variable, ":y"), (Variable, ":_z")],
            ),
            ("a$1 U&'b' U&\"c\"", vec![(Word, "a$1"), (Text, "U&'b'"), (Quoted, "U&\"c\"")]),
        ] {
            assert_eq!(kinds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_has_no_end_is_an_error_at_its_beginning() {
        for (text, what) in
            [("a 'b", "string"), ("a \"b", "quoted name"), ("a /* /* */", "comment"), ("a $x$ $$", "string")]
        {
            assert_eq!(tokens(text), Err(Unterminated { what, start: 2 }), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_tokens_in_order_or_an_error(text in r#"[-a-z'"$:;/* \\\n\u{e9}0-9&EU]{0,40}"#) {
            if let Ok(tokens) = tokens(&text) {
                prop_assert!(tokens.windows(2).all(|pair| pair[0].end() <= pair[1].start));
                prop_assert!(tokens.iter().all(|token| !token.text.is_empty()));
            }
        }
    }
}
