//! The statements that are compared, and the values they are planned with.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    digest,
    lexer::{Lexed, lex},
};
use crate::{
    api::{Access, Parameter, Traffic},
    load::{self, Value},
};

/// Longest text of a statement that is shown.
const MAX_LABEL: usize = 60;
/// Sets of values that a statement of a traffic model is planned with.
const SAMPLES: usize = 3;
/// The first words of statements that are planned at all.
const PLANNED: [&str; 7] = ["select", "insert", "update", "delete", "merge", "with", "values"];

/// A statement.
pub(super) struct Statement {
    /// What findings call it.
    pub(super) object: String,
    pub(super) sql: String,
    pub(super) lexed: Lexed,
    /// Values of its parameters; one empty set if it has none.
    pub(super) samples: Vec<Vec<Value>>,
    /// Whether its author lets it be carried out.
    pub(super) may_run: bool,
}

impl Statement {
    /// Its text, without literals and clipped.
    pub(super) fn label(&self) -> String {
        label(&self.lexed)
    }

    /// Of a traffic model.
    fn of_model(object: String, sql: &str, params: &[Parameter], access: Access) -> Self {
        let lexed = lex(sql);
        // Keys that a load samples are not known here.
        let is_known = params.iter().all(|parameter| parameter.sample.is_none());
        let samples: Vec<Vec<Value>> = if !is_known || params.is_empty() && lexed.has_parameters {
            Vec::new()
        } else {
            let mut seen = BTreeSet::new();
            (0..SAMPLES)
                .map(|sample| sample_of(params, sample))
                .filter(|(marks, _)| seen.insert(marks.clone()))
                .map(|(_, values)| values)
                .collect()
        };
        Self { object, sql: sql.to_owned(), lexed, samples, may_run: access == Access::ReadOnly }
    }

    /// Of `pg_stat_statements`, which has no values.
    pub(super) fn of_statistics(sql: String) -> Self {
        let lexed = lex(&sql);
        let samples = if lexed.has_parameters { Vec::new() } else { vec![Vec::new()] };
        Self { object: object(&lexed), sql, lexed, samples, may_run: false }
    }

    /// Whether there is anything to plan about it.
    pub(super) fn is_planned(&self) -> bool {
        PLANNED.contains(&self.lexed.first.as_str())
    }
}

fn label(lexed: &Lexed) -> String {
    lexed.masked.chars().take(MAX_LABEL).collect()
}

/// The label; a clipped one with what tells it from others that begin alike, and is the same at the next check.
fn object(lexed: &Lexed) -> String {
    let label = label(lexed);
    if label.len() == lexed.masked.len() { label } else { format!("{label}… #{}", digest(&lexed.masked)) }
}

/// Statements are counted from 1; the parts of a transaction and of a script behind a dot.
pub(super) fn of_traffic(traffic: &Traffic) -> Vec<Statement> {
    let mut statements = Vec::new();
    for (index, class) in traffic.statements.iter().enumerate() {
        let access = class.access.unwrap_or(traffic.access);
        let object = format!("{}/{}", traffic.name, index + 1);
        let parts = class.transaction.iter().zip(1..).map(|(part, number)| {
            Statement::of_model(format!("{object}.{number}"), &part.sql, &part.params, access)
        });
        statements.extend(parts);
        let sql = class.sql.iter();
        statements.extend(sql.map(|sql| Statement::of_model(object.clone(), sql, &class.params, access)));
    }
    for script in &traffic.scripts {
        let access = script.access.unwrap_or(traffic.access);
        let texts = load::statements_of(script).into_iter().zip(1..);
        statements.extend(texts.map(|(sql, number)| {
            Statement::of_model(format!("{}/{}.{number}", traffic.name, script.name), &sql, &[], access)
        }));
    }
    statements
}

/// Values from the beginning, the middle and the end of what the model draws from; a skewed one is drawn from the
/// beginning most of the time. The numbers tell the sets apart.
fn sample_of(parameters: &[Parameter], sample: usize) -> (Vec<i64>, Vec<Value>) {
    parameters.iter().map(|parameter| value_of(parameter, sample)).unzip()
}

fn value_of(parameter: &Parameter, sample: usize) -> (i64, Value) {
    if let Some(int) = &parameter.int {
        let value = match sample {
            0 => int.min,
            1 => int.min.midpoint(int.max),
            _ => int.max,
        };
        return (value, Value::Int(value));
    }
    if let Some(sequence) = &parameter.sequence {
        let steps = i64::try_from(sample).unwrap_or(0);
        let value = sequence.start.saturating_add(sequence.step.saturating_mul(steps));
        return (value, Value::Int(value));
    }
    let values = parameter.choice.as_ref().map_or(&[][..], |choice| choice.values.as_slice());
    let index = match sample {
        0 => 0,
        1 => values.len() / 2,
        _ => values.len().saturating_sub(1),
    };
    let text = values.get(index).map_or("", String::as_str);
    (i64::try_from(index).unwrap_or(0), Value::Text(Arc::from(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ChoiceParameter, IntegerParameter, Script, Skew, TransactionStatement};

    fn model(params: Vec<Parameter>) -> Traffic {
        let sql = "SELECT 1 FROM t WHERE a = $1 AND b = $2".to_owned();
        let statement = crate::api::Statement { sql: Some(sql), weight: 1, params, ..Default::default() };
        let (name, statements) = ("m".to_owned(), vec![statement]);
        Traffic { name, access: Access::ReadOnly, statements, scripts: vec![] }
    }

    #[test]
    fn samples_are_the_ends_and_the_middle_and_no_set_comes_twice() {
        let int = |min, max| Parameter {
            int: Some(IntegerParameter { min, max, skew: Skew::Zipf }),
            ..Parameter::default()
        };
        let values = ["x", "y"].map(str::to_owned).to_vec();
        let choice = Parameter { choice: Some(ChoiceParameter { values }), ..Parameter::default() };
        let statements = of_traffic(&model(vec![int(1, 9), choice]));
        let text = |text: &str| Value::Text(text.into());
        let expected = [[Value::Int(1), text("x")], [Value::Int(5), text("y")], [Value::Int(9), text("y")]];
        assert_eq!(statements[0].samples, expected.map(Vec::from));
        assert_eq!(of_traffic(&model(vec![int(3, 3)]))[0].samples, [vec![Value::Int(3)]]);
        assert_eq!(statements[0].object, "m/1");
    }

    #[test]
    fn a_statement_without_values_is_planned_for_any() {
        assert!(of_traffic(&model(vec![]))[0].samples.is_empty());
        assert!(Statement::of_statistics("SELECT $1".to_owned()).samples.is_empty());
        assert_eq!(Statement::of_statistics("SELECT 1".to_owned()).samples, [vec![]]);
        assert!(!Statement::of_statistics("BEGIN".to_owned()).is_planned());
    }

    #[test]
    fn long_statements_that_begin_alike_are_told_apart() {
        let select = |column: &str| {
            let columns = "a, ".repeat(MAX_LABEL);
            Statement::of_statistics(format!("SELECT {columns}{column} FROM t")).object
        };
        assert!(select("b").starts_with("SELECT a, a, "));
        assert_eq!(select("b"), select("b"));
        assert_ne!(select("b"), select("c"));
        assert_eq!(Statement::of_statistics("SELECT 1".to_owned()).object, "SELECT ?");
    }

    #[test]
    fn every_statement_of_a_transaction_and_of_a_script_is_planned_by_itself() {
        let part = |sql: &str| TransactionStatement { sql: sql.to_owned(), params: vec![] };
        let transaction = vec![part("SELECT 1"), part("UPDATE t SET a = 1")];
        let script = "\\set x 1\nBEGIN;\nSELECT :x;\nUPDATE t SET a = :x;\nEND;";
        let mut traffic = model(vec![]);
        traffic.access = Access::ReadWrite;
        traffic.statements[0] = crate::api::Statement { transaction, weight: 1, ..Default::default() };
        traffic.scripts = vec![Script {
            name: "s".to_owned(),
            access: Some(Access::ReadOnly),
            weight: 1,
            script: script.to_owned(),
            scale: 1,
        }];
        let seen = of_traffic(&traffic);
        let shown: Vec<_> = seen.iter().map(|s| (s.object.as_str(), s.sql.as_str(), s.may_run)).collect();
        assert_eq!(
            shown,
            [
                ("m/1.1", "SELECT 1", false),
                ("m/1.2", "UPDATE t SET a = 1", false),
                ("m/s.1", "SELECT $1", true),
                ("m/s.2", "UPDATE t SET a = $1", true),
            ]
        );
        assert!(seen[2].samples.is_empty());
    }
}
