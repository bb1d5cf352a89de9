use super::*;

const MISSING: FindingKind = FindingKind::fail("missing", "it is gone");
const EXTRA: FindingKind = FindingKind::info("extra", "it is new");
const COLOR: FindingKind = FindingKind::fail("color-differs", "it is seen");
const SHAPE: FindingKind = FindingKind::warn("shape-differs", "it is felt");

const THINGS: Family = Family {
    noun: "thing",
    statement: |_| String::new(),
    missing: &MISSING,
    extra: &EXTRA,
    weigh_extra: None,
    properties: &[Property::shown("color", &COLOR).deciding(), Property::deparsed("shape", &SHAPE)],
    identities: &[name, by_shape],
    rule: None,
};

fn by_shape(object: &Object, majors_differ: bool) -> Option<String> {
    Some(object.values[1].as_ref()?.mark(majors_differ))
}

fn thing(name: &str, color: &str, shape: &str) -> Object {
    let values = vec![
        Some(Value::read(Form::Shown, color)),
        (!shape.is_empty()).then(|| Value::read(Form::Deparsed, shape)),
    ];
    Object { name: name.into(), parent: Some("box".into()), values }
}

fn compare(legacy: Vec<Object>, candidate: Vec<Object>, context: &Context) -> Vec<(Severity, String)> {
    let (found, _) = THINGS.compare(legacy, candidate, context);
    found
        .into_iter()
        .map(|finding| (finding.severity, format!("{} {}", finding.kind, finding.object)))
        .collect()
}

#[test]
fn objects_are_the_same_by_name_then_by_what_they_are() {
    let legacy = vec![thing("a", "red", "x"), thing("b", "red", "y"), thing("c", "red", "z")];
    let candidate = vec![thing("other", "red", "y"), thing("a", "red", "x"), thing("d", "red", "w")];
    let found = compare(legacy, candidate, &Context::default());
    assert_eq!(found, [(Severity::Fail, "missing c".to_owned()), (Severity::Info, "extra d".to_owned())]);
}

#[test]
fn the_parts_of_what_only_one_side_has_are_not_told() {
    let context = Context { absent: HashSet::from(["box".into()]), ..Context::default() };
    assert_eq!(compare(vec![thing("a", "red", "x")], vec![], &context), []);
}

#[test]
fn what_follows_from_a_property_that_differs_is_not_told() {
    let found = compare(vec![thing("a", "red", "x")], vec![thing("a", "blue", "y")], &Context::default());
    assert_eq!(found, [(Severity::Fail, "color-differs a".to_owned())]);
}

#[test]
fn a_text_that_two_versions_write_differently_never_weighs_more_than_a_warning() {
    let compare = |one: &str, other: &str, majors_differ: bool| {
        let context = Context { majors_differ, ..Context::default() };
        compare(vec![thing("a", "red", one)], vec![thing("a", "red", other)], &context)
    };
    let shape = |severity| vec![(severity, "shape-differs a".to_owned())];
    assert_eq!(compare("(t.x)", "x", true), shape(Severity::Warn));
    assert_eq!(compare("t.x", "y", true), shape(Severity::Warn));
    assert_eq!(compare("t.x", "x", false), shape(Severity::Warn));
    assert_eq!(compare("t.x", "t.x", true), []);
    assert_eq!(compare("t.x", "", true), shape(Severity::Warn));
}

/// Parentheses and qualifiers may be all that tells what somebody sees.
#[test]
fn between_versions_texts_that_differ_only_in_parentheses_or_qualifiers_are_to_be_looked_at() {
    let context = Context { majors_differ: true, ..Context::default() };
    for (one, other) in [
        ("((a OR b) AND c)", "(a OR (b AND c))"),
        ("(id IN ( SELECT tenant_a.users.id))", "(id IN ( SELECT tenant_b.users.id))"),
    ] {
        let found = compare(vec![thing("a", "red", one)], vec![thing("a", "red", other)], &context);
        assert_eq!(found, [(Severity::Warn, "shape-differs a".to_owned())], "{one}");
    }
}

#[test]
fn many_objects_of_one_definition_are_paired_one_to_one() {
    let legacy = vec![thing("a", "red", "x"), thing("b", "red", "x"), thing("c", "red", "x")];
    let candidate = vec![thing("d", "red", "x"), thing("e", "red", "x")];
    let found = compare(legacy, candidate, &Context::default());
    assert_eq!(found, [(Severity::Fail, "missing c".to_owned())]);
}
