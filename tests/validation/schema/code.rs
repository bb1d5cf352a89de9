//! Functions, triggers, rules and policies.

use super::{fails, notes, warns};

#[tokio::test]
async fn a_function_that_is_missing_fails() {
    fails(
        "",
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "",
        "function-missing",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn a_function_for_other_arguments_is_another_one() {
    fails(
        "CREATE FUNCTION f(a text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "",
        "function-missing",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn a_function_that_only_the_candidate_has_is_noted() {
    notes(
        "",
        "",
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "function-extra",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn another_body_fails() {
    fails(
        "",
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a + 1'",
        "function-body-differs",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn another_standard_body_fails() {
    fails(
        "",
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql RETURN a",
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql RETURN a + 1",
        "function-body-differs",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn another_aggregate_fails() {
    fails(
        "",
        "CREATE AGGREGATE f(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')",
        "CREATE AGGREGATE f(int) (SFUNC = int4mul, STYPE = int, INITCOND = '0')",
        "function-body-differs",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn another_result_fails() {
    fails(
        "",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION f() RETURNS SETOF int LANGUAGE sql AS 'SELECT 1'",
        "function-result-differs",
        "public.f()",
    )
    .await;
}

#[tokio::test]
async fn another_default_of_an_argument_fails() {
    fails(
        "",
        "CREATE FUNCTION f(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "CREATE FUNCTION f(a int DEFAULT 2) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "function-arguments-differ",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn another_volatility_fails() {
    fails(
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "ALTER FUNCTION f IMMUTABLE",
        "",
        "function-volatility-differs",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn a_function_that_runs_as_its_owner_fails() {
    fails(
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "",
        "ALTER FUNCTION f SECURITY DEFINER",
        "function-security-differs",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn another_search_path_fails() {
    fails(
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "ALTER FUNCTION f SET search_path = app, public",
        "",
        "function-settings-differ",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn a_function_that_treats_null_differently_fails() {
    fails(
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "ALTER FUNCTION f STRICT",
        "",
        "function-property-differs",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn another_cost_warns() {
    warns(
        "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a'",
        "ALTER FUNCTION f COST 5000",
        "",
        "function-planning-differs",
        "public.f(integer)",
    )
    .await;
}

#[tokio::test]
async fn a_trigger_that_is_missing_fails() {
    fails("CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TABLE t (a int); ", "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf()", "", "trigger-missing", "public.t.x").await;
}

#[tokio::test]
async fn a_trigger_that_only_the_candidate_has_fails() {
    fails("CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TABLE t (a int); ", "", "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf()", "trigger-extra", "public.t.x").await;
}

#[tokio::test]
async fn a_trigger_for_other_events_fails() {
    fails("CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TABLE t (a int); ", "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf()", "CREATE TRIGGER x BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tf()", "trigger-differs", "public.t.x").await;
}

#[tokio::test]
async fn a_trigger_that_is_disabled_fails() {
    fails("CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TABLE t (a int); CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf()", "", "ALTER TABLE t DISABLE TRIGGER x", "trigger-enabled-differs", "public.t.x").await;
}

#[tokio::test]
async fn a_rule_that_is_missing_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING",
        "",
        "rule-missing",
        "public.t.r",
    )
    .await;
}

#[tokio::test]
async fn a_rule_that_only_the_candidate_has_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "",
        "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING",
        "rule-extra",
        "public.t.r",
    )
    .await;
}

#[tokio::test]
async fn another_rule_fails() {
    fails(
        "CREATE TABLE t (a int)",
        "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING",
        "CREATE RULE r AS ON UPDATE TO t DO INSTEAD NOTHING",
        "rule-differs",
        "public.t.r",
    )
    .await;
}

#[tokio::test]
async fn a_rule_that_is_disabled_fails() {
    fails(
        "CREATE TABLE t (a int); CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING",
        "",
        "ALTER TABLE t DISABLE RULE r",
        "rule-differs",
        "public.t.r",
    )
    .await;
}

#[tokio::test]
async fn a_policy_that_is_missing_fails() {
    fails(
        "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON t USING (a > 0)",
        "",
        "policy-missing",
        "public.t.p",
    )
    .await;
}

#[tokio::test]
async fn a_policy_that_only_the_candidate_has_fails() {
    fails(
        "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "",
        "CREATE POLICY p ON t USING (a > 0)",
        "policy-extra",
        "public.t.p",
    )
    .await;
}

#[tokio::test]
async fn another_expression_of_a_policy_fails() {
    fails(
        "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON t USING (a > 0)",
        "CREATE POLICY p ON t USING (a > 1)",
        "policy-differs",
        "public.t.p",
    )
    .await;
}

#[tokio::test]
async fn a_policy_for_another_role_fails() {
    fails(
        "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON t TO {owner} USING (a > 0)",
        "CREATE POLICY p ON t USING (a > 0)",
        "policy-differs",
        "public.t.p",
    )
    .await;
}

#[tokio::test]
async fn a_policy_that_is_restrictive_fails() {
    fails(
        "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON t USING (a > 0)",
        "CREATE POLICY p ON t AS RESTRICTIVE USING (a > 0)",
        "policy-differs",
        "public.t.p",
    )
    .await;
}

#[tokio::test]
async fn an_event_trigger_that_is_missing_warns() {
    warns(
        "RESET ROLE; CREATE FUNCTION public.ef() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "RESET ROLE; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.ef()",
        "",
        "event-trigger-missing",
        "e",
    )
    .await;
}

#[tokio::test]
async fn an_event_trigger_that_only_the_candidate_has_warns() {
    warns(
        "RESET ROLE; CREATE FUNCTION public.ef() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
        "",
        "RESET ROLE; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.ef()",
        "event-trigger-extra",
        "e",
    )
    .await;
}

#[tokio::test]
async fn an_event_trigger_that_is_disabled_warns() {
    warns("RESET ROLE; CREATE FUNCTION public.ef() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.ef()", "", "RESET ROLE; ALTER EVENT TRIGGER e DISABLE", "event-trigger-differs", "e").await;
}
