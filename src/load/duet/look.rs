//! What a look found, in figures and in sentences.

use super::{evidence::Percentile, noise::Noise};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookVerdict {
    /// The candidate is not worse than its margins, by evidence.
    Pass,
    /// It is, by evidence.
    Fail,
    /// Neither yet: measure on.
    Continue,
    /// Neither, and the time is over. Never promotes.
    Inconclusive,
}

/// Where one comparison stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Evidence that it is worse than the margin.
    Worse,
    /// Evidence that it is not.
    NotWorse,
    /// Neither.
    Open,
    /// Calls enough, and too few blocks that are independent of each other: the duet is too short, or the ratio drifts,
    /// as that of a tail does which goes bad in the middle. Hinders a `Pass` like `Open`, except of a tail of one class.
    Unpaired,
    /// Too few calls to say anything, however long it takes. Does not hinder a `Pass`, unless it is a median.
    TooFew,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// A percentile of the latency from the schedule.
    Latency(Percentile),
    /// The share of calls that failed or timed out.
    Failed,
}

impl Metric {
    /// Its name in sentences.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency(percentile) => percentile.name(),
            Self::Failed => "failed calls",
        }
    }
}

/// The figures of one percentile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencyFigures {
    /// Candidate by legacy.
    pub ratio: f64,
    /// It is above this but for a chance that is this comparison's share of the chance of a false `Fail`.
    pub low: Option<f64>,
    /// It is below this but for a chance that is this look's share of the chance of a false `Pass`.
    pub high: Option<f64>,
    /// Median of the blocks' differences, in microseconds.
    pub shift_us: i64,
    /// Number of blocks.
    pub blocks: usize,
    /// Their length.
    pub block_seconds: usize,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The class of statements; `None` for all together.
    pub class: Option<usize>,
    /// What is compared.
    pub metric: Metric,
    /// Of latencies that can be judged.
    pub latency: Option<LatencyFigures>,
    /// Where it stands.
    pub standing: Standing,
    /// Measured against the margin, in a sentence.
    pub reason: String,
}

/// What a look found.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// What is to be done.
    pub verdict: LookVerdict,
    /// Why, in a sentence.
    pub reason: String,
    /// Seconds that were looked at.
    pub seconds: u32,
    /// Every comparison, at the fixed looks; what failed first, then what is open.
    pub comparisons: Vec<Comparison>,
    /// Of all statements together.
    pub noise: Noise,
    /// Whether the tail is worse over the whole of it, though no comparison by blocks is: then nothing else carries the gate.
    pub is_worse_as_a_whole: bool,
}

impl Look {
    /// Whether both arms felt the same noise, as far as it can be told: the condition `NoiseShared`.
    #[must_use]
    pub fn noise_shared(&self) -> Option<bool> {
        self.noise.is_shared()
    }
}
