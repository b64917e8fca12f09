"""`limpide recipes`: the recipes that come with limpide."""

from __future__ import annotations

import click

from limpide.cli.options import as_json, lang
from limpide.cli.screen import as_command, make_table, open_console, print_json
from limpide.i18n import _


@click.command(
    "recipes",
    help=_(
        "List the recipes that come with limpide, and the questions to compare by.\n\n"
        "The name of one stands for a data set, as in `limpide train mnist-fast`; "
        "`limpide new mnist-fast` writes it down, to read and change."
    ),
)
@as_json
@lang
def recipes(is_json: bool) -> None:
    """By name, with what each does."""
    from limpide.experiment.questions import QUESTIONS
    from limpide.recipes import SHIPPED

    if is_json:
        named = {"recipes": SHIPPED, "questions": QUESTIONS}
        print_json({kind: {name: _(text) for name, text in of.items()} for kind, of in named.items()})
        return
    console = open_console()
    train, compare = (as_command(word, next(iter(of))) for word, of in (("train", SHIPPED), ("compare", QUESTIONS)))
    for heading, what, of, how in (
        (_("recipe"), _("what it does"), SHIPPED, _("train one with: {command}").format(command=train)),
        (_("question"), _("what it asks"), QUESTIONS, _("answer one with: {command}").format(command=compare)),
    ):
        console.print(make_table((heading, what), [(name, _(text)) for name, text in of.items()], fixed={0}))
        console.print(how)
        console.print()
