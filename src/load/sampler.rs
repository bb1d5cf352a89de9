//! Where the parameters of a statement come from, ready to draw from. Pure.

use std::{fmt, sync::Arc};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{distribution, parameter::Value, zipf::Zipf};
use crate::api::{Parameter, SampleParameter, Skew};

/// Of `Skew::Gaussian`: how many standard deviations the ends of the range are from its middle.
const GAUSSIAN: f64 = 2.5;
/// Most rows that one sample reads.
const MAX_COUNT: i32 = 10_000;

/// The values that were sampled from tables, by sample. `Debug` shows none.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Keys(pub(super) Vec<Vec<Arc<str>>>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self.0.iter().map(Vec::len).collect();
        write!(f, "keys {counts:?}")
    }
}

/// A source of values.
#[derive(Clone, PartialEq)]
pub(super) enum Sampler {
    Uniform {
        min: i64,
        max: i64,
    },
    Zipf {
        min: i64,
        ranks: Zipf,
    },
    Gaussian {
        min: i64,
        max: i64,
    },
    Sequence {
        start: i64,
        step: i64,
    },
    Choice(Vec<Arc<str>>),
    /// The number of a sample.
    Sample(usize),
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sampler")
    }
}

impl Sampler {
    /// `sample` gives the number of a sample. `None` for what gives no values.
    pub(super) fn new(parameter: &Parameter, sample: impl FnOnce(&SampleParameter) -> usize) -> Option<Self> {
        match (&parameter.int, &parameter.sequence, &parameter.choice, &parameter.sample) {
            (Some(int), None, None, None) if int.min <= int.max => Some(match int.skew {
                Skew::Uniform => Self::Uniform { min: int.min, max: int.max },
                Skew::Gaussian => Self::Gaussian { min: int.min, max: int.max },
                // One rank too few for the range of all integers; it has no application.
                Skew::Zipf => {
                    let ranks = int.max.abs_diff(int.min).saturating_add(1);
                    Self::Zipf { min: int.min, ranks: Zipf::new(ranks, 1.0) }
                }
            }),
            (None, Some(sequence), None, None) => {
                Some(Self::Sequence { start: sequence.start, step: sequence.step })
            }
            (None, None, Some(choice), None) if !choice.values.is_empty() => {
                Some(Self::Choice(choice.values.iter().map(|value| Arc::from(value.as_str())).collect()))
            }
            (None, None, None, Some(from)) if (1..=MAX_COUNT).contains(&from.count) => {
                Some(Self::Sample(sample(from)))
            }
            _ => None,
        }
    }

    /// `arrival` counts the arrivals of the class, from 0.
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng, arrival: i64, keys: &Keys) -> Value {
        match self {
            Self::Uniform { min, max } => Value::Int(rng.random_range(*min..=*max)),
            // A rank is at most max - min + 1, so this never passes max.
            Self::Zipf { min, ranks } => Value::Int(min.saturating_add_unsigned(ranks.sample(rng) - 1)),
            Self::Gaussian { min, max } => Value::Int(distribution::gaussian(rng, *min, *max, GAUSSIAN)),
            Self::Sequence { start, step } => Value::Int(start.saturating_add(step.saturating_mul(arrival))),
            Self::Choice(values) => pick(values, rng),
            Self::Sample(number) => keys.0.get(*number).map_or(Value::Null, |values| pick(values, rng)),
        }
    }
}

fn pick(values: &[Arc<str>], rng: &mut ChaCha8Rng) -> Value {
    // Nobody draws before the keys are read, and an empty list of them is refused.
    if values.is_empty() {
        Value::Null
    } else {
        Value::Text(values[rng.random_range(0..values.len())].clone())
    }
}
