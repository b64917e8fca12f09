"""What a network has learned and what one image makes of it: weights, kernels, feature maps with their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from limpide.arrays import show_shape
from limpide.data.images import ImagePreparation
from limpide.data.preparation import TablePreparation
from limpide.engines.base import float_type
from limpide.errors import RunError, UnknownName, problem
from limpide.figures.axes import grid, short, show_numbers, show_whole_numbers, text_width
from limpide.figures.picture import BLUE, GRID, INK, MUTED, Picture, Sheet, Table
from limpide.figures.shades import bar_width, caption_of, scale_bar, signed
from limpide.i18n import _, format_count, format_number, ngettext
from limpide.nn.layers import EVALUATION
from limpide.nn.network import Network, Parameters, forward

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from limpide.runs import Run

_MOST_NAMES = 30
_MOST_KERNELS, _MOST_CHANNELS, _MOST_MAPS = 48, 8, 8
_ACROSS = 3
_GAP = 0.12


def matrices(network: Network) -> list[str]:
    """The layers with a matrix of weights: full names of these."""
    return [slot.name for slot in network.slots if len(slot.shape) == 2]


def kernels_of(network: Network) -> list[str]:
    """What looks at an image through windows: kernels, or the first dense layer where the input is an image."""
    found = [slot.name for slot in network.slots if len(slot.shape) == 4]
    first = [slot for slot in network.slots if len(slot.shape) == 2][:1]
    if not found and first and len(network.input_shape) == 3 and first[0].shape[0] == np.prod(network.input_shape):
        found = [first[0].name]
    return found


def _named(where: str, layer: str, names: list[str]) -> str:
    """The weights of a layer named by its path, its index or the full name of its weights.

    Raises  UnknownName  when no such layer has any
    """
    for name in names:
        if str(layer) in (name, name.rpartition(".")[0], name.partition(".")[0]):
            return name
    raise UnknownName(where, str(layer), [name.rpartition(".")[0] for name in names])


def weights(run: Run, layer: str | None = None) -> Picture:
    """The weights of a dense layer, a square for each; the first such layer where none is named."""
    names = matrices(run.network)
    name = names[0] if layer is None else _named("figures.weights, layer", layer, names)
    matrix = np.asarray(run.weights[name], float)
    rows = _feature_names(run, name, len(matrix))
    peak = float(np.abs(matrix).max()) or 1.0
    words = [short(word, 22) for word in rows] if len(rows) <= _MOST_NAMES else []

    def draw(sheet: Sheet) -> None:
        left = 0.35 + (text_width(words) if words else 0.55)
        axes = sheet.axes(left, 0.55, bar_width(-peak, peak) + 0.2)
        axes.imshow(signed(matrix, peak), aspect="auto", interpolation="nearest" if matrix.size < 20_000 else None)
        if words:
            axes.set_yticks(range(len(words)), words)
        else:
            show_whole_numbers(axes.yaxis)
            axes.set_ylabel(_("input"))
        show_whole_numbers(axes.xaxis)
        axes.set_xlabel(_("unit, from 0"))
        scale_bar(sheet, 0.55, sheet.height - 0.67, -peak, peak, diverging=True)

    caption = caption_of(
        _("Each square is the weight from an input (row) to a unit (column): orange pushes it up, blue down."),
        _("A row of faint squares is an input that this layer hardly uses."),
        _origin(run),
    )
    table = Table(
        (_("input"), _("weights, unit by unit")),
        tuple((word, "  ".join(format_number(float(w), 3) for w in row[:20])) for word, row in zip(rows[:60], matrix)),
    )
    title = _("Weights of layer {layer}, {shape}").format(layer=name.rpartition(".")[0], shape=show_shape(matrix.shape))
    height = min(max(1.1 + 0.24 * len(rows), 2.2), 5.5) if words else 4.0
    return Picture("weights", title, caption, table, draw, (5.6, height))


def _feature_names(run: Run, name: str, n: int) -> list[str]:
    if name == matrices(run.network)[0] and isinstance(run.preparation, TablePreparation):
        names = list(run.preparation.feature_names)
        if len(names) == n:
            return names
    return [str(i) for i in range(n)]


def weight_histograms(run: Run) -> Picture:
    """How the weights of each layer are spread."""
    parts = {s.name: np.asarray(run.weights[s.name], float).ravel() for s in run.network.slots if len(s.shape) >= 2}
    across = min(_ACROSS, len(parts))
    down = -(-len(parts) // across)
    width, height = 5.7 / across, 1.75
    counted = {name: np.histogram(values, min(40, max(8, len(values) // 8))) for name, values in parts.items()}

    def draw(sheet: Sheet) -> None:
        for i, (name, (counts, edges)) in enumerate(counted.items()):
            left, bottom = (i % across) * width + 0.62, (down - 1 - i // across) * height + 0.5
            axes = sheet.panel(left, bottom, width - 0.85, height - 0.8)
            grid(axes)
            axes.bar(edges[:-1], counts, np.diff(edges) * 0.92, align="edge", color=BLUE, linewidth=0)
            axes.axvline(0, color=MUTED, linewidth=0.8)
            axes.set_title(short(name, int(width * 9)), loc="left", pad=4)
            show_numbers(axes.xaxis)
            show_whole_numbers(axes.yaxis)
            axes.locator_params(nbins=4)
            axes.tick_params(labelsize=8.5, pad=3)
            axes.set_xlabel(_("weight"), fontsize=9, labelpad=1)
            if not i % across:
                axes.set_ylabel(_("how many"), fontsize=9)

    caption = caption_of(
        _("Each bar counts the weights of one size; biases are left out."),
        _("Nearly all at zero: the layer does little. A few far out: they decide alone."),
        _origin(run),
    )
    table = Table(
        (_("layer"), _("how many"), _("mean"), _("std. dev."), _("smallest"), _("largest")),
        tuple(
            (name, len(v), float(v.mean()), float(v.std()), float(v.min()), float(v.max())) for name, v in parts.items()
        ),
    )
    return Picture("weight-histograms", _("The weights, layer by layer"), caption, table, draw, (5.7, down * height))


def kernels(run: Run, layer: str | None = None) -> Picture:
    """The windows through which a layer sees: kernels, or the weights from each pixel to each unit."""
    names = kernels_of(run.network)
    name = names[0] if layer is None else _named("figures.kernels, layer", layer, names)
    array = np.asarray(run.weights[name], float)
    if array.ndim == 2:
        array = array.T.reshape(-1, *run.network.input_shape)
    n, n_channels = array.shape[:2]
    if n_channels == 1:
        shown = [(str(i), kernel[0]) for i, kernel in enumerate(array[:_MOST_KERNELS])]
        across = 8
    else:
        across = min(n_channels, _MOST_CHANNELS)
        pairs = [(i, c) for i in range(min(n, _MOST_KERNELS // across)) for c in range(across)]
        shown = [(f"{i} ← {c}", array[i, c]) for i, c in pairs]
    peak = float(np.abs([kernel for _word, kernel in shown]).max()) or 1.0
    side = 0.66
    down = -(-len(shown) // across)

    def draw(sheet: Sheet) -> None:
        for i, (word, kernel) in enumerate(shown):
            bottom = sheet.height - (i // across + 1) * (side + 0.26)
            axes = sheet.panel((i % across) * (side + _GAP) + 0.1, bottom, side, side)
            axes.imshow(signed(kernel, peak), interpolation="nearest")
            _framed(axes)
            axes.set_title(word, color=MUTED, fontsize=8, pad=2)
        scale_bar(sheet, max(sheet.height - 2.2, 0.1), min(sheet.height - 0.2, 1.9), -peak, peak, diverging=True)

    text = _(
        "Each square is a window of {size} that is slid over the image; a unit answers where it finds that pattern."
    )
    if len(run.weights[name].shape) == 2:
        text = _(
            "Each image holds the weights from the {size} pixels to one unit; the unit adds up what it finds there."
        )
    caption = caption_of(
        text.format(size=show_shape(array.shape[2:])),
        _("Orange is a positive weight, blue a negative one."),
        "" if n_channels == 1 else _('"3 ← 1" is what output channel 3 looks for in input channel 1.'),
        _("{shown} of {all} are drawn.").format(shown=format_count(len(shown)), all=format_count(n * n_channels))
        if len(shown) < n * n_channels
        else "",
        _origin(run),
    )
    table = Table(
        (_("kernel"), _("mean"), _("smallest"), _("largest")),
        tuple((word, float(k.mean()), float(k.min()), float(k.max())) for word, k in shown),
    )
    size = (max(across * (side + _GAP) + bar_width(-peak, peak) + 0.25, 4.6), max(down * (side + 0.26), 1.6) + 0.05)
    title = _("Kernels of layer {layer}").format(layer=name.rpartition(".")[0])
    return Picture("kernels", title, caption, table, draw, size)


def _framed(axes: Axes) -> None:
    """An image without ticks in a thin frame, so that faint ones show where they end."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(GRID)


def _origin(run: Run) -> str:
    return _("Weights of epoch {epoch}, seed {seed}.").format(
        epoch=format_count(run.stop.best_epoch), seed=run.recipe.seed
    )


def map_layers(network: Network) -> dict[str, int]:
    """The layers that put out maps: (channels, rows, cols)."""
    return {path: i for i, path in enumerate(network.paths) if len(network.shapes[i + 1]) == 3}


def usual_layer(network: Network) -> str | None:
    """The layer whose maps are shown where none is named: the first activation behind a convolution, else any."""
    maps = map_layers(network)
    behind = [path for path, i in maps.items() if i and network.layers[i].keyword == "activation"]
    return next(iter([*behind, *maps]), None)


def opened_pass(
    network: Network, weights: Mapping[str, np.ndarray], x: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """One example through the network in evaluation mode.

    Returns  the output; what entered each layer and what came out last; d score / d each of these, where the score is
             the output of the class answered, or the one output there is
    """
    parameters = Parameters.of(network, weights, x.dtype)
    output, outs = forward(network, parameters.layers, x, [EVALUATION] * len(network.layers))
    values = [x, *(out.y for out in outs)]
    dy = np.zeros_like(output)
    dy[0, int(output[0].argmax())] = 1
    gradients = [dy]
    for i in reversed(range(len(network.layers))):
        dy, _grads = network.layers[i].backward(parameters.layers[i], outs[i].cache, dy)
        gradients.insert(0, dy)
    return output, values, gradients


def feature_maps(run: Run, image: np.ndarray, name: str, layer: str | None = None) -> Picture:
    """The maps that one image makes in a layer, and what the score of the answer would gain where they are raised.

    image  (1, channels, rows, cols) in [0, 255]
    name   what it is called
    """
    network, maps = run.network, map_layers(run.network)
    if layer is not None and not maps:
        raise RunError(problem("figures.feature_maps, layer", _("a layer with maps"), layer, _("leave it out")))
    chosen = usual_layer(network) if layer is None else _named("figures.feature_maps, layer", f"{layer}", list(maps))
    assert isinstance(run.preparation, ImagePreparation)
    x = run.preparation.transform(image).astype(float_type(run.recipe.precision))
    _output, values, gradients = opened_pass(network, run.weights, x)
    answer = _answer(run, x)
    pictures = [(_("the image"), values[0][0].mean(axis=0), gradients[0][0].sum(axis=0))]
    if chosen is not None:
        place = maps[chosen] + 1
        pictures += [
            (str(i), values[place][0, i], gradients[place][0, i])
            for i in range(min(values[place].shape[1], _MOST_MAPS))
        ]
    side = 1.9 if len(pictures) == 1 else min(0.92, 6.4 / len(pictures) - _GAP)
    peak = max(float(np.abs(p[1]).max()) for p in pictures[1:]) if len(pictures) > 1 else 1.0
    steep = max(float(np.abs(p[2]).max()) for p in pictures[1:]) if len(pictures) > 1 else 1.0

    def draw(sheet: Sheet) -> None:
        left = 0.95
        for i, (word, values_, gradient) in enumerate(pictures):
            for row, part, top in ((0, values_, peak), (1, gradient, steep)):
                place = left + i * (side + _GAP) + (0.12 if i else 0)
                axes = sheet.panel(place, sheet.height - (row + 1) * (side + 0.26), side, side)
                if row == 0 and i == 0:
                    axes.imshow(part, cmap="gray", interpolation="nearest")
                else:
                    axes.imshow(signed(part, top if i else float(np.abs(part).max())), interpolation="nearest")
                _framed(axes)
                axes.set_title(word if row == 0 else "", color=INK, fontsize=9, pad=3)
                if i == 0:
                    axes.set_ylabel(_("values") if row == 0 else _("gradient"), color=MUTED)

    caption = _maps_caption(run, name, answer, chosen, len(pictures) - 1)
    table = Table(
        (_("map"), _("mean"), _("smallest"), _("largest"), _("norm of its gradient")),
        tuple((w, float(v.mean()), float(v.min()), float(v.max()), float(np.linalg.norm(g))) for w, v, g in pictures),
    )
    title = _("Feature maps of layer {layer}").format(layer=chosen) if chosen else _("What the answer looks at")
    return Picture(
        "feature-maps", title, caption, table, draw, (max(1.2 + len(pictures) * (side + _GAP), 4.6), 2 * side + 0.6)
    )


def _answer(run: Run, x: np.ndarray) -> str:
    decoded = run.outputs(x)[0]
    if run.task == "regression":
        return f"{run.target.name} = {format_number(float(decoded))}"
    return run.target.labels[int(decoded.argmax())]


def _maps_caption(run: Run, name: str, answer: str, layer: str | None, n: int) -> str:
    total = run.network.shapes[map_layers(run.network)[layer] + 1][0] if layer else 0
    return caption_of(
        _("Above, {name} and what each channel makes of it: orange above zero, blue below.").format(name=name)
        if n
        else _("Above, {name}.").format(name=name),
        _(
            "Below, the gradient of the score of the answer, {answer}: orange where a higher value would raise it."
        ).format(answer=answer),
        ngettext("{n} of {all} channels is drawn.", "{n} of {all} channels are drawn.", n).format(
            n=format_count(n), all=format_count(total)
        )
        if n < total
        else "",
        _("One pass in evaluation mode."),
        _origin(run),
    )
