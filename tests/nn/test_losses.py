import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from limpide.nn.losses import LOSSES
from limpide.testing import central_differences

ROWS = LOSSES.rows()
named = pytest.mark.parametrize("loss", ROWS, ids=lambda loss: loss.name)


def batch(loss, rng, n=6, dtype=np.float64):
    """Outputs and targets of the kind the loss wants."""
    if loss.labels == "classes":
        output, target = rng.normal(size=(n, 4)) * 2, rng.integers(0, 4, n)
    elif loss.labels == "binary":
        output, target = rng.normal(size=(n, 1)) * 2, rng.integers(0, 2, (n, 1)).astype(dtype)
    else:
        output, target = rng.normal(size=(n, 3)) * 2, rng.normal(size=(n, 3)).astype(dtype)
    if loss.expects == "probabilities":
        output = np.exp(output) / (np.exp(output).sum(-1, keepdims=True) if output.shape[1] > 1 else 1 + np.exp(output))
    return output.astype(dtype), target


def by_torch(torch, name, output, target):
    functional = torch.nn.functional
    return {
        "mse": lambda: functional.mse_loss(output, target),
        "half_mse": lambda: functional.mse_loss(output, target) / 2,
        "mae": lambda: functional.l1_loss(output, target),
        "huber": lambda: functional.huber_loss(output, target),
        "binary_cross_entropy_with_logits": lambda: functional.binary_cross_entropy_with_logits(output, target),
        "binary_cross_entropy": lambda: functional.binary_cross_entropy(output, target),
        "cross_entropy": lambda: functional.cross_entropy(output, target),
        "categorical_cross_entropy": lambda: functional.nll_loss(output.log(), target),
    }[name]()


@named
def test_value_and_gradient_are_those_of_pytorch(loss, torch, rng):
    output, target = batch(loss, rng)
    leaf = torch.tensor(output, requires_grad=True)
    theirs = by_torch(torch, loss.name, leaf, torch.tensor(target))
    theirs.backward()
    assert loss.mean(output, target) == pytest.approx(theirs.item(), rel=1e-12)
    np.testing.assert_allclose(loss.gradient(output, target), leaf.grad.numpy(), rtol=1e-10, atol=1e-14)


@named
def test_the_gradient_is_the_slope_of_the_mean(loss, rng):
    output, target = batch(loss, rng)
    slopes = central_differences(lambda o: loss.mean(o, target), output)
    np.testing.assert_allclose(loss.gradient(output, target), slopes, rtol=1e-6, atol=1e-9)


@named
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_types_are_kept(loss, dtype, rng):
    output, target = batch(loss, rng, dtype=dtype)
    kept = output.copy(), target.copy()
    value, gradient = loss.value(output, target), loss.gradient(output, target)
    assert value.shape == (6,)
    assert gradient.shape == output.shape
    assert value.dtype == gradient.dtype == dtype
    assert isinstance(loss.mean(output, target), float)
    np.testing.assert_array_equal(output, kept[0])
    np.testing.assert_array_equal(target, kept[1])


@named
def test_every_example_counts_the_same_whatever_its_batch(loss, rng):
    """The mean over 6 rows is the mean of batches of 4 and 2, weighted by their rows: not the mean of their means."""
    output, target = batch(loss, rng)
    values = loss.value(output, target)
    first, last = loss.mean(output[:4], target[:4]), loss.mean(output[4:], target[4:])
    assert loss.mean(output, target) == pytest.approx((4 * first + 2 * last) / 6)
    assert loss.mean(output, target) != pytest.approx((first + last) / 2, rel=1e-4)
    np.testing.assert_allclose(values[4:].mean(), last)
    np.testing.assert_allclose(loss.gradient(output, target)[4:] * 3, loss.gradient(output[4:], target[4:]))


def test_an_image_is_one_example(torch, rng):
    output, target = rng.normal(size=(3, 2, 4, 4)), rng.normal(size=(3, 2, 4, 4))
    for name in ("mse", "mae", "huber"):
        theirs = by_torch(torch, name, torch.tensor(output), torch.tensor(target))
        assert LOSSES[name].value(output, target).shape == (3,)
        assert LOSSES[name].mean(output, target) == pytest.approx(theirs.item())


SCORES = [loss for loss in ROWS if loss.expects == "scores"]


@pytest.mark.parametrize("loss", SCORES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_scores_of_any_size_give_finite_numbers(loss, dtype, data):
    width = 1 if loss.labels == "binary" else 3
    z = data.draw(hnp.arrays(dtype, (4, width), elements=st.floats(-1e4, 1e4, width=32)))
    y = np.array([0, 1, 0, 1]) if loss.labels == "classes" else np.array([[0], [1], [0], [1]], dtype)
    value, gradient = loss.value(z, y), loss.gradient(z, y)
    assert np.isfinite(value).all()
    assert (value >= 0).all()
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() <= 0.25 + 1e-6


def test_a_certain_mistake_on_scores_costs_what_the_scores_say():
    assert LOSSES["cross_entropy"].mean(np.array([[1000.0, 0.0]]), np.array([1])) == 1000
    assert LOSSES["binary_cross_entropy_with_logits"].mean(np.array([[-1000.0]]), np.array([[1.0]])) == 1000
    assert LOSSES["binary_cross_entropy_with_logits"].mean(np.array([[1000.0]]), np.array([[1.0]])) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_probability_of_zero_costs_one_hundred_as_in_pytorch(dtype, torch):
    p, y = np.array([[0.0], [1.0]], dtype), np.array([[1.0], [0.0]], dtype)
    loss = LOSSES["binary_cross_entropy"]
    theirs = torch.nn.functional.binary_cross_entropy(torch.tensor(p), torch.tensor(y)).item()
    assert loss.mean(p, y) == pytest.approx(theirs) == pytest.approx(100)
    assert np.isfinite(loss.gradient(p, y)).all()
    categorical = LOSSES["categorical_cross_entropy"]
    p, y = np.array([[0.0, 1.0]], dtype), np.array([0])
    assert categorical.mean(p, y) == pytest.approx(100)
    assert np.isfinite(categorical.gradient(p, y)).all()


def test_a_right_probability_of_one_costs_nothing():
    assert LOSSES["binary_cross_entropy"].mean(np.array([[1.0], [0.0]]), np.array([[1.0], [0.0]])) == 0
    assert LOSSES["categorical_cross_entropy"].mean(np.array([[0.0, 1.0]]), np.array([1])) == 0


@named
def test_nan_is_passed_on(loss, rng):
    output, target = batch(loss, rng)
    output[0, :] = np.nan
    assert math.isnan(loss.mean(output, target))
    if loss.name != "categorical_cross_entropy":
        assert np.isnan(loss.gradient(output, target)[0]).all()


def test_mae_and_mse_of_five_predictions():
    y, o = np.array([[17.0], [20], [18], [21], [20]]), np.array([[15.0], [18], [20], [22], [25]])
    assert LOSSES["mae"].value(o, y).tolist() == [2, 2, 2, 1, 5]
    assert LOSSES["mse"].value(o, y).tolist() == [4, 4, 4, 1, 25]
    assert LOSSES["mae"].mean(o, y) == pytest.approx(2.4)
    assert LOSSES["mse"].mean(o, y) == pytest.approx(7.6)
    assert math.sqrt(LOSSES["mse"].mean(o, y)) == pytest.approx(2.757, abs=5e-4)
    assert LOSSES["half_mse"].mean(o, y) == pytest.approx(3.8)


def test_mae_and_mse_do_not_share_their_best_constant():
    y, constants = np.array([[0.0], [0], [10]]), np.linspace(0, 10, 1001)
    best = {n: constants[np.argmin([LOSSES[n].mean(np.full((3, 1), c), y) for c in constants])] for n in ("mse", "mae")}
    assert best == {"mse": pytest.approx(3.33), "mae": 0}


def test_binary_cross_entropy_of_three_probabilities():
    p, y = np.array([[0.9], [0.2], [0.6]]), np.array([[1.0], [0.0], [1.0]])
    loss = LOSSES["binary_cross_entropy"]
    np.testing.assert_allclose(loss.value(p, y).round(3), [0.105, 0.223, 0.511])
    assert loss.mean(p, y) == pytest.approx(0.27978, abs=5e-6)
    scores = LOSSES["binary_cross_entropy_with_logits"]
    assert scores.mean(np.log(p / (1 - p)), y) == pytest.approx(loss.mean(p, y))


def test_categorical_cross_entropy_of_three_rows():
    y = np.array([0, 1, 3])
    p = np.full((3, 4), 0.1)
    p[np.arange(3), y] = 0.7
    assert LOSSES["categorical_cross_entropy"].mean(p, y) == pytest.approx(0.35667, abs=5e-6)
    assert LOSSES["cross_entropy"].mean(np.log(p), y) == pytest.approx(0.35667, abs=5e-6)


def test_softmax_applied_twice_cannot_fall_below_its_floor():
    """Ten classes, a certain and right answer: ln(e + 9) - 1 instead of 0."""
    perfect = np.eye(10)
    assert LOSSES["cross_entropy"].mean(perfect, np.arange(10)) == pytest.approx(1.4612, abs=5e-5)


def test_huber_is_half_a_square_then_a_line():
    e = np.array([[0.5], [-0.5], [1.0], [3.0], [-3.0]])
    assert LOSSES["huber"].value(e, e * 0).tolist() == [0.125, 0.125, 0.5, 2.5, 2.5]


@named
def test_every_row_says_its_formula_and_its_source(loss):
    assert loss.formula
    assert loss.source
