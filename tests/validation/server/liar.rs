//! A relay that changes what a server says of itself, so that one real server can stand for another.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
};

/// Relays to `to`, with each `from` in what the server says replaced by its `to`, of the same length; returns where it
/// listens. Ends with the test's runtime.
pub async fn relay(to: (String, u16), lies: &'static [(&'static str, &'static str)]) -> SocketAddr {
    assert!(lies.iter().all(|(from, to)| from.len() == to.len()), "messages keep their lengths");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect((to.0.as_str(), to.1)).await else { continue };
            let (mut from_client, to_client) = client.into_split();
            let (from_server, mut to_server) = server.into_split();
            tokio::spawn(async move {
                let _ = copy(&mut from_client, &mut to_server).await;
                let _ = to_server.shutdown().await;
            });
            tokio::spawn(lie(from_server, to_client, lies));
        }
    });
    address
}

async fn lie(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, lies: &[(&str, &str)]) {
    let mut held = Vec::new();
    let mut chunk = [0; 8 << 10];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        held.extend_from_slice(&chunk[..length]);
        for (truth, lie) in lies {
            replace(&mut held, truth.as_bytes(), lie.as_bytes());
        }
        // What may yet turn out to be the beginning of something to replace waits for the rest.
        let kept = lies.iter().map(|(truth, _)| begun(&held, truth.as_bytes())).max().unwrap_or(0);
        let rest = held.split_off(held.len() - kept);
        if to.write_all(&held).await.is_err() {
            return;
        }
        held = rest;
    }
    let _ = to.shutdown().await;
}

fn replace(text: &mut [u8], from: &[u8], to: &[u8]) {
    let found: Vec<usize> = text
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from)
        .map(|(at, _)| at)
        .collect();
    for at in found {
        text[at..at + to.len()].copy_from_slice(to);
    }
}

/// How many of the last bytes are the first ones of `pattern`.
fn begun(text: &[u8], pattern: &[u8]) -> usize {
    (1..pattern.len()).rev().find(|length| text.ends_with(&pattern[..*length])).unwrap_or(0)
}
