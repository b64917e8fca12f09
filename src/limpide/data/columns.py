"""What the columns of a table are, why, and what the target asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import polars as pl

from limpide.data import values
from limpide.data.compact_dates import compact_format, is_named_so, is_said
from limpide.data.dataset import FEATURE_KINDS, KINDS, Column, Dataset, Kind, Note
from limpide.data.places import Places
from limpide.data.sentinels import find_sentinels
from limpide.errors import DataError, UnknownName, problem
from limpide.i18n import N_, _, format_count, format_number, ngettext

Task = Literal["regression", "binary", "multiclass"]
TASK_WORDS: dict[Task, str] = {
    "regression": N_("regression"),
    "binary": N_("two classes"),
    "multiclass": N_("several classes"),
}

MIN_ROWS = 20
"""In a shorter table nothing follows from every value being different."""

MAX_STRAY = 0.1
"""A column of text is numbers when no larger part of it is words."""

MIN_NUMBERS = 4
"""With fewer different numbers, 0, 1, 2 and 3+ are words like others."""

MOST_DATES = 0.8
"""Where this part of a column's whole numbers are dates, the others are said."""

MANY_ROWS = 1 << 16
"""From here on threads share the columns."""

MAX_CLASSES = 20
ROWS_PER_CLASS = 10
LONG_TEXT = 50
N_BINS = 12
N_TOP = 5

_ID_NAME = re.compile(
    r"(^|[\W_])(ids?|uuid|guid|key|index|idx|identifier|identifiant|rownames?)$|^id[\W_]", re.IGNORECASE
)
_CAMEL_ID = re.compile(r"[a-z](Id|ID)$")


# Kinds


def understand(
    frame: pl.DataFrame,
    target: str | None = None,
    kinds: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    dates: str = "day",
    places: Places | None = None,
) -> tuple[tuple[Column, ...], list[Note]]:
    """The kind of each column but the target and those dropped, with what a user should know about them.

    kinds   what columns are, against what would be guessed
    dates   what comes first in dates that leave it open, "day" or "month"
    places  where the rows stand in their file
    Raises  UnknownName  for a column or a kind that does not exist
            DataError    where a kind asked for does not fit the cells; their rows are named
    """
    chosen = dict(kinds or {})
    _check_names(frame.columns, chosen, drop)
    names = [name for name in frame.columns if name != target and name not in drop]

    def understood(name: str) -> tuple[Column, list[str]]:
        if name in chosen:
            return _chosen(frame[name], cast(Kind, chosen[name]), dates, places)
        return _recognised(frame[name], dates=dates), []

    def said(column: Column) -> list[Note]:
        series = frame[column.name]
        guess = [] if column.name in chosen else _notes_on(series, column, places)
        return [*guess, *(find_sentinels(series) if column.kind == "number" else [])]

    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        each = threads.map if len(frame) > MANY_ROWS else map
        found = list(each(understood, names))
        columns = [column for column, _wrong in found]
        problems = [text for _column, wrong in found for text in wrong]
        if problems:
            raise DataError(*problems)
        if not any(column.is_feature for column in columns):
            # x = 0, 1, 2, ... of a lesson: a counter stays a number where nothing else is left to learn from.
            columns = [c if c.name in chosen else _recognised(frame[c.name], False, dates) for c in columns]
        notes = [note for notes in each(said, columns) for note in notes]
    return tuple(columns), notes


def _check_names(known: Sequence[str], kinds: Mapping[str, str], drop: Sequence[str]) -> None:
    errors = [UnknownName(_("column"), name, known) for name in [*kinds, *drop] if name not in known]
    errors += [
        UnknownName(_("kind of column {name}").format(name=name), kind, KINDS)
        for name, kind in kinds.items()
        if kind not in KINDS
    ]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise DataError(*(str(error) for error in errors))


def _chosen(
    series: pl.Series, kind: Kind, dates: str = "day", places: Places | None = None
) -> tuple[Column, list[str]]:
    """A column of the kind asked for, or the problem with that."""
    why = _("you said so")
    form = ""
    if kind == "number":
        read, expected = values.numbers(series), _("numbers")
    elif kind == "boolean":
        read, expected = values.booleans(series), _("yes or no, true or false, 1 or 0")
    elif kind == "date":
        is_text = series.dtype == pl.String
        form = (values.date_format(series, dates) or "") if is_text else _number_dates(series, 0.5)
        read, expected = values.dates(series, form), _("dates such as 2024-12-31")
    else:
        return Column(series.name, kind, why, is_chosen=True), []
    wrong = values.unreadable(series, read)
    if not wrong.any():
        return Column(series.name, kind, why, date_format=form, is_chosen=True), []
    where = _("column {name}").format(name=series.name)
    mend = _("correct these cells, leave them empty, or choose another kind")
    return Column(series.name, kind, why), [problem(where, expected, values.cells(series, wrong, places=places), mend)]


def _recognised(series: pl.Series, may_count: bool = True, dates: str = "day") -> Column:
    name, dtype = series.name, series.dtype
    if series.null_count() == len(series):
        return Column(name, "constant", _("no value at all"))
    if dtype.is_numeric():
        return _recognised_numbers(series, may_count)
    if dtype == pl.String:
        return _recognised_text(series, dates)
    if not series.null_count() and series.n_unique() == 1:
        return Column(name, "constant", _("nothing but {value}").format(value=values.words(series)[0]))
    if dtype == pl.Boolean:
        return Column(name, "boolean", _("true or false"))
    return Column(name, "date", _("dates from {first} to {last}").format(first=series.min(), last=series.max()))


def _recognised_numbers(series: pl.Series, may_count: bool) -> Column:
    name = series.name
    low, high = cast(float, series.min()), cast(float, series.max())
    is_full = not series.null_count()
    if low == high and is_full:
        return Column(name, "constant", _("nothing but {value}").format(value=format_number(low)))
    if series.dtype.is_integer() and is_full:
        if _is_id_name(name) and series.n_unique() == len(series):
            return Column(name, "identifier", _("named like an identifier, and no number comes twice"))
        if may_count and _is_counter(series, low, high):
            return Column(name, "identifier", _("counts the rows from {first}").format(first=format_number(low)))
    form = _number_dates(series)
    if form and is_said(name, form, series):
        why = _("dates such as {value}").format(value=int(series.drop_nulls()[0]))
        return Column(name, "date", why, date_format=form)
    why = _("whole numbers from {low} to {high}") if series.dtype.is_integer() else _("numbers from {low} to {high}")
    return Column(name, "number", why.format(low=format_number(low), high=format_number(high)))


def _number_dates(series: pl.Series, share: float = 1.0) -> str:
    """How whole numbers write dates, where a share of them do; else nothing."""
    return compact_format(series, share) if series.dtype.is_numeric() else ""


def _is_id_name(name: str) -> bool:
    return bool(_ID_NAME.search(name) or _CAMEL_ID.search(name))


def _is_counter(series: pl.Series, low: float, high: float) -> bool:
    n = len(series)
    is_possible = n >= MIN_ROWS and low in (0, 1) and high - low == n - 1
    return is_possible and bool((series.cast(pl.Int64).diff().drop_nulls() == 1).all())


def _recognised_text(series: pl.Series, dates: str) -> Column:
    name = series.name
    cells = series.unique(maintain_order=True)
    words = values.cleaned(cells)
    text = (series if words.equals(cells) else values.cleaned(series)).drop_nulls()
    distinct = words.drop_nulls().unique(maintain_order=True)
    n, n_distinct = len(text), len(distinct)
    if not n:
        return Column(name, "constant", _("no value at all"))
    if n_distinct == 1 and n == len(series):
        return Column(name, "constant", _("nothing but {value}").format(value=text[0]))
    is_unique = n_distinct == n > 1
    if is_unique and _is_id_name(name):
        return Column(name, "identifier", _("named like an identifier, and no word comes twice"))
    if values.boolean_words(distinct):
        return Column(name, "boolean", _("two words, {a} and {b}").format(a=distinct.min(), b=distinct.max()))
    numeric = _numeric_text(text, distinct)
    if numeric is not None:
        return numeric
    form = values.date_format(distinct, dates)
    if form:
        return Column(name, "date", _("dates such as {value}").format(value=text[0]), date_format=form)
    if n >= MIN_ROWS and n_distinct > n / 2:
        length = cast(float, text.str.len_chars().mean())
        if length > LONG_TEXT:
            return Column(name, "text", _("long texts, most of them different"))
        if is_unique:
            return Column(name, "identifier", _("every row has a word of its own"))
        why = _("{n} different words in {rows} rows").format(n=format_count(n_distinct), rows=format_count(n))
        return Column(name, "text", why)
    why = ngettext("{n} different word", "{n} different words", n_distinct).format(n=format_count(n_distinct))
    return Column(name, "category", why)


def _numeric_text(text: pl.Series, distinct: pl.Series) -> Column | None:
    """The column as numbers if its texts are numbers, a few stray words apart; else None."""
    if values.has_codes(distinct):
        return None
    stray = distinct.filter(values.numbers(distinct).is_null())
    if not len(stray):
        return Column(text.name, "number", _("numbers written as text"))
    if len(stray) == len(distinct) or int(text.is_in(stray.implode()).sum()) > MAX_STRAY * len(text):
        return None
    return Column(text.name, "number", _("numbers, with a few words among them"), words=tuple(stray.to_list()))


def _notes_on(series: pl.Series, column: Column, places: Places | None) -> list[Note]:
    """What a user should know of a column whose kind was guessed."""
    if column.words:
        wrong = values.unreadable(series, values.numbers(series))
        text = _("numbers expected, but {cells}: read as missing")
        text = text.format(cells=values.cells(series, wrong, places=places))
    elif column.kind == "date" and series.dtype.is_numeric():
        text = _("whole numbers such as {value} are read as dates; the kind number keeps them").format(
            value=int(series.drop_nulls()[0])
        )
        return [Note("info", column.name, text)]
    elif column.kind == "number" and is_named_so(column.name) and (form := _number_dates(series, MOST_DATES)):
        cells = values.cells(series, values.unreadable(series, values.dates(series, form)), 3, places)
        text = _(
            "most of its numbers are dates, but {cells}: read as numbers; to have dates, correct these or leave them "
            "empty"
        ).format(cells=cells)
    elif column.kind == "number" and series.dtype == pl.String:
        return [Note("info", column.name, _("numbers written as text, read as numbers"))]
    elif column.kind == "date" and _is_ambiguous(series, column.date_format):
        text = _(
            "nothing tells the day from the month; {value} was read as {date}; the option dates changes it"
        ).format(value=series.drop_nulls()[0], date=values.dates(series, column.date_format).drop_nulls()[0].date())
    elif series.dtype.is_float() and (n := values.numbers(series).null_count() - series.null_count()):
        text = ngettext("{n} infinite value read as missing", "{n} infinite values read as missing", n).format(
            n=format_count(n)
        )
    elif column.kind in ("identifier", "text"):
        left_out = Note("warning", column.name, _("left out: {why}").format(why=column.why))
        return [left_out, *_mostly_numbers(series, places)]
    elif column.kind == "constant":
        return [Note("info", column.name, _("left out: {why}").format(why=column.why))]
    else:
        return [*_alike(series), *_mostly_numbers(series, places)] if column.kind == "category" else []
    return [Note("warning", column.name, text)]


def _mostly_numbers(series: pl.Series, places: Places | None) -> list[Note]:
    """A warning where words keep numbers from being read as such, and are too many to be strays."""
    distinct = series.unique()
    if series.dtype != pl.String or values.has_codes(distinct) or not values.numbers(distinct).count():
        return []
    known = values.cleaned(series)
    is_word = known.is_not_null() & values.by_distinct(known, values.numbers).is_null()
    n, n_words = known.count(), int(is_word.sum())
    if not 0 < n_words <= n / 2 or known.filter(~is_word).n_unique() < MIN_NUMBERS:
        return []
    text = _(
        "{n} of its {all} cells are numbers, and others keep them words: {cells}; to have numbers, correct these or "
        "leave them empty"
    ).format(n=format_count(n - n_words), all=format_count(n), cells=values.cells(series, is_word, 2, places))
    return [Note("warning", str(series.name), text)]


def _alike(series: pl.Series) -> list[Note]:
    """A warning where words differ in nothing but capital letters: they may well be one word to whoever wrote them."""
    words = values.words(series.unique(maintain_order=True)).drop_nulls().unique(maintain_order=True)
    small = words.str.to_lowercase()
    is_twin = small.is_duplicated()
    if not is_twin.any():
        return []
    twins = words.filter(small == small.filter(is_twin)[0])
    text = _("words that differ in capital letters alone, such as {a} and {b}, are taken for different ones")
    return [Note("warning", str(series.name), text.format(a=repr(twins[0]), b=repr(twins[1])))]


def _is_ambiguous(series: pl.Series, form: str) -> bool:
    if not form.startswith(("%d", "%m")) or series.dtype != pl.String:
        return False
    other = values.dates(series, values.swapped(form))
    return not values.unreadable(series, other).any() and not other.equals(values.dates(series, form))


# The target


def take_target(
    frame: pl.DataFrame, name: str, kind: str = "", places: Places | None = None
) -> tuple[pl.DataFrame, pl.Series, list[Note], Places | None]:
    """The inputs and the target, without the rows whose target is missing, notes, and where the rows stand.

    places  where the rows of the frame stand in their file; None where they are counted from 1
    kind    "category" makes classes of numbers, "number" numbers of text; "" lets the cells decide
    Raises  UnknownName  when there is no such column
            DataError    when no row has a target, or the cells are not of the kind asked for
    """
    if name not in frame.columns:
        raise UnknownName(_("target"), name, frame.columns)
    target = frame[name]
    if kind in FEATURE_KINDS:
        wrong = _chosen(target, kind, places=places)[1]
        if wrong:
            raise DataError(*wrong)
    if kind in ("category", "boolean"):
        target = values.words(target)
    elif kind == "number":
        target = values.numbers(target)
    else:
        target = values.typed(target) if target.dtype == pl.String else target
    if target.dtype.is_float():
        target = values.numbers(target)
    n_missing = target.null_count()
    if n_missing == len(target):
        where = _("target {name}").format(name=name)
        raise DataError(problem(where, _("a value to learn in some rows"), _("none"), _("choose another target")))
    notes = []
    if n_missing:
        is_known = target.is_not_null()
        places = (places or Places.after(0, len(frame))).kept(is_known)
        frame, target = frame.filter(is_known), target.drop_nulls()
        text = ngettext(
            "{n} row without a target left out", "{n} rows without a target left out", n_missing
        ).format(n=format_count(n_missing))  # fmt: skip
        notes.append(Note("warning", name, text))
    if target.dtype == pl.String and kind in ("", "category"):
        notes += _alike(target)
    if target.dtype.is_numeric():
        notes += find_sentinels(target)
    return frame.drop(name), target, notes, places


def task_of(dataset: Dataset) -> tuple[Task, str]:
    """What there is to learn from a data set with a target, and why: images belong to classes, else `infer_task`.

    Raises  DataError  as `infer_task`
    """
    assert dataset.target is not None
    if dataset.is_image:
        return _classes(dataset.target.n_unique()), _("each image belongs to a class")
    try:
        return infer_task(dataset.target, dataset.places)
    except DataError as error:
        # what reading found of the column, such as several units, is what to mend
        found = [note for note in dataset.notes if note.level == "warning" and note.where == dataset.target.name]
        told = [_("{name}: {text}").format(name=note.where, text=note.text) for note in found]
        raise DataError(*told, *error.problems) from None


def infer_task(target: pl.Series, places: Places | None = None) -> tuple[Task, str]:
    """What there is to learn, and why: a number, one class of two, one of several.

    Words are classes and numbers with decimals are not. Whole numbers are classes when there are two of them, or when
    they are few (at most 20) and each stands in many rows (10 on average).

    places  where the rows stand in their file, all of them with a target
    Raises  DataError  when there is nothing to tell apart, or words where numbers are needed

    >>> infer_task(pl.Series("y", ["a", "b", "a"]))[0], infer_task(pl.Series("y", [1.5, 2.0, 3.5]))[0]
    ('binary', 'regression')
    """
    present = target.drop_nulls()
    if present.dtype == pl.String:
        present = values.typed(present).drop_nulls()
    n = len(present)
    where = _("target {name}").format(name=target.name)
    if not n or present.min() == present.max():
        got = _("nothing but {value}").format(value=repr(present[0])) if n else _("no value at all")
        raise DataError(problem(where, _("at least two different values"), got, _("choose another target")))
    if present.dtype in (pl.String, pl.Boolean):
        n_distinct = present.n_unique()
        _check_classes(where, present, n_distinct, places)
        return _classes(n_distinct), _("{n} different words").format(n=format_count(n_distinct))
    if not present.dtype.is_numeric():
        raise _dates_as_answers(where, str(present[0]))
    if bool(((present == 0) | (present == 1)).all()):
        return "binary", _("nothing but 0 and 1")
    if present.dtype.is_float():
        return "regression", _("numbers with decimals")
    n_distinct = present.n_unique()
    is_few = n_distinct == 2 or (n_distinct <= MAX_CLASSES and n_distinct * ROWS_PER_CLASS <= n)
    why = _("{n} different whole numbers in {rows} rows; if they are a count or a size, --kind {name}=number")
    if n_distinct == 2:
        why = _("{n} different whole numbers in {rows} rows")
    elif not is_few:
        why = _("{n} different whole numbers in {rows} rows, too many to be classes")
    why = why.format(n=format_count(n_distinct), rows=format_count(n), name=target.name)
    return _classes(n_distinct) if is_few else "regression", why


def _classes(n_distinct: int) -> Task:
    return "binary" if n_distinct == 2 else "multiclass"


def stray_words(present: pl.Series) -> pl.Series:
    """Which of these texts are words among numbers; none where words are more than a few, or codes."""
    distinct = present.unique()
    is_stray = present.is_in(distinct.filter(values.numbers(distinct).is_null()).implode())
    are_few = int(is_stray.sum()) <= MAX_STRAY * len(present) and not values.has_codes(distinct)
    return is_stray & are_few


def _check_classes(where: str, present: pl.Series, n_distinct: int, places: Places | None) -> None:
    """Words that are no classes: numbers with stray words among them, or a word of its own in every row."""
    if present.dtype != pl.String or len(present) < MIN_ROWS:
        return
    is_stray = stray_words(present)
    if is_stray.any():
        got = values.cells(present, is_stray, places=places)
        raise DataError(problem(where, _("numbers"), got, _("correct these cells or leave them empty")))
    if n_distinct > len(present) / 2 and values.date_format(present.unique().head(200)):
        raise _dates_as_answers(where, str(present[0]))
    if n_distinct > len(present) / 2:
        got = _("{n} different words in {rows} rows").format(
            n=format_count(n_distinct), rows=format_count(len(present))
        )
        raise DataError(problem(where, _("classes that come again"), got, _("choose another target")))


def _dates_as_answers(where: str, cell: str) -> DataError:
    mend = _("make a number of it, such as the days since a day you choose, or choose another target")
    return DataError(problem(where, _("numbers or classes"), _("dates, such as {cell}").format(cell=cell), mend))


# Summaries


@dataclass(frozen=True)
class ColumnSummary:
    """A column in figures, for `limpide data` and the report.

    mean, sd, min, max  of numbers; sd is the population's
    first, last         of dates, as text
    top                 the most frequent words of other columns, with how often each comes
    histogram           counts in equal steps from the least to the greatest number or date
    """

    name: str
    kind: Kind
    why: str
    n_missing: int
    n_distinct: int
    mean: float | None = None
    sd: float | None = None
    min: float | None = None
    max: float | None = None
    first: str = ""
    last: str = ""
    top: tuple[tuple[str, int], ...] = ()
    histogram: tuple[int, ...] = ()


def describe(dataset: Dataset) -> list[ColumnSummary]:
    """Each input column in figures; nothing for images."""
    if isinstance(dataset.inputs, np.ndarray):
        return []
    return [summarise(dataset.inputs[column.name], column) for column in dataset.columns]


def summarise(series: pl.Series, column: Column) -> ColumnSummary:
    """One column in figures, read as what it was taken for."""
    figures: dict[str, Any] = {}
    if column.kind == "number":
        read = values.numbers(series)
        known = read.drop_nulls().to_numpy()
        if len(known):
            figures = {name: float(getattr(known, name)()) for name in ("mean", "min", "max")}
            figures |= {"sd": float(known.std()), "histogram": _histogram(known)}
    elif column.kind == "date":
        read = values.dates(series, column.date_format)
        known = read.drop_nulls().to_physical().to_numpy().astype(float)
        if len(known):
            first, last = (values.shown_moment(int(moment)) for moment in (known.min(), known.max()))
            figures = {"first": first, "last": last, "histogram": _histogram(known)}
    else:
        read = values.words(series)
        counts = read.drop_nulls().rename("word").value_counts(sort=True, name="n").head(N_TOP).rows()
        figures = {"top": tuple((str(word), int(n)) for word, n in counts)}
    n_missing = read.null_count()
    n_distinct = read.n_unique() - (n_missing > 0)
    return ColumnSummary(column.name, column.kind, column.why, n_missing, n_distinct, **figures)


def _histogram(known: np.ndarray) -> tuple[int, ...]:
    # numpy cannot cut a range wider than the greatest float, nor one too narrow for its steps.
    low, high = float(known.min()), float(known.max())
    if not np.isfinite(high - low) or high - low < 1e-9 * max(abs(low), abs(high)):
        return (len(known),)
    return tuple(int(n) for n in np.histogram(known, N_BINS)[0])
