//! Which settings matter, and to what.
//!
//! Decides nothing about values. A setting that is not here is not compared: most of PostgreSQL's settings are about
//! logging, files and background processes, and differ between any two servers without anybody noticing.

/// What a setting changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matter {
    /// What statements return or store.
    Results,
    /// How statements are carried out.
    Plans,
    /// What is ended or refused.
    Limits,
    /// Durability, replication, what is loaded.
    Service,
}

/// Shown to members of `pg_read_all_settings` alone.
pub(super) const PRELOADED: &str = "shared_preload_libraries";
const HIDDEN_FROM_MANY: [&str; 2] = [PRELOADED, "session_preload_libraries"];

const RESULTS: &[&str] = &[
    "array_nulls",
    "backslash_quote",
    "bytea_output",
    "DateStyle",
    "default_text_search_config",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "integer_datetimes",
    "IntervalStyle",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lo_compat_privileges",
    "max_identifier_length",
    "quote_all_identifiers",
    "row_security",
    "search_path",
    "session_replication_role",
    "standard_conforming_strings",
    "TimeZone",
    "timezone_abbreviations",
    "transform_null_equals",
    "xmlbinary",
    "xmloption",
];

/// With those whose names begin with `enable_`.
const PLANS: &[&str] = &[
    "constraint_exclusion",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "cursor_tuple_fraction",
    "default_statistics_target",
    "effective_cache_size",
    "effective_io_concurrency",
    "from_collapse_limit",
    "geqo",
    "geqo_effort",
    "geqo_threshold",
    "hash_mem_multiplier",
    "jit",
    "jit_above_cost",
    "jit_inline_above_cost",
    "jit_optimize_above_cost",
    "join_collapse_limit",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "min_parallel_index_scan_size",
    "min_parallel_table_scan_size",
    "parallel_leader_participation",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "plan_cache_mode",
    "random_page_cost",
    "recursive_worktable_factor",
    "seq_page_cost",
    "work_mem",
];

const LIMITS: &[&str] = &[
    "block_size",
    "deadlock_timeout",
    "gin_fuzzy_search_limit",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "lock_timeout",
    "max_connections",
    "max_function_args",
    "max_index_keys",
    "max_locks_per_transaction",
    "max_pred_locks_per_transaction",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_stack_depth",
    "max_wal_senders",
    "max_wal_size",
    "max_worker_processes",
    "rds.rds_superuser_reserved_connections",
    "reserved_connections",
    "statement_timeout",
    "superuser_reserved_connections",
    "temp_file_limit",
    "transaction_timeout",
];

const SERVICE: &[&str] = &[
    "data_checksums",
    "default_table_access_method",
    "fsync",
    "full_page_writes",
    "lc_messages",
    "session_preload_libraries",
    PRELOADED,
    "synchronous_commit",
    "track_commit_timestamp",
    "wal_level",
];

/// Every name in the table.
pub(in crate::checks::server) fn names() -> impl Iterator<Item = &'static str> {
    [RESULTS, PLANS, LIMITS, SERVICE].into_iter().flatten().copied()
}

/// What the setting changes; `None` where it is not in the table.
pub(super) fn matter(name: &str) -> Option<Matter> {
    if name.starts_with("enable_") {
        return Some(Matter::Plans);
    }
    let tables = [
        (RESULTS, Matter::Results),
        (PLANS, Matter::Plans),
        (LIMITS, Matter::Limits),
        (SERVICE, Matter::Service),
    ];
    tables.into_iter().find(|(names, _)| names.contains(&name)).map(|(_, matter)| matter)
}

/// Whether its absence may be for lack of a privilege.
pub(super) fn is_hidden_from_many(name: &str) -> bool {
    HIDDEN_FROM_MANY.contains(&name)
}
