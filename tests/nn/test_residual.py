import numpy as np
import pytest

from limpide.nn.layers import EVALUATION, Activation, BatchNorm, Conv2d, Dense, Dropout, Mode, Residual, Weights


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_residual_block_is_that_of_pytorch(mode, torch, rng):
    """Two convolutions with batch norm, the input added: the block of He, Zhang, Ren & Sun 2016."""
    inside = (Conv2d(3, (3, 3), padding=1), BatchNorm(), Activation("relu"), Conv2d(3, (1, 1)), BatchNorm())
    layer, x = Residual(inside), rng.normal(size=(6, 3, 4, 5))
    born = layer.init((3, 4, 5), rng)
    w = Weights(*({key: a + rng.uniform(0.1, 0.5, a.shape) for key, a in tree.items()} for tree in born))
    body = torch.nn.Sequential(
        torch.nn.Conv2d(3, 3, 3, padding=1),
        torch.nn.BatchNorm2d(3),
        torch.nn.ReLU(),
        torch.nn.Conv2d(3, 3, 1),
        torch.nn.BatchNorm2d(3),
    )
    body.double().train(mode == "train")
    for parameter, array in zip(body.parameters(), w.params.values(), strict=True):
        parameter.data = torch.tensor(array)
    for i in (1, 4):
        body[i].running_mean = torch.tensor(w.buffers[f"{i}.batchnorm.mean"])
        body[i].running_var = torch.tensor(w.buffers[f"{i}.batchnorm.variance"])

    leaf = torch.tensor(x, requires_grad=True)
    theirs = leaf + body(leaf)
    out = layer.forward(w, x, Mode(True, rng) if mode == "train" else EVALUATION)
    close = {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(out.y, theirs.detach().numpy(), **close)
    dy = rng.normal(size=out.y.shape)
    theirs.backward(torch.tensor(dy))
    dx, grads = layer.backward(w, out.cache, dy)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), **close)
    for key, parameter in zip(w.params, body.parameters(), strict=True):
        np.testing.assert_allclose(grads[key], parameter.grad.numpy(), **close, err_msg=key)
    for i in (1, 4):
        np.testing.assert_allclose(out.buffers[f"{i}.batchnorm.mean"], body[i].running_mean.numpy(), **close)
        np.testing.assert_allclose(out.buffers[f"{i}.batchnorm.variance"], body[i].running_var.numpy(), **close)


def test_a_residual_of_nothing_learned_still_passes_its_input(rng):
    layer, x = Residual((Dense(3, bias=False),)), rng.normal(size=(2, 3))
    w = Weights({"0.dense.W": np.zeros((3, 3))}, {})
    out = layer.forward(w, x, EVALUATION)
    np.testing.assert_array_equal(out.y, x)
    dx, _grads = layer.backward(w, out.cache, np.ones((2, 3)))
    np.testing.assert_array_equal(dx, np.ones((2, 3)))


def test_the_dropouts_of_a_residual_draw_one_after_the_other_from_its_stream():
    layer, x = Residual((Dropout(0.5), Dropout(0.5))), np.ones((50, 40))
    rng = np.random.default_rng(3)
    masks = [(rng.random(x.shape, dtype=np.float32) >= 0.5) * 2.0 for _dropout in layer.layers]
    out = layer.forward(Weights({}, {}), x, Mode(True, np.random.default_rng(3)))
    np.testing.assert_array_equal(out.y, 1 + masks[0] * masks[1])
