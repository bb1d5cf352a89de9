//! A difference that is looked at again before it counts.
//!
//! Two servers have no moment in common, so while writes go on a row that is on its way looks like one that is lost.
//! Decides which it is. A difference is settled once both sides are alike, or once the candidate has what legacy had
//! at an earlier look: it follows (a mere number of rows does not show that). It counts if the candidate stood still all the time, for then nothing is on its way.
//! Whatever moved and never met is in flux, which is neither.

/// The hashes of rows are their content.
impl Telling for Vec<i64> {
    fn is_telling(&self) -> bool {
        true
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Settled,
    Differs,
    InFlux,
}

/// Something that both sides had differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt<T> {
    /// Legacy's and the candidate's, at the last look.
    pub(super) now: [T; 2],
    legacy_before: Vec<T>,
    has_candidate_moved: bool,
    is_settled: bool,
}

/// What tells whether the candidate follows.
pub(super) trait Telling {
    /// Whether being the same as before shows that it is the same: content does, a number of rows does not, for a table
    /// that grows comes by every number.
    fn is_telling(&self) -> bool;
}

impl<T: PartialEq + Clone + Telling> Doubt<T> {
    pub(super) fn new(now: [T; 2]) -> Self {
        Self { now, legacy_before: Vec::new(), has_candidate_moved: false, is_settled: false }
    }

    /// Takes another look into account.
    pub(super) fn look(&mut self, now: [T; 2]) {
        let before = std::mem::replace(&mut self.now, now);
        self.has_candidate_moved |= self.now[1] != before[1];
        self.legacy_before.push(before[0].clone());
        let is_following =
            self.has_candidate_moved && self.now[1].is_telling() && self.legacy_before.contains(&self.now[1]);
        self.is_settled |= self.now[0] == self.now[1] || is_following;
    }

    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// What the looks so far come to.
    pub(super) fn outcome(&self) -> Outcome {
        match (self.is_settled, self.has_candidate_moved) {
            (true, _) => Outcome::Settled,
            (false, false) => Outcome::Differs,
            (false, true) => Outcome::InFlux,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Telling for i64 {
        fn is_telling(&self) -> bool {
            *self < 100
        }
    }

    fn after(first: [i64; 2], looks: &[[i64; 2]]) -> Outcome {
        let mut doubt = Doubt::new(first);
        looks.iter().for_each(|now| doubt.look(*now));
        doubt.outcome()
    }

    #[test]
    fn a_difference_counts_only_if_nothing_is_on_its_way() {
        for (what, first, looks, expected) in [
            ("nothing moves", [1, 2], vec![[1, 2], [1, 2]], Outcome::Differs),
            ("it arrives", [1, 2], vec![[1, 2], [1, 1]], Outcome::Settled),
            ("it arrives, and legacy is ahead again", [1, 0], vec![[2, 1]], Outcome::Settled),
            ("legacy alone moves", [1, 0], vec![[2, 0], [3, 0]], Outcome::Differs),
            ("both move and never meet", [1, 10], vec![[2, 11], [3, 12]], Outcome::InFlux),
            ("once settled is settled", [1, 2], vec![[3, 3], [4, 3]], Outcome::Settled),
            ("both counts grow, one row apart", [100, 99], vec![[101, 100], [102, 101]], Outcome::InFlux),
            ("both counts meet", [100, 99], vec![[101, 101]], Outcome::Settled),
            ("the candidate has moved away", [1, 2], vec![[1, 3], [1, 4]], Outcome::InFlux),
        ] {
            assert_eq!(after(first, &looks), expected, "{what}");
        }
    }
}
