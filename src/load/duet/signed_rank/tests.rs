use proptest::prelude::*;

use super::*;

fn near(seen: f64, expected: f64) {
    assert!((seen - expected).abs() < 1e-9, "{seen} instead of {expected}");
}

/// The depression scores of Hollander and Wolfe, as in the examples of R's `wilcox.test`: V = 40, p = 0.01953, and
/// with `conf.int = TRUE` a pseudomedian of 0.46, above 0.175 with 95 %. `scipy.stats.wilcoxon` 1.17.1 gives the
/// same p.
#[test]
#[allow(clippy::approx_constant, reason = "3.14 is a score")]
fn the_depression_scores_give_what_r_gives() {
    let first = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
    let second = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
    let ranked = Ranked::new(first.iter().zip(second).map(|(a, b)| a - b).collect());
    near(ranked.p_above(0.0), 0.019_531_25);
    near(ranked.p_below(0.0), 0.986_328_125);
    near(ranked.estimate().unwrap(), 0.46);
    near(ranked.lower_bound(0.05).unwrap(), 0.175);
    near(ranked.upper_bound(0.05).unwrap(), 0.726);
    assert_eq!((ranked.lower_bound(0.001), ranked.upper_bound(0.001)), (None, None));
}

/// `scipy.stats.wilcoxon(x, alternative="greater", method="approx", correction=True)`, 1.17.1, of 60 differences: W
/// = 1012, p = 0.238727; exactly 0.240106. The estimate is the median of the sorted Walsh averages in `NumPy`.
#[test]
fn sixty_differences_are_judged_by_the_normal_distribution() {
    let thousandths = [
        -141, -297, 25, 226, 441, 133, -66, -135, 325, 590, 182, -270, -187, 580, 161, -420, 75, -249, -89,
        -46, -114, 266, 81, -77, 223, 349, -393, 23, -194, 48, -287, 106, 89, 9, -214, -19, -227, -307, 167,
        -233, 451, 315, -499, 182, -231, 110, 113, -497, 30, 23, 389, -254, 321, -230, 1, -152, 535, 270,
        830, 293,
    ];
    let ranked = Ranked::new(thousandths.map(|value| f64::from(value) / 1000.0).to_vec());
    assert!((ranked.p_above(0.0) - 0.238_727).abs() < 2e-4, "{}", ranked.p_above(0.0));
    near(ranked.estimate().unwrap(), 0.026);
}

/// P(T >= t) by trying every choice of signs, with the middle ranks of ties.
fn by_all_signs(differences: &[f64]) -> f64 {
    let sizes: Vec<_> = differences.iter().map(|d| d.abs()).collect();
    let rank = |size: f64| {
        let below = number(sizes.iter().filter(|other| **other < size).count());
        let same = number(sizes.iter().filter(|other| (**other - size).abs() < 1e-12).count());
        below + f64::midpoint(same, 1.0)
    };
    let ranks: Vec<_> = sizes.iter().map(|size| rank(*size)).collect();
    let sum = |is_positive: &dyn Fn(usize) -> bool| -> f64 {
        (0..ranks.len()).filter(|index| is_positive(*index)).map(|index| ranks[index]).sum()
    };
    let seen = sum(&|index| differences[index] > 0.0);
    let all = 1_usize << ranks.len();
    let as_large = (0..all).filter(|signs| sum(&|index| signs >> index & 1 == 1) >= seen - 1e-9).count();
    number(as_large) / number(all)
}

#[test]
fn without_ties_the_distribution_is_that_of_all_signs() {
    for differences in
        [vec![1.0, -2.0, 3.5, 4.0], vec![0.5, 1.0, 2.0, 4.0, 8.0, -16.0, 32.0], vec![-1.0, -3.0]]
    {
        near(Ranked::new(differences.clone()).p_above(0.0), by_all_signs(&differences));
    }
}

#[test]
fn ties_change_little() {
    for differences in [
        vec![1.0; 10],
        vec![1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, -1.0],
        vec![3.0, 3.0, 3.0, 3.0, 3.0, 3.0, -3.0],
    ] {
        let (seen, exact) = (Ranked::new(differences.clone()).p_above(0.0), by_all_signs(&differences));
        assert!((0.8..1.5).contains(&(seen / exact)), "{seen} instead of {exact} for {differences:?}");
    }
}

#[test]
fn exact_and_normal_meet() {
    let (n, t) = (EXACT, 900);
    let exact = tail(n, t);
    let pairs = number(n) * (number(n) + 1.0);
    let distance = (number(t) - 0.5 - pairs / 4.0) / (pairs * (2.0 * number(n) + 1.0) / 24.0).sqrt();
    let normal = erfc(distance / std::f64::consts::SQRT_2) / 2.0;
    assert!((1.0..1.1).contains(&(normal / exact)), "{normal} for {exact}");
    assert!(tail(60, 1830) < 1e-9 && tail(0, 0) > 0.99);
}

proptest! {
    #[test]
    fn a_bound_is_above_the_margin_exactly_when_the_test_says_so(
        differences in prop::collection::vec(-1.0_f64..1.0, 1..80),
        margin in -0.5_f64..0.5,
        alpha in 0.0005_f64..0.2,
    ) {
        let ranked = Ranked::new(differences);
        prop_assert_eq!(ranked.lower_bound(alpha).is_some_and(|low| low > margin), ranked.p_above(margin) < alpha);
        prop_assert_eq!(ranked.upper_bound(alpha).is_some_and(|high| high < margin), ranked.p_below(margin) < alpha);
        let estimate = ranked.estimate().unwrap();
        prop_assert_eq!(ranked.is_centred_below(margin), estimate < margin);
    }

    #[test]
    fn the_estimate_is_the_median_of_all_averages(differences in prop::collection::vec(-9_i32..9, 1..25)) {
        let differences: Vec<_> = differences.into_iter().map(f64::from).collect();
        let mut averages: Vec<_> = (0..differences.len())
            .flat_map(|i| (0..=i).map(move |j| (i, j)))
            .map(|(i, j)| f64::midpoint(differences[i], differences[j]))
            .collect();
        averages.sort_unstable_by(f64::total_cmp);
        let n = averages.len();
        let median = f64::midpoint(averages[(n - 1) / 2], averages[n / 2]);
        prop_assert!((Ranked::new(differences).estimate().unwrap() - median).abs() < 1e-9);
    }
}
