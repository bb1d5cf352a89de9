//! Reading: which objects a rollout is about, and all of them at once.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use kube::{ResourceExt, api::ListParams};

use super::Snapshot;
use crate::{
    api::{ActiveConfig, Connection, DatabaseRollout, RollbackPhase, StagePhase, WorkloadReference},
    cluster::{ClusterError, Namespace, call, copy, objects, pods, workloads},
    engine::copy_name,
    plan::{ObjectKind, ObjectReference, Plan, conflicts_with_others},
};

/// Reads in flight at once; a rollout may be about a hundred objects.
const READS_AT_ONCE: usize = 8;
/// Rollouts in one answer: every look under way holds one, and all of a large namespace would be megabytes.
const ROLLOUTS_AT_ONCE: u32 = 50;

impl Snapshot {
    /// Looks at everything that the rollout is about. Reads from the API server itself, not from a cache: what is
    /// decided on must not be older than what was seen before.
    ///
    /// # Errors
    /// The first read that failed; then nothing is decided.
    pub async fn look(
        namespace: &Namespace,
        rollout: &DatabaseRollout,
        plan: Option<&Plan>,
    ) -> Result<Self, ClusterError> {
        let recorded = rollout.status.clone().unwrap_or_default().recorded;
        // The copy of the run that a decision may begin has the next number.
        let run = recorded.run.max(1);
        let copy_name =
            recorded.legacy.map_or_else(|| copy_name(&rollout.name_any(), run), |legacy| legacy.secret_name);
        let copy_object = objects::read(namespace, &secret(&copy_name)).await?;
        let uid = rollout.uid().unwrap_or_default();
        let copy = copy::read(copy_object.as_ref(), &uid);

        // The way back needs nothing of the candidate: what cannot be read there must not stand in its way.
        let going_back = going_back(rollout);
        let plan = plan.filter(|_| !going_back);
        let read_others =
            async { if going_back { Ok(Vec::new()) } else { read_others(namespace, rollout).await } };
        // Side by side: the API server lets each list wait, up to 100 ms, until it has caught up with the latest write.
        let (objects, workloads, others) = futures::try_join!(
            read_objects(namespace, wanted_objects(rollout, plan, &copy)),
            read_workloads(namespace, rollout, wanted_workloads(plan, &copy)),
            read_others,
        )?;
        Ok(Self { rollout: rollout.clone(), objects, workloads, copy, others })
    }
}

fn going_back(rollout: &DatabaseRollout) -> bool {
    let rollback = rollout.status.as_ref().and_then(|status| status.recorded.rollback.as_ref());
    rollout.spec.active_config == ActiveConfig::Legacy
        || rollback.is_some_and(|rollback| rollback.phase != RollbackPhase::Done)
}

fn secret(name: &str) -> ObjectReference {
    ObjectReference { kind: ObjectKind::Secret, name: name.to_owned() }
}

fn wanted_objects(
    rollout: &DatabaseRollout,
    plan: Option<&Plan>,
    copy: &copy::Found,
) -> BTreeSet<ObjectReference> {
    let spec = &rollout.spec;
    let candidate = spec.candidate.as_ref().filter(|_| !going_back(rollout));
    let connections = [Some(&spec.legacy), candidate];
    let mut wanted: BTreeSet<ObjectReference> =
        connections.into_iter().flatten().map(|c| connection_secret(&c.connection)).collect();
    for stage in plan.into_iter().flat_map(|plan| &plan.stages) {
        wanted.extend(stage.values.keys().cloned());
        let sources =
            stage.values.values().flat_map(BTreeMap::values).filter_map(|value| value.from_secret.as_ref());
        wanted.extend(sources.map(|source| secret(&source.name)));
    }
    if let copy::Found::Intact { copy, .. } = copy {
        wanted.insert(secret(&copy.legacy_secret));
        wanted
            .extend(copy.stages.iter().flat_map(|stage| &stage.bindings).map(copy::PreservedBinding::object));
    }
    wanted
}

fn connection_secret(connection: &Connection) -> ObjectReference {
    secret(&connection.secret_ref.name)
}

fn wanted_workloads(plan: Option<&Plan>, copy: &copy::Found) -> BTreeSet<WorkloadReference> {
    let mut wanted: BTreeSet<WorkloadReference> = plan
        .into_iter()
        .flat_map(|plan| &plan.stages)
        .flat_map(|stage| &stage.footprint.workloads)
        .cloned()
        .collect();
    if let copy::Found::Intact { copy, .. } = copy {
        wanted.extend(copy.stages.iter().flat_map(|stage| &stage.workloads).cloned());
    }
    wanted
}

async fn read_objects(
    namespace: &Namespace,
    wanted: BTreeSet<ObjectReference>,
) -> Result<BTreeMap<ObjectReference, Option<objects::ConfigObject>>, ClusterError> {
    stream::iter(wanted)
        .map(|reference| async move { Ok((reference.clone(), objects::read(namespace, &reference).await?)) })
        .buffer_unordered(READS_AT_ONCE)
        .try_collect()
        .await
}

async fn read_workloads(
    namespace: &Namespace,
    rollout: &DatabaseRollout,
    wanted: BTreeSet<WorkloadReference>,
) -> Result<BTreeMap<WorkloadReference, Option<(workloads::WorkloadRead, crate::engine::Pods)>>, ClusterError>
{
    let pods_matter = pods_matter(rollout);
    stream::iter(wanted)
        .map(|reference| async move {
            let Some(workload) = workloads::read(namespace, &reference).await? else {
                return Ok((reference, None));
            };
            let pods =
                if pods_matter { pods::list(namespace, &reference, &workload).await? } else { Vec::new() };
            let summary = pods::summarize(&workload, &pods);
            Ok((reference, Some((workload, summary))))
        })
        .buffer_unordered(READS_AT_ONCE)
        .try_collect()
        .await
}

/// Pods are looked at only while they are being replaced or watched.
fn pods_matter(rollout: &DatabaseRollout) -> bool {
    let Some(status) = &rollout.status else {
        return false;
    };
    let forward = |phase| {
        matches!(
            phase,
            StagePhase::Promoting
                | StagePhase::Soaking
                | StagePhase::RollingBack
                | StagePhase::Checking
                | StagePhase::Loading
                | StagePhase::AwaitingApproval
        )
    };
    let rolling_back =
        status.recorded.rollback.as_ref().is_some_and(|rollback| rollback.phase != RollbackPhase::Done);
    rolling_back || status.recorded.stages.iter().any(|stage| forward(stage.phase))
}

/// The other rollouts of the namespace that matter; none where the rollout has come to its end and claims nothing new.
async fn read_others(
    namespace: &Namespace,
    rollout: &DatabaseRollout,
) -> Result<Vec<DatabaseRollout>, ClusterError> {
    let ended = rollout.status.as_ref().is_some_and(|status| status.recorded.completed_at.is_some());
    if ended {
        return Ok(Vec::new());
    }
    let mut others = Vec::new();
    let mut params = ListParams::default().limit(ROLLOUTS_AT_ONCE);
    loop {
        let page = call("list rollouts", namespace.api::<DatabaseRollout>().list(&params)).await?;
        others.extend(page.items.into_iter().filter(|other| matters(rollout, other)));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(others),
        }
    }
}

fn matters(rollout: &DatabaseRollout, other: &DatabaseRollout) -> bool {
    let awaited = rollout.spec.prerequisites.iter().filter_map(|prerequisite| prerequisite.rollout.as_ref());
    awaited.into_iter().any(|awaited| awaited.name == other.name_any())
        || !conflicts_with_others(rollout, std::slice::from_ref(other)).is_empty()
}
