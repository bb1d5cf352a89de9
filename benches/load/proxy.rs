//! A way to a server that makes it slower, by as much as it is told to at any moment.
//!
//! Decides how long an answer is held back: a share of the time that the server took for it, and a fixed time. Expects one
//! question at a time on a connection.

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

/// What is done to answers.
#[derive(Debug, Default)]
pub struct Law {
    /// Of the time that the server took, in thousandths.
    share: AtomicU64,
    /// On top of that.
    fixed_us: AtomicU64,
    /// How long the server took, for each answer since the share was last changed.
    took: Mutex<Vec<Duration>>,
}

impl Law {
    pub fn share(&self, thousandths: u64) {
        self.took.lock().unwrap().clear();
        self.share.store(thousandths, Ordering::Relaxed);
    }

    pub fn fixed(&self, time: Duration) {
        self.fixed_us.store(u64::try_from(time.as_micros()).expect("a short time"), Ordering::Relaxed);
    }

    /// The median time that the server took since the share was last changed.
    pub fn median(&self) -> Duration {
        let mut took = self.took.lock().unwrap().clone();
        took.sort_unstable();
        took[took.len() / 2]
    }

    fn hold(&self, took: Duration) -> Duration {
        self.took.lock().unwrap().push(took);
        let fixed = Duration::from_micros(self.fixed_us.load(Ordering::Relaxed));
        fixed + took.mul_f64(figure(self.share.load(Ordering::Relaxed)) / 1e3)
    }
}

fn figure(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Starts one on a port of its own, which is returned. It ends with this process.
pub fn start(host: &str, port: u16) -> (u16, Arc<Law>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let own = listener.local_addr().expect("it listens").port();
    let (law, its) = (Arc::new(Law::default()), (host.to_owned(), port));
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
    thread::spawn(move || pass(from, to, || asking.store(since(), Ordering::Release)));
    thread::spawn(move || {
        pass(server, client, || {
            let asked = asked.swap(0, Ordering::AcqRel);
            if asked > 0 {
                wait(law.hold(Duration::from_nanos(since() - asked)));
            }
        });
    });
}

/// Hands on what comes, after `before` each time.
fn pass(mut from: TcpStream, mut to: TcpStream, before: impl Fn()) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        before();
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
