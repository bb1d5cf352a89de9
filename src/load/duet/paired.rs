//! From what was measured to differences that can be tested: for each group and percentile, the blocks and their
//! length.
//!
//! Decides which percentiles there are enough calls for, and says why not where there aren't. Never tests.

use super::{
    evidence::{Arm, Block, Evidence, Group, Percentile},
    noise::{MIN_BLOCKS, Noise, autocorrelation},
    number,
    rules::part,
    signed_rank::Ranked,
};

/// Calls a second and arm below which a class is judged by its lower percentiles only. All together are judged by
/// every one that their blocks have the calls for.
const CLASS_CALLS_PER_SECOND: [f64; 3] = [0.0, 100.0, 250.0];

/// One percentile of one group.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Paired {
    pub(super) group: Group,
    pub(super) percentile: Percentile,
    /// Its share in the chance of a false `Fail`.
    pub(super) part: f64,
    /// What can be tested, or why nothing can.
    pub(super) blocks: Result<Blocks, Unpaired>,
}

/// Why there is nothing to test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unpaired {
    pub(super) why: String,
    /// Too few calls, which no duration can mend; else too few blocks that are independent of each other.
    pub(super) lacks_calls: bool,
}

impl Unpaired {
    fn for_lack_of_calls(why: String) -> Self {
        Self { why, lacks_calls: true }
    }

    fn for_lack_of_blocks(why: String) -> Self {
        Self { why, lacks_calls: false }
    }
}

/// Independent blocks; at least `MIN_BLOCKS`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Blocks {
    pub(super) seconds: usize,
    /// In the order of time.
    pub(super) differences: Vec<f64>,
    pub(super) shifts_us: Vec<f64>,
}

impl Blocks {
    pub(super) fn ranked(&self) -> Ranked {
        Ranked::new(self.differences.clone())
    }
}

/// Every group, all statements first.
pub(super) fn groups(classes: usize) -> Vec<Group> {
    // A single class is all statements.
    let each = if classes > 1 { 0..classes } else { 0..0 };
    std::iter::once(Group::All).chain(each.map(Group::Class)).collect()
}

/// The noise of all, and everything that is compared.
pub(super) fn pair(evidence: &impl Evidence, seconds: usize) -> (Noise, Vec<Paired>) {
    let noise = Noise::of(&evidence.blocks(Group::All, 1, 0, seconds));
    let groups = groups(evidence.classes().len());
    (noise, groups.into_iter().flat_map(|group| of_group(evidence, group, seconds, &noise)).collect())
}

fn of_group(evidence: &impl Evidence, group: Group, seconds: usize, noise: &Noise) -> [Paired; 3] {
    let calls = |arm| evidence.calls(group, arm, 0, seconds).per_second(seconds);
    let calls = calls(Arm::Legacy).min(calls(Arm::Candidate));
    let single = evidence.blocks(group, 1, 0, seconds);
    let times = autocorrelation(&single);
    let mut cut = Cut { evidence, group, seconds, lengths: vec![(1, single)] };
    let blocks = Percentile::ALL.map(|percentile| {
        let least = CLASS_CALLS_PER_SECOND[percentile.index()];
        if group != Group::All && calls < least {
            return Err(Unpaired::for_lack_of_calls(format!(
                "too few calls: {calls:.1}/s on each side, and this percentile of a class needs {least}/s"
            )));
        }
        let length = noise.block_seconds(times[percentile.index()], calls, percentile.calls_per_block());
        let length = length.ok_or_else(|| unpairable(percentile, calls, times[percentile.index()]))?;
        cut.blocks_of(percentile, length)
    });
    let judged = [0, 1, 2].map(|index: usize| blocks[index].is_ok());
    let classes = evidence.classes().len();
    let mut blocks = blocks.into_iter();
    Percentile::ALL.map(|percentile| Paired {
        group,
        percentile,
        part: part(group, classes, percentile, judged),
        blocks: blocks.next().unwrap_or_else(|| Err(Unpaired::for_lack_of_blocks(String::new()))),
    })
}

fn unpairable(percentile: Percentile, calls: f64, autocorrelation: f64) -> Unpaired {
    let needed = percentile.calls_per_block();
    if calls * 20.0 < needed {
        let why = format!("too few calls: {calls:.1}/s on each side, and a block of 20 s needs {needed}");
        return Unpaired::for_lack_of_calls(why);
    }
    Unpaired::for_lack_of_blocks(format!(
        "the ratio drifts for {autocorrelation:.0} s, and blocks of 20 s are too short to be independent of that"
    ))
}

/// Blocks of every length that was asked for.
struct Cut<'a, E> {
    evidence: &'a E,
    group: Group,
    seconds: usize,
    lengths: Vec<(usize, Vec<Block>)>,
}

impl<E: Evidence> Cut<'_, E> {
    fn blocks_of(&mut self, percentile: Percentile, length: usize) -> Result<Blocks, Unpaired> {
        let index = self.lengths.iter().position(|(seconds, _)| *seconds == length).unwrap_or_else(|| {
            self.lengths.push((length, self.evidence.blocks(self.group, length, 0, self.seconds)));
            self.lengths.len() - 1
        });
        let pairs: Vec<_> = self.lengths[index].1.iter().map(|block| block[percentile.index()]).collect();
        if pairs.len() < MIN_BLOCKS {
            return Err(Unpaired::for_lack_of_blocks(format!(
                "too few blocks: {} of {length} s, and {MIN_BLOCKS} are needed; that takes {:.0} s",
                pairs.len(),
                number(MIN_BLOCKS * length),
            )));
        }
        Ok(Blocks {
            seconds: length,
            differences: pairs.iter().map(|pair| pair.difference()).collect(),
            shifts_us: pairs.iter().filter_map(|pair| pair.shift_us()).collect(),
        })
    }
}
