//! The statements of a check, one after the other: planned on both sides, judged, measured.

use std::collections::BTreeSet;

use super::{
    NOT_COMPARED, NOT_MEASURED, SKIPPED, STATEMENT_FAILS, STATISTICS_MISSING, Source,
    catalog::{Catalog, Statistics},
    compare::{self, Side},
    explain::{EXECUTION_TIMEOUT, For, explain},
    proof,
    statement::Statement,
    tree::{Node, Relation},
};
use crate::{
    api::Verdict,
    checks::{Answer, Asking, Finding, Severity, Trouble, reading::Reading},
    duration,
    load::Value,
    postgres::{ErrorClass, Fault},
};

/// Both sides, what is known of their tables, and what was found so far.
pub(super) struct Work {
    pub(super) legacy: Reading,
    pub(super) candidate: Reading,
    legacy_catalog: Catalog,
    candidate_catalog: Catalog,
    findings: Vec<Finding>,
    /// Kind, object and index of each finding: a statement is planned several times.
    seen: BTreeSet<(String, String, String)>,
    executed: usize,
    skipped: usize,
    /// Whether a statement of the present source got as far as being compared.
    has_compared: bool,
    /// Why sources came to nothing.
    doubts: Vec<String>,
}

impl Work {
    pub(super) fn new(legacy: Reading, candidate: Reading) -> Self {
        Self {
            legacy,
            candidate,
            legacy_catalog: Catalog::default(),
            candidate_catalog: Catalog::default(),
            findings: Vec::new(),
            seen: BTreeSet::new(),
            executed: 0,
            skipped: 0,
            has_compared: false,
            doubts: Vec::new(),
        }
    }

    pub(super) async fn judge(&mut self, statement: &Statement) -> Result<(), Trouble> {
        if !statement.is_planned() {
            self.skipped += 1;
            return Ok(());
        }
        let any = statement.lexed.has_parameters.then_some(For::Any);
        let values = statement.samples.iter().map(|values| For::Values(values));
        for what in any.into_iter().chain(values) {
            if !self.plan(statement, what).await? {
                return Ok(());
            }
        }
        self.measure(statement).await
    }

    /// Whether it makes sense to go on with this statement.
    async fn plan(&mut self, statement: &Statement, what: For<'_>) -> Result<bool, Trouble> {
        let (legacy, candidate) = tokio::try_join!(
            explain(&self.legacy, &statement.sql, what),
            explain(&self.candidate, &statement.sql, what)
        )?;
        let (legacy, candidate) = match (legacy, candidate) {
            (Ok(legacy), Ok(candidate)) => (legacy, candidate),
            (Err(fault), _) => {
                let message = format!("legacy itself can't plan the statement: {}", told(&fault));
                self.add(Finding::new(&NOT_COMPARED, statement.object.clone(), message), statement);
                return Ok(false);
            }
            (Ok(_), Err(fault)) => {
                let message = format!("the candidate can't plan the statement: {}", told(&fault));
                self.add(Finding::new(&STATEMENT_FAILS, statement.object.clone(), message), statement);
                return Ok(false);
            }
        };
        if !statement.may_run && is_system_only(&legacy) {
            self.skipped += 1;
            return Ok(false);
        }
        self.learn(&legacy, &candidate).await?;
        if !self.has_statistics(&legacy, &candidate, statement) {
            return Ok(false);
        }
        let legacy = Side { plan: &legacy, catalog: &self.legacy_catalog };
        let candidate = Side { plan: &candidate, catalog: &self.candidate_catalog };
        for finding in compare::compare(statement, legacy, candidate) {
            self.add(finding, statement);
        }
        self.has_compared = true;
        Ok(true)
    }

    async fn learn(&mut self, legacy: &Node, candidate: &Node) -> Result<(), Trouble> {
        let relations: BTreeSet<&Relation> =
            legacy.relations().into_iter().chain(candidate.relations()).collect();
        let relations: Vec<Relation> = relations.into_iter().cloned().collect();
        tokio::try_join!(
            self.legacy_catalog.learn(&self.legacy, &relations),
            self.candidate_catalog.learn(&self.candidate, &relations)
        )?;
        Ok(())
    }

    /// Asks for an ANALYZE of every table that needs one; whether none does.
    fn has_statistics(&mut self, legacy: &Node, candidate: &Node, statement: &Statement) -> bool {
        let mut found = Vec::new();
        for (side, plan, catalog) in
            [("legacy", legacy, &self.legacy_catalog), ("the candidate", candidate, &self.candidate_catalog)]
        {
            for (relation, statistics) in catalog.statistics(plan.relations(), &statement.lexed.words) {
                let why = match statistics {
                    Statistics::Present => continue,
                    Statistics::Unknown => {
                        "is not in the catalog, so what is known of its rows is unknown".to_owned()
                    }
                    Statistics::Missing => "has never been analyzed".to_owned(),
                    Statistics::MissingOfAll => {
                        "has never been analyzed as a whole, which autovacuum never does".to_owned()
                    }
                    Statistics::Stale { changes } => format!("has {changes} changes since it was analyzed"),
                };
                let message = format!("on {side} the table {why}; run there: ANALYZE {relation}");
                found.push(
                    Finding::new(&STATISTICS_MISSING, relation.to_string(), message).with("side", side),
                );
            }
        }
        let is_complete = found.is_empty();
        found.into_iter().for_each(|finding| self.add(finding, statement));
        is_complete
    }

    /// Carries the statement out on both sides, if that is proven to change nothing, and compares buffers.
    async fn measure(&mut self, statement: &Statement) -> Result<(), Trouble> {
        if !statement.may_run || !proof::may_only_read(&statement.lexed) {
            return Ok(());
        }
        let (on_legacy, on_candidate) = tokio::try_join!(
            proof::only_reads(&self.legacy, &statement.lexed),
            proof::only_reads(&self.candidate, &statement.lexed)
        )?;
        if !(on_legacy && on_candidate) {
            return Ok(());
        }
        self.executed += 1;
        for values in &statement.samples {
            if !self.execute(statement, values).await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether both sides came to an end.
    async fn execute(&mut self, statement: &Statement, values: &[Value]) -> Result<bool, Trouble> {
        let what = For::Execution(values);
        let (legacy, candidate) = tokio::try_join!(
            explain(&self.legacy, &statement.sql, what),
            explain(&self.candidate, &statement.sql, what)
        )?;
        let (who, fault, severity) = match (legacy, candidate) {
            (Ok(legacy), Ok(candidate)) => {
                if let Some(finding) = compare::buffers(statement, &legacy, &candidate) {
                    self.add(finding, statement);
                }
                return Ok(true);
            }
            (Err(fault), _) => ("legacy", fault, Severity::Warn),
            (Ok(_), Err(fault)) => ("the candidate", fault, Severity::Fail),
        };
        let why = match fault.class {
            ErrorClass::Canceled => {
                format!("does not come to an end within {}", duration::format(EXECUTION_TIMEOUT))
            }
            _ => format!("fails with {}", fault.label()),
        };
        let message = format!("on {who} the statement {why}");
        let finding = Finding::new(&NOT_MEASURED, statement.object.clone(), message).weighing(severity);
        self.add(finding, statement);
        Ok(false)
    }

    fn add(&mut self, finding: Finding, statement: &Statement) {
        let detail = ["index", "side"].into_iter().filter_map(|name| finding.evidence.get(name)?.as_str());
        // Statistics are missing once, whatever needs them; anything else is about a statement.
        let of = if finding.kind == STATISTICS_MISSING.name { "" } else { statement.object.as_str() };
        let key =
            (finding.kind.clone(), finding.object.clone(), format!("{of} {}", detail.collect::<String>()));
        if self.seen.insert(key) {
            self.findings.push(finding.with("of", statement.object.clone()));
        }
    }

    /// All statements of a source were judged.
    pub(super) fn finish(&mut self, source: &Source) {
        self.skipped += source.passed_over;
        if std::mem::take(&mut self.has_compared) {
            return;
        }
        let (name, count) = (source.name, source.statements.len() + source.passed_over);
        self.doubts.push(match count {
            0 => format!("{name} has no statement of legacy's database: it was reset, or tracks none"),
            _ => format!("none of the {count} statements of {name} could be compared"),
        });
    }

    pub(super) async fn conclude(mut self, asking: &Asking<'_>, total: usize) -> Answer {
        tokio::join!(self.legacy.end(), self.candidate.end());
        if self.skipped > 0 {
            let message = format!("{} statements have no plan to compare", self.skipped);
            self.findings.push(Finding::new(&SKIPPED, "statements", message).with("count", self.skipped));
        }
        let compared = format!("{total} statements, {} of them carried out", self.executed);
        doubted(asking.conclude(self.findings, &compared), &self.doubts)
    }
}

/// Nothing found where nothing was compared is no answer.
fn doubted(answer: Answer, doubts: &[String]) -> Answer {
    let doubts = doubts.join("; ");
    let message = match answer.verdict {
        _ if doubts.is_empty() => return answer,
        Verdict::Pass => doubts,
        Verdict::Warn => format!("{doubts}; {}", answer.message),
        _ => return answer,
    };
    Answer { verdict: Verdict::Inconclusive, message, ..answer }
}

fn is_system_only(plan: &Node) -> bool {
    plan.relations().into_iter().all(Relation::is_system)
}

/// What may be told of a fault: names that don't exist are no data, a text that can't be read may be.
fn told(fault: &Fault) -> String {
    if fault.class == ErrorClass::Undefined { fault.to_string() } else { fault.label() }
}
