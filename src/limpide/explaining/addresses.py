"""The address of every number of an opened step.

    x[2]  target[0]  row_loss  share[1]  top         of the row that is followed; x[2]@5 of that at place 5 of the batch
    loss  rate  norm  update                         of the step
    0.dense.x[2]  0.dense.y[3]  0.dense.dy[3]        of a layer: input, output, the slope of the loss along the output
    0.dense.dx[2]  1.batchnorm.normal[0]             ... along an input; numbers of the layer's own
    0.dense.W[2,3]  0.dense.dW[2,3]                  a weight, and the slope of the loss along it
    used/0.dense.W[2,3]  mean/0.dense.W[2,3]         the gradient the optimizer uses, its state before the update
    after/mean/0.dense.W[2,3]                        ... and after it
    change/0.dense.W[2,3]  after/0.dense.W[2,3]      the update, and the weight after it

Indices count from 0, as those of the arrays: `run.weights["0.dense.W"][2, 3]` is the number at 0.dense.W[2,3]. For the
layer its index is enough where it has no layers inside: 0.W[2,3].
"""

from __future__ import annotations

import re
from collections.abc import Callable

from limpide.arrays import Shape, show_shape
from limpide.errors import RecipeError, UnknownName, problem
from limpide.explaining.arithmetic import Index, Number
from limpide.explaining.step import OpenedStep, WeightSlot
from limpide.explaining.views import View
from limpide.i18n import _
from limpide.nn.layers import BatchNorm, Dropout

_FORM = re.compile(r"(?:(?P<path>[\w.]+)\.)?(?P<name>[^\W\d]\w*)(?:\[(?P<index>\d+(?:,\d+)*)\])?(?:@(?P<row>\d+))?")

BACKWARD = ("target", "loss", "row_loss", "share", "norm", "rate", "update")


def number_at(step: OpenedStep, address: str) -> Number:
    """The number of an address.

    Raises  RecipeError or UnknownName, saying what would fit
    """
    *prefixes, last = address.replace(" ", "").split("/")
    found = _FORM.fullmatch(last)
    if found is None or not set(prefixes) <= {"after", "used", "change", *step.optimizer.slots}:
        example = "0.dense.y[3], 0.dense.dW[2,3], change/0.dense.W[2,3]"
        raise RecipeError(problem(address, _("an address such as {example}").format(example=example), repr(address)))
    index: Index = tuple(int(i) for i in (found["index"] or "").split(",") if i)
    row = step.row if found["row"] is None else int(found["row"])
    if row >= step.n_rows:
        raise RecipeError(problem(address, _("a row from 0 to {last}").format(last=step.n_rows - 1), f"@{row}"))
    if found["path"] is None:
        return _of_step(step, address, found["name"], index, row)
    view = view_at(step, found["path"])
    if prefixes or found["name"] in {**view.params, **view.buffers}:
        return _of_weight(step, address, view, found["name"], index, prefixes)
    return _of_layer(address, view, found["name"], index, row)


def view_at(step: OpenedStep, path: str) -> View:
    """A layer by its path, or by its index.

    Raises  UnknownName
    """
    for view in step.views:
        if path in (view.path, view.label):
            return view
    raise UnknownName(_("layer"), path, [view.path for view in step.views])


def check_index(address: str, index: Index, shape: Shape) -> None:
    """RecipeError when an index does not lie in an array of this shape."""
    if len(index) != len(shape) or any(i >= size for i, size in zip(index, shape, strict=True)):
        expected = _("an index in an array of {shape}, from 0").format(shape=show_shape(shape))
        raise RecipeError(problem(address, expected, f"[{','.join(map(str, index))}]" if index else _("none")))


def _need_target(step: OpenedStep, address: str) -> None:
    if not step.has_target:
        mend = _("give the target too")
        raise RecipeError(problem(address, _("a row whose answer is known"), _("one without it"), mend))


def _of_step(step: OpenedStep, address: str, name: str, index: Index, row: int) -> Number:
    shapes: dict[str, Shape] = {"x": step.network.input_shape, "target": step.output.shape[1:]}
    shapes |= {"share": step.output.shape[1:]}
    known: dict[str, Callable[[], Number]] = {
        "x": lambda: step.x(index, row),
        "target": lambda: step.target(index, row),
        "loss": step.mean_loss,
        "row_loss": lambda: step.row_loss(row),
        "share": lambda: step.share(index[0], row),
        "top": lambda: step.top(row),
        "norm": step.norm,
        "rate": step.rate,
        "update": step.count,
    }
    if name not in known:
        raise UnknownName(address, name, known)
    if name in BACKWARD:
        _need_target(step, address)
    check_index(address, index, shapes.get(name, ()))
    return known[name]()


def _of_weight(step: OpenedStep, address: str, view: View, key: str, index: Index, prefixes: list[str]) -> Number:
    arrays = {**view.params, **view.buffers}
    if key not in arrays:
        raise UnknownName(address, key, arrays)
    check_index(address, index, arrays[key].shape)
    if key in view.buffers:
        return view.moved(key, index[0]) if prefixes == ["after"] and step.has_target else view.running(key, index[0])
    slot = step.weight(f"{view.path}.{key}", index)
    if prefixes:
        _need_target(step, address)
    return _of_slot(address, slot, prefixes, step.optimizer.slots)


def _of_slot(address: str, slot: WeightSlot, prefixes: list[str], states: tuple[str, ...]) -> Number:
    match prefixes:
        case []:
            return slot.weight()
        case ["used"]:
            return slot.used()
        case ["change"]:
            return slot.change()
        case ["after"]:
            return slot.new()
        case [state] if state in states:
            return slot.before(state)
        case ["after", state] if state in states:
            return slot.after(state)
    raise RecipeError(problem(address, ", ".join(["used/", "change/", "after/", *states]), "/".join(prefixes)))


def _of_layer(address: str, view: View, name: str, index: Index, row: int) -> Number:
    known: dict[str, tuple[Shape, Callable[[], Number]]] = {
        "x": (view.in_shape, lambda: view.x(index, row)),
        "y": (view.out_shape, lambda: view.y(index, row)),
    }
    if view.step.has_target:
        known["dy"] = (view.out_shape, lambda: view.dy(index, row))
        known["dx"] = (view.in_shape, lambda: view.dx(index, row))
        known |= {
            f"d{key}": (array.shape, lambda key=key: view.slope_of(key, index))  # type: ignore[misc]
            for key, array in view.params.items()
        }
    if isinstance(view.layer, Dropout) and "mask" in view.cache:
        known["mask"] = (view.out_shape, lambda: view.mask(index, row))
    if isinstance(view.layer, BatchNorm):
        known["normal"] = (view.out_shape, lambda: view.normal(index, row))
        if view.cache["training"]:
            known["batch_mean"] = (view.out_shape[:1], lambda: view.statistic("mean", index[0]))
            known["batch_variance"] = (view.out_shape[:1], lambda: view.statistic("variance", index[0]))
    if getattr(view.layer, "function", "") == "softmax":
        known["top"] = (view.out_shape[:-1], lambda: view.top((*index, 0), row))
    if name not in known:
        raise UnknownName(address, name, [*known, *view.params])
    shape, number = known[name]
    check_index(address, index, shape)
    return number()
