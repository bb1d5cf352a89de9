//! The tables of a statement, and what its parameters are compared with. Pure.

use crate::load::scan::{Kind, Token};

/// A column, as the statement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::load::capture) struct Name {
    /// The table or its alias.
    pub(in crate::load::capture) qualifier: Option<String>,
    pub(in crate::load::capture) column: String,
}

/// A table of the statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::load::capture) struct Table {
    /// As written, with its schema where it has one.
    pub(in crate::load::capture) name: String,
    /// What columns are qualified with.
    pub(in crate::load::capture) alias: String,
}

/// What a parameter is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::load::capture) enum Use {
    /// It is compared with a column, or is what a column is set to.
    Compared(Name),
    /// It is what a new row has in a column.
    Inserted(Name),
    Limit,
    Offset,
    Unknown,
}

/// Words that end a table's name instead of being its alias.
const CLAUSES: [&str; 28] = [
    "where",
    "join",
    "inner",
    "left",
    "right",
    "full",
    "cross",
    "natural",
    "on",
    "using",
    "group",
    "order",
    "having",
    "limit",
    "offset",
    "fetch",
    "for",
    "set",
    "values",
    "select",
    "union",
    "intersect",
    "except",
    "returning",
    "window",
    "tablesample",
    "default",
    "with",
];

/// The name that an identifier stands for: folded, unless it is quoted.
fn folded(token: &Token<'_>) -> Option<String> {
    match token.kind {
        Kind::Word => Some(token.text.to_lowercase()),
        Kind::Quoted => {
            let inner = token.text.strip_prefix('"')?.strip_suffix('"')?;
            Some(inner.replace("\"\"", "\""))
        }
        _ => None,
    }
}

/// What follows FROM, JOIN, UPDATE, INTO and USING, and is no function.
pub(in crate::load::capture) fn tables(tokens: &[Token<'_>]) -> Vec<Table> {
    let opens = |token: &Token<'_>| {
        ["from", "join", "update", "into", "using"].iter().any(|word| token.is_word(word))
    };
    let mut tables = Vec::new();
    for (index, word) in tokens.iter().enumerate().filter(|(_, token)| opens(token)) {
        let mut rest = &tokens[index + 1..];
        while let Some((table, after)) = table(rest) {
            // INSERT INTO has its columns there.
            if after.first().is_some_and(|token| token.is_symbol("(")) && !word.is_word("into") {
                break;
            }
            tables.push(table);
            rest = match after {
                [comma, after @ ..] if comma.is_symbol(",") => after,
                _ => break,
            };
        }
    }
    tables
}

fn table<'a, 'b>(tokens: &'a [Token<'b>]) -> Option<(Table, &'a [Token<'b>])> {
    let tokens = match tokens {
        [word, rest @ ..] if word.is_word("only") || word.is_word("lateral") => rest,
        _ => tokens,
    };
    let first = tokens.first()?;
    let last = folded(first)?;
    let (name, table, rest) = match tokens {
        [schema, dot, table, rest @ ..] if dot.is_symbol(".") => {
            (format!("{}.{}", schema.text, table.text), folded(table)?, rest)
        }
        _ => (first.text.to_owned(), last, &tokens[1..]),
    };
    let rest = if rest.first().is_some_and(|token| token.is_symbol("*")) { &rest[1..] } else { rest };
    match rest {
        [word, alias, rest @ ..] if word.is_word("as") => Some((Table { name, alias: folded(alias)? }, rest)),
        [alias, rest @ ..] if !CLAUSES.iter().any(|word| alias.is_word(word)) && folded(alias).is_some() => {
            Some((Table { name, alias: folded(alias)? }, rest))
        }
        _ => Some((Table { name, alias: table }, rest)),
    }
}

/// What `$number` is for; the first place that tells counts.
pub(in crate::load::capture) fn use_of(tokens: &[Token<'_>], number: usize) -> Use {
    let text = format!("${number}");
    let places =
        tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Placeholder && token.text == text);
    let uses = places.map(|(index, _)| at(&tokens[..index], &tokens[index + 1..]));
    uses.into_iter().find(|used| *used != Use::Unknown).unwrap_or(Use::Unknown)
}

fn at(before: &[Token<'_>], after: &[Token<'_>]) -> Use {
    let Some(last) = before.last() else {
        return Use::Unknown;
    };
    let head = &before[..before.len() - 1];
    if last.is_word("limit")
        || (last.is_word("first") || last.is_word("next")) && head.last().is_some_and(|t| t.is_word("fetch"))
    {
        return Use::Limit;
    }
    if last.is_word("offset") {
        return Use::Offset;
    }
    let name = compared_before(before)
        .or_else(|| list(before))
        .or_else(|| between(before))
        .or_else(|| compared_after(after));
    match (name, inserted(before, after)) {
        (Some(name), _) => Use::Compared(name),
        (None, Some(name)) => Use::Inserted(name),
        (None, None) => Use::Unknown,
    }
}

/// `column = $1`, `column LIKE $1`
fn compared_before(before: &[Token<'_>]) -> Option<Name> {
    let without = without_comparison(before)?;
    name_at_end(without)
}

/// `$1 = column`
fn compared_after(after: &[Token<'_>]) -> Option<Name> {
    let signs = after.iter().take_while(|token| is_comparison(token)).count();
    if signs == 0 {
        return None;
    }
    let rest = &after[signs..];
    let length = match rest {
        [_, dot, _, ..] if dot.is_symbol(".") => 3,
        [_, ..] => 1,
        [] => return None,
    };
    // A function of that name is no column.
    if rest.get(length).is_some_and(|token| token.is_symbol("(") || token.is_symbol(".")) {
        return None;
    }
    name_at_end(&rest[..length])
}

fn is_comparison(token: &Token<'_>) -> bool {
    ["=", "<", ">", "!"].iter().any(|sign| token.is_symbol(sign))
}

/// What is before a comparison at the end of `before`.
fn without_comparison<'a, 'b>(before: &'a [Token<'b>]) -> Option<&'a [Token<'b>]> {
    let signs = before.iter().rev().take_while(|token| is_comparison(token)).count();
    if signs > 0 {
        return Some(&before[..before.len() - signs]);
    }
    match before {
        [rest @ .., like] if like.is_word("like") || like.is_word("ilike") => Some(without_not(rest)),
        _ => None,
    }
}

fn without_not<'a, 'b>(tokens: &'a [Token<'b>]) -> &'a [Token<'b>] {
    match tokens {
        [rest @ .., not] if not.is_word("not") => rest,
        _ => tokens,
    }
}

/// `column IN ($1, $2, …)`, `column = ANY ($1)`
fn list(before: &[Token<'_>]) -> Option<Name> {
    let inside = |token: &&Token<'_>| token.kind == Kind::Placeholder || token.is_symbol(",");
    let length = before.iter().rev().take_while(inside).count();
    let head = &before[..before.len() - length];
    match head {
        [rest @ .., word, opening] if opening.is_symbol("(") && word.is_word("in") => {
            name_at_end(without_not(rest))
        }
        [rest @ .., word, opening]
            if opening.is_symbol("(") && (word.is_word("any") || word.is_word("all")) =>
        {
            name_at_end(without_comparison(rest)?)
        }
        _ => None,
    }
}

/// `column BETWEEN $1 AND $2`
fn between(before: &[Token<'_>]) -> Option<Name> {
    let rest = match before {
        [rest @ .., between] if between.is_word("between") => rest,
        [rest @ .., between, _, and] if between.is_word("between") && and.is_word("and") => rest,
        _ => return None,
    };
    name_at_end(without_not(rest))
}

/// The column that `tokens` end with: `a`, `t.a`, `t.a::text`.
fn name_at_end(tokens: &[Token<'_>]) -> Option<Name> {
    let tokens = match tokens {
        [rest @ .., cast, _] if cast.is_symbol("::") => rest,
        _ => tokens,
    };
    let column = folded(tokens.last()?)?;
    match &tokens[..tokens.len() - 1] {
        [.., qualifier, dot] if dot.is_symbol(".") => {
            Some(Name { qualifier: Some(folded(qualifier)?), column })
        }
        // What an operator has on its other side too is no bare column: `b + a = $1`.
        [.., operator]
            if ["+", "-", "*", "/", "%", "|", "&", "#", "::"].iter().any(|sign| operator.is_symbol(sign)) =>
        {
            None
        }
        _ => Some(Name { qualifier: None, column }),
    }
}

/// `INSERT INTO table (a, b) VALUES ($1, $2), ($3, $4)`
fn inserted(before: &[Token<'_>], after: &[Token<'_>]) -> Option<Name> {
    let is_alone = before.last().is_some_and(|token| token.is_symbol("(") || token.is_symbol(","))
        && after.first().is_some_and(|token| token.is_symbol(")") || token.is_symbol(","));
    let into = before.iter().position(|token| token.is_word("into"))?;
    let values = before
        .iter()
        .position(|token| token.is_word("values"))
        .filter(|values| *values > into && is_alone)?;
    // Which element of the row that is open it is.
    let (mut depth, mut element) = (0_usize, 0_usize);
    for token in &before[values + 1..] {
        if token.is_symbol("(") {
            depth += 1;
            element = if depth == 1 { 0 } else { element };
        } else if token.is_symbol(")") {
            depth = depth.checked_sub(1)?;
        } else if token.is_symbol(",") && depth == 1 {
            element += 1;
        }
    }
    let opening = before[into..values].iter().position(|token| token.is_symbol("("))? + into;
    let columns: Vec<_> =
        before[opening + 1..values].iter().filter(|token| folded(token).is_some()).collect();
    let column = folded(columns.get(element).filter(|_| depth == 1)?)?;
    Some(Name { qualifier: None, column })
}

#[cfg(test)]
mod tests;
