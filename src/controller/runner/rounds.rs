//! The rounds of a soak, counted by check: how many ended without a pass, and what they come to together.

use crate::{
    api::{Check, Verdict},
    checks::CheckReport,
};

/// The rounds so far.
pub(super) struct Rounds {
    count: i64,
    tallies: Vec<Tally>,
}

/// The rounds of one check.
struct Tally {
    /// As the spec has it; `None` stands for none, without a word about it.
    limit: Option<i64>,
    failed: i64,
    worst: Verdict,
    /// What the last of those that failed said.
    told: String,
    latest: CheckReport,
}

impl Rounds {
    pub fn new(checks: &[Check]) -> Self {
        let tally = |check: &Check| Tally {
            limit: check.failure_limit.map(i64::from),
            failed: 0,
            worst: Verdict::Pass,
            told: String::new(),
            latest: CheckReport::default(),
        };
        Self { count: 0, tallies: checks.iter().map(tally).collect() }
    }

    /// Adds a round: an answer of each check, in their order.
    pub fn add(&mut self, answers: Vec<CheckReport>) {
        self.count += 1;
        for (tally, answer) in self.tallies.iter_mut().zip(answers) {
            if !matches!(answer.verdict, Verdict::Pass | Verdict::Warn) {
                tally.failed += 1;
                tally.worst = tally.worst.max(answer.verdict);
                tally.told.clone_from(&answer.message);
            }
            tally.latest = answer;
        }
    }

    pub fn are_within_limits(&self) -> bool {
        self.tallies.iter().all(Tally::is_within_limit)
    }

    /// The latest answer of each check, its verdict and message about all rounds.
    pub fn into_reports(self) -> Vec<CheckReport> {
        let count = self.count;
        self.tallies.into_iter().map(|tally| tally.into_report(count)).collect()
    }
}

impl Tally {
    fn is_within_limit(&self) -> bool {
        self.failed <= self.limit.unwrap_or(0)
    }

    fn into_report(self, rounds: i64) -> CheckReport {
        // However many may fail, without one that passed there is nothing to pass by.
        let has_passed = self.failed < rounds;
        let verdict = match (self.is_within_limit() && has_passed, self.latest.verdict) {
            (false, _) => self.worst,
            (true, passed @ (Verdict::Pass | Verdict::Warn)) => passed,
            (true, _) => Verdict::Pass,
        };
        let message = match (self.failed, self.limit) {
            (0, _) | (_, None) => self.latest.message.clone(),
            (failed, Some(limit)) if !has_passed && failed <= limit => {
                format!("none of {rounds} rounds passed, the last of them: {}", self.told)
            }
            (failed, Some(limit)) => {
                format!(
                    "{failed} of {rounds} rounds failed, at most {limit} may; the last of them: {}",
                    self.told
                )
            }
        };
        let samples = self.latest.samples.max(rounds);
        CheckReport { verdict, message, samples, ..self.latest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limit: Option<i32>) -> Check {
        Check { name: "c".to_owned(), failure_limit: limit, ..Check::default() }
    }

    fn answer(verdict: Verdict, message: &str) -> CheckReport {
        CheckReport { verdict, message: message.to_owned(), ..CheckReport::default() }
    }

    /// What rounds with these verdicts come to, and whether they would go on.
    fn of(limit: Option<i32>, verdicts: &[Verdict]) -> (bool, Verdict, String, i64) {
        let mut rounds = Rounds::new(&[check(limit)]);
        for (index, verdict) in verdicts.iter().enumerate() {
            rounds.add(vec![answer(*verdict, &format!("round {index}"))]);
        }
        let goes_on = rounds.are_within_limits();
        let report = rounds.into_reports().remove(0);
        (goes_on, report.verdict, report.message, report.samples)
    }

    use Verdict::{Error, Fail, Inconclusive, Pass, Warn};

    #[test]
    fn without_a_limit_the_first_round_that_fails_counts_and_is_told_as_it_is() {
        assert_eq!(of(None, &[Pass, Pass]), (true, Pass, "round 1".to_owned(), 2));
        assert_eq!(of(None, &[Pass, Fail]), (false, Fail, "round 1".to_owned(), 2));
        assert_eq!(of(None, &[Error]), (false, Error, "round 0".to_owned(), 1));
    }

    #[test]
    fn as_many_rounds_may_fail_as_the_limit_says_and_not_one_more() {
        let told = "2 of 4 rounds failed, at most 2 may; the last of them: round 2";
        assert_eq!(of(Some(2), &[Pass, Fail, Fail, Pass]), (true, Pass, told.to_owned(), 4));
        assert_eq!(of(Some(2), &[Fail, Pass, Fail]).1, Pass, "the last round failed, and may");
        let (goes_on, verdict, message, _) = of(Some(2), &[Fail, Fail, Pass, Fail]);
        assert!(!goes_on);
        assert_eq!(verdict, Fail);
        assert_eq!(message, "3 of 4 rounds failed, at most 2 may; the last of them: round 3");
        assert_eq!(of(Some(0), &[Fail]).1, Fail);
    }

    #[test]
    fn a_check_that_never_passed_does_not_pass_whatever_the_limit() {
        let (goes_on, verdict, message, _) = of(Some(3), &[Fail, Error, Error]);
        assert_eq!((goes_on, verdict), (true, Fail));
        assert_eq!(message, "none of 3 rounds passed, the last of them: round 2");
        assert_eq!(of(Some(3), &[Error, Pass, Error]).1, Pass);
    }

    #[test]
    fn beyond_the_limit_the_worst_round_is_the_verdict() {
        assert_eq!(of(Some(1), &[Fail, Error]).1, Fail);
        assert_eq!(of(Some(1), &[Inconclusive, Error]).1, Error);
        assert_eq!(of(Some(1), &[Inconclusive, Inconclusive]).1, Inconclusive);
    }

    #[test]
    fn a_warning_is_no_failure() {
        assert_eq!(of(Some(0), &[Warn, Warn]), (true, Warn, "round 1".to_owned(), 2));
    }

    #[test]
    fn each_check_has_a_limit_of_its_own() {
        let mut rounds = Rounds::new(&[check(Some(1)), check(None)]);
        rounds.add(vec![answer(Fail, "a"), answer(Pass, "b")]);
        assert!(rounds.are_within_limits());
        rounds.add(vec![answer(Pass, "a"), answer(Fail, "b")]);
        assert!(!rounds.are_within_limits());
        let verdicts: Vec<_> = rounds.into_reports().iter().map(|report| report.verdict).collect();
        assert_eq!(verdicts, [Pass, Fail]);
    }
}
