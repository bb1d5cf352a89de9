//! What it costs to compare two schemas of 5,000 tables, each with ten columns, a primary key with its identity
//! sequence, a check and two indexes: held against ten seconds, and against `pg_dump --schema-only` of one of them.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cutover::api::{Check, SchemaCheck, Verdict};

use crate::{
    asking::{ask, sides},
    figures::{Samples, Targets, ratio},
    postgres::{Database, Server},
};

const TABLES: usize = 5000;
/// Tables that one transaction creates: their locks must fit into what a server has by default.
const BATCH: usize = 100;
const RUNS: usize = 5;

pub async fn run(targets: &mut Targets) {
    let server = Server::shared();
    let (legacy, candidate) = (server.database().await, server.database().await);
    tokio::join!(fill(&legacy), fill(&candidate));
    let check =
        Check { name: "same-schema".to_owned(), schema: Some(SchemaCheck::default()), ..Check::default() };
    let sides = sides(legacy.target(), candidate.target());
    let (mut compared, mut dumped) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let started = Instant::now();
        let report = ask(&check, &sides).await;
        compared.push(started.elapsed());
        assert_eq!(report.verdict, Verdict::Pass, "{}", report.message);
        dumped.push(dump(&legacy));
    }
    let (compared, dumped) = (Samples::new(compared).median(), Samples::new(dumped).median());
    println!(
        "schema: {TABLES} tables on both sides compared in {compared:.1?}, one side dumped in {dumped:.1?}"
    );
    targets.below("schema of 5,000 tables", compared.as_secs_f64(), 10.0, "s");
    targets.below("against pg_dump --schema-only of one side", ratio(compared, dumped), 3.0, "times");
}

async fn fill(database: &Database<'_>) {
    for first in (1..=TABLES).step_by(BATCH) {
        let (owner, last) = (&database.name, first + BATCH - 1);
        let statements = format!(
            "SET ROLE {owner}; DO $$ BEGIN FOR i IN {first}..{last} LOOP
               EXECUTE format('CREATE TABLE orders_%1$s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                 customer_id bigint NOT NULL, state text NOT NULL DEFAULT ''new'',
                 total numeric(12, 2) NOT NULL DEFAULT 0 CHECK (total >= 0), note varchar(200),
                 placed_at timestamptz NOT NULL DEFAULT now(), shipped_at timestamptz,
                 is_paid boolean NOT NULL DEFAULT false, tags text[], detail jsonb)', i);
               EXECUTE format('CREATE INDEX ON orders_%1$s (customer_id, placed_at DESC)', i);
               EXECUTE format('CREATE INDEX ON orders_%1$s (state) WHERE NOT is_paid', i);
             END LOOP; END $$"
        );
        database.execute(&statements).await;
    }
    database.execute("ANALYZE").await;
}

fn dump(database: &Database<'_>) -> Duration {
    let started = Instant::now();
    let status = Command::new("pg_dump")
        .args(["--schema-only", "--dbname", database.uri().trim()])
        .stdout(Stdio::null())
        .status()
        .expect("pg_dump is installed");
    assert!(status.success());
    started.elapsed()
}
