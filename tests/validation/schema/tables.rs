//! Schemas, tables, partitions and views.

use super::{equal, fails, fails_of_two, notes, warns};

#[tokio::test]
async fn a_schema_that_is_missing_fails() {
    fails("", "CREATE SCHEMA app", "", "schema-missing", "app").await;
}

#[tokio::test]
async fn a_schema_that_only_the_candidate_has_is_noted() {
    notes("", "", "CREATE SCHEMA app", "schema-extra", "app").await;
}

#[tokio::test]
async fn a_table_that_is_missing_fails_once_whatever_belongs_to_it() {
    fails("", "CREATE TABLE t (id serial PRIMARY KEY, a int CHECK (a > 0), b text); CREATE INDEX ON t (b); GRANT SELECT ON t TO PUBLIC", "", "table-missing", "public.t").await;
}

#[tokio::test]
async fn a_table_that_only_the_candidate_has_is_noted() {
    notes("", "", "CREATE TABLE t (id serial PRIMARY KEY, a int UNIQUE)", "table-extra", "public.t").await;
}

#[tokio::test]
async fn a_table_that_is_foreign_on_one_side_fails() {
    fails("", "CREATE TABLE t (a int)", "RESET ROLE; CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE t (a int) SERVER s; ALTER TABLE t OWNER TO {owner}", "table-kind-differs", "public.t").await;
}

#[tokio::test]
async fn a_table_that_is_unlogged_on_the_candidate_fails() {
    fails("", "CREATE TABLE t (a int)", "CREATE UNLOGGED TABLE t (a int)", "persistence-differs", "public.t")
        .await;
}

#[tokio::test]
async fn a_table_that_is_unlogged_on_legacy_only_is_noted() {
    notes("", "CREATE UNLOGGED TABLE t (a int)", "CREATE TABLE t (a int)", "persistence-differs", "public.t")
        .await;
}

#[tokio::test]
async fn another_access_method_warns() {
    warns("", "CREATE TABLE t (a int)", "RESET ROLE; CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler; CREATE TABLE t (a int) USING other; ALTER TABLE t OWNER TO {owner}", "access-method-differs", "public.t").await;
}

#[tokio::test]
async fn other_storage_parameters_warn() {
    warns(
        "CREATE TABLE t (a int)",
        "",
        "ALTER TABLE t SET (autovacuum_enabled = off)",
        "table-options-differ",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn another_replica_identity_warns() {
    warns(
        "CREATE TABLE t (id int PRIMARY KEY)",
        "ALTER TABLE t REPLICA IDENTITY FULL",
        "",
        "replica-identity-differs",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn a_table_that_does_not_inherit_fails() {
    fails(
        "CREATE TABLE p (a int); CREATE TABLE t (a int)",
        "ALTER TABLE t INHERIT p",
        "",
        "inheritance-differs",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn a_partitioned_table_that_is_plain_on_the_candidate_fails() {
    fails(
        "",
        "CREATE TABLE t (a int) PARTITION BY LIST (a)",
        "CREATE TABLE t (a int)",
        "table-kind-differs",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn a_partition_that_is_not_attached_fails() {
    fails_of_two(
        "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE t (a int)",
        "ALTER TABLE p ATTACH PARTITION t FOR VALUES IN (1)",
        "",
        "inheritance-differs",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn another_partition_key_fails() {
    fails(
        "",
        "CREATE TABLE t (a int, b int) PARTITION BY RANGE (a)",
        "CREATE TABLE t (a int, b int) PARTITION BY RANGE (b)",
        "partition-key-differs",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn other_bounds_of_a_partition_fail() {
    fails(
        "CREATE TABLE p (a int) PARTITION BY RANGE (a)",
        "CREATE TABLE t PARTITION OF p FOR VALUES FROM (1) TO (10)",
        "CREATE TABLE t PARTITION OF p FOR VALUES FROM (1) TO (11)",
        "partition-bound-differs",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn the_values_of_a_list_partition_are_compared_whatever_their_order() {
    let table = "CREATE TABLE p (a text) PARTITION BY LIST (a)";
    let list = |values: &str| format!("CREATE TABLE t PARTITION OF p FOR VALUES IN ({values})");
    equal(table, &list("'a, ''b', 'c\\', NULL, '-- d'"), &list("NULL, '-- d', 'c\\', 'a, ''b'")).await;
    let (one, other) = (list("'a, b', 'c'"), list("'a', 'b, c'"));
    fails(table, &one, &other, "partition-bound-differs", "public.t").await;
}

#[tokio::test]
async fn row_security_that_is_off_on_the_candidate_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "",
        "row-security-differs",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn row_security_that_spares_the_owner_fails() {
    fails(
        "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE t FORCE ROW LEVEL SECURITY",
        "",
        "row-security-differs",
        "public.t",
    )
    .await;
}

#[tokio::test]
async fn a_foreign_table_from_elsewhere_fails() {
    fails("RESET ROLE; CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE SERVER s2 FOREIGN DATA WRAPPER w", "RESET ROLE; CREATE FOREIGN TABLE t (a int) SERVER s", "RESET ROLE; CREATE FOREIGN TABLE t (a int) SERVER s2", "foreign-table-differs", "public.t").await;
}

#[tokio::test]
async fn a_view_that_is_missing_fails() {
    fails("CREATE TABLE t (a int)", "CREATE VIEW v AS SELECT a FROM t", "", "view-missing", "public.v").await;
}

#[tokio::test]
async fn a_view_that_only_the_candidate_has_is_noted() {
    notes("CREATE TABLE t (a int)", "", "CREATE VIEW v AS SELECT a FROM t", "view-extra", "public.v").await;
}

#[tokio::test]
async fn a_view_with_another_query_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "CREATE VIEW v AS SELECT a FROM t",
        "CREATE VIEW v AS SELECT a FROM t WHERE a > 0",
        "view-differs",
        "public.v",
    )
    .await;
}

#[tokio::test]
async fn a_materialized_view_with_another_query_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "CREATE MATERIALIZED VIEW v AS SELECT a FROM t",
        "CREATE MATERIALIZED VIEW v AS SELECT a FROM t LIMIT 1",
        "view-differs",
        "public.v",
    )
    .await;
}

#[tokio::test]
async fn a_view_without_its_security_barrier_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "CREATE VIEW v WITH (security_barrier) AS SELECT a FROM t",
        "CREATE VIEW v AS SELECT a FROM t",
        "view-options-differ",
        "public.v",
    )
    .await;
}

#[tokio::test]
async fn a_materialized_view_that_was_never_filled_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "CREATE MATERIALIZED VIEW v AS SELECT a FROM t",
        "CREATE MATERIALIZED VIEW v AS SELECT a FROM t WITH NO DATA",
        "materialized-view-unpopulated",
        "public.v",
    )
    .await;
}
