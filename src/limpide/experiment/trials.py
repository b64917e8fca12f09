"""Trials: every variant trained under every seed, as many side by side as there are cores, nothing trained twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any, Literal

from limpide.errors import RunError, problem
from limpide.experiment.scores import Score, Shelf, score_key
from limpide.experiment.variants import Settled, Settler, Variant, settle_all
from limpide.history import Epoch
from limpide.i18n import _
from limpide.job import Part
from limpide.many import Outcome, train_many

Ended = Literal["seeds", "time", "interrupted"]
"""All seeds asked for are done; the deadline came; Ctrl-C came."""


class _TimeIsUp(Exception):
    pass


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
        missing = [(name, seed) for seed in self.seeds for name in self.settled if not self._take(name, seed)]
        if watch:
            watch(self)
        try:
            for name, seed, outcome in self._train(missing, watch) if missing else ():
                score = Score.of(outcome)
                self.shelf.put(self._key(name, seed), outcome, score)
                self.scores[name][seed] = score
                if watch:
                    watch(self)
        except _TimeIsUp:
            return "time"
        except KeyboardInterrupt:
            return "interrupted"
        finally:
            self.under_way.clear()
        return "seeds"

    def test(self, name: str, seeds: Iterable[int]) -> dict[int, Score]:
        """A variant measured on the test set, trained again under these seeds; what was measured before is kept."""
        wanted = tuple(seeds)
        keys = {seed: self._key(name, seed, "test") for seed in wanted}
        found = {seed: score for seed in wanted if (score := self.shelf.get(keys[seed])) is not None}
        missing = [(name, seed) for seed in wanted if seed not in found]
        for _name, seed, outcome in self._train(missing, None, test=True) if missing else ():
            found[seed] = Score.of(outcome, "test")
            self.shelf.put(keys[seed], outcome, found[seed])
        return {seed: found[seed] for seed in wanted}

    def _train(
        self, missing: Sequence[tuple[str, int]], watch: Watch | None, test: bool = False
    ) -> Iterable[tuple[str, int, Outcome]]:
        recipes = [self.settled[name].under(seed, self._split_seed) for name, seed in missing]
        deadline = None if test else self.deadline

        def follow(i: int, epoch: Epoch | None) -> None:
            if deadline is not None and time.monotonic() > deadline:
                raise _TimeIsUp
            self.under_way[missing[i]] = (0 if epoch is None else epoch.epoch, recipes[i].training.epochs or 0)

        # epochs come from other processes: they are sent only where somebody looks
        looked_at = follow if watch or deadline is not None else None
        outcomes = train_many(recipes, workers=self.workers, source=self.source, test=test, watch=looked_at)
        with closing(outcomes):  # type: ignore[type-var]
            for i, outcome in outcomes:
                name, seed = missing[i]
                self.under_way.pop((name, seed), None)
                self._check_data(self.settled[name], outcome)
                yield name, seed, outcome

    def _check_data(self, settled: Settled, outcome: Outcome) -> None:
        if outcome.run is not None and outcome.run.dataset_sha256 != settled.data:
            mend = _("it changed meanwhile: compare anew")
            raise RunError(problem(_("data"), settled.data[:12], outcome.run.dataset_sha256[:12], mend))

    def _key(self, name: str, seed: int, part: Part = "validation") -> str:
        settled = self.settled[name]
        return score_key(settled.under(seed, self._split_seed), settled.data, part)

    def _take(self, name: str, seed: int) -> bool:
        """Take a score from the shelf; whether there is one."""
        score = self.shelf.get(self._key(name, seed))
        if score is not None:
            self.scores[name][seed] = score
        return score is not None


Watch = Callable[[Trials], None]
"""Called when trainings begin, and after each."""
