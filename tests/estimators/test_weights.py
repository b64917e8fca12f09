"""Weights of rows: copies to the last bit, fractions true to the weighted closed forms."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import mean_squared_error
from sklearn.preprocessing import StandardScaler

from limpide import NetworkClassifier, NetworkRegressor
from limpide.averaging import Averaged
from limpide.engines.base import ENGINES, get_engine
from limpide.errors import DataError, MissingPackage
from limpide.estimators.learning import learn
from limpide.estimators.rows import FEWEST_HELD_OUT, MOST_VISITS, Rows, Scaling, Visits, held_out
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network
from limpide.nn.optimizers import make_optimizer
from limpide.recipe import Recipe

# All rows in each batch and a rate that goes to 0: what is left is the error of the weighting itself.
EXACT = {"batch_size": 10_000, "schedule": "cosine", "validation": None}


def some_rows(n=150):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4))
    return x, x[:, 0] + x[:, 1] ** 2 + rng.normal(scale=0.3, size=n), rng


@pytest.mark.parametrize("validation", [0.2, None])
def test_a_weight_is_a_number_of_copies_to_the_last_bit(validation):
    x, y, rng = some_rows()
    weight = rng.integers(0, 5, len(x))
    classes = np.array(["low", "middle", "high"])[np.digitize(y, [0.5, 1.5])]
    shuffled = rng.permutation(weight.sum())
    for model, target in ((NetworkRegressor, y), (NetworkClassifier, classes)):
        model = model("16 relu, dropout 0.2", epochs=12, validation=validation, random_state=3)
        weighted = clone(model).fit(x, target, sample_weight=weight)
        repeated = clone(model).fit(x.repeat(weight, 0)[shuffled], target.repeat(weight)[shuffled])
        assert bool(weighted.validation_loss_curve_) == bool(validation)
        assert weighted.loss_curve_ == repeated.loss_curve_
        assert weighted.weights_.keys() == repeated.weights_.keys()
        for name, array in weighted.weights_.items():
            np.testing.assert_array_equal(array, repeated.weights_[name])


def test_the_loss_that_stops_the_training_is_weighted(rng):
    network, loss = Network.parse("2, 1"), LOSSES["mse"]
    recipe = Recipe.from_options("arrays", batch_size=10, patience=1)
    train, held = (Rows(*(rng.normal(size=(30, k)) for k in (2, 1)), rng.uniform(0.1, 3, 30)) for _ in range(2))
    open_trainer = partial(get_engine("numpy").trainer, network, loss, weights=network.initialize(rng))
    averaged = Averaged(open_trainer, make_optimizer("sgd"))
    course = learn(averaged, loss, recipe, train, held, epochs=1)
    predicted = held.x @ course.weights["0.dense.W"] + course.weights["0.dense.b"]
    expected = mean_squared_error(held.y, predicted, sample_weight=held.weight)
    assert course.held_losses == [pytest.approx(expected, rel=1e-5)]
    assert abs(mean_squared_error(held.y, predicted) / expected - 1) > 0.01


def test_half_weights_of_a_row_given_twice_add_up():
    x, y, _rng = some_rows()
    model = NetworkRegressor("8 relu", epochs=5, random_state=0)
    whole = clone(model).fit(x, y, sample_weight=np.full(len(x), 2.0))
    halves = clone(model).fit(np.tile(x, (2, 1)), np.tile(y, 2), sample_weight=np.repeat([1.5, 0.5], len(x)))
    np.testing.assert_array_equal(whole.predict(x), halves.predict(x))


def test_fractional_weights_lead_to_the_weighted_least_squares():
    x, y, rng = some_rows(300)
    weight = rng.exponential(size=len(x)) * (1 + 3 * (x[:, 1] > 0))
    closed = LinearRegression().fit(x, y, weight)
    unweighted = LinearRegression().fit(x, y)
    linear = NetworkRegressor("", rate=0.02, epochs=1500, random_state=0, **EXACT)
    learned = linear.fit(x, y, sample_weight=weight).predict(x)
    assert np.abs(unweighted.predict(x) - closed.predict(x)).max() > 0.5
    assert np.abs(learned - closed.predict(x)).max() < 0.005


def test_fractional_weights_lead_to_the_weighted_logistic_regression():
    x, y, rng = some_rows(300)
    weight = np.where(y > 0.5, 0.25, 1.0) * rng.uniform(0.5, 1.5, len(x))
    closed = LogisticRegression(C=np.inf).fit(x, y > 0.5, weight).predict_proba(x)
    unweighted = LogisticRegression(C=np.inf).fit(x, y > 0.5).predict_proba(x)
    linear = NetworkClassifier("", rate=0.05, epochs=1500, random_state=0, **EXACT)
    learned = linear.fit(x, y > 0.5, sample_weight=weight).predict_proba(x)
    assert np.abs(unweighted - closed).max() > 0.2
    assert np.abs(learned - closed).max() < 0.005


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.sampled_from([1.0, 2.0, 0.5])), min_size=1))
def test_equal_rows_become_one_that_carries_their_weights(table):
    x, y, weight = (np.array(column, dtype=float) for column in zip(*table, strict=True))
    rows = Rows.distinct(x[:, None], y[:, None], weight)
    counted = Counter()
    for *row, w in table:
        counted[tuple(row)] += w
    got = zip(rows.x[:, 0], rows.y[:, 0], rows.weight, strict=True)
    assert {(int(a), int(b)): w for a, b, w in got} == dict(counted)
    assert len(rows.x) == len(counted)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 500), st.floats(0, 1, exclude_max=True))
def test_a_whole_weight_is_that_number_of_visits(weight, epoch, start):
    rows = Visits(np.array(weight, dtype=float)).rows(epoch, start)
    assert np.bincount(rows, minlength=len(weight)).tolist() == weight


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=40), st.floats(0, 1, exclude_max=True))
def test_visits_are_what_a_weight_asks_for_rounded_up_or_down(weight, start):
    weight = np.array(weight)
    visits = Visits(weight)
    due = weight / weight.sum() * visits.count
    counts = np.array([np.bincount(visits.rows(epoch, start), minlength=len(weight)) for epoch in range(20)])
    assert (np.abs(counts - due) < 1 + 1e-6).all()
    assert (counts.sum(1) == visits.count).all()
    assert len(weight) <= visits.count <= MOST_VISITS * len(weight)


@pytest.mark.parametrize("start", [0.0, 0.3, 0.999])
def test_visits_add_up_to_what_the_weights_ask_for(start):
    weight = np.array([0.3, 2.45, 0.05, 1.2, 4.0])
    visits = Visits(weight)
    sums = np.cumsum([np.bincount(visits.rows(epoch, start), minlength=5) for epoch in range(1, 1001)], axis=0)
    due = np.arange(1, 1001)[:, None] * weight
    # a random beginning in each epoch would be off by some 15 visits at the end
    assert np.abs(sums - due).max() < 3


def test_the_scale_of_weights_beyond_the_bounds_does_not_matter():
    x, y, rng = some_rows()
    weight = rng.uniform(1, 2, len(x))
    model = NetworkRegressor("8 relu", epochs=5, random_state=0)
    for small, large in ((2.0**-10, 2.0**-20), (2.0**10, 2.0**20)):
        one, other = (clone(model).fit(x, y, sample_weight=weight * scale) for scale in (small, large))
        np.testing.assert_array_equal(one.predict(x), other.predict(x))


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
def test_the_weighted_scaling_is_scikit_learns(rng, scale):
    values = np.column_stack([rng.normal(3, 2, 50) * scale, np.full(50, 7.0)])
    weight = rng.uniform(0.1, 3, 50)
    scaling = Scaling.of(values, weight)
    theirs = StandardScaler().fit(values / [scale, 1], sample_weight=weight)
    np.testing.assert_allclose(scaling.mean / [scale, 1], theirs.mean_)
    np.testing.assert_allclose(scaling.sd / [scale, 1], theirs.scale_)


def test_a_share_of_each_class_is_held_out(rng):
    classes = np.repeat([0, 1], [300, 100])
    is_held = held_out(np.ones(400), 0.1, classes, rng)
    assert [is_held[classes == one].sum() for one in (0, 1)] == [30, 10]


def test_a_row_too_heavy_for_the_share_stays_in_training(rng):
    weight = np.ones(100)
    weight[7] = 50
    for seed in range(20):
        is_held = held_out(weight, 0.2, np.zeros(100), np.random.default_rng(seed))
        assert not is_held[7]
        assert 0.15 < weight[is_held].sum() / weight.sum() <= 0.2 + 1e-9


def test_a_few_rows_are_not_held_out(rng):
    assert not held_out(np.ones(10 * FEWEST_HELD_OUT - 1), 0.1, np.zeros(10 * FEWEST_HELD_OUT - 1), rng).any()
    assert held_out(np.ones(10 * FEWEST_HELD_OUT), 0.1, np.zeros(10 * FEWEST_HELD_OUT), rng).any()
    four_points = np.tile([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], (100, 1))
    exclusive_or = four_points[:, 0] != four_points[:, 1]
    model = NetworkClassifier("8 tanh", rate=0.02, random_state=0).fit(four_points, exclusive_or)
    assert model.validation_loss_curve_ == []
    assert model.score(four_points, exclusive_or) == 1


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_visits_a_row_as_often_as_the_order_names_it(name, rng):
    try:
        engine = get_engine(name)
    except (MissingPackage, ImportError) as error:
        pytest.skip(str(error))
    network = Network.parse("3, 5 tanh, 1")
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 1))
    order = np.array([4, 4, 0, 2, 2, 2, 5])

    def trained(x, y, order):
        weights = network.initialize(np.random.default_rng(0))
        trainer = engine.trainer(network, LOSSES["mse"], make_optimizer("adam"), weights, precision="float64")
        trainer.run(x, y, order, 3, lambda path: rng)
        return trainer.weights()

    visited, copied = trained(x, y, order), trained(x[order], y[order], np.arange(len(order)))
    assert visited.keys() == copied.keys()
    for key, array in visited.items():
        np.testing.assert_allclose(array, copied[key], rtol=1e-12)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.full(150, -1.0), "sample_weight: expected numbers of 0 or more, got -1.0"),
        (np.zeros(150), "sample_weight: expected at least one number above 0, got only zeros"),
        (np.ones((150, 2)), "sample_weight: expected one weight for each row, got an array of shape (150, 2)"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weight, message):
    x, y, _rng = some_rows()
    with pytest.raises(DataError) as error:
        NetworkRegressor().fit(x, y, sample_weight=weight)
    assert str(error.value) == message
