//! Where the values of a captured parameter come from.
//!
//! Decides by the column that it is compared with, and where that is not known by its type; then it is a guess, and the
//! model says so beside it. Pure.

use tokio_postgres::types::{Kind, Type};

use super::columns::{Column, Use, Values};
use crate::api::{ChoiceParameter, IntegerParameter, Parameter, SampleParameter, Skew};

/// How many rows a captured sample reads.
const SAMPLE: i32 = 1000;
/// Most values of a captured choice.
const MAX_VALUES: usize = 100;
/// Longest value of a choice, in bytes, as the API has it.
const MAX_VALUE: usize = 1024;

/// Said beside what a new row has in a column that is unique.
const UNIQUE: &str =
    "; unique, and a value that is there already will not go in: write a sequence of new ones";

/// A parameter, and what the file says beside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drawn {
    pub(super) parameter: Parameter,
    pub(super) note: String,
}

/// `None` where no value is known.
pub(super) fn parameter(kind: &Type, used: &Use, column: Option<&Column>) -> Option<Drawn> {
    let is_array = matches!(kind.kind(), Kind::Array(_));
    if let Some(column) = column.filter(|column| column.can_be_sampled && !is_array) {
        return Some(of_column(used, column));
    }
    let (parameter, note) = match used {
        Use::Limit => (int(1, 100), "how many rows are asked for".to_owned()),
        Use::Offset => (int(0, 100), "how many rows are passed over".to_owned()),
        _ => {
            let known = kind.name();
            (by_type(kind)?, format!("only its type is known, {known}; write what the application asks for"))
        }
    };
    Some(Drawn { parameter, note: format!("a guess: {note}") })
}

fn of_column(used: &Use, column: &Column) -> Drawn {
    let name = format!("{}.{}", column.table, column.name);
    let (parameter, note) = match &column.values {
        Some(Values::Range { min, max, is_skewed }) => {
            let skew = if *is_skewed { Skew::Zipf } else { Skew::Uniform };
            let int = IntegerParameter { min: *min, max: *max, skew };
            (Parameter { int: Some(int), ..Parameter::default() }, format!("{name}, from its statistics"))
        }
        Some(Values::Common(values)) if values.iter().all(|value| value.len() <= MAX_VALUE) => {
            let values = values.iter().take(MAX_VALUES).cloned().collect();
            (choice(values), format!("{name}, its most common values"))
        }
        _ => {
            let (table, column) = (column.table.clone(), column.name.clone());
            let sample = SampleParameter { table, column, count: SAMPLE };
            (Parameter { sample: Some(sample), ..Parameter::default() }, name)
        }
    };
    let is_new = matches!(used, Use::Inserted(_)) && column.is_unique;
    let warning = if is_new { UNIQUE } else { "" };
    Drawn { parameter, note: format!("{note}{warning}") }
}

fn int(min: i64, max: i64) -> Parameter {
    Parameter { int: Some(IntegerParameter { min, max, skew: Skew::Uniform }), ..Parameter::default() }
}

fn choice(values: Vec<String>) -> Parameter {
    Parameter { choice: Some(ChoiceParameter { values }), ..Parameter::default() }
}

fn by_type(kind: &Type) -> Option<Parameter> {
    match kind.kind() {
        Kind::Array(_) => return Some(choice(vec!["{}".to_owned()])),
        Kind::Domain(inner) => return by_type(inner),
        // Their names are part of the schema.
        Kind::Enum(labels) if !labels.is_empty() => {
            return Some(choice(labels.iter().take(MAX_VALUES).cloned().collect()));
        }
        _ => {}
    }
    let values: &[&str] = match kind.name() {
        "int2" | "int4" | "int8" | "oid" | "numeric" | "float4" | "float8" => return Some(int(1, 1000)),
        "bool" => &["t", "f"],
        "text" | "varchar" | "bpchar" | "name" | "citext" => &["example"],
        "uuid" => &["00000000-0000-0000-0000-000000000000"],
        "date" | "timestamp" | "timestamptz" => &["2026-01-01"],
        "time" | "timetz" => &["12:00"],
        "interval" => &["1 day"],
        "json" | "jsonb" => &["{}"],
        "bytea" => &["\\x"],
        "inet" | "cidr" => &["127.0.0.1"],
        _ => return None,
    };
    Some(choice(values.iter().map(|value| (*value).to_owned()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::capture::columns::Name;

    fn column(is_unique: bool, values: Option<Values>) -> Column {
        let (table, name) = ("public.t".to_owned(), "id".to_owned());
        Column { table, name, can_be_sampled: true, is_unique, values }
    }

    fn inserted() -> Use {
        Use::Inserted(Name { qualifier: None, column: "id".to_owned() })
    }

    #[test]
    fn what_goes_into_a_unique_column_is_warned_of() {
        let note = |used: &Use, is_unique| {
            parameter(&Type::INT8, used, Some(&column(is_unique, None))).unwrap().note
        };
        assert_eq!(note(&inserted(), false), "public.t.id");
        assert!(note(&inserted(), true).contains("write a sequence of new ones"));
        assert_eq!(note(&Use::Unknown, true), "public.t.id");
    }

    #[test]
    fn without_a_column_that_can_be_sampled_it_is_a_guess_by_type_or_nothing() {
        let view = Column { can_be_sampled: false, ..column(false, None) };
        for (kind, is_known) in [
            (Type::INT4, true),
            (Type::TIMESTAMPTZ, true),
            (Type::TEXT_ARRAY, true),
            (Type::POINT, false),
            (Type::TS_VECTOR, false),
        ] {
            for column in [None, Some(&view)] {
                let drawn = parameter(&kind, &Use::Unknown, column);
                assert_eq!(drawn.is_some(), is_known, "{kind}");
                assert!(drawn.is_none_or(|drawn| drawn.note.starts_with("a guess: ")), "{kind}");
            }
        }
        // An array is compared with the column, and no value of the column is one.
        let any = parameter(&Type::INT8_ARRAY, &Use::Unknown, Some(&column(true, None))).unwrap();
        assert!(any.parameter.choice.is_some());
    }

    #[test]
    fn values_too_long_for_the_model_are_sampled_after_all() {
        let long = Some(Values::Common(vec!["x".repeat(1025)]));
        let drawn = parameter(&Type::TEXT, &Use::Unknown, Some(&column(false, long))).unwrap();
        assert!(drawn.parameter.sample.is_some());
    }
}
