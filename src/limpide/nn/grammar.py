"""The text of a network: "28x28, 512 relu, dropout 0.2, 10", or "11-6-6-1 relu" for short.

Items stand between commas; those between the parentheses of a residual are its own, and are numbered "3.1", "3.2", ...
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from limpide.arrays import Shape, show_shape
from limpide.errors import LimpideError, RecipeError, ShapeError, UnknownName, problem
from limpide.i18n import _
from limpide.nn.activations import ACTIVATIONS
from limpide.nn.layers import LAYERS, Activation, Dense, Flatten, Layer, Residual
from limpide.nn.network import Network

MAX_LAYERS = 1000
MAX_DEPTH = 20
OPTION_WORDS = ("stride", "pad", "groups", "no", "bias")


def parse_network(text: str) -> Network:
    """The network of a complete text: input first, output last."""
    items = _expand(text)
    shape = _as_shape(items[0])
    if shape is None:
        raise RecipeError(
            problem(
                _("network"),
                _("the shape of the input first, such as 3 or 1x28x28"),
                repr(items[0]),
                _('write "INPUT, {text}"').format(text=text.strip()),
            )
        )
    layers = _parse_items(items[1:], first=2)
    if not layers:
        raise RecipeError(problem(_("network"), _("at least one layer behind the input"), repr(text)))
    return Network(shape, _with_flatten(shape, layers))


def complete_network(text: str, input_shape: Shape, n_outputs: int, initializer: str = "pytorch") -> Network:
    """The network of a text for given data: hidden layers alone, or a complete network, which must then fit.

    A bare number in front is the input, a bare number at the end the output; a hidden layer without an activation
    is written "64 identity". A missing output layer is added.

    Raises  ShapeError when the input or output named is not the data's

    >>> print(complete_network("64 relu", (3,), 1))
    3, 64 relu, 1
    """
    items = _expand(text) if text.strip() else []
    shape = _as_shape(items[0]) if items else None
    if shape is not None:
        fits = shape == input_shape or (len(shape) == 2 and (1, *shape) == input_shape)
        flat = shape == (prod(input_shape),)
        if not fits and not flat:
            raise ShapeError(
                problem(
                    _("network, input"),
                    show_shape(input_shape),
                    show_shape(shape),
                    _(
                        'leave the input out, or write "{item} relu" if it is a hidden layer, "{item} identity" if it '
                        "has no activation"
                    ).format(item=items[0]),
                )
            )
        items = items[1:]
    layers = _parse_items(items, first=1 if shape is None else 2)
    named_output = bool(layers) and _ends_in_output(items, layers)
    if named_output:
        last = next(layer for layer in reversed(layers) if isinstance(layer, Dense))
        if last.units != n_outputs:
            raise ShapeError(
                problem(
                    _("network, output"),
                    str(n_outputs),
                    str(last.units),
                    _('leave the output out, or write "{n} relu" if it is a hidden layer').format(n=last.units),
                )
            )
    else:
        needs_flatten = (
            len(Network(input_shape, _with_flatten(input_shape, layers)).output_shape) > 1
            if layers
            else (len(input_shape) > 1)
        )
        layers = [*layers, *([Flatten()] if needs_flatten else []), Dense(n_outputs)]
    layers = [_initialized(layer, initializer) for layer in layers]
    return Network(input_shape, _with_flatten(input_shape, layers))


def _initialized(layer: Layer, initializer: str) -> Layer:
    if isinstance(layer, Residual):
        return Residual(tuple(_initialized(inside, initializer) for inside in layer.layers))
    return replace(layer, initializer=initializer) if hasattr(layer, "initializer") else layer  # type: ignore[call-arg]


def _ends_in_output(items: list[str], layers: list[Layer]) -> bool:
    """Whether the text names its output: a bare number last, or one under sigmoid or softmax."""
    last = items[-1].split()
    if last[0] in ("sigmoid", "softmax") and len(items) > 1:
        return items[-2].isdecimal()
    return last[0].isdecimal() and (len(last) == 1 or last[1] in ("sigmoid", "softmax", "no"))


def _with_flatten(shape: Shape, layers: list[Layer]) -> tuple[Layer, ...]:
    """A flatten in front when a dense layer meets an image right at the input."""
    shaped = next((layer for layer in layers if not isinstance(layer, Activation)), None)
    return (Flatten(), *layers) if len(shape) > 1 and isinstance(shaped, Dense) else tuple(layers)


def _expand(text: str) -> list[str]:
    """The items between the commas; `11-6-6-1 relu` and `40x5 relu` written out."""
    text = text.strip()
    if not text:
        raise RecipeError(problem(_("network"), _("layers"), _("an empty text"), _('write for example "64 relu, 1"')))
    if "," not in text and "-" in text.split()[0]:
        sizes, *activation = text.split()
        _check_gaps(sizes.split("-"), _("remove a hyphen"))
        parts = [part for size in sizes.split("-") for part in _repeat(size)]
        hidden = [" ".join([size, *activation]) for size in parts[1:-1]]
        return [parts[0], *hidden, parts[-1]]
    items = _items(text)
    expanded = items[:1] if len(items) > 1 else _written_out(items)
    expanded += _written_out(items[1:])
    if len(expanded) > MAX_LAYERS:
        raise RecipeError(problem(_("network"), _("at most {n} layers").format(n=MAX_LAYERS), str(len(expanded))))
    return expanded


def _items(text: str, above: str = "") -> list[str]:
    """What stands between the commas that are in no parentheses, with single spaces.

    above  the number of the item that holds the text, with its dot
    """
    items, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if not 0 <= depth <= MAX_DEPTH:
            break
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    if depth:
        expected = _("a closing parenthesis for each opening one, at most {n} within one another").format(n=MAX_DEPTH)
        raise RecipeError(problem(_("network"), expected, repr(text)))
    items = [" ".join(item.split()) for item in items]
    _check_gaps(items, _("remove a comma"), above)
    return items


def _written_out(items: list[str]) -> list[str]:
    """Each item, the repeated ones as often as they say."""
    heads = [item.split() for item in items]
    return [" ".join([size, *rest]) for head, *rest in heads for size in _repeat(head)]


def _check_gaps(items: list[str], mend: str, above: str = "") -> None:
    """RecipeError with every item that is empty."""
    gaps = [_("network, item {i}").format(i=f"{above}{i}") for i, item in enumerate(items, start=1) if not item]
    if gaps:
        raise RecipeError(*(problem(where, _("a layer"), _("nothing"), mend) for where in gaps))


def _repeat(word: str) -> list[str]:
    """`40x5` as five times `40`."""
    units, cross, times = word.partition("x")
    if cross and units.isdecimal() and times.isdecimal():
        if not 1 <= int(times) <= MAX_LAYERS:
            raise RecipeError(problem(_("network"), _("1 to {n} layers").format(n=MAX_LAYERS), repr(word)))
        return [units] * int(times)
    return [word]


def _as_shape(item: str) -> Shape | None:
    """(1, 28, 28) of "1x28x28"; None for anything but sizes."""
    parts = item.replace("×", "x").split("x")
    if len(parts) > 3 or not all(part.isdecimal() and 1 <= int(part) <= 10**7 for part in parts):
        return None
    return tuple(int(part) for part in parts)


def _parse_items(items: list[str], first: int, above: str = "") -> list[Layer]:
    """The layers of all items; every problem is reported at once."""
    layers: list[Layer] = []
    problems: list[str] = []
    for number, item in enumerate(items, start=first):
        try:
            layers += _parse_item(item, f"{above}{number}")
        except LimpideError as error:
            problems += error.problems
    if problems:
        raise RecipeError(*problems)
    return layers


def _parse_item(item: str, number: str) -> list[Layer]:
    where = _("network, item {i}").format(i=number)
    words = item.split()
    if words[0] in ACTIVATIONS:
        return [Activation.from_words(words, where)]
    if item.partition("(")[0].split() == [Residual.keyword]:
        return _parse_residual(item, number, where)
    if words[0].isdecimal():
        kind: type[Layer] = Dense
    elif words[0] in LAYERS and words[0] not in ("dense", "activation"):
        kind = LAYERS[words[0]]
    elif words[0] == "dense":
        expected = _("a dense layer by its number of neurons alone")
        raise RecipeError(problem(where, expected, repr(item), _('write "8 relu", or "8 identity"')))
    else:
        known = [k for k in LAYERS if k not in ("dense", "activation")]
        raise UnknownName(where, words[0], [*known, *ACTIVATIONS])
    tail: list[str] = []
    for i in range(1, len(words)):
        # what starts with a letter and is no option of the layer is its activation
        if words[i] in ACTIVATIONS:
            words, tail = words[:i], words[i:]
            break
    try:
        layer = kind.from_words(words, where)
    except RecipeError:
        stray = next((w for w in words[1:] if w.isalpha() and w not in OPTION_WORDS), None)
        if stray is None:
            raise
        raise UnknownName(where, stray, ACTIVATIONS) from None
    return [layer, Activation.from_words(tail, where)] if tail else [layer]


def _parse_residual(item: str, number: str, where: str) -> list[Layer]:
    """`residual(16 relu, 8)`, with an activation behind it or not."""
    inside, closed, behind = item.partition("(")[2].rpartition(")")
    tail = behind.split()
    if not closed:
        return [Residual.from_words(item.split(), where)]
    if tail and tail[0] not in ACTIVATIONS:
        raise UnknownName(where, tail[0], ACTIVATIONS)
    above = f"{number}."
    layer = Residual(tuple(_parse_items(_written_out(_items(inside, above)), 1, above)))
    return [layer, Activation.from_words(tail, where)] if tail else [layer]
