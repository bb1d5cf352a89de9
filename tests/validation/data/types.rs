//! Types whose text or hash differs by server or session.

use super::*;

#[tokio::test]
async fn what_postgresql_holds_for_equal_and_the_application_does_not_is_told_apart() {
    let cases = [
        ("numeric", "1.0", "1.00"),
        ("float8", "0", "'-0'"),
        ("float4", "0.1", "0.10000001"),
        ("interval", "'1 day'", "'24 hours'"),
        ("jsonb", "'{\"a\": 1.0}'", "'{\"a\": 1.00}'"),
        ("json", "'{\"a\": 1}'", "'{\"a\":1}'"),
        ("xml", "'<a/>'", "'<a></a>'"),
        ("bpchar", "'a'::bpchar", "'a '::bpchar"),
        ("int[]", "'{1,2}'", "'{{1},{2}}'"),
        ("int[]", "'{1,2}'", "'[2:3]={1,2}'"),
        ("numrange", "'[1.0,2)'", "'[1.00,2)'"),
        ("point", "'(1,2)'", "'(1,2.0000000000000004)'"),
        ("bit varying", "B'1'", "B'10'"),
        ("tsvector", "'a:1'", "'a:2'"),
        ("bigint", "1", "4294967296"),
        ("timestamptz", "'2024-01-01 00:00:00.000001Z'", "'2024-01-01Z'"),
        ("money", "1", "1.01"),
        ("\"char\"", "'a'", "'b'"),
        ("citext", "'a'", "'A'"),
    ];
    let (mut legacy, mut candidate) =
        ("CREATE EXTENSION citext;".to_owned(), "CREATE EXTENSION citext;".to_owned());
    for (number, (column, one, other)) in cases.iter().enumerate() {
        let table = format!("CREATE TABLE t{number} (id int PRIMARY KEY, v {column}, w {column});");
        let row = |value: &str| {
            format!("{table} INSERT INTO t{number} VALUES (1, {one}, {one}), (2, {value}, NULL);")
        };
        legacy.push_str(&row(one));
        candidate.push_str(&row(other));
    }
    let report = compare("", &legacy, &candidate).await;
    let mut differing: Vec<&str> =
        of_kind(&report, "rows-differ").iter().map(|f| f.object.as_str()).collect();
    differing.sort_unstable();
    let mut expected: Vec<String> = (0..cases.len()).map(|number| format!("public.t{number}")).collect();
    expected.sort_unstable();
    assert_eq!(differing, expected, "{}", report.message);
    assert!(
        of_kind(&report, "rows-differ").iter().all(|finding| keys(finding) == ["2"]),
        "{:#?}",
        report.findings
    );
}

#[tokio::test]
async fn collations_that_hold_different_texts_for_equal_do_not_hide_a_difference() {
    let table = "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE TABLE t (id text COLLATE nocase PRIMARY KEY, v text COLLATE nocase);";
    let report = compare(table, "INSERT INTO t VALUES ('k', 'a')", "INSERT INTO t VALUES ('k', 'A')").await;
    assert_only(&report, Verdict::Fail, "rows-differ", "public.t");
    let report = compare(table, "INSERT INTO t VALUES ('k', 'a')", "INSERT INTO t VALUES ('K', 'a')").await;
    assert_eq!(report.verdict, Verdict::Fail, "{}", report.message);
}

#[tokio::test]
async fn enums_composites_domains_and_their_arrays_do_not_depend_on_the_servers_oids() {
    let types = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN small AS int CHECK (VALUE < 9);
        CREATE TYPE pair AS (a mood, b numeric); CREATE TABLE t (m mood PRIMARY KEY, d small, p pair, a mood[], n mood);
        INSERT INTO t VALUES ('sad', 1, ('ok', 1.0), '{sad,happy}', NULL), ('happy', 2, NULL, NULL, 'ok');";
    // The candidate's types get other oids than legacy's.
    let candidate = "UPDATE t SET p = ('ok', 1.00) WHERE m = 'sad'";
    let pair = Pair::new().await;
    for (database, statements) in
        [(&pair.legacy, ""), (&pair.candidate, "CREATE TYPE other AS ENUM ('a', 'b', 'c');")]
    {
        database.execute(&format!("SET ROLE {}; {statements}{types}", database.name)).await;
    }
    let report = pair.ask(check(full())).await;
    assert_passes(&report);
    pair.candidate.execute(candidate).await;
    let report = pair.ask(check(full())).await;
    let finding = assert_only(&report, Verdict::Fail, "rows-differ", "public.t");
    assert_eq!(keys(finding), ["sad"]);
}

#[tokio::test]
async fn settings_of_the_database_or_role_do_not_matter() {
    let table = "CREATE TABLE t (at timestamptz PRIMARY KEY, f float8, i interval, b bytea, m money, r float8[]);
        INSERT INTO t SELECT timestamptz '2024-03-31 00:00Z' + i * interval '17 minutes', i / 3.0, i * interval '1 hour',
          decode(md5(i::text), 'hex'), i, ARRAY[i / 7.0] FROM generate_series(1, 500) i;";
    let settings = "SET timezone = 'Asia/Kathmandu'; SET datestyle = 'German'; SET intervalstyle = 'sql_standard';
        SET bytea_output = 'escape'; SET extra_float_digits = -15; SET lc_monetary = 'C.UTF-8'; SET search_path = nowhere;
        SET standard_conforming_strings = off; SET row_security = off";
    let settings = settings.replace("SET ", "ALTER ROLE {owner} SET ");
    let pair = Pair::of(&format!("SET ROLE {{owner}}; {table}"), "", &settings).await;
    let report = pair.ask(check(full())).await;
    assert_passes(&report);
    assert_eq!(report.samples, 500);
}

#[tokio::test]
async fn a_column_of_another_type_is_compared_by_its_text() {
    let of = |kind: &str| {
        format!("CREATE TABLE t (id int PRIMARY KEY, v {kind}); INSERT INTO t VALUES (1, 5), (2, 7);")
    };
    let report = compare("", &of("int"), &of("bigint")).await;
    assert_passes(&report);
    assert_eq!(of_kind(&report, "column-type-differs").len(), 1);
    let report = compare("", &of("int"), &of("numeric(9,2)")).await;
    let finding = assert_only(&report, Verdict::Fail, "rows-differ", "public.t");
    assert_eq!(keys(finding), ["1", "2"]);
}

#[tokio::test]
async fn a_key_that_both_sides_order_differently_is_compared_in_one_scan() {
    let table = |collation: &str| {
        format!(
            "CREATE TABLE t (id text COLLATE \"{collation}\" PRIMARY KEY, v int);
             INSERT INTO t SELECT CASE WHEN i % 2 = 0 THEN 'a' ELSE 'B' END || i, i FROM generate_series(1, 3000) i;"
        )
    };
    let report = compare("", &table("C"), &table("en-x-icu")).await;
    assert_passes(&report);
    assert_eq!(of_kind(&report, "compared-as-a-whole").len(), 1);
    let candidate =
        format!("{} DELETE FROM t WHERE v = 77; UPDATE t SET v = 0 WHERE v = 78;", table("en-x-icu"));
    let report = compare("", &table("C"), &candidate).await;
    assert_eq!(keys(of_kind(&report, "rows-missing")[0]), ["B77"]);
    assert_eq!(keys(of_kind(&report, "rows-differ")[0]), ["a78"]);
}

#[tokio::test]
async fn generated_columns_are_compared() {
    let of = |sum: &str| {
        format!(
            "CREATE TABLE t (id int PRIMARY KEY, v int, s int GENERATED ALWAYS AS ({sum}) STORED);
            INSERT INTO t VALUES (1, 5), (2, 7);"
        )
    };
    let report = compare("", &of("v + 1"), &of("v + 2")).await;
    let finding = assert_only(&report, Verdict::Fail, "rows-differ", "public.t");
    assert_eq!(finding.evidence["rows"], 2);
}

#[tokio::test]
async fn databases_of_different_encodings_are_compared_by_their_characters() {
    let name = "latin";
    let server = crate::postgres::Server::shared();
    let pair = Pair::new().await;
    let database = server.database_named(name.to_owned()).await;
    server.execute("postgres", &format!("DROP DATABASE {name}")).await;
    server
        .execute("postgres", &format!("CREATE DATABASE {name} OWNER {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"))
        .await;
    let pair = Pair { candidate: database, ..pair };
    let table =
        "CREATE TABLE t (id text PRIMARY KEY, v text); INSERT INTO t VALUES ('é', 'ü'), ('z', U&'\\00e5');";
    for database in [&pair.legacy, &pair.candidate] {
        database.execute(&format!("SET client_encoding = 'UTF8'; SET ROLE {}; {table}", database.name)).await;
    }
    let report = pair.ask(check(full())).await;
    assert_passes(&report);
    pair.candidate.execute("UPDATE t SET v = 'u' WHERE id = 'é'").await;
    let report = pair.ask(check(full())).await;
    let finding = assert_only(&report, Verdict::Fail, "rows-differ", "public.t");
    assert_eq!(keys(finding), ["é"]);
}
