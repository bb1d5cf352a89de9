//! Objects of one family (tables, indexes, …), and what it means when they differ.
//!
//! Decides which object of legacy is which of candidate, and what is found between the two. Pure: knows neither servers
//! nor statements' answers. Says nothing about the parts of an object that is missing as a whole.

use std::collections::{HashMap, HashSet};

use super::side::Versions;
use super::text::{Form, Relation, Value, relate};
use crate::checks::{Finding, FindingKind, Severity, shown::shown};

/// An object of one side, as the catalogs have it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Object {
    /// Its name, qualified and quoted.
    pub(super) name: Box<str>,
    /// The table, view, type or domain that it belongs to.
    pub(super) parent: Option<Box<str>>,
    /// Its properties, in the order of its family; more may follow that the family's own rules read.
    pub(super) values: Vec<Option<Value>>,
}

impl Object {
    /// The text of a shown property.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        match self.values.get(index)? {
            Some(Value::Shown(text)) => Some(text),
            _ => None,
        }
    }
}

/// What a difference weighs, by legacy's value and candidate's.
pub(super) type Weigh = fn(Option<&str>, Option<&str>) -> Severity;

/// A property, and what it is when it differs.
pub(super) struct Property {
    pub(super) noun: &'static str,
    pub(super) kind: &'static FindingKind,
    pub(super) form: Form,
    /// Where the values themselves make it lighter than its kind.
    pub(super) weigh: Option<Weigh>,
    /// Whether what follows in the family follows from it where it differs, and is not told.
    pub(super) decides: bool,
}

impl Property {
    pub(super) const fn shown(noun: &'static str, kind: &'static FindingKind) -> Self {
        Self { noun, kind, form: Form::Shown, weigh: None, decides: false }
    }

    pub(super) const fn deparsed(noun: &'static str, kind: &'static FindingKind) -> Self {
        Self { noun, kind, form: Form::Deparsed, weigh: None, decides: false }
    }

    pub(super) const fn bound(noun: &'static str, kind: &'static FindingKind) -> Self {
        Self { noun, kind, form: Form::Bound, weigh: None, decides: false }
    }

    pub(super) const fn marked(noun: &'static str, kind: &'static FindingKind) -> Self {
        Self { noun, kind, form: Form::Marked, weigh: None, decides: false }
    }

    pub(super) const fn deciding(self) -> Self {
        Self { decides: true, ..self }
    }

    pub(super) const fn weighing(self, weigh: Weigh) -> Self {
        Self { weigh: Some(weigh), ..self }
    }
}

/// What two objects have in common that makes them the same one; `None` for an object that it can't tell.
pub(super) type Identity = fn(&Object, majors_differ: bool) -> Option<String>;

/// A rule that no property can tell, about a candidate's object and legacy's where it has it.
pub(super) type Rule = fn(Option<&Object>, &Object, &mut Vec<Finding>);

/// Objects that are read by one statement and compared in the same way.
pub(super) struct Family {
    /// One of them, such as `index`.
    pub(super) noun: &'static str,
    /// What follows the frame of every statement.
    pub(super) statement: fn(Versions) -> String,
    pub(super) missing: &'static FindingKind,
    pub(super) extra: &'static FindingKind,
    /// Where the extra object itself makes it heavier or lighter than its kind.
    pub(super) weigh_extra: Option<fn(&Object) -> Severity>,
    pub(super) properties: &'static [Property],
    /// Tried one after the other; the first is the strictest.
    pub(super) identities: &'static [Identity],
    pub(super) rule: Option<Rule>,
}

/// The same name.
pub(super) const BY_NAME: &[Identity] = &[name];

#[allow(clippy::unnecessary_wraps, reason = "an `Identity`")]
pub(super) fn name(object: &Object, _majors_differ: bool) -> Option<String> {
    Some(object.name.to_string())
}

/// Most findings that are held.
pub(super) const FOUND_MAX: usize = 50_000;

/// What comparing a family needs to know besides its objects.
#[derive(Debug, Default)]
pub(super) struct Context {
    pub(super) majors_differ: bool,
    /// Tables, views and types that only one side has.
    pub(super) absent: HashSet<Box<str>>,
}

/// Which is which.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) both: Vec<(Object, Object)>,
    pub(super) legacy: Vec<Object>,
    pub(super) candidate: Vec<Object>,
}

impl Pairs {
    /// Pairs objects that are the same by the first identity, then the rest by the next.
    pub(super) fn of(
        legacy: Vec<Object>,
        candidate: Vec<Object>,
        by: &[Identity],
        majors_differ: bool,
    ) -> Self {
        let mut pairs = Self { both: Vec::new(), legacy, candidate };
        for identity in by {
            pairs.pair(*identity, majors_differ);
        }
        pairs
    }

    fn pair(&mut self, identity: Identity, majors_differ: bool) {
        let mut found: HashMap<String, Vec<Object>> = HashMap::new();
        let mut unpaired = Vec::new();
        for object in std::mem::take(&mut self.candidate).into_iter().rev() {
            match identity(&object, majors_differ) {
                Some(key) => found.entry(key).or_default().push(object),
                None => unpaired.push(object),
            }
        }
        for object in std::mem::take(&mut self.legacy) {
            let key = identity(&object, majors_differ);
            match key.and_then(|key| found.get_mut(&key)?.pop()) {
                Some(other) => self.both.push((object, other)),
                None => self.legacy.push(object),
            }
        }
        self.candidate = unpaired;
        self.candidate.extend(found.into_values().flatten());
        self.candidate.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

impl Family {
    /// What differs. The objects that only one side has come back, too.
    pub(super) fn compare(
        &self,
        legacy: Vec<Object>,
        candidate: Vec<Object>,
        context: &Context,
    ) -> (Vec<Finding>, Pairs) {
        let is_told =
            |object: &Object| object.parent.as_ref().is_none_or(|parent| !context.absent.contains(parent));
        let legacy = legacy.into_iter().filter(is_told).collect();
        let candidate = candidate.into_iter().filter(is_told).collect();
        let pairs = Pairs::of(legacy, candidate, self.identities, context.majors_differ);
        let mut found = Vec::new();
        // One too many ends the comparison.
        for object in pairs.legacy.iter().take(FOUND_MAX + 1) {
            found.push(self.one_sided(self.missing, object, "missing on the candidate"));
        }
        for object in pairs.candidate.iter().take(FOUND_MAX + 1) {
            let finding = self.one_sided(self.extra, object, "only on the candidate");
            let severity = self.weigh_extra.map_or(self.extra.severity, |weigh| weigh(object));
            found.push(finding.weighing(severity));
            self.rule.inspect(|rule| rule(None, object, &mut found));
        }
        for (legacy, candidate) in &pairs.both {
            if found.len() > FOUND_MAX {
                break;
            }
            self.compare_properties(legacy, candidate, context, &mut found);
            self.rule.inspect(|rule| rule(Some(legacy), candidate, &mut found));
        }
        (found, pairs)
    }

    fn compare_properties(
        &self,
        legacy: &Object,
        candidate: &Object,
        context: &Context,
        found: &mut Vec<Finding>,
    ) {
        for (index, property) in self.properties.iter().enumerate() {
            let [old, new] = [legacy, candidate].map(|object| object.values.get(index)?.as_ref());
            let finding = self.differing(property, &legacy.name, old, new, context);
            let is_decided = property.decides && finding.is_some();
            found.extend(finding);
            if is_decided {
                return;
            }
        }
    }

    fn one_sided(&self, kind: &FindingKind, object: &Object, how: &str) -> Finding {
        let finding = Finding::new(kind, shown(&object.name), format!("the {} is {how}", self.noun));
        match &object.parent {
            Some(parent) => finding.with("of", shown(parent)),
            None => finding,
        }
    }

    fn differing(
        &self,
        property: &Property,
        name: &str,
        legacy: Option<&Value>,
        candidate: Option<&Value>,
        context: &Context,
    ) -> Option<Finding> {
        let relation = relate(legacy, candidate, context.majors_differ);
        let texts = |value: Option<&'_ Value>| value.map_or(Some("none".to_owned()), Value::shown);
        let told = (texts(legacy), texts(candidate));
        let what = format!("the {} of the {}", property.noun, self.noun);
        let (message, severity) = match relation {
            Relation::Same => return None,
            Relation::Rewritten => (
                format!(
                    "{what} differs only in qualifiers or parentheses, which the two major versions write differently, \
                     but which may change what it says, so look at both"
                ),
                property.kind.severity.max(Severity::Warn),
            ),
            Relation::Unsure => (
                format!(
                    "{what} differs in its text; the two major versions write such texts differently, so look at both"
                ),
                property.kind.severity.max(Severity::Warn),
            ),
            Relation::Different => {
                let weigh = property.weigh.map(|weigh| weigh(text(legacy), text(candidate)));
                (difference(&what, &told), weigh.unwrap_or(property.kind.severity))
            }
        };
        let mut finding = Finding::new(property.kind, shown(name), message)
            .weighing(severity)
            .with("property", property.noun);
        for (side, value) in [("legacy", told.0), ("candidate", told.1)] {
            if let Some(value) = value {
                finding = finding.with(side, value);
            }
        }
        Some(finding)
    }
}

fn text(value: Option<&Value>) -> Option<&str> {
    match value {
        Some(Value::Shown(text)) => Some(text),
        _ => None,
    }
}

fn difference(what: &str, shown: &(Option<String>, Option<String>)) -> String {
    match shown {
        (None, None) => format!("{what} differs; it may hold literals, so it is not shown"),
        (legacy, candidate) => {
            let told = |side: &Option<String>| {
                side.clone().unwrap_or_else(|| "one that may hold literals".to_owned())
            };
            format!("{what}: legacy has {}, the candidate {}", told(legacy), told(candidate))
        }
    }
}

#[cfg(test)]
mod tests;
