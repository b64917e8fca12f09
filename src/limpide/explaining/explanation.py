"""A step of a run, opened: what was asked of it, told as text, HTML or JSON, and the way to the steps around it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from limpide.checkpoint import write_file
from limpide.errors import RunError, problem
from limpide.explaining.addresses import check_index, number_at, view_at
from limpide.explaining.arithmetic import Index, Number, prove
from limpide.explaining.page import as_page, as_parts
from limpide.explaining.printing import as_text
from limpide.explaining.sample import Sample
from limpide.explaining.sections import Section, answer_of, of_layer, of_number, of_unit, overview, shown_numbers
from limpide.explaining.step import OpenedStep
from limpide.explaining.views import View
from limpide.explaining.walk import Moment
from limpide.explaining.writing import as_json, finite, show_value
from limpide.i18n import _, format_count, ngettext
from limpide.markup import paragraph
from limpide.runs import Run

if TYPE_CHECKING:
    from limpide.explaining.asking import Asked

By = Literal["sample", "batch", "epoch"]
WAYS: tuple[By, ...] = get_args(By)
DIGITS = 5
"""Significant digits of an overview; one number or one unit is told exactly."""

WIDTH = 100


@dataclass(frozen=True)
class Looked:
    """What is looked at: the whole step, a layer, a unit, or numbers of it.

    digits  significant digits; 0 writes every number exactly; None leaves the choice
    """

    layer: str | None = None
    unit: Index | None = None
    opened: tuple[str, ...] = ()
    digits: int | None = None


class Explanation:
    """One step of a run, opened. `print` it, show it in a notebook, write it with `save`; `number` opens one number.

    moment  where in the training it is; None for the weights that the run kept
    sample  the row that is followed
    step    every number, with its arithmetic
    """

    def __init__(
        self, run: Run, step: OpenedStep, sample: Sample, looked: Looked, asked: Asked, moment: Moment | None
    ) -> None:
        self.run, self.step, self.sample, self.looked, self.moment = run, step, sample, looked, moment
        self._asked = asked
        # what cannot be shown is refused at once
        _sections = self.sections

    def number(self, address: str) -> Number:
        """The number of an address such as "0.dense.dW[2,3]": its `value`, and its `expression()`.

        Raises  RecipeError or UnknownName, saying what would fit
        """
        return number_at(self.step, address)

    def open(self, *addresses: str) -> Explanation:
        """The same step, told as these numbers."""
        return self._looking(replace(self.looked, layer=None, unit=None, opened=addresses))

    def layer(self, layer: str | int, unit: int | Index | None = None) -> Explanation:
        """The same step, told as one layer, or as one unit of it."""
        place = (unit,) if isinstance(unit, int) else unit
        return self._looking(replace(self.looked, layer=str(layer), unit=place, opened=()))

    def _looking(self, looked: Looked) -> Explanation:
        return Explanation(self.run, self.step, self.sample, looked, self._asked, self.moment)

    def forward(self, by: By = "batch") -> Explanation:
        """The next row of the batch, the first row of the next batch, or the same step of the next epoch.

        Raises  RunError at the end of the training, and for weights that are at no step of it
        """
        return self._moved(by, 1)

    def back(self, by: By = "batch") -> Explanation:
        """The row, the batch or the epoch before.

        Raises  as `forward`
        """
        return self._moved(by, -1)

    def _moved(self, by: By, way: int) -> Explanation:
        if self.moment is None or self._asked.values is not None:
            expected, mend = _("a step of the training"), _("name one with its epoch and step")
            raise RunError(problem("explain", expected, _("a row of its own"), mend))
        place = self.neighbour(by, way)
        if place is None:
            side = _("the last one") if way > 0 else _("the first one")
            raise RunError(problem("explain", _("a step of the training"), _("one beyond {end}").format(end=side)))
        return self._asked.in_training(*place, self.looked)

    def neighbour(self, by: By, way: int) -> tuple[int, int, int] | None:
        """Epoch, step and place in the batch of the row, the batch or the epoch before (-1) or behind (1); None where
        there is none."""
        moment, asked = self.moment, self._asked
        if moment is None or asked.values is not None:
            return None
        epoch, step, row = moment.epoch, moment.step, 0
        if by == "epoch":
            epoch += way
        elif by == "sample" and 0 <= self.step.row + way < self.step.n_rows:
            row = self.step.row + way
        else:
            step += way
            if not 1 <= step <= moment.n_steps:
                epoch, step = epoch + way, 1 if way > 0 else moment.n_steps
            row = asked.walk.batch_rows(step) - 1 if by == "sample" and way < 0 else 0
        return (epoch, step, row) if 1 <= epoch <= asked.walk.n_epochs else None

    # ------------------------------------------------------------------------------------------------- the telling

    @property
    def _digits(self) -> int | None:
        if self.looked.digits is not None:
            return self.looked.digits or None
        return None if self.looked.opened or self.looked.unit is not None else DIGITS

    @cached_property
    def _view(self) -> View | None:
        return None if self.looked.layer is None else view_at(self.step, self.looked.layer)

    @cached_property
    def sections(self) -> list[Section]:
        """What is told, part by part."""
        if self.looked.opened:
            return [of_number(self.step, self.number(name), self._digits) for name in self.looked.opened]
        view = self._view
        if view is None:
            activated = self.run.network.ends_in_probability
            answer = answer_of(self.step, self.run.target, activated)
            return list(overview(self.step, self.sample, self.run.target.labels, answer, self._digits))
        if self.looked.unit is None:
            return list(of_layer(view, self._digits))
        check_index(f"{view.path}.y", self.looked.unit, view.out_shape)
        return list(of_unit(view, self.looked.unit, self._digits))

    @property
    def title(self) -> str:
        """Where in the training it is, in a few words."""
        if self.moment is None:
            return _("{name}: one row under the weights of the run").format(name=self.run.dataset_name)
        return _("{name}: update {update} of the training").format(
            name=self.run.dataset_name, update=format_count(self.moment.update)
        )

    def head(self) -> list[str]:
        """The title, and how the step was come by."""
        lines = [self.title]
        row = _("row {n} of the data").format(n=self.sample.number) if self.sample.number is not None else _("one row")
        if self.moment is None:
            text = _("{row}; the weights kept, of epoch {epoch}; nothing dropped, running statistics, as in predict")
            if self.run.stop.is_mean:
                text = _("{row}; the mean of the weights up to epoch {epoch}; nothing dropped, running statistics")
            lines.append(text.format(row=row, epoch=self.run.stop.best_epoch))
            if self.step.has_target:
                lines.append(_("the update is what this row alone would do to them, with a fresh optimizer"))
        else:
            lines += self._told_moment(row)
        if self.run.engine != "numpy":
            text = _("trained by the engine {name}, opened by numpy, the reference: they agree to rounding")
            lines.append(text.format(name=self.run.engine))
        return lines

    def _told_moment(self, row: str) -> list[str]:
        moment = self.moment
        assert moment is not None
        place = _("epoch {epoch}, step {step} of {n}").format(epoch=moment.epoch, step=moment.step, n=moment.n_steps)
        if self._asked.values is not None:
            place = _("{place}; the weights and the optimizer before it, on a row of its own").format(place=place)
        else:
            text = _("{place}; {row}, at place {sample} of a batch of {n}")
            place = text.format(place=place, row=row, sample=self.step.row, n=self.step.n_rows)
        start = _("walked again from the start of the training")
        if moment.start:
            start = _("walked again from the state kept after epoch {epoch}").format(epoch=moment.start)
        elif moment.epoch == 1:
            start += _("; its first epoch came out as in the run")
        else:
            start += _("; the epochs on the way came out as in the run")
        return [place, start]

    def foot(self) -> list[str]:
        """Whether what is shown adds up."""
        numbers = [number for section in self.sections for number in section.numbers]
        proofs = [proof for proof in map(prove, numbers) if proof is not None]
        if not proofs:
            return []
        worst = max((p.gap / p.allowed if p.allowed else float(p.gap > 0)) for p in proofs)
        text = ngettext(
            "{n} number was recomputed from the numbers it is made of: it differs by at most {share} of what rounding "
            "allows.",
            "{n} numbers were recomputed from the numbers they are made of: they differ by at most {share} of what "
            "rounding allows.",
            len(proofs),
        )
        return [text.format(n=format_count(len(proofs)), share=show_value(worst, None, 2))]

    def text(self, width: int | None = None) -> str:
        """All of it as plain text."""
        columns = width or (shutil.get_terminal_size((WIDTH, 24)).columns if "COLUMNS" in os.environ else WIDTH)
        return as_text(self.head(), self.sections, self.foot(), columns)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Explanation {self.title}>"

    def _repr_html_(self) -> str:
        """All of it in a notebook, with MathML."""
        return "".join(map(paragraph, self.head())) + as_parts(self.sections) + "".join(map(paragraph, self.foot()))

    def html(self) -> str:
        """All of it as one offline page."""
        return as_page(self.title, self.head()[1:], self.sections, self.foot())

    def save(self, path: str | Path) -> Path:
        """Write the page.

        Raises  RunError when it cannot be written
        """
        return write_file(Path(path), self.html().encode())

    def to_dict(self) -> dict[str, Any]:
        """JSON: the arrays of the layers looked at, whole, and every number shown with its whole arithmetic."""
        views = [self._view] if self._view is not None else self.step.views
        moment = None
        if self.moment is not None:
            moment = {name: getattr(self.moment, name) for name in ("epoch", "step", "update", "n_steps")}
        row = self.step.row
        facts: dict[str, Any] = {
            "title": self.title,
            "head": self.head()[1:],
            "moment": moment,
            "sample": {"row": self.sample.number, "place": row, "cells": self.sample.cells, "truth": self.sample.truth},
            "input": _list(self.step.batch[row]),
            "output": _list(self.step.output[row]),
            "loss": None if self.step.trace is None else finite(self.step.trace.loss),
            "forward": {by: self.neighbour(by, 1) for by in WAYS},
            "back": {by: self.neighbour(by, -1) for by in WAYS},
            "rate": self.step.rate().value,
            "layers": [] if self.looked.opened else [_facts(view) for view in views],
        }
        shown = {number.name: as_json(number) for number in shown_numbers(self.sections) if number.name}
        return facts | {"numbers": shown, "foot": self.foot()}


def _facts(view: View) -> dict[str, Any]:
    """The arrays of a layer, for the row that is followed."""
    row, step = view.step.row, view.step
    facts: dict[str, Any] = {"path": view.path, "type": view.layer.label, "output": _list(view.went[row])}
    if not step.has_target:
        return facts | {"weights": {key: _list(array) for key, array in view.params.items()}}
    assert step.trace is not None
    weights = {}
    for key, array in view.params.items():
        name = f"{view.path}.{key}"
        weights[key] = {"before": _list(array), "slope": _list(step.gradients[name]), "used": _list(step.used[name])}
        for slot in step.optimizer.slots:
            weights[key][slot] = _list(step.state_before(slot, name))
            weights[key][f"{slot} after"] = _list(step.trace.state[f"{slot}/{name}"])
        weights[key] |= {"change": _list(step.updates[name]), "after": _list(step.after[name])}
    assert view.came_back is not None
    return facts | {"slope": _list(view.came_back[row]), "weights": weights}


def _list(array: np.ndarray) -> Any:
    """An array as JSON, with null where a number is not finite."""
    held = np.asarray(array).astype(object)
    held[~np.isfinite(np.asarray(array))] = None
    return held.tolist()
