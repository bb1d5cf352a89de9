//! What is in a Job's name and what a Job cannot hold.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::*;
use crate::engine::{AttemptId, AttemptScope};

fn request(rollout: &str, uid: &str, scope: AttemptScope, number: i64) -> JobRequest {
    JobRequest {
        rollout: rollout.to_owned(),
        rollout_uid: uid.to_owned(),
        owner: OwnerReference::default(),
        attempt: AttemptId { scope, number },
        args: vec!["load-worker".to_owned()],
        env: Vec::new(),
        secret_env: Vec::new(),
        files: Vec::new(),
        parallelism: 2,
        resources: None,
        schedule: Duration::ZERO,
        ends_all: |_| None,
        deadline: Duration::from_secs(60),
    }
}

fn stage(name: &str) -> AttemptScope {
    AttemptScope::Load(name.to_owned())
}

#[test]
fn names_are_host_names_and_of_one_attempt_alone() {
    let long = "a.very-long.name-of-a-rollout".repeat(8);
    let all = [
        request("shop", "u", stage("api"), 1),
        request("shop", "u", stage("api"), 11),
        request("shop", "u", stage("baseline"), 1),
        request("shop", "u", AttemptScope::Baseline, 1),
        request("shop", "v", AttemptScope::Baseline, 1),
        request("shop-load-a", "u", stage("b"), 1),
        request("shop", "u", stage("a-load-b"), 1),
        request(&long, "u", stage(&"s".repeat(63)), i64::from(i32::MAX)),
    ];
    let mut names: Vec<String> = all.iter().map(JobRequest::job_name).collect();
    for name in &names {
        assert!(name.len() + "-63".len() <= 63, "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
    }
    assert!(names[0].starts_with("shop-load-api-1-"));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all.len());
}

#[test]
fn what_does_not_fit_into_an_environment_is_refused_with_the_fix() {
    let settings = PodSettings { image: "cutover".to_owned(), ..PodSettings::default() };
    let mut big = request("shop", "u", stage("api"), 1);
    big.env = vec![("CUTOVER_LOAD_SHARD".to_owned(), "x".repeat(VARIABLE_MAX_BYTES))];
    let told = big.object(&settings, Timestamp::MIN).unwrap_err().to_string();
    assert!(told.contains("CUTOVER_LOAD_SHARD is longer than 128 KiB; use fewer"), "{told}");
    big.env = Vec::new();
    big.parallelism = 0;
    assert!(big.object(&settings, Timestamp::MIN).is_err());
}
