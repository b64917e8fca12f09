"""The figures of a run: `run.figures.loss()` is shown in a notebook, `.save("loss.png")` writes it.

Each figure is a `Picture`: a title, one line on how to read it, the table behind it, and the drawing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from limpide.data.images import from_png_base64
from limpide.errors import RunError, problem
from limpide.evaluation import MAIN_METRIC, Evaluation
from limpide.figures import classification, comparison, data, learning, regression
from limpide.figures.picture import Picture as Picture
from limpide.figures.picture import Table as Table
from limpide.i18n import _

if TYPE_CHECKING:
    from limpide.runs import Run

Part = Literal["train", "validation", "test"]


class Figures:
    """Every figure a run can show."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def loss(self, running: bool = False) -> Picture:
        """The loss on training and validation rows at the end of each epoch.

        running  with the running average of the batches, under its own name
        """
        return learning.loss(self.run, running)

    def metrics(self, name: str | None = None) -> Picture:
        """A metric on training and validation rows at the end of each epoch; None: the main one of the task."""
        return learning.metrics(self.run, name or MAIN_METRIC[self.run.task])

    def baselines(self, name: str | None = None) -> Picture:
        """A metric of the network beside the baselines, with intervals; None: the main one of the task."""
        self._needs(bool(self.run.baselines), "baselines", _("a run with baselines"), _("train with baselines"))
        return comparison.baselines(self._evaluation("test"), self.run.baselines, name or MAIN_METRIC[self.run.task])

    def confusion(self, part: Part = "test") -> Picture:
        """How often each true class was answered with each class."""
        self._needs_classes("confusion")
        return classification.confusion(self._evaluation(part))

    def calibration(self, part: Part = "test") -> Picture:
        """How often the answers of each confidence were right."""
        self._needs_classes("calibration")
        return classification.calibration(self._evaluation(part))

    def roc(self, part: Part = "test") -> Picture:
        """The share of each class that is found against the false alarms."""
        self._needs_classes("roc")
        return classification.roc(self._evaluation(part))

    def prediction_vs_truth(self, against: Literal["truth", "row"] = "truth", large: float | None = None) -> Picture:
        """Truth, prediction, and an arrow where the error is large.

        against  what lies along the picture: the true value, or the rows one after the other
        large    the error from which an arrow is drawn, in the target's unit; None: twice the root mean square error
        """
        self._needs_numbers("prediction_vs_truth")
        truth, outputs = (np.asarray(rows, float).ravel() for rows in (self.run.test_truth, self.run.test_outputs))
        return regression.prediction_vs_truth(truth, outputs, self.run.test_rows, self.run.target.name, against, large)

    def residuals(self, part: Part = "test") -> Picture:
        """How many predictions miss by how much, and which way."""
        self._needs_numbers("residuals")
        return regression.residuals(self._evaluation(part), self.run.target.name)

    def class_balance(self) -> Picture:
        """How many examples each class has."""
        self._needs_classes("class_balance")
        return data.class_balance(self.run.class_counts)

    def columns(self) -> Picture:
        """The distribution of each column."""
        self._needs(bool(self.run.columns), "columns", _("a run on a table"), _("use examples()"))
        return data.columns(self.run.columns)

    def samples(self) -> Picture:
        """A training image of each class."""
        self._needs(bool(self.run.image_samples), "samples", _("a run on images"), _("use columns()"))
        labels, pictures = zip(*self.run.image_samples)
        return data.samples([from_png_base64(png) for png in pictures], labels)

    def means(self) -> Picture:
        """The mean training image of each class."""
        self._needs(bool(self.run.image_means), "means", _("a run on images"), _("use columns()"))
        labels, pictures = zip(*self.run.image_means)
        return data.means([from_png_base64(png) for png in pictures], labels)

    def examples(self) -> Picture:
        """The pictures the network was most wrong about."""
        pictures = [example for example in self.run.examples if example.png]
        self._needs(bool(pictures), "examples", _("a run on images"), _("read run.examples for the rows of a table"))
        return data.examples(pictures)

    def names(self) -> tuple[str, ...]:
        """The figures that this run has, in the order of the report."""
        classes = self.run.task != "regression"
        have: dict[str, bool] = {
            "class_balance": classes and bool(self.run.class_counts),
            "columns": bool(self.run.columns),
            "samples": bool(self.run.image_samples),
            "means": bool(self.run.image_means),
            "loss": bool(self.run.history),
            "metrics": bool(self.run.history),
            "baselines": bool(self.run.baselines),
            "confusion": classes,
            "prediction_vs_truth": not classes,
            "residuals": not classes,
            "calibration": classes,
            "roc": classes,
            "examples": any(example.png for example in self.run.examples),
        }
        return tuple(name for name, there in have.items() if there)

    def _repr_html_(self) -> str:
        pictures: list[Callable[[], Picture]] = [getattr(self, name) for name in self.names()]
        return "".join(picture()._repr_html_() for picture in pictures)

    def _evaluation(self, part: Part) -> Evaluation:
        parts = self.run.evaluations
        self._needs(
            part in parts, "figures", _('an evaluation of the "{part}" rows').format(part=part), ", ".join(parts)
        )
        return parts[part]

    def _needs_classes(self, figure: str) -> None:
        self._needs(self.run.task != "regression", figure, _("a run that predicts classes"), _("use residuals()"))

    def _needs_numbers(self, figure: str) -> None:
        self._needs(self.run.task == "regression", figure, _("a run that predicts numbers"), _("use confusion()"))

    def _needs(self, there: bool, figure: str, expected: str, mend: str) -> None:
        if not there:
            raise RunError(problem(f"figures.{figure}", expected, self.run.task, mend))
