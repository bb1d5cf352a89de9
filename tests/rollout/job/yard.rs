//! A namespace for the Jobs of one test, and what pods are asked to do there.

use std::{collections::BTreeMap, time::Duration};

use cutover::{
    cluster::{
        Namespace,
        job::{JobFailure, JobRequest, Jobs, PodSettings, frame},
    },
    engine::{AttemptId, AttemptScope},
};
use futures::StreamExt;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{ConfigMap, Namespace as KubernetesNamespace, Pod, ResourceQuota},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    runtime::{WatchStreamExt, wait::await_condition, watcher},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{cluster, shop::PATIENCE};

type Outcome = Result<Vec<Vec<u8>>, JobFailure>;

/// Prints the result that the test has framed for this pod.
pub const PRINT: &str = r#"eval "printf '%s' \"\$FRAME_$JOB_COMPLETION_INDEX\"""#;
/// Stays until it is ended.
pub const STAY: &str = "exec sleep 600";

/// A namespace of a test's own, with something that owns the Jobs.
pub struct Yard {
    pub namespace: Namespace,
    pub jobs: Jobs,
    pub owner: OwnerReference,
}

impl Yard {
    pub async fn open(purpose: &str) -> Self {
        Self::open_labelled(purpose, json!({}), settings()).await
    }

    pub async fn open_labelled(purpose: &str, labels: Value, settings: PodSettings) -> Self {
        let client = cluster::client().await;
        let name = format!("job-{purpose}-{}", std::process::id());
        let object = json!({"metadata": {"name": name, "labels": labels}});
        let namespaces: Api<KubernetesNamespace> = Api::all(client.clone());
        namespaces.create(&PostParams::default(), &from(object)).await.expect("a namespace");
        let namespace = Namespace { client, name };
        let owner: ConfigMap = create(&namespace, json!({"metadata": {"name": "owner"}})).await;
        Self { namespace, jobs: Jobs::new(Some(settings)), owner: owner.owner_ref(&()).unwrap() }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.namespace.client.clone(), &self.namespace.name)
    }

    /// Pods that run that script.
    pub fn request(&self, script: &str, parallelism: u32) -> JobRequest {
        JobRequest {
            rollout: "shop".to_owned(),
            rollout_uid: self.owner.uid.clone(),
            owner: self.owner.clone(),
            attempt: AttemptId { scope: AttemptScope::Load("api".to_owned()), number: 3 },
            args: vec!["-c".to_owned(), script.to_owned()],
            env: Vec::new(),
            secret_env: Vec::new(),
            files: Vec::new(),
            parallelism,
            resources: None,
            schedule: Duration::ZERO,
            deadline: Duration::from_secs(100),
            ends_all: |_| None,
        }
    }

    /// Pods that run that script, and know how to [`PRINT`] these results.
    pub fn printing(&self, script: &str, results: &[Vec<u8>]) -> JobRequest {
        self.printing_in(3, script, results)
    }

    /// The same, in the attempt of that number.
    pub fn printing_in(&self, number: i64, script: &str, results: &[Vec<u8>]) -> JobRequest {
        let mut request = self.request(script, u32::try_from(results.len()).unwrap());
        request.attempt.number = number;
        let key = format!("{}/load/api/{number}", self.owner.uid);
        for (index, result) in (0_u32..).zip(results) {
            let mut framed = Vec::new();
            frame::write(&mut framed, &key, index, result).unwrap();
            request.env.push((format!("FRAME_{index}"), String::from_utf8(framed).unwrap()));
        }
        request
    }

    pub fn spawn(&self, request: JobRequest) -> JoinHandle<Outcome> {
        let (jobs, namespace) = (self.jobs.clone(), self.namespace.clone());
        tokio::spawn(async move { jobs.run_indexed(&namespace, &request, &|_| {}).await })
    }

    pub async fn run(&self, request: JobRequest) -> Outcome {
        tokio::time::timeout(PATIENCE, self.spawn(request)).await.expect("it has an end").expect("no panic")
    }

    pub async fn fails(&self, request: JobRequest) -> JobFailure {
        self.run(request).await.expect_err("there is no result")
    }

    /// A quota, in force.
    pub async fn limit(&self, name: &str, hard: Value) {
        let quota = json!({"metadata": {"name": name}, "spec": {"hard": hard}});
        create::<ResourceQuota>(&self.namespace, quota).await;
        let in_force = |quota: Option<&ResourceQuota>| {
            quota.and_then(|quota| quota.status.as_ref()).is_some_and(|status| status.hard.is_some())
        };
        let waited = tokio::time::timeout(PATIENCE, await_condition(self.api(), name, in_force)).await;
        waited.expect("it gets in force").expect("a watch");
    }

    pub async fn job(&self) -> Job {
        let mut jobs = self.api::<Job>().list(&ListParams::default()).await.unwrap().items;
        jobs.pop().expect("a Job")
    }

    /// Waits until that many pods are as described, and gives one of them.
    pub async fn until(&self, count: usize, is_so: impl Fn(&Pod) -> bool) -> Pod {
        let mut events =
            std::pin::pin!(watcher(self.api::<Pod>(), watcher::Config::default()).applied_objects());
        let mut found = BTreeMap::new();
        let watch = async {
            while found.len() < count {
                let pod = events.next().await.expect("a watch").expect("a pod");
                found.insert(pod.name_any(), pod);
                found.retain(|_, pod| is_so(pod));
            }
        };
        tokio::time::timeout(PATIENCE, watch).await.expect("pods as described");
        found.pop_first().expect("at least one").1
    }

    pub async fn running(&self, count: usize) -> Pod {
        let is_running = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
        };
        self.until(count, is_running).await
    }

    pub async fn pods(&self) -> Vec<Pod> {
        self.api::<Pod>().list(&ListParams::default()).await.unwrap().items
    }

    pub async fn is_empty(&self) -> bool {
        let jobs = self.api::<Job>().list(&ListParams::default()).await.unwrap().items;
        jobs.is_empty() && self.pods().await.is_empty()
    }

    /// Ends the test: whatever it was about, no Job and no pod is left.
    pub async fn close(self) {
        self.jobs.settle(PATIENCE).await;
        assert!(self.is_empty().await, "something is left");
        let namespaces: Api<KubernetesNamespace> = Api::all(self.namespace.client.clone());
        namespaces.delete(&self.namespace.name, &DeleteParams::default()).await.expect("the namespace goes");
    }
}

/// The cluster of the tests has no other network than its node's.
pub fn settings() -> PodSettings {
    PodSettings { image: "sh:dev".to_owned(), image_pull_secrets: Vec::new(), host_network: true }
}

pub fn from<K: serde::de::DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).unwrap()
}

pub async fn create<K>(namespace: &Namespace, object: Value) -> K
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(namespace.client.clone(), &namespace.name);
    api.create(&PostParams::default(), &from(object)).await.expect("it is admitted")
}
