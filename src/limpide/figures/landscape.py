"""The loss around the weights of a run, on a plane through them, and the way the training went.

Source  Li, Xu, Taylor, Studer & Goldstein 2018, Visualizing the Loss Landscape of Neural Nets
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from limpide import seeds
from limpide.arrays import Tree
from limpide.engines.base import get_engine
from limpide.figures.axes import number_width, show_numbers
from limpide.figures.gradients import said_walk
from limpide.figures.picture import INK, MUTED, ORANGE, PAPER, Picture, Sheet, Table
from limpide.figures.shades import View, caption_of, contours, is_wide, logarithmic, relief
from limpide.i18n import _, format_count, format_number, format_percent
from limpide.nn.network import Network, Slot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from limpide.data.rows import Rows
    from limpide.reopening import Reopened

MOST_ROWS, MOST_WORK, MOST_WINDOWED = 5_000, 20_000_000_000, 4_000_000_000
"""What a landscape is measured on at most: rows, and multiply-adds of all its passes, fewer where NumPy convolves."""

FINE, COARSE = 25, 15
"""Points along each side; the coarse one where the fine one would leave fewer than 200 rows."""

Along = Literal["random", "path"]


@dataclass(frozen=True, eq=False)
class Landscape:
    """The loss on a plane through the weights of a run: `loss(w + a u + b v)`.

    a, b    along each side; the run itself stands at (0, 0)
    losses  (b, a)
    path    (epochs, 2): where the training stood, as far as the plane can tell; empty where it was not walked
    shares  of the path's movement that lies along u and along v
    """

    a: np.ndarray
    b: np.ndarray
    losses: np.ndarray
    centre: float
    n_rows: int
    path: np.ndarray
    epochs: list[int]
    shares: tuple[float, float] = (0.0, 0.0)


def landscape_of(opened: Reopened, along: Along = "random") -> Landscape:
    """The loss on a plane.

    along  "random": two random directions, each filter as long as the run's own; "path": the two along which the
           training moved most
    """
    run = opened.run
    network = run.network
    # a multiply-add of a convolution takes NumPy several times as long as one of a matrix
    is_slow = run.engine != "torch" and any(len(slot.shape) == 4 for slot in network.slots)
    budget = MOST_WINDOWED if is_slow else MOST_WORK
    n = FINE if budget >= 200 * FINE**2 * opened.work else COARSE
    most = budget // (n * n * opened.work)
    rows = opened.sample(min(MOST_ROWS, max(most, 32)))
    centre = _flat(network, run.weights)
    path, epochs, shares = np.zeros((0, 2)), [], (0.0, 0.0)
    if along == "path":
        epochs = opened.walk.epochs
        u, v, path, shares = _principal(np.stack([_flat(network, w) - centre for w in opened.walk.weights]))
        a, b = (_reach(path[:, i], n) for i in (0, 1))
    else:
        u, v = (_random_direction(network, run.weights, run.recipe.seed, name) for name in ("u", "v"))
        a = b = np.linspace(-1, 1, n)
    loss = _LossAt(opened, rows)
    losses = np.array([[loss(centre + i * u + j * v) for i in a] for j in b])
    # so far from the run that the loss is no number: as high as it gets
    losses[~np.isfinite(losses)] = losses[np.isfinite(losses)].max()
    return Landscape(a, b, losses, loss(centre), len(rows.x), path, epochs, shares)


class _LossAt:
    """The loss of some rows as a function of all parameters."""

    def __init__(self, opened: Reopened, rows: Rows) -> None:
        self.run, self.loss, self.rows = opened.run, opened.job.loss, rows
        # the compiled engine would be compiled for a pass it makes no faster
        self.engine = get_engine("torch" if self.run.engine == "torch" else "numpy")

    def __call__(self, flat: np.ndarray) -> float:
        network = self.run.network
        named = {slot.name: flat[slot.start : slot.stop].reshape(slot.shape) for slot in network.slots}
        dtype = self.rows.x.dtype
        weights = {**self.run.weights, **{name: array.astype(dtype) for name, array in named.items()}}
        with np.errstate(over="ignore", invalid="ignore"):
            return self.loss.mean(self.engine.forward(network, weights, self.rows.x), self.rows.y)


def _flat(network: Network, weights: Tree) -> np.ndarray:
    parts = [np.asarray(weights[slot.name], np.float64).ravel() for slot in network.slots]
    return np.concatenate(parts)


def _random_direction(network: Network, weights: Tree, seed: int, name: str) -> np.ndarray:
    """A random direction in which each filter is as long as the run's own; biases and scales stay."""
    rng = seeds.stream(seed, "figures", "landscape", name)
    return np.concatenate(
        [filter_normalised(rng, np.asarray(weights[slot.name], float), slot) for slot in network.slots]
    )


def filter_normalised(rng: np.random.Generator, weights: np.ndarray, slot: Slot) -> np.ndarray:
    """A random direction for one array, flat: a filter is what leads into one unit or channel."""
    drawn = rng.standard_normal(slot.shape)
    if len(slot.shape) < 2:
        return np.zeros(drawn.size)
    axes = tuple(range(1, drawn.ndim)) if drawn.ndim == 4 else (0,)
    lengths = [np.sqrt((array**2).sum(axis=axes, keepdims=True)) for array in (weights, drawn)]
    made: np.ndarray = (drawn * lengths[0] / lengths[1]).ravel()
    return made


def _principal(moves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, float]]:
    """The two directions along which a path moved most, its places on their plane, and their shares of the movement.

    moves  (epochs, parameters), each the way from the run's weights
    """
    _left, sizes, directions = np.linalg.svd(moves, full_matrices=False)
    u = directions[0]
    v = directions[1] if len(directions) > 1 and sizes[1] > 1e-9 * sizes[0] else np.zeros_like(u)
    if not v.any():
        # a path along one line: across it, the direction of the parameter it uses least
        least = int(np.abs(u).argmin())
        v = -u * u[least]
        v[least] += 1
        v /= np.linalg.norm(v) or 1.0
    # the sign of a direction is free: the largest entry is positive, so that the picture is always the same
    u, v = (w * (1 if w[np.abs(w).argmax()] >= 0 else -1) for w in (u, v))
    total = float((sizes**2).sum()) or 1.0
    shares = (float(sizes[0] ** 2) / total, float(sizes[1] ** 2) / total if len(sizes) > 1 else 0.0)
    return u, v, moves @ np.stack([u, v], axis=1), shares


def _reach(places: np.ndarray, n: int) -> np.ndarray:
    """An even grid over a path and some room around it, the run itself at one of its points."""
    low, high = float(min(places.min(), 0)), float(max(places.max(), 0))
    room = 0.25 * (high - low) or 1.0
    step = (high - low + 2 * room) / (n - 1)
    before = round((room - low) / step)
    return (np.arange(n) - before) * step


def landscape(opened: Reopened, view: View = "contour", along: Along = "random") -> Picture:
    """The landscape as level lines, or seen from the side; with the path of the training where the plane is its own."""
    land = landscape_of(opened, along)
    labels = _labels(land, along)
    heights = _heights(land)

    def draw(sheet: Sheet) -> None:
        if view == "surface":
            path = (land.path[:, 0], land.path[:, 1], heights) if len(land.path) else None
            centre = (np.zeros(1), np.zeros(1), np.array([land.centre]))
            sides = ("u", "v") if along == "random" else (_("first direction"), _("second direction"))
            surface = (land.a, land.b, land.losses)
            relief(
                sheet, surface, (*sides, _("loss")), by_ratio=is_wide(land.losses), points=centre, path=path
            )  # fmt: skip
            return
        axes = sheet.axes(0.55 + number_width(float(land.b[0]), float(land.b[-1])), 0.55, 0.2)
        contours(axes, (land.a, land.b, land.losses), by_ratio=is_wide(land.losses))
        if len(land.path):
            axes.plot(*land.path.T, "-o", ms=3, lw=1.4, color=ORANGE)
            for i in (0, len(land.path) - 1):
                _name(axes, land.path[i], _("epoch {n}").format(n=format_count(land.epochs[i])))
        axes.plot([0], [0], "*", ms=13, color=INK, markeredgecolor=PAPER)
        show_numbers(axes.xaxis)
        show_numbers(axes.yaxis)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1], color=MUTED)

    header = (labels[0], labels[1], _("loss"))
    places = np.linspace(0, len(land.a) - 1, 5).astype(int)
    table = Table(
        header, tuple((float(land.a[i]), float(land.b[j]), float(land.losses[j, i])) for j in places for i in places)
    )
    title = _("The loss around the run") if along == "random" else _("The loss along the path of the training")
    return Picture(f"landscape-{along}-{view}", title, _caption(opened, land, view, along), table, draw, (5.6, 4.4))


def _heights(land: Landscape) -> np.ndarray:
    """The loss at each place of the path, between the points of the grid."""
    if not len(land.path):
        return np.zeros(0)
    from scipy.interpolate import RegularGridInterpolator

    found: np.ndarray = RegularGridInterpolator((land.b, land.a), land.losses)(land.path[:, ::-1])
    return found


def _labels(land: Landscape, along: Along) -> tuple[str, str]:
    if along == "random":
        return _("along a random direction u"), _("along another, v")
    first = _("along the first direction ({share} of the movement)").format(share=format_percent(land.shares[0]))
    return first, _("along the second ({share})").format(share=format_percent(land.shares[1]))


def _name(axes: Axes, place: np.ndarray, text: str) -> None:
    axes.annotate(text, (float(place[0]), float(place[1])), (6, 6), textcoords="offset points", color=INK, fontsize=9)


def _caption(opened: Reopened, land: Landscape, view: View, along: Along) -> str:
    run, n = opened.run, len(opened.job.parts["train"].x)
    where = (
        _("The star is the run, loss {loss}.") if view == "contour" else _("The run stands at 0 and 0, loss {loss}.")
    )
    plane = _("Two random directions; at 1 each filter has moved by its own length (Li et al. 2018).")
    if along == "path":
        plane = _("The plane holds the two directions along which the weights moved most; orange is their path.")
    return caption_of(
        _("How the loss changes when all weights are moved at once."),
        where.format(loss=format_number(land.centre, 4)),
        plane,
        logarithmic() if is_wide(land.losses) else "",
        _("{points} passes over {n} of the {all} training rows, weights of epoch {epoch}, seed {seed}.").format(
            points=format_count(land.losses.size),
            n=format_count(land.n_rows),
            all=format_count(n),
            epoch=format_count(run.stop.best_epoch),
            seed=run.recipe.seed,
        ),
        said_walk(opened.walk) if along == "path" else "",
    )
