use super::*;

const NAME: &str = "public.t";

/// Who owns it and who may do what, such as `("app", &[("app", "SELECT,INSERT")])`.
fn access(owner: &str, grants: &[(&str, &str)]) -> HashMap<String, Access> {
    let row = |grantee: Option<&str>, privileges: Option<&str>| -> Row {
        let owned = |text: &str| text.to_owned();
        (owned("table"), owned(NAME), owned(owner), grantee.map(owned), privileges.map(owned))
    };
    let mut rows = vec![row(None, None)];
    rows.extend(grants.iter().map(|(grantee, privileges)| row(Some(grantee), Some(privileges))));
    assemble(rows)
}

fn compare(legacy: &HashMap<String, Access>, candidate: &HashMap<String, Access>) -> Vec<(Severity, String)> {
    let memberships = [APPLICATION.to_owned(), PUBLIC.to_owned(), "team".to_owned()];
    super::compare(legacy, candidate, &memberships)
        .into_iter()
        .map(|finding| (finding.severity, format!("{} {}", finding.kind, finding.message)))
        .collect()
}

#[test]
fn what_an_owner_has_by_owning_follows_the_owner() {
    let legacy = access(APPLICATION, &[(APPLICATION, "SELECT,INSERT")]);
    let candidate = access("dba", &[("dba", "SELECT,INSERT"), (APPLICATION, "SELECT,INSERT")]);
    let found = compare(&legacy, &candidate);
    assert_eq!(found.len(), 1, "what legacy's owner may do is granted to it: {found:?}");
    assert!(found[0].1.starts_with("owner-differs"), "{found:?}");
    let back = compare(&candidate, &legacy);
    assert_eq!(back.len(), 1, "an owner holds what it was granted before: {back:?}");
}

#[test]
fn a_privilege_that_is_missing_weighs_by_who_lacks_it() {
    for (grantee, severity) in [
        (APPLICATION, Severity::Fail),
        (PUBLIC, Severity::Fail),
        ("team", Severity::Fail),
        ("stranger", Severity::Warn),
    ] {
        let legacy = access("dba", &[(grantee, "SELECT,UPDATE")]);
        let candidate = access("dba", &[(grantee, "SELECT")]);
        let found = compare(&legacy, &candidate);
        assert_eq!(found, [(severity, format!("grant-missing {grantee} lacks UPDATE on the table"))]);
    }
}

#[test]
fn what_public_lost_and_the_application_has_by_itself_is_a_warning() {
    let legacy = access("dba", &[(PUBLIC, "CREATE")]);
    let candidate = access("dba", &[(APPLICATION, "CREATE")]);
    let severities: Vec<_> = compare(&legacy, &candidate).into_iter().map(|(severity, _)| severity).collect();
    assert_eq!(severities, [Severity::Warn]);
}

#[test]
fn to_pass_a_privilege_on_is_a_privilege_of_its_own() {
    let plain = access("dba", &[("team", "SELECT")]);
    let passable = access("dba", &[("team", "SELECT*")]);
    let found = compare(&passable, &plain);
    assert!(found[0].1.contains("team lacks SELECT*"), "{found:?}");
    let found = compare(&plain, &passable);
    assert!(found.iter().all(|(severity, _)| *severity == Severity::Warn), "{found:?}");
}
