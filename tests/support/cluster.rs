//! The cluster that the tests run on: the one that `make test` has started, or that is named explicitly.

use std::{path::PathBuf, sync::OnceLock};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

/// The folder of the local cluster.
pub fn directory() -> PathBuf {
    let default = format!("{}/target/test-cluster", env!("CARGO_MANIFEST_DIR"));
    PathBuf::from(std::env::var("CUTOVER_TEST_CLUSTER").unwrap_or(default))
}

/// The cluster's kubeconfig.
pub fn kubeconfig() -> PathBuf {
    let path = directory().join("kubeconfig");
    assert!(path.exists(), "these tests need the local cluster: run `make test`");
    path
}

/// A client of a test's own: its connections belong to that test's runtime.
pub async fn client() -> Client {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        rustls::crypto::aws_lc_rs::default_provider().install_default().expect("no other provider");
    });
    let kubeconfig = Kubeconfig::read_from(kubeconfig()).expect("a kubeconfig");
    let config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("a config");
    Client::try_from(config).expect("a client")
}
