import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from limpide.errors import UnknownName
from limpide.nn.activations import ACTIVATIONS, normal_cdf, softmax
from limpide.testing import central_differences

ROWS = ACTIVATIONS.rows()
ELEMENTWISE = [row for row in ROWS if row.name != "softmax"]

named = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
elementwise = pytest.mark.parametrize("row", ELEMENTWISE, ids=lambda row: row.name)

numbers = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    hnp.array_shapes(min_dims=1, max_dims=4, max_side=5),
    elements=st.floats(-1e4, 1e4, width=32),
)


def at(row, z, slope=None):
    """The value and the derivative at `z`, with the slope of birth unless one is given."""
    slope = row.slope if slope is None else slope
    y = row.value(z, slope)
    return y, row.derivative(z, y, slope)


@named
@given(z=numbers)
def test_value_and_gradient_keep_shape_and_type_and_are_finite(row, z):
    kept = z.copy()
    y = row.value(z, row.slope)
    dx = row.backward(row, np.ones_like(z), z, y, row.slope)
    for array in (y, dx):
        assert array.shape == z.shape
        assert array.dtype == z.dtype
        assert np.isfinite(array).all()
    np.testing.assert_array_equal(z, kept)


@named
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", [1e4, 1e30])
def test_value_and_derivative_are_finite_far_out(row, dtype, far):
    z = np.array([[-far, far, 0.0, -0.0]], dtype)
    y, derivative = at(row, z)
    assert np.isfinite(y).all()
    assert np.isfinite(derivative).all()
    assert y.dtype == derivative.dtype == dtype


@named
def test_nan_is_passed_on(row):
    z = np.array([[np.nan, 1.0]])
    assert np.isnan(row.value(z, row.slope)[0, 0])


@elementwise
@given(z=hnp.arrays(np.float64, 4, elements=st.floats(-30, 30)))
def test_the_derivative_is_the_slope_of_the_value(row, z):
    z = np.where(np.abs(z) < 1e-3, 0.01, z)  # away from the kinks
    slopes = [central_differences(lambda v: float(row.value(v, row.slope)[0]), z[i : i + 1])[0] for i in range(len(z))]
    np.testing.assert_allclose(at(row, z)[1], slopes, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("slope", [0.0, 0.1, 0.25, 2.0])
@pytest.mark.parametrize("name", ["leaky_relu", "prelu", "elu"])
def test_the_slope_below_zero_is_the_one_given(name, slope):
    row = ACTIVATIONS[name]
    z = np.array([-2.0, -0.5, 0.5, 3.0])
    y, derivative = at(row, z, slope)
    below = slope * np.expm1(z) if name == "elu" else slope * z
    np.testing.assert_allclose(y, np.where(z > 0, z, below))
    slopes = [central_differences(lambda v: float(row.value(v, slope)[0]), z[i : i + 1])[0] for i in range(4)]
    np.testing.assert_allclose(derivative, slopes, rtol=1e-6)


def by_torch(torch, name):
    functional = torch.nn.functional
    return {
        "identity": lambda z: z * 1,
        "step": lambda z: torch.heaviside(z.detach(), torch.zeros(1, dtype=z.dtype)) + 0 * z,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": functional.relu,
        "leaky_relu": lambda z: functional.leaky_relu(z, 0.01),
        "prelu": lambda z: functional.prelu(z, torch.tensor([0.25], dtype=z.dtype)),
        "elu": functional.elu,
        "gelu": functional.gelu,
        "silu": functional.silu,
        "softplus": functional.softplus,
        "softmax": lambda z: functional.softmax(z, -1),
    }[name]


@named
def test_value_and_gradient_are_those_of_pytorch(row, torch, rng):
    z = np.concatenate([rng.normal(size=(6, 5)) * 3, [[0.0, -30.0, 30.0, 1e-8, -1e-8]]])
    dy = rng.normal(size=z.shape)
    leaf = torch.tensor(z, requires_grad=True)
    theirs = by_torch(torch, row.name)(leaf)
    theirs.backward(torch.tensor(dy))
    y = row.value(z, row.slope)
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=1e-9, atol=1e-12)
    dx = row.backward(row, dy, z, y, row.slope)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), rtol=1e-8, atol=1e-11)


BY_HAND = {
    "sigmoid": ([0.047426, 0.268941, 0.5, 0.731059, 0.952574], None),
    "tanh": ([-0.995055, -0.761594, 0, 0.761594, 0.995055], None),
    "gelu": ([-0.004050, -0.158655, 0, 0.841345, 2.995950], [-0.011946, -0.083315, 0.5, 1.083315, 1.011946]),
    "silu": ([-0.142278, -0.268941, 0, 0.731059, 2.857722], [-0.088104, 0.072329, 0.5, 0.927671, 1.088104]),
    "relu": ([0, 0, 0, 1, 3], [0, 0, 0, 1, 1]),
    "step": ([0, 0, 0, 1, 1], [0, 0, 0, 0, 0]),
    "leaky_relu": ([-0.03, -0.01, 0, 1, 3], [0.01, 0.01, 0.01, 1, 1]),
    "prelu": ([-0.75, -0.25, 0, 1, 3], [0.25, 0.25, 0.25, 1, 1]),
    "elu": ([math.exp(-3) - 1, math.exp(-1) - 1, 0, 1, 3], [math.exp(-3), math.exp(-1), 1, 1, 1]),
    "softplus": ([math.log1p(math.exp(z)) for z in (-3, -1, 0, 1, 3)], [0.047426, 0.268941, 0.5, 0.731059, 0.952574]),
    "identity": ([-3, -1, 0, 1, 3], [1, 1, 1, 1, 1]),
}


@elementwise
def test_the_values_of_the_books(row):
    values, derivatives = BY_HAND[row.name]
    y, derivative = at(row, np.array([-3.0, -1.0, 0.0, 1.0, 3.0]))
    np.testing.assert_allclose(y, values, atol=5e-7)
    if derivatives:
        np.testing.assert_allclose(derivative, derivatives, atol=5e-7)


def test_the_slope_of_sigmoid_and_tanh_is_largest_at_zero():
    z = np.linspace(-5, 5, 101)
    for name, largest in (("sigmoid", 0.25), ("tanh", 1.0)):
        derivative = at(ACTIVATIONS[name], z)[1]
        assert derivative.max() == derivative[50] == largest


@pytest.mark.parametrize(
    ("name", "lowest", "least_slope", "largest_slope"),
    [("gelu", -0.17, -0.129, 1.129), ("silu", -0.2785, -0.100, 1.100)],
)
def test_the_bounds_of_gelu_and_silu(name, lowest, least_slope, largest_slope):
    y, derivative = at(ACTIVATIONS[name], np.linspace(-10, 10, 200_001))
    assert y.min() == pytest.approx(lowest, abs=1e-4)
    assert derivative.min() == pytest.approx(least_slope, abs=5e-4)
    assert derivative.max() == pytest.approx(largest_slope, abs=5e-4)


def test_a_prelu_learns_its_slope():
    assert [row.name for row in ROWS if row.learned] == ["prelu"]


def test_softmax_of_four_animals():
    np.testing.assert_allclose(softmax(np.array([2.0, 1.0, -1.0, 3.0])).round(3), [0.242, 0.089, 0.012, 0.657])


@given(z=hnp.arrays(np.float64, (3, 4), elements=st.floats(-1e4, 1e4)), shift=st.floats(-1e4, 1e4))
def test_softmax_adds_to_one_and_does_not_see_a_shift(z, shift):
    y = softmax(z)
    np.testing.assert_allclose(y.sum(-1), 1)
    np.testing.assert_allclose(softmax(z + shift), y, atol=1e-9)


def test_the_jacobian_of_softmax_is_its_slopes(rng):
    row, z = ACTIVATIONS["softmax"], rng.normal(size=(2, 4))
    y, jacobian = at(row, z)
    assert jacobian.shape == (2, 4, 4)
    for j in range(4):
        slopes = central_differences(lambda v, j=j: float(softmax(v)[:, j].sum()), z)
        np.testing.assert_allclose(jacobian[:, j, :], slopes, atol=1e-8)
    dy = rng.normal(size=z.shape)
    np.testing.assert_allclose(row.backward(row, dy, z, y, None), np.einsum("bj,bjk->bk", dy, jacobian), atol=1e-12)


def test_the_normal_distribution_function_far_below_zero():
    assert normal_cdf(np.array(-10.0)) == pytest.approx(7.61985302416e-24, rel=1e-9)
    assert normal_cdf(np.array(0.0)) == 0.5


def test_other_words_of_the_literature_lead_to_the_same_row():
    assert ACTIVATIONS["swish"] is ACTIVATIONS["silu"]
    assert ACTIVATIONS["linear"] is ACTIVATIONS["identity"]


def test_an_unknown_activation_is_answered_with_the_nearest():
    with pytest.raises(UnknownName) as caught:
        ACTIVATIONS["rleu"]
    assert str(caught.value) == 'activation: unknown name "rleu"; did you mean "relu"?'


@named
def test_every_row_says_its_formula_its_derivative_its_range_and_its_source(row):
    assert all([row.formula, row.derivation, row.bounds, row.source])
