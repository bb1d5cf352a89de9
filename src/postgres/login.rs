//! TLS, authentication and startup over an open connection, and the task that then drives it.
//!
//! Decides which of the steps an error of the driver belongs to: the driver runs them as one, so the TLS connector is
//! wrapped to note when the handshake was over. The driver's stream is lent, for those who go on without the driver. Never lets a notice of the server into the log (the driver's own task
//! would): a notice may hold user data.

use std::{
    error::Error as _,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_postgres::{
    Client, Connection, NoTls,
    config::SslMode,
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    budget::{Budget, ByteBudget},
    connect::{ConnectCause, ConnectOptions, Step, StepError, Target},
    error::{ErrorClass, Fault},
    lent::{Lender, Lent, Socket},
    session::{Driver, LoggedIn, Session},
    tls::{TlsSeen, Verification, explain},
};

type Stream = ByteBudget<TcpStream>;

/// Logs in over `stream`. The session is not examined yet.
pub(super) async fn login(
    stream: Stream,
    target: &Target,
    verification: Option<Verification>,
    budget: Budget,
    options: &ConnectOptions,
) -> Result<Session, StepError> {
    let mut config = target.uri.login(&format!("cutover/{}", options.purpose));
    // Set when there is a stream that the role can log in by.
    let lender = Arc::new(OnceLock::new());
    let attempt = async {
        if let Some(verification) = verification {
            config.ssl_mode(SslMode::Require);
            let (tls, witness) = verification.into_parts();
            let Ok(connect) = MakeTlsConnect::<Stream>::make_tls_connect(
                &mut MakeRustlsConnect::new(tls),
                &target.uri.endpoint().host,
            );
            let lending = Lending { connect, lender: lender.clone() };
            let (client, connection) = config.connect_raw(stream, lending).await?;
            Ok(session(client, connection, Verification::seen(&witness), &budget, &lender))
        } else {
            config.ssl_mode(SslMode::Disable);
            let stream = lend(stream, &lender);
            let (client, connection) = config.connect_raw(stream, NoTls).await?;
            Ok(session(client, connection, TlsSeen::Plain, &budget, &lender))
        }
    };
    let outcome = timeout(options.step_timeout, attempt).await;
    let step = if lender.get().is_some() { Step::Authentication } else { Step::Tls };
    match outcome {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(error)) => {
            let too_much = budget.fault().map(|fault| (step, ConnectCause::Server(fault)));
            Err(too_much.unwrap_or_else(|| blame(&error, step)))
        }
        Err(_) => Err((step, ConnectCause::TimedOut(options.step_timeout))),
    }
}

/// The step and the cause of an error that came up in `step` or right after it.
fn blame(error: &tokio_postgres::Error, step: Step) -> StepError {
    if error.as_db_error().is_some() {
        let fault = Fault::of(error);
        let step =
            if fault.class == ErrorClass::Authentication { Step::Authentication } else { Step::Startup };
        return (step, ConnectCause::Server(fault));
    }
    if let Some(tls) = rustls_error(error) {
        return (Step::Tls, ConnectCause::TlsHandshake(explain(tls)));
    }
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    // The driver's kinds are private; its texts are fixed, and none of them holds anything from the connection.
    let cause = match (error.to_string().as_str(), source.as_str()) {
        ("error performing TLS handshake", "server does not support TLS") => ConnectCause::TlsUnsupported,
        ("invalid configuration", "password missing") => ConnectCause::NoPassword,
        ("authentication error", _) => ConnectCause::Method,
        _ => ConnectCause::BrokenOff,
    };
    (step, cause)
}

/// The TLS library's own error, in the I/O error in the driver's error.
fn rustls_error(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    error.source()?.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}

/// Lends the stream that the role logs in by.
fn lend<S: Socket + 'static>(stream: S, lender: &OnceLock<Lender>) -> Lent<S> {
    let (lent, own) = Lent::new(stream);
    let _ = lender.set(own);
    lent
}

fn session<S, T>(
    client: Client,
    connection: Connection<S, T>,
    tls: TlsSeen,
    budget: &Budget,
    lender: &OnceLock<Lender>,
) -> Session
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let version = connection.parameter("server_version").map(str::to_owned);
    let end = Arc::new(OnceLock::new());
    let driver = Driver(tokio::spawn(drive(connection, budget.clone(), end.clone())));
    Session::new(LoggedIn {
        client,
        driver,
        end,
        budget: budget.clone(),
        lender: lender.get().cloned(),
        tls,
        version,
    })
}

/// Moves the session's bytes until it is over, and leaves word of why.
async fn drive<S, T>(mut connection: Connection<S, T>, budget: Budget, end: Arc<OnceLock<Fault>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
        if let Err(error) = message {
            let fault = budget.fault().unwrap_or_else(|| Fault::of(&error));
            // Set before the connection is dropped: that is when a waiting statement learns that it is over.
            let _ = end.set(fault);
            return;
        }
    }
}

/// A TLS connector that lends its stream when the handshake is over.
struct Lending<C> {
    connect: C,
    lender: Arc<OnceLock<Lender>>,
}

impl<S, C> TlsConnect<S> for Lending<C>
where
    C: TlsConnect<S>,
    C::Future: Send + 'static,
    C::Stream: Send + 'static,
{
    type Stream = Lent<C::Stream>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, C::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let handshake = self.connect.connect(stream);
        Box::pin(async move { Ok(lend(handshake.await?, &self.lender)) })
    }
}
