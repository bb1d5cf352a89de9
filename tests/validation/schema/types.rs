//! Types, and the rest that has a name.

use super::{fails, notes, warns};

#[tokio::test]
async fn a_type_that_is_missing_fails() {
    fails("", "CREATE TYPE e AS ENUM ('a')", "", "type-missing", "public.e").await;
}

#[tokio::test]
async fn a_type_that_only_the_candidate_has_is_noted() {
    notes("", "", "CREATE TYPE e AS ENUM ('a')", "type-extra", "public.e").await;
}

#[tokio::test]
async fn another_kind_of_type_fails() {
    fails("", "CREATE TYPE e AS ENUM ('a')", "CREATE DOMAIN e AS int", "type-differs", "public.e").await;
}

#[tokio::test]
async fn another_range_fails() {
    fails(
        "",
        "CREATE TYPE r AS RANGE (subtype = int)",
        "CREATE TYPE r AS RANGE (subtype = bigint)",
        "type-differs",
        "public.r",
    )
    .await;
}

#[tokio::test]
async fn another_domain_fails() {
    fails("", "CREATE DOMAIN d AS int", "CREATE DOMAIN d AS int NOT NULL", "domain-differs", "public.d")
        .await;
}

#[tokio::test]
async fn another_default_of_a_domain_fails() {
    fails(
        "",
        "CREATE DOMAIN d AS int DEFAULT 1",
        "CREATE DOMAIN d AS int DEFAULT 2",
        "domain-differs",
        "public.d",
    )
    .await;
}

#[tokio::test]
async fn a_label_that_is_missing_fails() {
    fails(
        "",
        "CREATE TYPE e AS ENUM ('a', 'b')",
        "CREATE TYPE e AS ENUM ('a')",
        "enum-labels-differ",
        "public.e",
    )
    .await;
}

#[tokio::test]
async fn a_label_that_only_the_candidate_has_warns() {
    warns(
        "",
        "CREATE TYPE e AS ENUM ('a', 'b')",
        "CREATE TYPE e AS ENUM ('a', 'new', 'b')",
        "enum-labels-differ",
        "public.e",
    )
    .await;
}

#[tokio::test]
async fn another_order_of_labels_fails() {
    fails(
        "",
        "CREATE TYPE e AS ENUM ('a', 'b')",
        "CREATE TYPE e AS ENUM ('b', 'a')",
        "enum-order-differs",
        "public.e",
    )
    .await;
}

#[tokio::test]
async fn an_operator_that_is_missing_fails() {
    fails(
        "",
        "CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)",
        "",
        "object-missing",
        "operator public.===(integer, integer)",
    )
    .await;
}

#[tokio::test]
async fn a_collation_that_is_missing_fails() {
    fails("", r#"CREATE COLLATION mine FROM "C""#, "", "object-missing", "collation public.mine").await;
}

#[tokio::test]
async fn a_cast_that_only_the_candidate_has_is_noted() {
    notes(
        "CREATE TYPE e AS ENUM ('a')",
        "",
        "CREATE CAST (e AS int) WITH INOUT",
        "object-extra",
        "cast from public.e to integer",
    )
    .await;
}

#[tokio::test]
async fn a_publication_that_is_missing_warns() {
    warns(
        "CREATE TABLE t (a int)",
        "RESET ROLE; CREATE PUBLICATION p FOR TABLE t",
        "",
        "publication-missing",
        "p",
    )
    .await;
}

#[tokio::test]
async fn a_publication_that_only_the_candidate_has_is_noted() {
    notes(
        "CREATE TABLE t (a int)",
        "",
        "RESET ROLE; CREATE PUBLICATION p FOR TABLE t",
        "publication-extra",
        "p",
    )
    .await;
}

#[tokio::test]
async fn a_publication_of_other_operations_warns() {
    warns(
        "CREATE TABLE t (a int)",
        "RESET ROLE; CREATE PUBLICATION p FOR TABLE t",
        "RESET ROLE; CREATE PUBLICATION p FOR TABLE t WITH (publish = 'insert')",
        "publication-differs",
        "p",
    )
    .await;
}

#[tokio::test]
async fn a_publication_that_filters_rows_warns() {
    warns(
        "CREATE TABLE t (a int)",
        "RESET ROLE; CREATE PUBLICATION p FOR TABLE t",
        "RESET ROLE; CREATE PUBLICATION p FOR TABLE t WHERE (a > 0)",
        "publication-differs",
        "p",
    )
    .await;
}

#[tokio::test]
async fn a_publication_that_the_candidate_subscribes_to_is_noted() {
    notes("CREATE TABLE t (a int)", "RESET ROLE; CREATE PUBLICATION p FOR TABLE t", "RESET ROLE; CREATE SUBSCRIPTION s CONNECTION 'dbname=none' PUBLICATION p WITH (connect = false, slot_name = NONE)", "publication-missing", "p").await;
}

#[tokio::test]
async fn statistics_that_are_missing_warn() {
    warns(
        "CREATE TABLE t (a int, b int); ",
        "CREATE STATISTICS s ON a, b FROM t",
        "",
        "statistics-missing",
        "public.s",
    )
    .await;
}

#[tokio::test]
async fn statistics_that_only_the_candidate_has_are_noted() {
    notes(
        "CREATE TABLE t (a int, b int); ",
        "",
        "CREATE STATISTICS s ON a, b FROM t",
        "statistics-extra",
        "public.s",
    )
    .await;
}

#[tokio::test]
async fn statistics_of_another_kind_warn() {
    warns(
        "CREATE TABLE t (a int, b int); ",
        "CREATE STATISTICS s ON a, b FROM t",
        "CREATE STATISTICS s (ndistinct) ON a, b FROM t",
        "statistics-differ",
        "public.s",
    )
    .await;
}
