//! The Job as it is created: an Indexed Job whose pods satisfy the pod security standard `restricted`.
//!
//! A pod has no service account token, no writable disk and no right in the API; connection strings reach it as
//! references to Secrets, never as text in the Job. A pod that fails is never replaced: half of a measurement that was
//! made again later is none.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{
            Capabilities, Container, EnvVar, EnvVarSource, KeyToPath, LocalObjectReference,
            PodSecurityContext, PodSpec, PodTemplateSpec, ProjectedVolumeSource, SeccompProfile,
            SecretKeySelector, SecretProjection, SecurityContext, TopologySpreadConstraint, Volume,
            VolumeMount, VolumeProjection,
        },
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};

use super::{JobFailure, JobRequest, PodSettings, START_LEAD};
use crate::{
    cluster::{FIELD_MANAGER, ROLLOUT_UID_LABEL},
    digest,
};

/// The label that tells a load's Job and pods from everything else: the attempt's number.
pub(super) const ATTEMPT_LABEL: &str = "cutover.dev/load-attempt";
/// The stage's name; empty for what is about the rollout.
const STAGE_LABEL: &str = "cutover.dev/load-stage";
/// The user of the image, by number as the pod security standard wants it.
const USER: i64 = 65532;
/// Where the files are.
const FILES_DIRECTORY: &str = "/run/cutover";
/// What Linux takes as one environment variable, its name and two bytes included.
const VARIABLE_MAX_BYTES: usize = 128 << 10;
/// An operator that is gone cannot delete its Jobs: this long after its end a Job deletes itself.
const KEPT_AFTER_END_SECONDS: i32 = 600;
/// A killed load ends at once; it has nothing to save. Not zero: a pod is then gone from the API before it is from the node.
const GRACE_SECONDS: i64 = 1;
/// With `-<index>` and the pod's own suffix a Job's name must stay a host name.
const NAME_PARTS_MAX: [usize; 2] = [18, 12];

impl JobRequest {
    /// The path at which the pods see a file.
    #[must_use]
    pub fn path_of(file: &str) -> String {
        format!("{FILES_DIRECTORY}/{file}")
    }

    /// What results are marked with: the rollout, the stage and the attempt.
    pub(super) fn key(&self) -> String {
        let (kind, stage) = (self.attempt.kind(), self.attempt.stage());
        format!("{}/{kind}/{stage}/{}", self.rollout_uid, self.attempt.number)
    }

    /// The Job's name: readable, and of no other rollout, stage or attempt.
    pub(super) fn job_name(&self) -> String {
        let part = |text: &str, most: usize| {
            let short: String = text.chars().take(most).map(|c| if c == '.' { '-' } else { c }).collect();
            short.trim_end_matches('-').to_owned()
        };
        let about = if self.attempt.stage().is_empty() { self.attempt.kind() } else { self.attempt.stage() };
        let digest = digest::public(self.key().as_bytes());
        let [rollout, about] = [part(&self.rollout, NAME_PARTS_MAX[0]), part(about, NAME_PARTS_MAX[1])];
        format!("{rollout}-load-{about}-{}-{}", self.attempt.number, &digest[..8])
    }

    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("app.kubernetes.io/managed-by".to_owned(), FIELD_MANAGER.to_owned()),
            (ROLLOUT_UID_LABEL.to_owned(), self.rollout_uid.clone()),
            (STAGE_LABEL.to_owned(), self.attempt.stage().to_owned()),
            (ATTEMPT_LABEL.to_owned(), self.attempt.number.to_string()),
        ])
    }

    /// The Job.
    pub(super) fn object(&self, settings: &PodSettings, start_at: Timestamp) -> Result<Job, JobFailure> {
        let name = self.job_name();
        let unsuitable = |why: &str| JobFailure::Unsuitable { job: name.clone(), why: why.to_owned() };
        let count = i32::try_from(self.parallelism).ok().filter(|count| *count > 0);
        let count = count.ok_or_else(|| unsuitable("there must be at least one pod"))?;
        if let Some((variable, _)) = self.env.iter().find(|(k, v)| k.len() + v.len() + 2 > VARIABLE_MAX_BYTES)
        {
            let most = VARIABLE_MAX_BYTES >> 10;
            let why = format!(
                "{variable} is longer than {most} KiB; use fewer or shorter statements in the traffic"
            );
            return Err(unsuitable(&why));
        }
        let deadline = START_LEAD + self.deadline;
        Ok(Job {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some(self.labels()),
                owner_references: Some(vec![self.owner.clone()]),
                ..ObjectMeta::default()
            },
            spec: Some(JobSpec {
                completion_mode: Some("Indexed".to_owned()),
                completions: Some(count),
                parallelism: Some(count),
                backoff_limit: Some(0),
                pod_replacement_policy: Some("Failed".to_owned()),
                active_deadline_seconds: Some(i64::try_from(deadline.as_secs()).unwrap_or(i64::MAX)),
                ttl_seconds_after_finished: Some(KEPT_AFTER_END_SECONDS),
                template: self.template(settings, start_at),
                ..JobSpec::default()
            }),
            ..Job::default()
        })
    }

    fn template(&self, settings: &PodSettings, start_at: Timestamp) -> PodTemplateSpec {
        // A node that is scaled away would take a part of the measurement with it.
        let annotations = BTreeMap::from([(
            "cluster-autoscaler.kubernetes.io/safe-to-evict".to_owned(),
            "false".to_owned(),
        )]);
        let pull_secrets =
            settings.image_pull_secrets.iter().cloned().map(|name| LocalObjectReference { name });
        PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(self.labels()),
                annotations: Some(annotations),
                ..ObjectMeta::default()
            }),
            spec: Some(PodSpec {
                automount_service_account_token: Some(false),
                enable_service_links: Some(false),
                restart_policy: Some("Never".to_owned()),
                termination_grace_period_seconds: Some(GRACE_SECONDS),
                host_network: settings.host_network.then_some(true),
                dns_policy: settings.host_network.then(|| "ClusterFirstWithHostNet".to_owned()),
                image_pull_secrets: Some(pull_secrets.collect()),
                security_context: Some(pod_security()),
                topology_spread_constraints: Some(vec![self.spread()]),
                containers: vec![self.container(settings, start_at)],
                volumes: self.files_volume().map(|volume| vec![volume]),
                ..PodSpec::default()
            }),
        }
    }

    fn container(&self, settings: &PodSettings, start_at: Timestamp) -> Container {
        let times = ["--start-at".to_owned(), start_at.to_string(), "--key".to_owned(), self.key()];
        let plain = self.env.iter().map(|(name, value)| EnvVar {
            name: name.clone(),
            value: Some(value.clone()),
            value_from: None,
        });
        let secret = self.secret_env.iter().map(|(name, reference)| EnvVar {
            name: name.clone(),
            value: None,
            value_from: Some(EnvVarSource {
                secret_key_ref: Some(SecretKeySelector {
                    name: reference.name.clone(),
                    key: reference.key.clone(),
                    optional: Some(false),
                }),
                ..EnvVarSource::default()
            }),
        });
        let mount = || VolumeMount {
            name: "files".to_owned(),
            mount_path: FILES_DIRECTORY.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        };
        Container {
            name: "load".to_owned(),
            image: Some(settings.image.clone()),
            // The image's entrypoint is the program.
            args: Some(self.args.iter().cloned().chain(times).collect()),
            env: Some(plain.chain(secret).collect()),
            resources: self.resources.clone(),
            volume_mounts: (!self.files.is_empty()).then(|| vec![mount()]),
            security_context: Some(container_security()),
            ..Container::default()
        }
    }

    fn files_volume(&self) -> Option<Volume> {
        let source = |(file, reference): &(String, crate::api::SecretKeyReference)| VolumeProjection {
            secret: Some(SecretProjection {
                name: reference.name.clone(),
                items: Some(vec![KeyToPath { key: reference.key.clone(), path: file.clone(), mode: None }]),
                optional: Some(false),
            }),
            ..VolumeProjection::default()
        };
        (!self.files.is_empty()).then(|| Volume {
            name: "files".to_owned(),
            projected: Some(ProjectedVolumeSource {
                default_mode: None,
                sources: Some(self.files.iter().map(source).collect()),
            }),
            ..Volume::default()
        })
    }

    /// More load than one machine has wants more than one machine, where there are any.
    fn spread(&self) -> TopologySpreadConstraint {
        TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "kubernetes.io/hostname".to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: Some(LabelSelector {
                match_labels: Some(self.labels()),
                ..LabelSelector::default()
            }),
            ..TopologySpreadConstraint::default()
        }
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

#[cfg(test)]
mod tests;
