"""A network is data: an input shape and a row of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from limpide.arrays import Array, Shape, Tree, first_bad, show_shape
from limpide.errors import RecipeError, ShapeError, UnknownName, problem
from limpide.i18n import _, format_count
from limpide.markup import table
from limpide.nn.layers import LAYERS, Flatten, Layer, Mode, Out, Weights, items_of
from limpide.nn.losses import Loss


class Slot(NamedTuple):
    """Where one named parameter lies in the flat vector."""

    name: str
    layer: int
    key: str
    shape: Shape
    start: int
    stop: int


@dataclass(frozen=True)
class LayerRow:
    """One line of the layer table; shapes and counts are of one example."""

    index: int
    type: str
    specification: str
    output: Shape
    parameters: int
    arithmetic: str
    multiply_adds: int
    multiply_adds_arithmetic: str


@dataclass(frozen=True)
class Network:
    """Layers one after the other, from inputs of one shape.

    input_shape  (features,) or (channels, rows, cols), the batch never included

    >>> print(Network.parse("3, 64 relu, 32 relu, 1"))
    3, 64 relu, 32 relu, 1
    """

    input_shape: Shape
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.input_shape or any(size < 1 for size in self.input_shape):
            raise ShapeError(problem(_("input"), _("sizes of 1 or more"), show_shape(self.input_shape) or "()"))
        # computing the shapes is what checks that the layers fit
        _shapes = self.shapes

    @staticmethod
    def parse(text: str) -> Network:
        """The network of a text such as "1x28x28, conv 32 3x3 pad 1 relu, maxpool 2, flatten, 128 relu, 10".

        The first item is the input's shape. `11-6-6-1 relu` is short for `11, 6 relu, 6 relu, 1`, and `40x5 relu` for
        five layers of 40. A dense layer right behind an image input gets its flatten by itself.

        Raises  RecipeError, UnknownName or ShapeError, naming the item
        """
        from limpide.nn.grammar import parse_network

        return parse_network(text)

    @cached_property
    def paths(self) -> list[str]:
        """The name of each layer: its index and type, as in "2.dense"."""
        return [f"{i}.{layer.keyword}" for i, layer in enumerate(self.layers)]

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape of the input, then of each layer's output."""
        shapes = [self.input_shape]
        for path, layer in zip(self.paths, self.layers, strict=True):
            where = _("layer {path}").format(path=path)
            shapes.append(layer.out_shape(shapes[-1], where))
            if min(shapes[-1]) < 1:
                raise ShapeError(problem(where, _("sizes of 1 or more"), show_shape(shapes[-1])))
        return tuple(shapes)

    @property
    def output_shape(self) -> Shape:
        """The shape of one output."""
        return self.shapes[-1]

    @property
    def ends_in_probability(self) -> bool:
        """Whether the network itself puts out probabilities, with sigmoid or softmax as its last layer."""
        return getattr(self.layers[-1], "function", "") in ("sigmoid", "softmax")

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Every parameter and its place in the flat vector, in the order of the layers."""
        rng = np.random.default_rng(0)
        slots, start = [], 0
        for i, (path, layer) in enumerate(zip(self.paths, self.layers, strict=True)):
            for key, array in layer.init(self.shapes[i], rng).params.items():
                slots.append(Slot(f"{path}.{key}", i, key, array.shape, start, start + array.size))
                start += array.size
        return tuple(slots)

    @property
    def n_parameters(self) -> int:
        """How many numbers training adjusts."""
        return sum(row.parameters for row in self.table())

    def initialize(self, rng: np.random.Generator, given: Mapping[str, np.ndarray] | None = None) -> Tree:
        """Fresh float64 weights and buffers by full name, such as "0.dense.W".

        given   arrays that replace the drawn ones, by the same names
        Raises  UnknownName, or ShapeError with every array whose shape is not the layer's
        """
        weights = {}
        for path, layer, shape in zip(self.paths, self.layers, self.shapes[:-1], strict=True):
            born = layer.init(shape, rng)
            weights.update({f"{path}.{key}": array for key, array in (*born.params.items(), *born.buffers.items())})
        problems = []
        for name, array in (given or {}).items():
            if name not in weights:
                raise UnknownName(_("given weights"), name, weights)
            array = np.asarray(array, np.float64)
            if array.shape != weights[name].shape:
                problems.append(problem(name, show_shape(weights[name].shape), show_shape(array.shape)))
            if first_bad(array):
                problems.append(problem(name, _("finite numbers"), str(first_bad(array))))
            weights[name] = array.copy()
        if problems:
            raise ShapeError(*problems)
        return weights

    def table(self) -> list[LayerRow]:
        """The layer table: each layer's shape and counts, with the arithmetic of each count."""
        rows = []
        for i, layer in enumerate(self.layers):
            in_shape, out_shape = self.shapes[i], self.shapes[i + 1]
            behind_flatten = i > 0 and isinstance(self.layers[i - 1], Flatten)
            count = layer.count(in_shape, self.shapes[i - 1] if behind_flatten else in_shape)
            rows.append(LayerRow(i, layer.label, layer.specification(in_shape), out_shape, *count))
        return rows

    def check_loss(self, loss: Loss) -> None:
        """RecipeError when the network's output is not what the loss expects.

        A softmax under a loss that applies softmax itself squeezes every score into [0, 1]: the loss can no longer
        fall near zero, and training all but stops.
        """
        function = getattr(self.layers[-1], "function", "identity")
        where = _("loss {name}").format(name=loss.name)
        wanted = "softmax" if loss.labels == "classes" else "sigmoid"
        if loss.expects == "scores" and self.ends_in_probability:
            raise RecipeError(
                problem(
                    where,
                    _("raw scores, because it applies {function} itself").format(function=wanted),
                    _("a network that ends in {function}").format(function=function),
                    _(
                        "remove the {function}, or take {other}: applied twice it flattens the scores, "
                        "which on MNIST costs 24 points of accuracy"
                    ).format(
                        function=function,
                        other="categorical_cross_entropy" if function == "softmax" else "binary_cross_entropy",
                    ),
                )
            )
        if loss.expects == "probabilities" and function != wanted:
            raise RecipeError(
                problem(
                    where,
                    _("probabilities"),
                    _("a network without {function} at its end").format(function=wanted),
                    _("end the network with {function}, or take {other}").format(
                        function=wanted,
                        other="cross_entropy" if loss.labels == "classes" else "binary_cross_entropy_with_logits",
                    ),
                )
            )

    def __str__(self) -> str:
        return ", ".join(["x".join(str(size) for size in self.input_shape), *items_of(self.layers)])

    def to_dict(self) -> dict[str, Any]:
        """JSON: the input's shape and each layer's fields."""
        return {"input": list(self.input_shape), "layers": [layer.to_dict() for layer in self.layers]}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Network:
        """The network of `to_dict`.

        Raises  UnknownName for a layer or field that does not exist, RecipeError for a field left out
        """
        return Network(tuple(data["input"]), _layers_of(data["layers"]))

    def _repr_html_(self) -> str:
        """The layer table, in a notebook."""
        head = (_("layer"), _("specification"), _("output"), _("parameters"), _("arithmetic"))
        cells = [
            (f"{r.index}.{r.type}", r.specification, show_shape(r.output), format_count(r.parameters), r.arithmetic)
            for r in self.table()
        ]
        cells.append((_("total"), "", show_shape(self.output_shape), format_count(self.n_parameters), ""))
        return table(head, cells, right=(2, 3))


def _layers_of(descriptions: Sequence[Mapping[str, Any]], above: str = "") -> tuple[Layer, ...]:
    """The layers of their fields; a field that lists fields holds layers.

    above  the path of the layer that holds them, with its dot
    """
    layers = []
    for i, description in enumerate(descriptions):
        where = _("layer {path}").format(path=f"{above}{i}")
        given = {key: tuple(value) if isinstance(value, list) else value for key, value in description.items()}
        keyword = str(given.pop("type", ""))
        if keyword not in LAYERS:
            raise UnknownName(where, keyword, LAYERS)
        known = {field.name: field for field in fields(LAYERS[keyword])}
        for name in given:
            if name not in known:
                raise UnknownName(where, name, known)
        missing = [name for name, field in known.items() if field.default is MISSING and name not in given]
        if missing:
            raise RecipeError(problem(where, ", ".join(missing), _("nothing")))
        if "layers" in given:
            given["layers"] = _layers_of(given["layers"], f"{above}{i}.")
        layers.append(LAYERS[keyword](**given))
    return tuple(layers)


class Parameters:
    """The weights of a network in one flat vector; the named arrays are views on it.

    flat     (n_parameters,) of the engine's float type
    buffers  running statistics by full name; not trained, so not in the vector

    >>> net = Network.parse("2, 1")
    >>> p = Parameters.of(net, net.initialize(np.random.default_rng(0)), np.float64)
    >>> p.flat[:] = [1.0, 2.0, 3.0]
    >>> p.named()["0.dense.W"].ravel().tolist()
    [1.0, 2.0]
    """

    def __init__(self, network: Network, flat: Array, buffers: Tree) -> None:
        self.network = network
        self.flat = flat
        self.buffers = buffers
        self.views = {s.name: flat[s.start : s.stop].reshape(s.shape) for s in network.slots}
        self.layers: list[Weights] = []
        for i, path in enumerate(network.paths):
            params = {s.key: self.views[s.name] for s in network.slots if s.layer == i}
            prefix = f"{path}."
            held = {name.removeprefix(prefix): b for name, b in buffers.items() if name.startswith(prefix)}
            self.layers.append(Weights(params, held))

    @classmethod
    def of(cls, network: Network, weights: Mapping[str, np.ndarray], dtype: type | np.dtype[Any]) -> Parameters:
        """A fresh copy of named weights, in one vector of this type."""
        flat = np.empty(network.n_parameters, dtype)
        for slot in network.slots:
            flat[slot.start : slot.stop] = np.asarray(weights[slot.name]).reshape(-1)
        known = {slot.name for slot in network.slots}
        buffers = {name: np.array(array, dtype) for name, array in weights.items() if name not in known}
        return cls(network, flat, buffers)

    def set_buffers(self, layer: int, buffers: Tree) -> None:
        """The running statistics of a layer after a pass."""
        weights = self.layers[layer]
        if buffers is not weights.buffers:
            self.layers[layer] = weights._replace(buffers=buffers)
            path = self.network.paths[layer]
            self.buffers.update({f"{path}.{key}": array for key, array in buffers.items()})

    def named(self) -> Tree:
        """Every weight and buffer by full name: copies, safe to keep."""
        return {name: np.array(array) for name, array in (*self.views.items(), *self.buffers.items())}


def forward(network: Network, layers: Sequence[Weights], x: Array, modes: Sequence[Mode]) -> tuple[Array, list[Out]]:
    """The output for a batch, and what each layer left."""
    outs: list[Out] = []
    for layer, w, mode in zip(network.layers, layers, modes, strict=True):
        out = layer.forward(w, x, mode)
        outs.append(out)
        x = out.y
    return x, outs


def backward(
    network: Network, layers: Sequence[Weights], outs: Sequence[Out], dy: Array, need_dx: bool = False
) -> tuple[Array | None, list[Tree]]:
    """From dy = d loss / d output back to the gradient of every parameter, layer by layer.

    Source  Rumelhart, Hinton & Williams 1986
    """
    grads: list[Tree] = [{}] * len(network.layers)
    first = 0 if need_dx else _first_trained(network)
    for i in range(len(network.layers) - 1, first - 1, -1):
        dx, grads[i] = network.layers[i].backward(layers[i], outs[i].cache, dy, need_dx or i > first)
        dy = dx
    return dy, grads


def _first_trained(network: Network) -> int:
    """The first layer with parameters: no gradient is needed before it."""
    return network.slots[0].layer if network.slots else len(network.layers)
