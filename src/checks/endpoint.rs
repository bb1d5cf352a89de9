//! One HTTP request to an endpoint that the spec names, and its whole answer.
//!
//! Decides what a URL may be, that a server behind `https` is verified, and that an answer ends: in time, and within
//! 1 MiB. One connection a request, closed with it. Never follows a redirect, never sends a credential, never goes
//! through a proxy, and never shows a body, a header or the query part of a URL.

use std::{
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::{Either, select};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode, Uri,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::TlsConnector;

use super::trouble::Trouble;
use crate::{duration, postgres, text::clip};

/// Longest body that is read.
pub(super) const BODY_MAX_BYTES: usize = 1 << 20;
/// All headers of an answer together.
const HEADERS_MAX_BYTES: usize = 64 << 10;
/// Longest part of a URL that is shown, in characters.
const SHOWN_MAX_CHARS: usize = 120;
const USER_AGENT: &str = concat!("cutover/", env!("CARGO_PKG_VERSION"));

/// Where a request goes.
pub(super) struct Endpoint {
    uri: Uri,
    host: String,
    port: u16,
    is_https: bool,
}

/// A whole answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
    /// From the first look at the name to the answer's end.
    pub(super) took: Duration,
}

/// What is sent.
pub(super) type Outgoing = Request<Full<Bytes>>;

impl Endpoint {
    /// Reads a URL.
    pub(super) fn parse(url: &str) -> Result<Self, Trouble> {
        let uri: Uri = url.parse().map_err(|_| Trouble::error(NO_URL))?;
        let authority = uri.authority().ok_or_else(|| Trouble::error(NO_URL))?;
        if authority.as_str().contains('@') {
            return Err(Trouble::error(HOLDS_CREDENTIALS));
        }
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Trouble::error(NO_URL)),
        };
        // A port that is none must not silently become the scheme's.
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err(Trouble::error(NO_URL));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        Ok(Self { uri, host, port, is_https })
    }

    /// The same server, with `suffix` added to the path.
    pub(super) fn below(self, suffix: &str) -> Result<Self, Trouble> {
        if self.uri.query().is_some() {
            return Err(Trouble::error("the URL must end with its path: nothing may follow a `?`"));
        }
        let path = format!("{}{suffix}", self.uri.path().trim_end_matches('/'));
        let mut parts = self.uri.into_parts();
        parts.path_and_query = Some(path.parse().map_err(|_| Trouble::error(NO_URL))?);
        let uri = Uri::from_parts(parts).map_err(|_| Trouble::error(NO_URL))?;
        Ok(Self { uri, ..self })
    }

    /// What may be shown of it: not what follows a `?`, which may be a token.
    pub(super) fn shown(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        clip(&format!("{scheme}://{authority}{}", self.uri.path()), SHOWN_MAX_CHARS)
    }

    /// A request for it, to be completed by its method and its body.
    pub(super) fn request(&self) -> hyper::http::request::Builder {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        Request::builder()
            .uri(path)
            .header(header::HOST, host)
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "*/*")
            .header(header::CONNECTION, "close")
    }

    /// Sends a request and brings its whole answer, or says within `limit` at which step there was none.
    pub(super) async fn exchange(&self, request: Outgoing, limit: Duration) -> Result<Reply, Trouble> {
        let clock = Clock { started: Instant::now(), limit };
        let exchanged = async {
            let stream = self.connect(&clock).await?;
            if self.is_https {
                let stream = self.secure(stream, &clock).await?;
                exchange(stream, request, &clock).await
            } else {
                exchange(stream, request, &clock).await
            }
        };
        exchanged.await.map_err(|trouble| trouble.about(&self.shown()))
    }

    async fn connect(&self, clock: &Clock) -> Result<TcpStream, Trouble> {
        let found = clock.within("no answer from DNS", lookup_host((self.host.as_str(), self.port))).await?;
        let addresses: Vec<_> =
            found.map_err(|_| Trouble::error("the host's name can't be resolved"))?.collect();
        let mut trouble = Trouble::error("the host's name has no address");
        for (index, address) in addresses.iter().enumerate() {
            // A silent address must not take the time of those behind it.
            let share = clock.share(u32::try_from(addresses.len() - index).unwrap_or(u32::MAX));
            match share.within("no connection", TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => trouble = Trouble::error(format!("no connection: {}", error.kind())),
                Err(slow) => trouble = slow,
            }
        }
        Err(trouble)
    }

    async fn secure(
        &self,
        stream: TcpStream,
        clock: &Clock,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Trouble> {
        let name = ServerName::try_from(self.host.clone()).map_err(|_| Trouble::error(NO_URL))?;
        let mut config: ClientConfig = postgres::verify_with_system_store().map_err(|_| {
            Trouble::error("TLS can't be set up: the operator's system has no trusted certificates")
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
        clock
            .within("no TLS", handshake)
            .await?
            .map_err(|error| Trouble::error(format!("no TLS: {}", explain_tls(&error))))
    }
}

const NO_URL: &str =
    "the URL can't be read: it must be like http://host:8080/path, in ASCII, without white space";
const HOLDS_CREDENTIALS: &str = "the URL holds a user name or a password, and a spec is no place for a secret: ask an endpoint that needs none";

/// What is left of a request's time.
struct Clock {
    started: Instant,
    limit: Duration,
}

impl Clock {
    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.started.elapsed())
    }

    /// One of `count` equal shares of what is left.
    fn share(&self, count: u32) -> Self {
        Self { started: Instant::now(), limit: self.left() / count.max(1) }
    }

    async fn within<T>(&self, otherwise: &str, step: impl Future<Output = T>) -> Result<T, Trouble> {
        tokio::time::timeout(self.left(), step).await.map_err(|_| self.over(otherwise))
    }

    fn over(&self, what: &str) -> Trouble {
        Trouble::error(format!("{what} within {}", duration::format(self.limit)))
    }
}

async fn exchange<S>(stream: S, request: Outgoing, clock: &Clock) -> Result<Reply, Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut client = http1::Builder::new();
    client.max_buf_size(HEADERS_MAX_BYTES);
    let (mut sender, connection) =
        client.handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    let answer = async {
        let response = clock.within("connected, but no answer came", sender.send_request(request)).await?;
        let response = response.map_err(|error| broken(&error))?;
        let status = response.status();
        let body = read(response.into_body(), clock)
            .await
            .map_err(|trouble| trouble.about(&format!("answers {}", status.as_u16())))?;
        Ok(Reply { status, body, took: clock.started.elapsed() })
    };
    // The connection has to be driven, and may end before the answer has been read.
    match select(pin!(answer), pin!(connection)).await {
        Either::Left((reply, _)) => reply,
        Either::Right((_, answer)) => answer.await,
    }
}

async fn read(mut body: Incoming, clock: &Clock) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    loop {
        let frame = tokio::time::timeout(clock.left(), body.frame())
            .await
            .map_err(|_| clock.over(&format!("its body did not end ({} bytes came)", bytes.len())))?;
        let Some(frame) = frame else { return Ok(bytes) };
        let frame =
            frame.map_err(|_| Trouble::fail(format!("its body broke off after {} bytes", bytes.len())))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > BODY_MAX_BYTES {
                return Err(Trouble::fail(format!(
                    "its body is larger than {} KiB, and is read no further",
                    BODY_MAX_BYTES >> 10
                )));
            }
            bytes.extend_from_slice(&data);
        }
    }
}

/// What was wrong with an answer that never got to its body; never what it held.
fn broken(error: &hyper::Error) -> Trouble {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Trouble::fail("the connection was closed before there was an answer");
    }
    if error.is_parse_too_large() {
        return Trouble::fail("its answer's headers are larger than may be read");
    }
    if error.is_parse() {
        return Trouble::fail("what it answers is not HTTP/1.1");
    }
    Trouble::fail("the connection broke before there was an answer")
}

fn explain_tls(error: &io::Error) -> String {
    use rustls::{CertificateError, Error};
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            "the server's certificate is not signed by a CA that the operator's system trusts".to_owned()
        }
        Some(error) => postgres::explain_tls(error).to_owned(),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests;
