"""Initializers: what the weights are at birth, one row each.

A weight array is drawn from its fans: `fan_in` numbers enter each unit, `fan_out` leave. Unless a row says otherwise
the biases start at zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from limpide.arrays import Shape
from limpide.catalogue import Catalogue
from limpide.errors import RecipeError, problem
from limpide.i18n import N_, _

Draw = Callable[[np.random.Generator, Shape, int, int, float], np.ndarray]


def _no_bias(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int, scale: float) -> np.ndarray:
    return np.zeros(shape)


@dataclass(frozen=True)
class Initializer:
    """A way to draw the weights and biases of a layer.

    weights  (rng, shape, fan_in, fan_out, scale) -> float64 array
    biases   the same, for the biases
    scale    the number after the name where none is said; None for rows that take none: `normal 0.01`, `pytorch 0.5`
    """

    name: str
    formula: str
    weights: Draw
    source: str
    biases: Draw = _no_bias
    scale: float | None = None


INITIALIZERS: Catalogue[Initializer] = Catalogue(N_("initializer"))


def _uniform_fan_in(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int, scale: float) -> np.ndarray:
    bound = scale / np.sqrt(fan_in)
    return rng.uniform(-bound, bound, shape)


def _xavier_uniform(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int, scale: float) -> np.ndarray:
    bound = np.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, shape)


def _he_uniform(rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int, scale: float) -> np.ndarray:
    bound = np.sqrt(6 / fan_in)
    return rng.uniform(-bound, bound, shape)


INITIALIZERS.add(
    Initializer(
        "pytorch",
        N_("weights and biases uniform on ±s/√fan_in, s given after the name (1)"),
        _uniform_fan_in,
        "PyTorch's Linear and Conv2d; LeCun, Bottou, Orr & Müller 1998",
        biases=_uniform_fan_in,
        scale=1.0,
    )
)
INITIALIZERS.add(
    Initializer("xavier", N_("uniform on ±√(6 / (fan_in + fan_out))"), _xavier_uniform, "Glorot & Bengio 2010, eq. 16")
)
INITIALIZERS.add(
    Initializer(
        "xavier_normal",
        N_("normal, variance 2 / (fan_in + fan_out)"),
        lambda rng, shape, fan_in, fan_out, scale: rng.normal(0, np.sqrt(2 / (fan_in + fan_out)), shape),
        "Glorot & Bengio 2010, eq. 12",
    )
)
INITIALIZERS.add(
    Initializer(
        "he",
        N_("normal, variance 2 / fan_in"),
        lambda rng, shape, fan_in, fan_out, scale: rng.normal(0, np.sqrt(2 / fan_in), shape),
        "He, Zhang, Ren & Sun 2015, eq. 10",
    )
)
INITIALIZERS.add(
    Initializer("he_uniform", N_("uniform on ±√(6 / fan_in)"), _he_uniform, "He, Zhang, Ren & Sun 2015, eq. 10")
)
INITIALIZERS.add(
    Initializer(
        "normal",
        N_("normal, standard deviation given after the name (0.01)"),
        lambda rng, shape, fan_in, fan_out, scale: rng.normal(0, scale, shape),
        "Krizhevsky, Sutskever & Hinton 2012",
        scale=0.01,
    )
)
INITIALIZERS.add(
    Initializer(
        "zeros",
        N_("0: units of a layer stay equal for ever"),
        _no_bias,
        "a teaching example: symmetry is never broken",
    )
)
INITIALIZERS.alias("glorot", "xavier")
INITIALIZERS.alias("kaiming", "he")


def parse_initializer(text: str) -> tuple[Initializer, float]:
    """The row and the scale of "he", "normal 0.01" or "pytorch 0.5".

    Raises  UnknownName, or RecipeError where the number is not one or has no place
    """
    name, *rest = text.split() or [""]
    row = INITIALIZERS[name]
    if not rest:
        return row, row.scale or 0.0
    if row.scale is None or len(rest) > 1:
        mend = _("only pytorch and normal take a number")
        raise RecipeError(problem(_("initializer"), f'"{name}"', repr(text), mend))
    try:
        scale = float(rest[0])
    except ValueError:
        scale = -1.0
    if not 0 <= scale < float("inf"):
        raise RecipeError(problem(_("initializer"), _("a number of 0 or more"), repr(rest[0])))
    return row, scale
