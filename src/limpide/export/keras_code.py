"""A network as Keras 3: layers of Keras, the trained weights, and `compile` and `fit` to train it anew.

Images keep their channels first, as everywhere in limpide; Keras runs that on its JAX and PyTorch backends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from limpide.errors import Unsupported, problem
from limpide.export.program import NetworkCode
from limpide.export.training_code import rate_code
from limpide.i18n import _
from limpide.nn.layers import (
    Activation,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool2d,
    Residual,
)
from limpide.nn.optimizers import SGD, Adam, AdamW, Momentum, Optimizer, RMSProp
from limpide.recipe import Recipe
from limpide.runs import Run

ACTIVATIONS: dict[str, str] = {
    "identity": 'Activation("linear"',
    "step": "Lambda(lambda z: keras.ops.cast(z > 0, z.dtype)",
    "sigmoid": 'Activation("sigmoid"',
    "tanh": 'Activation("tanh"',
    "relu": 'Activation("relu"',
    "leaky_relu": "LeakyReLU(negative_slope={slope}",
    "prelu": "PReLU(shared_axes={axes}",
    "elu": "ELU(alpha={slope}",
    "gelu": 'Activation("gelu"',
    "silu": 'Activation("silu"',
    "softplus": 'Activation("softplus"',
    "softmax": 'Activation("softmax"',
}
"""Each activation as a layer, its last bracket left open."""

LOSSES: dict[str, str] = {
    "mse": '"mse"',
    "half_mse": "lambda y, o: keras.ops.mean((o - y) ** 2, axis=-1) / 2",
    "mae": '"mae"',
    "huber": "keras.losses.Huber(delta=1.0)",
    "binary_cross_entropy_with_logits": "keras.losses.BinaryCrossentropy(from_logits=True)",
    "binary_cross_entropy": "keras.losses.BinaryCrossentropy()",
    "cross_entropy": "keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
    "categorical_cross_entropy": "keras.losses.SparseCategoricalCrossentropy()",
}
"""Each loss."""

_FIRST = 'data_format="channels_first"'


def write_network(run: Run) -> NetworkCode:
    """The network of Keras layers, with its trained weights and its training."""
    shapes = run.network.shapes
    body = [
        "def build():",
        '    """The network, its weights as Keras draws them."""',
        f"    x = inputs = keras.Input({tuple(run.network.input_shape)})",
        *(f"    {line}" for line in _layers(run.network.layers, shapes, "")),
        "    return keras.Model(inputs, x)",
        "",
        "",
        "def trained():",
        '    """The network with the weights that limpide found; Keras keeps a kernel as (rows, columns, in, out)."""',
        "    network = build()",
        *(f"    {line}" for line in _weights(run.network.layers, "")),
        "    return network",
        "",
        "",
        "def forward(x):",
        '    """The outputs of the trained network for prepared inputs."""',
        "    return np.asarray(keras.ops.convert_to_numpy(trained()(x, training=False)))",
    ]
    return NetworkCode(["import keras"], body, list(_training(run.recipe)))


def _layers(layers: Sequence[Layer], shapes: Sequence[tuple[int, ...]], prefix: str) -> Iterator[str]:
    for i, (layer, shape) in enumerate(zip(layers, shapes)):
        yield from _layer(layer, shape, f"{prefix}{i}.{layer.keyword}")


def _layer(layer: Layer, shape: tuple[int, ...], path: str) -> Iterator[str]:
    """The lines that put a layer, whose inputs have this shape, onto `x`."""
    name = f'name="{_name(path)}"'
    match layer:
        case Dense():
            yield f"x = keras.layers.Dense({layer.units}, {'' if layer.bias else 'use_bias=False, '}{name})(x)"
        case Activation():
            axes = list(range(1, len(shape) + 1))
            code = ACTIVATIONS[layer.function].format(slope=repr(layer.start_slope), axes=axes)
            yield f"x = keras.layers.{code}, {name})(x)"
        case Dropout():
            yield f"x = keras.layers.Dropout({layer.rate!r}, {name})(x)"
        case BatchNorm():
            numbers = f"axis=1, momentum={1 - layer.momentum!r}, epsilon={layer.epsilon!r}"
            yield f"x = keras.layers.BatchNormalization({numbers}, {name})(x)"
        case Flatten():
            # not Flatten, which would bring the channels last before it flattens
            yield f"x = keras.layers.Reshape((-1,), {name})(x)"
        case Conv2d():
            if layer.padding:
                yield f"x = keras.layers.ZeroPadding2D({layer.padding}, {_FIRST})(x)"
            said = f"strides={layer.stride}, groups={layer.groups}, {'' if layer.bias else 'use_bias=False, '}{_FIRST}"
            yield f"x = keras.layers.Conv2D({layer.channels}, {layer.kernel}, {said}, {name})(x)"
        case MaxPool2d():
            yield f"x = keras.layers.MaxPooling2D({layer.size}, {layer.stride}, {_FIRST}, {name})(x)"
        case AvgPool2d():
            yield f"x = keras.layers.AveragePooling2D({layer.size}, {layer.stride}, {_FIRST}, {name})(x)"
        case GlobalAvgPool():
            yield f"x = keras.layers.GlobalAveragePooling2D({_FIRST}, {name})(x)"
        case Residual():
            inner = [shape]
            for inside in layer.layers:
                inner.append(inside.out_shape(inner[-1], inside.keyword))
            around = f"around_{_name(path)}"
            yield f"{around} = x"
            yield from _layers(layer.layers, inner, f"{path}.")
            yield f"x = keras.layers.Add({name})([{around}, x])"
        case _:
            raise Unsupported(problem(path, _("a layer that Keras has"), _("none")))


def _name(path: str) -> str:
    """A layer's path as Keras allows it: "4.residual.0.conv" -> "residual_4_conv_0"."""
    words = path.split(".")
    return "_".join(f"{word}_{number}" for number, word in zip(words[::2], words[1::2]))


_LETTERS: dict[str, tuple[tuple[str, str], ...]] = {
    "dense": (("W", ""), ("b", "")),
    "conv": (("K", ".transpose(2, 3, 1, 0)"), ("b", "")),
    "batchnorm": (("gamma", ""), ("beta", ""), ("mean", ""), ("variance", "")),
}
"""By layer: the letters in the order of Keras' weights, and what turns our array into its."""


def _weights(layers: Sequence[Layer], prefix: str) -> Iterator[str]:
    for i, layer in enumerate(layers):
        path = f"{prefix}{i}.{layer.keyword}"
        place = f'network.get_layer("{_name(path)}")'
        if isinstance(layer, Residual):
            yield from _weights(layer.layers, f"{path}.")
        elif isinstance(layer, Activation) and layer.row.learned:
            yield f"slope = {place}.weights[0]"
            yield f'slope.assign(np.full(slope.shape, WEIGHTS["{path}.a"].item(), np.float32))'
        letters = [pair for pair in _LETTERS.get(layer.keyword, ()) if pair[0] != "b" or getattr(layer, "bias", True)]
        if letters:
            arrays = ", ".join(f'WEIGHTS["{path}.{letter}"]{turned}' for letter, turned in letters)
            yield f"{place}.set_weights([{arrays}])"


def _training(recipe: Recipe) -> Iterator[str]:
    training, optimizer = recipe.training, recipe.optimizer.build()
    assert training.loss is not None
    rates = list(rate_code(optimizer.schedule))
    yield from rates
    yield f"def train(x, y, epochs={training.epochs}, batch_size={training.batch_size}, seed={recipe.seed}):"
    yield '    """A new network of the same shape, trained in the same way; Keras draws its own numbers."""'
    yield "    keras.utils.set_random_seed(seed)"
    yield "    network = build()"
    yield f"    optimizer = keras.optimizers.{_optimizer(optimizer)}"
    yield f"    network.compile(optimizer, loss={LOSSES[training.loss]})"
    callbacks = ""
    if rates:
        callbacks = ", callbacks=[each_batch]"
        yield "    updates, done = epochs * math.ceil(len(x) / batch_size), itertools.count()"
        yield ""
        yield "    def follow(batch, logs=None):"
        yield f"        optimizer.learning_rate = rate_at({optimizer.rate!r}, next(done), updates)"
        yield ""
        yield "    each_batch = keras.callbacks.LambdaCallback(on_train_batch_begin=follow)"
    yield f"    network.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=2{callbacks})"
    yield "    return network"


def _optimizer(optimizer: Optimizer) -> str:
    tail = "" if optimizer.clip_norm is None else f", global_clipnorm={optimizer.clip_norm!r}"
    if optimizer.weight_decay and not isinstance(optimizer, AdamW):
        # Keras decays weights beside the gradient, not within it
        raise Unsupported(problem(optimizer.name, _("a weight decay that Keras has"), repr(optimizer.weight_decay)))
    rate = f"learning_rate={optimizer.rate!r}"
    match optimizer:
        case SGD():
            return f"SGD({rate}{tail})"
        case Momentum():
            ahead = ", nesterov=True" if optimizer.nesterov else ""
            return f"SGD({rate}, momentum={optimizer.momentum!r}{ahead}{tail})"
        case RMSProp():
            return f"RMSprop({rate}, rho={optimizer.decay!r}, epsilon={optimizer.epsilon!r}{tail})"
        case AdamW():
            decay = f", weight_decay={optimizer.weight_decay!r}"
            return f"AdamW({rate}, {_moments(optimizer.beta1, optimizer.beta2, optimizer.epsilon)}{decay}{tail})"
        case Adam():
            return f"Adam({rate}, {_moments(optimizer.beta1, optimizer.beta2, optimizer.epsilon)}{tail})"
        case _:
            raise Unsupported(problem(optimizer.name, _("an optimizer that Keras has"), _("none")))


def _moments(beta1: float, beta2: float, epsilon: float) -> str:
    return f"beta_1={beta1!r}, beta_2={beta2!r}, epsilon={epsilon!r}"
