//! Does an endpoint, such as the application's own health, answer as expected?
//!
//! Passes when the status is the expected one, the whole answer came in time and within 1 MiB, and its body holds the
//! text that is asked for. An answer that is not as expected, or that broke off, is a `Fail`; an endpoint that could not
//! be reached, or was silent until the timeout, is an `Error`. Never follows a redirect: it leads to something else than what the spec names. Never shows
//! a body.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;

use super::{
    Answer,
    endpoint::{Endpoint, Reply},
    trouble::Trouble,
};
use crate::api::{HttpCheck, Verdict};

pub(super) async fn ask(question: &HttpCheck, limit: Duration) -> Result<Answer, Trouble> {
    let endpoint = Endpoint::parse(&question.url)?;
    let request = endpoint.request().body(Full::new(Bytes::new()));
    let request = request.map_err(|_| Trouble::error("the request can't be made of that URL"))?;
    let mut answer = match endpoint.exchange(request, limit).await {
        Ok(reply) => judge(question, &endpoint, &reply),
        Err(trouble) => Answer::from(trouble),
    };
    answer.expected = Some(expectation(question));
    Ok(answer)
}

fn expectation(question: &HttpCheck) -> String {
    let status = question.status.map_or_else(|| "200 to 299".to_owned(), |status| status.to_string());
    let text = if question.contains.is_some() { ", with the text of `contains`" } else { "" };
    format!("status {status}{text}")
}

fn judge(question: &HttpCheck, endpoint: &Endpoint, reply: &Reply) -> Answer {
    let (status, took) = (reply.status, reply.took.as_millis());
    let is_expected = match question.status {
        Some(expected) => i32::from(status.as_u16()) == expected,
        None => status.is_success(),
    };
    let fault = if !is_expected && status.is_redirection() {
        Some("a redirect, which is not followed".to_owned())
    } else if !is_expected {
        Some(format!("not {}", expectation(question)))
    } else if question.contains.as_deref().is_some_and(|text| !holds(&reply.body, text)) {
        Some(format!("and its body of {} bytes does not hold the text of `contains`", reply.body.len()))
    } else {
        None
    };
    let told = format!("{} answers {} in {took} ms", endpoint.shown(), status.as_u16());
    let (verdict, message) = match fault {
        None => (Verdict::Pass, told),
        Some(fault) => (Verdict::Fail, format!("{told}, {fault}")),
    };
    let measured = Some(format!("status {} in {took} ms", status.as_u16()));
    Answer { verdict, message, measured, samples: 1, ..Answer::default() }
}

fn holds(body: &[u8], text: &str) -> bool {
    text.is_empty() || body.windows(text.len()).any(|part| part == text.as_bytes())
}
