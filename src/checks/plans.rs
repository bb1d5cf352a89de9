//! Does the candidate plan the application's statements as legacy does?
//!
//! Decides in this order: whether both sides can plan a statement at all, whether they have statistics of its tables
//! (without them a plan is a guess, and is not judged), whether the plans do the same, and only then what they cost: in
//! buffers, where the statement provably only reads and is carried out, and by the planners' own estimates.
//! Never carries out anything else, and never shows a literal, a value or a condition.

use super::{Answer, Asking, FindingKind, Trouble, reading::Reading, shown::qualified};
use crate::api::PlansCheck;

mod catalog;
mod compare;
mod explain;
mod lexer;
mod proof;
mod statement;
mod top;
mod tree;
mod work;

use statement::Statement;
use work::Work;

const STATISTICS_MISSING: FindingKind = FindingKind::fail(
    "statistics-missing",
    "without statistics of its rows the planner guesses: neither its plans nor a comparison with them mean anything",
);
const STATEMENT_FAILS: FindingKind = FindingKind::fail(
    "statement-fails",
    "a statement that legacy plans and the candidate refuses is an error of the application",
);
const INDEX_SCAN_LOST: FindingKind = FindingKind::fail(
    "index-scan-lost",
    "reading all of a table takes the longer the more it grows; for the record where the table is small and has the index",
);
const BUFFERS_HIGHER: FindingKind = FindingKind::fail(
    "buffers-higher",
    "more than three times the buffers, measured, is work that takes its time",
);
const SORT_ADDED: FindingKind = FindingKind::warn(
    "sort-added",
    "a sort costs memory and time, and returns no row before it has read them all",
);
const JOIN_ORDER_CHANGED: FindingKind = FindingKind::warn(
    "join-order-changed",
    "another order of joins may be as good, or worse by orders of magnitude",
);
const PLAN_CHANGED: FindingKind =
    FindingKind::warn("plan-changed", "another plan may be as good, and was never tried by the application");
const COST_HIGHER: FindingKind = FindingKind::warn(
    "cost-higher",
    "more than three times the estimated cost is a hint at more rows, other settings or a worse plan",
);
const NOT_MEASURED: FindingKind = FindingKind::warn(
    "not-measured",
    "what does not end in time can't be compared; a failure where legacy ends in time and the candidate does not",
);
const NOT_COMPARED: FindingKind =
    FindingKind::warn("not-compared", "what legacy itself can't plan has nothing to be compared with");
const SKIPPED: FindingKind = FindingKind::info(
    "skipped",
    "utility statements and those of PostgreSQL's own tables have no plan worth comparing",
);

/// What it can find.
pub(super) const KINDS: &[FindingKind] = &[
    STATISTICS_MISSING,
    STATEMENT_FAILS,
    INDEX_SCAN_LOST,
    BUFFERS_HIGHER,
    SORT_ADDED,
    JOIN_ORDER_CHANGED,
    PLAN_CHANGED,
    COST_HIGHER,
    NOT_MEASURED,
    NOT_COMPARED,
    SKIPPED,
];

/// Most bytes of a plan: one with a thousand partitions has about two million.
const BYTE_BUDGET: u64 = 16 << 20;

pub(super) async fn ask(question: &PlansCheck, asking: &Asking<'_>) -> Result<Answer, Trouble> {
    let target = asking.candidate()?;
    let mut sources = Vec::new();
    if let Some(name) = &question.traffic {
        let model = asking.sides.traffic.iter().find(|traffic| traffic.name == *name);
        let model = model.ok_or_else(|| Trouble::error(format!("there is no traffic model {name}")))?;
        sources.push(Source {
            name: "the traffic model",
            statements: statement::of_traffic(model),
            passed_over: 0,
        });
    }
    let (legacy, candidate) = tokio::join!(
        Reading::begin(asking, asking.legacy()?, BYTE_BUDGET),
        Reading::begin(asking, target, BYTE_BUDGET)
    );
    let mut work = Work::new(
        legacy.map_err(|trouble| trouble.about("legacy"))?,
        candidate.map_err(|trouble| trouble.about("candidate"))?,
    );
    if let Some(wanted) = question.top {
        sources.push(top::ask(&work.legacy, &work.candidate, wanted).await?);
    }
    let total = sources.iter().map(|source| source.statements.len()).sum();
    let mut done = 0;
    for source in &sources {
        for statement in &source.statements {
            asking.progress.tell(statement.object.clone(), done, u64::try_from(total).unwrap_or(u64::MAX));
            work.judge(statement).await.map_err(|trouble| trouble.about(&statement.object))?;
            done += 1;
        }
        work.finish(source);
    }
    Ok(work.conclude(asking, total).await)
}

/// Where statements come from.
struct Source {
    name: &'static str,
    statements: Vec<Statement>,
    /// How many more there are that have no plan.
    passed_over: usize,
}

/// Tells texts apart that may not be shown.
fn digest(text: &str) -> String {
    use sha2::{Digest, Sha256};
    let mut first = [0; 4];
    first.copy_from_slice(&Sha256::digest(text.as_bytes())[..4]);
    format!("{:08x}", u32::from_be_bytes(first))
}
