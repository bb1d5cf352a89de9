//! What arrives when: arrivals along the course of a rate, each with a class and its parameters, from a seed.
//!
//! The schedule is fixed before anything is sent, and knows nothing of the server: arrivals that a slow server holds up
//! stay due when they were due. The same seed gives the same schedule. It is an iterator, so that an hour at 20,000
//! a second takes no memory. Where two servers are compared, each call of a class that only reads comes twice, one after the
//! other of its class: both servers are to be asked the same (common random numbers: Law, Simulation Modeling and Analysis,
//! chapter 11), or what one of them happened to be asked would look like a difference between them. Pure: never looks at a clock.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    course::{Course, Cursor},
    model::Model,
    parameter::Value,
};
use crate::api::ArrivalProcess;

/// A call and when it is due.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arrival {
    /// From the start.
    pub(super) at: Duration,
    pub(super) call: Call,
}

/// One execution of a class.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// Which of the model's classes.
    pub(super) class: usize,
    /// The parameters of its statements, one after the other.
    pub(super) parameters: Vec<Value>,
    /// Where a script's chance comes from.
    pub(super) seed: u64,
}

/// Calls, one after the other, whenever they may be due.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    model: Arc<Model>,
    rng: ChaCha8Rng,
    /// Of each class so far, each once.
    counts: Vec<i64>,
    /// Of each class the call that comes once more, and after that another one.
    twins: Vec<Option<Call>>,
    is_twice: bool,
}

impl Calls {
    pub(super) fn new(model: Arc<Model>, rng: ChaCha8Rng) -> Self {
        let classes = model.classes.len();
        Self { counts: vec![0; classes], twins: vec![None; classes], is_twice: false, model, rng }
    }

    pub(super) fn draw(&mut self) -> Call {
        let class = self.model.class_at(self.rng.random_range(0..self.model.total()));
        // Drawn in any case, so that moments and classes are the same whether calls come twice or not.
        let drawn = self.draw_of(class);
        if let Some(twin) = self.twins[class].take() {
            return twin;
        }
        self.counts[class] += 1;
        if self.is_twice && self.model.classes[class].read_only {
            self.twins[class] = Some(drawn.clone());
        }
        drawn
    }

    fn draw_of(&mut self, class: usize) -> Call {
        let count = self.counts[class];
        let samplers = &self.model.classes[class].samplers;
        let parameters =
            samplers.iter().map(|sampler| sampler.draw(&mut self.rng, count, &self.model.keys)).collect();
        Call { class, parameters, seed: self.rng.random() }
    }
}

/// The arrivals, in order.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    calls: Calls,
    rate: f64,
    length: Duration,
    process: ArrivalProcess,
    cursor: Cursor,
    /// Arrivals that the full rate would have brought by now.
    due: f64,
}

impl Schedule {
    /// `rate` is in arrivals per second, where the course is at its full height.
    pub(super) fn new(model: Arc<Model>, rate: u32, course: &Course, length: Duration, seed: u64) -> Self {
        Self {
            calls: Calls::new(model, ChaCha8Rng::seed_from_u64(seed)),
            rate: f64::from(rate.max(1)),
            length,
            process: course.process(),
            cursor: Cursor::new(course.clone()),
            due: 0.0,
        }
    }

    /// Each call of a class that only reads comes twice, for either of two servers; moments and classes stay. What writes does not:
    /// where one server replicates the other the same row would be written twice there.
    pub(super) fn twice(mut self) -> Self {
        self.calls.is_twice = true;
        self
    }

    pub(super) fn classes(&self) -> usize {
        self.calls.counts.len()
    }

    /// When the next arrival is due.
    fn moment(&mut self) -> Option<Duration> {
        match self.process {
            // The gaps of a Poisson process are exponential; 1 - u is above zero, so the logarithm is finite.
            ArrivalProcess::Poisson => {
                let u: f64 = self.calls.rng.random();
                self.due -= (1.0 - u).ln();
                self.cursor.moment(self.due / self.rate)
            }
            ArrivalProcess::Fixed => {
                let at = self.cursor.moment(self.due / self.rate);
                self.due += 1.0;
                at
            }
        }
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let length = self.length;
        let at = self.moment().filter(|at| *at < length)?;
        Some(Arrival { at, call: self.calls.draw() })
    }
}

#[cfg(test)]
mod tests;
