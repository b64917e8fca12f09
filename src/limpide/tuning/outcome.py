"""What a search found: its trials, those trained again under fresh seeds, and which of them is recommended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from limpide.checkpoint import write_file
from limpide.errors import RunError, problem
from limpide.evaluation import METRICS, format_metric
from limpide.experiment.verdict import Terms, Words, default_zone, mean_and_interval
from limpide.i18n import N_, _, format_count, format_number, ngettext
from limpide.paired import FEWEST, Difference, Finding, holm_levels, paired_difference
from limpide.recipe import Recipe
from limpide.tuning.exploring import Question
from limpide.tuning.records import STATES, Trial

if TYPE_CHECKING:
    from limpide.figures.search import SearchFigures

Stopped = Literal["trials", "space", "time", "interrupted"]

FINDINGS: dict[Finding, str] = {
    "better": N_("worse"),
    "equal": N_("practically equal"),
    "open": N_("may be as good"),
    "worse": N_("better"),
}
"""What is found of a finalist beside the winner, which is the first of the pair."""


@dataclass(frozen=True)
class Beside:
    """A finalist beside the winner, on the fresh seeds.

    difference  the winner minus it, so that more is better
    half        half of the interval at the level that all finalists share
    """

    trial: Trial
    difference: Difference
    half: float
    finding: Finding

    @property
    def ties(self) -> bool:
        """Whether it may be as good as the winner."""
        return self.finding != "better"

    @property
    def is_near(self) -> bool:
        """Whether it is at most one standard error behind: few seeds tie much that is worse in the mean.

        Source  Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees, section 3.4.3
        """
        return self.ties and self.difference.mean <= self.difference.error


@dataclass
class Search:
    """What `search` gives: `print` it for the verdict, or look at its trials, finalists, figures, report.

    trials    every one that is over, in order
    finalists the best of the search, the winner first, by number
    fresh     the metric on the validation rows under seeds that no trial had, by number, by seed
    test      the winner's trainings under the fresh seeds on the test set, by seed; empty where it stayed shut
    openings  trials that the test set was opened for, the winner included
    stopped   why there are no more: all asked for are done, the space is used up, the time is, Ctrl-C
    failed    why a finalist has no fresh score, by number
    """

    question: Question
    trials: list[Trial]
    finalists: tuple[int, ...]
    fresh: dict[int, dict[int, float]]
    test: dict[int, float]
    openings: int
    stopped: Stopped
    failed: dict[int, str] = field(default_factory=dict)
    path: Path | None = None

    def trial(self, number: int) -> Trial:
        """The trial of a number."""
        return next(trial for trial in self.trials if trial.number == number)

    @cached_property
    def ranked(self) -> list[Trial]:
        """The trials trained under every seed, the best first."""
        return self.question.ranked(self.trials)

    @property
    def winner(self) -> Trial | None:
        """The best mean of the search; None where no trial came to its end."""
        return self.trial(self.finalists[0]) if self.finalists else None

    @cached_property
    def terms(self) -> Terms:
        """How scores are read."""
        means = [fmean(of.values()) for of in self.fresh.values() if of]
        return Terms(self.question.metric, default_zone(self.question.metric, means))

    @cached_property
    def beside(self) -> list[Beside]:
        """Each other finalist beside the winner: all share one chance of being wrong (Holm)."""
        held = {number: self.fresh.get(number, {}) for number in self.finalists}
        others = self.finalists[1:]
        gaps = []
        for number in others:
            seeds = [seed for seed in held[self.finalists[0]] if seed in held[number]]
            first, second = ([self.terms.sign * held[n][s] for s in seeds] for n in (self.finalists[0], number))
            gaps.append(paired_difference(first, second))
        levels = holm_levels([gap.p_value() for gap in gaps], self.terms.alpha)
        return [
            Beside(self.trial(number), gap, gap.half_width(level), gap.find(self.terms.zone, level))
            for number, gap, level in zip(others, gaps, levels, strict=True)
        ]

    @property
    def ties(self) -> list[Trial]:
        """The finalists that may be as good as the winner; those that failed under a fresh seed are not among them."""
        if not any(self.fresh.values()):
            return []
        return [one.trial for one in self.beside if one.ties and one.trial.number not in self.failed]

    @property
    def recommended(self) -> Trial | None:
        """Of the winner and those near it the one with the fewest parameters; of equals the better."""
        if self.winner is None:
            return None
        near = {one.trial.number for one in self.beside if one.is_near}
        among = [self.winner, *(trial for trial in self.ties if trial.number in near)]
        return min(among, key=lambda trial: trial.parameters or 0)

    @property
    def recipe(self) -> Recipe:
        """The recommended recipe, with nothing left to infer.

        Raises  RunError where no trial came to its end
        """
        trial = self.recommended
        if trial is None:
            raise RunError(problem(_("search"), _("a trial that came to its end"), _("none")))
        return self.question.training(trial, self.question.root).recipe

    def to_toml(self) -> str:
        """The recommended recipe as `limpide train` takes it."""
        trial = self.recommended
        assert trial is not None
        text = _("trial {n} of the search").format(n=trial.number)
        return self.recipe.to_toml({knob.key: text for knob in self.question.space.knobs})

    @property
    def words(self) -> Words:
        """How differences are told, in the user's language."""
        return Words(self.terms, self.n_fresh, len(self.beside))

    def shown(self, scores: Mapping[int, float]) -> str:
        """The mean of scores, with its 95% interval where there is one; "–" for none."""
        if not scores:
            return "–"
        mean, _sd, half = mean_and_interval(list(scores.values()))
        text = format_metric(self.question.metric, mean)
        if not isfinite(half):
            return text
        low, high = METRICS[self.question.metric].bounds
        ends = [format_metric(self.question.metric, end) for end in (max(mean - half, low), min(mean + half, high))]
        return _("{value} ({low} to {high})").format(value=text, low=ends[0], high=ends[1])

    def numbers(self, trial: Trial) -> list[tuple[str, str]]:
        """A trial's search score, its fresh score, and where it was taken the test score."""
        test = self.test if self.winner is trial else {}
        return [
            (_("in the search"), self.shown(trial.scores)),
            (_("under fresh seeds"), self.shown(self.fresh.get(trial.number, {}))),
            *([(_("on the test set"), self.shown(test))] if test else []),
        ]

    @property
    def verdict(self) -> str:
        """What was found, in a few sentences."""
        winner, label = self.winner, _(METRICS[self.question.metric].label)
        if winner is None:
            return _("Nothing was found: no trial came to its end.")
        numbers = ", ".join(f"{value} {where}" for where, value in self._means(winner))
        best = _("Trial {trial} is the best of {n}: {metric} {numbers}.")
        said = best.format(n=format_count(len(self.trials)), trial=winner.number, metric=label, numbers=numbers)
        return f"{said} {self._advice(winner)}".strip()

    def _means(self, trial: Trial) -> list[tuple[str, str]]:
        held = [trial.scores, self.fresh.get(trial.number, {}), self.test if self.winner is trial else {}]
        places = [_("in the search"), _("under fresh seeds"), _("on the test set")]
        return [
            (place, format_metric(self.question.metric, fmean(of.values()))) for place, of in zip(places, held) if of
        ]

    def _advice(self, winner: Trial) -> str:
        """Which trials tie with the winner, and which is recommended."""
        if not any(self.fresh.values()):
            return ""
        chosen, n = self.recommended, len(self.ties)
        assert chosen is not None
        if not n:
            return _("No other finalist ties with it: it is recommended.")
        said = ngettext("{n} finalist ties with it: {names}.", "{n} finalists tie with it: {names}.", n).format(
            n=format_count(n), names=", ".join(str(trial.number) for trial in self.ties)
        )
        if chosen is winner:
            is_simpler = any((tie.parameters or 0) < (winner.parameters or 0) for tie in self.ties)
            far = _("The simpler ones are more than a standard error behind: it is recommended itself.")
            return said + " " + (far if is_simpler else _("None of them is simpler: it is recommended."))
        text = _(
            "The simplest within a standard error of it is {trial}, with {n} parameters instead of {most}: that one is "
            "recommended."
        )
        sizes = {"n": format_count(chosen.parameters or 0), "most": format_count(winner.parameters or 0)}
        return said + " " + text.format(trial=chosen.number, **sizes)

    def ending(self) -> str:
        """Why there are no more trials."""
        n = len(self.trials)
        trials = ngettext("{n} trial", "{n} trials", n).format(n=format_count(n))
        text = {
            "trials": _("{trials}, as asked"),
            "space": _("{trials}: there are no other points in the space"),
            "time": _("the time is up after {trials}"),
            "interrupted": _("interrupted after {trials}; the same command goes on"),
        }[self.stopped]
        return text.format(trials=trials)

    def notes(self) -> list[str]:
        """What the figures are, and what they do not say."""
        question, n, drawn = self.question, self.question.base.rows["validation"], self.question.base.drawn
        rows = ngettext("measured on {n} validation row", "measured on {n} validation rows", n)
        if drawn is not None:
            rows = _("measured on about {drawn} of the {n} validation rows; each seed draws others")
        text = ngettext(
            "a trial is {n} training", "a trial is {n} trainings; all have the same seeds", question.repeats
        )
        rows = rows.format(n=format_count(n), drawn=format_count(drawn or n))
        notes = [rows, text.format(n=format_count(question.repeats))]
        if any(self.fresh.values()):
            notes.append(_("luck is in the score of the search, which chose the best of many; expect the fresh score"))
        pruned = sum(trial.state == "pruned" for trial in self.trials)
        if pruned:
            text = ngettext(
                "{n} trial was given up after its first seed, behind the middle of the rounds before",
                "{n} trials were given up after their first seed, behind the middle of the rounds before",
                pruned,
            )
            notes.append(text.format(n=format_count(pruned)))
        if 0 < self.n_fresh < FEWEST:
            notes.append(_("fewer than {n} fresh seeds cannot tell finalists apart").format(n=FEWEST))
        notes.append(self._test_note())
        return notes

    @property
    def n_fresh(self) -> int:
        """The fresh seeds that the winner has scores of."""
        return len(self.fresh.get(self.finalists[0], {})) if self.finalists else 0

    def _test_note(self) -> str:
        if not self.test:
            return _("the test set was not opened")
        text = ngettext(
            "the test set was opened once, for the winner",
            "the test set was opened for {n} winners, as the search went on: its score is no longer quite unbiased",
            self.openings,
        )
        return text.format(n=format_count(self.openings))

    def troubles(self) -> list[str]:
        """Trials that failed or diverged, and why."""
        failed = [trial for trial in self.trials if trial.state == "failed"]
        reasons: dict[str, list[int]] = {}
        for trial in failed:
            reasons.setdefault(trial.error, []).append(trial.number)
        text = _("failed: trial {numbers}: {reason}")
        told = [text.format(numbers=_listed(of), reason=reason) for reason, of in reasons.items()]
        diverged = [trial.number for trial in self.trials if trial.diverged]
        if diverged:
            text = _("diverged under some seed, scored with the weights kept before: trial {numbers}")
            told.append(text.format(numbers=_listed(diverged)))
        text = _("trial {n} failed under a fresh seed, so nothing is claimed of it: {reason}")
        return told + [text.format(n=number, reason=reason) for number, reason in self.failed.items()]

    def values(self, trial: Trial) -> str:
        """The values of a trial's knobs, in a line."""
        return ", ".join(f"{name}={show_value(value)}" for name, value in trial.values.items())

    @cached_property
    def importance(self) -> dict[str, float]:
        """The share of the spread between trials that each knob makes, the largest first; empty for few trials."""
        from limpide.tuning.importance import importance

        return importance(self)

    @property
    def figures(self) -> SearchFigures:
        """The figures of this search: `search.figures.history()`."""
        from limpide.figures.search import SearchFigures

        return SearchFigures(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON: what `limpide search --json` prints."""
        chosen, winner = self.recommended, self.winner
        return {
            "verdict": self.verdict,
            "metric": self.question.metric,
            "method": self.question.method,
            "space": self.question.space.to_dict(),
            "seeds": list(self.question.seeds),
            "stopped": self.stopped,
            "rows": self.question.base.rows,
            "winner": winner and winner.number,
            "recommended": chosen and chosen.number,
            "ties": [trial.number for trial in self.ties],
            "search_score": winner and winner.mean,
            "fresh_score": fmean(of.values()) if winner and (of := self.fresh.get(winner.number)) else None,
            "test_score": fmean(self.test.values()) if self.test else None,
            "test": _by_seed(self.test),
            "openings": self.openings,
            "finalists": [self._finalist(number) for number in self.finalists],
            "trials": [self._trial_facts(trial) for trial in self.trials],
            "importance": self.importance,
            "notes": self.notes(),
            "troubles": self.troubles(),
            "search": str(self.path) if self.path else None,
        }

    def _finalist(self, number: int) -> dict[str, Any]:
        beside = next((one for one in self.beside if one.trial.number == number), None)
        facts: dict[str, Any] = {"trial": number, "fresh": _by_seed(self.fresh.get(number, {}))}
        if beside is not None:
            half = beside.half if isfinite(beside.half) else None
            facts |= {"behind_winner": beside.difference.mean, "half_width": half, "finding": beside.finding}
        return facts | {"failed": self.failed.get(number)}

    def _trial_facts(self, trial: Trial) -> dict[str, Any]:
        facts = trial.facts()
        settled = facts.pop("settled")
        return facts | {"mean": trial.mean, "parameters": trial.parameters, "recipe": settled and settled["recipe"]}

    def report(self, path: str | Path | None = None) -> Path:
        """Write the search as one HTML file; into its folder when no path is given.

        Raises  RunError when it has no folder and no path is given, or the file cannot be written
        """
        from limpide.report import page_place
        from limpide.tuning.page import render_search

        place = page_place(path, self.path, _("a search that is not kept"), _("give one, or keep the search"))
        return write_file(place, render_search(self).encode())

    def __str__(self) -> str:
        return self.verdict

    def __repr__(self) -> str:
        return f"<Search {self.verdict}>"

    def _repr_html_(self) -> str:
        """The verdict and the trials, in a notebook."""
        from html import escape

        shown = self.figures.history().svg() if "history" in self.figures.names() else ""
        return f"<p><strong>{escape(self.verdict)}</strong></p>{shown}"


def show_value(value: Any) -> str:
    """A knob's value as people read it."""
    return format_number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def state_word(trial: Trial) -> str:
    """What became of a trial, in the user's language."""
    return _(STATES[trial.state])


def _by_seed(values: Mapping[int, Any]) -> dict[str, Any]:
    return {str(seed): value for seed, value in values.items()}


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
