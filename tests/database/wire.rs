//! Statements over a session's socket, without the driver.

use std::time::Duration;

use cutover::{
    api::TlsMode,
    postgres::{ConnectOptions, ErrorClass, Fault, Scope, Session, Target, Wire},
};
use tokio::time::timeout;

use crate::postgres::{Server, tls};

const PATIENCE: Duration = Duration::from_secs(30);
const NONE: [Option<i32>; 0] = [];
const NOTHING: [&str; 0] = [];

async fn wire(target: &Target) -> Wire {
    with_budget(target, 8 << 20).await
}

async fn with_budget(target: &Target, byte_budget: u64) -> Wire {
    let options = ConnectOptions { purpose: "test", step_timeout: PATIENCE, byte_budget };
    Session::connect(target, &options).await.unwrap().into_wire().unwrap()
}

async fn say(wire: &mut Wire, text: &str) -> Result<(), Fault> {
    wire.put_text(text).unwrap();
    wire.finish(false).await.map(|_| ())
}

fn sqlstate(fault: Fault) -> String {
    fault.sqlstate.unwrap_or_default()
}

async fn answers(target: &Target) {
    let mut wire = wire(target).await;
    let texts = ["SELECT $1::text || '!', $2::int + 1, $3::int", "SELECT FROM generate_series(1, $1::int)"];
    let statements = wire.prepare(&texts, Scope::Session, &NOTHING).await.unwrap();
    assert_eq!((statements[0].parameters, statements[0].columns.len()), (3, 3));
    assert_eq!((statements[1].parameters, statements[1].columns.len()), (1, 0));
    wire.put_statement(&NOTHING, &statements[0], [Some("né"), Some("41"), None]).unwrap();
    let rows = wire.finish(true).await.unwrap();
    let row = rows.first.unwrap();
    let values: Vec<_> = (0..3).map(|column| row.text(column).unwrap()).collect();
    assert_eq!(values, [Some("né!"), Some("42"), None]);
    row.text(3).unwrap_err();
    wire.put_statement(&NOTHING, &statements[1], [Some(1_000)]).unwrap();
    let rows = wire.finish(false).await.unwrap();
    assert_eq!((rows.count, rows.first.is_none()), (1_000, true));
    wire.close().await;
}

#[tokio::test]
async fn prepared_statements_are_answered_with_tls_and_without() {
    let database = Server::shared().database().await;
    answers(&database.target()).await;
    answers(&Target { tls: tls(TlsMode::Disable), ca_pem: None, ..database.target() }).await;
}

#[tokio::test]
async fn what_the_server_says_in_between_is_none_of_the_answer() {
    let database = Server::shared().database().await;
    let mut wire = wire(&database.target()).await;
    let notice = "DO $$ BEGIN RAISE NOTICE 'canary'; END $$";
    let statements = wire.prepare(&[notice, "SELECT 7"], Scope::Session, &NOTHING).await.unwrap();
    wire.put_text("LISTEN hello; NOTIFY hello; SET application_name = 'another'").unwrap();
    wire.put_statement(&NOTHING, &statements[0], NONE).unwrap();
    wire.put_statement(&NOTHING, &statements[1], NONE).unwrap();
    let rows = wire.finish(true).await.unwrap();
    assert_eq!((rows.count, rows.first.unwrap().text(0).unwrap()), (1, Some("7")));
    assert!(wire.is_usable());
}

#[tokio::test]
async fn what_fails_before_a_statement_in_its_request_keeps_it_from_being_carried_out() {
    let database = Server::shared().database().await;
    let mut wire = wire(&database.target()).await;
    say(&mut wire, "CREATE TEMPORARY TABLE log (entry int)").await.unwrap();
    let insert = "INSERT INTO log VALUES ($1::int)";
    let statements =
        wire.prepare(&[insert, "SELECT count(*) FROM log"], Scope::Session, &NOTHING).await.unwrap();
    for (before, expected) in [
        (vec!["BEGIN", "SET LOCAL statement_timeout = 1000"], None),
        (vec!["BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY", "SET LOCAL nothing = 1"], Some("42704")),
        (vec!["BEGIN READ NOTHING"], Some("42601")),
    ] {
        wire.put_statement(&before, &statements[0], [Some(1)]).unwrap();
        wire.put_text("COMMIT").unwrap();
        let outcome = wire.finish(false).await;
        assert_eq!(outcome.err().map(sqlstate).as_deref(), expected, "{before:?}");
        assert!(wire.is_usable(), "{before:?}");
    }
    // The row that is kept is the statement's.
    wire.put_statement(&["BEGIN READ ONLY"], &statements[1], NONE).unwrap();
    wire.put_text("COMMIT").unwrap();
    let rows = wire.finish(true).await.unwrap();
    assert_eq!(
        (rows.count, rows.first.unwrap().text(0).unwrap()),
        (1, Some("1")),
        "one of three was carried out"
    );
}

#[tokio::test]
async fn what_must_not_outlast_a_transaction_is_not_there_for_whoever_comes_next() {
    let database = Server::shared().database().await;
    let mut wire = wire(&database.target()).await;
    let texts = ["SELECT $1::int + count(*) FROM pg_prepared_statements", "SELECT 'another'"];
    for (scope, left) in [(Scope::Request, 0), (Scope::Session, 2)] {
        let statements = wire.prepare(&texts, scope, &NOTHING).await.unwrap();
        assert_eq!((statements[0].parameters, statements[0].columns.len()), (1, 1));
        // The second one is what a server without names would take the first for.
        for (statement, expected) in
            [(&statements[0], (40 + left).to_string()), (&statements[1], "another".to_owned())]
        {
            let parameters = (statement.parameters == 1).then_some(Some(40));
            wire.put_statement(&["BEGIN READ ONLY"], statement, parameters).unwrap();
            wire.put_text("COMMIT").unwrap();
            let row = wire.finish(true).await.unwrap().first.unwrap();
            assert_eq!(row.text(0).unwrap(), Some(expected.as_str()), "{scope:?}");
        }
    }
}

#[tokio::test]
async fn a_statement_that_can_not_be_prepared_is_named_with_its_reason() {
    let database = Server::shared().database().await;
    for scope in [Scope::Session, Scope::Request] {
        let mut wire = wire(&database.target()).await;
        let texts = ["SELECT 1", "SELECT x FROM nowhere", "SELECT"];
        let (index, fault) = wire.prepare(&texts, scope, &NOTHING).await.unwrap_err();
        assert_eq!((index, fault.class), (1, ErrorClass::Undefined));
        assert!(fault.to_string().contains("nowhere"), "{fault}");
    }
}

#[tokio::test]
async fn of_several_requests_the_first_error_is_told_and_all_are_answered() {
    let database = Server::shared().database().await;
    let mut wire = wire(&database.target()).await;
    let statements = wire.prepare(&["SELECT 1 / $1::int"], Scope::Session, &NOTHING).await.unwrap();
    wire.put_text("BEGIN").unwrap();
    wire.put_statement(&NOTHING, &statements[0], [Some(0)]).unwrap();
    wire.put_statement(&NOTHING, &statements[0], [Some(1)]).unwrap();
    wire.put_text("COMMIT").unwrap();
    assert_eq!(sqlstate(wire.finish(false).await.unwrap_err()), "22012");
    assert!(wire.is_usable());
    wire.put_statement(&NOTHING, &statements[0], [Some(1)]).unwrap();
    assert_eq!(wire.finish(false).await.unwrap().count, 1);
}

#[tokio::test]
async fn an_open_transaction_is_nothing_that_another_could_go_on_with() {
    let database = Server::shared().database().await;
    let mut wire = wire(&database.target()).await;
    say(&mut wire, "BEGIN").await.unwrap();
    assert!(wire.is_in_transaction() && !wire.is_usable());
    say(&mut wire, "SELECT 1 / 0").await.unwrap_err();
    assert!(wire.is_in_transaction() && !wire.is_usable());
    say(&mut wire, "ROLLBACK").await.unwrap();
    assert!(!wire.is_in_transaction() && wire.is_usable());
}

#[tokio::test]
async fn what_the_protocol_has_no_form_for_is_not_sent() {
    let database = Server::shared().database().await;
    let mut wire = wire(&database.target()).await;
    assert_eq!(wire.put_text("SELECT '\0'").unwrap_err().class, ErrorClass::Syntax);
    say(&mut wire, "SELECT 1").await.unwrap();
}

#[tokio::test]
async fn an_answer_that_nobody_waited_for_leaves_the_connection_unusable() {
    let database = Server::shared().database().await;
    let mut wire = wire(&database.target()).await;
    let sleep = say(&mut wire, "SELECT pg_catalog.pg_sleep(60)");
    timeout(Duration::from_millis(50), sleep).await.unwrap_err();
    assert!(!wire.is_usable());
}

#[tokio::test]
async fn a_session_that_the_server_has_ended_says_so_and_nothing_more_is_sent() {
    let database = Server::shared().database().await;
    let mut wire = wire(&database.target()).await;
    let statements =
        wire.prepare(&["SELECT pg_catalog.pg_backend_pid()"], Scope::Session, &NOTHING).await.unwrap();
    wire.put_statement(&NOTHING, &statements[0], NONE).unwrap();
    let row = wire.finish(true).await.unwrap().first.unwrap();
    let pid = row.text(0).unwrap().unwrap();
    // It waits until the session is gone.
    database.execute(&format!("SELECT pg_terminate_backend({pid}, 30000)")).await;
    wire.put_statement(&NOTHING, &statements[0], NONE).unwrap();
    assert_eq!(sqlstate(wire.finish(false).await.unwrap_err()), "57P01");
    assert!(!wire.is_usable());
}

/// Each side has more to say than the connection holds, so that one that does not listen while it speaks would wait for ever.
#[tokio::test]
async fn a_server_that_answers_while_it_is_still_being_asked_is_listened_to() {
    let database = Server::shared().database().await;
    let mut wire = with_budget(&database.target(), 1 << 30).await;
    let statements = wire.prepare(&["SELECT $1::text"], Scope::Session, &NOTHING).await.unwrap();
    let long = "x".repeat(1 << 20);
    for _ in 0..64 {
        wire.put_statement(&NOTHING, &statements[0], [Some(&long)]).unwrap();
    }
    let rows = timeout(PATIENCE, wire.finish(false)).await.expect("it goes on").unwrap();
    assert_eq!(rows.count, 64);
}

#[tokio::test]
async fn more_than_a_session_may_receive_ends_it() {
    let database = Server::shared().database().await;
    let mut wire = with_budget(&database.target(), 1 << 20).await;
    let statements =
        wire.prepare(&["SELECT pg_catalog.repeat('x', $1::int)"], Scope::Session, &NOTHING).await.unwrap();
    for length in [600_000, 600_000] {
        wire.refill_budget();
        wire.put_statement(&NOTHING, &statements[0], [Some(length)]).unwrap();
        wire.finish(false).await.unwrap();
    }
    wire.put_statement(&NOTHING, &statements[0], [Some(2_000_000)]).unwrap();
    let fault = wire.finish(false).await.unwrap_err();
    assert_eq!((fault.class, wire.is_usable()), (ErrorClass::TooMuchData, false));
}
