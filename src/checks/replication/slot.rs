//! The slots on legacy that hold the candidate's place.

use tokio_postgres::types::Type;

use super::{
    Both, Bounds, SLOT_AT_RISK, SLOT_INACTIVE, SLOT_LOST, WAL_RETAINED, lag::END_OF_WAL, size, unexpected,
};
use crate::checks::{Finding, Trouble, shown};

/// A slot, as legacy has it.
pub(super) struct Slot {
    pub(super) name: String,
    is_active: bool,
    wal_status: String,
    retained_bytes: Option<i64>,
}

impl Slot {
    /// Whether it is beyond help, and its position with it.
    pub(super) fn is_lost(&self) -> bool {
        self.wal_status == "lost"
    }

    pub(super) fn judge(&self, bounds: &Bounds) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |kind, message: String| {
            let finding = Finding::new(kind, shown::name(&self.name), message);
            findings.push(match self.retained_bytes {
                Some(bytes) => finding.with("retainedBytes", bytes),
                None => finding,
            });
        };
        match self.wal_status.as_str() {
            "lost" => {
                find(&SLOT_LOST, "legacy has removed WAL that the slot needs (wal_status lost)".to_owned());
            }
            "unreserved" => find(
                &SLOT_AT_RISK,
                "legacy keeps the slot's WAL only until its next checkpoint (wal_status unreserved): raise \
                 max_slot_wal_keep_size, or let the candidate catch up"
                    .to_owned(),
            ),
            _ => {}
        }
        if !self.is_active {
            find(&SLOT_INACTIVE, "nothing is connected to the slot".to_owned());
        }
        if let Some(bytes) = self.retained_bytes.filter(|bytes| *bytes > bounds.retained_bytes) {
            let (kept, accepted) = (size(bytes), size(bounds.retained_bytes));
            find(
                &WAL_RETAINED,
                format!("legacy keeps {kept} of WAL for the slot, and at most {accepted} are accepted"),
            );
        }
        findings
    }
}

/// Those of `names` that legacy has: logical ones of its database, and physical ones.
pub(super) async fn find(both: &Both, names: &Vec<String>) -> Result<Vec<Slot>, Trouble> {
    let has_status = both.legacy.session().facts().major_version().is_some_and(|major| major >= 13);
    let status = if has_status { "coalesce(wal_status, '')" } else { "''::text" };
    let statement = format!(
        "SELECT slot_name::text, active, {status}, {END_OF_WAL} - pg_wal_lsn_diff(restart_lsn, '0/0')::int8 \
         FROM pg_replication_slots WHERE slot_name::text = ANY ($1) \
         AND (slot_type = 'physical' OR database = current_database()) ORDER BY 1"
    );
    let rows = both.legacy.rows(&statement, &[(names, Type::TEXT_ARRAY)]).await?;
    let slot = |row: &tokio_postgres::Row| -> Result<Slot, tokio_postgres::Error> {
        Ok(Slot {
            name: row.try_get(0)?,
            is_active: row.try_get(1)?,
            wal_status: row.try_get(2)?,
            retained_bytes: row.try_get(3)?,
        })
    };
    rows.iter().map(slot).collect::<Result<_, _>>().map_err(|_| unexpected())
}
