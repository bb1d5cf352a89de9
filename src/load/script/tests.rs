use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{
    api::{Access, Traffic},
    load::parameter::Value,
};

const TPCB_LIKE: &str = "\
\\set aid random(1, 100000 * :scale)
\\set bid random(1, 1 * :scale)
\\set tid random(1, 10 * :scale)
\\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
END;
";

fn queries(script: &Script) -> Vec<(&str, Vec<&str>)> {
    let variable = |argument: &Argument| match argument {
        Argument::Variable(slot) => script.variables[*slot].as_str(),
        Argument::Drawn(_) => "drawn",
    };
    let query = |step: &Step| match step {
        Step::Send(query) => Some(query.clone()),
        _ => None,
    };
    let sent = script.steps.iter().filter(|step| query(step).is_some());
    sent.map(|step| match step {
        Step::Send(query) => (query.sql.as_str(), query.arguments.iter().map(variable).collect()),
        _ => unreachable!(),
    })
    .collect()
}

#[test]
fn variables_become_parameters_and_begin_and_end_a_transaction() {
    let script = parse("tpcb", TPCB_LIKE).unwrap();
    assert_eq!(
        queries(&script),
        [
            ("UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2", vec!["delta", "aid"]),
            ("SELECT abalance FROM pgbench_accounts WHERE aid = $1", vec!["aid"]),
        ]
    );
    let kinds: String = script
        .steps
        .iter()
        .map(|step| match step {
            Step::Begin => 'b',
            Step::Commit => 'c',
            Step::Set { .. } => 's',
            Step::Send(_) => 'q',
        })
        .collect();
    assert_eq!(kinds, "ssssbqqc");
}

#[test]
fn what_only_looks_like_a_variable_is_left_alone() {
    let text = "\\set x 1\nSELECT '12:30', ':y', a::int, :x::int, $$;$$ -- :z ;\n, /* ; */ 2;\nSELECT 3";
    let script = parse("s", text).unwrap();
    assert_eq!(
        queries(&script),
        [
            ("SELECT '12:30', ':y', a::int, $1::int, $$;$$ -- :z ;\n, /* ; */ 2", vec!["x"]),
            ("SELECT 3", vec![]),
        ]
    );
}

#[test]
fn gset_follows_a_query_with_or_without_a_semicolon() {
    for text in [
        "SELECT 1 AS a \\gset\nSELECT :a;",
        "SELECT 1 AS a; \\gset\nSELECT :a;",
        "SELECT 1 AS a\n\\gset\nSELECT :a;",
        "SELECT 1 AS a \\gset p_\nSELECT :p_a;",
    ] {
        let script = parse("s", text).unwrap();
        assert!(matches!(&script.steps[0], Step::Send(query) if query.gset.is_some()), "{text}");
        assert_eq!(script.steps.len(), 2, "{text}");
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_line_and_a_reason() {
    for (text, line, reason) in [
        ("", 1, "sends no statement"),
        ("\\set x 1", 1, "sends no statement"),
        ("SELECT 1;\n\\shell rm -rf /\n", 2, "\\shell is not supported: a script of load runs no programs"),
        ("\\setshell x echo 1", 1, "\\setshell is not supported"),
        ("SELECT 1;\n\n\\sleep 1 s", 3, "\\sleep is not supported"),
        ("\\if :x", 1, "\\if is not supported: write a script for each case"),
        ("\\startpipeline", 1, "\\startpipeline is not supported"),
        ("\\include x.sql", 1, "reads no files"),
        ("SELECT 1 \\; SELECT 2;", 1, "\\; is not supported"),
        ("SELECT 1 \\aset", 1, "\\aset is not supported"),
        ("\\gset", 1, "\\gset must follow a query"),
        ("BEGIN;\n\\gset\nEND;", 2, "\\gset must follow a query"),
        ("SELECT 1 \\gset \n\\gset", 2, "\\gset must follow a query"),
        ("\\set x", 1, "needs an expression"),
        ("\\set 1x 2", 1, "needs the name of a variable"),
        ("\\set x 1 +", 1, "ends too early"),
        ("\\set x 1 2", 1, "can't be read from \"2\" on"),
        ("\\set x :y + 1", 1, "variable :y is not set"),
        ("\\set x hash(1)", 1, "hash is not supported"),
        ("\\set x random(1)", 1, "random takes 2 arguments, not 1"),
        ("\\set x 1 < 2", 1, "< is not supported"),
        ("\\set x 9223372036854775808", 1, "is not a number that fits"),
        ("\\set x 1e999", 1, "is not a number that fits"),
        ("SELECT :client_id;", 1, "variable :client_id is not set"),
        ("SELECT 1;\nSELECT $1;", 2, "parameters are :variables"),
        ("\\set x 1\nSELECT\n  ':x';", 3, "inside quotes"),
        ("SELECT 1;\nSELECT 'a", 2, "a string that begins here has no end"),
        ("CREATE TABLE t (a int);", 1, "CREATE is not for load"),
        ("COPY t FROM STDIN;", 1, "COPY is not for load"),
        ("SET work_mem = 1;", 1, "SET would change the session"),
        ("BEGIN;\nSELECT 1;\nROLLBACK;", 3, "ROLLBACK is not supported"),
        ("BEGIN;\nSELECT 1;", 1, "has no END or COMMIT"),
        ("BEGIN;\nBEGIN;", 2, "a transaction is open already"),
        ("SELECT 1;\nEND;", 2, "no open transaction"),
        ("BEGIN READ WRITE;", 1, "BEGIN takes no options"),
    ] {
        let error = parse("s", text).unwrap_err();
        assert!(error.line == line && error.reason.contains(reason), "{text:?}: {error}");
    }
    let error = parse("s", &"SELECT 1;\n".repeat(65)).unwrap_err();
    assert_eq!(error.line, 65, "{error}");
    assert!(parse("s", &" ".repeat(20_000)).unwrap_err().reason.contains("longer than"));
    for expression in ["(".repeat(2000), "-".repeat(2000), "1+".repeat(2000)] {
        parse("s", &format!("\\set x {expression}")).unwrap_err();
    }
}

/// What `expression` amounts to, with `:scale` 10.
fn evaluated(expression: &str, seed: u64) -> Result<Value, String> {
    let expression = Expression::parse(expression, &mut |_| Ok(0))?;
    let mut frame = Frame::new(2, 10, seed);
    frame.set(1, &expression).map_err(|fault| fault.to_string())?;
    Ok(frame.get(1).clone())
}

#[test]
fn expressions_amount_to_what_pgbench_says() {
    for (expression, expected) in [
        ("1 + 2 * 3", Value::Int(7)),
        ("(1 + 2) * 3", Value::Int(9)),
        ("10 - 2 - 3", Value::Int(5)),
        ("7 / 2", Value::Int(3)),
        ("-7 / 2", Value::Int(-3)),
        ("-7 % 3", Value::Int(-1)),
        ("mod(54, 32)", Value::Int(22)),
        ("7 / 2.0", Value::Double(3.5)),
        (":scale * 2", Value::Int(20)),
        ("abs(-17)", Value::Int(17)),
        ("- - 3", Value::Int(3)),
        ("int(5.4 + 3.8)", Value::Int(9)),
        ("double(5432)", Value::Double(5432.0)),
        ("greatest(5, 4, 3, 2)", Value::Int(5)),
        ("least(5, 4, 3, 2.1)", Value::Double(2.1)),
        ("power(2.0, 10)", Value::Double(1024.0)),
        ("sqrt(4.0)", Value::Double(2.0)),
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("1.5e1", Value::Double(15.0)),
        (".5", Value::Double(0.5)),
    ] {
        assert!(evaluated(expression, 1) == Ok(expected), "{expression}");
    }
}

#[test]
fn what_amounts_to_nothing_says_why() {
    for (expression, reason) in [
        ("1 / 0", "division by zero"),
        ("1 % 0", "division by zero"),
        ("9223372036854775807 + 1", "out of range"),
        ("-9223372036854775808 / -1", "out of range"),
        ("int(1e30)", "out of range"),
        ("random(2, 1)", "empty range"),
        ("random_gaussian(1, 2, 1.9)", "parameter of a random function"),
        ("random_exponential(1, 2, 0)", "parameter of a random function"),
        ("random_zipfian(1, 2, 1.0)", "parameter of a random function"),
    ] {
        assert!(evaluated(expression, 1).unwrap_err().contains(reason), "{expression}");
    }
}

#[test]
fn the_same_seed_draws_the_same() {
    let drawn = |seed| evaluated("random(1, 1000000000000)", seed).unwrap();
    assert!(drawn(1) == drawn(1) && drawn(1) != drawn(2));
}

#[test]
fn script_files_make_a_traffic_model() {
    let traffic: Traffic =
        from_pgbench("mix", Access::ReadWrite, 3, &[("tpcb", TPCB_LIKE, 2), ("one", "SELECT 1", 8)]).unwrap();
    assert_eq!((traffic.scripts[0].scale, traffic.scripts[1].weight), (3, 8));
    let error =
        from_pgbench("mix", Access::ReadOnly, 1, &[("a.sql", "SELECT 1;\n\\sleep 1", 1)]).unwrap_err();
    assert!(
        error.to_string().starts_with("script \"a.sql\" of the traffic model can't be used: line 2: \\sleep")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = parse("s", &text);
    }

    #[test]
    fn no_script_of_familiar_pieces_makes_the_parser_panic(pieces in prop::collection::vec(prop::sample::select(vec![
        "SELECT ", "BEGIN", "END", ";", "\n", "\\set ", "\\gset ", "\\\n", "\\", "x ", ":x ", "::", "$1", "$$", "'", "\"", "--",
        "/*", "*/", "random(", "1", ", ", ")", "(", "+", "-", "*", "/", "%", ".5", "1e", "e", "E'", "é", "scale ", ":scale", "\r\n",
    ]), 0..40)) {
        let text = pieces.concat();
        if let Ok(script) = parse("s", &text) {
            prop_assert!(script.steps.len() <= MAX_STEPS + 1);
        }
    }

    #[test]
    fn random_functions_stay_within_their_range(min in -1000_i64..1000, width in 0_i64..1000, seed: u64) {
        let max = min + width;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let draws = [
            format!("random({min}, {max})"),
            format!("random_gaussian({min}, {max}, 2.5)"),
            format!("random_exponential({min}, {max}, 3)"),
            format!("random_zipfian({min}, {max}, 1.2)"),
        ];
        for draw in draws {
            let value = evaluated(&draw, rand::RngExt::random(&mut rng)).unwrap();
            let is_within = matches!(value, Value::Int(n) if (min..=max).contains(&n));
            prop_assert!(is_within);
        }
    }
}

/// Against the probabilities that pgbench's documentation gives, in 4,000 draws.
#[test]
fn random_functions_are_as_skewed_as_pgbenchs() {
    let share = |draw: &str, (from, to): (i64, i64)| {
        let within =
            |seed: &u64| matches!(evaluated(draw, *seed), Ok(Value::Int(n)) if (from..=to).contains(&n));
        f64::from(u32::try_from((0..4_000).filter(within).count()).unwrap()) / 4_000.0
    };
    let zipfian: f64 = (1..=1000).map(|rank| f64::from(rank).powf(-1.2)).sum();
    for (draw, range, expected) in [
        ("random(1, 1000)", (251, 750), 0.5),
        ("random_gaussian(1, 1000, 4.0)", (251, 750), 0.954),
        ("random_exponential(1, 10, 5)", (1, 1), 0.393 / 0.993),
        ("random_zipfian(1, 1000, 1.2)", (1, 1), 1.0 / zipfian),
    ] {
        let seen = share(draw, range);
        assert!((seen - expected).abs() < 0.03, "{draw}: {seen} instead of {expected}");
    }
}
