//! Two servers whose noise is known, second by second; ten thousand duets between them take seconds.
//!
//! Stands in for the recording. Percentiles are drawn, not calls: a common noise that drifts and bursts (AR(1),
//! lag-1 0.8), a private one of the same kind, a private bias that stays, and the error of sampling, sized as
//! measured on two servers (1-s blocks of 500 calls an arm: the ratio of single ranks p50, p95 and p99 spreads by
//! 0.045, 0.12 and 0.29). The errors of groups and percentiles are independent, which is the worst for the number
//! of false alarms and for a `Pass`.

use std::ops::Range;

use super::super::{
    HALVES_PER_SECOND,
    decide::judge,
    evidence::{Arm, Block, Calls, Evidence, Group, Pair},
    gross,
    look::LookVerdict,
    noise::Noise,
    rules::Rules,
};

/// Of the logarithm of p50, p95 and p99 in one arm.
const DRIFT: [f64; 3] = [0.20, 0.42, 0.55];
/// Of one arm with 500 calls a second, as measured of single ranks.
const SAMPLING: [f64; 3] = [0.032, 0.085, 0.205];
/// What weights and bands leave of that, and bands alone, which is all there is in a class. `recorded.rs` measures
/// less.
pub(super) const LEFT_OF_ALL: [f64; 3] = [0.90, 0.80, 0.92];
pub(super) const LEFT_OF_CLASS: [f64; 3] = [0.97, 1.05, 1.05];
/// Spread of the lasting bias between two servers that are alike: root mean square of three measured pairs. That of
/// p99 is lost in the error of sampling, and taken to be that of p50.
const BIAS: [f64; 3] = [0.012, 0.008, 0.012];
const STAYS: f64 = 0.8;
/// 85, 10 and 5 % of the calls.
const CLASSES: [f64; 3] = [0.85, 0.10, 0.05];
const WARM_UP_SECONDS: usize = 10;
const GROUPS: usize = CLASSES.len() + 1;

/// What is simulated.
#[derive(Clone, Copy)]
pub(super) struct World {
    /// Calls a second of both arms together.
    pub(super) rate: f64,
    /// Size of the noise that both arms feel, and of that which each has for itself; 1 is as measured.
    pub(super) shared: f64,
    pub(super) private: f64,
    /// Size of the candidate's lasting bias; 1 is as measured.
    pub(super) bias: f64,
    /// Size of what moves both arms for what they are asked, the same and anew in each second; 1 is an arm's own error of sampling.
    pub(super) asked: f64,
    /// How much slower the candidate is, by group and percentile, in logarithms.
    pub(super) slower: [[f64; 3]; GROUPS],
    /// From this second on.
    pub(super) since: u32,
    /// The share of the candidate's calls that fail.
    pub(super) failing: f64,
    pub(super) longest: u32,
}

/// Two servers on one machine that are alike.
pub(super) const ALIKE: World = World {
    rate: 1_000.0,
    shared: 1.0,
    private: 0.03,
    bias: 1.0,
    asked: 0.0,
    slower: [[0.0; 3]; GROUPS],
    since: 0,
    failing: 0.0,
    longest: 240,
};

pub(super) struct Simulated {
    world: World,
    random: Random,
    names: Vec<String>,
    shared: Drift,
    private: [Drift; 2],
    bias: [f64; 3],
    seconds: Vec<[(Block, [Calls; 2]); GROUPS]>,
    /// The medians of all statements.
    halves: Vec<Pair>,
    warm_up: Vec<Pair>,
}

impl Simulated {
    pub(super) fn new(world: World, seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D);
        let names = ["read", "update", "lookup"].map(str::to_owned).to_vec();
        let bias = BIAS.map(|size| world.bias * size * random.normal());
        let private = [Drift::new(&mut random), Drift::new(&mut random)];
        let mut simulated = Self {
            shared: Drift::new(&mut random),
            private,
            world,
            random,
            names,
            bias,
            seconds: Vec::new(),
            halves: Vec::new(),
            warm_up: Vec::new(),
        };
        simulated.extend(WARM_UP_SECONDS);
        simulated.warm_up = std::mem::take(&mut simulated.halves);
        simulated.seconds.clear();
        simulated
    }

    fn extend(&mut self, seconds: usize) {
        while self.seconds.len() < seconds {
            let shared = self.shared.next(&mut self.random) * self.world.shared;
            let arms =
                [0, 1].map(|arm| shared + self.private[arm].next(&mut self.random) * self.world.private);
            let second = [0, 1, 2, 3].map(|group| self.second(group, arms));
            let halves = self.halves_of(second[0].0[0]);
            self.halves.extend(halves);
            self.seconds.push(second);
        }
    }

    /// Two halves whose mean is the second's: what they differ by is the error of sampling alone.
    fn halves_of(&mut self, second: Pair) -> [Pair; 2] {
        let spread = SAMPLING[0] * LEFT_OF_ALL[0] / (self.world.rate / 1_000.0).sqrt();
        let (legacy, candidate) = (spread * self.random.normal(), spread * self.random.normal());
        [1.0, -1.0].map(|sign| Pair {
            legacy: second.legacy + sign * legacy,
            candidate: second.candidate + sign * candidate,
        })
    }

    fn second(&mut self, group: usize, noise: [f64; 2]) -> (Block, [Calls; 2]) {
        let weight = if group == 0 { 1.0 } else { CLASSES[group - 1] };
        let expected = self.world.rate / 2.0 * weight;
        let calls = [0.0, self.world.failing].map(|failing| {
            let ended = (expected + expected.sqrt() * self.random.normal()).round().max(1.0);
            let failed = ended * failing;
            let failed = (failed + failed.sqrt() * self.random.normal()).round().clamp(0.0, ended);
            Calls { ended: whole(ended), failed: whole(failed) }
        });
        let is_slower = self.seconds.len() >= self.world.since as usize;
        let left = if group == 0 { LEFT_OF_ALL } else { LEFT_OF_CLASS };
        let block = [0, 1, 2].map(|percentile| {
            let sampling = SAMPLING[percentile] * left[percentile];
            let mut asked = 0.0;
            // Else nothing is drawn, so that what is drawn for the worlds without it stays.
            if self.world.asked > 0.0 {
                asked = self.world.asked * sampling / (expected / 500.0).sqrt() * self.random.normal();
            }
            let mut log = |arm: usize| {
                let size = super::super::evidence::float(calls[arm].ended) / 500.0;
                6.0 + DRIFT[percentile] * noise[arm] + asked + sampling / size.sqrt() * self.random.normal()
            };
            let (legacy, candidate) = (log(0), log(1));
            let slower = if is_slower { self.world.slower[group][percentile] } else { 0.0 };
            let candidate = candidate + self.bias[percentile] + slower;
            Pair { legacy, candidate }
        });
        (block, calls)
    }

    /// How a duet ends, and after how many seconds.
    pub(super) fn run(&mut self, rules: &Rules) -> (LookVerdict, u32) {
        for half in 1_u32.. {
            self.extend(half.div_ceil(HALVES_PER_SECOND) as usize);
            let verdict = judge(self, half, rules).verdict;
            if verdict != LookVerdict::Continue {
                return (verdict, half.div_ceil(HALVES_PER_SECOND));
            }
        }
        unreachable!("the last look is never Continue")
    }

    /// Whether its noise looks shared after so many seconds.
    pub(super) fn noise_looks_shared(&mut self, seconds: usize) -> bool {
        self.extend(seconds);
        Noise::of(&self.blocks(Group::All, 1, 0, seconds)).is_shared() == Some(true)
    }

    /// When one of so many processes sees a gross fault, of whose part this is, if it does.
    pub(super) fn gross_fault(&mut self, processes: u32) -> Option<u32> {
        let halves = self.world.longest * HALVES_PER_SECOND;
        let is_gross = |half: &u32| {
            self.extend(half.div_ceil(HALVES_PER_SECOND) as usize);
            gross::fault(self, *half as usize, processes).is_some()
        };
        let half = (1..=halves).find(is_gross)?;
        Some(half.div_ceil(HALVES_PER_SECOND))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
fn whole(value: f64) -> u64 {
    value as u64
}

fn place(group: Group) -> usize {
    match group {
        Group::All => 0,
        Group::Class(class) => class + 1,
    }
}

impl Evidence for Simulated {
    fn classes(&self) -> &[String] {
        &self.names
    }

    /// The mean logarithm of a block's seconds stands for its percentile.
    fn blocks(&self, group: Group, block_seconds: usize, from: usize, to: usize) -> Vec<Block> {
        let group = place(group);
        let length = super::super::number(block_seconds);
        let blocks = self.seconds[from..to].chunks_exact(block_seconds);
        blocks
            .map(|seconds| {
                let mut mean = [Pair { legacy: 0.0, candidate: 0.0 }; 3];
                for second in seconds {
                    for (mean, pair) in mean.iter_mut().zip(second[group].0) {
                        mean.legacy += pair.legacy / length;
                        mean.candidate += pair.candidate / length;
                    }
                }
                mean
            })
            .collect()
    }

    fn calls(&self, group: Group, arm: Arm, from: usize, to: usize) -> Calls {
        let (group, arm) = (place(group), usize::from(arm == Arm::Candidate));
        let mut sum = Calls::default();
        for second in &self.seconds[from..to] {
            sum.ended += second[group].1[arm].ended;
            sum.failed += second[group].1[arm].failed;
        }
        sum
    }

    fn halves(&self, halves: Range<usize>) -> Vec<Pair> {
        self.halves[halves].to_vec()
    }

    fn warm_up(&self) -> &[Pair] {
        &self.warm_up
    }
}

/// AR(1) with a spread of one, and bursts that die down.
struct Drift {
    level: f64,
    burst: f64,
}

impl Drift {
    fn new(random: &mut Random) -> Self {
        Self { level: random.normal(), burst: 0.0 }
    }

    fn next(&mut self, random: &mut Random) -> f64 {
        self.level = STAYS * self.level + (1.0 - STAYS * STAYS).sqrt() * random.normal();
        self.burst *= 0.5;
        if random.next().is_multiple_of(50) {
            self.burst += 1.5;
        }
        self.level + self.burst
    }
}

/// `SplitMix64` (Steele, Lea, Flood 2014): fast enough for tests without optimization.
pub(in super::super) struct Random(pub(in super::super) u64);

impl Random {
    pub(in super::super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The sum of four uniform numbers is close enough to normal.
    pub(in super::super) fn normal(&mut self) -> f64 {
        let bits = self.next();
        let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);
        (f64::from(u32::try_from(sum).unwrap()) - 131_070.0) / 37_837.0
    }
}
