//! What happens beside a statement: triggers, rules, row security policies and event triggers.
//!
//! Decides that each has a name of its own, which is not generated. The triggers that enforce constraints are theirs.

use super::family::{BY_NAME, Family, Property};
use crate::checks::FindingKind;

pub(super) const TRIGGER_MISSING: FindingKind =
    FindingKind::fail("trigger-missing", "what it does on legacy does not happen");
pub(super) const TRIGGER_EXTRA: FindingKind =
    FindingKind::fail("trigger-extra", "it does what does not happen on legacy");
pub(super) const TRIGGER: FindingKind =
    FindingKind::fail("trigger-differs", "it fires at other events, or does something else");
pub(super) const TRIGGER_ENABLED: FindingKind = FindingKind::fail(
    "trigger-enabled-differs",
    "a trigger that is disabled, or set for replication, does not fire as on legacy",
);
pub(super) const RULE_MISSING: FindingKind =
    FindingKind::fail("rule-missing", "statements are not rewritten as on legacy");
pub(super) const RULE_EXTRA: FindingKind =
    FindingKind::fail("rule-extra", "statements are rewritten that legacy carries out as they are");
pub(super) const RULE: FindingKind =
    FindingKind::fail("rule-differs", "statements are rewritten differently, or no longer");
pub(super) const POLICY_MISSING: FindingKind =
    FindingKind::fail("policy-missing", "rows are hidden, or shown, that are not on legacy");
pub(super) const POLICY_EXTRA: FindingKind =
    FindingKind::fail("policy-extra", "rows are shown, or hidden, that are not on legacy");
pub(super) const POLICY: FindingKind =
    FindingKind::fail("policy-differs", "other roles see or write other rows");
pub(super) const EVENT_TRIGGER_MISSING: FindingKind = FindingKind::warn(
    "event-trigger-missing",
    "what it does, or refuses, when the schema changes does not happen",
);
pub(super) const EVENT_TRIGGER_EXTRA: FindingKind =
    FindingKind::warn("event-trigger-extra", "migrations may be refused that legacy takes");
pub(super) const EVENT_TRIGGER: FindingKind =
    FindingKind::warn("event-trigger-differs", "it fires at other changes of the schema, or not at all");

const ENABLED: &str =
    "WHEN 'O' THEN 'on' WHEN 'D' THEN 'off' WHEN 'R' THEN 'only for replication' ELSE 'always' END";

pub(super) const TRIGGERS: Family = Family {
    noun: "trigger",
    statement: |_| {
        format!(
            "SELECT rel.name || '.' || quote_ident(t.tgname), rel.name, pg_get_triggerdef(t.oid), CASE t.tgenabled {ENABLED}
             FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid WHERE NOT t.tgisinternal"
        )
    },
    missing: &TRIGGER_MISSING,
    extra: &TRIGGER_EXTRA,
    weigh_extra: None,
    properties: &[Property::deparsed("definition", &TRIGGER), Property::shown("state", &TRIGGER_ENABLED)],
    identities: BY_NAME,
    rule: None,
};

pub(super) const RULES: Family = Family {
    noun: "rule",
    statement: |_| {
        format!(
            "SELECT rel.name || '.' || quote_ident(r.rulename), rel.name, pg_get_ruledef(r.oid), CASE r.ev_enabled {ENABLED}
             FROM rel JOIN pg_rewrite r ON r.ev_class = rel.oid WHERE r.rulename <> '_RETURN'"
        )
    },
    missing: &RULE_MISSING,
    extra: &RULE_EXTRA,
    weigh_extra: None,
    properties: &[Property::deparsed("definition", &RULE), Property::shown("state", &RULE)],
    identities: BY_NAME,
    rule: None,
};

pub(super) const POLICIES: Family = Family {
    noun: "policy",
    statement: |_| {
        "SELECT rel.name || '.' || quote_ident(p.polname), rel.name,
  CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
    ELSE 'ALL' END,
  CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
  (SELECT string_agg(role.who, ', ' ORDER BY role.who) FROM role WHERE role.oid = ANY (p.polroles)),
  pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
FROM rel JOIN pg_policy p ON p.polrelid = rel.oid"
            .to_owned()
    },
    missing: &POLICY_MISSING,
    extra: &POLICY_EXTRA,
    weigh_extra: None,
    properties: &[
        Property::shown("command", &POLICY),
        Property::shown("kind", &POLICY),
        Property::shown("roles", &POLICY),
        Property::deparsed("USING expression", &POLICY),
        Property::deparsed("WITH CHECK expression", &POLICY),
    ],
    identities: BY_NAME,
    rule: None,
};

pub(super) const EVENT_TRIGGERS: Family = Family {
    noun: "event trigger",
    statement: |_| {
        format!(
            "SELECT quote_ident(t.evtname), NULL, t.evtevent::text, t.evtfoid::regproc::text,
  (SELECT string_agg(tag, ', ' ORDER BY tag) FROM unnest(t.evttags) tag), CASE t.evtenabled {ENABLED}
FROM pg_event_trigger t
WHERE NOT EXISTS (SELECT FROM extension e WHERE e.classid = 'pg_event_trigger'::regclass AND e.objid = t.oid)"
        )
    },
    missing: &EVENT_TRIGGER_MISSING,
    extra: &EVENT_TRIGGER_EXTRA,
    weigh_extra: None,
    properties: &[
        Property::shown("event", &EVENT_TRIGGER),
        Property::shown("function", &EVENT_TRIGGER),
        Property::shown("tags", &EVENT_TRIGGER),
        Property::shown("state", &EVENT_TRIGGER),
    ],
    identities: BY_NAME,
    rule: None,
};
