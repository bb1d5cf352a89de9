//! Two servers that are alike, with noise beside them: how often is a difference found that is none?
//!
//! Each verdict is of a load of its own, one after the other. `shared` (the default) and `private` say what noise;
//! `runs=N` how many verdicts are added (300 is the aim, and takes six hours); `120s` how long each takes (60 s).

use crate::{
    command::{Load, MIXED},
    machine::Processors,
    noise,
    results::{self, Line},
    side::Side,
};

const RUNS: u32 = 20;

pub async fn run(words: &[String]) {
    let is_private = words.iter().any(|word| word == "private");
    let what = if is_private { "private" } else { "shared" };
    let sides =
        [Side::start("bench-alike-legacy", &[]).await, Side::start("bench-alike-candidate", &[]).await];
    let _noise = if is_private { noise::private(&sides) } else { noise::shared(&sides) };
    let seconds = results::seconds(words);
    let load = Load {
        legacy: Some(sides[0].uri()),
        candidate: Some(sides[1].uri()),
        traffic: MIXED,
        rate: 1_000,
        duration: &format!("{seconds}s"),
        further: &["--write-to-legacy"],
    };
    for run in 1..=results::runs(words).unwrap_or(RUNS) {
        let processors = Processors::now();
        let line = Line::new(what, seconds, &load.run(), processors);
        println!("alike {what}, run {run}: {:?}", line.verdict);
        results::add("alike", &line);
    }
    results::summary("alike");
}
