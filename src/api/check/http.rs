//! `http`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Does an endpoint, such as the application's own health, answer as expected? Asked by `GET`, over HTTP/1.1, without
/// credentials. A redirect is not followed, and `https` is verified against the trust store of the operator's system.
#[derive(clap::Args, Serialize, Deserialize, Debug, PartialEq, Clone, Default, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    /// What is asked, such as `http://api.shop:8080/healthz`.
    #[schemars(length(min = 1, max = 2048), regex(pattern = "^https?://[!-~]+$"))]
    #[x_kube(validation = Rule::new("!self.matches('^https?://[^/?#]*@')").message("the URL holds a user name or a password; a spec is no place for a secret"))]
    #[arg(long)]
    pub url: String,
    /// The status that is expected; any of 200 to 299 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    #[arg(long)]
    pub status: Option<i32>,
    /// Text that the answer's body, of at most 1 MiB, must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[arg(long)]
    pub contains: Option<String>,
}
