use super::*;
use crate::load::report::{Arms, Class, Comparison, Counter, CurvePoint, Second, Settings};

fn arm(slower: u64) -> Arm {
    let latency = Percentiles {
        p50_us: Some(800 * slower / 100),
        p95_us: Some(4_200 * slower / 100),
        p99_us: Some(15_000 * slower / 100),
        max_us: 61_000,
    };
    let curve = [(0.5, 800), (0.9, 2_500), (0.95, 4_200), (0.99, 15_000), (0.999, 40_000), (0.9999, 61_000)]
        .map(|(share, us)| CurvePoint { share, us: us * slower / 100 });
    let second = |at: u32| Second {
        at,
        ok: 500 + u64::from(at * 37 % 41),
        failed: u64::from(at == 20 && slower > 100) * 3,
        p50_us: (800 + u64::from(at * 13 % 50)) * slower / 100,
        p95_us: (4_000 + u64::from(at * 131 % 900)) * slower / 100,
    };
    Arm {
        server_version: "15.18".to_owned(),
        scheduled: 30_000,
        ok: 29_997,
        errors: 3,
        latency,
        service: latency,
        curve: curve.to_vec(),
        seconds: (0..60).map(second).collect(),
        send_lag_p50_us: slower / 4,
        send_lag_p99_us: slower * 4,
        error_classes: vec!["<script>57014</script>: 3".to_owned()],
        ..Arm::default()
    }
}

pub(crate) fn sample() -> LoadReport {
    let compared = |class: &str, percentile: &str, ratio: f64, verdict| Comparison {
        class: class.to_owned(),
        percentile: percentile.to_owned(),
        ratio,
        low: Some(ratio * 0.97),
        high: Some(ratio * 1.04),
        margin: 1.05,
        shift_us: 130,
        verdict,
        reason: "the interval is right of the margin".to_owned(),
    };
    LoadReport {
        verdict: Verdict::Fail,
        message: "orders by customer: p50 is 1.55 times that of legacy, above the margin of 1.05".to_owned(),
        arms: Arms { legacy: Some(arm(100)), candidate: Some(arm(112)) },
        comparison: vec![
            compared("all", "p50", 1.02, Verdict::Pass),
            compared("all", "p95", 1.01, Verdict::Pass),
            compared("orders by customer", "p50", 1.55, Verdict::Fail),
        ],
        classes: vec![Class {
            name: "a < b & c".to_owned(),
            text: "SELECT a FROM t WHERE a < $1".to_owned(),
            share: 0.05,
            legacy: Some(ClassSide { ok: 1500, failed: 0, latency: arm(100).latency }),
            candidate: None,
        }],
        noise_shared: Some(true),
        noise: Some(NoiseFigures {
            correlation: [0.91, 0.84],
            with_the_next_second: Some([0.52, 0.47]),
            autocorrelation_s: 3.0,
        }),
        counters: vec![Counter {
            name: "pg_stat_wal.wal_bytes".to_owned(),
            legacy: Some(123_456.0),
            candidate: None,
        }],
        notes: vec!["a note about <the servers>".to_owned()],
        settings: Settings {
            command: "cutover load --traffic orders.yaml --seed 42".to_owned(),
            ..Settings::default()
        },
        duration_s: 60.0,
        seed: 42,
        ..LoadReport::default()
    }
}

#[test]
fn the_page_stands_alone_and_escapes_what_others_wrote() {
    let page = html(&sample());
    if let Some(path) = std::env::var_os("CUTOVER_SAMPLE_REPORT") {
        std::fs::write(path, &page).unwrap();
    }
    assert!(page.contains("&lt;script&gt;57014") && !page.contains("<script"), "a text was not escaped");
    assert!(page.contains("a &lt; b &amp; c") && page.contains("SELECT a FROM t WHERE a &lt; $1"));
    for outside in ["src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside} leads outside");
    }
    assert_eq!(page.matches("<svg").count(), 4, "a picture is missing");
    for of_each_side in
        ["legacy, sent late by", "candidate, sent late by", "25 µs", "400 µs", "28 µs", "448 µs"]
    {
        assert!(page.contains(of_each_side), "{of_each_side} of the lateness is missing");
    }
}

#[test]
fn the_page_says_what_the_verdict_rests_on_and_how_to_run_it_again() {
    let page = html(&sample());
    for part in [
        "Load check: Fail",
        "orders by customer: p50 is 1.55 times that of legacy",
        "Both servers felt the same noise",
        "correlate by 0.91 for p50 and 0.84 for p95, 0.52 for p50 and 0.47 for p95 with the next second; the ratio's autocorrelation time is 3.0 s",
        "a note about &lt;the servers&gt;",
        "1.550</td><td class=\"n\">1.504</td><td class=\"n\">1.612</td><td class=\"n\">1.050",
        "the interval is right of the margin",
        "<code>pg_stat_wal.wal_bytes</code></td><td class=\"n\">123456</td><td class=\"n\">–",
        "cutover load --traffic orders.yaml --seed 42",
        "How to read this",
    ] {
        assert!(page.contains(part), "{part} is not on the page");
    }
}

/// Scripts go by these names.
#[test]
fn a_comparison_has_the_names_that_are_documented() {
    let json = serde_json::to_value(sample()).unwrap();
    let compared = &json["comparison"][2];
    assert_eq!((&compared["class"], &compared["percentile"]), (&"orders by customer".into(), &"p50".into()));
    assert_eq!(
        ["ratio", "low", "high"].map(|name| compared[name].as_f64()),
        [1.55, 1.55 * 0.97, 1.55 * 1.04].map(Some)
    );
    assert_eq!((&compared["verdict"], &json["verdict"]), (&"Fail".into(), &"Fail".into()));
    assert_eq!(json["noise"]["autocorrelation_s"], 3.0);
}

#[test]
fn a_report_of_nothing_is_still_a_page() {
    let page = html(&LoadReport { message: "it could not be run".to_owned(), ..LoadReport::default() });
    assert!(page.contains("it could not be run") && !page.contains("<svg"));
}

#[test]
fn a_ratio_keeps_its_decimals_and_a_count_has_none() {
    assert_eq!(
        [Some(0.5512), Some(1.0), Some(0.0), Some(1234.0), None].map(number),
        ["0.551", "1", "0", "1234", "–"]
    );
}
