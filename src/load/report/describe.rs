//! What a load has taken down, as its report shows it.
//!
//! Decides which percentiles can be told: one of fewer than ten samples beyond it is left out, not guessed.

use super::{
    Arm, Arms, Class, ClassSide, Comparison, CurvePoint, Generator, LoadReport, NoiseFigures, Percentiles,
    Second, Settings, command, enough,
};
use crate::{
    api::{Traffic, Verdict},
    load::{
        LoadSpec,
        duet::{self, Metric, Standing},
        histogram::Latencies,
        scan,
        taken::{LaneTaken, Taken},
    },
    text::clip,
};

/// Most of the text of a class that is shown.
const TEXT_MAX_CHARS: usize = 160;

/// Shares of the statements that the curve of latencies has points for, in ten-thousandths.
const CURVE: [u64; 17] = [
    1_000, 2_500, 5_000, 6_000, 7_000, 8_000, 9_000, 9_250, 9_500, 9_750, 9_900, 9_950, 9_975, 9_990, 9_995,
    9_998, 9_999,
];

/// Everything but the verdict and what the servers counted.
pub(in crate::load) fn describe(
    spec: &LoadSpec,
    taken: &Taken,
    comparisons: &[duet::Comparison],
) -> LoadReport {
    let arm = |arm| taken.lane(arm).map(|lane| described(lane, taken));
    LoadReport {
        arms: Arms { legacy: arm(duet::Arm::Legacy), candidate: arm(duet::Arm::Candidate) },
        comparison: comparisons.iter().filter_map(|compared| comparison(spec, taken, compared)).collect(),
        classes: classes(spec, taken),
        generator: generator(taken),
        settings: settings(spec, taken),
        seed: spec.seed,
        duration_s: taken.elapsed.as_secs_f64(),
        ..LoadReport::default()
    }
}

fn described(lane: &LaneTaken, taken: &Taken) -> Arm {
    let tally = &lane.tally;
    Arm {
        server_version: String::new(),
        scheduled: lane.scheduled,
        ok: tally.ok,
        errors: tally.errors,
        timeouts: tally.timeouts,
        skipped: lane.skipped,
        latency: percentiles(&tally.latency, tally.errors),
        service: percentiles(&tally.service, tally.errors),
        send_lag_p50_us: tally.lag.percentile_us(50, 0).unwrap_or(0),
        send_lag_p99_us: tally.lag.percentile_us(99, 0).unwrap_or(0),
        curve: curve(&tally.latency, tally.errors),
        seconds: (0..taken.recording.seconds()).filter_map(|at| second(taken, lane.arm, at)).collect(),
        error_classes: tally.error_classes(),
    }
}

/// Of all latencies of a side, of which so many failed.
pub(in crate::load) fn percentiles(latencies: &Latencies, failed: u64) -> Percentiles {
    let samples = latencies.count() + failed;
    let told = |percent| latencies.percentile_us(percent, failed).filter(|_| enough(samples, percent));
    Percentiles { p50_us: told(50), p95_us: told(95), p99_us: told(99), max_us: latencies.max_us() }
}

#[allow(clippy::cast_precision_loss, reason = "at most ten thousand")]
fn curve(latencies: &Latencies, failed: u64) -> Vec<CurvePoint> {
    let samples = latencies.count() + failed;
    let point = |share: u64| {
        let is_told = samples * (10_000 - share) >= 10_000;
        let us = latencies.share_us(share, failed).filter(|_| is_told)?;
        Some(CurvePoint { share: share as f64 / 10_000.0, us })
    };
    CURVE.into_iter().filter_map(point).collect()
}

fn second(taken: &Taken, arm: duet::Arm, at: u32) -> Option<Second> {
    let figures = taken.recording.figures(None, arm, at, at + 1);
    (figures.ok + figures.failed > 0).then(|| Second {
        at,
        ok: figures.ok,
        failed: figures.failed,
        p50_us: figures.p50_us.unwrap_or(figures.max_us),
        p95_us: figures.p95_us.unwrap_or(figures.max_us),
    })
}

fn comparison(spec: &LoadSpec, taken: &Taken, compared: &duet::Comparison) -> Option<Comparison> {
    let (Metric::Latency(percentile), Some(latency)) = (compared.metric, compared.latency) else {
        return None;
    };
    Some(Comparison {
        class: class_name(compared, taken),
        percentile: compared.metric.name().to_owned(),
        ratio: latency.ratio,
        low: latency.low,
        high: latency.high,
        margin: 1.0 + spec.rules().margin(percentile).fail,
        shift_us: latency.shift_us,
        verdict: of_standing(compared.standing),
        reason: compared.reason.clone(),
    })
}

/// What it is told from whether noise is shared; `None` where too little was measured.
pub(in crate::load) fn noise(noise: duet::Noise) -> Option<NoiseFigures> {
    let duet::Noise { correlation, next, drift } = noise;
    Some(NoiseFigures {
        correlation: correlation?.map(rounded),
        with_the_next_second: next.map(|next| next.map(rounded)),
        autocorrelation_s: rounded(drift),
    })
}

/// To three decimals.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// Of the class that was compared; `all` for all of them together.
pub(in crate::load) fn class_name(comparison: &duet::Comparison, taken: &Taken) -> String {
    let name = comparison.class.and_then(|class| taken.recording.class_names().get(class));
    name.map_or_else(|| "all".to_owned(), Clone::clone)
}

pub(in crate::load) fn of_standing(standing: Standing) -> Verdict {
    match standing {
        Standing::Worse => Verdict::Fail,
        Standing::NotWorse => Verdict::Pass,
        Standing::Open | Standing::Unpaired | Standing::TooFew => Verdict::Inconclusive,
    }
}

/// How the statements of each class begin, in the order of the classes, without values; nothing of scripts, which have names.
fn texts(traffic: &Traffic) -> impl Iterator<Item = String> {
    let statements = traffic.statements.iter().map(|statement| {
        let steps = statement.transaction.iter().map(|step| step.sql.as_str());
        let texts = statement.sql.as_deref().into_iter().chain(steps).map(scan::without_values);
        clip(&texts.collect::<Vec<_>>().join("; "), TEXT_MAX_CHARS)
    });
    statements.chain(traffic.scripts.iter().map(|_| String::new()))
}

fn classes(spec: &LoadSpec, taken: &Taken) -> Vec<Class> {
    let of = |(index, (name, text)): (usize, (&String, String))| {
        let side = |arm| {
            taken.lane(arm)?;
            let figures = taken.recording.figures(Some(index), arm, 0, taken.recording.seconds());
            let samples = figures.ok + figures.failed;
            let told = |us: Option<u64>, percent| us.filter(|_| enough(samples, percent));
            let latency = Percentiles {
                p50_us: told(figures.p50_us, 50),
                p95_us: told(figures.p95_us, 95),
                p99_us: told(figures.p99_us, 99),
                max_us: figures.max_us,
            };
            Some(ClassSide { ok: figures.ok, failed: figures.failed, latency })
        };
        Class {
            name: name.clone(),
            text,
            share: taken.shares.get(index).copied().unwrap_or(0.0),
            legacy: side(duet::Arm::Legacy),
            candidate: side(duet::Arm::Candidate),
        }
    };
    taken.recording.class_names().iter().zip(texts(&spec.traffic)).enumerate().map(of).collect()
}

#[allow(clippy::cast_precision_loss, reason = "microseconds and counts, for people")]
fn generator(taken: &Taken) -> Generator {
    let mut lanes = taken.lanes.iter().map(|lane| lane.tally.lag.clone());
    let Some(mut lag) = lanes.next() else { return Generator::default() };
    lanes.for_each(|lane| lag.add(&lane));
    Generator {
        send_lag_p50_us: lag.percentile_us(50, 0).unwrap_or(0),
        send_lag_p99_us: lag.percentile_us(99, 0).unwrap_or(0),
        cpu_us_per_statement: taken.cpu.as_micros() as f64 / taken.statements.max(1) as f64,
    }
}

fn settings(spec: &LoadSpec, taken: &Taken) -> Settings {
    let warm_up = if taken.lanes.len() > 1 { spec.warm_up.as_secs_f64() } else { 0.0 };
    Settings {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        traffic: spec.traffic.name.clone(),
        rate: spec.rate,
        connections: spec.connections,
        parallelism: taken.processes,
        warm_up_s: warm_up,
        statement_timeout_ms: u64::try_from(spec.statement_timeout.as_millis()).unwrap_or(u64::MAX),
        command: command(spec, if let [lane] = &taken.lanes[..] { Some(lane.arm) } else { None }),
    }
}
