//! Operators, casts, collations, text search objects, foreign servers and user mappings.

use super::*;

/// Made by a superuser, as wrappers have to be.
const SERVER: &str =
    "RESET ROLE; CREATE FOREIGN DATA WRAPPER w; GRANT USAGE ON FOREIGN DATA WRAPPER w TO {owner}; ";

#[tokio::test]
async fn objects_that_do_something_else_by_the_same_name_fail() {
    for (legacy, candidate, object) in [
        (
            "CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)",
            "CREATE OPERATOR === (FUNCTION = int4ne, LEFTARG = int, RIGHTARG = int)",
            "operator public.===(integer, integer)",
        ),
        (
            "CREATE COLLATION mine (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
            "CREATE COLLATION mine (provider = icu, locale = 'und-u-ks-level2')",
            "collation public.mine",
        ),
        (
            "CREATE TYPE e AS ENUM ('a'); CREATE CAST (e AS int) WITH INOUT",
            "CREATE TYPE e AS ENUM ('a'); CREATE CAST (e AS int) WITH INOUT AS IMPLICIT",
            "cast from public.e to integer",
        ),
        (
            "RESET ROLE; CREATE CONVERSION c FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
            "RESET ROLE; CREATE DEFAULT CONVERSION c FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
            "conversion public.c",
        ),
        (
            "RESET ROLE; CREATE OPERATOR CLASS c FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int)",
            "RESET ROLE; CREATE OPERATOR CLASS c FOR TYPE int USING btree AS OPERATOR 1 >, FUNCTION 1 btint4cmp(int, int)",
            "operator class public.c",
        ),
        (
            "CREATE TEXT SEARCH CONFIGURATION c (COPY = pg_catalog.english)",
            "CREATE TEXT SEARCH CONFIGURATION c (COPY = pg_catalog.simple)",
            "text search configuration public.c",
        ),
        (
            "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = snowball, language = english)",
            "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = snowball, language = german)",
            "text search dictionary public.d",
        ),
        (
            "RESET ROLE; CREATE TEXT SEARCH TEMPLATE t (INIT = dsimple_init, LEXIZE = dsimple_lexize)",
            "RESET ROLE; CREATE TEXT SEARCH TEMPLATE t (LEXIZE = dsimple_lexize)",
            "text search template public.t",
        ),
        (
            "RESET ROLE; CREATE FOREIGN DATA WRAPPER w OPTIONS (a 'canary')",
            "RESET ROLE; CREATE FOREIGN DATA WRAPPER w",
            "foreign data wrapper w",
        ),
    ] {
        fails("", legacy, candidate, "object-differs", object).await;
        equal(legacy, "", "").await;
    }
}

#[tokio::test]
async fn a_foreign_server_that_leads_elsewhere_fails() {
    let server = |options: &str| format!("CREATE SERVER s {options}");
    let host = server("FOREIGN DATA WRAPPER w OPTIONS (host 'canary', port '5432')");
    let reordered = server("FOREIGN DATA WRAPPER w OPTIONS (port '5432', host 'canary')");
    let elsewhere = server("FOREIGN DATA WRAPPER w OPTIONS (host 'canary.elsewhere', port '5432')");
    let newer = server("VERSION '2' FOREIGN DATA WRAPPER w OPTIONS (host 'canary', port '5432')");
    for other in [&elsewhere, &newer] {
        fails(SERVER, &host, other, "foreign-server-differs", "foreign server s").await;
    }
    let report = report(SERVER, &host, &reordered).await;
    assert_eq!(report.findings, []);
    fails(SERVER, &host, "", "object-missing", "foreign server s").await;
}

#[tokio::test]
async fn user_mappings_are_compared_by_the_names_of_their_options() {
    let server = format!("{SERVER} SET ROLE {{owner}}; CREATE SERVER s FOREIGN DATA WRAPPER w;");
    let mapping =
        |options: &str| format!("CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS ({options})");
    let (one, other) = (
        mapping("\"user\" 'canary', password 'canary'"),
        mapping("\"user\" 'canary 2', password 'canary 3'"),
    );
    let object = "user mapping of the application's role on s";
    let report = report(&server, &one, &other).await;
    assert_eq!(report.findings, []);
    let fewer = mapping("\"user\" 'canary'");
    let finding = warns(&server, &one, &fewer, "user-mapping-differs", object).await;
    assert!(finding.message.contains("legacy has password, user, the candidate user"), "{}", finding.message);
    fails(&server, &one, "", "user-mapping-missing", object).await;
    notes(&server, "", &one, "user-mapping-extra", object).await;
}

#[tokio::test]
async fn options_that_the_role_may_not_see_are_not_taken_for_equal() {
    let mapping =
        |options: &str| format!("RESET ROLE; CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS ({options})");
    let server = format!("{SERVER} CREATE SERVER s FOREIGN DATA WRAPPER w;");
    let (one, other) = (mapping("password 'canary'"), mapping("\"user\" 'canary'"));
    warns(&server, &one, &other, "user-mapping-unseen", "user mapping of PUBLIC on s").await;
}
