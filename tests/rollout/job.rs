//! Pods as an Indexed Job: results of all of them or a reason, and nothing left behind. The pods are shells that do what
//! the test writes.

#[path = "job/yard.rs"]
mod yard;

use std::{collections::BTreeMap, time::Duration};

use cutover::{
    api::{DatabaseRolloutSpec, SecretKeyReference},
    checks::ClusterView,
    cluster::{
        ClusterReader,
        job::{FrameFault, JobFailure, JobRequest, Jobs, PodSettings, frame},
    },
    engine::{AttemptId, AttemptScope},
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ConfigMap, Namespace as KubernetesNamespace, Pod, Secret},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::shop::{self, PATIENCE};

use yard::{PRINT, STAY, Yard, create, from, settings};

#[tokio::test]
async fn results_of_all_pods_come_back_in_the_order_of_their_indexes_and_the_job_goes() {
    let yard = Yard::open("order").await;
    let secret = json!({"metadata": {"name": "old"}, "stringData": {"uri": "canary", "ca.crt": "authority"}});
    create::<Secret>(&yard.namespace, secret).await;
    // The pod proves what it has and what it has not before it prints its result.
    let script = format!(
        r#"[ "$CUTOVER_LEGACY_URI" = canary ] && read -r ca < /run/cutover/legacy-ca.pem; [ "$ca" = authority ] || exit 7
        [ -e /var/run/secrets/kubernetes.io/serviceaccount/token ] && exit 8
        (: > /written) 2>/dev/null && exit 9
        [ "$0 $2 $3" = "--start-at --key {}/load/api/3" ] || exit 10
        echo "a line of the log" >&2; {PRINT}"#,
        yard.owner.uid
    );
    let results = vec![Vec::new(), vec![7; 10], (0..60_000_u32).map(|n| (n % 251) as u8).collect()];
    let mut request = yard.printing(&script, &results);
    let reference = |key: &str| SecretKeyReference { name: "old".to_owned(), key: key.to_owned() };
    request.secret_env = vec![("CUTOVER_LEGACY_URI".to_owned(), reference("uri"))];
    request.files = vec![("legacy-ca.pem".to_owned(), reference("ca.crt"))];
    assert_eq!(JobRequest::path_of("legacy-ca.pem"), "/run/cutover/legacy-ca.pem");
    assert_eq!(yard.run(request).await.unwrap(), results);
    assert!(yard.is_empty().await, "it is gone when the results are there");
    yard.close().await;
}

#[tokio::test]
async fn a_long_result_arrives_whole() {
    let yard = Yard::open("long").await;
    let result: Vec<u8> = (0..500_000_u32).flat_map(|n| (n % 65_521).to_be_bytes()).take(600_000).collect();
    let mut framed = Vec::new();
    frame::write(&mut framed, &format!("{}/load/api/3", yard.owner.uid), 0, &result).unwrap();
    let text = String::from_utf8(framed).unwrap();
    let secret = json!({"metadata": {"name": "long"}, "stringData": {"text": text}});
    create::<Secret>(&yard.namespace, secret).await;
    let print = r#"while read -r line; do echo "$line"; done < /run/cutover/result"#;
    let mut request = yard.request(print, 1);
    let reference = SecretKeyReference { name: "long".to_owned(), key: "text".to_owned() };
    request.files = vec![("result".to_owned(), reference)];
    assert!(yard.run(request).await.unwrap() == [result], "every byte of it");
    yard.close().await;
}

#[tokio::test]
async fn a_pod_that_ends_well_without_its_whole_result_leaves_no_result_at_all() {
    let yard = Yard::open("cut").await;
    let cut = format!(r#"[ $JOB_COMPLETION_INDEX = 0 ] || {{ echo "${{FRAME_1%end*}}"; exit 0; }}; {PRINT}"#);
    let failure = yard.fails(yard.printing(&cut, &[vec![1; 9000], vec![2; 9000]])).await;
    assert!(matches!(
        failure,
        JobFailure::Unreadable { index: 1, fault: FrameFault::Mixed | FrameFault::Cut }
    ));
    yard.close().await;
}

#[tokio::test]
async fn a_pod_that_prints_the_result_of_another_index_is_not_believed() {
    let yard = Yard::open("other").await;
    let other = r#"printf '%s' "$FRAME_0""#;
    let failure = yard.fails(yard.printing(other, &[vec![1], vec![2]])).await;
    assert_eq!(failure, JobFailure::Unreadable { index: 1, fault: FrameFault::Mixed });
    yard.close().await;
}

#[tokio::test]
async fn a_pod_that_fails_ends_the_others_and_only_its_own_reason_is_told() {
    let yard = Yard::open("failed").await;
    let script = format!(
        r#"[ $JOB_COMPLETION_INDEX = 1 ] || {STAY}; echo "postgresql://u:canary@h/d"
        echo "cutover-result failed it was late by 3 s"; echo "postgresql://u:canary@h/d" >&2; exit 2"#
    );
    let failure = yard.fails(yard.request(&script, 3)).await;
    assert_eq!(failure.to_string(), "the pod of index 1 failed (exit code 2): it was late by 3 s");
    assert!(yard.is_empty().await, "nothing goes on when it is told");
    yard.close().await;
}

#[tokio::test]
async fn a_pod_that_uses_too_much_memory_is_told_as_such() {
    let yard = Yard::open("memory").await;
    let mut request = yard.request("x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done", 1);
    request.resources = Some(from(json!({"limits": {"memory": "16Mi"}})));
    assert_eq!(yard.fails(request).await, JobFailure::OutOfMemory { index: 0 });
    yard.close().await;
}

#[tokio::test]
async fn an_evicted_pod_leaves_no_result() {
    let yard = Yard::open("evicted").await;
    let run = yard.spawn(yard.request(STAY, 2));
    let pod = yard.running(2).await;
    yard.api::<Pod>().evict(&pod.name_any(), &EvictParams::default()).await.expect("an eviction");
    let failure = run.await.unwrap().expect_err("there is no result");
    assert!(
        matches!(&failure, JobFailure::Evicted { reason, .. } if reason == "EvictionByEvictionAPI"),
        "{failure}"
    );
    yard.close().await;
}

#[tokio::test]
async fn a_deleted_pod_leaves_no_result() {
    let yard = Yard::open("deleted").await;
    let run = yard.spawn(yard.request(STAY, 2));
    let pod = yard.running(2).await;
    yard.api::<Pod>().delete(&pod.name_any(), &DeleteParams::default()).await.expect("a deletion");
    let failure = run.await.unwrap().expect_err("there is no result");
    assert!(matches!(failure, JobFailure::PodDeleted { .. }), "{failure}");
    yard.close().await;
}

#[tokio::test]
async fn an_index_that_ran_twice_leaves_no_result() {
    let yard = Yard::open("twice").await;
    let run = yard.spawn(yard.request(STAY, 2));
    let mut twin = yard.running(2).await;
    twin.metadata.name = Some("twin".to_owned());
    twin.metadata.resource_version = None;
    twin.status = None;
    yard.api::<Pod>().create(&PostParams::default(), &twin).await.expect("another pod of the same index");
    let failure = run.await.unwrap().expect_err("there is no result");
    assert!(matches!(failure, JobFailure::IndexTwice { .. }), "{failure}");
    yard.close().await;
}

#[tokio::test]
async fn an_index_that_somebody_took_away_leaves_no_result() {
    let yard = Yard::open("fewer").await;
    let run = yard.spawn(yard.request(STAY, 2));
    yard.running(2).await;
    let fewer = Patch::Merge(json!({"spec": {"parallelism": 1, "completions": 1}}));
    let name = yard.job().await.name_any();
    yard.api::<Job>().patch(&name, &PatchParams::default(), &fewer).await.expect("an edit");
    let failure = run.await.unwrap().expect_err("there is no result");
    assert!(matches!(failure, JobFailure::Changed { completions: 1, of: 2 }), "{failure}");
    yard.close().await;
}

#[tokio::test]
async fn a_quota_for_pods_refuses_the_load_before_it_begins() {
    let yard = Yard::open("quota").await;
    yard.limit("few", json!({"pods": "1"})).await;
    let failure = yard.fails(yard.request(STAY, 3)).await;
    assert!(
        matches!(&failure, JobFailure::PodsRefused { message } if message.contains("exceeded quota: few"))
    );
    yard.close().await;
}

#[tokio::test]
async fn a_quota_for_jobs_refuses_the_load_in_the_words_of_the_api_server() {
    let yard = Yard::open("quota-jobs").await;
    yard.limit("none", json!({"count/jobs.batch": "0"})).await;
    let failure = yard.fails(yard.request(STAY, 1)).await;
    assert!(
        matches!(&failure, JobFailure::Refused { message, .. } if message.contains("exceeded quota: none"))
    );
    yard.close().await;
}

#[tokio::test]
async fn pods_meet_the_restricted_standard_and_those_that_do_not_are_refused() {
    let restricted = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let own_network = PodSettings { host_network: false, ..settings() };
    let yard = Yard::open_labelled("restricted", restricted.clone(), own_network).await;
    let run = yard.spawn(yard.request(STAY, 1));
    yard.until(1, |_| true).await;
    run.abort();
    yard.close().await;

    let yard = Yard::open_labelled("restricted-host", restricted, settings()).await;
    let failure = yard.fails(yard.request(STAY, 1)).await;
    assert!(
        matches!(&failure, JobFailure::PodsRefused { message } if message.contains("violates PodSecurity"))
    );
    yard.close().await;
}

#[tokio::test]
async fn a_pod_that_finds_no_node_leaves_no_result() {
    let yard = Yard::open("no-node").await;
    let mut request = yard.request(STAY, 1);
    request.resources = Some(from(json!({"requests": {"cpu": "1000"}})));
    let failure = yard.fails(request).await;
    assert!(
        matches!(&failure, JobFailure::Unschedulable { index: 0, message } if message.contains("Insufficient cpu")),
        "{failure}"
    );
    yard.close().await;
}

#[tokio::test]
async fn a_pod_whose_container_cannot_be_made_is_told_as_such() {
    let yard = Yard::open("no-secret").await;
    let mut request = yard.request(STAY, 1);
    let reference = SecretKeyReference { name: "absent".to_owned(), key: "uri".to_owned() };
    request.secret_env = vec![("CUTOVER_LEGACY_URI".to_owned(), reference)];
    let failure = yard.fails(request).await;
    assert!(
        matches!(&failure, JobFailure::Unstartable { reason, .. } if reason == "CreateContainerConfigError"),
        "{failure}"
    );
    yard.close().await;

    let image = PodSettings { image: "NOT:AN:IMAGE".to_owned(), ..settings() };
    let yard = Yard::open_labelled("no-image", json!({}), image).await;
    let failure = yard.fails(yard.request(STAY, 1)).await;
    assert!(
        matches!(&failure, JobFailure::Unstartable { reason, .. } if reason == "InvalidImageName"),
        "{failure}"
    );
    yard.close().await;
}

#[tokio::test]
async fn pods_that_take_too_long_are_ended_and_leave_no_result() {
    let yard = Yard::open("late").await;
    let mut request = yard.request(STAY, 2);
    request.deadline = Duration::from_secs(3);
    assert_eq!(yard.fails(request).await, JobFailure::Late { seconds: 3 });
    yard.close().await;
}

#[tokio::test]
async fn an_attempt_that_is_dropped_takes_its_job_and_its_pods_with_it() {
    let yard = Yard::open("dropped").await;
    let run = yard.spawn(yard.request(STAY, 2));
    yard.running(2).await;
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    yard.jobs.settle(PATIENCE).await;
    assert!(yard.is_empty().await, "it is deleted with its pods");

    // Dropped while its creation is on the way.
    let mut request = yard.request(STAY, 1);
    request.attempt.number = 4;
    let cut_short = yard.jobs.run_indexed(&yard.namespace, &request, &|_| {});
    let polled = tokio::time::timeout(Duration::from_millis(1), cut_short).await;
    assert!(polled.is_err());
    yard.close().await;
}

#[tokio::test]
async fn a_pod_that_ended_early_for_all_ends_the_others() {
    let yard = Yard::open("early").await;
    let script = format!("[ $JOB_COMPLETION_INDEX = 1 ] || {STAY}; {PRINT}");
    let mut request = yard.printing(&script, &[vec![1], b"legacy suffers".to_vec()]);
    (request.schedule, request.deadline) = (Duration::from_mins(10), Duration::from_mins(11));
    request.ends_all = |result| String::from_utf8(result.to_vec()).ok();
    let failure = yard.fails(request).await;
    assert_eq!(failure, JobFailure::EndedEarly { index: 1, why: "legacy suffers".to_owned() });
    assert!(yard.is_empty().await, "nothing goes on when it is told");
    yard.close().await;
}

#[tokio::test]
async fn the_next_attempt_waits_until_the_pods_of_the_last_are_gone() {
    let yard = Yard::open("next").await;
    let run = yard.spawn(yard.request(STAY, 1));
    let pod = yard.running(1).await.name_any();
    let hold = |finalizers: Vec<String>| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    let pods = yard.api::<Pod>();
    // Beside that of the Job controller, which counts the pod.
    let finalizers = pods.get(&pod).await.unwrap().finalizers().to_vec();
    let held = hold([finalizers, vec!["example.org/held".to_owned()]].concat());
    pods.patch(&pod, &PatchParams::default(), &held).await.expect("it is held");
    run.abort();
    yard.until(1, |pod| pod.metadata.deletion_timestamp.is_some()).await;

    let second = yard.spawn(yard.printing_in(4, PRINT, &[vec![7]]));
    let other = yard.spawn(JobRequest {
        attempt: AttemptId { scope: AttemptScope::SoakLoad("api".to_owned()), number: 4 },
        ..yard.request(STAY, 1)
    });
    // What is for something else does not wait: when it runs, the second would have, too.
    yard.running(1).await;
    let jobs = yard.api::<Job>().list(&ListParams::default()).await.unwrap().items.len();
    assert_eq!((jobs, yard.pods().await.len()), (2, 2), "the held one and the other load's");
    other.abort();
    pods.patch(&pod, &PatchParams::default(), &hold(Vec::new())).await.expect("it goes");
    assert_eq!(second.await.unwrap().unwrap(), [vec![7]]);
    yard.close().await;
}

#[tokio::test]
async fn a_load_of_ours_is_not_taken_for_an_application_that_still_uses_legacy() {
    let yard = Yard::open("unused").await;
    let secret = json!({"metadata": {"name": "old"}, "stringData": {"uri": "canary"}});
    create::<Secret>(&yard.namespace, secret).await;
    let mut request = yard.request(STAY, 1);
    let reference = SecretKeyReference { name: "old".to_owned(), key: "uri".to_owned() };
    request.secret_env = vec![("CUTOVER_LEGACY_URI".to_owned(), reference)];
    let run = yard.spawn(request);
    yard.running(1).await;
    let spec: DatabaseRolloutSpec = from(shop::spec(&[shop::stage("Deployment", "api")]));
    let reader = ClusterReader::new(yard.namespace.clone(), &spec, &spec.stages[0]);
    let references = reader.legacy_references().await.unwrap().unwrap();
    assert_eq!((references.looked_at, references.found), (2, Vec::new()), "the Job and its pod");
    run.abort();
    yard.close().await;
}

#[tokio::test]
async fn a_job_of_the_same_name_is_neither_taken_over_nor_touched() {
    let yard = Yard::open("foreign").await;
    let run = yard.spawn(yard.request(STAY, 1));
    yard.running(1).await;
    let own = yard.job().await;
    run.abort();
    yard.jobs.settle(PATIENCE).await;
    let labels = BTreeMap::from([("whose".to_owned(), "another".to_owned())]);
    let pod = json!({"restartPolicy": "Never", "hostNetwork": true,
        "containers": [{"name": "c", "image": "sh:dev", "args": ["-c", STAY]}]});
    let foreign =
        json!({"metadata": {"name": own.name_any(), "labels": labels}, "spec": {"template": {"spec": pod}}});
    let foreign: Job = create(&yard.namespace, foreign).await;
    let failure = yard.fails(yard.request(STAY, 1)).await;
    assert_eq!(failure, JobFailure::NameTaken { job: own.name_any() });
    yard.jobs.settle(PATIENCE).await;
    let after = yard.job().await;
    assert_eq!(after.uid(), foreign.uid());
    assert!(after.metadata.deletion_timestamp.is_none());
    let namespaces: Api<KubernetesNamespace> = Api::all(yard.namespace.client.clone());
    namespaces.delete(&yard.namespace.name, &DeleteParams::default()).await.expect("the namespace goes");
}

#[tokio::test]
async fn what_a_killed_operator_left_is_deleted_by_the_next_one_and_what_runs_is_not() {
    let yard = Yard::open("left").await;
    let run = yard.spawn(yard.request(STAY, 1));
    yard.running(1).await;
    let (client, namespaces) = (&yard.namespace.client, [yard.namespace.name.clone()]);
    yard.jobs.remove_leftovers(client, &namespaces).await;
    assert!(yard.job().await.metadata.deletion_timestamp.is_none(), "its attempt runs in this process");
    Jobs::new(None).remove_leftovers(client, &namespaces).await;
    let failure = run.await.unwrap().expect_err("there is no result");
    assert_eq!(failure, JobFailure::Deleted);
    yard.close().await;
}

#[tokio::test]
async fn the_job_goes_with_its_rollout() {
    let yard = Yard::open("owner").await;
    let run = yard.spawn(yard.request(STAY, 1));
    yard.running(1).await;
    yard.api::<ConfigMap>().delete("owner", &DeleteParams::default()).await.expect("a deletion");
    assert_eq!(run.await.unwrap().expect_err("there is no result"), JobFailure::Deleted);
    yard.close().await;
}

#[tokio::test]
async fn an_operator_that_does_not_know_its_image_says_what_to_set() {
    let yard = Yard::open("image").await;
    let outcome = Jobs::new(None).run_indexed(&yard.namespace, &yard.request(STAY, 1), &|_| {}).await;
    let told = outcome.unwrap_err().to_string();
    assert!(told.contains("--image or CUTOVER_IMAGE") && told.contains("load.parallelism to 1"), "{told}");
    yard.close().await;
}
