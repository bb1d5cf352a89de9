use super::*;

const ME: &str = "cutover-1";

fn spec(holder: Option<&str>, seconds: i32) -> LeaseSpec {
    LeaseSpec {
        holder_identity: holder.map(str::to_owned),
        lease_duration_seconds: Some(seconds),
        ..LeaseSpec::default()
    }
}

fn at(second: i64) -> MicroTime {
    MicroTime(Timestamp::from_second(second).unwrap())
}

#[test]
fn a_lease_is_somebody_elses_only_while_it_has_another_holder() {
    assert_eq!(holder(None, ME), None);
    assert_eq!(holder(Some(&spec(None, 30)), ME), None);
    assert_eq!(holder(Some(&spec(Some(""), 30)), ME), None);
    assert_eq!(holder(Some(&spec(Some(ME), 30)), ME), None);
    assert_eq!(holder(Some(&spec(Some("cutover-2"), 30)), ME), Some("cutover-2"));
}

#[test]
fn a_lease_lasts_as_long_as_its_holder_says_and_never_shorter_than_ours() {
    assert_eq!(lasts(None), LASTS);
    assert_eq!(lasts(Some(&spec(Some("a"), 60))), Duration::from_secs(60));
    // A holder of this version has more time than that, whatever somebody wrote there.
    assert_eq!(lasts(Some(&spec(Some("a"), 1))), LASTS);
    assert_eq!(lasts(Some(&spec(Some("a"), -1))), LASTS);
}

#[tokio::test]
async fn how_long_a_lease_has_not_changed_is_measured_from_when_it_was_first_seen_so() {
    // Never asked anything.
    let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
    let namespace = Namespace { client: kube::Client::try_from(config).unwrap(), name: "shop".to_owned() };
    let mut claimant = Claimant::new(namespace, ME.to_owned());
    let lease = |version: &str| Lease {
        metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
        // Long ago, by the holder's clock.
        spec: Some(LeaseSpec { renew_time: Some(at(0)), ..spec(Some("cutover-2"), 30) }),
    };
    let seconds = Duration::from_secs;
    assert_eq!(claimant.unchanged_for(Some(&lease("7")), seconds(100)), Duration::ZERO);
    assert_eq!(claimant.unchanged_for(Some(&lease("7")), seconds(129)), seconds(29));
    assert_eq!(claimant.unchanged_for(Some(&lease("8")), seconds(130)), Duration::ZERO, "it was renewed");
    assert_eq!(claimant.unchanged_for(Some(&lease("8")), seconds(160)), seconds(30));
    assert_eq!(claimant.unchanged_for(None, seconds(170)), Duration::ZERO);
}

#[test]
fn taking_over_counts_and_renewing_does_not() {
    let taken = claimed(Some(&spec(Some("cutover-2"), 60)), ME, at(100));
    assert_eq!(taken.holder_identity.as_deref(), Some(ME));
    assert_eq!((taken.lease_duration_seconds, taken.lease_transitions), (Some(30), Some(1)));
    assert_eq!((taken.acquire_time.clone(), taken.renew_time.clone()), (Some(at(100)), Some(at(100))));
    let renewed = claimed(Some(&taken), ME, at(105));
    assert_eq!((renewed.acquire_time, renewed.renew_time), (Some(at(100)), Some(at(105))));
    assert_eq!(renewed.lease_transitions, Some(1));
}
