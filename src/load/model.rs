//! A traffic model, understood: its classes, what each does step by step, and how often.
//!
//! Decides what a class is (one statement, a transaction, a script), what it is called, and whether it may write; and
//! refuses what can't be load, with the place. The CRD refuses most of it already; a stored object may be older than the
//! CRD, and a file at the command line never saw it. Pure: keys that are sampled from a table are read by
//! [`super::keys`] and given to the model afterwards.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    act::{Act, act, calls_functions, is_felt_though_read_only},
    sampler::{Keys, Sampler},
    scan,
    script::{self, ScriptError},
    step::{Argument, Query, Step},
};
use crate::api::{Access, Parameter, SampleParameter, Script, Statement, Traffic};

/// Most classes.
const MAX_CLASSES: usize = 64;
/// Most statements of all classes together: each connection prepares each of them.
const MAX_QUERIES: usize = 256;
/// Most tables and columns that keys are sampled from.
pub(super) const MAX_SAMPLES: usize = 64;

/// Why a traffic model can't be turned into load. Places are counted from 1.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
pub enum TrafficError {
    /// No statements.
    #[error("the traffic model has no statements; give it at least one")]
    Empty,
    /// More classes than a comparison can tell apart.
    #[error("the traffic model has more than {MAX_CLASSES} statements and scripts")]
    TooManyClasses,
    /// More statements than connections could prepare in time.
    #[error("the traffic model has more than {MAX_QUERIES} statements in all")]
    TooManyStatements,
    /// More samples than memory is for.
    #[error("the traffic model samples more than {MAX_SAMPLES} columns")]
    TooManySamples,
    /// A weight below 1.
    #[error("{place} of the traffic model has a weight below 1")]
    Weight {
        /// Of which class.
        place: String,
    },
    /// Two classes of one name.
    #[error("two classes of the traffic model are called {name:?}")]
    Name {
        /// What.
        name: String,
    },
    /// Neither or both of a statement and a transaction.
    #[error("{place} of the traffic model must have exactly one of sql and transaction")]
    Kind {
        /// Which class.
        place: String,
    },
    /// It writes in a model that does not.
    #[error("{place} of the traffic model can't be ReadWrite: the model is ReadOnly")]
    Access {
        /// Which class.
        place: String,
    },
    /// A statement that is not for load.
    #[error("{place} of the traffic model can't be sent: {reason}")]
    Statement {
        /// Which.
        place: String,
        /// Why.
        reason: String,
    },
    /// A parameter without a source of values, or with several.
    #[error(
        "parameter {parameter} of {place} of the traffic model gives no values: give exactly one of int, with min not \
         above max, sequence, choice, with at least one value, and sample, with a count of 1 to 10000"
    )]
    Parameter {
        /// Of which statement.
        place: String,
        /// Which.
        parameter: usize,
    },
    /// A script that is not understood.
    #[error("script {name:?} of the traffic model can't be used: {error}")]
    Script {
        /// Which.
        name: String,
        /// Why.
        error: ScriptError,
    },
}

/// One class of the mix.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Class {
    pub(super) name: String,
    /// Whether it may only read.
    pub(super) read_only: bool,
    /// Whether its statements may run functions that switch a session's being read-only off.
    pub(super) runs_functions: bool,
    pub(super) steps: Vec<Step>,
    /// Of the parameters that are drawn with each arrival.
    pub(super) samplers: Vec<Sampler>,
    /// The variables of a script; empty where there is none.
    pub(super) variables: Vec<String>,
    /// The value of a script's `:scale`.
    pub(super) scale: i64,
}

impl Class {
    pub(super) fn is_script(&self) -> bool {
        !self.variables.is_empty()
    }
}

/// A traffic model, understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Model {
    pub(super) classes: Vec<Class>,
    /// Whether none of them may write.
    pub(super) read_only: bool,
    /// The sums of the weights up to each class; not empty, increasing.
    cumulative: Vec<u64>,
    /// What is to be sampled, each once.
    samples: Vec<SampleParameter>,
    pub(super) keys: Keys,
}

impl Model {
    pub(super) fn new(traffic: &Traffic) -> Result<Self, TrafficError> {
        let mut model = Self {
            classes: Vec::with_capacity(traffic.statements.len() + traffic.scripts.len()),
            read_only: traffic.access == Access::ReadOnly,
            cumulative: Vec::new(),
            samples: Vec::new(),
            keys: Keys::default(),
        };
        for (index, statement) in traffic.statements.iter().enumerate() {
            let class = model.of_statement(statement, index + 1, traffic.access)?;
            model.add(class, statement.weight)?;
        }
        for script in &traffic.scripts {
            model.add(of_script(script, traffic.access)?, script.weight)?;
        }
        if model.classes.len() > MAX_CLASSES {
            return Err(TrafficError::TooManyClasses);
        }
        let queries = model.classes.iter().flat_map(|class| &class.steps);
        if queries.filter(|step| matches!(step, Step::Send(_))).count() > MAX_QUERIES {
            return Err(TrafficError::TooManyStatements);
        }
        let names: BTreeSet<_> = model.classes.iter().map(|class| &class.name).collect();
        if names.len() < model.classes.len() {
            return Err(TrafficError::Name { name: model.repeated_name() });
        }
        if model.classes.is_empty() { Err(TrafficError::Empty) } else { Ok(model) }
    }

    /// What [`super::keys`] has to read before anything can be drawn.
    pub(super) fn samples(&self) -> &[SampleParameter] {
        &self.samples
    }

    /// The class at a point of the sum of all weights, which is below [`Self::total`].
    pub(super) fn class_at(&self, point: u64) -> usize {
        self.cumulative.partition_point(|sum| *sum <= point)
    }

    pub(super) fn total(&self) -> u64 {
        self.cumulative.last().copied().unwrap_or(1)
    }

    /// The share of each class in the arrivals.
    pub(super) fn shares(&self) -> Vec<f64> {
        let before = std::iter::once(0).chain(self.cumulative.iter().copied());
        let weights = before.zip(&self.cumulative).map(|(before, sum)| sum - before);
        weights.map(|weight| float(weight) / float(self.total())).collect()
    }

    fn add(&mut self, mut class: Class, weight: i32) -> Result<(), TrafficError> {
        for step in &class.steps {
            // What can't be read was refused already.
            let Step::Send(query) = step else { continue };
            let Ok(tokens) = scan::tokens(&query.sql) else { continue };
            if class.read_only && is_felt_though_read_only(&tokens) {
                return Err(TrafficError::Statement {
                    place: query.place.clone(),
                    reason: REFUSED_AS_FELT.to_owned(),
                });
            }
            class.runs_functions |= calls_functions(&tokens);
        }
        let weight = u64::try_from(weight).ok().filter(|weight| *weight > 0);
        let weight = weight.ok_or_else(|| TrafficError::Weight { place: class.name.clone() })?;
        self.cumulative.push(self.cumulative.last().unwrap_or(&0) + weight);
        self.classes.push(class);
        Ok(())
    }

    fn repeated_name(&self) -> String {
        let mut seen = BTreeSet::new();
        let repeated = self.classes.iter().find(|class| !seen.insert(&class.name));
        repeated.map(|class| class.name.clone()).unwrap_or_default()
    }

    fn of_statement(
        &mut self,
        model: &Statement,
        number: usize,
        access: Access,
    ) -> Result<Class, TrafficError> {
        let place = format!("statement {number}");
        let mut class = Class {
            name: model.name.clone().unwrap_or_else(|| place.clone()),
            read_only: read_only(&place, model.access, access)?,
            runs_functions: false,
            steps: Vec::new(),
            samplers: Vec::new(),
            variables: Vec::new(),
            scale: 1,
        };
        match (&model.sql, model.transaction.as_slice()) {
            (Some(sql), []) => self.add_query(&mut class, place, sql, &model.params)?,
            (None, [_, ..]) if model.params.is_empty() => {
                class.steps.push(Step::Begin);
                for (index, part) in model.transaction.iter().enumerate() {
                    let place = format!("part {} of statement {number}", index + 1);
                    self.add_query(&mut class, place, &part.sql, &part.params)?;
                }
                class.steps.push(Step::Commit);
            }
            _ => return Err(TrafficError::Kind { place }),
        }
        Ok(class)
    }

    fn add_query(
        &mut self,
        class: &mut Class,
        place: String,
        sql: &str,
        params: &[Parameter],
    ) -> Result<(), TrafficError> {
        is_for_load(sql).map_err(|reason| TrafficError::Statement { place: place.clone(), reason })?;
        let first = class.samplers.len();
        for (index, parameter) in params.iter().enumerate() {
            let sampler = Sampler::new(parameter, |sample| self.slot_of(sample));
            let fault = || TrafficError::Parameter { place: place.clone(), parameter: index + 1 };
            class.samplers.push(sampler.ok_or_else(fault)?);
        }
        if self.samples.len() > MAX_SAMPLES {
            return Err(TrafficError::TooManySamples);
        }
        let arguments = (first..class.samplers.len()).map(Argument::Drawn).collect();
        class.steps.push(Step::Send(Query { place, sql: sql.to_owned(), arguments, gset: None }));
        Ok(())
    }

    /// The same sample is read once, however many parameters are drawn from it.
    fn slot_of(&mut self, sample: &SampleParameter) -> usize {
        let known = self.samples.iter().position(|known| known == sample);
        known.unwrap_or_else(|| {
            self.samples.push(sample.clone());
            self.samples.len() - 1
        })
    }
}

fn of_script(model: &Script, access: Access) -> Result<Class, TrafficError> {
    let script = script::parse(&model.name, &model.script)
        .map_err(|error| TrafficError::Script { name: model.name.clone(), error })?;
    Ok(Class {
        name: model.name.clone(),
        read_only: read_only(&format!("script {:?}", model.name), model.access, access)?,
        runs_functions: false,
        steps: script.steps,
        samplers: Vec::new(),
        variables: script.variables,
        scale: i64::from(model.scale),
    })
}

/// Why a statement is not for traffic that only reads.
const REFUSED_AS_FELT: &str = "LOCK, NOTIFY, pg_notify and pg_advisory_xact_lock are carried out in a read-only transaction, too, and others feel \
                    them: leave it out, or give access: ReadWrite";

#[allow(clippy::cast_precision_loss, reason = "sums of at most 64 weights of a million")]
fn float(weight: u64) -> f64 {
    weight as f64
}

/// Whether a class may only read: what a model does not allow, none of its classes may.
fn read_only(place: &str, own: Option<Access>, model: Access) -> Result<bool, TrafficError> {
    match (own.unwrap_or(model), model) {
        (Access::ReadOnly, _) => Ok(true),
        (Access::ReadWrite, Access::ReadWrite) => Ok(false),
        (Access::ReadWrite, Access::ReadOnly) => Err(TrafficError::Access { place: place.to_owned() }),
    }
}

/// What would end the transaction it runs in, or change the session for all that follows, is not for load.
fn is_for_load(sql: &str) -> Result<(), String> {
    let tokens = scan::tokens(sql).map_err(|fault| fault.to_string())?;
    match act(&tokens) {
        Act::Reads | Act::Writes => Ok(()),
        Act::Begins | Act::Commits => {
            Err("list the statements of a transaction under transaction".to_owned())
        }
        Act::Other => {
            Err("only SELECT, VALUES, TABLE, WITH, SHOW, EXPLAIN, INSERT, UPDATE, DELETE, MERGE, CALL, LOCK \
                           and NOTIFY are for load, without session-level advisory locks and functions that change settings, other sessions or the server, such as \
                           set_config and pg_terminate_backend"
                .to_owned())
        }
    }
}

/// Whether a traffic model can be used at all, as far as it can be said without a database.
pub fn check(traffic: &Traffic) -> Result<(), TrafficError> {
    Model::new(traffic).map(|_| ())
}

/// Shared, because connections that are opened again prepare from it, too.
pub(super) type SharedModel = Arc<Model>;
