"""Comparing: variants of a recipe trained under the same seeds until there is a verdict."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from math import ceil, isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from limpide.checkpoint import plain_name
from limpide.errors import RecipeError, RunError, problem
from limpide.evaluation import MAIN_METRIC, METRICS
from limpide.experiment.comparison import Comparison, Stopped
from limpide.experiment.questions import asked_by
from limpide.experiment.scores import Shelf
from limpide.experiment.storages import StorageBoard
from limpide.experiment.trials import Trials, Watch
from limpide.experiment.variants import Variant, data_of, make_variants
from limpide.experiment.verdict import Terms, default_zone
from limpide.i18n import _
from limpide.paired import FEWEST, look_level

SEEDS = 10
GROWTH = 1.5
"""With a budget: the seeds at a look over those at the look before."""

_TIME = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")
_MINUTES = re.compile(r"(h\d+)$")


def compare(
    *sources: Any,
    vary: Mapping[str, Sequence[Any]] | None = None,
    seeds: int | None = None,
    metric: str | None = None,
    splits: bool = False,
    zone: float | None = None,
    open_test: bool = False,
    workers: int | None = None,
    budget: float | str | None = None,
    out: str | Path | None = None,
    storage: str | None = None,
    save: bool = True,
    report: bool = True,
    watch: Watch | None = None,
    **options: Any,
) -> Comparison:
    """Train variants under the same seeds, and say which is better, or that it is not shown.

    sources    recipes, their files, runs, their folders, anything `open_source` takes; one mapping of names to these;
               or a question of `limpide.experiment.questions`, by name or file
    vary       knob -> values: `activation`, a recipe's flat option, or a dotted key; every combination is a variant
    seeds      how many, from the recipe's own on; with a budget, how many before the first look; None: the question's,
               or 10
    metric     what is compared, on the validation rows; None: the main metric of the task
    splits     whether each seed deals the rows out anew; else all share the split of the recipe's own seed
    zone       differences up to this size do not matter; in points for a metric shown in per cent
    open_test  whether to measure the best variant on the test set at the end
    workers    how many train side by side; None: as many as there are cores
    budget     seconds, or a text such as "10m": seeds are added until the verdict is settled or the time is up
    out        the folder; None: one in `comparisons`, where the same comparison finds it again
    storage    the address of an Optuna storage in which several machines share the scores, instead of the folder
    save       False keeps everything in memory
    report     whether to write report.html
    watch      called when trainings begin and after each
    options    flat names of a recipe's keys, for all variants
    Raises     UnknownName for a knob or a metric; RecipeError for values that do not fit, or different data; RunError
               for a folder or a storage that cannot be used, or a budget too small for one seed

    Ctrl-C ends the trainings, not the function: the verdict so far is given. The same call goes on from there, and one
    for more seeds trains those alone. Several processes that work in one folder, or one storage, share the trainings.
    """
    asked = asked_by(sources)
    if asked is not None:
        sources, metric = (asked.variants,), metric or asked.metric
    if seeds is None:
        seeds = asked.seeds if asked else SEEDS
    variants = make_variants(sources, vary or {}, options)
    _check(seeds=seeds, workers=workers, zone=zone, has_own_test=open_test and splits)
    seconds = None if budget is None else read_time(budget)
    folder = None if not save else Path(out) if out is not None else _own_folder(variants, splits)
    board = None if storage is None else StorageBoard(storage, f"comparison-{_identity(variants, splits)}")
    shelf = Shelf(folder, board)
    trials = Trials(variants, shelf, source=data_of(sources), splits=splits, workers=workers, seconds=seconds)
    task = next(iter(trials.settled.values())).task
    question = _Question(trials, choose_metric(metric, task), zone, splits, _identity(variants, splits))
    comparison = _add_seeds(question, seeds, seconds is not None, watch)
    if open_test and comparison.standings.leaders:
        _open_test(trials, comparison)
    comparison.path = folder
    if folder is not None:
        facts = json.dumps(comparison.to_dict(), ensure_ascii=False, indent=1, allow_nan=False)
        shelf.write("comparison.json", facts.encode())
        if report:
            comparison.report()
    return comparison


def _add_seeds(question: _Question, seeds: int, is_planned: bool, watch: Watch | None) -> Comparison:
    """Train and judge: once, or as long as planned looks settle nothing."""
    trials, n = question.trials, seeds
    while True:
        stopped: Stopped = trials.train(range(trials.root, trials.root + n), watch)
        if stopped == "interrupted" and not trials.done():
            raise KeyboardInterrupt
        if stopped == "time" and not trials.done():
            expected, got = _("time for a training of each variant"), _("less")
            mend = _("give more; what is trained is kept, and the same command goes on from there")
            raise RunError(problem(_("budget"), expected, got, mend))
        comparison = question.judge(stopped, is_planned or stopped == "interrupted")
        if stopped != "seeds" or not is_planned:
            return comparison
        if comparison.standings.is_settled:
            comparison.stopped = "settled"
            return comparison
        n = ceil(n * GROWTH)


class _Question:
    """What is asked of the scores, and how often it was asked before.

    zone      in the unit that is shown; None: the default
    identity  of what is compared: its looks are counted in the plan
    """

    def __init__(self, trials: Trials, metric: str, zone: float | None, splits: bool, identity: str) -> None:
        self.trials, self.metric, self.splits, self.identity = trials, metric, splits, identity
        self.zone = None if zone is None else zone / (100 if METRICS[metric].percent else 1)

    def judge(self, stopped: Stopped, is_planned: bool) -> Comparison:
        """What the seeds that are done say; a look at so many of them is counted once."""
        trials = self.trials
        seeds = trials.done()
        scores = {name: {seed: of[seed] for seed in seeds} for name, of in trials.scores.items()}
        known = [
            [v for score in of.values() if (v := score.metrics.get(self.metric)) is not None] for of in scores.values()
        ]
        zone = default_zone(self.metric, [fmean(of) for of in known if of]) if self.zone is None else self.zone
        rows = next(iter(trials.settled.values())).rows
        overlap = rows["validation"] / rows["train"] if self.splits else 0.0
        look, level, was_planned = self._look(len(seeds), is_planned)
        terms = Terms(self.metric, zone, level, overlap, look, was_planned)
        return Comparison(trials.settled, trials.unfit, scores, terms, seeds, stopped)

    def _look(self, n_seeds: int, is_planned: bool) -> tuple[int, float, bool]:
        """The number of this look, its level, whether it was planned."""
        looks = self.trials.shelf.plan.setdefault("looks", {}).setdefault(self.identity, [])
        for i, look in enumerate(looks, start=1):
            if look["seeds"] == n_seeds:
                return i, look["level"], look["planned"]
        level = look_level(len(looks) + 1, is_planned)
        if n_seeds >= FEWEST:
            looks.append({"seeds": n_seeds, "level": level, "planned": is_planned})
            self.trials.shelf.write_plan()
            return len(looks), level, is_planned
        return len(looks) + 1, level, is_planned


def _open_test(trials: Trials, comparison: Comparison) -> None:
    """Measure the best variant on the test set, and count that it was opened for it."""
    name, metric = comparison.standings.leaders[0], comparison.terms.metric
    scores = trials.test(name, comparison.seeds)
    opened = trials.shelf.plan.setdefault("opened", [])
    if name not in opened:
        opened.append(name)
        trials.shelf.write_plan()
    values = {seed: value for seed, score in scores.items() if (value := score.metrics.get(metric)) is not None}
    comparison.test, comparison.openings = (name, values), len(opened)


def choose_metric(metric: str | None, task: str) -> str:
    """The metric to compare by; None: the main one of the task.

    Raises  UnknownName; RecipeError for one that does not fit the task
    """
    if metric is None:
        return MAIN_METRIC[task]
    if task not in METRICS[metric].tasks:
        fitting = ", ".join(row.name for row in METRICS.rows() if task in row.tasks)
        mend = _("choose among {names}").format(names=fitting)
        raise RecipeError(problem(_("metric"), _("one for a {task} target").format(task=task), repr(metric), mend))
    return METRICS[metric].name


def read_time(budget: float | str) -> float:
    """The seconds of a time such as 90, "90s", "10m" or "1h30m"; a number right behind hours is minutes.

    Raises  RecipeError for anything else, or no time at all
    """
    seconds = 0.0
    if isinstance(budget, str):
        found = _TIME.fullmatch(_MINUTES.sub(r"\1m", budget.strip().lower()))
        if found is not None:
            seconds = sum(float(part) * unit for part, unit in zip(found.groups(), (3600, 60, 1)) if part)
    else:
        seconds = float(budget)
    if not (isfinite(seconds) and seconds > 0):
        raise RecipeError(problem(_("budget"), _('a time such as "90s", "10m" or "1h30m"'), repr(budget)))
    return seconds


def _check(seeds: int, workers: int | None, zone: float | None, has_own_test: bool) -> None:
    """RecipeError with everything that makes no sense.

    has_own_test  whether the test set is asked for where each seed has its own
    """
    problems = [
        problem(name, _("a number of at least {bound}").format(bound=1), repr(number))
        for name, number in (("seeds", seeds), ("workers", workers))
        if number is not None and (not isinstance(number, int) or number < 1)
    ]
    if zone is not None and not (isfinite(zone) and zone >= 0):
        problems.append(problem("zone", _("a number of at least {bound}").format(bound=0), repr(zone)))
    if has_own_test:
        mend = _("leave out one of the two: rows that test under one seed chose the best under another")
        problems.append(problem("open_test", _("one split for all seeds"), _("a split for each"), mend))
    if problems:
        raise RecipeError(*problems)


def _identity(variants: Sequence[Variant], splits: bool) -> str:
    """What tells comparisons apart: the variants, in whatever order, and whether splits are drawn again."""
    text = json.dumps([sorted(variant.key() for variant in variants), variants[0].recipe.seed, splits])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _own_folder(variants: Sequence[Variant], splits: bool) -> Path:
    """The folder of this comparison and of no other."""
    plain = plain_name(variants[0].recipe.data.source.partition("?")[0]) or "data"
    return Path("comparisons") / f"{plain}-{_identity(variants, splits)[:8]}"
