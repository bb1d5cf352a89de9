//! `cutover load`: what a script can rely on.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::{
    load::stocked,
    postgres::{Database, Server},
};

fn cutover(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .arg("load")
        .args(arguments)
        .env_remove("CUTOVER_LEGACY_URI")
        .env_remove("CUTOVER_CANDIDATE_URI")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = told(&output);
    assert!(!shown.contains("canary"), "{shown}");
    output
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn load(legacy: Option<&Database<'_>>, candidate: Option<&Database<'_>>, arguments: &[&str]) -> Output {
    let ca = Server::shared().ca_file.display().to_string();
    let uri = |database: &Database<'_>| {
        format!("{}?sslmode=verify-full&sslrootcert={ca}", database.uri().trim_end())
    };
    let sides = [("CUTOVER_LEGACY_URI", legacy.map(uri)), ("CUTOVER_CANDIDATE_URI", candidate.map(uri))];
    let sides: Vec<_> = sides.into_iter().filter_map(|(name, uri)| Some((name, uri?))).collect();
    let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let asked = move || {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let sides: Vec<_> = sides.iter().map(|(name, uri)| (*name, uri.as_str())).collect();
        cutover(&arguments, &sides)
    };
    tokio::task::spawn_blocking(asked).await.unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", told(output)))
}

/// Files that are gone with the test.
struct Files(std::path::PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let path =
            std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const TRAFFIC: &str = "name: stock\nstatements:\n- {name: item, sql: \"SELECT * FROM stock WHERE id = $1\", weight: 1, \
                       params: [{int: {min: 1, max: 1000}}]}\n";

#[tokio::test(flavor = "multi_thread")]
async fn one_side_is_judged_by_absolute_limits_and_the_exit_code_is_the_verdict() {
    let (database, files) = (stocked(Server::shared()).await, Files::new("load-one"));
    let traffic = files.with("traffic.yaml", TRAFFIC);
    let asked = ["--traffic", &traffic, "--rate", "300", "--duration", "2s", "-o", "json", "--seed", "7"];
    let asked = [&asked[..], &["--max-error-percent", "1"]].concat();
    let pass = load(None, Some(&database), &[&asked[..], &["--max-p50", "2s"]].concat()).await;
    let report = json(&pass);
    assert_eq!((pass.status.code(), report["verdict"].as_str()), (Some(0), Some("Pass")), "{report}");
    let arm = &report["arms"]["candidate"];
    let of = |name: &str| arm[name].as_u64().unwrap_or_else(|| panic!("{name}: {arm}"));
    assert_eq!(of("scheduled"), of("ok") + of("errors") + of("timeouts") + of("skipped"));
    assert!(
        of("scheduled") > 400
            && of("p50_us") > 0
            && of("p50_us") <= of("p95_us")
            && of("p95_us") <= of("max_us")
    );
    assert!(arm["p99_us"].is_null(), "600 statements are too few to tell p99: {arm}");
    assert!(arm["service"]["p50_us"].as_u64().unwrap() <= of("p50_us"));
    assert!(report["arms"]["legacy"].is_null() && report["comparison"].as_array().unwrap().is_empty());
    let generator = &report["generator"];
    assert!(generator["send_lag_p50_us"].as_u64() <= generator["send_lag_p99_us"].as_u64());
    assert_eq!(
        generator["send_lag_p99_us"].as_u64(),
        Some(of("send_lag_p99_us")),
        "one side is all there is"
    );
    assert!(generator["cpu_us_per_statement"].as_f64().unwrap() > 1.0);
    assert_eq!(report["seed"].as_u64(), Some(7));
    assert!((report["duration_s"].as_f64().unwrap() - 2.0).abs() < 5.0);

    let none =
        load(None, Some(&database), &[&asked[..], &["--shape", "0s=0", "--shape", "2s=0"]].concat()).await;
    assert_eq!(none.status.code(), Some(3), "nothing arrives at no rate at all: {}", told(&none));
    let fail = load(None, Some(&database), &[&asked[..], &["--max-p50", "1us"]].concat()).await;
    assert_eq!(fail.status.code(), Some(2), "microseconds are no unit of a duration: {}", told(&fail));
    let more = load(Some(&database), None, &[&asked[..], &["--min-throughput", "1000"]].concat()).await;
    assert_eq!(more.status.code(), Some(3), "no server answers more than it is asked: {}", told(&more));
    let slow = files.with("slow.yaml", "name: slow\nstatements: [{sql: SELECT pg_sleep(0.02), weight: 1}]\n");
    let slow = [&["--traffic", &slow, "--max-p50", "5ms"], &asked[2..]].concat();
    let fail = load(Some(&database), None, &slow).await;
    assert_eq!((fail.status.code(), json(&fail)["verdict"].as_str()), (Some(1), Some("Fail")));
    assert!(
        json(&fail)["arms"]["candidate"].is_null() && json(&fail)["arms"]["legacy"]["ok"].as_u64() > Some(0)
    );
    let only = load(Some(&database), Some(&database), &[&asked[..], &["--only", "candidate"]].concat()).await;
    let report = json(&only);
    assert!(report["arms"]["legacy"].is_null() && report["arms"]["candidate"]["ok"].as_u64() > Some(0));
    assert!(report["settings"]["command"].as_str().unwrap().contains(" --only candidate"), "{report}");
    let open = load(None, Some(&database), &[&asked[..], &["--max-p99", "2s"]].concat()).await;
    assert_eq!((open.status.code(), json(&open)["verdict"].as_str()), (Some(3), Some("Inconclusive")));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_of_latency_one_side_is_measured_and_the_message_says_that_little_was_judged() {
    let (database, files) = (stocked(Server::shared()).await, Files::new("load-measured"));
    let traffic = files.with("traffic.yaml", TRAFFIC);
    let asked =
        ["--traffic", &traffic, "--rate", "300", "--duration", "2s", "-o", "json", "--max-error-percent"];
    let only = "only the share of errors was judged, since no latency limit was given; ";
    for (legacy, candidate) in [(Some(&database), None), (None, Some(&database))] {
        let measured = load(legacy, candidate, &[&asked[..], &["1"]].concat()).await;
        let report = json(&measured);
        assert_eq!((measured.status.code(), report["verdict"].as_str()), (Some(0), Some("Pass")), "{report}");
        assert!(report["message"].as_str().unwrap().starts_with(only), "{report}");
    }
    let few = load(Some(&database), None, &[&asked[..], &["0.1"]].concat()).await;
    assert_eq!((few.status.code(), json(&few)["verdict"].as_str()), (Some(3), Some("Inconclusive")));
    let message = json(&few)["message"].to_string();
    assert!(message.contains("a limit of 0.1 % failed needs at least 3000 statements"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_of_pgbench_run_on_both_sides_with_their_weights() {
    let (legacy, candidate) = (stocked(Server::shared()).await, stocked(Server::shared()).await);
    let files = Files::new("load-scripts");
    let often =
        files.with("often.sql", "\\set id random(1, 1000)\nSELECT quantity FROM stock WHERE id = :id;\n");
    let seldom = files.with("seldom.sql", "SELECT count(*) FROM stock;\n");
    let asked = ["-f", &format!("{often}@3"), "-f", &seldom, "--rate", "200", "--duration", "2s"];
    let both = load(Some(&legacy), Some(&candidate), &[&asked[..], &["-o", "json"]].concat()).await;
    let report = json(&both);
    assert_eq!((both.status.code(), report["verdict"].as_str()), (Some(3), Some("Inconclusive")), "{report}");
    let arms = &report["arms"];
    for side in [&arms["legacy"], &arms["candidate"]] {
        let lag = |name: &str| side[name].as_u64().unwrap_or_else(|| panic!("{name}: {side}"));
        assert!((1..=lag("send_lag_p99_us")).contains(&lag("send_lag_p50_us")), "{side}");
    }
    let class = |index: usize| {
        (report["classes"][index]["name"].as_str(), report["classes"][index]["share"].as_f64())
    };
    assert_eq!((class(0), class(1)), ((Some("often"), Some(0.75)), (Some("seldom"), Some(0.25))));
    let table = load(Some(&legacy), Some(&candidate), &asked).await;
    let shown = told(&table);
    for part in ["Inconclusive: ", "legacy", "candidate", "generator: late by", "seed"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let page = load(Some(&legacy), Some(&candidate), &[&asked[..], &["-o", "html"]].concat()).await;
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg"), "{page}");
    for outside in [" src=", "href=\"http", "@import", "url(", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_run_says_what_to_do_and_ends_with_2() {
    let (database, files) = (stocked(Server::shared()).await, Files::new("load-bad"));
    let good = files.with("traffic.yaml", TRAFFIC);
    let empty = files.with("empty.yaml", "name: stock\n");
    let script = files.with("meta.sql", "\\shell canary\n");
    let of = |traffic: &str, more: &[&str]| -> Vec<String> {
        let common = ["--traffic", traffic, "--rate", "100"];
        common.iter().chain(more).map(|part| (*part).to_owned()).collect()
    };
    for (arguments, word) in [
        (of("/no/such/file", &["--duration=2s"]), "cannot read"),
        (of(&empty, &["--duration=2s"]), "give it at least one"),
        (of(&good, &["--duration=2s", "--max-error-percent", "x"]), "maxErrorPercent"),
        (of(&good, &["--duration=2x"]), "duration can't be read"),
        (of(&good, &["--duration=2s", "--shape=1s"]), "such as 3m=100"),
        (of(&good, &["--duration=2s", "--shape=1s=50", "--shape=0s=50"]), "point 2 of shape is earlier"),
        (vec!["-f".into(), format!("{script}@2"), "--rate=9".into(), "--duration=1s".into()], "meta"),
        (vec!["-f".into(), format!("{script}@x"), "--rate=9".into(), "--duration=1s".into()], "is no weight"),
    ] {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let refused = load(None, Some(&database), &arguments).await;
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(told(&refused).contains(word), "{word}: {}", told(&refused));
    }
    let nowhere = load(None, None, &["--traffic", &good, "--rate", "1", "--duration", "1s"]).await;
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(told(&nowhere).contains("--legacy or --candidate"), "{}", told(&nowhere));
}
