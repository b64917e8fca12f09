import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from limpide import i18n, stats
from limpide.errors import DataError, ShapeError, UnknownName
from limpide.evaluation import MAIN_METRIC, METRICS, Evaluation, evaluate, format_metric, quick_metrics, sums

CLASSES = st.tuples(st.integers(2, 60), st.integers(2, 6), st.integers(0, 10**6), st.sampled_from([1, 2, 8]))
NUMBERS = st.tuples(st.integers(2, 60), st.integers(0, 10**6), st.sampled_from([-3, 0, 3]))


def classes(n, k, seed, decimals=8):
    """Class numbers (some may be absent) and probabilities that know something; few decimals make ties."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    scores = rng.normal(size=(n, k))
    scores[np.arange(n), truth] += 1
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    p[:, :-1] = np.round(p[:, :-1], decimals) * 0.75
    p[:, -1] = 1 - p[:, :-1].sum(1)
    return truth, p


def numbers(n, seed, power=0):
    rng = np.random.default_rng(seed)
    truth = 10.0**power * rng.normal(5, 2, n)
    return truth, truth + 10.0**power * rng.normal(size=n)


def oracle_classification(task, truth, p, sample_weight=None):
    k = p.shape[1]
    predicted = p.argmax(1)
    named = {"sample_weight": sample_weight}
    found = {"accuracy": sk.accuracy_score(truth, predicted, **named)}
    for average in ("macro", "weighted"):
        scores = sk.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0, **named)
        found |= {f"{name}_{average}": s for name, s in zip(("precision", "recall", "f1"), scores[:3], strict=True)}
    present = [c for c in ([1] if task == "binary" else range(k)) if 0 < (truth == c).sum() < len(truth)]
    areas = [sk.roc_auc_score(truth == c, p[:, c], **named) for c in present]
    found["roc_auc"] = np.mean(areas) if areas else None
    found["log_loss"] = sk.log_loss(truth, p, labels=range(k), **named)
    if task == "binary":
        found["brier"] = sk.brier_score_loss(truth, p[:, 1], pos_label=1, **named)
    return found


def oracle_regression(truth, outputs):
    mse = sk.mean_squared_error(truth, outputs)
    return {
        "mse": mse,
        "rmse": np.sqrt(mse),
        "mae": sk.mean_absolute_error(truth, outputs),
        "median_absolute_error": sk.median_absolute_error(truth, outputs),
        "r2": sk.r2_score(truth, outputs),
    }


def assert_same(metrics, oracle):
    for name, value in oracle.items():
        found = metrics[name].value
        assert (found is None) == (value is None), name
        if value is not None:
            np.testing.assert_allclose(found, value, rtol=1e-9, atol=1e-12, err_msg=name)


@given(CLASSES)
def test_classification_metrics_equal_scikit_learns(case):
    truth, p = classes(*case)
    task = "binary" if p.shape[1] == 2 else "multiclass"
    assert_same(evaluate(task, truth, p, intervals=False).metrics, oracle_classification(task, truth, p))


@given(NUMBERS)
def test_regression_metrics_equal_scikit_learns(case):
    truth, outputs = numbers(*case)
    assert_same(evaluate("regression", truth, outputs, intervals=False).metrics, oracle_regression(truth, outputs))


@pytest.mark.parametrize(("task", "k"), [("binary", 2), ("multiclass", 4)])
def test_roc_auc_of_all_classes_equals_scikit_learns_macro(task, k):
    truth, p = classes(80, k, 0)
    scores = p[:, 1] if k == 2 else p
    found = evaluate(task, truth, p, intervals=False).metrics["roc_auc"].value
    assert found == pytest.approx(sk.roc_auc_score(truth, scores, multi_class="ovr"))


@given(CLASSES)
def test_classification_metrics_on_a_draw_are_those_of_its_rows(case):
    truth, p = classes(*case)
    task = "binary" if p.shape[1] == 2 else "multiclass"
    rows = np.random.default_rng(0).integers(0, len(truth), (3, len(truth)))
    weights = np.stack([np.bincount(r, minlength=len(truth)) for r in rows]).astype(float)
    with np.errstate(all="ignore"):
        found = sums.classification(truth, p, task == "binary")(weights)
    for draw, r in zip(found, rows, strict=True):
        again = evaluate(task, truth[r], p[r], intervals=False).metrics.values()
        values = [np.nan if metric.value is None else metric.value for metric in again]
        np.testing.assert_allclose(draw, values, rtol=1e-9, atol=1e-12)


@given(NUMBERS)
def test_regression_metrics_on_a_draw_are_those_of_its_rows(case):
    truth, outputs = numbers(*case)
    rows = np.random.default_rng(0).integers(0, len(truth), (3, len(truth)))
    weights = np.stack([np.bincount(r, minlength=len(truth)) for r in rows]).astype(float)
    with np.errstate(all="ignore"):
        found = sums.regression(truth, outputs)(weights)
    for draw, r in zip(found, rows, strict=True):
        again = evaluate("regression", truth[r], outputs[r], intervals=False).metrics.values()
        values = [np.nan if metric.value is None else metric.value for metric in again]
        np.testing.assert_allclose(draw, values, rtol=1e-6, atol=1e-12)


@given(CLASSES)
def test_the_tables_equal_scikit_learns(case):
    truth, p = classes(*case)
    k = p.shape[1]
    labels = [f"class {i}" for i in range(k)]
    found = evaluate("binary" if k == 2 else "multiclass", truth, p, labels, intervals=False)
    predicted = p.argmax(1)
    np.testing.assert_array_equal(found.confusion, sk.confusion_matrix(truth, predicted, labels=range(k)))
    scores = sk.precision_recall_fscore_support(truth, predicted, labels=range(k), zero_division=np.nan)
    for name, column in zip(("precision", "recall", "f1", "support"), scores, strict=True):
        mine = [np.nan if row[name] is None else row[name] for row in found.per_class.values()]
        np.testing.assert_allclose(mine, column, err_msg=name)
    right, sure = calibration_curve(predicted == truth, p.max(1), n_bins=sums.CALIBRATION_BINS)
    np.testing.assert_allclose([b["accuracy"] for b in found.calibration], right)
    np.testing.assert_allclose([b["confidence"] for b in found.calibration], sure)
    gaps = sum(b["n"] * abs(b["accuracy"] - b["confidence"]) for b in found.calibration) / len(truth)
    assert found.metrics["calibration_error"].value == pytest.approx(gaps)


@given(CLASSES)
def test_the_roc_curve_equals_scikit_learns(case):
    truth, p = classes(*case)
    k = p.shape[1]
    found = evaluate("binary" if k == 2 else "multiclass", truth, p, intervals=False).roc
    wanted = {str(c) for c in range(k) if 0 < (truth == c).sum() < len(truth)}
    assert set(found) == (wanted & {"1"} if k == 2 else wanted)
    for label, curve in found.items():
        fpr, tpr, _ = sk.roc_curve(truth == int(label), p[:, int(label)], drop_intermediate=False)
        np.testing.assert_allclose(curve["fpr"], fpr)
        np.testing.assert_allclose(curve["tpr"], tpr)


def test_a_long_roc_curve_is_thinned_and_keeps_its_area():
    truth, p = classes(3_000, 2, 0)
    found = evaluate("binary", truth, p, intervals=False)
    curve = found.roc["1"]
    assert len(curve["fpr"]) <= sums.ROC_POINTS
    assert (curve["fpr"][0], curve["tpr"][0], curve["fpr"][-1], curve["tpr"][-1]) == (0, 0, 1, 1)
    assert sk.auc(curve["fpr"], curve["tpr"]) == pytest.approx(found.metrics["roc_auc"].value, abs=0.002)


def test_residuals_are_truth_minus_prediction():
    truth, outputs = numbers(500, 0)
    found = evaluate("regression", truth, outputs, intervals=False).residuals
    residual = truth - outputs
    assert found["mean"] == pytest.approx(residual.mean())
    assert found["sd"] == pytest.approx(residual.std(ddof=1))
    wanted = np.quantile(residual, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
    np.testing.assert_allclose([found[q] for q in ("min", "q05", "q25", "median", "q75", "q95", "max")], wanted)
    counts, edges = np.histogram(residual, sums.HISTOGRAM_BINS)
    assert found["histogram"]["counts"] == counts.tolist()
    np.testing.assert_allclose(found["histogram"]["edges"], edges)


def test_residuals_without_spread_make_one_bar():
    truth = np.array([1e16, 1e16 + 2, 1e16 - 2])
    assert evaluate("regression", truth, truth - 1e9).residuals["histogram"]["counts"] == [3]
    assert evaluate("regression", truth, truth).residuals["histogram"] == {"edges": [0, 0], "counts": [3]}


@pytest.mark.parametrize("case", [("regression", 0), ("binary", 2), ("multiclass", 5)])
def test_every_metric_of_the_task_is_there_with_its_interval(case):
    task, k = case
    truth, outputs = classes(150, k, 3) if k else numbers(150, 3)
    found = evaluate(task, truth, outputs)
    assert list(found.metrics) == [row.name for row in METRICS.rows() if task in row.tasks]
    assert found.main.name == MAIN_METRIC[task]
    assert found.draws.value[0] == found.main.value
    for name, metric in found.metrics.items():
        definition = METRICS[name]
        if definition.interval == "none":
            assert metric.low is None
            assert metric.high is None
        else:
            assert definition.bounds[0] <= metric.low < metric.value < metric.high <= definition.bounds[1], name


def test_an_interval_stays_where_the_metric_can_be():
    truth = np.arange(2 * stats.BOOTSTRAP_ROWS) % 2
    answer = truth.copy()
    answer[0] = 1
    metric = evaluate("binary", truth, np.eye(2)[answer]).metrics["f1_macro"]
    assert 0.999 < metric.low < metric.value < metric.high == 1
    far = np.zeros(2 * stats.BOOTSTRAP_ROWS)
    far[0] = 9
    assert evaluate("regression", truth.astype(float), truth + far).metrics["mse"].low == 0


def test_regression_metrics_far_from_zero_equal_scikit_learns(rng):
    truth = 1e8 + rng.normal(size=100)
    outputs = truth + rng.normal(size=100)
    found = evaluate("regression", truth, outputs).metrics
    assert_same(found, oracle_regression(truth, outputs))
    assert found["r2"].low < found["r2"].value < found["r2"].high
    assert quick_metrics("regression", truth, outputs)["r2"] == pytest.approx(found["r2"].value, rel=1e-6)


def test_a_bootstrap_interval_of_r2_covers_the_truth_19_times_in_20():
    hits = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        outputs = rng.normal(size=150)
        metric = evaluate("regression", outputs + rng.normal(size=150), outputs, n_boot=300).metrics["r2"]
        hits += metric.low <= 0.5 <= metric.high
    assert 0.91 <= hits / 300 <= 0.98


def test_all_right_is_not_beyond_doubt():
    truth = np.arange(36) % 3
    found = evaluate("multiclass", truth, np.eye(3)[truth])
    assert found.metrics["accuracy"].value == 1
    assert found.metrics["accuracy"].low == pytest.approx(0.9036, abs=1e-4)
    assert str(found.metrics["accuracy"]) == "100.0% (90.4% to 100.0%)"
    assert (found.metrics["f1_macro"].value, found.metrics["f1_macro"].low) == (1, None)


def test_one_class_leaves_the_area_undefined_and_says_why():
    found = evaluate("binary", np.ones(5, int), np.tile([0.3, 0.7], (5, 1)), ["no", "yes"])
    assert found.metrics["roc_auc"].value is None
    assert found.metrics["roc_auc"].why == "these rows are all of one class"
    assert found.roc == {}
    assert found.per_class["no"] == {"precision": None, "recall": None, "f1": None, "support": 0}
    assert str(found.metrics["roc_auc"]) == "–"


def test_equal_true_values_leave_r2_undefined_and_say_why():
    found = evaluate("regression", np.full(5, 0.1), np.arange(5.0))
    assert found.metrics["r2"].value is None
    assert found.metrics["r2"].why == "the true values are all equal"
    assert found.metrics["mae"].value == pytest.approx(np.abs(np.arange(5) - 0.1).mean())


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_one_row_is_enough(task):
    found = (
        evaluate(task, np.array([2.0]), np.array([2.5]))
        if task == "regression"
        else evaluate(task, np.array([1]), np.array([[0.4, 0.6]]))
    )
    assert found.n == 1
    json.dumps(found.to_dict(), allow_nan=False)


@given(CLASSES)
def test_a_classification_goes_through_json_unchanged(case):
    truth, p = classes(*case)
    found = evaluate("binary" if p.shape[1] == 2 else "multiclass", truth, p, n_boot=20)
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found


@given(NUMBERS)
def test_a_regression_goes_through_json_unchanged(case):
    found = evaluate("regression", *numbers(*case), n_boot=20)
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found


def test_the_same_seed_gives_the_same_evaluation():
    truth, p = classes(60, 3, 0)
    assert evaluate("multiclass", truth, p, seed=4) == evaluate("multiclass", truth, p, seed=4)
    assert evaluate("multiclass", truth, p, seed=4) != evaluate("multiclass", truth, p, seed=5)


def test_many_rows_have_intervals_too():
    truth, p = classes(stats.BOOTSTRAP_ROWS + 500, 3, 0)
    found = evaluate("multiclass", truth, p)
    assert found.draws.method == "jackknife"
    for name in ("precision_macro", "f1_weighted", "roc_auc", "log_loss"):
        metric = found.metrics[name]
        assert metric.low < metric.value < metric.high
    accuracy = found.metrics["accuracy"]
    spread = 1.96 * np.sqrt(accuracy.value * (1 - accuracy.value) / found.n)
    assert accuracy.high - accuracy.low == pytest.approx(2 * spread, rel=0.01)


@given(CLASSES, NUMBERS)
def test_quick_metrics_are_those_of_the_evaluation(case, other):
    truth, p = classes(*case)
    task = "binary" if p.shape[1] == 2 else "multiclass"
    assert quick_metrics(task, truth, p) == {"accuracy": evaluate(task, truth, p, n_boot=1).main.value}
    truth, outputs = numbers(*other)
    found = evaluate("regression", truth, outputs, n_boot=1).metrics
    quick = quick_metrics("regression", truth, outputs.astype(np.float32))
    assert list(quick) == ["r2", "rmse"]
    assert quick["r2"] == pytest.approx(found["r2"].value, rel=1e-4, abs=1e-4)
    assert quick["rmse"] == pytest.approx(found["rmse"].value, rel=1e-4)


# the mean of three times 0.1 is not 0.1 to the last bit
@pytest.mark.parametrize("value", [1.0, 0.1])
def test_quick_r2_of_equal_true_values_is_nan(value):
    assert np.isnan(quick_metrics("regression", np.full(3, value), np.arange(3.0))["r2"])


def test_a_metric_is_shown_as_people_read_it():
    assert format_metric("accuracy", 0.99996) == "100.00%"
    assert format_metric("accuracy", 1.0) == "100.0%"
    assert format_metric("log_loss", 0.123456) == "0.1235"
    assert format_metric("roc_auc", 0.98765) == "0.988"
    assert format_metric("rmse", None) == "–"
    i18n.set_language("fr")
    assert format_metric("r2", -0.25) == "-0,250"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("clustering", np.ones(2), np.ones(2)), UnknownName, 'task: unknown name "clustering"; choose among'),
        (("regression", np.ones(0), np.ones(0)), DataError, "evaluation: expected at least one row, got none"),
        (
            ("regression", np.ones(3), np.ones((3, 1))),
            ShapeError,
            "evaluation: expected outputs of shape (3,), got 3×1",
        ),
        (
            ("multiclass", np.zeros(2, int), np.ones((2, 3)), ["a", "b"]),
            ShapeError,
            "evaluation: expected outputs of shape (2, 2), got 2×3",
        ),
        (
            ("regression", np.ones(2), np.array([1, np.nan])),
            DataError,
            "evaluation: expected outputs below 1e+150, got NaN",
        ),
        (
            ("regression", np.array([1, 1e200]), np.ones(2)),
            DataError,
            "evaluation: expected true values below 1e+150, got 1e+200",
        ),
        (
            ("binary", np.array([0, 2]), np.ones((2, 2))),
            DataError,
            "evaluation: expected class numbers below 2, got 0 ... 2",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, error, message):
    with pytest.raises(error) as caught:
        evaluate(*arguments)
    assert str(caught.value).startswith(message)


def test_evaluating_loads_no_heavy_package():
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from limpide.evaluation import evaluate; import limpide.baselines;"
        "evaluate('binary', np.arange(9) % 2, np.full((9, 2), 0.5));"
        "print([m for m in ('sklearn', 'scipy', 'matplotlib', 'polars', 'torch', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_evaluation_is_read_in_a_line_or_in_its_metrics(rng):
    truth = rng.integers(0, 40, 900)
    found = evaluate("multiclass", truth, np.eye(40)[truth])
    assert repr(found) == "<Evaluation: accuracy 100.0% (99.6% to 100.0%), 900 rows>"
    lines = str(found).splitlines()
    assert lines[0] == "accuracy 100.0% (99.6% to 100.0%)"
    assert len(lines) == len(found.metrics)
    numbers = evaluate("regression", rng.normal(size=50), rng.normal(size=50))
    assert str(numbers).startswith("R² ")
