//! A plan as a tree, and what counts of it.
//!
//! Decides what two plans have to have in common to be the same: which tables are read how, joined how and in which
//! order, what is sorted and grouped. Costs, estimates, parallel workers, and nodes that only pass rows on do not
//! count. Reads nothing that could be data: conditions and expressions are left where they are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A table, by schema and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Relation {
    pub(super) schema: String,
    pub(super) name: String,
}

impl Relation {
    /// Whether it is PostgreSQL's own.
    pub(super) fn is_system(&self) -> bool {
        self.schema == "information_schema" || self.schema.starts_with("pg_")
    }
}

impl std::fmt::Display for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::qualified(&self.schema, &self.name))
    }
}

/// How a table is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Path {
    /// Through these indexes.
    Index(Vec<String>),
    Sequential,
    Other,
}

/// A node of a plan, and all below it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// PostgreSQL's word for it, such as `Hash Join`.
    kind: String,
    /// The table that it reads or writes.
    relation: Option<Relation>,
    index: Option<String>,
    is_partial: bool,
    pub(super) total_cost: f64,
    /// Buffers that it and all below it touched, where the statement was carried out.
    pub(super) buffers: Option<i64>,
    children: Vec<Node>,
}

/// Nodes that only pass rows on; whether they are there is a matter of cost, of version, or of parallel workers.
const TRANSPARENT: [&str; 7] =
    ["Gather", "Gather Merge", "Hash", "Materialize", "Memoize", "Subquery Scan", "Result"];

impl Node {
    /// Reads what `EXPLAIN (FORMAT JSON)` returns; `None` if it is something else.
    pub(super) fn parse(json: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(json).ok()?;
        Self::of(value.get(0)?.get("Plan")?)
    }

    fn of(plan: &Value) -> Option<Self> {
        let text = |name| plan.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name| plan.get(name).and_then(Value::as_i64);
        let relation =
            text("Relation Name").map(|name| Relation { schema: text("Schema").unwrap_or_default(), name });
        let children = match plan.get("Plans").and_then(Value::as_array) {
            Some(plans) => plans.iter().map(Self::of).collect::<Option<_>>()?,
            None => Vec::new(),
        };
        let buffers = ["Shared Hit Blocks", "Shared Read Blocks", "Local Hit Blocks", "Local Read Blocks"]
            .into_iter()
            .chain(["Temp Read Blocks", "Temp Written Blocks"])
            .filter_map(number)
            .reduce(i64::saturating_add);
        Some(Self {
            kind: text("Node Type")?,
            relation,
            index: text("Index Name"),
            is_partial: text("Partial Mode").as_deref() == Some("Partial"),
            total_cost: plan.get("Total Cost").and_then(Value::as_f64)?,
            buffers,
            children,
        })
    }

    fn is_transparent(&self) -> bool {
        (TRANSPARENT.contains(&self.kind.as_str()) && !self.children.is_empty()) || self.is_partial
    }

    fn is_sort(&self) -> bool {
        matches!(self.kind.as_str(), "Sort" | "Incremental Sort")
    }

    /// How the node itself reads its table.
    fn path(&self) -> Path {
        match self.kind.as_str() {
            "Seq Scan" => Path::Sequential,
            "Index Scan" | "Index Only Scan" | "Bitmap Heap Scan" => {
                let mut names = self.index_names();
                names.sort_unstable();
                names.dedup();
                Path::Index(names)
            }
            _ => Path::Other,
        }
    }

    /// The index of the node, or those of the bitmap below it.
    fn index_names(&self) -> Vec<String> {
        let below = self.children.iter().filter(|child| child.kind.starts_with("Bitmap"));
        self.index.iter().cloned().chain(below.flat_map(Self::index_names)).collect()
    }

    /// Every table that is read, and how.
    fn accesses(&self) -> Vec<(&Relation, Path)> {
        let mut found = Vec::new();
        if let Some(relation) = self.relation.as_ref().filter(|_| self.kind != "ModifyTable") {
            found.push((relation, self.path()));
        }
        found.extend(self.children.iter().flat_map(Self::accesses));
        found
    }

    /// Which tables are joined with which, as nested pairs; empty if there is no table.
    pub(super) fn join_order(&self) -> String {
        let own = self.relation.iter().filter(|_| self.kind != "ModifyTable").map(Relation::to_string);
        let parts: Vec<String> =
            own.chain(self.children.iter().map(Self::join_order)).filter(|part| !part.is_empty()).collect();
        if parts.len() > 1 { format!("({})", parts.join(", ")) } else { parts.concat() }
    }

    /// Every table that is read or written.
    pub(super) fn relations(&self) -> BTreeSet<&Relation> {
        let below = self.children.iter().flat_map(Self::relations);
        self.relation.iter().chain(below).collect()
    }

    pub(super) fn sorts(&self) -> usize {
        usize::from(self.is_sort()) + self.children.iter().map(Self::sorts).sum::<usize>()
    }

    /// How often each table is read through an index, and how often from end to end.
    pub(super) fn scans(&self) -> BTreeMap<&Relation, Scans> {
        let mut scans: BTreeMap<&Relation, Scans> = BTreeMap::new();
        for (relation, path) in self.accesses() {
            let scans = scans.entry(relation).or_default();
            match path {
                Path::Index(names) => {
                    scans.through_index += 1;
                    scans.indexes.extend(names);
                }
                Path::Sequential => scans.sequential += 1,
                Path::Other => {}
            }
        }
        scans
    }

    /// What counts of the plan, as text. `definition` says what an index is, for its name does not count.
    pub(super) fn shape(&self, definition: &impl Fn(&Relation, &str) -> String) -> String {
        if self.is_transparent() {
            return self.children.iter().map(|child| child.shape(definition)).collect::<Vec<_>>().join(", ");
        }
        let kind = if self.is_sort() { "Sort" } else { &self.kind };
        let Some(relation) = &self.relation else {
            return self.with_children(kind, definition);
        };
        match self.path() {
            Path::Index(names) => {
                let indexes: Vec<String> = names.iter().map(|name| definition(relation, name)).collect();
                format!("Index Scan on {relation} {}", indexes.join(" and "))
            }
            Path::Sequential | Path::Other => {
                self.with_children(&format!("{kind} on {relation}"), definition)
            }
        }
    }

    fn with_children(&self, what: &str, definition: &impl Fn(&Relation, &str) -> String) -> String {
        let children: Vec<String> = self.children.iter().map(|child| child.shape(definition)).collect();
        if children.is_empty() { what.to_owned() } else { format!("{what} ({})", children.join(", ")) }
    }
}

/// How often a table is read in which way.
#[derive(Debug, Default)]
pub(super) struct Scans {
    pub(super) through_index: usize,
    pub(super) sequential: usize,
    pub(super) indexes: BTreeSet<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(kind: &str, table: &str, more: &str) -> String {
        format!(
            r#"{{"Node Type": "{kind}", "Total Cost": 1.5, "Schema": "public", "Relation Name": "{table}", "Filter": "(a = 'secret')"{more}}}"#
        )
    }

    fn node(kind: &str, children: &[&str]) -> String {
        format!(r#"{{"Node Type": "{kind}", "Total Cost": 2, "Plans": [{}]}}"#, children.join(", "))
    }

    fn shape(plan: &str) -> String {
        Node::parse(&format!(r#"[{{"Plan": {plan}}}]"#)).unwrap().shape(&|_, name| format!("({name})"))
    }

    #[test]
    fn parallel_workers_and_nodes_that_pass_rows_on_do_not_count() {
        let orders = scan("Seq Scan", "orders", "");
        let stock = scan("Seq Scan", "stock", "");
        let partial = r#"{"Node Type": "Aggregate", "Partial Mode": "Partial", "Total Cost": 1, "Plans": ["#
            .to_owned()
            + &orders
            + "]}";
        let parallel = node("Aggregate", &[&node("Gather", &[&partial])]);
        assert_eq!(shape(&parallel), shape(&node("Aggregate", &[&orders])));
        let hashed = node("Hash Join", &[&orders, &node("Hash", &[&stock])]);
        assert_eq!(shape(&hashed), "Hash Join (Seq Scan on public.orders, Seq Scan on public.stock)");
        assert_ne!(shape(&hashed), shape(&node("Hash Join", &[&stock, &node("Hash", &[&orders])])));
    }

    #[test]
    fn the_ways_through_an_index_are_one() {
        let index = r#", "Index Name": "i""#;
        let bitmap = r#", "Plans": [{"Node Type": "Bitmap Index Scan", "Total Cost": 1, "Index Name": "i"}]"#;
        let expected = "Index Scan on public.orders (i)";
        assert_eq!(shape(&scan("Index Scan", "orders", index)), expected);
        assert_eq!(shape(&scan("Index Only Scan", "orders", index)), expected);
        assert_eq!(shape(&scan("Bitmap Heap Scan", "orders", bitmap)), expected);
    }

    #[test]
    fn nothing_of_a_condition_is_kept() {
        let plan = format!("[{{\"Plan\": {}}}]", scan("Seq Scan", "orders", ""));
        assert!(!format!("{:?}", Node::parse(&plan).unwrap()).contains("secret"));
        for wrong in ["", "[]", "{}", "[{\"Plan\": 1}]", "[{\"Plan\": {\"Plans\": [1]}}]"] {
            assert_eq!(Node::parse(wrong), None, "{wrong}");
        }
    }
}
