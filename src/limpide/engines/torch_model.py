"""A network on its device: which one, where its weights lie there, where its data is, how it is run."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limpide.arrays import Array
from limpide.distributed import place
from limpide.engines.base import Noise
from limpide.engines.numpy_engine import BLOCK_NUMBERS
from limpide.engines.torch_functions import run_layer
from limpide.engines.torch_group import SharedMode
from limpide.engines.torch_memory import keep_freed_memory
from limpide.errors import RecipeError, problem
from limpide.i18n import _, ngettext
from limpide.nn.layers import EVALUATION, Activation, MaxPool2d, Mode, Weights
from limpide.nn.network import Network, Parameters
from limpide.settings import setting


def choose_device(dtype: np.dtype[Any] | None = None) -> torch.device:
    """The device to compute on: the one named in `LIMPIDE_DEVICE`, else the fastest kind there is.

    Of several processes on a machine each takes a CUDA GPU of its own, also where "cuda" is named.

    Raises  RecipeError for a device that is not there
    """
    name, here = setting("LIMPIDE_DEVICE"), place()
    if name:
        named = _named_device(name, dtype)
        if name != "cuda" or not here.is_shared:
            return named
    if _is_available("cuda"):
        n_gpus = torch.cuda.device_count()
        if here.is_shared and here.local_rank >= n_gpus:
            expected = ngettext("{n} process for {n} GPU", "{n} processes for {n} GPUs", n_gpus).format(n=n_gpus)
            mend = _("start fewer, or set LIMPIDE_DEVICE=cpu")
            raise RecipeError(problem("torchrun --nproc-per-node", expected, str(here.local_rank + 1), mend))
        return torch.device("cuda", here.local_rank) if here.is_shared else torch.device("cuda")
    # Apple's GPU has no float64, and is no place to meet other processes
    has_apple = _is_available("mps") and dtype != np.float64 and not here.is_shared
    return torch.device("mps" if has_apple else "cpu")


def _named_device(name: str, dtype: np.dtype[Any] | None) -> torch.device:
    try:
        device = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        known = ", ".join(kind for kind in ("cpu", "cuda", "mps") if _is_available(kind))
        mend = _("unset it, and the device is chosen; a GPU needs its driver, and a PyTorch built for it")
        raise RecipeError(problem("LIMPIDE_DEVICE", known, repr(name), mend)) from error
    if device.type == "mps" and dtype == np.float64:
        mend = _("choose the precision float32, or set LIMPIDE_DEVICE=cpu")
        raise RecipeError(
            problem("LIMPIDE_DEVICE", _("a device that has {type}").format(type="float64"), device.type, mend)
        )
    return device


def _is_available(kind: str) -> bool:
    return kind == "cpu" or (torch.cuda if kind == "cuda" else torch.backends.mps).is_available()


class Model:
    """A network on its device: the flat vector, the layers' views on it, and the data that was moved there.

    flat     (n_parameters,), what the optimizer moves
    leaves   each slot's view on it, with a gradient of its own
    buffers  running statistics by full name
    """

    def __init__(self, network: Network, weights: Mapping[str, np.ndarray], dtype: np.dtype[Any]) -> None:
        self.network, self.dtype = network, np.dtype(dtype)
        self.device = choose_device(self.dtype)
        self.keeps_data = self.device.type != "cpu"
        if not self.keeps_data:
            keep_freed_memory()
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
        # but its batch normalisation then rounds fifty times as much
        is_normal = any(slot.key.endswith("gamma") for slot in network.slots)
        has_library = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        self.channels_last = is_image and has_library and not is_normal
        self.course = _course(network)
        self._moved: dict[int, tuple[weakref.ref[np.ndarray], Tensor]] = {}

    def modes(self, noise: Noise | None) -> list[Mode]:
        """How each layer runs: in training with its stream of noise, or in evaluation when there is none."""
        if noise is None:
            return [EVALUATION] * len(self.network.layers)
        pairs = zip(self.network.paths, self.network.layers, strict=True)
        return [Mode(True, noise(path) if layer.random else None) for path, layer in pairs]

    def output(self, x: Tensor, modes: Sequence[Mode | SharedMode]) -> Tensor:
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
        return to_numpy(torch.cat(outputs))

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


def to_numpy(tensor: Tensor) -> np.ndarray:
    """A copy in NumPy, laid out row by row; 16 bits, which it has no bfloat16 for, become 32."""
    wide = tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor
    return np.array(wide.numpy(force=True), order="C")
