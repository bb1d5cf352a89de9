//! The counters, and what they are called.
//!
//! Decides which columns of which view are shown, and under which name. PostgreSQL 17 moved the checkpoints' counters to a view
//! of their own: they have the newer name for both, or no row of a report would hold both. What grows and what only
//! stands at a value are kept apart.

/// A question about counters: one row, of which some columns are shown.
#[derive(Debug)]
pub(super) struct View {
    /// What the report calls it.
    pub(super) name: &'static str,
    /// The relation that has to be there.
    pub(super) relation: &'static str,
    /// Answers with one row. `stats_reset`, where there is one, says since when it counts.
    pub(super) source: &'static str,
    /// The columns, each with its name in a report.
    pub(super) columns: &'static [(&'static str, &'static str)],
    /// The first version that has it; 0 where nothing is missed without it.
    pub(super) since: i32,
    /// Whether it is a value of the moment, not one that grows.
    pub(super) is_gauge: bool,
    /// Whether a standby can't answer.
    pub(super) is_of_primary: bool,
    /// Whether `track_counts = off` makes zeros of it.
    pub(super) needs_counts: bool,
}

impl View {
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|(name, _)| *name == column)
    }
}

/// Columns that stay at zero unless a setting is on.
pub(super) const TIMED: &[(&str, &str)] = &[
    ("blk_read_time", "track_io_timing"),
    ("blk_write_time", "track_io_timing"),
    ("wal_write_time", "track_wal_io_timing"),
    ("wal_sync_time", "track_wal_io_timing"),
];

/// Transactions of all databases together, for [`super::Growth::others_per_second`].
pub(super) const ALL_TRANSACTIONS: &str = "pg_stat_database, all databases (xact_commit + xact_rollback)";
/// Blocks that were found in shared buffers, and those that were not.
pub(super) const BLOCKS: (&str, &str) = ("pg_stat_database.blks_hit", "pg_stat_database.blks_read");

/// The views, in a report's order.
pub(super) fn views() -> impl Iterator<Item = &'static View> {
    VIEWS.iter()
}

macro_rules! columns {
    ($view:literal: $($column:literal),* $(,)?) => {
        &[$(($column, concat!($view, ".", $column))),*]
    };
}

const EMPTY: View = View {
    name: "",
    relation: "",
    source: "",
    columns: &[],
    since: 0,
    is_gauge: false,
    is_of_primary: false,
    needs_counts: false,
};

static VIEWS: &[View] = &[
    View {
        name: "pg_stat_database",
        relation: "pg_stat_database",
        source: "SELECT * FROM pg_stat_database WHERE datname = current_database()",
        columns: columns!("pg_stat_database":
            "xact_commit", "xact_rollback", "blks_hit", "blks_read", "blk_read_time", "blk_write_time",
            "tup_returned", "tup_fetched", "tup_inserted", "tup_updated", "tup_deleted",
            "temp_files", "temp_bytes", "deadlocks", "conflicts", "checksum_failures",
            "sessions", "sessions_abandoned", "sessions_fatal", "sessions_killed",
            "active_time", "idle_in_transaction_time"),
        needs_counts: true,
        ..EMPTY
    },
    View {
        name: ALL_TRANSACTIONS,
        relation: "pg_stat_database",
        source: "SELECT sum(xact_commit + xact_rollback) AS xacts, max(stats_reset) AS stats_reset FROM pg_stat_database",
        columns: &[("xacts", ALL_TRANSACTIONS)],
        needs_counts: true,
        ..EMPTY
    },
    View {
        name: "pg_stat_io",
        relation: "pg_stat_io",
        // WAL is among it from 18 on; without, versions can be compared.
        source: "SELECT sum(reads) FILTER (WHERE is_client) AS client_reads, sum(writes) FILTER (WHERE is_client) AS client_writes, \
            sum(extends) FILTER (WHERE is_client) AS client_extends, sum(hits) FILTER (WHERE is_client) AS client_hits, \
            sum(evictions) FILTER (WHERE is_client) AS client_evictions, sum(fsyncs) FILTER (WHERE is_client) AS client_fsyncs, \
            sum(reads) FILTER (WHERE NOT is_client) AS other_reads, sum(writes) FILTER (WHERE NOT is_client) AS other_writes, \
            sum(extends) FILTER (WHERE NOT is_client) AS other_extends, sum(hits) FILTER (WHERE NOT is_client) AS other_hits, \
            sum(evictions) FILTER (WHERE NOT is_client) AS other_evictions, sum(fsyncs) FILTER (WHERE NOT is_client) AS other_fsyncs, \
            max(stats_reset) AS stats_reset \
            FROM (SELECT *, backend_type = 'client backend' AS is_client FROM pg_stat_io WHERE object <> 'wal') io",
        columns: &[
            ("client_reads", "pg_stat_io.reads (client backend)"),
            ("client_writes", "pg_stat_io.writes (client backend)"),
            ("client_extends", "pg_stat_io.extends (client backend)"),
            ("client_hits", "pg_stat_io.hits (client backend)"),
            ("client_evictions", "pg_stat_io.evictions (client backend)"),
            ("client_fsyncs", "pg_stat_io.fsyncs (client backend)"),
            ("other_reads", "pg_stat_io.reads (others)"),
            ("other_writes", "pg_stat_io.writes (others)"),
            ("other_extends", "pg_stat_io.extends (others)"),
            ("other_hits", "pg_stat_io.hits (others)"),
            ("other_evictions", "pg_stat_io.evictions (others)"),
            ("other_fsyncs", "pg_stat_io.fsyncs (others)"),
        ],
        since: 16,
        ..EMPTY
    },
    View {
        name: "pg_current_wal_insert_lsn",
        relation: "pg_stat_database",
        source: "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS bytes",
        columns: &[("bytes", "pg_current_wal_insert_lsn (bytes)")],
        is_of_primary: true,
        ..EMPTY
    },
    View {
        name: "pg_stat_wal",
        relation: "pg_stat_wal",
        source: "SELECT * FROM pg_stat_wal",
        columns: columns!("pg_stat_wal":
            "wal_records", "wal_fpi", "wal_bytes", "wal_buffers_full", "wal_write", "wal_sync", "wal_write_time",
            "wal_sync_time"),
        since: 14,
        ..EMPTY
    },
    View {
        name: "pg_stat_checkpointer",
        relation: "pg_stat_checkpointer",
        source: "SELECT * FROM pg_stat_checkpointer",
        columns: columns!("pg_stat_checkpointer":
            "num_timed", "num_requested", "write_time", "sync_time", "buffers_written"),
        ..EMPTY
    },
    View {
        name: "pg_stat_bgwriter",
        relation: "pg_stat_bgwriter",
        source: "SELECT * FROM pg_stat_bgwriter",
        columns: &[
            ("checkpoints_timed", "pg_stat_checkpointer.num_timed"),
            ("checkpoints_req", "pg_stat_checkpointer.num_requested"),
            ("checkpoint_write_time", "pg_stat_checkpointer.write_time"),
            ("checkpoint_sync_time", "pg_stat_checkpointer.sync_time"),
            ("buffers_checkpoint", "pg_stat_checkpointer.buffers_written"),
            ("buffers_clean", "pg_stat_bgwriter.buffers_clean"),
            ("maxwritten_clean", "pg_stat_bgwriter.maxwritten_clean"),
            ("buffers_alloc", "pg_stat_bgwriter.buffers_alloc"),
            ("buffers_backend", "pg_stat_bgwriter.buffers_backend"),
            ("buffers_backend_fsync", "pg_stat_bgwriter.buffers_backend_fsync"),
        ],
        ..EMPTY
    },
    View {
        name: "pg_locks",
        relation: "pg_locks",
        // Unlike what a session waits for in pg_stat_activity, every role sees these.
        source: "SELECT count(DISTINCT pid) AS waiting FROM pg_locks WHERE NOT granted",
        columns: &[("waiting", "pg_locks, sessions waiting at the end")],
        is_gauge: true,
        ..EMPTY
    },
    View {
        name: "pg_stat_activity",
        relation: "pg_stat_activity",
        source: "SELECT count(*) FILTER (WHERE state = 'active') AS active, count(*) FILTER (WHERE state = 'idle') AS idle, \
            count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction, \
            nullif(count(*) FILTER (WHERE state IS NULL), 0) AS hidden \
            FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
        columns: &[
            ("active", "pg_stat_activity, sessions active at the end"),
            ("idle", "pg_stat_activity, sessions idle at the end"),
            ("idle_in_transaction", "pg_stat_activity, sessions idle in transaction at the end"),
            ("hidden", "pg_stat_activity, sessions of other roles at the end (state not visible)"),
        ],
        is_gauge: true,
        ..EMPTY
    },
];
