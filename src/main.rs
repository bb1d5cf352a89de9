use kube::CustomResourceExt;
fn main() {
    println!(
        "{}",
        serde_json::to_string_pretty(&cutover::api::DatabaseRollout::crd()).unwrap()
    );
}
