//! A server that lets anybody in, and then answers the first real question with mischief.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What a question is answered with.
#[derive(Clone, Copy, Debug)]
pub enum Mischief {
    /// Nothing at all.
    Silence,
    /// Rows, for ever.
    EndlessRows,
    /// One byte a second.
    Drip,
    /// Half a row, then the end of the connection.
    CutOff,
    /// `53300`, at login.
    NoSlots,
    /// `57P03`, at login.
    Recovering,
}

/// Starts such a server; it ends with the test's runtime.
pub async fn server(mischief: Mischief) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Its client hangs up when it has had enough.
            tokio::spawn(serve(stream, mischief));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, mischief: Mischief) -> std::io::Result<()> {
    let length = stream.read_i32().await?;
    let mut startup = vec![0; usize::try_from(length - 4).unwrap()];
    stream.read_exact(&mut startup).await?;
    match mischief {
        Mischief::NoSlots => return stream.write_all(&error("53300")).await,
        Mischief::Recovering => return stream.write_all(&error("57P03")).await,
        _ => {}
    }
    let version = message(b'S', b"server_version\x0015.0\0");
    stream.write_all(&[message(b'R', &0_i32.to_be_bytes()), version, ready()].concat()).await?;
    let mut is_known = false;
    loop {
        let kind = stream.read_u8().await?;
        let length = stream.read_i32().await?;
        let mut body = vec![0; usize::try_from(length - 4).unwrap()];
        stream.read_exact(&mut body).await?;
        match kind {
            b'Q' if !is_known => {
                is_known = true;
                stream.write_all(&facts()).await?;
            }
            b'Q' if body.starts_with(b"BEGIN") || body.starts_with(b"SET") => {
                stream.write_all(&[message(b'C', b"SET\0"), ready()].concat()).await?;
            }
            b'Q' | b'P' => return misbehave(stream, kind == b'P', mischief).await,
            _ => {}
        }
    }
}

async fn misbehave(mut stream: TcpStream, is_extended: bool, mischief: Mischief) -> std::io::Result<()> {
    let mut head = Vec::new();
    if is_extended {
        head.extend([message(b'1', b""), message(b't', &0_i16.to_be_bytes())].concat());
    }
    head.extend(description(1));
    if is_extended {
        head.extend(message(b'2', b""));
    }
    let row = row(&[Some("canary".repeat(200).as_str())]);
    match mischief {
        Mischief::EndlessRows => {
            stream.write_all(&head).await?;
            loop {
                stream.write_all(&row).await?;
            }
        }
        Mischief::Drip => {
            for byte in [head, row].concat() {
                stream.write_u8(byte).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(())
        }
        Mischief::CutOff => stream.write_all(&[&head, &row[..row.len() / 2]].concat()).await,
        _ => {
            // Until the client gives up.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            Ok(())
        }
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap();
    [&[kind], length.to_be_bytes().as_slice(), body].concat()
}

fn ready() -> Vec<u8> {
    message(b'Z', b"I")
}

fn error(sqlstate: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0VFATAL\0C{sqlstate}\0Mcanary\0\0").as_bytes())
}

/// `columns` of type text.
fn description(columns: i16) -> Vec<u8> {
    let mut body = columns.to_be_bytes().to_vec();
    for _ in 0..columns {
        body.extend(b"c\0");
        body.extend(0_i32.to_be_bytes());
        body.extend(0_i16.to_be_bytes());
        body.extend(25_i32.to_be_bytes());
        body.extend((-1_i16).to_be_bytes());
        body.extend((-1_i32).to_be_bytes());
        body.extend(0_i16.to_be_bytes());
    }
    message(b'T', &body)
}

fn row(values: &[Option<&str>]) -> Vec<u8> {
    let mut body = i16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        let Some(value) = value else {
            body.extend((-1_i32).to_be_bytes());
            continue;
        };
        body.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value.as_bytes());
    }
    message(b'D', &body)
}

/// What a session asks first: an ordinary role, on a server that takes writes.
fn facts() -> Vec<u8> {
    let values = [Some("f"), None, Some("127.0.0.1"), Some("1"), Some("f"), Some("off")];
    [description(6), row(&values), message(b'C', b"SELECT 1\0"), ready()].concat()
}
