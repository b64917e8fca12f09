"""e^x, ln(1 + x) and the normal distribution, written out for the loops of the compiled engine.

Those of the C library would be called number by number; these are sums and products, of which the processor makes many
at once. Each function has a row for float32 and one for float64, with as many terms as the type can tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import extending
from numba import types as numba_types

from limpide.engines.compiled_views import intrinsic

types: Any = numba_types

_OPTIONS: Any = {"fastmath": {"contract"}, "error_model": "numpy"}
"""Sums keep their order here: what is taken off first is taken off first."""


@intrinsic
def _power_of_two(typingctx: Any, n: Any) -> Any:
    """2^n of a whole number in a float, from the bits of its exponent."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = builder.fptosi(args[0], context.get_value_type(types.int32))
        # the exponent's offset, and how far up in the bits it stands
        integer, offset, place = (types.int32, 127, 23) if n.bitwidth == 32 else (types.int64, 1023, 52)
        if integer is types.int64:
            whole = builder.sext(whole, context.get_value_type(integer))
        exponent = builder.add(whole, context.get_constant(integer, offset))
        return builder.bitcast(builder.shl(exponent, context.get_constant(integer, place)), context.get_value_type(n))

    return n(n), generate


def _exponential(
    real: type[np.floating[Any]], lowest: float, terms: int, high: float, rest: float
) -> Callable[[Any], Any]:
    """e^x for x ≤ 0 as (s, p) with e^x = s + s p, so that e^x - 1 = s p + (s - 1) loses nothing near zero.

    x = n ln 2 + r with |r| ≤ ln 2 / 2; s = 2^n, p = e^r - 1 by its series. Below `lowest` s is 0; NaN stays NaN.

    high, rest  ln 2 in two parts, the first of so few bits that n times it is exact
    """
    low, zero, half, one = real(lowest), real(0), real(0.5), real(1)
    per_ln2, ln2_high, ln2_rest = real(1 / math.log(2)), real(high), real(rest)
    series = tuple(real(1 / math.factorial(k)) for k in range(terms, 1, -1))

    def parts(x: Any) -> Any:
        bounded = low if x < low else x
        # NaN must not become an integer
        n = np.floor((bounded if bounded > low else low) * per_ln2 + half)
        r = (bounded - n * ln2_high) - n * ln2_rest
        q = series[0]
        for c in series[1:]:
            q = q * r + c
        return zero if x < low else _power_of_two(n), (q * r + one) * r

    return parts


def _logarithm(real: type[np.floating[Any]], terms: int) -> Callable[[Any], Any]:
    """ln(1 + x) for 0 ≤ x ≤ 1: twice the area tangent of s = x / (2 + x) ≤ 1/3, s + s³/3 + s⁵/5 + ..."""
    two = real(2)
    series = tuple(real(2 / (2 * k + 1)) for k in range(terms - 1, -1, -1))

    def of_one_plus(x: Any) -> Any:
        s = x / (two + x)
        square, q = s * s, series[0]
        for c in series[1:]:
            q = q * square + c
        return q * s

    return of_one_plus


TAIL_SCALE = 3.5
TAIL = (
    *(0.113997453675, 0.113653568332, 0.108057011976, 0.066395469230, 0.132337241156),
    *(-0.138681910294, 0.271019507396, -0.256145875626, 0.105998726015, -0.016631189573),
)
"""P(t), by powers of t, of the normal's tail Φ(-z) = e^(-z²/2) t P(t), t = 3.5 / (3.5 + z): off by 1e-8 of itself up to
z = 14.5, where float32 ends. Fitted by Chebyshev polynomials, as a test does anew."""
_TAIL_DOWN = tuple(np.float32(c) for c in TAIL[-2::-1])


def _short_tail(size: Any, bell: Any) -> Any:
    scale = np.float32(TAIL_SCALE)
    t = scale / (scale + size)
    q = np.float32(TAIL[-1])
    for c in _TAIL_DOWN:
        q = q * t + c
    return bell * q * t


def _long_tail(size: Any, bell: Any) -> Any:
    return 0.5 * math.erfc(size * math.sqrt(0.5))


def exp_parts(x: Any) -> Any:
    """e^x for x ≤ 0 as (s, p) with e^x = s + s p."""
    raise NotImplementedError


def log_of_one_plus(x: Any) -> Any:
    """ln(1 + x) for 0 ≤ x ≤ 1."""
    raise NotImplementedError


def normal_tail(size: Any, bell: Any) -> Any:
    """Φ(-size), the part of the normal distribution beyond `size` ≥ 0; bell is e^(-size²/2)."""
    raise NotImplementedError


_EXPONENTIALS = {
    types.float32: _exponential(np.float32, -87.3, 7, 0.693359375, -2.12194440e-4),
    types.float64: _exponential(np.float64, -708.3, 13, 6.93147180369123816490e-01, 1.90821492927058770002e-10),
}
_LOGARITHMS = {types.float32: _logarithm(np.float32, 7), types.float64: _logarithm(np.float64, 17)}
_TAILS = {types.float32: _short_tail, types.float64: _long_tail}


@extending.overload(exp_parts, jit_options=_OPTIONS)
def _exp_parts(x: Any) -> Any:
    return _EXPONENTIALS[x]


@extending.overload(log_of_one_plus, jit_options=_OPTIONS)
def _log_of_one_plus(x: Any) -> Any:
    return _LOGARITHMS[x]


@extending.overload(normal_tail, jit_options=_OPTIONS)
def _normal_tail(size: Any, bell: Any) -> Any:
    return _TAILS[size]
