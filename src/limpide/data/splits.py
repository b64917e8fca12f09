"""The rows to learn from, to stop by, and to judge by: a partition, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
import polars as pl
from jaxtyping import Int64

from limpide import seeds
from limpide.data import values
from limpide.data.columns import Task, infer_task
from limpide.data.dataset import Note
from limpide.data.hashes import as_share
from limpide.data.places import Places
from limpide.errors import DataError, UnknownName, problem
from limpide.i18n import _, format_count, format_number, ngettext

Method = Literal["random", "stratified", "group", "time", "ordered", "last"]
METHODS: tuple[Method, ...] = get_args(Method)

Rows = Int64[np.ndarray, "rows"]


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers in rising order; every row is in one part, and in one only.

    why  the reason for the method, a sentence
    """

    train: Rows
    validation: Rows
    test: Rows
    method: Method | Literal["hash"]
    why: str
    notes: tuple[Note, ...] = ()


def split(
    n: int,
    method: str = "auto",
    *,
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    target: pl.Series | np.ndarray | None = None,
    groups: pl.Series | np.ndarray | None = None,
    times: pl.Series | np.ndarray | None = None,
    task: Task | None = None,
    places: Places | None = None,
) -> Split:
    """The rows 0 to n - 1 in three parts.

    method            random; stratified: each class in the same shares; group: no group in two parts; time: the latest
                      rows to the test; ordered: the last rows to the test, those before them to validation; last: the
                      last rows to the test, validation dealt out among the others; auto: what the data at hand asks for
    validation, test  shares of all rows, in [0, 1); a part whose share is 0 is empty, any other holds a row
    groups, times     a value for each row, for the methods that need them
    places            where the rows stand in their file
    task              what the target is; None asks its values
    Raises            UnknownName  for another method
                      DataError    for impossible shares, or rows that cannot be cut that way

    >>> parts = split(10, "ordered", validation=0.2, test=0.3)
    >>> parts.train.tolist(), parts.validation.tolist(), parts.test.tolist()
    ([0, 1, 2, 3, 4], [5, 6], [7, 8, 9])
    """
    if method not in ("auto", *METHODS):
        raise UnknownName(_("split method"), method, ("auto", *METHODS))
    _check_shares(n, validation, test)
    chosen, why = (cast(Method, method), _("you said so")) if method != "auto" else _auto(target, groups, times, task)
    given = {"stratified": target, "group": groups, "time": times}
    key = _series(given[chosen], chosen, n) if chosen in given else None
    rng = seeds.stream(seed, "split")
    sizes = _sizes(n, validation, test)
    notes: tuple[Note, ...] = ()
    if key is None:
        # the rows that are dealt out come first, those that keep their places last
        n_dealt = {"random": n, "last": n - sizes[1]}.get(chosen, 0)
        parts = _cut(np.append(rng.permutation(n_dealt), np.arange(n_dealt, n)), sizes)
    elif chosen == "stratified":
        parts, notes = _stratified(key, sizes, rng)
    elif chosen == "group":
        parts = _by_group(key, sizes, rng)
    else:
        parts = _by_time(key, sizes, places)
    part_of = np.zeros(n, dtype=np.int8)
    part_of[parts[1]], part_of[parts[2]] = 1, 2
    train, held_validation, held_test = (np.flatnonzero(part_of == part) for part in range(3))
    return Split(train, held_validation, held_test, chosen, why, notes)


def split_by_hash(hashes: np.ndarray, validation: float, test: float, is_grouped: bool = False) -> Split:
    """Each row in the part that its number (`hashes.row_hashes`) says: rows that come later move no other.

    is_grouped  the numbers are those of groups
    Raises      DataError  when a part is left without rows
    """
    part = parts_of(hashes, validation, test)
    found = [np.flatnonzero(part == i) for i in range(3)]
    if not all(map(len, found)):
        check_parts([len(rows) for rows in found])
    why = _("rows of a group belong together") if is_grouped else _("no row ever moves when others are added")
    train, held_validation, held_test = found
    return Split(train, held_validation, held_test, "group" if is_grouped else "hash", why)


def parts_of(hashes: np.ndarray, validation: float, test: float) -> np.ndarray:
    """For each row 0 (train), 1 (validation) or 2 (test); another share of validation moves no row of the test."""
    share = as_share(hashes)
    return (share < test + validation).astype(np.int8) + (share < test)


def check_parts(sizes: Sequence[int]) -> None:
    """DataError when a hash left a part without rows.

    sizes  of train, validation and test
    """
    if not all(sizes):
        got = _("parts of {counts} rows").format(counts=", ".join(map(format_count, sizes)))
        mend = _("larger shares, another seed, or another split.column")
        raise DataError(problem(_("split"), _("rows in each of the three parts"), got, mend))


def _check_shares(n: int, validation: float, test: float) -> None:
    where = _("split")
    problems = [
        problem(f"split.{name}", _("a share in [0, 1)"), format_number(share))
        for name, share in (("validation", validation), ("test", test))
        if not 0 <= share < 1
    ]
    if not problems and validation + test >= 1:
        got = f"{format_number(validation)} + {format_number(test)}"
        problems = [problem(where, _("validation and test together below 1"), got, _("leave rows to learn from"))]
    n_parts = 1 + (validation > 0) + (test > 0)
    if not problems and n < n_parts:
        got = ngettext("{n} row", "{n} rows", n).format(n=n)
        mend = _("add rows, or set a share to 0")
        problems = [problem(where, _("a row for each of {n} parts").format(n=n_parts), got, mend)]
    if problems:
        raise DataError(*problems)


def _auto(
    target: pl.Series | np.ndarray | None,
    groups: pl.Series | np.ndarray | None,
    times: pl.Series | np.ndarray | None,
    task: Task | None,
) -> tuple[Method, str]:
    if groups is not None:
        return "group", _("rows of a group belong together")
    if times is not None:
        return "time", _("a model is judged on what comes later")
    if target is not None and task is None:
        task = infer_task(_as_series(target))[0]
    if target is not None and task != "regression":
        return "stratified", _("each class keeps its share in every part")
    return "random", _("rows with a number to predict are dealt out by chance")


def _as_series(given: pl.Series | np.ndarray) -> pl.Series:
    return given if isinstance(given, pl.Series) else pl.Series("target", given)


def _series(given: pl.Series | np.ndarray | None, method: str, n: int) -> pl.Series:
    where = _("split")
    needed = {"stratified": _("a target"), "group": _("a group for each row"), "time": _("a time for each row")}
    if given is None:
        raise DataError(problem(where, needed[method], _("none"), _("name its column, or choose random")))
    series = _as_series(given)
    if len(series) != n:
        got = ngettext("{n} value", "{n} values", len(series)).format(n=format_count(len(series)))
        raise DataError(problem(where, needed[method], got))
    return series


def _sizes(n: int, validation: float, test: float) -> tuple[int, int]:
    """Rows for validation and for test: the nearest whole numbers, one at least, and one left to train on."""
    n_validation, n_test = (max(1, round(n * share)) if share else 0 for share in (validation, test))
    while n_validation + n_test > n - 1:
        n_validation, n_test = (
            (n_validation - 1, n_test) if n_validation > max(1, n_test - 1) else (n_validation, n_test - 1)
        )
    return n_validation, n_test


def _cut(order: np.ndarray, sizes: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Train from the front, test from the end, validation in between."""
    n_train = len(order) - sum(sizes)
    return order[:n_train], order[n_train : n_train + sizes[0]], order[n_train + sizes[0] :]


def _stratified(
    target: pl.Series, sizes: tuple[int, int], rng: np.random.Generator
) -> tuple[tuple[np.ndarray, ...], tuple[Note, ...]]:
    """Rows in the order of their classes, by chance within a class, dealt out at even distances.

    Each class so gives a part its share to within one row, and the parts have their sizes exactly.
    """
    n, n_parts = len(target), 1 + sum(size > 0 for size in sizes)
    held_share = sum(sizes) / n
    _words, codes, counts = np.unique(_codes(target), return_inverse=True, return_counts=True)
    is_small = (counts < n_parts) | (counts * (1 - held_share) < 1)
    order = rng.permutation(n)
    order = order[np.argsort(codes[order], kind="stable")]
    small, large = order[is_small[codes[order]]], order[~is_small[codes[order]]]
    held = sum(sizes)
    if len(large) < held + 1 and held:
        got = _("classes of {counts} rows").format(counts=", ".join(map(str, sorted(counts.tolist())[:10])))
        mend = _("choose the random method, or smaller shares")
        raise DataError(problem(_("split"), _("classes large enough to be cut"), got, mend))
    is_held = _evenly(len(large), held)
    is_test = _evenly(held, sizes[1])
    parts = (np.concatenate([small, large[~is_held]]), large[is_held][~is_test], large[is_held][is_test])
    n_small = int(is_small.sum())
    if not n_small or not held:
        return parts, ()
    text = ngettext(
        "{n} class has too few rows to be cut: all train", "{n} classes have too few rows to be cut: all train", n_small
    ).format(n=format_count(n_small))
    return parts, (Note("warning", str(target.name), text),)


def _codes(series: pl.Series) -> np.ndarray:
    """A number for each different value, in a fixed order; missing values are one value."""
    return values.words(series).fill_null("").rank("dense").to_numpy()


def _evenly(n: int, n_chosen: int) -> np.ndarray:
    """`n_chosen` of n places, at even distances."""
    steps = (np.arange(n + 1) * n_chosen + n // 2) // max(n, 1)
    return np.diff(steps) > 0


def _by_group(groups: pl.Series, sizes: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Whole groups, in an order drawn by chance, to the test until it is full, then to validation, then to train."""
    _names, codes, counts = np.unique(_codes(groups), return_inverse=True, return_counts=True)
    wanted = [size for size in (sizes[1], sizes[0]) if size]
    if len(counts) < len(wanted) + 1:
        got = ngettext("{n} group", "{n} groups", len(counts)).format(n=len(counts))
        mend = _("choose another column for the groups, or set a share to 0")
        raise DataError(problem(_("split"), _("a group for each of {n} parts").format(n=len(wanted) + 1), got, mend))
    order = rng.permutation(len(counts))
    ends, place = [], 0
    for i, size in enumerate(wanted):
        n_rows, last = 0, len(order) - (len(wanted) - i)
        while place < last and (n_rows == 0 or n_rows + counts[order[place]] / 2 <= size):
            n_rows += int(counts[order[place]])
            place += 1
        ends.append(place)
    pieces = np.split(order, ends)
    held = dict(zip([part for part in (2, 1) if sizes[part - 1]], pieces))
    chosen = (pieces[-1], held.get(1, order[:0]), held.get(2, order[:0]))
    return tuple(np.flatnonzero(np.isin(codes, piece)) for piece in chosen)


def _by_time(times: pl.Series, sizes: tuple[int, int], places: Places | None) -> tuple[np.ndarray, ...]:
    """The earliest rows to train, the latest to test; rows of one moment stay together."""
    moments = _moments(times, places)
    order = np.argsort(moments, kind="stable")
    parts = _cut(order, sizes)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    ordered = moments[order]
    # A cut inside a run of equal times moves to the nearer end of the run.
    cuts = []
    for end in ends:
        start, stop = (
            np.searchsorted(ordered, ordered[min(end, len(ordered) - 1)], side) for side in ("left", "right")
        )
        cuts.append(end if end == len(ordered) else start if end - start <= stop - end else stop)
    train, validation, test = np.split(order, cuts)
    is_empty = [not len(train), sizes[0] and not len(validation), sizes[1] and not len(test)]
    if any(is_empty):
        got = _("{n} in {rows} rows").format(n=format_count(len(np.unique(moments))), rows=format_count(len(moments)))
        mend = _("choose larger shares, or the random method")
        raise DataError(problem(_("split"), _("enough different times to cut between them"), got, mend))
    return train, validation, test


def _moments(times: pl.Series, places: Places | None) -> np.ndarray:
    """The times as numbers that rise."""
    if times.dtype == pl.String:
        typed = values.typed(times)
        read = typed if typed.dtype.is_numeric() else values.dates(times, values.date_format(times) or "")
    elif times.dtype.is_temporal():
        read = values.dates(times) if times.dtype in (pl.Date, pl.Datetime) else times.to_physical()
    else:
        read = values.numbers(times)
    unread = read.is_null()
    if unread.any():
        where = _("column {name}").format(name=times.name)
        mend = _("leave out the rows without one")
        got = values.cells(times, unread, places=places)
        raise DataError(problem(where, _("a date or a number in each row"), got, mend))
    return read.to_physical().to_numpy()
