//! The report's pictures, as SVG.
//!
//! Decides scales, colours and labels. A picture of nothing is left out. Latencies are drawn on a logarithmic scale, because
//! what matters is by how many times something is slower.

use std::{error::Error, fmt::Display, ops::Range};

use plotters::prelude::*;

use super::{Arm, Arms, Comparison};

const LEGACY: RGBColor = RGBColor(31, 119, 180);
const CANDIDATE: RGBColor = RGBColor(217, 95, 2);
const FAILED: RGBColor = RGBColor(178, 24, 43);
const GRID: RGBColor = RGBColor(230, 230, 230);
const WIDTH: u32 = 860;
const HEIGHT: u32 = 320;
const FONT: (&str, u32) = ("sans-serif", 13);

/// Why a picture could not be drawn. A bug of this program, never of what was measured.
type DrawError = Box<dyn Error>;
/// A line: its name, its colour, its width and its points.
type Line = (String, RGBColor, u32, Vec<(f64, f64)>);

fn colour(arm: &str) -> RGBColor {
    if arm == "legacy" { LEGACY } else { CANDIDATE }
}

/// Latency by share of the statements, on a scale that stretches the slowest.
pub(super) fn curve(arms: &Arms) -> Result<Option<String>, DrawError> {
    let nines = |share: f64| -(1.0 - share).log10();
    let lines = arms.each().into_iter().map(|(name, arm)| {
        let points = arm.curve.iter().filter(|point| point.share < 1.0);
        let points = points.map(|point| (nines(point.share), milliseconds(point.us))).collect();
        (name.to_owned(), colour(name), 2, points)
    });
    // Ticks are at halves; only 90 %, 99 %, … are numbers that anybody uses.
    let share = |x: &f64| {
        if (x - x.round()).abs() > 0.01 {
            return String::new();
        }
        format!("{} %", short(&(100.0 * (1.0 - 10_f64.powf(-x.round())))))
    };
    lines_chart("latency, ms", lines.collect(), true, share)
}

/// Latency in each second: the 95th percentile, and thinner the median.
pub(super) fn latency(arms: &Arms) -> Result<Option<String>, DrawError> {
    let line = |name: &str, what: &str, width, arm: &Arm, of: fn(&super::Second) -> u64| {
        let points = arm.seconds.iter().filter(|second| second.ok > 0);
        let points = points.map(|second| (f64::from(second.at), milliseconds(of(second)))).collect();
        (format!("{name} {what}"), colour(name), width, points)
    };
    let lines = arms.each().into_iter().flat_map(|(name, arm)| {
        [line(name, "p95", 2, arm, |s| s.p95_us), line(name, "p50", 1, arm, |s| s.p50_us)]
    });
    lines_chart("latency, ms", lines.collect(), true, seconds)
}

/// Answers and failures in each second.
pub(super) fn throughput(arms: &Arms) -> Result<Option<String>, DrawError> {
    let lines = arms.each().into_iter().flat_map(|(name, arm)| {
        let points = |of: fn(&super::Second) -> u64| -> Vec<(f64, f64)> {
            arm.seconds.iter().map(|second| (f64::from(second.at), count(of(second)))).collect()
        };
        let mut lines = vec![(format!("{name} answered"), colour(name), 2, points(|s| s.ok))];
        if arm.seconds.iter().any(|second| second.failed > 0) {
            lines.push((format!("{name} failed"), FAILED, 2, points(|s| s.failed)));
        }
        lines
    });
    lines_chart("statements per second", lines.collect(), false, seconds)
}

/// Each comparison as a ratio with its interval, and the margin that it must stay below.
pub(super) fn ratios(comparison: &[Comparison]) -> Result<Option<String>, DrawError> {
    if comparison.is_empty() {
        return Ok(None);
    }
    let rows = comparison.len();
    let mut svg = String::new();
    {
        let height = 90 + 24 * u32::try_from(rows)?;
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let ends = comparison.iter().flat_map(|c| [c.low, c.high, Some(c.margin)]).flatten();
        let (low, high) = ends
            .filter(|end| *end > 0.0 && end.is_finite())
            .fold((1.0_f64, 1.0_f64), |(low, high), end| (low.min(end), high.max(end)));
        let mut chart = ChartBuilder::on(&root)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(170)
            .build_cartesian_2d(low / 1.05..high * 1.05, 0.0..count(rows as u64))?;
        let name = |y: &f64| row_name(comparison, *y);
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .label_style(FONT)
            .x_desc("candidate / legacy")
            .x_label_formatter(&|x| format!("{x:.2}"))
            .y_labels(2 * rows + 1)
            .y_label_formatter(&name)
            .draw()?;
        let height = count(rows as u64);
        chart.draw_series([PathElement::new(vec![(1.0, 0.0), (1.0, height)], BLACK)])?;
        for (index, compared) in comparison.iter().enumerate() {
            let y = height - count(index as u64) - 0.5;
            let ends = vec![
                (compared.low.map_or(low, |end| end.max(low)), y),
                (compared.high.map_or(high, |end| end.min(high)), y),
            ];
            chart.draw_series([PathElement::new(ends, CANDIDATE.stroke_width(3))])?;
            chart.draw_series([Circle::new((compared.ratio.clamp(low, high), y), 5, CANDIDATE.filled())])?;
            let margin = vec![(compared.margin, y - 0.35), (compared.margin, y + 0.35)];
            chart.draw_series([PathElement::new(margin, FAILED.stroke_width(2))])?;
        }
        root.present()?;
    }
    Ok(Some(svg))
}

/// The name of the comparison whose middle is at `y`; none anywhere else.
fn row_name(comparison: &[Comparison], y: f64) -> String {
    let from_top = count(comparison.len() as u64) - y - 0.5;
    comparison
        .iter()
        .enumerate()
        .find(|(index, _)| (count(*index as u64) - from_top).abs() < 0.01)
        .map(|(_, compared)| format!("{} {}", compared.class, compared.percentile))
        .unwrap_or_default()
}

fn lines_chart(
    y_label: &str,
    lines: Vec<Line>,
    is_logarithmic: bool,
    x_format: impl Fn(&f64) -> String,
) -> Result<Option<String>, DrawError> {
    let points = || lines.iter().flat_map(|(_, _, _, points)| points.iter().copied());
    let (Some(x), Some(y)) = (range(points().map(|(x, _)| x)), range(points().map(|(_, y)| y))) else {
        return Ok(None);
    };
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        let mut builder = ChartBuilder::on(&root);
        builder.margin(10).margin_right(30).x_label_area_size(35).y_label_area_size(70);
        // The two scales are two types.
        macro_rules! draw {
            ($y:expr) => {{
                let mut chart = builder.build_cartesian_2d(x, $y)?;
                chart
                    .configure_mesh()
                    .light_line_style(WHITE)
                    .bold_line_style(GRID)
                    .label_style(FONT)
                    .y_desc(y_label)
                    .x_label_formatter(&x_format)
                    .y_label_formatter(&short)
                    .draw()?;
                for (name, colour, width, points) in lines {
                    chart
                        .draw_series(LineSeries::new(points, colour.stroke_width(width)))?
                        .label(name)
                        .legend(move |(x, y)| {
                            PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(width))
                        });
                }
                chart.configure_series_labels().background_style(WHITE.mix(0.85)).label_font(FONT).draw()?;
            }};
        }
        if is_logarithmic {
            draw!((y.start.max(0.001)..y.end * 1.2).log_scale());
        } else {
            draw!(0.0..y.end * 1.1);
        }
        root.present()?;
    }
    Ok(Some(svg))
}

/// From the least to the greatest, never empty; `None` of nothing.
fn range(values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return None;
    }
    Some(low..if high > low { high } else { low + 1.0 })
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature of a label's formatter")]
fn short(value: &f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn seconds(at: &impl Display) -> String {
    format!("{at} s")
}

fn milliseconds(us: u64) -> f64 {
    count(us) / 1000.0
}

/// A picture has no 2^53 of anything.
#[allow(clippy::cast_precision_loss, reason = "for a picture")]
pub(super) fn count(number: u64) -> f64 {
    number as f64
}
