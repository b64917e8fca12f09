"""`limpide recipes`: the recipes that come with limpide."""

from __future__ import annotations

import click

from limpide.cli.options import as_json, lang
from limpide.cli.screen import as_command, make_table, open_console, print_json
from limpide.i18n import _


@click.command(
    "recipes",
    help=_(
        "List the recipes that come with limpide.\n\n"
        "The name of one stands for a data set, as in `limpide train mnist-fast`; "
        "`limpide new mnist-fast` writes it down, to read and change."
    ),
)
@as_json
@lang
def recipes(is_json: bool) -> None:
    """By name, with what each does."""
    from limpide.recipes import SHIPPED

    if is_json:
        print_json({"recipes": {name: _(text) for name, text in SHIPPED.items()}})
        return
    console = open_console()
    rows = [(name, _(text)) for name, text in SHIPPED.items()]
    console.print(make_table((_("recipe"), _("what it does")), rows, fixed={0}))
    console.print()
    console.print(_("train one with: {command}").format(command=as_command("train", next(iter(SHIPPED)))))
