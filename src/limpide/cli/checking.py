"""`limpide check`: whether a run is what it says."""

from __future__ import annotations

from dataclasses import asdict

import click

from limpide.cli.options import as_json, lang
from limpide.cli.screen import make_table, open_console, print_json
from limpide.i18n import N_, _

OUTCOMES = {"ok": N_("ok"), "failed": N_("FAILED"), "skipped": N_("skipped")}


@click.command(
    "check",
    help=_(
        "Verify a run: its files, its recipe, its data, its predictions.\n\n"
        "RUN is the folder of a run. With --redo its recipe is trained again, and every weight compared bit for bit."
    ),
)
@click.argument("folder", metavar="RUN")
@click.option("--redo", is_flag=True, help=_("Train the recipe again, and compare."))
@as_json
@lang
def check(folder: str, redo: bool, is_json: bool) -> int:
    """Exit code 1 when a check failed."""
    from limpide.verification import check_run

    checks = check_run(folder, redo)
    if is_json:
        print_json({"run": folder, "checks": [asdict(found) for found in checks]})
    else:
        rows = [(found.name, _(OUTCOMES[found.outcome]), found.text) for found in checks]
        open_console().print(make_table((_("check"), _("outcome"), ""), rows))
    return 1 if any(found.outcome == "failed" for found in checks) else 0
