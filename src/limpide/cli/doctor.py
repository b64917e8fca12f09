"""`limpide doctor` and `limpide rates`: what is wrong with a training, and at which rates the loss falls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from limpide.cli.checkups import show_checkup
from limpide.cli.options import as_json, lang
from limpide.cli.screen import make_table, open_console, print_json
from limpide.cli.training import read_recipe, recipe_options
from limpide.errors import RunError, problem
from limpide.i18n import _


@click.command(
    "doctor",
    help=_(
        "Say what is wrong with a training, with the evidence and the next thing to try.\n\n"
        "RUN is the folder of a run. Its weights are measured anew, and its first updates are made again unless it was "
        "trained with --doctor. Without RUN, --list shows what is looked for."
    ),
)
@click.argument("folder", metavar="RUN", required=False)
@click.option("--data", metavar="SOURCE", help=_("The data, where they are no longer in their place."))
@click.option("--list", "is_list", is_flag=True, help=_("Show every diagnosis, its threshold and its source."))
@as_json
@lang
def doctor(folder: str | None, data: str | None, is_list: bool, is_json: bool) -> int:
    """Exit code 1 when something was found."""
    from limpide.doctor import DIAGNOSES, diagnose

    console = open_console()
    if is_list:
        rows = [(d.name, _(d.looks_at), d.rule(), d.source) for d in DIAGNOSES.rows()]
        if is_json:
            print_json({"diagnoses": [dict(zip(("name", "looks_at", "threshold", "source"), row)) for row in rows]})
        else:
            console.print(make_table((_("diagnosis"), _("looks at"), _("found from"), _("source")), rows, fixed=(0,)))
        return 0
    if folder is None:
        raise RunError(problem("RUN", _("the folder of a run"), _("nothing"), _("name one, or use --list")))
    checkup = diagnose(folder, data)
    if is_json:
        print_json({"run": folder} | checkup.to_dict())
    else:
        show_checkup(console, checkup)
    return 1 if checkup.findings else 0


@click.command(
    "rates",
    help=_(
        "Find the range of learning rates in which the loss falls.\n\n"
        "SOURCE is anything `limpide train` takes. A few hundred updates are made at rates that rise from 0.000001 to "
        "10, from the initial weights; nothing is kept but the figure, where one is asked for."
    ),
    epilog=_("For example: limpide rates digits --optimizer sgd --figure rates.svg"),
)
@click.argument("source")
@click.option("--updates", metavar="N", type=click.IntRange(20, 100_000), default=200, help=_("How many updates."))
@click.option(
    "--figure", metavar="FILE", type=click.Path(path_type=Path), help=_("Draw the losses, as SVG, PNG or PDF.")
)
@recipe_options
@as_json
@lang
def rates(source: str, updates: int, figure: Path | None, is_json: bool, **values: Any) -> None:
    """The rate to try comes last, so that it is not scrolled away."""
    from limpide.doctor import find_rates

    found = find_rates(read_recipe(source, values), updates=updates)
    if figure is not None:
        found.picture().save(figure)
    if is_json:
        print_json(found.to_dict())
    else:
        open_console().print(found.sentence(), soft_wrap=True)
