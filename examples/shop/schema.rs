//! The shop's tables.
//!
//! Creates them where they are missing and fills the stock once; what exists stays as it is, so this may be run any
//! number of times, by several at once. Never drops or changes anything.

use cutover::{api::Access, postgres::Target};

use crate::database::Connection;

/// `IF NOT EXISTS` alone fails when two do it at once; the lock, whose number means nothing, makes one wait.
const TABLES: &str = "
BEGIN;
SET LOCAL lock_timeout = '10s';
SELECT pg_advisory_xact_lock(7070);
CREATE TABLE IF NOT EXISTS orders (
    id text PRIMARY KEY,
    customer int NOT NULL,
    amount numeric NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS orders_customer ON orders (customer, created_at);
CREATE TABLE IF NOT EXISTS stock (sku int PRIMARY KEY, quantity int NOT NULL);
INSERT INTO stock SELECT sku, 100 FROM generate_series(1, 1000) AS sku ON CONFLICT DO NOTHING;
COMMIT
";

/// Creates the tables in the target's database.
pub async fn create(target: &Target) -> anyhow::Result<()> {
    let connection = Connection::open(target, Access::ReadWrite).await?;
    let session = connection.session();
    // Not `run`: this is a transaction of its own.
    session
        .client()
        .batch_execute(TABLES)
        .await
        .map_err(|error| anyhow::anyhow!("the tables could not be created: {}", session.explain(&error)))?;
    connection.close().await;
    tracing::info!(server = %target.uri.endpoint(), "the shop's tables are there");
    Ok(())
}
