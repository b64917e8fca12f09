import datetime
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from limpide.data.frames import from_frame
from limpide.errors import DataError

EXPECTED = {"a": [1.5, None], "b": ["x", None], "c": [True, False], "d": [1, 2]}


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1.5, None], "b": ["x", None], "c": [True, False], "d": [1, 2]}),
        pl.DataFrame(EXPECTED),
        pl.LazyFrame(EXPECTED),
        pa.table(EXPECTED),
        EXPECTED,
        [dict(zip(EXPECTED, row)) for row in zip(*EXPECTED.values())],
    ],
    ids=["pandas", "polars", "lazy", "pyarrow", "dict", "rows"],
)
def test_every_kind_of_frame_gives_the_same_table(frame):
    assert from_frame(frame).to_dict(as_series=False) == EXPECTED


def test_pandas_needs_no_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None], dtype="Int64"),
            "word": pd.Categorical(["u", "v"]),
            "when": pd.to_datetime(["2024-01-01", None]),
            "zone": pd.to_datetime(["2024-01-01 02:00", None]).tz_localize("Europe/Paris"),
            "yes": [True, None],
            3: [1.0, np.inf],
        }
    )
    assert from_frame(frame).to_dict(as_series=False) == {
        "n": [1, None],
        "word": ["u", "v"],
        "when": [datetime.datetime(2024, 1, 1), None],
        "zone": [datetime.datetime(2024, 1, 1, 1), None],
        "yes": [True, None],
        "3": [1.0, np.inf],
    }


def test_a_matrix_gets_names():
    matrix = np.array([[1, 2, 3], [4, 5, 6]])
    frame = from_frame(matrix)
    assert frame.columns == ["x0", "x1", "x2"]
    np.testing.assert_array_equal(frame.to_numpy(), matrix)
    assert from_frame(np.array([[1, "a"]], dtype=object)).rows() == [(1, "a")]


def test_nan_is_missing_everywhere():
    assert from_frame(pl.DataFrame({"a": [1.0, float("nan")]}))["a"].to_list() == [1.0, None]
    assert from_frame({"a": [1, float("nan")], "b": ["x", float("nan")]}).rows() == [(1.0, "x"), (None, None)]


def test_odd_types_become_plain_ones():
    frame = pl.DataFrame(
        {
            "span": [datetime.timedelta(minutes=1)],
            "clock": [datetime.time(6)],
            "word": pl.Series(["a"], dtype=pl.Categorical),
            "money": pl.Series(["1.50"]).cast(pl.Decimal(10, 2)),
            "many": [[1, 2]],
        }
    )
    assert from_frame(frame).to_dict(as_series=False) == {
        "span": [60.0],
        "clock": [6.0],
        "word": ["a"],
        "money": [1.5],
        "many": ["[1, 2]"],
    }


def test_a_mixture_of_numbers_and_words_is_text():
    assert from_frame({"a": [1, "big", None]})["a"].to_list() == ["1", "big", None]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (3, "expected a pandas, polars or pyarrow frame, a dictionary of columns or a matrix, got int"),
        (np.zeros(3), r"expected a matrix of rows and columns, got an array of shape \(3,\); reshape it to"),
        ({"a": [1, 2], "b": [1]}, "frame: expected columns of one length, got a: 2, b: 1"),
        (
            pd.DataFrame([[1, 2]], columns=["a", "a"]),
            "expected columns with different names, got a; rename all but one",
        ),
    ],
)
def test_what_is_no_table_is_refused(frame, message):
    with pytest.raises(DataError, match=message):
        from_frame(frame)
