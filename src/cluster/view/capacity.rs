//! How many pods a workload can have at once.
//!
//! Counts what the workload's controller may run, not what runs now: replicas, or the autoscaler's maximum where that is
//! more, and on top the pods by which an update may exceed them (`maxSurge`, rounded up as Kubernetes does). Pods that
//! are on their way out are not in it: their number has no bound.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::api::ListParams;

use crate::{
    api::{WorkloadKind, WorkloadReference},
    checks::Capacity,
    cluster::{ClusterError, Namespace, call, call_optional},
};

/// Autoscalers of a namespace that are looked at.
const AUTOSCALERS_MAX: u32 = 1000;
/// A Deployment's `maxSurge` where it sets none.
const DEFAULT_SURGE: &str = "25%";

/// The maximum of each workload, by kind and name, that an autoscaler scales; of several, the largest.
pub(super) type Autoscalers = BTreeMap<(String, String), i64>;

pub(super) async fn autoscalers(namespace: &Namespace) -> Result<Autoscalers, ClusterError> {
    let attempted = "list the autoscalers of the namespace";
    let params = ListParams::default().limit(AUTOSCALERS_MAX);
    let found = call(attempted, namespace.api::<HorizontalPodAutoscaler>().list(&params)).await?;
    if found.metadata.continue_.is_some_and(|more| !more.is_empty()) {
        let detail = format!("there are more than {AUTOSCALERS_MAX}");
        return Err(ClusterError::precondition(attempted, detail));
    }
    let mut maxima = Autoscalers::new();
    for spec in found.items.into_iter().filter_map(|scaler| scaler.spec) {
        let target = spec.scale_target_ref;
        let max: &mut i64 = maxima.entry((target.kind, target.name)).or_default();
        *max = (*max).max(i64::from(spec.max_replicas));
    }
    Ok(maxima)
}

/// `None` where it does not exist.
pub(super) async fn read(
    namespace: &Namespace,
    reference: &WorkloadReference,
    autoscalers: &Autoscalers,
) -> Result<Option<Capacity>, ClusterError> {
    let attempted = format!("read {reference}");
    let name = &reference.name;
    let max = autoscalers.get(&(format!("{:?}", reference.kind), name.clone())).copied();
    Ok(match reference.kind {
        WorkloadKind::Deployment => call_optional(attempted, namespace.api::<Deployment>().get_opt(name))
            .await?
            .map(|deployment| of_deployment(&deployment, max)),
        WorkloadKind::StatefulSet => call_optional(attempted, namespace.api::<StatefulSet>().get_opt(name))
            .await?
            .map(|set| of_stateful_set(&set, max)),
        WorkloadKind::DaemonSet => {
            call_optional(attempted.clone(), namespace.api::<DaemonSet>().get_opt(name))
                .await?
                .map(|set| {
                    of_daemon_set(&set).ok_or_else(|| {
                        ClusterError::precondition(attempted, "its controller has not counted its nodes yet")
                    })
                })
                .transpose()?
        }
    })
}

fn of_deployment(deployment: &Deployment, autoscaler_max: Option<i64>) -> Capacity {
    let spec = deployment.spec.as_ref();
    let replicas = i64::from(spec.and_then(|spec| spec.replicas).unwrap_or(1));
    let capacity = Capacity { replicas, autoscaler_max, surge: 0 };
    let strategy = spec.and_then(|spec| spec.strategy.as_ref());
    if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate") {
        return capacity;
    }
    let surge = strategy.and_then(|s| s.rolling_update.as_ref()).and_then(|r| r.max_surge.clone());
    let surge = surge.unwrap_or_else(|| IntOrString::String(DEFAULT_SURGE.to_owned()));
    Capacity { surge: resolve(&surge, capacity.most()), ..capacity }
}

/// An update replaces a StatefulSet's pods one for one.
fn of_stateful_set(set: &StatefulSet, autoscaler_max: Option<i64>) -> Capacity {
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    Capacity { replicas: i64::from(replicas), autoscaler_max, surge: 0 }
}

/// `None` before its controller has looked at it: no status is not "on no node".
fn of_daemon_set(set: &DaemonSet) -> Option<Capacity> {
    let replicas = i64::from(set.status.as_ref()?.desired_number_scheduled);
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
    let surge = strategy.and_then(|s| s.rolling_update.as_ref()).and_then(|r| r.max_surge.as_ref());
    let surge = surge.map_or(0, |surge| resolve(surge, replicas));
    Some(Capacity { replicas, autoscaler_max: None, surge })
}

/// A number of pods, or a share of `pods` in percent, rounded up.
fn resolve(surge: &IntOrString, pods: i64) -> i64 {
    match surge {
        IntOrString::Int(number) => i64::from(*number),
        // Admission lets nothing through but a number and a percent sign.
        IntOrString::String(text) => {
            let percent = text.trim_end_matches('%').parse::<i64>().unwrap_or(100);
            (pods.saturating_mul(percent) + 99) / 100
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(spec: &serde_json::Value) -> Capacity {
        let object = json!({"metadata": {}, "spec": {"selector": {}, "template": {}}});
        let mut object: Deployment = serde_json::from_value(object).unwrap();
        object.spec = Some(serde_json::from_value(spec.clone()).unwrap());
        of_deployment(&object, None)
    }

    #[test]
    fn a_surge_is_rounded_up_as_kubernetes_does() {
        for (surge, pods, expected) in
            [("25%", 3, 1), ("25%", 4, 1), ("25%", 5, 2), ("100%", 7, 7), ("0%", 7, 0)]
        {
            assert_eq!(resolve(&IntOrString::String(surge.to_owned()), pods), expected, "{surge} of {pods}");
        }
        assert_eq!(resolve(&IntOrString::Int(3), 1), 3);
    }

    #[test]
    fn a_deployment_has_a_quarter_more_pods_during_an_update_unless_it_says_otherwise() {
        let base = |strategy| json!({"replicas": 8, "selector": {}, "template": {}, "strategy": strategy});
        assert_eq!(deployment(&base(json!({}))).surge, 2);
        assert_eq!(deployment(&base(json!({"type": "Recreate"}))).surge, 0);
        assert_eq!(deployment(&base(json!({"rollingUpdate": {"maxSurge": 5}}))).surge, 5);
    }

    #[test]
    fn a_daemon_set_has_as_many_pods_as_nodes_that_it_is_for() {
        let set = json!({"metadata": {}, "status": {"desiredNumberScheduled": 5, "currentNumberScheduled": 0,
            "numberMisscheduled": 0, "numberReady": 0}, "spec": {"selector": {}, "template": {},
            "updateStrategy": {"rollingUpdate": {"maxSurge": "30%"}}}});
        let capacity = of_daemon_set(&serde_json::from_value(set).unwrap()).unwrap();
        assert_eq!(of_daemon_set(&DaemonSet::default()), None);
        assert_eq!((capacity.most(), capacity.surge), (5, 2));
    }

    #[test]
    fn an_autoscalers_maximum_counts_where_it_is_more() {
        let most = |replicas, max| Capacity { replicas, autoscaler_max: max, surge: 0 }.most();
        assert_eq!((most(3, Some(10)), most(12, Some(10)), most(3, None)), (10, 12, 3));
    }
}
