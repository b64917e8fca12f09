"""The engine that scales: every layer by PyTorch's own functions, on the CPU or on a GPU.

The device is the one named by the environment variable `LIMPIDE_DEVICE` ("cpu", "cuda", "cuda:1", "mps"), else a CUDA
GPU, else Apple's GPU, else the CPU. On a GPU the data is moved once and stays there; do not change an array in place
while a trainer uses it.

The same call gives the same bits on the CPU with the same number of threads. On CUDA the convolutions are asked for
algorithms that repeat themselves, in true float32 (no TF32); some other kernels add in an order of their own, so that
two runs may differ in the last digits. With the precision "mixed" a training pass multiplies in 16 bits
(`torch_precision.py`); what is measured is computed in float32 all the same.

Under `torchrun` the processes train one network together (`torch_group.py`).

PyTorch keeps its own number of threads, which `OMP_NUM_THREADS` sets: on a machine that is busy with other work, one
thread is several times faster than all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import numpy as np

from limpide.arrays import Array, Tree
from limpide.distributed import place
from limpide.engines.base import LayerTrace, Noise, Precision, Trace, float_type
from limpide.errors import MissingPackage, problem
from limpide.i18n import _
from limpide.nn.layers import Mode, Weights
from limpide.nn.losses import Loss
from limpide.nn.network import Network, Parameters
from limpide.nn.optimizers import Optimizer

try:
    import torch
    from torch import Tensor

    from limpide.engines.torch_functions import LOSSES, check_supported
    from limpide.engines.torch_group import Group, SharedMode
    from limpide.engines.torch_model import Model, choose_device, to_numpy
    from limpide.engines.torch_precision import Mixed
    from limpide.engines.torch_updates import UPDATES, Update
except ImportError as error:
    raise MissingPackage(
        problem(_("engine {name}").format(name="torch"), "PyTorch", str(error), 'pip install "limpide[torch]"')
    ) from error

__all__ = ["SharedTrainer", "TorchEngine", "TorchTrainer", "choose_device"]

LOOK_EVERY = 100
"""Updates between two looks at the losses: each look waits for the device."""


class TorchEngine:
    """Runs every network of `nn/` with PyTorch."""

    name = "torch"

    def forward(self, network: Network, weights: Mapping[str, np.ndarray], x: Array) -> np.ndarray:
        """The outputs in evaluation mode, in blocks of rows."""
        check_supported(network)
        dtype = x.dtype if x.dtype in (np.float32, np.float64) else np.dtype(np.float32)
        return Model(network, weights, dtype).evaluate(x)

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
        model = Model(network, weights, x.dtype)
        with model.exactly():
            everyone = model.order(np.arange(len(x)))
            value = LOSSES[loss.name](
                model.output(model.rows(x, everyone), model.modes(noise)), model.rows(y, everyone)
            )
            grads = torch.autograd.grad(value, model.leaves) if model.leaves else ()
        named = {slot.name: to_numpy(grad) for slot, grad in zip(network.slots, grads, strict=True)}
        return float(value.detach()), named

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
        kind = SharedTrainer if place().is_shared else TorchTrainer
        return kind(network, loss, optimizer, weights, n_updates, precision)


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
        self.model = Model(network, weights, float_type(precision))
        self.step = 0
        self.slots: dict[str, Tensor] = optimizer.init(self.model.flat)
        self.mixed = Mixed(precision, self.model.device)
        self.grad = torch.zeros_like(self.model.flat)
        self.made = torch.zeros((), device=self.model.device)

    def run(self, x: Array, y: Array, order: Array, batch_size: int, noise: Noise) -> np.ndarray:
        """One epoch: an update for each batch of `order`; the loss of each batch before its update."""
        order, modes = self.model.order(order), self.model.modes(noise)
        streams = [mode.rng.bit_generator for mode in modes if mode.rng is not None]
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        losses = np.empty(len(batches))
        with self.model.exactly():
            for start in range(0, len(batches), LOOK_EVERY):
                walk = batches[start : start + LOOK_EVERY]
                before, noises = self._kept(), [stream.state for stream in streams]
                seen = torch.stack([self._update(x, y, rows, modes) for rows in walk])
                losses[start : start + len(walk)] = to_numpy(seen)
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
        model, optimizer = self.model, self.optimizer
        value = self._loss(x, y, rows, modes)
        if model.leaves:
            grads = torch.autograd.grad(self.mixed.scaled(value), model.leaves)
            torch.cat([grad.reshape(-1) for grad in grads], out=self.grad)
        value = self._gathered(value.detach())
        if model.leaves:
            overflowed = self.mixed.unscale(self.grad)
            if optimizer.clip_norm is not None:
                self.grad.mul_((optimizer.clip_norm / (self.grad.norm() + 1e-6)).clamp_max(1))
            rate = optimizer.rate_at(self.step, self.n_updates)
            change = Update(model.flat, self.grad, self.slots, self.made, rate, overflowed)
            UPDATES[type(optimizer)](optimizer, change)
        self.step += 1
        return value

    def _loss(self, x: np.ndarray, y: np.ndarray, rows: Array, modes: list[Mode]) -> Tensor:
        """The loss of a batch, or this process's part of it."""
        with self.mixed.products():
            return self.loss(self.model.output(self.model.rows(x, rows), modes), self.model.rows(y, rows))

    def _gathered(self, loss: Tensor) -> Tensor:
        """The loss of the whole batch; the gradient becomes that of the whole batch too."""
        return loss

    def _tensors(self) -> dict[str, Tensor]:
        """The tensors that the next update depends on, by the names of `state`."""
        return {
            "params": self.model.flat,
            **{f"optimizer/{name}": slot for name, slot in self.slots.items()},
            **{f"buffer/{name}": buffer for name, buffer in self.model.buffers.items()},
            # where updates may be left out, the number of those made says more than the number of steps
            **({"mixed/made": self.made, **self.mixed.tensors()} if self.mixed.scale is not None else {}),
        }

    def _kept(self) -> dict[str, Tensor]:
        """Copies, on the device."""
        return {name: tensor.detach().clone() for name, tensor in self._tensors().items()}

    def _put_back(self, tensors: Mapping[str, Tensor], step: int) -> None:
        self.step = step
        self.made.fill_(step)
        for name, tensor in self._tensors().items():
            # a state of another device may lack the scale: it starts anew
            if name in tensors or not name.startswith("mixed/"):
                tensor.copy_(tensors[name])

    def evaluate(self, x: Array) -> np.ndarray:
        """The outputs in evaluation mode with the weights of the moment."""
        return self.model.evaluate(x)

    def weights(self) -> Tree:
        """A copy of the weights and buffers by full name."""
        named = {slot.name: leaf for slot, leaf in zip(self.network.slots, self.model.leaves, strict=True)}
        return {name: to_numpy(tensor) for name, tensor in (*named.items(), *self.model.buffers.items())}

    def state(self) -> Tree:
        """A copy of all that the next update depends on."""
        return {"step": np.array(self.step), **{name: to_numpy(tensor) for name, tensor in self._tensors().items()}}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on exactly from a `state()`."""
        self._put_back({name: torch.from_numpy(np.array(array)) for name, array in state.items()}, int(state["step"]))

    def trace(self, x: Array, y: Array, noise: Noise) -> Trace:
        """The next step on this batch, opened; nothing is changed. The update is that of the optimizer's own text."""
        model, network, everyone = self.model, self.network, self.model.order(np.arange(len(x)))
        layers = [Weights(w.params, {name: buffer.clone() for name, buffer in w.buffers.items()}) for w in model.layers]
        with model.exactly():
            with self.mixed.products():
                entered = model.rows(x, everyone).requires_grad_()
                outputs = model.outputs(entered, model.modes(noise), layers)
                value = self.loss(outputs[-1], model.rows(y, everyone))
            found = torch.autograd.grad(value, [*model.leaves, *outputs, entered])
        grads, dys, dx = found[: len(model.leaves)], found[len(model.leaves) : -1], found[-1]
        own: list[Tree] = [{} for _layer in network.layers]
        for slot, grad in zip(network.slots, grads, strict=True):
            own[slot.layer][slot.key] = to_numpy(grad)
        inputs = [to_numpy(entered), *(to_numpy(output) for output in outputs)]
        traces = [
            LayerTrace(path, inputs[i], inputs[i + 1], to_numpy(dys[i]), own[i]) for i, path in enumerate(network.paths)
        ]
        flat = torch.cat([grad.reshape(-1) for grad in grads]) if grads else torch.zeros_like(model.flat)
        change, slots = self.optimizer.update(model.flat, flat, self.slots, self.step, self.n_updates)
        updates = Parameters(network, to_numpy(change), {}).named()
        state = {
            f"{slot}/{name}": array
            for slot, vector in slots.items()
            for name, array in Parameters(network, to_numpy(vector), {}).named().items()
        }
        return Trace(float(value.detach()), inputs[-1], traces, to_numpy(dx), updates, state)


class SharedTrainer(TorchTrainer):
    """One of several processes that train a network together, each with a share of every batch."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        weights: Mapping[str, np.ndarray],
        n_updates: int,
        precision: Precision,
    ) -> None:
        super().__init__(network, loss, optimizer, weights, n_updates, precision)
        flat = self.model.flat
        self.group = Group(flat.device)
        # the loss lies behind the gradient: both go in one message
        self.message = flat.new_zeros(len(flat) + 1)
        self.grad = self.message[:-1]

    def run(self, x: Array, y: Array, order: Array, batch_size: int, noise: Noise) -> np.ndarray:
        """One epoch, from the first process's weights; the losses of the whole batches."""
        rows = crc32(np.asarray(order).tobytes(), crc32(np.asarray(y).tobytes()))
        self.group.check_same(rows, self.message.device)
        self.group.make_equal(self._tensors().values())
        return super().run(x, y, order, batch_size, noise)

    def _loss(self, x: np.ndarray, y: np.ndarray, rows: Array, modes: list[Mode]) -> Tensor:
        share = self.group.share(len(rows))
        shared = [SharedMode(mode.training, mode.rng, share, self.group) for mode in modes]
        with self.mixed.products():
            rows = rows[share.rows]
            value = self.loss(self.model.output(self.model.rows(x, rows), shared), self.model.rows(y, rows))
        return value * share.weight

    def _gathered(self, loss: Tensor) -> Tensor:
        self.message[-1] = loss
        self.group.add(self.message)
        return self.message[-1].clone()

    def evaluate(self, x: Array) -> np.ndarray:
        """The outputs, each process having computed its part of the rows."""
        mine = self.group.share(len(x)).rows
        outputs = self.model.flat.new_zeros((len(x), *self.network.output_shape))
        if len(x) >= self.group.size or self.group.rank == 0:
            outputs[mine] = torch.from_numpy(self.model.evaluate(x[mine])).to(outputs.device)
        self.group.add(outputs)
        return to_numpy(outputs)
