//! What people copy from: the example rollout, and the CRD that the chart installs.

use std::path::Path;

use cutover::{api::DatabaseRollout, plan};

fn read(path: &str) -> Result<String, std::io::Error> {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
}

#[test]
fn the_example_rollouts_have_no_faults() {
    for path in ["examples/rollout.yaml", "examples/demo/rollout.yaml"] {
        let rollout: DatabaseRollout = serde_saphyr::from_str(&read(path).unwrap()).unwrap();
        let plan = plan::build("shop-to-candidate", &rollout.spec).unwrap();
        let stages: Vec<&str> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(stages, ["reporting", "api", "workers", "writers"], "{path}");
    }
}

#[test]
fn the_chart_installs_the_crd_of_the_repository() {
    assert_eq!(
        read("charts/cutover/crds/databaserollouts.yaml").unwrap(),
        read("crds/databaserollouts.yaml").unwrap()
    );
}
