//! `cutover controller`.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use futures::FutureExt;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::logging;
use crate::{
    cluster::job::{Jobs, PodSettings},
    controller, serve,
};

/// The libraries say nothing that concerns a rollout below a warning; `tokio_postgres` would even print statements.
const DEFAULT_LOG: &str = "info,kube_runtime=warn,kube_client=warn,tokio_postgres=warn";
/// How long connecting to the API server may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(super) struct Options {
    /// The kubeconfig to use. Left out: the service account of the pod that this runs in.
    #[arg(long, env = "CUTOVER_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// A namespace to watch; may be repeated, or separated by commas. Left out: all.
    #[arg(long = "namespace", env = "CUTOVER_NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Where to serve `/livez`, `/readyz` and `/metrics`.
    #[arg(long, env = "CUTOVER_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// What to log, such as `info` or `cutover=debug`.
    #[arg(
        long,
        env = "CUTOVER_LOG",
        default_value = DEFAULT_LOG
    )]
    log: String,
    /// How to log.
    #[arg(long, env = "CUTOVER_LOG_FORMAT", value_enum, default_value_t = logging::Format::Json)]
    log_format: logging::Format,
    /// The image that this runs from, for the pods of load with `parallelism`. Left out: such load is refused.
    #[arg(long, env = "CUTOVER_IMAGE")]
    image: Option<String>,
    /// A Secret that those pods pull it with; may be repeated, or separated by commas.
    #[arg(long = "image-pull-secret", env = "CUTOVER_IMAGE_PULL_SECRETS", value_delimiter = ',')]
    image_pull_secrets: Vec<String>,
    /// Who this is, to other operators of the same namespaces, of which one acts: the pod's name. No two that run may have the same;
    /// one that comes back takes up what it held. Left out: the host's name, and something that no other process has.
    #[arg(long, env = "POD_NAME")]
    identity: Option<String>,
    /// Give those pods their node's network.
    #[arg(long, env = "CUTOVER_HOST_NETWORK")]
    host_network: bool,
}

impl Options {
    fn identity(&self) -> String {
        let given = self.identity.clone().filter(|identity| !identity.is_empty());
        given.unwrap_or_else(|| {
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            format!("{host}-{:016x}", rand::random::<u64>())
        })
    }

    fn jobs(&self) -> Jobs {
        let image = self.image.clone().filter(|image| !image.is_empty());
        let pull_secrets = self.image_pull_secrets.iter().filter(|name| !name.is_empty()).cloned();
        Jobs::new(image.map(|image| PodSettings {
            image,
            image_pull_secrets: pull_secrets.collect(),
            host_network: self.host_network,
        }))
    }
}

pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    logging::start(&options.log, options.log_format).context("--log is not a filter")?;
    super::install_tls_provider()?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(operate(options))
}

async fn operate(options: &Options) -> anyhow::Result<()> {
    let client = client(options).await?;
    let named: BTreeSet<&String> = options.namespaces.iter().filter(|name| !name.is_empty()).collect();
    let namespaces: Vec<String> = named.into_iter().cloned().collect();
    let leadership = controller::Leadership::new(options.identity());
    let watches = namespaces.len().max(1);
    let context = Arc::new(controller::Context::new(client.clone(), watches, options.jobs(), leadership));
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let server = serve::serve(options.listen, context.clone(), stop.clone().cancelled_owned());
    let operator = controller::run(client, &namespaces, context, stop.clone().cancelled_owned().shared());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), ?namespaces, "cutover runs");
    let served = tokio::join!(
        async {
            let served = server.await;
            // Without its port an operator could not be told from a dead one.
            stop.cancel();
            served
        },
        operator
    );
    tracing::info!("cutover has stopped");
    served.0.with_context(|| format!("cannot serve on {}", options.listen))
}

async fn client(options: &Options) -> anyhow::Result<Client> {
    let mut config = match &options.kubeconfig {
        Some(path) => {
            let kubeconfig = Kubeconfig::read_from(path)
                .with_context(|| format!("cannot read the kubeconfig {}", path.display()))?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
        }
        None => Config::incluster()
            .context("not in a cluster: name a kubeconfig with --kubeconfig or CUTOVER_KUBECONFIG")?,
    };
    // A decision that is applied minutes after it was made is a decision about another world: cutover retries itself.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Ok(Client::try_from(config)?)
}

fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    Ok(())
}
