//! The checks of a manifest: a `DatabaseRollout`, and the Secrets that it names, where the file has them.

use std::{collections::BTreeMap, io::Read, path::Path};

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::Value;

use crate::{
    api::{Check, Configuration, DatabaseRollout, Traffic, WorkloadReference},
    cli::target,
    plan,
    postgres::{ConnectionUri, Roles, Target},
};

/// What a file has.
pub(super) struct Manifest {
    rollout: DatabaseRollout,
    secrets: BTreeMap<String, Secret>,
}

impl Manifest {
    /// Reads a file of one or more YAML documents; `-` is standard input. What is neither a rollout nor a Secret is
    /// passed over.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let mut text = String::new();
        if path.as_os_str() == "-" {
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        } else {
            text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        }
        Self::parse(&text).with_context(|| format!("{} can't be used", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        // The error as a whole would show the lines around it, and there may be a password in them.
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(text).map_err(|error| match error.location() {
                Some(at) => anyhow::anyhow!("it is not YAML: line {}, column {}", at.line(), at.column()),
                None => anyhow::anyhow!("it is not YAML"),
            })?;
        let mut rollouts = Vec::new();
        let mut secrets = BTreeMap::new();
        for document in documents {
            match document.get("kind").and_then(Value::as_str) {
                Some("DatabaseRollout") => {
                    let rollout: DatabaseRollout =
                        serde_json::from_value(document).context("a DatabaseRollout in it can't be read")?;
                    rollouts.push(rollout);
                }
                Some("Secret") => {
                    // The error of a Secret could show what is in it.
                    let secret: Secret = serde_json::from_value(document)
                        .map_err(|_| anyhow::anyhow!("a Secret in it can't be read"))?;
                    secrets.insert(secret.name_any(), secret);
                }
                _ => {}
            }
        }
        let count = rollouts.len();
        let (Some(rollout), 1) = (rollouts.pop(), count) else {
            bail!("it has {count} DatabaseRollouts, and there must be exactly one");
        };
        let manifest = Self { rollout, secrets };
        manifest.refuse_faults()?;
        Ok(manifest)
    }

    fn refuse_faults(&self) -> anyhow::Result<()> {
        if let Err(faults) = plan::build(&self.rollout.name_any(), &self.rollout.spec) {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            bail!("the rollout has faults: {}", faults.join("; "));
        }
        Ok(())
    }

    /// The checks of `stage`, or of all stages; each with the name `stage/check`.
    pub(super) fn checks(&self, stage: Option<&str>) -> anyhow::Result<Vec<Check>> {
        let stages = &self.rollout.spec.stages;
        if let Some(name) = stage
            && !stages.iter().any(|stage| stage.name == name)
        {
            let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
            bail!("there is no stage {name}; there are {}", names.join(", "));
        }
        let checks: Vec<Check> = stages
            .iter()
            .filter(|s| stage.is_none_or(|name| s.name == name))
            .flat_map(|stage| {
                let named =
                    |check: &Check| Check { name: format!("{}/{}", stage.name, check.name), ..check.clone() };
                stage.checks.iter().map(named)
            })
            .collect();
        if checks.is_empty() {
            bail!("there are no checks to ask");
        }
        Ok(checks)
    }

    pub(super) fn traffic(&self) -> Vec<Traffic> {
        self.rollout.spec.traffic.clone()
    }

    /// The workloads of all stages.
    pub(super) fn workloads(&self) -> Vec<WorkloadReference> {
        let mut all: Vec<_> =
            self.rollout.spec.stages.iter().flat_map(|stage| stage.workloads.clone()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// Legacy, from the file's Secrets; `None` where its Secret is not in the file.
    pub(super) fn legacy(&self) -> anyhow::Result<Option<Target>> {
        self.side(&self.rollout.spec.legacy).context("legacy")
    }

    /// The candidate, from the file's Secrets; `None` where its Secret is not in the file, or the rollout has none.
    pub(super) fn candidate(&self) -> anyhow::Result<Option<Target>> {
        let candidate = self.rollout.spec.candidate.as_ref().map(|candidate| self.side(candidate));
        Ok(candidate.transpose().context("candidate")?.flatten())
    }

    fn side(&self, configuration: &Configuration) -> anyhow::Result<Option<Target>> {
        let reference = &configuration.connection.secret_ref;
        let Some(secret) = self.secrets.get(&reference.name) else {
            return Ok(None);
        };
        let read = |key: &str| {
            let text = secret
                .string_data
                .as_ref()
                .and_then(|data| data.get(key))
                .map(|text| text.clone().into_bytes());
            text.or_else(|| secret.data.as_ref()?.get(key).map(|bytes| bytes.0.clone()))
                .with_context(|| format!("Secret/{} has no key {key}", reference.name))
        };
        let uri = String::from_utf8(read(&reference.key)?).map_err(|_| {
            anyhow::anyhow!("key {} of Secret/{} is not UTF-8 text", reference.key, reference.name)
        })?;
        // Where the spec says how to verify the server, the manifest asks as the operator would.
        let Some(tls) = configuration.connection.tls.clone() else {
            return target::target(&uri).map(Some);
        };
        let ca_pem = tls.ca_key.as_deref().map(read).transpose()?;
        Ok(Some(Target { uri: ConnectionUri::parse(&uri)?, tls, ca_pem, roles: Roles::Any }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLLOUT: &str = "
apiVersion: cutover.dev/v1alpha1
kind: DatabaseRollout
metadata: {name: shop}
spec:
  legacy: {connection: {secretRef: {name: old, key: uri}, tls: {mode: Disable}}}
  candidate: {connection: {secretRef: {name: new, key: uri}, tls: {mode: VerifyFull, caKey: ca}}}
  stages:
  - name: api
    onFailure: Hold
    config: [{secret: api, set: {URL: {value: x}}}]
    workloads: [{kind: Deployment, name: api}]
    checks: [{name: reachable, connectivity: {}}, {name: same, schema: {}}]
";
    const SECRETS: &str = "
---
kind: Secret
metadata: {name: old}
stringData: {uri: 'postgresql://u:canary@old/d'}
---
kind: Secret
metadata: {name: new}
data: {uri: cG9zdGdyZXNxbDovL3VAbmV3L2Q=, ca: UEVN}
---
kind: ConfigMap
metadata: {name: other}
";

    #[test]
    fn a_file_has_the_checks_and_both_sides() {
        let manifest = Manifest::parse(&format!("{ROLLOUT}{SECRETS}")).unwrap();
        let names: Vec<_> =
            manifest.checks(Some("api")).unwrap().into_iter().map(|check| check.name).collect();
        assert_eq!(names, ["api/reachable", "api/same"]);
        assert_eq!(manifest.legacy().unwrap().unwrap().uri.endpoint().host, "old");
        let candidate = manifest.candidate().unwrap().unwrap();
        assert_eq!(
            (candidate.uri.endpoint().host.as_str(), candidate.ca_pem.as_deref()),
            ("new", Some(&b"PEM"[..]))
        );
    }

    #[test]
    fn what_is_missing_is_said_with_what_to_do() {
        let manifest = Manifest::parse(ROLLOUT).unwrap();
        let told = |error: anyhow::Error| format!("{error:#}");
        assert!(manifest.legacy().unwrap().is_none(), "its Secret is not in the file");
        let keyless =
            Manifest::parse(&format!("{ROLLOUT}\n---\nkind: Secret\nmetadata: {{name: old}}\n")).unwrap();
        assert!(told(keyless.legacy().unwrap_err()).contains("Secret/old has no key uri"));
        assert!(told(manifest.checks(Some("web")).unwrap_err()).contains("no stage web; there are api"));
        assert!(told(Manifest::parse("a: 1").err().unwrap()).contains("0 DatabaseRollouts"));
        let cyclic = ROLLOUT.replace("onFailure: Hold", "onFailure: Hold\n    dependsOn: [api]");
        assert!(told(Manifest::parse(&cyclic).err().unwrap()).contains("the rollout has faults"));
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_not_shown() {
        let broken =
            format!("{ROLLOUT}\n---\nkind: Secret\nmetadata: {{name: old}}\ndata: {{uri: canary*}}\n");
        let error = format!("{:?}", Manifest::parse(&broken).err().unwrap());
        assert!(error.contains("Secret") && !error.contains("canary"), "{error}");
        for slip in [
            "stringData: {uri: \"canary\"x}",
            "stringData: {uri: \"canary\"",
            "stringData:\n  uri: canary\n x: y",
        ] {
            let error = format!("{:?}", Manifest::parse(&format!("kind: Secret\n{slip}\n")).err().unwrap());
            assert!(error.contains("line ") && !error.contains("canary"), "{error}");
        }
    }
}
