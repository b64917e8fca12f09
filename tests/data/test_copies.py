"""Copied rows in a table of many rows: a few columns are looked at before all of them."""

import numpy as np
import polars as pl
import pytest

from limpide.data.leaks import copies
from limpide.data.leaks.copies import find_copies
from limpide.data.sources import open_source
from limpide.data.splits import split

N = 400


def found(frame):
    dataset = open_source(frame, "y")
    return [leak.name for leak in find_copies(dataset, split(len(dataset)), dataset.input_names)]


@pytest.fixture
def measured(rng, monkeypatch):
    monkeypatch.setattr(copies, "FEW_ROWS", 0)
    return pl.DataFrame({name: rng.normal(size=N) for name in "abcd"} | {"town": ["x", "y"] * (N // 2), "y": range(N)})


def test_rows_that_a_few_columns_tell_apart_are_not_hashed(measured, monkeypatch):
    monkeypatch.setattr(copies, "_fingerprints", lambda dataset, names: pytest.fail("hashed"))
    assert found(measured) == []


def test_copies_of_rows_are_found(measured):
    assert found(pl.concat([measured, measured.head(100)])) == ["repeated-rows"]


def test_rows_that_agree_in_the_columns_looked_at_first_are_no_copies(measured, rng):
    twice = pl.concat([measured, measured])
    assert found(twice.with_columns(pl.Series("d", rng.normal(size=2 * N)))) == []


def test_a_table_without_measured_columns_is_hashed_whole(monkeypatch, rng):
    monkeypatch.setattr(copies, "FEW_ROWS", 0)
    town, size = rng.choice(list("uvw"), N), rng.integers(0, 3, N)
    assert found(pl.DataFrame({"town": town, "size": size, "y": np.arange(N) % 7})) == ["repeated-rows"]
