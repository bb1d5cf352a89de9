//! What counters grew by, and legacy's and the candidate's side by side.
//!
//! Decides when a difference means something: not after a reset, not after a restart, not where a counter went back. Pure.

use serde_json::{Map, Value};

use super::{
    Counted,
    table::{self, View},
};
use crate::load::report::Counter;

/// Share of the blocks that were found in shared buffers.
const HIT_RATIO: &str = "cache hit ratio (pg_stat_database.blks_hit / (blks_hit + blks_read))";

/// What a server's counters grew by while a load ran.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Growth {
    /// By PostgreSQL's names, in a report's order. What only stands at a value is there as it was at the end.
    pub counters: Vec<(String, f64)>,
    /// What is not there, each with its reason.
    pub left_out: Vec<String>,
    /// Between the two looks.
    pub seconds: f64,
}

/// What grew between two looks at one server.
#[must_use]
pub fn grown(before: &Counted, after: &Counted) -> Growth {
    let seconds = after.at.saturating_duration_since(before.at).as_secs_f64();
    let mut growth = Growth { left_out: after.left_out.clone(), seconds, ..Growth::default() };
    for (view, now) in &after.views {
        let then = before.views.iter().find(|(other, _)| other.name == view.name).map(|(_, then)| then);
        match then {
            _ if view.is_gauge => growth.take(view, None, now),
            None => growth.leave_out(view.name, "it could not be read before the load"),
            Some(_) if before.started != after.started => {
                growth.leave_out(view.name, "the server was restarted, or another one answers");
            }
            Some(then) if was_reset(then, now) => growth.leave_out(view.name, "it was reset in the meantime"),
            Some(then) => growth.take(view, Some(then), now),
        }
    }
    growth
}

/// `stats_reset` is also set with the first thing that is counted: then nothing was there to be lost.
fn was_reset(then: &Map<String, Value>, now: &Map<String, Value>) -> bool {
    let reset = |values: &Map<String, Value>| values.get("stats_reset").filter(|at| !at.is_null()).cloned();
    let is_all_zero = || then.values().all(|value| value.as_f64().is_none_or(|number| number == 0.0));
    reset(then) != reset(now) && (reset(then).is_some() || !is_all_zero())
}

fn number(values: &Map<String, Value>, column: &str) -> Option<f64> {
    values.get(column)?.as_f64()
}

impl Growth {
    fn leave_out(&mut self, name: &str, why: &str) {
        self.left_out.push(format!("{name}: {why}"));
    }

    /// The columns of a view: by how much they grew, or as they are where there is no `then`.
    fn take(&mut self, view: &View, then: Option<&Map<String, Value>>, now: &Map<String, Value>) {
        for (column, name) in view.columns {
            let start = then.map_or(Some(0.0), |then| number(then, column));
            match start.zip(number(now, column)) {
                Some((start, end)) if end >= start => self.counters.push(((*name).to_owned(), end - start)),
                Some(_) => self.leave_out(name, "it went back"),
                None => {}
            }
        }
    }

    fn of(&self, name: &str) -> Option<f64> {
        if name == HIT_RATIO {
            let (hit, read) = (self.of(table::BLOCKS.0)?, self.of(table::BLOCKS.1)?);
            return (hit + read > 0.0).then(|| hit / (hit + read));
        }
        self.counters.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
    }

    /// Transactions per second, in all databases of the server, beside the `own` ones of this load; `None` where they
    /// could not be counted. Cutover's looks at the server are among them: about one a second.
    #[must_use]
    pub fn others_per_second(&self, own: u64) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
        let others = self.of(table::ALL_TRANSACTIONS)? - own as f64;
        (self.seconds > 0.0).then(|| others.max(0.0) / self.seconds)
    }
}

/// Legacy's and the candidate's, each counter that one of them has.
#[must_use]
pub fn side_by_side(legacy: Option<&Growth>, candidate: Option<&Growth>) -> Vec<Counter> {
    let known = table::views().flat_map(|view| view.columns).map(|(_, name)| *name).chain([HIT_RATIO]);
    // What a caller has added comes last.
    let own = legacy.into_iter().chain(candidate).flat_map(|growth| &growth.counters);
    let mut names: Vec<&str> = Vec::new();
    for name in known.chain(own.map(|(name, _)| name.as_str())) {
        // Some have one name in two views.
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let of = |side: Option<&Growth>, name: &str| side.and_then(|growth| growth.of(name));
    let counter = |name: &str| Counter {
        name: name.to_owned(),
        legacy: of(legacy, name),
        candidate: of(candidate, name),
    };
    let counters = names.into_iter().map(counter);
    counters.filter(|counter| counter.legacy.is_some() || counter.candidate.is_some()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;

    /// What a server said, by view.
    fn counted(at: Instant, views: &[(&str, Value)]) -> Counted {
        let view = |(name, values): &(&str, Value)| {
            let view = table::views().find(|view| view.name == *name).unwrap();
            (view, values.as_object().unwrap().clone())
        };
        let views = views.iter().map(view).collect();
        Counted { version: "15.18".to_owned(), left_out: vec![], at, started: "1".to_owned(), views }
    }

    fn database(hit: u64, read: u64, reset: &Value) -> (&'static str, Value) {
        let values = json!({"datname": "shop", "blks_hit": hit, "blks_read": read, "checksum_failures": null,
            "stats_reset": reset});
        ("pg_stat_database", values)
    }

    /// Ten seconds apart.
    fn growth(before: &[(&str, Value)], after: &[(&str, Value)]) -> Growth {
        let now = Instant::now();
        grown(&counted(now, before), &counted(now + Duration::from_secs(10), after))
    }

    fn shown(growth: &Growth) -> Vec<(&str, f64)> {
        growth.counters.iter().map(|(name, value)| (name.as_str(), *value)).collect()
    }

    #[test]
    fn counters_grow_by_their_difference_and_what_is_not_counted_is_not_zero() {
        let growth = growth(&[database(100, 10, &Value::Null)], &[database(190, 20, &Value::Null)]);
        assert_eq!(
            shown(&growth),
            [("pg_stat_database.blks_hit", 90.0), ("pg_stat_database.blks_read", 10.0)]
        );
        assert!(growth.left_out.is_empty());
        let rows = side_by_side(None, Some(&growth));
        let ratio = rows.iter().find(|row| row.name == HIT_RATIO).unwrap();
        assert_eq!((ratio.legacy, ratio.candidate), (None, Some(0.9)));
    }

    #[test]
    fn a_reset_a_restart_or_a_counter_that_went_back_makes_a_growth_unknown_and_never_negative() {
        let reset = json!("2026-11-23T18:00:00Z");
        let again = growth(&[database(100, 10, &Value::Null)], &[database(190, 20, &reset)]);
        assert_eq!((shown(&again).len(), again.left_out.len()), (0, 1));
        let back = growth(&[database(100, 10, &reset)], &[database(90, 20, &reset)]);
        assert_eq!(shown(&back), [("pg_stat_database.blks_read", 10.0)]);
        assert_eq!(back.left_out, ["pg_stat_database.blks_hit: it went back"]);
        let now = Instant::now();
        let before = counted(now, &[database(1, 1, &reset)]);
        let after = Counted { started: "2".to_owned(), ..counted(now, &[database(2, 2, &reset)]) };
        assert!(grown(&before, &after).left_out[0].contains("restarted"));
    }

    #[test]
    fn a_database_that_begins_to_be_counted_has_lost_nothing() {
        let reset = json!("2026-11-23T18:00:00Z");
        let first = growth(&[database(0, 0, &Value::Null)], &[database(5, 2, &reset)]);
        assert_eq!(shown(&first)[0], ("pg_stat_database.blks_hit", 5.0));
    }

    #[test]
    fn what_stands_at_a_value_is_shown_as_it_was_at_the_end() {
        let growth = growth(&[("pg_locks", json!({"waiting": 7}))], &[("pg_locks", json!({"waiting": 2}))]);
        assert_eq!(shown(&growth), [("pg_locks, sessions waiting at the end", 2.0)]);
    }

    #[test]
    fn what_could_not_be_read_at_first_is_left_out_and_said() {
        let growth = growth(&[], &[database(5, 2, &Value::Null)]);
        assert_eq!(growth.left_out, ["pg_stat_database: it could not be read before the load"]);
        assert!(growth.counters.is_empty());
    }

    #[test]
    fn versions_that_moved_a_counter_are_in_one_row() {
        let old = growth(
            &[("pg_stat_bgwriter", json!({"checkpoints_timed": 1, "buffers_backend": 1}))],
            &[("pg_stat_bgwriter", json!({"checkpoints_timed": 2, "buffers_backend": 4}))],
        );
        let new = growth(
            &[("pg_stat_checkpointer", json!({"num_timed": 5}))],
            &[("pg_stat_checkpointer", json!({"num_timed": 9}))],
        );
        let counter = |name: &str, legacy, candidate| Counter { name: name.to_owned(), legacy, candidate };
        assert_eq!(
            side_by_side(Some(&old), Some(&new)),
            [
                counter("pg_stat_checkpointer.num_timed", Some(1.0), Some(4.0)),
                counter("pg_stat_bgwriter.buffers_backend", Some(3.0), None)
            ]
        );
    }

    #[test]
    fn what_others_did_is_what_is_left_without_the_loads_own() {
        let all = |xacts: u64| [(table::ALL_TRANSACTIONS, json!({"xacts": xacts}))];
        let growth = growth(&all(1_000), &all(3_500));
        assert_eq!(growth.others_per_second(2_000), Some(50.0));
        assert_eq!(growth.others_per_second(2_600), Some(0.0), "never below nothing");
        assert_eq!(Growth::default().others_per_second(1), None);
    }
}
