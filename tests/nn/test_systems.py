"""The worked numbers of the sources: every digit they print, recomputed."""

from itertools import pairwise

import numpy as np
import pytest

from limpide.engines.numpy_engine import NumpyEngine
from limpide.nn.activations import sigmoid
from limpide.nn.layers import EVALUATION
from limpide.nn.losses import LOSSES
from limpide.nn.network import Network, Parameters, backward, forward
from limpide.nn.optimizers import make_optimizer


def one_pass(network, loss, weights, x, y):
    """The output of each layer, the loss, and the gradients by full name."""
    parameters = Parameters.of(network, weights, np.float64)
    output, outs = forward(network, parameters.layers, x, [EVALUATION] * len(network.layers))
    _dx, grads = backward(network, parameters.layers, outs, LOSSES[loss].gradient(output, y))
    named = {slot.name: grads[slot.layer][slot.key] for slot in network.slots}
    return [out.y for out in outs], LOSSES[loss].mean(output, y), named


def test_height_from_weight_and_age():
    network = Network.parse("2, 3 relu, 3 relu, 1 relu")
    weights = {
        "0.dense.W": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]],
        "0.dense.b": [0.1, 0.2, 0.3],
        "2.dense.W": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]],
        "2.dense.b": [0.1, 0.2, 0.3],
        "4.dense.W": [[0.1], [0.2], [0.3]],
        "4.dense.b": [0.1],
    }
    assert network.n_parameters == 25
    outputs, _loss, _grads = one_pass(network, "mse", weights, np.array([[70.0, 25.0]]), np.array([[0.0]]))
    for i, expected in enumerate([[17.1, 26.7, 36.3], [37.9, 46.01, 54.12], [29.328]]):
        for output in outputs[2 * i : 2 * i + 2]:
            np.testing.assert_allclose(output[0], expected, rtol=1e-14)


CHAIN = {"0.dense.W": 0.5, "0.dense.b": 0.1, "2.dense.W": -0.3, "2.dense.b": 0.2, "4.dense.W": 0.8, "4.dense.b": -0.1}


@pytest.mark.parametrize(
    ("end", "output", "loss", "gradients"),
    [
        (" sigmoid", 0.573216, 0.091072, [0.00234718, 0.00117359, -0.0156642, -0.02087835, -0.05154954, -0.10440818]),
        ("", 0.294985, 0.248523, [0.01584934, 0.00792467, -0.10577235, -0.1409809, -0.3480878, -0.70501534]),
    ],
)
def test_back_propagation_along_a_chain(end, output, loss, gradients):
    network = Network.parse(f"1, 1 sigmoid, 1 sigmoid, 1{end}")
    weights = {name: np.full((1, 1) if name.endswith("W") else 1, value) for name, value in CHAIN.items()}
    outputs, measured, grads = one_pass(network, "half_mse", weights, np.array([[2.0]]), np.array([[1.0]]))
    assert outputs[1].item() == pytest.approx(0.750260, abs=5e-7)
    assert outputs[3].item() == pytest.approx(0.493731, abs=5e-7)
    assert outputs[-1].item() == pytest.approx(output, abs=5e-7)
    assert measured == pytest.approx(loss, abs=5e-7)
    assert [grads[name].item() for name in CHAIN] == pytest.approx(gradients, abs=5e-9)


def test_the_same_chain_from_pytorch_s_own_start(torch):
    torch.manual_seed(0)
    linears = [torch.nn.Linear(1, 1) for _layer in range(3)]
    weights = {}
    for i, linear in zip((0, 2, 4), linears):
        weights |= {f"{i}.dense.W": linear.weight.detach().numpy().T, f"{i}.dense.b": linear.bias.detach().numpy()}
    network = Network.parse("1-1-1-1 sigmoid")
    trainer = NumpyEngine().trainer(network, LOSSES["mse"], make_optimizer("sgd", rate=0.01), weights)
    x, y = np.array([[2.0]], np.float32), np.array([[1.0]], np.float32)
    assert trainer.evaluate(x).item() == pytest.approx(0.182543, abs=1e-6)
    losses = [trainer.run(x, y, np.array([0]), 1, lambda path: None).item() for _update in range(3)]
    assert losses == pytest.approx([0.668236, 0.640299, 0.613537], abs=1e-6)


def printed_log(network, loss, optimizer, weights, x, y, n_epochs, every, predict):
    """Loss and accuracy before the update, every so many epochs of full-batch training, and the last accuracy."""
    trainer = NumpyEngine().trainer(network, LOSSES[loss], optimizer, weights, precision="float64")
    order, log = np.arange(len(x)), []
    for epoch in range(n_epochs):
        is_shown = epoch % every == 0 or epoch == n_epochs - 1
        accuracy = float(np.mean(predict(trainer.evaluate(x)) == y)) if is_shown else None
        losses = trainer.run(x, y, order, len(x), lambda path: None)
        if is_shown:
            log.append((round(float(losses[0]), 4), accuracy))
    return [loss for loss, _accuracy in log[:-1]], [accuracy for _loss, accuracy in log]


def born(rng, *sizes):
    """Weights of sd 0.01 in the order the sources draw them, biases 0."""
    weights = {}
    for i, shape in enumerate(pairwise(sizes)):
        weights |= {f"{2 * i}.dense.W": rng.randn(*shape) * 0.01, f"{2 * i}.dense.b": np.zeros(shape[1])}
    return weights


def test_three_random_classes_are_learned_as_printed():
    """The gradient is summed over 100 rows there: a rate of 0.01 is 1 on the mean."""
    rng = np.random.RandomState(0)
    x, y = rng.randn(100, 4), rng.randint(0, 3, 100)
    losses, accuracies = printed_log(
        Network.parse("4-5-4-3 relu"),
        "cross_entropy",
        make_optimizer("sgd", rate=1.0),
        born(rng, 4, 5, 4, 3),
        x,
        y,
        n_epochs=1000,
        every=100,
        predict=lambda scores: scores.argmax(1),
    )
    assert np.bincount(y).tolist() == [37, 34, 29]
    assert losses == [1.0986, 1.0937, 1.0936, 1.0936, 1.0930, 0.9798, 0.9519, 0.9024, 0.8649, 0.8667]
    assert accuracies[-1] == 0.55


def standardised(x):
    return (x - x.mean(0)) / x.std(0)


def binary_log(network, weights, x, y, rate, momentum, n_epochs, every):
    return printed_log(
        network,
        "binary_cross_entropy_with_logits",
        make_optimizer("momentum", rate=rate * len(x), momentum=momentum),
        weights,
        x,
        y,
        n_epochs,
        every,
        predict=lambda scores: sigmoid(scores) > 0.5,
    )


@pytest.mark.parametrize(
    ("momentum", "expected"),
    [
        (0.9, [0.6932, 0.6132, 0.6126, 0.6126, 0.6127, 0.6126, 0.6127, 0.6127, 0.6126, 0.6126]),
        (0.0, [0.6932, 0.6872, 0.6558, 0.6454, 0.6244, 0.6159, 0.6154]),
    ],
)
def test_random_labels_are_learned_with_momentum_as_printed(momentum, expected):
    rng = np.random.RandomState(0)
    x, y = rng.randn(100, 2), (rng.rand(100) > 0.5).astype(float)[:, None]
    losses, accuracies = binary_log(
        Network.parse("2-4-1 relu"), born(rng, 2, 4, 1), standardised(x), y, 0.005, momentum, 1000, 100
    )
    assert losses[: len(expected)] == expected
    assert accuracies[0] == 0.48
    if momentum:
        assert accuracies[-1] == 0.66


def test_two_moons_are_learned_with_momentum_as_printed():
    from sklearn.datasets import make_moons

    x, y = make_moons(200, noise=0.2, random_state=0)
    losses, accuracies = binary_log(
        Network.parse("2-6-1 relu"),
        born(np.random.RandomState(1), 2, 6, 1),
        standardised(x),
        y[:, None].astype(float),
        rate=0.005,
        momentum=0.9,
        n_epochs=2000,
        every=200,
    )
    assert losses == [0.6932, 0.0854, 0.0738, 0.0702, 0.0686, 0.0676, 0.0669, 0.0666, 0.0662, 0.0660]
    assert [f"{accuracy:.2f}" for accuracy in accuracies[:-1]] == ["0.50", *["0.98"] * 7, "0.97", "0.98"]
