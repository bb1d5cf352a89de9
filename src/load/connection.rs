//! One of the load's connections: a session that is ready for every statement, and how a class is carried out on it.
//!
//! Decides what a failed connection means for the load as a whole (what the database can't do fails; what the traffic
//! model gets wrong is an error), and what an outcome is: an answer, an error, or a timeout. Statements are prepared and under the
//! session's limits where it is ours alone; else each brings its text along, in a transaction that brings the limits: a pooler would
//! pass a session's settings on to the application, and lose what was prepared. A transaction that fails is rolled back before anything else is sent.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{
    measure::Outcome,
    model::{Class, Model, SharedModel},
    parameter::Value,
    patience::Patience,
    prepared::{Prepared, PreparedClass, prepare_all},
    schedule::Call,
    script::Frame,
    step::{Argument, Query, Step},
};
use crate::{
    api::{Verdict, Via},
    postgres::{ConnectError, ConnectOptions, ErrorClass, Fault, Limits, Scope, Session, Target, Wire},
};

/// Longest that a step of connecting may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes that the server may send in answer to one class. As text, which some types are twice as long in.
const BYTE_BUDGET: u64 = 16 << 20;
/// How much longer than the server a class is waited for: a network that lost the answer.
const GRACE: Duration = Duration::from_secs(1);
/// By how much the server's timeout may seem to come early: its clock starts when the statement arrives there.
const EARLY: Duration = Duration::from_millis(50);

/// Why a connection could not be made ready.
#[derive(thiserror::Error, Debug, PartialEq, Eq, Clone)]
pub(super) enum OpenError {
    /// The database can't be connected to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The limits could not be set.
    #[error("the session's limits could not be set: {0}")]
    Limits(Fault),
    /// The server was connected to, and then silent.
    #[error(
        "the session's limits could not be set and the statements not be prepared within {} s; see whether their tables are \
         locked, or the server busy",
        STEP_TIMEOUT.as_secs()
    )]
    TimedOut,
    /// A statement can't be prepared.
    #[error("{place} of the traffic model can't be prepared: {fault}")]
    Prepare {
        /// Which.
        place: String,
        /// Why.
        fault: Fault,
    },
    /// The traffic model and the statement disagree.
    #[error(
        "{place} of the traffic model takes {takes} parameters, and the model gives {gives}; \
         give one for each of $1, $2, …"
    )]
    Parameters {
        /// Which statement.
        place: String,
        /// As the server counts them.
        takes: usize,
        /// As the spec gives them.
        gives: usize,
    },
    /// A column goes into a variable, and has a type that can't be read.
    #[error(
        "{place} of the traffic model: \\gset can't read column {column:?}; cast it to text, bigint or float8"
    )]
    Column {
        /// Of which statement.
        place: String,
        /// Which.
        column: String,
    },
    /// A variable is used that no column set.
    #[error("{place} of the traffic model: variable :{variable} is not set before it is used")]
    Unset {
        /// Where.
        place: String,
        /// Which.
        variable: String,
    },
}

impl OpenError {
    /// A candidate that can't be connected to, or lacks a table, fails; a faulty traffic model is an error. A server whose
    /// connections are all in use says nothing about itself.
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Self::Connect(error) if error.is_for_lack_of_connections() => Verdict::Inconclusive,
            Self::Connect(_) | Self::Limits(_) | Self::TimedOut | Self::Prepare { .. } => Verdict::Fail,
            Self::Parameters { .. } | Self::Column { .. } | Self::Unset { .. } => Verdict::Error,
        }
    }
}

/// Why a class was not carried out.
enum Failure {
    /// The server or the connection.
    Database(Fault),
    /// The script itself: the label of its fault.
    Script(String),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Database(fault)
    }
}

/// A connection that is ready for load.
#[derive(Debug)]
pub(super) struct Connection {
    ready: Ready,
    patience: Patience,
}

/// What carries classes out.
#[derive(Debug)]
struct Ready {
    wire: Wire,
    model: SharedModel,
    prepared: Vec<PreparedClass>,
    terms: Terms,
}

/// Under which limits statements are, and what they need so that nobody else comes by anything of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    via: Via,
    limits: Limits,
}

impl Connection {
    pub(super) async fn open(target: &Target, model: &SharedModel, terms: Terms) -> Result<Self, OpenError> {
        let options =
            ConnectOptions { purpose: "load", step_timeout: STEP_TIMEOUT, byte_budget: BYTE_BUDGET };
        let session = Session::connect(target, &options).await?;
        let ready = timeout(STEP_TIMEOUT, get_ready(session, model, terms));
        let silent = || Err(OpenError::TimedOut);
        let ready = ready.await.unwrap_or_else(|_| silent())?;
        Ok(Self { ready, patience: Patience::new(terms.limits.statement_timeout + GRACE) })
    }

    pub(super) async fn close(self) {
        self.ready.wire.close().await;
    }

    /// Carries a class out, which is sent now, and waits for its end, which is no later than the statement timeout, however many
    /// statements it has. `false` says that the connection is of no more use: the answer may still come, and would be taken for that
    /// of the next statement.
    pub(super) async fn execute(&mut self, call: &Call, sent: Instant) -> (Outcome, bool) {
        let Self { ready, patience } = self;
        ready.wire.refill_budget();
        let limit = ready.terms.limits.statement_timeout;
        let outcome = match patience.wait_for(ready.run(call), sent).await {
            Some(Ok(())) => Outcome::Ok,
            Some(Err(Failure::Script(label))) => Outcome::Error(label),
            Some(Err(Failure::Database(fault))) => {
                let is_timeout = fault.class == ErrorClass::Canceled && sent.elapsed() + EARLY >= limit;
                if is_timeout { Outcome::Timeout } else { Outcome::Error(fault.label()) }
            }
            None => return (Outcome::Timeout, false),
        };
        (outcome, ready.wire.is_usable())
    }
}

async fn get_ready(session: Session, model: &SharedModel, mut terms: Terms) -> Result<Ready, OpenError> {
    terms.via = terms.via.max(session.facts().via);
    if terms.via == Via::Direct {
        session.restrict(&terms.limits).await.map_err(OpenError::Limits)?;
    }
    let mut wire = session.into_wire().map_err(OpenError::Limits)?;
    let prepared = prepare_all(&mut wire, model, terms.scope(), &terms.preparing()).await?;
    Ok(Ready { wire, model: model.clone(), prepared, terms })
}

impl Ready {
    /// Carries the steps of a class out, up to the first that fails.
    async fn run(&mut self, call: &Call) -> Result<(), Failure> {
        let class = &self.model.classes[call.class];
        let mut run = Running {
            wire: &mut self.wire,
            terms: self.terms,
            class,
            parameters: &call.parameters,
            frame: class.is_script().then(|| Frame::new(class.variables.len(), class.scale, call.seed)),
        };
        for (step, prepared) in class.steps.iter().zip(&self.prepared[call.class].steps) {
            if let Err(failure) = run.step(step, prepared.as_ref()).await {
                run.roll_back().await;
                return Err(failure);
            }
        }
        Ok(())
    }
}

impl Terms {
    /// `via` is what is known already: a connection that needs more is found out when it is opened.
    pub(super) fn new(model: &Model, statement_timeout: Duration, via: Via) -> Self {
        Self {
            via,
            limits: Limits {
                read_only: model.read_only,
                statement_timeout,
                lock_timeout: statement_timeout,
                idle_in_transaction_timeout: statement_timeout,
            },
        }
    }

    pub(super) fn via(&self) -> Via {
        self.via
    }

    /// How long a prepared statement lasts.
    fn scope(&self) -> Scope {
        if self.via == Via::Pooler { Scope::Request } else { Scope::Session }
    }

    /// What opens the transaction that a statement is prepared in: a table that is locked must not keep the server waiting for
    /// longer than anyone does. Nothing is written there.
    fn preparing(&self) -> Vec<String> {
        match self.via {
            Via::Direct => Vec::new(),
            Via::Proxy | Via::Pooler => Limits { read_only: true, ..self.limits }.opening(),
        }
    }

    /// What has to come before each statement of a class that is not in a transaction of its own; empty if nothing.
    fn guard(&self, class: &Class) -> Vec<String> {
        match self.via {
            Via::Proxy | Via::Pooler => self.opening(class),
            // A session's being read-only is a setting, which a function may change; a transaction's can't be once it reads.
            Via::Direct if class.read_only && (!self.limits.read_only || class.runs_functions) => {
                self.opening(class)
            }
            Via::Direct => Vec::new(),
        }
    }

    /// What opens a transaction of a class.
    fn opening(&self, class: &Class) -> Vec<String> {
        match self.via {
            Via::Proxy | Via::Pooler => Limits { read_only: class.read_only, ..self.limits }.opening(),
            Via::Direct if class.read_only => vec!["BEGIN READ ONLY".to_owned()],
            Via::Direct => vec!["BEGIN".to_owned()],
        }
    }
}

/// A class that is being carried out.
struct Running<'a> {
    wire: &'a mut Wire,
    terms: Terms,
    class: &'a Class,
    parameters: &'a [Value],
    /// The variables, of a script.
    frame: Option<Frame>,
}

impl Running<'_> {
    async fn step(&mut self, step: &Step, prepared: Option<&Prepared>) -> Result<(), Failure> {
        match (step, prepared) {
            (Step::Begin, _) => self.say(&self.terms.opening(self.class).join("; ")).await?,
            (Step::Commit, _) => self.say("COMMIT").await?,
            (Step::Set { slot, expression, .. }, _) => {
                if let Some(frame) = &mut self.frame {
                    frame
                        .set(*slot, expression)
                        .map_err(|fault| Failure::Script(format!("script: {fault}")))?;
                }
            }
            (Step::Send(query), Some(prepared)) => self.send(query, prepared).await?,
            (Step::Send(_), None) => {}
        }
        Ok(())
    }

    async fn send(&mut self, query: &Query, prepared: &Prepared) -> Result<(), Failure> {
        let guard = if self.wire.is_in_transaction() { Vec::new() } else { self.terms.guard(self.class) };
        let values = query.arguments.iter().map(|argument| match (argument, &self.frame) {
            (Argument::Drawn(index), _) => self.parameters.get(*index).and_then(Value::text),
            (Argument::Variable(slot), Some(frame)) => frame.get(*slot).text(),
            (Argument::Variable(_), None) => None,
        });
        // All is sent at once, without waiting for one answer before the next request: one round trip, as without.
        self.wire.put_statement(&guard, &prepared.statement, values)?;
        if !guard.is_empty() {
            self.wire.put_text("COMMIT")?;
        }
        let rows = self.wire.finish(prepared.is_read()).await?;
        if let Some(frame) = &mut self.frame {
            prepared.put(&rows, frame).map_err(|fault| Failure::Script(format!("script: {fault}")))?;
        }
        Ok(())
    }

    async fn say(&mut self, text: &str) -> Result<(), Fault> {
        self.wire.put_text(text)?;
        self.wire.finish(false).await?;
        Ok(())
    }

    /// After a failure. If that fails, too, the transaction stays open, and the connection is of no more use.
    async fn roll_back(&mut self) {
        if self.wire.is_in_transaction() {
            let _ = self.say("ROLLBACK").await;
        }
    }
}
