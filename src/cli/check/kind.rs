//! The kinds of check, as subcommands: their options are the fields that the spec has.

use clap::Subcommand;

use crate::api::{
    ActivityCheck, Check, ConnectivityCheck, DataCheck, HttpCheck, LegacyUnusedCheck, PlansCheck, PoolCheck,
    PrivilegesCheck, PrometheusCheck, ReplicationCheck, SchemaCheck, ServerCheck, SqlCheck,
};

/// What is asked.
#[derive(Subcommand)]
pub(super) enum Kind {
    /// Can the candidate be reached, verified and logged in to?
    Connectivity(ConnectivityCheck),
    /// Do the two servers behave alike?
    Server(ServerCheck),
    /// Do both databases hold the same objects?
    Schema(SchemaCheck),
    /// Do both databases hold the same rows?
    Data(DataCheck),
    /// Can the application's role do on the candidate all that it can do on legacy?
    Privileges(PrivilegesCheck),
    /// Does the candidate plan the application's statements as legacy does?
    Plans(PlansCheck),
    /// Do all connections of the workloads fit into what the candidate grants?
    Pool(PoolCheck),
    /// Is the candidate a complete and current replica of legacy?
    Replication(ReplicationCheck),
    /// Is anything going on that would get in the way?
    Activity(ActivityCheck),
    /// Does one read-only statement answer as expected?
    Sql(SqlCheck),
    /// Does an endpoint answer as expected?
    Http(HttpCheck),
    /// Is a metric within its bounds?
    Prometheus(PrometheusCheck),
    /// Has the application let go of legacy?
    LegacyUnused(LegacyUnusedCheck),
}

impl Kind {
    /// A check of this kind, with nothing else said about it.
    pub(super) fn into_check(self) -> Check {
        let mut check = Check::default();
        match self {
            Self::Connectivity(question) => check.connectivity = Some(question),
            Self::Server(question) => check.server = Some(question),
            Self::Schema(question) => check.schema = Some(question),
            Self::Data(question) => check.data = Some(question),
            Self::Privileges(question) => check.privileges = Some(question),
            Self::Plans(question) => check.plans = Some(question),
            Self::Pool(question) => check.pool = Some(question),
            Self::Replication(question) => check.replication = Some(question),
            Self::Activity(question) => check.activity = Some(question),
            Self::Sql(question) => check.sql = Some(question),
            Self::Http(question) => check.http = Some(question),
            Self::Prometheus(question) => check.prometheus = Some(question),
            Self::LegacyUnused(question) => check.legacy_unused = Some(question),
        }
        check.name = check.question().map_or("", |question| question.kind()).to_owned();
        check
    }
}
