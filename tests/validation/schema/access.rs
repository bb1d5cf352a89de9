//! Owners, grants and default privileges.

use super::{Pair, check, fails, fails_of_two, warns};

#[tokio::test]
async fn an_owner_that_is_no_longer_the_application_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "",
        "RESET ROLE; ALTER TABLE t OWNER TO CURRENT_USER; GRANT ALL ON t TO {owner}",
        "owner-differs",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn an_owner_that_becomes_the_application_warns() {
    warns("", "RESET ROLE; CREATE TABLE t (a int)", "CREATE TABLE t (a int)", "owner-differs", "public.t")
        .await;
}

#[tokio::test]
async fn a_grant_to_the_application_that_is_missing_fails() {
    fails(
        "RESET ROLE; CREATE TABLE t (a int)",
        "RESET ROLE; GRANT SELECT, INSERT ON t TO {owner}",
        "RESET ROLE; GRANT SELECT ON t TO {owner}",
        "grant-missing",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn a_grant_to_everybody_that_the_application_does_not_need_warns() {
    warns(
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "",
        "REVOKE EXECUTE ON FUNCTION f FROM PUBLIC",
        "grant-missing",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn a_grant_to_everybody_that_is_missing_fails() {
    fails(
        "RESET ROLE; CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "",
        "RESET ROLE; REVOKE EXECUTE ON FUNCTION f FROM PUBLIC",
        "grant-missing",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn a_privilege_that_another_owner_does_not_grant_fails() {
    fails_of_two(
        "CREATE TABLE t (a int)",
        "",
        "RESET ROLE; ALTER TABLE t OWNER TO CURRENT_USER",
        "owner-differs",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn a_grant_on_a_column_that_is_missing_fails() {
    fails(
        "RESET ROLE; CREATE TABLE t (a int)",
        "RESET ROLE; GRANT SELECT (a) ON t TO {owner}",
        "",
        "grant-missing",
        "public.t.a",
    )
    .await;
}

#[tokio::test]
async fn a_grant_to_somebody_else_that_is_missing_warns() {
    warns("RESET ROLE; DO $$ BEGIN CREATE ROLE schema_reader; EXCEPTION WHEN duplicate_object THEN NULL; WHEN unique_violation THEN NULL; END $$; SET ROLE {owner}; CREATE TABLE t (a int)", "GRANT SELECT ON t TO schema_reader", "", "grant-missing", "public.t").await;
}

#[tokio::test]
async fn a_grant_that_only_the_candidate_has_warns() {
    warns("CREATE TABLE t (a int)", "", "GRANT SELECT ON t TO PUBLIC", "grant-extra", "public.t").await;
}

#[tokio::test]
async fn other_default_privileges_warn() {
    warns(
        "",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT ON TABLES TO PUBLIC",
        "default-privileges-differ",
        "for the application's role on tables",
    )
    .await;
}

#[tokio::test]
async fn a_grant_to_everybody_covers_the_application() {
    warns(
        "RESET ROLE; CREATE TABLE t (a int)",
        "RESET ROLE; GRANT SELECT ON t TO {owner}",
        "RESET ROLE; GRANT SELECT ON t TO PUBLIC",
        "grant-extra",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn the_role_that_the_connection_works_as_is_the_applications_whatever_it_logs_in_as() {
    let both = "CREATE ROLE {owner}_app; GRANT {owner}_app TO {owner}; ALTER ROLE {owner} SET role = '{owner}_app';
        ALTER DATABASE {owner} OWNER TO {owner}_app; CREATE TABLE t (a int); ALTER TABLE t OWNER TO {owner}_app";
    let report = Pair::of(both, "", "").await.ask(check()).await;
    assert_eq!(report.findings, [], "{}", report.message);
}
