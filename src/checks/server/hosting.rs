//! Who runs a server, what stands before it, and what that refuses.
//!
//! Decides by the endpoint and by what the server says about itself; the server's word counts for more, since a DNS
//! name may hide a provider. Passes no verdict on a provider as such: only on features that legacy has and the
//! candidate's pooler refuses. Never decides whether the application uses them.

use super::{Facts, Finding, FindingKind, pooling::Pooling};
use crate::postgres::Endpoint;

pub(super) const REFUSED: FindingKind = FindingKind::warn(
    "session-features-refused",
    "what outlasts a transaction is lost or lands in somebody else's session behind a pooler in transaction mode",
);
pub(super) const HOSTING: FindingKind =
    FindingKind::info("hosting", "tells what the server's provider and a pooler before it refuse");

/// Who runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provider {
    Neon,
    AmazonRds,
    Azure,
    CloudSql,
    Supabase,
    /// Nothing points to a provider.
    Unknown,
}

const SESSION_FEATURES: &str = "SET and RESET, PREPARE and DEALLOCATE in SQL, LISTEN, WITH HOLD cursors, session-level advisory locks, \
     temporary tables and LOAD that outlast their transaction, and parameters at start-up such as options=-csearch_path";

pub(super) fn compare(legacy: &Facts, candidate: &Facts) -> Vec<Finding> {
    let mut found = vec![describe(legacy, "legacy"), describe(candidate, "candidate")];
    if pooling(candidate) == Pooling::Transaction && pooling(legacy) != Pooling::Transaction {
        let message = format!(
            "the candidate's endpoint is a pooler in transaction mode, legacy's is not; it refuses or forgets {SESSION_FEATURES}: \
             see that the application uses none of them, or name the direct endpoint"
        );
        found.push(Finding::new(&REFUSED, "candidate", message));
    }
    found
}

fn describe(facts: &Facts, side: &str) -> Finding {
    let provider = provider(facts);
    let pooling = pooling(facts);
    let between = match pooling {
        Pooling::Direct => "reached directly",
        Pooling::Session => "reached through a proxy, or a pooler in session mode",
        Pooling::Transaction => "reached through a pooler in transaction mode",
    };
    let mut message = format!("{}, {between}", provider.name());
    if let Some(refused) = provider.refuses() {
        message.push_str("; refused: ");
        message.push_str(refused);
    }
    if pooling == Pooling::Transaction {
        message.push_str("; refused or forgotten: ");
        message.push_str(SESSION_FEATURES);
    }
    Finding::new(&HOSTING, side, message)
        .with("provider", provider.name())
        .with("pooler", format!("{pooling:?}"))
}

impl Provider {
    fn name(self) -> &'static str {
        match self {
            Self::Neon => "Neon",
            Self::AmazonRds => "Amazon RDS or Aurora",
            Self::Azure => "Azure Database for PostgreSQL",
            Self::CloudSql => "Google Cloud SQL or AlloyDB",
            Self::Supabase => "Supabase",
            Self::Unknown => "no known provider",
        }
    }

    fn refuses(self) -> Option<&'static str> {
        match self {
            Self::Neon => Some(
                "superuser, ALTER SYSTEM, tablespaces, files and programs of the server; idle computes are suspended, \
                 which ends sessions",
            ),
            Self::AmazonRds => Some(
                "superuser (rds_superuser instead), ALTER SYSTEM (parameter groups instead), files and programs of the \
                 server; replication needs rds_replication",
            ),
            Self::Azure => Some(
                "superuser (azure_pg_admin instead), ALTER SYSTEM, files and programs of the server, extensions that are \
                 not in azure.extensions",
            ),
            Self::CloudSql => Some(
                "superuser (cloudsqlsuperuser instead), ALTER SYSTEM (flags instead), files and programs of the server",
            ),
            Self::Supabase => Some("superuser, ALTER SYSTEM, files and programs of the server"),
            Self::Unknown => None,
        }
    }
}

/// Names of settings and roles are the server's own and can't be hidden by a DNS name; the endpoint comes last.
fn provider(facts: &Facts) -> Provider {
    let has = |prefixes: &[&str], role: &str| {
        facts.prefixes.iter().any(|seen| prefixes.contains(&seen.as_str()))
            || facts.provider_roles.iter().any(|seen| seen == role)
    };
    let by_server = [
        (Provider::Neon, &["neon"][..], "neon_superuser"),
        (Provider::AmazonRds, &["rds", "apg_plan_mgmt"][..], "rds_superuser"),
        (Provider::Azure, &["azure"][..], "azure_pg_admin"),
        (Provider::CloudSql, &["cloudsql", "google_columnar_engine"][..], "cloudsqlsuperuser"),
        (Provider::Supabase, &["supautils"][..], "supabase_admin"),
    ];
    let seen = by_server.into_iter().find(|(_, prefixes, role)| has(prefixes, role));
    match (seen, &facts.endpoint) {
        (Some((provider, ..)), _) => provider,
        (None, Some(endpoint)) => provider_of(endpoint),
        (None, None) => Provider::Unknown,
    }
}

fn provider_of(endpoint: &Endpoint) -> Provider {
    let host = endpoint.host.to_ascii_lowercase();
    let domains = [
        (".neon.tech", Provider::Neon),
        (".rds.amazonaws.com", Provider::AmazonRds),
        (".rds.amazonaws.com.cn", Provider::AmazonRds),
        (".postgres.database.azure.com", Provider::Azure),
        (".supabase.com", Provider::Supabase),
        (".supabase.co", Provider::Supabase),
    ];
    domains.iter().find(|(domain, _)| host.ends_with(domain)).map_or(Provider::Unknown, |(_, found)| *found)
}

/// What was seen, and what the endpoint's name says where nobody else used the pooler while we looked.
fn pooling(facts: &Facts) -> Pooling {
    match &facts.endpoint {
        Some(endpoint) if names_a_transaction_pooler(endpoint) => Pooling::Transaction,
        _ => facts.pooling,
    }
}

fn names_a_transaction_pooler(endpoint: &Endpoint) -> bool {
    let host = endpoint.host.to_ascii_lowercase();
    let label = host.split('.').next().unwrap_or_default();
    match provider_of(endpoint) {
        Provider::Neon => label.ends_with("-pooler"),
        // The same host takes sessions at 5432.
        Provider::Supabase => endpoint.port == 6543,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.to_owned(), port, database: "shop".to_owned() }
    }

    #[test]
    fn a_pooler_is_told_by_its_endpoint() {
        for (host, port, provider, is_pooler) in [
            ("ep-cool-rain-123456-pooler.eu-central-1.aws.neon.tech", 5432, Provider::Neon, true),
            ("ep-cool-rain-123456.eu-central-1.aws.neon.tech", 5432, Provider::Neon, false),
            ("aws-0-eu-central-1.pooler.supabase.com", 6543, Provider::Supabase, true),
            ("aws-0-eu-central-1.pooler.supabase.com", 5432, Provider::Supabase, false),
            ("db.abcdefgh.supabase.co", 5432, Provider::Supabase, false),
            ("shop.abc.eu-central-1.rds.amazonaws.com", 5432, Provider::AmazonRds, false),
            ("shop.postgres.database.azure.com", 5432, Provider::Azure, false),
            ("my-pooler.shop.svc", 5432, Provider::Unknown, false),
            ("evil-neon.tech.example.com", 5432, Provider::Unknown, false),
        ] {
            let endpoint = endpoint(host, port);
            assert_eq!(provider_of(&endpoint), provider, "{host}");
            assert_eq!(names_a_transaction_pooler(&endpoint), is_pooler, "{host}:{port}");
        }
    }
}
