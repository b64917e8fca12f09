"""What is told of an opened step, in what order: the same sections for a terminal, a page and a notebook."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from limpide.arrays import show_shape
from limpide.data.preparation import TargetPreparation
from limpide.explaining.arithmetic import Index, Number, Symbol, add, call, recompute, times
from limpide.explaining.chain import as_product, chain
from limpide.explaining.layers import ConvArithmetic, formula
from limpide.explaining.sample import Sample
from limpide.explaining.step import OpenedStep
from limpide.explaining.views import View
from limpide.explaining.writing import MOST_TERMS, OPENED_TERMS, show_symbol, show_value
from limpide.i18n import _, format_count, ngettext
from limpide.nn.layers import BatchNorm, Conv2d
from limpide.nn.losses import Loss

UNITS, WEIGHTS = 4, 2
"""Of each layer, and of each of its arrays of weights, that an overview tells."""

LAYER_UNITS, LAYER_WEIGHTS, UNIT_WEIGHTS = 128, 12, 40
"""Of a layer alone, the units and the weights of each array that are told; the weights of a unit alone."""

CELLS = 40
"""Of a row that are told."""


@dataclass(frozen=True)
class Section:
    """A part of the telling.

    lines    sentences
    table    headers and rows; headers may be empty
    numbers  each with its equation
    more     how to see what was left out
    digits   significant digits of the equations; None writes them exactly
    most     terms of a sum that are written
    """

    title: str
    lines: Sequence[str] = ()
    table: tuple[Sequence[str], Sequence[Sequence[str]]] | None = None
    numbers: Sequence[Number] = field(default_factory=tuple)
    more: str = ""
    digits: int | None = None
    png: str = ""
    most: int = MOST_TERMS


def overview(
    step: OpenedStep, sample: Sample, labels: Sequence[str], answer: Sequence[Number], digits: int | None
) -> Iterator[Section]:
    """The whole step: the row, the way forward, the loss, the way back, the update."""
    yield of_sample(step, sample, digits)
    for view in step.views:
        yield forward_of(view, UNITS, digits)
    yield of_answer(step, labels, answer, digits)
    if not step.has_target:
        return
    yield of_loss(step, digits)
    for view in reversed(step.views):
        yield backward_of(view, UNITS, digits)
    for view in step.views:
        if view.params:
            yield update_of(view, WEIGHTS, digits)


def of_layer(view: View, digits: int | None) -> Iterator[Section]:
    """One layer: its outputs, their slopes, its first weights."""
    yield forward_of(view, LAYER_UNITS, digits)
    if view.step.has_target:
        yield backward_of(view, LAYER_UNITS, digits)
        if view.params:
            yield update_of(view, LAYER_WEIGHTS, digits)


def of_unit(view: View, unit: Index, digits: int | None) -> Iterator[Section]:
    """One unit: its sum, its slope with the chain of factors, each of its weights."""
    step = view.step
    name = f"{view.path}.y[{','.join(map(str, unit))}]"
    forward = _("{name}, forward").format(name=name)
    yield Section(forward, [formula(view)], None, _forward(view, unit), "", digits, most=OPENED_TERMS)
    if isinstance(view.layer, Conv2d):
        yield from _grids(view, unit, digits)
    if not step.has_target:
        return
    yield Section(
        _("{name}, back").format(name=name), [_("δ is the slope of the loss along the output, ∂J/∂y.")], None,
        _with_product(chain(view.dy(unit, step.row))), "", digits, most=OPENED_TERMS,
    )  # fmt: skip
    places = [place for key in view.params for place in _places(view, key, unit)]
    for key, place in places[:UNIT_WEIGHTS]:
        yield of_weight(step, f"{view.path}.{key}", place, digits, is_chained=False)
    if len(places) > UNIT_WEIGHTS:
        yield Section(view.path, more=_rest(len(places) - UNIT_WEIGHTS, _example(view)))


def of_weight(step: OpenedStep, name: str, index: Index, digits: int | None, is_chained: bool = True) -> Section:
    """One weight: its slope, its optimizer, its change, and the chain of factors of the slope."""
    numbers = _story(step, name, index)
    behind = chain(step.weight(name, index).gradient())[1:] if is_chained else []
    return Section(numbers[0].name, numbers=[*numbers, *behind], digits=digits, most=OPENED_TERMS)


def _story(step: OpenedStep, name: str, index: Index) -> list[Number]:
    """A weight, its slope with the chain as one product where it is one, its optimizer, its change."""
    weight, gradient, *others = step.weight(name, index).story()
    return [weight, *_with_product([gradient]), *others]


def of_number(step: OpenedStep, number: Number, digits: int | None) -> Section:
    """One number of an address: its equation; of a slope the chain."""
    if number.make is None and number.name.rpartition("[")[0] in step.before and step.has_target:
        path, _bracket, inside = number.name.rpartition("[")
        if path in step.gradients:
            return of_weight(step, path, tuple(int(i) for i in inside.rstrip("]").split(",")), digits)
    return Section(number.name, numbers=_with_product(chain(number)), digits=digits, most=OPENED_TERMS)


def _with_product(numbers: list[Number]) -> list[Number]:
    """With the chain as one product behind the first, where it is one and says more."""
    whole = as_product(numbers[0])
    return numbers if whole is None else [numbers[0], whole, *numbers[1:]]


# ------------------------------------------------------------------------------------------------------ the parts


def of_sample(step: OpenedStep, sample: Sample, digits: int | None) -> Section:
    """The row as it stood in the data, and as the network takes it."""
    inputs = [step.x(tuple(place), step.row) for place in np.ndindex(step.network.input_shape)]
    rows = list(sample.cells.items())
    title = _("The row") if sample.number is None else _("Row {n} of the data").format(n=sample.number)
    lines = [_("the answer: {truth}").format(truth=sample.truth)] if sample.truth else []
    table = ((_("column"), _("value")), [*rows[:CELLS], *([("…", "")] if len(rows) > CELLS else [])]) if rows else None
    most = CELLS if len(step.network.input_shape) == 1 else UNITS
    return Section(title, lines, table, inputs[:most], _rest(len(inputs) - most, "x[…]"), digits, sample.png)


def forward_of(view: View, most: int, digits: int | None) -> Section:
    """The outputs of a layer."""
    units, most = view.units, _most(view, most)
    numbers = [number for unit in units[:most] for number in _forward(view, unit)]
    title = _labelled(view.path, f"{show_shape(view.in_shape)} → {show_shape(view.out_shape)}")
    lines = [formula(view)]
    if isinstance(view.layer, BatchNorm) and not view.cache["training"]:
        lines.append(_("with the running mean and variance"))
    return Section(title, lines, None, numbers, _rest(len(units) - most, f"{view.path}.y[…]"), digits)


def _most(view: View, most: int) -> int:
    """How many units are told: all where few more than that are there."""
    return len(view.units) if len(view.units) <= 2 * most else most


def _forward(view: View, unit: Index) -> list[Number]:
    """An output, and the numbers of its layer that lead to it."""
    row = view.step.row
    if not isinstance(view.layer, BatchNorm):
        return [view.y(unit, row)]
    statistics = [view.statistic(name, unit[0]) for name in ("mean", "variance")]
    moved = []
    if view.cache["training"]:
        moved = [view.moved(name, unit[0]) for name in ("mean", "variance")]
    return [*statistics, view.normal(unit, row), view.y(unit, row), *moved]


def of_answer(step: OpenedStep, labels: Sequence[str], answer: Sequence[Number], digits: int | None) -> Section:
    """What the network's outputs mean."""
    named = [f"{i} = {label}" for i, label in enumerate(labels[:CELLS]) if label != str(i)]
    lines = [_("the classes: {names}").format(names=", ".join(named))] if named else []
    numbers = answer or step.outputs(step.row)[:UNITS]
    if any(number.name.startswith("top") for number in numbers):
        lines.append(_("m is the greatest score: with it taken off, no power of e is too large"))
    return Section(_("Prediction"), lines, None, numbers, "", digits)


def of_loss(step: OpenedStep, digits: int | None) -> Section:
    """The loss of the row, and of the batch."""
    numbers = [step.row_loss(step.row), step.mean_loss()]
    n = step.n_rows
    text = ngettext(
        "J is the loss L of the only row of the batch.",
        "J is the mean of the losses L of the {n} rows of the batch.",
        n,
    ).format(n=format_count(n))
    return Section(_labelled(_("Loss"), step.loss.name), [_loss_formula(step.loss), text], None, numbers, "", digits)


def _loss_formula(loss: Loss) -> str:
    """What a loss is, its y written t as the targets of a step are: a layer's y is its output."""
    text = re.sub(r"(?<![^\W_])y(?!\w)", "t", _(loss.formula))
    output = next(letter for letter in "ŷpz" if re.search(rf"(?<!\w){letter}(?![^\W_])", text))
    return _("{formula}; t is the target, {output} the output").format(formula=text, output=output)


def backward_of(view: View, most: int, digits: int | None) -> Section:
    """The slopes of the loss along the outputs of a layer."""
    most = _most(view, most)
    numbers = [view.dy(unit, view.step.row) for unit in view.units[:most]]
    title = _("Back to the output of {path}").format(path=view.path)
    return Section(title, ["δ = ∂J/∂y"], None, numbers, _rest(len(view.units) - most, f"{view.path}.dy[…]"), digits)


def update_of(view: View, most: int, digits: int | None) -> Section:
    """The first weights of a layer: slope, optimizer, change; and all of its arrays in figures."""
    step, numbers, rows, left = view.step, list[Number](), [], 0
    for key, array in view.params.items():
        name = f"{view.path}.{key}"
        places = [tuple(int(i) for i in place) for place in _first_places(array.shape, most)]
        numbers += [number for place in places for number in _story(step, name, place)]
        left += array.size - len(places)
        arrays = (step.before[name], step.gradients[name], step.updates[name], step.after[name])
        rows.append((name, show_shape(array.shape), *(_norm(a, digits) for a in arrays)))
    headers = (_("weights"), _("shape"), _("‖before‖"), _("‖slope‖"), _("‖change‖"), _("‖after‖"))
    title = _("Update of {path}").format(path=view.path)
    lines = [_labelled(step.optimizer.name, step.optimizer.formula)]
    return Section(title, lines, (headers, rows) if rows else None, numbers, _rest(left, _example(view)), digits)


def _first_places(shape: tuple[int, ...], most: int) -> Iterator[Index]:
    for i in range(min(most, prod(shape))):
        yield tuple(int(k) for k in np.unravel_index(i, shape))


def _norm(array: np.ndarray, digits: int | None) -> str:
    return show_value(float(np.linalg.norm(np.asarray(array, np.float64))), None, digits or 6)


def _places(view: View, key: str, unit: Index) -> Iterator[tuple[str, Index]]:
    """The weights that a unit is made with."""
    shape = view.params[key].shape
    for place in np.ndindex(shape):
        own = place[-1] if key == "W" else place[0]
        if shape == (1,) or own == (unit[0] if unit else 0):
            yield key, tuple(int(i) for i in place)


def _grids(view: View, unit: Index, digits: int | None) -> Iterator[Section]:
    """The patch under the kernel, and the kernel, channel by channel."""
    patch = [
        0.0 if place is None else view.x(place, view.step.row).value for _c, place in ConvArithmetic().patch(view, unit)
    ]
    kernel = view.params["K"][unit[0]]
    for words, values in ((_("patch"), np.array(patch).reshape(kernel.shape)), (_("kernel"), kernel)):
        for channel, grid in enumerate(values):
            title = _("{what}, channel {n}").format(what=words, n=channel)
            rows = [[show_value(float(value), view.step.dtype, digits or 6) for value in line] for line in grid]
            yield Section(title, table=((), rows))


def _labelled(name: str, text: str) -> str:
    return _("{name}: {text}").format(name=name, text=text)


def _rest(n: int, example: str) -> str:
    if n <= 0:
        return ""
    text = ngettext("and {n} more, at {example}", "and {n} more, at {example}", n)
    return text.format(n=format_count(n), example=example)


def _example(view: View) -> str:
    key = next(iter(view.params), "W")
    return f"{view.path}.{key}[…]"


def answer_of(step: OpenedStep, target: TargetPreparation, activated: bool) -> list[Number]:
    """The outputs of the row as people read them: a number in the target's unit, or probabilities.

    activated  the network itself ends in a probability
    """
    outputs = step.outputs(step.row)
    if target.task == "regression":
        value = outputs[0].value * target.scale.sd + target.scale.mean
        made = add([times(outputs[0], target.scale.sd), target.scale.mean])
        return [outputs[0], Number("", Symbol(target.name), value, np.dtype(np.float64), lambda: made)]
    if activated:
        return outputs
    if target.task == "multiclass":
        return [step.top(step.row), *(step.share(i, step.row) for i in range(min(len(outputs), CELLS)))]
    chance = call("sigmoid", outputs[0])
    value = recompute(chance, step.dtype).value
    return [outputs[0], Number("", Symbol(f"P({target.labels[1]})"), value, np.dtype(np.float64), lambda: chance)]


def shown_numbers(sections: Sequence[Section]) -> list[Number]:
    """Every number with an equation, once."""
    found: dict[str, Number] = {}
    for section in sections:
        for number in section.numbers:
            found.setdefault(f"{number.name}{show_symbol(number.symbol)}", number)
    return list(found.values())
