"""`limpide network` and `limpide data`: what was understood, before anything is trained."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpide.cli.options import as_json, data_options, lang, reading_options
from limpide.cli.screen import (
    labelled,
    least_width,
    make_table,
    open_console,
    print_json,
    printable,
    show_notes,
    sparkline,
)
from limpide.i18n import _, format_count, format_number, format_percent, ngettext

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console
    from rich.table import Table

    from limpide.data.columns import ColumnSummary
    from limpide.data.dataset import Dataset
    from limpide.nn.network import Network

SHOWN_CLASSES = 30


@click.command(
    "network",
    help=_(
        "Show the layers of a network, every count worked out.\n\n"
        "TEXT begins with the input: "
        '"28x28, 512 relu, 10", "1x28x28, conv 32 3x3 pad 1 relu, maxpool 2, flatten, 10", or in short "11-6-6-1 relu".'
    ),
)
@click.argument("text")
@as_json
@lang
def network(text: str, is_json: bool) -> None:
    """One line a layer where the terminal is wide enough."""
    from limpide.cli.pages import network_table, totals
    from limpide.nn.network import Network

    parsed = Network.parse(text)
    if is_json:
        parameters, work = totals(parsed.table())
        facts = {"network": str(parsed), "layers": layer_facts(parsed)}
        print_json(facts | {"parameters": parameters, "multiply_adds": work})
        return
    console = open_console()
    console.print(network_table(parsed, console.width))


def layer_facts(network: Network) -> list[dict[str, Any]]:
    """The layer table as JSON."""
    rows = [asdict(row) for row in network.table()]
    return [{key: value for key, value in row.items() if key != "index"} for row in rows]


@click.command(
    "data",
    help=_(
        "Show what is understood of a data file.\n\n"
        "Its columns, their kinds and why, missing values, distributions, the target and the kind of task, and what to "
        "beware of. SOURCE is anything `limpide train` takes, except a recipe."
    ),
)
@click.argument("source")
@data_options
@reading_options
@click.option(
    "--figures", metavar="DIR", type=click.Path(path_type=Path), help=_("Draw the data into a new folder, as SVG.")
)
@as_json
@lang
def data(
    source: str,
    figures: Path | None,
    target: str | None,
    kinds: dict[str, str],
    drop: tuple[str, ...],
    reading: dict[str, Any],
    is_json: bool,
) -> None:
    """The target is summed up like any column."""
    from limpide.data.columns import TASK_WORDS, describe, summarise, task_of
    from limpide.data.dataset import Column
    from limpide.data.sources import open_source

    dataset = open_source(source, target, kinds, drop, options=reading)
    assert dataset.target is not None
    task, why = task_of(dataset)
    columns = describe(dataset)
    answer = summarise(dataset.target, Column(dataset.target.name, "number" if task == "regression" else "category"))
    classes = {} if task == "regression" else _class_counts(dataset.target)
    if figures is not None:
        _draw(figures, dataset, classes, columns)
    if is_json:
        goal = {"name": answer.name, "task": task, "why": why, **(_figures(answer) if not classes else {})}
        print_json(_data_facts(dataset, columns) | {"target": goal | {"classes": classes}})
        return
    console = open_console()
    _show_head(console, dataset)
    if columns:
        _show_columns(console, columns)
    console.print()
    console.print(labelled(printable(answer.name), _(TASK_WORDS[task])), style="bold", end="")
    console.print(f" ({why})", soft_wrap=True)
    console.print(_classes_table(answer.name, classes) if classes else _numbers_table([answer], console.width))


def _draw(folder: Path, dataset: Dataset, classes: dict[str, int], columns: list[ColumnSummary]) -> None:
    """Every figure of the data, in a file of its own.

    Raises  RunError  when the folder is there and not empty, or cannot be written
    """
    from limpide.checkpoint import write_folder
    from limpide.figures.data import explore

    def write(place: Path) -> None:
        for picture in explore(dataset, classes, columns):
            picture.save(place / f"{picture.name}.svg")

    write_folder(folder, write, "--figures")


def _class_counts(target: pl.Series) -> dict[str, int]:
    """The rows of each class, in the natural order of the classes."""
    from limpide.data import values

    words = values.words(target)
    counts = Counter(words.drop_nulls().to_list())
    return {label: counts[label] for label in sorted(counts, key=values.natural_key)}


def _data_facts(dataset: Dataset, columns: list[ColumnSummary]) -> dict[str, Any]:
    return {
        "data": dataset.name,
        "source": dataset.source,
        "kind": "images" if dataset.is_image else "table",
        "rows": len(dataset),
        "shape": list(dataset.inputs.shape[1:]),
        "sha256": dataset.sha256,
        "columns": [{"name": c.name, "kind": c.kind, "why": c.why, **_figures(c)} for c in columns],
        "notes": [asdict(note) for note in dataset.notes],
    }


def _figures(column: ColumnSummary) -> dict[str, Any]:
    """The figures of a column that has them."""
    facts = asdict(column)
    named = {"missing": facts["n_missing"], "distinct": facts["n_distinct"]}
    rest = ("mean", "sd", "min", "max", "first", "last", "top", "histogram")
    return named | {name: facts[name] for name in rest if facts[name] not in (None, "", ())}


def _show_head(console: Console, dataset: Dataset) -> None:
    from limpide.arrays import show_shape

    n = len(dataset)
    if dataset.is_image:
        text = ngettext("{name}: {n} image of {shape}", "{name}: {n} images of {shape}", n)
        shape = show_shape(dataset.inputs.shape[1:])
        shown = text.format(name=dataset.name, n=format_count(n), shape=shape)
    else:
        rows = ngettext("{n} row", "{n} rows", n).format(n=format_count(n))
        width = len(dataset.columns)
        columns = ngettext("{n} column besides the target", "{n} columns besides the target", width)
        shown = labelled(dataset.name, f"{rows}, " + columns.format(n=format_count(width)))
    console.print(printable(shown), style="bold", soft_wrap=not console.is_terminal)
    show_notes(console, dataset.notes)


def _show_columns(console: Console, columns: list[ColumnSummary]) -> None:
    """What each column is; then figures of numbers and dates, and the words of the others."""
    from limpide.data.dataset import typed_kind

    rows = [(c.name, typed_kind(c.kind), _count(c.n_missing), _count(c.n_distinct), c.why) for c in columns]
    console.print()
    headers = (_("column"), _("kind"), _("missing"), _("distinct"), _("why"))
    whole = make_table(headers, rows, right=(2, 3), fixed=(0,))
    console.print(whole if least_width(whole) <= console.width else make_table(headers, rows, right=(2, 3)))
    measured = [c for c in columns if c.histogram]
    if measured:
        console.print()
        console.print(_numbers_table(measured, console.width))
    worded = [c for c in columns if c.top and c.kind in ("category", "boolean")]
    if worded:
        shown = [(c.name, ", ".join(f"{word} {_count(n)}" for word, n in c.top)) for c in worded]
        console.print()
        console.print(make_table((_("column"), _("most frequent")), shown))


def _numbers_table(columns: list[ColumnSummary], width: int) -> Table:
    """Figures of numbers and dates; without their bars where these leave no room for a name."""
    rows = [
        (
            c.name,
            sparkline(c.histogram),
            *("" if value is None else format_number(value) for value in (c.mean, c.sd)),
            c.first or ("" if c.min is None else format_number(c.min)),
            c.last or ("" if c.max is None else format_number(c.max)),
        )
        for c in columns
    ]
    headers = (_("column"), _("distribution"), _("mean"), _("std. dev."), _("least"), _("greatest"))
    wide = make_table(headers, rows, right=(2, 3, 4, 5), fixed=(1,))
    if least_width(wide) <= width:
        return wide
    return make_table(headers[:1] + headers[2:], [row[:1] + row[2:] for row in rows], right=(1, 2, 3, 4))


def _classes_table(name: str, classes: dict[str, int]) -> Table:
    n, most = sum(classes.values()), max(classes.values())
    rows = [
        (
            label,
            _count(count),
            format_percent(count / n, 1),
            "█" * -(-20 * count // most),
        )
        for label, count in list(classes.items())[:SHOWN_CLASSES]
    ]
    if len(classes) > SHOWN_CLASSES:
        more = len(classes) - SHOWN_CLASSES
        text = ngettext("and {n} more class", "and {n} more classes", more).format(n=format_count(more))
        rows.append((text, "", "", ""))
    return make_table((name, _("rows"), _("share"), ""), rows, right=(1, 2))


def _count(n: int) -> str:
    return format_count(n)
