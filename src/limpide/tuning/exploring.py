"""A search at work: rounds of trials, each under one seed first, those that are not behind then under the others."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median

from limpide.errors import LimpideError
from limpide.evaluation import METRICS
from limpide.experiment.scores import Score, Shelf
from limpide.experiment.trials import POLL, TimeIsUp, Training
from limpide.experiment.variants import Settled, Settler, Variant
from limpide.history import Epoch
from limpide.i18n import _
from limpide.recipe import Recipe
from limpide.tuning.proposals import Method, propose
from limpide.tuning.records import Records, Trial, frozen
from limpide.tuning.space import Space

FINALISTS = 5
"""Trials that are trained again at the end, at most: the best, and those that might tie with it."""

FRESH_FROM = 1000
"""How far the fresh seeds are from the first of the search; a trial has fewer repeats."""

RECORDS = "records"


@dataclass(frozen=True)
class Question:
    """What a search asks; whatever else is said changes how long it takes, not what it finds.

    variant  the recipe as it was asked for, before any knob is turned
    base     likewise, with nothing left to infer
    at_once  trials of a round
    """

    variant: Variant
    base: Settled
    space: Space
    method: Method
    metric: str
    repeats: int
    at_once: int

    @property
    def maximize(self) -> bool:
        """Whether a higher score is better."""
        return METRICS[self.metric].higher_is_better

    @property
    def start(self) -> Recipe:
        """The recipe that the knobs are turned on: what is long to find out of images is not asked of each trial."""
        centre = self.base.recipe.preparation.centre
        return self.variant.recipe.with_values({"preparation.centre": centre})

    @property
    def root(self) -> int:
        """The first seed; that of the proposals too."""
        return self.variant.recipe.seed

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those of every trial."""
        return tuple(self.root + i for i in range(self.repeats))

    def fresh_seeds(self, n: int) -> tuple[int, ...]:
        """Seeds that no trial had."""
        return tuple((self.root + FRESH_FROM + i) % 2**63 for i in range(n))

    def identity(self) -> str:
        """What tells searches apart."""
        facts = [self.variant.key(), self.root, self.base.data, self.space.to_dict()]
        text = json.dumps([*facts, self.method, self.metric, self.repeats, self.at_once])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def training(self, trial: Trial, seed: int) -> Training:
        """The training of a trial under a seed; all share the split of the recipe's own seed."""
        assert trial.settled is not None
        own = self.variant.recipe.split.seed
        recipe = trial.settled.under(seed, self.root if own is None else own)
        return Training(str(trial.number), seed, recipe, trial.settled.data)

    def ranked(self, trials: Sequence[Trial]) -> list[Trial]:
        """Those trained under every seed, the best first; of equals the earlier."""
        sign = -1 if self.maximize else 1
        return sorted((t for t in trials if t.state == "done"), key=lambda t: (sign * (t.mean or 0.0), t.number))


class Explorer:
    """The trials of a search so far, and what is to be trained next.

    trials     those that are over, by number
    open       those of the round at work that are not
    n_trained  trainings that this process made
    n_trials   asked for, at most; infinite where the time decides
    under_way  trainings in progress by trial and seed: epochs done, and epochs at most
    finalists  those trained again; empty before the search is over
    finals     trainings under fresh seeds that are over, by trial and seed
    deadline   by `time.monotonic`: of the search and of what follows it
    """

    def __init__(
        self,
        question: Question,
        records: Records,
        shelf: Shelf,
        settler: Settler,
        n_trials: float,
        n_fresh: int,
        seconds: float | None,
        watch: Watch | None,
    ) -> None:
        self.question, self.n_trials, self.n_fresh = question, n_trials, n_fresh
        self._records, self._shelf, self._settler, self.watch = records, shelf, settler, watch
        self.started = time.monotonic()
        self.deadline = None if seconds is None else self.started + seconds
        self.trials = records.load()
        self.open: dict[int, Trial] = {}
        self.under_way: dict[tuple[int, int], tuple[int, int]] = {}
        self.finalists: list[Trial] = []
        self.finals: set[tuple[int, int]] = set()
        self.is_used_up = False
        self.n_trained, self._first_at = 0, self.started

    def wanted(self) -> list[Training]:
        """What the trials of this round need next.

        Raises  TimeIsUp once there is a trial to go on with
        """
        self._check_time()
        while not self.open and self._begin_round():
            pass
        return [
            self.question.training(trial, seed)
            for trial in self.open.values()
            for seed in self._needed(trial)
            if seed not in trial.scores
        ]

    def _begin_round(self) -> bool:
        """Propose the trials of the first round that is not whole; whether there is one."""
        size = self.question.at_once
        first = next(i for i in range(0, len(self.trials) + size, size) if not self._is_whole(i))
        n = int(min(size, self.n_trials - first))
        if n <= 0 or self.is_used_up:
            return False
        question = self.question
        before = [frozen(self.trials[i + 1], question.space) for i in range(first)]
        points = propose(question.space, question.method, question.root, question.maximize, before, n)
        self.is_used_up = len(points) < n
        for number, values in enumerate(points, start=first + 1):
            if number not in self.trials:
                self._begin(Trial(number, values))
        return bool(points) and first + n < self.n_trials

    def _is_whole(self, first: int) -> bool:
        return all(number in self.trials for number in range(first + 1, first + self.question.at_once + 1))

    def _begin(self, trial: Trial) -> None:
        """Make a trial ready; what does not fit the data is over at once."""
        question = self.question
        try:
            variant = question.space.variant(str(trial.number), question.start, trial.values)
            trial.settled = self._settler.settle(variant)
        except LimpideError as error:
            trial.error = str(error)
            self._end(trial, "failed")
        else:
            self.open[trial.number] = trial

    def _needed(self, trial: Trial) -> tuple[int, ...]:
        seeds = self.question.seeds
        return seeds if seeds[0] in trial.scores else seeds[:1]

    def take(self, training: Training, score: Score) -> None:
        """A score, whoever trained for it."""
        trial = self.open.get(int(training.name))
        was_here = self.under_way.pop((int(training.name), training.seed), None) is not None
        if trial is None or training.seed in trial.scores:
            return
        self._count(was_here)
        value = score.metrics.get(self.question.metric)
        trial.seconds += score.seconds
        if value is None:
            trial.error = score.error or _("the metric is not defined on these rows")
            # which of the others came before depends on who trained first
            trial.scores = {seed: trial.scores[seed] for seed in self.question.seeds[:1] if seed in trial.scores}
            self._end(trial, "failed")
        else:
            trial.scores[training.seed] = value
            trial.diverged += [training.seed] if score.diverged else []
            if len(trial.scores) == 1 and self.question.repeats > 1 and self._is_behind(trial):
                self._end(trial, "pruned")
            elif len(trial.scores) == self.question.repeats:
                # a record does not tell who trained first
                trial.scores = {seed: trial.scores[seed] for seed in self.question.seeds}
                self._end(trial, "done")
        if self.watch:
            self.watch(self)

    def _is_behind(self, trial: Trial) -> bool:
        """Whether its first score is worse than the middle of those of all rounds before; the first round has none."""
        first, size = self.question.seeds[0], self.question.at_once
        until = (trial.number - 1) // size * size
        before = [t.scores[first] for i in range(until) if first in (t := self.trials[i + 1]).scores]
        if not before:
            return False
        gap = trial.scores[first] - median(before)
        return gap < 0 if self.question.maximize else gap > 0

    def _end(self, trial: Trial, state: str) -> None:
        """A trial is over: it is written down, by one of those who work on the search."""
        trial.state = state  # type: ignore[assignment]
        self.open.pop(trial.number, None)
        while not self._shelf.claim(RECORDS):
            time.sleep(POLL / 10)
        try:
            known = self._records.load()
            if trial.number not in known:
                self._records.add(trial)
        finally:
            self._shelf.release(RECORDS)
        self.trials[trial.number] = known.get(trial.number, trial)

    def follow(self, training: Training, epoch: Epoch | None) -> None:
        """A training of the search goes on.

        Raises  TimeIsUp
        """
        self._check_time()
        self.follow_final(training, epoch)

    def begin_finals(self, finalists: list[Trial]) -> None:
        """The search is over: what follows is not cut short."""
        self.finalists = finalists
        if self.watch:
            self.watch(self)

    def take_final(self, training: Training) -> None:
        """A training of a finalist is over, whoever trained."""
        self._count(self.under_way.pop((int(training.name), training.seed), None) is not None)
        self.finals.add((int(training.name), training.seed))
        if self.watch:
            self.watch(self)

    def _count(self, was_here: bool) -> None:
        """Count a training that this process made."""
        self.n_trained += was_here
        if was_here and self.n_trained == 1:
            self._first_at = time.monotonic()

    def follow_final(self, training: Training, epoch: Epoch | None) -> None:
        """A training of a finalist goes on."""
        done = 0 if epoch is None else epoch.epoch
        self.under_way[int(training.name), training.seed] = (done, training.recipe.training.epochs or 0)

    def _check_time(self) -> None:
        if self.deadline is not None and self.trials:
            each = self.seconds_each() or 0.0
            if time.monotonic() + self.n_final * each > self.deadline:
                raise TimeIsUp

    @property
    def n_final(self) -> int:
        """The trainings that follow the search, at most."""
        if self.finalists:
            return len(self.finalists) * self.n_fresh
        done = sum(trial.state == "done" for trial in [*self.trials.values()])
        likely = done if self.n_trials == inf else self.n_trials
        return int(min(FINALISTS, max(likely, 1))) * self.n_fresh

    def seconds_each(self) -> float | None:
        """How long a training takes, those beside it counted; None before the second.

        The first is left out: it has to wait for compilers and for processes to start.
        """
        if self.n_trained < 2:
            return None
        return (time.monotonic() - self._first_at) / (self.n_trained - 1)

    def n_left(self) -> float:
        """The trainings to come at most, those that follow the search among them; infinite where the time decides."""
        if self.finalists:
            return self.n_final - len(self.finals)
        started = sum(len(trial.scores) for trial in [*self.open.values()])
        trials = self.n_trials - len(self.trials)
        return max(trials * self.question.repeats - started, 0) + self.n_final


Watch = Callable[[Explorer], None]
"""Called before the first training, and after each."""
