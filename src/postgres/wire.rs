//! A session's socket without the driver: statements, prepared as far as that lasts, at the least cost.
//!
//! Decides what goes over the wire for a statement and when its answer is complete. The driver has a task of its own for each
//! connection; a statement goes there by a queue and its answer comes back by another, and that costs as much as a third of what the
//! program does for a statement (docs/benchmarks.md, "Cost"). Here whoever waits for an answer reads the socket himself. The driver still
//! logs in, encrypts and examines the server ([`Session`]), and its own library puts the messages together and takes them apart.
//! Several requests may be sent at once; each is answered on its own, and an error in one does not touch the next.
//! What is left unfinished, because nobody waits for it any more, leaves the connection unusable: the rest of the answer would be
//! taken for that of the next statement.
//!
//! Source: PostgreSQL's documentation, "Frontend/Backend Protocol", sections "Message Flow" and "Message Formats".

use std::{
    fmt::{self, Write as _},
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use postgres_protocol::{IsNull, message::frontend};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use tokio_util::{
    bytes::{Buf, BytesMut},
    io::poll_read_buf,
};

use super::{
    budget::Budget,
    error::{ErrorClass, Fault},
    lent::Socket,
    session::{GOODBYE, Session},
};

mod inbox;

pub use inbox::{Column, Row};
use inbox::{Inbox, Received};

/// How long a prepared statement lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// As long as the session: it has a name.
    Session,
    /// For a request: the unnamed one, which each request prepares again.
    Request,
}

/// A prepared statement, or what it takes to prepare it again.
#[derive(Debug)]
pub struct Statement {
    /// Empty where the server keeps nothing of it.
    name: String,
    /// What it is parsed from in each request, where the server keeps nothing of it.
    text: Option<String>,
    /// How many parameters it takes.
    pub parameters: usize,
    /// What it returns.
    pub columns: Vec<Column>,
}

/// The answer to one request.
#[derive(Debug, Default)]
struct Answer {
    parameters: usize,
    columns: Vec<Column>,
    rows: Rows,
}

/// The rows of an answer, of which at most the first is kept.
#[derive(Debug, Default)]
pub struct Rows {
    /// Where rows were wanted, and there were any.
    pub first: Option<Row>,
    /// How many there were.
    pub count: u64,
}

impl Answer {
    fn take(&mut self, received: Received) {
        match received {
            Received::Parameters(count) => self.parameters = count,
            Received::Columns(columns) => self.columns = columns,
            Received::Row(row) => self.rows.add(Rows { first: row, count: 1 }),
            Received::Ready { .. } | Received::Error { .. } | Received::Other => {}
        }
    }
}

impl Rows {
    fn add(&mut self, more: Self) {
        self.count += more.count;
        if self.first.is_none() {
            self.first = more.first;
        }
    }
}

/// The connection.
pub struct Wire {
    socket: Box<dyn Socket>,
    budget: Budget,
    /// Put together and not sent yet.
    outbox: BytesMut,
    inbox: Inbox,
    /// Requests whose answers are not complete.
    unanswered: usize,
    /// As of the last answer.
    is_in_transaction: bool,
    /// Nothing more is to come; what has been received may still say why.
    is_broken: bool,
    /// In the names of its statements: behind a pooler that passes for none, one that another connection has left must not be
    /// taken for one of this.
    tag: u64,
    /// Statements that have a name already.
    named: usize,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("unanswered", &self.unanswered).finish_non_exhaustive()
    }
}

impl Session {
    /// Goes on without the driver. An error says why the connection was lost meanwhile.
    pub fn into_wire(self) -> Result<Wire, Fault> {
        let (socket, budget) = self.into_socket()?;
        Ok(Wire::new(socket, budget))
    }
}

impl Wire {
    fn new(socket: Box<dyn Socket>, budget: Budget) -> Self {
        Self {
            socket,
            budget,
            outbox: BytesMut::new(),
            inbox: Inbox::default(),
            unanswered: 0,
            is_in_transaction: false,
            is_broken: false,
            tag: rand::random(),
            named: 0,
        }
    }

    /// Whether somebody else can go on with it: all answers are complete and nothing came behind them, no transaction is open, and
    /// the connection is not known to be lost.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        // An answer that nobody asked for would be taken for the next one's.
        self.unanswered == 0 && self.inbox.is_empty() && !self.is_in_transaction && !self.is_broken
    }

    /// Whether a transaction is open, be it one that has failed.
    #[must_use]
    pub fn is_in_transaction(&self) -> bool {
        self.is_in_transaction
    }

    /// Lets the server send as much again as the session's byte budget; before each statement of many.
    pub fn refill_budget(&self) {
        self.budget.refill();
    }

    /// Prepares statements, in one round trip; each in a transaction that is opened by the statements of `before`, if there are any,
    /// so that no lock on a table outlasts it. An error says which could not be prepared, counted from 0; what comes after it is lost.
    pub async fn prepare(
        &mut self,
        texts: &[&str],
        scope: Scope,
        before: &[impl AsRef<str>],
    ) -> Result<Vec<Statement>, (usize, Fault)> {
        let mut statements = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let statement = self.statement(text, scope);
            self.put_prepare(text, &statement.name, before).map_err(|fault| (index, fault))?;
            statements.push(statement);
        }
        self.send().await;
        for (index, statement) in statements.iter_mut().enumerate() {
            let answer = self.answer(false).await.map_err(|fault| (index, fault))?;
            (statement.parameters, statement.columns) = (answer.parameters, answer.columns);
            if !before.is_empty() {
                self.answer(false).await.map_err(|fault| (index, fault))?;
            }
        }
        Ok(statements)
    }

    fn put_prepare(&mut self, text: &str, name: &str, before: &[impl AsRef<str>]) -> Result<(), Fault> {
        self.put(|out| {
            before.iter().try_for_each(|text| put_alone(text.as_ref(), out))?;
            frontend::parse(name, text, [], out)?;
            frontend::describe(b'S', name, out)?;
            frontend::sync(out);
            Ok(())
        })?;
        if before.is_empty() { Ok(()) } else { self.put_text("COMMIT") }
    }

    fn statement(&mut self, text: &str, scope: Scope) -> Statement {
        let (name, text) = match scope {
            Scope::Session => {
                self.named += 1;
                (format!("cutover_{:016x}_{}", self.tag, self.named), None)
            }
            Scope::Request => (String::new(), Some(text.to_owned())),
        };
        Statement { name, text, parameters: 0, columns: Vec::new() }
    }

    /// Puts statements without parameters into the outbox, such as those that begin and end a transaction.
    pub fn put_text(&mut self, text: &str) -> Result<(), Fault> {
        self.put(|out| frontend::query(text, out))
    }

    /// Puts a statement into the outbox, with its parameters in PostgreSQL's text form, `None` for null; before it, in the
    /// same request, statements without parameters and rows. Where one of those fails, such as the one that makes the transaction read-only,
    /// nothing that follows is carried out.
    pub fn put_statement<V: fmt::Display>(
        &mut self,
        before: &[impl AsRef<str>],
        statement: &Statement,
        parameters: impl IntoIterator<Item = Option<V>>,
    ) -> Result<(), Fault> {
        self.put(|out| {
            before.iter().try_for_each(|text| put_alone(text.as_ref(), out))?;
            if let Some(text) = &statement.text {
                frontend::parse("", text, [], out)?;
            }
            put_execute(&statement.name, parameters, out)?;
            frontend::sync(out);
            Ok(())
        })
    }

    /// Sends what is in the outbox and waits until all of it is answered. The error is the first of them. Rows are kept only if they
    /// are wanted, and of them the first.
    pub async fn finish(&mut self, wants_rows: bool) -> Result<Rows, Fault> {
        self.send().await;
        let (mut rows, mut fault) = (Rows::default(), None);
        while self.unanswered > 0 {
            match self.answer(wants_rows).await {
                Ok(answer) => rows.add(answer.rows),
                Err(error) => {
                    fault = fault.or(Some(error));
                    if self.is_broken {
                        break;
                    }
                }
            }
        }
        fault.map_or(Ok(rows), Err)
    }

    /// Closes the connection in order, so that the server's log has no complaint about it.
    pub async fn close(mut self) {
        self.outbox.clear();
        frontend::terminate(&mut self.outbox);
        let goodbye = async {
            self.send().await;
            self.socket.shutdown().await
        };
        // If it does not get through, the connection is closed without.
        let _ = timeout(GOODBYE, goodbye).await;
    }

    /// Puts one request into the outbox, or nothing at all.
    fn put(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<(), Fault> {
        let before = self.outbox.len();
        // What the protocol has no form for: a text with a null character, a value of gigabytes.
        write(&mut self.outbox).map_err(|_| {
            self.outbox.truncate(before);
            Fault::local(ErrorClass::Syntax)
        })?;
        self.unanswered += 1;
        Ok(())
    }

    /// Sends what is in the outbox. Whether that went well is told by the answer: a server that ends a session says why before.
    async fn send(&mut self) {
        poll_fn(|cx| self.poll_send(cx)).await;
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What came while the connection was idle: why the server ended the session, perhaps. And a server that can't get rid of its
        // answers takes no more requests.
        while !self.is_broken && self.poll_receive(cx).is_ready() {}
        while !self.is_broken && !self.outbox.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_write(cx, &self.outbox)) {
                Ok(sent) if sent > 0 => self.outbox.advance(sent),
                // What there is to be read says why, and its end says that there is no more.
                _ => self.outbox.clear(),
            }
        }
        if !self.is_broken {
            let _ = ready!(Pin::new(&mut self.socket).poll_flush(cx));
        }
        Poll::Ready(())
    }

    /// Reads what there is. Ready if that was anything, be it the end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let received = ready!(poll_read_buf(Pin::new(&mut self.socket), cx, self.inbox.room()));
        self.is_broken |= !received.is_ok_and(|bytes| bytes > 0);
        Poll::Ready(())
    }

    /// The answer to the oldest request that has none. After an error that is not the server's nothing more can be made out.
    async fn answer(&mut self, wants_rows: bool) -> Result<Answer, Fault> {
        let (mut answer, mut fault) = (Answer::default(), None);
        loop {
            match self.inbox.next(wants_rows && answer.rows.first.is_none()) {
                Ok(Some(Received::Ready { is_in_transaction })) => {
                    self.unanswered -= 1;
                    self.is_in_transaction = is_in_transaction;
                    return fault.map_or(Ok(answer), Err);
                }
                Ok(Some(Received::Error { fault: error, is_fatal })) => {
                    // The session is over, whether or not the connection is closed.
                    self.is_broken |= is_fatal;
                    fault = fault.or(Some(error));
                }
                Ok(Some(received)) => answer.take(received),
                Ok(None) if !self.is_broken => poll_fn(|cx| self.poll_receive(cx)).await,
                Ok(None) | Err(_) => {
                    self.is_broken = true;
                    return Err(fault.unwrap_or_else(|| self.why()));
                }
            }
        }
    }

    /// Why the connection is lost, where the server did not say.
    fn why(&self) -> Fault {
        self.budget.fault().unwrap_or_else(|| Fault::local(ErrorClass::Connection))
    }
}

/// A statement without parameters and rows, as a part of a request.
fn put_alone(text: &str, out: &mut BytesMut) -> io::Result<()> {
    frontend::parse("", text, [], out)?;
    put_execute("", std::iter::empty::<Option<&str>>(), out)
}

/// No formats: text, for all parameters and all columns, as most clients have it.
fn put_execute<V: fmt::Display>(
    name: &str,
    parameters: impl IntoIterator<Item = Option<V>>,
    out: &mut BytesMut,
) -> io::Result<()> {
    let write = |parameter: Option<V>, out: &mut BytesMut| match parameter {
        Some(value) => Ok(write!(out, "{value}").map(|()| IsNull::No)?),
        None => Ok(IsNull::Yes),
    };
    frontend::bind("", name, [], parameters, write, [], out)
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    frontend::execute("", 0, out)
}

#[cfg(test)]
mod tests;
