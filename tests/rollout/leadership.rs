//! Two operators of one namespace: at most one acts, whoever stalls, ends or comes back.

use cutover::api::{Phase, StagePhase};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
    runtime::wait::await_condition,
};
use serde_json::json;

use crate::{
    operator::Operator,
    shop::{PATIENCE, Shop, spec, stage, with},
};

/// A stage that is checked for so many seconds.
fn checked_for(seconds: u32) -> serde_json::Value {
    let query = format!("SELECT 1 FROM pg_sleep({seconds})");
    with(
        stage("Deployment", "api"),
        json!({"checks": [{"name": "slow", "sql": {"query": query, "equals": "1"}}]}),
    )
}

async fn held_by(shop: &Shop, holder: &str) {
    let is_held = |lease: Option<&Lease>| {
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        spec.is_some_and(|spec| spec.holder_identity.as_deref() == Some(holder))
    };
    let waited = tokio::time::timeout(PATIENCE, await_condition(shop.api(), "cutover", is_held)).await;
    waited.unwrap_or_else(|_| panic!("{holder} never got the lease")).expect("a watch");
}

/// Its pod is started again, as Kubernetes does.
async fn closed_by_another(mut shop: Shop) {
    shop.operator_mut().start_again();
    tokio::time::timeout(PATIENCE, shop.operator().until_ready()).await.expect("it stands by");
    shop.close().await;
}

async fn end_of(operator: &mut Operator) -> std::process::ExitStatus {
    tokio::time::timeout(PATIENCE, operator.end()).await.expect("it ends")
}

/// A second operator. Without the lease it is ready because it stands by, and a rolling update goes on.
async fn second_of(shop: &Shop) -> Operator {
    let second = Operator::start_second(&shop.namespace);
    tokio::time::timeout(PATIENCE, second.until_ready()).await.expect("it sees who holds the lease");
    assert!(second.log().contains("stands by"), "{}", second.log());
    second
}

fn first(shop: &Shop) -> String {
    format!("first-{}", shop.namespace)
}

fn second(shop: &Shop) -> String {
    format!("second-{}", shop.namespace)
}

#[tokio::test]
async fn one_of_two_operators_acts_and_hands_over_when_it_is_told_to_end() {
    let mut shop = Shop::open("two", &[("Deployment", "api")]).await;
    held_by(&shop, &first(&shop)).await;
    let second_one = second_of(&shop).await;
    shop.roll_out(spec(&[checked_for(3)])).await;
    shop.until_stage("api", StagePhase::Checking).await;
    assert!(second_one.metric("cutover_status_writes_total").await < 0.5);
    shop.operator().signal("TERM");
    assert!(end_of(shop.operator_mut()).await.success());
    held_by(&shop, &second(&shop)).await;
    shop.until_phase(Phase::Completed).await;
    assert!(second_one.metric("cutover_effects_total").await > 0.5);
    let lease = shop.api::<Lease>().get("cutover").await.expect("the lease").spec.expect("its spec");
    assert_eq!(lease.lease_transitions, Some(2));
    closed_by_another(shop).await;
}

#[tokio::test]
async fn an_operator_that_was_asleep_while_another_took_over_ends_without_a_word() {
    let mut shop = Shop::open("zombie", &[("Deployment", "api")]).await;
    held_by(&shop, &first(&shop)).await;
    let _second_one = second_of(&shop).await;
    shop.roll_out(spec(&[checked_for(3)])).await;
    // It has recorded that it begins, and is in the middle of it.
    shop.until_stage("api", StagePhase::Checking).await;
    shop.operator().signal("STOP");
    held_by(&shop, &second(&shop)).await;
    let completed = shop.until_phase(Phase::Completed).await;
    shop.operator().signal("CONT");
    assert_eq!(end_of(shop.operator_mut()).await.code(), Some(1));
    assert!(shop.operator().log().contains("could not be renewed"), "{}", shop.operator().log());
    assert_eq!(shop.rollout().await.resource_version(), completed.resource_version());
    assert!(shop.is_on_candidate("api").await);
    closed_by_another(shop).await;
}

#[tokio::test]
async fn an_operator_whose_lease_somebody_else_was_given_ends() {
    let mut shop = Shop::open("deposed", &[("Deployment", "api")]).await;
    held_by(&shop, &first(&shop)).await;
    let patch = json!({"spec": {"holderIdentity": "a-person"}});
    let leases = shop.api::<Lease>();
    leases.patch("cutover", &PatchParams::default(), &Patch::Merge(patch)).await.expect("it may be patched");
    assert_eq!(end_of(shop.operator_mut()).await.code(), Some(1));
    assert!(shop.operator().log().contains("a-person has the lease"));
    closed_by_another(shop).await;
}

#[tokio::test]
async fn a_lease_that_was_deleted_is_made_again_by_who_held_it() {
    let shop = Shop::open("unleased", &[("Deployment", "api")]).await;
    held_by(&shop, &first(&shop)).await;
    let _second_one = second_of(&shop).await;
    let leases = shop.api::<Lease>();
    let before = leases.get("cutover").await.unwrap().uid();
    leases.delete("cutover", &kube::api::DeleteParams::default()).await.expect("it may be deleted");
    let is_new = move |lease: Option<&Lease>| lease.is_some_and(|lease| lease.uid() != before);
    let waited = tokio::time::timeout(PATIENCE, await_condition(leases, "cutover", is_new)).await;
    let lease = waited.expect("it is made again").expect("a watch").expect("it is there");
    assert_eq!(lease.spec.expect("its spec").holder_identity, Some(first(&shop)));
    shop.roll_out(spec(&[stage("Deployment", "api")])).await;
    shop.until_phase(Phase::Completed).await;
    shop.close().await;
}
