import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpide.engines.numpy_engine import NumpyEngine
from limpide.errors import RecipeError, ShapeError, UnknownName
from limpide.nn.activations import ACTIVATIONS
from limpide.nn.layers import (
    LAYERS,
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool2d,
    Residual,
)
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network, Parameters
from limpide.nn.optimizers import make_optimizer

# the check of shapes looks at random items of a tuple, which hypothesis takes for a mistake in a strategy
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

MLP = "28x28, 512 relu, 256 relu, 128 relu, 10"
CNN = "1x28x28, conv 32 3x3 pad 1 relu, maxpool 2, conv 64 3x3 pad 1 relu, maxpool 2, flatten, 128 relu, 10"


@st.composite
def activations(draw):
    name = draw(st.sampled_from(list(ACTIVATIONS)))
    slope = st.none() if ACTIVATIONS[name].slope is None else st.none() | st.floats(-2, 2)
    return Activation(name, draw(slope))


@st.composite
def layers_for(draw, shape):
    """A layer that a text can say and that fits this shape."""
    kinds = [activations(), st.builds(Dropout, st.floats(0, 0.99)), st.just(BatchNorm()), st.just(Flatten())]
    if len(shape) == 1:
        kinds.append(st.builds(Dense, st.integers(1, 9), st.booleans()))
    else:
        size = draw(st.tuples(st.integers(1, shape[1]), st.integers(1, shape[2])))
        stride = draw(st.integers(1, 3))
        kinds.append(
            st.builds(Conv2d, st.integers(1, 4), st.just(size), st.just(stride), st.integers(0, 2), st.booleans())
        )
        groups = draw(st.sampled_from([n for n in range(1, shape[0] + 1) if shape[0] % n == 0]))
        kinds.append(st.just(Conv2d(2 * groups, size, groups=groups)))
        kinds.append(st.just(GlobalAvgPool()))
        kinds.append(st.sampled_from([MaxPool2d, AvgPool2d]).map(lambda kind: kind(size, (stride, stride))))
    return draw(st.one_of(kinds))


@st.composite
def residuals(draw, shape):
    """Layers that keep the shape, residuals among them."""
    layers = [draw(activations())]
    layers.append(Dense(shape[0]) if len(shape) == 1 else Conv2d(shape[0], (1, 1), bias=draw(st.booleans())))
    if draw(st.booleans()):
        layers.append(Residual((Dropout(draw(st.floats(0, 0.99))), BatchNorm())))
    return Residual(tuple(draw(st.permutations(layers))))


@st.composite
def networks(draw):
    shape = draw(st.tuples(st.integers(1, 20)) | st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    first, layers = shape, []
    for _layer in range(draw(st.integers(1, 7))):
        layers.append(draw(st.one_of(layers_for(shape), residuals(shape))))
        shape = layers[-1].out_shape(shape, "here")
    return Network(first, tuple(layers))


@given(network=networks())
def test_a_network_is_rebuilt_from_its_text_and_its_json(network):
    assert Network.parse(str(network)) == network
    assert Network.from_dict(network.to_dict()) == network
    assert hash(Network.parse(str(network))) == hash(network)


@given(network=networks())
def test_the_table_adds_up_to_the_parameters_there_are(network):
    weights = network.initialize(np.random.default_rng(0))
    rows = network.table()
    trained = [slot.name for slot in network.slots]
    assert network.n_parameters == sum(row.parameters for row in rows) == sum(weights[name].size for name in trained)
    assert [row.output for row in rows] == list(network.shapes[1:])
    assert [row.index for row in rows] == list(range(len(rows)))
    for row in rows:
        for number, arithmetic in (
            (row.parameters, row.arithmetic),
            (row.multiply_adds, row.multiply_adds_arithmetic),
        ):
            assert bool(arithmetic) == bool(number)
            if "=" in arithmetic:
                left, right = arithmetic.split(" = ")
                assert eval(left.replace("·", "*")) == number == int(right.replace(",", ""))


@given(network=networks())
def test_the_named_arrays_are_views_on_one_vector(network):
    weights = network.initialize(np.random.default_rng(0))
    parameters = Parameters.of(network, weights, np.float64)
    assert parameters.named().keys() == weights.keys()
    for name, array in parameters.named().items():
        np.testing.assert_array_equal(array, weights[name])
    parameters.flat += 1
    for layer, path in zip(parameters.layers, network.paths):
        for key, array in layer.params.items():
            np.testing.assert_array_equal(array, weights[f"{path}.{key}"] + 1)


def modules_of(torch, network):
    """PyTorch's own modules; a residual is its row of modules, which ends in the shape that it starts with."""
    for layer, shape in zip(network.layers, network.shapes):
        if isinstance(layer, Dense):
            yield torch.nn.Linear(shape[0], layer.units, layer.bias)
        elif isinstance(layer, Conv2d):
            sizes = (layer.kernel, layer.stride, layer.padding, 1, layer.groups, layer.bias)
            yield torch.nn.Conv2d(shape[0], layer.channels, *sizes)
        elif isinstance(layer, Residual):
            yield from modules_of(torch, Network(shape, layer.layers))
        elif isinstance(layer, GlobalAvgPool):
            yield torch.nn.AdaptiveAvgPool2d(1)
            yield torch.nn.Flatten()
        elif isinstance(layer, BatchNorm):
            yield torch.nn.BatchNorm2d(shape[0])
        elif isinstance(layer, Activation) and layer.row.learned:
            yield torch.nn.PReLU()
        elif isinstance(layer, MaxPool2d | AvgPool2d):
            kind = torch.nn.MaxPool2d if isinstance(layer, MaxPool2d) else torch.nn.AvgPool2d
            yield kind(layer.size, layer.stride)
        elif isinstance(layer, Flatten):
            yield torch.nn.Flatten()


@given(network=networks())
def test_parameters_and_shapes_are_those_of_pytorch(torch, network):
    modules = list(modules_of(torch, network))
    assert network.n_parameters == sum(p.numel() for module in modules for p in module.parameters())
    x = torch.zeros(2, *network.input_shape)
    for module in modules:
        x = x if isinstance(module, torch.nn.BatchNorm2d) else module(x)
    assert tuple(x.shape[1:]) == network.output_shape


def test_the_parameters_of_a_residual_are_named_by_their_way_in():
    network = Network.parse("3, residual(4 relu, residual(4 no bias, batchnorm), 3), 1")
    assert [(slot.name, slot.shape) for slot in network.slots] == [
        ("0.residual.0.dense.W", (3, 4)),
        ("0.residual.0.dense.b", (4,)),
        ("0.residual.2.residual.0.dense.W", (4, 4)),
        ("0.residual.2.residual.1.batchnorm.gamma", (4,)),
        ("0.residual.2.residual.1.batchnorm.beta", (4,)),
        ("0.residual.3.dense.W", (4, 3)),
        ("0.residual.3.dense.b", (3,)),
        ("1.dense.W", (3, 1)),
        ("1.dense.b", (1,)),
    ]
    buffers = network.initialize(np.random.default_rng(0)).keys() - {slot.name for slot in network.slots}
    assert buffers == {f"0.residual.2.residual.1.batchnorm.{key}" for key in ("mean", "variance")}


def test_a_layer_inside_a_residual_that_cannot_be_rebuilt_is_named():
    described = Network.parse("3, residual(3), 1").to_dict()
    described["layers"][0]["layers"][0]["type"] = "dnse"
    with pytest.raises(UnknownName, match=r"^layer 0\.0: unknown name"):
        Network.from_dict(described)


def rows_of(text):
    return [(row.type, row.output, row.parameters, row.arithmetic) for row in Network.parse(text).table()]


def test_the_layer_table_of_a_dense_network():
    assert rows_of(MLP) == [
        ("flatten", (784,), 0, ""),
        ("dense", (512,), 401_920, "28·28·512 + 512 = 401,920"),
        ("relu", (512,), 0, ""),
        ("dense", (256,), 131_328, "512·256 + 256 = 131,328"),
        ("relu", (256,), 0, ""),
        ("dense", (128,), 32_896, "256·128 + 128 = 32,896"),
        ("relu", (128,), 0, ""),
        ("dense", (10,), 1_290, "128·10 + 10 = 1,290"),
    ]
    assert Network.parse(MLP).n_parameters == 567_434


def test_the_layer_table_of_a_convolutional_network():
    assert rows_of(CNN) == [
        ("conv", (32, 28, 28), 320, "3·3·1·32 + 32 = 320"),
        ("relu", (32, 28, 28), 0, ""),
        ("maxpool", (32, 14, 14), 0, ""),
        ("conv", (64, 14, 14), 18_496, "3·3·32·64 + 64 = 18,496"),
        ("relu", (64, 14, 14), 0, ""),
        ("maxpool", (64, 7, 7), 0, ""),
        ("flatten", (3136,), 0, ""),
        ("dense", (128,), 401_536, "64·7·7·128 + 128 = 401,536"),
        ("relu", (128,), 0, ""),
        ("dense", (10,), 1_290, "128·10 + 10 = 1,290"),
    ]
    assert Network.parse(CNN).n_parameters == 421_642


def test_the_table_says_what_each_layer_does_and_what_it_costs():
    rows = Network.parse(CNN).table()
    assert [row.specification for row in rows] == [
        "1 → 32 channels, 3×3, stride 1, padding 1, bias",
        "max(0, z)",
        "2×2, stride 2",
        "32 → 64 channels, 3×3, stride 1, padding 1, bias",
        "max(0, z)",
        "2×2, stride 2",
        "64×7×7 → 3136",
        "3136 → 128, bias",
        "max(0, z)",
        "128 → 10, bias",
    ]
    assert rows[0].multiply_adds_arithmetic == "3·3·1·32·28·28 = 225,792"
    assert rows[7].multiply_adds == 401_408


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("11-6-6-1 relu", 121),
        ("3, 64 relu, 32 relu, 1", 2_369),
        ("3-128-64-32-16-1 relu", 11_393),
        ("2-16-16-16-1 relu", 609),
        ("2, 40x5 relu, 1", 6_721),
        ("784, 40x5 relu, 10", 38_370),
        (
            "1x28x28, conv 16 3x3 pad 1 relu, maxpool 2, conv 32 3x3 pad 1 relu, maxpool 2, flatten, 128 relu, 10",
            206_922,
        ),
        ("4-5-4-3 relu", 64),
    ],
)
def test_the_parameters_of_known_networks(text, parameters):
    assert Network.parse(text).n_parameters == parameters


def test_a_huge_network_is_counted_without_being_made():
    assert Network.parse("1000000, 1000000 relu, 1").n_parameters == 10**12 + 2 * 10**6 + 1


def test_a_notebook_shows_the_table_with_its_total():
    html = re.sub(' style="[^"]*"', "", Network.parse("2, 3 relu, 1")._repr_html_())
    assert "<td>2·3 + 3 = 9</td>" in html
    assert "<td>total</td><td></td><td>1</td><td>13</td>" in html
    assert html.count("<tr>") == 5


@pytest.mark.parametrize("shape", [(), (0,), (3, -1, 2)])
def test_an_input_without_numbers_is_refused(shape):
    with pytest.raises(ShapeError, match=r"^input: expected sizes of 1 or more, got "):
        Network(shape, (Dense(1),))


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([{"type": "dens", "units": 3}], UnknownName, 'layer 0: unknown name "dens"; did you mean "dense"?'),
        ([{"type": "dense", "unit": 3}], UnknownName, 'layer 0: unknown name "unit"; did you mean "units"?'),
        ([{"units": 3}], UnknownName, f'layer 0: unknown name ""; choose among {", ".join(LAYERS)}'),
        ([{"type": "dense"}], RecipeError, "layer 0: expected units, got nothing"),
        (
            [{"type": "dense", "units": 3}, {"type": "activation", "function": "rleu"}],
            UnknownName,
            'activation: unknown name "rleu"; did you mean "relu"?',
        ),
    ],
)
def test_json_that_is_no_network_names_its_layer(layers, error, message):
    with pytest.raises(error) as caught:
        Network.from_dict({"input": [2], "layers": layers})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("end", "loss", "fits"),
    [
        ("1", "mse", True),
        ("1", "binary_cross_entropy_with_logits", True),
        ("1 sigmoid", "binary_cross_entropy", True),
        ("3", "cross_entropy", True),
        ("3 softmax", "categorical_cross_entropy", True),
        ("1 relu", "mae", True),
        ("1 sigmoid", "mse", True),
        ("1 sigmoid", "binary_cross_entropy_with_logits", False),
        ("3 softmax", "cross_entropy", False),
        ("1 sigmoid", "cross_entropy", False),
        ("1", "binary_cross_entropy", False),
        ("3", "categorical_cross_entropy", False),
        ("3 sigmoid", "categorical_cross_entropy", False),
    ],
)
def test_a_loss_is_checked_against_the_end_of_the_network(end, loss, fits):
    network = Network.parse(f"4, 5 relu, {end}")
    if fits:
        network.check_loss(LOSSES[loss])
    else:
        with pytest.raises(RecipeError, match=rf"^loss {loss}: expected "):
            network.check_loss(LOSSES[loss])


@pytest.mark.parametrize(
    ("end", "loss", "message"),
    [
        (
            "10 softmax",
            "cross_entropy",
            "loss cross_entropy: expected raw scores, because it applies softmax itself, got a network that ends in "
            "softmax; remove the softmax, or take categorical_cross_entropy: applied twice it flattens the scores, "
            "which on MNIST costs 24 points of accuracy",
        ),
        (
            "10",
            "categorical_cross_entropy",
            "loss categorical_cross_entropy: expected probabilities, got a network without softmax at its end; "
            "end the network with softmax, or take cross_entropy",
        ),
        (
            "1",
            "binary_cross_entropy",
            "loss binary_cross_entropy: expected probabilities, got a network without sigmoid at its end; "
            "end the network with sigmoid, or take binary_cross_entropy_with_logits",
        ),
    ],
)
def test_the_refusal_of_a_loss_says_the_reason_and_the_mend(end, loss, message):
    with pytest.raises(RecipeError) as caught:
        Network.parse(f"64, {end}").check_loss(LOSSES[loss])
    assert str(caught.value) == message


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_thirty_updates_of_a_network_are_those_of_pytorch(torch, precision, rng):
    """Thirty updates of a convolutional network with Adam, from the same weights in the same order."""
    network = Network.parse("1x6x6, conv 4 3x3 pad 1 relu, maxpool 2, flatten, 5 tanh, 3")
    weights = network.initialize(rng)
    x, y = rng.normal(size=(20, 1, 6, 6)).astype(precision), rng.integers(0, 3, 20)
    trainer = NumpyEngine().trainer(
        network, LOSSES["cross_entropy"], make_optimizer("adam", rate=0.01), weights, 30, precision
    )
    losses = [trainer.run(x, y, np.arange(20), 8, lambda path: rng) for _epoch in range(10)]

    nn, tensor = torch.nn, torch.tensor
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(36, 5),
        nn.Tanh(),
        nn.Linear(5, 3),
    ).to(getattr(torch, precision))
    state = {"0.weight": weights["0.conv.K"], "0.bias": weights["0.conv.b"]}
    for theirs, ours in (("4", "4.dense"), ("6", "6.dense")):
        state |= {f"{theirs}.weight": weights[f"{ours}.W"].T, f"{theirs}.bias": weights[f"{ours}.b"]}
    model.load_state_dict({name: tensor(np.ascontiguousarray(array)) for name, array in state.items()})
    optimizer, expected = torch.optim.Adam(model.parameters(), 0.01), []
    for start in [0, 8, 16] * 10:
        rows = slice(start, start + 8)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(tensor(x[rows])), tensor(y[rows]))
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    np.testing.assert_allclose(np.concatenate(losses), expected, rtol=1e-9 if precision == "float64" else 1e-3)
    assert losses[-1][-1] < losses[0][0]


def test_layers_made_in_python_with_impossible_numbers_are_refused():
    with pytest.raises(ShapeError, match=r"layer 0\.dense: expected sizes of 1 or more, got 0"):
        Network((3,), (Dense(0),))
    with pytest.raises(RecipeError, match=r"layer 0\.dropout: expected a rate from 0 to below 1, got 1\.0"):
        Network((3,), (Dropout(1.0),))
