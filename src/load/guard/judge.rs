//! When what is seen of a server, look by look, ends a load.
//!
//! Decides how often too little room, or no answer, is enough. Pure.

use super::{
    Arm, GuardStop,
    room::{Room, Seen},
};

/// Looks in a row with too little room that end a load.
const LOW_LOOKS: u32 = 2;
/// Looks in a row without an answer that end a load: legacy has an application to lose. A candidate that does not answer is
/// given the time that the load itself needs to find that out, because only the load can fail it.
const FAILED_LOOKS_LEGACY: u32 = 3;
const FAILED_LOOKS_CANDIDATE: u32 = 10;

/// Decides from one look after the other whether the load has to end.
#[derive(Debug)]
pub(super) struct Judge {
    arm: Arm,
    least: u32,
    low: u32,
    failures: u32,
}

impl Judge {
    pub(super) fn new(arm: Arm, least: u32) -> Self {
        Self { arm, least, low: 0, failures: 0 }
    }

    /// Takes what was seen. A look without an answer neither adds to the ones with too little room nor forgives them.
    pub(super) fn tell(&mut self, seen: Result<Seen, String>) -> Option<GuardStop> {
        let (arm, least) = (self.arm, self.least);
        let seen = match seen {
            Ok(seen) => seen,
            Err(why) => {
                self.failures += 1;
                let most = if arm == Arm::Legacy { FAILED_LOOKS_LEGACY } else { FAILED_LOOKS_CANDIDATE };
                let failures = self.failures;
                return (failures >= most).then_some(GuardStop::Unwatched { arm, failures, why });
            }
        };
        self.failures = 0;
        let tightest = seen.tightest()?;
        if tightest.free >= i64::from(least) {
            self.low = 0;
            return None;
        }
        self.low += 1;
        let Room { scope, free, .. } = *tightest;
        (self.low >= LOW_LOOKS).then_some(GuardStop::FreeConnections { arm, scope, free: free.max(0), least })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_looks_in_a_row_with_too_little_room_end_a_load() {
        let mut judge = Judge::new(Arm::Legacy, 5);
        let mut tell = |free| judge.tell(Ok(Seen::of_server("a", free)));
        assert_eq!([tell(4), tell(5), tell(4)], [None, None, None]);
        let stop = tell(3).unwrap();
        assert_eq!(
            stop.to_string(),
            "legacy had 3 connections free (of max_connections less what is reserved), fewer than the 5 kept free \
             for the application (guard.freeConnections), so the load was ended"
        );
    }

    #[test]
    fn three_looks_without_an_answer_end_a_load_and_forgive_no_lack_of_room() {
        let mut judge = Judge::new(Arm::Legacy, 5);
        let silent = || Err("the connection was lost".to_owned());
        assert_eq!([judge.tell(silent()), judge.tell(silent())], [None, None]);
        assert_eq!(judge.tell(Ok(Seen::of_server("a", 4))), None);
        assert_eq!([judge.tell(silent()), judge.tell(silent())], [None, None]);
        let stop = judge.tell(silent()).unwrap();
        assert!(stop.to_string().ends_with("the last one because the connection was lost"), "{stop}");
        assert!(matches!(judge.tell(Ok(Seen::of_server("a", 4))), Some(GuardStop::FreeConnections { .. })));
    }

    #[test]
    fn a_candidate_that_does_not_answer_is_left_to_the_loads_own_verdict_for_ten_looks() {
        let mut judge = Judge::new(Arm::Candidate, 5);
        let stops = (1..=10).filter(|_| judge.tell(Err("it is gone".to_owned())).is_some()).count();
        assert_eq!(stops, 1);
    }
}
