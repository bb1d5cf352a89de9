//! Two plans of a statement against each other: first what they do, then what that costs.
//!
//! Pure. Decides which difference a finding is about, the most telling first: a plan that lost an index is not also
//! told to be another plan. Shows names of tables and indexes and definitions without expressions, nothing else.

use super::{
    BUFFERS_HIGHER, COST_HIGHER, INDEX_SCAN_LOST, JOIN_ORDER_CHANGED, PLAN_CHANGED, SORT_ADDED,
    catalog::{Catalog, Index},
    digest,
    statement::Statement,
    tree::{Node, Relation, Scans},
};
use crate::checks::{
    Finding, Severity,
    shown::{self, clipped},
};

/// What is more than this many times legacy's is told.
const RATIO: i64 = 3;
/// Differences of cost and of buffers below do not count, whatever their ratio.
const FLOOR: i64 = 100;
/// Blocks up to which reading a table from end to end is as good as an index.
const SMALL_BLOCKS: i64 = 32;
/// Longest plan that is shown, in characters.
const MAX_SHAPE: usize = 400;
/// Longest statement that makes an index that is shown.
const MAX_DEFINITION: usize = 500;

/// A side's plan, and what its catalog knows of the tables.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) plan: &'a Node,
    pub(super) catalog: &'a Catalog,
}

impl Side<'_> {
    fn shape(&self) -> String {
        self.plan.shape(&|relation, name| match self.catalog.index(relation, name) {
            Some(index) if index.has_expressions => {
                format!("({}) #{}", index.columns, digest(&index.definition))
            }
            Some(index) => index.definition.clone(),
            None => name.to_owned(),
        })
    }
}

pub(super) fn compare(statement: &Statement, legacy: Side<'_>, candidate: Side<'_>) -> Vec<Finding> {
    let mut findings = lost_indexes(legacy, candidate);
    findings.extend(sorts(statement, legacy, candidate));
    findings.extend(join_order(statement, legacy, candidate));
    if findings.is_empty() {
        findings.extend(shape(statement, legacy, candidate));
    }
    findings.extend(cost(statement, legacy.plan, candidate.plan));
    findings.into_iter().map(|finding| finding.with("statement", statement.label())).collect()
}

/// Tables that legacy reads through an index and the candidate from end to end.
fn lost_indexes(legacy: Side<'_>, candidate: Side<'_>) -> Vec<Finding> {
    let after = candidate.plan.scans();
    let none = Scans::default();
    let mut findings = Vec::new();
    for (relation, scans) in legacy.plan.scans() {
        let now = after.get(relation).unwrap_or(&none);
        if now.through_index >= scans.through_index || now.sequential <= scans.sequential {
            continue;
        }
        let is_used = |definition: &str| {
            now.indexes.iter().any(|name| {
                candidate.catalog.index(relation, name).is_some_and(|index| index.definition == definition)
            })
        };
        let lost = scans.indexes.iter().filter_map(|name| legacy.catalog.index(relation, name));
        findings.extend(
            lost.filter(|index| !is_used(&index.definition))
                .map(|index| lost_index(relation, index, candidate.catalog)),
        );
    }
    findings
}

fn lost_index(relation: &Relation, index: &Index, candidate: &Catalog) -> Finding {
    let there = candidate.index_like(relation, &index.definition);
    let (state, advice) = match there {
        None => ("missing", format!("has no such index: {}", making(relation, index))),
        Some(there) if !there.is_valid => {
            let name = super::qualified(&relation.schema, &there.name);
            ("invalid", format!("has it, but invalid: REINDEX INDEX CONCURRENTLY {name}"))
        }
        Some(_) => ("unused", "has the same index and does not use it".to_owned()),
    };
    let message = format!(
        "legacy reads the table through index {} ({}); the candidate reads all of it, and {advice}",
        shown::name(&index.name),
        columns(index)
    );
    let blocks = candidate.table(relation).map_or(0, |table| table.blocks);
    let is_right = state == "unused" && blocks <= SMALL_BLOCKS;
    let finding = Finding::new(&INDEX_SCAN_LOST, relation.to_string(), message)
        .with("index", shown::name(&index.name))
        .with("columns", columns(index))
        .with("candidateIndex", state)
        .with("candidateBlocks", blocks);
    if is_right { finding.weighing(Severity::Info) } else { finding }
}

fn columns(index: &Index) -> String {
    index.columns.chars().filter(|c| !c.is_control()).take(MAX_DEFINITION).collect()
}

/// How to make the index; where its definition may hold literals, where to find it.
fn making(relation: &Relation, index: &Index) -> String {
    if index.has_expressions || index.statement.chars().count() > MAX_DEFINITION {
        let name = super::qualified(&relation.schema, &index.name);
        return format!("create it as legacy's SELECT pg_get_indexdef('{name}'::regclass) says");
    }
    let statement: String = index.statement.chars().filter(|c| !c.is_control()).collect();
    format!("create it: {statement}")
}

fn sorts(statement: &Statement, legacy: Side<'_>, candidate: Side<'_>) -> Option<Finding> {
    let (before, after) = (legacy.plan.sorts(), candidate.plan.sorts());
    (after > before).then(|| {
        let message = format!("the candidate sorts in {after} places, legacy in {before}");
        Finding::new(&SORT_ADDED, statement.object.clone(), message)
            .with("legacy", clipped(&legacy.shape(), MAX_SHAPE))
            .with("candidate", clipped(&candidate.shape(), MAX_SHAPE))
    })
}

/// The same tables, joined in another order.
fn join_order(statement: &Statement, legacy: Side<'_>, candidate: Side<'_>) -> Option<Finding> {
    let (before, after) = (legacy.plan.join_order(), candidate.plan.join_order());
    (before != after && legacy.plan.relations() == candidate.plan.relations()).then(|| {
        let message = format!(
            "legacy joins {}; the candidate {}",
            clipped(&before, MAX_SHAPE),
            clipped(&after, MAX_SHAPE)
        );
        Finding::new(&JOIN_ORDER_CHANGED, statement.object.clone(), message)
    })
}

fn shape(statement: &Statement, legacy: Side<'_>, candidate: Side<'_>) -> Option<Finding> {
    let (before, after) = (legacy.shape(), candidate.shape());
    (before != after).then(|| {
        let (before, after) = (clipped(&before, MAX_SHAPE), clipped(&after, MAX_SHAPE));
        let message = format!("legacy: {before}; candidate: {after}");
        Finding::new(&PLAN_CHANGED, statement.object.clone(), message)
    })
}

#[allow(clippy::cast_possible_truncation, reason = "a cost beyond an i64 saturates, and is only compared")]
fn cost(statement: &Statement, legacy: &Node, candidate: &Node) -> Option<Finding> {
    let (before, after) = (legacy.total_cost as i64, candidate.total_cost as i64);
    is_much_more(before, after).then(|| {
        let message = format!("the candidate estimates a cost of {after}, legacy of {before}");
        Finding::new(&COST_HIGHER, statement.object.clone(), message)
            .with("legacy", before)
            .with("candidate", after)
    })
}

/// What the two touched when they were carried out.
pub(super) fn buffers(statement: &Statement, legacy: &Node, candidate: &Node) -> Option<Finding> {
    let (before, after) = (legacy.buffers?, candidate.buffers?);
    is_much_more(before, after).then(|| {
        let message = format!("the candidate touches {after} buffers, legacy {before}");
        Finding::new(&BUFFERS_HIGHER, statement.object.clone(), message)
            .with("legacy", before)
            .with("candidate", after)
            .with("statement", statement.label())
    })
}

fn is_much_more(before: i64, after: i64) -> bool {
    after > before.saturating_mul(RATIO) && after.saturating_sub(before) > FLOOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_more_is_more_than_three_times_and_more_than_noise() {
        assert!(!is_much_more(1, 100));
        assert!(!is_much_more(100, 300));
        assert!(is_much_more(100, 301));
        assert!(is_much_more(0, 101));
        assert!(!is_much_more(i64::MAX, i64::MAX));
    }
}
