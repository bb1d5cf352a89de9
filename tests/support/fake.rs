//! Servers that misbehave, and a relay that stands between.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What a fake server does with a connection.
#[derive(Clone, Copy)]
pub enum Behaviour {
    /// Accepts and says nothing.
    Silent,
    /// Answers the request for TLS with "no".
    NoTls,
    /// Announces a message of a gigabyte and sends it.
    Endless,
    /// Hangs up at once.
    HangUp,
}

/// Starts a fake server; it ends with the test's runtime.
pub async fn server(behaviour: Behaviour) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(misbehave(stream, behaviour));
        }
    });
    address
}

async fn misbehave(mut stream: TcpStream, behaviour: Behaviour) {
    let mut request = [0; 1024];
    match behaviour {
        Behaviour::Silent => tokio::time::sleep(Duration::from_mins(10)).await,
        Behaviour::HangUp => {}
        Behaviour::NoTls => {
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"N").await;
            let _ = stream.read(&mut request).await;
        }
        Behaviour::Endless => {
            let _ = stream.read(&mut request).await;
            // Authentication request, and a length just below what a message may have.
            let mut bytes = vec![b'R', 0x3f, 0xff, 0xff, 0xff];
            bytes.resize(1 << 16, 0);
            while stream.write_all(&bytes).await.is_ok() {}
        }
    }
}

/// Relays connections on `listen` to `to`, as a pooler or a proxy would; returns where it listens.
pub async fn relay(listen: &str, to: (String, u16)) -> SocketAddr {
    freezable_relay(listen, to, watch::channel(false).1).await
}

/// A relay that passes nothing on while `frozen` is true.
pub async fn freezable_relay(listen: &str, to: (String, u16), frozen: watch::Receiver<bool>) -> SocketAddr {
    let listener = TcpListener::bind((listen, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((inbound, _)) = listener.accept().await {
            let (to, frozen) = (to.clone(), frozen.clone());
            tokio::spawn(async move {
                let outbound = TcpStream::connect(to).await?;
                inbound.set_nodelay(true)?;
                outbound.set_nodelay(true)?;
                let ((client_in, client_out), (server_in, server_out)) =
                    (inbound.into_split(), outbound.into_split());
                tokio::try_join!(
                    pass(client_in, server_out, frozen.clone()),
                    pass(server_in, client_out, frozen)
                )
            });
        }
    });
    address
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut frozen: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut bytes = vec![0; 1 << 14];
    loop {
        let count = from.read(&mut bytes).await?;
        // A sender that is gone can't freeze anything any more.
        let _ = frozen.wait_for(|frozen| !frozen).await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..count]).await?;
    }
}
