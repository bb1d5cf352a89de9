//! The verdict as a whole: on recordings, and on the simulation.

mod power;
mod simulation;
