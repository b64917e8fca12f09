"""`limpide compare`: variants under the same seeds, a display that shows where each stands, a verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from limpide.cli.options import Number, as_json, lang, no_report_option, quiet_option, storage_option, workers_option
from limpide.cli.screen import (
    Drawing,
    complain,
    empty_table,
    labelled,
    open_console,
    print_json,
    printable,
    show_facts,
    show_verdict,
)
from limpide.cli.training import read_recipe, recipe_options
from limpide.errors import RecipeError, problem
from limpide.i18n import _, format_count, format_decimal, format_number, format_percent, ngettext
from limpide.words import read_values

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from limpide.experiment.comparison import Comparison, Row
    from limpide.experiment.trials import Trials

STRIP = 32
"""The signs of a line that shows the scores of a variant."""

LONGEST_NAME = 34


def read_knobs(context: click.Context, option: click.Parameter, words: Sequence[str]) -> dict[str, list[Any]]:
    """The knobs of words such as `activation=relu,silu`, each with its values as TOML writes them, or bare words.

    Values that hold commas stand between semicolons: `network=64 relu, 32 relu; 128 relu`.

    Raises  RecipeError  with every word that is not of this form
    """
    parts = [word.partition("=") for word in words]
    wrong = [word for word, (knob, _equals, values) in zip(words, parts) if not (knob.strip() and values.strip())]
    if wrong:
        raise RecipeError(*(problem("--vary", _("KNOB=VALUE,VALUE,..."), repr(word)) for word in wrong))
    knobs: dict[str, list[Any]] = {}
    for knob, _equals, values in parts:
        knobs.setdefault(knob.strip(), []).extend(read_values(values))
    return knobs


@click.command(
    "compare",
    help=_(
        "Compare variants over several seeds, and say which is better, or that it is not shown.\n\n"
        "SOURCE is data, a recipe or a run; --vary names a knob and its values, and may be repeated: every combination "
        "is a variant. Several recipes or runs are compared with one another. All variants learn from the same rows "
        "under the same seeds, and are measured on the validation rows; the test set stays shut.\n\n"
        "SOURCE may be a question that `limpide recipes` lists, which brings its own variants.\n\n"
        "Ctrl-C gives the verdict so far. The same command goes on from there; with more --seeds it trains those alone."
    ),
    epilog=_("For example: limpide compare digits --vary activation=relu,silu --vary optimizer=sgd,adam"),
)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "--vary",
    metavar="KNOB=VALUES",
    multiple=True,
    callback=read_knobs,
    help=_("What differs: activation, or any key of a recipe; values between commas, or semicolons."),
)
@click.option("--seeds", metavar="N", type=Number(int), help=_("Trainings of each variant; 10 when left out."))
@click.option("--metric", metavar="NAME", help=_("What is compared; the main metric of the task when left out."))
@click.option("--splits", is_flag=True, help=_("Deal the rows out anew for each seed."))
@click.option(
    "--zone",
    metavar="Z",
    type=Number(float),
    help=_("Differences up to this size do not matter; in points for what is in per cent."),
)
@workers_option
@click.option(
    "--budget", metavar="TIME", help=_("Add seeds until the verdict is settled, at most for this long, such as 10m.")
)
@click.option("--open-test", is_flag=True, help=_("Measure the best variant on the test set at the end."))
@click.option("--out", metavar="DIR", type=click.Path(), help=_("The folder; else one in comparisons."))
@storage_option
@no_report_option
@quiet_option
@recipe_options
@as_json
@lang
def compare(sources: tuple[str, ...], no_report: bool, quiet: bool, is_json: bool, **values: Any) -> int:
    """Exit code 1 when every variant failed, 130 when Ctrl-C came before every variant had a seed."""
    from limpide.experiment.comparing import compare as compare_variants
    from limpide.experiment.questions import asked_by
    from limpide.experiment.variants import name_sources, recipe_file

    own = ("vary", "seeds", "metric", "splits", "zone", "workers", "budget", "open_test", "out", "storage")
    terms = {name: values.pop(name) for name in own}
    asked = asked_by(sources)
    if asked is not None:
        named = {name: read_recipe(recipe, values) for name, recipe in asked.variants.items()}
        terms["seeds"], terms["metric"] = terms["seeds"] or asked.seeds, terms["metric"] or asked.metric
    else:
        recipes = [read_recipe(str(recipe_file(source)), values) for source in sources]
        named = dict(zip(name_sources(sources), recipes, strict=True))
    console = open_console(is_json)
    with nullcontext() if quiet else Display(console, terms["metric"]) as watch:
        try:
            comparison = compare_variants(named, **terms, report=not no_report, watch=watch)
        except KeyboardInterrupt:
            complain([_("interrupted before each variant had a seed; the same command goes on from there")])
            return 130
    show(console, comparison, quiet)
    if is_json:
        print_json(comparison.to_dict())
    return 1 if set(comparison.standings.failed) == set(comparison.standings.order) else 0


def show(console: Console, comparison: Comparison, quiet: bool) -> None:
    """What a comparison ends with: where each variant stands, the verdict, what it does not say, where it is kept."""
    if not quiet:
        console.print(standings_table(comparison))
        console.print()
    show_verdict(console, comparison, quiet)
    if comparison.path is not None:
        console.print()
        facts = [(_("comparison"), str(comparison.path))]
        report = comparison.path / "report.html"
        show_facts(console, [*facts, (_("report"), str(report))] if report.is_file() else facts)


def standings_table(comparison: Comparison) -> Table:
    """A row for each variant, the best mean first; what shares the first place is bold."""
    from rich.text import Text

    from limpide.evaluation import METRICS, format_metric

    name, best = comparison.terms.metric, comparison.standings.order[0]
    table = empty_table()
    table.add_column(_("variant"), overflow="fold")
    headings = [_(METRICS[name].label), _("{level} interval").format(level=format_percent(0.95))]
    beside = _("beside {name}, points") if comparison.words.is_in_points else _("beside {name}")
    headings += [beside.format(name=short_name(best)), _("seconds"), _("parameters")]
    if comparison.common_loss is not None:
        headings.append(_("updates"))
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in comparison.rows:
        interval = "–"
        if row.low is not None and row.high is not None:
            interval = _("{low} to {high}").format(low=format_metric(name, row.low), high=format_metric(name, row.high))
        cells = [format_metric(name, row.mean), interval, _beside(comparison, row)]
        cells.append("–" if row.seconds is None else format_number(row.seconds, 2))
        cells.append("–" if row.parameters is None else format_count(row.parameters))
        if comparison.common_loss is not None:
            cells.append("–" if row.updates is None else format_count(row.updates))
        leads = row.standing in ("best", "tied")
        table.add_row(Text(printable(row.name), style="bold" if leads else ""), *map(printable, cells))
    return table


def _beside(comparison: Comparison, row: Row) -> str:
    """How far a variant is from the best."""
    best = comparison.standings.order[0]
    if row.name == best or not row.scores:
        return _("failed") if row.standing == "failed" else ""
    pair = comparison.standings.pair(best, row.name)
    return comparison.words.bare_amount(-comparison.terms.sign * pair.difference.mean, pair.half)


def short_name(name: str) -> str:
    """A variant's name where room is scarce."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


class Display(Drawing):
    """What `compare` calls to be watched: on a terminal a line for each variant, in a pipe one for each training."""

    def __init__(self, console: Console, metric: str | None) -> None:
        super().__init__(console)
        self.metric = metric
        self._told: set[tuple[str, int]] = set()

    def __call__(self, trials: Trials) -> None:
        """When trainings begin, and after each."""
        from limpide.experiment.comparing import choose_metric

        metric = choose_metric(self.metric, next(iter(trials.settled.values())).task)
        if self.console.is_terminal:
            if self.live is None:
                self.draw(_Lines(trials, metric))
            return
        for name, of in trials.scores.items():
            for seed in trials.seeds:
                if seed in of and (name, seed) not in self._told:
                    self._told.add((name, seed))
                    print(_training_line(name, seed, trials, metric), file=self.console.file, flush=True)


def _training_line(name: str, seed: int, trials: Trials, metric: str) -> str:
    """A training that is over, on one line."""
    from limpide.evaluation import METRICS, format_metric

    score = trials.scores[name][seed]
    who = _("{name}, seed {seed}").format(name=printable(name), seed=seed)
    if score.error:
        return labelled(who, printable(score.error))
    value = f"{_(METRICS[metric].label)} {format_metric(metric, score.metrics.get(metric))}"
    return labelled(who, _("{value} ({seconds} s)").format(value=value, seconds=format_decimal(score.seconds, 1)))


class _Lines:
    """Where each variant stands, read from the trials each time it is drawn."""

    def __init__(self, trials: Trials, metric: str) -> None:
        self.trials, self.metric = trials, metric
        self._found = self._n_done()
        self._started = time.monotonic()

    def _n_done(self) -> int:
        return sum(seed in of for of in self.trials.scores.values() for seed in self.trials.seeds)

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        from limpide.evaluation import format_metric
        from limpide.experiment.verdict import mean_and_interval

        trials = self.trials
        values = {
            name: [v for seed in trials.seeds if seed in of and (v := of[seed].metrics.get(self.metric)) is not None]
            for name, of in trials.scores.items()
        }
        grid = Table.grid(padding=(0, 2))
        for _column in range(5):
            grid.add_column(no_wrap=True)
        every = [value for of in values.values() for value in of]
        for name, of in values.items():
            done = sum(seed in trials.scores[name] for seed in trials.seeds)
            mean, _sd, half = mean_and_interval(of) if of else (None, 0.0, 0.0)
            failed = sum(bool(trials.scores[name][seed].error) for seed in trials.seeds if seed in trials.scores[name])
            grid.add_row(
                Text(printable(short_name(name)), style="bold"),
                ProgressBar(total=len(trials.seeds), completed=done, width=14),
                f"{done}/{len(trials.seeds)}",
                format_metric(self.metric, mean),
                strip(of, mean, half, every) if of else Text(_("failed") if failed else ""),
            )
        return Group(grid, "", Text(self._state(), style="dim"))

    def _state(self) -> str:
        """How many trainings are done, how long it takes, what is under way."""
        from limpide.cli.progress import clock

        trials, done = self.trials, self._n_done()
        total = len(trials.seeds) * len(trials.scores)
        gone = time.monotonic() - self._started
        parts = [
            ngettext("{done} of {n} training", "{done} of {n} trainings", total).format(
                done=format_count(done), n=format_count(total)
            )
        ]
        if done < total:
            parts.append(clock(gone))
        if trials.deadline is not None:
            left = max(trials.deadline - time.monotonic(), 0)
            parts.append(_("{time} of the budget left").format(time=clock(left)))
        elif done > self._found:
            left = gone / (done - self._found) * (total - done)
            parts.append(_("about {time} left").format(time=clock(left)))
        for (name, seed), (epoch, epochs) in list(trials.under_way.items())[:2]:
            text = _("{name} under seed {seed}: epoch {epoch} of {epochs}")
            parts.append(
                text.format(
                    name=printable(short_name(name)), seed=seed, epoch=format_count(epoch), epochs=format_count(epochs)
                )
            )
        return " · ".join(parts)


def strip(values: Sequence[float], mean: float | None, half: float, every: Sequence[float]) -> Text:
    """Scores on a line: a dot for each, the interval of their mean as a bar, the mean as a mark.

    every  the scores of all variants: the ends of the line
    """
    from rich.text import Text

    low, high = min(every), max(every)
    width = (high - low) or 1.0

    def place(value: float) -> int:
        return min(max(round((value - low) / width * (STRIP - 1)), 0), STRIP - 1)

    signs, styles = [" "] * STRIP, [""] * STRIP
    if mean is not None and isfinite(half):
        for i in range(place(mean - half), place(mean + half) + 1):
            signs[i], styles[i] = "─", "cyan"
    for value in values:
        signs[place(value)], styles[place(value)] = "•", ""
    if mean is not None:
        signs[place(mean)], styles[place(mean)] = "┃", "bold cyan"
    text = Text("")
    for sign, style in zip(signs, styles):
        text.append(sign, style=style)
    return text
