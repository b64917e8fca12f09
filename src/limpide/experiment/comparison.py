"""A comparison: the scores of every variant under every seed, what they show, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from limpide.checkpoint import write_file
from limpide.evaluation import METRICS, format_metric
from limpide.experiment.scores import Score
from limpide.experiment.variants import Settled, differing
from limpide.experiment.verdict import Pair, Standing, Standings, Terms, Words, mean_and_interval, stand
from limpide.i18n import _, format_count, format_number, format_percent, ngettext

if TYPE_CHECKING:
    from limpide.figures.comparison import ComparisonFigures

Stopped = Literal["seeds", "settled", "time", "interrupted"]


@dataclass(frozen=True)
class Row:
    """A variant over all seeds.

    low, high  95% interval of the mean; None without one
    failed     seed -> why there is no score
    diverged   seeds whose training diverged; the weights kept before were scored
    seconds    of a training, the median; beside others at work on the same machine
    updates    to reach the loss that all are timed to, the median; None when half of the trainings never do
    """

    name: str
    standing: Standing
    scores: dict[int, float]
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    failed: dict[int, str]
    diverged: tuple[int, ...]
    parameters: int | None
    seconds: float | None
    updates: int | None


@dataclass
class Comparison:
    """What `compare` gives: `print` it for the verdict, or look at its rows, pairs, figures, report.

    settled   the variants, each with the recipe that redoes it; those that do not fit the data are not among them
    unfit     why each of the others does not fit, by name
    scores    by name, by seed; under each of these seeds every variant was tried
    stopped   why no more seeds were trained: all asked for are done, the verdict is settled, the time is up, Ctrl-C
    test      scores on the test set, opened for the best variant when asked: its name, the score of each seed
    openings  for how many variants the test set was opened, this one included
    """

    settled: dict[str, Settled]
    unfit: dict[str, str]
    scores: dict[str, dict[int, Score]]
    terms: Terms
    seeds: tuple[int, ...]
    stopped: Stopped
    test: tuple[str, dict[int, float]] | None = None
    openings: int = 0
    path: Path | None = field(default=None)

    @cached_property
    def standings(self) -> Standings:
        """Every variant in its place, and every pair."""
        values = {name: self.values(name) for name in self.scores}
        return stand(values | {name: {} for name in self.unfit}, self.terms)

    def values(self, name: str) -> dict[int, float | None]:
        """The metric of a variant under each seed; None where the run failed."""
        return {seed: score.metrics.get(self.terms.metric) for seed, score in self.scores[name].items()}

    @property
    def words(self) -> Words:
        """The sentences, in the user's language."""
        judged = sum(1 for pair in self.standings.pairs if not pair.failed)
        return Words(self.terms, len(self.seeds), judged)

    @property
    def verdict(self) -> str:
        """What is shown, in a sentence or two."""
        if len(self.scores) + len(self.unfit) == 1:
            return self._alone()
        return self.words.verdict(self.standings)

    def _alone(self) -> str:
        row = self.rows[0]
        if row.mean is None:
            return _("{name} failed under every seed.").format(name=row.name)
        label, value = _(METRICS[self.terms.metric].label), format_metric(self.terms.metric, row.mean)
        if row.low is None or row.high is None:
            return _("{name}: {metric} {value}.").format(name=row.name, metric=label, value=value)
        low, high = (format_metric(self.terms.metric, end) for end in (row.low, row.high))
        seeds = ngettext("{n} seed", "{n} seeds", len(row.scores)).format(n=format_count(len(row.scores)))
        text = _("{name}: {metric} {value} on the mean of {seeds} ({level} interval {low} to {high}).")
        return text.format(
            name=row.name,
            metric=label,
            value=value,
            seeds=seeds,
            level=format_percent(0.95),
            low=low,
            high=high,
        )

    @cached_property
    def common_loss(self) -> float | None:
        """The validation loss that every variant is timed to: the highest of their medians, which all reach.

        None where the variants do not lower the same loss, or none was trained.
        """
        losses = {settled.recipe.training.loss for settled in self.settled.values()}
        reached = [[s.loss for s in of.values() if s.loss is not None] for of in self.scores.values()]
        medians = [median(of) for of in reached if of]
        return max(medians) if len(losses) == 1 and medians else None

    @cached_property
    def rows(self) -> list[Row]:
        """A row for each variant, the best mean first."""
        return [self._row(name) for name in self.standings.order]

    def _row(self, name: str) -> Row:
        of = self.scores.get(name, {})
        values = {seed: value for seed, value in self.values(name).items() if value is not None} if of else {}
        mean = sd = low = high = None
        if values:
            mean, spread, half = mean_and_interval(list(values.values()), self.terms.overlap)
            sd = spread if len(values) > 1 else None
            bottom, top = METRICS[self.terms.metric].bounds
            if isfinite(half):
                low, high = max(mean - half, bottom), min(mean + half, top)
        undefined = _("the metric is not defined on these rows")
        failed = {seed: score.error or undefined for seed, score in of.items() if seed not in values}
        done = [score for score in of.values() if not score.error]
        return Row(
            name,
            self.standings.standing(name),
            values,
            mean,
            sd,
            low,
            high,
            failed,
            tuple(seed for seed, score in of.items() if score.diverged),
            self.settled[name].parameters if name in self.settled else None,
            median(score.seconds for score in done) if done else None,
            self._updates(done),
        )

    def _updates(self, done: Sequence[Score]) -> int | None:
        if self.common_loss is None or not done:
            return None
        reached = sorted(at for score in done if (at := score.updates_to(self.common_loss)) is not None)
        middle = (len(done) - 1) // 2
        return reached[middle] if middle < len(reached) else None

    @property
    def differing(self) -> dict[str, list[Any]]:
        """The recipe's keys in which the variants differ, with the value of each: what was compared in truth."""
        return differing(list(self.settled.values()))

    def notes(self) -> list[str]:
        """What the figures are, and what they do not say."""
        first = next(iter(self.settled.values()))
        n = first.rows["validation"]
        text = ngettext(
            "measured on {n} validation row, which also chose the epoch that is kept",
            "measured on {n} validation rows, which also chose the epoch that is kept",
            n,
        )
        if first.drawn is not None:
            text = _(
                "measured on about {drawn} of the {n} validation rows, which also chose the epoch that is kept; each "
                "seed draws others, so the interval covers which were drawn"
            )
        notes = [text.format(n=format_count(n), drawn=format_count(first.drawn or n))]
        notes.append(self._test_note())
        if self.terms.overlap:
            notes.append(_("every seed has a split of its own; the interval allows for the rows that the splits share"))
        elif len(self.scores) > 1:
            notes.append(
                _("all seeds share one split: other rows may favour another variant; --splits deals them anew")
            )
        if self.common_loss is not None:
            text = _("updates are counted to a validation loss of {loss}, which half of each variant's trainings reach")
            notes.append(text.format(loss=format_number(self.common_loss, 3)))
        if self.terms.n_looks > 1 and not self.terms.is_planned:
            notes.append(_("seeds were added after a look at fewer: this look is judged harder"))
        return notes

    def troubles(self) -> list[str]:
        """What befell variants: those that do not fit the data, that failed, that diverged."""
        text = _("{name} was not trained: {reason}")
        unfit = [text.format(name=name, reason=reason) for name, reason in self.unfit.items()]
        return unfit + [trouble for row in self.rows for trouble in self._trouble(row)]

    def _test_note(self) -> str:
        if self.test is None:
            return _("the test set was not opened")
        name, scores = self.test
        mean, _sd, half = mean_and_interval(list(scores.values()), self.terms.overlap)
        metric, label = self.terms.metric, _(METRICS[self.terms.metric].label)
        text = ngettext(
            "the test set was opened, once, for {name}: {metric} {value} ({low} to {high} over seeds)",
            "the test set was opened for {n} variants, here for {name}: {metric} {value} ({low} to {high} over seeds)",
            self.openings,
        )
        return text.format(
            n=format_count(self.openings),
            name=name,
            metric=label,
            value=format_metric(metric, mean),
            low=format_metric(metric, mean - half if isfinite(half) else min(scores.values())),
            high=format_metric(metric, mean + half if isfinite(half) else max(scores.values())),
        )

    def _trouble(self, row: Row) -> list[str]:
        """What befell a variant's trainings."""
        notes = []
        of = len(self.seeds)
        if row.failed:
            text = _("{name} failed under {n} of {of} seeds, so nothing is claimed of it: {reason}")
            reason = next(iter(row.failed.values()))
            notes.append(text.format(name=row.name, n=len(row.failed), of=of, reason=reason))
        if row.diverged:
            text = _("{name} diverged under {n} of {of} seeds; the weights kept before were scored")
            notes.append(text.format(name=row.name, n=len(row.diverged), of=of))
        return notes

    def ending(self) -> str:
        """Why no more seeds were trained."""
        n = len(self.seeds)
        seeds = ngettext("{n} seed", "{n} seeds", n).format(n=format_count(n))
        text = {
            "seeds": _("{seeds} each, as asked"),
            "settled": _("settled after {seeds} each"),
            "time": _("the time is up after {seeds} each"),
            "interrupted": _("interrupted after {seeds} each; the same command goes on"),
        }[self.stopped]
        return text.format(seeds=seeds)

    @property
    def figures(self) -> ComparisonFigures:
        """The figures of this comparison: `comparison.figures.scores()`."""
        from limpide.figures.comparison import ComparisonFigures

        return ComparisonFigures(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON: what `limpide compare --json` prints."""
        return {
            "verdict": self.verdict,
            "settled": self.standings.is_settled,
            "leaders": list(self.standings.leaders),
            "metric": self.terms.metric,
            "zone": self.terms.zone,
            "seeds": list(self.seeds),
            "splits": bool(self.terms.overlap),
            "looks": self.terms.n_looks,
            "stopped": self.stopped,
            "rows": next(iter(self.settled.values())).rows,
            "variants": [self._variant_facts(row) for row in self.rows],
            "pairs": [self._pair_facts(pair) for pair in self.standings.pairs],
            "differing": self.differing,
            "common_loss": self.common_loss,
            "test": None if self.test is None else {"variant": self.test[0], "scores": _by_seed(self.test[1])},
            "notes": self.notes(),
            "troubles": self.troubles(),
            "comparison": str(self.path) if self.path else None,
        }

    def _variant_facts(self, row: Row) -> dict[str, Any]:
        settled = self.settled.get(row.name)
        return {
            **row.__dict__,
            "scores": _by_seed(row.scores),
            "failed": _by_seed(row.failed),
            "diverged": list(row.diverged),
            "unfit": self.unfit.get(row.name),
            "recipe": settled.recipe.model_dump() if settled else None,
        }

    def _pair_facts(self, pair: Pair) -> dict[str, Any]:
        return {
            "first": pair.first,
            "second": pair.second,
            "finding": pair.finding,
            "difference": pair.difference.mean,
            "half_width": pair.half if isfinite(pair.half) else None,
            "sd": pair.difference.sd,
            "n": pair.difference.n,
            "level": pair.level,
            "p_value": pair.difference.p_value(),
            "further_seeds": pair.further,
            "failed": list(pair.failed),
            "sentence": self.words.pair(pair),
        }

    def report(self, path: str | Path | None = None) -> Path:
        """Write the comparison as one HTML file; into its folder when no path is given.

        Raises  RunError when it has no folder and no path is given, or the file cannot be written
        """
        from limpide.experiment.page import render_comparison
        from limpide.report import page_place

        mend = _("give one, or keep the comparison")
        place = page_place(path, self.path, _("a comparison that is not kept"), mend)
        return write_file(place, render_comparison(self).encode())

    def __str__(self) -> str:
        return self.verdict

    def __repr__(self) -> str:
        return f"<Comparison {self.verdict}>"

    def _repr_html_(self) -> str:
        """The verdict and every score, in a notebook."""
        from html import escape

        shown = self.figures.scores().svg() if "scores" in self.figures.names() else ""
        return f"<p><strong>{escape(self.verdict)}</strong></p>{shown}"


def _by_seed(values: Mapping[int, Any]) -> dict[str, Any]:
    return {str(seed): value for seed, value in values.items()}
