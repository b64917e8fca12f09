"""`limpide explain`: one step of a run, opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpide.cli.options import Number, as_json, lang, read_pairs
from limpide.cli.screen import as_command, labelled, open_console, print_json
from limpide.errors import RecipeError, problem
from limpide.i18n import N_, _

if TYPE_CHECKING:
    from limpide.explaining import Explanation

SIDES = {
    ("sample", 1): N_("next row"),
    ("sample", -1): N_("row before"),
    ("batch", 1): N_("next batch"),
    ("batch", -1): N_("batch before"),
    ("epoch", 1): N_("next epoch"),
    ("epoch", -1): N_("epoch before"),
}


def read_unit(context: click.Context, option: click.Parameter, word: str | None) -> tuple[int, ...] | None:
    """The index of a unit, such as `3`, or `2,0,5` of an image.

    Raises  RecipeError  for anything else
    """
    if word is None:
        return None
    parts = word.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise RecipeError(problem("--unit", _("an index such as 3, or 2,0,5 of an image"), repr(word)))
    return tuple(int(part) for part in parts)


@click.command(
    "explain",
    help=_(
        "Open one step of a training: every number, with the arithmetic that made it.\n\n"
        "RUN is the folder of a run. Without more it is the first update; --epoch and --step name another, and the "
        "training is walked to it again. --row and --set show one row under the weights of the run. Numbers have "
        "addresses, counted from 0: 0.dense.y[3] is an output, 0.dense.W[2,3] a weight, 0.dense.dW[2,3] the slope of "
        "the loss along it, change/0.dense.W[2,3] its update."
    ),
)
@click.argument("folder", metavar="RUN")
@click.option(
    "--row", metavar="N", type=Number(int), help=_("A row of the data; with --epoch in the update that visits it.")
)
@click.option(
    "--set",
    "values",
    metavar="COL=VALUE",
    multiple=True,
    callback=read_pairs,
    help=_("The value of a column of a row of your own; may be repeated."),
)
@click.option("--epoch", metavar="E", type=Number(int), help=_("An epoch, from 1."))
@click.option(
    "--step", metavar="K", type=Number(int), help=_("An update of the epoch, from 1; else of the whole training.")
)
@click.option("--sample", metavar="S", type=Number(int), help=_("The row of the batch that is followed, from 0."))
@click.option("--layer", metavar="L", help=_("One layer, by its index or its path."))
@click.option("--unit", metavar="U", callback=read_unit, help=_("One unit of the layer, written exactly."))
@click.option("--open", "opened", metavar="NAME", multiple=True, help=_("One number, by its address; may be repeated."))
@click.option(
    "--digits", metavar="N", type=click.IntRange(0, 17), help=_("Significant digits; 0 writes every number exactly.")
)
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path), help=_("Write a page with formulas."))
@click.option("--force", is_flag=True, help=_("Overwrite the file of --html."))
@as_json
@lang
def explain(folder: str, values: dict[str, str], html: Path | None, force: bool, is_json: bool, **asked: Any) -> None:
    """On a terminal what is longer than the screen is paged."""
    from limpide.explaining import explain as open_step

    if html is not None and html.exists() and not force:
        raise RecipeError(problem(str(html), _("a new file"), _("one that is there"), _("overwrite it with --force")))
    asked["open"] = asked.pop("opened")
    shown = open_step(folder, values=values or None, **asked)
    if html is not None:
        shown.save(html)
    if is_json:
        print_json({"run": folder, **shown.to_dict()} | ({"html": str(html)} if html else {}))
    elif html is not None:
        open_console().print(_("written: {path}").format(path=html), soft_wrap=True)
    else:
        _show("\n".join([shown.text(open_console().width), *_ways(folder, shown)]))


def _show(text: str) -> None:
    console = open_console()
    if console.is_terminal and text.count("\n") >= console.height:
        click.echo_via_pager(text + "\n")
    else:
        click.echo(text)


def _ways(folder: str, shown: Explanation) -> Iterator[str]:
    """The commands that show the steps around this one."""
    looked = shown.looked
    for (by, way), words in SIDES.items():
        place = shown.neighbour(by, way)  # type: ignore[arg-type]
        if place is None:
            continue
        epoch, step, row = place
        options = ["--epoch", str(epoch), "--step", str(step), *(["--sample", str(row)] if row else [])]
        options += ["--layer", looked.layer] if looked.layer else []
        options += ["--unit", ",".join(map(str, looked.unit))] if looked.unit else []
        options += [word for address in looked.opened for word in ("--open", address)]
        yield labelled(_(words), as_command("explain", folder, *options))
