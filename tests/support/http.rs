//! A small HTTP server that answers, or misbehaves, as a test says.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What the server does with a request.
#[derive(Clone)]
pub enum Act {
    /// Sends these bytes and hangs up.
    Send(Vec<u8>),
    /// Sends these bytes, and after them these others again and again.
    SendForEver(Vec<u8>, Vec<u8>),
    /// Sends these bytes, then one byte a second.
    Drip(Vec<u8>),
    /// Says nothing.
    Silent,
}

impl Act {
    /// A whole answer.
    pub fn answer(status: u16, body: &str) -> Self {
        Self::Send(
            format!("HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .into_bytes(),
        )
    }
}

/// A server, and the requests that it was sent.
pub struct HttpServer {
    pub address: SocketAddr,
    requests: watch::Receiver<Vec<String>>,
}

impl HttpServer {
    /// Does the same with every request.
    pub async fn that(act: Act) -> Self {
        Self::that_in_turn(vec![act]).await
    }

    /// Does the first with the first request, the second with the second, and the last from then on.
    pub async fn that_in_turn(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, requests) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = seen.borrow().len();
                let act = acts[number.min(acts.len() - 1)].clone();
                // Read here, so that requests are counted in their order.
                let (stream, request) = read_request(stream).await;
                seen.send_modify(|seen| seen.push(request));
                tokio::spawn(carry_out(stream, act));
            }
        });
        Self { address, requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far, heads and bodies.
    pub fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    /// Waits for the first request.
    #[allow(dead_code, reason = "shared with other tests")]
    pub async fn is_asked(&self) {
        self.requests.clone().wait_for(|seen| !seen.is_empty()).await.expect("the server is there");
    }
}

async fn read_request(mut stream: TcpStream) -> (TcpStream, String) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase().lines().find_map(|line| {
                line.strip_prefix("content-length:").and_then(|value| value.trim().parse::<usize>().ok())
            });
            if body.len() >= length.unwrap_or(0) {
                return (stream, text);
            }
        }
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => return (stream, text),
        }
    }
}

async fn carry_out(mut stream: TcpStream, act: Act) -> std::io::Result<()> {
    match act {
        Act::Send(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Act::SendForEver(first, rest) => {
            stream.write_all(&first).await?;
            loop {
                stream.write_all(&rest).await?;
            }
        }
        Act::Drip(first) => {
            stream.write_all(&first).await?;
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                stream.write_all(b"x").await?;
            }
        }
        Act::Silent => {
            // Until the client has gone.
            stream.read_to_end(&mut Vec::new()).await.map(|_| ())
        }
    }
}
