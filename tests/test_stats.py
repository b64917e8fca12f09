import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from limpide import stats


def mean_of(values):
    return lambda w: w @ values[:, None] / w.sum(1, keepdims=True)


def coverage(n, sample, truth, n_samples, n_draws=400):
    hits = 0
    for seed in range(n_samples):
        values = sample(np.random.default_rng(seed), n)
        low, high = stats.resample(mean_of(values), n, seed, n_draws).interval()[0]
        hits += low <= truth <= high
    return hits / n_samples


def test_a_bootstrap_interval_equals_scipys(rng):
    values = rng.exponential(size=80)
    mine = stats.resample(mean_of(values), 80, n_draws=20_000).interval()[0]
    theirs = scipy_stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1)
    np.testing.assert_allclose(mine, theirs.confidence_interval, atol=0.03 * np.diff(mine)[0])


def test_the_interval_of_a_difference_is_paired_as_scipys(rng):
    first = rng.normal(size=120)
    second = first + 0.1 + 0.1 * rng.normal(size=120)
    a, b = (stats.resample(mean_of(v), 120, n_draws=20_000) for v in (first, second))
    mine = (b - a).interval()[0]
    theirs = scipy_stats.bootstrap(
        (first, second),
        lambda x, y, axis: (y - x).mean(axis),
        paired=True,
        n_resamples=20_000,
        method="percentile",
        vectorized=True,
        rng=1,
    )
    np.testing.assert_allclose(mine, theirs.confidence_interval, atol=0.03 * np.diff(mine)[0])
    assert mine[0] > 0
    assert a.interval()[0, 1] > b.interval()[0, 0]


def test_a_bootstrap_interval_covers_the_truth_19_times_in_20():
    share = coverage(60, lambda rng, n: rng.normal(5, 2, n), 5, 400)
    assert 0.92 <= share <= 0.97


def test_a_jackknife_interval_covers_the_truth_19_times_in_20(monkeypatch):
    monkeypatch.setattr(stats, "BOOTSTRAP_ROWS", 400)
    share = coverage(500, lambda rng, n: rng.exponential(2, n), 2, 400)
    assert 0.92 <= share <= 0.98


def test_many_rows_are_jackknifed_and_agree_with_the_normal_law(rng):
    n = stats.BOOTSTRAP_ROWS + 1_000
    values = np.sort(rng.normal(3, 2, n))
    resamples = stats.resample(mean_of(values), n)
    assert resamples.method == "jackknife"
    low, high = resamples.interval()[0]
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(n), rel=0.3)


def test_the_jackknife_leaves_each_row_out_once(rng):
    weights = np.concatenate(list(stats._jackknife_weights(2_345, rng)))
    assert weights.shape == (stats.JACKKNIFE_GROUPS, 2_345)
    np.testing.assert_array_equal((weights == 0).sum(0), 1)


@given(st.integers(1, 300), st.integers(1, 50))
def test_a_bootstrap_draw_counts_as_many_rows_as_there_are(n, n_draws):
    rng = np.random.default_rng(n)
    weights = np.concatenate(list(stats._bootstrap_weights(n, n_draws, rng)))
    assert weights.shape == (n_draws, n)
    np.testing.assert_array_equal(weights.sum(1), n)


def test_a_row_is_drawn_as_often_as_the_poisson_law_says(monkeypatch, rng):
    monkeypatch.setattr(stats, "_CHUNK", 1_000)
    weights = np.concatenate(list(stats._bootstrap_weights(200, 2_000, rng)))
    assert (weights == 0).mean() == pytest.approx(np.exp(-1), abs=0.005)
    assert (weights == 2).mean() == pytest.approx(np.exp(-1) / 2, abs=0.005)
    np.testing.assert_allclose(weights.mean(0), 1, atol=0.12)


def test_the_same_seed_draws_the_same_rows_and_another_does_not(rng):
    statistic = mean_of(rng.normal(size=50))
    first, again, other = (stats.resample(statistic, 50, seed).draws for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_draws_there_is_a_value_and_no_interval(rng):
    values = rng.normal(size=10)
    resamples = stats.resample(mean_of(values), 10, n_draws=0)
    assert resamples.value[0] == pytest.approx(values.mean())
    assert np.isnan(resamples.interval()).all()


def test_draws_that_do_not_vary_give_no_interval():
    assert np.isnan(stats.resample(mean_of(np.full(30, 0.1)), 30).interval()).all()


def test_a_statistic_undefined_on_many_draws_has_no_interval_and_on_few_it_has():
    def undefined_when_row_0_is(present):
        values = np.arange(40.0)
        return lambda w: np.where((w[:, :1] > 0) == present, np.nan, mean_of(values)(w))

    assert np.isnan(stats.resample(undefined_when_row_0_is(False), 40).interval()).all()

    def rarely(w):
        return np.where(w.max(1, keepdims=True) > 6, np.nan, mean_of(np.arange(40.0))(w))

    resamples = stats.resample(rarely, 40)
    assert np.isnan(resamples.draws).any()
    assert np.isfinite(resamples.interval()).all()


@given(st.integers(1, 2_000), st.data())
def test_the_wilson_interval_equals_scipys(n, data):
    k = data.draw(st.integers(0, n))
    theirs = scipy_stats.binomtest(k, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(stats.wilson(k, n), theirs, atol=1e-6)
