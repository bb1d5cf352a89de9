//! The verdict as a whole: on recordings of calls, and on the simulation.

mod never_passes;
mod power;
mod recorded;
pub(super) mod simulation;
mod written;
