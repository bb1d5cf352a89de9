//! stub
use crate::{api::*, postgres::Target};
/// x
pub struct LoadSpec;
/// x
#[derive(Default)]
pub struct LoadProgress;
impl LoadSpec {
    /// x
    pub fn from_load(_: &Load, _: &Traffic, _: u64) -> Result<Self, String> {
        Ok(Self)
    }
    /// x
    pub fn from_baseline(_: &Baseline, _: &Traffic, _: u64) -> Result<Self, String> {
        Ok(Self)
    }
}
/// x
pub async fn run(_: &LoadSpec, _: &Target, _: tokio::sync::watch::Sender<LoadProgress>) -> LoadResult {
    LoadResult::default()
}
