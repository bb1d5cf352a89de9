//! What a table has left open: differences that are to be looked at again, and what came of them.
//!
//! Decides how many rows are named, and what is said about a table. Keys go into a finding's evidence, never into its
//! message, for the message ends up in the status. Never holds a value that is not part of a key.

use std::sync::Arc;

use serde_json::Value;

use super::{
    super::{Finding, FindingKind, shown::clipped},
    doubt::{Doubt, Outcome},
    kinds,
    statements::{Digest, Key, Subject},
};

/// Rows that are looked at again at a time.
pub(super) const SUSPECTS_MAX: usize = 1000;
/// Rows that differ for certain, after which the rest of a table is not compared.
const CERTAIN_MAX: u64 = 1000;
/// Keys that a finding names, and the longest part of each column of them, in characters.
const KEYS_MAX: usize = 20;
const KEY_CHARS: usize = 100;

/// The hashes of the rows with one key: none, one, or more where the key is not unique on that side.
pub(super) type Hashes = Vec<i64>;

/// A row that both sides have differently.
#[derive(Debug)]
pub(super) struct Suspect {
    pub(super) key: Key,
    pub(super) doubt: Doubt<Hashes>,
}

/// Rows of one kind of difference.
#[derive(Debug, Default)]
struct Rows {
    count: u64,
    keys: Vec<Value>,
}

/// A table whose comparison is not over.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) subject: Arc<Subject>,
    pub(super) suspects: Vec<Suspect>,
    /// The table as a whole, where no rows can be told apart or only their number is asked for.
    pub(super) whole: Option<Doubt<Digest>>,
    /// Rows of legacy that were compared.
    pub(super) compared: u64,
    /// Whether the comparison has ended before the table did.
    pub(super) is_cut_short: bool,
    settled: u64,
    missing: Rows,
    extra: Rows,
    differing: Rows,
    in_flux: Rows,
}

impl Open {
    pub(super) fn new(subject: Subject) -> Self {
        Self {
            subject: Arc::new(subject),
            suspects: Vec::new(),
            whole: None,
            compared: 0,
            is_cut_short: false,
            settled: 0,
            missing: Rows::default(),
            extra: Rows::default(),
            differing: Rows::default(),
            in_flux: Rows::default(),
        }
    }

    /// Notes a part that differed at first, and no more when its rows were looked at.
    pub(super) fn has_settled(&mut self) {
        self.settled += 1;
    }

    /// Whether there is anything to look at again.
    pub(super) fn is_in_doubt(&self) -> bool {
        let is_open = |suspect: &Suspect| !suspect.doubt.is_settled();
        self.suspects.iter().any(is_open) || self.whole.as_ref().is_some_and(|doubt| !doubt.is_settled())
    }

    /// Whether so much is certain that the rest does not matter.
    pub(super) fn is_certain(&self) -> bool {
        self.missing.count + self.extra.count + self.differing.count >= CERTAIN_MAX
    }

    /// Closes the doubts about rows.
    pub(super) fn settle(&mut self) {
        for suspect in std::mem::take(&mut self.suspects) {
            let [legacy, candidate] = &suspect.doubt.now;
            let rows = match suspect.doubt.outcome() {
                Outcome::Settled => {
                    self.settled += 1;
                    continue;
                }
                Outcome::InFlux => &mut self.in_flux,
                Outcome::Differs if candidate.is_empty() => &mut self.missing,
                Outcome::Differs if legacy.is_empty() => &mut self.extra,
                Outcome::Differs => &mut self.differing,
            };
            rows.add(&suspect.key);
        }
    }

    /// What is said about the table.
    pub(super) fn findings(mut self, is_count: bool) -> Vec<Finding> {
        self.settle();
        let mut found = Vec::new();
        for (kind, rows, what) in [
            (&kinds::ROWS_MISSING, &self.missing, "on legacy and not on the candidate"),
            (&kinds::ROWS_EXTRA, &self.extra, "on the candidate and not on legacy"),
            (&kinds::ROWS_DIFFER, &self.differing, "not the same on both sides"),
            (&kinds::ROWS_IN_FLUX, &self.in_flux, "written faster than they could be compared"),
        ] {
            found.extend(self.about_rows(kind, rows, what));
        }
        found.extend(self.about_the_whole(is_count));
        if self.settled > 0 {
            let message =
                format!("{} rows, or parts, that differed at first were the same later", self.settled);
            found.push(Finding::new(&kinds::SETTLED, &self.subject.table.shown, message));
        }
        found
    }

    fn about_rows(&self, kind: &FindingKind, rows: &Rows, what: &str) -> Option<Finding> {
        if rows.count == 0 {
            return None;
        }
        let (least, cut) = if self.is_cut_short {
            ("at least ", "; there are so many that the rest of the table was not compared")
        } else {
            ("", "")
        };
        let (count, compared) = (rows.count, self.compared);
        let noun = if count == 1 { "row is" } else { "rows are" };
        let message = format!("{least}{count} {noun} {what}, of {compared} rows compared{cut}");
        let finding = Finding::new(kind, &self.subject.table.shown, message).with("rows", count);
        let columns: Vec<String> =
            self.subject.plan.key.iter().map(|name| clipped(name, KEY_CHARS)).collect();
        Some(finding.with("keyColumns", columns).with("keys", rows.keys.clone()))
    }

    fn about_the_whole(&mut self, is_count: bool) -> Option<Finding> {
        let doubt = self.whole.take()?;
        let [legacy, candidate] = &doubt.now;
        let rows = format!("{} rows on legacy, {} on the candidate", legacy.rows, candidate.rows);
        let (kind, message) = match doubt.outcome() {
            Outcome::Settled => {
                self.settled += 1;
                return None;
            }
            Outcome::Differs if is_count => (&kinds::ROW_COUNT_DIFFERS, rows),
            Outcome::Differs => (&kinds::CONTENT_DIFFERS, format!("not the same rows: {rows}")),
            Outcome::InFlux => (&kinds::ROWS_IN_FLUX, format!("{rows}, and both go on changing")),
        };
        let finding = Finding::new(kind, &self.subject.table.shown, message);
        Some(finding.with("legacy", legacy.rows).with("candidate", candidate.rows))
    }
}

impl Rows {
    fn add(&mut self, key: &Key) {
        self.count += 1;
        if self.keys.len() < KEYS_MAX {
            let columns: Vec<Value> = key.iter().map(|text| Value::from(clipped(text, KEY_CHARS))).collect();
            self.keys.push(Value::from(columns));
        }
    }
}
