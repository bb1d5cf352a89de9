//! A candidate that really is slower: how often, and how soon, is it found?
//!
//! `120s` says how long each load takes (60 s), `runs=N` how many rounds of all slowdowns are added, and names of slowdowns
//! do only those. Noise is shared, as for servers that are alike. What a slowdown came to is in the results beside the verdict.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    command::{LOOKUPS, Load, MIXED},
    machine::Processors,
    noise,
    proxy::{self, Law},
    results::{self, Line},
    side::{SMALL_INDEX, SOUND_LOOKUP, Side},
};

const ROUNDS: u32 = 3;

enum How {
    /// What is done to the candidate, and what undoes it.
    Statements { done: String, undone: &'static str, traffic: &'static str },
    /// By way of proxies: a share of the time, in thousandths, of answers slower than so many thousandths of all.
    Proxy { share: u64, tail: u64 },
    /// A server of its own with few buffers.
    TinyBuffers,
}

fn slowdowns() -> Vec<(&'static str, How)> {
    let statements = |done: &str, undone, traffic| How::Statements { done: done.to_owned(), undone, traffic };
    let sleeping = |seconds: &str| {
        let body = format!("BEGIN IF random() < 0.02 THEN PERFORM pg_sleep({seconds}); END IF;");
        statements(&SOUND_LOOKUP.replace("BEGIN", &body), SOUND_LOOKUP, LOOKUPS)
    };
    vec![
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
        ("proxy-10-percent", How::Proxy { share: 100, tail: 0 }),
        ("p95-10-percent", How::Proxy { share: 100, tail: 900 }),
        ("p95-15-percent", How::Proxy { share: 150, tail: 900 }),
        ("p99-25-percent", How::Proxy { share: 250, tail: 970 }),
    ]
}

struct Pair {
    sides: [Arc<Side>; 2],
    /// Ports that lead to the sides, and what happens on the way to the candidate.
    ports: [u16; 2],
    law: Arc<Law>,
}

impl Pair {
    fn new(sides: [Arc<Side>; 2]) -> Self {
        let [legacy, candidate] =
            sides.each_ref().map(|side| proxy::start(&side.server.host, side.server.port));
        Self { sides, ports: [legacy.0, candidate.0], law: candidate.1 }
    }
}

pub async fn run(words: &[String]) {
    let chosen: Vec<_> =
        slowdowns().into_iter().filter(|(name, _)| words.iter().any(|word| word == name)).collect();
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
        How::Proxy { share, tail } => {
            pair.law.share(*share, *tail);
            let by = [legacy.uri_by(pair.ports[0]), candidate.uri_by(pair.ports[1])];
            let line = loaded(name, pair.sides.each_ref(), &by, MIXED, seconds).await;
            pair.law.share(0, 0);
            line
        }
        How::TinyBuffers => {
            loaded(name, [legacy, tiny], &[direct[0].clone(), tiny.uri().to_owned()], MIXED, seconds).await
        }
    }
}

async fn loaded(name: &str, sides: [&Arc<Side>; 2], uris: &[String; 2], traffic: &str, seconds: u32) -> Line {
    let _noise = noise::shared(&sides.map(Clone::clone));
    // What was done settles first.
    sleep(Duration::from_secs(1)).await;
    let load = Load {
        legacy: Some(&uris[0]),
        candidate: Some(&uris[1]),
        traffic,
        rate: 1_000,
        duration: &format!("{seconds}s"),
        further: if traffic == MIXED { &["--write-to-legacy"] } else { &[] },
    };
    let processors = Processors::now();
    Line::new(name, seconds, &load.run(), processors)
}
