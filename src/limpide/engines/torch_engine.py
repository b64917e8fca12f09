"""The engine that scales: every layer by PyTorch's own functions, on the CPU or on a GPU.

The device is the one named by the environment variable `LIMPIDE_DEVICE` ("cpu", "cuda", "cuda:1", "mps"), else a CUDA
GPU, else Apple's GPU, else the CPU. On a GPU the data is moved once and stays there; do not change an array in place
while a trainer uses it.

The same call gives the same bits on the CPU with the same number of threads. On CUDA the convolutions are asked for
algorithms that repeat themselves, in true float32 (no TF32); some other kernels add in an order of their own, so that
two runs may differ in the last digits.

PyTorch keeps its own number of threads, which `OMP_NUM_THREADS` sets: on a machine that is busy with other work, one
thread is several times faster than all of them.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from limpide.arrays import Array, Tree
from limpide.engines.base import LayerTrace, Noise, Precision, Trace
from limpide.engines.numpy_engine import BLOCK_NUMBERS
from limpide.errors import MissingPackage, RecipeError, problem
from limpide.i18n import _
from limpide.nn.layers import EVALUATION, Activation, MaxPool2d, Mode, Weights
from limpide.nn.losses import Loss
from limpide.nn.network import Network, Parameters
from limpide.nn.optimizers import Optimizer

try:
    import torch
    from torch import Tensor

    from limpide.engines.torch_functions import LOSSES, OPTIMIZERS, check_supported, run_layer
except ImportError as error:
    raise MissingPackage(
        problem(_("engine {name}").format(name="torch"), "PyTorch", str(error), 'pip install "limpide[torch]"')
    ) from error

LOOK_EVERY = 100
"""Updates between two looks at the losses: each look waits for the device."""


def choose_device(dtype: np.dtype[Any] | None = None) -> torch.device:
    """The device to compute on: the one named in `LIMPIDE_DEVICE`, else the fastest kind there is.

    Raises  RecipeError for a device that is not there
    """
    name = os.environ.get("LIMPIDE_DEVICE", "")
    if name:
        try:
            return torch.empty(0, device=name).device
        except (RuntimeError, AssertionError) as error:
            known = ", ".join(kind for kind in ("cpu", "cuda", "mps") if _is_available(kind))
            raise RecipeError(problem("LIMPIDE_DEVICE", known, repr(name))) from error
    # Apple's GPU has no float64
    kinds = [kind for kind in ("cuda", "mps") if _is_available(kind) and not (kind == "mps" and dtype == np.float64)]
    return torch.device(kinds[0] if kinds else "cpu")


def _is_available(kind: str) -> bool:
    return kind == "cpu" or (torch.cuda if kind == "cuda" else torch.backends.mps).is_available()


class TorchEngine:
    """Runs every network of `nn/` with PyTorch."""

    name = "torch"

    def forward(self, network: Network, weights: Mapping[str, np.ndarray], x: Array) -> np.ndarray:
        """The outputs in evaluation mode, in blocks of rows."""
        check_supported(network)
        dtype = x.dtype if x.dtype in (np.float32, np.float64) else np.dtype(np.float32)
        return _Model(network, weights, dtype).evaluate(x)

    def loss_and_gradients(
        self,
        network: Network,
        loss: Loss,
        weights: Mapping[str, np.ndarray],
        x: Array,
        y: Array,
        noise: Noise | None = None,
    ) -> tuple[float, Tree]:
        """The loss of a batch and its gradient for each parameter by full name."""
        check_supported(network, loss)
        model = _Model(network, weights, x.dtype)
        with model.exactly():
            everyone = model.order(np.arange(len(x)))
            value = LOSSES[loss.name](
                model.output(model.rows(x, everyone), model.modes(noise)), model.rows(y, everyone)
            )
            grads = torch.autograd.grad(value, model.leaves) if model.leaves else ()
        return float(value.detach()), {slot.name: _numpy(grad) for slot, grad in zip(network.slots, grads, strict=True)}

    def trainer(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        weights: Mapping[str, np.ndarray],
        n_updates: int = 0,
        precision: Precision = "float32",
    ) -> TorchTrainer:
        """A trainer that starts from these weights."""
        check_supported(network, loss, optimizer)
        return TorchTrainer(network, loss, optimizer, weights, n_updates, precision)


class _Model:
    """A network on its device: the flat vector, the layers' views on it, and the data that was moved there.

    flat     (n_parameters,), what the optimizer moves
    leaves   each slot's view on it, with a gradient of its own
    buffers  running statistics by full name
    """

    def __init__(self, network: Network, weights: Mapping[str, np.ndarray], dtype: np.dtype[Any]) -> None:
        self.network, self.dtype = network, np.dtype(dtype)
        self.device = choose_device(self.dtype)
        self.keeps_data = self.device.type != "cpu"
        given = Parameters.of(network, weights, self.dtype)
        self.flat = torch.from_numpy(given.flat).to(self.device)
        self.buffers = {name: torch.from_numpy(array).to(self.device) for name, array in given.buffers.items()}
        views = Parameters(network, self.flat, self.buffers)
        self.leaves = [views.views[slot.name].detach().requires_grad_() for slot in network.slots]
        self.layers = views.layers
        for slot, leaf in zip(network.slots, self.leaves, strict=True):
            self.layers[slot.layer].params[slot.key] = leaf
        # PyTorch's convolutions and pooling on the CPU are up to twice as fast with the channels last; not in float64
        is_image = len(network.input_shape) == 3 and self.dtype == np.float32 and self.device.type == "cpu"
        self.channels_last = is_image and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        self.course = _course(network)
        self._moved: dict[int, tuple[weakref.ref[np.ndarray], Tensor]] = {}

    def modes(self, noise: Noise | None) -> list[Mode]:
        """How each layer runs: in training with its stream of noise, or in evaluation when there is none."""
        if noise is None:
            return [EVALUATION] * len(self.network.layers)
        pairs = zip(self.network.paths, self.network.layers, strict=True)
        return [Mode(True, noise(path) if layer.random else None) for path, layer in pairs]

    def output(self, x: Tensor, modes: list[Mode]) -> Tensor:
        """The output for a batch."""
        layers = self.network.layers
        for i in self.course:
            x = run_layer(layers[i], self.layers[i], x, modes[i])
        return x

    def outputs(self, x: Tensor, modes: list[Mode], layers: list[Weights]) -> list[Tensor]:
        """The output of each layer for a batch, one after the other."""
        outputs = []
        for layer, w, mode in zip(self.network.layers, layers, modes, strict=True):
            x = run_layer(layer, w, x, mode)
            outputs.append(x)
        return outputs

    def order(self, rows: np.ndarray) -> Array:
        """Row numbers where the data is: on a GPU they are moved there, and `rows` with them."""
        return torch.from_numpy(np.array(rows)).to(self.device) if self.keeps_data else rows

    def rows(self, array: np.ndarray, rows: Array) -> Tensor:
        """Some rows on the device, in the float type of the weights (class numbers as they are)."""
        if self.keeps_data:
            chosen = self._resident(array).index_select(0, rows)
        else:
            chosen = torch.from_numpy(self._in_precision(array[rows]))
        if self.channels_last and chosen.ndim == 4:
            # written anew: of one channel PyTorch would call any layout "channels last" and go on with channels first
            return torch.empty_like(chosen, memory_format=torch.channels_last).copy_(chosen)
        return chosen

    def _in_precision(self, array: np.ndarray) -> np.ndarray:
        is_class = array.dtype.kind in "iu" and array.ndim == 1
        return array.astype(np.int64 if is_class else self.dtype, copy=False)

    def _resident(self, array: np.ndarray) -> Tensor:
        """The whole array on the device: moved when first seen, given up when the array itself is."""
        key = id(array)
        if key not in self._moved:
            tensor = torch.from_numpy(np.array(self._in_precision(array))).to(self.device)
            self._moved[key] = (weakref.ref(array, lambda _gone: self._moved.pop(key)), tensor)
        return self._moved[key][1]

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """The outputs in evaluation mode, in blocks of rows that keep every layer's output bounded."""
        widest = max(prod(shape) for shape in self.network.shapes)
        block = max(1, BLOCK_NUMBERS // widest)
        modes, numbers = self.modes(None), self.order(np.arange(len(x)))
        with torch.inference_mode(), self.exactly():
            outputs = [
                self.output(self.rows(x, numbers[start : start + block]), modes)
                for start in range(0, max(len(x), 1), block)
            ]
        return _numpy(torch.cat(outputs))

    def exactly(self) -> AbstractContextManager[Any]:
        """On CUDA: float32 as float32, and convolutions that give the same bits again."""
        if self.device.type != "cuda":
            return nullcontext()
        flags: AbstractContextManager[Any] = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        return flags


def _course(network: Network) -> list[int]:
    """The layers in the order they are run: a relu right before a max pooling changes places with it.

    The largest number of a block, cut at zero, is the largest of the numbers cut at zero, and passes the same gradient;
    but behind the pooling there are fewer numbers to cut.
    """
    course, layers = list(range(len(network.layers))), network.layers
    for i, (layer, behind) in enumerate(pairwise(layers)):
        if isinstance(layer, Activation) and layer.function == "relu" and isinstance(behind, MaxPool2d):
            course[i : i + 2] = i + 1, i
    return course


class TorchTrainer:
    """The loop: forward, loss, backward, update, all on the device.

    The losses are looked at every `LOOK_EVERY` updates. When one of them is not finite, the trainer goes back to the
    look before and walks to it once more, so that its update is not made.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        weights: Mapping[str, np.ndarray],
        n_updates: int,
        precision: Precision,
    ) -> None:
        self.network, self.optimizer, self.n_updates = network, optimizer, n_updates
        self.loss = LOSSES[loss.name]
        self.model = _Model(network, weights, np.dtype(precision))
        self.step = 0
        flat, native = self.model.flat, OPTIMIZERS[type(optimizer)]
        flat.grad = torch.zeros_like(flat)
        self.slots: dict[str, Tensor] = optimizer.init(flat)
        self.native = native.cls(
            [flat], lr=optimizer.rate, weight_decay=optimizer.weight_decay, **native.options(optimizer)
        )
        self.counter = torch.zeros((), device=flat.device)
        self.native.state[flat] = {theirs: self.slots[ours] for ours, theirs in native.slots.items()}
        self.native.state[flat]["step"] = self.counter

    def run(self, x: Array, y: Array, order: Array, batch_size: int, noise: Noise) -> np.ndarray:
        """One epoch: an update for each batch of `order`; the loss of each batch before its update."""
        order, modes = self.model.order(order), self.model.modes(noise)
        streams = [mode.rng.bit_generator for mode in modes if mode.rng is not None]
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        losses = np.empty(len(batches))
        with self.model.exactly():
            for start in range(0, len(batches), LOOK_EVERY):
                walk = batches[start : start + LOOK_EVERY]
                before, noises = self._tensors(copied=True), [stream.state for stream in streams]
                seen = torch.stack([self._update(x, y, rows, modes) for rows in walk])
                losses[start : start + len(walk)] = _numpy(seen)
                bad = np.flatnonzero(~np.isfinite(losses[start : start + len(walk)]))
                if len(bad):
                    self._put_back(before, self.step - len(walk))
                    for stream, state in zip(streams, noises, strict=True):
                        stream.state = state
                    for rows in walk[: bad[0]]:
                        self._update(x, y, rows, modes)
                    return losses[: start + bad[0] + 1]
        return losses

    def _update(self, x: np.ndarray, y: np.ndarray, rows: Array, modes: list[Mode]) -> Tensor:
        """The loss of a batch before its update, still on the device."""
        model = self.model
        value = self.loss(model.output(model.rows(x, rows), modes), model.rows(y, rows))
        if model.leaves:
            grads = torch.autograd.grad(value, model.leaves)
            torch.cat([grad.reshape(-1) for grad in grads], out=model.flat.grad)
            if self.optimizer.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(model.flat, self.optimizer.clip_norm)
            self.native.param_groups[0]["lr"] = self.optimizer.rate_at(self.step, self.n_updates)
            self.native.step()
        self.step += 1
        return value.detach()

    def _tensors(self, copied: bool = False) -> dict[str, Tensor]:
        """All that the next update depends on but the number of updates, by the names of `state`."""
        tensors = {
            "params": self.model.flat,
            **{f"optimizer/{name}": slot for name, slot in self.slots.items()},
            **{f"buffer/{name}": buffer for name, buffer in self.model.buffers.items()},
        }
        return {name: tensor.detach().clone() for name, tensor in tensors.items()} if copied else tensors

    def _put_back(self, tensors: Mapping[str, Tensor], step: int) -> None:
        for name, tensor in self._tensors().items():
            tensor.copy_(tensors[name])
        self.step = step
        self.counter.fill_(step)

    def evaluate(self, x: Array) -> np.ndarray:
        """The outputs in evaluation mode with the weights of the moment."""
        return self.model.evaluate(x)

    def weights(self) -> Tree:
        """A copy of the weights and buffers by full name."""
        named = {slot.name: leaf for slot, leaf in zip(self.network.slots, self.model.leaves, strict=True)}
        return {name: _numpy(tensor) for name, tensor in (*named.items(), *self.model.buffers.items())}

    def state(self) -> Tree:
        """A copy of all that the next update depends on."""
        return {"step": np.array(self.step), **{name: _numpy(tensor) for name, tensor in self._tensors().items()}}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on exactly from a `state()`."""
        self._put_back({name: torch.from_numpy(np.array(array)) for name, array in state.items()}, int(state["step"]))

    def trace(self, x: Array, y: Array, noise: Noise) -> Trace:
        """The next step on this batch, opened; nothing is changed. The update is that of the optimizer's own text."""
        model, network, everyone = self.model, self.network, self.model.order(np.arange(len(x)))
        layers = [Weights(w.params, {name: buffer.clone() for name, buffer in w.buffers.items()}) for w in model.layers]
        with model.exactly():
            entered = model.rows(x, everyone).requires_grad_()
            outputs = model.outputs(entered, model.modes(noise), layers)
            value = self.loss(outputs[-1], model.rows(y, everyone))
            found = torch.autograd.grad(value, [*model.leaves, *outputs, entered])
        grads, dys, dx = found[: len(model.leaves)], found[len(model.leaves) : -1], found[-1]
        own: list[Tree] = [{} for _layer in network.layers]
        for slot, grad in zip(network.slots, grads, strict=True):
            own[slot.layer][slot.key] = _numpy(grad)
        inputs = [_numpy(entered), *(_numpy(output) for output in outputs)]
        traces = [
            LayerTrace(path, inputs[i], inputs[i + 1], _numpy(dys[i]), own[i]) for i, path in enumerate(network.paths)
        ]
        flat = torch.cat([grad.reshape(-1) for grad in grads]) if grads else torch.zeros_like(model.flat)
        change, slots = self.optimizer.update(model.flat, flat, self.slots, self.step, self.n_updates)
        updates = Parameters(network, _numpy(change), {}).named()
        state = {
            f"{slot}/{name}": array
            for slot, vector in slots.items()
            for name, array in Parameters(network, _numpy(vector), {}).named().items()
        }
        return Trace(float(value.detach()), inputs[-1], traces, _numpy(dx), updates, state)


def _numpy(tensor: Tensor) -> np.ndarray:
    """A copy in NumPy, laid out row by row."""
    return np.array(tensor.numpy(force=True), order="C")
