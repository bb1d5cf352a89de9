//! What else happens on a server, or beside it, while it is measured: at random moments, until this is dropped.

use std::{
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use crate::side::Side;

/// Between two bursts of load, on average.
const BURSTS_S: f64 = 12.0;
/// Between two of a server's own chores.
const CHORES_S: f64 = 15.0;
const CHORES: [&str; 5] = [
    "CHECKPOINT",
    "VACUUM pgbench_accounts",
    "VACUUM ANALYZE small",
    "ANALYZE pgbench_accounts",
    "SELECT count(*) FROM pgbench_accounts",
];

/// Dropping this ends it.
pub struct Noise(#[allow(dead_code, reason = "held, not used")] JoinSet<()>);

/// Bursts hit both servers at once; chores each server when its own time has come.
pub fn shared(sides: &[Arc<Side>; 2]) -> Noise {
    let mut tasks = JoinSet::new();
    tasks.spawn(bursts(sides.to_vec()));
    sides.iter().for_each(|side| drop(tasks.spawn(chores(side.clone()))));
    Noise(tasks)
}

/// Both happen on the candidate alone, and each server has a processor of its own.
pub fn private(sides: &[Arc<Side>; 2]) -> Noise {
    for (side, processor) in sides.iter().zip(["0", "1"]) {
        for process in side.processes() {
            let pinned = Command::new("taskset").args(["-p", "-c", processor, &process.to_string()]).output();
            assert!(pinned.expect("taskset runs").status.success());
        }
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(bursts(vec![sides[1].clone()]));
    tasks.spawn(chores(sides[1].clone()));
    Noise(tasks)
}

/// Exponential: the next one is as near as it ever was.
fn pause(mean_s: f64) -> Duration {
    Duration::from_secs_f64((-mean_s * (1.0 - rand::random::<f64>()).ln()).clamp(0.5, 60.0))
}

async fn chores(side: Arc<Side>) {
    loop {
        sleep(pause(CHORES_S)).await;
        side.execute(CHORES[rand::random_range(0..CHORES.len())]).await;
    }
}

async fn bursts(sides: Vec<Arc<Side>>) {
    loop {
        sleep(pause(BURSTS_S)).await;
        let (seconds, rate) = (rand::random_range(1..=5), rand::random_range(100..=600));
        let uris: Vec<_> = sides.iter().map(|side| side.uri().to_owned()).collect();
        let _ = tokio::task::spawn_blocking(move || burst(&uris, seconds, rate)).await;
    }
}

fn burst(uris: &[String], seconds: u32, rate: u32) {
    let (seconds, rate) = (seconds.to_string(), rate.to_string());
    let started: Vec<_> = uris
        .iter()
        .filter_map(|uri| {
            let arguments = ["-n", "-N", "-M", "prepared", "-c", "4", "-T", &seconds, "-R", &rate, uri];
            Command::new("pgbench").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        })
        .collect();
    for mut child in started {
        let _ = child.wait();
    }
}
