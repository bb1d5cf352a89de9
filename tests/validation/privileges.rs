//! `privileges`.

use cutover::{
    api::{Check, PrivilegesCheck, Verdict},
    checks::{CheckReport, Severity},
};

use crate::{
    pair::{Pair, assert_only, of_kind},
    postgres::Server,
};

const ROLE: &str = "the connection's role";
const ORDERS: &str = "CREATE TABLE orders (id int, note text)";

fn check() -> Check {
    Check { name: "allowed".to_owned(), privileges: Some(PrivilegesCheck::default()), ..Check::default() }
}

async fn compared(both: &str, legacy: &str, candidate: &str) -> CheckReport {
    Pair::of(both, legacy, candidate).await.ask(check()).await
}

fn assert_passes(report: &CheckReport) {
    assert_eq!(report.verdict, Verdict::Pass, "{report:#?}");
}

#[tokio::test]
async fn owners_of_everything_may_do_the_same_whatever_their_names() {
    let both =
        format!("SET ROLE {{owner}}; {ORDERS}; CREATE SEQUENCE numbers; CREATE TYPE mood AS ENUM ('fair')");
    let report = compared(&both, "", "").await;
    assert_passes(&report);
    assert!(report.findings.is_empty(), "{report:#?}");
}

#[tokio::test]
async fn a_table_privilege_that_is_missing_fails() {
    let report = compared(
        ORDERS,
        "GRANT SELECT, UPDATE, DELETE ON orders TO {owner}",
        "GRANT SELECT ON orders TO {owner}",
    )
    .await;
    let finding = assert_only(&report, Verdict::Fail, "privilege-missing", "public.orders");
    assert_eq!(finding.evidence["missing"], "UPDATE, DELETE");
}

#[tokio::test]
async fn a_privilege_that_public_has_counts_like_a_grant() {
    let (public, own) = ("GRANT SELECT ON orders TO PUBLIC", "GRANT SELECT ON orders TO {owner}");
    assert_passes(&compared(ORDERS, public, own).await);
}

#[tokio::test]
async fn a_privilege_that_is_new_is_noted() {
    let report = compared(ORDERS, "", "GRANT SELECT ON orders TO {owner}").await;
    assert_passes(&report);
    assert_eq!(of_kind(&report, "privilege-added").len(), 1);
}

#[tokio::test]
async fn an_object_that_one_side_lacks_is_the_schema_checks_business() {
    let report = compared("", &format!("SET ROLE {{owner}}; {ORDERS}"), "CREATE TABLE other (id int)").await;
    assert_passes(&report);
    assert!(report.findings.is_empty(), "{report:#?}");
}

#[tokio::test]
async fn objects_of_extensions_do_not_count() {
    let revoke = "REVOKE EXECUTE ON FUNCTION hstore(text, text) FROM PUBLIC";
    assert_passes(&compared("CREATE EXTENSION hstore", "", revoke).await);
}

#[tokio::test]
async fn every_kind_of_object_is_looked_at() {
    for (both, legacy, candidate, object, missing) in [
        (
            "CREATE SEQUENCE numbers",
            "GRANT USAGE ON SEQUENCE numbers TO {owner}",
            "",
            "public.numbers",
            "USAGE",
        ),
        ("CREATE VIEW v AS SELECT 1 AS one", "GRANT SELECT ON v TO {owner}", "", "public.v", "SELECT"),
        (
            "CREATE SCHEMA shop",
            "GRANT USAGE, CREATE ON SCHEMA shop TO {owner}",
            "",
            "schema shop",
            "USAGE, CREATE",
        ),
        (
            "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql RETURN 1",
            "",
            "REVOKE EXECUTE ON FUNCTION f FROM PUBLIC",
            "function public.f(integer)",
            "EXECUTE",
        ),
        (
            "CREATE TYPE mood AS ENUM ('fair')",
            "",
            "REVOKE USAGE ON TYPE mood FROM PUBLIC",
            "type public.mood",
            "USAGE",
        ),
        ("CREATE DOMAIN d AS int", "", "REVOKE USAGE ON DOMAIN d FROM PUBLIC", "type public.d", "USAGE"),
        ("", "", "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC", "language plpgsql", "USAGE"),
        ("", "", "REVOKE TEMPORARY ON DATABASE {owner} FROM PUBLIC, {owner}", "database", "TEMPORARY"),
        (
            "CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw",
            "GRANT USAGE ON FOREIGN SERVER far TO {owner}",
            "",
            "server far",
            "USAGE",
        ),
    ] {
        let report = compared(both, legacy, candidate).await;
        let finding = assert_only(&report, Verdict::Fail, "privilege-missing", object);
        assert_eq!(finding.evidence["missing"], missing);
    }
}

#[tokio::test]
async fn a_column_that_may_not_be_read_any_more_fails() {
    let report = compared(
        ORDERS,
        "GRANT SELECT (id, note) ON orders TO {owner}",
        "GRANT SELECT (id) ON orders TO {owner}",
    )
    .await;
    let finding = assert_only(&report, Verdict::Fail, "privilege-missing", "public.orders.note");
    assert_eq!(finding.evidence["missing"], "SELECT");
}

#[tokio::test]
async fn grants_on_columns_that_the_candidate_lacks_altogether_fail() {
    let report = compared(ORDERS, "GRANT SELECT (id) ON orders TO {owner}", "").await;
    assert_only(&report, Verdict::Fail, "privilege-missing", "public.orders.id");
}

#[tokio::test]
async fn a_table_that_may_be_read_needs_no_grants_on_columns() {
    let report =
        compared(ORDERS, "GRANT SELECT (id) ON orders TO {owner}", "GRANT SELECT ON orders TO {owner}").await;
    assert_passes(&report);
}

#[tokio::test]
async fn grants_on_columns_do_not_make_up_for_the_table() {
    let report =
        compared(ORDERS, "GRANT SELECT ON orders TO {owner}", "GRANT SELECT (id) ON orders TO {owner}").await;
    let findings = of_kind(&report, "privilege-missing");
    assert!(findings.iter().any(|finding| finding.object == "public.orders"), "{findings:?}");
}

#[tokio::test]
async fn names_that_need_quotes_are_told_apart() {
    let both = r#"CREATE TABLE "a.b" (id int); CREATE SCHEMA a; CREATE TABLE a.b (id int)"#;
    let legacy = r#"GRANT SELECT ON "a.b" TO {owner}"#;
    let report = compared(both, legacy, "GRANT SELECT ON a.b TO {owner}").await;
    assert_only(&report, Verdict::Fail, "privilege-missing", r#"public."a.b""#);
}

#[tokio::test]
async fn not_to_own_a_table_any_more_fails() {
    let report =
        compared(ORDERS, "ALTER TABLE orders OWNER TO {owner}", "GRANT ALL ON orders TO {owner}").await;
    assert_only(&report, Verdict::Fail, "ownership-missing", "public.orders");
}

#[tokio::test]
async fn to_own_through_a_membership_is_to_own() {
    let group = "CREATE ROLE owners_of_{owner}; GRANT owners_of_{owner} TO {owner}; \
                 ALTER TABLE orders OWNER TO owners_of_{owner}";
    let report = compared(ORDERS, "ALTER TABLE orders OWNER TO {owner}", group).await;
    assert_passes(&report);
}

const GUARDED: &str = "CREATE TABLE orders (id int); ALTER TABLE orders ENABLE ROW LEVEL SECURITY; \
                       GRANT SELECT ON orders TO {owner}";

#[tokio::test]
async fn row_security_that_newly_applies_fails() {
    let report = compared(GUARDED, "ALTER ROLE {owner} BYPASSRLS", "").await;
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(of_kind(&report, "row-security-applies")[0].object, "public.orders");
    assert_eq!(of_kind(&report, "role-attribute-missing")[0].evidence["attribute"], "BYPASSRLS");
}

#[tokio::test]
async fn row_security_that_no_longer_applies_warns() {
    let report = compared(GUARDED, "", "ALTER ROLE {owner} BYPASSRLS").await;
    assert_eq!(report.verdict, Verdict::Warn);
    assert_eq!(of_kind(&report, "row-security-bypassed")[0].object, "public.orders");
    assert_eq!(of_kind(&report, "role-attribute-added")[0].evidence["attribute"], "BYPASSRLS");
}

#[tokio::test]
async fn forced_row_security_applies_to_the_owner() {
    let both = format!("{GUARDED}; ALTER TABLE orders OWNER TO {{owner}}");
    let report = compared(&both, "", "ALTER TABLE orders FORCE ROW LEVEL SECURITY").await;
    assert_only(&report, Verdict::Fail, "row-security-applies", "public.orders");
}

#[tokio::test]
async fn an_attribute_that_is_missing_fails_and_one_that_is_new_warns() {
    let createdb = "ALTER ROLE {owner} CREATEDB";
    assert_only(&compared("", createdb, "").await, Verdict::Fail, "role-attribute-missing", ROLE);
    assert_only(&compared("", "", createdb).await, Verdict::Warn, "role-attribute-added", ROLE);
}

#[tokio::test]
async fn a_lower_connection_limit_warns() {
    let report = compared("", "", "ALTER ROLE {owner} CONNECTION LIMIT 5").await;
    assert_only(&report, Verdict::Warn, "connection-limit-lower", ROLE);
    let report = compared(
        "",
        "ALTER DATABASE {owner} CONNECTION LIMIT 9",
        "ALTER DATABASE {owner} CONNECTION LIMIT 5",
    )
    .await;
    assert_only(&report, Verdict::Warn, "connection-limit-lower", "database");
    let report = compared("", "ALTER ROLE {owner} CONNECTION LIMIT 5", "").await;
    assert_passes(&report);
}

#[tokio::test]
async fn a_password_that_is_about_to_expire_fails() {
    let report = compared("", "", "ALTER ROLE {owner} VALID UNTIL 'tomorrow'").await;
    assert_only(&report, Verdict::Fail, "password-expiring", ROLE);
    assert_passes(&compared("", "", "ALTER ROLE {owner} VALID UNTIL 'infinity'").await);
    assert_passes(&compared("", "", "ALTER ROLE {owner} VALID UNTIL '2999-01-01'").await);
}

#[tokio::test]
async fn a_membership_that_is_missing_fails_and_one_that_is_new_is_noted() {
    let grant = "GRANT pg_read_all_stats TO {owner}";
    assert_only(&compared("", grant, "").await, Verdict::Fail, "membership-missing", "pg_read_all_stats");
    let report = compared("", "", grant).await;
    assert_passes(&report);
    assert_eq!(of_kind(&report, "membership-added")[0].object, "pg_read_all_stats");
}

#[tokio::test]
async fn a_membership_that_works_only_after_set_role_warns() {
    let report = compared("GRANT pg_read_all_stats TO {owner}", "", "ALTER ROLE {owner} NOINHERIT").await;
    let finding = of_kind(&report, "membership-missing")[0];
    assert_eq!((finding.severity, finding.object.as_str()), (Severity::Warn, "pg_read_all_stats"));
}

#[tokio::test]
async fn a_group_that_the_candidate_lacks_warns() {
    let other = Box::leak(Box::new(Server::start("privileges")));
    let pair = Pair { legacy: Server::shared().database().await, candidate: other.database().await };
    let name = &pair.legacy.name;
    let group = format!("CREATE ROLE group_of_{name}; GRANT group_of_{name} TO {name}");
    Server::shared().execute("postgres", &group).await;
    let report = pair.ask(check()).await;
    assert_only(&report, Verdict::Warn, "membership-missing", &format!("group_of_{name}"));
}

#[tokio::test]
async fn what_counts_is_the_role_that_a_session_ends_up_with() {
    let candidate = "CREATE ROLE worker_of_{owner}; GRANT worker_of_{owner} TO {owner}; \
                     ALTER ROLE {owner} SET role = 'worker_of_{owner}'; GRANT SELECT ON orders TO {owner}";
    let report = compared(ORDERS, "GRANT SELECT ON orders TO {owner}", candidate).await;
    let findings = of_kind(&report, "privilege-missing");
    assert!(findings.iter().any(|finding| finding.object == "public.orders"), "{report:#?}");
}

#[tokio::test]
async fn a_further_role_is_compared_by_its_name() {
    let pair = Pair::of(ORDERS, "", "").await;
    let reporter = format!("reporter_of_{}", pair.legacy.name);
    let asking = |roles: &[&str]| {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Check { privileges: Some(PrivilegesCheck { roles }), ..check() }
    };
    pair.legacy.execute(&format!("CREATE ROLE {reporter}; GRANT SELECT ON orders TO {reporter}")).await;
    let report = pair.ask(asking(&[&reporter, &reporter])).await;
    let finding = assert_only(&report, Verdict::Fail, "privilege-missing", "public.orders");
    assert_eq!(finding.evidence["role"], reporter.as_str());
    let report = pair.ask(asking(&["nobody's \"role\""])).await;
    assert_only(&report, Verdict::Fail, "role-missing", "nobody's \"role\"");
}

#[tokio::test]
async fn row_security_that_the_candidate_alone_has_fails() {
    let tables = "CREATE TABLE notes (id int PRIMARY KEY); GRANT SELECT ON notes TO {owner}";
    let pair = Pair::of(tables, "", "ALTER TABLE notes ENABLE ROW LEVEL SECURITY").await;
    let report = pair.ask(check()).await;
    assert_only(&report, Verdict::Fail, "row-security-applies", "public.notes");
}

#[tokio::test]
async fn names_are_compared_however_the_servers_quote_them() {
    let tables = "CREATE TABLE notes (id int PRIMARY KEY)";
    let quoting = "ALTER DATABASE {owner} SET quote_all_identifiers = on";
    let pair = Pair::of(tables, "GRANT SELECT ON notes TO {owner}", quoting).await;
    let report = pair.ask(check()).await;
    assert_only(&report, Verdict::Fail, "privilege-missing", "public.notes");
}

#[tokio::test]
async fn a_side_that_does_not_tell_memberships_fails_by_name() {
    for side in ["legacy", "candidate"] {
        let pair = Pair::new().await;
        let database = if side == "legacy" { &pair.legacy } else { &pair.candidate };
        database.execute("REVOKE EXECUTE ON FUNCTION pg_has_role(oid, oid, text) FROM PUBLIC").await;
        let report = pair.ask(check()).await;
        assert_eq!(report.verdict, Verdict::Fail, "{report:#?}");
        assert!(report.message.starts_with(&format!("{side}: ")), "{}", report.message);
    }
}

#[tokio::test]
async fn thousands_of_privileges_that_are_missing_are_counted_and_a_part_is_kept() {
    let many = "DO $$ BEGIN FOR i IN 1..2500 LOOP EXECUTE format('CREATE TABLE t%s ()', i); END LOOP; END $$";
    let grant = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {owner}";
    let report = compared(many, grant, "").await;
    assert_eq!((report.verdict, report.findings_total), (Verdict::Fail, 2500));
    assert_eq!(report.findings.len(), cutover::checks::FINDINGS_MAX);
}

#[tokio::test]
async fn more_memberships_than_can_be_compared_are_an_error() {
    let server = Box::leak(Box::new(Server::start_with("memberships", &[])));
    let pair = Pair { legacy: server.database().await, candidate: server.database().await };
    let many = format!(
        "DO $$ BEGIN FOR i IN 1..1001 LOOP EXECUTE format('CREATE ROLE group%s ROLE {}', i); END LOOP; END $$",
        pair.candidate.name
    );
    pair.candidate.execute(&many).await;
    let report = pair.ask(check()).await;
    assert_eq!(report.verdict, Verdict::Error, "{report:#?}");
    assert!(report.message.starts_with("candidate: "), "{}", report.message);
    assert!(report.message.contains("more than 1000 roles"), "{}", report.message);
}

/// A role of its own on each side, which all databases of the server share.
fn keeper(rest: &str) -> String {
    format!("CREATE ROLE {{owner}}_keeper; GRANT USAGE, CREATE ON SCHEMA public TO {{owner}}_keeper; {rest}")
}

#[tokio::test]
async fn a_view_whose_owner_may_not_read_what_it_shows_fails() {
    let view = keeper(
        "CREATE TABLE orders (id int, note text); CREATE TABLE public.\"Order lines\" (id int);
         GRANT SELECT (id) ON orders TO {owner}_keeper; GRANT SELECT ON \"Order lines\" TO {owner}_keeper;
         SET ROLE {owner}_keeper; CREATE VIEW v AS SELECT o.id FROM orders o JOIN \"Order lines\" l USING (id);
         GRANT SELECT ON v TO {owner}; RESET ROLE;",
    );
    assert_passes(&compared(&view, "", "").await);
    for lost in ["SELECT (id) ON orders", "SELECT ON \"Order lines\""] {
        let report = compared(&view, "", &format!("REVOKE {lost} FROM {{owner}}_keeper")).await;
        let finding = assert_only(&report, Verdict::Fail, "view-owner-lacks-privilege", "public.v");
        let relation = if lost.contains("Order") { "public.\"Order lines\"" } else { "public.orders" };
        assert_eq!(finding.evidence["unreadable"], relation);
        // Where legacy has the same fault nothing is lost.
        assert_passes(&compared(&format!("{view} REVOKE {lost} FROM {{owner}}_keeper"), "", "").await);
    }
    let invoker =
        "ALTER VIEW v SET (security_invoker = on); GRANT SELECT ON orders, \"Order lines\" TO {owner};";
    let report =
        compared(&format!("{view} {invoker}"), "", "REVOKE SELECT (id) ON orders FROM {owner}_keeper").await;
    assert_passes(&report);
}

#[tokio::test]
async fn a_security_definer_function_whose_owner_may_do_less_warns() {
    let function = keeper(
        "CREATE TABLE orders (id int); GRANT SELECT, DELETE ON orders TO {owner}_keeper; SET ROLE {owner}_keeper;
         CREATE FUNCTION f(int) RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'; RESET ROLE;",
    );
    assert_passes(&compared(&function, "", "").await);
    let report = compared(&function, "", "REVOKE DELETE ON orders FROM {owner}_keeper").await;
    let finding =
        assert_only(&report, Verdict::Warn, "definer-lacks-privilege", "function public.f(integer)");
    assert!(finding.message.contains("DELETE on public.orders"), "{}", finding.message);
    let invoker = "ALTER FUNCTION f(int) SECURITY INVOKER;";
    let report =
        compared(&format!("{function} {invoker}"), "", "REVOKE DELETE ON orders FROM {owner}_keeper").await;
    assert_passes(&report);
}
