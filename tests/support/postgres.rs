//! A throwaway PostgreSQL server, and a database in it for each test.
//!
//! The server is started by a tool (`CUTOVER_LOCALCLUSTER`, by default the repository's own build of it), one per test
//! process, and destroyed when the process is gone, however it ended.

use std::{
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use cutover::{
    api::{TlsMode, TlsSettings},
    postgres::{ConnectionUri, Roles, Target},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::Deserialize;
use tokio_postgres_rustls::MakeRustlsConnect;

/// A certificate authority that signed no server's certificate.
#[allow(dead_code, reason = "for tests of connections")]
pub const STRANGER_CA: &str = include_str!("stranger_ca.pem");
/// In every password, with every character that a URI could trip over; no message may contain the word.
const PASSWORD: &str = "canary :/?#[]@!$&'()*+,;=%20\"<>\\^`{|}~é";

/// What the tool says about a server.
#[derive(Deserialize)]
pub struct Server {
    name: String,
    pub host: String,
    pub port: u16,
    superuser: String,
    password: String,
    pub ca_file: PathBuf,
    #[allow(dead_code, reason = "for a test that makes a standby")]
    pub data_dir: PathBuf,
    /// Ends with this process, and takes the server with it.
    #[serde(skip)]
    #[allow(dead_code, reason = "held, not used")]
    undertaker: Option<Child>,
}

fn tool() -> String {
    std::env::var("CUTOVER_LOCALCLUSTER")
        .unwrap_or_else(|_| format!("{}/target/localcluster/localcluster", env!("CARGO_MANIFEST_DIR")))
}

fn directory() -> String {
    std::env::var("CUTOVER_LOCALCLUSTER_DIR").unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned())
}

impl Server {
    /// The server that the tests of this process share.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| Self::start("shared"))
    }

    /// A server of one's own, for a test that stops it.
    pub fn start(purpose: &str) -> Self {
        Self::start_with(purpose, &[])
    }

    /// A server of one's own with further settings, each as `name=value`.
    pub fn start_with(purpose: &str, settings: &[&str]) -> Self {
        let name = format!("{purpose}-{}", std::process::id());
        let arguments = ["--dir", &directory(), "--name", &name];
        // Reads until this process closes its end of the pipe, by exiting or by being killed.
        let undertaker = Command::new("sh")
            .args(["-c", "read _; exec \"$@\" >/dev/null 2>&1", "undertaker", &tool(), "postgres", "destroy"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt at the terminal is for this process, and must not take the undertaker first.
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let output = Command::new(tool())
            .args(["postgres", "up"])
            .args(arguments)
            .args(settings)
            .output()
            .unwrap_or_else(|error| {
                panic!("{} does not run ({error}); build it or set CUTOVER_LOCALCLUSTER", tool())
            });
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut server: Self = serde_json::from_slice(&output.stdout).expect("the tool prints one JSON line");
        server.undertaker = Some(undertaker);
        server
    }

    /// Starts it again after [`Server::stop`], with data of `origin`, whose passwords are its own from then on.
    #[allow(dead_code, reason = "for a test that makes a standby")]
    pub fn start_as_copy_of(&mut self, origin: &Self) {
        let status = Command::new(tool())
            .args(["postgres", "up", "--dir", &directory(), "--name", &self.name])
            .stdout(Stdio::null())
            .status()
            .expect("the tool runs");
        assert!(status.success());
        self.password.clone_from(&origin.password);
    }

    /// The database of that name, which came with a copy.
    #[allow(dead_code, reason = "for a test that makes a standby")]
    pub fn existing_database(&self, name: &str) -> Database<'_> {
        Database {
            server: self,
            name: name.to_owned(),
            host: self.host.clone(),
            port: self.port,
            parameters: "",
        }
    }

    /// Stops the server; its data stay.
    pub fn stop(&self) {
        let status = Command::new(tool())
            .args(["postgres", "down", "--dir", &directory(), "--name", &self.name])
            .status()
            .expect("the tool runs");
        assert!(status.success());
    }

    /// What another server connects with, as the superuser.
    #[allow(dead_code, reason = "for tests of replication")]
    pub fn conninfo(&self, database: &str) -> String {
        let Self { host, port, superuser, password, .. } = self;
        format!(
            "host={host} port={port} user={superuser} password={password} dbname={database} sslmode=require"
        )
    }

    pub fn ca_pem(&self) -> Vec<u8> {
        std::fs::read(&self.ca_file).expect("the CA file can be read")
    }

    /// Runs statements as the superuser.
    pub async fn execute(&self, database: &str, statements: &str) {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.ca_pem()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (client, connection) = tokio_postgres::Config::new()
            .host(&self.host)
            .port(self.port)
            .user(&self.superuser)
            .password(&self.password)
            .dbname(database)
            .ssl_mode(tokio_postgres::config::SslMode::Require)
            .connect(MakeRustlsConnect::new(tls))
            .await
            .expect("the superuser can connect");
        let driver = tokio::spawn(connection);
        client.batch_execute(statements).await.expect("the statements are carried out");
        drop(client);
        driver.await.unwrap().unwrap();
    }

    /// A new database, owned by a new role.
    pub async fn database(&self) -> Database<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        self.database_named(format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed))).await
    }

    /// A new database of that name, owned by a new role of that name.
    pub async fn database_named(&self, name: String) -> Database<'_> {
        let quoted = PASSWORD.replace('\'', "''");
        self.execute("postgres", &format!("CREATE ROLE {name} LOGIN PASSWORD '{quoted}'")).await;
        self.execute("postgres", &format!("CREATE DATABASE {name} OWNER {name}")).await;
        Database { server: self, name, host: self.host.clone(), port: self.port, parameters: "" }
    }

    /// The superuser's own connection.
    pub fn superuser(&self) -> Target {
        let uri =
            format!("postgresql://{}:{}@{}:{}/postgres", self.superuser, self.password, self.host, self.port);
        Target {
            uri: ConnectionUri::parse(&uri).unwrap(),
            tls: tls(TlsMode::VerifyFull),
            ca_pem: Some(self.ca_pem()),
            roles: Roles::Ordinary,
        }
    }
}

/// A database and the role that owns it; both have the same name.
pub struct Database<'a> {
    server: &'a Server,
    pub name: String,
    pub host: String,
    pub port: u16,
    /// What follows in the URI, such as `?target_session_attrs=primary`.
    pub parameters: &'static str,
}

impl Database<'_> {
    pub async fn execute(&self, statements: &str) {
        self.server.execute(&self.name, statements).await;
    }

    /// As the application would connect.
    pub fn target(&self) -> Target {
        self.target_with_password(PASSWORD)
    }

    pub fn target_with_password(&self, password: &str) -> Target {
        let uri = ConnectionUri::parse(&self.uri_with_password(password)).unwrap();
        Target {
            uri,
            tls: tls(TlsMode::VerifyFull),
            ca_pem: Some(self.server.ca_pem()),
            roles: Roles::Ordinary,
        }
    }

    /// The connection URI, as a Secret holds it.
    #[allow(dead_code, reason = "for tests with a cluster")]
    pub fn uri(&self) -> String {
        self.uri_with_password(PASSWORD)
    }

    fn uri_with_password(&self, password: &str) -> String {
        let encoded: String = password.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
        let Self { name, host, port, parameters, .. } = self;
        format!("postgresql://{name}:{encoded}@{host}:{port}/{name}{parameters}\n")
    }
}

pub fn tls(mode: TlsMode) -> TlsSettings {
    TlsSettings { mode, ca_key: None }
}

/// Nothing that is shown may contain a password or a connection string.
pub fn assert_shows_no_secret(shown: &impl std::fmt::Debug) {
    let shown = format!("{shown:?}").to_lowercase();
    let superuser = &Server::shared().password;
    for secret in ["canary", "%63%61%6e", "postgresql://", superuser] {
        assert!(!shown.contains(secret), "a secret is shown: {shown}");
    }
}
