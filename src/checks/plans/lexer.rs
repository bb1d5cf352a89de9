//! The words of a statement, and a form of it that may be shown.
//!
//! Decides no more than where literals, names and comments begin and end. Never understands a statement: what it can't
//! tell for sure (`is_certain`) must be taken for the worst.

use std::{collections::BTreeSet, iter::Peekable, str::Chars};

/// What a statement's text is made of.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    /// Its names and key words, as PostgreSQL folds them.
    pub(super) words: BTreeSet<String>,
    /// The first word.
    pub(super) first: String,
    /// On one line, with `?` for literals and without comments.
    pub(super) masked: String,
    /// Whether it has a parameter.
    pub(super) has_parameters: bool,
    /// Whether no literal or name depends on a setting or an escape.
    pub(super) is_certain: bool,
}

pub(super) fn lex(sql: &str) -> Lexed {
    let mut lexer =
        Lexer { rest: sql.chars().peekable(), lexed: Lexed { is_certain: true, ..Lexed::default() } };
    while let Some(first) = lexer.rest.next() {
        lexer.token(first);
    }
    lexer.lexed.masked = lexer.lexed.masked.trim().to_owned();
    lexer.lexed
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    lexed: Lexed,
}

impl Lexer<'_> {
    fn token(&mut self, first: char) {
        match first {
            '\'' => self.string(false),
            '"' => self.quoted_name(),
            '$' => self.dollar(),
            // Either sign ends the line for the server.
            '-' if self.rest.peek() == Some(&'-') => {
                while self.rest.next().is_some_and(|c| !matches!(c, '\n' | '\r')) {}
                self.space();
            }
            '/' if self.rest.peek() == Some(&'*') => self.comment(),
            '0'..='9' => self.number(),
            _ if is_word_start(first) => self.word(first),
            _ if first.is_whitespace() || first.is_control() => self.space(),
            _ => self.lexed.masked.push(first),
        }
    }

    fn space(&mut self) {
        if !self.lexed.masked.ends_with(' ') {
            self.lexed.masked.push(' ');
        }
    }

    fn string(&mut self, has_escapes: bool) {
        self.lexed.masked.push('?');
        while let Some(c) = self.rest.next() {
            match c {
                '\\' if has_escapes => drop(self.rest.next()),
                // What it means depends on standard_conforming_strings.
                '\\' => self.lexed.is_certain = false,
                '\'' if self.rest.peek() == Some(&'\'') => drop(self.rest.next()),
                '\'' => return,
                _ => {}
            }
        }
    }

    fn quoted_name(&mut self) {
        let mut name = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                '"' if self.rest.peek() == Some(&'"') => {
                    self.rest.next();
                    name.push('"');
                }
                '"' => break,
                _ => name.push(c),
            }
        }
        let shown: String = name.chars().filter(|c| !c.is_control()).collect();
        self.lexed.masked.push('"');
        self.lexed.masked.push_str(&shown);
        self.lexed.masked.push('"');
        self.lexed.words.insert(name);
    }

    /// `$1`, or `$tag$…$tag$`.
    fn dollar(&mut self) {
        let mut tag = String::from("$");
        while let Some(c) = self.rest.next_if(|c| is_word_part(*c) && *c != '$') {
            tag.push(c);
        }
        if tag[1..].starts_with(|c: char| c.is_ascii_digit()) || self.rest.peek() != Some(&'$') {
            self.lexed.has_parameters = true;
            self.lexed.masked.extend(tag.chars().filter(|c| !c.is_control()));
            return;
        }
        self.rest.next();
        tag.push('$');
        self.lexed.masked.push('?');
        let mut body = String::new();
        for c in self.rest.by_ref() {
            body.push(c);
            if body.ends_with(&tag) {
                return;
            }
        }
    }

    /// Comments nest.
    fn comment(&mut self) {
        let mut depth = 0_usize;
        let mut last = '/';
        for c in self.rest.by_ref() {
            match (last, c) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    last = c;
                    continue;
                }
            }
            if depth == 0 {
                break;
            }
            // Neither sign counts twice.
            last = ' ';
        }
        self.space();
    }

    fn number(&mut self) {
        while self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '.' || *c == '_').is_some() {}
        self.lexed.masked.push('?');
    }

    fn word(&mut self, first: char) {
        let mut word = String::from(first);
        while let Some(c) = self.rest.next_if(|c| is_word_part(*c)) {
            word.push(c);
        }
        match (word.to_ascii_lowercase().as_str(), self.rest.peek()) {
            ("e", Some('\'')) => {
                self.rest.next();
                return self.string(true);
            }
            // U&'…' and U&"…" have escapes of their own.
            ("u", Some('&')) => self.lexed.is_certain = false,
            _ => {}
        }
        self.lexed.masked.extend(word.chars().filter(|c| !c.is_control()));
        let word = word.to_ascii_lowercase();
        if self.lexed.first.is_empty() {
            self.lexed.first.clone_from(&word);
        }
        // The server folds letters beyond ASCII in some encodings only.
        self.lexed.is_certain &= word.is_ascii();
        self.lexed.words.insert(word);
    }
}

fn is_word_start(c: char) -> bool {
    // For the server a space beyond ASCII is a letter, too.
    c == '_' || c.is_ascii_alphabetic() || !c.is_ascii()
}

fn is_word_part(c: char) -> bool {
    is_word_start(c) || c.is_ascii_digit() || c == '$'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn literals_and_comments_are_masked() {
        for (sql, masked) in [
            (
                "SELECT  a\n FROM t WHERE b = 'it''s me' AND c = 12.5e3",
                "SELECT a FROM t WHERE b = ? AND c = ?",
            ),
            ("select $1, $tag$ secret $ $tag$, $$x$$", "select $1, ?, ?"),
            ("select E'a\\'b', t1.c -- secret\n from /* a /* b */ secret */ t1", "select ?, t1.c from t1"),
            ("select \"Odd \"\"name\"", "select \"Odd \"name\""),
            ("select 'open", "select ?"),
        ] {
            assert_eq!(lex(sql).masked, masked, "{sql}");
        }
    }

    #[test]
    fn words_are_names_and_key_words_and_not_what_is_quoted() {
        let lexed = lex("SELECT Now(), \"Mixed\", 'nextval' FROM a.b -- setval\n");
        let words: Vec<&str> = lexed.words.iter().map(String::as_str).collect();
        assert_eq!(words, ["Mixed", "a", "b", "from", "now", "select"]);
        assert_eq!((lexed.first.as_str(), lexed.has_parameters, lexed.is_certain), ("select", false, true));
        assert!(lex("SELECT $1").has_parameters);
    }

    #[test]
    fn a_comment_ends_with_its_line_whichever_sign_ends_that() {
        for end in ["\n", "\r", "\r\n"] {
            let lexed = lex(&format!("select 1 -- one{end}, now()"));
            assert!(lexed.words.contains("now") && !lexed.words.contains("one"), "{end:?}");
            assert_eq!(lexed.masked, "select ? , now()", "{end:?}");
        }
    }

    #[test]
    fn a_space_beyond_ascii_is_part_of_a_name_as_it_is_for_the_server() {
        for space in ['\u{a0}', '\u{2028}', '\u{85}'] {
            let lexed = lex(&format!("select f{space}()"));
            assert!(!lexed.is_certain && !lexed.words.contains("f"), "{space:?}");
        }
    }

    #[test]
    fn what_depends_on_settings_or_escapes_is_not_certain() {
        for sql in ["select 'a\\'", "select U&\"x\"", "select U&'x'", "select ÄRGER()"] {
            assert!(!lex(sql).is_certain, "{sql}");
        }
        assert!(lex("select E'\\''").is_certain);
    }

    proptest! {
        #[test]
        fn any_text_has_an_end(sql in ".*") {
            let lexed = lex(&sql);
            prop_assert!(!lexed.masked.chars().any(char::is_control));
        }
    }
}
