"""Trials: every variant trained under every seed, as many side by side as there are cores, nothing trained twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from limpide.data.rows import Part
from limpide.errors import RunError, problem
from limpide.experiment.scores import Score, Shelf, score_key
from limpide.experiment.variants import Settled, Settler, Variant, settle_all
from limpide.history import Epoch
from limpide.i18n import _
from limpide.many import train_many
from limpide.recipe import Recipe
from limpide.workers import Outcome

Ended = Literal["seeds", "time", "interrupted"]
"""All seeds asked for are done; the deadline came; Ctrl-C came."""


POLL = 0.3
"""Seconds between two looks at what other processes have done, for who has nothing else to do."""


class TimeIsUp(Exception):
    """The deadline came."""


@dataclass(frozen=True)
class Training:
    """One training of an experiment.

    name  of what is trained
    data  the SHA-256 of the data
    part  the rows that its score is taken on
    """

    name: str
    seed: int
    recipe: Recipe
    data: str
    part: Part = "validation"

    @property
    def key(self) -> str:
        """What its score is kept under."""
        return score_key(self.recipe, self.data, self.part)


Wanted = Callable[[], Sequence[Training]]
Take = Callable[[Training, Score], None]
Follow = Callable[[Training, Epoch | None], None]


def train_wanted(
    wanted: Wanted,
    take: Take,
    shelf: Shelf,
    *,
    workers: int | None = None,
    source: Any = None,
    test: bool = False,
    follow: Follow | None = None,
) -> None:
    """Score trainings until none is wanted: those that are on the shelf, and those that no other process is at.

    wanted  what has no score yet, the most urgent first; asked anew as workers become free
    take    called with each score as it comes, whoever trained
    test    whether the test set is measured too
    follow  called before the first epoch of a training (None) and after each
    Raises  RunError when the data changed; what `take` and `follow` raise ends all trainings
    """
    agenda = _Agenda(wanted, take, shelf)

    def watch(i: int, epoch: Epoch | None) -> None:
        assert follow is not None
        follow(agenda.given[i], epoch)

    looked_at = watch if follow is not None else None
    outcomes = train_many(agenda, workers=workers, source=source, test=test, watch=looked_at)
    try:
        with closing(outcomes):  # type: ignore[type-var]
            for i, outcome in outcomes:
                training = agenda.given[i]
                _check_data(training, outcome)
                # the validation rows are measured where the test rows are
                for part in {training.part, "validation"} if outcome.run is not None else {training.part}:
                    measured = replace(training, part=part)
                    shelf.put(measured.key, outcome, Score.of(outcome, part))
                agenda.close(training)
                take(training, Score.of(outcome, training.part))
    finally:
        for training in tuple(agenda.under_way.values()):
            agenda.close(training)


def _check_data(training: Training, outcome: Outcome) -> None:
    if outcome.run is not None and outcome.run.dataset_sha256 != training.data:
        mend = _("it changed meanwhile: compare anew")
        raise RunError(problem(_("data"), training.data[:12], outcome.run.dataset_sha256[:12], mend))


class _Agenda:
    """The recipes that this process trains, one by one: wanted, and claimed by no other.

    given      those given out
    under_way  those of them that are not over, by key
    """

    def __init__(self, wanted: Wanted, take: Take, shelf: Shelf) -> None:
        self._wanted, self._take, self._shelf = wanted, take, shelf
        self.given: list[Training] = []
        self.under_way: dict[str, Training] = {}

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Recipe | None:
        """The next recipe; None where it depends on what is under way. Waits for others when all is theirs."""
        while True:
            free = [training for training in self._wanted() if training.key not in self.under_way]
            if not free and not self.under_way:
                raise StopIteration
            if self._is_taken(free):
                continue
            for training in free:
                if self._shelf.claim(training.key):
                    self.under_way[training.key] = training
                    # who held it may have scored it since the look at the shelf
                    if self._is_taken([training]):
                        self.close(training)
                        break
                    self.given.append(training)
                    return training.recipe
            else:
                if self.under_way:
                    return None
                time.sleep(POLL)

    def _is_taken(self, trainings: Sequence[Training]) -> bool:
        """Take the first score that is on the shelf already; whether there was one."""
        for training in trainings:
            score = self._shelf.get(training.key)
            if score is not None:
                self._take(training, score)
                return True
        return False

    def close(self, training: Training) -> None:
        """A training is over, or given up."""
        self.under_way.pop(training.key, None)
        self._shelf.release(training.key)


class Trials:
    """Variants of one experiment, and what each was worth under each seed so far.

    settled    by name
    unfit      why others do not fit the data, by name
    scores     by name, by seed
    seeds      those asked for at the moment
    under_way  trainings in progress by name and seed: epochs done, and epochs at most
    deadline   by `time.monotonic`; None where there is none
    """

    def __init__(
        self,
        variants: Sequence[Variant],
        shelf: Shelf,
        *,
        source: Any = None,
        splits: bool = False,
        workers: int | None = None,
        seconds: float | None = None,
    ) -> None:
        """Make every variant ready; those met before are taken from the shelf's plan.

        source   the data, where the recipes cannot name it
        splits   whether each seed deals the rows out anew
        seconds  how long all trainings may take; None: as long as they need
        Raises   as `settle_all`
        """
        self.started = time.monotonic()
        self.deadline = None if seconds is None else self.started + seconds
        self.shelf, self.source, self.workers = shelf, source, workers
        known = {key: Settled.from_dict(saved) for key, saved in shelf.plan.get("settled", {}).items()}
        settled, self.unfit = settle_all(variants, Settler(source), known)
        if not settled.keys() <= known.keys() or any(known[key] != settled[key] for key in settled):
            shelf.plan["settled"] = {key: one.to_dict() for key, one in (known | settled).items()}
            shelf.write_plan()
        self.settled = {one.name: one for one in settled.values()}
        first = variants[0].recipe
        self.root = first.seed
        self._split_seed = None if splits else first.seed if first.split.seed is None else first.split.seed
        self.seeds: tuple[int, ...] = ()
        self.scores: dict[str, dict[int, Score]] = {name: {} for name in self.settled}
        self.under_way: dict[tuple[str, int], tuple[int, int]] = {}

    def done(self) -> tuple[int, ...]:
        """The seeds asked for under which every variant was tried."""
        return tuple(seed for seed in self.seeds if all(seed in of for of in self.scores.values()))

    def train(self, seeds: Iterable[int], watch: Watch | None = None) -> Ended:
        """Score every variant under every seed, the seeds in turn; how it ended.

        What is on the shelf is not trained again, and each new score is on it before the next is waited for.
        """
        self.seeds = tuple(seeds)
        missing = [self._training(name, seed) for seed in self.seeds for name in self.settled]
        missing = [training for training in missing if not self._is_known(training)]
        if watch:
            watch(self)

        def take(training: Training, score: Score) -> None:
            self.under_way.pop((training.name, training.seed), None)
            self.scores[training.name][training.seed] = score
            if watch:
                watch(self)

        def wanted() -> list[Training]:
            self._check_time()
            return [training for training in missing if training.seed not in self.scores[training.name]]

        try:
            # epochs come from other processes: they are sent only where somebody looks
            follow = self._follow if watch or self.deadline is not None else None
            self._train(wanted, take, follow)
        except TimeIsUp:
            return "time"
        except KeyboardInterrupt:
            return "interrupted"
        finally:
            self.under_way.clear()
        return "seeds"

    def test(self, name: str, seeds: Iterable[int]) -> dict[int, Score]:
        """A variant measured on the test set, trained again under these seeds; what was measured before is kept."""
        trainings = [self._training(name, seed, "test") for seed in seeds]
        found: dict[int, Score] = {}
        self._train(
            lambda: [training for training in trainings if training.seed not in found],
            lambda training, score: found.update({training.seed: score}),
            test=True,
        )
        return {training.seed: found[training.seed] for training in trainings}

    def _train(self, wanted: Wanted, take: Take, follow: Follow | None = None, test: bool = False) -> None:
        if wanted():
            terms = {"workers": self.workers, "source": self.source}
            train_wanted(wanted, take, self.shelf, **terms, test=test, follow=follow)

    def _check_time(self) -> None:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TimeIsUp

    def _follow(self, training: Training, epoch: Epoch | None) -> None:
        self._check_time()
        done = 0 if epoch is None else epoch.epoch
        self.under_way[training.name, training.seed] = (done, training.recipe.training.epochs or 0)

    def _training(self, name: str, seed: int, part: Part = "validation") -> Training:
        settled = self.settled[name]
        return Training(name, seed, settled.under(seed, self._split_seed), settled.data, part)

    def _is_known(self, training: Training) -> bool:
        """Take a score from the shelf; whether there is one."""
        score = self.shelf.get(training.key)
        if score is not None:
            self.scores[training.name][training.seed] = score
        return score is not None


Watch = Callable[[Trials], None]
"""Called when trainings begin, and after each."""
