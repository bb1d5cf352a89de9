//! A way to a server that makes it slower, by as much as it is told to at any moment.
//!
//! Decides how long an answer is held back: a share of the time that the server took for it, and a fixed time. Expects one
//! question at a time on a connection, of one or more statements in one request; its answer is over where the server
//! is ready and no transaction is open.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long before its end a wait is spun: what waking up takes.
const SPIN: Duration = Duration::from_micros(120);
/// Which answers are slow is told by so many before them, so that it goes with the noise: those of a second, at 500/s.
const RECENT: usize = 500;
const ALL: usize = 1_000;
/// `ReadyForQuery`, idle: <https://www.postgresql.org/docs/current/protocol-message-formats.html>. Answers are short, and come in one
/// piece.
const READY: [u8; 6] = *b"Z\0\0\0\x05I";

/// What is done to answers.
#[derive(Debug)]
pub struct Law(Mutex<State>);

#[derive(Debug)]
struct State {
    /// By how much of the time that the server took they are held back.
    share: f64,
    /// Of a thousand answers, how many of the slowest.
    slowest: usize,
    /// On top of that, all of them.
    fixed: Duration,
    /// How long the server took, for each answer since the share was last changed.
    took: Vec<Duration>,
}

impl Law {
    fn new() -> Self {
        Self(Mutex::new(State { share: 0.0, slowest: ALL, fixed: Duration::ZERO, took: Vec::new() }))
    }

    /// All answers.
    pub fn share(&self, share: f64) {
        self.share_of_slowest(ALL, share);
    }

    /// Slow answers stay slower than others, so percentiles among them are later by just this share of what the server takes. As
    /// noise comes and goes it takes `RECENT` answers until the others are told again; the load sees the way there and back, too, and
    /// so a little less.
    pub fn share_of_slowest(&self, slowest: usize, share: f64) {
        let mut state = self.0.lock().unwrap();
        state.took.clear();
        (state.slowest, state.share) = (slowest, share);
    }

    pub fn fixed(&self, time: Duration) {
        self.0.lock().unwrap().fixed = time;
    }

    /// The median time that the server took since the share was last changed.
    pub fn median(&self) -> Duration {
        let mut took = self.0.lock().unwrap().took.clone();
        took.sort_unstable();
        took[took.len() / 2]
    }

    fn hold(&self, took: Duration) -> Duration {
        let mut state = self.0.lock().unwrap();
        state.took.push(took);
        let share = if took >= state.shortest_of_slowest() { state.share } else { 0.0 };
        state.fixed + took.mul_f64(share)
    }
}

impl State {
    fn shortest_of_slowest(&self) -> Duration {
        let mut recent = self.took[self.took.len().saturating_sub(RECENT)..].to_vec();
        let others = recent.len() - recent.len() * self.slowest / ALL;
        let at = others.min(recent.len() - 1);
        *recent.select_nth_unstable(at).1
    }
}

/// Starts one on a port of its own, which is returned. It ends with this process.
pub fn start(host: &str, port: u16) -> (u16, Arc<Law>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let own = listener.local_addr().expect("it listens").port();
    let (law, its) = (Arc::new(Law::new()), (host.to_owned(), port));
    let laws = law.clone();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            if let Ok(server) = TcpStream::connect((its.0.as_str(), its.1)) {
                connect(client, server, laws.clone());
            }
        }
    });
    (own, law)
}

fn connect(client: TcpStream, server: TcpStream, law: Arc<Law>) {
    let started = Instant::now();
    // When the last question went by, in nanoseconds since the start; 0 once it was answered.
    let asked = Arc::new(AtomicU64::new(0));
    client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).expect("a TCP connection");
    let both = |stream: &TcpStream| stream.try_clone().expect("few files are open");
    let (from, to, asking) = (both(&client), both(&server), asked.clone());
    let since = move || u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    thread::spawn(move || pass(from, to, |_| asking.store(since(), Ordering::Release)));
    thread::spawn(move || {
        pass(server, client, |answer| {
            if !answer.ends_with(&READY) {
                return;
            }
            let asked = asked.swap(0, Ordering::AcqRel);
            if asked > 0 {
                wait(law.hold(Duration::from_nanos(since() - asked)));
            }
        });
    });
}

/// Hands on what comes, after `before` each time.
fn pass(mut from: TcpStream, mut to: TcpStream, before: impl Fn(&[u8])) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        before(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn wait(time: Duration) {
    let end = Instant::now() + time;
    thread::sleep(time.saturating_sub(SPIN));
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}
