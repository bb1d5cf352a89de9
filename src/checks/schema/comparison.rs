//! The order in which families are read from both sides and compared.
//!
//! Decides that both sides are asked at once, that only one family is held at a time, and where it stops: two schemas
//! with tens of thousands of differences have nothing to do with each other.

use std::collections::{HashMap, HashSet};

use super::{
    access, columns, constraints,
    family::{Context, FOUND_MAX, Family, Object, Pairs},
    functions, objects, publications, relations, sequences,
    side::{Side, Versions},
    triggers, types, values,
};
use crate::{
    api::SchemaCheck,
    checks::{Asking, Finding, FindingKind, Moment, trouble::Trouble},
};

pub(super) const UNKNOWN: FindingKind = FindingKind::fail(
    "schema-unknown",
    "a schema that the check names is on neither side: nothing of it was compared",
);
pub(super) const TOO_MANY: FindingKind = FindingKind::fail(
    "too-many-differences",
    "the comparison stopped before its end: these are not two copies of one schema",
);

/// Families whose objects belong to a table, a view or nothing; compared once it is known which of those are missing.
const PARTS: &[&Family] = &[
    &constraints::CONSTRAINTS,
    &constraints::INDEXES,
    &triggers::TRIGGERS,
    &triggers::RULES,
    &triggers::POLICIES,
    &functions::FUNCTIONS,
    &objects::OTHERS,
    &publications::STATISTICS_OBJECTS,
    &access::DEFAULTS,
    // The columns of every schema sort by it.
    &columns::DATABASE,
];

/// Steps that are told to whoever watches.
const STEPS: u64 = 21;

/// Both sides, and what was found between them so far.
pub(super) struct Comparison<'a> {
    legacy: &'a Side<'a>,
    candidate: &'a Side<'a>,
    context: Context,
    found: Vec<Finding>,
    /// Objects of legacy, other than what every database has.
    legacy_objects: usize,
    steps: u64,
}

/// What came of it.
pub(super) struct Compared {
    pub(super) found: Vec<Finding>,
    /// Tables that both sides have.
    pub(super) tables: usize,
    /// Whether legacy has nothing that could be missing.
    pub(super) is_legacy_empty: bool,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(legacy: &'a Side<'a>, candidate: &'a Side<'a>) -> Self {
        let context = Context { majors_differ: legacy.major != candidate.major, ..Context::default() };
        Self { legacy, candidate, context, found: Vec::new(), legacy_objects: 0, steps: 0 }
    }

    /// What differs.
    pub(super) async fn run(
        mut self,
        question: &SchemaCheck,
        asking: &Asking<'_>,
    ) -> Result<Compared, Trouble> {
        self.unknown(&question.schemas).await?;
        self.family(&relations::SCHEMAS, asking).await?;
        let tables = self.whole(&relations::TABLES, asking).await?;
        self.whole(&relations::VIEWS, asking).await?;
        self.whole(&types::TYPES, asking).await?;
        self.columns(asking).await?;
        // What belongs to the whole database is left out where the check names schemas.
        let is_whole = question.schemas.is_empty();
        for family in PARTS.iter().chain(is_whole.then_some(&&triggers::EVENT_TRIGGERS)) {
            if self.found.len() <= FOUND_MAX {
                self.family(family, asking).await?;
            }
        }
        if is_whole {
            self.foreign_servers(asking).await?;
            self.publications(asking).await?;
        }
        self.access(asking).await?;
        self.sequences(asking).await?;
        if self.found.len() > FOUND_MAX {
            self.found.truncate(FOUND_MAX);
            let message = format!("stopped after {FOUND_MAX} differences");
            self.found.push(Finding::new(&TOO_MANY, "the database", message));
        }
        Ok(Compared { found: self.found, tables, is_legacy_empty: self.legacy_objects == 0 })
    }

    fn tell(&mut self, noun: &str, asking: &Asking<'_>) {
        asking.progress.tell(noun, self.steps, STEPS);
        self.steps += 1;
    }

    fn versions(&self, side: &Side<'_>) -> Versions {
        Versions { own: side.major, older: self.legacy.major.min(self.candidate.major) }
    }

    /// Compares one family, and brings what both sides have and what only one has.
    async fn family(&mut self, family: &Family, asking: &Asking<'_>) -> Result<Pairs, Trouble> {
        self.tell(family.noun, asking);
        self.read(family, None).await
    }

    async fn read(&mut self, family: &Family, parents: Option<&[String]>) -> Result<Pairs, Trouble> {
        let [one, other] = [self.legacy, self.candidate].map(|side| (family.statement)(self.versions(side)));
        let (legacy, candidate) = tokio::try_join!(
            self.legacy.objects(&one, family.properties, parents),
            self.candidate.objects(&other, family.properties, parents),
        )?;
        if ![relations::SCHEMAS.noun, columns::DATABASE.noun].contains(&family.noun) {
            self.legacy_objects += legacy.len();
        }
        let (found, pairs) = family.compare(legacy, candidate, &self.context);
        self.found.extend(found);
        Ok(pairs)
    }

    /// A family whose objects have parts; of one that only a side has, no part will be told. How many both have.
    async fn whole(&mut self, family: &Family, asking: &Asking<'_>) -> Result<usize, Trouble> {
        let pairs = self.family(family, asking).await?;
        self.context.absent.extend(pairs.legacy.into_iter().chain(pairs.candidate).map(|object| object.name));
        Ok(pairs.both.len())
    }

    /// Reads the columns only of those tables and views whose columns differ at all.
    async fn columns(&mut self, asking: &Asking<'_>) -> Result<(), Trouble> {
        self.tell(columns::COLUMNS.noun, asking);
        let read = async |side: &Side<'_>| {
            side.read(&columns::digests(self.versions(side)), None, |row| {
                Ok((row.try_get(0)?, row.try_get(1)?))
            })
            .await
        };
        let (legacy, candidate) = tokio::try_join!(read(self.legacy), read(self.candidate))?;
        let candidate: HashSet<(String, String)> = candidate.into_iter().collect();
        let legacy: HashSet<(String, String)> = legacy.into_iter().collect();
        let tables: HashSet<&String> =
            legacy.symmetric_difference(&candidate).map(|(table, _)| table).collect();
        let tables: Vec<String> = tables.into_iter().cloned().collect();
        if !tables.is_empty() {
            let pairs = self.read(&columns::COLUMNS, Some(&tables)).await?;
            self.found.extend(columns::order(&pairs));
        }
        Ok(())
    }

    async fn unknown(&mut self, named: &[String]) -> Result<(), Trouble> {
        let statement = "SELECT nspname::text FROM pg_namespace WHERE nspname = ANY ($1::text[])";
        let (legacy, candidate) =
            tokio::try_join!(self.legacy.texts(statement), self.candidate.texts(statement))?;
        let known: HashSet<String> = legacy.into_iter().chain(candidate).collect();
        for schema in named.iter().filter(|schema| !known.contains(*schema)) {
            self.found.push(Finding::new(&UNKNOWN, schema.as_str(), "no schema of that name on either side"));
        }
        Ok(())
    }

    async fn foreign_servers(&mut self, asking: &Asking<'_>) -> Result<(), Trouble> {
        self.whole(&objects::SERVERS, asking).await?;
        self.family(&objects::MAPPINGS, asking).await?;
        Ok(())
    }

    async fn publications(&mut self, asking: &Asking<'_>) -> Result<(), Trouble> {
        let before = self.found.len();
        self.family(&publications::PUBLICATIONS, asking).await?;
        let subscribed = self.candidate.texts(publications::SUBSCRIBED).await?;
        publications::excuse(&mut self.found[before..], &subscribed);
        Ok(())
    }

    async fn access(&mut self, asking: &Asking<'_>) -> Result<(), Trouble> {
        self.tell("grant", asking);
        let read = async |side: &Side<'_>| {
            let row = |row: &tokio_postgres::Row| {
                Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?))
            };
            let rows: Vec<access::Row> =
                side.read(&access::statement(self.versions(side)), None, row).await?;
            Ok::<_, Trouble>(access::assemble(rows))
        };
        let (legacy, candidate, memberships) = tokio::try_join!(
            read(self.legacy),
            read(self.candidate),
            self.legacy.texts(access::MEMBERSHIPS),
        )?;
        self.found.extend(access::compare(&legacy, &candidate, &memberships));
        Ok(())
    }

    /// After the last stage the application takes numbers on the candidate, which may then be anywhere but behind its
    /// own columns.
    async fn sequences(&mut self, asking: &Asking<'_>) -> Result<(), Trouble> {
        let pairs = self.family(&sequences::SEQUENCES, asking).await?;
        let candidates = || pairs.both.iter().map(|(_, object)| object).chain(&pairs.candidate);
        let read_candidate = async {
            let reaches = values::reaches(self.candidate, candidates()).await?;
            Ok((reaches, values::ends(self.candidate, candidates()).await?))
        };
        let read_legacy = async {
            let legacy = pairs.both.iter().map(|(object, _): &(Object, Object)| object);
            let is_asked = asking.moment == Moment::Before;
            if is_asked { values::reaches(self.legacy, legacy).await } else { Ok(HashMap::new()) }
        };
        let ((reaches, ends), before) = tokio::try_join!(read_candidate, read_legacy)?;
        self.found.extend(sequences::behind_columns(candidates(), &reaches, &ends));
        // Before that, legacy's own values are what they are compared with.
        if asking.moment == Moment::After {
            self.found.extend(sequences::ownerless(candidates()));
        }
        self.found.extend(sequences::unreadable(&pairs, &before, &reaches));
        self.found.extend(sequences::behind(&pairs, &before, &reaches));
        Ok(())
    }
}
