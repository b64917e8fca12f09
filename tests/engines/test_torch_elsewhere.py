"""The torch engine on a device that is not the CPU, on any machine.

A tensor `Elsewhere` says that it lies on another device (PyTorch's "meta", which needs no driver) and holds its numbers
on the CPU. An operation that meets tensors of both devices is refused, as a GPU would refuse it, or wait for each
number of the other. So what the engine leaves behind is seen, and the numbers are held to the reference all the same;
the speed and the rounding of a real GPU are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from limpide.engines.base import get_engine
from limpide.errors import RecipeError
from limpide.nn.layers import Dropout
from limpide.nn.network import Network
from limpide.testing import EngineConformance
from limpide.testing.cases import LAYER_CASES, LOSS_CASES, RULES, WHOLE_CASES, noise_of
from tests.engines.test_torch_engine import digits, started


class Torch(EngineConformance):
    engine = "torch"


Torch().open()  # skips this file where the engine is missing, and fails where it is required

import torch  # noqa: E402
from torch.utils import _python_dispatch as dispatch  # noqa: E402
from torch.utils import _pytree as pytree  # noqa: E402

AWAY = torch.device("meta")
BRIDGES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
"""The operations that take numbers from one device to another."""


class Elsewhere(torch.Tensor):
    """A tensor on the other device.

    held  its numbers, on the CPU
    """

    held: Any

    @staticmethod
    def __new__(cls, held: Any) -> Elsewhere:
        """The same shape, type and strides."""
        made: Elsewhere = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=AWAY
        )
        made.held = held
        return made

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """A copy, where it is asked for by force, as with a GPU."""
        assert force, "a tensor of another device"
        return np.array(self.held.numpy(force=True))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Nothing: all is done by `OtherDevice`."""
        raise AssertionError(func)


class OtherDevice(dispatch.TorchDispatchMode):  # type: ignore[misc]
    """Where it is switched on, tensors can be made and computed with on the other device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What an operation gives: on the CPU's numbers, where the operation belongs."""
        kwargs = kwargs or {}
        tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        away = {id(tensor.held): tensor for tensor in tensors if isinstance(tensor, Elsewhere)}
        is_mixed = len(away) > 0 and not all(isinstance(tensor, Elsewhere) for tensor in tensors)
        if is_mixed and func not in BRIDGES:
            raise RuntimeError(f"{func}: tensors of two devices")
        device = kwargs.get("device", tensors[0].device if tensors else None)
        args, kwargs = pytree.tree_map_only(Elsewhere, lambda tensor: tensor.held, (args, kwargs))
        if "device" in kwargs:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        found = func(*args, **kwargs)
        if device != AWAY:
            return found
        # a view made in inference mode of a tensor made outside is not one of inference mode
        with torch.inference_mode(False):
            return pytree.tree_map_only(
                torch.Tensor, lambda tensor: away[id(tensor)] if id(tensor) in away else Elsewhere(tensor), found
            )


@pytest.fixture
def other_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine computes there."""
    get_engine("torch")
    from limpide.engines import torch_model

    monkeypatch.setattr(torch_model, "choose_device", lambda _dtype=None: AWAY)
    with OtherDevice():
        yield


@pytest.mark.usefixtures("other_device")
class TestTorchElsewhere(Torch):
    @classmethod
    def values(cls, argument: str) -> list[Any]:
        """Each kind of layer and of optimizer and each loss once, and the whole networks."""
        each_layer = {case.network.layers[0].keyword: case for case in LAYER_CASES}
        chosen: dict[str, list[Any]] = {
            "case": [*each_layer.values(), *LOSS_CASES, *WHOLE_CASES],
            "rule": list({type(rule.optimizer): rule for rule in RULES}.values()),
            "precision": ["float32"],
            "mode": ["train"],
        }
        return chosen.get(argument) or super().values(argument)


@pytest.mark.usefixtures("other_device")
def test_all_that_is_trained_lies_there(rng):
    trainer = started(Network.parse("6, 5, batchnorm relu, 3"), rng)
    tensors = [*trainer._tensors().values(), trainer.grad, trainer.made, *trainer.model.leaves]
    assert {tensor.device for tensor in tensors} == {AWAY}


@pytest.mark.usefixtures("other_device")
def test_the_scale_of_float16_lies_there_too(rng, monkeypatch):
    from limpide.engines import torch_precision

    monkeypatch.setattr(torch_precision, "half_type", lambda _device: torch.float16)
    monkeypatch.setattr(torch_precision.Mixed, "products", lambda _mixed: nullcontext())
    network = Network.parse("6, 5 relu, 3")
    x, y = digits(rng, network)
    trainer = started(network, rng, precision="mixed")
    trainer.run(x, y, np.arange(20), 8, noise_of(0))
    assert {tensor.device for tensor in trainer._tensors().values()} == {AWAY}
    assert trainer.state()["mixed/made"] == 3


@pytest.mark.usefixtures("other_device")
@pytest.mark.parametrize("left", ["rows", "noise", "statistics"])
def test_what_is_left_on_the_cpu_is_seen(left, rng, monkeypatch):
    from limpide.engines import torch_functions, torch_model

    network = Network.parse("6, dropout 0.5, 5, batchnorm relu, 3")
    x, y = digits(rng, network)
    trainer = started(network, rng)
    if left == "rows":
        monkeypatch.setattr(torch_model.Model, "order", lambda _model, rows: torch.from_numpy(np.array(rows)))
    elif left == "noise":
        noise = lambda _layer, _w, x, _mode: x * torch.ones(x.shape)  # noqa: E731
        monkeypatch.setitem(torch_functions.LAYERS, Dropout, noise)
    else:
        for name, buffer in trainer.model.layers[2].buffers.items():
            trainer.model.layers[2].buffers[name] = buffer.cpu()
    with pytest.raises(RuntimeError, match="tensors of two devices"):
        trainer.run(x, y, np.arange(20), 8, noise_of(0))


def test_a_device_without_float64_is_refused_for_it(monkeypatch):
    get_engine("torch")
    from limpide.engines.torch_model import choose_device

    monkeypatch.setenv("LIMPIDE_DEVICE", "mps")
    monkeypatch.setattr(torch, "empty", lambda _n, device: SimpleNamespace(device=torch.device(device)))
    assert choose_device(np.dtype("float32")).type == "mps"
    with pytest.raises(RecipeError) as caught:
        choose_device(np.dtype("float64"))
    assert str(caught.value) == (
        "LIMPIDE_DEVICE: expected a device that has float64, got mps; choose the precision float32, or set "
        "LIMPIDE_DEVICE=cpu"
    )
