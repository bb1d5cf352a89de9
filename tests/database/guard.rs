//! The guards of a load: what servers can spare before it, and what ends it.

use std::time::Duration;

use cutover::{
    api::{Access, LoadResult, Parameter, SampleParameter, Verdict, Via},
    load::{
        Guard, Targets,
        guard::{GuardError, GuardStop, Scope, TooFew, Watch, Worst},
    },
    postgres::Session,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    counters::session,
    fake,
    load::{assert_verdict, candidate, run, spec, statement, stocked},
    postgres::{Database, Server, assert_shows_no_secret},
};

const GUARD: Guard = Guard { free_connections: 5, legacy_p95: None };
/// Several looks of the guard.
const A_WHILE: Duration = Duration::from_millis(3_500);

/// A database whose role may have so many connections: what other tests have open does not count.
async fn limited(connections: u32) -> Database<'static> {
    let database = Server::shared().database().await;
    database.execute(&format!("ALTER ROLE {} CONNECTION LIMIT {connections}", database.name)).await;
    database
}

async fn open(targets: &Targets) -> Watch {
    Watch::open(targets, &GUARD).await.unwrap()
}

async fn watching(database: &Database<'_>) -> JoinHandle<GuardStop> {
    tokio::spawn(open(&Targets::Legacy(database.target())).await.watch())
}

async fn sessions(database: &Database<'_>, count: usize) -> Vec<Session> {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(session(database).await);
    }
    held
}

/// The process that serves the watching connection, 0 if there is none.
async fn watcher(held: &Session) -> i32 {
    let question = "SELECT coalesce(max(pid), 0) FROM pg_stat_activity \
        WHERE application_name = 'cutover/load guard' AND usename = session_user";
    held.client().query_one(question, &[]).await.unwrap().get(0)
}

async fn stopped(mut watching: JoinHandle<GuardStop>) -> GuardStop {
    let stop = timeout(Duration::from_secs(60), &mut watching).await.expect("it stops").unwrap();
    assert_shows_no_secret(&stop);
    assert_shows_no_secret(&stop.to_string());
    stop
}

fn too_few(error: GuardError) -> TooFew {
    match error {
        GuardError::TooFew(too_few) => too_few,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_begins_only_where_the_applications_connections_stay_free() {
    let database = limited(20).await;
    let held = sessions(&database, 4).await;
    let watch = open(&candidate(&database.target())).await;
    assert_eq!(watch.admit(10).await, Ok(()));
    let refused = watch.admit(11).await.unwrap_err();
    assert_eq!(refused.verdict(), Verdict::Inconclusive, "without the application it would fit");
    let refused = too_few(refused);
    assert_eq!((refused.scope, refused.free, refused.needed, refused.least), (Scope::Role, 15, 11, 5));
    assert!(refused.to_string().ends_with("lower connections to at most 10"), "{refused}");
    let refused = watch.admit(15).await.unwrap_err();
    assert_eq!(refused.verdict(), Verdict::Error, "it never fits");
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_databases_limit_counts_as_the_roles_does() {
    let database = Server::shared().database().await;
    let limit = format!("ALTER DATABASE {} CONNECTION LIMIT 10", database.name);
    Server::shared().execute("postgres", &limit).await;
    let watch = open(&candidate(&database.target())).await;
    assert_eq!(watch.admit(4).await, Ok(()));
    let refused = too_few(watch.admit(5).await.unwrap_err());
    assert_eq!((refused.scope, refused.free), (Scope::Database, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_for_superusers_are_not_free_and_one_server_bears_both_sides() {
    let server = Server::start_with("guard", &["max_connections=30", "superuser_reserved_connections=4"]);
    let (legacy, candidate) = (server.database().await, server.database().await);
    let (legacy, candidate) = (Box::new(legacy.target()), Box::new(candidate.target()));
    let watch = open(&Targets::Duet { legacy, candidate }).await;
    // 30 − 4 − 2 that watch, once those are gone that set the databases up.
    let refused = loop {
        let refused = too_few(watch.admit(10).await.unwrap_err());
        if refused.free >= 24 {
            break refused;
        }
    };
    assert_eq!((refused.scope, refused.free, refused.needed), (Scope::Server, 24, 20));
    assert_eq!(watch.admit(9).await, Ok(()));
    assert!(refused.to_string().ends_with("at most 9 to each side, which are one server"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_ends_when_the_application_needs_the_connections() {
    let database = limited(10).await;
    let mut held = sessions(&database, 4).await;
    held[0].client().batch_execute("BEGIN; SELECT pg_advisory_xact_lock(1)").await.unwrap();
    let watch = open(&candidate(&database.target())).await;
    assert_eq!(watch.notes(), [""; 0]);
    let worst = watch.worst().remove(0).1;
    let mut watching = tokio::spawn(watch.watch());
    tokio::select! {
        stop = &mut watching => panic!("five are free: {stop:?}"),
        ended = held[1].client().batch_execute("SELECT pg_advisory_lock(1)") => panic!("it waits: {ended:?}"),
        () = sleep(A_WHILE) => {}
    }
    held.push(session(&database).await);
    let stop = stopped(watching).await;
    assert!(
        matches!(stop, GuardStop::FreeConnections { scope: Scope::Role, free: 4, least: 5, .. }),
        "{stop:?}"
    );
    assert_eq!(*worst.borrow(), Worst { free: Some(4), waiting: Some(1) });
}

/// A load whose role may have 20 connections, and what it came to when the application opened so many while its keys were read.
/// It has four connections, and one session holds the keys back.
async fn loaded_while_the_application_opens(count: usize) -> LoadResult {
    let database = stocked(Server::shared()).await;
    database.execute(&format!("ALTER ROLE {} CONNECTION LIMIT 20", database.name)).await;
    let mut held = sessions(&database, 1).await;
    held[0].client().batch_execute("BEGIN; LOCK TABLE stock").await.unwrap();
    let key = SampleParameter { table: "stock".to_owned(), column: "id".to_owned(), count: 10 };
    let key = Parameter { sample: Some(key), ..Parameter::default() };
    let spec = spec(Access::ReadOnly, vec![statement("SELECT $1::int", 1, vec![key])]);
    let target = database.target();
    let load = tokio::spawn(async move { run(&spec, &target).await });
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'stock'::regclass";
    while held[0].client().query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
    held.extend(sessions(&database, count).await);
    if count < 14 {
        held[0].client().batch_execute("COMMIT").await.unwrap();
    }
    load.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_does_not_begin_if_the_application_needs_the_connections_meanwhile() {
    // With the one that watches and the one that reads keys three are left.
    let result = loaded_while_the_application_opens(14).await;
    assert_verdict(
        &result,
        Verdict::Inconclusive,
        &["ended before it began", "kept free for the application"],
    );
    assert_eq!(result.scheduled, 0);
    // Seven are left for four and the five to be kept free.
    let result = loaded_while_the_application_opens(11).await;
    assert_verdict(&result, Verdict::Inconclusive, &["the load's 4 would leave fewer"]);
    assert_eq!(result.scheduled, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_opened_again_and_goes_on_watching() {
    let database = limited(10).await;
    let mut held = sessions(&database, 1).await;
    let watching = watching(&database).await;
    let first = watcher(&held[0]).await;
    database.execute(&format!("SELECT pg_terminate_backend({first})")).await;
    let mut again = first;
    while again == first || again == 0 {
        again = watcher(&held[0]).await;
    }
    held.extend(sessions(&database, 4).await);
    let stop = stopped(watching).await;
    assert!(matches!(stop, GuardStop::FreeConnections { free: 4, .. }), "{stop:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lets_nobody_watch_ends_the_load() {
    let database = limited(10).await;
    let held = session(&database).await;
    let watching = watching(&database).await;
    let pid = watcher(&held).await;
    database
        .execute(&format!("ALTER ROLE {} NOLOGIN; SELECT pg_terminate_backend({pid})", database.name))
        .await;
    let stop = stopped(watching).await;
    assert!(matches!(stop, GuardStop::Unwatched { failures: 3, .. }), "{stop:?}");
    assert!(stop.to_string().contains("the server refused the login"), "{stop}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_ends_the_load() {
    let mut database = Server::shared().database().await;
    let (freeze, frozen) = watch::channel(false);
    let relay = fake::freezable_relay("127.0.0.1", (database.host.clone(), database.port), frozen).await;
    (database.host, database.port) = (relay.ip().to_string(), relay.port());
    let watch = open(&Targets::Legacy(database.target())).await;
    assert_eq!(watch.via(), Via::Proxy);
    let notes = watch.notes();
    assert!(notes.len() == 1 && notes[0].starts_with("legacy is reached by way of a proxy"), "{notes:?}");
    let watching = tokio::spawn(watch.watch());
    freeze.send(true).unwrap();
    let stop = stopped(watching).await;
    assert!(matches!(stop, GuardStop::Unwatched { failures: 3, .. }), "{stop:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_dropped_leaves_no_connection() {
    let database = limited(10).await;
    let held = session(&database).await;
    let watching = watching(&database).await;
    assert_ne!(watcher(&held).await, 0);
    watching.abort();
    while watcher(&held).await != 0 {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_candidate_has_no_verdict_and_one_that_is_not_there_fails() {
    let database = limited(1).await;
    let held = session(&database).await;
    let full = Watch::open(&candidate(&database.target()), &GUARD).await.unwrap_err();
    assert_eq!(full.verdict(), Verdict::Inconclusive, "{full}");
    drop(held);
    let stranger = database.target_with_password("canary");
    let refused = Watch::open(&candidate(&stranger), &GUARD).await.unwrap_err();
    assert_eq!(refused.verdict(), Verdict::Fail, "{refused}");
    let legacy = Watch::open(&Targets::Legacy(stranger), &GUARD).await.unwrap_err();
    assert_eq!(legacy.verdict(), Verdict::Inconclusive, "{legacy}");
    assert_shows_no_secret(&(full, refused, legacy));
}
