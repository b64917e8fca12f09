"""`limpide engines` and `limpide settings`: what this machine computes with, and what can be set from outside."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from limpide.cli.options import as_json, lang
from limpide.cli.screen import complain, make_table, open_console, print_json, show_facts
from limpide.i18n import N_, _, format_decimal, format_number

if TYPE_CHECKING:
    from rich.console import Console

    from limpide.engines.machine import EngineFacts


KEPT = {None: " ", True: N_("on disk"), False: N_("not on disk: its first use takes seconds more")}


@click.command(
    "engines",
    help=_(
        "Show what this machine computes with, and how fast.\n\n"
        "Each engine with its version, its devices, its threads, whether its compiled code is on disk, and whether a "
        "training done again gives the same bits. Then, measured in about five seconds, and half a minute more "
        "where that code must be made first: the time of an update of three networks, and the rate of a product of "
        "two large matrices."
    ),
)
@click.option("--quick", is_flag=True, help=_("Measure nothing."))
@as_json
@lang
def engines(quick: bool, is_json: bool) -> None:
    """An engine that is not installed is named with the command that installs it."""
    from limpide.engines.base import ENGINES
    from limpide.engines.machine import ACROSS, busy_tasks, inspect_engine

    busy = busy_tasks()
    console = open_console(is_json)
    with console.status(_("measuring")) if console.is_terminal else open(os.devnull):
        found = [inspect_engine(name, is_measured=not quick) for name in ENGINES]
    if is_json:
        print_json({"engines": [asdict(facts) for facts in found], "busy_tasks": busy, "cores": os.cpu_count()})
        return
    installed = [facts for facts in found if not facts.missing]
    _show_engines(console, installed)
    if not quick:
        console.print()
        _show_speeds(console, installed, busy)
    console.print()
    console.print(_("A training done again"), style="bold")
    show_facts(console, [*((facts.name, facts.repeatable) for facts in installed), ("", _(ACROSS))], style="none")
    complain(facts.missing for facts in found if facts.missing)


def _show_engines(console: Console, found: list[EngineFacts]) -> None:
    rows = [
        (
            facts.name,
            facts.version,
            ", ".join(facts.devices),
            facts.device if len(facts.devices) > 1 else "",
            ", ".join(f"{owner} {n}" for owner, n in facts.threads.items()),
            _(KEPT[facts.is_on_disk]),
        )
        for facts in found
    ]
    headers = (_("engine"), _("runs on"), _("devices"), _("takes"), _("threads"), _("compiled code"))
    shown = [i for i in range(len(headers)) if any(row[i].strip() for row in rows)]
    console.print(make_table([headers[i] for i in shown], [[row[i] for i in shown] for row in rows], fixed=(0, 1)))


def _show_speeds(console: Console, found: list[EngineFacts], busy: float | None) -> None:
    """Microseconds of an update and the rate of a product, an engine in each column."""
    from limpide.engines.machine import SIDE

    names = list(found[0].microseconds)
    rows = [(name, *(_cell(facts.microseconds[name]) for facts in found)) for name in names]
    title = _("product of {side}×{side}, GFLOP/s").format(side=SIDE)
    rows.append((title, *(_cell(facts.gflops) for facts in found)))
    right = range(1, len(found) + 1)
    console.print(make_table((_("microseconds of an update"), *(facts.name for facts in found)), rows, right=right))
    cores = os.cpu_count() or 1
    if busy is not None and busy > cores / 2:
        text = _("the machine is busy, with {busy} tasks for {cores} cores: a quiet one is faster")
        console.print(text.format(busy=format_decimal(busy, 1), cores=cores), style="yellow")


def _cell(value: float | None) -> str:
    return _("lacks a layer") if value is None else format_number(value, 3)


@click.command(
    "settings",
    help=_("List the environment variables that limpide reads: what each is set to, and what holds otherwise."),
)
@as_json
@lang
def settings(is_json: bool) -> None:
    """Every one, set or not."""
    from limpide.settings import SETTINGS, setting

    if is_json:
        print_json({"settings": {name: setting(name) or None for name in SETTINGS}})
        return
    console = open_console()
    rows = [(name, setting(name), _(row.default), _(row.meaning)) for name, row in SETTINGS.items()]
    console.print(make_table((_("variable"), _("set to"), _("otherwise"), _("meaning")), rows, fixed=(0,)))
