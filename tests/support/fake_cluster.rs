//! A cluster as checks see it, in memory.

use std::collections::BTreeMap;

use cutover::{
    api::{SizeReference, WorkloadKind, WorkloadReference},
    checks::{Capacity, ClusterView, SecretReferences, Size, WorkloadPods},
};
use futures::future::BoxFuture;

/// What a question about the cluster is answered with.
#[derive(Default)]
pub struct FakeCluster {
    /// The rollout's workloads.
    pub workloads: BTreeMap<WorkloadReference, Capacity>,
    /// Sizes by key.
    pub sizes: BTreeMap<String, Size>,
    pub references: SecretReferences,
    /// Why nothing can be seen.
    pub refuses: Option<&'static str>,
}

pub fn deployment(name: &str) -> WorkloadReference {
    WorkloadReference { kind: WorkloadKind::Deployment, name: name.to_owned() }
}

impl FakeCluster {
    /// A rollout of these Deployments: replicas, and pods on top during an update.
    pub fn of(deployments: &[(&str, i64, i64)]) -> Self {
        let capacity = |replicas: &i64, surge: &i64| Capacity {
            replicas: *replicas,
            autoscaler_max: None,
            surge: *surge,
        };
        let workloads =
            deployments.iter().map(|(name, replicas, surge)| (deployment(name), capacity(replicas, surge)));
        Self { workloads: workloads.collect(), ..Self::default() }
    }

    fn answer<T: Send + 'static>(&self, answer: Result<T, String>) -> BoxFuture<'_, Result<T, String>> {
        let answer = self.refuses.map_or(answer, |why| Err(why.to_owned()));
        Box::pin(async { answer })
    }
}

impl ClusterView for FakeCluster {
    fn pods(&self) -> BoxFuture<'_, Result<Vec<WorkloadPods>, String>> {
        self.answer(Ok(Vec::new()))
    }

    fn workloads(&self) -> Vec<WorkloadReference> {
        self.workloads.keys().cloned().collect()
    }

    fn capacity<'a>(
        &'a self,
        workloads: &'a [WorkloadReference],
    ) -> BoxFuture<'a, Result<Vec<Capacity>, String>> {
        let known =
            |workload| self.workloads.get(workload).cloned().ok_or(format!("{workload} does not exist"));
        self.answer(workloads.iter().map(known).collect())
    }

    fn size<'a>(&'a self, reference: &'a SizeReference) -> BoxFuture<'a, Result<Size, String>> {
        let unknown = || Size::Unknown(format!("there is no key {}", reference.key));
        self.answer(Ok(self.sizes.get(&reference.key).cloned().unwrap_or_else(unknown)))
    }

    fn legacy_references(&self) -> BoxFuture<'_, Result<Option<SecretReferences>, String>> {
        self.answer(Ok(Some(self.references.clone())))
    }
}
