"""The arithmetic of the compiled engine: activations, batch normalisation, losses and optimizers as loops on vectors.

Three rules keep the loops fast and right. Constants take the array's own type, since `1 - y` of a float32 would be a
float64. Sums may be reordered and multiplications fused, but NaN and Inf are kept: a divergence must be seen. And what
the C library would be called for number by number is written out (`compiled_functions.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numba import types as numba_types

from limpide.engines.compiled_functions import exp_parts, log_of_one_plus, normal_tail
from limpide.engines.compiled_views import intrinsic, part

types: Any = numba_types

REORDER = {"reassoc", "contract", "arcp", "nsz"}
"""What the compiler may do to sums; what would let it forget NaN or Inf is not among it."""

_OPTIONS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
loops: Callable[..., Any] = njit(error_model="numpy", fastmath=REORDER, **_OPTIONS)
"""For functions that are called from compiled ones alone."""

ACTIVATION_CODES: dict[str, int] = {
    "identity": 0,
    "relu": 1,
    "sigmoid": 2,
    "tanh": 3,
    "step": 4,
    "softmax": 5,
    "leaky_relu": 6,
    "prelu": 7,
    "elu": 8,
    "gelu": 9,
    "silu": 10,
    "softplus": 11,
}
IDENTITY, RELU, SIGMOID, TANH, STEP, SOFTMAX, LEAKY_RELU, PRELU, ELU, GELU, SILU, SOFTPLUS = range(12)
LAST_IN_PLACE = SOFTMAX
"""Up to this code the derivative follows from the output alone, which may overwrite the sum."""

LOSS_CODES: dict[str, int] = {
    "mse": 0,
    "half_mse": 1,
    "mae": 2,
    "huber": 3,
    "binary_cross_entropy_with_logits": 4,
    "binary_cross_entropy": 5,
    "cross_entropy": 6,
    "categorical_cross_entropy": 7,
}
MSE, HALF_MSE, MAE, HUBER, BCE_LOGITS, BCE, CROSS_ENTROPY, CATEGORICAL = range(8)


@intrinsic
def keep_apart(typingctx: Any) -> Any:
    """Not to be inlined: within one huge function the compiler gives up on some loops, and takes longer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate


@loops
def clear(array: Any) -> None:
    """Every number 0."""
    for t in range(len(array)):
        array[t] = 0


@loops
def fill(array: Any, source: Any) -> None:
    """The numbers of another array, into as many places."""
    for t in range(len(source)):
        array[t] = source[t]


@loops
def add_bias(z: Any, bias: Any, is_relu: bool) -> None:
    """A bias for each column, then relu where one follows."""
    zero = z.dtype.type(0)
    for i in range(len(z)):
        if is_relu:
            for j in range(len(bias)):
                v = z[i, j] + bias[j]
                z[i, j] = zero if v <= zero else v
        else:
            for j in range(len(bias)):
                z[i, j] += bias[j]


@loops
def _sigmoid(z: Any, one: Any) -> Any:
    s, p = exp_parts(-abs(z))
    e = s + s * p
    return (one if z >= 0 else e) / (one + e)


@loops
def _normal(z: Any, half: Any, one: Any) -> Any:
    """Φ(z) and e^(-z²/2)."""
    s, p = exp_parts(-half * z * z)
    bell = s + s * p
    tail = normal_tail(abs(z), bell)
    return (tail if z < 0 else one - tail), bell


@loops
def _shifted_exponentials(y: Any, width: int) -> None:
    """e^(y - max) of each row of `width`: the maximum taken off first changes nothing but overflow."""
    for first in range(0, len(y), width):
        row = part(y, first, width)
        top = row[0]
        for j in range(width):
            top = row[j] if row[j] > top else top
        for j in range(width):
            row[j] -= top
    for t in range(len(y)):
        s, p = exp_parts(y[t])
        y[t] = s + s * p


@loops
def _softmax(y: Any, width: int) -> None:
    _shifted_exponentials(y, width)
    for first in range(0, len(y), width):
        row, total = part(y, first, width), y.dtype.type(0)
        for j in range(width):
            total += row[j]
        for j in range(width):
            row[j] /= total


@loops
def activate(code: int, z: Any, y: Any, slope: Any, width: int) -> None:
    """`y = f(z)`; up to `LAST_IN_PLACE` the two are the same memory."""
    keep_apart()
    real = z.dtype.type
    zero, half, one, two = real(0), real(0.5), real(1), real(2)
    if code == RELU:
        for t in range(len(y)):
            y[t] = zero if y[t] <= zero else y[t]
    elif code == SIGMOID:
        for t in range(len(y)):
            y[t] = _sigmoid(y[t], one)
    elif code == TANH:
        for t in range(len(y)):
            s, p = exp_parts(-two * abs(y[t]))
            less_one = s * p + (s - one)
            size = -less_one / (less_one + two)
            y[t] = size if y[t] >= zero else -size
    elif code == STEP:
        for t in range(len(y)):
            y[t] = one if y[t] > zero else (zero if y[t] <= zero else y[t])
    elif code == SOFTMAX:
        _softmax(y, width)
    elif code in (LEAKY_RELU, PRELU):
        for t in range(len(y)):
            y[t] = z[t] if z[t] > zero else slope * z[t]
    elif code == ELU:
        for t in range(len(y)):
            s, p = exp_parts(zero if z[t] > zero else z[t])
            y[t] = z[t] if z[t] > zero else slope * (s * p + (s - one))
    elif code == GELU:
        for t in range(len(y)):
            below, _bell = _normal(z[t], half, one)
            y[t] = z[t] * below
    elif code == SILU:
        for t in range(len(y)):
            y[t] = z[t] * _sigmoid(z[t], one)
    elif code == SOFTPLUS:
        for t in range(len(y)):
            s, p = exp_parts(-abs(z[t]))
            y[t] = (z[t] if z[t] > zero else zero) + log_of_one_plus(s + s * p)


@loops
def through_activation(code: int, z: Any, y: Any, d: Any, slope: Any, width: int) -> None:
    """`d *= f'(z)`: from the gradient for the output to that for the sum."""
    keep_apart()
    real = z.dtype.type
    zero, half, one = real(0), real(0.5), real(1)
    density, bound = real(1 / math.sqrt(2 * math.pi)), real(40)
    if code == RELU:
        for t in range(len(d)):
            d[t] = d[t] if y[t] > zero else zero
    elif code == SIGMOID:
        for t in range(len(d)):
            d[t] *= y[t] * (one - y[t])
    elif code == TANH:
        for t in range(len(d)):
            d[t] *= one - y[t] * y[t]
    elif code == STEP:
        clear(d)
    elif code == SOFTMAX:
        for first in range(0, len(d), width):
            row, change, total = part(y, first, width), part(d, first, width), zero
            for j in range(width):
                total += change[j] * row[j]
            for j in range(width):
                change[j] = row[j] * (change[j] - total)
    elif code in (LEAKY_RELU, PRELU):
        for t in range(len(d)):
            d[t] = d[t] if z[t] > zero else slope * d[t]
    elif code == ELU:
        for t in range(len(d)):
            d[t] *= one if z[t] > zero else y[t] + slope
    elif code == GELU:
        for t in range(len(d)):
            # beyond 40 the density is zero; the bound keeps its square finite
            bounded = min(max(z[t], -bound), bound)
            below, bell = _normal(bounded, half, one)
            d[t] *= below + bounded * bell * density
    elif code == SILU:
        for t in range(len(d)):
            share = _sigmoid(z[t], one)
            d[t] *= share * (one + z[t] * (one - share))
    elif code == SOFTPLUS:
        for t in range(len(d)):
            d[t] *= _sigmoid(z[t], one)


@loops
def slope_gradient(z: Any, d: Any) -> Any:
    """The gradient of a learned slope: sum of d min(0, z)."""
    zero = z.dtype.type(0)
    total = zero
    for t in range(len(z)):
        total += d[t] * (z[t] if z[t] < zero else zero)
    return total


@loops
def _value_loss(code: int, o: Any, target: Any, d: Any) -> float:
    """The losses of free values: their mean; their gradient into `d`."""
    real = o.dtype.type
    share = real((2.0 if code == MSE else 1.0) / len(o))
    half, one, total = real(0.5), real(1), 0.0
    for t in range(len(o)):
        e = o[t] - target[t]
        if code == MAE:
            total += abs(e)
            d[t] = share * np.sign(e)
        elif code == HUBER:
            size = abs(e)
            inner = one if size > one else size
            total += inner * (size - half * inner)
            d[t] = share * min(max(e, -one), one)
        else:
            total += e * e
            d[t] = share * e
    return total * (0.5 if code == HALF_MSE else 1.0) / len(o)


@loops
def _binary_loss(code: int, o: Any, target: Any, d: Any) -> float:
    """Binary cross-entropy of scores or of probabilities."""
    real = o.dtype.type
    share, zero, one, least, lowest = real(1 / len(o)), real(0), real(1), real(1e-12), real(-100)
    total = 0.0
    for t in range(len(o)):
        y = target[t]
        if code == BCE_LOGITS:
            s, p = exp_parts(-abs(o[t]))
            e = s + s * p
            total += (o[t] if o[t] > zero else zero) - o[t] * y + log_of_one_plus(e)
            d[t] = share * ((one if o[t] >= zero else e) / (one + e) - y)
        else:
            total -= y * _log(o[t], lowest) + (one - y) * _log(one - o[t], lowest)
            d[t] = share * ((one - y) / max(one - o[t], least) - y / max(o[t], least))
    return total / len(o)


@loops
def _log(p: Any, lowest: Any) -> Any:
    """ln p, but never below `lowest`; NaN stays NaN."""
    value = math.log(p) if p != 0 else lowest
    return lowest if value < lowest else value


@loops
def _scores_loss(o: Any, classes: Any, d: Any) -> float:
    """Categorical cross-entropy of softmax(o)."""
    n, total, real = len(o) // len(classes), 0.0, o.dtype.type
    share = real(1) / real(len(classes))
    fill(d, o)
    _shifted_exponentials(d, n)
    for i in range(len(classes)):
        scores, row = part(o, i * n, n), part(d, i * n, n)
        top, summed = scores[0], real(0)
        for j in range(n):
            top = scores[j] if scores[j] > top else top
            summed += row[j]
        total += math.log(summed) - (scores[classes[i]] - top)
        factor = share / summed
        for j in range(n):
            row[j] *= factor
        row[classes[i]] -= share
    return total / len(classes)


@loops
def _probabilities_loss(o: Any, classes: Any, d: Any) -> float:
    """Categorical cross-entropy of probabilities."""
    n, total, real = len(o) // len(classes), 0.0, o.dtype.type
    share, least, lowest = real(1) / real(len(classes)), real(1e-12), real(-100)
    clear(d)
    for i in range(len(classes)):
        p = o[i * n + classes[i]]
        total -= _log(p, lowest)
        d[i * n + classes[i]] = -share / max(p, least)
    return total / len(classes)


@loops
def loss_and_gradient(code: int, o: Any, values: Any, classes: Any, d: Any) -> Any:
    """The mean loss of a batch; into `d` its gradient for the outputs `o`.

    values, classes  the targets of the batch: one of the two is empty
    """
    keep_apart()
    if code == CROSS_ENTROPY:
        return _scores_loss(o, classes, d)
    if code == CATEGORICAL:
        return _probabilities_loss(o, classes, d)
    if code in (BCE, BCE_LOGITS):
        return _binary_loss(code, o, values, d)
    return _value_loss(code, o, values, d)
