//! Every fault of a spec, all at once, and the timeline.

use proptest::prelude::*;

use super::{Fault, Plan, build, timeline};
use crate::api::{DatabaseRolloutSpec, OnFailure, Stage, StageRecord};

/// Three stages, `c` after `a` and `b`; the placeholders of a test replace what it is about.
fn spec() -> DatabaseRolloutSpec {
    let stage = |name: &str, after: &str| {
        format!(
            "- {{name: {name}, dependsOn: [{after}], onFailure: Hold, config: [{{secret: {name}, set: {{URL: {{value: x}}}}}}], \
             workloads: [{{kind: Deployment, name: {name}}}], soak: {{duration: 10s}}}}"
        )
    };
    let text = format!(
        "legacy: {{connection: {{secretRef: {{name: old, key: uri}}}}}}\n\
         candidate: {{connection: {{secretRef: {{name: new, key: uri}}}}}}\n\
         traffic: [{{name: t, statements: [{{sql: SELECT 1, weight: 1}}]}}]\n\
         stages:\n{}\n{}\n{}\n",
        stage("c", "a, b"),
        stage("a", ""),
        stage("b", "")
    );
    serde_saphyr::from_str(&text).expect("YAML")
}

fn plan(spec: &DatabaseRolloutSpec) -> Plan {
    build("shop", spec).expect("a plan")
}

fn faults(spec: &DatabaseRolloutSpec) -> Vec<Fault> {
    build("shop", spec).expect_err("faults")
}

fn reasons(spec: &DatabaseRolloutSpec) -> Vec<&'static str> {
    faults(spec).into_iter().map(|fault| fault.reason).collect()
}

fn stage<'a>(spec: &'a mut DatabaseRolloutSpec, name: &str) -> &'a mut Stage {
    spec.stages.iter_mut().find(|stage| stage.name == name).expect("a stage")
}

fn yaml<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_saphyr::from_str(text).expect("YAML")
}

#[test]
fn stages_come_after_those_they_depend_on_and_otherwise_in_the_specs_order() {
    let names: Vec<String> = plan(&spec()).stages.into_iter().map(|stage| stage.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn a_cycle_is_spelled_out() {
    let mut cyclic = spec();
    stage(&mut cyclic, "a").depends_on = vec!["c".into()];
    let found = faults(&cyclic);
    assert_eq!(found.len(), 1);
    assert!(found[0].message.contains("a -> c -> a"), "{}", found[0]);
    let mut own = spec();
    stage(&mut own, "b").depends_on = vec!["b".into()];
    assert!(faults(&own)[0].message.contains("b -> b"));
}

#[test]
fn every_fault_is_reported_at_once() {
    let mut bad = spec();
    stage(&mut bad, "a").depends_on = vec!["nobody".into()];
    stage(&mut bad, "b").on_failure = None;
    stage(&mut bad, "c").progress_deadline = "0s".into();
    bad.rollback_window = "soon".into();
    let mut found = reasons(&bad);
    found.sort_unstable();
    assert_eq!(found, ["InvalidDuration", "InvalidDuration", "OnFailureNotChosen", "UnknownStage"]);
}

#[test]
fn stages_side_by_side_must_not_set_one_key_differently() {
    let same_key = |value: &str| yaml(&format!("{{configMap: shared, set: {{POOL: {{value: '{value}'}}}}}}"));
    let mut parallel = spec();
    stage(&mut parallel, "a").config.push(same_key("1"));
    stage(&mut parallel, "b").config.push(same_key("2"));
    assert_eq!(reasons(&parallel), ["ConflictingKey"]);
    assert!(faults(&parallel)[0].message.contains("POOL of ConfigMap/shared"));
    stage(&mut parallel, "b").depends_on = vec!["a".into()];
    assert_eq!(plan(&parallel).stages.len(), 3, "in a row they may");
    let mut equal = spec();
    stage(&mut equal, "a").config.push(same_key("1"));
    stage(&mut equal, "b").config.push(same_key("1"));
    assert_eq!(plan(&equal).stages.len(), 3, "to the same value they may");
}

#[test]
fn stages_side_by_side_must_not_restart_one_workload() {
    let mut shared = spec();
    let workload = stage(&mut shared, "a").workloads[0].clone();
    stage(&mut shared, "b").workloads.push(workload);
    assert_eq!(reasons(&shared), ["SharedWorkload"]);
}

#[test]
fn a_stage_must_not_write_what_values_are_read_from() {
    for source in ["old", "new"] {
        let mut bad = spec();
        stage(&mut bad, "a").config =
            vec![yaml(&format!("{{secret: {source}, set: {{uri: {{value: x}}}}}}"))];
        assert_eq!(reasons(&bad), ["SourceIsTarget"], "{source}");
    }
}

#[test]
fn a_percentile_needs_samples_enough() {
    let load = |rate: i32, limit: &str| {
        yaml(&format!(
            "{{mode: Candidate, traffic: t, rate: {rate}, duration: 10s, connections: 1, maxErrorPercent: '10', maxLatency: {limit}}}"
        ))
    };
    let mut bad = spec();
    stage(&mut bad, "a").load = Some(load(106, "{p99: 10ms}"));
    assert_eq!(reasons(&bad), ["TooFewSamples"]);
    stage(&mut bad, "a").load = Some(load(107, "{p99: 10ms}"));
    assert!(build("shop", &bad).is_ok());
    let fixed = |rate: i32| {
        yaml(&format!(
            "{{mode: Candidate, arrivals: Fixed, traffic: t, rate: {rate}, duration: 10s, connections: 1, maxErrorPercent: '10', maxLatency: {{p99: 10ms}}}}"
        ))
    };
    stage(&mut bad, "a").load = Some(fixed(99));
    assert_eq!(reasons(&bad), ["TooFewSamples"]);
    stage(&mut bad, "a").load = Some(fixed(100));
    assert!(build("shop", &bad).is_ok(), "nothing is left to chance");
    stage(&mut bad, "a").load = Some(load(19, "{p50: 1ms, p95: 10ms}"));
    assert_eq!(reasons(&bad), ["TooFewSamples"], "p50 has enough, p95 has not");
    stage(&mut bad, "a").load = Some(yaml(
        "{mode: Candidate, traffic: t, rate: 150, duration: 10s, connections: 1, maxErrorPercent: '10', maxLatency: {p99: 10ms}, \
         shape: [{at: 0s, percent: 0}, {at: 10s, percent: 100}]}",
    ));
    assert_eq!(reasons(&bad), ["TooFewSamples"], "a ramp brings half of what its rate would");
    let duet = |rate: i32| {
        yaml(&format!(
            "{{traffic: t, rate: {rate}, duration: 60s, connections: 1, maxErrorPercent: '10', maxLatency: {{p99: 10ms}}}}"
        ))
    };
    stage(&mut bad, "a").load = Some(duet(35));
    assert_eq!(reasons(&bad), ["TooFewSamples"], "the candidate gets half of what is sent in a duet");
    stage(&mut bad, "a").load = Some(duet(36));
    assert!(build("shop", &bad).is_ok());
}

#[test]
fn more_answers_than_are_sent_can_not_be_asked_for() {
    let load = |mode: &str, least: i32| {
        yaml(&format!(
            "{{mode: {mode}, traffic: t, rate: 400, duration: 60s, connections: 1, maxLatency: {{p95: 1s}}, minThroughput: {least}}}"
        ))
    };
    let mut bad = spec();
    for (mode, most) in [("Duet", 199), ("Candidate", 399)] {
        stage(&mut bad, "a").load = Some(load(mode, most));
        assert!(build("shop", &bad).is_ok(), "{mode}");
        stage(&mut bad, "a").load = Some(load(mode, most + 1));
        assert_eq!(reasons(&bad), ["ThroughputOutOfReach"], "{mode}");
    }
    let told = faults(&bad).remove(0).message;
    assert!(
        told.contains("load.minThroughput of 400/s is no less than the candidate is sent, 400.0/s;"),
        "{told}"
    );
}

#[test]
fn a_load_that_no_process_can_keep_is_refused_before_anything_is_asked() {
    let load = |fields: &str| {
        yaml(&format!("{{mode: Candidate, traffic: t, connections: 10, maxLatency: {{p95: 1s}}, {fields}}}"))
    };
    let mut bad = spec();
    for (fields, expected) in [
        ("rate: 20000, duration: 16m", None),
        ("rate: 20000, duration: 1h", Some("72000000 calls are more than")),
        ("rate: 2000, duration: 10m, parallelism: 2", None),
        ("rate: 5000, duration: 10m, parallelism: 2", Some("each of 2 pods might have")),
        ("rate: 5000, duration: 10m, parallelism: 4", None),
    ] {
        stage(&mut bad, "a").load = Some(load(fields));
        match expected {
            None => assert!(build("shop", &bad).is_ok(), "{fields}"),
            Some(told) => {
                assert_eq!(reasons(&bad), ["LoadTooLarge"], "{fields}");
                assert!(faults(&bad).remove(0).message.contains(told), "{fields}");
            }
        }
    }
}

#[test]
fn a_candidate_alone_needs_a_limit_of_its_latency() {
    let load = |fields: &str| {
        yaml(&format!("{{traffic: t, rate: 400, duration: 10s, connections: 1, mode: Candidate, {fields}}}"))
    };
    for none in ["", "maxLatency: {}", "minThroughput: 1", "maxErrorPercent: '0'"] {
        let mut open = spec();
        stage(&mut open, "a").load = Some(load(none));
        assert_eq!(reasons(&open), ["NoLatencyLimit"], "{none}");
        let told = faults(&open).remove(0).message;
        assert!(told.contains("stage a: load ") && told.contains("maxLatency.p95 or p99"), "{told}");
        assert!(told.contains("mode: Duet"), "{told}");
        let mut soaking = spec();
        stage(&mut soaking, "b").soak.as_mut().expect("a soak").load = Some(load(none));
        assert_eq!(reasons(&soaking), ["NoLatencyLimit"], "{none}");
        assert!(faults(&soaking)[0].message.contains("stage b: soak.load "));
    }
    for limit in ["p50: 10ms", "p95: 10ms", "p99: 10ms"] {
        let mut limited = spec();
        stage(&mut limited, "a").load = Some(load(&format!("maxLatency: {{{limit}}}")));
        assert_eq!(plan(&limited).stages.len(), 3, "{limit}");
    }
    let mut compared = spec();
    stage(&mut compared, "a").load = Some(yaml("{traffic: t, rate: 300, duration: 60s, connections: 1}"));
    assert_eq!(plan(&compared).stages.len(), 3, "a duet holds the candidate against legacy");
}

#[test]
fn a_limit_of_failures_needs_calls_enough() {
    let load = |rate: i32, fields: &str| {
        yaml(&format!(
            "{{traffic: t, rate: {rate}, duration: 60s, connections: 1, maxLatency: {{p50: 1s}}, {fields}}}"
        ))
    };
    for (fields, enough) in [
        ("mode: Candidate", 52),
        ("mode: Candidate, maxErrorPercent: '1'", 6),
        ("mode: Candidate, maxErrorPercent: '0'", 1),
        ("mode: Duet", 104),
        ("mode: Duet, maxErrorPercent: '0.3'", 36),
    ] {
        let mut spec = spec();
        stage(&mut spec, "a").load = Some(load(enough, fields));
        assert_eq!(plan(&spec).stages.len(), 3, "{fields}");
        if enough > 1 {
            stage(&mut spec, "a").load = Some(load(enough - 1, fields));
            assert_eq!(reasons(&spec), ["TooFewSamples"], "{fields}");
            let told = faults(&spec).remove(0).message;
            assert!(told.contains("maxErrorPercent") && told.contains("raise rate or duration"), "{told}");
        }
    }
    let mut measured = spec();
    measured.baseline = Some(yaml("{traffic: t, rate: 1, duration: 1s, connections: 1}"));
    assert!(build("shop", &measured).is_ok(), "a baseline decides nothing");
}

#[test]
fn traffic_and_prerequisites_must_make_sense() {
    let mut bad = spec();
    bad.baseline = Some(yaml("{traffic: none, rate: 1, duration: 1s, connections: 1}"));
    bad.prerequisites = vec![yaml("{name: self, rollout: {name: shop}}")];
    let mut found = reasons(&bad);
    found.sort_unstable();
    assert_eq!(found, ["OwnPrerequisite", "UnknownTraffic"]);
}

#[test]
fn traffic_that_can_not_be_understood_is_a_fault() {
    let mut bad = spec();
    bad.traffic
        .push(yaml("{name: s, scripts: [{name: x, weight: 1, script: \"SELECT 1;\\n\\\\shell ls\"}]}"));
    bad.baseline = Some(yaml(
        "{traffic: t, rate: 1, duration: 1s, connections: 1, shape: [{at: 2s, percent: 1}, {at: 1s, percent: 1}]}",
    ));
    assert_eq!(reasons(&bad), ["InvalidTraffic", "InvalidShape"]);
    let faults = build("shop", &bad).unwrap_err();
    assert!(
        faults[0].message.contains("traffic s: script \"x\"")
            && faults[0].message.contains("line 2: \\shell")
    );
}

#[test]
fn commands_do_not_change_the_fingerprint_and_everything_else_does() {
    let base = plan(&spec()).fingerprint;
    let mut commanded = spec();
    commanded.paused = true;
    commanded.retry = "x".into();
    commanded.approved_stages = vec!["a".into()];
    commanded.active_config = crate::api::ActiveConfig::Legacy;
    assert_eq!(plan(&commanded).fingerprint, base);
    let mut changed = spec();
    stage(&mut changed, "a").on_failure = Some(OnFailure::Rollback);
    assert_ne!(plan(&changed).fingerprint, base);
}

#[test]
fn the_timeline_follows_the_longest_chain() {
    let mut long = spec();
    stage(&mut long, "b").soak = Some(yaml("{duration: 1m}"));
    let told = timeline(&plan(&long), &[]);
    assert_eq!(told.critical_path, ["b", "c"]);
    assert_eq!((told.expected_seconds, told.total_work_seconds), (70, 80));
    let measured: StageRecord =
        yaml("{name: b, startedAt: '2026-01-01T00:00:00.000000Z', doneAt: '2026-01-01T00:00:05.000000Z'}");
    let told = timeline(&plan(&long), &[measured]);
    assert_eq!((told.critical_path, told.expected_seconds), (vec!["a".to_owned(), "c".into()], 20));
}

proptest! {
    /// P11: whatever the dependencies, there is an order or there are faults, and the order is one.
    #[test]
    fn an_order_is_an_order(edges in prop::collection::vec((0..6_usize, 0..6_usize), 0..20)) {
        let mut random = spec();
        let template = random.stages[1].clone();
        random.stages = (0..6).map(|i| {
            let mut stage = Stage { name: format!("s{i}"), ..template.clone() };
            stage.config[0].secret = Some(format!("s{i}"));
            stage.workloads[0].name = format!("s{i}");
            stage
        }).collect();
        for (from, to) in edges {
            random.stages[from].depends_on.push(format!("s{to}"));
        }
        match build("shop", &random) {
            Ok(plan) => {
                prop_assert_eq!(plan.stages.len(), 6);
                for (index, stage) in plan.stages.iter().enumerate() {
                    let before = |name: &String| plan.stages[..index].iter().any(|other| other.name == *name);
                    prop_assert!(stage.depends_on.iter().all(before));
                }
            }
            Err(faults) => prop_assert!(faults.iter().any(|fault| fault.reason == "CyclicStages")),
        }
    }
}
