import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.errors import RecipeError, ShapeError, UnknownName
from limpide.nn.initializers import INITIALIZERS, parse_initializer
from limpide.nn.layers import Conv2d, Dense
from limpide.nn.network import Network

FAN_IN, FAN_OUT = 300, 200
N = FAN_IN * FAN_OUT

VARIANCE = {
    "pytorch": 1 / (3 * FAN_IN),
    "xavier": 2 / (FAN_IN + FAN_OUT),
    "xavier_normal": 2 / (FAN_IN + FAN_OUT),
    "he": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "normal": 0.01**2,
    "zeros": 0,
}
BOUND = {
    "pytorch": 1 / np.sqrt(FAN_IN),
    "xavier": np.sqrt(6 / (FAN_IN + FAN_OUT)),
    "he_uniform": np.sqrt(6 / FAN_IN),
    "zeros": 0,
}


def draw(name, seed=0):
    row, scale = parse_initializer(name)
    return row.weights(np.random.default_rng(seed), (FAN_IN, FAN_OUT), FAN_IN, FAN_OUT, scale)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_weights_have_the_mean_and_variance_of_the_paper(name):
    """Within five standard errors: of the mean sd/√n, of the variance at most variance·√(2/n)."""
    weights, variance = draw(name), VARIANCE[name]
    assert weights.shape == (FAN_IN, FAN_OUT)
    assert weights.dtype == np.float64
    assert abs(weights.mean()) <= 5 * np.sqrt(variance / N)
    assert abs(weights.var() - variance) <= 5 * variance * np.sqrt(2 / N)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_uniform_weights_fill_their_bounds_and_normal_ones_have_tails(name):
    largest = np.abs(draw(name)).max()
    if name in BOUND:
        assert 0.999 * BOUND[name] <= largest <= BOUND[name]
    else:
        assert 3.5 < largest / np.sqrt(VARIANCE[name]) < 6


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_same_stream_gives_the_same_weights(name):
    np.testing.assert_array_equal(draw(name), draw(name))
    assert name == "zeros" or (draw(name) != draw(name, seed=1)).any()


@pytest.mark.parametrize("name", INITIALIZERS)
def test_only_pytorch_draws_its_biases(name):
    biases = Dense(2000, initializer=name).init((100,), np.random.default_rng(0)).params["b"]
    if name == "pytorch":
        assert 0.099 <= np.abs(biases).max() <= 0.1
        assert biases.var() == pytest.approx(1 / 300, rel=0.1)
    else:
        assert not biases.any()


def test_the_bounds_of_dense_and_convolution_are_pytorch_s(torch):
    """The largest of many draws of PyTorch's own layers comes up to the bound we draw to."""
    torch.manual_seed(0)
    cases = [
        (torch.nn.Linear(50, 400), Dense(400), (50,), "W", 1 / np.sqrt(50)),
        (torch.nn.Conv2d(4, 200, (3, 2)), Conv2d(200, (3, 2)), (4, 8, 8), "K", 1 / np.sqrt(24)),
    ]
    for theirs, layer, shape, key, bound in cases:
        params = layer.init(shape, np.random.default_rng(0)).params
        for ours, other in ((params[key], theirs.weight), (params["b"], theirs.bias)):
            assert np.abs(ours).max() == pytest.approx(bound, rel=0.02)
            assert np.abs(other.detach().numpy()).max() == pytest.approx(bound, rel=0.02)


def test_the_bound_of_xavier_on_784_and_40():
    weights = Dense(40, initializer="xavier").init((784,), np.random.default_rng(0)).params["W"]
    assert np.abs(weights).max() == pytest.approx(0.085332, abs=1e-5)


def test_a_convolution_counts_its_whole_window_as_fan_in():
    kernel = Conv2d(64, (5, 5), initializer="he").init((16, 9, 9), np.random.default_rng(0)).params["K"]
    assert kernel.var() == pytest.approx(2 / (16 * 25), rel=0.03)


def test_pytorch_takes_a_factor_on_weights_and_biases():
    plain, same, half = (
        Dense(7, initializer=text).init((3,), np.random.default_rng(0)).params
        for text in ("pytorch", "pytorch 1", "pytorch 0.5")
    )
    for name, array in plain.items():
        np.testing.assert_array_equal(same[name], array)
        np.testing.assert_array_equal(half[name], array / 2)


@given(scale=st.floats(0, 10))
def test_normal_takes_its_standard_deviation(scale):
    row, parsed = parse_initializer(f"normal {scale!r}")
    assert (row.name, parsed) == ("normal", scale)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("normal -1", "initializer: expected a number of 0 or more, got '-1'"),
        ("pytorch -1", "initializer: expected a number of 0 or more, got '-1'"),
        ("normal much", "initializer: expected a number of 0 or more, got 'much'"),
        ("normal nan", "initializer: expected a number of 0 or more, got 'nan'"),
        ("he 0.1", "initializer: expected \"he\", got 'he 0.1'; only pytorch and normal take a number"),
        ("normal 1 2", "initializer: expected \"normal\", got 'normal 1 2'; only pytorch and normal take a number"),
    ],
)
def test_a_number_that_is_none_or_has_no_place_is_refused(text, message):
    with pytest.raises(RecipeError) as caught:
        parse_initializer(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "near"), [("kaimin", 'did you mean "kaiming"?'), ("", "choose among pytorch, xavier")]
)
def test_an_unknown_initializer_is_answered_with_the_nearest(text, near):
    with pytest.raises(UnknownName) as caught:
        parse_initializer(text)
    assert str(caught.value).startswith(f'initializer: unknown name "{text}"; {near}')


def test_other_words_of_the_literature_lead_to_the_same_row():
    assert INITIALIZERS["glorot"] is INITIALIZERS["xavier"]
    assert INITIALIZERS["kaiming"] is INITIALIZERS["he"]


def test_given_arrays_replace_the_drawn_ones_and_are_copied(rng):
    network = Network.parse("2, 3 relu, 1")
    W = np.arange(6.0).reshape(2, 3)
    weights = network.initialize(rng, {"0.dense.W": W, "2.dense.b": np.array([7])})
    np.testing.assert_array_equal(weights["0.dense.W"], W)
    assert weights["2.dense.b"].tolist() == [7.0]
    assert weights["2.dense.b"].dtype == np.float64
    W[0, 0] = 99
    assert weights["0.dense.W"][0, 0] == 0


def test_given_arrays_do_not_move_the_draws_of_the_others():
    network = Network.parse("2, 3 relu, 1")
    plain = network.initialize(np.random.default_rng(0))
    given = network.initialize(np.random.default_rng(0), {"0.dense.W": np.zeros((2, 3))})
    np.testing.assert_array_equal(given["2.dense.W"], plain["2.dense.W"])


def test_every_given_array_that_does_not_fit_is_named(rng):
    network = Network.parse("2, 3 relu, 1")
    with pytest.raises(ShapeError) as caught:
        network.initialize(rng, {"0.dense.W": np.zeros((3, 2)), "0.dense.b": np.array([1, np.nan, 0])})
    assert caught.value.problems == (
        "0.dense.W: expected 2×3, got 3×2",
        "0.dense.b: expected finite numbers, got NaN",
    )


def test_a_given_array_of_no_layer_is_answered_with_the_nearest(rng):
    with pytest.raises(UnknownName) as caught:
        Network.parse("2, 3 relu, 1").initialize(rng, {"0.dens.W": np.zeros((2, 3))})
    assert str(caught.value) == 'given weights: unknown name "0.dens.W"; did you mean "0.dense.W"?'


@pytest.mark.parametrize("row", INITIALIZERS.rows(), ids=lambda row: row.name)
def test_every_row_says_its_formula_and_its_source(row):
    assert row.formula
    assert row.source
