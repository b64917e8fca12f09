"""The row that is followed: its cells as they stood in the data, and how each became an input of the network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from limpide.data.images import ImagePreparation, to_png_base64
from limpide.data.preparation import TargetPreparation
from limpide.data.rows import Preparation
from limpide.data.treatments.base import Scale, Treatment
from limpide.data.treatments.boolean import BooleanTreatment
from limpide.data.treatments.category import CategoryTreatment
from limpide.data.treatments.date import DAY, DateTreatment
from limpide.data.treatments.number import NumberTreatment
from limpide.explaining.arithmetic import Expression, Index, Number, Symbol, call, minus, over, times
from limpide.explaining.step import Make
from limpide.i18n import _, format_number


@dataclass(frozen=True)
class Sample:
    """One row of the data.

    number  which row of the data it is; None for one that was given, or read from a stream
    cells   the row's values as people read them, by column
    truth   its answer likewise; "" where it is not known
    png     an image, base64; "" for a table
    inputs  how each prepared input was made; None where that is not known
    answers how the encoded target was made
    """

    number: int | None = None
    cells: dict[str, str] = field(default_factory=dict)
    truth: str = ""
    png: str = ""
    inputs: Make | None = None
    answers: Make | None = None


def sample_of(
    preparation: Preparation,
    target: TargetPreparation,
    inputs: Any,
    answers: pl.Series | None,
    number: int | None = None,
) -> Sample:
    """The sample of a table with one row, or of one image."""
    truth, answer = None if answers is None else answers[0], None
    if answers is not None and truth is not None:
        answer = _answer(target, float(target.truth(answers)[0]))
    shown = "" if truth is None else _shown(truth)
    if isinstance(preparation, ImagePreparation):
        image = np.asarray(inputs[0])
        return Sample(number, {}, shown, to_png_base64(image), _pixels(preparation, image), answer)
    cells = {
        treatment.column: _shown(_cell(treatment, inputs[treatment.column])) for treatment in preparation.treatments
    }
    made = [expression for treatment in preparation.treatments for expression in _features(treatment, inputs)]
    return Sample(number, cells, shown, "", lambda index: made[index[0]], answer)


def _cell(treatment: Treatment, series: pl.Series) -> Any:
    """The one cell; a number where words stand among the numbers of its column, and these are texts as well."""
    number = treatment.read(series)[0] if isinstance(treatment, NumberTreatment) else None
    return series[0] if number is None or not isinstance(series[0], str) else number


def _shown(value: Any) -> str:
    if value is None:
        return _("missing")
    return format_number(value, 8) if isinstance(value, float) else str(value)


def _given(name: str, value: float) -> Number:
    """A number read from the data."""
    return Number("", Symbol(name), float(value))


def _scaled(value: Expression, scale: Scale) -> Expression:
    if scale == Scale():
        return value
    return over(minus(value, scale.mean), scale.sd)


def _pixels(preparation: ImagePreparation, image: np.ndarray) -> Make:
    def make(index: Index) -> Expression:
        channel = index[0]
        pixel = over(Number("", Symbol("pixel", "", index), float(image[index])), 255.0)
        if preparation.standardise:
            return _scaled(pixel, Scale(preparation.mean[channel], preparation.sd[channel]))
        low, high = preparation.pixel_range
        scaled = times(high - low, pixel)
        return scaled if not low else minus(scaled, -low)

    return make


def _features(treatment: Treatment, frame: pl.DataFrame) -> Iterator[Expression]:
    """How each feature of a column was made from its one cell."""
    column, read = treatment.column, treatment.read(frame[treatment.column])
    is_missing = read[0] is None
    if isinstance(treatment, NumberTreatment):
        yield _number(treatment, float(treatment.fill if is_missing else read[0]), is_missing)
    elif isinstance(treatment, CategoryTreatment):
        word = treatment.fill if is_missing else read[0]
        known = word in treatment.categories
        for name in treatment.parts:
            category = name.removeprefix(f"{column}=")
            is_it = category == word if known else name == treatment.parts[-1]
            yield _given(f"[{column} = {category}]", float(is_it))
    elif isinstance(treatment, DateTreatment):
        yield from _date(treatment, int(treatment.fill if is_missing else read.to_physical()[0]))
    elif isinstance(treatment, BooleanTreatment):
        yield _given(column, float(treatment.fill if is_missing else read[0]))
    if treatment.has_indicator:
        yield _given(treatment.features[-1], float(is_missing))


def _number(treatment: NumberTreatment, value: float, is_missing: bool) -> Expression:
    name = _("{column} (missing)").format(column=treatment.column) if is_missing else treatment.column
    cell, (low, high) = _given(name, value), treatment.bounds
    kept: Expression = cell
    if value < low:
        kept = call("max", cell, low)
    elif value > high:
        kept = call("min", cell, high)
    return _scaled(kept, treatment.scale)


def _date(treatment: DateTreatment, moment: int) -> Iterator[Expression]:
    when = pl.Series([moment]).cast(pl.Datetime("us")).dt
    turn = Number("", Symbol("2π"), 2 * math.pi)
    month, weekday = _("month"), _("weekday")

    def circle(name: str, part: float, period: float) -> Iterator[Expression]:
        for function in ("sin", "cos"):
            yield call(function, over(times(turn, _given(name, part)), period))

    yield _scaled(_given(_("year"), when.year()[0]), treatment.year)
    yield from circle(f"({month} - 1)", when.month()[0] - 1, 12.0)
    yield _scaled(_given(_("day"), when.day()[0]), treatment.day)
    yield from circle(f"({weekday} - 1)", when.weekday()[0] - 1, 7.0)
    yield _scaled(_given(_("days"), (moment - treatment.first) / DAY), treatment.age)
    if treatment.has_hours:
        yield from circle(_("hour"), moment % DAY / DAY * 24, 24.0)


def _answer(target: TargetPreparation, truth: float) -> Make:
    def make(index: Index) -> Expression:
        if target.task == "regression":
            return _scaled(_given(target.name, truth), target.scale)
        i = index[0] if target.task == "multiclass" else 1
        return _given(f"[{target.name} = {target.labels[i]}]", float(int(truth) == i))

    return make
