"""What is shown of a job and of a run, by more than one command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from limpide.cli.screen import (
    as_command,
    empty_table,
    labelled,
    least_width,
    make_table,
    natural_width,
    show_facts,
    show_notes,
)
from limpide.i18n import _, format_count, format_decimal, format_percent, ngettext

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from limpide.evaluation import Evaluation
    from limpide.job import Job
    from limpide.nn.network import LayerRow, Network
    from limpide.runs import Run

SHORT = ("accuracy", "f1_macro", "roc_auc", "log_loss", "r2", "rmse", "mae")
"""The metrics of a summary; `limpide evaluate` shows all."""

LINE = 70
"""A command up to this long stands on one line of any terminal."""


def show_job(console: Console, job: Job) -> None:
    """Before the first update: the data, what was inferred and why, the network."""
    parts: dict[str, int] = dict(job.sizes)
    title = labelled(job.dataset.name, split_sentence(parts))
    console.print(title, style="bold", soft_wrap=not console.is_terminal)
    show_notes(console, job.notes)
    console.print()
    rows = [(i.what, i.value, i.why) for i in job.inferences]
    if rows:
        console.print(make_table((_("inferred"), _("value"), _("why")), rows, fixed=(0,)))
        console.print()
    console.print(short_network_table(job.network))
    console.print()


def split_sentence(parts: Mapping[str, int]) -> str:
    """How many rows there are in all, and in each part."""
    n = sum(parts.values())
    text = ngettext(
        "{n} row, {train} to train, {validation} to validate, {test} to test",
        "{n} rows, {train} to train, {validation} to validate, {test} to test",
        n,
    )
    return text.format(n=format_count(n), **{name: format_count(size) for name, size in parts.items()})


def short_network_table(network: Network) -> Table:
    """Each layer with its output and its parameters."""
    from limpide.arrays import show_shape

    rows = [(f"{row.index}.{row.type}", show_shape(row.output), row.arithmetic) for row in network.table()]
    total = (_("total"), "", format_count(network.n_parameters))
    return make_table((_("layer"), _("output"), _("parameters")), rows, right=(1, 2), total=total)


def network_table(network: Network, width: int) -> Table:
    """The layer table with every count's arithmetic: one line a layer where they fit, else several."""
    rows = network.table()
    wide = _wide_table(rows)
    return wide if natural_width(wide) <= width else _narrow_table(rows)


def _wide_table(rows: Sequence[LayerRow]) -> Table:
    from limpide.arrays import show_shape

    headers = (_("layer"), _("specification"), _("output"), _("parameters"), _("multiply-adds"))
    total = (_("total"), "", "", *(format_count(n) for n in totals(rows)))
    cells = [
        (
            f"{row.index}.{row.type}",
            row.specification,
            show_shape(row.output),
            row.arithmetic,
            row.multiply_adds_arithmetic,
        )
        for row in rows
    ]
    return make_table(headers, cells, right=(2, 3, 4), total=total)


def _narrow_table(rows: Sequence[LayerRow]) -> Table:
    from limpide.arrays import show_shape

    cells: list[tuple[str, str, str]] = []
    for row in rows:
        cells.append((f"{row.index}.{row.type}", row.specification, show_shape(row.output)))
        if row.arithmetic:
            cells.append(("", "  " + _("parameters: {arithmetic}").format(arithmetic=row.arithmetic), ""))
        if row.multiply_adds_arithmetic:
            text = _("multiply-adds: {arithmetic}").format(arithmetic=row.multiply_adds_arithmetic)
            cells.append(("", "  " + text, ""))
    parameters, work = (format_count(n) for n in totals(rows))
    total = (_("total"), _("{n} parameters, {m} multiply-adds").format(n=parameters, m=work), "")
    return make_table((_("layer"), _("specification"), _("output")), cells, right=(2,), fixed=(0,), total=total)


def totals(rows: Sequence[LayerRow]) -> tuple[int, int]:
    """The parameters and the multiply-adds of a whole network."""
    return sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows)


def show_metrics(
    console: Console, test: Evaluation, baselines: Mapping[str, Evaluation], names: Sequence[str] = ()
) -> None:
    """The metrics with their 95% intervals, beside those of the baselines, the main one first; the best is bold.

    names  which metrics; without any, all of them

    On a terminal too narrow for both, the baselines have a table of their own.
    """
    table = _metrics_table(test, baselines, names)
    if not baselines or least_width(table) <= console.width:
        console.print(table)
        return
    console.print(_metrics_table(test, baselines, names, with_baselines=False))
    console.print()
    console.print(_metrics_table(test, baselines, names, with_network=False))


def _metrics_table(
    test: Evaluation,
    baselines: Mapping[str, Evaluation],
    names: Sequence[str],
    with_network: bool = True,
    with_baselines: bool = True,
) -> Table:
    from limpide.baselines import BASELINES

    title = ngettext("{n} row", "{n} rows", test.n).format(n=format_count(test.n))
    table = empty_table()
    table.add_column(title, overflow="fold")
    if with_network:
        table.add_column(_("network"), justify="right", no_wrap=True)
        interval = _("{level} interval").format(level=format_percent(0.95))
        table.add_column(interval, justify="right", no_wrap=True, style="dim")
    for name in baselines if with_baselines else ():
        label = _(BASELINES[name].label)
        table.add_column(label, justify="right", min_width=max(map(len, label.split())))
    shown = [name for name in test.metrics if name in names or not names]
    for name in sorted(shown, key=lambda name: name != test.main.name):
        shown_name, own, drawn, *others = _metric_cells(name, test, baselines)
        mine = (own, drawn) if with_network else ()
        table.add_row(shown_name, *mine, *(others if with_baselines else ()))
    return table


def _metric_cells(name: str, test: Evaluation, baselines: Mapping[str, Evaluation]) -> Sequence[str | Text]:
    """A metric's name, its value, its interval, those of the baselines; the best value is bold."""
    from rich.text import Text

    from limpide.evaluation import METRICS, format_metric

    metric, definition = test.metrics[name], METRICS[name]
    values = [metric.value, *(baseline.metrics[name].value for baseline in baselines.values())]
    sign = 1 if definition.higher_is_better else -1
    best = max((sign * value for value in values if value is not None), default=None)
    own, *others = (
        Text(format_metric(name, value), style="bold" if value is not None and sign * value == best else "")
        for value in values
    )
    interval = ""
    if metric.low is not None and metric.high is not None:
        low, high = format_metric(name, metric.low), format_metric(name, metric.high)
        interval = _("{low} to {high}").format(low=low, high=high)
    return _(definition.label), own, interval, *others


def classes_table(evaluation: Evaluation) -> Table:
    """How well each class is told."""
    from limpide.evaluation import format_metric

    rows = [
        (label, *(format_metric("f1_macro", row[key]) for key in ("precision", "recall", "f1")), _support(row))
        for label, row in (evaluation.per_class or {}).items()
    ]
    headers = (_("class"), _("precision"), _("recall"), _("F1"), _("rows"))
    return make_table(headers, rows, right=(1, 2, 3, 4))


def _support(row: Mapping[str, float | None]) -> str:
    return format_count(int(row["support"] or 0))


def show_end(console: Console, run: Run) -> None:
    """The verdict, why the training stopped, where everything is and what to do with it."""
    soft = not console.is_terminal
    console.print(run.verdict, style="bold", soft_wrap=soft)
    took = _("{stop} ({seconds} s)").format(stop=run.stop.sentence(), seconds=format_decimal(run.seconds, 1))
    console.print(took, soft_wrap=soft)
    console.print()
    show_facts(console, places(run))


def places(run: Run) -> list[tuple[str, str]]:
    """Where the run and its report are, and the command that predicts with it."""
    facts = [(_("run"), str(run.path))]
    if run.path is not None and (run.path / "report.html").is_file():
        facts.append((_("report"), str(run.path / "report.html")))
    if run.stop.reason == "interrupted" and run.path is not None:
        facts.append((_("go on"), as_command("resume", run.path)))
    return [*facts, (_("predict"), _how_to_predict(run))]


def _how_to_predict(run: Run) -> str:
    """The command with the names of its columns where they are few, else with a source."""
    from limpide.data.preparation import TablePreparation

    command = as_command("predict", run.path or "")
    if isinstance(run.preparation, TablePreparation):
        wordy = as_command("predict", run.path or "", *(f"--set={name}=..." for name in run.preparation.column_names))
        if len(wordy) <= LINE:
            return wordy
    return f"{command} SOURCE"


def evaluation_facts(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as JSON: each metric's value, and its interval where there is one."""
    return {
        "rows": evaluation.n,
        "metrics": {name: metric.value for name, metric in evaluation.metrics.items()},
        "intervals": {
            name: [metric.low, metric.high] for name, metric in evaluation.metrics.items() if metric.low is not None
        },
    }
