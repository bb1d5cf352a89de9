//! Values of parameters, and how they are sent.
//!
//! They go out in PostgreSQL's text form, so that `42` serves a parameter of any integer type, of `numeric`, of `text`,
//! whatever the statement makes of it: what the server can't read is the server's error, counted like any other.
//! `Debug` shows no value: the driver logs parameters at its debug level.

use std::{
    error::Error,
    fmt::{self, Write as _},
    sync::Arc,
};

use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_util::bytes::BytesMut;

/// A parameter's value.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// What a script read from a column that was null.
    Null,
    /// A whole number.
    Int(i64),
    /// A number that a script computed.
    Double(f64),
    /// A text of the spec's list, a key of a table, or what a script read.
    Text(Arc<str>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parameter")
    }
}

/// A value in PostgreSQL's text form.
pub(super) struct Text<'a>(&'a Value);

impl Value {
    /// `None` for null.
    pub(super) fn text(&self) -> Option<Text<'_>> {
        (*self != Self::Null).then_some(Text(self))
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => Ok(()),
            Value::Int(number) => number.fmt(f),
            Value::Double(number) => number.fmt(f),
            Value::Text(text) => f.write_str(text),
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(text) = self.text() else { return Ok(IsNull::Yes) };
        write!(out, "{text}")?;
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sent_as_text_and_never_shown() {
        for (value, text) in [
            (Value::Int(-42), "-42"),
            (Value::Double(-0.5), "-0.5"),
            (Value::Double(2.0), "2"),
            (Value::Text("a b".into()), "a b"),
        ] {
            let mut out = BytesMut::new();
            value.to_sql(&Type::INT4, &mut out).unwrap();
            assert_eq!(&out[..], text.as_bytes());
            assert_eq!(format!("{value:?}"), "parameter");
        }
        assert!(matches!(Value::Null.to_sql(&Type::INT4, &mut BytesMut::new()), Ok(IsNull::Yes)));
    }
}
