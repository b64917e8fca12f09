"""What a network answers all over the plane of two columns, or along one: decision boundaries, regression surfaces."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from limpide.errors import RunError, problem
from limpide.figures.axes import grid, number_width, short, show_numbers
from limpide.figures.picture import BLUE, GREEN, INK, MUTED, ORANGE, PAPER, RED, Picture, Sheet, Table
from limpide.figures.shades import View, bar_width, caption_of, contours, relief, scale_bar
from limpide.figures.tables import Rows
from limpide.i18n import _, format_count, format_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS, UP = 81, 61
"""Points of the grid on which the network answers."""

_MOST_POINTS = 250
_MARGIN = 0.04
_SIZE = (5.6, 4.2)
_MARKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (RED, "D"), (INK, "v"), (MUTED, "P"))


def chosen_columns(rows: Rows, where: str, x: str | None, y: str | None) -> list[str]:
    """The one or two columns that move: those named, the others being the ones the answers depend on most.

    Raises  UnknownName  for a column that does not exist; RunError  for one without numbers
    """
    named = [rows.check(f"{where}, {axis}", name) for axis, name in (("x", x), ("y", y)) if name is not None]
    if len(set(named)) < len(named):
        raise RunError(problem(where, _("two columns"), repr(named[0]), _("name another as y")))
    if not rows.numeric:
        expected, got = _("a run with a column of numbers"), _("one without")
        raise RunError(problem(where, expected, got, _("see which columns there are: limpide show RUN")))
    if len(named) == 2:
        return named
    others = [name for name in rows.strongest(3) if name not in named] or [n for n in rows.numeric if n not in named]
    if not named:
        return others[:2] if len(rows.numeric) <= 2 else rows.strongest(2)
    return [*named, *others[:1]] if x is not None else [*others[:1], *named]


def plane(rows: Rows, names: list[str]) -> tuple[list[np.ndarray], np.ndarray]:
    """The values along each axis, and what the network answers there: (y, x) or (x,), then classes if any."""
    axes = [_along(rows.numbers(name), n) for name, n in zip(names, (ACROSS, UP))]
    mesh = np.meshgrid(*axes)
    outputs = rows.run.predictions_array(rows.moved(**{name: values.ravel() for name, values in zip(names, mesh)}))
    return axes, outputs.reshape(*mesh[0].shape, *outputs.shape[1:])


def _along(values: np.ndarray, n: int) -> np.ndarray:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    room = _MARGIN * (high - low) or 0.5
    return np.linspace(low - room, high + room, n)


def boundary(rows: Rows, names: list[str]) -> Picture:
    """The class answered at each place, and how sure the network is of it."""
    axes_values, outputs = plane(rows, names)
    labels = rows.run.target.labels
    if len(names) == 1:
        return _shares(rows, names[0], axes_values[0], outputs)
    answers = outputs.argmax(axis=-1)
    shown = _most_frequent(answers, rows.truth, len(_MARKS) - (len(labels) > len(_MARKS)))
    points = rows.drawn(_MOST_POINTS)
    marks = dict(zip(shown, _MARKS))
    n_lines = -(-(len(marks) + (len(labels) > len(marks))) // 4)

    def draw(sheet: Sheet) -> None:
        xs, ys = axes_values
        axes = sheet.axes(0.5 + number_width(float(ys[0]), float(ys[-1])), 0.55, 0.15, top=0.2 + 0.2 * n_lines)
        extent = (float(xs[0]), float(xs[-1]), float(ys[0]), float(ys[-1]))
        axes.imshow(_tints(outputs, answers, marks), extent=extent, origin="lower", aspect="auto")
        for label in np.unique(answers):
            lead = outputs[..., label] - np.delete(outputs, label, axis=-1).max(axis=-1)
            if lead.min() < 0 < lead.max():
                axes.contour(xs, ys, lead, levels=[0], colors=[INK], linewidths=0.9)
        px, py = (rows.numbers(name)[points] for name in names)
        others = {"word": _("others")}  # named once
        for label in np.unique(rows.truth[points]):
            colour, mark = marks.get(int(label), (MUTED, "x"))
            word = short(labels[int(label)], 14) if int(label) in marks else others.pop("word", "")
            of = rows.truth[points] == label
            axes.plot(
                px[of], py[of], mark, ms=4.5, color=colour, markeredgecolor=PAPER if mark != "x" else colour,
                markeredgewidth=0.6, label=word,
            )  # fmt: skip
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=4, frameon=False, borderpad=0, handletextpad=0.1,
            columnspacing=1.0, borderaxespad=0.3,
        )  # fmt: skip
        axes.set_xlim(*extent[:2])
        axes.set_ylim(*extent[2:])
        _name_axes(axes, rows, names)

    caption = caption_of(
        _("The tint is the class the network answers, stronger where it is surer; lines are where the answer changes."),
        rows.said_ordinary(*names),
        rows.said_drawn(len(points)),
        _weights_of(rows, outputs.shape[:2]),
    )
    header = (rows.label(names[0]), rows.label(names[1]), _("answer"), _("confidence"))
    cells = (
        (*at, labels[int(answers[j, i])], format_percent(float(outputs[j, i].max()), 1))
        for at, j, i in _few(axes_values)
    )
    table, size = Table(header, tuple(cells)), (_SIZE[0], _SIZE[1] + 0.2 * (n_lines - 1))
    return Picture("boundary", _("What it answers where"), caption, table, draw, size)


def _tints(outputs: np.ndarray, answers: np.ndarray, marks: dict[int, tuple[str, str]]) -> np.ndarray:
    """(..., 4): the colour of the class, stronger where it is surer."""
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(marks.get(label, (MUTED, ""))[0]) for label in range(outputs.shape[-1])])
    guess = 1 / outputs.shape[-1]
    sure = (outputs.max(axis=-1) - guess) / (1 - guess)
    return np.concatenate([colours[answers], (0.06 + 0.34 * sure)[..., None]], axis=-1)


def _most_frequent(answers: np.ndarray, truth: np.ndarray, most: int) -> list[int]:
    """The classes that get a colour, in their order: those answered most, then those met most."""
    n = int(max(answers.max(), truth.max())) + 1
    weight = np.bincount(answers.ravel(), minlength=n) * 1e6 + np.bincount(truth.astype(int), minlength=n)
    return sorted(np.argsort(-weight, kind="stable")[:most].tolist())


def surface(rows: Rows, names: list[str], view: View = "contour") -> Picture:
    """The prediction over two columns, as level lines or seen from the side; over one, as a line."""
    axes_values, outputs = plane(rows, names)
    target = rows.label_of_target()
    if len(names) == 1:
        return _line(rows, names[0], axes_values[0], outputs)
    xs, ys = axes_values
    points = rows.drawn(_MOST_POINTS if view == "contour" else _MOST_POINTS // 2)
    px, py = (rows.numbers(name)[points] for name in names)

    def draw(sheet: Sheet) -> None:
        if view == "surface":
            labels = (rows.label(names[0]), rows.label(names[1]), target)
            relief(sheet, (xs, ys, outputs), labels, points=(px, py, rows.truth[points]))
            return
        low, high = float(outputs.min()), float(outputs.max())
        right = bar_width(low, high) + 0.2
        axes = sheet.axes(0.5 + number_width(float(ys[0]), float(ys[-1])), 0.55, right, top=0.12)
        contours(axes, (xs, ys, outputs))
        axes.plot(px, py, "o", ms=3, color=INK, alpha=0.45, markeredgewidth=0)
        _name_axes(axes, rows, names)
        scale_bar(sheet, 0.55, sheet.height - 0.67, low, high)

    says = _("Level lines and shades are the {target} that the network predicts.").format(target=target)
    if view == "surface":
        says = _("The height is the {target} that the network predicts; dots stand at the true height of their rows.")
        says = says.format(target=target)
    caption = caption_of(
        says, rows.said_ordinary(*names), rows.said_drawn(len(points)), _weights_of(rows, outputs.shape)
    )
    header = (rows.label(names[0]), rows.label(names[1]), _("prediction"))
    cells = tuple((*at, float(outputs[j, i])) for at, j, i in _few(axes_values))
    title = _("What it predicts where: {target}").format(target=short(rows.run.target.name, 24))
    return Picture(f"surface-{view}", title, caption, Table(header, cells), draw, _SIZE)


def _line(rows: Rows, name: str, xs: np.ndarray, outputs: np.ndarray) -> Picture:
    """The prediction along the one column of numbers."""
    points, target = rows.drawn(_MOST_POINTS), rows.label_of_target()

    def draw(sheet: Sheet) -> None:
        truth = rows.truth[points]
        ends = min(outputs.min(), truth.min()), max(outputs.max(), truth.max())
        axes = sheet.axes(0.5 + number_width(float(ends[0]), float(ends[1])), 0.55, 0.15)
        grid(axes)
        axes.plot(rows.numbers(name)[points], truth, "o", ms=3.5, color=MUTED, alpha=0.6, markeredgewidth=0)
        axes.plot(xs, outputs, color=BLUE)
        axes.set_xlim(float(xs[0]), float(xs[-1]))
        show_numbers(axes.xaxis)
        show_numbers(axes.yaxis)
        axes.set_xlabel(rows.label(name))
        axes.set_ylabel(target)

    caption = caption_of(
        _("The line is what the network predicts."), rows.said_ordinary(name), rows.said_drawn(len(points)),
        _weights_of(rows, outputs.shape),
    )  # fmt: skip
    table = Table((rows.label(name), _("prediction")), tuple(zip(xs[::8].tolist(), outputs[::8].tolist())))
    title = _("What it predicts where: {target}").format(target=short(rows.run.target.name, 24))
    return Picture("surface-line", title, caption, table, draw)


def _shares(rows: Rows, name: str, xs: np.ndarray, outputs: np.ndarray) -> Picture:
    """The probability of each class along the one column of numbers."""
    from limpide.figures.plots import lines

    series = {short(label, 14): (xs, outputs[:, i]) for i, label in enumerate(rows.run.target.labels[:6])}
    says = _("Each line is the probability the network gives to a class; the answer is the highest.")
    caption = caption_of(says, rows.said_ordinary(name), _weights_of(rows, outputs.shape[:1]))
    return lines("boundary", _("What it answers where"), caption, rows.label(name), _("probability"), series)


def _name_axes(axes: Axes, rows: Rows, names: list[str]) -> None:
    show_numbers(axes.xaxis)
    show_numbers(axes.yaxis)
    axes.set_xlabel(rows.label(names[0]))
    axes.set_ylabel(rows.label(names[1]))


def _few(axes_values: list[np.ndarray]) -> list[tuple[tuple[float, float], int, int]]:
    """A few places of the grid for the table: the place, its row and its column."""
    xs, ys = axes_values
    places = [np.linspace(0, len(values) - 1, 5).astype(int) for values in (ys, xs)]
    return [((float(xs[i]), float(ys[j])), int(j), int(i)) for j in places[0] for i in places[1]]


def _weights_of(rows: Rows, grid: tuple[int, ...]) -> str:
    return _("Weights of epoch {epoch}, seed {seed}; {n} predictions on an even grid.").format(
        epoch=format_count(rows.run.stop.best_epoch), seed=rows.run.recipe.seed, n=format_count(prod(grid))
    )
