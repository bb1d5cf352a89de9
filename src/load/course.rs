//! How the rate of arrivals changes over the time of a load.
//!
//! Decides when an arrival is due, by inverting the cumulated rate: a Poisson process whose rate varies is one of rate 1
//! whose moments are mapped through the inverse of the cumulated rate (E. Çinlar, "Introduction to Stochastic
//! Processes", 1975, chapter 4). The course is a line through points, so the cumulated rate is a parabola between each
//! two of them, and its inverse exact: no arrival is drawn only to be thrown away. Pure.

use std::time::Duration;

use crate::{
    api::{ArrivalProcess, RatePoint},
    duration::{self, DurationError},
};

/// Why a shape can't be followed. Points are counted from 1.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
pub enum ShapeError {
    /// A moment can't be read.
    #[error("point {point} of shape: at can't be read: {error}")]
    At {
        /// Of which point.
        point: usize,
        /// Why.
        error: DurationError,
    },
    /// A point is before the one that precedes it.
    #[error(
        "point {point} of shape is earlier than the one before it; put them in the order of their moments"
    )]
    Order {
        /// Which.
        point: usize,
    },
    /// A percentage is out of bounds.
    #[error("point {point} of shape: percent must be between 0 and 100")]
    Percent {
        /// Of which point.
        point: usize,
    },
}

/// Of the rate, at the beginning of a warm-up.
const FIRST_SHARE: f64 = 0.1;
/// Part of the warm-up that it rises in.
const RISE: f64 = 2.0 / 3.0;

/// The course of a rate, and how arrivals follow each other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Course {
    /// Moments in seconds, and the share of the rate there; empty for all of the rate all of the time.
    points: Vec<(f64, f64)>,
    process: ArrivalProcess,
}

impl Course {
    /// The course through `points`.
    pub fn new(points: &[RatePoint], process: ArrivalProcess) -> Result<Self, ShapeError> {
        let mut course = Self { points: Vec::with_capacity(points.len()), process };
        let mut last = 0.0;
        for (index, model) in points.iter().enumerate() {
            let point = index + 1;
            let at = duration::parse(&model.at).map_err(|error| ShapeError::At { point, error })?;
            let at = at.as_secs_f64();
            if at < last {
                return Err(ShapeError::Order { point });
            }
            if !(0..=100).contains(&model.percent) {
                return Err(ShapeError::Percent { point });
            }
            last = at;
            course.points.push((at, f64::from(model.percent) / 100.0));
        }
        Ok(course)
    }

    /// How many seconds of the full rate there are in `length`.
    pub(crate) fn area(&self, length: Duration) -> f64 {
        let length = length.as_secs_f64();
        let share = self.points.first().map_or(1.0, |(_, share)| *share);
        let (mut from, mut area) = ((0.0, share), 0.0);
        for &(to, share_to) in &self.points {
            let end = to.min(length);
            // A step takes no time, and so brings nothing.
            if end > from.0 {
                let share_at_end = from.1 + (share_to - from.1) * (end - from.0) / (to - from.0);
                area += f64::midpoint(from.1, share_at_end) * (end - from.0);
            }
            from = (to, share_to);
        }
        area + from.1 * (length - from.0).max(0.0)
    }

    /// The same course after a warm-up in which the load comes on gradually: from a tenth of the rate that it begins with (of a
    /// tenth of the full rate, where that is less) to all of that, which the last third has. A server that can't bear the rate shows it on the way there.
    pub(super) fn warmed_up(self, warm_up: Duration) -> Self {
        let length = warm_up.as_secs_f64();
        if warm_up.is_zero() {
            return self;
        }
        // A course that begins with nothing is warmed up for all the same.
        let share = self.points.first().map_or(1.0, |(_, share)| share.max(FIRST_SHARE));
        let rise = [(0.0, share * FIRST_SHARE), (length * RISE, share), (length, share)];
        let later = self.points.into_iter().map(|(at, share)| (at + length, share));
        Self { points: rise.into_iter().chain(later).collect(), process: self.process }
    }

    /// The moments that it goes through, with the percentage of the rate at each.
    pub(super) fn points(&self) -> impl Iterator<Item = (Duration, f64)> {
        self.points.iter().map(|(at, share)| (Duration::from_secs_f64(*at), (share * 100.0).round()))
    }

    pub(super) fn process(&self) -> ArrivalProcess {
        self.process
    }
}

/// Follows a course from its beginning, forward only.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    course: Course,
    /// The point that ends the current stretch.
    next: usize,
    /// Where the current stretch begins: moment, share of the rate, and area under the course before it.
    from: (f64, f64),
    before: f64,
}

impl Cursor {
    pub(super) fn new(course: Course) -> Self {
        let share = course.points.first().map_or(1.0, |(_, share)| *share);
        Self { course, next: 0, from: (0.0, share), before: 0.0 }
    }

    /// When the area under the course, in seconds at the full rate, reaches `area`, which is no less than the last time
    /// it was asked for. `None` if it never does.
    pub(super) fn moment(&mut self, area: f64) -> Option<Duration> {
        let (from, share) = loop {
            let (from, share) = self.from;
            let Some(&(to, share_to)) = self.course.points.get(self.next) else {
                break (from, share);
            };
            let stretch = f64::midpoint(share, share_to) * (to - from);
            if area < self.before + stretch {
                let slope = (share_to - share) / (to - from);
                return seconds(from + on_line(share, slope, area - self.before));
            }
            self.before += stretch;
            self.from = (to, share_to);
            self.next += 1;
        };
        // After the last point the rate stays; at zero nothing ever comes again.
        if share > 0.0 { seconds(from + (area - self.before) / share) } else { None }
    }
}

/// How long until a rate of `share`, changing by `slope` a second, has amounted to `area`: the root of
/// `slope / 2 t² + share t = area`, in the form that does not divide by a slope of zero.
fn on_line(share: f64, slope: f64, area: f64) -> f64 {
    let root = (share * share + 2.0 * slope * area).max(0.0).sqrt();
    if area <= 0.0 { 0.0 } else { 2.0 * area / (share + root) }
}

fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: &str, percent: i32) -> RatePoint {
        RatePoint { at: at.to_owned(), percent }
    }

    fn cursor(points: &[RatePoint]) -> Cursor {
        Cursor::new(Course::new(points, ArrivalProcess::Fixed).unwrap())
    }

    #[track_caller]
    fn assert_moments(points: &[RatePoint], expected: &[(f64, Option<f64>)]) {
        let mut cursor = cursor(points);
        for (area, at) in expected {
            let seen = cursor.moment(*area).map(|at| at.as_secs_f64());
            let is_close = match (seen, at) {
                (Some(seen), Some(at)) => (seen - at).abs() < 1e-6,
                (seen, at) => seen.is_none() && at.is_none(),
            };
            assert!(is_close, "area {area}: {seen:?} instead of {at:?}");
        }
    }

    #[test]
    fn without_points_time_and_area_are_the_same() {
        assert_moments(&[], &[(0.0, Some(0.0)), (1.5, Some(1.5)), (3600.0, Some(3600.0))]);
    }

    #[test]
    fn the_area_is_what_arrives_in_all() {
        let shape = [point("1s", 50), point("3s", 100), point("3s", 0), point("5s", 0), point("5s", 20)];
        let course = Course::new(&shape, ArrivalProcess::Fixed).unwrap();
        for (seconds, area) in [(0.0, 0.0), (1.0, 0.5), (2.0, 1.125), (3.0, 2.0), (4.5, 2.0), (10.0, 3.0)] {
            let seen = course.area(Duration::from_secs_f64(seconds));
            assert!((seen - area).abs() < 1e-9, "{seconds}: {seen}");
        }
    }

    #[test]
    fn a_ramp_is_a_parabola() {
        // From 0 to 100 % in 10 s: after t seconds t²/20 have come; then 1 a second.
        let ramp = [point("0s", 0), point("10s", 100)];
        assert_moments(&ramp, &[(0.0, Some(0.0)), (0.2, Some(2.0)), (5.0, Some(10.0)), (7.0, Some(12.0))]);
        // And down again, to nothing.
        let down = [point("0s", 100), point("10s", 0)];
        assert_moments(&down, &[(3.75, Some(5.0)), (5.1, None)]);
    }

    #[test]
    fn two_points_at_a_moment_are_a_step_and_a_pause_is_passed_over() {
        let steps = [
            point("2s", 50),
            point("2s", 100),
            point("4s", 100),
            point("4s", 0),
            point("9s", 0),
            point("9s", 20),
        ];
        assert_moments(
            &steps,
            &[(0.5, Some(1.0)), (1.5, Some(2.5)), (2.9, Some(3.9)), (3.2, Some(10.0)), (4.0, Some(14.0))],
        );
    }

    #[test]
    fn a_warm_up_rises_from_a_tenth_to_what_the_course_begins_with() {
        let ramp = [point("0s", 20), point("10s", 100)];
        let from_nothing = [point("0s", 0), point("10s", 100)];
        for (points, at, expected) in [
            (&[][..], 1, 0.2125),
            (&[], 4, 2.2),
            (&[], 7, 5.2),
            (&ramp, 4, 0.44),
            (&ramp, 6, 0.84),
            (&ramp, 16, 6.84),
            (&from_nothing, 4, 0.22),
            (&from_nothing, 16, 5.42),
        ] {
            let course = Course::new(points, ArrivalProcess::Fixed).unwrap();
            let area = course.warmed_up(Duration::from_secs(6)).area(Duration::from_secs(at));
            assert!((area - expected).abs() < 1e-9, "{at}: {area}");
        }
        let course = Course::new(&ramp, ArrivalProcess::Fixed).unwrap();
        assert_eq!(course.clone().warmed_up(Duration::ZERO), course);
    }

    #[test]
    fn what_can_not_be_followed_says_which_point() {
        let refused = |points: &[RatePoint]| Course::new(points, ArrivalProcess::Poisson).unwrap_err();
        assert_eq!(refused(&[point("2s", 1), point("1s", 1)]), ShapeError::Order { point: 2 });
        assert_eq!(refused(&[point("2s", 101)]), ShapeError::Percent { point: 1 });
        assert_eq!(refused(&[point("2s", -1)]), ShapeError::Percent { point: 1 });
        assert!(matches!(refused(&[point("soon", 1)]), ShapeError::At { point: 1, .. }));
    }
}
