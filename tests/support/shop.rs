//! A namespace with the sample application in it, two databases, an operator, and a rollout.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use cutover::api::{DatabaseRollout, Phase, StagePhase};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    core::v1::{ConfigMap, Namespace, Secret},
    events::v1::Event,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
    runtime::wait::{Condition, await_condition},
};
use serde_json::{Value, json};

use crate::{
    cluster,
    operator::Operator,
    postgres::{Database, Server},
};

/// The longest that anything is awaited; a busy machine takes its time.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The name of the rollout.
pub const ROLLOUT: &str = "shop";

pub fn legacy_server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start("legacy"))
}

pub fn candidate_server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start("candidate"))
}

pub struct Shop {
    pub client: Client,
    pub namespace: String,
    pub legacy: Database<'static>,
    pub candidate: Database<'static>,
    operator: Option<Operator>,
    /// Where the pods record the writes that were acknowledged.
    ledger: PathBuf,
}

impl Shop {
    /// A namespace with the workloads named, all on legacy, and an operator that watches it.
    pub async fn open(purpose: &str, workloads: &[(&str, &str)]) -> Self {
        Self::open_with(purpose, workloads, candidate_server()).await
    }

    /// As [`Self::open`], with an operator that the test brings itself.
    pub async fn open_without_operator(purpose: &str, workloads: &[(&str, &str)]) -> Self {
        Self::furnish(purpose, workloads, candidate_server()).await
    }

    /// As [`Self::open`], with a candidate server of the test's own.
    pub async fn open_with(purpose: &str, workloads: &[(&str, &str)], candidate: &'static Server) -> Self {
        let mut shop = Self::furnish(purpose, workloads, candidate).await;
        shop.operator = Some(Operator::start(&shop.namespace));
        shop
    }

    async fn furnish(purpose: &str, workloads: &[(&str, &str)], candidate: &'static Server) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let client = cluster::client().await;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{purpose}-{}-{number}", std::process::id());
        install_crd(&client).await;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let object = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
        namespaces.create(&PostParams::default(), &object).await.expect("a namespace");
        let database = namespace.replace('-', "_");
        let legacy = legacy_server().database_named(database.clone()).await;
        let candidate = candidate.database_named(database.clone()).await;
        for side in [&legacy, &candidate] {
            side.execute(&format!("SET ROLE {database}; {SCHEMA}")).await;
        }
        let ledger = open_ledger(&namespace);
        let shop = Self { client, namespace, legacy, candidate, operator: None, ledger };
        shop.create_connection("old", &shop.legacy).await;
        shop.create_connection("new", &shop.candidate).await;
        for (kind, name) in workloads {
            shop.create_workload(kind, name).await;
        }
        for (kind, name) in workloads {
            shop.await_workload(kind, name).await;
        }
        shop
    }

    pub fn operator(&self) -> &Operator {
        self.operator.as_ref().expect("an operator of the test's process")
    }

    pub fn operator_mut(&mut self) -> &mut Operator {
        self.operator.as_mut().expect("an operator of the test's process")
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn create_connection(&self, name: &str, database: &Database<'_>) {
        let ca = String::from_utf8(legacy_server().ca_pem()).unwrap();
        self.create_secret(name, json!({"uri": database.uri(), "ca.crt": ca})).await;
    }

    pub async fn create_secret(&self, name: &str, data: Value) {
        let secret = serde_json::from_value(json!({"metadata": {"name": name}, "stringData": data})).unwrap();
        self.api::<Secret>().create(&PostParams::default(), &secret).await.expect("a Secret");
    }

    /// The bindings `<name>-db` on legacy, and a workload that reads them.
    async fn create_workload(&self, kind: &str, name: &str) {
        let ca = String::from_utf8(legacy_server().ca_pem()).unwrap();
        let binding = format!("{name}-db");
        self.create_secret(&binding, json!({"DATABASE_URL": self.legacy.uri(), "DATABASE_CA": ca})).await;
        let map =
            serde_json::from_value(json!({"metadata": {"name": binding}, "data": {"DB_POOL_MAX": "1"}}))
                .unwrap();
        self.api::<ConfigMap>().create(&PostParams::default(), &map).await.expect("a ConfigMap");
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", kind));
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let workload = serde_json::from_value(workload(kind, name, &self.ledger)).unwrap();
        api.create(&PostParams::default(), &workload).await.expect("a workload");
    }

    async fn await_workload(&self, kind: &str, name: &str) {
        match kind {
            "Deployment" => {
                let ready = |d: Option<&Deployment>| {
                    d.is_some_and(|d| d.status.as_ref().is_some_and(|s| s.ready_replicas == Some(1)))
                };
                self.await_object(name, ready).await;
            }
            "StatefulSet" => {
                let ready = |s: Option<&StatefulSet>| {
                    s.is_some_and(|s| s.status.as_ref().is_some_and(|s| s.ready_replicas == Some(1)))
                };
                self.await_object(name, ready).await;
            }
            _ => {
                let ready = |d: Option<&DaemonSet>| {
                    d.is_some_and(|d| d.status.as_ref().is_some_and(|s| s.number_ready == 1))
                };
                self.await_object(name, ready).await;
            }
        }
    }

    async fn await_object<K>(&self, name: &str, condition: impl Condition<K>)
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + 'static,
    {
        let waited = tokio::time::timeout(PATIENCE, await_condition(self.api::<K>(), name, condition)).await;
        waited.unwrap_or_else(|_| panic!("{name} never got ready")).expect("a watch");
    }

    /// Applies a rollout of that spec.
    pub async fn roll_out(&self, spec: Value) {
        self.try_roll_out(ROLLOUT, spec).await.expect("the rollout is admitted");
    }

    pub async fn try_roll_out(&self, name: &str, spec: Value) -> kube::Result<DatabaseRollout> {
        let object = json!({"apiVersion": "cutover.dev/v1alpha1", "kind": "DatabaseRollout",
            "metadata": {"name": name}, "spec": spec});
        // As kubectl applies it: an unknown field is an error.
        let mut params = PatchParams::apply("test");
        params.field_validation = Some(kube::api::ValidationDirective::Strict);
        self.api::<DatabaseRollout>().patch(name, &params, &Patch::Apply(&object)).await
    }

    /// Edits the spec of the rollout, as `kubectl patch --type merge` does.
    pub async fn edit(&self, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.api::<DatabaseRollout>().patch(ROLLOUT, &PatchParams::default(), &patch).await.expect("an edit");
    }

    pub async fn rollout(&self) -> DatabaseRollout {
        self.api::<DatabaseRollout>().get(ROLLOUT).await.expect("a rollout")
    }

    /// Waits, on a watch, until the rollout is as described.
    pub async fn until(
        &self,
        what: &str,
        is_so: impl Fn(&DatabaseRollout) -> bool + Send,
    ) -> DatabaseRollout {
        self.until_named(ROLLOUT, what, is_so).await
    }

    pub async fn until_named(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(&DatabaseRollout) -> bool + Send,
    ) -> DatabaseRollout {
        let condition = |rollout: Option<&DatabaseRollout>| rollout.is_some_and(&is_so);
        let waited = tokio::time::timeout(PATIENCE, await_condition(self.api(), name, condition)).await;
        let Ok(found) = waited else {
            let now = self.api::<DatabaseRollout>().get(name).await.expect("a rollout");
            let log = self.operator.as_ref().map(Operator::log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().filter(|line| !line.contains("DEBUG")).take(30).collect();
            panic!(
                "never: {what}; status: {}\n{}",
                serde_json::to_string_pretty(&now.status).unwrap(),
                tail.join("\n")
            );
        };
        found.expect("a watch").expect("a rollout")
    }

    pub async fn until_phase(&self, phase: Phase) -> DatabaseRollout {
        self.until(&format!("{phase:?}"), |rollout| phase_of(rollout) == phase).await
    }

    pub async fn until_stage(&self, stage: &str, phase: StagePhase) -> DatabaseRollout {
        self.until(&format!("{stage} {phase:?}"), |rollout| stage_of(rollout, stage) == phase).await
    }

    /// The bytes of a binding's connection.
    pub async fn binding(&self, workload: &str) -> String {
        let secret = self.api::<Secret>().get(&format!("{workload}-db")).await.expect("a binding");
        String::from_utf8(secret.data.unwrap()["DATABASE_URL"].0.clone()).unwrap()
    }

    pub async fn is_on_legacy(&self, workload: &str) -> bool {
        self.binding(workload).await == self.legacy.uri()
    }

    pub async fn is_on_candidate(&self, workload: &str) -> bool {
        self.binding(workload).await == self.candidate.uri()
    }

    /// The reasons of the rollout's events.
    pub async fn event_reasons(&self) -> Vec<String> {
        let events = self.api::<Event>().list(&ListParams::default()).await.expect("events");
        let ours = events
            .items
            .into_iter()
            .filter(|e| e.regarding.as_ref().is_some_and(|r| r.kind.as_deref() == Some("DatabaseRollout")));
        ours.filter_map(|event| event.reason).collect()
    }

    /// Asks every server for every write that it acknowledged to the application, as `shop verify` does.
    pub fn assert_no_acknowledged_write_is_lost(&self) {
        let verify = Command::new(shop_binary())
            .arg("verify")
            .arg("--ledger")
            .arg(&self.ledger)
            .args(["--database", &format!("legacy={}", self.legacy.uri().trim())])
            .args(["--database", &format!("candidate={}", self.candidate.uri().trim())])
            .arg("--ca")
            .arg(&legacy_server().ca_file)
            .output()
            .expect("shop verify runs");
        let told = String::from_utf8_lossy(&verify.stdout).into_owned();
        assert!(verify.status.success(), "{told}{}", String::from_utf8_lossy(&verify.stderr));
        let lines: usize = std::fs::read_dir(&self.ledger)
            .expect("a ledger")
            .filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok())
            .map(|text| text.lines().count())
            .sum();
        assert!(lines > 0, "nothing was acknowledged, so nothing was verified: {told}");
    }

    /// Ends the test: nothing that anybody can read holds a password, and the namespace goes.
    pub async fn close(self) {
        let rollouts = self.api::<DatabaseRollout>().list(&ListParams::default()).await.expect("rollouts");
        let events = self.api::<Event>().list(&ListParams::default()).await.expect("events");
        let (log, metrics) = match &self.operator {
            Some(operator) => (operator.log(), operator.get("/metrics").await),
            None => (String::new(), String::new()),
        };
        let shown = format!(
            "{log}{}{}{metrics}",
            serde_json::to_string(&rollouts.items).unwrap(),
            serde_json::to_string(&events.items).unwrap()
        );
        for secret in ["canary", "%63%61%6E", "postgresql://"] {
            let at = shown
                .find(secret)
                .map(|at| shown[at.saturating_sub(300)..].chars().take(400).collect::<String>());
            assert!(at.is_none(), "a secret is shown: {at:?}");
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await.expect("the namespace goes");
        // Pods that still end may add a line.
        let _ = std::fs::remove_dir_all(&self.ledger);
    }
}

pub fn phase_of(rollout: &DatabaseRollout) -> Phase {
    rollout.status.as_ref().map(|status| status.phase).unwrap_or_default()
}

pub fn stage_of(rollout: &DatabaseRollout, stage: &str) -> StagePhase {
    let stages = rollout.status.iter().flat_map(|status| &status.recorded.stages);
    stages.into_iter().find(|record| record.name == stage).map(|record| record.phase).unwrap_or_default()
}

pub fn message_of(rollout: &DatabaseRollout) -> String {
    rollout.status.as_ref().map(|status| status.message.clone()).unwrap_or_default()
}

pub fn condition(rollout: &DatabaseRollout, kind: &str) -> Option<(String, String)> {
    let conditions = rollout.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().find(|c| c.type_ == kind).map(|c| (c.status.clone(), c.reason.clone()))
}

/// A spec of these stages, from the Secret `old` to the Secret `new`.
pub fn spec(stages: &[Value]) -> Value {
    let side = |secret| json!({"connection": {"secretRef": {"name": secret, "key": "uri"}, "tls": {"caKey": "ca.crt"}}});
    json!({"legacy": side("old"), "candidate": side("new"), "stages": stages,
        "traffic": [{"name": "reads", "statements": [{"sql": "SELECT quantity FROM stock WHERE sku = $1", "weight": 1,
            "params": [{"int": {"min": 1, "max": 100}}]}]}]})
}

/// A stage that moves one workload to the candidate, checked for connectivity.
pub fn stage(kind: &str, name: &str) -> Value {
    json!({"name": name, "access": "ReadOnly", "onFailure": "Rollback",
        "config": [
            {"secret": format!("{name}-db"), "set": {"DATABASE_URL": {"fromSecret": {"name": "new", "key": "uri"}}}},
            {"configMap": format!("{name}-db"), "set": {"DB_POOL_MAX": {"value": "2"}}}],
        "workloads": [{"kind": kind, "name": name}],
        "checks": [{"name": "reachable", "connectivity": {}}]})
}

/// A stage with more, or other, fields.
pub fn with(mut stage: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    for (key, value) in fields {
        stage[key] = value;
    }
    stage
}

/// A folder that pods of any user may write to.
fn open_ledger(namespace: &str) -> PathBuf {
    let ledger = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ledger-{namespace}"));
    std::fs::create_dir_all(&ledger).expect("a ledger");
    std::fs::set_permissions(&ledger, Permissions::from_mode(0o777)).expect("open to all");
    ledger
}

fn workload(kind: &str, name: &str, ledger: &Path) -> Value {
    let from_secret =
        |key| json!({"name": key, "valueFrom": {"secretKeyRef": {"name": format!("{name}-db"), "key": key}}});
    let pods = json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"hostNetwork": true, "terminationGracePeriodSeconds": 2, "volumes": [{"name": "ledger", "hostPath": {"path": ledger, "type": "Directory"}}],
            "containers": [{
            "name": "shop", "image": "shop:dev", "imagePullPolicy": "Never",
            "env": [from_secret("DATABASE_URL"), from_secret("DATABASE_CA"),
                {"name": "DB_POOL_MAX", "valueFrom": {"configMapKeyRef": {"name": format!("{name}-db"), "key": "DB_POOL_MAX"}}},
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "SHOP_RATE", "value": "5"}, {"name": "SHOP_ACCESS", "value": "ReadWrite"},
                {"name": "SHOP_LEDGER_DIR", "value": "/ledger"}],
            "volumeMounts": [{"name": "ledger", "mountPath": "/ledger"}],
            "readinessProbe": {"exec": {"command": ["/usr/local/bin/shop", "probe"]}, "periodSeconds": 1, "timeoutSeconds": 10}}]}});
    let mut spec = json!({"selector": {"matchLabels": {"app": name}}, "template": pods});
    if kind == "StatefulSet" {
        spec["serviceName"] = json!(name);
    }
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// The example's program, which cargo builds together with the tests.
fn shop_binary() -> PathBuf {
    let operator = Path::new(env!("CARGO_BIN_EXE_cutover"));
    operator.parent().expect("a folder").join("examples/shop")
}

/// As `shop schema` makes it, with fewer rows.
const SCHEMA: &str = "CREATE TABLE orders (id text PRIMARY KEY, customer int, amount numeric, created_at timestamptz DEFAULT now());
    CREATE TABLE stock (sku int PRIMARY KEY, quantity int);
    INSERT INTO stock SELECT sku, 10 FROM generate_series(1, 100) sku;
    RESET ROLE;";

async fn install_crd(client: &Client) {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    use kube::{CustomResourceExt, runtime::conditions::is_crd_established};
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let crd = DatabaseRollout::crd();
    api.patch(&crd.name_any(), &PatchParams::apply("test").force(), &Patch::Apply(&crd))
        .await
        .expect("the CRD is accepted");
    let established =
        tokio::time::timeout(PATIENCE, await_condition(api, &crd.name_any(), is_crd_established())).await;
    established.expect("the CRD is established in time").expect("a watch");
}
