use super::*;
use crate::checks::{Finding, Severity};

fn report(findings: usize) -> CheckReport {
    let finding = |index: usize| Finding {
        severity: Severity::Fail,
        kind: "table-missing".to_owned(),
        object: format!("public.table_{index:05}"),
        message: "legacy has it, the candidate has not \"ä\"".to_owned(),
        evidence: serde_json::Map::new(),
    };
    CheckReport {
        name: "schema".to_owned(),
        findings: (0..findings).map(finding).collect(),
        findings_total: i64::try_from(findings).unwrap(),
        ..CheckReport::default()
    }
}

fn keys(count: usize) -> BTreeSet<String> {
    (0..count).map(|index| Reports::key_of_check("stage", &format!("check-{index:04}"))).collect()
}

fn size(texts: &BTreeMap<String, String>) -> usize {
    texts.iter().map(|(key, text)| key.len() + text.len()).sum()
}

#[test]
fn a_report_is_cut_from_its_end_and_tells_how_much_there_was() {
    let whole = report(100);
    for most in [2_000, 5_000, 10_000] {
        let text = encode(&whole, most);
        assert!(text.len() <= most && text.len() > most - 300, "{} of {most}", text.len());
        let read: CheckReport = serde_json::from_str(&text).unwrap();
        assert_eq!(read.findings, whole.findings[..read.findings.len()]);
        assert_eq!(read.findings_total, 100);
    }
    assert_eq!(serde_json::from_str::<CheckReport>(&encode(&whole, 1 << 20)).unwrap(), whole);
    let wordy = CheckReport { message: "x".repeat(5_000), ..report(3) };
    let read: CheckReport = serde_json::from_str(&encode(&wordy, 1_000)).unwrap();
    assert_eq!((read.findings.len(), read.findings_total), (0, 3));
}

#[test]
fn all_reports_together_fit_in_whatever_order_they_come_and_none_is_starved() {
    for count in [1, 10, 60, 1500] {
        let wanted = keys(count);
        let mut held = BTreeMap::new();
        for _ in 0..2 {
            for key in &wanted {
                let texts = share(&wanted, &held, &[(key.clone(), report(1000))]);
                held.extend(texts);
                assert!(size(&held) <= TOTAL_MAX_BYTES, "{count}: {}", size(&held));
            }
        }
        let shortest = held.values().map(String::len).min().unwrap();
        let least = RESERVE_BYTES.min(TOTAL_MAX_BYTES / count) / 2;
        assert!(shortest >= least.min(200), "{count}: {shortest}");
    }
}

#[test]
fn reports_written_at_once_share_what_there_is() {
    let wanted = keys(16);
    let reports: Vec<_> = wanted.iter().map(|key| (key.clone(), report(1000))).collect();
    let texts = share(&wanted, &BTreeMap::new(), &reports);
    assert_eq!(texts.len(), 16);
    assert!(size(&texts) <= TOTAL_MAX_BYTES && size(&texts) > TOTAL_MAX_BYTES / 2, "{}", size(&texts));
}

#[test]
fn keys_of_one_name_do_not_meet() {
    let all = [
        Reports::key_of_check("final", "a"),
        Reports::key_of_final("a", "a"),
        Reports::key_of_soak("a", "a"),
        Reports::key_of_check("soak", "a"),
        Reports::key_of_check("a", "a"),
    ];
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}
