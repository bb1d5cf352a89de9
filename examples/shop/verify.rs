//! Whether any acknowledged write was lost.
//!
//! Looks for every order of the ledgers on the server that acknowledged it, and there only: what another server holds
//! says nothing about the promise that was given. Entries of a server that was not named cannot be looked for, which
//! is reported and counts as a failure: silence would read as "nothing lost". Never changes anything.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, bail};
use cutover::{
    api::Access,
    postgres::{Fault, Target},
};
use serde::Serialize;
use tokio_postgres::types::Type;

use crate::{
    database::{Connection, OpenError},
    ledger,
    settings::target_of,
};

/// Ids that are asked for at once.
const BATCH: usize = 1000;
/// Missing ids that are printed; one is enough to look into, thousands would hide the counts.
const EXAMPLES: usize = 5;

/// What became of a server's acknowledged orders.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Report {
    database: String,
    server: String,
    acknowledged: usize,
    present: usize,
    missing: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    examples: Vec<String>,
}

/// Prints a line for each database, and says whether every acknowledged order was found.
pub async fn run(
    ledger_dir: &Path,
    databases: &[String],
    ca: Option<&Path>,
    json: bool,
) -> anyhow::Result<bool> {
    let ca_pem = ca
        .map(|file| std::fs::read(file).with_context(|| format!("--ca {} cannot be read", file.display())))
        .transpose()?;
    let databases = databases
        .iter()
        .map(|argument| parse_database(argument, ca_pem.as_deref()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut acknowledged = ledger::read_all(ledger_dir)?;
    let mut is_complete = true;
    let mut seen = BTreeSet::new();
    for (name, target) in &databases {
        let server = target.uri.endpoint().to_string();
        if !seen.insert(server.clone()) {
            bail!("--database {name}: {server} is named twice");
        }
        let orders = acknowledged.remove(&server).unwrap_or_default();
        let report = look(name, target, server, &orders).await?;
        is_complete &= report.missing == 0;
        println!("{}", render(&report, json)?);
    }
    for (server, orders) in &acknowledged {
        is_complete = false;
        tracing::error!(
            server,
            acknowledged = orders.len(),
            "the ledger knows of a server that no --database names"
        );
    }
    Ok(is_complete)
}

fn parse_database(argument: &str, ca_pem: Option<&[u8]>) -> anyhow::Result<(String, Target)> {
    // Nothing of the argument may be shown: without its "=" all of it may be a URI.
    let (name, url) = argument
        .split_once('=')
        .filter(|(name, _)| !name.is_empty() && !name.contains([':', '/']))
        .context("--database must be NAME=URI")?;
    let target = target_of(url, ca_pem.map(<[u8]>::to_vec))
        .with_context(|| format!("--database {name}: its URI cannot be used"))?;
    Ok((name.to_owned(), target))
}

async fn look(name: &str, target: &Target, server: String, orders: &[String]) -> anyhow::Result<Report> {
    let missing = if orders.is_empty() {
        Vec::new()
    } else {
        let connection = Connection::open(target, Access::ReadOnly)
            .await
            .map_err(|error: OpenError| anyhow::anyhow!("--database {name}: {error}"))?;
        let mut missing = Vec::new();
        for batch in orders.chunks(BATCH) {
            let found = present(&connection, batch)
                .await
                .map_err(|fault| anyhow::anyhow!("--database {name}: {fault}"))?;
            missing.extend(batch.iter().filter(|id| !found.contains(*id)).cloned());
        }
        connection.close().await;
        missing
    };
    Ok(Report {
        database: name.to_owned(),
        server,
        acknowledged: orders.len(),
        present: orders.len() - missing.len(),
        missing: missing.len(),
        examples: missing.into_iter().take(EXAMPLES).collect(),
    })
}

async fn present(connection: &Connection, ids: &[String]) -> Result<BTreeSet<String>, Fault> {
    let client = connection.session().client();
    let statement = async {
        let rows = client
            .query_typed("SELECT id FROM orders WHERE id = ANY($1)", &[(&ids, Type::TEXT_ARRAY)])
            .await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    };
    connection.run(statement).await
}

fn render(report: &Report, json: bool) -> anyhow::Result<String> {
    if json {
        return Ok(serde_json::to_string(report)?);
    }
    let examples = if report.examples.is_empty() {
        String::new()
    } else {
        format!(" (such as {})", report.examples.join(", "))
    };
    Ok(format!(
        "{} {}: {} acknowledged, {} present, {} missing{examples}",
        report.database, report.server, report.acknowledged, report.present, report.missing
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_argument_that_cannot_be_read_is_not_shown() {
        for argument in [
            "postgresql://u:s3cret@h/d",
            "postgresql://u:s3cret@h/d?sslmode=disable",
            "x=mysql://u:s3cret@h/d",
        ] {
            let error = format!("{:#}", parse_database(argument, None).unwrap_err());
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_report_says_how_many_are_missing_and_names_some() {
        let report = Report {
            database: "legacy".to_owned(),
            server: "db:5432/shop".to_owned(),
            acknowledged: 3,
            present: 2,
            missing: 1,
            examples: vec!["api-1".to_owned()],
        };
        assert_eq!(
            render(&report, false).unwrap(),
            "legacy db:5432/shop: 3 acknowledged, 2 present, 1 missing (such as api-1)"
        );
    }
}
