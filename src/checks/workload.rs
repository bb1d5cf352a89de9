//! Are the stage's pods ready, and do they stay up?
//!
//! Passes when every workload has all the pods it shall have, ready, and the restarts of all of them together stay
//! within the limit. Never waits: a soak asks again and again. Pods that can't be seen are an error, never a pass.

use super::{Answer, ClusterView, WorkloadPods};
use crate::api::{Verdict, WorkloadCheck};

pub(super) async fn ask(question: &WorkloadCheck, cluster: &dyn ClusterView) -> Answer {
    match cluster.pods().await {
        Ok(workloads) => judge(question, &workloads),
        Err(reason) => Answer::new(Verdict::Error, format!("the pods can't be seen: {reason}")),
    }
}

fn judge(question: &WorkloadCheck, workloads: &[WorkloadPods]) -> Answer {
    let sum = |count: fn(&WorkloadPods) -> i64| workloads.iter().map(count).fold(0, i64::saturating_add);
    let (desired, ready, restarts) = (sum(|w| w.desired), sum(|w| w.ready), sum(|w| w.restarts));
    let limit = i64::from(question.max_restarts);
    let mut faults: Vec<String> = workloads
        .iter()
        .filter(|workload| workload.ready < workload.desired)
        .map(|workload| {
            format!("{} has {} of {} pods ready", workload.workload, workload.ready, workload.desired)
        })
        .collect();
    if restarts > limit {
        let who: Vec<_> = workloads.iter().filter(|w| w.restarts > 0).map(|w| w.workload.as_str()).collect();
        faults.push(format!("{restarts} restarts are more than the limit of {limit} ({})", who.join(", ")));
    }
    let measured = format!("{ready}/{desired} ready, {restarts} restarts");
    let (verdict, message) = if workloads.is_empty() {
        (Verdict::Error, "there are no workloads to look at".to_owned())
    } else if !faults.is_empty() {
        (Verdict::Fail, faults.join("; "))
    } else if desired == 0 {
        // Scaled to zero on purpose, perhaps; but nothing was seen running.
        (Verdict::Warn, "no pods are wanted, so none could be seen running".to_owned())
    } else {
        (Verdict::Pass, measured.clone())
    };
    Answer {
        verdict,
        message,
        measured: Some(measured),
        expected: Some(format!("all ready, at most {limit} restarts")),
        samples: desired,
        ..Answer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(desired: i64, ready: i64, restarts: i64) -> WorkloadPods {
        WorkloadPods { workload: "Deployment/api".to_owned(), desired, ready, restarts }
    }

    fn verdict(max_restarts: i32, workloads: &[WorkloadPods]) -> (Verdict, String) {
        let answer = judge(&WorkloadCheck { max_restarts }, workloads);
        (answer.verdict, answer.message)
    }

    #[test]
    fn all_pods_ready_and_up_pass() {
        assert_eq!(verdict(0, &[pods(3, 3, 0)]), (Verdict::Pass, "3/3 ready, 0 restarts".to_owned()));
        assert_eq!(verdict(2, &[pods(1, 1, 1), pods(1, 1, 1)]).0, Verdict::Pass);
    }

    #[test]
    fn a_pod_that_is_not_ready_or_restarts_too_often_fails_and_is_named() {
        let (fail, message) = verdict(0, &[pods(1, 1, 0), pods(3, 2, 1)]);
        assert_eq!(fail, Verdict::Fail);
        assert_eq!(
            message,
            "Deployment/api has 2 of 3 pods ready; 1 restarts are more than the limit of 0 (Deployment/api)"
        );
        assert_eq!(verdict(1, &[pods(1, 1, 1), pods(1, 1, 1)]).0, Verdict::Fail);
    }

    #[test]
    fn what_was_not_seen_does_not_pass() {
        assert_eq!(verdict(0, &[]).0, Verdict::Error);
        assert_eq!(verdict(0, &[pods(0, 0, 0)]).0, Verdict::Warn);
    }
}
