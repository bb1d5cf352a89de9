//! The cluster as checks see it: read anew whenever they ask, and never written to.
//!
//! Decides which objects of the rollout's namespace an answer rests on (`capacity`, `references`), and that an object
//! that can't be read is an error, not a zero. Never hands a Secret's value on: only the number that a size is.

mod capacity;
mod references;

use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};

use super::{ClusterError, Namespace, objects, pods, workloads};
use crate::{
    api::{DatabaseRolloutSpec, SizeReference, Stage, ValueSource, WorkloadReference},
    checks::{Capacity, ClusterView, SecretReferences, Size, WorkloadPods},
    plan::{ObjectKind, ObjectReference},
};
use capacity::Autoscalers;

/// Reads in flight at once.
const READS_AT_ONCE: usize = 4;
/// The longest number that is taken for a size.
const SIZE_MAX: i64 = 100_000;

/// Reads the cluster for the checks of a stage.
pub struct ClusterReader {
    namespace: Namespace,
    stage_workloads: Vec<WorkloadReference>,
    stages: Vec<Stage>,
    legacy_secret: String,
}

impl ClusterReader {
    /// What the checks of that stage of the spec may ask about.
    #[must_use]
    pub fn new(namespace: Namespace, spec: &DatabaseRolloutSpec, stage: &Stage) -> Self {
        Self {
            namespace,
            stage_workloads: stage.workloads.clone(),
            stages: spec.stages.clone(),
            legacy_secret: spec.legacy.connection.secret_ref.name.clone(),
        }
    }

    async fn read_pods(&self) -> Result<Vec<WorkloadPods>, String> {
        let mut all = Vec::new();
        for reference in &self.stage_workloads {
            let read = workloads::read(&self.namespace, reference).await.map_err(told)?;
            let workload = read.ok_or_else(|| format!("{reference} does not exist"))?;
            let found = pods::list(&self.namespace, reference, &workload).await.map_err(told)?;
            let pods = pods::summarize(&workload, &found);
            all.push(WorkloadPods {
                workload: reference.to_string(),
                desired: pods.desired,
                ready: pods.ready,
                restarts: pods.restarts,
            });
        }
        Ok(all)
    }

    async fn read_capacity(&self, references: &[WorkloadReference]) -> Result<Vec<Capacity>, String> {
        if references.is_empty() {
            return Ok(Vec::new());
        }
        let scalers = capacity::autoscalers(&self.namespace).await.map_err(told)?;
        let reads: Vec<_> =
            references.iter().map(|reference| self.read_one_capacity(reference, &scalers)).collect();
        stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
    }

    async fn read_one_capacity(
        &self,
        reference: &WorkloadReference,
        scalers: &Autoscalers,
    ) -> Result<Capacity, String> {
        let read = capacity::read(&self.namespace, reference, scalers).await.map_err(told)?;
        read.ok_or_else(|| format!("{reference} does not exist"))
    }

    /// The sources that the stages set a key from.
    fn candidates(&self, object: &ObjectReference, key: &str) -> Vec<&ValueSource> {
        let changes = self.stages.iter().flat_map(|stage| &stage.config);
        let written = changes.filter(|change| match object.kind {
            ObjectKind::Secret => change.secret.as_ref() == Some(&object.name),
            ObjectKind::ConfigMap => change.config_map.as_ref() == Some(&object.name),
        });
        written.filter_map(|change| change.set.get(key)).collect()
    }

    /// Of several stages that set the key, one after the other, the largest counts.
    async fn read_size(&self, reference: &SizeReference) -> Result<Size, String> {
        let object = match (&reference.config_map, &reference.secret) {
            (Some(name), None) => ObjectReference { kind: ObjectKind::ConfigMap, name: name.clone() },
            (None, Some(name)) => ObjectReference { kind: ObjectKind::Secret, name: name.clone() },
            _ => return Ok(Size::Unknown("sizeFrom names not exactly one of secret and configMap".into())),
        };
        let mut largest = None;
        for source in self.candidates(&object, &reference.key) {
            let size = match (&source.value, &source.from_secret) {
                (Some(value), _) => number(value.as_bytes(), &object, &reference.key),
                (None, Some(from)) => {
                    let secret = ObjectReference { kind: ObjectKind::Secret, name: from.name.clone() };
                    self.live(&secret, &from.key).await?
                }
                (None, None) => continue,
            };
            let Size::Known(size) = size else { return Ok(size) };
            largest = largest.max(Some(size));
        }
        match largest {
            Some(size) => Ok(Size::Known(size)),
            None => self.live(&object, &reference.key).await,
        }
    }

    async fn live(&self, object: &ObjectReference, key: &str) -> Result<Size, String> {
        let read = objects::read(&self.namespace, object).await.map_err(told)?;
        Ok(match read.as_ref().and_then(|read| read.value(key)) {
            Some(value) => number(value, object, key),
            None => Size::Unknown(format!("{object} has no key {key}, and no stage sets it")),
        })
    }
}

/// Shows nothing of a value that is not a size: it may be a secret.
fn number(value: &[u8], object: &ObjectReference, key: &str) -> Size {
    let parsed = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<i64>().ok());
    match parsed.filter(|size| (0..=SIZE_MAX).contains(size)) {
        Some(size) => Size::Known(size),
        None => Size::Unknown(format!("key {key} of {object} is not a whole number up to {SIZE_MAX}")),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn told(error: ClusterError) -> String {
    error.to_string()
}

impl ClusterView for ClusterReader {
    fn pods(&self) -> BoxFuture<'_, Result<Vec<WorkloadPods>, String>> {
        Box::pin(self.read_pods())
    }

    fn workloads(&self) -> Vec<WorkloadReference> {
        let mut all: Vec<_> = self.stages.iter().flat_map(|stage| &stage.workloads).cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    fn capacity<'a>(
        &'a self,
        workloads: &'a [WorkloadReference],
    ) -> BoxFuture<'a, Result<Vec<Capacity>, String>> {
        Box::pin(self.read_capacity(workloads))
    }

    fn size<'a>(&'a self, reference: &'a SizeReference) -> BoxFuture<'a, Result<Size, String>> {
        Box::pin(self.read_size(reference))
    }

    fn legacy_references(&self) -> BoxFuture<'_, Result<Option<SecretReferences>, String>> {
        Box::pin(async {
            references::find(&self.namespace, &self.legacy_secret).await.map(Some).map_err(told)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_size_is_not_shown() {
        let object = ObjectReference { kind: ObjectKind::Secret, name: "api-db".to_owned() };
        assert_eq!(number(b" 20\n", &object, "k"), Size::Known(20));
        for value in ["canary", "-1", "100001", "20.5", ""] {
            let Size::Unknown(why) = number(value.as_bytes(), &object, "k") else {
                panic!("{value} is none")
            };
            assert_eq!(why, "key k of Secret/api-db is not a whole number up to 100000");
        }
    }
}
