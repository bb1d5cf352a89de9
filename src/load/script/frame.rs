//! The variables of a script while it runs, once for each arrival.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{
    evaluate::{Trouble, evaluate},
    expression::Expression,
};
use crate::load::parameter::Value;

/// The variables, and where chance comes from: the arrival's own seed, so that the same schedule does the same again.
#[derive(Debug)]
pub(in crate::load) struct Frame {
    variables: Vec<Value>,
    rng: ChaCha8Rng,
}

impl Frame {
    /// `count` variables, of which the first is `:scale`.
    pub(in crate::load) fn new(count: usize, scale: i64, seed: u64) -> Self {
        let mut variables = vec![Value::Null; count];
        if let Some(first) = variables.first_mut() {
            *first = Value::Int(scale);
        }
        Self { variables, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    pub(in crate::load) fn get(&self, slot: usize) -> &Value {
        self.variables.get(slot).unwrap_or(&Value::Null)
    }

    pub(in crate::load) fn put(&mut self, slot: usize, value: Value) {
        if let Some(variable) = self.variables.get_mut(slot) {
            *variable = value;
        }
    }

    pub(in crate::load) fn set(&mut self, slot: usize, expression: &Expression) -> Result<(), Trouble> {
        let value = evaluate(expression, &self.variables, &mut self.rng)?;
        self.put(slot, value.into());
        Ok(())
    }
}
