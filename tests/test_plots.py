"""Pictures of any numbers: drawn whatever the numbers are, with their table, the same each time."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide import i18n
from limpide.figures import plots

GRID = np.linspace(-1, 1, 12)
SURFACE = (GRID, GRID, GRID[None] ** 2 + 3 * GRID[:, None] ** 2)


def pictures():
    x = np.arange(1, 9)
    yield plots.lines("a", "A", "how", "x", "y", {"one": (x, x**2), "two": (x, 1 / x)}, log_x=True, log_y=True)
    yield plots.lines("b", "B", "how", "x", "y", {"one": (x, x)}, bands={"one": (x - 1, x + 1)}, points=True)
    yield plots.scatter(
        "c", "C", "how", "x", "y", {"one": (x, x), "two": (x, -x)}, surface=(GRID, GRID, SURFACE[2] / 4)
    )
    yield plots.field("d", "D", "how", "x", "y", SURFACE, {"path": (GRID[:4], GRID[:4])})
    yield plots.field("e", "E", "how", "x", "y", SURFACE, log_levels=False)
    yield plots.images("f", "F", "how", [(str(i), np.full((4, 4), i)) for i in range(7)])
    yield plots.images("g", "G", "how", [("w", SURFACE[2] - 1)], signed=True)


@pytest.mark.parametrize("picture", [*pictures()], ids=lambda picture: picture.name)
def test_a_picture_is_drawn_the_same_each_time_and_has_its_numbers(picture):
    assert picture.svg() == picture.svg()
    assert picture.png(dpi=40).startswith(b"\x89PNG")
    assert picture.table.rows
    assert all(len(row) == len(picture.table.header) for row in picture.table.rows)


numbers = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=1, max_size=5)


@given(y=numbers, log=st.booleans(), points=st.booleans())
def test_lines_are_drawn_whatever_the_numbers(y, log, points):
    plots.lines("a", "A", "how", "x", "y", {"one": (range(len(y)), y)}, log_y=log, points=points).svg()


def test_the_table_of_a_long_line_holds_its_ends_and_a_bounded_number_of_points():
    x = np.arange(100_000)
    rows = plots.lines("a", "A", "how", "x", "y", {"one": (x, 2 * x)}).table.rows
    assert len(rows) == plots._TABLE_ROWS
    assert rows[0] == ("one", 0.0, 0.0)
    assert rows[-1] == ("one", 99_999.0, 199_998.0)
    few = plots.lines("a", "A", "how", "x", "y", {"one": (x[:241], x[:241])}).table.rows
    assert {after[1] - before[1] for before, after in pairwise(few)} == {2.0}, "no gap wider than another"


def test_whole_numbers_have_whole_ticks_and_names_the_marks_of_the_language():
    i18n.set_language("fr")
    x = np.arange(13)
    picture = plots.lines("a", "A", "how", "pas", "y", {"0.95": (x, x / 4), "dropout 0.3": (x, x / 2)})
    ticks = re.findall(r">([^<>]+)</text>", picture.svg())
    assert "0,95" in ticks
    assert "dropout 0,3" in ticks
    assert "2,5" not in ticks[: ticks.index("pas")]
    assert picture.table.rows[0][0] == "0,95"
