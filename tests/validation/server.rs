//! `server`.

use cutover::{
    api::{AcceptedFinding, ActivityCheck, Check, PrivilegesCheck, ServerCheck, TlsMode, Verdict},
    checks::{CheckReport, Severity},
    postgres::{ConnectionUri, Target},
};

#[path = "server/liar.rs"]
mod liar;

use crate::{
    asking::{ask, sides},
    pair::{Pair, assert_only, of_kind},
    pgbouncer::PgBouncer,
    postgres::{Database, Server, tls},
};

fn check() -> Check {
    Check { name: "alike".to_owned(), server: Some(ServerCheck::default()), ..Check::default() }
}

/// Two databases of one server, `legacy` and `candidate` set up by statements of their own.
async fn compared(legacy: &str, candidate: &str) -> CheckReport {
    Pair::of("", legacy, candidate).await.ask(check()).await
}

#[tokio::test]
async fn more_settings_of_roles_than_can_be_compared_are_an_error() {
    let many = "INSERT INTO pg_db_role_setting SELECT d.oid, 0, array_agg('shop.s' || i || '=1')
        FROM pg_database d, generate_series(1, 5001) i WHERE d.datname = current_database() GROUP BY d.oid";
    let report = compared("", many).await;
    assert_eq!(report.verdict, Verdict::Error, "{report:#?}");
    assert!(report.message.starts_with("candidate: "), "{}", report.message);
    assert!(report.message.contains("5000 settings of roles and databases"), "{}", report.message);
}

/// A pair whose candidate says of itself what `lies` makes of the truth.
async fn compared_with_a_liar(
    both: &str,
    legacy: &str,
    lies: &'static [(&'static str, &'static str)],
) -> CheckReport {
    let pair = Pair::of(both, legacy, "").await;
    let candidate = without_tls(lying(&pair.candidate, lies).await);
    ask(&check(), &sides(pair.legacy.target(), candidate)).await
}

async fn lying(database: &Database<'static>, lies: &'static [(&'static str, &'static str)]) -> Target {
    let address = liar::relay((database.host.clone(), database.port), lies).await;
    let name = database.name.clone();
    Server::shared().execute("postgres", &format!("ALTER ROLE {name} PASSWORD 'of-no-worth'")).await;
    target(&format!("postgresql://{name}:of-no-worth@127.0.0.1:{}/{name}", address.port()))
}

fn target(uri: &str) -> Target {
    Target { uri: ConnectionUri::parse(uri).unwrap(), ..Server::shared().superuser() }
}

fn without_tls(target: Target) -> Target {
    Target { tls: tls(TlsMode::Disable), ca_pem: None, ..target }
}

/// Makes the database anew, with further options.
async fn recreate(database: &Database<'static>, options: &str) {
    let name = &database.name;
    Server::shared().execute("postgres", &format!("DROP DATABASE {name}")).await;
    let create = format!("CREATE DATABASE {name} OWNER {name} TEMPLATE template0 {options}");
    Server::shared().execute("postgres", &create).await;
}

#[tokio::test]
async fn two_databases_of_one_server_are_alike() {
    let report = compared("", "").await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    let hosting = of_kind(&report, "hosting");
    assert_eq!(hosting.len(), 2);
    assert!(
        hosting.iter().all(|finding| finding.message == "no known provider, reached directly"),
        "{hosting:?}"
    );
    // An ordinary role does not see which libraries are loaded, and the report says so.
    assert_eq!(of_kind(&report, "setting-hidden").len(), 1);
}

#[tokio::test]
async fn what_is_hidden_is_shown_to_a_member_of_pg_read_all_settings() {
    let grant = "GRANT pg_read_all_settings TO {owner}";
    let report = compared(grant, grant).await;
    assert!(of_kind(&report, "setting-hidden").is_empty(), "{report:#?}");
}

#[tokio::test]
async fn a_lower_major_version_fails() {
    let lies = &[("\"version_num\" : 150", "\"version_num\" : 140")];
    let report = compared_with_a_liar("", "", lies).await;
    assert_only(&report, Verdict::Fail, "major-version-lower", "version");
}

#[tokio::test]
async fn a_higher_major_version_is_noted() {
    let lies = &[("\"version_num\" : 150", "\"version_num\" : 160")];
    let report = compared_with_a_liar("", "", lies).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    assert_eq!(of_kind(&report, "major-version-higher").len(), 1);
}

#[tokio::test]
async fn a_lower_minor_version_warns() {
    let lies = &[("\"version_num\" : 1500", "\"version_num\" : 1599")];
    let pair = Pair::new().await;
    let legacy = without_tls(lying(&pair.legacy, lies).await);
    let report = ask(&check(), &sides(legacy, pair.candidate.target())).await;
    assert_only(&report, Verdict::Warn, "minor-version-lower", "version");
}

#[tokio::test]
async fn a_candidate_that_takes_no_writes_fails() {
    let report = compared("", "ALTER DATABASE {owner} SET default_transaction_read_only = on").await;
    assert_only(&report, Verdict::Fail, "read-only", "writes");
}

#[tokio::test]
async fn a_candidate_that_takes_no_writes_warns_where_legacy_takes_none() {
    let read_only = "ALTER ROLE {owner} SET default_transaction_read_only = on";
    let report = compared(read_only, read_only).await;
    assert_only(&report, Verdict::Warn, "read-only", "writes");
}

#[tokio::test]
async fn a_standby_fails() {
    let lies = &[("\"in_recovery\" : false", "\"in_recovery\" : true ")];
    let report = compared_with_a_liar("", "", lies).await;
    let finding = assert_only(&report, Verdict::Fail, "read-only", "writes");
    assert!(finding.message.contains("standby"), "{finding:?}");
}

#[tokio::test]
async fn another_encoding_fails() {
    let pair = Pair::new().await;
    recreate(&pair.candidate, "ENCODING 'LATIN1' LOCALE 'C'").await;
    let report = pair.ask(check()).await;
    assert_only(&report, Verdict::Fail, "encoding-differs", "encoding");
}

#[tokio::test]
async fn another_locale_fails_for_order_and_for_letters() {
    let pair = Pair::new().await;
    recreate(&pair.candidate, "ENCODING 'UTF8' LOCALE 'C.utf8'").await;
    let report = pair.ask(check()).await;
    assert_eq!(report.verdict, Verdict::Fail, "{report:#?}");
    let objects: Vec<_> = of_kind(&report, "locale-differs").iter().map(|f| f.object.as_str()).collect();
    assert_eq!(objects, ["collate", "ctype"]);
}

#[tokio::test]
async fn another_locale_provider_fails() {
    let pair = Pair::new().await;
    recreate(&pair.candidate, "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'").await;
    let report = pair.ask(check()).await;
    let findings = of_kind(&report, "locale-differs");
    assert!(findings[0].message.contains("ICU en-US"), "{findings:?}");
}

const ICU: &str = "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'";

async fn icu_pair() -> Pair {
    let pair = Pair::new().await;
    recreate(&pair.legacy, ICU).await;
    recreate(&pair.candidate, ICU).await;
    pair
}

#[tokio::test]
async fn indexes_built_with_another_collation_version_fail() {
    let pair = icu_pair().await;
    assert_eq!(pair.ask(check()).await.verdict, Verdict::Pass);
    let outdate = "UPDATE pg_database SET datcollversion = '1.0' WHERE datname = current_database()";
    pair.candidate.execute(outdate).await;
    let report = pair.ask(check()).await;
    let finding = assert_only(&report, Verdict::Fail, "collation-version-stale", "candidate.database");
    assert!(
        finding.message.contains("REINDEX") && finding.message.contains("REFRESH VERSION"),
        "{finding:?}"
    );
}

#[tokio::test]
async fn stale_indexes_of_legacy_warn() {
    let pair = icu_pair().await;
    let outdate = "UPDATE pg_database SET datcollversion = '1.0' WHERE datname = current_database()";
    pair.legacy.execute(outdate).await;
    let report = pair.ask(check()).await;
    assert_only(&report, Verdict::Warn, "collation-version-stale", "legacy.database");
}

#[tokio::test]
async fn a_stale_collation_counts_only_where_a_column_uses_it() {
    let outdate = "UPDATE pg_collation SET collversion = '0.1' WHERE collname IN ('und-x-icu', 'de-x-icu')";
    let both = "CREATE TABLE words (word text COLLATE \"und-x-icu\")";
    let report = Pair::of(both, "", outdate).await.ask(check()).await;
    let object = "candidate.pg_catalog.\"und-x-icu\"";
    assert_only(&report, Verdict::Fail, "collation-version-stale", object);
}

#[tokio::test]
async fn another_version_of_the_collation_library_warns() {
    let pair = icu_pair().await;
    let lies = &[("\"actual\" : \"1", "\"actual\" : \"9"), ("\"recorded\" : \"1", "\"recorded\" : \"9")];
    let candidate = without_tls(lying(&pair.candidate, lies).await);
    let report = ask(&check(), &sides(pair.legacy.target(), candidate)).await;
    assert_only(&report, Verdict::Warn, "collation-version-differs", "database");
}

#[tokio::test]
async fn a_collation_version_that_is_not_told_is_not_taken_for_the_same() {
    let pair = icu_pair().await;
    let lies = &[("\"actual\"", "\"silent\"")];
    let candidate = without_tls(lying(&pair.candidate, lies).await);
    let report = ask(&check(), &sides(pair.legacy.target(), candidate)).await;
    assert_only(&report, Verdict::Warn, "collation-version-unknown", "database");
}

#[tokio::test]
async fn an_extension_that_is_missing_fails_and_it_is_said_whether_it_could_be_created() {
    let report = compared("CREATE EXTENSION hstore", "").await;
    let finding = assert_only(&report, Verdict::Fail, "extension-missing", "hstore");
    assert!(finding.message.contains("available there as"), "{finding:?}");
}

#[tokio::test]
async fn an_older_extension_fails_and_a_newer_one_is_noted() {
    let (old, new) = ("CREATE EXTENSION hstore VERSION '1.4'", "CREATE EXTENSION hstore");
    assert_only(&compared(new, old).await, Verdict::Fail, "extension-older", "hstore");
    let report = compared(old, new).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    assert_eq!(of_kind(&report, "extension-newer").len(), 1);
}

#[tokio::test]
async fn an_extension_version_that_is_no_number_warns() {
    let rename = "UPDATE pg_extension SET extversion = '1.8dev' WHERE extname = 'hstore'";
    let report = Pair::of("CREATE EXTENSION hstore", "", rename).await.ask(check()).await;
    assert_only(&report, Verdict::Warn, "extension-version-differs", "hstore");
}

#[tokio::test]
async fn a_setting_that_changes_results_fails_wherever_it_is_set() {
    for set in [
        "ALTER DATABASE {owner} SET timezone = 'Europe/Berlin'",
        "ALTER ROLE {owner} SET timezone = 'Europe/Berlin'",
    ] {
        let report = compared("", set).await;
        let finding = assert_only(&report, Verdict::Fail, "result-setting-differs", "TimeZone");
        assert_eq!(finding.message, "Europe/Berlin on the candidate, UTC on legacy");
    }
}

#[tokio::test]
async fn it_is_the_effective_value_that_counts_not_where_it_was_set() {
    let report = compared(
        "ALTER ROLE {owner} SET timezone = 'Europe/Berlin'",
        "ALTER DATABASE {owner} SET timezone = 'Europe/Berlin'",
    )
    .await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
}

#[tokio::test]
async fn names_of_one_time_zone_are_no_difference() {
    let report = compared("", "ALTER DATABASE {owner} SET timezone = 'Etc/UTC'").await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
}

#[tokio::test]
async fn a_search_path_of_the_role_that_the_candidate_lacks_fails() {
    let report = compared("ALTER ROLE {owner} SET search_path = shop, public", "").await;
    assert_only(&report, Verdict::Fail, "result-setting-differs", "search_path");
}

#[tokio::test]
async fn a_setting_that_changes_plans_warns() {
    let report = compared("", "ALTER ROLE {owner} SET enable_hashjoin = off").await;
    assert_only(&report, Verdict::Warn, "plan-setting-differs", "enable_hashjoin");
    let report = compared("", "ALTER DATABASE {owner} SET work_mem = '64kB'").await;
    let finding = assert_only(&report, Verdict::Warn, "plan-setting-differs", "work_mem");
    assert_eq!(finding.message, "64 kB on the candidate, 4096 kB on legacy");
}

#[tokio::test]
async fn a_stricter_limit_warns_and_a_looser_one_is_noted() {
    let strict = "ALTER ROLE {owner} SET statement_timeout = '1min'";
    assert_only(&compared("", strict).await, Verdict::Warn, "limit-setting-differs", "statement_timeout");
    let report = compared(strict, "").await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    assert_eq!(of_kind(&report, "limit-setting-differs").len(), 1);
}

#[tokio::test]
async fn a_setting_that_changes_durability_warns() {
    let report = compared("", "ALTER DATABASE {owner} SET synchronous_commit = remote_apply").await;
    assert_only(&report, Verdict::Warn, "service-setting-differs", "synchronous_commit");
}

#[tokio::test]
async fn a_setting_that_one_release_lacks_warns_where_legacy_set_it() {
    let lies = &[("\"idle_session_timeout\"", "\"idle_session_timeour\"")];
    let report = compared_with_a_liar("", "ALTER ROLE {owner} SET idle_session_timeout = '1h'", lies).await;
    let finding = assert_only(&report, Verdict::Warn, "setting-one-sided", "idle_session_timeout");
    assert!(finding.message.contains("3600000 ms"), "{finding:?}");
}

#[tokio::test]
async fn fewer_connections_warn() {
    let lies =
        &[("\"max_connections\" : {\"value\" : \"100\"", "\"max_connections\" : {\"value\" : \"060\"")];
    let report = compared_with_a_liar("", "", lies).await;
    let finding = assert_only(&report, Verdict::Warn, "connections-fewer", "max_connections");
    assert!(finding.message.contains("has 57 connections"), "{finding:?}");
}

#[tokio::test]
async fn a_library_that_is_not_loaded_warns() {
    let lies = &[("\"pg_stat_statements\"", "\"pg_stat_statementz\"")];
    let report = compared_with_a_liar("", "", lies).await;
    assert_only(&report, Verdict::Warn, "library-not-loaded", "pg_stat_statements");
}

#[tokio::test]
async fn a_setting_that_is_ignored_does_not_count() {
    let pair = Pair::of("", "", "ALTER ROLE {owner} SET enable_hashjoin = off").await;
    let ignoring = ServerCheck { ignore_settings: vec!["ENABLE_HASHJOIN".to_owned()] };
    let report = pair.ask(Check { server: Some(ignoring), ..check() }).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
}

#[tokio::test]
async fn a_difference_that_is_accepted_does_not_count() {
    let pair = Pair::of("", "", "ALTER ROLE {owner} SET enable_hashjoin = off").await;
    let rule =
        AcceptedFinding { kind: "plan-setting-differs".to_owned(), object: Some("enable_*".to_owned()) };
    let report = pair.ask(Check { accept: vec![rule], ..check() }).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
}

#[tokio::test]
async fn a_custom_setting_of_the_role_that_is_missing_fails_and_its_value_is_not_shown() {
    let report = compared("ALTER ROLE {owner} SET app.key = 'canary'", "").await;
    assert_only(&report, Verdict::Fail, "role-setting-missing", "the connection's role");
}

#[tokio::test]
async fn a_custom_setting_of_the_role_that_differs_warns_and_its_values_are_not_shown() {
    let report =
        compared("ALTER ROLE {owner} SET app.key = 'canary'", "ALTER ROLE {owner} SET app.key = 'canary2'")
            .await;
    assert_only(&report, Verdict::Warn, "role-setting-differs", "the connection's role");
}

#[tokio::test]
async fn a_setting_of_another_role_in_the_database_warns() {
    let pair = Pair::of("", "", "").await;
    let reporter = format!("reporter_of_{}", pair.legacy.name);
    let server = Server::shared();
    server.execute("postgres", &format!("CREATE ROLE {reporter}")).await;
    let set =
        format!("ALTER ROLE {reporter} IN DATABASE {} SET statement_timeout = '1min'", pair.legacy.name);
    server.execute("postgres", &set).await;
    let report = pair.ask(check()).await;
    let object = format!("{reporter} in the database");
    let finding = assert_only(&report, Verdict::Warn, "role-setting-missing", &object);
    assert_eq!(finding.message, "legacy sets statement_timeout = 1min, the candidate does not");
}

/// A pair whose candidate is behind a PgBouncer, asked through it.
async fn pooled(mode: &str, check: Check) -> CheckReport {
    let pair = Pair::new().await;
    let bouncer = PgBouncer::before(&pair.candidate, mode).await;
    ask(&check, &sides(pair.legacy.target(), bouncer.target())).await
}

#[tokio::test]
async fn a_pgbouncer_in_transaction_mode_warns_with_what_it_refuses() {
    let report = pooled("transaction", check()).await;
    let finding = assert_only(&report, Verdict::Warn, "session-features-refused", "candidate");
    assert!(finding.message.contains("LISTEN"), "{finding:?}");
}

#[tokio::test]
async fn a_pgbouncer_in_session_mode_is_noted() {
    let report = pooled("session", check()).await;
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    let candidate = of_kind(&report, "hosting").into_iter().find(|f| f.object == "candidate").unwrap();
    assert!(candidate.message.contains("session mode"), "{candidate:?}");
}

#[tokio::test]
async fn privileges_and_activity_are_seen_through_a_pgbouncer_in_transaction_mode() {
    let name = || "pooled".to_owned();
    let privileges = Check { name: name(), privileges: Some(PrivilegesCheck::default()), ..Check::default() };
    let activity = Check { name: name(), activity: Some(ActivityCheck::default()), ..Check::default() };
    for check in [privileges, activity] {
        let report = pooled("transaction", check).await;
        assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
    }
}

#[tokio::test]
async fn a_provider_is_told_by_its_roles_whatever_the_endpoint_is_called() {
    let server = Box::leak(Box::new(Server::start("provider")));
    server.execute("postgres", "CREATE ROLE rds_superuser").await;
    let pair = Pair { legacy: Server::shared().database().await, candidate: server.database().await };
    let report = pair.ask(check()).await;
    let candidate = of_kind(&report, "hosting").into_iter().find(|f| f.object == "candidate").unwrap();
    assert!(candidate.message.starts_with("Amazon RDS"), "{candidate:?}");
    assert_eq!(candidate.severity, Severity::Info);
}

#[tokio::test]
async fn a_side_that_cannot_be_asked_is_an_error() {
    let mut pair = Pair::new().await;
    pair.candidate.port = 1;
    let report = pair.ask(check()).await;
    assert_eq!(report.verdict, Verdict::Error, "{}", report.message);
    assert!(report.message.starts_with("candidate: "), "{}", report.message);
}
