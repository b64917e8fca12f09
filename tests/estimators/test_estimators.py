"""The scikit-learn estimators among scikit-learn's own tools."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_friedman1
from sklearn.ensemble import AdaBoostClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from limpide import NetworkClassifier, NetworkRegressor
from limpide.errors import DataError, Diverged, InputError, RecipeError
from limpide.estimators.base import RECIPE_OPTIONS
from limpide.nn.network import Network
from limpide.recipe import OPTIONS


def some_rows(n=150):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4))
    return x, x[:, 0] + x[:, 1] ** 2 + rng.normal(scale=0.3, size=n), rng


def people(n=240):
    rng = np.random.default_rng(1)
    city = rng.choice(["Lyon", "Nice", "Lille"], n)
    age = rng.uniform(18, 80, n)
    moved = np.where((city == "Nice") ^ (age > 50), "yes", "no")
    return {"age": age, "city": city}, moved


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_pipeline_goes_from_a_frame_to_words(frame):
    columns, moved = people()
    kind = "pandas" if frame is pd.DataFrame else "polars"
    prepare = ColumnTransformer([("city", OneHotEncoder(sparse_output=False), ["city"])], remainder="passthrough")
    model = make_pipeline(prepare, NetworkClassifier(random_state=0)).set_output(transform=kind)
    model.fit(frame(columns), moved)
    assert set(model.predict(frame(columns))) == {"no", "yes"}
    assert model.score(frame(columns), moved) > 0.9
    names = ["city__city_Lille", "city__city_Lyon", "city__city_Nice", "remainder__age"]
    assert model[-1].feature_names_in_.tolist() == names


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_frame_gives_the_names_of_its_columns(frame):
    x, y, _rng = some_rows()
    named = frame({f"column {i}": x[:, i] for i in range(4)})
    target = pd.Series(y) if frame is pd.DataFrame else pl.Series(y)
    model = NetworkRegressor("4 relu", epochs=2, random_state=0).fit(named, target)
    assert model.feature_names_in_.tolist() == ["column 0", "column 1", "column 2", "column 3"]
    assert model.n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame({f"other {i}": x[:, i] for i in range(4)}))


def test_a_search_chooses_among_networks():
    x, y = load_iris(return_X_y=True)
    choices = {"network": ["", "16 relu"], "rate": np.logspace(-3, -1, 2), "batch_size": np.array([16, 64])}
    search = GridSearchCV(NetworkClassifier(epochs=10, random_state=0), choices, cv=3).fit(x, y)
    assert search.best_score_ > 0.9
    assert set(search.best_params_) == set(choices)


def test_calibration_and_boosting_take_it():
    x, y = load_breast_cancer(return_X_y=True)
    small = NetworkClassifier("8 relu", epochs=15, random_state=0)
    calibrated = CalibratedClassifierCV(small, cv=3).fit(x, y, sample_weight=np.where(y, 1.0, 2.0))
    assert calibrated.score(x, y) > 0.9
    boosted = AdaBoostClassifier(small, n_estimators=3, random_state=0).fit(x, y)
    assert boosted.score(x, y) > 0.9
    assert len(boosted.estimators_) == 3


def test_a_copy_and_a_pickle_predict_the_same():
    x, y, _rng = some_rows()
    model = NetworkRegressor("8 prelu, batchnorm, 4 tanh", epochs=4, random_state=0).fit(x, y)
    expected = model.predict(x)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(x), expected)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(again)).partial_fit(x, y).predict(x), model.partial_fit(x, y).predict(x)
    )
    np.testing.assert_array_equal(clone(model).fit(x, y).predict(x), expected)


def test_the_defaults_learn_real_tables():
    x, y = load_diabetes(return_X_y=True)
    assert cross_val_score(NetworkRegressor(random_state=0), x, y, cv=3).mean() > 0.4
    x, y = load_iris(return_X_y=True)
    assert cross_val_score(NetworkClassifier(random_state=0), x, y, cv=3).mean() > 0.93


def test_several_numbers_to_a_row_come_back_in_their_units():
    x, y = make_friedman1(300, random_state=0)
    both = np.column_stack([y, 1000 - 50 * y])
    model = NetworkRegressor(random_state=0).fit(x, both)
    assert model.n_outputs_ == 2
    assert model.predict(x).shape == (300, 2)
    assert model.score(x, both) > 0.9
    assert model.fit(x, y[:, None]).predict(x).shape == (300, 1)
    assert model.fit(x, y).predict(x).shape == (300,)


@pytest.mark.parametrize(
    ("labels", "last", "loss"),
    [
        (["no", "yes"], "1 sigmoid", "binary_cross_entropy"),
        (["a", "b", "c"], "3 softmax", "categorical_cross_entropy"),
    ],
)
def test_a_network_may_end_in_probabilities(labels, last, loss):
    x, _y, _rng = some_rows()
    y = np.array(labels)[np.digitize(x[:, 0], [-0.4, 0.4][: len(labels) - 1])]
    model = NetworkClassifier(f"8 relu, {last}", rate=0.02, epochs=60, random_state=0).fit(x, y)
    assert model.recipe_.training.loss == loss
    assert model.score(x, y) > 0.9
    probabilities = model.predict_proba(x)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_array_equal(np.array(labels)[probabilities.argmax(1)], model.predict(x))
    np.testing.assert_allclose(np.exp(model.predict_log_proba(x)), probabilities)


# ------------------------------------------------------------------------------------------------ going on


@pytest.mark.parametrize("model", [NetworkRegressor, NetworkClassifier])
def test_partial_fits_on_the_same_rows_are_the_epochs_of_a_fit(model):
    x, y, rng = some_rows()
    y = y if model is NetworkRegressor else np.where(y > 0.5, "high", "low")
    weight = rng.uniform(0.5, 2, len(x))
    model = model("8 relu, dropout 0.1", epochs=3, validation=None, random_state=0)
    whole, parts = clone(model).fit(x, y, sample_weight=weight), clone(model)
    for i in range(3):
        first = {"classes": ["high", "low"]} if i == 0 and isinstance(model, NetworkClassifier) else {}
        parts = pickle.loads(pickle.dumps(parts)).partial_fit(x, y, sample_weight=weight, **first)
    np.testing.assert_array_equal(parts.predict(x), whole.predict(x))
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.n_iter_ == parts.best_epoch_ == 3


def test_partial_fit_learns_from_a_stream():
    rng = np.random.default_rng(0)
    model = NetworkClassifier("16 relu", random_state=0)
    for _ in range(150):
        x = rng.normal(5, 3, size=(40, 2))
        model.partial_fit(x, np.where(x[:, 0] > x[:, 1], 2, 7), classes=[2, 7])
    x = rng.normal(5, 3, size=(500, 2))
    assert model.score(x, np.where(x[:, 0] > x[:, 1], 2, 7)) > 0.95


def test_partial_fit_says_what_it_needs_of_classes():
    x, y = load_iris(return_X_y=True)
    with pytest.raises(DataError) as error:
        NetworkClassifier().partial_fit(x, y)
    message = "classes: expected all classes in the first call of partial_fit, got nothing"
    assert str(error.value) == message
    model = NetworkClassifier("4 relu").partial_fit(x[:100], y[:100], classes=[0, 1])
    with pytest.raises(DataError) as error:
        model.partial_fit(x, y, classes=[0, 1, 2])
    assert str(error.value) == "classes: expected the same as before, 0, 1, got 0, 1, 2"
    with pytest.raises(DataError) as error:
        model.partial_fit(x, y)
    assert str(error.value) == "y: expected one of the classes 0, 1, got 2"


def test_a_class_absent_from_the_first_rows_is_learned_later():
    x, y = load_iris(return_X_y=True)
    model = NetworkClassifier("16 relu", rate=0.01, random_state=0).partial_fit(x[:60], y[:60], classes=[0, 1, 2])
    for _ in range(60):
        model.partial_fit(x, y)
    assert model.score(x, y) > 0.9


def test_a_warm_start_goes_on_from_the_weights():
    x, y, _rng = some_rows()
    cold = NetworkRegressor("8 relu", rate=0.02, epochs=10, validation=None, random_state=0)
    warm = clone(cold).set_params(warm_start=True)
    first, again = cold.fit(x, y).loss_curve_, cold.fit(x, y).loss_curve_
    assert first == again == warm.fit(x, y).loss_curve_
    assert warm.fit(x, y).loss_curve_[0] < 0.9 * first[0]
    with pytest.raises(
        RecipeError, match=r"network: expected 4, 8 relu, 1, got 4, 9 relu, 1; fit anew with warm_start"
    ):
        warm.set_params(network="9 relu").fit(x, y)
    assert warm.set_params(warm_start=False).fit(x, y).network_ == Network.parse("4, 9 relu, 1")


def test_a_warm_start_takes_up_the_orders_where_they_stopped():
    x, y, _rng = some_rows()
    model = NetworkRegressor("8 relu", optimizer="sgd", rate=0.1, epochs=10, validation=None, random_state=0)
    whole = clone(model).fit(x, y)
    halves = clone(model).set_params(epochs=5, warm_start=True).fit(x, y).fit(x, y)
    np.testing.assert_array_equal(halves.predict(x), whole.predict(x))


def test_the_kept_epoch_is_the_best_on_the_rows_held_out():
    x, y = load_breast_cancer(return_X_y=True)
    model = NetworkClassifier("64 relu", rate=0.01, patience=5, random_state=0).fit(x, y)
    curve = model.validation_loss_curve_
    assert len(curve) == len(model.loss_curve_) == model.n_iter_
    assert model.best_epoch_ == np.argmin(curve) + 1 == model.n_iter_ - 5
    unstopped = clone(model).set_params(patience=0, epochs=model.n_iter_ + 3).fit(x, y)
    assert unstopped.n_iter_ == model.n_iter_ + 3


def test_the_order_of_the_rows_does_not_matter(rng):
    x, y, _rng = some_rows()
    model, order = NetworkRegressor("8 relu", epochs=6, random_state=0), rng.permutation(len(x))
    np.testing.assert_array_equal(clone(model).fit(x, y).predict(x), clone(model).fit(x[order], y[order]).predict(x))


def test_engines_agree():
    x, y = load_breast_cancer(return_X_y=True)
    model = NetworkClassifier("8 tanh", epochs=3, random_state=0)
    expected = clone(model).fit(x, y).predict_proba(x)
    pytest.importorskip("torch")
    other = model.set_params(engine="torch").fit(x, y)
    assert other.engine_ == "torch"
    np.testing.assert_allclose(pickle.loads(pickle.dumps(other)).predict_proba(x), expected, atol=1e-3)


def test_the_random_state_is_scikit_learns():
    x, y, _rng = some_rows()

    def predicted(random_state):
        return NetworkRegressor("8 relu", epochs=2, random_state=random_state).fit(x, y).predict(x)

    np.testing.assert_array_equal(predicted(np.random.RandomState(5)), predicted(5))
    assert not np.array_equal(predicted(5), predicted(6))
    assert not np.array_equal(predicted(None), predicted(None))


# ------------------------------------------------------------------------------------------------ parameters


def test_every_parameter_is_an_option_of_a_recipe():
    assert set(RECIPE_OPTIONS) <= set(OPTIONS)
    assert set(NetworkClassifier().get_params()) == {*RECIPE_OPTIONS, "random_state", "warm_start"}


def test_every_parameter_reaches_the_training():
    x, y, _rng = some_rows()
    given_values = {
        "network": "8 relu",
        "initializer": "he",
        "loss": "huber",
        "optimizer": "momentum",
        "rate": 0.01,
        "weight_decay": 0.001,
        "clip_norm": 1.0,
        "schedule": "cosine",
        "optimizer_options": {"momentum": 0.8},
        "epochs": 3,
        "batch_size": 10,
        "patience": 2,
        "average": 0.5,
        "validation": 0.2,
        "standardise": False,
        "engine": "numpy",
    }
    assert set(given_values) == set(RECIPE_OPTIONS)
    model = NetworkRegressor(**given_values, random_state=0).fit(x, y)
    assert {name: model.recipe_.value(OPTIONS[name]) for name in given_values} == given_values
    assert model.inferences_ == []
    assert model.network_ == Network.parse("4, 8 relu, 1").from_dict(model.network_.to_dict())
    assert (model.scaling_.mean == 0).all()
    assert (model.scaling_.sd == 1).all()


def test_what_was_left_open_is_told_with_its_reason():
    model = NetworkClassifier(random_state=0, epochs=1).fit(*load_iris(return_X_y=True))
    made = {inference.what: inference for inference in model.inferences_}
    assert made["network.layers"].value == "64 silu, dropout 0.2, 32 silu, dropout 0.2"
    assert {"optimizer.name", "optimizer.rate", "training.batch_size", "training.patience"} <= set(made)
    assert all(inference.why for inference in model.inferences_)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"network": "8 rleu"}, 'network, item 1: unknown name "rleu"; did you mean "relu"?'),
        ({"optimizer": "adm"}, 'optimizer: unknown name "adm"; did you mean "adam"?'),
        ({"engine": "nmpy"}, 'engine: unknown name "nmpy"; did you mean "numpy"?'),
        ({"epochs": 0}, "training.epochs: expected a number of at least 1, got 0"),
        ({"validation": 1.5}, "split.validation: expected a number below 1, got 1.5"),
        ({"validation": -0.1}, "split.validation: expected a number above 0, got -0.1"),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(parameters, message):
    with pytest.raises(InputError) as error:
        NetworkClassifier(**parameters).fit(*load_iris(return_X_y=True))
    assert isinstance(error.value, ValueError)
    assert str(error.value) == message


def test_a_loss_for_another_kind_of_target_is_refused():
    with pytest.raises(RecipeError, match=r"^loss mse: expected a loss for a binary target, .* choose among binary_"):
        NetworkClassifier(loss="mse").fit(*load_breast_cancer(return_X_y=True))


def test_sparse_input_and_gaps_are_refused_in_scikit_learns_words():
    x, y = load_iris(return_X_y=True)
    with pytest.raises(TypeError, match="Sparse data was passed"):
        NetworkClassifier().fit(sparse.csr_array(x), y)
    x[3, 2] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        NetworkClassifier().fit(x, y)


def test_a_training_that_breaks_falls_back_on_its_best_epoch():
    x, y, _rng = some_rows()
    model = NetworkRegressor("8 identity, 8 identity", optimizer="sgd", rate=0.9, epochs=50, patience=0, random_state=0)
    with pytest.warns(ConvergenceWarning, match="NaN or Inf came up after epoch"):
        model.fit(x, y)
    assert np.isfinite(model.predict(x)).all()
    assert model.n_iter_ < 50
    with pytest.raises(Diverged, match="expected finite numbers, got NaN or Inf; take a lower rate"):
        model.set_params(validation=None).fit(x, y)
