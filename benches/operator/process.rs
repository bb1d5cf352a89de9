//! What `/proc` says about the operator's process.

use std::time::Duration;

/// Clock ticks in a second, as Linux tells them to programs.
const TICKS: u64 = 100;

/// A figure of `/proc/PID/status` such as `VmRSS`, in MiB.
pub fn memory(process: u32, figure: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).expect("a figure in kB");
    kib.parse::<f64>().expect("a number") / 1024.0
}

/// The processor time that it has used.
pub fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    // After the name, which may hold spaces, in parentheses.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let ticks: u64 =
        fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}
