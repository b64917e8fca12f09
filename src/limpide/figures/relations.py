"""The columns of a table, one by one, against the target, and against each other; the training rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from limpide.errors import UnknownName
from limpide.figures.axes import capital, grid, number_width, short, show_numbers, show_whole_numbers, text_width
from limpide.figures.picture import BLUE, GREEN, INK, ON_COLOUR, ORANGE, PAPER, RED, Picture, Sheet, Table
from limpide.figures.shades import STRONGEST, caption_of
from limpide.figures.tables import Rows
from limpide.i18n import _, format_count, format_decimal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_PANELS, _ACROSS = 12, 3
_WIDTH, _HEIGHT = 2.2, 1.95
_BINS, _MOST_WORDS, _MOST_CLASSES = 24, 8, 5
_MOST_POINTS = 300
_MOST_CORRELATED, _MOST_WRITTEN = 30, 14
_CLASS_COLOURS = (BLUE, ORANGE, GREEN, RED, INK)
_CLASS_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (2, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (1, 1)))


def named_columns(rows: Rows, where: str, columns: str | Sequence[str] | None) -> list[str]:
    """Columns by their names; None takes the first ones, those of dates left out.

    Raises  UnknownName  for a column that does not exist
    """
    words = columns.split(",") if isinstance(columns, str) else columns
    usual = [name for name, treatment in rows.treatments.items() if treatment.kind != "date"]
    names = usual if words is None else [word.strip() for word in words]
    for name in names:
        if name not in rows.treatments:
            raise UnknownName(where, name, rows.treatments)
    return names[:_MOST_PANELS]


def _classes(rows: Rows) -> list[int]:
    """The classes that are told apart, the most frequent ones; none for numbers."""
    if rows.run.task == "regression":
        return []
    counts = np.bincount(rows.truth.astype(int))
    return sorted(int(i) for i in np.argsort(-counts, kind="stable")[:_MOST_CLASSES] if counts[i])


def _panels(sheet: Sheet, names: Sequence[str], rows: Rows, up: str = "") -> list[Axes]:
    """A panel for each column, its name above; what lies upwards is named at the left."""
    ends = (float(rows.truth.min()), float(rows.truth.max())) if up and rows.run.task == "regression" else (0.0, 0.0)
    left = 0.42 + number_width(*ends)
    down = -(-len(names) // _ACROSS)
    panels = []
    for i, name in enumerate(names):
        bottom = (down - 1 - i // _ACROSS) * _HEIGHT + 0.42
        axes = sheet.panel((i % _ACROSS) * _WIDTH + left, bottom, _WIDTH - left - 0.15, _HEIGHT - 0.78)
        axes.set_title(short(rows.label(name), 20), loc="left", pad=8, x=-0.3)
        axes.tick_params(labelsize=8.5, pad=3)
        if up and not i % _ACROSS:
            axes.set_ylabel(up, fontsize=9)
        panels.append(axes)
    return panels


def _size(names: Sequence[str], n_classes: int = 0) -> tuple[float, float]:
    across = _ACROSS if n_classes > 2 else min(max(len(names), 2), _ACROSS)
    return across * _WIDTH, -(-len(names) // _ACROSS) * _HEIGHT + (0.3 if n_classes else 0.0)


def _said_classes(rows: Rows, classes: Sequence[int]) -> str:
    if not classes or len(classes) == len(rows.run.target.labels):
        return ""
    return _("The {n} most frequent classes are drawn.").format(n=len(classes))


def histograms(rows: Rows, names: list[str]) -> Picture:
    """How the values of each column are spread, by class where there are classes."""
    classes = _classes(rows)

    def draw(sheet: Sheet) -> None:
        for axes, name in zip(_panels(sheet, names, rows, _("rows") if rows.numeric else ""), names):
            if name in rows.numeric:
                _number_bars(axes, rows.numbers(name), rows.truth, classes)
            else:
                _word_bars(axes, rows, name)
        _class_names(sheet, rows, classes)

    caption = caption_of(
        _("How many of the {n} training rows have each value: numbers in {bins} slices, words by their count.").format(
            n=format_count(len(rows.frame)), bins=_BINS
        ),
        _("A line for each class: where the lines part, the column tells the classes apart.") if classes else "",
        _said_classes(rows, classes),
        _said_left_out(rows, names),
    )
    table = Table(
        (_("column"), _("value"), _("how many")),
        tuple(row for name in names for row in _counts(rows, name)),
    )
    size = _size(names, len(classes))
    return Picture("histograms", _("How the columns are spread"), caption, table, draw, size)


def _said_left_out(rows: Rows, names: Sequence[str]) -> str:
    if len(names) == len(rows.treatments) or len(names) < _MOST_PANELS:
        return ""
    text = _("{n} of {all} columns are drawn: name others with columns.")
    return text.format(n=format_count(len(names)), all=format_count(len(rows.treatments)))


def _edges(values: np.ndarray) -> np.ndarray:
    known = values[np.isfinite(values)]
    return np.histogram_bin_edges(known, _BINS) if len(known) else np.linspace(0, 1, _BINS + 1)


def _number_bars(axes: Axes, values: np.ndarray, truth: np.ndarray, classes: Sequence[int]) -> None:
    edges = _edges(values)
    grid(axes)
    if not classes:
        counts = np.histogram(values[np.isfinite(values)], edges)[0]
        axes.bar(edges[:-1], counts, np.diff(edges) * 0.92, align="edge", color=BLUE, linewidth=0)
    for label, colour, dashes in zip(classes, _CLASS_COLOURS, _CLASS_DASHES):
        own = values[(truth == label) & np.isfinite(values)]
        axes.stairs(np.histogram(own, edges)[0], edges, color=colour, linewidth=1.4, linestyle=dashes)
    show_numbers(axes.xaxis)
    show_whole_numbers(axes.yaxis)
    axes.locator_params(nbins=4)
    axes.set_ylim(0, None)


def _counted(rows: Rows, name: str) -> list[tuple[str, int]]:
    """The most frequent values of a column that holds no numbers."""
    counts = rows.read(name).drop_nulls().value_counts(sort=True, name="n")
    pairs = [(str(word), int(n)) for word, n in counts.with_columns(counts[name].cast(pl.String)).iter_rows()]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:_MOST_WORDS]


def _word_bars(axes: Axes, rows: Rows, name: str) -> None:
    pairs = _counted(rows, name)
    grid(axes, "x")
    axes.barh(range(len(pairs)), [n for _word, n in pairs], 0.7, color=BLUE, linewidth=0)
    axes.set_yticks(range(len(pairs)), [_shown(rows, name, word, 9) for word, _n in pairs], fontsize=8)
    axes.set_ylim(max(len(pairs), 3) - 0.4, -0.6)
    show_whole_numbers(axes.xaxis)
    axes.locator_params(axis="x", nbins=3)
    axes.set_ylabel("")
    axes.set_xlabel(_("rows"), fontsize=9, labelpad=1)


def _counts(rows: Rows, name: str) -> list[tuple[str, float | str, int]]:
    """How many rows there are of each value; for numbers, from each edge to the next."""
    if name not in rows.numeric:
        return [(name, word, n) for word, n in _counted(rows, name)]
    values = rows.numbers(name)
    edges = _edges(values)
    counts = np.histogram(values[np.isfinite(values)], edges)[0]
    return [(name, float(edge), int(n)) for edge, n in zip(edges, counts)]


def _class_names(sheet: Sheet, rows: Rows, classes: Sequence[int]) -> None:
    """The classes with their lines, in a strip above the panels."""
    if not classes:
        return
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=c, linestyle=d) for c, d in zip(_CLASS_COLOURS, _CLASS_DASHES)]
    words = [short(rows.run.target.labels[label], 14) for label in classes]
    strip = sheet.panel(0.1, sheet.height - 0.3, sheet.width - 0.2, 0.25)
    strip.set_axis_off()
    strip.legend(lines[: len(words)], words, loc="center left", ncols=5, frameon=False, borderpad=0, handletextpad=0.4)


def target_by_feature(rows: Rows, names: list[str]) -> Picture:
    """The target against each column: dots and means for a number, for classes the spread of the column in each."""
    classes = _classes(rows)
    is_number = rows.run.task == "regression"
    points = rows.drawn(_MOST_POINTS)

    target = rows.label_of_target()

    def draw(sheet: Sheet) -> None:
        for axes, name in zip(_panels(sheet, names, rows, target if is_number else ""), names):
            grid(axes)
            if is_number and name in rows.numeric:
                _dots(axes, rows, name, points)
            elif is_number:
                _means(axes, rows, name)
            elif name in rows.numeric:
                _boxes(axes, rows, name, classes)
            else:
                _shares(axes, rows, name, classes)
        _class_names(sheet, rows, [] if is_number else classes)

    if is_number:
        says = _(
            "Up: {target}. Dots are rows, the line joins their means in ten slices with as many rows each; for words, "
            "the mean of each with its standard deviation."
        ).format(target=target)
    else:
        says = _(
            "For each class, the middle half of the values (box), the median (line) and 5% to 95% (whiskers); for "
            "words, the share of each class."
        )
    caption = caption_of(says, rows.said_drawn(len(points)) if is_number else "", _said_classes(rows, classes))
    caption = caption_of(caption, _said_left_out(rows, names))
    if not is_number:
        caption = caption_of(caption, _("Computed on the {n} training rows.").format(n=format_count(len(rows.frame))))
    table = Table((_("column"), _("tie with the target"), _("measured by")), tuple((n, *_tie(rows, n)) for n in names))
    title = _("{target}, by column").format(target=capital(short(rows.run.target.name, 24)))
    return Picture("target-by-feature", title, caption, table, draw, _size(names, len(classes)))


def _tie(rows: Rows, name: str) -> tuple[float, str]:
    """How strongly a column and the target go together, from 0 to 1."""
    truth = rows.truth.astype(float)
    if name in rows.numeric and rows.run.task == "regression":
        return abs(_correlation(rows.numbers(name), truth)), _("correlation, without its sign")
    groups, values = (rows.read(name).cast(pl.String).fill_null("").to_numpy(), truth)
    if name in rows.numeric:
        groups, values = rows.truth, rows.numbers(name)
    elif rows.run.task != "regression":
        values = (rows.truth == np.bincount(rows.truth.astype(int)).argmax()).astype(float)
    known = np.isfinite(values)
    groups, values = groups[known], values[known]
    means = np.zeros(len(values))
    for group in np.unique(groups):
        means[groups == group] = values[groups == group].mean()
    return float(np.sqrt(means.var() / (values.var() or 1.0))), _("correlation ratio")


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's, over the rows where both are known; 0 where one does not vary."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def _dots(axes: Axes, rows: Rows, name: str, points: np.ndarray) -> None:
    values = rows.numbers(name)
    axes.plot(values[points], rows.truth[points], "o", ms=2.5, color=BLUE, alpha=0.4, markeredgewidth=0)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    slices = [part for part in np.array_split(order, 10) if len(part)]
    means = [(float(values[part].mean()), float(rows.truth[part].mean())) for part in slices]
    axes.plot(*zip(*means), color=ORANGE, linewidth=1.6)
    for axis in (axes.xaxis, axes.yaxis):
        show_numbers(axis)
    axes.locator_params(nbins=4)


def _means(axes: Axes, rows: Rows, name: str) -> None:
    words = rows.read(name).cast(pl.String).to_numpy()
    pairs = _counted(rows, name)
    for i, (word, _n) in enumerate(pairs):
        own = rows.truth[words == word]
        axes.errorbar([i], [own.mean()], [own.std()], fmt="o", ms=4, color=ORANGE, ecolor=BLUE, elinewidth=1.4)
    _name_words(axes, rows, name, pairs)
    axes.set_xlim(-0.6, max(len(pairs), 2) - 0.4)
    show_numbers(axes.yaxis)
    axes.locator_params(axis="y", nbins=4)


def _shown(rows: Rows, name: str, word: str, length: int) -> str:
    """A counted value for people."""
    if rows.treatments[name].kind == "boolean":
        return _("true") if word == "true" else _("false")
    return short(word, length)


def _name_words(axes: Axes, rows: Rows, name: str, pairs: Sequence[tuple[str, int]]) -> None:
    words = [_shown(rows, name, word, 7) for word, _n in pairs]
    axes.set_xticks(range(len(pairs)), words, fontsize=7.5, rotation=30 if len(pairs) > 3 else 0)


def _boxes(axes: Axes, rows: Rows, name: str, classes: Sequence[int]) -> None:
    values = rows.numbers(name)
    for i, (label, colour) in enumerate(zip(classes, _CLASS_COLOURS)):
        own = values[(rows.truth == label) & np.isfinite(values)]
        if not len(own):
            continue
        low, first, middle, third, high = np.percentile(own, [5, 25, 50, 75, 95])
        axes.plot([i, i], [low, high], color=colour, linewidth=1.2)
        axes.bar([i], [third - first], 0.56, bottom=first, facecolor=colour, alpha=0.35, edgecolor=colour, linewidth=1)
        axes.plot([i - 0.28, i + 0.28], [middle, middle], color=colour, linewidth=2.2)
    axes.set_xticks([])
    axes.set_xlim(-0.7, max(len(classes), 2) - 0.3)
    show_numbers(axes.yaxis)
    axes.locator_params(axis="y", nbins=4)


def _shares(axes: Axes, rows: Rows, name: str, classes: Sequence[int]) -> None:
    words = rows.read(name).cast(pl.String).to_numpy()
    pairs = _counted(rows, name)
    axes.grid(False)
    for i, (word, _n) in enumerate(pairs):
        own, bottom = rows.truth[words == word], 0.0
        for label, colour in zip(classes, _CLASS_COLOURS):
            share = float((own == label).mean()) if len(own) else 0.0
            axes.bar([i], [share], 0.7, bottom=bottom, color=colour, edgecolor=PAPER, linewidth=0.5)
            bottom += share
    _name_words(axes, rows, name, pairs)
    axes.set_ylim(0, 1)
    show_numbers(axes.yaxis, as_percent=True)
    axes.locator_params(axis="y", nbins=3)


def correlations(rows: Rows) -> Picture:
    """How strongly each two columns of numbers go together, the target among them where it is a number or yes or no."""
    columns = {name: rows.numbers(name) for name in rows.numeric}
    target = rows.run.target.name
    has_target = rows.run.task != "multiclass"
    if has_target:
        ties = {name: abs(_correlation(values, rows.truth.astype(float))) for name, values in columns.items()}
        kept = sorted(columns, key=lambda name: -ties[name])[: _MOST_CORRELATED - 1]
        columns = {name: values for name, values in columns.items() if name in kept} | {
            target: rows.truth.astype(float)
        }
    names = list(columns)[:_MOST_CORRELATED]
    matrix = np.array([[1.0 if a == b else _correlation(columns[a], columns[b]) for b in names] for a in names])
    cell = min(0.52, 4.6 / len(names))
    words = [short(name, 18) for name in names]
    left = 0.25 + text_width(words)

    def draw(sheet: Sheet) -> None:
        side = cell * len(names)
        axes = sheet.panel(left, sheet.height - side - 0.05, side, side)
        _squares(axes, matrix)
        axes.set_yticks(np.arange(len(names)) + 0.5, words, fontsize=9)
        axes.set_xticks(np.arange(len(names)) + 0.5, words, rotation=90, fontsize=9)
        for spine in axes.spines.values():
            spine.set_visible(False)

    caption = caption_of(
        _("Pearson's correlation: 1 where two rise together (orange), −1 where one falls as the other rises (blue)."),
        _("Two columns near 1 or −1 say nearly the same. Only straight ties are seen."),
        _("The target stands last; the {n} columns nearest to it are drawn.").format(n=format_count(len(names) - 1))
        if has_target and len(rows.numeric) >= _MOST_CORRELATED
        else "",
        _("Computed on the {n} training rows.").format(n=format_count(len(rows.frame))),
    )
    pairs = sorted(
        ((a, b, float(matrix[i, j])) for i, a in enumerate(names) for j, b in enumerate(names) if i < j),
        key=lambda row: -abs(row[2]),
    )
    table = Table((_("column"), _("another"), _("correlation")), tuple(pairs[:200]) or ((names[0], names[0], 1.0),))
    size = (max(left + cell * len(names) + 0.15, 4.6), cell * len(names) + left + 0.05)
    return Picture("correlations", _("Which columns go together"), caption, table, draw, size)


def _squares(axes: Axes, matrix: np.ndarray) -> None:
    """A square for each pair, as strong as its correlation, the number on it where there is room."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    k = len(matrix)
    squares, colours = [], []
    for i, j in np.ndindex(k, k):
        strength = STRONGEST * abs(float(matrix[i, j]))
        squares.append([(j + 0.03, i + 0.03), (j + 0.97, i + 0.03), (j + 0.97, i + 0.97), (j + 0.03, i + 0.97)])
        colours.append(to_rgba(ORANGE if matrix[i, j] > 0 else BLUE, strength))
        if k <= _MOST_WRITTEN:
            text, colour = format_decimal(float(matrix[i, j]), 2), ON_COLOUR if strength > 0.55 else INK
            axes.text(
                j + 0.5, i + 0.5, text.replace("-", "−"), color=colour, ha="center", va="center_baseline", fontsize=7.5
            )
    axes.add_collection(PolyCollection(squares, facecolors=colours, edgecolors="none"))
    axes.set(xlim=(0, k), ylim=(k, 0))
