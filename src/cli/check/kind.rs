//! The kinds of check, as subcommands: their options are the fields that the spec has.

use clap::{Args, Subcommand};

use crate::api::{
    ActivityCheck, Check, ConnectivityCheck, DataCheck, HttpCheck, LegacyUnusedCheck, OtherConnections,
    PlansCheck, PoolCheck, PrivilegesCheck, PrometheusCheck, ReplicationCheck, SchemaCheck, ServerCheck,
    SqlCheck,
};

/// What a pool check is about where there is no manifest: a number.
#[derive(Args)]
pub(super) struct PoolOptions {
    /// Most connections that everything which connects can open at once. A manifest's `pool` check adds them up by itself.
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..=100_000))]
    need: i32,
    /// Connections to keep free. When left out: a tenth of what the server grants, at least 3.
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..=100_000))]
    reserve: Option<i32>,
}

impl PoolOptions {
    fn into_question(self) -> PoolCheck {
        let needed = OtherConnections { name: "need".to_owned(), connections: self.need };
        PoolCheck { others: vec![needed], reserve: self.reserve, ..PoolCheck::default() }
    }
}

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
    Pool(PoolOptions),
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
            Self::Pool(options) => check.pool = Some(options.into_question()),
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
