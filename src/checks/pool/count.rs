//! From the check's entries and the live objects to the terms of the sum.
//!
//! Every workload of the rollout is counted or reported as unknown; none is left out. What the cluster does not let us
//! see is an error.

use std::collections::BTreeMap;

use super::{
    SIZE_UNKNOWN,
    demand::{self, Pods, Term},
};
use crate::{
    api::{PoolCheck, PoolWorkload, WorkloadReference},
    checks::{ClusterView, Finding, Size, trouble::Trouble},
};

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// What the server gets to see: direct pools, poolers, others.
    pub(super) terms: Vec<Term>,
    /// What each pooler of the check gets to see.
    pub(super) behind: Vec<Behind>,
    /// What could not be counted.
    pub(super) unknown: Vec<Finding>,
}

/// The clients of a pooler.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) pooler: String,
    /// Clients that it lets in when none of its pods is on top for an update.
    pub(super) limit: i64,
    pub(super) clients: Vec<Term>,
}

pub(super) async fn count(question: &PoolCheck, cluster: &dyn ClusterView) -> Result<Counted, Trouble> {
    let mut counted = Counted { unknown: without_entry(question, cluster), ..Counted::default() };
    let pods = count_pods(question, cluster).await?;
    let mut clients: BTreeMap<&str, Vec<Term>> =
        question.poolers.iter().map(|pooler| (pooler.name.as_str(), Vec::new())).collect();
    for workload in &question.workloads {
        let term = match pools_of(workload, &pods, cluster).await? {
            Ok(term) => term,
            Err(unknown) => {
                counted.unknown.push(unknown);
                continue;
            }
        };
        match workload.pooler.as_deref() {
            None => counted.terms.push(term),
            Some(name) => clients.get_mut(name).ok_or_else(|| no_pooler(workload, name))?.push(term),
        }
    }
    for pooler in &question.poolers {
        let pods = match (pooler.replicas, &pooler.workload) {
            (Some(replicas), _) => Pods::fixed(replicas),
            (None, Some(workload)) => pods_of(workload, &pods)?,
            (None, None) => {
                return Err(Trouble::error(format!("pooler {}: give replicas or workload", pooler.name)));
            }
        };
        counted.terms.push(demand::of_pooler(pooler, &pods));
        counted.behind.push(Behind {
            pooler: pooler.name.clone(),
            limit: pods.least.saturating_mul(i64::from(pooler.max_client_connections)),
            clients: clients.remove(pooler.name.as_str()).unwrap_or_default(),
        });
    }
    counted.terms.extend(question.others.iter().map(|other| Term {
        name: other.name.clone(),
        factors: String::new(),
        connections: i64::from(other.connections),
    }));
    Ok(counted)
}

fn reference(workload: &PoolWorkload) -> WorkloadReference {
    WorkloadReference { kind: workload.kind, name: workload.name.clone() }
}

/// The rollout's workloads that the check says nothing of, unless they are a pooler's.
fn without_entry(question: &PoolCheck, cluster: &dyn ClusterView) -> Vec<Finding> {
    let is_known = |workload: &WorkloadReference| {
        question.workloads.iter().any(|entry| reference(entry) == *workload)
            || question.poolers.iter().any(|pooler| pooler.workload.as_ref() == Some(workload))
    };
    let unknown = cluster.workloads().into_iter().filter(|workload| !is_known(workload));
    unknown
        .map(|workload| {
            let message = format!(
                "its pool's size is not known: add {{kind: {:?}, name: {}, size: …}} (or sizeFrom) to pool.workloads",
                workload.kind, workload.name
            );
            Finding::new(&SIZE_UNKNOWN, workload.to_string(), message)
        })
        .collect()
}

/// The pods of all workloads whose number the check does not give.
async fn count_pods(
    question: &PoolCheck,
    cluster: &dyn ClusterView,
) -> Result<BTreeMap<WorkloadReference, Pods>, Trouble> {
    let entries = question.workloads.iter().filter(|entry| entry.pods.is_none()).map(reference);
    let poolers = question.poolers.iter().filter_map(|pooler| pooler.workload.clone());
    let mut wanted: Vec<WorkloadReference> = entries.chain(poolers).collect();
    wanted.sort();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let capacities = cluster.capacity(&wanted).await.map_err(unseen)?;
    Ok(wanted.into_iter().zip(capacities.iter().map(Pods::of)).collect())
}

/// The outer error is one of asking, the inner one is a size that nobody has given.
async fn pools_of(
    workload: &PoolWorkload,
    pods: &BTreeMap<WorkloadReference, Pods>,
    cluster: &dyn ClusterView,
) -> Result<Result<Term, Finding>, Trouble> {
    let name = reference(workload).to_string();
    let size = match (workload.size, &workload.size_from) {
        (Some(size), _) => Size::Known(i64::from(size)),
        (None, Some(from)) => cluster.size(from).await.map_err(unseen)?,
        (None, None) => Size::Unknown("it has neither size nor sizeFrom".to_owned()),
    };
    let size = match size {
        Size::Known(size) => size,
        Size::Unknown(why) => {
            let message = format!("its pool's size is not known: {why}; give size, or another sizeFrom");
            return Ok(Err(Finding::new(&SIZE_UNKNOWN, name, message)));
        }
    };
    let pods = match workload.pods {
        Some(pods) => Pods::fixed(pods),
        None => pods_of(&reference(workload), pods)?,
    };
    Ok(Ok(demand::of_workload(workload, name, &pods, size)))
}

fn pods_of(workload: &WorkloadReference, pods: &BTreeMap<WorkloadReference, Pods>) -> Result<Pods, Trouble> {
    pods.get(workload)
        .cloned()
        .ok_or_else(|| Trouble::error(format!("the pods of {workload} were not counted")))
}

fn no_pooler(workload: &PoolWorkload, name: &str) -> Trouble {
    let workload = reference(workload);
    Trouble::error(format!("{workload} connects through pooler {name}, which is not in pool.poolers"))
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn unseen(why: String) -> Trouble {
    Trouble::error(format!("the pools can't be counted: {why}"))
}
