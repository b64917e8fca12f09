"""Searching: the values of a recipe's knobs that do best, trained again under fresh seeds before they are believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from limpide.checkpoint import plain_name
from limpide.errors import RecipeError, UnknownName, problem
from limpide.experiment.comparing import choose_metric, read_time
from limpide.experiment.scores import Score, Shelf
from limpide.experiment.storages import StorageBoard, need_optuna, open_journal
from limpide.experiment.trials import TimeIsUp, Training, train_wanted
from limpide.experiment.variants import Settler, data_of, make_variants
from limpide.i18n import _
from limpide.tuning.exploring import FINALISTS, FRESH_FROM, Explorer, Question, Watch
from limpide.tuning.outcome import Search, Stopped
from limpide.tuning.proposals import METHODS, Method
from limpide.tuning.records import Records, Trial
from limpide.tuning.space import Space, space_of

TRIALS, REPEATS, FRESH, AT_ONCE = 20, 3, 5, 8

RECIPE = "best.toml"
"""The recommended recipe, in the folder of a search."""


def search(
    source: Any,
    *,
    space: Mapping[str, Any] | None = None,
    method: Method = "bayes",
    trials: int | None = None,
    budget: float | str | None = None,
    repeats: int = REPEATS,
    fresh: int = FRESH,
    at_once: int = AT_ONCE,
    metric: str | None = None,
    open_test: bool = True,
    workers: int | None = None,
    out: str | Path | None = None,
    storage: str | None = None,
    save: bool = True,
    report: bool = True,
    watch: Watch | None = None,
    **options: Any,
) -> Search:
    """Try values of a recipe's knobs, and train the best again under fresh seeds.

    source     a recipe, its file, a run, its folder, or anything `open_source` takes
    space      knob -> "log(1e-4, 1e-1)", "uniform(0, 0.5)", "int(8, 64)", or choices; a knob is `activation`, a
               recipe's flat option, or a dotted key; None: the section `space` of the recipe's file
    method     "bayes", "random" or "grid"
    trials     points of the space, at most; None: 20, of a grid all, with a budget as many as fit
    budget     seconds, or a text such as "20m", for the search and what follows it
    repeats    trainings of a trial, each under a seed of its own; one behind after the first has no others
    fresh      seeds of the trainings that follow the search
    at_once    trials that are proposed together, from what those before them showed
    metric     what is searched for, on the validation rows; None: the main metric of the task
    open_test  whether the winner's fresh trainings are measured on the test set, once
    workers    how many train side by side; None: as many as there are cores
    out        the folder; None: one in `searches`, where the same search finds it again
    storage    the address of an Optuna storage in which several machines share the search, instead of the folder
    save       False keeps everything in memory
    report     whether to write report.html
    watch      called when trainings begin and after each
    options    flat names of a recipe's keys, for all trials
    Raises     UnknownName for a knob, a method or a metric; RecipeError for a space or numbers that make no sense;
               MissingPackage without Optuna; RunError for a folder or a storage that cannot be used

    Ctrl-C ends the trainings, not the function. The same call goes on from there, one for more trials makes those
    alone, and several processes that work in one folder, or one storage, share the trainings.
    """
    need_optuna()
    if method not in METHODS:
        raise UnknownName("method", str(method), METHODS)
    counts = {"trials": trials, "repeats": repeats, "fresh": fresh, "at_once": at_once, "workers": workers}
    _check(counts, repeats)
    seconds = None if budget is None else read_time(budget)
    (variant,) = make_variants((source,), {}, options)
    asked = Space.parse(space_of(source) if space is None else space)
    asked.check(variant.recipe)
    settler = Settler(data_of((source,)))
    base = settler.settle(variant)
    question = Question(variant, base, asked, method, choose_metric(metric, base.task), repeats, at_once)
    folder = None if not save else Path(out) if out is not None else _own_folder(question)
    shelf, records = _open(question, folder, storage)
    explorer = Explorer(question, records, shelf, settler, _n_trials(question, trials, seconds), fresh, seconds, watch)
    work = _Work(explorer, shelf, workers, data_of((source,)))
    stopped = work.explore()
    found = work.finish(stopped, open_test)
    found.path = folder
    if folder is not None:
        _write(found, shelf, report)
    return found


def _n_trials(question: Question, trials: int | None, seconds: float | None) -> float:
    most = len(question.space.grid()) if question.method == "grid" else question.space.size
    if trials is not None:
        return min(trials, most)
    return most if question.method == "grid" or seconds is not None else min(TRIALS, most)


def _open(question: Question, folder: Path | None, storage: str | None) -> tuple[Shelf, Records]:
    """Where scores and trials are kept."""
    name = f"search-{question.identity()}"
    if folder is None:
        shelf, held = Shelf(None), None
    elif storage is not None:
        board = StorageBoard(storage, name)
        shelf, held = Shelf(folder, board), board.storage
    else:
        shelf = Shelf(folder)
        shelf.write_plan()
        held, name = open_journal(folder), "search"
    return shelf, Records(held, name, question.space, question.metric, question.identity())


class _Work:
    """The trainings of a search: its rounds, then the finalists."""

    def __init__(self, explorer: Explorer, shelf: Shelf, workers: int | None, source: Any) -> None:
        self.explorer, self.shelf, self.question = explorer, shelf, explorer.question
        self._terms = {"workers": workers, "source": source}

    def explore(self) -> Stopped:
        """Train until there are all trials that were asked for; why it ended.

        Raises  KeyboardInterrupt when Ctrl-C came before any trial was over
        """
        explorer = self.explorer
        try:
            if explorer.watch:
                explorer.watch(explorer)
            train_wanted(explorer.wanted, explorer.take, self.shelf, **self._terms, follow=explorer.follow)
        except TimeIsUp:
            return "time"
        except KeyboardInterrupt:
            if not explorer.trials:
                raise
            return "interrupted"
        finally:
            explorer.under_way.clear()
        return "space" if explorer.is_used_up else "trials"

    def finish(self, stopped: Stopped, open_test: bool) -> Search:
        """Train the best again under fresh seeds, the winner measured on the test set too."""
        trials = [trial for _number, trial in sorted(self.explorer.trials.items())]
        finalists = self.question.ranked(trials)[:FINALISTS]
        fresh: dict[int, dict[int, Score]] = {trial.number: {} for trial in finalists}
        tests: dict[int, Score] = {}
        if stopped != "interrupted" and finalists:
            try:
                seeds = self.question.fresh_seeds(self.explorer.n_fresh)
                trainings = [self.question.training(trial, seed) for seed in seeds for trial in finalists]
                self.explorer.begin_finals(finalists)
                if open_test:
                    winner = [training for training in trainings if training.name == str(finalists[0].number)]
                    self._train(winner, {finalists[0].number: tests}, test=True)
                self._train(trainings, fresh)
            except KeyboardInterrupt:
                stopped = "interrupted"
        return self._gather(trials, [trial.number for trial in finalists], fresh, tests, stopped)

    def _train(self, wanted: list[Training], scores: dict[int, dict[int, Score]], test: bool = False) -> None:
        if test:
            wanted = [replace(training, part="test") for training in wanted]

        def take(training: Training, score: Score) -> None:
            scores[int(training.name)][training.seed] = score
            self.explorer.take_final(training)

        train_wanted(
            lambda: [training for training in wanted if training.seed not in scores[int(training.name)]],
            take,
            self.shelf,
            **self._terms,
            test=test,
            follow=self.explorer.follow_final,
        )

    def _gather(
        self,
        trials: list[Trial],
        finalists: list[int],
        fresh: dict[int, dict[int, Score]],
        tests: dict[int, Score],
        stopped: Stopped,
    ) -> Search:
        metric = self.question.metric
        failed = {number: next((s.error for s in of.values() if s.error), "") for number, of in fresh.items()}
        whole = set.intersection(*(set(of) for of in fresh.values())) if fresh else set()
        openings = self._count_opening(finalists[0]) if tests else 0
        return Search(
            self.question,
            trials,
            tuple(finalists),
            {number: _values(of, metric, whole) for number, of in fresh.items()},
            _values(tests, metric, set(tests)),
            openings,
            stopped,
            {number: error for number, error in failed.items() if error},
        )

    def _count_opening(self, number: int) -> int:
        """For how many winners the test set was opened, this one included."""
        opened = self.shelf.plan.setdefault("opened", [])
        if number not in opened:
            opened.append(number)
            self.shelf.write_plan()
        return len(opened)


def _values(scores: Mapping[int, Score], metric: str, seeds: set[int]) -> dict[int, float]:
    held = {seed: scores[seed].metrics.get(metric) for seed in sorted(seeds) if seed in scores}
    return {seed: value for seed, value in held.items() if value is not None}


def _write(found: Search, shelf: Shelf, report: bool) -> None:
    """The folder's files for people: the facts, the recommended recipe, the report."""
    facts = json.dumps(found.to_dict(), ensure_ascii=False, indent=1, allow_nan=False)
    shelf.write("search.json", facts.encode())
    if found.recommended is not None:
        shelf.write(RECIPE, found.to_toml().encode())
    if report:
        found.report()


def _check(counts: Mapping[str, int | None], repeats: int) -> None:
    """RecipeError with every number that makes no sense."""
    problems = [
        problem(name, _("a number of at least {bound}").format(bound=1), repr(number))
        for name, number in counts.items()
        if number is not None and (not isinstance(number, int) or number < 1)
    ]
    if isinstance(repeats, int) and repeats > FRESH_FROM:
        problems.append(problem("repeats", _("a number of at most {bound}").format(bound=FRESH_FROM), repr(repeats)))
    if problems:
        raise RecipeError(*problems)


def _own_folder(question: Question) -> Path:
    """The folder of this search and of no other."""
    plain = plain_name(question.variant.recipe.data.source.partition("?")[0]) or "data"
    return Path("searches") / f"{plain}-{question.identity()[:8]}"
