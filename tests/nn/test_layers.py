import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.errors import RecipeError, ShapeError, UnknownName
from limpide.nn.layers import (
    EVALUATION,
    LAYERS,
    TRAINING,
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool2d,
    Mode,
    Residual,
    Weights,
)
from limpide.nn.layers.base import Layer
from limpide.nn.network import Network
from limpide.testing import central_differences

EXAMPLES = [(layer, shape) for kind in LAYERS.values() for layer, shape in kind.examples]
examples = pytest.mark.parametrize(("layer", "shape"), EXAMPLES, ids=lambda value: str(value))


def training(seed=0):
    return Mode(True, np.random.default_rng(seed))


def moved(layer, shape, rng):
    """Weights away from their birth, so that no 0 or 1 hides a mistake."""
    born = layer.init(shape, rng)
    return Weights(*({key: a + rng.uniform(0.1, 0.5, a.shape) for key, a in tree.items()} for tree in born))


@examples
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 4])
def test_the_shape_rule_is_the_shape_of_forward(layer, shape, n, dtype, rng):
    w = Weights(*({key: a.astype(dtype) for key, a in tree.items()} for tree in layer.init(shape, rng)))
    x = rng.normal(size=(n, *shape)).astype(dtype)
    for mode in (EVALUATION, training()) if n else (EVALUATION,):
        out = layer.forward(w, x, mode)
        assert out.y.shape == (n, *layer.out_shape(shape, "here"))
        assert out.y.dtype == dtype
        if n:
            dx, grads = layer.backward(w, out.cache, np.ones_like(out.y))
            assert dx.shape == x.shape
            assert dx.dtype == dtype
            assert {k: (g.shape, g.dtype) for k, g in grads.items()} == {
                k: (a.shape, dtype) for k, a in w.params.items()
            }
        assert {key: a.shape for key, a in out.buffers.items()} == {key: a.shape for key, a in w.buffers.items()}


@examples
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_backward_is_the_slope_of_forward(layer, shape, mode, rng):
    """A random projection of the output, so that every number of it counts differently."""
    w, x = moved(layer, shape, rng), rng.normal(size=(4, *shape))

    def run(w, x):
        return layer.forward(w, x, training() if mode == "train" else EVALUATION)

    out = run(w, x)
    dy = rng.normal(size=out.y.shape)
    dx, grads = layer.backward(w, out.cache, dy)
    close = {"rtol": 1e-6, "atol": 1e-8}
    np.testing.assert_allclose(dx, central_differences(lambda x: float((run(w, x).y * dy).sum()), x), **close)
    assert grads.keys() == w.params.keys()
    for key, array in w.params.items():
        slopes = central_differences(
            lambda a, key=key: float((run(Weights({**w.params, key: a}, w.buffers), x).y * dy).sum()), array
        )
        np.testing.assert_allclose(grads[key], slopes, **close)


@examples
def test_the_first_layer_may_be_spared_its_input_gradient(layer, shape, rng):
    w, x = moved(layer, shape, rng), rng.normal(size=(4, *shape))
    out = layer.forward(w, x, training())
    _dx, grads = layer.backward(w, out.cache, np.ones_like(out.y), need_dx=False)
    _dx, expected = layer.backward(w, out.cache, np.ones_like(out.y))
    assert grads.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(grads[key], array)


def by_torch(torch, layer, shape, w):
    """PyTorch's own module with these weights, and the names of its parameters beside ours."""
    tensor = torch.tensor
    if isinstance(layer, Dense):
        module = torch.nn.Linear(shape[0], layer.units, layer.bias, dtype=torch.float64)
        module.weight.data = tensor(w.params["W"].T.copy())
        names = {"W": "weight", "b": "bias"}
    elif isinstance(layer, Conv2d):
        sizes = (layer.kernel, layer.stride, layer.padding, 1, layer.groups, layer.bias)
        module = torch.nn.Conv2d(shape[0], layer.channels, *sizes, dtype=torch.float64)
        module.weight.data = tensor(w.params["K"])
        names = {"K": "weight", "b": "bias"}
    elif isinstance(layer, BatchNorm):
        kind = torch.nn.BatchNorm1d if len(shape) < 3 else torch.nn.BatchNorm2d
        module = kind(shape[0], layer.epsilon, layer.momentum, dtype=torch.float64)
        module.weight.data = tensor(w.params["gamma"])
        module.running_mean, module.running_var = tensor(w.buffers["mean"]), tensor(w.buffers["variance"])
        names = {"gamma": "weight", "beta": "bias"}
    elif isinstance(layer, Activation):
        module, names = torch.nn.PReLU(dtype=torch.float64), {"a": "weight"}
        module.weight.data = tensor(w.params["a"])
    elif isinstance(layer, GlobalAvgPool):
        return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()), {}
    else:
        kind = torch.nn.MaxPool2d if isinstance(layer, MaxPool2d) else torch.nn.AvgPool2d
        return kind(layer.size, layer.stride), {}
    if "bias" in names.values() and module.bias is not None:
        module.bias.data = tensor(w.params["beta" if "beta" in w.params else "b"])
    return module, {ours: theirs for ours, theirs in names.items() if ours in w.params}


THEIRS = [
    (Dense(3), (4,)),
    (Dense(2, bias=False), (5,)),
    (Conv2d(3, (3, 3), padding=1), (2, 5, 5)),
    (Conv2d(2, (3, 2), stride=2, bias=False), (1, 7, 6)),
    (Conv2d(4, (5, 3), stride=3, padding=2), (3, 8, 9)),
    (Conv2d(6, (3, 2), stride=2, padding=1, groups=3), (3, 5, 6)),
    (Conv2d(4, (1, 1), groups=2, bias=False), (6, 3, 3)),
    (GlobalAvgPool(), (3, 4, 5)),
    (MaxPool2d((2, 2), (2, 2)), (2, 4, 4)),
    (MaxPool2d((3, 2), (2, 2)), (1, 6, 5)),
    (MaxPool2d((3, 3), (1, 2)), (2, 6, 7)),
    (AvgPool2d((2, 2), (2, 2)), (2, 4, 4)),
    (AvgPool2d((3, 2), (2, 1)), (2, 6, 5)),
    (BatchNorm(), (4,)),
    (BatchNorm(momentum=0.3, epsilon=1e-3), (2, 3, 3)),
    (BatchNorm(), (3, 5)),
    (Activation("prelu"), (5,)),
]


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize(("layer", "shape"), THEIRS, ids=str)
def test_forward_backward_and_buffers_are_those_of_pytorch(layer, shape, mode, torch, rng):
    w, x = moved(layer, shape, rng), rng.normal(size=(6, *shape))
    module, names = by_torch(torch, layer, shape, w)
    module.train(mode == "train")
    leaf = torch.tensor(x, requires_grad=True)
    theirs = module(leaf)
    out = layer.forward(w, x, TRAINING if mode == "train" else EVALUATION)
    close = {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(out.y, theirs.detach().numpy(), **close)
    dy = rng.normal(size=out.y.shape)
    theirs.backward(torch.tensor(dy))
    dx, grads = layer.backward(w, out.cache, dy)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), **close)
    assert grads.keys() == names.keys()
    for ours, other in names.items():
        grad = getattr(module, other).grad.numpy()
        np.testing.assert_allclose(grads[ours], grad.T if ours == "W" else grad, **close)
    if out.buffers:
        np.testing.assert_allclose(out.buffers["mean"], module.running_mean.numpy(), **close)
        np.testing.assert_allclose(out.buffers["variance"], module.running_var.numpy(), **close)


def test_of_equal_numbers_the_first_of_the_block_takes_the_gradient_as_in_pytorch(torch):
    x = np.array([[[[1.0, 1.0, 2.0, 0.0], [1.0, 1.0, 0.0, 2.0]]]])
    leaf = torch.tensor(x, requires_grad=True)
    torch.nn.functional.max_pool2d(leaf, 2).sum().backward()
    layer, w = MaxPool2d((2, 2), (2, 2)), Weights({}, {})
    dx, _grads = layer.backward(w, layer.forward(w, x, EVALUATION).cache, np.ones((1, 1, 1, 2)))
    np.testing.assert_array_equal(dx, leaf.grad.numpy())


def test_nan_wins_its_block():
    x = np.array([[[[5.0, np.nan], [1.0, 2.0]]]])
    assert np.isnan(MaxPool2d((2, 2), (2, 2)).forward(Weights({}, {}), x, EVALUATION).y).all()


def test_batch_norm_brings_a_batch_to_mean_0_and_sd_1_and_remembers_a_tenth(rng):
    layer, x = BatchNorm(), rng.normal(5, 2, (10_000, 3))
    out = layer.forward(layer.init((3,), rng), x, TRAINING)
    np.testing.assert_allclose(out.y.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(out.y.std(0), 1, atol=1e-5)
    np.testing.assert_allclose(out.buffers["mean"], 0.5, atol=0.01)
    np.testing.assert_allclose(out.buffers["variance"], 0.9 + 0.1 * 4, atol=0.02)


def test_batch_norm_in_evaluation_leaves_its_statistics(rng):
    layer = BatchNorm()
    w = layer.init((3,), rng)
    assert layer.forward(w, rng.normal(size=(5, 3)), EVALUATION).buffers is w.buffers


def test_dropout_zeroes_its_share_and_scales_the_rest(rng):
    layer = Dropout(0.5)
    y = layer.forward(Weights({}, {}), np.ones((200, 100)), training()).y
    assert set(np.unique(y)) == {0.0, 2.0}
    # five standard errors of a share of 20,000 draws
    assert (y == 0).mean() == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(20_000))
    assert y.mean() == pytest.approx(1.0, abs=0.02)


@given(rate=st.floats(0, 0.9))
def test_dropout_keeps_the_mean(rate):
    y = Dropout(rate).forward(Weights({}, {}), np.ones((100, 100)), training()).y
    assert y.mean() == pytest.approx(1, abs=6 * np.sqrt(rate / (1 - rate) / 10_000) + 1e-9)


def test_dropout_in_evaluation_is_nothing(rng):
    x = rng.normal(size=(3, 4))
    np.testing.assert_array_equal(Dropout(0.5).forward(Weights({}, {}), x, EVALUATION).y, x)


def test_flatten_runs_along_the_last_axis_fastest():
    x = np.arange(12.0).reshape(1, 2, 2, 3)
    assert Flatten().forward(Weights({}, {}), x, EVALUATION).y.tolist() == [list(range(12))]


def test_a_convolution_by_hand():
    """A cross-correlation: the kernel is not turned round."""
    layer = Conv2d(1, (2, 2), bias=True)
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    w = Weights({"K": np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), "b": np.array([0.5])}, {})
    first = 0 * 1 + 1 * 2 + 3 * 3 + 4 * 4 + 0.5
    assert layer.forward(w, x, EVALUATION).y[0, 0].tolist() == [[first, first + 10], [first + 30, first + 40]]


def test_units_by_hand():
    x = np.array([[7.0, -3.0, 2.0]])
    for weights, expected in (([1 / 3, 1 / 3, 1 / 3], 2.0), ([0.6, 0.25, 0.15], 3.75)):
        w = Weights({"W": np.array(weights)[:, None]}, {})
        y = Dense(1, bias=False).forward(w, x, EVALUATION).y
        assert y.item() == pytest.approx(expected)
    assert Activation("sigmoid").forward(Weights({}, {}), y, EVALUATION).y.item() == pytest.approx(0.977023, abs=5e-7)


def test_a_step_unit_is_the_and_gate():
    w = Weights({"W": np.array([[1.0], [1.0]]), "b": np.array([-1.5])}, {})
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    z = Dense(1).forward(w, x, EVALUATION).y
    assert Activation("step").forward(Weights({}, {}), z, EVALUATION).y.ravel().tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Dense(3), (8, 8, 4), "layer 3.dense: expected a flat input (features,), got 8×8×4; put a flatten before it"),
        (
            Conv2d(2, (3, 3)),
            (5,),
            "layer 3.conv: expected an image (channels, rows, cols), got 5; put it before flatten",
        ),
        (
            Conv2d(2, (3, 3)),
            (28, 28),
            'layer 3.conv: expected an image (channels, rows, cols), got 28×28; write the input as "1x28x28"',
        ),
        (
            Conv2d(2, (5, 5)),
            (1, 4, 4),
            "layer 3.conv: expected an image of at least 5×5 with its padding, got 1×4×4; "
            "take a smaller kernel, more padding, or one pooling less before it",
        ),
        (
            MaxPool2d((2, 2), (2, 2)),
            (1, 1, 4),
            "layer 3.maxpool: expected an image of at least 2×2, got 1×1×4; "
            "remove this pooling or pad the convolution before it",
        ),
        (
            AvgPool2d((2, 2), (2, 2)),
            (9,),
            "layer 3.avgpool: expected an image (channels, rows, cols), got 9; put it before flatten",
        ),
        (
            GlobalAvgPool(),
            (9,),
            "layer 3.globalavgpool: expected an image (channels, rows, cols), got 9; put it before flatten",
        ),
        (
            Conv2d(6, (1, 1), groups=4),
            (4, 2, 2),
            "layer 3.conv: expected channels in and out that 4 divides, got 4 and 6",
        ),
        (
            Residual((Conv2d(5, (3, 3)),)),
            (1, 4, 4),
            "layer 3.residual: expected an output of 1×4×4, the shape of its input, got 5×2×2; "
            "what is added together must have one shape: change the layers inside",
        ),
        (
            Residual((Flatten(), Residual((Conv2d(5, (3, 3)),)))),
            (1, 4, 4),
            "layer 3.residual.1.residual.0.conv: expected an image (channels, rows, cols), got 16; "
            "put it before flatten",
        ),
    ],
)
def test_a_layer_that_does_not_fit_says_so(layer, shape, message):
    with pytest.raises(ShapeError) as caught:
        layer.out_shape(shape, f"layer 3.{layer.keyword}")
    assert str(caught.value) == message


def test_an_unknown_activation_is_refused_at_birth():
    with pytest.raises(UnknownName):
        Activation("rleu")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv 32 3x3", Conv2d(32, (3, 3))),
        ("conv 8 5", Conv2d(8, (5, 5))),
        ("conv 8 5×3 stride 2 pad 1 no bias", Conv2d(8, (5, 3), 2, 1, False)),
        ("conv 8 3x3 groups 4 no bias", Conv2d(8, (3, 3), bias=False, groups=4)),
        ("globalavgpool", GlobalAvgPool()),
        ("maxpool 2", MaxPool2d((2, 2), (2, 2))),
        ("maxpool 3x2 stride 1", MaxPool2d((3, 2), (1, 1))),
        ("avgpool 7", AvgPool2d((7, 7), (7, 7))),
        ("dropout 0.25", Dropout(0.25)),
        ("batchnorm", BatchNorm()),
        ("flatten", Flatten()),
        ("128 no bias", Dense(128, bias=False)),
        ("leaky_relu 0.2", Activation("leaky_relu", 0.2)),
    ],
)
def test_a_layer_is_read_from_its_words(text, expected):
    words = text.split()
    assert type(expected).from_words(words, "here") == expected
    assert type(expected).from_words(expected.to_words().split(), "here") == expected


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (Dense, "0", "here: expected number of units: a whole number from 1, got '0'"),
        (Dense, "3 4", "here: expected 128 relu, got also '4'"),
        (Conv2d, "conv", "here: expected number of channels, got the end of 'conv'"),
        (Conv2d, "conv 3 x", "here: expected size of the kernel, such as 3x3, got 'x'"),
        (Conv2d, "conv 3 3x3 stride 0", "here: expected stride: a whole number from 1, got '0'"),
        (Conv2d, "conv 3 3x3 pad -1", "here: expected pad: a whole number from 0, got '-1'"),
        (Conv2d, "conv 3 3x3 groups 0", "here: expected groups: a whole number from 1, got '0'"),
        (GlobalAvgPool, "globalavgpool 2", "here: expected globalavgpool, got also '2'"),
        (
            Residual,
            "residual 3",
            "here: expected residual(conv 16 3x3 pad 1 relu, conv 16 3x3 pad 1), got 'residual 3'",
        ),
        (MaxPool2d, "maxpool 2 stride 0", "here: expected stride: a whole number from 1, got '0'"),
        (Dropout, "dropout 1", "here: expected share of units dropped: a number from 0 to below 1, got '1'"),
        (Dropout, "dropout half", "here: expected share of units dropped: a number from 0 to below 1, got 'half'"),
        (BatchNorm, "batchnorm 3", "here: expected batchnorm, got also '3'"),
        (Activation, "relu 0.1", "here: expected \"relu\", got 'relu 0.1'"),
        (Activation, "elu inf", "here: expected \"elu\", got 'elu inf'"),
    ],
)
def test_words_that_make_no_layer_are_refused(kind, text, message):
    with pytest.raises(RecipeError) as caught:
        kind.from_words(text.split(), "here")
    assert str(caught.value) == message


@examples
def test_a_layer_is_rebuilt_from_its_json(layer, shape):
    (rebuilt,) = Network.from_dict(json.loads(json.dumps({"input": shape, "layers": [layer.to_dict()]}))).layers
    assert rebuilt == layer
    assert hash(rebuilt) == hash(layer)


@pytest.mark.parametrize("keyword", LAYERS)
def test_every_layer_is_final_frozen_and_enrolled(keyword):
    kind = LAYERS[keyword]
    assert kind.__bases__ == (Layer,)
    assert kind.keyword == keyword
    assert kind.__dataclass_params__.frozen
    assert len(kind.examples) >= 2
