"""The functions that the compiled engine writes out, beside SciPy's."""

import numpy as np
import pytest
from numpy.polynomial import chebyshev
from numpy.polynomial.polynomial import Polynomial
from scipy.special import erfcx, ndtr

from limpide.testing import EngineConformance


class Compiled(EngineConformance):
    engine = "compiled"


Compiled().open()  # skips this file where the engine is missing, and fails where it is required

import numba  # noqa: E402

TYPES = {"float32": 1.2e-7, "float64": 2.3e-16}
"""The distance of 1 from the next number."""


@pytest.fixture(scope="module")
def functions():
    """Each on a whole array, compiled with what the engine's loops may do."""
    from limpide.engines.compiled_functions import exp_parts, log_of_one_plus, normal_tail
    from limpide.engines.compiled_loops import loops

    @loops
    def exponentials(x, y):
        for t in range(len(x)):
            s, p = exp_parts(x[t])
            y[t] = s + s * p

    @loops
    def logarithms(x, y):
        for t in range(len(x)):
            y[t] = log_of_one_plus(x[t])

    @loops
    def tails(x, y):
        half = x.dtype.type(0.5)
        for t in range(len(x)):
            s, p = exp_parts(-half * x[t] * x[t])
            y[t] = normal_tail(x[t], s + s * p)

    called = {}
    for function in (exponentials, logarithms, tails):
        # the engine's options leave no door to Python: it is called from a function that has one
        called[function.__name__] = numba.njit(lambda x, y, function=function: function(x, y))
    return called


def given(function, x):
    y = np.empty_like(x)
    function(x, y)
    return y


@pytest.mark.parametrize("name", TYPES)
def test_the_exponential_is_right_to_the_last_digits(functions, name):
    x = -np.concatenate([np.linspace(0, 80, 20_001), np.geomspace(1e-12, 80, 1_000)]).astype(name)
    exact = np.exp(x.astype(np.longdouble))
    np.testing.assert_allclose(given(functions["exponentials"], x), exact, rtol=2 * TYPES[name])


@pytest.mark.parametrize("name", TYPES)
def test_the_logarithm_is_right_to_the_last_digits_also_near_zero(functions, name):
    x = np.concatenate([np.linspace(0, 1, 20_001), np.geomspace(1e-30, 1, 1_000)]).astype(name)
    exact = np.log1p(x.astype(np.longdouble))
    np.testing.assert_allclose(given(functions["logarithms"], x), exact, rtol=2 * TYPES[name])


@pytest.mark.parametrize("name", TYPES)
def test_the_tail_is_right_and_stays_so_where_it_is_tiny(functions, name):
    x = np.linspace(0, 12, 20_001).astype(name)
    exact = ndtr(-x.astype(np.float64))
    tail = given(functions["tails"], x)
    np.testing.assert_allclose(tail, exact, rtol=0, atol=1.5 * TYPES[name])
    # of z²/2 as it is rounded, e^ keeps no more
    np.testing.assert_array_less(np.abs(tail / exact - 1), (8 + x.astype(np.float64) ** 2) * TYPES[name])


@pytest.mark.parametrize("name", TYPES)
def test_what_is_no_number_stays_none_and_what_is_beyond_all_is_zero(functions, name):
    nan, far = np.array([np.nan], name), np.array([np.inf], name)
    assert np.isnan([given(function, nan)[0] for function in functions.values()]).all()
    assert given(functions["exponentials"], -far)[0] == given(functions["tails"], far)[0] == 0


def test_the_powers_of_the_tail_are_those_of_a_fit():
    from limpide.engines.compiled_functions import TAIL, TAIL_SCALE

    low = TAIL_SCALE / (TAIL_SCALE + 14.5)

    def wanted(t):
        return erfcx((TAIL_SCALE / t - TAIL_SCALE) / np.sqrt(2)) / (2 * t)

    u = np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    t = (u * (1 - low) + 1 + low) / 2
    # of relative errors: each place weighs by what it should be
    of_u = Polynomial(chebyshev.cheb2poly(chebyshev.chebfit(u, wanted(t), len(TAIL) - 1, w=1 / wanted(t))))
    fitted = of_u(Polynomial([-(1 + low) / (1 - low), 2 / (1 - low)]))
    np.testing.assert_allclose(fitted.coef, TAIL, rtol=1e-8)
    places = np.linspace(low, 1, 10_001)
    np.testing.assert_allclose(Polynomial(TAIL)(places), wanted(places), rtol=1e-8)
