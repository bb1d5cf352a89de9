//! What the pods of a load are given: the order as plain text, the connections as references to the rollout's Secrets.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use kube::{Resource, ResourceExt};

use crate::{
    api::{Configuration, Load, LoadMode, SecretKeyReference},
    cluster::{Snapshot, job::JobRequest},
    engine::AttemptId,
    load::{
        LoadSpec,
        shard::{CANDIDATE, LEGACY, ORDER, Order, ends_all, refuse_large},
    },
};

/// What pods may take beyond their schedule: connections that are opened late, calls in flight, and the end.
const BEYOND_SCHEDULE: Duration = Duration::from_secs(60);

/// The pods that carry `load` out, of which `spec` is what was made.
pub(super) fn request(
    load: &Load,
    spec: &LoadSpec,
    snapshot: &Snapshot,
    id: &AttemptId,
) -> Result<JobRequest, String> {
    let rollout = snapshot.rollout();
    let candidate = rollout.spec.candidate.as_ref().ok_or("there is no candidate to load")?;
    let legacy = (load.mode == LoadMode::Duet).then_some(&rollout.spec.legacy);
    let count = u32::try_from(load.parallelism).unwrap_or(1);
    let tls = |side: &Configuration| side.connection.tls.clone().unwrap_or_default();
    let order = Order {
        load: load.clone(),
        traffic: spec.traffic.clone(),
        seed: spec.seed,
        count,
        application_on: spec.application_on,
        legacy: legacy.map(tls),
        candidate: tls(candidate),
    };
    refuse_large(spec, load)?;
    let mut request = JobRequest {
        rollout: rollout.name_any(),
        rollout_uid: rollout.uid().unwrap_or_default(),
        owner: rollout.owner_ref(&()).ok_or("the rollout has no uid yet")?,
        attempt: id.clone(),
        args: vec!["load-worker".to_owned()],
        env: vec![(ORDER.to_owned(), serde_json::to_string(&order).map_err(|error| error.to_string())?)],
        secret_env: Vec::new(),
        files: Vec::new(),
        parallelism: count,
        resources: Some(resources()),
        schedule: spec.warm_up + spec.longest(),
        deadline: spec.warm_up + spec.longest() + spec.statement_timeout + BEYOND_SCHEDULE,
        ends_all,
    };
    connect(&mut request, candidate, CANDIDATE, "candidate-ca.crt");
    legacy.into_iter().for_each(|legacy| connect(&mut request, legacy, LEGACY, "legacy-ca.crt"));
    Ok(request)
}

fn connect(request: &mut JobRequest, side: &Configuration, [uri, ca]: [&str; 2], file: &str) {
    let reference = &side.connection.secret_ref;
    request.secret_env.push((uri.to_owned(), reference.clone()));
    if let Some(key) = side.connection.tls.as_ref().and_then(|tls| tls.ca_key.clone()) {
        request.files.push((file.to_owned(), SecretKeyReference { name: reference.name.clone(), key }));
        request.env.push((ca.to_owned(), JobRequest::path_of(file)));
    }
}

/// Enough for some thousand calls a second, and what a namespace with a quota asks every pod to say.
fn resources() -> ResourceRequirements {
    let of = |pairs: &[(&str, &str)]| -> BTreeMap<String, Quantity> {
        pairs.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned()))).collect()
    };
    ResourceRequirements {
        requests: Some(of(&[("cpu", "100m"), ("memory", "64Mi")])),
        limits: Some(of(&[("cpu", "2"), ("memory", "512Mi")])),
        ..ResourceRequirements::default()
    }
}
