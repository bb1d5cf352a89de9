//! What the server has sent, taken apart message by message.
//!
//! Decides which parts of the server's messages matter to a load. What does not is passed over where it lies: most of an answer
//! does not, and to take it apart costs more than to count it. What may come at any time (notices, settings) never gets out of here.

use std::{fmt, io};

use postgres_protocol::message::backend::{
    self, DataRowBody, ErrorResponseBody, Header, Message, ParameterDescriptionBody, RowDescriptionBody,
};
use tokio_postgres::{fallible_iterator::FallibleIterator, types::Type};
use tokio_util::bytes::{Buf, BytesMut};

use crate::postgres::error::Fault;

/// Room for what one read brings.
const ROOM: usize = 8 << 10;

/// Most that is kept of a message that nobody wants, and most room that is kept while nothing is in it.
const KEPT: usize = 64 << 10;

/// Where a message's body begins: after its tag and its length.
const BODY: usize = 5;
/// The state of a server that is ready and has no transaction open.
const IDLE: u8 = b'I';

/// A column of what a statement returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// As the statement calls it.
    pub name: String,
    /// `None` for a type that PostgreSQL does not come with.
    pub kind: Option<Type>,
}

/// A row, in PostgreSQL's text form. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Row(DataRowBody);

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").finish_non_exhaustive()
    }
}

impl Row {
    /// The value of a column, counted from 0; `None` if it is null. An error if there is no such column, or its bytes are not UTF-8.
    pub fn text(&self, column: usize) -> io::Result<Option<&str>> {
        let Some(range) = self.0.ranges().nth(column)? else { return Err(invalid("no such column")) };
        let bytes = range.and_then(|range| self.0.buffer().get(range));
        bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| invalid("not UTF-8"))).transpose()
    }
}

/// A message, as far as it matters.
#[derive(Debug)]
pub(super) enum Received {
    /// The answer to one request is complete.
    Ready {
        /// Whether a transaction is open then, be it one that has failed.
        is_in_transaction: bool,
    },
    /// `None` where rows are not wanted.
    Row(Option<Row>),
    Error {
        fault: Fault,
        /// Whether the server ends the session.
        is_fatal: bool,
    },
    /// How many parameters a statement takes.
    Parameters(usize),
    Columns(Vec<Column>),
    Other,
}

/// What has been received and not taken out yet.
#[derive(Default)]
pub(super) struct Inbox {
    received: BytesMut,
    /// What is left of a long message that nobody wants: it is dropped as it comes, and takes no memory however long it is.
    unwanted: usize,
}

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        self.received.is_empty() && self.unwanted == 0
    }

    /// Where what is read next goes.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        self.received.reserve(ROOM);
        // What one long message took, and may have come back by this, is not kept for ever.
        if self.received.is_empty() && self.received.capacity() > KEPT {
            self.received = BytesMut::with_capacity(ROOM);
        }
        &mut self.received
    }

    /// The next message; `None` if what is needed of it has not come yet. An error if it is none of the protocol.
    pub(super) fn next(&mut self, wants_rows: bool) -> io::Result<Option<Received>> {
        self.drop_unwanted();
        if self.unwanted > 0 {
            return Ok(None);
        }
        let Some(header) = Header::parse(&self.received)? else { return Ok(None) };
        let length = usize::try_from(header.len()).map_err(|_| invalid("length"))? + 1;
        let is_complete = self.received.len() >= length;
        if !is_complete && length <= KEPT {
            return Ok(None);
        }
        let received = match header.tag() {
            backend::READY_FOR_QUERY_TAG => {
                Received::Ready { is_in_transaction: self.received.get(BODY) != Some(&IDLE) }
            }
            backend::DATA_ROW_TAG if !wants_rows => Received::Row(None),
            backend::PARSE_COMPLETE_TAG
            | backend::BIND_COMPLETE_TAG
            | backend::COMMAND_COMPLETE_TAG
            | backend::EMPTY_QUERY_RESPONSE_TAG
            | backend::NO_DATA_TAG
            | backend::NOTICE_RESPONSE_TAG
            | backend::NOTIFICATION_RESPONSE_TAG
            | backend::PARAMETER_STATUS_TAG => Received::Other,
            backend::DATA_ROW_TAG
            | backend::ERROR_RESPONSE_TAG
            | backend::PARAMETER_DESCRIPTION_TAG
            | backend::ROW_DESCRIPTION_TAG => {
                // Not before: room for all of it would be taken on the word of its first bytes.
                if !is_complete {
                    return Ok(None);
                }
                return Message::parse(&mut self.received)?.map(understood).transpose();
            }
            // COPY, an authentication that nobody asked for: what follows can't be made out.
            _ => return Err(invalid("message")),
        };
        self.unwanted = length;
        self.drop_unwanted();
        Ok(Some(received))
    }

    fn drop_unwanted(&mut self) {
        let here = self.unwanted.min(self.received.len());
        self.received.advance(here);
        self.unwanted -= here;
    }
}

fn understood(message: Message) -> io::Result<Received> {
    Ok(match message {
        Message::DataRow(body) => Received::Row(Some(Row(body))),
        Message::ErrorResponse(body) => error(&body)?,
        Message::ParameterDescription(body) => Received::Parameters(count(&body)?),
        Message::RowDescription(body) => Received::Columns(columns(&body)?),
        _ => Received::Other,
    })
}

fn count(body: &ParameterDescriptionBody) -> io::Result<usize> {
    body.parameters().count()
}

fn columns(body: &RowDescriptionBody) -> io::Result<Vec<Column>> {
    let column = |field: backend::Field<'_>| {
        Ok(Column { name: field.name().to_owned(), kind: Type::from_oid(field.type_oid()) })
    };
    body.fields().map(column).collect()
}

fn error(body: &ErrorResponseBody) -> io::Result<Received> {
    let (mut code, mut message) = (String::new(), String::new());
    let (mut is_inside_a_function, mut is_fatal) = (false, false);
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        let value = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => code = value(),
            b'M' => message = value(),
            // The severity in the server's language, and in English; a pooler's own errors have but the first.
            b'S' | b'V' => is_fatal |= matches!(field.value_bytes(), b"FATAL" | b"PANIC"),
            // CONTEXT, and a place within a text that the server put together itself.
            b'W' | b'p' => is_inside_a_function = true,
            _ => {}
        }
    }
    Ok(Received::Error { fault: Fault::reported(&code, &message, is_inside_a_function), is_fatal })
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
pub(super) mod tests;
