"""Activation functions: one row each, with formula, value, derivative and source.

Every function takes the pre-activation `z` and its `slope` (used by the four rows that have one: below zero the line
goes down with it), keeps the dtype, and is finite for |z| up to 1e4 and far beyond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from limpide.arrays import Array
from limpide.catalogue import Catalogue
from limpide.i18n import N_

_SQRT_HALF = 0.7071067811865476
_SQRT_INVERSE_TAU = 0.3989422804014327


def _elementwise(row: ActivationFunction, dy: Array, z: Array, y: Array, slope: Array) -> Array:
    return dy * row.derivative(z, y, slope)


@dataclass(frozen=True)
class ActivationFunction:
    """A function applied after a layer's sum.

    formula     y as a function of z
    derivation  dy/dz in words of z, y and the slope a
    value       (z, slope) -> y
    derivative  (z, y, slope) -> dy/dz of each element; for softmax the Jacobian, (..., k, k)
    bounds      the range of y, as the literature writes it
    slope       the slope below zero at birth; None where the function has none
    learned     whether training changes the slope
    backward    (row, dy, z, y, slope) -> d loss / d z, given dy = d loss / d y
    """

    name: str
    formula: str
    derivation: str
    value: Callable[[Array, Array], Array]
    derivative: Callable[[Array, Array, Array], Array]
    bounds: str
    source: str
    slope: float | None = None
    learned: bool = False
    backward: Callable[[ActivationFunction, Array, Array, Array, Array], Array] = _elementwise


ACTIVATIONS: Catalogue[ActivationFunction] = Catalogue(N_("activation"))


def sigmoid(z: Array) -> Array:
    """1/(1 + e^-z) without overflow: the exponential is only ever taken of -|z|."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def softplus(z: Array) -> Array:
    """ln(1 + e^z) without overflow."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def softmax(z: Array) -> Array:
    """e^z_j / sum e^z_k over the last axis; the maximum is taken off first, which changes nothing but overflow."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def normal_cdf(z: Array) -> Array:
    """The probability that a standard normal draw is below z."""
    from scipy.special import erfc

    return 0.5 * erfc(-z * _SQRT_HALF)


def _normal_pdf(z: Array) -> Array:
    # beyond 40 the density is zero even in float64; the bound keeps z*z finite
    bounded = np.clip(z, -40, 40)
    return np.exp(-0.5 * bounded * bounded) * _SQRT_INVERSE_TAU


def _softmax_jacobian(z: Array, y: Array, slope: Array) -> Array:
    return y[..., :, None] * (np.eye(y.shape[-1], dtype=y.dtype) - y[..., None, :])


def _softmax_backward(row: ActivationFunction, dy: Array, z: Array, y: Array, slope: Array) -> Array:
    return y * (dy - (dy * y).sum(-1, keepdims=True))


def _silu_derivative(z: Array, y: Array, slope: Array) -> Array:
    s = sigmoid(z)
    return s * (1 + z * (1 - s))


ACTIVATIONS.add(
    ActivationFunction(
        "identity",
        "z",
        "1",
        value=lambda z, slope: z,
        derivative=lambda z, y, slope: np.ones_like(z),
        bounds="(-∞, ∞)",
        source="an affine layer alone",
    )
)
ACTIVATIONS.add(
    ActivationFunction(
        "step",
        N_("1 if z > 0, else 0"),
        "0",
        # a comparison alone would turn NaN into 0 and hide a divergence
        value=lambda z, slope: np.heaviside(z, 0),
        derivative=lambda z, y, slope: np.zeros_like(z),
        bounds="{0, 1}",
        source="McCulloch & Pitts 1943",
    )
)
ACTIVATIONS.add(
    ActivationFunction(
        "sigmoid",
        "1 / (1 + e^-z)",
        "y (1 - y)",
        value=lambda z, slope: sigmoid(z),
        derivative=lambda z, y, slope: y * (1 - y),
        bounds="(0, 1)",
        source="Verhulst 1838; Rumelhart, Hinton & Williams 1986",
    )
)
ACTIVATIONS.add(
    ActivationFunction(
        "tanh",
        "(e^z - e^-z) / (e^z + e^-z)",
        "1 - y²",
        value=lambda z, slope: np.tanh(z),
        derivative=lambda z, y, slope: 1 - y * y,
        bounds="(-1, 1)",
        source="LeCun, Bottou, Orr & Müller 1998, Efficient BackProp",
    )
)
ACTIVATIONS.add(
    ActivationFunction(
        "relu",
        "max(0, z)",
        N_("1 if z > 0, else 0"),
        value=lambda z, slope: np.maximum(z, 0),
        derivative=lambda z, y, slope: np.sign(y),
        bounds="[0, ∞)",
        source="Nair & Hinton 2010",
    )
)
ACTIVATIONS.add(
    ActivationFunction(
        "leaky_relu",
        N_("z if z > 0, else a z (a fixed)"),
        N_("1 if z > 0, else a"),
        value=lambda z, slope: np.where(z > 0, z, slope * z),
        derivative=lambda z, y, slope: np.where(z > 0, np.ones_like(z), slope).astype(z.dtype),
        bounds="(-∞, ∞)",
        source="Maas, Hannun & Ng 2013",
        slope=0.01,
    )
)
ACTIVATIONS.add(
    ActivationFunction(
        "prelu",
        N_("z if z > 0, else a z (a learned, one for the layer)"),
        N_("1 if z > 0, else a; dy/da = min(0, z)"),
        value=lambda z, slope: np.where(z > 0, z, slope * z),
        derivative=lambda z, y, slope: np.where(z > 0, np.ones_like(z), slope).astype(z.dtype),
        bounds="(-∞, ∞)",
        source="He, Zhang, Ren & Sun 2015, Delving Deep into Rectifiers",
        slope=0.25,
        learned=True,
    )
)
ACTIVATIONS.add(
    ActivationFunction(
        "elu",
        N_("z if z > 0, else a (e^z - 1)"),
        N_("1 if z > 0, else y + a"),
        value=lambda z, slope: np.where(z > 0, z, slope * np.expm1(np.minimum(z, 0))),
        derivative=lambda z, y, slope: np.where(z > 0, np.ones_like(z), y + slope),
        bounds="(-a, ∞)",
        source="Clevert, Unterthiner & Hochreiter 2016",
        slope=1.0,
    )
)
ACTIVATIONS.add(
    ActivationFunction(
        "gelu",
        N_("z Φ(z), Φ the normal distribution function"),
        "Φ(z) + z φ(z)",
        value=lambda z, slope: z * normal_cdf(z),
        derivative=lambda z, y, slope: normal_cdf(z) + z * _normal_pdf(z),
        bounds="[-0.17, ∞)",
        source="Hendrycks & Gimpel 2016",
    )
)
ACTIVATIONS.add(
    ActivationFunction(
        "silu",
        "z σ(z)",
        "σ(z) (1 + z (1 - σ(z)))",
        value=lambda z, slope: z * sigmoid(z),
        derivative=_silu_derivative,
        bounds="[-0.2785, ∞)",
        source="Elfwing, Uchibe & Doya 2018; as Swish: Ramachandran, Zoph & Le 2017",
    )
)
ACTIVATIONS.add(
    ActivationFunction(
        "softplus",
        "ln(1 + e^z)",
        "σ(z)",
        value=lambda z, slope: softplus(z),
        derivative=lambda z, y, slope: sigmoid(z),
        bounds="(0, ∞)",
        source="Dugas, Bengio, Bélisle, Nadeau & Garcia 2001",
    )
)
ACTIVATIONS.add(
    ActivationFunction(
        "softmax",
        "e^z_j / Σ_k e^z_k",
        "∂y_j/∂z_k = y_j (δ_jk - y_k)",
        value=lambda z, slope: softmax(z),
        derivative=_softmax_jacobian,
        bounds=N_("(0, 1), adding to 1"),
        source="Bridle 1990",
        backward=_softmax_backward,
    )
)
ACTIVATIONS.alias("swish", "silu")
ACTIVATIONS.alias("linear", "identity")
