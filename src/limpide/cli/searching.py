"""`limpide search`: values of a recipe's knobs tried in rounds, a display that shows where they stand, a verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from limpide.cli.options import Number, as_json, lang, no_report_option, quiet_option, storage_option, workers_option
from limpide.cli.screen import (
    BARS,
    Drawing,
    as_command,
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
from limpide.i18n import _, format_count, ngettext

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from limpide.tuning.exploring import Explorer
    from limpide.tuning.outcome import Search
    from limpide.tuning.records import Trial

METHODS = ("bayes", "random", "grid")
SHOWN = 8
"""Trials that the table shows, the best first; five of them while the search goes on."""

ENOUGH = 4
"""Trainings that tell how long the others take."""


def read_spaces(context: click.Context, option: click.Parameter, words: Sequence[str]) -> dict[str, Any] | None:
    """The knobs of words such as `rate=log(1e-4, 1e-1)`, and of files named; None where nothing is said.

    Raises  RecipeError  for a file that cannot be read, or a word without values
    """
    if not words:
        return None
    from limpide.tuning.space import read_space

    said: dict[str, Any] = {}
    for word in words:
        knob, equals, values = word.partition("=")
        if not equals and word.lower().endswith(".toml"):
            said |= read_space(word)
        elif not (knob.strip() and values.strip()):
            mend = _('write one such as "rate=log(1e-4, 1e-1)", or name a file')
            raise RecipeError(problem("--space", _("KNOB=VALUES or FILE.toml"), repr(word), mend))
        else:
            said[knob.strip()] = values.strip()
    return said


@click.command(
    "search",
    help=_(
        "Search the values of a recipe's knobs that do best, without letting luck win.\n\n"
        "SOURCE is data, a recipe or a run. --space says what is tried: log(a, b), uniform(a, b), int(a, b), or "
        "choices between commas; or a file of these. Every trial is trained under several seeds and measured on the "
        "validation rows. The best are trained again under fresh seeds, the winner is measured on the test set, once, "
        "and the simplest of those that tie with it is recommended.\n\n"
        "Ctrl-C gives what was found so far. The same command goes on from there; with more --trials it makes those "
        "alone. Run it several times at once, on one machine or on several, and they share the work."
    ),
    epilog=_('For example: limpide search digits --space "rate=log(1e-4, 1e-1)" --space "batch_size=16, 32, 64"'),
)
@click.argument("source")
@click.option(
    "--space",
    metavar="KNOB=VALUES|FILE",
    multiple=True,
    callback=read_spaces,
    help=_("What is tried; may be repeated. Left out: the section [space] of the recipe's file."),
)
@click.option("--method", type=click.Choice(METHODS), default="bayes", help=_("How trials are chosen; bayes learns."))
@click.option(
    "--trials", metavar="N", type=Number(int), help=_("Trials, at most; 20, or all of a grid, when left out.")
)
@click.option("--budget", metavar="TIME", help=_("As many trials as fit in this time, such as 20m."))
@click.option("--repeats", metavar="R", type=Number(int), default=3, help=_("Seeds of each trial; 3 when left out."))
@click.option("--fresh", metavar="N", type=Number(int), default=5, help=_("Fresh seeds for the best; 5 when left out."))
@click.option(
    "--at-once", metavar="N", type=Number(int), default=8, help=_("Trials proposed together; 8 when left out.")
)
@click.option("--metric", metavar="NAME", help=_("What is searched for; the main metric of the task when left out."))
@workers_option
@click.option("--no-test", is_flag=True, help=_("Leave the test set shut."))
@click.option("--out", metavar="DIR", type=click.Path(), help=_("The folder; else one in searches."))
@storage_option
@no_report_option
@quiet_option
@recipe_options
@as_json
@lang
def search(source: str, no_report: bool, no_test: bool, quiet: bool, is_json: bool, **values: Any) -> int:
    """Exit code 1 when every trial failed, 130 when Ctrl-C came before any was over."""
    from limpide.experiment.variants import recipe_file
    from limpide.tuning.searching import search as search_space
    from limpide.tuning.space import space_of

    own = ("method", "trials", "budget", "repeats", "fresh", "at_once", "metric", "workers", "out", "storage")
    terms = {name: values.pop(name) for name in own}
    said = values.pop("space")
    space = space_of(source) if said is None else said
    recipe = read_recipe(str(recipe_file(source)), values)
    console = open_console(is_json)
    with nullcontext() if quiet else Display(console) as watch:
        try:
            found = search_space(recipe, space=space, **terms, open_test=not no_test, report=not no_report, watch=watch)
        except KeyboardInterrupt:
            complain([_("interrupted before any trial was over; the same command goes on from there")])
            return 130
    show(console, found, quiet)
    if is_json:
        print_json(found.to_dict())
    return 0 if found.winner is not None else 1


def show(console: Console, found: Search, quiet: bool) -> None:
    """What a search ends with: the best trials, the verdict, what it does not say, where it is kept."""
    from limpide.tuning.searching import RECIPE

    if not quiet and found.ranked:
        console.print(trials_table(found))
        console.print()
        show_facts(console, found.numbers(found.winner or found.ranked[0]))
        console.print()
    show_verdict(console, found, quiet)
    if found.path is not None:
        places = [(_("search"), found.path), (_("report"), found.path / "report.html")]
        facts = [(name, str(place)) for name, place in places if Path(place).exists()]
        if found.recommended is not None:
            facts.append((_("train the recommended one"), as_command("train", found.path / RECIPE)))
        console.print()
        show_facts(console, facts)


def trials_table(found: Search) -> Table:
    """The best trials, with what the fresh seeds said of the finalists; the recommended one is bold."""
    from rich.text import Text

    from limpide.evaluation import METRICS, format_metric
    from limpide.tuning.outcome import FINDINGS, show_value

    metric, chosen = found.question.metric, found.recommended
    besides = {one.trial.number: one for one in found.beside}
    table = empty_table()
    headings = [_("trial"), _(METRICS[metric].label), _("fresh seeds"), _("parameters")]
    for heading in headings:
        table.add_column(heading, justify="right")
    for name in found.ranked[0].values:
        table.add_column(name, overflow="fold")
    table.add_column("")
    for trial in found.ranked[:SHOWN]:
        fresh = list(found.fresh.get(trial.number, {}).values())
        beside = besides.get(trial.number)
        word = _(FINDINGS[beside.finding]) if beside and fresh else ""
        if trial is chosen:
            word = _("recommended")
        elif trial is found.winner:
            word = _("the winner")
        cells = [
            str(trial.number),
            format_metric(metric, trial.mean),
            format_metric(metric, sum(fresh) / len(fresh) if fresh else None) if fresh else "",
            "–" if trial.parameters is None else format_count(trial.parameters),
            *(show_value(value) for value in trial.values.values()),
            word,
        ]
        table.add_row(*(Text(printable(cell), style="bold" if trial is chosen else "") for cell in cells))
    return table


class Display(Drawing):
    """What `search` calls to be watched: on a terminal the trials so far, in a pipe a line for each."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._told: set[int] = set()
        self._is_estimated = self._has_finals = False

    def __call__(self, explorer: Explorer) -> None:
        """Before the first training, and after each."""
        if self.console.is_terminal:
            if self.live is None:
                self.draw(_Lines(explorer))
            return
        for line in self._lines(explorer):
            print(line, file=self.console.file, flush=True)

    def _lines(self, explorer: Explorer) -> list[str]:
        """What is new."""
        lines = [] if self._told or self._is_estimated or explorer.n_trained else [plan_line(explorer)]
        if not self._is_estimated and explorer.n_trained >= ENOUGH:
            self._is_estimated = True
            lines += estimate(explorer)
        for number, trial in sorted(explorer.trials.items()):
            if number not in self._told:
                self._told.add(number)
                lines.append(trial_line(trial, explorer.question.metric))
        if explorer.finalists and not self._has_finals:
            self._has_finals = True
            names = ", ".join(str(trial.number) for trial in explorer.finalists)
            lines.append(_("training under fresh seeds: trial {names}").format(names=names))
        return lines


def plan_line(explorer: Explorer) -> str:
    """What the search will train, at most."""
    from limpide.tuning.exploring import FINALISTS

    question, n = explorer.question, explorer.n_trials
    if not isfinite(n):
        text = ngettext(
            "as many trials as fit, {repeats} training each; then the {n} best, {fresh} each",
            "as many trials as fit, {repeats} trainings each; then the {n} best, {fresh} each",
            question.repeats,
        )
    else:
        text = ngettext(
            "{trials} trials, {repeats} training each; then the {n} best, {fresh} each",
            "{trials} trials, {repeats} trainings each at most; then the {n} best, {fresh} each",
            question.repeats,
        )
    best = explorer.n_final // explorer.n_fresh if isfinite(n) else FINALISTS
    count = format_count(int(n)) if isfinite(n) else ""
    return text.format(trials=count, repeats=question.repeats, n=best, fresh=explorer.n_fresh)


def estimate(explorer: Explorer) -> list[str]:
    """How long it takes, once a training has shown it; nothing before."""
    from limpide.cli.progress import clock

    each, left = explorer.seconds_each(), explorer.n_left()
    if each is None:
        return []
    if explorer.deadline is not None:
        rest = max(explorer.deadline - time.monotonic(), 0.0)
        fits = max(rest / each - explorer.n_final, 0) / explorer.question.repeats
        if fits < (left - explorer.n_final) / explorer.question.repeats:
            n = round(fits)
            text = ngettext("{time} left, room for about {n} trial", "{time} left, room for about {n} trials", n)
            return [text.format(time=clock(rest), n=format_count(n))]
    return [_("at most about {time} left").format(time=clock(left * each))]


def trial_line(trial: Trial, metric: str) -> str:
    """A trial that is over, on one line."""
    from limpide.evaluation import METRICS, format_metric
    from limpide.tuning.outcome import show_value

    values = ", ".join(f"{name}={show_value(value)}" for name, value in trial.values.items())
    who = _("trial {n}").format(n=trial.number)
    if trial.state == "failed":
        return labelled(who, printable(_("failed: {reason} ({values})").format(reason=trial.error, values=values)))
    value = f"{_(METRICS[metric].label)} {format_metric(metric, trial.mean)}"
    if trial.state == "pruned":
        value = _("{value} under its first seed, given up").format(value=value)
    return labelled(who, printable(f"{value} ({values})"))


class _Lines:
    """The trials so far, read from the explorer each time it is drawn."""

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        explorer = self.explorer
        over = [*explorer.trials.values()]
        bar = Table.grid(padding=(0, 2))
        total = explorer.n_trials if isfinite(explorer.n_trials) else None
        count = format_count(len(over)) + ("" if total is None else f"/{format_count(int(total))}")
        title, done, most = _("{n} trials").format(n=count), float(len(over)), total
        if explorer.finalists:
            done, most = float(len(explorer.finals)), float(explorer.n_final)
            title = _("{n} fresh trainings").format(n=f"{len(explorer.finals)}/{explorer.n_final}")
        elif most is None and explorer.deadline is not None:
            done, most = time.monotonic() - explorer.started, explorer.deadline - explorer.started
        bar.add_row(title, ProgressBar(total=most, completed=done, width=28), ", ".join(estimate(explorer)))
        lines = [bar, history(over, explorer.question.maximize), self._best(over), Text(self._state(), style="dim")]
        return Group(*lines)

    def _best(self, over: Sequence[Trial]) -> RenderableType:
        """The best trials and the values of their knobs."""
        from rich.table import Table
        from rich.text import Text

        from limpide.evaluation import format_metric
        from limpide.tuning.outcome import show_value

        question = self.explorer.question
        grid = Table.grid(padding=(0, 2))
        for place, trial in enumerate(question.ranked(over)[:5]):
            style = "bold" if place == 0 else ""
            cells = [str(trial.number), format_metric(question.metric, trial.mean)]
            cells += [f"{name} {show_value(value)}" for name, value in trial.values.items()]
            grid.add_row(*(Text(printable(cell), style=style, no_wrap=True) for cell in cells))
        return grid

    def _state(self) -> str:
        """What is under way."""
        from limpide.cli.progress import clock

        explorer = self.explorer
        parts = [clock(time.monotonic() - explorer.started)]
        for (number, seed), (epoch, epochs) in list(explorer.under_way.items())[:2]:
            text = _("trial {n} under seed {seed}: epoch {epoch} of {epochs}")
            shown = {"epoch": format_count(epoch), "epochs": format_count(epochs)}
            parts.append(text.format(n=number, seed=seed, **shown))
        return " · ".join(parts)


def history(trials: Sequence[Trial], maximize: bool, width: int = 72) -> Text:
    """A column for each trial, the last ones: the higher the better, the best so far marked; a cross is a failure."""
    from rich.text import Text

    text = Text("")
    ordered = sorted(trials, key=lambda trial: trial.number)
    scores = [trial.mean * (1 if maximize else -1) for trial in ordered if trial.mean is not None]
    if not scores:
        return text
    # a few that did very badly must not press the others flat
    low, high = max(min(scores), sorted(scores)[len(scores) // 2] * 2 - max(scores)), max(scores)
    best = next((t.number for t in ordered if t.mean is not None and t.mean * (1 if maximize else -1) == high), 0)
    for trial in ordered[-width:]:
        if trial.mean is None:
            text.append("×", style="red")
            continue
        share = (trial.mean * (1 if maximize else -1) - low) / ((high - low) or 1.0)
        style = "bold cyan" if trial.number == best else "dim" if trial.state != "done" else ""
        text.append(BARS[min(max(round(share * 7), 0), 7)], style=style)
    return text
