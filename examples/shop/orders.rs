//! What the shop asks its database: one read, one write.
//!
//! Decides the ids of orders: the client makes them, so that an acknowledged order can be looked for afterwards, and no
//! id is ever used twice, not even by a pod of a `StatefulSet` that comes back under the same name.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

use cutover::postgres::Session;
use jiff::Timestamp;
use tokio_postgres::{Error, types::Type};

/// Customers are numbered from 1 to this.
const CUSTOMERS: i32 = 1000;
const AMOUNT_MAX_CENTS: i64 = 50_000;

/// Makes ids: the pod's name, when its process began, a counter.
#[derive(Debug)]
pub struct Numbering {
    prefix: String,
    next: AtomicU64,
}

impl Numbering {
    /// Ids for a process of `pod` that began at `start`.
    pub fn new(pod: &str, start: Timestamp) -> Self {
        Self { prefix: format!("{pod}-{:x}", start.as_millisecond()), next: AtomicU64::new(1) }
    }

    /// The next id.
    pub fn next(&self) -> String {
        format!("{}-{}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Reads the latest order of a random customer; whether there is one does not matter.
pub fn read(session: &Session) -> impl Future<Output = Result<(), Error>> {
    let customer = rand::random_range(1..=CUSTOMERS);
    async move {
        // Typed, hence unnamed: a pooler may not keep prepared statements.
        session
            .client()
            .query_typed(
                "SELECT id, amount::text FROM orders WHERE customer = $1 ORDER BY created_at DESC LIMIT 1",
                &[(&customer, Type::INT4)],
            )
            .await
            .map(drop)
    }
}

/// Inserts an order of a random customer.
pub fn insert<'a>(session: &'a Session, id: &'a str) -> impl Future<Output = Result<(), Error>> + 'a {
    let customer = rand::random_range(1..=CUSTOMERS);
    let cents = rand::random_range(1..=AMOUNT_MAX_CENTS);
    async move {
        session
            .client()
            .execute_typed(
                "INSERT INTO orders (id, customer, amount) VALUES ($1, $2, $3 / 100.0)",
                &[(&id, Type::TEXT), (&customer, Type::INT4), (&cents, Type::INT8)],
            )
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_comes_back_under_its_name_uses_no_id_twice() {
        let first = Numbering::new("workers-0", Timestamp::from_millisecond(1000).unwrap());
        let second = Numbering::new("workers-0", Timestamp::from_millisecond(2000).unwrap());
        let ids = [first.next(), first.next(), second.next(), second.next()];
        let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(ids.iter().all(|id| id.starts_with("workers-0-")));
    }
}
