"""The estimators among the tools people put around them: searches over pipelines, threads, stacks, calibration."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import StackingClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from limpide import NetworkClassifier, NetworkRegressor

SMALL = NetworkClassifier("8 relu", epochs=12, rate=0.02, random_state=0)
IRIS = load_iris(return_X_y=True)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_search_runs_over_the_steps_of_a_pipeline(frame):
    rng = np.random.default_rng(0)
    colour, size = rng.choice(["red", "green"], 150), rng.normal(size=150)
    answers = np.where((colour == "red") ^ (size < 0), "buy", "leave")
    columns = ColumnTransformer([("words", OneHotEncoder(), ["colour"]), ("numbers", StandardScaler(), ["size"])])
    pipeline = Pipeline([("columns", columns), ("network", SMALL)])
    choices = {"network__network": ["", "8 relu"], "columns__numbers__with_mean": [True, False]}
    search = GridSearchCV(pipeline, choices, cv=3, scoring="balanced_accuracy", error_score="raise")
    search.fit(frame({"colour": colour, "size": size}), answers)
    assert search.best_params_["network__network"] == "8 relu"
    assert search.best_score_ > 0.8
    assert set(search.predict(frame({"colour": ["red"], "size": [1.0]}))) == {"buy"}


def test_scores_are_the_same_side_by_side_in_threads():
    # several trainings at once in one process: none may disturb the numbers of another
    alone = cross_val_score(SMALL, *IRIS, cv=4)
    with joblib.parallel_backend("threading", n_jobs=4):
        together = cross_val_score(SMALL, *IRIS, cv=4)
    np.testing.assert_array_equal(alone, together)


def test_chances_come_out_of_cross_validation_for_every_class():
    x, y = IRIS
    words = np.array(["setosa", "versicolor", "virginica"])[y]
    chances = cross_val_predict(SMALL, x, words, cv=StratifiedKFold(3), method="predict_proba")
    assert chances.shape == (150, 3)
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-6)
    assert log_loss(words, chances) < 0.6
    scorer = make_scorer(log_loss, greater_is_better=False, response_method="predict_proba")
    assert cross_val_score(SMALL, x, words, cv=3, scoring=scorer).min() > -0.8


def test_calibration_mends_chances_that_are_too_sure():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 8))
    y = rng.random(600) < 1 / (1 + np.exp(-x[:, 0]))
    sure = NetworkClassifier("64 relu", epochs=80, rate=0.01, patience=0, validation=None, random_state=0)
    plain = sure.fit(x[:300], y[:300])
    calibrated = CalibratedClassifierCV(sure, cv=3, method="sigmoid").fit(x[:300], y[:300])
    losses = [log_loss(y[300:], model.predict_proba(x[300:])) for model in (calibrated, plain)]
    assert losses[0] < 0.8 * losses[1]
    assert calibrated.classes_.tolist() == [False, True]


def test_weights_reach_the_network_through_a_pipeline():
    x, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), SMALL)
    weight = np.where(y == 1, 0.02, 1.0)
    plain, weighted = (
        model.fit(x, y, **given).predict(x).mean() for given in ({}, {"networkclassifier__sample_weight": weight})
    )
    assert weighted < plain


def test_a_target_may_be_transformed_around_it():
    x, y = load_diabetes(return_X_y=True)
    network = NetworkRegressor("16 relu", epochs=40, random_state=0)
    model = TransformedTargetRegressor(network, func=np.log, inverse_func=np.exp).fit(x, y)
    assert model.score(x, y) > 0.4
    assert model.predict(x).min() > 0


def test_it_stands_in_a_stack_and_is_asked_what_matters():
    x, y = IRIS
    stack = StackingClassifier([("network", SMALL), ("linear", LogisticRegression(max_iter=2000))], cv=3).fit(x, y)
    assert stack.score(x, y) > 0.9
    importance = permutation_importance(SMALL.fit(x, y), x, y, n_repeats=3, random_state=0).importances_mean
    # the length and width of a petal tell the species
    assert importance[2:].sum() > importance[:2].sum()


def test_a_stream_is_learned_behind_a_scaler_that_learns_too():
    rng = np.random.default_rng(0)
    scaler, model = StandardScaler(), NetworkRegressor("8 relu", rate=0.02, random_state=0)
    for _ in range(60):
        x = rng.normal(100, 20, size=(50, 2))
        model.partial_fit(scaler.partial_fit(x).transform(x), x[:, 0] - x[:, 1])
    x = rng.normal(100, 20, size=(200, 2))
    assert model.score(scaler.transform(x), x[:, 0] - x[:, 1]) > 0.95
