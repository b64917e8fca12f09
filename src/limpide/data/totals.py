"""Totals and remarks, which are no rows of a table: where they stand at its end or among the others."""

from __future__ import annotations

import re
from typing import cast

import polars as pl

from limpide.data import numerals, values
from limpide.data.numerals import Marks
from limpide.data.places import Places
from limpide.i18n import format_count, ngettext

MOST_FOOTERS = 5

_TOTAL = re.compile(
    r"(grand |sub-?|sous-?)?(totale?s?|totaux|sums?|sommes?|summe|suma|gesamt(summe|ergebnis)?|zwischensumme|average"
    r"|mean|moyennes?|mittelwert|media)( g[ée]n[ée]ra(l|le|ux)| general[e]?| geral)?\b\W*",
    re.IGNORECASE,
)
_STATISTIC = re.compile(
    r"mean|moyenne|average|sd|std\.?( ?dev\.?)?|(rsd|cv) ?%?|% ?(rsd|cv)|[ée]cart[- ]type|median|m[ée]diane|min(imum)?"
    r"|max(imum)?|n|sum",
    re.IGNORECASE,
)
MOST_STATISTICS = 9
_REMARK = re.compile(r"[:*©(]|\w\s+\w+\s+\w")


def end_of(frame: pl.DataFrame, marks: Marks) -> int:
    """How many rows at the end are totals, statistics or remarks."""
    n = _n_statistics(frame)
    while n < MOST_FOOTERS and len(frame) - n > 2 and frame.width > 1 and _is_end(frame.head(len(frame) - n), marks):
        n += 1
    return n


def _n_statistics(frame: pl.DataFrame) -> int:
    """How many rows at the end are statistics of those above, as instruments add them: two at least, called so."""
    if not frame.width or frame.dtypes[0] != pl.String or len(frame) <= MOST_STATISTICS:
        return 0
    called = [
        bool(_STATISTIC.fullmatch(cell))
        for cell in values.words(frame.to_series(0).tail(MOST_STATISTICS)).fill_null("")
    ]
    n = next((i for i, is_called in enumerate(reversed(called)) if not is_called), 0)
    return n if n > 1 else 0


def _is_end(frame: pl.DataFrame, marks: Marks) -> bool:
    """True when the last row is a remark in an empty row, or totals.

    A word such as total is not enough, for it may be a name: cells are blank, or are the sum or mean of those above.
    """
    cells = stripped(frame, -1)
    filled = [cell for cell in cells if cell]
    n_blank = len(cells) - len(filled)
    if len(filled) == 1 and cells[0] and len(cells) > 2:
        return bool(_REMARK.search(cells[0]) or _TOTAL.fullmatch(cells[0]))
    if filled and not cells[0] and frame.dtypes[0] == pl.String and stripped(frame, -2)[0]:
        return _has_total(frame, marks)  # as Google Analytics ends its tables
    if not filled or not _TOTAL.fullmatch(filled[0]):
        return False
    return n_blank >= len(cells) / 3 or _has_total(frame, marks)


def without_totals(frame: pl.DataFrame, marks: Marks, places: Places) -> tuple[pl.DataFrame, list[str], Places]:
    """The rows without the totals among them, what is to be said of it, and where the rows stand.

    Each row called so must be the sum of those since the last one, or of all: one that is not shows that the word is
    a name.
    """
    if frame.width < 2 or frame.dtypes[0] != pl.String:
        return frame, [], places
    is_called = values.cleaned(frame.to_series(0)).str.contains(f"(?i)^(?:{_TOTAL.pattern})$").fill_null(False)
    totals, start = is_called.arg_true().to_list(), 0
    for row in totals:
        if not _has_total(frame[start : row + 1], marks):
            above = frame[:row].filter(~is_called[:row])
            if not _has_total(above.vstack(frame[row]), marks):
                return frame, [], places
        start = row + 1
    if not totals:
        return frame, [], places
    text = ngettext(
        "{n} row of totals among the others left out: row {row}; the option footer=0 keeps it",
        "{n} rows of totals among the others left out, the first of them row {row}; the option footer=0 keeps them",
        len(totals),
    )
    is_kept = ~pl.Series(range(len(frame))).is_in(totals)
    said = text.format(n=format_count(len(totals)), row=places.shown(totals[0]))
    return frame.filter(is_kept), [said], places.kept(is_kept)


def _has_total(frame: pl.DataFrame, marks: Marks) -> bool:
    return any(_is_total(column, marks) for column in frame)


def _is_total(column: pl.Series, marks: Marks) -> bool:
    """True for numbers of which the last is the sum or the mean of the others, and these are not all alike."""
    found = numerals.plain(column, marks) if column.dtype == pl.String else None
    read = values.numbers(column if found is None else found.series)
    above, end = read.head(-1).drop_nulls(), read[-1]
    if above.n_unique() < 2 or end is None:
        return False
    totals = float(above.sum()), float(cast(float, above.mean()))
    return any(abs(total - end) <= 1e-6 * max(abs(total), 1e-9) for total in totals)


def stripped(frame: pl.DataFrame, row: int) -> list[str]:
    """The cells of one row as text, blank where there is nothing."""
    return ["" if cell is None else str(cell).strip() for cell in frame.row(row)]
