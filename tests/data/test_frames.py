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


class Odd:
    """A cell that no type fits, and that cannot be compared with itself."""

    def __ne__(self, other):
        raise TypeError("incomparable")

    def __str__(self):
        return "odd"


def test_cells_of_any_kind_become_numbers_or_text_or_missing():
    frame = from_frame(
        {
            "mixed": [1, 2.5, None, float("nan")],
            "words": [1, "two", None, 4.0],
            "arrays": [np.array([1, 2]), np.array([3, 4]), None, None],
            "odd": [Odd(), None, None, None],
            "lists": [[1, 2], None, [3], None],
            "once": pl.Series([datetime.time(6), None, datetime.time(18), None]),
        }
    )
    found = frame.to_dict(as_series=False)
    assert found["mixed"] == [1.0, 2.5, None, None]
    assert found["words"] == ["1", "two", None, "4.0"]
    assert found["odd"] == [None] * 4, "what differs from itself is missing, as pandas' NA is"
    assert found["lists"] == ["[1, 2]", None, "[3]", None]
    assert found["once"] == [6.0, None, 18.0, None]
    assert found["arrays"][2:] == [None, None]


def test_whole_numbers_too_large_for_any_type_are_numbers():
    frame = from_frame({"n": [10**40, 1, None]})
    assert frame["n"].to_list() == [1e40, 1.0, None]


def test_columns_that_cannot_be_plain_are_told_together(monkeypatch):
    from limpide.data import frames

    def refuse(column):
        raise ValueError(f"no {column.name}\nmore")

    monkeypatch.setattr(frames, "_plain_column", refuse)
    with pytest.raises(DataError) as error:
        from_frame({"a": [1], "b": [2]})
    assert [str(p) for p in error.value.problems] == [
        "column a: expected numbers, text or dates, got no a",
        "column b: expected numbers, text or dates, got no b",
    ]


def test_objects_of_no_known_type_are_texts():
    class Name:
        def __str__(self):
            return "Lyon"

    frame = from_frame(pd.DataFrame({"city": [Name(), Name()]}))
    assert frame["city"].to_list() == ["Lyon", "Lyon"]
    assert frame["city"].dtype == pl.String


def test_a_matrix_of_objects_is_read_cell_by_cell():
    frame = from_frame(np.array([[1, "x"], [None, "y"]], dtype=object))
    assert frame.to_dict(as_series=False) == {"x0": [1, None], "x1": ["x", "y"]}
