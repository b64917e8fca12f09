"""A table from Python: a pandas, polars or pyarrow frame, columns by name, rows of names, a matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import polars as pl

from limpide.data.limits import check_names
from limpide.errors import DataError, problem
from limpide.i18n import _

WHERE = "frame"


def from_frame(frame: Any) -> pl.DataFrame:
    """The table as polars holds it, with plain columns.

    frame   a pandas, polars, pyarrow or other frame that narwhals knows; {name: values}; [{name: value}, ...];
            a matrix, whose columns are then called x0, x1, ...
    Raises  DataError  what it is instead, or how its columns do not fit together

    >>> from_frame(np.array([[1.0, 2.0]])).columns
    ['x0', 'x1']
    """
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        return plain(frame)
    if isinstance(frame, np.ndarray):
        return plain(_from_matrix(frame))
    if isinstance(frame, Mapping):
        return plain(_from_columns({str(name): _as_list(cells) for name, cells in frame.items()}))
    if isinstance(frame, Sequence) and frame and all(isinstance(row, Mapping) for row in frame):
        names = dict.fromkeys(name for row in frame for name in row)
        return plain(_from_columns({str(name): [row.get(name) for row in frame] for name in names}))
    return plain(_from_foreign(frame))


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """The same table in the few types that the rest reads: numbers, text, true or false, moments.

    NaN becomes missing: Python frames write one for the other.
    """
    check_names(_("column names"), frame.columns)
    problems, columns = [], []
    for column in frame:
        try:
            columns.append(_plain_column(column))
        except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
            where = _("column {name}").format(name=column.name)
            problems.append(problem(where, _("numbers, text or dates"), str(error).splitlines()[0]))
    if problems:
        raise DataError(*problems)
    return pl.DataFrame(columns)


def _plain_column(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if dtype.is_float():
        return column.fill_nan(None) if column.is_nan().any() else column
    if dtype.is_integer() or dtype in (pl.String, pl.Boolean, pl.Date, pl.Null):
        return column
    if isinstance(dtype, pl.Datetime):
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else column
    if isinstance(dtype, pl.Decimal):
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Duration):
        return column.dt.total_microseconds() / 1e6
    if dtype == pl.Time:
        return column.cast(pl.Int64) / 3.6e12
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    if dtype == pl.Object:
        return _series(column.name, column.to_list())
    return pl.Series(column.name, [None if cell is None else str(cell) for cell in column.to_list()], pl.String)


def _from_matrix(matrix: np.ndarray) -> pl.DataFrame:
    if matrix.ndim != 2:
        got = _("an array of shape {shape}").format(shape=matrix.shape)
        raise DataError(problem(WHERE, _("a matrix of rows and columns"), got, _("reshape it to (rows, columns)")))
    names = [f"x{i}" for i in range(matrix.shape[1])]
    if matrix.dtype == object:
        return _from_columns({name: matrix[:, i].tolist() for i, name in enumerate(names)})
    return pl.DataFrame({name: np.ascontiguousarray(matrix[:, i]) for i, name in enumerate(names)})


def _as_list(cells: Any) -> Any:
    if isinstance(cells, pl.Series | np.ndarray):
        return cells
    return cells.to_list() if hasattr(cells, "to_list") else list(cells) if np.iterable(cells) else [cells]


def _from_columns(columns: Mapping[str, Any]) -> pl.DataFrame:
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise DataError(problem(WHERE, _("columns of one length"), got))
    return pl.DataFrame(
        [
            pl.Series(name, cells) if isinstance(cells, pl.Series | np.ndarray) else _series(name, cells)
            for name, cells in columns.items()
        ]
    )


def _series(name: str, cells: Sequence[Any]) -> pl.Series:
    """A column of Python values; NaN, NaT and pandas' NA are missing, a mixture becomes text."""
    known = [None if cell is None or _is_unequal(cell) else cell for cell in cells]
    with suppress(TypeError, OverflowError, pl.exceptions.PolarsError):
        found = pl.Series(name, known, strict=True)
        if found.dtype != pl.Object:
            return found
    if all(isinstance(cell, int | float | np.number) for cell in known if cell is not None):
        return pl.Series(name, [None if cell is None else float(cell) for cell in known], pl.Float64)
    return pl.Series(name, [None if cell is None else str(cell) for cell in known], pl.String)


def _is_unequal(cell: Any) -> bool:
    """True for NaN and NaT, which differ from themselves, and for pandas' NA, which is neither."""
    try:
        return bool(cell != cell)
    except TypeError:
        return True
    except ValueError:  # an array in a cell
        return False


def _from_foreign(frame: Any) -> pl.DataFrame:
    import narwhals as nw

    names = [str(name) for name in getattr(frame, "columns", ())] if not hasattr(frame, "column_names") else []
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(problem(WHERE, _("columns with different names"), ", ".join(twice), _("rename all but one")))
    if names and not all(isinstance(name, str) for name in frame.columns):
        frame = frame.rename(columns=str)
    try:
        native = nw.from_native(frame)
    except TypeError as error:
        expected = _("a pandas, polars or pyarrow frame, a dictionary of columns or a matrix")
        raise DataError(problem(WHERE, expected, type(frame).__name__)) from error
    table = native.collect() if isinstance(native, nw.LazyFrame) else native
    if not table.implementation.is_pandas():
        return table.to_polars()
    # polars asks for pyarrow to read pandas; column by column it does without.
    return pl.DataFrame([_from_pandas(table[name]) for name in table.columns])


def _from_pandas(column: Any) -> pl.Series:
    cells = column.to_native()
    if cells.dtype.kind in "iufb" and not hasattr(cells.dtype, "na_value"):
        return pl.Series(column.name, cells.to_numpy())
    if cells.dtype.kind == "M" and getattr(cells.dtype, "tz", None) is None and hasattr(cells.dtype, "itemsize"):
        return pl.Series(column.name, cells.to_numpy().astype("datetime64[us]"))
    return _series(column.name, cells.to_list())
