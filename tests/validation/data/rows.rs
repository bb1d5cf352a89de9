//! Rows that differ.

use serde_json::json;

use super::*;

const ORDERS: &str = "CREATE TABLE orders (id int PRIMARY KEY, note text, amount numeric(10,2));
    INSERT INTO orders SELECT i, 'note ' || i, i * 1.5 FROM generate_series(1, 30000) i; ANALYZE orders;";

#[tokio::test]
async fn the_same_rows_in_another_order_and_with_columns_in_another_order_are_the_same() {
    let report = compare(
        "",
        ORDERS,
        "CREATE TABLE orders (amount numeric(10,2), gone int, note text, id int PRIMARY KEY);
         INSERT INTO orders SELECT i * 1.5, 0, 'note ' || i, i FROM generate_series(30000, 1, -1) i;
         ALTER TABLE orders DROP COLUMN gone;",
    )
    .await;
    assert_passes(&report);
    assert_eq!(report.findings_total, 0, "{:#?}", report.findings);
    assert_eq!(report.samples, 30_000);
    assert_eq!(
        report.message,
        "1 of 1 tables, 30000 rows, compared by all of their rows: nothing found that matters"
    );
}

#[tokio::test]
async fn rows_that_are_missing_are_named_by_their_keys() {
    let report = compare(ORDERS, "", "DELETE FROM orders WHERE id IN (1, 15000, 30000)").await;
    let finding = assert_only(&report, Verdict::Fail, "rows-missing", "public.orders");
    assert_eq!(keys(finding), ["1", "15000", "30000"]);
    assert_eq!(finding.evidence["keyColumns"], json!(["id"]));
    assert_eq!(finding.message, "3 rows are on legacy and not on the candidate, of 30000 rows compared");
}

#[tokio::test]
async fn a_key_that_has_no_gaps_and_then_large_ones_is_followed_to_its_ends() {
    let ledger = "CREATE TABLE ledger (id int PRIMARY KEY, note text); \
        INSERT INTO ledger SELECT i, 'note' FROM generate_series(-1000, 120000) i; \
        INSERT INTO ledger SELECT 2000000000 + i * 100000, 'note' FROM generate_series(1, 1000) i; \
        ALTER TABLE ledger OWNER TO {owner}; ANALYZE ledger";
    let fewer = "DELETE FROM ledger WHERE id IN (-1000, 119999, 2000100000, 2100000000)";
    let more = "INSERT INTO ledger VALUES (-2147483648), (1999999999), (2147483647)";
    let report = Pair::of(ledger, "", &format!("{fewer}; {more}")).await.ask(check(full())).await;
    let named = |kind: &str| keys(of_kind(&report, kind)[0]);
    assert_eq!(named("rows-missing"), ["-1000", "119999", "2000100000", "2100000000"]);
    assert_eq!(named("rows-extra"), ["-2147483648", "1999999999", "2147483647"]);
}

#[tokio::test]
async fn rows_that_only_the_candidate_has_are_named() {
    let report = compare(ORDERS, "", "INSERT INTO orders VALUES (0), (30001), (40000)").await;
    let finding = assert_only(&report, Verdict::Fail, "rows-extra", "public.orders");
    assert_eq!(keys(finding), ["0", "30001", "40000"]);
}

#[tokio::test]
async fn rows_of_which_one_value_differs_are_named_and_the_value_is_not() {
    let report = compare(ORDERS, "", "UPDATE orders SET note = 'sesame' WHERE id = 12345").await;
    let finding = assert_only(&report, Verdict::Fail, "rows-differ", "public.orders");
    assert_eq!(keys(finding), ["12345"]);
    let shown = format!("{report:?}");
    assert!(!shown.contains("sesame") && !shown.contains("note 12345"), "{shown}");
    assert!(!report.message.contains("12345"), "a key is in the message: {}", report.message);
}

/// Of each kind sixteen tables of two rows: a sum may be the same by chance. `change` changes both rows.
async fn assert_every_change_is_seen(cases: &[(&str, [&str; 2], &str)]) {
    let (mut tables, mut changes) = (Vec::new(), Vec::new());
    for (case, (columns, [one, other], change)) in cases.iter().enumerate() {
        for number in 0..16 {
            let table = format!("t{case}_{number}");
            let salted = |row: &str| row.replace('%', &number.to_string());
            let (one, other) = (salted(one), salted(other));
            let create = format!("CREATE TABLE {table} (id {columns});");
            let insert = format!("INSERT INTO {table} VALUES (1, {one}), (2, {other});");
            let update = format!("UPDATE {table} t SET {change} FROM {table} o WHERE o.id = 3 - t.id;");
            tables.extend([create, insert]);
            changes.push(update);
        }
    }
    let report = compare(&tables.concat(), "", &changes.concat()).await;
    let seen = of_kind(&report, "rows-differ");
    for (case, of_case) in cases.iter().enumerate() {
        let seen = seen.iter().filter(|finding| finding.object.starts_with(&format!("public.t{case}_")));
        assert_eq!(seen.filter(|finding| keys(finding) == ["1", "2"]).count(), 16, "{of_case:?}");
    }
}

#[tokio::test]
async fn two_rows_that_have_swapped_a_value_differ() {
    // PostgreSQL's own record hashes, summed, are the same for two of three such pairs.
    let (texts, times) =
        (["'x%', 5%", "'y%', -5%"], ["'2020-01-01', '2001-01-01 00:00:%'", "'2010-01-01', 'epoch'"]);
    let mut cases = Vec::new();
    for (columns, rows) in [
        ("int PRIMARY KEY, a text, b int", texts),
        ("int PRIMARY KEY, a text NOT NULL, b int NOT NULL", texts),
        ("bigint PRIMARY KEY, a bigint NOT NULL, b bigint", ["17%, 5%", "32%, -5%"]),
        ("bigint PRIMARY KEY, a timestamptz NOT NULL, b timestamptz", times),
        ("bigint PRIMARY KEY, a bytea NOT NULL, b numeric", texts),
    ] {
        cases.extend(["a = o.a", "b = o.b"].map(|change| (columns, rows, change)));
    }
    assert_every_change_is_seen(&cases).await;
}

#[tokio::test]
async fn a_row_whose_columns_have_swapped_their_values_differs() {
    let mut cases = Vec::new();
    for columns in [
        "bigint PRIMARY KEY, a # NOT NULL, b # NOT NULL",
        "bigint PRIMARY KEY, a #, b #",
        "int PRIMARY KEY, a # NOT NULL, b #",
    ] {
        for (kind, rows) in [
            ("int", ["4%, 5%", "-1%, 0"]),
            ("bigint", ["4%, 5%", "1, 4294967296"]),
            ("text", ["'4%', ''", "'1', '4%'"]),
            ("timestamp", ["'2020-01-01', '2001-01-01 00:00:%'", "'infinity', '-infinity'"]),
            ("numeric", ["4%, 5%", "1.0, 1.00"]),
        ] {
            cases.push((columns.replace('#', kind), rows));
        }
    }
    let cases: Vec<_> =
        cases.iter().map(|(columns, rows)| (columns.as_str(), *rows, "a = t.b, b = t.a")).collect();
    assert_every_change_is_seen(&cases).await;
}

#[tokio::test]
async fn a_table_that_differs_everywhere_is_not_compared_to_its_end() {
    let pair = owned(ORDERS, "", "UPDATE orders SET amount = amount + 1").await;
    // So slow that it is certain long before the end.
    let report = pair.ask(check(DataCheck { max_rows_per_second: Some(1000), ..full() })).await;
    let finding = assert_only(&report, Verdict::Fail, "rows-differ", "public.orders");
    assert!(finding.message.starts_with("at least "), "{}", finding.message);
    assert_eq!(keys(finding).len(), 20);
    assert!(report.samples < 30_000, "{}", report.samples);
}

#[tokio::test]
async fn a_table_that_is_empty_on_the_candidate_lacks_its_rows() {
    let report = compare(ORDERS, "", "TRUNCATE orders").await;
    assert_only(&report, Verdict::Fail, "rows-missing", "public.orders");
}

#[tokio::test]
async fn a_table_that_is_empty_on_legacy_has_only_extra_rows() {
    let report = compare(ORDERS, "TRUNCATE orders", "").await;
    assert_only(&report, Verdict::Fail, "rows-extra", "public.orders");
}

#[tokio::test]
async fn null_and_the_empty_text_are_not_the_same() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, a text, b text, c numeric);";
    let report = compare(
        table,
        "INSERT INTO t VALUES (1, NULL, 'x', NULL), (2, '', NULL, 0), (3, 'x', NULL, NULL)",
        "INSERT INTO t VALUES (1, '', 'x', NULL), (2, '', NULL, NULL), (3, NULL, 'x', NULL)",
    )
    .await;
    let finding = assert_only(&report, Verdict::Fail, "rows-differ", "public.t");
    assert_eq!(keys(finding), ["1", "2", "3"]);
}

#[tokio::test]
async fn composite_and_text_keys_are_followed_whatever_they_hold() {
    let rows = "CREATE TABLE t (area text, day date, no bigint, at timestamptz, v int, PRIMARY KEY (area, day, no));
        INSERT INTO t SELECT chr(97 + i % 26) || repeat('é\"''\\', i % 5), date '2024-01-01' + i % 400, i, now(), 0
          FROM generate_series(1, 60000) i; UPDATE t SET at = '2024-02-03 04:05:06+07';";
    let report =
        compare(rows, "", "UPDATE t SET v = 1 WHERE no IN (7, 31); DELETE FROM t WHERE no = 59999").await;
    assert_eq!(report.verdict, Verdict::Fail, "{}", report.message);
    assert_eq!(of_kind(&report, "rows-differ")[0].evidence["rows"], 2);
    assert_eq!(
        keys(of_kind(&report, "rows-missing")[0]),
        ["r''''|2025-02-03|59999".replace("''''", &"é\"'\\".repeat(4))]
    );
    assert!(of_kind(&report, "compared-as-a-whole").is_empty(), "{:#?}", report.findings);
}

#[tokio::test]
async fn a_unique_index_over_columns_that_are_never_null_is_a_key_too() {
    let table = "CREATE TABLE t (a int NOT NULL, b int NOT NULL, c int UNIQUE);
        CREATE UNIQUE INDEX partial ON t (b) WHERE b > 0; CREATE UNIQUE INDEX own ON t (b, a);
        INSERT INTO t SELECT i, -i, i FROM generate_series(1, 100) i;";
    let report = compare(table, "", "DELETE FROM t WHERE a = 7").await;
    let finding = assert_only(&report, Verdict::Fail, "rows-missing", "public.t");
    assert_eq!(keys(finding), ["-7|7"]);
    assert_eq!(finding.evidence["keyColumns"], json!(["b", "a"]));
}

#[tokio::test]
async fn rows_without_a_key_are_compared_with_their_duplicates() {
    let table = "CREATE TABLE log (line text); INSERT INTO log VALUES ('a'), ('a'), ('b'), (NULL);";
    let report = compare(table, "", "").await;
    assert_passes(&report);
    assert_eq!(of_kind(&report, "compared-as-a-whole").len(), 1);
    // As many rows, and each line is there.
    let report = compare(table, "", "UPDATE log SET line = 'b' WHERE ctid = '(0,1)'").await;
    let finding = assert_only(&report, Verdict::Fail, "content-differs", "public.log");
    assert_eq!(finding.message, "not the same rows: 4 rows on legacy, 4 on the candidate");
}

#[tokio::test]
async fn a_key_without_an_index_on_the_candidate_still_names_the_rows() {
    let table = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, i FROM generate_series(1, 5000) i;";
    let candidate = "ALTER TABLE t DROP CONSTRAINT t_pkey; UPDATE t SET v = '' WHERE id = 5; INSERT INTO t VALUES (6, '6');";
    let report = compare(table, "", candidate).await;
    let finding = assert_only(&report, Verdict::Fail, "rows-differ", "public.t");
    assert_eq!(keys(finding), ["5", "6"]);
    assert_eq!(of_kind(&report, "compared-as-a-whole").len(), 1);
}

#[tokio::test]
async fn a_count_that_differs_fails_and_one_that_does_not_passes() {
    let pair = owned(ORDERS, "", "DELETE FROM orders WHERE id < 4").await;
    let report = pair.ask(check(DataCheck::default())).await;
    let finding = assert_only(&report, Verdict::Fail, "row-count-differs", "public.orders");
    assert_eq!(finding.message, "30000 rows on legacy, 29997 on the candidate");
    let report =
        owned(ORDERS, "", "UPDATE orders SET note = ''").await.ask(check(DataCheck::default())).await;
    assert_passes(&report);
}

#[tokio::test]
async fn a_sample_picks_the_same_rows_on_both_sides_and_finds_what_is_in_it() {
    let sample = |percent, seed| {
        let mode = DataMode::Sample;
        check(DataCheck { mode, percent: Some(percent), seed: Some(seed), ..DataCheck::default() })
    };
    let pair = owned(ORDERS, "", "").await;
    let report = pair.ask(sample(10, i64::MIN)).await;
    assert_passes(&report);
    assert!((2500..3500).contains(&report.samples), "{}", report.samples);
    assert_eq!(pair.ask(sample(10, i64::MIN)).await.samples, report.samples);
    assert_ne!(pair.ask(sample(10, 7)).await.samples, report.samples);
    assert_eq!(pair.ask(sample(100, 7)).await.samples, 30_000);

    let pair = owned(ORDERS, "", "UPDATE orders SET note = '' WHERE id % 30 = 0").await;
    let report = pair.ask(sample(10, 1)).await;
    let finding = assert_only(&report, Verdict::Fail, "rows-differ", "public.orders");
    let rows = finding.evidence["rows"].as_u64().expect("a number");
    assert!((50..200).contains(&rows), "{rows}");
}
