//! A candidate that really is slower: how often, and how soon, is it found?
//!
//! `120s` says how long each load takes (60 s), `runs=N` how many rounds of all slowdowns are added, and names of slowdowns
//! do only those, `slowest-N-by-P` among them (see [`harder`]). Noise is shared, as for servers that are alike. What a
//! slowdown came to is in the results beside the verdict.

use std::{sync::Arc, time::Duration};

use tokio::{sync::OnceCell, time::sleep};

use crate::{
    command::{LOOKUPS, Load, MIXED, Ran, WORK},
    machine::Processors,
    noise,
    proxy::{self, Law},
    results::{self, Line},
    side::{SMALL_INDEX, SOUND_LOOKUP, SOUND_SHARE, Side, work_view},
};

const ROUNDS: u32 = 3;
/// How long it is measured what the way to the servers adds.
const CALIBRATION_S: u32 = 30;

enum How {
    /// What is done to the candidate, and what undoes it.
    Statements { done: String, undone: String, traffic: &'static str },
    /// By way of proxies: all answers slower by so many percent.
    Proxy { percent: f64 },
    /// A server of its own with few buffers.
    TinyBuffers,
}

/// Came to 10 and 15 % of p95 and 25 % of p99, as far as it could be measured before.
const HARDER: [&str; 3] = ["slowest-100-by-17", "slowest-100-by-25", "slowest-30-by-33"];

fn slowdowns() -> Vec<(String, How)> {
    let statements = |done: &str, undone: &str, traffic| How::Statements {
        done: done.to_owned(),
        undone: undone.to_owned(),
        traffic,
    };
    let sleeping = |seconds: &str| {
        let body = format!("BEGIN IF random() < 0.02 THEN PERFORM pg_sleep({seconds}); END IF;");
        statements(&SOUND_LOOKUP.replace("BEGIN", &body), SOUND_LOOKUP, LOOKUPS)
    };
    let mut all = vec![
        ("index-gone", statements("DROP INDEX small_key", SMALL_INDEX, MIXED)),
        (
            "no-index-scan",
            statements(
                "ALTER DATABASE bench SET enable_indexscan = off",
                "ALTER DATABASE bench RESET enable_indexscan",
                MIXED,
            ),
        ),
        ("tiny-buffers", How::TinyBuffers),
        ("sleep-1ms-2-percent", sleeping("0.001")),
        ("sleep-2ms-2-percent", sleeping("0.002")),
        ("p50-by-10", How::Proxy { percent: 10.0 }),
    ];
    all.extend(HARDER.into_iter().filter_map(|name| Some((name, harder(name)?))));
    all.into_iter().map(|(name, how)| (name.to_owned(), how)).collect()
}

/// `slowest-100-by-17`: of each thousand calls the slowest hundred have 17 percent more to do. What that comes to is less: the rest
/// of the way is not slowed down, nor are other statements that are as slow.
fn harder(name: &str) -> Option<How> {
    let (slowest, percent) = name.strip_prefix("slowest-")?.split_once("-by-")?;
    let (slowest, percent): (u32, f64) = (slowest.parse().ok()?, percent.parse().ok()?);
    let done = work_view(&format!("(CASE WHEN k <= {slowest} THEN {} ELSE 1 END)", 1.0 + percent / 100.0));
    Some(How::Statements { done, undone: work_view(SOUND_SHARE), traffic: WORK })
}

struct Pair {
    sides: [Arc<Side>; 2],
    /// By ports that lead to the sides.
    uris: [String; 2],
    /// What happens on the way to the candidate.
    law: Arc<Law>,
    /// What the load sees of an answer's time, by what the server takes for it: the rest of the way is not slowed down.
    gain: OnceCell<f64>,
}

impl Pair {
    fn new(sides: [Arc<Side>; 2]) -> Self {
        let [legacy, candidate] =
            sides.each_ref().map(|side| proxy::start(&side.server.host, side.server.port));
        let uris = [sides[0].uri_by(legacy.0), sides[1].uri_by(candidate.0)];
        Self { sides, uris, law: candidate.1, gain: OnceCell::new() }
    }

    async fn slow_down(&self, percent: f64) {
        let gain = self.gain.get_or_init(async || self.measure_gain().await).await;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some hundred")]
        self.law.share((percent * 10.0 * gain) as u64);
    }

    async fn measure_gain(&self) -> f64 {
        self.law.share(0);
        let load = put_on(self.sides.each_ref(), &self.uris, MIXED, CALIBRATION_S).await;
        let seen = load.report.arms.candidate.expect("it was loaded").latency.p50_us.expect("enough calls");
        Duration::from_micros(seen).as_secs_f64() / self.law.median().as_secs_f64()
    }
}

pub async fn run(words: &[String]) {
    let named = |word: &String| {
        let known = slowdowns().into_iter().find(|(name, _)| name == word);
        known.or_else(|| Some((word.clone(), harder(word)?)))
    };
    let chosen: Vec<_> = words.iter().filter_map(named).collect();
    let chosen = if chosen.is_empty() { slowdowns() } else { chosen };
    let legacy = Side::start("bench-slower-legacy", &[]).await;
    let pair = Pair::new([legacy.clone(), Side::start("bench-slower-candidate", &[]).await]);
    let tiny = Side::start("bench-slower-tiny", &["shared_buffers=1MB"]).await;
    let seconds = results::seconds(words);
    for _ in 0..results::runs(words).unwrap_or(ROUNDS) {
        for (name, how) in &chosen {
            let line = one(&pair, &tiny, name, how, seconds).await;
            println!("slower {name}, {seconds} s: {:?} after {:.0} s", line.verdict, line.duration_s);
            results::add("slower", &line);
        }
    }
    results::summary("slower");
}

async fn one(pair: &Pair, tiny: &Arc<Side>, name: &str, how: &How, seconds: u32) -> Line {
    let [legacy, candidate] = &pair.sides;
    let direct = [legacy.uri().to_owned(), candidate.uri().to_owned()];
    match how {
        How::Statements { done, undone, traffic } => {
            candidate.execute(done).await;
            let line = loaded(name, pair.sides.each_ref(), &direct, traffic, seconds).await;
            candidate.execute(undone).await;
            line
        }
        How::Proxy { percent } => {
            pair.slow_down(*percent).await;
            let line = loaded(name, pair.sides.each_ref(), &pair.uris, MIXED, seconds).await;
            pair.law.share(0);
            line
        }
        How::TinyBuffers => {
            loaded(name, [legacy, tiny], &[direct[0].clone(), tiny.uri().to_owned()], MIXED, seconds).await
        }
    }
}

async fn loaded(name: &str, sides: [&Arc<Side>; 2], uris: &[String; 2], traffic: &str, seconds: u32) -> Line {
    let processors = Processors::now();
    let ran = put_on(sides, uris, traffic, seconds).await;
    Line::new(name, seconds, &ran, processors)
}

async fn put_on(sides: [&Arc<Side>; 2], uris: &[String; 2], traffic: &str, seconds: u32) -> Ran {
    let _noise = noise::shared(&sides.map(Clone::clone));
    // What was done settles first.
    sleep(Duration::from_secs(1)).await;
    let load = Load {
        legacy: Some(&uris[0]),
        candidate: Some(&uris[1]),
        traffic,
        rate: 1_000,
        duration: &format!("{seconds}s"),
        further: if traffic == LOOKUPS { &[] } else { &["--write-to-legacy"] },
    };
    load.run()
}
