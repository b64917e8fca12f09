import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import datasets
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from limpide import baselines
from limpide.baselines import BASELINES, fit_baselines, verdict
from limpide.evaluation import Evaluation, evaluate


def prepared(load, seed=0):
    x, y = load(return_X_y=True)
    stratify = y if y.dtype.kind == "i" else None
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=seed, stratify=stratify)
    scaler = StandardScaler().fit(x_train)
    return scaler.transform(x_train).astype("f"), y_train, scaler.transform(x_test).astype("f"), y_test


def test_a_regression_meets_its_mean_and_least_squares():
    x, y, x_test, _y_test = prepared(datasets.load_diabetes)
    outputs, notes = fit_baselines("regression", x, y, x_test)
    assert list(outputs) == ["mean", "linear", "gradient_boosting"]
    assert notes == []
    np.testing.assert_allclose(outputs["mean"], y.mean())
    wanted = LinearRegression().fit(x.astype(float), y).predict(x_test.astype(float))
    np.testing.assert_allclose(outputs["linear"], wanted, rtol=1e-6)


def test_a_classification_meets_the_shares_and_logistic_regression():
    x, y, x_test, _y_test = prepared(datasets.load_wine)
    outputs, notes = fit_baselines("multiclass", x, y, x_test, n_labels=3)
    assert list(outputs) == ["majority", "logistic", "gradient_boosting"]
    assert notes == []
    np.testing.assert_allclose(outputs["majority"], DummyClassifier(strategy="prior").fit(x, y).predict_proba(x_test))
    wanted = LogisticRegression(max_iter=5_000, tol=1e-6).fit(x.astype(float), y).predict_proba(x_test.astype(float))
    np.testing.assert_allclose(outputs["logistic"], wanted, atol=0.005)


@pytest.mark.parametrize("load", [datasets.load_wine, datasets.load_breast_cancer, datasets.load_diabetes])
def test_gradient_boosting_is_no_weaker_than_scikit_learns(load):
    gaps = []
    for seed in range(4):
        x, y, x_test, y_test = prepared(load, seed)
        n_labels = len(np.unique(y)) if y.dtype.kind == "i" else 0
        task = {0: "regression", 2: "binary", 3: "multiclass"}[n_labels]
        outputs = fit_baselines(task, x, y, x_test, seed, n_labels)[0]["gradient_boosting"]
        model = (HistGradientBoostingClassifier if n_labels else HistGradientBoostingRegressor)(random_state=seed)
        mine = evaluate(task, y_test, outputs, intervals=False).main.value
        gaps.append(mine - model.fit(x, y).score(x_test, y_test))
    assert np.mean(gaps) > -0.01


def test_gradient_boosting_learns_from_39_rows(rng):
    x = rng.normal(size=(339, 3)).astype("f")
    y = 3 * x[:, 0] + x[:, 1] + 0.3 * rng.normal(size=339)
    outputs = fit_baselines("regression", x[:39], y[:39], x[39:])[0]["gradient_boosting"]
    assert evaluate("regression", y[39:], outputs, intervals=False).main.value > 0.5


def test_gradient_boosting_stands_many_classes_of_few_rows(rng):
    centres, y = 2 * rng.normal(size=(40, 6)), rng.integers(0, 40, 2_000)
    x = (centres[y] + rng.normal(size=(2_000, 6))).astype("f")
    outputs = fit_baselines("multiclass", x[:1_500], y[:1_500], x[1_500:], n_labels=40)[0]
    linear, boosted = (
        evaluate("multiclass", y[1_500:], outputs[name], intervals=False).metrics
        for name in ("logistic", "gradient_boosting")
    )
    assert boosted["accuracy"].value > linear["accuracy"].value - 0.1
    assert boosted["log_loss"].value < 2 * linear["log_loss"].value


def test_inputs_that_repeat_each_other_do_not_disturb_least_squares(rng):
    x = rng.normal(size=(100, 2)).astype("f")
    x = np.hstack([x, x[:, :1] - x[:, 1:], np.ones((100, 1), "f")]) + np.float32(5)
    y = 3 * x[:, 0] - x[:, 1] + 7
    np.testing.assert_allclose(fit_baselines("regression", x, y, x)[0]["linear"], y, atol=1e-4)


def test_inputs_far_from_zero_do_not_disturb_least_squares(rng):
    x = (rng.normal(size=(200, 3)) + np.array([0, 10, 1_000])).astype("f")
    y = x @ np.array([1.0, 2.0, 3.0]) + rng.normal(size=200)
    wanted = LinearRegression().fit(x.astype(float), y).predict(x.astype(float))
    np.testing.assert_allclose(fit_baselines("regression", x, y, x)[0]["linear"], wanted, rtol=1e-8)


def test_many_inputs_for_few_rows_make_the_linear_model_a_ridge(rng):
    x = rng.normal(size=(40, 30)).astype("f")
    y = x[:, 0] + 0.1 * rng.normal(size=40)
    x_test = rng.normal(size=(200, 30)).astype("f")
    linear = fit_baselines("regression", x, y, x_test)[0]["linear"]
    ridge = RidgeCV(alphas=np.logspace(-3, 4, 15)).fit(x.astype(float), y)
    np.testing.assert_allclose(linear, ridge.predict(x_test.astype(float)))


@given(st.integers(2, 40), st.integers(1, 3), st.integers(0, 10**6), st.booleans())
def test_any_small_table_has_baselines(n, n_inputs, seed, is_regression):
    rng = np.random.default_rng(seed)
    x, x_test = rng.normal(size=(n, n_inputs)).astype("f"), rng.normal(size=(5, n_inputs)).astype("f")
    y = rng.normal(size=n) if is_regression else rng.choice([0, 2, 3], n)
    task = "regression" if is_regression else "multiclass"
    outputs, _notes = fit_baselines(task, x, y, x_test, n_labels=0 if is_regression else 5)
    for name, found in outputs.items():
        assert np.isfinite(found).all(), name
        if not is_regression:
            np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)  # float32 inputs, float32 logistic regression
            absent = [label for label in range(5) if label not in y]
            assert (found[:, absent] == 0).all(), name


@pytest.mark.parametrize(("task", "y"), [("regression", np.full(9, 0.1)), ("multiclass", np.full(9, 1))])
def test_targets_all_equal_leave_the_constant_guess_alone(task, y, rng):
    outputs, _notes = fit_baselines(task, rng.normal(size=(9, 2)), y, rng.normal(size=(4, 2)), n_labels=3)
    assert list(outputs) == ["mean" if task == "regression" else "majority"]
    np.testing.assert_allclose(outputs.popitem()[1], [[0, 1, 0]] * 4 if task == "multiclass" else 0.1)


def test_baselines_of_one_seed_are_the_same_twice(rng):
    x, y = rng.normal(size=(60, 9)).astype("f"), rng.integers(0, 2, 60)
    first, again = (fit_baselines("binary", x, y, x[:10], 3, 2)[0] for _ in range(2))
    for name, outputs in first.items():
        np.testing.assert_array_equal(outputs, again[name])


def test_small_images_are_flattened(rng):
    x, y = rng.normal(size=(60, 1, 4, 5)).astype("f"), rng.integers(0, 3, 60)
    images, notes = fit_baselines("multiclass", x, y, x[:7], 0, 3)
    table, _notes = fit_baselines("multiclass", x.reshape(60, 20), y, x[:7].reshape(7, 20), 0, 3)
    assert notes == []
    for name, outputs in images.items():
        np.testing.assert_array_equal(outputs, table[name])


@pytest.mark.parametrize(
    ("shape", "most", "smaller"),
    [
        ((3, 8, 8), 100, (3, 4, 4)),
        ((1, 7, 5), 12, (1, 4, 3)),
        ((1, 28, 28), 400, (1, 14, 14)),
        ((2, 3, 3), 1, (2, 1, 1)),
    ],
)
def test_large_images_are_averaged_over_squares(shape, most, smaller, rng):
    x = rng.normal(size=(2, *shape)).astype("f")
    found = baselines._averaged(x, most)
    assert found.shape == (2, *smaller)
    side = -(-shape[1] // smaller[1])
    for i in range(smaller[1]):
        for j in range(smaller[2]):
            square = x[:, :, i * side : (i + 1) * side, j * side : (j + 1) * side]
            np.testing.assert_allclose(found[:, :, i, j], square.mean((2, 3)), atol=1e-6)


def test_what_is_cut_to_stay_quick_is_said(monkeypatch, rng):
    monkeypatch.setattr(baselines, "_MIN_ROWS", 20)
    for name in ("logistic", "gradient_boosting"):
        monkeypatch.setitem(BASELINES._rows, name, dataclasses.replace(BASELINES[name], max_work=480.0, max_inputs=10))
    x, y = rng.normal(size=(100, 1, 4, 6)).astype("f"), rng.integers(0, 2, 100)
    outputs, notes = fit_baselines("binary", x, y, x, 0, 2)
    assert notes == [
        "logistic regression sees the images averaged down to 2×3",
        "logistic regression is fitted on 80 of the 100 training rows, drawn at random, to stay quick",
        "gradient boosting sees the images averaged down to 2×3",
        "gradient boosting is fitted on 80 of the 100 training rows, drawn at random, to stay quick",
    ]
    np.testing.assert_allclose(outputs["majority"][0], np.bincount(y) / 100)


def regression(rng, **noise):
    """Evaluations of predictions of one truth, each with its own noise."""
    truth = rng.normal(size=400)
    return {name: evaluate("regression", truth, truth + sd * rng.normal(size=400)) for name, sd in noise.items()}


def test_a_better_network_beats_the_best_baseline(rng):
    found = regression(rng, network=0.1, mean=2, linear=0.9, gradient_boosting=0.5)
    text = verdict("regression", found.pop("network"), found)
    assert text.startswith("The network beats the best baseline (gradient boosting): R² 0.9")
    assert " on 400 test rows, difference +0.2" in text
    assert "(95% interval +0." in text


@pytest.mark.parametrize(
    ("best", "meaning"),
    [
        ("linear", "The linear model does better and is simpler: prefer it."),
        ("gradient_boosting", "Prefer gradient boosting here, unless another network or more rows change the picture."),
    ],
)
def test_a_worse_network_does_not_beat_the_best_baseline_and_the_meaning_is_said(best, meaning, rng):
    found = regression(rng, network=0.8, mean=2, linear=0.6, gradient_boosting=0.6) | regression(rng, **{best: 0.1})
    text = verdict("regression", found.pop("network"), found)
    label = BASELINES[best].label
    assert text.startswith(f"The network does not beat the best baseline ({label}), it does worse: R² ")
    assert text.endswith(meaning)


def test_when_the_rows_cannot_say_the_simplest_equal_is_named(rng):
    truth = rng.integers(0, 2, 100)

    def right(share):
        answer = np.where(rng.random(100) < share, truth, 1 - truth)
        return evaluate("binary", truth, np.eye(2)[answer])

    network, linear, boosting = right(0.9), right(0.9), right(0.9)
    text = verdict("binary", network, {"gradient_boosting": boosting, "logistic": linear})
    assert text.startswith("The network and the best baseline (")
    assert ") cannot be told apart: accuracy " in text
    assert text.endswith("The linear model does as well and is simpler: prefer it.")
    text = verdict("binary", network, {"majority": right(0.5), "logistic": linear})
    assert text.endswith("The linear model does as well and is simpler: prefer it.")
    guess = right(0.9)
    text = verdict("binary", network, {"majority": guess, "logistic": linear})
    assert text.endswith("Nothing was learned beyond this guess: are the inputs related to the target?")


def test_equal_answers_cannot_be_told_apart():
    truth = np.arange(30) % 3
    perfect = evaluate("multiclass", truth, np.eye(3)[truth])
    text = verdict("multiclass", perfect, {"logistic": perfect})
    assert text == (
        "The network and the best baseline (logistic regression) cannot be told apart: accuracy 100.0% "
        "(88.6% to 100.0%) against 100.0% (88.6% to 100.0%) on 30 test rows. The linear model does as well and is "
        "simpler: prefer it."
    )


def test_one_answer_on_every_row_is_said_with_what_the_probabilities_are_worth(rng):
    truth = (rng.random(500) < 0.03).astype(int)
    share = 0.02 + 0.1 * truth + 0.1 * rng.random(500)
    network = evaluate("binary", truth, np.stack([1 - share, share], 1), labels=("no", "yes"))
    guess = evaluate("binary", truth, np.tile([0.97, 0.03], (500, 1)), labels=("no", "yes"))
    text = verdict("binary", network, {"majority": guess, "logistic": guess})
    assert text.startswith("The network and the best baseline (most frequent class) cannot be told apart: accuracy 9")
    assert text.endswith(
        "It answers no on all of them, as a guess blind to the inputs does. Whether its probabilities tell rows "
        f"apart, ROC-AUC says: {network.metrics['roc_auc']}, where such a guess has 0.5."
    )


def test_an_interval_that_leaves_out_zero_does_not_show_it(rng):
    truth = rng.normal(size=400)
    near = truth + 0.01 * rng.normal(size=400)
    network, linear = (evaluate("regression", truth, near + gap) for gap in (0.0115, 0.01))
    text = verdict("regression", network, {"linear": linear})
    assert "it does worse" in text
    assert re.search(r"difference -0\.0+[1-9]\d* \(95% interval -0\.0+[1-9]\d* to -0\.0+[1-9]\d*\)", text)


def test_two_that_are_nearly_perfect_are_told_apart_by_what_is_left_of_the_error(rng):
    truth, error = rng.normal(0, 30, 400), rng.normal(0, 1, 400)
    network, line = (evaluate("regression", truth, truth + size * error) for size in (0.03, 0.0003))
    text = verdict("regression", network, {"linear": line})
    assert (
        "R² 1.000 (1.000 to 1.000) against 1.000 (1.000 to 1.000) on 400 test rows (root mean squared error 0.0" in text
    )
    assert re.search(r"error 0\.0[23]\d* against 0\.000[23]\d*\), difference -0\.000001 ", text)


def test_a_difference_of_shares_is_given_in_points():
    truth = np.arange(200) % 2
    network, half = (evaluate("binary", truth, np.eye(2)[answer]) for answer in (truth, np.zeros(200, int)))
    text = verdict("binary", network, {"majority": half})
    assert "50.0% (43.1% to 56.9%) on 200 test rows, difference +50.0 points (95% interval +4" in text


def test_pairs_tell_apart_what_intervals_cannot(rng):
    truth = rng.normal(size=300)
    hard = rng.normal(size=300)
    network = evaluate("regression", truth, truth + hard)
    linear = evaluate("regression", truth, truth + 1.05 * hard)
    assert linear.main.high > network.main.low
    assert verdict("regression", network, {"linear": linear}).startswith("The network beats the best baseline")


def test_evaluations_from_a_file_leave_the_figures_to_speak(rng):
    found = {name: Evaluation.from_dict(e.to_dict()) for name, e in regression(rng, network=0.1, linear=0.9).items()}
    text = verdict("regression", found.pop("network"), found)
    assert text.startswith("The network beside the best baseline (linear regression): R² 0.9")
    assert "difference" not in text


def test_without_a_figure_or_a_baseline_there_is_nothing_to_compare():
    alone = evaluate("regression", np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 4.0]))
    assert verdict("regression", alone, {}) == (
        "There is nothing to compare the network with on 3 test rows: R² 1.000; no baseline."
    )
    constant = evaluate("regression", np.ones(1), np.ones(1))
    assert verdict("regression", constant, {"mean": constant}) == (
        "There is nothing to compare the network with on 1 test row: R² –; the true values are all equal."
    )


def test_the_largest_seed_is_a_seed_for_every_baseline():
    x, y, x_test, _y_test = prepared(datasets.load_diabetes)
    large, small = (fit_baselines("regression", x[:60], y[:60], x_test, seed)[0] for seed in (2**63 - 1, 2**32 - 1))
    np.testing.assert_array_equal(large["gradient_boosting"], small["gradient_boosting"])


@pytest.mark.parametrize(
    ("ends", "decimals"), [((0.012, 0.3), 3), ((0.0003, 0.046), 4), ((0.0, 0.2), 3), ((-1e-9, 0.2), 7)]
)
def test_the_ends_of_an_interval_show_on_which_side_of_zero_they_lie(ends, decimals):
    assert baselines._decimals(ends, 3) == decimals
