//! A PgBouncer before a database.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use cutover::{
    api::TlsMode,
    postgres::{ConnectionUri, Roles, Target},
};

use crate::postgres::{Database, Server, tls};

/// Ends with its owner.
pub struct PgBouncer {
    database: String,
    port: u16,
    process: Child,
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl PgBouncer {
    /// Starts one that logs in to `database` as its owner, whoever asks. The owner has another password then.
    pub async fn before(database: &Database<'_>, mode: &str) -> Self {
        let password = "of-no-worth";
        let Database { name: database, host, port: server_port, .. } = database;
        Server::shared().execute("postgres", &format!("ALTER ROLE {database} PASSWORD '{password}'")).await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = format!(
            "[databases]\n\
             {database} = host={host} port={server_port} dbname={database} user={database} password={password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {mode}\nlogfile =\npidfile =\n"
        );
        let file =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("pgbouncer-{database}-{mode}.ini"));
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("pgbouncer");
        command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
            .env("PATH", format!("{}:/usr/local/sbin:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
        // It refuses to run as root.
        if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
            command.args(["-u", "nobody"]);
        }
        let mut process = command.spawn().unwrap_or_else(|error| {
            panic!("pgbouncer does not run ({error}); tests/cluster/setup.sh installs it")
        });
        let said = BufReader::new(process.stderr.take().unwrap());
        let mut lines = said.lines().map_while(Result::ok);
        let is_up = lines.any(|line| line.contains("process up"));
        // Keeps reading: a process whose pipe is closed would die of what it says next.
        std::thread::spawn(move || lines.for_each(drop));
        let bouncer = Self { database: database.clone(), port, process };
        assert!(is_up, "pgbouncer does not start; its configuration is {}", file.display());
        bouncer
    }

    /// Of the database, by way of it, which knows no TLS.
    pub fn uri(&self) -> String {
        format!("postgresql://anybody:at-all@127.0.0.1:{}/{}?sslmode=disable", self.port, self.database)
    }

    /// The database, by way of it.
    pub fn target(&self) -> Target {
        let uri = ConnectionUri::parse(&self.uri()).unwrap();
        Target { uri, tls: tls(TlsMode::Disable), ca_pem: None, roles: Roles::Ordinary }
    }
}
