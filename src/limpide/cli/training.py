"""`limpide train` and `limpide new`: a recipe from the command line, trained or written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpide.cli.checkups import show_checkup, watched
from limpide.cli.options import (
    Number,
    as_json,
    data_options,
    lang,
    no_baselines_option,
    no_report_option,
    quiet_option,
    read_pairs,
    reading_options,
    recipe_values,
)
from limpide.cli.screen import as_command, complain, open_console, print_json, printable
from limpide.distributed import place
from limpide.errors import RecipeError, problem
from limpide.i18n import _

if TYPE_CHECKING:
    from rich.console import Console

    from limpide.doctor import Doctor
    from limpide.job import Job
    from limpide.recipe import Recipe
    from limpide.runs import Run
    from limpide.training import Watch

RECIPE_OPTIONS: dict[str, tuple[str, str, type, str]] = {
    "--network": ("network", "TEXT", str, _('Hidden layers, such as "64 relu, 32 relu", or a whole network.')),
    "--epochs": ("epochs", "N", int, _("Passes over the training rows, at most.")),
    "--batch": ("batch_size", "N", int, _("Rows per update.")),
    "--optimizer": ("optimizer", "NAME", str, _("sgd, momentum, nesterov, rmsprop, adam or adamw.")),
    "--rate": ("rate", "R", float, _("Learning rate.")),
    "--loss": ("loss", "NAME", str, _("What training lowers, such as mse or cross_entropy.")),
    "--patience": ("patience", "N", int, _("Epochs without progress before stopping; 0 means never.")),
    "--average": (
        "average",
        "A",
        float,
        _("Share of the mean so far in the mean of the weights that is kept; 0: none."),
    ),
    "--split": ("split", "METHOD", str, _("Which rows test: random, stratified, group, hash, time, last, ...")),
    "--split-by": ("split_column", "COL", str, _("The column of the groups or of the time.")),
    "--validation": ("validation", "SHARE", float, _("Share of the rows that stops the training.")),
    "--test": ("test", "SHARE", float, _("Share of the rows kept for the final exam.")),
    "--seed": ("seed", "S", int, _("Root of every random number.")),
    "--engine": ("engine", "NAME", str, _("What computes, such as numpy; auto chooses.")),
    "--memory": ("memory", "SIZE", str, _("What a table read piece by piece may hold, such as 2 GB.")),
}
"""Option -> the recipe's flat option, the word and the type of its value, its help."""


log_option = click.option(
    "--log",
    metavar="NAME[=WHERE]",
    multiple=True,
    help=_("Write the epochs elsewhere too: csv=FILE, tensorboard[=DIR], mlflow[=URI]; may be repeated."),
)


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """All that a recipe says: the data and how they are read, `RECIPE_OPTIONS`, `--option` for its other keys."""
    other = click.option(
        "--option",
        "others",
        metavar="KEY=VALUE",
        multiple=True,
        callback=read_pairs,
        help=_("Any other key of a recipe, such as preparation.missing=mean; may be repeated."),
    )
    accept = click.option(
        "--accept-leak",
        "accept_leaks",
        metavar="NAME",
        multiple=True,
        help=_("Go on with a leak that would stop the training; all accepts each; may be repeated."),
    )
    stream = click.option(
        "--stream/--no-stream",
        "stream",
        default=None,
        help=_("Read the table piece by piece; left out, where it would not fit in memory."),
    )
    command = stream(other(accept(command)))
    for name, (flat, metavar, kind, text) in reversed(RECIPE_OPTIONS.items()):
        command = click.option(name, flat, metavar=metavar, type=Number(kind) if kind is not str else str, help=text)(
            command
        )
    return data_options(reading_options(command))


def read_recipe(source: str | Recipe, values: Mapping[str, Any]) -> Recipe:
    """The recipe of a source and of what the command line says of it."""
    from limpide.job import recipe_of

    named = {flat: values[flat] for flat, *_rest in RECIPE_OPTIONS.values()}
    lists = {name: list(values[name]) for name in ("drop", "accept_leaks")}
    recipe = recipe_of(source)
    options = {**recipe.data.options, **values["reading"]} if values["reading"] else None
    said = {"target": values["target"], "kinds": values["kinds"], "data_options": options, **lists, **named}
    said["stream"] = values["stream"]
    return recipe.with_values(recipe_values(said, values["others"]))


@click.command(
    "train",
    help=_(
        "Train a network on SOURCE, and write a run with its report.\n\n"
        "SOURCE is the name of a built-in data set (digits, iris, ...), a table (CSV, TSV, Parquet, Excel), a folder "
        "of tables with the same columns, a folder or zip file of images with a folder for each class, IDX files, or "
        "a recipe (.toml, or the name of one that `limpide recipes` lists). What is left out is inferred from the "
        "data, and said. The network is measured on rows it never saw, beside simpler models.\n\n"
        "Ctrl-C stops the training and keeps the best weights so far."
    ),
)
@click.argument("source")
@recipe_options
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help=_("The run's folder; else runs/NAME-001."))
@no_report_option
@no_baselines_option
@log_option
@click.option("--doctor", "is_watched", is_flag=True, help=_("Watch the training, and say at its end what is wrong."))
@quiet_option
@as_json
@lang
def train(
    source: str,
    out: Path | None,
    no_report: bool,
    no_baselines: bool,
    log: tuple[str, ...],
    is_watched: bool,
    quiet: bool,
    is_json: bool,
    **values: Any,
) -> int:
    """Exit code 1 when the training diverged, its last good weights kept."""
    from limpide.loggers import open_loggers

    recipe = read_recipe(source, values)
    from limpide.training import train as train_run

    console = open_console(is_json)
    with (
        watched(is_watched, console) as doctor,
        open_loggers(*log) as loggers,
        _shown(console, source, quiet) as watch,
    ):
        watch = loggers.beside(doctor.beside(watch) if doctor else watch)
        run = train_run(recipe, out=out, report=not no_report, baselines=not no_baselines, watch=watch)
        loggers.close(run)
    complain(loggers.problems)
    return _show_trained(console, run, quiet, is_json, doctor)


@click.command(
    "resume",
    help=_(
        "Go on with a training that was killed or interrupted.\n\n"
        "RUN is its folder. The run is then the one that would have come without the interruption, bit for bit."
    ),
)
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--engine",
    metavar="NAME",
    help=_("What computes the rest, such as torch on a machine with a GPU; the run is then the same to rounding."),
)
@no_report_option
@no_baselines_option
@log_option
@quiet_option
@as_json
@lang
def resume(
    folder: Path,
    engine: str | None,
    no_report: bool,
    no_baselines: bool,
    log: tuple[str, ...],
    quiet: bool,
    is_json: bool,
) -> int:
    """Exit code 1 when the training diverged, its last good weights kept."""
    from limpide.loggers import open_loggers
    from limpide.training import resume as resume_run

    console = open_console(is_json)
    with open_loggers(*log) as loggers, _shown(console, str(folder), quiet) as watch:
        watch = loggers.beside(watch)
        asked = {"report": False if no_report else None, "baselines": False if no_baselines else None}
        run = resume_run(folder, engine=engine, **asked, watch=watch)
        loggers.close(run)
    complain(loggers.problems)
    return _show_trained(console, run, quiet, is_json)


def _shown(console: Console, source: str, quiet: bool) -> AbstractContextManager[Watch | None]:
    """What follows the training on the screen of the first process."""
    from limpide.cli.progress import Progress

    return nullcontext() if quiet or not place().is_first else Progress(console, source)


def _show_trained(console: Console, run: Run, quiet: bool, is_json: bool, doctor: Doctor | None = None) -> int:
    """What a training ends with, and its exit code."""
    from limpide.cli.pages import SHORT, show_end, show_metrics

    if not place().is_first:
        return int(run.stop.reason == "diverged")
    if not quiet:
        if not console.is_terminal:
            console.print()
        show_metrics(console, run.test, run.baselines, SHORT)
        console.print()
    if not (quiet and is_json):
        show_end(console, run)
    if doctor is not None:
        doctor.keep(run)
        show_checkup(console, doctor.checkup)
    if is_json:
        print_json(run.facts() | ({} if doctor is None else {"doctor": doctor.checkup.to_dict()}))
    if run.stop.reason == "diverged":
        complain([run.stop.sentence()])
        return 1
    return 0


@click.command(
    "new",
    help=_(
        "Write a commented recipe for a data file.\n\n"
        "It holds everything that `limpide train FILE` would infer, each value with its reason, to read and edit; "
        "`limpide train RECIPE` then follows it. A file that exists is left alone."
    ),
)
@click.argument("source", metavar="FILE")
@recipe_options
@click.option("--out", metavar="RECIPE", type=click.Path(path_type=Path), help=_("The recipe's file; else NAME.toml."))
@lang
def new(source: str, out: Path | None, **values: Any) -> None:
    """Everything is prepared as for a training, so that what the recipe says is what would be done."""
    from limpide.checkpoint import write_file
    from limpide.job import prepare

    recipe = read_recipe(source, values)
    path = out or Path(Path(source.partition("?")[0]).stem + ".toml")
    if path.exists():
        raise RecipeError(problem(str(path), _("a new file"), _("one that is there"), _("name another with --out")))
    job = prepare(recipe)
    write_file(path, recipe_text(job, path).encode())
    console = open_console()
    console.print(_("{path} written; edit it, then: {command}").format(path=path, command=as_command("train", path)))


def recipe_text(job: Job, path: Path) -> str:
    """The recipe of a job as commented TOML, its source relative to the recipe where it lies beside it."""
    recipe = job.recipe
    source, folder = Path(recipe.data.source), path.resolve().parent
    if source.is_absolute() and source.is_relative_to(folder):
        recipe = recipe.with_values({"data.source": source.relative_to(folder).as_posix()})
    lines = [
        _("A recipe for limpide: everything needed to redo a training. Follow it with: {command}").format(
            command=as_command("train", path)
        ),
        _("What is set here is kept; what is removed is inferred anew from the data."),
    ]
    text = "".join(f"# {line}\n" for line in lines) + "\n"
    text += recipe.to_toml({inference.what: inference.why for inference in job.inferences})
    if job.dataset.columns:
        mend = _("The columns as understood. Another kind for one of them, under [data]: kinds = {example}")
        text += "\n# " + mend.format(example='{ "NAME" = "category" }') + "\n"
        for column in job.dataset.columns:
            line = f"{column.name}: {column.kind}" + (f" ({column.why})" if column.why else "")
            text += f"#   {printable(line)}\n"
    return text
