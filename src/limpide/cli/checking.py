"""`limpide check`: whether a run is what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from math import inf
from typing import TYPE_CHECKING, Any

import click

from limpide.cli.options import as_json, lang
from limpide.cli.screen import make_table, open_console, print_json
from limpide.i18n import N_, _

if TYPE_CHECKING:
    from rich.table import Table

    from limpide.verification import Check
    from limpide.verification.agreement import StepGap
    from limpide.verification.gradients import GradientGap

OUTCOMES = {"ok": N_("ok"), "failed": N_("FAILED"), "skipped": N_("skipped")}


@click.command(
    "check",
    help=_(
        "Verify a run: its files, its recipe, its data, its predictions, its gradients, the engines.\n\n"
        "RUN is the folder of a run. The hand-written gradients of its network are compared, layer by layer, with "
        "central differences and with PyTorch; its first updates are made by every engine, in both float types, and "
        "compared with NumPy in float64. With --redo its recipe is trained again, and every weight compared bit for "
        "bit."
    ),
)
@click.argument("folder", metavar="RUN")
@click.option("--redo", is_flag=True, help=_("Train the recipe again, and compare."))
@click.option("--quick", is_flag=True, help=_("Leave out the gradients and the engines."))
@as_json
@lang
def check(folder: str, redo: bool, quick: bool, is_json: bool) -> int:
    """Exit code 1 when a check failed."""
    from limpide.verification import check_run

    checks = check_run(folder, redo, quick)
    if is_json:
        print_json({"run": folder, "checks": [_facts(found) for found in checks]})
    else:
        console = open_console()
        rows = [(found.name, _(OUTCOMES[found.outcome]), found.text) for found in checks]
        console.print(make_table((_("check"), _("outcome"), ""), rows))
        for table, allowed in _details(checks):
            console.print()
            console.print(table)
            console.print(allowed, style="dim")
    return 1 if any(found.outcome == "failed" for found in checks) else 0


def _facts(found: Check) -> dict[str, Any]:
    """A check as JSON, which has no infinity."""
    gaps = [{key: None if value == inf else value for key, value in asdict(gap).items()} for gap in found.gaps]
    return {"name": found.name, "outcome": found.outcome, "text": found.text, "gaps": gaps}


def _details(checks: list[Check]) -> Iterator[tuple[Table, str]]:
    """The gaps of the gradients, layer by layer, and those of the engines, update by update; and what is allowed."""
    from limpide.verification.agreement import TOLERANCES, StepGap
    from limpide.verification.gradients import BY_DIFFERENCES, BY_PYTORCH, GradientGap

    gaps = [gap for found in checks for gap in found.gaps]
    if gradients := [gap for gap in gaps if isinstance(gap, GradientGap)]:
        allowed = _("allowed, of the largest slope: {gap} from central differences, {other} from PyTorch")
        yield _gradients_table(gradients), allowed.format(gap=_gap(BY_DIFFERENCES), other=_gap(BY_PYTORCH))
    if steps := [gap for gap in gaps if isinstance(gap, StepGap)]:
        allowed = _("allowed, of what the tensor has moved: {gap} in float64, {other} in float32")
        yield (
            _steps_table(steps),
            allowed.format(gap=_gap(TOLERANCES["float64"]), other=_gap(TOLERANCES["float32"])),
        )


def _gradients_table(gaps: list[GradientGap]) -> Table:
    headers = (_("layer"), _("gradient of"), _("numbers tried"), _("central differences"), _("PyTorch"), "")
    rows = [
        (
            gap.layer,
            gap.tensor,
            str(gap.n),
            _gap(gap.by_differences),
            _gap(gap.by_pytorch),
            "" if gap.is_close else _(OUTCOMES["failed"]),
        )
        for gap in gaps
    ]
    return make_table(headers, rows, right=(2, 3, 4))


def _steps_table(gaps: list[StepGap]) -> Table:
    """A row for each update, a column for each engine and float type; the tensor under its difference."""
    columns = list(dict.fromkeys((gap.engine, gap.precision) for gap in gaps))
    found = {(gap.engine, gap.precision, gap.update): gap for gap in gaps}
    rows = []
    for update in sorted({gap.update for gap in gaps}):
        made = [found.get((*column, update)) for column in columns]
        rows.append((str(update), *("" if gap is None else f"{_gap(gap.difference)}\n{gap.where}" for gap in made)))
    return make_table((_("update"), *(f"{engine} {precision}" for engine, precision in columns)), rows)


def _gap(value: float | None) -> str:
    from limpide.verification import format_gap

    return "" if value is None else format_gap(value)
