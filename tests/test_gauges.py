import numpy as np
import polars as pl
import pytest

import limpide as lp
from limpide.data.preparation import TargetPreparation
from limpide.data.rows import Rows
from limpide.evaluation import quick_metrics
from limpide.gauges import Gauge
from limpide.nn.losses import LOSSES

TASKS = {"values": "regression", "binary": "binary", "classes": "multiclass"}
SIZES = (37, 5, 130)

PINNED = [
    # losses: running, train, validation
    [0.5043588509987457, 0.15185861715606497, 0.14664998488714154],
    [0.1598334200714254, 0.05838846213003859, 0.056541174902813275],
    [0.09738721568270035, 0.038197714035659934, 0.033009715872906395],
]
PINNED_METRICS = [
    # R² and RMSE: train, validation
    [0.8481413829436021, 6.239189255071116, 0.8455636675072189, 6.131255909923155],
    [0.9416115376076327, 3.868761510194077, 0.9404567867119809, 3.8070697836627683],
    [0.9618022862853439, 3.1291553442185314, 0.9652376426777969, 2.908903493563403],
]


def test_a_short_training_is_that_of_version_one():
    """A run recorded long ago is redone: its history, its intervals."""
    options = {"engine": "numpy", "precision": "float64", "network": "6 tanh, dropout 0.1", "patience": 0, "seed": 4}
    optimizer = {"optimizer": "momentum", "rate": 0.05, "batch_size": 64, "epochs": 3}
    run = lp.train("production-costs", save=False, baselines=False, task="regression", **options, **optimizer)
    assert [(epoch.epoch, epoch.updates, epoch.rate) for epoch in run.history] == [
        (1, 12, 0.05),
        (2, 24, 0.05),
        (3, 36, 0.05),
    ]
    for epoch, losses, metrics in zip(run.history, PINNED, PINNED_METRICS, strict=True):
        found = [epoch.running_loss, epoch.train_loss, epoch.validation_loss]
        assert found == pytest.approx(losses, rel=1e-11)
        assert [*epoch.train.values(), *epoch.validation.values()] == pytest.approx(metrics, rel=1e-11)
    r2 = run.test.metrics["r2"]
    pinned_r2 = (0.9611317375675644, 0.9537235312970299, 0.9673333130890566)
    assert (r2.value, r2.low, r2.high) == pytest.approx(pinned_r2, rel=1e-9)
    assert run.verdict == (
        "There is nothing to compare the network with on 200 test rows: R² 0.961 (0.954 to 0.967); no baseline."
    )


def example(rng, labels, n):
    """Rows of a task and what a network might give for them."""
    if labels == "values":
        truth = rng.normal(50, 20, n)
        return Rows(np.zeros((n, 1)), ((truth - 50) / 20).astype("f")[:, None], truth), rng.normal(size=(n, 1))
    truth = rng.integers(0, 2 if labels == "binary" else 4, n)
    if labels == "binary":
        return Rows(np.zeros((n, 1)), truth.astype("f")[:, None], truth), rng.random((n, 1))
    shares = rng.random((n, 4))
    return Rows(np.zeros((n, 1)), truth, truth), shares / shares.sum(1, keepdims=True)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_parts_read_together_give_the_bits_of_each_read_alone(name, rng):
    loss = LOSSES[name]
    words = () if loss.labels == "values" else ("a", "b") if loss.labels == "binary" else tuple("abcd")
    target = TargetPreparation(TASKS[loss.labels], "y", words)
    parts, outputs = zip(*(example(rng, loss.labels, n) for n in SIZES), strict=True)
    outputs, activated = [raw.astype("f") for raw in outputs], loss.expects == "probabilities"
    for rows, raw, (mean, metrics) in zip(parts, outputs, Gauge(parts, loss, target, activated).read(outputs)):
        assert mean == loss.mean(raw, rows.y)
        assert metrics == quick_metrics(target.task, rows.truth, target.decode(raw, activated))


def test_what_is_not_finite_has_no_metrics_and_is_not_warned_of(rng):
    parts, outputs = zip(*(example(rng, "values", n) for n in SIZES), strict=True)
    outputs = [raw.astype("f") for raw in outputs]
    outputs[1][2] = 1e30
    readings = Gauge(parts, LOSSES["mse"], TargetPreparation("regression", "y"), False).read(outputs)
    assert [np.isfinite(loss) for loss, _metrics in readings] == [True, False, True]
    assert [metrics for _loss, metrics in readings] == [{}, {}, {}]


def test_a_part_whose_values_are_all_equal_has_no_r2():
    rows = Rows(np.zeros((3, 1)), np.zeros((3, 1), "f"), np.full(3, 7.0))
    [(_loss, metrics)] = Gauge([rows], LOSSES["mse"], TargetPreparation("regression", "y"), False).read(
        [np.ones((3, 1), "f")]
    )
    assert metrics == {"r2": None, "rmse": 6.0}


def test_a_table_prepared_at_once_is_the_table_prepared_part_by_part(monkeypatch, rng):
    frame = pl.DataFrame(
        {
            "number": [None if i % 9 == 0 else float(x) for i, x in enumerate(rng.normal(size=90))],
            "word": [f"w{i % 4}" for i in rng.integers(0, 9, 90)],
            "y": rng.choice(["no", "yes"], 90),
        }
    )
    at_once = lp.fit(frame, target="y").job
    monkeypatch.setattr("limpide.job.FEW_CELLS", 0)
    one_by_one = lp.fit(frame, target="y").job
    assert at_once.notes == one_by_one.notes
    for part, rows in at_once.parts.items():
        for array, expected in zip(rows, one_by_one.parts[part]):
            np.testing.assert_array_equal(array, expected, strict=True)
