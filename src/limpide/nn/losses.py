"""Losses: one row each, with formula, value, gradient and source.

`value` gives the loss of each example; the loss of a batch is their mean. `gradient` is d mean / d output, so it
already holds the 1/batch (and, where an example has several outputs, the 1/outputs of its own mean).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from limpide.arrays import Array
from limpide.catalogue import Catalogue
from limpide.i18n import N_
from limpide.nn.activations import sigmoid, softmax

Expects = Literal["values", "scores", "probabilities"]


@dataclass(frozen=True)
class Loss:
    """How far outputs are from targets.

    value     (output, target) -> loss of each example, (batch,)
    gradient  (output, target) -> d mean loss / d output, the shape of the output
    expects   what the network must put out: free values, raw scores, or probabilities
    labels    "values": targets shaped like the output; "binary": 0/1 of shape (batch, 1); "classes": ids (batch,)
    """

    name: str
    formula: str
    value: Callable[[Array, Array], Array]
    gradient: Callable[[Array, Array], Array]
    expects: Expects
    labels: Literal["values", "binary", "classes"]
    source: str

    def mean(self, output: Array, target: Array) -> float:
        """The loss of a batch."""
        value = self.value(output, target)
        return float(value.sum()) / len(value)


LOSSES: Catalogue[Loss] = Catalogue(N_("loss"))


def _per_example(elements: Array) -> Array:
    """The mean over the outputs of each example."""
    n = len(elements)
    return elements.reshape(n) if elements.size == n else elements.reshape(n, -1).mean(1)


LOSSES.add(
    Loss(
        "mse",
        N_("mean (ŷ - y)²"),
        value=lambda o, y: _per_example((o - y) ** 2),
        gradient=lambda o, y: (o - y) * (2 / o.size),
        expects="values",
        labels="values",
        source="Legendre 1805; PyTorch's MSELoss",
    )
)
LOSSES.add(
    Loss(
        "half_mse",
        N_("mean ½ (ŷ - y)²"),
        value=lambda o, y: _per_example((o - y) ** 2) * 0.5,
        gradient=lambda o, y: (o - y) * (1 / o.size),
        expects="values",
        labels="values",
        source="Rumelhart, Hinton & Williams 1986, eq. 3",
    )
)
LOSSES.add(
    Loss(
        "mae",
        N_("mean |ŷ - y|"),
        value=lambda o, y: _per_example(np.abs(o - y)),
        gradient=lambda o, y: np.sign(o - y) * (1 / o.size),
        expects="values",
        labels="values",
        source="Laplace 1774; PyTorch's L1Loss (0 where ŷ = y)",
    )
)


def _huber(o: Array, y: Array) -> Array:
    e = np.abs(o - y)
    inner = np.minimum(e, 1)
    return _per_example(inner * (e - 0.5 * inner))


LOSSES.add(
    Loss(
        "huber",
        N_("mean ½ e² if |e| ≤ 1, else |e| - ½, with e = ŷ - y"),
        value=_huber,
        gradient=lambda o, y: np.clip(o - y, -1, 1) * (1 / o.size),
        expects="values",
        labels="values",
        source="Huber 1964, threshold 1",
    )
)
LOSSES.add(
    Loss(
        "binary_cross_entropy_with_logits",
        N_("mean ln(1 + e^z) - y z"),
        value=lambda z, y: _per_example(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))),
        gradient=lambda z, y: (sigmoid(z) - y) * (1 / z.size),
        expects="scores",
        labels="binary",
        source="binary cross-entropy of σ(z), rearranged to be stable; PyTorch's BCEWithLogitsLoss",
    )
)


def _log(p: Array) -> Array:
    """ln p, but never below -100: a probability that rounds to 0 costs 100, as in PyTorch's BCELoss."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(p), -100)


def _inverse(p: Array) -> Array:
    """1/p, bounded where the float type has no smaller p."""
    return 1 / np.maximum(p, np.asarray(1e-12, p.dtype))


LOSSES.add(
    Loss(
        "binary_cross_entropy",
        N_("mean -(y ln p + (1 - y) ln(1 - p))"),
        value=lambda p, y: _per_example(-(y * _log(p) + (1 - y) * _log(1 - p))),
        gradient=lambda p, y: ((1 - y) * _inverse(1 - p) - y * _inverse(p)) * (1 / p.size),
        expects="probabilities",
        labels="binary",
        source="Good 1952; PyTorch's BCELoss",
    )
)


def _cross_entropy(z: Array, y: Array) -> Array:
    shifted = z - z.max(-1, keepdims=True)
    return np.log(np.exp(shifted).sum(-1)) - shifted[np.arange(len(y)), y]


def _cross_entropy_gradient(z: Array, y: Array) -> Array:
    dz = softmax(z)
    dz[np.arange(len(y)), y] -= 1
    dz *= 1 / len(y)
    return dz


LOSSES.add(
    Loss(
        "cross_entropy",
        N_("mean ln(Σ_k e^z_k) - z_y"),
        value=_cross_entropy,
        gradient=_cross_entropy_gradient,
        expects="scores",
        labels="classes",
        source="categorical cross-entropy of softmax(z), rearranged to be stable; PyTorch's CrossEntropyLoss",
    )
)


def _categorical_gradient(p: Array, y: Array) -> Array:
    dp = np.zeros_like(p)
    rows = np.arange(len(y))
    dp[rows, y] = -_inverse(p[rows, y]) * (1 / len(y))
    return dp


LOSSES.add(
    Loss(
        "categorical_cross_entropy",
        N_("mean -ln p_y"),
        value=lambda p, y: -_log(p[np.arange(len(y)), y]),
        gradient=_categorical_gradient,
        expects="probabilities",
        labels="classes",
        source="Good 1952; Keras' CategoricalCrossentropy on integer labels",
    )
)
