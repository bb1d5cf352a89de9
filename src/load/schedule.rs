//! What arrives when: Poisson arrivals at a rate, each with a statement and its parameters, from a seed.
//!
//! The schedule is fixed before anything is sent, and knows nothing of the server: arrivals that a slow server holds up
//! stay due when they were due. The same seed gives the same schedule. It is an iterator, so that an hour at 20,000
//! a second takes no memory. Pure: never looks at a clock.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{parameter::Value, zipf::Zipf};
use crate::api::{Parameter, Skew, Traffic};

/// Why a traffic model can't be turned into arrivals. Statements and parameters are counted from 1.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
pub enum TrafficError {
    /// No statements.
    #[error("the traffic model has no statements; give it at least one")]
    Empty,
    /// A weight below 1.
    #[error("statement {statement} of the traffic model has a weight below 1")]
    Weight {
        /// Which.
        statement: usize,
    },
    /// Neither or both of `int` and `choice`, an empty range, an empty list.
    #[error(
        "parameter {parameter} of statement {statement} of the traffic model gives no values: give exactly one of int, \
         with min not above max, and choice, with at least one value"
    )]
    Parameter {
        /// Of which statement.
        statement: usize,
        /// Which.
        parameter: usize,
    },
}

/// One statement to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arrival {
    /// When, from the start.
    pub(super) at: Duration,
    /// Which of the traffic's statements.
    pub(super) statement: usize,
    /// Its parameters.
    pub(super) parameters: Vec<Value>,
}

/// A traffic model, ready to draw from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mix {
    /// The sums of the weights up to each statement; not empty, increasing.
    cumulative: Vec<u64>,
    samplers: Vec<Vec<Sampler>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Sampler {
    Uniform { min: i64, max: i64 },
    Zipf { min: i64, ranks: Zipf },
    Choice(Vec<Arc<str>>),
}

impl Mix {
    pub(super) fn new(traffic: &Traffic) -> Result<Self, TrafficError> {
        let mut mix = Self { cumulative: Vec::new(), samplers: Vec::new() };
        let mut total = 0_u64;
        for (index, statement) in traffic.statements.iter().enumerate() {
            let statement_number = index + 1;
            let weight = u64::try_from(statement.weight).ok().filter(|weight| *weight > 0);
            total += weight.ok_or(TrafficError::Weight { statement: statement_number })?;
            mix.cumulative.push(total);
            let samplers = statement.params.iter().enumerate().map(|(index, parameter)| {
                let error = TrafficError::Parameter { statement: statement_number, parameter: index + 1 };
                Sampler::new(parameter).ok_or(error)
            });
            mix.samplers.push(samplers.collect::<Result<_, _>>()?);
        }
        if mix.cumulative.is_empty() { Err(TrafficError::Empty) } else { Ok(mix) }
    }

    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> (usize, Vec<Value>) {
        let total = self.cumulative.last().copied().unwrap_or(1);
        let point = rng.random_range(0..total);
        let statement = self.cumulative.partition_point(|sum| *sum <= point);
        let parameters = self.samplers[statement].iter().map(|sampler| sampler.draw(rng)).collect();
        (statement, parameters)
    }
}

impl Sampler {
    fn new(parameter: &Parameter) -> Option<Self> {
        match (&parameter.int, &parameter.choice) {
            (Some(int), None) if int.min <= int.max => Some(match int.skew {
                Skew::Uniform => Self::Uniform { min: int.min, max: int.max },
                // One rank too few for the range of all integers; it has no application.
                Skew::Zipf => {
                    Self::Zipf { min: int.min, ranks: Zipf::new(int.max.abs_diff(int.min).saturating_add(1)) }
                }
            }),
            (None, Some(choice)) if !choice.values.is_empty() => {
                Some(Self::Choice(choice.values.iter().map(|value| Arc::from(value.as_str())).collect()))
            }
            _ => None,
        }
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Value {
        match self {
            Self::Uniform { min, max } => Value::Int(rng.random_range(*min..=*max)),
            // A rank is at most max - min + 1, so this never passes max.
            Self::Zipf { min, ranks } => Value::Int(min.saturating_add_unsigned(ranks.sample(rng) - 1)),
            Self::Choice(values) => Value::Text(values[rng.random_range(0..values.len())].clone()),
        }
    }
}

/// The arrivals, in order.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    mix: Arc<Mix>,
    rng: ChaCha8Rng,
    rate: f64,
    length: Duration,
    at_seconds: f64,
}

impl Schedule {
    /// `rate` is in arrivals per second.
    pub(super) fn new(mix: Arc<Mix>, rate: u32, length: Duration, seed: u64) -> Self {
        Self {
            mix,
            rng: ChaCha8Rng::seed_from_u64(seed),
            rate: f64::from(rate.max(1)),
            length,
            at_seconds: 0.0,
        }
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        // The gaps of a Poisson process are exponential; 1 - u is above zero, so the logarithm is finite.
        let u: f64 = self.rng.random();
        self.at_seconds -= (1.0 - u).ln() / self.rate;
        let at = Duration::try_from_secs_f64(self.at_seconds).ok().filter(|at| *at < self.length)?;
        let (statement, parameters) = self.mix.draw(&mut self.rng);
        Some(Arrival { at, statement, parameters })
    }
}

#[cfg(test)]
mod tests;
