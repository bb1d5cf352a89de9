//! One of the load's connections: a session with every statement prepared, and how a class is carried out on it.
//!
//! Decides what a failed connection means for the load as a whole (what the database can't do fails; what the traffic
//! model gets wrong is an error), and what an outcome is: an answer, an error, or a timeout. Statements are under the
//! session's limits where it is ours alone, and else in a transaction each that brings the limits along: a pooler would
//! pass a session's settings on to the application. A transaction that fails is rolled back before anything else is sent.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::time::timeout;
use tokio_postgres::Error;

use super::{
    measure::Outcome,
    model::{Class, Model, SharedModel},
    parameter::Value,
    patience::Patience,
    prepared::{Prepared, PreparedClass, prepare},
    schedule::Call,
    script::Frame,
    step::{Argument, Query, Step},
};
use crate::{
    api::Verdict,
    postgres::{ConnectError, ConnectOptions, ErrorClass, Fault, Limits, Scope, Session, Target},
};

/// Longest that a step of connecting may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes that the server may send in answer to one class.
const BYTE_BUDGET: u64 = 8 << 20;
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
    Database(Error),
    /// The script itself: the label of its fault.
    Script(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Database(error)
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
    session: Session,
    model: SharedModel,
    prepared: Vec<PreparedClass>,
    scope: Scope,
    limits: Limits,
}

impl Connection {
    pub(super) async fn open(
        target: &Target,
        model: &SharedModel,
        statement_timeout: Duration,
    ) -> Result<Self, OpenError> {
        let options =
            ConnectOptions { purpose: "load", step_timeout: STEP_TIMEOUT, byte_budget: BYTE_BUDGET };
        let session = Session::connect(target, &options).await?;
        let limits = Limits {
            read_only: model.read_only,
            statement_timeout,
            lock_timeout: statement_timeout,
            idle_in_transaction_timeout: statement_timeout,
        };
        let ready = timeout(STEP_TIMEOUT, async {
            let scope = session.restrict(&limits).await.map_err(OpenError::Limits)?;
            Ok((scope, prepare_all(&session, model).await?))
        });
        let silent = || Err(OpenError::TimedOut);
        let (scope, prepared) = ready.await.unwrap_or_else(|_| silent())?;
        let ready = Ready { session, model: model.clone(), prepared, scope, limits };
        Ok(Self { ready, patience: Patience::new(statement_timeout + GRACE) })
    }

    pub(super) async fn close(self) {
        self.ready.session.close().await;
    }

    /// Carries a class out and waits for its end, which is no later than the statement timeout, however many statements
    /// it has. `false` says that the connection is of no more use: the answer may still come, and would be taken for that
    /// of the next statement.
    pub(super) async fn execute(&mut self, call: &Call) -> (Outcome, bool) {
        let Self { ready, patience } = self;
        ready.session.refill_budget();
        let started = Instant::now();
        let limit = ready.limits.statement_timeout;
        match patience.wait_for(ready.run(call)).await {
            Some((Ok(()), is_usable)) => (Outcome::Ok, is_usable),
            Some((Err(Failure::Script(label)), is_usable)) => (Outcome::Error(label), is_usable),
            Some((Err(Failure::Database(error)), is_usable)) => {
                let fault = ready.session.explain(&error);
                let is_timeout = fault.class == ErrorClass::Canceled && started.elapsed() + EARLY >= limit;
                let outcome = if is_timeout { Outcome::Timeout } else { Outcome::Error(fault.label()) };
                // Only after an error of the server is it clear where the next answer begins.
                (outcome, is_usable && error.as_db_error().is_some())
            }
            None => (Outcome::Timeout, false),
        }
    }
}

impl Ready {
    /// Whether another statement can be sent.
    fn is_usable(&self) -> bool {
        !self.session.is_closed()
    }

    /// Carries the steps of a class out, up to the first that fails; and whether the connection can go on being used.
    async fn run(&self, call: &Call) -> (Result<(), Failure>, bool) {
        let class = &self.model.classes[call.class];
        let mut run = Running {
            ready: self,
            class,
            parameters: &call.parameters,
            frame: class.is_script().then(|| Frame::new(class.variables.len(), class.scale, call.seed)),
            is_open: false,
        };
        for (step, prepared) in class.steps.iter().zip(&self.prepared[call.class].steps) {
            if let Err(failure) = run.step(step, prepared.as_ref()).await {
                let is_clean = !run.is_open || self.session.client().batch_execute("ROLLBACK").await.is_ok();
                return (Err(failure), is_clean && self.is_usable());
            }
        }
        (Ok(()), true)
    }

    /// What has to come before each statement of a class that is not in a transaction of its own.
    fn guard(&self, class: &Class) -> Option<String> {
        match self.scope {
            Scope::Transaction => Some(self.opening(class)),
            // A session's being read-only is a setting, which a function may change; a transaction's can't be once it reads.
            Scope::Session if class.read_only && (!self.limits.read_only || class.runs_functions) => {
                Some("BEGIN READ ONLY".to_owned())
            }
            Scope::Session => None,
        }
    }

    /// What opens a transaction of a class.
    fn opening(&self, class: &Class) -> String {
        match self.scope {
            Scope::Transaction => Limits { read_only: class.read_only, ..self.limits }.begin(),
            Scope::Session if class.read_only => "BEGIN READ ONLY".to_owned(),
            Scope::Session => "BEGIN".to_owned(),
        }
    }
}

/// A class that is being carried out.
struct Running<'a> {
    ready: &'a Ready,
    class: &'a Class,
    parameters: &'a [Value],
    /// The variables, of a script.
    frame: Option<Frame>,
    /// Whether its transaction is open.
    is_open: bool,
}

impl Running<'_> {
    async fn step(&mut self, step: &Step, prepared: Option<&Prepared>) -> Result<(), Failure> {
        let client = self.ready.session.client();
        match (step, prepared) {
            (Step::Begin, _) => {
                client.batch_execute(&self.ready.opening(self.class)).await?;
                self.is_open = true;
            }
            // Whatever its answer, there is no transaction left.
            (Step::Commit, _) => {
                self.is_open = false;
                client.batch_execute("COMMIT").await?;
            }
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
        let client = self.ready.session.client();
        let values = query.arguments.iter().map(|argument| self.value(*argument));
        let guard = if self.is_open { None } else { self.ready.guard(self.class) };
        let answer = prepared.send(client, values);
        let row = match guard {
            None => answer.await?,
            Some(opening) => {
                // Sent at once, without waiting for one answer before the next message: one round trip, as without.
                let (begun, answer, committed) =
                    futures::join!(client.batch_execute(&opening), answer, client.batch_execute("COMMIT"));
                begun?;
                let row = answer?;
                committed?;
                row
            }
        };
        if let Some(frame) = &mut self.frame {
            prepared.put(row, frame).map_err(|fault| Failure::Script(format!("script: {fault}")))?;
        }
        Ok(())
    }

    fn value(&self, argument: Argument) -> &Value {
        match (argument, &self.frame) {
            (Argument::Drawn(index), _) => self.parameters.get(index).unwrap_or(&Value::Null),
            (Argument::Variable(slot), Some(frame)) => frame.get(slot),
            (Argument::Variable(_), None) => &Value::Null,
        }
    }
}

async fn prepare_all(session: &Session, model: &Model) -> Result<Vec<PreparedClass>, OpenError> {
    // One after the other they would take a round trip each.
    try_join_all(model.classes.iter().map(|class| prepare(session, class))).await
}
