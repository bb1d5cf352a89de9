//! Values of properties: which are shown, which are only compared, and when two texts say the same.
//!
//! Decides what is formatting and what is meaning. A text that a user wrote (the body of a function) is compared without
//! its white space, comments and the case of its keywords; a text that the server wrote (a definition) is compared as it
//! is, and between two major versions, which write differently, also without qualifiers and parentheses. Never keeps
//! a text that may hold a literal: only its digest.

use sha2::{Digest, Sha256};

use crate::checks::shown::shown;

/// How a property's text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// It holds no literal: compared and shown.
    Shown,
    /// The server wrote it from what it parsed, literals and all: compared and not shown.
    Deparsed,
    /// The same, of a partition's bound: the order of a list's values means nothing.
    Bound,
    /// Its first character tells the row's own form: `s` shown, `d` deparsed, `b` a body whose formatting means nothing,
    /// `v` a verbatim text.
    Marked,
}

/// A value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Shown(Box<str>),
    /// A text that the user wrote.
    Written(Print),
    /// A text that the server wrote, as it is and without what versions write differently.
    Deparsed {
        exact: Print,
        loose: Print,
    },
}

/// The digest of a text.
pub(super) type Print = [u8; 16];

/// How two values relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Same,
    /// The same but for what the two major versions write differently, and what may also change the meaning: which of
    /// two tables of one name, which of two operators first.
    Rewritten,
    /// Different texts, by two major versions: it may be that only the versions differ.
    Unsure,
    Different,
}

impl Value {
    pub(super) fn read(form: Form, text: &str) -> Self {
        let mut rest = text.chars();
        match form {
            Form::Shown => Self::Shown(text.into()),
            Form::Deparsed => Self::deparsed(text),
            Form::Bound => Self::deparsed(&bound(text)),
            Form::Marked => match rest.next() {
                Some('s') => Self::Shown(rest.as_str().into()),
                Some('b') => Self::Written(print(tokens(rest.as_str()))),
                Some('v') => Self::Written(print([rest.as_str().to_owned()])),
                _ => Self::deparsed(rest.as_str()),
            },
        }
    }

    fn deparsed(text: &str) -> Self {
        let loose = tokens(text)
            .into_iter()
            .filter(|token| token != "(" && token != ")")
            .map(|token| unqualified(&token).to_owned());
        Self::Deparsed { exact: print([text.to_owned()]), loose: print(loose) }
    }

    /// What tells it from others of its kind; the same for values that relate as [`Relation::Same`] or `Rewritten`.
    pub(super) fn mark(&self, majors_differ: bool) -> String {
        match self {
            Self::Shown(text) => format!("s{text}"),
            Self::Deparsed { loose, .. } if majors_differ => format!("l{:x}", u128::from_be_bytes(*loose)),
            Self::Written(exact) | Self::Deparsed { exact, .. } => {
                format!("d{:x}", u128::from_be_bytes(*exact))
            }
        }
    }

    /// What of it may be shown: itself or nothing. A digest would let a reader try out literals that were easy to guess.
    pub(super) fn shown(&self) -> Option<String> {
        match self {
            Self::Shown(text) => Some(shown(text)),
            Self::Written(_) | Self::Deparsed { .. } => None,
        }
    }
}

/// A partition's bound with the values of a list in one order. A server writes each of them as a text or a bare word.
fn bound(text: &str) -> String {
    let list = text.strip_prefix("FOR VALUES IN (").and_then(|rest| rest.strip_suffix(')'));
    let Some(list) = list else {
        return text.to_owned();
    };
    let mut values: Vec<String> = vec![String::new()];
    for token in tokens(list) {
        match values.last_mut() {
            Some(value) if token != "," => value.push_str(&token),
            _ => values.push(String::new()),
        }
    }
    values.sort_unstable();
    format!("FOR VALUES IN ({})", values.join(", "))
}

/// How legacy's and candidate's value relate.
pub(super) fn relate(legacy: Option<&Value>, candidate: Option<&Value>, majors_differ: bool) -> Relation {
    match (legacy, candidate) {
        (legacy, candidate) if legacy == candidate => Relation::Same,
        (Some(Value::Deparsed { loose: legacy, .. }), Some(Value::Deparsed { loose: candidate, .. }))
            if majors_differ =>
        {
            if legacy == candidate {
                Relation::Rewritten
            } else {
                Relation::Unsure
            }
        }
        _ => Relation::Different,
    }
}

fn print(parts: impl IntoIterator<Item = String>) -> Print {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut print = Print::default();
    print.copy_from_slice(&hash.finalize()[..16]);
    print
}

/// The words and signs of an SQL text: without white space and comments, except for those that are hints to a planner,
/// and in lower case where case means nothing. What it does not understand only makes texts differ that are the same.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = token_length(rest, first);
        let (token, after) = rest.split_at(length);
        rest = after;
        let is_comment = token.starts_with("--") || (token.starts_with("/*") && !token.starts_with("/*+"));
        if !first.is_whitespace() && !is_comment {
            let is_word = is_word(first) && !token.contains(['\'', '"']);
            tokens.push(if is_word { token.to_ascii_lowercase() } else { token.to_owned() });
        }
    }
    tokens
}

/// The length of the token that `text` begins with; at least one character, and on a boundary of characters.
fn token_length(text: &str, first: char) -> usize {
    if first.is_whitespace() {
        return run(text, char::is_whitespace);
    }
    if text.starts_with("--") {
        return text.find(['\n', '\r']).map_or(text.len(), |end| end + 1);
    }
    if text.starts_with("/*") {
        return comment(text);
    }
    match first {
        '\'' => quoted(text, '\'', false),
        '"' => quoted(text, '"', false),
        'e' | 'E' if text[1..].starts_with('\'') => 1 + quoted(&text[1..], '\'', true),
        '$' => dollar_quoted(text).unwrap_or(1),
        _ if is_word(first) => word(text),
        _ if is_operator(first) => operator(text),
        _ => first.len_utf8(),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.' || !c.is_ascii()
}

fn is_operator(c: char) -> bool {
    "+-*/<>=~!@#%^&|`?:".contains(c)
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// Words that are joined by dots, quoted or not, are one token: a qualified name.
fn word(text: &str) -> usize {
    let mut length = run(text, |c| (is_word(c) && !c.is_whitespace()) || c == '$');
    while text[..length].ends_with('.') && text[length..].starts_with('"') {
        length += quoted(&text[length..], '"', false);
        length += run(&text[length..], |c| (is_word(c) && !c.is_whitespace()) || c == '$');
    }
    length
}

/// Up to where a comment begins.
fn operator(text: &str) -> usize {
    let length = run(text, is_operator);
    let comment = ["--", "/*"].iter().filter_map(|start| text[..length].find(start)).min();
    comment.unwrap_or(length).max(1)
}

/// Comments nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            match rest.chars().next() {
                Some(c) => at += c.len_utf8(),
                None => return at,
            }
        }
    }
}

/// A doubled quote stands for itself.
fn quoted(text: &str, quote: char, has_escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if has_escapes && c == '\\' {
            characters.next();
        } else if c == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
}

fn dollar_quoted(text: &str) -> Option<usize> {
    let tag_end = text[1..].find('$')? + 2;
    let tag = &text[..tag_end];
    let name = &tag[1..tag_end - 1];
    if name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(|c| c.is_alphanumeric() || c == '_')
    {
        return None;
    }
    Some(text[tag_end..].find(tag).map_or(text.len(), |end| tag_end + end + tag_end))
}

/// The last name of a qualified one; numbers and texts are left alone.
fn unqualified(token: &str) -> &str {
    if token.starts_with(|c: char| c.is_ascii_digit() || c == '\'' || c == '.') || token.ends_with('"') {
        return token;
    }
    token.rsplit('.').next().unwrap_or(token)
}

#[cfg(test)]
mod tests;
