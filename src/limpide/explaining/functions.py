"""The arithmetic of the catalogued functions: activations with their slopes, losses with their gradients.

What is written is what is computed, in the form that does not overflow: a maximum taken off before an exponential, a
logarithm of one plus something small. A test compares the names here with those of the catalogues.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from limpide.explaining.arithmetic import Expression, Number, add, call, minus, negative, over, power, times

Value = Callable[[Expression, Expression], Expression]
Slope = Callable[[Expression, Expression, Expression], Expression]


def _above(z: Expression, a: Expression) -> Expression:
    return add([call("positive", z), times(a, minus(1.0, call("positive", z)))])


def _kinked(z: Expression, a: Expression) -> Expression:
    return add([call("max", 0.0, z), times(a, call("min", 0.0, z))])


def _silu_slope(z: Expression, y: Expression, a: Expression) -> Expression:
    s = call("sigmoid", z)
    return times(s, add([1.0, times(z, minus(1.0, s))]))


def _elu_slope(z: Expression, y: Expression, a: Expression) -> Expression:
    return add([call("positive", z), times(minus(1.0, call("positive", z)), add([y, a]))])


def _softplus(z: Expression, a: Expression) -> Expression:
    return add([call("max", 0.0, z), call("ln", add([1.0, call("exp", negative(call("abs", z)))]))])


ACTIVATION_ARITHMETIC: dict[str, tuple[Value, Slope]] = {
    "identity": (lambda z, a: z, lambda z, y, a: 1.0),
    "step": (lambda z, a: call("positive", z), lambda z, y, a: 0.0),
    "sigmoid": (
        lambda z, a: over(1.0, add([1.0, call("exp", negative(z))])),
        lambda z, y, a: times(y, minus(1.0, y)),
    ),
    "tanh": (lambda z, a: call("tanh", z), lambda z, y, a: minus(1.0, power(y, 2.0))),
    "relu": (lambda z, a: call("max", 0.0, z), lambda z, y, a: call("positive", z)),
    "leaky_relu": (_kinked, lambda z, y, a: _above(z, a)),
    "prelu": (_kinked, lambda z, y, a: _above(z, a)),
    "elu": (
        lambda z, a: add([call("max", 0.0, z), times(a, minus(call("exp", call("min", 0.0, z)), 1.0))]),
        _elu_slope,
    ),
    "gelu": (
        lambda z, a: times(z, call("Phi", z)),
        lambda z, y, a: add([call("Phi", z), times(z, call("phi", z))]),
    ),
    "silu": (lambda z, a: times(z, call("sigmoid", z)), _silu_slope),
    "softplus": (_softplus, lambda z, y, a: call("sigmoid", z)),
}
"""By name: the value in terms of z and the slope a; the derivative in terms of z, the value y and a.

softmax is not among them: each of its values depends on every z of its row.
"""


def share(scores: list[Number], top: Number, i: int) -> Expression:
    """Softmax: the i-th exponential over the sum of all, the greatest score taken off first."""
    powers: list[Expression] = [call("exp", minus(z, top)) for z in scores]
    return over(powers[i], add(powers))


class Row(Protocol):
    """One row of the batch under the loss.

    outputs  what the network put out
    truths   what it should have: one for each output; for classes the share of each, 0 or 1
    true     the output of the true class; -1 where targets are no classes
    n_rows   of the batch
    """

    outputs: list[Number]
    truths: list[Number]
    true: int
    n_rows: int

    def top(self) -> Number:
        """The greatest output."""

    def share(self, i: int) -> Number:
        """The probability that softmax gives a class."""


def _error(row: Row, i: int) -> Expression:
    return minus(row.outputs[i], row.truths[i])


def _mean(row: Row, term: Callable[[int], Expression]) -> Expression:
    n = len(row.outputs)
    return over(add([term(i) for i in range(n)]), float(n))


def _parts(row: Row) -> float:
    """What the gradient of each output is divided by: the outputs of all rows."""
    return float(len(row.outputs) * row.n_rows)


def _huber(row: Row, i: int) -> Expression:
    size = call("abs", _error(row, i))
    inner = call("min", size, 1.0)
    return times(inner, minus(size, times(0.5, inner)))


def _with_logits(row: Row, i: int) -> Expression:
    z = row.outputs[i]
    small = call("ln", add([1.0, call("exp", negative(call("abs", z)))]))
    return add([minus(call("max", z, 0.0), times(z, row.truths[i])), small])


def _log(p: Expression, value: float) -> Expression:
    # the loss never takes a logarithm below -100
    bounded = value <= 0 or math.log(value) < -100
    return call("max", call("ln", p), -100.0) if bounded else call("ln", p)


def _at_least(p: Expression, value: float, of: Number) -> Expression:
    """A probability that something is divided by, never below the least that the loss divides by."""
    least = float(np.asarray(1e-12, of.dtype))
    return call("max", p, least) if value < least else p


def _binary(row: Row, i: int) -> Expression:
    p, t = row.outputs[i], row.truths[i]
    rest = minus(1.0, p)
    return negative(add([times(t, _log(p, p.value)), times(minus(1.0, t), _log(rest, 1 - p.value))]))


def _binary_gradient(row: Row, i: int) -> Expression:
    p, t = row.outputs[i], row.truths[i]
    missed = over(minus(1.0, t), _at_least(minus(1.0, p), 1 - p.value, p))
    return over(minus(missed, over(t, _at_least(p, p.value, p))), _parts(row))


def _cross_entropy(row: Row) -> Expression:
    top = row.top()
    powers: list[Expression] = [call("exp", minus(z, top)) for z in row.outputs]
    return minus(call("ln", add(powers)), minus(row.outputs[row.true], top))


def _categorical_gradient(row: Row, i: int) -> Expression:
    p = row.outputs[i]
    return negative(over(over(1.0, _at_least(p, p.value, p)), float(row.n_rows))) if i == row.true else 0.0


Loss = tuple[Callable[[Row], Expression], Callable[[Row, int], Expression]]

LOSS_ARITHMETIC: dict[str, Loss] = {
    "mse": (
        lambda row: _mean(row, lambda i: power(_error(row, i), 2.0)),
        lambda row, i: over(times(2.0, _error(row, i)), _parts(row)),
    ),
    "half_mse": (
        lambda row: times(0.5, _mean(row, lambda i: power(_error(row, i), 2.0))),
        lambda row, i: over(_error(row, i), _parts(row)),
    ),
    "mae": (
        lambda row: _mean(row, lambda i: call("abs", _error(row, i))),
        lambda row, i: over(call("sign", _error(row, i)), _parts(row)),
    ),
    "huber": (
        lambda row: _mean(row, lambda i: _huber(row, i)),
        lambda row, i: over(call("max", -1.0, call("min", 1.0, _error(row, i))), _parts(row)),
    ),
    "binary_cross_entropy_with_logits": (
        lambda row: _mean(row, lambda i: _with_logits(row, i)),
        lambda row, i: over(minus(call("sigmoid", row.outputs[i]), row.truths[i]), _parts(row)),
    ),
    "binary_cross_entropy": (lambda row: _mean(row, lambda i: _binary(row, i)), _binary_gradient),
    "cross_entropy": (
        _cross_entropy,
        lambda row, i: over(minus(row.share(i), row.truths[i]), float(row.n_rows)),
    ),
    "categorical_cross_entropy": (
        lambda row: negative(_log(row.outputs[row.true], row.outputs[row.true].value)),
        _categorical_gradient,
    ),
}
"""By name: the loss of a row; the slope of the batch's loss along one of the row's outputs."""
