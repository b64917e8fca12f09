"""Names that stand over two rows: years over months, questions over answers, the levels of a pivot table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import NamedTuple

from limpide.data import values

HEAD = 100
MIN_BELOW = 3


class JoinedNames(NamedTuple):
    """One name for each column, and how many rows held them."""

    names: list[str]
    n_rows: int


def joined_names(rows: Sequence[Sequence[str]], is_value: Callable[[str], bool]) -> JoinedNames | None:
    """The names of columns where neither the first nor the second row alone tells them apart; None elsewhere.

    A name of the first row stands over the columns to its right that have none. A third row may name the first
    columns, as pandas writes an index.

    is_value  true for a cell that is no word
    """
    if len(rows) < 2 + MIN_BELOW or len(rows[0]) != len(rows[1]) or len(rows[0]) < 2:
        return None
    first, second = ([cell.strip().strip("\ufeff") for cell in row] for row in rows[:2])
    if not any(first) or _names_all(first) or _names_all(second):
        return None
    third = [cell.strip() for cell in rows[2]]
    n_index = len(list(takewhile(bool, third)))
    has_index = 0 < n_index == sum(map(bool, third)) < len(first) == len(third) and not any(map(is_value, third))
    has_index = has_index and not any(second[1:n_index])
    n_rows = 2 + has_index
    if not _stand_over(first, second, rows[n_rows : n_rows + HEAD], is_value):
        return None
    above: list[str] = []
    for upper, lower in zip(first, second):
        above.append(upper or (above[-1] if above and lower else ""))
    counts = Counter(filter(None, above))
    if not counts or max(counts.values()) < 2:
        return None
    names = [
        lower if not upper else upper if upper == lower or not lower or _is_alone(upper, counts) else f"{upper} {lower}"
        for upper, lower in zip(above, second)
    ]
    if has_index:
        names[:n_index] = third[:n_index]
    return JoinedNames(names, n_rows) if len(set(names)) == len(names) else None


def _names_all(cells: Sequence[str]) -> bool:
    return all(cells) and len(set(cells)) == len(cells)


def _is_alone(name: str, counts: Counter[str]) -> bool:
    """True for a name that tells its column without help: a word over no other."""
    return counts[name] == 1 and not values.YEAR.fullmatch(name)


def _stand_over(
    first: Sequence[str], second: Sequence[str], below: Sequence[Sequence[str]], is_value: Callable[[str], bool]
) -> bool:
    """True where both rows are words over columns of values: years apart, neither has a value where these have."""
    n_words = 0
    for i, (upper, lower) in enumerate(zip(first, second)):
        column = [row[i].strip() for row in below if i < len(row) and row[i].strip() not in values.MISSING_WORDS]
        if is_value(lower) or (is_value(upper) and not values.YEAR.fullmatch(upper)):
            return False
        if lower in column and len(set(column)) > 1:
            return False  # a row like the others; a box that was ticked says nothing but its own name
        if column and sum(map(is_value, column)) >= 0.8 * len(column):
            n_words += lower not in values.MISSING_WORDS
    return n_words > 0
