"""Variants and trials of a table larger than memory: each training streams it, the split never moves."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import limpide as lp
from limpide import workers
from limpide.data import streams
from limpide.experiment import variants
from limpide.job import prepare
from limpide.streaming import keeping

TERMS = {"network": "4 relu", "epochs": 2, "batch_size": 32, "engine": "compiled"}
TOLD = {"save": False, "workers": 1}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 1500)).round(4)
    frame = pl.DataFrame({"a": a, "b": b, "price": (a + b**2 + rng.normal(0, 0.3, 1500)).round(4)})
    place = tmp_path_factory.mktemp("data") / "table.parquet"
    frame.write_parquet(place)
    return str(place)


def scores(comparison):
    return {name: {seed: score.metrics for seed, score in of.items()} for name, of in comparison.scores.items()}


def test_a_streamed_comparison_is_the_one_in_memory(table):
    terms = {"vary": {"rate": [0.1, 0.01]}, "seeds": 2, "open_test": True, **TOLD, **TERMS}
    whole = lp.compare(table, split="hash", **terms)
    streamed = lp.compare(table, stream=True, **terms)
    assert all(settled.recipe.data.stream for settled in streamed.settled.values())
    assert scores(streamed) == scores(whole)
    assert streamed.test == whole.test
    assert streamed.notes() == whole.notes()


def test_a_table_too_large_is_streamed_unasked_and_never_read_at_once(table, tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "COPIES", 10**6)

    def refuse(*_given):
        raise AssertionError("read at once")

    for module in (workers, variants):
        monkeypatch.setattr(module, "open_recipe", refuse)
    terms = {"vary": {"rate": [0.1, 0.01]}, "out": tmp_path / "own", "report": False, "workers": 1, **TERMS}
    first = lp.compare(table, seeds=1, **terms)
    assert all(settled.recipe.data.stream for settled in first.settled.values())
    begun = []
    again = lp.compare(table, seeds=2, watch=lambda trials: begun.extend(trials.under_way), **terms)
    assert {name: of[0] for name, of in scores(again).items()} == {name: of[0] for name, of in scores(first).items()}
    # the scores of the first seed, and what was settled, were found again by the sum of the files
    assert {seed for _name, seed in begun} <= {1}


def test_each_seed_draws_the_same_rows_for_every_variant_and_says_so(table, monkeypatch):
    monkeypatch.setattr(keeping, "MEASURED_SHARE", 100 * 282 / 32e6)
    terms = {"stream": True, "memory": "32 MB", **TERMS}
    found = lp.compare(table, vary={"rate": [0.1, 0.01]}, seeds=2, **TOLD, **terms)
    one, other = found.settled.values()
    assert 50 < one.drawn == other.drawn < one.rows["validation"]
    said = f"measured on about {one.drawn} of the {one.rows['validation']} validation rows"
    assert said in found.notes()[0]
    assert "the interval covers which were drawn" in found.notes()[0]
    measured = [
        [prepare(settled.under(seed, 0)).parts["validation"].truth.tolist() for settled in (one, other)]
        for seed in (0, 1)
    ]
    assert measured[0][0] == measured[0][1]
    assert measured[1][0] == measured[1][1]
    assert measured[0][0] != measured[1][0]


def test_a_streamed_search_is_the_one_in_memory(table):
    pytest.importorskip("optuna")
    terms = {"space": {"rate": "log(1e-3, 1e-1)"}, "method": "random", "trials": 2, "repeats": 1, "fresh": 2}
    whole = lp.search(table, split="hash", **terms, **TOLD, **TERMS)
    streamed = lp.search(table, stream=True, **terms, **TOLD, **TERMS)
    assert [trial.scores for trial in streamed.trials] == [trial.scores for trial in whole.trials]
    assert streamed.fresh == whole.fresh
    assert streamed.test == whole.test
    assert streamed.recipe.data.stream
