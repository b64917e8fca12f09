"""How optimizers go down: from the same start on a known surface, on two weights of a run, before and after scaling."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from limpide.arrays import Tree
from limpide.engines.base import get_engine
from limpide.errors import RunError, UnknownName, problem
from limpide.figures.axes import number_width, show_numbers
from limpide.figures.picture import BLUE, GREEN, INK, MUTED, ORANGE, PAPER, Picture, Sheet, Table
from limpide.figures.shades import Surface, caption_of, contours, is_wide, logarithmic
from limpide.i18n import N_, _, format_count, format_number
from limpide.nn.losses import Loss
from limpide.nn.network import Network
from limpide.nn.optimizers import SGD, Adam, Momentum, Optimizer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from limpide.data.rows import Rows
    from limpide.reopening import Reopened

Slope = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""From a place (2,) to the height there and its gradient."""

STEPS = 30
RATES = tuple(10.0 ** (k / 4) for k in range(-14, 5))
MOST_ROWS, MOST_WORK = 500, 3_000_000_000
"""What two weights of a run are moved on at most: rows, and multiply-adds of all passes."""

_ALONG = 41
_OPTIMIZERS: dict[str, Optimizer] = {"SGD": SGD(), "momentum": Momentum(), "Adam": Adam()}
_LINES = ((ORANGE, "o", (None, None)), (GREEN, "s", (4, 1.2)), (INK, "^", (1.5, 1.2)))


class Ground(NamedTuple):
    """A surface to go down on."""

    said: str
    slope: Slope
    start: tuple[float, float]
    x: tuple[float, float]
    y: tuple[float, float]


def _ravine(at: np.ndarray) -> tuple[float, np.ndarray]:
    steepness = np.array([1.0, 20.0])
    return float((steepness * at**2).sum() / 2), steepness * at


def _rosenbrock(at: np.ndarray) -> tuple[float, np.ndarray]:
    x, y = at
    bend = y - x * x
    return float((1 - x) ** 2 + 5 * bend**2), np.array([-2 * (1 - x) - 20 * x * bend, 10 * bend])


GROUNDS = {
    "ravine": Ground(N_("J = (x² + 20 y²) / 2: a ravine"), _ravine, (-4.0, 1.0), (-5.0, 3.0), (-1.6, 1.6)),
    "rosenbrock": Ground(
        N_("J = (1 − x)² + 5 (y − x²)²: a bent valley"), _rosenbrock, (-1.4, 0.3), (-2.0, 2.0), (-1.0, 2.6)
    ),
}
"""Surfaces whose form is known."""


def descend(
    slope: Slope, start: Sequence[float], optimizer: Optimizer, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where an optimizer stands at the start and after each step, (STEPS + 1, 2), and the height before each step.

    low, high  the corners of the ground: the path ends where it leaves it
    """
    at = np.array(start, float)
    state = optimizer.init(at)
    places, heights = [at], []
    for step in range(STEPS):
        height, gradient = slope(at)
        change, state = optimizer.update(at, gradient, state, step, STEPS)
        at = at + change
        heights.append(height)
        if not ((at >= low) & (at <= high)).all():
            break
        places.append(at)
    return np.stack(places), np.array(heights)


def best_descents(
    slope: Slope, start: Sequence[float], x: tuple[float, float], y: tuple[float, float]
) -> dict[str, tuple[float, np.ndarray]]:
    """Each optimizer with the rate, of those tried, whose last third of steps lies lowest; and this path.

    x, y  the ends of the ground, which a path must not leave
    """
    low, high = np.transpose([x, y])
    found = {}
    for name, optimizer in _OPTIMIZERS.items():
        best = (np.inf, RATES[0], np.array([start], float))
        for rate in RATES:
            path, heights = descend(slope, start, replace(optimizer, rate=rate), low, high)
            late = float(heights[-(STEPS // 3) :].mean())
            if len(path) == STEPS + 1 and late < best[0]:
                best = (late, rate, path)
        found[name] = best[1:]
    return found


def on_a_surface(name: str) -> Picture:
    """The paths on a known surface.

    Raises  UnknownName  for one that is not known
    """
    if name not in GROUNDS:
        raise UnknownName("figures.descent, on", name, [*GROUNDS, "weights"])
    ground = GROUNDS[name]
    xs, ys = np.linspace(*ground.x, 121), np.linspace(*ground.y, 121)
    values = np.array([[ground.slope(np.array([x, y]))[0] for x in xs] for y in ys])
    says = _("Level lines of {surface}.").format(surface=_(ground.said))
    paths = best_descents(ground.slope, ground.start, ground.x, ground.y)
    return _picture(name, "x", "y", says, (xs, ys, values), paths, ground.slope)


def on_two_weights(opened: Reopened, names: Sequence[str] | None = None) -> Picture:
    """The paths when two weights of a run are set to the opposite of what they became, and learned again alone.

    names  such as "0.dense.W[0,1]"; None takes the two largest of the last layer
    Raises UnknownName or RunError  for what is no weight of the run
    """
    places = _largest(opened) if names is None else [_place(opened, name) for name in names]
    if len(set(places)) != 2:
        expected, got = _("two weights of the run"), ", ".join(names or [])
        raise RunError(problem("figures.descent, weights", expected, got, _("name two, such as 0.dense.W[0,1]")))
    tail = _Tail.of(opened, places)
    slope, height = tail.slope, tail.height
    now = np.array([opened.run.weights[name][at] for name, at in places], float)
    ends = [(-reach, reach) for reach in (2.2 * np.abs(now) + 0.2).tolist()]
    paths = best_descents(slope, (-now).tolist(), *ends)
    xs, ys = (np.linspace(low, high, _ALONG) for low, high in ends)
    values = np.array([[height(np.array([x, y])) for x in xs] for y in ys])
    says = _(
        "The loss as two weights move and all others stay as the run has them; "
        "the start is the opposite of their values."
    )
    says += " " + _("Computed on {n} training rows, weights of epoch {epoch}, seed {seed}.").format(
        n=format_count(len(tail.rows.x)), epoch=format_count(opened.run.stop.best_epoch), seed=opened.run.recipe.seed
    )
    x_label, y_label = (_shown(name, at) for name, at in places)
    return _picture("weights", x_label, y_label, says, (xs, ys, values), paths, slope)


_Place = tuple[str, tuple[int, ...]]


def _largest(opened: Reopened) -> list[_Place]:
    """The two weights of the last layer that has two, farthest from zero."""
    run = opened.run
    slot = [slot for slot in run.network.slots if np.prod(slot.shape) > 1 and len(slot.shape) > 1][-1]
    flat = np.abs(run.weights[slot.name]).ravel()
    return [(slot.name, tuple(map(int, np.unravel_index(i, slot.shape)))) for i in np.argsort(-flat, kind="stable")[:2]]


def _place(opened: Reopened, text: str) -> _Place:
    """A weight named as people write it: "0.dense.W[0,1]"."""
    where = "figures.descent, weights"
    found = re.fullmatch(r"\s*([^\[\]]+?)\s*(?:\[([\d,\s]+)\])?\s*", text)
    shapes = {slot.name: slot.shape for slot in opened.run.network.slots}
    name = found[1] if found else text
    if name not in shapes:
        raise UnknownName(where, name, shapes)
    at = tuple(int(part) for part in (found[2] or "").split(",") if part.strip()) if found else ()
    if len(at) != len(shapes[name]) or any(i >= n for i, n in zip(at, shapes[name])):
        last = _shown(name, tuple(n - 1 for n in shapes[name]))
        expected = _("a weight from {first} to {last}").format(first=_shown(name, (0,) * len(shapes[name])), last=last)
        raise RunError(problem(where, expected, text))
    return name, at


def _shown(name: str, at: tuple[int, ...]) -> str:
    return f"{name}[{','.join(map(str, at))}]"


@dataclass(frozen=True, eq=False)
class _Tail:
    """The loss as a function of two weights, in evaluation mode: what comes before their layers is computed once.

    network  the layers from the first that holds one of them on
    weights  of these, the two of `places` moved at every call
    """

    network: Network
    weights: Tree
    places: Sequence[_Place]
    loss: Loss
    rows: Rows

    @classmethod
    def of(cls, opened: Reopened, places: Sequence[_Place]) -> _Tail:
        """The tail of a run's network, and the training rows that enter it."""
        run, network = opened.run, opened.run.network
        first = min(int(name.partition(".")[0]) for name, _at in places)
        tail = Network(network.shapes[first], network.layers[first:])
        # a gradient costs three passes
        n_passes = 3 * (len(RATES) * len(_OPTIMIZERS) * STEPS + _ALONG**2)
        work = max(sum(row.multiply_adds for row in network.table()[first:]), 1)
        rows = opened.sample(min(MOST_ROWS, max(MOST_WORK // (n_passes * work), 16)))
        if first:
            head = Network(network.input_shape, network.layers[:first])
            rows = rows._replace(x=get_engine("numpy").forward(head, run.weights, rows.x))
        held = {}
        for name, array in run.weights.items():
            index, _dot, rest = name.partition(".")
            if int(index) >= first:
                held[f"{int(index) - first}.{rest}"] = np.array(array)
        moved = [(f"{int(name.partition('.')[0]) - first}.{name.partition('.')[2]}", at) for name, at in places]
        return cls(tail, held, moved, opened.job.loss, rows)

    def _move(self, at: np.ndarray) -> None:
        for (name, index), value in zip(self.places, at):
            self.weights[name][index] = value

    def slope(self, at: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss and its gradient."""
        self._move(at)
        loss, grads = get_engine("numpy").loss_and_gradients(
            self.network, self.loss, self.weights, self.rows.x, self.rows.y
        )
        return loss, np.array([float(grads[name][index]) for name, index in self.places])

    def height(self, at: np.ndarray) -> float:
        """The loss alone."""
        self._move(at)
        return self.loss.mean(get_engine("numpy").forward(self.network, self.weights, self.rows.x), self.rows.y)


def _picture(
    name: str,
    x_label: str,
    y_label: str,
    says: str,
    surface: Surface,
    paths: dict[str, tuple[float, np.ndarray]],
    slope: Slope,
) -> Picture:
    _xs, ys, values = surface

    def draw(sheet: Sheet) -> None:
        axes = sheet.axes(0.5 + number_width(float(ys[0]), float(ys[-1])), 0.55, 0.15, top=0.4)
        contours(axes, surface, by_ratio=is_wide(values), named=False)
        for (word, (rate, path)), (colour, mark, dashes) in zip(paths.items(), _LINES):
            text = _("{optimizer}, rate {rate}").format(optimizer=word, rate=format_number(rate, 2))
            axes.plot(*path.T, color=colour, marker=mark, ms=3.5, lw=1.3, dashes=dashes, label=text, markeredgewidth=0)
            axes.plot(*path[-1:].T, color=colour, marker=mark, ms=8, markeredgecolor=PAPER)
        start = next(iter(paths.values()))[1][0]
        _mark(axes, start, _("start"))
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.06, 1.0), ncols=3, frameon=False, borderpad=0, handletextpad=0.4,
            columnspacing=0.9, borderaxespad=0.3, fontsize=9,
        )  # fmt: skip
        show_numbers(axes.xaxis)
        show_numbers(axes.yaxis)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label, color=MUTED)

    caption = caption_of(
        says,
        _("{n} steps each, from the same start; of {tried} rates, the one whose last steps lie lowest.").format(
            n=STEPS, tried=len(RATES)
        ),
        logarithmic() if is_wide(values) else "",
    )
    table = Table(
        (_("optimizer"), _("rate"), x_label, y_label, _("height at the end")),
        tuple((word, rate, *map(float, path[-1]), slope(path[-1])[0]) for word, (rate, path) in paths.items()),
    )
    return Picture(f"descent-{name}", _("The same start, three ways down"), caption, table, draw, (5.6, 4.2))


def _mark(axes: Axes, place: np.ndarray, text: str) -> None:
    axes.plot(*place[:, None], "X", ms=8, color=BLUE, markeredgecolor=PAPER, zorder=6)
    axes.annotate(text, tuple(place), (7, 7), textcoords="offset points", color=INK, fontsize=9)
