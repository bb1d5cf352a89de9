//! What can be opened at once: a sum, and where each term comes from.
//!
//! Pure arithmetic over what was counted. Worst case throughout: the most pods, each process with its pool full.

use crate::{
    api::{PoolWorkload, Pooler},
    checks::Capacity,
};

/// Terms of a sum that are told; the rest is told as one.
const TERMS_TOLD: usize = 16;

/// A term of the sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    /// Such as `Deployment/api`.
    pub(super) name: String,
    /// Such as `3+1 pods × 1 × 20`; empty where the number says it all.
    pub(super) factors: String,
    pub(super) connections: i64,
}

impl Term {
    pub(super) fn told(&self) -> String {
        let Self { name, factors, connections } = self;
        if factors.is_empty() {
            format!("{name} = {connections}")
        } else {
            format!("{name} {factors} = {connections}")
        }
    }
}

/// How many pods, and how that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pods {
    /// The fewest: without an update's.
    pub(super) least: i64,
    /// The most at once.
    pub(super) most: i64,
    pub(super) told: String,
}

impl Pods {
    pub(super) fn fixed(pods: i32) -> Self {
        let pods = i64::from(pods);
        Self { least: pods, most: pods, told: pods.to_string() }
    }

    pub(super) fn of(capacity: &Capacity) -> Self {
        let (most, surge) = (capacity.most(), capacity.surge);
        let told = if surge == 0 { most.to_string() } else { format!("{most}+{surge}") };
        let scaled = if most > capacity.replicas { " (autoscaler)" } else { "" };
        Self { least: capacity.replicas, most: most.saturating_add(surge), told: format!("{told}{scaled}") }
    }
}

/// What a workload's pools can hold.
pub(super) fn of_workload(workload: &PoolWorkload, name: String, pods: &Pods, size: i64) -> Term {
    let processes = i64::from(workload.processes);
    Term {
        name,
        factors: format!("{} pods × {processes} × {size}", pods.told),
        connections: pods.most.saturating_mul(processes).saturating_mul(size),
    }
}

/// What a pooler can open to the server: a pool for each database and user, at most so many a database.
pub(super) fn of_pooler(pooler: &Pooler, pods: &Pods) -> Term {
    let (databases, users) = (i64::from(pooler.databases), i64::from(pooler.users));
    let pool = i64::from(pooler.pool_size).saturating_add(i64::from(pooler.reserve_pool_size));
    let all_users = users.saturating_mul(pool);
    let a_database = pooler.max_db_connections.map_or(all_users, |max| all_users.min(i64::from(max)));
    let of_users = match pooler.max_db_connections {
        Some(max) => format!("min({users} users × {pool}, {max})"),
        None => format!("{users} users × {pool}"),
    };
    Term {
        name: pooler.name.clone(),
        factors: format!("{} poolers × {databases} databases × {of_users}", pods.told),
        connections: pods.most.saturating_mul(databases).saturating_mul(a_database),
    }
}

pub(super) fn sum(terms: &[Term]) -> i64 {
    terms.iter().map(|term| term.connections).fold(0, i64::saturating_add)
}

/// The sum term by term, the largest first.
pub(super) fn told(terms: &[Term]) -> String {
    let mut sorted: Vec<&Term> = terms.iter().collect();
    sorted.sort_by(|a, b| b.connections.cmp(&a.connections).then_with(|| a.name.cmp(&b.name)));
    let mut parts: Vec<String> = sorted.iter().take(TERMS_TOLD).map(|term| term.told()).collect();
    let rest = sorted.get(TERMS_TOLD..).unwrap_or_default();
    if !rest.is_empty() {
        let connections = rest.iter().map(|term| term.connections).fold(0, i64::saturating_add);
        parts.push(format!("{} more = {connections}", rest.len()));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workload(value: serde_json::Value) -> PoolWorkload {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn pods_of_an_update_and_of_the_autoscaler_are_counted() {
        let api = workload(json!({"kind": "Deployment", "name": "api", "size": 20, "processes": 2}));
        let term = |capacity: &Capacity| of_workload(&api, "api".to_owned(), &Pods::of(capacity), 20).told();
        let three = Capacity { replicas: 3, autoscaler_max: None, surge: 1 };
        assert_eq!(term(&three), "api 3+1 pods × 2 × 20 = 160");
        let scaled = Capacity { autoscaler_max: Some(10), surge: 3, ..three };
        assert_eq!(term(&scaled), "api 10+3 (autoscaler) pods × 2 × 20 = 520");
        assert_eq!(term(&Capacity { replicas: 2, ..Capacity::default() }), "api 2 pods × 2 × 20 = 80");
    }

    #[test]
    fn a_pooler_has_a_pool_for_every_database_and_user_within_the_databases_limit() {
        let pooler = |value| -> Pooler { serde_json::from_value(value).unwrap() };
        let told = |value| of_pooler(&pooler(value), &Pods::fixed(2)).told();
        assert_eq!(
            told(json!({"name": "bouncer", "replicas": 2})),
            "bouncer 2 poolers × 1 databases × 1 users × 20 = 40"
        );
        let all = json!({"name": "bouncer", "replicas": 2, "databases": 3, "users": 2, "poolSize": 10,
            "reservePoolSize": 5, "maxDbConnections": 25});
        assert_eq!(told(all), "bouncer 2 poolers × 3 databases × min(2 users × 15, 25) = 150");
    }

    #[test]
    fn a_long_sum_tells_its_largest_terms_and_adds_up_the_rest() {
        let terms: Vec<Term> = (1..=20)
            .map(|n| Term { name: format!("w{n}"), factors: String::new(), connections: n })
            .collect();
        let told = told(&terms);
        assert!(told.starts_with("w20 = 20, w19 = 19, "), "{told}");
        assert!(told.ends_with(", w5 = 5, 4 more = 10"), "{told}");
        assert_eq!(sum(&terms), 210);
    }
}
