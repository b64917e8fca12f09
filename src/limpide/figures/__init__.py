"""The figures of a run: `run.figures.loss()` is shown in a notebook, `.save("loss.png")` writes it.

Each figure is a `Picture`: a title, one line on how to read it, the table behind it, and the drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from limpide.data.images import from_png_base64
from limpide.data.rows import Part
from limpide.errors import RunError, UnknownName, problem
from limpide.evaluation import MAIN_METRIC, Evaluation
from limpide.figures import (
    answers,
    classification,
    comparison,
    data,
    descent,
    functions,
    gradients,
    inside,
    landscape,
    learning,
    normalisation,
    regression,
    relations,
)
from limpide.figures.catalogue import FIGURES as FIGURES
from limpide.figures.catalogue import Needs
from limpide.figures.picture import Picture as Picture
from limpide.figures.picture import Table as Table
from limpide.figures.shades import View
from limpide.figures.tables import Rows
from limpide.i18n import _

if TYPE_CHECKING:
    from limpide.reopening import Reopened
    from limpide.runs import Run


class Figures:
    """Every figure a run can show: `names()` says which.

    source  the data of the run, where its recipe cannot name them: a frame
    watch   called with the epoch done and how many there are, while the training is made again
    """

    def __init__(self, run: Run, source: Any = None, watch: Callable[[int, int], None] | None = None) -> None:
        self.run, self.source, self.watch = run, source, watch

    def of(self, source: Any) -> Figures:
        """The same figures, the data given anew: `run.figures.of(frame).landscape()`."""
        return Figures(self.run, source, self.watch)

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
        self._check("baselines")
        return comparison.baselines(self._evaluation("test"), self.run.baselines, name or MAIN_METRIC[self.run.task])

    def confusion(self, part: Part = "test") -> Picture:
        """How often each true class was answered with each class."""
        self._check("confusion")
        return classification.confusion(self._evaluation(part))

    def calibration(self, part: Part = "test") -> Picture:
        """How often the answers of each confidence were right."""
        self._check("calibration")
        return classification.calibration(self._evaluation(part))

    def roc(self, part: Part = "test") -> Picture:
        """The share of each class that is found against the false alarms."""
        self._check("roc")
        return classification.roc(self._evaluation(part))

    def prediction_vs_truth(self, against: Literal["truth", "row"] = "truth", large: float | None = None) -> Picture:
        """Truth, prediction, and an arrow where the error is large.

        against  what lies along the picture: the true value, or the rows one after the other
        large    the error from which an arrow is drawn, in the target's unit; None: twice the root mean square error
        """
        self._check("prediction_vs_truth")
        truth, outputs = (np.asarray(rows, float).ravel() for rows in (self.run.test_truth, self.run.test_outputs))
        return regression.prediction_vs_truth(truth, outputs, self.run.test_rows, self.run.target.name, against, large)

    def residuals(self, part: Part = "test") -> Picture:
        """How many predictions miss by how much, and which way."""
        self._check("residuals")
        return regression.residuals(self._evaluation(part), self.run.target.name)

    def class_balance(self) -> Picture:
        """How many examples each class has."""
        self._check("class_balance")
        return data.class_balance(self.run.class_counts)

    def columns(self) -> Picture:
        """The distribution of each column."""
        self._check("columns")
        return data.columns(self.run.columns)

    def samples(self) -> Picture:
        """A training image of each class."""
        self._check("samples")
        labels, pictures = zip(*self.run.image_samples)
        return data.samples([from_png_base64(png) for png in pictures], labels)

    def means(self) -> Picture:
        """The mean training image of each class."""
        self._check("means")
        labels, pictures = zip(*self.run.image_means)
        return data.means([from_png_base64(png) for png in pictures], labels)

    def examples(self) -> Picture:
        """The pictures the network was most wrong about."""
        self._check("examples")
        return data.examples([example for example in self.run.examples if example.png])

    def activations(self, names: str | Sequence[str] | None = None) -> Picture:
        """Activation functions with their derivatives.

        names   those of the catalogue, or "all"; None takes those of the network, with the slopes it has learned
        Raises  UnknownName  for one that does not exist
        """
        used = functions.used_in(self.run.network, self.run.weights)
        return functions.activations(functions.named(names) if names is not None else used or functions.named("all"))

    def weights(self, layer: str | None = None) -> Picture:
        """The weights of a dense layer, a square for each; None: the first one.

        layer  its path, such as "2.dense", or its index
        """
        self._check("weights")
        return inside.weights(self.run, layer)

    def weight_histograms(self) -> Picture:
        """How the weights of each layer are spread."""
        self._check("weight_histograms")
        return inside.weight_histograms(self.run)

    def kernels(self, layer: str | None = None) -> Picture:
        """What each unit looks for in an image: the kernels of a convolution, or the weights from pixels to units.

        layer  its path, such as "0.conv", or its index; None: the first one
        """
        self._check("kernels")
        return inside.kernels(self.run, layer)

    def feature_maps(self, image: Any = None, row: int | None = None, layer: str | None = None) -> Picture:
        """The maps that one image makes in a layer, and the gradient of the answer's score for each.

        image   anything `predict` takes, its first image; None takes a row of the run's data
        row     which one; None: the first of the validation rows
        layer   its path or its index; None: the first activation behind a convolution
        Raises  RunError  when there is no such row
        """
        self._check("feature_maps")
        if image is not None:
            read = self.run.read(image)
            first = np.asarray(read.inputs[:1])
            return inside.feature_maps(self.run, first, read.names[0] if read.names else read.name, layer)
        inputs = self._opened.job.dataset.inputs
        row = int(self._opened.job.split.validation[0]) if row is None else row
        if not 0 <= row < len(inputs):
            expected = _("a row from 0 to {last}").format(last=len(inputs) - 1)
            raise RunError(problem("figures.feature_maps, row", expected, str(row)))
        name = _("row {n} of {data}").format(n=row, data=self.run.dataset_name)
        return inside.feature_maps(self.run, np.asarray(inputs[row : row + 1]), name, layer)

    def histograms(self, columns: str | Sequence[str] | None = None) -> Picture:
        """How the values of each column are spread, by class where there are classes; None: the first twelve."""
        self._check("histograms")
        return relations.histograms(self._rows, relations.named_columns(self._rows, "figures.histograms", columns))

    def target_by_feature(self, columns: str | Sequence[str] | None = None) -> Picture:
        """The target against each column; None: the first twelve."""
        self._check("target_by_feature")
        named = relations.named_columns(self._rows, "figures.target_by_feature", columns)
        return relations.target_by_feature(self._rows, named)

    def correlations(self) -> Picture:
        """How strongly each two columns of numbers go together."""
        self._check("correlations")
        return relations.correlations(self._rows)

    def boundary(self, x: str | None = None, y: str | None = None) -> Picture:
        """The class answered all over the plane of two columns, the others held at an ordinary value.

        x, y    columns of numbers; None: those that the answers depend on most
        Raises  UnknownName  for a column that does not exist; RunError  for one without numbers
        """
        self._check("boundary")
        return answers.boundary(self._rows, answers.chosen_columns(self._rows, "figures.boundary", x, y))

    def surface(self, x: str | None = None, y: str | None = None, view: View = "contour") -> Picture:
        """The prediction all over the plane of two columns, the others held at an ordinary value; as `boundary`.

        view  "contour" for level lines, "surface" seen from the side
        """
        self._check("surface")
        _one_of("figures.surface, view", view, View)
        return answers.surface(self._rows, answers.chosen_columns(self._rows, "figures.surface", x, y), view)

    def normalisation(self, x: str | None = None, y: str | None = None) -> Picture:
        """The error surface of a linear unit on two columns, before and after scaling; x and y as for `boundary`."""
        self._check("normalisation")
        chosen = answers.chosen_columns(self._rows, "figures.normalisation", x, y)
        return normalisation.normalisation(self._rows, chosen)

    def descent(
        self, on: Literal["weights", "ravine", "rosenbrock"] = "weights", weights: str | Sequence[str] | None = None
    ) -> Picture:
        """The paths of SGD, momentum and Adam from the same start.

        on       two weights of the run, or a surface whose form is known
        weights  two of the run's, such as "0.dense.W[0,1] 0.dense.W[2,1]"; None: the two largest of the last layer
        Raises   UnknownName or RunError  for what is no weight of the run
        """
        if on != "weights":
            return descent.on_a_surface(on)
        return descent.on_two_weights(self._opened, weights.split() if isinstance(weights, str) else weights)

    def landscape(self, view: View = "contour") -> Picture:
        """The loss around the run, along two random directions in which each filter is as long as the run's own.

        view  "contour" for level lines, "surface" seen from the side
        """
        _one_of("figures.landscape, view", view, View)
        return landscape.landscape(self._opened, view, "random")

    def path(self, view: View = "contour") -> Picture:
        """The loss on the plane along which the training moved most, and its path there; the training is made again."""
        _one_of("figures.path, view", view, View)
        return landscape.landscape(self._opened, view, "path")

    def gradients(self) -> Picture:
        """The norm of the gradient of each layer, epoch by epoch; the training is made again."""
        return gradients.gradient_norms(self._opened)

    def names(self, needs: Needs = "run") -> tuple[str, ...]:
        """The figures that this run has, in the order of the report.

        needs  what they are drawn from: the run alone, its data read again, or its training made again
        """
        return tuple(name for name, kind in FIGURES.items() if kind.needs == needs and kind.fits(self.run))

    def _repr_html_(self) -> str:
        pictures: list[Callable[[], Picture]] = [getattr(self, name) for name in self.names()]
        return "".join(picture()._repr_html_() for picture in pictures)

    @cached_property
    def _opened(self) -> Reopened:
        # what opens a run again stands above figures, and is loaded by those that ask for it alone
        from limpide.reopening import reopen

        return reopen(self.run, self.source, self.watch)

    @cached_property
    def _rows(self) -> Rows:
        return Rows.of(self._opened)

    def _evaluation(self, part: Part) -> Evaluation:
        """The measures of a part; UnknownName where it was not measured."""
        parts = self.run.evaluations
        if part not in parts:
            raise UnknownName("part", part, parts)
        return parts[part]

    def _check(self, name: str) -> None:
        """RunError when the run does not have this figure."""
        kind = FIGURES[name]
        if not kind.fits(self.run):
            mend = _(kind.mend) if kind.mend else ""
            raise RunError(problem(f"figures.{name}", _(kind.expected), self.run.task, mend))


def _one_of(where: str, word: str, words: Any) -> None:
    """UnknownName for a word that is none of a Literal."""
    if word not in get_args(words):
        raise UnknownName(where, word, get_args(words))
