//! pgbench, as the measure: how it is run, and what its own log says.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{machine, side::Side};

pub struct Pgbench {
    child: Child,
    log: PathBuf,
    processor_time: Duration,
}

pub struct Ran {
    /// In microseconds from the scheduled arrival, in ascending order; empty where no log was asked for.
    pub latencies: Vec<u64>,
    pub statements: u64,
    /// Of the whole process; right only where nothing else that this process started has ended meanwhile.
    pub processor_time: Duration,
}

/// Selects by primary key, prepared, on eight connections. `rate` 0 is as many as it can.
pub fn start(side: &Side, rate: u32, seconds: u32, with_log: bool) -> Pgbench {
    let log =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("pgbench-{:08x}", rand::random::<u32>()));
    let mut command = Command::new("pgbench");
    command.args(["-n", "-S", "-M", "prepared", "-c", "8", "-j", "1", "-T", &seconds.to_string()]);
    if rate > 0 {
        command.args(["-R", &rate.to_string()]);
    }
    if with_log {
        command.arg("-l").arg(format!("--log-prefix={}", log.display()));
    }
    command.arg(side.uri()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let processor_time = machine::processor_time_of_children();
    Pgbench { child: command.spawn().expect("pgbench starts"), log, processor_time }
}

impl Pgbench {
    pub fn end(self) -> Ran {
        let log = format!("{}.{}", self.log.display(), self.child.id());
        let output = self.child.wait_with_output().expect("pgbench ends");
        let told = String::from_utf8_lossy(&output.stdout);
        let said = "number of transactions actually processed: ";
        let statements = told.lines().find_map(|line| line.strip_prefix(said)?.parse().ok());
        let statements =
            statements.unwrap_or_else(|| panic!("{told}{}", String::from_utf8_lossy(&output.stderr)));
        let processor_time = machine::processor_time_of_children().saturating_sub(self.processor_time);
        let mut latencies: Vec<u64> = std::fs::read_to_string(&log)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split(' ').nth(2)?.parse().ok())
            .collect();
        let _ = std::fs::remove_file(&log);
        latencies.sort_unstable();
        Ran { latencies, statements, processor_time }
    }
}

impl Ran {
    pub fn percentile_us(&self, percent: usize) -> u64 {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies[rank.max(1) - 1]
    }
}
