//! What an expression amounts to.
//!
//! Decides as pgbench does: whole numbers stay whole, and overflow is an error; one floating-point number makes the
//! result one; `int` rounds to the nearest.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::expression::{Expression, Function};
use crate::load::{
    distribution::{exponential, gaussian},
    parameter::Value,
    zipf::Zipf,
};

/// Why an expression amounts to nothing. What is counted of an arrival; shows no value.
#[derive(thiserror::Error, Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::load) enum Trouble {
    #[error("division by zero")]
    DivisionByZero,
    #[error("a number out of range")]
    OutOfRange,
    #[error("random from an empty range")]
    EmptyRange,
    #[error("a parameter of a random function out of range")]
    RandomParameter,
    #[error("a variable that is not a number")]
    NotANumber,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        match number {
            Number::Int(number) => Self::Int(number),
            Number::Double(number) => Self::Double(number),
        }
    }
}

/// What `expression` amounts to, the variables being what they are.
pub(super) fn evaluate(
    expression: &Expression,
    variables: &[Value],
    rng: &mut ChaCha8Rng,
) -> Result<Number, Trouble> {
    match expression {
        Expression::Int(number) => Ok(Number::Int(*number)),
        Expression::Double(number) => Ok(Number::Double(*number)),
        Expression::Variable(slot) => number(variables.get(*slot).unwrap_or(&Value::Null)),
        Expression::Call(function, arguments) => {
            let numbers: Result<Vec<_>, _> =
                arguments.iter().map(|argument| evaluate(argument, variables, rng)).collect();
            call(*function, &numbers?, rng)
        }
    }
}

fn number(value: &Value) -> Result<Number, Trouble> {
    match value {
        Value::Int(number) => Ok(Number::Int(*number)),
        Value::Double(number) => Ok(Number::Double(*number)),
        Value::Text(text) => (text.parse().map(Number::Int))
            .or_else(|_| text.parse().map(Number::Double))
            .map_err(|_| Trouble::NotANumber),
        Value::Null => Err(Trouble::NotANumber),
    }
}

fn call(function: Function, numbers: &[Number], rng: &mut ChaCha8Rng) -> Result<Number, Trouble> {
    use Number::{Double, Int};
    match (function, numbers) {
        (Function::Pi, _) => Ok(Double(std::f64::consts::PI)),
        (Function::Negate, [Int(a)]) => a.checked_neg().map(Int).ok_or(Trouble::OutOfRange),
        (Function::Negate, [a]) => Ok(Double(-double(*a))),
        (Function::Abs, [Int(a)]) => a.checked_abs().map(Int).ok_or(Trouble::OutOfRange),
        (Function::Abs, [a]) => Ok(Double(double(*a).abs())),
        (Function::Double, [a]) => Ok(Double(double(*a))),
        (Function::Int, [a]) => int(*a).map(Int),
        (Function::Exp, [a]) => Ok(Double(double(*a).exp())),
        (Function::Ln, [a]) => Ok(Double(double(*a).ln())),
        (Function::Sqrt, [a]) => Ok(Double(double(*a).sqrt())),
        (Function::Power, [a, b]) => Ok(Double(double(*a).powf(double(*b)))),
        (Function::Modulo, [a, b]) => modulo(int(*a)?, int(*b)?),
        (Function::Greatest, _) => extreme(numbers, i64::max, f64::max),
        (Function::Least, _) => extreme(numbers, i64::min, f64::min),
        (
            Function::Random
            | Function::RandomExponential
            | Function::RandomGaussian
            | Function::RandomZipfian,
            _,
        ) => random(function, numbers, rng),
        (_, [Int(a), Int(b)]) => whole(function, *a, *b),
        (_, [a, b]) => Ok(Double(floating(function, double(*a), double(*b)))),
        // The parser counts the arguments.
        _ => Err(Trouble::OutOfRange),
    }
}

fn whole(function: Function, a: i64, b: i64) -> Result<Number, Trouble> {
    let result = match function {
        Function::Add => a.checked_add(b),
        Function::Subtract => a.checked_sub(b),
        Function::Multiply => a.checked_mul(b),
        _ if b == 0 => return Err(Trouble::DivisionByZero),
        _ => a.checked_div(b),
    };
    result.map(Number::Int).ok_or(Trouble::OutOfRange)
}

fn floating(function: Function, a: f64, b: f64) -> f64 {
    match function {
        Function::Add => a + b,
        Function::Subtract => a - b,
        Function::Multiply => a * b,
        _ => a / b,
    }
}

fn modulo(a: i64, b: i64) -> Result<Number, Trouble> {
    if b == 0 { Err(Trouble::DivisionByZero) } else { Ok(Number::Int(a.wrapping_rem(b))) }
}

fn extreme(
    numbers: &[Number],
    of_ints: fn(i64, i64) -> i64,
    of_doubles: fn(f64, f64) -> f64,
) -> Result<Number, Trouble> {
    let ints: Option<Vec<_>> = numbers
        .iter()
        .map(|number| match number {
            Number::Int(int) => Some(*int),
            Number::Double(_) => None,
        })
        .collect();
    let result = match ints {
        Some(ints) => ints.into_iter().reduce(of_ints).map(Number::Int),
        None => numbers.iter().map(|number| double(*number)).reduce(of_doubles).map(Number::Double),
    };
    result.ok_or(Trouble::OutOfRange)
}

fn random(function: Function, numbers: &[Number], rng: &mut ChaCha8Rng) -> Result<Number, Trouble> {
    let [min, max, rest @ ..] = numbers else {
        return Err(Trouble::OutOfRange);
    };
    let (min, max) = (int(*min)?, int(*max)?);
    if min > max {
        return Err(Trouble::EmptyRange);
    }
    let parameter = rest.first().map_or(0.0, |parameter| double(*parameter));
    let drawn = match function {
        // The bounds are pgbench's own.
        Function::RandomGaussian if parameter >= 2.0 => gaussian(rng, min, max, parameter),
        Function::RandomExponential if parameter > 0.0 => exponential(rng, min, max, parameter),
        Function::RandomZipfian if (1.001..=1000.0).contains(&parameter) => {
            let ranks = Zipf::new(max.abs_diff(min).saturating_add(1), parameter);
            min.saturating_add_unsigned(ranks.sample(rng) - 1)
        }
        Function::Random => rng.random_range(min..=max),
        _ => return Err(Trouble::RandomParameter),
    };
    Ok(Number::Int(drawn))
}

#[allow(clippy::cast_precision_loss, reason = "as pgbench does")]
fn double(number: Number) -> f64 {
    match number {
        Number::Int(number) => number as f64,
        Number::Double(number) => number,
    }
}

#[allow(clippy::cast_possible_truncation, reason = "what does not fit is refused before")]
fn int(number: Number) -> Result<i64, Trouble> {
    match number {
        Number::Int(number) => Ok(number),
        // 2^63 is the first that does not fit; NaN is in no range.
        Number::Double(number) => Some(number.round_ties_even())
            .filter(|number| (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(number))
            .map(|number| number as i64)
            .ok_or(Trouble::OutOfRange),
    }
}
