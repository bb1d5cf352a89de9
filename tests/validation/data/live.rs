//! While writes go on, and while connections are lost.

use cutover::checks::{self, Progress, Sides, Step};
use tokio::sync::watch;

use super::*;
use crate::{asking::sides, fake, postgres::assert_shows_no_secret};

const ORDERS: &str = "CREATE TABLE orders (id int PRIMARY KEY, note text);
    INSERT INTO orders SELECT i, 'note ' || i FROM generate_series(1, 20000) i; ANALYZE orders;";

/// The check's answer, and beside it `act`, which is told how far it has come until it is over.
async fn asked_beside(
    check: &Check,
    sides: &Sides,
    act: impl AsyncFnOnce(watch::Receiver<Step>),
) -> CheckReport {
    let progress = Progress::default();
    let steps = progress.subscribe();
    let asked = async move { checks::run(check, sides, Moment::Before, &progress).await };
    let (report, ()) = tokio::join!(asked, act(steps));
    assert_shows_no_secret(&report);
    report
}

fn sides_of(pair: &Pair) -> Sides {
    sides(pair.legacy.target(), pair.candidate.target())
}

#[tokio::test]
async fn rows_that_arrive_late_settle() {
    let pair = owned(
        ORDERS,
        "INSERT INTO orders VALUES (20001, 'late'); UPDATE orders SET note = '' WHERE id = 5",
        "",
    )
    .await;
    let report = asked_beside(&check(full()), &sides_of(&pair), async |mut steps| {
        steps.wait_for(|step| step.what == "once more what differed").await.unwrap();
        let arrival = "INSERT INTO orders VALUES (20001, 'late'); UPDATE orders SET note = '' WHERE id = 5";
        pair.candidate.execute(arrival).await;
    })
    .await;
    assert_passes(&report);
    let settled = of_kind(&report, "settled");
    assert_eq!(settled.len(), 1, "{:#?}", report.findings);
    assert!(settled[0].message.starts_with('2'), "{}", settled[0].message);
}

#[tokio::test]
async fn a_row_that_both_sides_go_on_writing_is_in_flux() {
    let pair = owned(ORDERS, "UPDATE orders SET note = 'l' WHERE id = 7", "").await;
    let (stop, stopped) = watch::channel(false);
    let writes = async {
        while !*stopped.borrow() {
            pair.candidate.execute("UPDATE orders SET note = random()::text WHERE id = 7").await;
        }
    };
    let asked = async {
        let report = pair.ask(check(full())).await;
        stop.send_replace(true);
        report
    };
    let (report, ()) = tokio::join!(asked, writes);
    let finding = assert_only(&report, Verdict::Warn, "rows-in-flux", "public.orders");
    assert_eq!(keys(finding), ["7"]);
}

#[tokio::test]
async fn a_row_that_only_legacy_goes_on_writing_is_not_on_its_way() {
    let pair = owned(ORDERS, "", "").await;
    let (stop, stopped) = watch::channel(false);
    let (begun, mut has_begun) = watch::channel(false);
    let writes = async {
        while !*stopped.borrow() {
            pair.legacy.execute("UPDATE orders SET note = random()::text WHERE id = 7").await;
            begun.send_replace(true);
        }
    };
    let asked = async {
        has_begun.wait_for(|begun| *begun).await.unwrap();
        let report = pair.ask(check(full())).await;
        stop.send_replace(true);
        report
    };
    let (report, ()) = tokio::join!(asked, writes);
    let finding = assert_only(&report, Verdict::Fail, "rows-differ", "public.orders");
    assert_eq!(keys(finding), ["7"]);
}

#[tokio::test]
async fn a_lost_connection_is_opened_again_and_the_comparison_goes_on() {
    let pair = owned(ORDERS, "", "DELETE FROM orders WHERE id = 19999").await;
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND application_name LIKE 'cutover/%'
         AND (query = 'ROLLBACK' OR query LIKE '%hash%')",
        pair.candidate.name
    );
    // Slow enough to be interrupted many times.
    let data = DataCheck { max_rows_per_second: Some(5000), ..full() };
    let report = asked_beside(&check(data), &sides_of(&pair), async |mut steps| {
        // From the first answer on: a side that was never reached is not waited for.
        while steps.changed().await.is_ok() {
            pair.candidate.execute(&end).await;
        }
    })
    .await;
    let finding = assert_only(&report, Verdict::Fail, "rows-missing", "public.orders");
    assert_eq!(keys(finding), ["19999"]);
    assert_eq!(finding.evidence["rows"], 1);
    assert_eq!(report.samples, 20_000);
}

#[tokio::test]
async fn a_lock_that_is_given_back_is_waited_for() {
    let pair = owned(&format!("{ORDERS} CREATE TABLE other (id int PRIMARY KEY);"), "", "").await;
    let lock =
        pair.legacy.execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(3); COMMIT");
    let asked = async {
        pair.legacy.execute(UNTIL_LOCKED).await;
        pair.ask(check(full())).await
    };
    let (report, ()) = tokio::join!(asked, lock);
    assert_passes(&report);
}

/// Ends as soon as somebody holds the lock.
const UNTIL_LOCKED: &str = "SET statement_timeout = '60s'; DO $$ BEGIN LOOP
    EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation = 'orders'::regclass);
    PERFORM pg_sleep(0.01); END LOOP; END $$";

#[tokio::test]
async fn a_table_that_stays_locked_is_a_finding_and_the_others_are_compared() {
    let pair = owned(&format!("{ORDERS} CREATE TABLE other (id int PRIMARY KEY);"), "", "").await;
    let lock = pair.legacy.execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)");
    let asked = async {
        pair.legacy.execute(UNTIL_LOCKED).await;
        pair.ask(check(full())).await
    };
    let report = tokio::select! { () = lock => panic!("the lock is held"), report = asked => report };
    let finding = assert_only(&report, Verdict::Inconclusive, "table-locked", "public.orders");
    assert!(finding.message.contains("55P03"), "{}", finding.message);
    assert!(report.message.contains("public.orders"));
}

#[tokio::test]
async fn a_check_that_runs_out_of_time_says_what_it_has_found() {
    let tables = "CREATE TABLE big (id int PRIMARY KEY); INSERT INTO big SELECT generate_series(1, 5000); ANALYZE big;";
    let pair = owned(tables, "", "").await;
    let slow = DataCheck { max_rows_per_second: Some(100), ..full() };
    let report = pair.ask(Check { timeout: Some("3s".to_owned()), ..check(slow.clone()) }).await;
    assert_eq!(report.verdict, Verdict::Error, "{}", report.message);
    assert!(report.message.contains("not finished within the check's timeout of 3s"), "{}", report.message);
    // What is certain by then counts.
    pair.legacy.execute("CREATE TABLE lost (id int)").await;
    let report = pair.ask(Check { timeout: Some("3s".to_owned()), ..check(slow) }).await;
    assert_eq!(report.verdict, Verdict::Fail, "{}", report.message);
    assert!(report.message.contains("public.lost"), "{}", report.message);
}

#[tokio::test]
async fn a_side_that_falls_silent_is_an_error_that_names_it() {
    let pair = owned(ORDERS, "", "").await;
    let (freeze, frozen) = watch::channel(false);
    let to = (pair.candidate.host.clone(), pair.candidate.port);
    let mut candidate = pair.candidate.target();
    let relay = fake::freezable_relay("127.0.0.1", to, frozen).await;
    let uri =
        pair.candidate.uri().replace(&format!(":{}/", pair.candidate.port), &format!(":{}/", relay.port()));
    candidate.uri = cutover::postgres::ConnectionUri::parse(&uri).unwrap();
    let data = DataCheck { max_rows_per_second: Some(2000), ..full() };
    let slow = Check { timeout: Some("6s".to_owned()), ..check(data) };
    let report = asked_beside(&slow, &sides(pair.legacy.target(), candidate), async |mut steps| {
        steps.wait_for(|step| step.done > 0).await.unwrap();
        freeze.send_replace(true);
    })
    .await;
    assert_eq!(report.verdict, Verdict::Error, "{}", report.message);
    assert!(report.duration_ms < 7000, "{}", report.duration_ms);
}

#[tokio::test]
async fn statistics_that_are_out_of_date_do_not_make_a_long_statement() {
    let stale = "ALTER TABLE orders SET (autovacuum_enabled = off);
        DELETE FROM orders WHERE id > 10; ANALYZE orders; INSERT INTO orders SELECT i, '' FROM generate_series(11, 20000) i";
    let pair = owned(&format!("{ORDERS} {stale}"), "", "").await;
    let data = DataCheck { max_rows_per_second: Some(8000), ..full() };
    let mut seen = Vec::new();
    let report = asked_beside(&check(data), &sides_of(&pair), async |mut steps| {
        while steps.changed().await.is_ok() {
            seen.push(steps.borrow_and_update().done);
        }
    })
    .await;
    assert_passes(&report);
    assert!(seen.iter().any(|done| (1..20_000).contains(done)), "{seen:?}");
}

#[tokio::test]
async fn looking_closer_keeps_the_pace() {
    let pair = owned(ORDERS, "", "UPDATE orders SET note = '' WHERE id = 5").await;
    let data = DataCheck { max_rows_per_second: Some(20_000), ..full() };
    let report = pair.ask(check(data)).await;
    let finding = assert_only(&report, Verdict::Fail, "rows-differ", "public.orders");
    assert_eq!(keys(finding), ["5"]);
    // The rows once more for the boundaries of the pieces, once more for the pieces, and so on, each in its time; then
    // seven seconds of looks.
    assert!(report.duration_ms > 9000, "{}", report.duration_ms);
}
