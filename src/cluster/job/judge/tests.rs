//! Every way in which a Job can go wrong, as Kubernetes tells it, and that only a whole result is one.

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use serde_json::{Value, json};

use super::*;

fn job(condition: Option<(&str, &str)>) -> Job {
    let conditions: Vec<Value> = condition
        .iter()
        .map(|(kind, reason)| json!({"type": kind, "status": "True", "reason": reason, "message": "words"}))
        .collect();
    let object = json!({"spec": {"completions": 2, "parallelism": 2, "template": {}}, "status": {"conditions": conditions}});
    serde_json::from_value(object).unwrap()
}

fn pod(index: u32, phase: &str, status: &Value) -> Pod {
    let mut object = json!({
        "metadata": {"name": format!("pod-{index}"), "annotations": {INDEX_ANNOTATION: index.to_string()}},
        "status": {"phase": phase}});
    for (key, value) in status.as_object().unwrap() {
        object["status"][key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn plain(index: u32, phase: &str) -> Pod {
    pod(index, phase, &json!({}))
}

fn leaving(mut pod: Pod) -> Pod {
    let time = jiff::Timestamp::UNIX_EPOCH;
    pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time));
    pod
}

fn with_state(index: u32, phase: &str, state: &Value) -> Pod {
    let container = json!({"name": "load", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
    pod(index, phase, &json!({"containerStatuses": [container]}))
}

fn ended(index: u32, code: i32, reason: &str) -> Pod {
    with_state(index, "Failed", &json!({"terminated": {"exitCode": code, "reason": reason}}))
}

fn at(has_begun: bool, refusal: Option<&str>, job: &Job, pods: &[Pod]) -> Judgement {
    judge(&Seen {
        job,
        pods: pods.iter().collect(),
        refusal,
        has_begun,
        parallelism: 2,
        deadline_seconds: 60,
    })
}

fn of(job: &Job, pods: &[Pod]) -> Judgement {
    at(true, None, job, pods)
}

fn failed(judgement: Judgement) -> JobFailure {
    let Judgement::Failed(failure) = judgement else { panic!("{judgement:?}") };
    failure
}

#[test]
fn only_a_complete_job_with_one_pod_that_succeeded_for_each_index_is_a_result() {
    let complete = job(Some(("Complete", "CompletionsReached")));
    let both = [plain(1, "Succeeded"), plain(0, "Succeeded")];
    assert_eq!(of(&complete, &both), Judgement::Complete(vec!["pod-0".to_owned(), "pod-1".to_owned()]));
    assert_eq!(of(&job(None), &both), Judgement::NotYet);
    assert_eq!(of(&job(Some(("SuccessCriteriaMet", "CompletionsReached"))), &both), Judgement::NotYet);
    for incomplete in [vec![plain(0, "Succeeded")], vec![plain(0, "Succeeded"), plain(1, "Running")]] {
        assert_eq!(failed(of(&complete, &incomplete)), JobFailure::IndexMissing { index: 1 });
    }
    let strange = [plain(0, "Succeeded"), plain(2, "Succeeded")];
    assert_eq!(failed(of(&complete, &strange)), JobFailure::IndexMissing { index: 1 });
}

#[test]
fn two_pods_of_an_index_are_no_result_however_well_both_ended() {
    let complete = job(Some(("Complete", "CompletionsReached")));
    let pods = [plain(0, "Succeeded"), plain(1, "Succeeded"), leaving(plain(1, "Succeeded"))];
    assert_eq!(failed(of(&complete, &pods)), JobFailure::IndexTwice { index: 1 });
}

#[test]
fn why_a_pod_ended_is_told_in_kubernetes_own_terms() {
    let evicted = json!({"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]});
    for pod in [leaving(pod(0, "Running", &evicted)), pod(0, "Failed", &evicted)] {
        let expected = JobFailure::Evicted { index: 0, reason: "PreemptionByScheduler".to_owned() };
        assert_eq!(failed(of(&job(None), &[pod])), expected);
    }
    let by_kubelet = pod(1, "Failed", &json!({"reason": "Evicted"}));
    assert_eq!(
        failed(of(&job(None), &[by_kubelet])),
        JobFailure::Evicted { index: 1, reason: "Evicted".to_owned() }
    );
    assert_eq!(failed(of(&job(None), &[ended(0, 137, "OOMKilled")])), JobFailure::OutOfMemory { index: 0 });
    let deleted = JobFailure::PodDeleted { index: 1 };
    for pod in [leaving(plain(1, "Running")), leaving(ended(1, 137, "Error"))] {
        assert_eq!(of(&job(None), std::slice::from_ref(&pod)), Judgement::Unexplained(deleted.clone()));
        let told = job(Some(("FailureTarget", "BackoffLimitExceeded")));
        assert_eq!(failed(of(&told, &[pod])), deleted);
    }
    let by_itself =
        Judgement::FailedPod { pod: "pod-1".to_owned(), index: 1, reason: "exit code 3".to_owned() };
    let told = job(Some(("FailureTarget", "BackoffLimitExceeded")));
    assert_eq!(
        of(&told, &[leaving(plain(0, "Running")), ended(1, 3, "Error")]),
        by_itself,
        "0 went because of 1"
    );
}

#[test]
fn pods_that_the_deadline_has_deleted_are_not_what_went_wrong() {
    for kind in ["FailureTarget", "Failed"] {
        let late = job(Some((kind, "DeadlineExceeded")));
        let pods = [leaving(plain(0, "Running")), leaving(ended(1, 137, "Error"))];
        assert_eq!(failed(of(&late, &pods)), JobFailure::Late { seconds: 60 });
    }
    let lost = job(Some(("Failed", "BackoffLimitExceeded")));
    assert!(
        matches!(failed(of(&lost, &[])), JobFailure::JobFailed { reason, .. } if reason == "BackoffLimitExceeded")
    );
}

#[test]
fn what_may_still_come_is_awaited_until_the_load_begins() {
    let unscheduled = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "no node"}]});
    let pods = [plain(0, "Running"), pod(1, "Pending", &unscheduled)];
    assert_eq!(at(false, None, &job(None), &pods), Judgement::NotYet);
    let failure = failed(at(true, None, &job(None), &pods));
    assert_eq!(failure, JobFailure::Unschedulable { index: 1, message: "no node".to_owned() });
    let pending = [plain(0, "Running"), plain(1, "Pending")];
    assert_eq!(at(false, None, &job(None), &pending), Judgement::NotYet);
    assert_eq!(failed(at(true, None, &job(None), &pending)), JobFailure::NotStarted { missing: 1, of: 2 });
    assert_eq!(at(true, None, &job(None), &[plain(0, "Running"), plain(1, "Running")]), Judgement::NotYet);
    let busy = Some("Error creating: the server is busy");
    assert_eq!(at(false, busy, &job(None), &[plain(0, "Running")]), Judgement::NotYet);
    assert!(matches!(failed(at(true, busy, &job(None), &[])), JobFailure::PodsRefused { .. }));
}

#[test]
fn what_cannot_get_better_is_not_awaited() {
    for reason in HOPELESS {
        let waiting = with_state(0, "Pending", &json!({"waiting": {"reason": reason, "message": "words"}}));
        let expected =
            JobFailure::Unstartable { index: 0, reason: reason.to_owned(), message: "words".to_owned() };
        assert_eq!(failed(at(false, None, &job(None), &[waiting])), expected);
    }
    for (reason, told) in
        [("ImagePullBackOff", true), ("CreateContainerConfigError", true), ("ContainerCreating", false)]
    {
        let waiting = [with_state(0, "Pending", &json!({"waiting": {"reason": reason}}))];
        assert_eq!(at(false, None, &job(None), &waiting), Judgement::NotYet);
        let failure = failed(at(true, None, &job(None), &waiting));
        assert_eq!(matches!(failure, JobFailure::Unstartable { .. }), told, "{failure}");
    }
    let quota = Some("Error creating: pods \"x\" is forbidden: exceeded quota");
    assert!(matches!(failed(at(false, quota, &job(None), &[])), JobFailure::PodsRefused { .. }));
}

#[test]
fn a_job_that_was_given_another_number_of_pods_is_no_result() {
    let mut changed = job(Some(("Complete", "CompletionsReached")));
    changed.spec.as_mut().unwrap().completions = Some(1);
    assert_eq!(failed(of(&changed, &[plain(0, "Succeeded")])), JobFailure::Changed { completions: 1, of: 2 });
}
