//! Is the value of a query of a Prometheus server within its bounds?
//!
//! Asks one instant query, and every sample of its answer must be within the bounds, compared exactly. No data is not
//! zero and not a pass: it is `Inconclusive`. `NaN` and the infinities are within no bounds. Never shows a label or a
//! word of the server's own: metrics carry what their applications put there.

use std::time::Duration;

use http_body_util::Full;
use hyper::{Method, body::Bytes, header};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::{
    Answer,
    bounds::{Bounds, show_number},
    decimal::Decimal,
    endpoint::{Endpoint, Outgoing, Reply},
    trouble::Trouble,
};
use crate::{
    api::{PrometheusCheck, Verdict},
    text,
};

/// Longest part of a query that is shown, in characters.
const SHOWN_MAX_CHARS: usize = 80;

pub(super) async fn ask(question: &PrometheusCheck, limit: Duration) -> Result<Answer, Trouble> {
    let endpoint = Endpoint::parse(&question.url)?.below("/api/v1/query")?;
    let request = request(&endpoint, question, limit)?;
    let answer = match endpoint.exchange(request, limit).await {
        Ok(reply) => read(&endpoint, &reply).map(|found| judge(question, &found)),
        // Whatever is wrong with the server, it says nothing about what it would have answered.
        Err(trouble) => Err(Trouble::error(trouble.message)),
    };
    let expected = Bounds::new(question.min.as_deref(), question.max.as_deref()).expectation();
    Ok(Answer { expected, ..answer.unwrap_or_else(Answer::from) })
}

fn request(endpoint: &Endpoint, question: &PrometheusCheck, limit: Duration) -> Result<Outgoing, Trouble> {
    // A POST, so that no proxy's limit on the length of a URL cuts the query off.
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("query", &question.query)
        // The server need not go on with what nobody waits for any more.
        .append_pair("timeout", &format!("{}s", limit.as_secs().max(1)))
        .finish();
    endpoint
        .request()
        .method(Method::POST)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(form)))
        .map_err(|_| Trouble::error("the request can't be made of that URL"))
}

/// What a query came to.
struct Found {
    /// The samples' values, as the server writes them.
    values: Vec<String>,
    warnings: usize,
}

/// An answer of Prometheus' HTTP API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    status: String,
    #[serde(default)]
    error_type: String,
    data: Option<Data>,
    #[serde(default)]
    warnings: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

fn read(endpoint: &Endpoint, reply: &Reply) -> Result<Found, Trouble> {
    let status = reply.status.as_u16();
    let error = |what: String| Trouble::error(what).about(&endpoint.shown());
    let envelope: Option<Envelope> = serde_json::from_slice(&reply.body).ok();
    if let Some(envelope) = envelope.as_ref().filter(|envelope| envelope.status == "error") {
        return Err(error(format!("the query failed: {} (HTTP {status})", explain(&envelope.error_type))));
    }
    if !reply.status.is_success() {
        return Err(error(format!("answers {status}; is it a Prometheus server?")));
    }
    let data = envelope.filter(|envelope| envelope.status == "success");
    let (warnings, data) = data
        .and_then(|envelope| Some((envelope.warnings.len(), envelope.data?)))
        .ok_or_else(|| error(format!("answers {status}, but not as Prometheus does")))?;
    let values = values(&data).map_err(|trouble| trouble.about(&endpoint.shown()))?;
    Ok(Found { values, warnings })
}

/// The words of Prometheus' own list; whatever else is sent is not shown.
fn explain(error_type: &str) -> &'static str {
    match error_type {
        "bad_data" => "bad_data, the server can't read it: try it in the server's own user interface",
        "execution" => "execution, the server can't evaluate it",
        "timeout" => "timeout, the server took too long",
        "canceled" => "canceled",
        "internal" => "internal",
        "unavailable" => "unavailable, the server is not ready",
        "not_found" => "not_found",
        "not_acceptable" => "not_acceptable",
        _ => "an error of an unknown type",
    }
}

fn values(data: &Data) -> Result<Vec<String>, Trouble> {
    let value = |point: &Value| Some(point.as_array()?.get(1)?.as_str()?.to_owned());
    let unreadable = || Trouble::error("the server's answer has a sample without a value");
    match data.result_type.as_str() {
        "scalar" => Ok(vec![value(&data.result).ok_or_else(unreadable)?]),
        "vector" => {
            let samples = data.result.as_array().ok_or_else(unreadable)?;
            if samples.iter().any(|sample| sample.get("histogram").is_some()) {
                return Err(Trouble::fail(
                    "the query answers a native histogram, which is no number: take a quantile or a count of it",
                ));
            }
            let found = samples.iter().map(|sample| sample.get("value").and_then(value));
            found.collect::<Option<_>>().ok_or_else(unreadable)
        }
        "matrix" => {
            Err(Trouble::fail("the query answers a range, not a moment: take a rate or a maximum of it"))
        }
        _ => Err(Trouble::fail("the query answers neither a vector nor a scalar")),
    }
}

fn judge(question: &PrometheusCheck, found: &Found) -> Answer {
    let samples = i64::try_from(found.values.len()).unwrap_or(i64::MAX);
    let query = format!("`{}`", clip(&question.query));
    if found.values.is_empty() {
        let message = format!(
            "no data: {query} answers no sample{}. If none is right, say so in the query: … or vector(0)",
            noted(found.warnings)
        );
        return Answer::new(Verdict::Inconclusive, message);
    }
    let bounds = Bounds::new(question.min.as_deref(), question.max.as_deref());
    let faults: Vec<(&str, String)> =
        found.values.iter().filter_map(|value| Some((value.as_str(), bounds.fault(Some(value))?))).collect();
    let measured = summary(&found.values);
    let (verdict, message) = match faults.first() {
        None if found.warnings > 0 => (Verdict::Warn, format!("{query} answers {measured}")),
        None => (Verdict::Pass, format!("{query} answers {measured}")),
        Some((value, fault)) if samples == 1 => {
            (Verdict::Fail, format!("{query} answers {}, {fault}", show(value)))
        }
        Some((value, fault)) => (
            Verdict::Fail,
            format!(
                "{query}: {} of {samples} samples are outside, such as {}, {fault}",
                faults.len(),
                show(value)
            ),
        ),
    };
    let message = format!("{message}{}", noted(found.warnings));
    Answer { verdict, message, measured: Some(measured), samples, ..Answer::default() }
}

fn noted(warnings: usize) -> String {
    match warnings {
        0 => String::new(),
        count => format!(" (with {count} warnings of the server: the answer may be incomplete)"),
    }
}

/// The one value, or the lowest and the highest of the numbers.
fn summary(values: &[String]) -> String {
    if let [value] = values {
        return show(value);
    }
    let mut numbers: Vec<(Decimal, &String)> =
        values.iter().filter_map(|value| Some((Decimal::parse(value)?, value))).collect();
    numbers.sort_by(|(a, _), (b, _)| a.cmp(b));
    match (numbers.first(), numbers.last()) {
        (Some((_, lowest)), Some((_, highest))) => {
            format!("{} samples, {} to {}", values.len(), show(lowest), show(highest))
        }
        _ => format!("{} samples, none of them a finite number", values.len()),
    }
}

fn show(value: &str) -> String {
    match value {
        "NaN" | "+Inf" | "-Inf" => value.to_owned(),
        _ if Decimal::parse(value).is_some() => show_number(value),
        _ => "no number".to_owned(),
    }
}

fn clip(query: &str) -> String {
    let one_line: String = query.split_whitespace().collect::<Vec<_>>().join(" ");
    text::clip(&one_line, SHOWN_MAX_CHARS)
}
