"""Measures gathered piece by piece are those of all rows at once, and say what they leave out."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import limpide as lp
from limpide.__main__ import main
from limpide.data import streams
from limpide.errors import DataError, RecipeError
from limpide.evaluation import METRICS, evaluate, pieces
from limpide.evaluation.pieces import Tally
from limpide.stats import BOOTSTRAP_ROWS

TASKS = {"regression": 0, "binary": 2, "multiclass": 4}
MANY = BOOTSTRAP_ROWS + 777


def rows(task, n, seed=0):
    """Answers in rising order, as in a sorted table, and outputs that know something."""
    rng, k = np.random.default_rng(seed), TASKS[task]
    if not k:
        truth = np.sort(1e6 + rng.normal(5, 2, n))
        return truth, truth + rng.standard_t(4, n)
    truth = np.sort(rng.integers(0, k, n))
    scores = np.round(rng.normal(size=(n, k)), 1)
    scores[np.arange(n), truth] += 1
    return truth, np.exp(scores) / np.exp(scores).sum(1, keepdims=True)


def words(task):
    return tuple("abcdef"[: TASKS[task]])


def in_pieces(task, truth, outputs, cuts, memory=10**9):
    tally = Tally(task, words(task), memory)
    for some, guesses in zip(np.split(truth, cuts), np.split(outputs, cuts), strict=True):
        tally.add(some, guesses)
    return tally.evaluation()


def assert_close(found, expected, rtol=1e-9, atol=1e-12):
    """The same facts to rounding, at any depth."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_close(found[key], value, rtol, atol)
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, rtol, atol)
    elif isinstance(expected, float):
        np.testing.assert_allclose(found, expected, rtol, atol)
    else:
        assert found == expected


@settings(max_examples=8)
@given(st.lists(st.integers(0, MANY), max_size=6), st.sampled_from([MANY, 150]))
@pytest.mark.parametrize("task", TASKS)
def test_pieces_of_any_size_measure_as_the_whole_does(task, cuts, n):
    truth, outputs = rows(task, n)
    expected = evaluate(task, truth, outputs, words(task))
    found = in_pieces(task, truth, outputs, sorted(min(cut, n) for cut in cuts))
    assert_close(found.to_dict(), expected.to_dict(), rtol=1e-7)
    assert found.draws.method == expected.draws.method
    np.testing.assert_allclose(found.draws.draws, expected.draws.draws, rtol=1e-7)
    assert found.ranked is None


@pytest.mark.parametrize("task", TASKS)
def test_sums_count_all_rows_where_those_in_order_are_drawn(task, monkeypatch):
    monkeypatch.setattr(pieces, "FEWEST_HELD", 3_000)
    truth, outputs = rows(task, 20_000)
    expected, found = evaluate(task, truth, outputs, words(task)), in_pieces(task, truth, outputs, [5_000, 5_001], 1)
    assert found.ranked == 3_000
    assert found.n == 20_000
    for name, metric in found.metrics.items():
        other = expected.metrics[name]
        if name not in ("roc_auc", "median_absolute_error"):
            assert_close(asdict(metric), asdict(other), 1e-7)
        else:
            # fewer rows, honestly less sure
            assert metric.low < other.value < metric.high
            assert metric.high - metric.low > 1.5 * (other.high - other.low)
    for name in ("confusion", "per_class", "calibration"):
        assert_close(getattr(found, name), getattr(expected, name))
    if task == "regression":
        for name in ("mean", "sd", "min", "max"):
            assert found.residuals[name] == pytest.approx(expected.residuals[name], 1e-6)
        assert found.residuals["q25"] == pytest.approx(expected.residuals["q25"], abs=0.1)


def test_equal_answers_have_no_r2_in_pieces_either():
    truth, outputs = np.full(MANY, 0.1), np.random.default_rng(0).normal(size=MANY)
    assert in_pieces("regression", truth, outputs, [100]).metrics["r2"].value is None


def test_no_row_is_told():
    with pytest.raises(DataError, match="at least one row"):
        Tally("binary", ("a", "b"), 1).evaluation()


# Runs


def table(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)).round(3)
    kind = np.array(["low", "mid", "high"])[np.digitize(x[:, 0] + rng.normal(0, 0.5, n), (-0.5, 0.5))]
    city = rng.choice(["Lyon", "Nice"], n)
    return pl.DataFrame({"x": x[:, 0], "y": x[:, 1], "city": city, "kind": kind})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of classes and one of numbers, each with the table it learned from."""
    folder = tmp_path_factory.mktemp("runs")
    table(600).write_csv(folder / "kinds.csv")
    table(600).with_columns(price=pl.col("x") * 3 + pl.col("y")).drop("kind").write_csv(folder / "prices.csv")
    for name, target in (("kinds", "kind"), ("prices", "price")):
        terms = {"target": target, "network": "4 relu", "epochs": 2, "engine": "numpy", "baselines": False}
        lp.train(str(folder / f"{name}.csv"), out=folder / name, report=False, accept_leaks=["disguise"], **terms)
    return folder


@pytest.fixture
def small(monkeypatch):
    """Every table is too large, and its pieces are small."""
    monkeypatch.setattr(streams, "COPIES", 10**6)
    monkeypatch.setattr(streams, "PIECE_ROWS", 333)
    monkeypatch.setattr("limpide.data.text_pieces.PIECE_BYTES", 9_000)


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("name", ["kinds", "prices"])
def test_a_large_table_is_evaluated_as_in_memory(tmp_path, monkeypatch, folder, name, form):
    run, frame, place = lp.load(folder / name), table(2500, 3), tmp_path / f"new.{form}"
    frame = frame.with_columns(price=pl.col("x") * 3 + pl.col("y"))
    frame.write_csv(place) if form == "csv" else frame.write_parquet(place)
    before, expected = run.openings, run.evaluate(str(place))
    monkeypatch.setattr(streams, "COPIES", 10**6)
    monkeypatch.setattr(streams, "PIECE_ROWS", 333)
    monkeypatch.setattr("limpide.data.text_pieces.PIECE_BYTES", 9_000)
    assert run.large(str(place), "32 MB") is not None
    assert_close(run.evaluate(str(place), "32 MB").to_dict(), expected.to_dict(), rtol=1e-5, atol=1e-6)
    assert run.openings == before


def test_an_opening_of_the_test_set_is_counted_for_a_stream_too(small, folder, capsys):
    run = lp.load(folder / "prices")
    before = run.openings
    assert run.evaluate(str(folder / "prices.csv")).n == 600
    assert run.openings == before + 1
    assert main(["evaluate", str(run.path), str(folder / "prices.csv"), "--memory", "64 MB"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"the run was trained on this data: it has seen {run.split_sizes['train']} rows of it" in said
    assert run.openings == before + 2


def test_the_command_says_what_was_drawn(small, monkeypatch, tmp_path, folder, capsys):
    table(9000, 4).write_parquet(tmp_path / "new.parquet")
    monkeypatch.setattr(pieces, "FEWEST_HELD", 5000)
    monkeypatch.setattr(pieces, "ROW_BYTES", 10**6)
    words = ["evaluate", str(folder / "kinds"), str(tmp_path / "new.parquet"), "--memory", "64 MB", "--json"]
    assert main(words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"] == 9000
    assert np.sum(facts["confusion"]) == 9000
    assert set(facts["intervals"]) == {row.name for row in METRICS.rows() if "multiclass" in row.tasks} - {
        "calibration_error"
    }
    (note,) = facts["notes"]
    assert note["text"].startswith("ROC-AUC of 5,000 of the 9,000 rows, drawn by chance")


@pytest.mark.parametrize(
    ("name", "column", "value", "words"),
    [
        ("kinds", "kind", "odd", r"new.csv, target kind: expected one of the classes .* got 'odd' \(row 902\)"),
        ("kinds", "kind", None, r"new.csv, target kind: expected one of the classes .* \(row 902\)"),
        ("prices", "price", "dear", r"new.csv, target price: expected a number in each row, got 'dear' \(row 902\)"),
        ("prices", "x", "wide", r"new.csv, column x: expected .*'wide' \(row 902\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_with_file_and_row(small, tmp_path, folder, name, column, value, words):
    frame = table(1000, 5).with_columns(price=pl.col("x") * 3)
    odd = frame.with_columns(frame[column].cast(pl.String).set(pl.Series(np.arange(1000) == 900), value))
    odd.write_csv(tmp_path / "new.csv")
    with pytest.raises(DataError, match=words):
        lp.load(folder / name).evaluate(str(tmp_path / "new.csv"))


def test_a_stream_without_what_it_takes_is_refused(small, tmp_path, folder):
    run = lp.load(folder / "kinds")
    table(500).drop("kind").write_csv(tmp_path / "unknown.csv")
    with pytest.raises(DataError, match="use predict for data whose answer is unknown"):
        run.evaluate(str(tmp_path / "unknown.csv"))
    table(500).drop("x").write_csv(tmp_path / "narrow.csv")
    with pytest.raises(DataError, match="x"):
        run.evaluate(str(tmp_path / "narrow.csv"))
    with pytest.raises(RecipeError, match="memory: expected at least 32 MB"):
        run.evaluate(str(tmp_path / "narrow.csv"), "lots")
