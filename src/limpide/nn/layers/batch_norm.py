"""Batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from limpide.arrays import Array, Shape, Tree
from limpide.i18n import format_count
from limpide.nn.layers.base import Count, Layer, Mode, Out, Weights, Words


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Each feature (of an image: each channel) to mean 0 and variance 1 over the batch, then times gamma plus beta.

        x̂ = (x - μ) / √(σ² + ε)        y = γ x̂ + β

    In training μ and σ² (population) are the batch's own, and move the running ones by `momentum`; the running
    variance takes the unbiased σ². In evaluation the running ones are used.

    Source  Ioffe & Szegedy 2015; PyTorch's defaults and conventions
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    keyword: ClassVar[str] = "batchnorm"

    def out_shape(self, in_shape: Shape, where: str) -> Shape:
        """The shape that came in."""
        return in_shape

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Weights:
        """gamma 1, beta 0; running mean 0 and variance 1."""
        n = in_shape[0]
        return Weights({"gamma": np.ones(n), "beta": np.zeros(n)}, {"mean": np.zeros(n), "variance": np.ones(n)})

    def forward(self, w: Weights, x: Array, mode: Mode) -> Out:
        """`y = γ (x - μ)/√(σ² + ε) + β`."""
        axes, along = _axes(x)
        buffers = w.buffers
        if mode.training:
            n = x.size // x.shape[1]
            mean = x.mean(axes)
            centred = x - along(mean)
            variance = (centred * centred).mean(axes)
            keep = 1 - self.momentum
            buffers = {
                "mean": keep * w.buffers["mean"] + self.momentum * mean,
                "variance": keep * w.buffers["variance"] + self.momentum * n / max(n - 1, 1) * variance,
            }
        else:
            mean, variance = w.buffers["mean"], w.buffers["variance"]
            centred = x - along(mean)
        inverse = 1 / np.sqrt(variance + self.epsilon)
        normal = centred * along(inverse)
        y = along(w.params["gamma"]) * normal + along(w.params["beta"])
        return Out(y, {"normal": normal, "inverse": inverse, "training": np.array(mode.training)}, buffers)

    def backward(self, w: Weights, cache: Tree, dy: Array, need_dx: bool = True) -> tuple[Array | None, Tree]:
        """The batch's mean and variance depend on x too: hence the two means taken off in training.

        dx = γ/√(σ²+ε) (dy - mean(dy) - x̂ mean(dy x̂))      dγ = sum of dy x̂      dβ = sum of dy

        Source  Ioffe & Szegedy 2015, section 3, rearranged
        """
        axes, along = _axes(dy)
        normal = cache["normal"]
        dgamma, dbeta = (dy * normal).sum(axes), dy.sum(axes)
        dx = dy
        if cache["training"]:
            n = dy.size // dy.shape[1]
            dx = dy - along(dbeta / n) - normal * along(dgamma / n)
        return dx * along(w.params["gamma"] * cache["inverse"]), {"gamma": dgamma, "beta": dbeta}

    def count(self, in_shape: Shape, factors: Shape) -> Count:
        """Two parameters for each feature or channel; one multiply-add for each number."""
        n, size = in_shape[0], prod(in_shape)
        product = "·".join(str(s) for s in in_shape)
        return Count(
            2 * n,
            f"2·{n} = {format_count(2 * n)}",
            size,
            f"{product} = {format_count(size)}" if len(in_shape) > 1 else format_count(size),
        )

    def specification(self, in_shape: Shape) -> str:
        """`momentum 0.1, ε 1e-05`."""
        return f"momentum {self.momentum:g}, ε {self.epsilon:g}"

    @classmethod
    def from_words(cls, words: list[str], where: str) -> BatchNorm:
        """`batchnorm`."""
        reader = Words(words, where)
        reader.skip()
        reader.end("batchnorm")
        return cls()

    def to_words(self) -> str:
        """`batchnorm`."""
        return "batchnorm"


def _axes(x: Array) -> tuple[tuple[int, ...], Callable[[Array], Array]]:
    """The axes averaged over, and how a per-feature vector is laid along the others."""
    behind = (1,) * (x.ndim - 2)
    return (0, *range(2, x.ndim)), lambda v: v.reshape(-1, *behind)


BatchNorm.examples = ((BatchNorm(), (4,)), (BatchNorm(momentum=0.3), (2, 3, 3)))
