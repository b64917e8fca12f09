"""The data sets that come with limpide: real ones of scikit-learn, and ones that are drawn."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from limpide.catalogue import Catalogue
from limpide.data import generators
from limpide.data.dataset import Column, Dataset, Note
from limpide.data.mnist import DIGITS, FASHION, N_ROWS, read_family
from limpide.errors import DataError, UnknownName, problem
from limpide.i18n import N_, _, format_count, format_number

Content = tuple[dict[str, np.ndarray] | np.ndarray, np.ndarray]
"""Columns by name or images, then the target: numbers, or words (whole numbers become words) for classes."""

YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True)
class Option:
    """A choice that a drawn data set leaves, written `name?option=value`.

    default  its type is the type of the option
    least, most  the bounds of a number, both allowed
    choices  the words allowed; empty when any number within the bounds is
    """

    name: str
    default: int | float | str | bool
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()

    def read(self, where: str, given: Any) -> Any:
        """The value of what was given, a text or a value.

        Raises  DataError   when it is of another type or out of bounds
        """
        where = f"{where}, {self.name}"
        if isinstance(self.default, bool):
            if str(given).lower() not in YES_NO:
                raise DataError(problem(where, _("yes or no"), repr(given)))
            return YES_NO[str(given).lower()]
        if isinstance(self.default, str):
            if given not in self.choices:
                raise UnknownName(where, str(given), self.choices)
            return given
        whole = isinstance(self.default, int)
        try:
            value = float(given)
        except (TypeError, ValueError):
            value = math.nan
        if not self.least <= value <= self.most or (whole and value != int(value)):
            expected = _("a whole number from {least} to {most}") if whole else _("a number from {least} to {most}")
            show = (lambda bound: format_count(int(bound))) if whole else format_number
            raise DataError(problem(where, expected.format(least=show(self.least), most=show(self.most)), repr(given)))
        return int(value) if whole else value


@dataclass(frozen=True)
class Builtin:
    """A data set by name.

    draw           takes the options by name, gives the content
    suggested      recipe keys that the data themselves call for: a split its source fixed
    caution        what a reader should know before believing a figure
    as_documented  recipe keys and values that redo what the source documents did with it
    systems        the numbers of those systems
    is_fetched     its files come over the network the first time, unless `LIMPIDE_DATA` has them
    sha256         of its content where that is known, so that no other files pass under its name
    weights        the weights the document starts from, drawn after its data; biases are 0
    """

    name: str
    title: str
    draw: Callable[..., Content]
    target: str
    options: tuple[Option, ...] = ()
    suggested: Mapping[str, Any] = field(default_factory=dict)
    caution: str = ""
    as_documented: Mapping[str, Any] = field(default_factory=dict)
    systems: tuple[int, ...] = ()
    is_fetched: bool = False
    sha256: str = ""
    weights: Callable[[], tuple[np.ndarray, ...]] | None = None

    def open(self, given: Mapping[str, Any] | None = None) -> Dataset:
        """The data set under these options.

        >>> BUILTIN["calculator"].open({"maximum": 9, "operation": "multiply"}).source
        'calculator?maximum=9&operation=multiply'
        """
        values = self._read_options(given or {})
        inputs, target = self.draw(**values)
        changed = [
            f"{option.name}={_as_text(values[option.name])}"
            for option in self.options
            if given and option.name in given
        ]
        source = self.name + ("?" + "&".join(changed) if changed else "")
        notes = [Note("info", self.name, _(self.title))]
        if self.caution:
            notes.append(Note("warning", self.name, _(self.caution)))
        answers = pl.Series(self.target, target)
        if target.dtype.kind in "iU":
            answers = answers.cast(pl.String)
        digest = _digest(inputs, target)
        if self.sha256 and not changed and digest != self.sha256:
            where, got = _("data set {name}").format(name=self.name), _("other files under their names")
            mend = _("name their folder as the source, or remove them from LIMPIDE_DATA")
            raise DataError(problem(where, _("the files that its authors published"), got, mend))
        if isinstance(inputs, np.ndarray):
            return Dataset(self.name, source, inputs, answers, (), tuple(notes), digest, self.suggested)
        columns = tuple(Column(name, "number") for name in inputs)
        return Dataset(self.name, source, pl.DataFrame(inputs), answers, columns, tuple(notes), digest, self.suggested)

    def _read_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every option with its value; all that is wrong is told together."""
        known = {option.name: option for option in self.options}
        values = {option.name: option.default for option in self.options}
        where = _("data set {name}").format(name=self.name)
        problems: list[str] = []
        for name, value in given.items():
            try:
                if name not in known:
                    if not known:
                        raise DataError(problem(where, _("no option"), repr(name)))
                    raise UnknownName(where, name, known)
                values[name] = known[name].read(where, value)
            except (DataError, UnknownName) as error:
                problems.extend(error.problems)
        if problems:
            raise DataError(*problems)
        return values


def _as_text(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _digest(inputs: dict[str, np.ndarray] | np.ndarray, target: np.ndarray) -> str:
    digest = hashlib.sha256()
    for values in [inputs] if isinstance(inputs, np.ndarray) else inputs.values():
        digest.update(np.ascontiguousarray(values).data)
    digest.update("\n".join(map(str, target.tolist())).encode())
    return digest.hexdigest()


def _from_sklearn(load: str, names: tuple[str, ...] = (), **how: Any) -> Content:
    """A table of scikit-learn: its columns under plain names, its classes as words."""
    from sklearn import datasets

    bunch = getattr(datasets, load)(**how)
    columns = names or [re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_") for name in bunch.feature_names]
    target = bunch.target_names[bunch.target] if "target_names" in bunch else bunch.target.astype(np.float64)
    return {name: bunch.data[:, i] for i, name in enumerate(columns)}, target


def _digits() -> Content:
    """Images 1×8×8: the 17 levels 0..16 spread over 0..255, so that `rint(pixel 16 / 255)` gives them back."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None], bunch.target


def _diabetes() -> Content:
    """In the units of the clinic: scikit-learn's default columns are already centred and scaled with every row."""
    blood = ("total_cholesterol", "ldl", "hdl", "cholesterol_ratio", "log_triglycerides", "glucose")
    return _from_sklearn("load_diabetes", ("age", "sex", "bmi", "blood_pressure", *blood), scaled=False)


def _samples(default: int) -> Option:
    return Option("samples", default, 10, 5_000_000)


def _seed(default: int) -> Option:
    return Option("seed", default, 0, 2**32 - 1)


def _noise(default: float) -> Option:
    return Option("noise", default, 0, 100)


BUILTIN: Catalogue[Builtin] = Catalogue(N_("data set"))

BUILTIN.add(Builtin("digits", N_("1,797 handwritten digits of 8 × 8 grey pixels (UCI, 1998)"), _digits, "digit"))
BUILTIN.add(
    Builtin(
        "mnist",
        N_("70,000 handwritten digits of 28 × 28 grey pixels, the last 10,000 to test on (LeCun et al., 1998)"),
        lambda rows: read_family(DIGITS, rows),
        "digit",
        (Option("rows", N_ROWS, 70, N_ROWS),),
        suggested={"split.method": "ordered", "split.test": 1 / 7},
        systems=(48,),
        is_fetched=True,
        sha256="cf7305d98ca2b5095ffb61f9044458301c194c2c808e5a02f39374897fd54cab",
    )
)
BUILTIN.add(
    Builtin(
        "fashion-mnist",
        N_("70,000 articles of clothing of 28 × 28 grey pixels, the last 10,000 to test on (Xiao et al., 2017)"),
        lambda rows: read_family(FASHION, rows),
        "article",
        (Option("rows", N_ROWS, 70, N_ROWS),),
        suggested={"split.method": "ordered", "split.test": 1 / 7},
        is_fetched=True,
    )
)
BUILTIN.add(
    Builtin(
        "iris",
        N_("150 iris flowers of three species, measured in centimetres (Fisher, 1936)"),
        lambda: _from_sklearn("load_iris"),
        "species",
    )
)
BUILTIN.add(
    Builtin(
        "wine",
        N_("178 Italian wines of three growers, 13 chemical measures (UCI, 1991)"),
        lambda: _from_sklearn("load_wine"),
        "grower",
    )
)
BUILTIN.add(
    Builtin(
        "breast-cancer",
        N_("569 breast tumours, malignant or benign, 30 measures of cell nuclei (Wisconsin, 1995)"),
        lambda: _from_sklearn("load_breast_cancer"),
        "diagnosis",
    )
)
BUILTIN.add(
    Builtin(
        "diabetes",
        N_("442 patients: the progression of diabetes one year later, from 10 measures (Efron et al., 2004)"),
        _diabetes,
        "progression",
    )
)

_COSTS: dict[str, Any] = {
    "split.method": "ordered",
    "split.validation": 0.0,
    "split.test": 0.2,
    "preparation.standardise": False,
    "preparation.scale_target": False,
    "network.initializer": "pytorch",
    "loss.name": "mse",
    "optimizer.name": "adam",
    "seed": 42,
}
BUILTIN.add(
    Builtin(
        "production-costs",
        N_("the cost of products from material, hours and labour: linear, with noise of standard deviation 2"),
        generators.production_costs,
        "production_cost",
        (_samples(1000), _seed(42)),
        {"split.method": "ordered", "split.test": 0.2},
        as_documented=_COSTS
        | {
            "data.source": "production-costs",
            "network.layers": "64 relu, 32 relu, 1",
            "optimizer.rate": 0.01,
            "training.epochs": 50,
            "training.batch_size": 32,
        },
        systems=(1,),
    )
)
BUILTIN.add(
    Builtin(
        "production-costs-5000",
        N_("production-costs with 5,000 products"),
        generators.production_costs,
        "production_cost",
        (_samples(5000), _seed(42)),
        {"split.method": "ordered", "split.test": 0.2},
        as_documented=_COSTS
        | {
            "data.source": "production-costs-5000",
            "network.layers": "128 relu, 64 relu, 32 relu, 16 relu, 1",
            "optimizer.rate": 0.001,
            "training.epochs": 100,
            "training.batch_size": 64,
        },
        systems=(2,),
    )
)
BUILTIN.add(
    Builtin(
        "calculator",
        N_("pairs of whole numbers and their sum or product"),
        generators.calculator,
        "result",
        (
            _samples(10_000),
            Option("minimum", 0, -1_000_000, 1_000_000),
            Option("maximum", 100, 1, 1_000_000),
            Option("operation", "add", choices=("add", "multiply")),
            Option("scaled", False),
            _seed(42),
        ),
        caution=N_(
            "pairs come back when there are many rows: part of the test rows then stand in the training rows too"
        ),
        as_documented={
            "data.source": "calculator?scaled=yes",
            "split.method": "random",
            "split.validation": 0.2,
            "split.test": 0.0,
            "preparation.standardise": False,
            "preparation.scale_target": False,
            "network.layers": "16 relu, 16 relu, 16 relu, 1",
            "network.initializer": "pytorch",
            "loss.name": "mse",
            "optimizer.name": "sgd",
            "optimizer.rate": 0.1,
            "training.epochs": 10,
            "training.batch_size": 64,
            "seed": 42,
        },
        systems=(40, 41, 42, 43, 44),
    )
)

# The documents sum the gradient over the rows; on the mean loss that is a rate as many times larger as there are rows.
_WHOLE: dict[str, Any] = {
    "split.method": "ordered",
    "split.validation": 0.0,
    "split.test": 0.0,
    "network.initializer": "normal 0.01",
}
_CHANCE = N_("the classes are drawn apart from the inputs: there is nothing to learn, and any success is memory")
BUILTIN.add(
    Builtin(
        "random-classes",
        N_("100 rows of four normals with three classes drawn at random"),
        lambda seed: generators.random_classes(seed)[0],
        "class",
        (_seed(0),),
        caution=_CHANCE,
        as_documented=_WHOLE
        | {
            "data.source": "random-classes",
            "preparation.standardise": False,
            "network.layers": "5 relu, 4 relu, 3",
            "loss.name": "cross_entropy",
            "optimizer.name": "sgd",
            "optimizer.rate": 1.0,
            "training.epochs": 1000,
            "training.batch_size": 100,
        },
        systems=(55,),
        weights=lambda: generators.random_classes(0)[1],
    )
)
BUILTIN.add(
    Builtin(
        "random-labels",
        N_("100 points with two labels drawn at random"),
        lambda seed: generators.random_labels(seed)[0],
        "label",
        (_seed(0),),
        caution=_CHANCE,
        as_documented=_WHOLE
        | {
            "data.source": "random-labels",
            "preparation.standardise": True,
            "network.layers": "4 relu, 1 sigmoid",
            "loss.name": "binary_cross_entropy",
            "optimizer.name": "momentum",
            "optimizer.momentum": 0.9,
            "optimizer.rate": 0.5,
            "training.epochs": 1000,
            "training.batch_size": 100,
        },
        systems=(56,),
        weights=lambda: generators.random_labels(0)[1],
    )
)
BUILTIN.add(
    Builtin(
        "moons",
        N_("two half circles, one in the other's hollow"),
        generators.moons,
        "class",
        (_samples(1000), _noise(0.2), _seed(0)),
        as_documented=_WHOLE
        | {
            "data.source": "moons?samples=200",
            "preparation.standardise": True,
            "network.layers": "6 relu, 1 sigmoid",
            "loss.name": "binary_cross_entropy",
            "optimizer.name": "momentum",
            "optimizer.momentum": 0.9,
            "optimizer.rate": 1.0,
            "training.epochs": 2000,
            "training.batch_size": 200,
        },
        systems=(57,),
        weights=generators.moons_weights,
    )
)
BUILTIN.add(
    Builtin(
        "circles",
        N_("a circle inside another"),
        generators.circles,
        "class",
        (_samples(1000), _noise(0.1), Option("factor", 0.5, 0.0, 0.99), _seed(0)),
    )
)
BUILTIN.add(
    Builtin(
        "spirals",
        N_("arms that wind round one another"),
        generators.spirals,
        "class",
        (_samples(1000), Option("arms", 2, 2, 20), Option("turns", 1.5, 0.1, 10.0), _noise(0.02), _seed(0)),
    )
)
BUILTIN.add(
    Builtin(
        "xor",
        N_("points of a square, of one class where exactly one coordinate is positive"),
        generators.xor,
        "class",
        (_samples(1000), _noise(0.0), _seed(0)),
    )
)
BUILTIN.add(
    Builtin(
        "blobs",
        N_("round clouds around random centres"),
        generators.blobs,
        "class",
        (
            _samples(1000),
            Option("centers", 3, 2, 100),
            Option("features", 2, 1, 100),
            Option("spread", 1.0, 0.001, 100.0),
            _seed(0),
        ),
    )
)
BUILTIN.add(
    Builtin(
        "clouds",
        N_("two clouds of points; shifted, they cannot be separated without a bias"),
        generators.clouds,
        "class",
        (_samples(100), Option("shifted", False), _seed(0)),
        systems=(19,),
    )
)
BUILTIN.add(
    Builtin(
        "line",
        N_("a straight line with noise"),
        generators.line,
        "y",
        (_samples(256), _noise(0.5), _seed(0)),
        systems=(33,),
    )
)
BUILTIN.add(
    Builtin(
        "sine", N_("one period of a sine"), generators.sine, "y", (_samples(200), _noise(0.0), _seed(0)), systems=(21,)
    )
)
BUILTIN.add(
    Builtin(
        "two-scales",
        N_("two features of very different size, to see what standardising does"),
        generators.two_scales,
        "y",
        (_samples(1000), _seed(0)),
        systems=(53,),
    )
)
