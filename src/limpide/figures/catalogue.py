"""Every figure of a run: what it shows, what it needs, which runs it fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from limpide.data.preparation import TablePreparation
from limpide.figures.inside import kernels_of, matrices
from limpide.i18n import N_

if TYPE_CHECKING:
    from limpide.runs import Run

Needs = Literal["run", "data", "training"]
"""What a figure is drawn from: the run alone, its data read again, or its training made again."""

NEEDS: dict[Needs, str] = {
    "run": N_("the run"),
    "data": N_("its data"),
    "training": N_("its training"),
}


class Figure(NamedTuple):
    """One figure.

    shows     in a line
    fits      whether a run has it
    expected  what run it takes
    mend      what to look at instead
    """

    shows: str
    needs: Needs
    fits: Callable[[Run], bool]
    expected: str = ""
    mend: str = ""


def _classes(run: Run) -> bool:
    return run.task != "regression"


def _numbers(run: Run) -> bool:
    return run.task == "regression"


def _table(run: Run) -> bool:
    return isinstance(run.preparation, TablePreparation)


def _numeric(run: Run) -> bool:
    return isinstance(run.preparation, TablePreparation) and any(t.kind == "number" for t in run.preparation.treatments)


def _numeric_pair(run: Run) -> bool:
    return isinstance(run.preparation, TablePreparation) and (
        sum(t.kind == "number" for t in run.preparation.treatments) > 1
    )


_TABLE, _IMAGES = N_("a run on a table"), N_("a run on images")
_CLASSES, _NUMBERS = N_("a run that predicts classes"), N_("a run that predicts numbers")
_NUMERIC, _PAIR = N_("a run on a table with a column of numbers"), N_("a run on a table with two columns of numbers")

FIGURES: dict[str, Figure] = {
    "class_balance": Figure(
        N_("how many examples each class has"), "run", lambda r: _classes(r) and bool(r.class_counts), _CLASSES
    ),
    "columns": Figure(
        N_("the distribution of each column"), "run", lambda r: bool(r.columns), _TABLE, N_("use examples()")
    ),
    "samples": Figure(
        N_("a training image of each class"), "run", lambda r: bool(r.image_samples), _IMAGES, N_("use columns()")
    ),
    "means": Figure(
        N_("the mean training image of each class"), "run", lambda r: bool(r.image_means), _IMAGES, N_("use columns()")
    ),
    "loss": Figure(N_("the loss at the end of each epoch"), "run", lambda r: bool(r.history)),
    "metrics": Figure(N_("a metric at the end of each epoch"), "run", lambda r: bool(r.history)),
    "baselines": Figure(
        N_("a metric of the network beside the baselines"),
        "run",
        lambda r: bool(r.baselines),
        N_("a run with baselines"),
        N_("train with baselines"),
    ),
    "confusion": Figure(
        N_("how often each class was answered with each class"), "run", _classes, _CLASSES, N_("use residuals()")
    ),
    "prediction_vs_truth": Figure(
        N_("truth, prediction, and an arrow where the error is large"), "run", _numbers, _NUMBERS, N_("use confusion()")
    ),
    "residuals": Figure(N_("how many predictions miss by how much"), "run", _numbers, _NUMBERS, N_("use confusion()")),
    "calibration": Figure(
        N_("how often the answers of each confidence were right"), "run", _classes, _CLASSES, N_("use residuals()")
    ),
    "roc": Figure(
        N_("the share of each class found against the false alarms"), "run", _classes, _CLASSES, N_("use residuals()")
    ),
    "examples": Figure(
        N_("the pictures the network was most wrong about"),
        "run",
        lambda r: any(example.png for example in r.examples),
        _IMAGES,
        N_("read run.examples for the rows of a table"),
    ),
    "activations": Figure(N_("activation functions and their derivatives"), "run", lambda r: True),
    "weights": Figure(
        N_("the weights of a dense layer, a square for each"),
        "run",
        lambda r: bool(matrices(r.network)),
        N_("a network with a dense layer"),
        N_("use kernels()"),
    ),
    "weight_histograms": Figure(
        N_("how the weights of each layer are spread"),
        "run",
        lambda r: any(len(slot.shape) > 1 for slot in r.network.slots),
        N_("a network with weights"),
    ),
    "kernels": Figure(
        N_("what each unit looks for in an image"),
        "run",
        lambda r: bool(kernels_of(r.network)),
        _IMAGES,
        N_("use weights()"),
    ),
    "feature_maps": Figure(
        N_("the maps that an image makes, and their gradients"),
        "data",
        lambda r: not _table(r),
        _IMAGES,
        N_("use weights()"),
    ),
    "histograms": Figure(N_("how each column is spread, by class"), "data", _table, _TABLE, N_("use samples()")),
    "target_by_feature": Figure(N_("the target against each column"), "data", _table, _TABLE, N_("use means()")),
    "correlations": Figure(N_("which columns go together"), "data", _numeric, _NUMERIC, N_("use target_by_feature()")),
    "boundary": Figure(
        N_("the class answered all over the plane of two columns"),
        "data",
        lambda r: _classes(r) and _numeric(r),
        N_("a run that predicts classes from a table with a column of numbers"),
        N_("use surface() or feature_maps()"),
    ),
    "surface": Figure(
        N_("the prediction all over the plane of two columns"),
        "data",
        lambda r: _numbers(r) and _numeric(r),
        N_("a run that predicts numbers from a table with a column of numbers"),
        N_("use boundary() or feature_maps()"),
    ),
    "normalisation": Figure(
        N_("the error surface of a linear unit before and after its inputs are scaled"),
        "data",
        _numeric_pair,
        _PAIR,
        N_("use descent()"),
    ),
    "descent": Figure(N_("the paths of SGD, momentum and Adam from the same start"), "data", lambda r: True),
    "landscape": Figure(N_("the loss around the run, as level lines or seen from the side"), "data", lambda r: True),
    "path": Figure(N_("the loss along the path of the training"), "training", lambda r: True),
    "gradients": Figure(N_("the gradient norm of each layer, epoch by epoch"), "training", lambda r: True),
}
