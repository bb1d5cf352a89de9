//! `cutover check`: the same questions at the command line, and what a script can rely on.

use std::process::{Command, Output};

use serde_json::Value;

use crate::{
    fake::{self, Behaviour},
    pair::Pair,
};

fn cutover(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(arguments)
        .env_remove("CUTOVER_LEGACY_URI")
        .env_remove("CUTOVER_CANDIDATE_URI")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let shown =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!shown.contains("canary"), "{shown}");
    output
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// Both sides as environment variables, verified against the server's own certificate authority.
fn uris(pair: &Pair) -> [(&'static str, String); 2] {
    let ca = crate::postgres::Server::shared().ca_file.display().to_string();
    [("CUTOVER_LEGACY_URI", &pair.legacy), ("CUTOVER_CANDIDATE_URI", &pair.candidate)].map(
        |(name, database)| {
            (name, format!("{}?sslmode=verify-full&sslrootcert={ca}", database.uri().trim_end()))
        },
    )
}

fn ask(pair: &Pair, arguments: &[&str]) -> Output {
    let uris = uris(pair);
    let environment = uris.each_ref().map(|(name, uri)| (*name, uri.as_str()));
    cutover(&[&["check"], arguments].concat(), &environment)
}

const LESS: &str = "SELECT count(*) < 3 FROM pg_namespace WHERE nspname = 'extra'";

#[tokio::test]
async fn the_exit_code_is_the_verdict() {
    let pair = Pair::new().await;
    let pass = ask(&pair, &["sql", "--query", LESS, "--equals", "true", "-o", "json"]);
    assert_eq!((pass.status.code(), json(&pass)["verdict"].as_str()), (Some(0), Some("Pass")));
    let fail = ask(&pair, &["sql", "--query", LESS, "--equals", "false", "-o", "json"]);
    assert_eq!((fail.status.code(), json(&fail)["verdict"].as_str()), (Some(1), Some("Fail")));
    assert_eq!(json(&fail)["check"].as_str(), Some("sql"));
    assert_eq!(json(&fail)["findings"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn the_exit_code_is_the_verdict_even_if_nobody_reads_the_report_or_what_is_said() {
    let pair = Pair::new().await;
    let closed = || std::io::pipe().map(|(_, writer)| writer).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(["check", "sql", "--query", LESS, "--equals", "false"])
        .envs(uris(&pair))
        .stdout(closed())
        .stderr(closed())
        .status();
    assert_eq!(status.unwrap().code(), Some(1));
}

#[tokio::test]
async fn what_could_not_be_asked_is_2_and_says_why() {
    let silent = fake::server(Behaviour::Silent).await;
    let uri = format!("postgresql://u:canary@{silent}/d");
    let environment = [("CUTOVER_LEGACY_URI", uri.as_str()), ("CUTOVER_CANDIDATE_URI", uri.as_str())];
    let task = tokio::task::spawn_blocking({
        let environment = environment.map(|(name, uri)| (name, uri.to_owned()));
        move || {
            let environment = environment.each_ref().map(|(name, uri)| (*name, uri.as_str()));
            cutover(
                &["check", "sql", "--query", "SELECT 1", "--equals", "1", "--timeout", "2s", "-o", "json"],
                &environment,
            )
        }
    });
    let output = task.await.unwrap();
    assert_eq!((output.status.code(), json(&output)["verdict"].as_str()), (Some(2), Some("Error")));
    let unreadable = cutover(&["check", "schema", "--legacy", "host=canary"], &[]);
    assert_eq!(unreadable.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unreadable.stderr).contains("--legacy"));
    assert_eq!(cutover(&["check"], &[]).status.code(), Some(2));
}

#[tokio::test]
async fn a_manifest_s_checks_are_asked_all_of_them_or_those_of_a_stage() {
    let pair = Pair::new().await;
    let folder =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("manifest-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("rollout.yaml");
    let [(_, legacy), (_, candidate)] = uris(&pair);
    let stage = |name: &str, expected: &str| {
        format!(
            "  - name: {name}\n    onFailure: Hold\n    config: [{{secret: {name}, set: {{URL: {{value: x}}}}}}]\n    \
             workloads: [{{kind: Deployment, name: {name}}}]\n    \
             checks: [{{name: few, sql: {{query: \"{LESS}\", equals: '{expected}'}}}}]\n"
        )
    };
    let text = format!(
        "apiVersion: cutover.dev/v1alpha1\nkind: DatabaseRollout\nmetadata: {{name: shop}}\nspec:\n  \
         legacy: {{connection: {{secretRef: {{name: old, key: uri}}}}}}\n  \
         candidate: {{connection: {{secretRef: {{name: new, key: uri}}}}}}\n  stages:\n{}{}---\nkind: Secret\n\
         metadata: {{name: old}}\nstringData: {{uri: \"{legacy}\"}}\n---\nkind: Secret\nmetadata: {{name: new}}\n\
         stringData: {{uri: \"{candidate}\"}}\n",
        stage("api", "true"),
        stage("web", "false")
    );
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let all = cutover(&["check", "-f", &file, "-o", "json"], &[]);
    let names = |report: &Value| -> Vec<String> {
        report["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((all.status.code(), json(&all)["verdict"].as_str()), (Some(1), Some("Fail")));
    assert_eq!(names(&json(&all)), ["api/few", "web/few"]);
    let one = cutover(&["check", "-f", &file, "--stage", "api", "-o", "json"], &[]);
    assert_eq!((one.status.code(), names(&json(&one))), (Some(0), vec!["api/few".to_owned()]));
    // What was exported for another day is not asked in place of what the manifest names.
    let elsewhere = [
        ("CUTOVER_LEGACY_URI", "postgresql://u@127.0.0.1:1/d"),
        ("CUTOVER_CANDIDATE_URI", "postgresql://u@127.0.0.1:1/d"),
    ];
    assert_eq!(cutover(&["check", "-f", &file, "--stage", "api"], &elsewhere).status.code(), Some(0));
    assert_eq!(
        cutover(&["check", "-f", &file, "schema"], &[]).status.code(),
        Some(2),
        "either a kind or a manifest"
    );
    let table = cutover(&["check", "-f", &file], &[]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("Pass: api/few") && table.contains("Fail: web/few"), "{table}");
    std::fs::remove_dir_all(&folder).unwrap();
}
