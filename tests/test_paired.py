import numpy as np
import pytest
from scipy import stats as scipy_stats

from limpide.paired import (
    ALPHA,
    POWER,
    Difference,
    holm_levels,
    look_level,
    paired_difference,
)

N_SIMULATED = 6_000


def normal_pairs(rng, n, mean=0.0, n_simulated=N_SIMULATED, rho=0.0):
    """Paired differences of spread 1, a row for each simulation; `rho` is what the pairs of a row have in common."""
    shared = rng.normal(size=(n_simulated, 1))
    return mean + np.sqrt(rho) * shared + np.sqrt(1 - rho) * rng.normal(size=(n_simulated, n))


def differences(gaps, overlap=0.0):
    """`paired_difference` of every row."""
    return [
        Difference(mean, sd, gaps.shape[1], overlap)
        for mean, sd in zip(gaps.mean(1).tolist(), gaps.std(1, ddof=1).tolist())
    ]


@pytest.mark.parametrize("n", [2, 3, 10, 40])
def test_the_interval_and_the_p_value_are_scipys(rng, n):
    first, second = rng.normal(size=n), rng.normal(size=n)
    theirs = scipy_stats.ttest_rel(first, second)
    low, high = theirs.confidence_interval(0.95)
    mine = paired_difference(first, second)
    half = mine.half_width(0.05)
    np.testing.assert_allclose([mine.mean - half, mine.mean + half, mine.p_value()], [low, high, theirs.pvalue], 1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.4, 2.0])
@pytest.mark.parametrize("zone", [0.1, 0.6, 5.0])
def test_equality_is_what_two_one_sided_tests_find(rng, shift, zone):
    for _ in range(20):
        first, second = rng.normal(shift, 1, 12), rng.normal(0, 0.5, 12)
        above = scipy_stats.ttest_1samp(first - second, -zone, alternative="greater").pvalue
        below = scipy_stats.ttest_1samp(first - second, zone, alternative="less").pvalue
        assert (paired_difference(first, second).find(zone) == "equal") == (max(above, below) < ALPHA / 2)


def test_the_correction_for_several_pairs_is_holms(rng):
    # Holm's test as adjusted p-values: the running maximum of p(i) times how many are left
    for _ in range(200):
        p = rng.beta(0.3, 3, size=rng.integers(1, 8))
        order = np.argsort(p)
        adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
        mine = [value <= level for value, level in zip(p, holm_levels(p.tolist()))]
        assert np.array(mine)[order].tolist() == (adjusted <= ALPHA).tolist()


def test_the_interval_leaves_zero_out_exactly_when_the_test_rejects(rng):
    for gaps in normal_pairs(rng, 7, 0.9, 200):
        found = differences(gaps[None])[0]
        for alpha in (0.05, 0.0125):
            assert (abs(found.mean) > found.half_width(alpha)) == (found.p_value() < alpha)


@pytest.mark.parametrize("n", [3, 5, 10, 30])
def test_the_interval_covers_the_truth_95_times_in_100(rng, n):
    share = np.mean([abs(d.mean - 0.3) <= d.half_width() for d in differences(normal_pairs(rng, n, 0.3))])
    assert abs(share - 0.95) < 0.01


def test_the_interval_covers_the_truth_where_accuracies_come_in_steps(rng):
    scores = [rng.binomial(120, rate, (N_SIMULATED, 10)) / 120 for rate in (0.90, 0.92)]
    covered = [abs(d.mean - 0.02) <= d.half_width() for d in differences(scores[1] - scores[0])]
    assert abs(np.mean(covered) - 0.95) < 0.01


def test_splits_drawn_again_need_the_wider_interval(rng):
    overlap = 0.25
    gaps = normal_pairs(rng, 10, rho=overlap / (1 + overlap))
    wide = np.mean([abs(d.mean) <= d.half_width() for d in differences(gaps, overlap)])
    narrow = np.mean([abs(d.mean) <= d.half_width() for d in differences(gaps)])
    assert abs(wide - 0.95) < 0.01
    assert narrow < 0.75


@pytest.mark.parametrize("n_variants", [2, 4])
def test_among_equals_one_is_called_better_at_most_5_times_in_100(rng, n_variants):
    wrong = 0
    scores = rng.normal(size=(2000, n_variants, 10)) + rng.normal(size=(2000, 1, 10))
    pairs = [(a, b) for a in range(n_variants) for b in range(a)]
    for of_variants in scores:
        found = [paired_difference(of_variants[a], of_variants[b]) for a, b in pairs]
        levels = holm_levels([d.p_value() for d in found])
        wrong += any(d.find(0.0, level) != "open" for d, level in zip(found, levels))
    assert wrong / 2000 <= 0.05 + 0.01


@pytest.mark.parametrize("zone", [0.0, 0.3])
def test_seeds_added_until_something_is_found_do_not_fool(rng, zone):
    looks = [10, 15, 23, 35, 53, 80]
    gaps = normal_pairs(rng, looks[-1], n_simulated=4000)
    wrong = naive = 0
    for row in gaps:
        found = [differences(row[None, :n])[0] for n in looks]
        levels = [look_level(look, True) for look in range(1, len(looks) + 1)]
        verdicts = [d.find(zone, level) for d, level in zip(found, levels)]
        settled = next((v for v in verdicts if v != "open"), "open")
        wrong += settled in ("better", "worse")
        naive += next((v for v in (d.find(zone) for d in found) if v != "open"), "open") in ("better", "worse")
    assert wrong / 4000 <= 0.05
    assert naive / 4000 > 0.1


def test_looks_that_were_not_planned_cost_little_more_than_the_first(rng):
    wrong = 0
    for row in normal_pairs(rng, 40, n_simulated=4000):
        found = [differences(row[None, :n])[0].find(0.0, look_level(i, False)) for i, n in enumerate((10, 19, 40), 1)]
        wrong += any(v != "open" for v in found)
    assert wrong / 4000 <= 0.075
    assert sum(look_level(look, False) for look in range(1, 40)) <= 0.075 + 1e-12
    assert sum(look_level(look, True) for look in range(1, 40)) <= 0.05


@pytest.mark.parametrize("mean", [0.4, 0.7, 1.2])
def test_the_pairs_said_to_be_needed_are_those_of_the_power_computation(mean):
    n = np.arange(6, 200)
    reached = scipy_stats.nct.sf(scipy_stats.t.ppf(1 - ALPHA / 2, n - 1), n - 1, mean * np.sqrt(n))
    assert abs(5 + Difference(mean, 1.0, 5).further_pairs(0.0) - n[(reached >= POWER).argmax()]) <= 1


@pytest.mark.parametrize(("mean", "zone"), [(0.8, 0.0), (0.0, 0.9), (0.1, 1.0)])
def test_the_pairs_said_to_be_needed_tell_4_times_in_5(rng, mean, zone):
    n = 5 + Difference(mean, 1.0, 5).further_pairs(zone)
    told = np.mean([d.find(zone) != "open" for d in differences(normal_pairs(rng, n, mean, 4000))])
    assert 0.7 < told < 0.96


def test_no_number_of_pairs_is_said_where_none_would_tell():
    assert Difference(0.001, 1.0, 10).further_pairs(0.001) is None
    assert Difference(0.1, 1.0, 10, overlap=0.25).further_pairs(0.1) is None
    assert Difference(2.0, 1.0, 10, overlap=0.25).further_pairs(0.1) is not None
    assert Difference(1.0, 0.0, 1).further_pairs(0.1) is None


def test_differences_all_alike_are_judged_by_the_sign_test():
    for n, found in ((3, "open"), (5, "open"), (6, "better"), (10, "better")):
        assert paired_difference([0.9] * n, [0.8] * n).find(0.002) == found
        p = scipy_stats.binomtest(n, n).pvalue
        assert paired_difference([0.9] * n, [0.8] * n).p_value() == pytest.approx(p)
    assert paired_difference([0.9] * 6, [0.9] * 6).find(0.002) == "equal"
    assert paired_difference([0.9] * 4, [0.9] * 4).further_pairs(0.002) == 2
    assert paired_difference([0.1 + 0.2] * 3, [0.3] * 3).sd == 0


def test_fewer_than_three_pairs_find_nothing():
    assert paired_difference([], []).find(1.0) == "open"
    assert paired_difference([5.0], [1.0]).find(0.1) == "open"
    assert paired_difference([5.0, 5.000001], [1.0, 1.0]).find(0.1) == "open"
    assert paired_difference([5.0, 5.1, 5.2], [1.0, 1.0, 1.1]).find(0.1) == "better"
