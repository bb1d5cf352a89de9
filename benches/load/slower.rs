//! A candidate that really is slower: how often, and how soon, is it found?
//!
//! `120s` says how long each load takes (60 s), `runs=N` how many rounds of all slowdowns are added, and names of slowdowns
//! do only those, `late-N-by-P` and `slowest-N-by-P` among them (see [`by_percent`]). Noise is shared, as for servers that are alike. What a
//! slowdown came to is in the results beside the verdict; a load that fails early ends where it looks worse than it is, so
//! `unjudged` measures that by loads of their own, whose margins are too wide to end them.

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
    /// By way of proxies: all answers slower by so many percent, as the load sees them.
    Proxy { percent: f64 },
    /// By way of proxies: of a thousand answers so many of the slowest, later by a share of what the server took.
    Late { slowest: usize, share: f64 },
    /// A server of its own with few buffers.
    TinyBuffers,
}

/// p95 later by 10 and 15 %, p99 alone by 25 %, of what the server takes, which is somewhat less of what the load sees; and what
/// takes longer within the server.
const BY_PERCENT: [&str; 4] = ["late-100-by-10", "late-100-by-15", "late-30-by-25", "slowest-100-by-25"];
/// So wide that no slowdown here ends a load.
const UNJUDGED: [&str; 3] = ["--max-increase-p50=90", "--max-increase-p95=90", "--max-increase-p99=90"];

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
    all.extend(BY_PERCENT.into_iter().filter_map(|name| Some((name, by_percent(name)?))));
    all.into_iter().map(|(name, how)| (name.to_owned(), how)).collect()
}

/// `late-100-by-10`: of each thousand answers the slowest hundred are 10 percent later. `slowest-100-by-17`: of each thousand
/// calls the slowest hundred have 17 percent more to do; what that comes to is less, for the rest of the way is not slowed
/// down, nor are other statements that are as slow.
fn by_percent(name: &str) -> Option<How> {
    let (kind, rest) = name.split_once('-')?;
    let (slowest, percent) = rest.split_once("-by-")?;
    let (slowest, percent): (usize, f64) = (slowest.parse().ok()?, percent.parse().ok()?);
    match kind {
        "late" => Some(How::Late { slowest, share: percent / 100.0 }),
        "slowest" => {
            let share = format!("(CASE WHEN k <= {slowest} THEN {} ELSE 1 END)", 1.0 + percent / 100.0);
            Some(How::Statements { done: work_view(&share), undone: work_view(SOUND_SHARE), traffic: WORK })
        }
        _ => None,
    }
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
        self.law.share(percent / 100.0 * gain);
    }

    async fn measure_gain(&self) -> f64 {
        self.law.share(0.0);
        let load = put_on(self.sides.each_ref(), &self.uris, MIXED, CALIBRATION_S, &[]).await;
        let seen = load.report.arms.candidate.expect("it was loaded").latency.p50_us.expect("enough calls");
        Duration::from_micros(seen).as_secs_f64() / self.law.median().as_secs_f64()
    }
}

/// How each load is put on.
struct Course {
    seconds: u32,
    is_judged: bool,
}

impl Course {
    /// Where its lines are kept.
    fn file(&self) -> &'static str {
        if self.is_judged { "slower" } else { "unjudged" }
    }

    fn further(&self) -> &'static [&'static str] {
        if self.is_judged { &[] } else { &UNJUDGED }
    }
}

pub async fn run(words: &[String]) {
    let named = |word: &String| {
        let known = slowdowns().into_iter().find(|(name, _)| name == word);
        let known = known.or_else(|| Some((word.clone(), by_percent(word)?)));
        assert!(
            known.is_some() || !word.contains("-by-"),
            "{word} is no slowdown: late-N-by-P, slowest-N-by-P"
        );
        known
    };
    let chosen: Vec<_> = words.iter().filter_map(named).collect();
    let chosen = if chosen.is_empty() { slowdowns() } else { chosen };
    let course =
        Course { seconds: results::seconds(words), is_judged: !words.iter().any(|word| word == "unjudged") };
    let legacy = Side::start("bench-slower-legacy", &[]).await;
    let pair = Pair::new([legacy.clone(), Side::start("bench-slower-candidate", &[]).await]);
    let tiny = Side::start("bench-slower-tiny", &["shared_buffers=1MB"]).await;
    for _ in 0..results::runs(words).unwrap_or(ROUNDS) {
        for (name, how) in &chosen {
            let line = one(&pair, &tiny, name, how, &course).await;
            let [p50, p95, p99] = line.ratios;
            println!(
                "{} {name}, {} s: {:?} after {:.0} s, {p50} {p95} {p99}",
                course.file(),
                course.seconds,
                line.verdict,
                line.duration_s
            );
            results::add(course.file(), &line);
        }
    }
    results::summary(course.file());
}

async fn one(pair: &Pair, tiny: &Arc<Side>, name: &str, how: &How, course: &Course) -> Line {
    let [legacy, candidate] = &pair.sides;
    let both = pair.sides.each_ref();
    let direct = both.map(|side| side.uri().to_owned());
    match how {
        How::Statements { done, undone, traffic } => {
            candidate.execute(done).await;
            let line = loaded(name, both, &direct, traffic, course).await;
            candidate.execute(undone).await;
            line
        }
        How::Proxy { percent } => {
            pair.slow_down(*percent).await;
            let line = loaded(name, both, &pair.uris, MIXED, course).await;
            pair.law.share(0.0);
            line
        }
        How::Late { slowest, share } => {
            pair.law.share_of_slowest(*slowest, *share);
            let line = loaded(name, both, &pair.uris, WORK, course).await;
            pair.law.share(0.0);
            line
        }
        How::TinyBuffers => {
            let uris = [legacy, tiny].map(|side| side.uri().to_owned());
            loaded(name, [legacy, tiny], &uris, MIXED, course).await
        }
    }
}

async fn loaded(
    name: &str,
    sides: [&Arc<Side>; 2],
    uris: &[String; 2],
    traffic: &str,
    course: &Course,
) -> Line {
    let processors = Processors::now();
    let ran = put_on(sides, uris, traffic, course.seconds, course.further()).await;
    Line::new(name, course.seconds, &ran, processors)
}

async fn put_on(
    sides: [&Arc<Side>; 2],
    uris: &[String; 2],
    traffic: &str,
    seconds: u32,
    further: &[&str],
) -> Ran {
    let _noise = noise::shared(&sides.map(Clone::clone));
    // What was done settles first.
    sleep(Duration::from_secs(1)).await;
    let writes: &[&str] = if traffic == LOOKUPS { &[] } else { &["--write-to-legacy"] };
    let load = Load {
        legacy: Some(&uris[0]),
        candidate: Some(&uris[1]),
        traffic,
        rate: 1_000,
        duration: &format!("{seconds}s"),
        further: &[writes, further].concat(),
    };
    load.run()
}
