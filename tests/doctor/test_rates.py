"""The rate finder: its range is where descent works, and it says so where none does."""

import numpy as np
import polars as pl
import pytest

import limpide as lp
from limpide.doctor import rates
from limpide.doctor.rates import _range
from limpide.errors import InputError


def best_loss(source, **options):
    return lp.train(source, save=False, baselines=False, engine="numpy", **options).stop.best_loss


def test_the_suggested_rate_is_one_at_which_descent_converges():
    # on a parabola it does below 2 / curvature: here J = mean (w x - y)² with mean x² = 1, of curvature 2
    x = np.linspace(-1, 1, 201)
    frame = pl.DataFrame({"x": x, "y": 5 * x})
    options = {"network": "1 no bias", "optimizer": "sgd", "batch_size": 201, "engine": "numpy"}
    found = lp.find_rates(frame, target="y", updates=40, **options)
    assert 0.05 < found.suggested < 1.0
    assert found.low < found.suggested < found.high


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_suggested_rate_beats_one_a_thousand_times_smaller(optimizer):
    options = {"network": "16 relu", "optimizer": optimizer, "epochs": 6, "batch_size": 16}
    found = lp.find_rates("moons?samples=300", engine="numpy", **options)
    good = best_loss("moons?samples=300", rate=found.suggested, **options)
    assert good < 0.8 * best_loss("moons?samples=300", rate=found.suggested / 1000, **options)


def test_no_rate_is_suggested_where_none_helps():
    options = {"network": "5 relu, 4 relu", "initializer": "normal 0.01", "optimizer": "sgd", "engine": "numpy"}
    found = lp.find_rates("random-classes", updates=100, **options)
    assert (found.suggested, found.low, found.high) == (None, None, None)
    assert "no rate" in found.sentence()


def test_a_sweep_is_the_same_again_and_leaves_the_job_alone():
    first, again = (lp.find_rates("iris", updates=60, engine="numpy") for _ in range(2))
    assert first == again
    assert len(first.rates) == len(first.losses) <= 60


def test_the_range_ends_at_the_lowest_loss():
    steps = np.geomspace(1e-6, 10, 100)
    losses = np.where(steps < 1e-3, 1.0, np.where(steps < 0.1, 0.3, 5.0))
    losses[steps < 0.1] -= 0.001 * np.log10(steps[steps < 0.1])
    low, high, suggested = _range(steps, losses)
    assert low == pytest.approx(1e-3, rel=0.3)
    assert high == pytest.approx(0.1, rel=0.3)
    assert low <= suggested <= high


@pytest.mark.parametrize("losses", [[], [2.0], [1.0, 1.0, 1.0]])
def test_a_flat_or_empty_sweep_has_no_range(losses):
    assert _range(np.ones(len(losses)), np.array(losses)) == (None, None, None)


def test_the_curve_is_a_picture():
    picture = lp.find_rates("iris", updates=30, engine="numpy").picture()
    assert picture.name == "rates"
    assert "<svg" in picture.svg()
    assert "iris" in picture.title
    assert rates.N_UPDATES == 200


def test_at_least_one_update_is_asked_for():
    with pytest.raises(InputError, match=r"^updates: expected a number of at least 1, got 0$"):
        lp.find_rates("iris", updates=0)
