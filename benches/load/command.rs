//! Runs `cutover load` as a user would, and reads its report.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use cutover::load::report::LoadReport;

use crate::machine;

/// Reads most, writes some, and looks up a small table by an index of its own.
pub const MIXED: &str = "name: mixed
access: ReadWrite
statements:
- {name: select, access: ReadOnly, weight: 85, sql: 'SELECT abalance FROM pgbench_accounts WHERE aid = $1',
   params: [{int: {min: 1, max: 1000000}}]}
- {name: update, weight: 10, sql: 'UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = $1',
   params: [{int: {min: 1, max: 1000000}}]}
- {name: small, access: ReadOnly, weight: 5, sql: 'SELECT note FROM small WHERE key = $1',
   params: [{int: {min: 1, max: 2000}}]}
";
/// What `pgbench -S` sends.
pub const SELECT: &str = "name: select
statements:
- {name: select, weight: 1, sql: 'SELECT abalance FROM pgbench_accounts WHERE aid = $1',
   params: [{int: {min: 1, max: 1000000}}]}
";
/// One call in twenty is a function, whose body may be replaced.
pub const CALLS: &str = "name: calls
statements:
- {name: select, weight: 95, sql: 'SELECT abalance FROM pgbench_accounts WHERE aid = $1',
   params: [{int: {min: 1, max: 1000000}}]}
- {name: lookup, weight: 5, sql: 'SELECT lookup($1)', params: [{int: {min: 1, max: 1000000}}]}
";
/// All calls are the function.
pub const LOOKUPS: &str = "name: lookups
statements:
- {name: lookup, weight: 1, sql: 'SELECT lookup($1)', params: [{int: {min: 1, max: 1000000}}]}
";

/// Most of the time is spent within the server, the longer the smaller a number from 1 to 1,000 is.
pub const WORK: &str = "name: work
access: ReadWrite
statements:
- {name: work, access: ReadOnly, weight: 85, sql: 'SELECT n FROM work WHERE k = $1',
   params: [{int: {min: 1, max: 1000}}]}
- {name: update, weight: 10, sql: 'UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = $1',
   params: [{int: {min: 1, max: 1000000}}]}
- {name: small, access: ReadOnly, weight: 5, sql: 'SELECT note FROM small WHERE key = $1',
   params: [{int: {min: 1, max: 2000}}]}
";

#[derive(Clone, Copy, Default)]
pub struct Load<'a> {
    pub legacy: Option<&'a str>,
    pub candidate: Option<&'a str>,
    pub traffic: &'a str,
    pub rate: u32,
    pub duration: &'a str,
    pub further: &'a [&'a str],
}

pub struct Running {
    child: Child,
    traffic: PathBuf,
    started: Instant,
    processor_time: Duration,
}

pub struct Ran {
    pub report: LoadReport,
    /// From its start to its end.
    pub took: Duration,
    /// Of the whole process; right only where nothing else that this process started has ended meanwhile.
    pub processor_time: Duration,
}

impl Load<'_> {
    pub fn start(&self) -> Running {
        let traffic = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("traffic-{:08x}.yaml", rand::random::<u32>()));
        std::fs::write(&traffic, self.traffic).expect("the folder can be written to");
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.arg("load").arg("--traffic").arg(&traffic);
        command
            .args(["--rate", &self.rate.to_string(), "--duration", self.duration, "-o", "json"])
            .args(self.further);
        command.env_remove("CUTOVER_LEGACY_URI").env_remove("CUTOVER_CANDIDATE_URI");
        let sides = [("CUTOVER_LEGACY_URI", self.legacy), ("CUTOVER_CANDIDATE_URI", self.candidate)];
        command.envs(sides.into_iter().filter_map(|(name, uri)| Some((name, uri?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let processor_time = machine::processor_time_of_children();
        let started = Instant::now();
        Running { child: command.spawn().expect("cutover starts"), traffic, started, processor_time }
    }

    pub fn run(&self) -> Ran {
        self.start().end()
    }
}

impl Running {
    pub fn end(self) -> Ran {
        let output = self.child.wait_with_output().expect("cutover ends");
        let took = self.started.elapsed();
        let _ = std::fs::remove_file(&self.traffic);
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("no report ({error}): {}", String::from_utf8_lossy(&output.stderr));
        });
        let processor_time = machine::processor_time_of_children().saturating_sub(self.processor_time);
        Ran { report, took, processor_time }
    }
}

impl Ran {
    /// Statements that were taken up on all sides.
    pub fn statements(&self) -> u64 {
        let arms = [&self.report.arms.legacy, &self.report.arms.candidate];
        arms.into_iter().flatten().map(|arm| arm.ok + arm.errors + arm.timeouts).sum()
    }
}
