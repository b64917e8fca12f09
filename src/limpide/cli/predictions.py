"""`limpide predict` and `limpide evaluate`: a run on new data."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpide.cli.options import as_json, lang, read_pairs, reading_options
from limpide.cli.screen import make_table, natural_width, open_console, print_json, show_notes
from limpide.cli.streams import predict_large, ranked_notes
from limpide.errors import DataError, MissingPackage, RecipeError, UnknownName, did_you_mean, problem
from limpide.i18n import _, format_count, format_decimal, format_number, format_percent, ngettext

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from limpide.cli.seen import Seen
    from limpide.data.dataset import Dataset, Note
    from limpide.data.places import Places
    from limpide.data.streams import TableStream
    from limpide.runs import Run

SHOWN_ROWS = 20
FORMATS = (".csv", ".tsv", ".parquet", ".xlsx")


@click.command(
    "predict",
    help=_(
        "Predict with a run: a whole file, or one row.\n\n"
        "RUN is the folder of a run. There is a prediction for each row or image of SOURCE, or for the values given "
        "with --set. The file of --out holds the columns of SOURCE and the predictions. Without it a terminal shows "
        "the first rows, and a pipe gets all of them as CSV."
    ),
)
@click.argument("folder", metavar="RUN")
@click.argument("source", required=False)
@click.option(
    "--set",
    "values",
    metavar="COL=VALUE",
    multiple=True,
    callback=read_pairs,
    help=_("The value of a column, instead of SOURCE; an empty one is missing."),
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help=_("Write .csv, .tsv, .parquet or .xlsx."))
@click.option("--force", is_flag=True, help=_("Overwrite the file of --out."))
@click.option(
    "--show-seen",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help=_("Write each image as the network saw it, and a page of them."),
)
@click.option(
    "--memory", metavar="SIZE", help=_("Larger tables are predicted piece by piece, with --out; 2 GB when left out.")
)
@reading_options
@as_json
@lang
def predict(
    folder: str,
    source: str | None,
    values: dict[str, str],
    out: Path | None,
    force: bool,
    show_seen: Path | None,
    memory: str | None,
    reading: dict[str, Any],
    is_json: bool,
) -> None:
    """What is wrong with the request is told before the run is read."""
    from limpide.cli.seen import doubt_notes, what_was_seen
    from limpide.runs import load

    _check_request(source, values, out, force)
    run = load(folder)
    if source is not None and predict_large(run, source, out, memory, reading, is_json):
        return
    given: Any = source if source is not None else [_row(run, values)]
    dataset = run.read(given, reading)
    inputs: Any = dataset.inputs
    predictions = run.predictions(inputs, dataset.places)
    seen = what_was_seen(run, dataset, predictions)
    notes = [*dataset.notes, *run.notes_on(dataset), *doubt_notes(seen, dataset.name)]
    table = _beside(dataset, predictions, [one.doubt for one in seen])
    if show_seen is not None:
        _write_seen(show_seen, seen, dataset, folder)
    if out is not None:
        _write(table, out)
    if is_json:
        _print_facts(run, folder, predictions, notes, out)
    elif values:
        _show_one(open_console(), run, predictions, notes)
    else:
        _show_table(table, predictions, notes, out, seen, dataset.places)


def _check_request(source: str | None, values: Mapping[str, str], out: Path | None, force: bool) -> None:
    """RecipeError for a request that cannot be answered, whatever the run."""
    if (source is None) == (not values):
        got = _("neither") if source is None else _("both")
        raise RecipeError(problem("predict", _("either SOURCE or --set"), got))
    if out is not None:
        _check_out(out, force)


def _print_facts(run: Run, folder: str, predictions: pl.DataFrame, notes: list[Note], out: Path | None) -> None:
    facts: dict[str, Any] = {"run": folder, "task": run.task, "target": run.target.name, "rows": len(predictions)}
    facts["notes"] = [asdict(note) for note in notes]
    print_json(facts | ({"out": str(out)} if out is not None else {"predictions": predictions.to_dicts()}))


def _write_seen(folder: Path, seen: list[Seen], dataset: Dataset, run: str) -> None:
    from limpide.cli.seen import write_seen

    if not seen:
        raise RecipeError(problem("--show-seen", _("images"), _("a table"), _("leave it out")))
    write_seen(folder, seen, dataset, run)


def _row(run: Run, values: Mapping[str, str]) -> dict[str, str | None]:
    """The one row that --set describes.

    Raises  DataError  with every column that is missing, and every one the model does not know
    """
    from limpide.data.preparation import TablePreparation

    if not isinstance(run.preparation, TablePreparation):
        raise DataError(problem("--set", _("a model of tables"), _("one of images"), _("name an image or a folder")))
    known = run.preparation.column_names
    problems = [str(UnknownName("--set", name, known)) for name in values if name not in known]
    for name in known:
        if name not in values:
            given, unknown = (shlex.quote(f"{name}{value}") for value in ("=VALUE", "="))
            mend = _("add --set {given}, or --set {unknown} when it is not known").format(given=given, unknown=unknown)
            problems.append(problem(_("column {name}").format(name=name), _("a value"), _("none"), mend))
    if problems:
        raise DataError(*problems)
    return {name: values[name] or None for name in known}


def _beside(dataset: Dataset, predictions: pl.DataFrame, doubts: list[str]) -> pl.DataFrame:
    """The predictions behind the data's own columns; for images, behind their files or their numbers."""
    import polars as pl

    if isinstance(dataset.inputs, pl.DataFrame):
        given = dataset.inputs
    else:
        given = pl.DataFrame({"image": dataset.names or range(1, len(predictions) + 1)})
    if dataset.target is not None:
        given = given.with_columns(dataset.target)
    if doubts:
        predictions = predictions.with_columns(doubt=pl.Series(doubts))
    # a file that was predicted before brings old predictions along: the new ones take their place
    return given.drop(predictions.columns, strict=False).hstack(predictions)


def _check_out(path: Path, force: bool) -> None:
    """RecipeError before any work, when the file could not be written at the end."""
    if path.suffix.lower() not in FORMATS:
        mend = did_you_mean(path.suffix.lower(), FORMATS)
        raise RecipeError(
            problem(
                "--out", _("a name that ends in one of {names}").format(names=", ".join(FORMATS)), repr(path.name), mend
            )
        )
    if path.exists() and not force:
        raise RecipeError(problem(str(path), _("a new file"), _("one that is there"), _("overwrite it with --force")))
    if not path.parent.is_dir():
        raise RecipeError(problem(str(path.parent), _("a folder"), _("nothing there"), _("make it first")))


def _write(table: pl.DataFrame, path: Path) -> None:
    from limpide.checkpoint import write_file

    file = io.BytesIO()
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        table.write_parquet(file)
    elif suffix == ".xlsx":
        try:
            table.write_excel(file)
        except ModuleNotFoundError:
            mend = _("pip install xlsxwriter, or write .csv")
            raise MissingPackage(problem(str(path), _("the package xlsxwriter"), _("none"), mend)) from None
    else:
        table.write_csv(file, separator="\t" if suffix == ".tsv" else ",")
    write_file(path, file.getvalue())


def _show_one(console: Console, run: Run, predictions: pl.DataFrame, notes: list[Note]) -> None:
    """The prediction for one row, and how sure it is."""
    from rich.text import Text

    row = predictions.row(0, named=True)
    answer = row["prediction"]
    text = Text(f"{run.target.name} = ")
    text.append(format_number(answer) if isinstance(answer, float) else str(answer), style="bold")
    console.print(text)
    if run.target.labels:
        shares = [(label, row[f"P({label})"]) for label in run.target.labels]
        rows = [(label, format_percent(share, 1), "█" * round(20 * share)) for label, share in shares]
        console.print()
        console.print(make_table((run.target.name, _("probability"), ""), rows, right=(1,)))
    show_notes(console, notes)


def _show_table(
    table: pl.DataFrame,
    predictions: pl.DataFrame,
    notes: list[Note],
    out: Path | None,
    seen: list[Seen],
    places: Places | None,
) -> None:
    """The predictions on a terminal; all of them as CSV in a pipe, with the notes aside."""
    from limpide.cli.seen import show_seen

    is_piped = not sys.stdout.isatty()
    show_notes(open_console(is_json=is_piped), notes)
    if out is not None:
        n = len(predictions)
        text = ngettext("{n} prediction written to {path}", "{n} predictions written to {path}", n)
        open_console().print(text.format(n=format_count(n), path=out), soft_wrap=True)
    elif is_piped:
        sys.stdout.write(table.write_csv())
    else:
        if any(one.said or one.doubt for one in seen):
            show_seen(open_console(), seen)
        # the doubts stand among the notes
        _show_first(open_console(), table.drop("doubt", strict=False) if seen else table, predictions, places)


def _show_first(console: Console, table: pl.DataFrame, predictions: pl.DataFrame, places: Places | None) -> None:
    """The first rows: beside the data's own columns where there is room, with every probability where there is."""
    from limpide.data.places import shown_row

    shown = None
    certain = [name for name in table.columns if name.startswith("P(")]
    for frame in (table, predictions, table.drop(certain)) if certain else (table, predictions):
        head = frame.head(SHOWN_ROWS)
        cells = [[shown_row(i, places) for i in range(len(head))], *(_cells(column) for column in head)]
        right = [0, *(i + 1 for i, kind in enumerate(frame.dtypes) if kind.is_numeric())]
        shown = make_table((_("row"), *frame.columns), zip(*cells, strict=True), right=right)
        if natural_width(shown) <= console.width:
            break
    console.print(shown)
    if len(predictions) > SHOWN_ROWS:
        text = _("the first {shown} of {n} rows; --out FILE writes all")
        console.print(text.format(shown=SHOWN_ROWS, n=format_count(len(predictions))), style="dim")


def _cells(column: pl.Series) -> list[str]:
    """A column as text; its decimals stand under one another."""
    if not column.dtype.is_float():
        return ["" if value is None else str(value) for value in column]
    most = max((abs(value) for value in column if value is not None and isfinite(value)), default=0.0)
    decimals = max(0, 4 - len(str(int(most))) + 1) if most < 1e9 else None
    return [
        "" if value is None else format_number(value) if decimals is None else format_decimal(value, decimals)
        for value in column
    ]


@click.command(
    "evaluate",
    help=_(
        "Measure a run on data whose answers are known.\n\n"
        "RUN is the folder of a run. Without SOURCE the measures are those of its own test rows, beside the baselines."
    ),
)
@click.argument("folder", metavar="RUN")
@click.argument("source", required=False)
@click.option("--memory", metavar="SIZE", help=_("Larger tables are measured piece by piece; 2 GB when left out."))
@reading_options
@as_json
@lang
def evaluate(folder: str, source: str | None, memory: str | None, reading: dict[str, Any], is_json: bool) -> None:
    """With JSON as with tables: every metric, its interval where there is one, and the confusion matrix."""
    from limpide.cli.pages import classes_table, evaluation_facts, show_metrics
    from limpide.openings import openings_sentence
    from limpide.runs import load

    run = load(folder)
    stream = None if source is None else run.large(source, memory, reading)
    data = None if source is None else stream or run.read(source, reading)
    evaluation = run.evaluate(data, memory)
    notes = [] if data is None else [*data.notes, *_note_on_origin(run, data), *ranked_notes(evaluation, data.name)]
    if is_json:
        facts = {"run": folder, "data": source, "task": run.task, **evaluation_facts(evaluation)}
        facts |= {"labels": list(evaluation.labels), "confusion": evaluation.confusion}
        print_json(facts | {"openings": run.openings, "notes": [asdict(note) for note in notes]})
        return
    console = open_console()
    show_notes(console, notes)
    if source is None:
        origin = _("on the run's own test rows, which training never saw")
        said = _("; ").join((origin, openings_sentence(run.openings)))
        console.print(said, style="dim", soft_wrap=not console.is_terminal)
    show_metrics(console, evaluation, run.baselines if source is None else {})
    if evaluation.per_class:
        console.print()
        console.print(classes_table(evaluation))
    if source is None:
        console.print()
        console.print(run.verdict, style="bold", soft_wrap=not console.is_terminal)


def _note_on_origin(run: Run, dataset: Dataset | TableStream) -> list[Note]:
    """A warning where a network is asked about the rows it learned from."""
    from limpide.data.dataset import Note

    if not run.dataset_sha256 or dataset.sha256 != run.dataset_sha256:
        return []
    n = run.split_sizes["train"]
    text = ngettext(
        "the run was trained on this data: it has seen {n} row of it; without SOURCE, the others are measured",
        "the run was trained on this data: it has seen {n} rows of it; without SOURCE, the others are measured",
        n,
    )
    return [Note("warning", dataset.name, text.format(n=format_count(n)))]
