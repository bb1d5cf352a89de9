//! Scripts in the language of pgbench against a real server; pgbench's own are taken from pgbench itself.

use std::{path::PathBuf, process::Command};

use cutover::{
    api::{Access, Script, Verdict},
    load::{LoadSpec, from_pgbench},
};

use crate::{
    fake,
    load::{assert_verdict, run, spec, stocked},
    pgbouncer::PgBouncer,
    postgres::{Database, Server},
    sql::number,
    traffic::run_by_class,
};

/// It comes with the server.
fn pgbench() -> Command {
    let mut folders: Vec<PathBuf> = std::env::var_os("PGBIN").map(PathBuf::from).into_iter().collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.map(|version| version.unwrap().path().join("bin")));
    }
    let found = folders.into_iter().map(|folder| folder.join("pgbench")).find(|program| program.exists());
    Command::new(found.unwrap_or_else(|| "pgbench".into()))
}

fn builtin(name: &str) -> String {
    let output = pgbench().arg(format!("--show-script={name}")).output().expect("pgbench runs");
    assert!(output.status.success());
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// A database with pgbench's tables.
async fn initialised(server: &Server) -> Database<'_> {
    let database = server.database().await;
    let status = pgbench()
        .args(["--initialize", "--quiet", database.uri().trim_end()])
        .env("PGSSLMODE", "require")
        .output()
        .expect("pgbench runs");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    database
}

fn scripted(access: Access, scripts: &[(&str, &str, i32)]) -> LoadSpec {
    let traffic = from_pgbench("scripts", access, 1, scripts).unwrap();
    LoadSpec { traffic, ..spec(access, vec![]) }
}

async fn count(database: &Database<'_>, query: &str) -> i64 {
    number(database.target(), query).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbenchs_own_scripts_run_and_their_books_balance() {
    for is_pooled in [false, true] {
        let mut database = initialised(Server::shared()).await;
        if is_pooled {
            let relay = fake::relay("127.0.0.1", (database.host.clone(), database.port)).await;
            (database.host, database.port) = (relay.ip().to_string(), relay.port());
        }
        let [tpcb, simple, select] = ["tpcb-like", "simple-update", "select-only"].map(builtin);
        let scripts =
            [("tpcb", tpcb.as_str(), 2), ("simple", simple.as_str(), 1), ("select", select.as_str(), 1)];
        let (result, classes) =
            run_by_class(&scripted(Access::ReadWrite, &scripts), &database.target()).await;
        assert_eq!((result.ok, result.errors), (result.scheduled, 0), "{result:?}");
        let [tpcb, simple, select] = [0, 1, 2].map(|class| i64::try_from(classes[class].ok).unwrap());
        assert!(tpcb > 100 && simple > 50 && select > 50, "{classes:?}");
        assert_eq!(count(&database, "SELECT count(*) FROM pgbench_history").await, tpcb + simple);
        let delta = count(&database, "SELECT sum(delta) FROM pgbench_history").await;
        assert!(delta != 0);
        assert_eq!(count(&database, "SELECT sum(abalance) FROM pgbench_accounts").await, delta);
        let tellers = count(&database, "SELECT sum(tbalance) FROM pgbench_tellers").await;
        assert_eq!(count(&database, "SELECT sum(bbalance) FROM pgbench_branches").await, tellers);
        assert!(count(&database, "SELECT count(DISTINCT aid) FROM pgbench_history").await > 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_writes_fails_in_a_model_that_only_reads() {
    let database = initialised(Server::shared()).await;
    let tpcb = builtin("tpcb-like");
    let result = run(&scripted(Access::ReadOnly, &[("tpcb", &tpcb, 1)]), &database.target()).await;
    assert_verdict(&result, Verdict::Fail, &["more than half of the statements failed"]);
    assert!(result.error_classes[0].starts_with("25006"), "{result:?}");
    assert_eq!(count(&database, "SELECT count(*) FROM pgbench_history").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_goes_into_variables_and_on_into_other_statements() {
    let database = stocked(Server::shared()).await;
    database.execute("CREATE TABLE seen (a text, b bigint, c float8, d bool, e int, f text)").await;
    database.execute("GRANT ALL ON seen TO PUBLIC").await;
    let script = "\\set n random_zipfian(1, 1000, 1.1)\nBEGIN;\n\
        SELECT id, id * 2::bigint AS twice, 'it''s ' || id AS text, id / 4.0::float8 AS quarter, true AS yes, \
        NULL::text AS nothing, now() AS unused FROM stock WHERE id = :n \\gset got_\n\
        \\set next :got_twice + 1\n\
        INSERT INTO seen VALUES (:got_text, :next, :got_quarter, :got_yes, :got_id, :got_nothing);\nEND;";
    let mut answered = 0;
    let mut run = async |target| {
        let result = run(&scripted(Access::ReadWrite, &[("gset", script, 1)]), &target).await;
        assert_eq!((result.ok, result.errors), (result.scheduled, 0), "{result:?}");
        answered += result.ok;
    };
    run(database.target()).await;
    let bouncer = PgBouncer::before(&database, "transaction").await;
    run(bouncer.target()).await;
    let right = "SELECT count(*) FROM seen WHERE a = 'it''s ' || e AND b = e * 2 + 1 AND c = e / 4.0 AND d AND f IS NULL";
    assert_eq!(number(bouncer.target(), right).await, answered);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_in_a_script_is_an_error_of_that_arrival_and_rolled_back() {
    let database = stocked(Server::shared()).await;
    database.execute("CREATE TABLE seen (a bigint); GRANT ALL ON seen TO PUBLIC").await;
    let around = |middle: &str| format!("BEGIN;\nINSERT INTO seen VALUES (1);\n{middle}\nEND;");
    let no_row = around("SELECT id AS x FROM stock WHERE id = 0 \\gset");
    let many = around("SELECT id AS x FROM stock WHERE id < 3 \\gset");
    let division = around("\\set x 1 / (:scale - 1)");
    let server = around("SELECT 1 / (:scale - 1)::int;");
    let good = around("");
    let scripts = [
        ("no row", no_row.as_str(), 1),
        ("many", many.as_str(), 1),
        ("division", division.as_str(), 1),
        ("server", server.as_str(), 1),
        ("good", good.as_str(), 8),
    ];
    let (result, classes) = run_by_class(&scripted(Access::ReadWrite, &scripts), &database.target()).await;
    let mut kinds: Vec<_> =
        result.error_classes.iter().map(|kind| kind.rsplit_once(": ").unwrap().0).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "22012 value or constraint",
            "script: \\gset got no row, and needs one",
            "script: \\gset got several rows, and needs one",
            "script: division by zero",
        ]
    );
    assert!(classes[..4].iter().all(|class| class.ok == 0 && class.failed > 5), "{classes:?}");
    let good = i64::try_from(classes[4].ok).unwrap();
    assert_eq!((classes[4].failed, count(&database, "SELECT count(*) FROM seen").await), (0, good));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_does_not_fit_the_server_is_refused_before_anything_is_sent() {
    let database = stocked(Server::shared()).await;
    for (script, verdict, parts) in [
        ("SELECT 1;\nSELECT * FROM gone;", Verdict::Fail, ["line 2 of script \"s\"", "42P01"]),
        ("SELECT 1 AS a \\gset\nSELECT :b;", Verdict::Error, ["line 2 of script \"s\"", ":b is not set"]),
        ("SELECT 1.5 AS a \\gset\nSELECT :a;", Verdict::Error, ["line 1 of script \"s\"", "cast it to text"]),
    ] {
        let result = run(&scripted(Access::ReadOnly, &[("s", script, 1)]), &database.target()).await;
        assert_verdict(&result, verdict, &parts);
        assert_eq!(result.scheduled, 0);
    }
    let mut faulty = scripted(Access::ReadOnly, &[("s", "SELECT 1", 1)]);
    faulty.traffic.scripts.push(Script {
        name: "t".to_owned(),
        script: "\\shell x".to_owned(),
        ..faulty.traffic.scripts[0].clone()
    });
    let result = run(&faulty, &database.target()).await;
    assert_verdict(&result, Verdict::Error, &["script \"t\"", "line 1: \\shell is not supported"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_sends_the_same() {
    let database = stocked(Server::shared()).await;
    database.execute("CREATE TABLE seen (run int, a bigint); GRANT ALL ON seen TO PUBLIC").await;
    for number in [1, 2] {
        let script = format!("\\set x random(1, 1000000000)\nINSERT INTO seen VALUES ({number}, :x);");
        let result = run(&scripted(Access::ReadWrite, &[("s", &script, 1)]), &database.target()).await;
        assert_eq!(result.ok, result.scheduled, "{result:?}");
    }
    let differing = "SELECT count(*) FROM (SELECT a FROM seen WHERE run = 1 EXCEPT ALL SELECT a FROM seen WHERE run = 2) x";
    assert_eq!(count(&database, differing).await, 0);
    assert!(count(&database, "SELECT count(DISTINCT a) FROM seen").await > 300);
}
