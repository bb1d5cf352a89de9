//! The operator as its own process, so that it can be killed.

use std::{
    fs::File,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};

use crate::cluster;

/// What a test wants to read when it fails.
const TALKATIVE: &[&str] = &["--log", "debug,hyper=info,h2=info,tower=info"];

pub struct Operator {
    namespace: String,
    identity: String,
    arguments: &'static [&'static str],
    child: Child,
    log: PathBuf,
    port: u16,
}

impl Operator {
    pub fn start(namespace: &str) -> Self {
        Self::start_with(namespace, "first", TALKATIVE)
    }

    /// Another one beside it.
    #[allow(dead_code, reason = "for some tests")]
    pub fn start_second(namespace: &str) -> Self {
        Self::start_with(namespace, "second", TALKATIVE)
    }

    /// As its users run it, with no more log than they have.
    #[allow(dead_code, reason = "for benchmarks")]
    pub fn start_plain(namespace: &str) -> Self {
        Self::start_with(namespace, "first", &[])
    }

    fn start_with(namespace: &str, which: &str, arguments: &'static [&'static str]) -> Self {
        let identity = format!("{which}-{namespace}");
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("operator-{identity}.log"));
        let _ = std::fs::remove_file(&log);
        let port = free_port();
        let child = spawn(namespace, &identity, arguments, &log, port);
        Self { namespace: namespace.to_owned(), identity, arguments, child, log, port }
    }

    #[allow(dead_code, reason = "for benchmarks")]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// As a container that is started again: the same pod, so the same identity.
    pub fn start_again(&mut self) {
        self.child = spawn(&self.namespace, &self.identity, self.arguments, &self.log, self.port);
    }

    /// Sends it a signal, such as `TERM`.
    #[allow(dead_code, reason = "for some tests")]
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "SIG{name}");
    }

    /// Waits until it has ended by itself.
    #[allow(dead_code, reason = "for some tests")]
    pub async fn end(&mut self) -> ExitStatus {
        use tokio::io::AsyncReadExt;
        // Its end closes the connection.
        if let Ok(mut stream) = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await {
            let _ = stream.read(&mut [0]).await;
        }
        self.child.wait().expect("it is our child")
    }

    /// Waits until it says that it is ready.
    #[allow(dead_code, reason = "for some tests")]
    pub async fn until_ready(&self) {
        // Nothing tells when it listens.
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        while !self.get("/readyz").await.contains("200 OK") {}
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A figure of `/metrics`, summed over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let body = self.get("/metrics").await;
        let values =
            body.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
        values.filter_map(|value| value.parse::<f64>().ok()).sum()
    }

    /// The answer of an endpoint, headers included.
    pub async fn get(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(namespace: &str, identity: &str, arguments: &[&str], log: &PathBuf, port: u16) -> Child {
    let log = File::options().create(true).append(true).open(log).expect("a log file");
    Command::new(env!("CARGO_BIN_EXE_cutover"))
        .arg("controller")
        .arg("--kubeconfig")
        .arg(cluster::kubeconfig())
        .args(["--namespace", namespace, "--listen", &format!("127.0.0.1:{port}")])
        .args(["--identity", identity, "--image", "cutover:dev", "--host-network"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the operator starts")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}
