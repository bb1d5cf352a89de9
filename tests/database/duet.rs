//! Legacy and candidate under one schedule: the books of both, what makes the candidate fail, and what must not.

use std::time::Duration;

use cutover::{
    api::{Access, ArrivalProcess, ChoiceParameter, Parameter, Statement, Verdict},
    load::{
        self, Guard, LatencyLimitsUs, LoadOutcome, LoadProgress, LoadSpec, Share, Targets, report::Arm, shard,
    },
};
use tokio::sync::watch;

use crate::{
    fake,
    load::{int, spec, statement},
    postgres::{Database, Server, assert_shows_no_secret},
};

/// Two databases of the shared server, each with a function that takes a millisecond.
struct Duet {
    legacy: Database<'static>,
    candidate: Database<'static>,
}

impl Duet {
    async fn new() -> Self {
        let duet =
            Self { legacy: Server::shared().database().await, candidate: Server::shared().database().await };
        for database in [&duet.legacy, &duet.candidate] {
            answer(database, "PERFORM pg_sleep(0.001)").await;
        }
        duet
    }

    fn targets(&self) -> Targets {
        let [legacy, candidate] = [&self.legacy, &self.candidate].map(|side| Box::new(side.target()));
        Targets::Duet { legacy, candidate }
    }

    async fn run(&self, spec: &LoadSpec) -> LoadOutcome {
        self.run_and(spec, u64::MAX, async {}).await
    }

    /// Runs the load, and does something else once so many statements were answered since the end of the warm-up.
    async fn run_and(&self, spec: &LoadSpec, answers: u64, other: impl Future<Output = ()>) -> LoadOutcome {
        let (progress, mut told) = watch::channel(LoadProgress::default());
        let other = async {
            if told.wait_for(|progress| progress.ok >= answers).await.is_ok() {
                other.await;
            }
        };
        let targets = self.targets();
        let (outcome, ()) = tokio::join!(load::run(spec, &targets, progress), other);
        assert_shows_no_secret(&outcome);
        for (_, arm) in sides(&outcome) {
            let Arm { scheduled, ok, errors, timeouts, skipped, .. } = arm;
            assert_eq!(*scheduled, ok + errors + timeouts + skipped, "{outcome:?}");
        }
        outcome
    }
}

fn sides(outcome: &LoadOutcome) -> Vec<(&'static str, &Arm)> {
    let arms = &outcome.report.arms;
    let named = [("legacy", arms.legacy.as_ref()), ("candidate", arms.candidate.as_ref())];
    named.into_iter().filter_map(|(name, arm)| Some((name, arm?))).collect()
}

/// What the function of a database does from now on.
async fn answer(database: &Database<'_>, body: &str) {
    let function = format!(
        "CREATE OR REPLACE FUNCTION public.answer(number int) RETURNS int LANGUAGE plpgsql AS \
         $$ BEGIN {body}; RETURN number; END $$"
    );
    database.execute(&function).await;
}

const FAILS_OFTEN: &str = "IF number % 3 = 0 THEN RAISE 'no'; END IF";

fn calls() -> Vec<Statement> {
    vec![statement("SELECT public.answer($1)", 1, vec![int(1, 1_000, cutover::api::Skew::Uniform)])]
}

/// At an even pace: what is asserted here is not the luck of the draw.
fn reads(seconds: u64) -> LoadSpec {
    let spec = spec(Access::ReadOnly, calls());
    LoadSpec {
        rate: 100,
        course: cutover::load::Course::new(&[], ArrivalProcess::Fixed).unwrap(),
        duration: Duration::from_secs(seconds),
        ..spec
    }
}

#[track_caller]
fn assert_told(outcome: &LoadOutcome, verdict: Verdict, parts: &[&str]) {
    let message = &outcome.report.message;
    assert_eq!(outcome.report.verdict, verdict, "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_answer_one_schedule_in_either_order_and_nothing_is_lost() {
    let duet = Duet::new().await;
    let outcome = duet.run(&reads(4)).await;
    assert_told(&outcome, Verdict::Inconclusive, &["can't pass in less than 60 s, and this one took 4 s"]);
    let sides = sides(&outcome);
    let scheduled: u64 = sides.iter().map(|(_, arm)| arm.scheduled).sum();
    assert_eq!((sides.len(), scheduled), (2, 400));
    for (name, arm) in &sides {
        // The warm-up has an even number of arrivals, too.
        assert!(arm.ok == arm.scheduled && arm.ok == 200, "{name}: {arm:?}");
        assert_eq!(arm.seconds.iter().map(|second| second.ok).sum::<u64>(), arm.ok, "{name}");
        assert!(
            arm.latency.p50_us.unwrap() > 1_000 && arm.server_version.starts_with('1'),
            "{name}: {arm:?}"
        );
    }
    let committed =
        outcome.report.counters.iter().find(|c| c.name == "pg_stat_database.xact_commit").unwrap();
    assert!(committed.legacy.unwrap() > 150.0 && committed.candidate.unwrap() > 150.0, "{committed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_are_asked_the_same() {
    let duet = Duet::new().await;
    for side in [&duet.legacy, &duet.candidate] {
        answer(side, FAILS_OFTEN).await;
    }
    // Which calls fail depends on nothing but what was asked.
    let failed = async |seed| {
        let outcome = duet.run(&LoadSpec { seed, ..reads(4) }).await;
        let failed: Vec<_> = sides(&outcome).iter().map(|(_, arm)| arm.errors).collect();
        assert!(failed[0] == failed[1] && (30..100).contains(&failed[0]), "{outcome:?}");
        failed[0]
    };
    let (one, again, another) = (failed(1).await, failed(1).await, failed(2).await);
    assert!(one == again && one != another, "{one} {again} {another}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_becomes_much_slower_fails_long_before_the_end() {
    let duet = Duet::new().await;
    let slower = answer(&duet.candidate, "PERFORM pg_sleep(0.06)");
    let outcome = duet.run_and(&LoadSpec { connections: 8, ..reads(120) }, 1_500, slower).await;
    assert_told(&outcome, Verdict::Fail, &["gross fault: p50 of the candidate was"]);
    assert!(outcome.report.duration_s < 100.0, "{}", outcome.report.duration_s);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_begins_to_fail_fails_long_before_the_end() {
    let duet = Duet::new().await;
    let outcome = duet.run_and(&reads(120), 300, answer(&duet.candidate, FAILS_OFTEN)).await;
    assert_told(&outcome, Verdict::Fail, &["gross fault", "calls of the last", "failed"]);
    assert!(outcome.report.duration_s < 100.0, "{}", outcome.report.duration_s);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_alone_that_begins_to_fail_is_not_loaded_to_the_end() {
    let duet = Duet::new().await;
    let spec = LoadSpec { is_baseline: false, ..reads(120) };
    let (progress, mut told) = watch::channel(LoadProgress::default());
    let failing = async {
        told.wait_for(|progress| progress.scheduled >= 300).await.unwrap();
        answer(&duet.candidate, FAILS_OFTEN).await;
    };
    let targets = Targets::Candidate(duet.candidate.target());
    let (outcome, ()) = tokio::join!(load::run(&spec, &targets, progress), failing);
    assert_told(&outcome, Verdict::Fail, &["gross fault", "calls of the last", "failed"]);
    assert!(outcome.report.duration_s < 100.0, "{}", outcome.report.duration_s);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_fail_alike_is_told_as_the_traffics_fault() {
    let duet = Duet::new().await;
    let no_number = Parameter {
        choice: Some(ChoiceParameter { values: vec!["no number".to_owned()] }),
        ..Parameter::default()
    };
    let statements = vec![statement("SELECT $1::int", 1, vec![no_number]), statement("SELECT 1", 24, vec![])];
    let traffic = spec(Access::ReadOnly, statements).traffic;
    let spec = LoadSpec { traffic, ..reads(6) };
    let outcome = duet.run(&spec).await;
    assert_told(&outcome, Verdict::Inconclusive, &["legacy, too: ", "above 1 %", "mend the traffic"]);
    for (name, arm) in sides(&outcome) {
        assert!(arm.error_classes.iter().any(|class| class.starts_with("22P02")), "{name}: {arm:?}");
    }
    // That is no excuse for what is too slow.
    let max_latency = LatencyLimitsUs { p50: Some(1), ..LatencyLimitsUs::default() };
    let outcome = duet.run(&LoadSpec { max_latency, ..spec }).await;
    assert_told(&outcome, Verdict::Fail, &["beyond the absolute limits", "above 1 %", "p50"]);
}

/// One of two processes that carry a duet out.
async fn half(duet: &Duet, spec: LoadSpec) -> Vec<u8> {
    let spec = LoadSpec { share: Share { index: 1, count: 2 }, ..spec };
    let targets =
        Targets::Duet { legacy: duet.legacy.target().into(), candidate: duet.candidate.target().into() };
    shard::run_share(&spec, &targets, &mut |_| {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_duet_ends_where_the_candidate_plainly_fails_and_the_others_find_that_themselves() {
    let duet = Duet::new().await;
    answer(&duet.candidate, FAILS_OFTEN).await;
    for (warm_up, kind) in [(1, "Plain"), (60, "WarmUp")] {
        let warm_up = Duration::from_secs(warm_up);
        let part = half(&duet, LoadSpec { rate: 200, warm_up, ..reads(120) }).await;
        let told: serde_json::Value = serde_json::from_slice(&part).unwrap();
        let fault = told["taken"]["stop"][kind].as_str().unwrap_or_default();
        assert!(fault.starts_with("gross fault: "), "{kind}: {}", told["taken"]["stop"]);
        assert_eq!(shard::ends_all(&part), None, "one part alone is no verdict");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_ended_for_the_applications_sake_ends_the_others() {
    let duet = Duet::new().await;
    answer(&duet.legacy, "PERFORM pg_sleep(0.05)").await;
    let guard = Guard { free_connections: 5, legacy_p95: Some(Duration::from_millis(20)) };
    let part = half(&duet, LoadSpec { guard, connections: 8, rate: 200, ..reads(120) }).await;
    let why = shard::ends_all(&part).expect("no other part changes that");
    assert!(why.contains("to leave the servers to the application: legacy's p95 was above 20.0ms"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_alone_that_has_the_application_by_then_is_looked_after_like_legacy() {
    let duet = Duet::new().await;
    answer(&duet.candidate, "PERFORM pg_sleep(0.05)").await;
    let guard = Guard { free_connections: 5, legacy_p95: Some(Duration::from_millis(20)) };
    let spec = |application_on, seconds| LoadSpec {
        guard,
        application_on,
        connections: 8,
        rate: 50,
        ..reads(seconds)
    };
    let run = async |spec: &LoadSpec| {
        let targets = Targets::Candidate(duet.candidate.target());
        load::run(spec, &targets, watch::channel(LoadProgress::default()).0).await
    };
    let ended = run(&spec(load::Arm::Candidate, 120)).await;
    assert_told(&ended, Verdict::Inconclusive, &["candidate's p95 was above 20.0ms (guard.legacyP95)"]);
    let max_latency = LatencyLimitsUs { p50: Some(30_000), ..LatencyLimitsUs::default() };
    let limited = LoadSpec { max_latency, ..spec(load::Arm::Candidate, 120) };
    let broken = run(&limited).await;
    assert_told(&broken, Verdict::Fail, &["candidate's p95 was above 20.0ms", "is above 30.0 ms"]);
    let before = run(&spec(load::Arm::Legacy, 8)).await;
    assert_eq!(before.report.verdict, Verdict::Pass, "nobody is on it yet: {}", before.report.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_fails_in_the_warm_up_is_not_warmed_up_any_further() {
    let duet = Duet::new().await;
    answer(&duet.candidate, FAILS_OFTEN).await;
    let outcome = duet.run(&LoadSpec { warm_up: Duration::from_secs(60), ..reads(120) }).await;
    assert_told(&outcome, Verdict::Fail, &["in the warm-up already: gross fault"]);
    assert!(sides(&outcome).iter().all(|(_, arm)| arm.scheduled == 0), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_does_not_answer_any_more_fails_and_is_not_waited_for() {
    let mut duet = Duet::new().await;
    let (freeze, frozen) = watch::channel(false);
    let (host, port) = (duet.candidate.host.clone(), duet.candidate.port);
    let relay = fake::freezable_relay("127.0.0.1", (host, port), frozen).await;
    (duet.candidate.host, duet.candidate.port) = (relay.ip().to_string(), relay.port());
    // Longer than the whole load: nothing times out.
    let spec = LoadSpec { statement_timeout: Duration::from_mins(10), ..reads(120) };
    let outcome = duet
        .run_and(&spec, 200, async {
            freeze.send_replace(true);
        })
        .await;
    assert_told(&outcome, Verdict::Fail, &["most of what was due had no answer for 5 s"]);
    let candidate = outcome.report.arms.candidate.as_ref().unwrap();
    assert!(
        candidate.error_classes.iter().any(|class| class.starts_with("no answer when the load was ended"))
    );
    let not_waited_for = "candidate: the server's counters could not be read as soon as the load had failed";
    assert!(outcome.report.notes.iter().any(|note| note == not_waited_for), "{:?}", outcome.report.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_class_has_figures_of_its_own_on_both_sides() {
    let duet = Duet::new().await;
    let named =
        |name: &str, sql, weight| Statement { name: Some(name.to_owned()), ..statement(sql, weight, vec![]) };
    let classes =
        vec![named("plain", "SELECT pg_sleep(0.002)", 3), named("lookup", "SELECT public.answer(1)", 1)];
    answer(&duet.candidate, "PERFORM pg_sleep(0.05)").await;
    let traffic = spec(Access::ReadOnly, classes).traffic;
    let outcome = duet.run(&LoadSpec { traffic, connections: 8, ..reads(6) }).await;
    let figures = |class: usize| {
        let class = &outcome.report.classes[class];
        (class.name.as_str(), class.legacy.unwrap(), class.candidate.unwrap())
    };
    let (plain, lookup) = (figures(0), figures(1));
    assert_eq!((plain.0, lookup.0), ("plain", "lookup"));
    assert!(lookup.1.ok > 30 && lookup.2.ok > 30 && plain.1.ok > lookup.1.ok, "{plain:?} {lookup:?}");
    // No statement of the one class may be among the other's: none of them took less, whatever the machine does.
    assert!(lookup.2.latency.p50_us.unwrap() >= 50_000 && plain.2.latency.p50_us.unwrap() >= 2_000);
    assert!(lookup.1.latency.p50_us < lookup.2.latency.p50_us, "{lookup:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_legacy_does_wrong_is_not_held_against_the_candidate() {
    let duet = Duet::new().await;
    answer(&duet.legacy, "RAISE 'no'").await;
    let outcome = duet.run(&reads(120)).await;
    assert_told(&outcome, Verdict::Inconclusive, &["more than half of legacy's statements failed"]);
    // Whichever of both has failed often enough first.
    answer(&duet.candidate, "RAISE 'no'").await;
    for seed in 1..=3 {
        let outcome = duet.run(&LoadSpec { rate: 400, seed, ..reads(120) }).await;
        assert_told(&outcome, Verdict::Inconclusive, &["more than half of legacy's statements failed"]);
    }
    duet.legacy.execute("DROP FUNCTION public.answer(int)").await;
    let outcome = duet.run(&reads(120)).await;
    assert_told(&outcome, Verdict::Error, &["legacy: statement 1 of the traffic model can't be prepared"]);
    duet.candidate.execute("DROP FUNCTION public.answer(int)").await;
    let candidate = Targets::Candidate(duet.candidate.target());
    let outcome = load::run(&reads(120), &candidate, watch::channel(LoadProgress::default()).0).await;
    assert_told(&outcome, Verdict::Fail, &["statement 1 of the traffic model can't be prepared"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_writes_reaches_legacy_only_where_the_spec_allows_it() {
    let duet = Duet::new().await;
    for database in [&duet.legacy, &duet.candidate] {
        let name = &database.name;
        database.execute(&format!("CREATE TABLE log (n int); ALTER TABLE log OWNER TO {name}")).await;
    }
    let writes =
        vec![statement("INSERT INTO log VALUES ($1)", 1, vec![int(1, 9, cutover::api::Skew::Uniform)])];
    let traffic = spec(Access::ReadWrite, writes).traffic;
    let refused = LoadSpec { traffic: traffic.clone(), ..reads(2) };
    let outcome = duet.run(&refused).await;
    assert_told(&outcome, Verdict::Error, &["the traffic writes (statement 1)", "legacyAccess: ReadWrite"]);
    let count = "SELECT count(*) FROM log";
    assert_eq!(crate::sql::number(duet.legacy.target(), count).await, 0);
    let allowed = LoadSpec { traffic, legacy_access: Access::ReadWrite, ..reads(2) };
    let outcome = duet.run(&allowed).await;
    for (database, (name, arm)) in [&duet.legacy, &duet.candidate].into_iter().zip(sides(&outcome)) {
        let written = u64::try_from(crate::sql::number(database.target(), count).await).unwrap();
        assert!(arm.ok > 50 && written > arm.ok, "{name}: the warm-up wrote, too: {written} of {arm:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_switches_reading_only_off_opens_no_way_to_write() {
    let duet = Duet::new().await;
    let switch = "PERFORM set_config('default_transaction_read_only', 'off', false), \
                  set_config('transaction_read_only', 'off', false)";
    for database in [&duet.legacy, &duet.candidate] {
        let name = &database.name;
        database.execute(&format!("CREATE TABLE log (n int); ALTER TABLE log OWNER TO {name}")).await;
        answer(
            database,
            &format!("IF number % 2 = 0 THEN {switch}; ELSE INSERT INTO log VALUES (1); END IF"),
        )
        .await;
    }
    let outcome = duet.run(&LoadSpec { statement_timeout: Duration::from_secs(2), ..reads(3) }).await;
    for (database, (name, arm)) in [&duet.legacy, &duet.candidate].into_iter().zip(sides(&outcome)) {
        assert!(arm.errors > 20 && arm.ok == 0, "{name}: {arm:?}");
        assert!(arm.error_classes.iter().any(|class| class.starts_with("25006")), "{name}: {arm:?}");
        assert_eq!(crate::sql::number(database.target(), "SELECT count(*) FROM log").await, 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_that_suffers_ends_the_load_without_a_verdict() {
    let duet = Duet::new().await;
    let guard = Guard { free_connections: 5, legacy_p95: Some(Duration::from_millis(20)) };
    let spec = LoadSpec { guard, ..reads(120) };
    let outcome = duet.run_and(&spec, 200, answer(&duet.legacy, "PERFORM pg_sleep(0.05)")).await;
    assert_told(&outcome, Verdict::Inconclusive, &["legacy's p95 was above", "guard.legacyP95"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_would_take_the_last_connections_does_not_begin() {
    let duet = Duet::new().await;
    let spec = LoadSpec { connections: 400, ..reads(120) };
    let outcome = duet.run(&spec).await;
    assert!(matches!(outcome.report.verdict, Verdict::Error | Verdict::Inconclusive), "{outcome:?}");
    assert!(outcome.report.message.contains("freeConnections"), "{}", outcome.report.message);
    assert!(sides(&outcome).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_stops_answering_in_the_warm_up_fails_before_its_end() {
    let duet = Duet::new().await;
    answer(&duet.candidate, "PERFORM pg_sleep(60)").await;
    let spec = LoadSpec {
        warm_up: Duration::from_secs(60),
        statement_timeout: Duration::from_secs(30),
        ..reads(60)
    };
    let outcome = duet.run(&spec).await;
    assert_told(&outcome, Verdict::Fail, &["in the warm-up already, the server fell behind: "]);
    assert_eq!(outcome.report.arms.candidate.unwrap().scheduled, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_that_suffers_from_its_baseline_ends_that_too() {
    let duet = Duet::new().await;
    let (progress, mut told) = watch::channel(LoadProgress::default());
    // Slower than the least bound, and not so slow that four connections could not keep up.
    let (spec, targets) = (LoadSpec { rate: 20, ..reads(120) }, Targets::Legacy(duet.legacy.target()));
    let suffers = async {
        told.wait_for(|progress| progress.ok >= 80).await.unwrap();
        answer(&duet.legacy, "PERFORM pg_sleep(0.15)").await;
    };
    let (outcome, ()) = tokio::join!(load::run(&spec, &targets, progress), suffers);
    assert_told(
        &outcome,
        Verdict::Inconclusive,
        &["to leave the servers to the application", "legacy's p95 was above"],
    );
}
