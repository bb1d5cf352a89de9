//! Constraints and indexes.

use super::{fails, fails_of_two, notes, warns};

#[tokio::test]
async fn a_check_that_is_missing_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
        "",
        "constraint-missing",
        "public.t.c",
    )
    .await;
}

#[tokio::test]
async fn a_foreign_key_that_is_missing_fails() {
    fails(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (a int, b int); ",
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p",
        "",
        "constraint-missing",
        "public.t.f",
    )
    .await;
}

#[tokio::test]
async fn a_constraint_of_a_domain_that_is_missing_fails() {
    fails(
        "CREATE DOMAIN d AS int",
        "ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0)",
        "",
        "constraint-missing",
        "public.d.c",
    )
    .await;
}

#[tokio::test]
async fn an_exclusion_constraint_that_is_missing_fails() {
    fails(
        "CREATE TABLE t (r int4range)",
        "ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING gist (r WITH &&)",
        "",
        "constraint-missing",
        "public.t.x",
    )
    .await;
}

#[tokio::test]
async fn a_constraint_that_only_the_candidate_has_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
        "constraint-extra",
        "public.t.c",
    )
    .await;
}

#[tokio::test]
async fn another_action_of_a_foreign_key_fails() {
    fails(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (a int, b int); ",
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p ON DELETE CASCADE",
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p",
        "constraint-differs",
        "public.t.f",
    )
    .await;
}

#[tokio::test]
async fn another_expression_of_a_check_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 1)",
        "constraint-differs",
        "public.t.c",
    )
    .await;
}

#[tokio::test]
async fn other_columns_of_a_unique_constraint_fail() {
    fails(
        "CREATE TABLE t (a int, b int)",
        "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a, b)",
        "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)",
        "constraint-differs",
        "public.t.u",
    )
    .await;
}

#[tokio::test]
async fn another_name_of_a_primary_key_is_noted() {
    notes(
        "",
        "CREATE TABLE t (a int PRIMARY KEY)",
        "CREATE TABLE t (a int CONSTRAINT mine PRIMARY KEY)",
        "constraint-name-differs",
        "public.t.t_pkey",
    )
    .await;
}

#[tokio::test]
async fn a_constraint_that_is_deferred_fails() {
    fails(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (a int, b int); ",
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p",
        "constraint-deferrability-differs",
        "public.t.f",
    )
    .await;
}

#[tokio::test]
async fn a_constraint_that_the_candidate_has_not_validated_fails() {
    fails(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (a int, b int); ",
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p",
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p NOT VALID",
        "constraint-not-validated",
        "public.t.f",
    )
    .await;
}

#[tokio::test]
async fn a_constraint_that_neither_has_validated_is_noted() {
    notes("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (a int, b int); ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p NOT VALID", "", "", "constraint-not-validated", "public.t.f").await;
}

#[tokio::test]
async fn a_foreign_key_whose_triggers_stayed_disabled_after_the_copy_fails() {
    fails("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (a int, b int); ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p", "", "RESET ROLE; ALTER TABLE t DISABLE TRIGGER ALL", "constraint-not-enforced", "public.t.f").await;
}

#[tokio::test]
async fn an_index_that_is_missing_fails() {
    fails("CREATE TABLE t (a int)", "CREATE INDEX i ON t (a)", "", "index-missing", "public.i").await;
}

#[tokio::test]
async fn a_partial_index_that_is_missing_fails_without_its_literals() {
    fails(
        "CREATE TABLE t (a text)",
        "CREATE INDEX i ON t (a) WHERE a <> 'canary'",
        "",
        "index-missing",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn an_index_that_only_the_candidate_has_is_noted() {
    notes("CREATE TABLE t (a int)", "", "CREATE INDEX i ON t (a)", "index-extra", "public.i").await;
}

#[tokio::test]
async fn a_unique_index_that_only_the_candidate_has_fails() {
    fails("CREATE TABLE t (a int)", "", "CREATE UNIQUE INDEX i ON t (a)", "index-extra", "public.i").await;
}

#[tokio::test]
async fn an_index_that_is_not_unique_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "CREATE UNIQUE INDEX i ON t (a)",
        "CREATE INDEX i ON t (a)",
        "index-differs",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn another_predicate_of_an_index_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "CREATE INDEX i ON t (a) WHERE a > 0",
        "CREATE INDEX i ON t (a) WHERE a > 1",
        "index-differs",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn another_expression_of_an_index_fails() {
    fails(
        "CREATE TABLE t (a text)",
        "CREATE INDEX i ON t (lower(a))",
        "CREATE INDEX i ON t (upper(a))",
        "index-differs",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn other_included_columns_of_an_index_fail() {
    fails(
        "CREATE TABLE t (a int, b int)",
        "CREATE INDEX i ON t (a) INCLUDE (b)",
        "CREATE INDEX i ON t (a)",
        "index-differs",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn another_operator_class_of_an_index_fails() {
    fails(
        "CREATE TABLE t (a text)",
        "CREATE INDEX i ON t (a text_pattern_ops)",
        "CREATE INDEX i ON t (a)",
        "index-differs",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn another_order_in_an_index_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "CREATE INDEX i ON t (a DESC NULLS LAST)",
        "CREATE INDEX i ON t (a)",
        "index-differs",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn another_method_of_an_index_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "CREATE INDEX i ON t USING hash (a)",
        "CREATE INDEX i ON t (a)",
        "index-differs",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn an_index_on_a_materialized_view_counts_too() {
    fails(
        "CREATE MATERIALIZED VIEW v AS SELECT 1 AS a",
        "CREATE INDEX i ON v (a)",
        "",
        "index-missing",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn an_index_on_the_parent_only_fails() {
    fails_of_two(
        "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE t PARTITION OF p FOR VALUES IN (1)",
        "CREATE INDEX i ON p (a)",
        "CREATE INDEX i ON ONLY p (a)",
        "index-invalid",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn another_name_of_an_index_is_noted() {
    notes(
        "CREATE TABLE t (a int)",
        "CREATE INDEX i ON t (a)",
        "CREATE INDEX idx_a ON t (a)",
        "index-name-differs",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn other_storage_parameters_of_an_index_warn() {
    warns(
        "CREATE TABLE t (a int)",
        "CREATE INDEX i ON t (a) WITH (fillfactor = 70)",
        "CREATE INDEX i ON t (a)",
        "index-options-differ",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn an_index_that_is_invalid_on_the_candidate_fails() {
    fails(
        "CREATE TABLE t (a int); CREATE INDEX i ON t (a)",
        "",
        "RESET ROLE; UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.i'::regclass",
        "index-invalid",
        "public.i",
    )
    .await;
}

#[tokio::test]
async fn an_index_that_is_invalid_on_both_sides_warns() {
    warns("CREATE TABLE t (a int); CREATE INDEX i ON t (a); RESET ROLE; UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.i'::regclass", "", "", "index-invalid", "public.i").await;
}

const PARTITIONED: &str =
    "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE t PARTITION OF p FOR VALUES IN (1)";

/// A dump attaches the partitions' indexes one by one.
#[tokio::test]
async fn a_primary_key_that_a_partitions_index_is_not_attached_to_fails() {
    fails(
        PARTITIONED,
        "ALTER TABLE p ADD PRIMARY KEY (a)",
        "ALTER TABLE t ADD PRIMARY KEY (a); ALTER TABLE ONLY p ADD PRIMARY KEY (a)",
        "index-invalid",
        "public.p_pkey",
    )
    .await;
}

#[tokio::test]
async fn a_unique_constraints_index_that_is_invalid_on_both_sides_warns() {
    let both = format!("{PARTITIONED}; ALTER TABLE t ADD UNIQUE (a); ALTER TABLE ONLY p ADD UNIQUE (a)");
    warns(&both, "", "", "index-invalid", "public.p_a_key").await;
}
