//! `schema`: do both databases hold the same objects, in every property that the application could notice?
//!
//! Decides in which order families of objects are read and compared, one after the other, so that only one is held at a
//! time. Names that are generated, the order of creation and formatting are no difference. Never shows a literal of a
//! definition, never reads a row of a table but the ends of columns that sequences feed, and of those shows nothing.

mod access;
mod columns;
mod comparison;
mod constraints;
mod family;
mod functions;
mod objects;
mod publications;
mod relations;
mod sequences;
mod side;
mod text;
mod triggers;
mod types;
mod values;

use comparison::Comparison;
use side::Side;

use super::{Answer, Asking, FindingKind, Trouble};
use crate::api::{SchemaCheck, Verdict};

/// What it can find.
pub(super) const KINDS: &[FindingKind] = &[
    comparison::UNKNOWN,
    comparison::TOO_MANY,
    relations::SCHEMA_MISSING,
    relations::SCHEMA_EXTRA,
    relations::TABLE_MISSING,
    relations::TABLE_EXTRA,
    relations::TABLE_KIND,
    relations::PERSISTENCE,
    relations::ACCESS_METHOD,
    relations::OPTIONS,
    relations::REPLICA_IDENTITY,
    relations::INHERITANCE,
    relations::PARTITION_KEY,
    relations::PARTITION_BOUND,
    relations::ROW_SECURITY,
    relations::FOREIGN_TABLE,
    relations::VIEW_MISSING,
    relations::VIEW_EXTRA,
    relations::VIEW,
    relations::VIEW_OPTIONS,
    relations::UNPOPULATED,
    columns::MISSING,
    columns::EXTRA,
    columns::TYPE,
    columns::NULLABILITY,
    columns::DEFAULT,
    columns::IDENTITY,
    columns::GENERATED,
    columns::COLLATION,
    columns::DATABASE_COLLATION,
    columns::ORDER,
    columns::STORAGE,
    columns::STATISTICS,
    constraints::CONSTRAINT_MISSING,
    constraints::CONSTRAINT_EXTRA,
    constraints::CONSTRAINT,
    constraints::CONSTRAINT_NAME,
    constraints::DEFERRABLE,
    constraints::NOT_VALID,
    constraints::NOT_ENFORCED,
    constraints::INDEX_MISSING,
    constraints::INDEX_EXTRA,
    constraints::INDEX,
    constraints::INDEX_NAME,
    constraints::INDEX_OPTIONS,
    constraints::INDEX_INVALID,
    sequences::MISSING,
    sequences::EXTRA,
    sequences::SEQUENCE,
    sequences::NAME,
    sequences::OWNERSHIP,
    sequences::BEHIND,
    sequences::UNREADABLE,
    sequences::BEHIND_COLUMN,
    sequences::COLUMN_UNCHECKED,
    functions::MISSING,
    functions::EXTRA,
    functions::BODY,
    functions::RESULT,
    functions::ARGUMENTS,
    functions::VOLATILITY,
    functions::SECURITY,
    functions::SETTINGS,
    functions::PROPERTY,
    functions::PLANNING,
    triggers::TRIGGER_MISSING,
    triggers::TRIGGER_EXTRA,
    triggers::TRIGGER,
    triggers::TRIGGER_ENABLED,
    triggers::RULE_MISSING,
    triggers::RULE_EXTRA,
    triggers::RULE,
    triggers::POLICY_MISSING,
    triggers::POLICY_EXTRA,
    triggers::POLICY,
    triggers::EVENT_TRIGGER_MISSING,
    triggers::EVENT_TRIGGER_EXTRA,
    triggers::EVENT_TRIGGER,
    types::MISSING,
    types::EXTRA,
    types::TYPE,
    types::DOMAIN,
    types::LABELS,
    types::LABEL_ORDER,
    objects::MISSING,
    objects::EXTRA,
    objects::OBJECT,
    objects::SERVER,
    objects::MAPPING_MISSING,
    objects::MAPPING_EXTRA,
    objects::MAPPING,
    objects::MAPPING_UNSEEN,
    publications::MISSING,
    publications::EXTRA,
    publications::PUBLICATION,
    publications::STATISTICS_MISSING,
    publications::STATISTICS_EXTRA,
    publications::STATISTICS,
    access::OWNER,
    access::GRANT_MISSING,
    access::GRANT_EXTRA,
    access::DEFAULT_PRIVILEGES,
];

pub(super) async fn ask(question: &SchemaCheck, asking: &Asking<'_>) -> Result<Answer, Trouble> {
    let (legacy, candidate) = tokio::try_join!(
        Side::begin("legacy", asking, asking.legacy()?, &question.schemas),
        Side::begin("candidate", asking, asking.candidate()?, &question.schemas),
    )?;
    let compared = Comparison::new(&legacy, &candidate).run(question, asking).await?;
    tokio::join!(legacy.reading.end(), candidate.reading.end());
    let mut answer = asking.conclude(compared.found, &format!("{} tables", compared.tables));
    if compared.is_legacy_empty && answer.verdict != Verdict::Fail {
        answer.verdict = Verdict::Inconclusive;
        answer.message =
            format!("legacy has no object to compare; is it the right database? {}", answer.message);
    }
    Ok(answer)
}
