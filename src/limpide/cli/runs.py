"""`limpide runs` and `limpide show`: what was trained."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from limpide.cli.options import as_json, lang
from limpide.cli.screen import (
    as_command,
    labelled,
    make_table,
    open_console,
    print_json,
    printable,
    show_facts,
    show_notes,
)
from limpide.i18n import _, format_count

if TYPE_CHECKING:
    from limpide.runs import Run


@click.command("runs", help=_("List the runs of a folder.\n\nDIR is runs when left out; the newest run comes last."))
@click.argument("folder", metavar="[DIR]", default="runs")
@as_json
@lang
def runs(folder: str, is_json: bool) -> None:
    """What is not a whole run is passed over."""
    from limpide.evaluation import METRICS, format_metric
    from limpide.progress import unfinished
    from limpide.runs import list_runs

    found = list_runs(folder)
    if is_json:
        facts = [run.facts() | {"date": _date(run)} for run in found]
        print_json({"runs": facts, "unfinished": [str(place) for place in unfinished(folder)]})
        return
    console = open_console()
    for place in unfinished(folder):
        text = _("{folder} is unfinished; go on with: {command}").format(
            folder=place, command=as_command("resume", place)
        )
        console.print(text, soft_wrap=True)
    if not found:
        text = _("no run in {folder}; train one with: limpide train SOURCE").format(folder=folder)
        console.print(text, soft_wrap=True)
        return
    rows = [
        (
            str(run.path),
            run.dataset_name,
            _(METRICS[run.test.main.name].label),
            format_metric(run.test.main.name, run.test.main.value),
            format_count(len(run.history)),
            _date(run),
        )
        for run in found
    ]
    headers = (_("run"), _("data"), _("metric"), _("test"), _("epochs"), _("date"))
    console.print(make_table(headers, rows, right=(3, 4), fixed=(0, 2, 5), cut=(1,)))


def _date(run: Run) -> str:
    assert run.path is not None
    return datetime.fromtimestamp((run.path / "metrics.json").stat().st_mtime).strftime("%Y-%m-%d %H:%M")


@click.command(
    "show",
    help=_(
        "Show a run: its data, its layers, what it is worth.\n\n"
        "RUN is the folder of a run; its report holds the figures and all the rest."
    ),
)
@click.argument("folder", metavar="RUN")
@as_json
@lang
def show(folder: str, is_json: bool) -> None:
    """The same figures as at the end of its training, and every metric."""
    from limpide.cli.pages import evaluation_facts, short_network_table, show_end, show_metrics, split_sentence
    from limpide.cli.understanding import layer_facts
    from limpide.data.columns import TASK_WORDS
    from limpide.openings import openings_sentence
    from limpide.runs import load

    run = load(folder)
    if is_json:
        facts: dict[str, Any] = run.facts()
        facts["intervals"] = evaluation_facts(run.test)["intervals"]
        facts["layers"] = layer_facts(run.network)
        facts["recipe"] = run.recipe.model_dump()
        facts["inferred"] = [{"what": i.what, "value": i.value, "why": i.why} for i in run.inferences]
        print_json(facts)
        return
    console = open_console()
    console.print(printable(run.summary()), style="bold", soft_wrap=not console.is_terminal)
    show_facts(
        console,
        [
            (_("data"), labelled(run.recipe.data.source, split_sentence(run.split_sizes))),
            (_("target"), f"{run.target.name} ({_(TASK_WORDS[run.target.task])})"),
            (_("engine"), labelled(run.engine, run.engine_why)),
            (_("date"), _date(run)),
            (_("test set"), openings_sentence(run.openings)),
        ],
    )
    show_notes(console, [note for note in run.notes if note.level == "warning"])
    console.print()
    console.print(short_network_table(run.network))
    console.print()
    show_metrics(console, run.test, run.baselines)
    console.print()
    show_end(console, run)
