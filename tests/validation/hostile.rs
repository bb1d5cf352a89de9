//! Every check of a database, against servers that are broken or mean it: a verdict with its reason, in time.

use std::time::{Duration, Instant};

use cutover::{
    api::{
        ActivityCheck, Check, ConnectivityCheck, DataCheck, DataMode, LegacyUnusedCheck, PoolCheck,
        PrivilegesCheck, ReplicationCheck, SchemaCheck, ServerCheck, SqlCheck, TlsMode, Verdict,
    },
    postgres::Target,
};

use crate::{
    asking::{ask, sides},
    hostile::{self, Mischief},
    postgres::{Database, Server, tls},
};

/// All kinds that ask a database.
fn checks() -> Vec<Check> {
    let sql = SqlCheck { query: "SELECT 1".to_owned(), equals: Some("1".to_owned()), ..SqlCheck::default() };
    let full = DataCheck { mode: DataMode::Full, ..DataCheck::default() };
    [
        Check { connectivity: Some(ConnectivityCheck::default()), ..Check::default() },
        Check { sql: Some(sql), ..Check::default() },
        Check { server: Some(ServerCheck::default()), ..Check::default() },
        Check { schema: Some(SchemaCheck::default()), ..Check::default() },
        Check { data: Some(DataCheck::default()), ..Check::default() },
        Check { data: Some(full), ..Check::default() },
        Check { privileges: Some(PrivilegesCheck::default()), ..Check::default() },
        Check { pool: Some(PoolCheck::default()), ..Check::default() },
        Check { replication: Some(ReplicationCheck::default()), ..Check::default() },
        Check { activity: Some(ActivityCheck::default()), ..Check::default() },
        Check { legacy_unused: Some(LegacyUnusedCheck::default()), ..Check::default() },
    ]
    .into_iter()
    .map(|check| Check { timeout: Some("3s".to_owned()), name: kind(&check).to_owned(), ..check })
    .collect()
}

fn kind(check: &Check) -> &'static str {
    check.question().unwrap().kind()
}

/// A database whose server is at `port`.
fn at(database: &Database<'_>, port: u16) -> Target {
    let uri = database.uri().replace(&format!(":{}/", database.port), &format!(":{port}/"));
    let uri = cutover::postgres::ConnectionUri::parse(&uri).unwrap();
    Target { uri, tls: tls(TlsMode::Disable), ..database.target() }
}

/// Every check, with the hostile server on the side that it asks. Far more than the check's timeout would be a hang.
async fn assert_all_say_why(mischief: Mischief) {
    let database = Server::shared().database().await;
    let port = hostile::server(mischief).await.port();
    for check in checks() {
        let hostile = at(&database, port);
        // `legacyUnused` asks legacy alone, the others both or the candidate.
        let sides = match kind(&check) {
            "legacyUnused" => sides(hostile, database.target()),
            _ => sides(database.target(), hostile),
        };
        let started = Instant::now();
        let report = ask(&check, &sides).await;
        let about = format!("{} {mischief:?}: {:?} {}", check.name, report.verdict, report.message);
        assert!(started.elapsed() < Duration::from_secs(60), "{about}");
        let expected = match (kind(&check), mischief) {
            // That a server can't be used is what `connectivity` asks; and a statement that returns too much is at
            // fault itself.
            ("connectivity", _) | ("sql", Mischief::EndlessRows) => Verdict::Fail,
            _ => Verdict::Error,
        };
        assert_eq!(report.verdict, expected, "{about}");
        assert!(report.message.len() > 10, "{about}");
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing() {
    assert_all_say_why(Mischief::Silence).await;
}

#[tokio::test]
async fn a_server_that_sends_rows_for_ever() {
    assert_all_say_why(Mischief::EndlessRows).await;
}

#[tokio::test]
async fn a_server_that_sends_one_byte_a_second() {
    assert_all_say_why(Mischief::Drip).await;
}

#[tokio::test]
async fn a_server_that_closes_in_the_middle_of_an_answer() {
    assert_all_say_why(Mischief::CutOff).await;
}

#[tokio::test]
async fn a_server_without_a_free_connection() {
    assert_all_say_why(Mischief::NoSlots).await;
}

#[tokio::test]
async fn a_server_that_is_starting_up() {
    assert_all_say_why(Mischief::Recovering).await;
}
