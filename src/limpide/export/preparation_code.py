"""Layer 0 and the way back from outputs to answers, written out as code with their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Any

from limpide.data.images import ImagePreparation
from limpide.data.preparation import TablePreparation, TargetPreparation
from limpide.data.reading import Reading
from limpide.data.rows import Preparation
from limpide.data.treatments.base import Scale
from limpide.data.treatments.boolean import BooleanTreatment
from limpide.data.treatments.category import CategoryTreatment
from limpide.data.treatments.date import DateTreatment
from limpide.data.treatments.number import NumberTreatment
from limpide.data.values import FALSE_TRUE, ISO_FORMATS
from limpide.errors import Unsupported, problem
from limpide.export.reading_code import cell_code
from limpide.i18n import _


def preparation_code(preparation: Preparation, reading: Reading) -> list[str]:
    """`prepare(...)`: what the network was trained on, made from what people have."""
    if isinstance(preparation, ImagePreparation):
        return list(_image_code(preparation))
    return list(_table_code(preparation, reading))


def _image_code(preparation: ImagePreparation) -> Iterator[str]:
    yield f"SHAPE = {preparation.shape}  # channels, rows, columns"
    yield ""
    yield ""
    yield "def prepare(images):"
    yield '    """Images (n, channels, rows, columns) of values from 0 to 255, as the network learned to see them."""'
    yield "    pixels = np.asarray(images, np.float64) / 255"
    if preparation.standardise:
        mean, sd = ([float(value) for value in part] for part in (preparation.mean, preparation.sd))
        yield "    # mean and standard deviation of the training images, for each channel"
        yield f"    mean, sd = np.array({mean}), np.array({sd})"
        yield "    return ((pixels - mean[:, None, None]) / sd[:, None, None]).astype(np.float32)"
    else:
        low, high = preparation.pixel_range
        yield f"    return ({low!r} + {high - low!r} * pixels).astype(np.float32)"


def _table_code(preparation: TablePreparation, reading: Reading) -> Iterator[str]:
    columns = [treatment.column for treatment in preparation.treatments if isinstance(treatment, NumberTreatment)]
    units = {column: reading.units[column] for column in columns if column in reading.units}
    yield from cell_code(reading, units)
    yield ""
    yield ""
    yield "def prepare(rows):"
    yield '    """Rows of text as the numbers that the network takes; every constant is of the training rows."""'
    yield "    prepared = []"
    yield "    for row in rows:"
    yield "        x = []"
    for treatment in preparation.treatments:
        writer = _TREATMENTS.get(type(treatment))
        if writer is None:
            raise Unsupported(problem(treatment.column, _("a column that code can prepare"), treatment.kind))
        yield f"        cell = row[{treatment.column!r}]"
        yield from (f"        {line}" for line in writer(treatment, units.get(treatment.column, "")))
        if treatment.has_indicator:
            yield "        x.append(float(is_missing(cell)))"
    yield "        prepared.append(x)"
    yield "    return np.array(prepared, np.float32)"


def _scaled(scale: Scale, name: str) -> str:
    if scale == Scale():
        return name
    return f"({name} - {scale.mean!r}) / {scale.sd!r}"


def _number(treatment: NumberTreatment, unit: str) -> Iterator[str]:
    if treatment.words:
        yield f"cell = None if str(cell).strip() in {list(treatment.words)!r} else cell"
    number = f"number(cell, {treatment.fill!r}" + (f", {unit!r})" if unit else ")")
    low, high = treatment.bounds
    kept = number if high == inf else f"min(max({number}, {low!r}), {high!r})"
    yield f"x.append({_scaled(treatment.scale, kept)})"


def _category(treatment: CategoryTreatment, unit: str) -> Iterator[str]:
    yield f"word = {treatment.fill!r} if is_missing(cell) else str(cell).strip()"
    yield f"categories = {list(treatment.categories)!r}"
    yield "x += [float(word == category) for category in categories]"
    yield "x.append(float(word not in categories))"


def _boolean(treatment: BooleanTreatment, unit: str) -> Iterator[str]:
    no, yes = (sorted({*words, digit, f"{digit}.0"}) for words, digit in zip(zip(*FALSE_TRUE), "01"))
    yield f"yes, no = {yes!r}, {no!r}"
    yield 'word = "" if is_missing(cell) else str(cell).strip().lower()'
    yield f"x.append(1.0 if word in yes else 0.0 if word in no else {float(treatment.fill)!r})"


def _date(treatment: DateTreatment, unit: str) -> Iterator[str]:
    is_iso = not treatment.form or treatment.form in ISO_FORMATS
    read = (
        "datetime.fromisoformat(str(cell).strip())"
        if is_iso
        else f"datetime.strptime(str(cell).strip(), {treatment.form!r})"
    )
    filled = f"datetime(1970, 1, 1) + timedelta(microseconds={treatment.fill})"
    yield f"date = {filled} if is_missing(cell) else {read}"
    yield "date = date.replace(tzinfo=None) - (date.utcoffset() or timedelta(0))"
    yield "seconds = (date - datetime(1970, 1, 1)).total_seconds()"
    yield f"x.append({_scaled(treatment.year, 'date.year')})"
    yield "turn = 2 * math.pi * (date.month - 1) / 12"
    yield "x += [math.sin(turn), math.cos(turn)]"
    yield f"x.append({_scaled(treatment.day, 'date.day')})"
    yield "turn = 2 * math.pi * date.weekday() / 7"
    yield "x += [math.sin(turn), math.cos(turn)]"
    days = f"((seconds - {treatment.first / 1e6!r}) / 86400)"
    yield f"x.append({_scaled(treatment.age, days)})"
    if treatment.has_hours:
        yield "turn = 2 * math.pi * (seconds % 86400) / 86400"
        yield "x += [math.sin(turn), math.cos(turn)]"


_TREATMENTS: dict[type, Callable[[Any, str], Iterator[str]]] = {
    NumberTreatment: _number,
    CategoryTreatment: _category,
    BooleanTreatment: _boolean,
    DateTreatment: _date,
}


def decoding_code(target: TargetPreparation, activated: bool) -> list[str]:
    """`decode(outputs)` and `encode(targets)`."""
    if target.task == "regression":
        return list(_regression_code(target))
    return list(_class_code(target, activated))


def _regression_code(target: TargetPreparation) -> Iterator[str]:
    yield f'def decode(outputs):\n    """The predictions, in the unit of {target.name}."""'
    yield f"    return outputs[:, 0].astype(np.float64) * {target.scale.sd!r} + {target.scale.mean!r}"
    yield ""
    yield ""
    yield 'def encode(targets):\n    """Targets as the network learns them, (rows, 1)."""'
    yield "    targets = np.asarray(targets, np.float64)[:, None]"
    yield f"    return ((targets - {target.scale.mean!r}) / {target.scale.sd!r}).astype(np.float32)"


def _class_code(target: TargetPreparation, activated: bool) -> Iterator[str]:
    yield f"LABELS = {list(target.labels)!r}"
    yield ""
    yield ""
    yield 'def probabilities(outputs):\n    """The probability of each label, (rows, labels)."""'
    yield "    outputs = outputs.astype(np.float64)"
    if target.task == "binary":
        if not activated:
            yield "    outputs = 1 / (1 + np.exp(-outputs))"
        yield "    return np.concatenate([1 - outputs, outputs], axis=1)"
    elif activated:
        yield "    return outputs"
    else:
        yield "    e = np.exp(outputs - outputs.max(axis=1, keepdims=True))"
        yield "    return e / e.sum(axis=1, keepdims=True)"
    yield ""
    yield ""
    yield 'def decode(outputs):\n    """The label and its probability, for each row."""'
    yield "    shares = probabilities(outputs)"
    yield "    return [(LABELS[i], float(share[i])) for i, share in zip(shares.argmax(axis=1), shares)]"
    yield ""
    yield ""
    yield 'def encode(targets):\n    """Labels as the network learns them."""'
    numbers = "np.array([LABELS.index(label) for label in targets])"
    yield f"    return {numbers}" + ("[:, None].astype(np.float32)" if target.task == "binary" else "")
