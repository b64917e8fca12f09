"""What the scores of several variants show, in figures and in a sentence.

Every pair of variants is compared on the seeds that both finished; all pairs share one chance of being wrong (Holm), so
that luck does not crown the luckiest of many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import floor, inf, isfinite, log10
from statistics import fmean, stdev
from typing import Literal

from limpide.evaluation import METRICS
from limpide.i18n import N_, _, format_count, format_decimal, format_number, format_percent, ngettext
from limpide.paired import ALPHA, FEWEST, MOST, Difference, Finding, holm_levels, look_level, paired_difference

Standing = Literal["best", "tied", "behind", "failed"]

STANDINGS: dict[Standing, str] = {
    "best": N_("the best"),
    "tied": N_("shares the first place"),
    "behind": "",
    "failed": N_("failed"),
}

ZONE = {"points": 0.002, "bounded": 0.005, "relative": 0.01}
"""The zone of practical equality where none is given: 0.2 points for what is shown in per cent; 0.005 for what is 1 at
best, such as R²; for errors and losses, a hundredth of their mean over the variants."""


def default_zone(metric: str, means: Sequence[float]) -> float:
    """How large a difference may be and still not matter, in the metric's own unit.

    means  the mean of each variant
    """
    definition = METRICS[metric]
    if definition.percent:
        return ZONE["points"]
    if definition.bounds[1] == 1:
        return ZONE["bounded"]
    return ZONE["relative"] * abs(fmean(means)) if means else 0.0


@dataclass(frozen=True)
class Terms:
    """How scores are read.

    zone       differences up to this size do not matter; in the metric's own unit
    alpha      the chance of being wrong that all pairs share at this look
    overlap    as for `paired.Difference`: above 0 where every seed has a split of its own
    n_looks    at these scores, this one included
    is_planned whether further looks were foreseen
    """

    metric: str
    zone: float
    alpha: float = ALPHA
    overlap: float = 0.0
    n_looks: int = 1
    is_planned: bool = False

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return 1 if METRICS[self.metric].higher_is_better else -1


@dataclass(frozen=True)
class Pair:
    """Two variants beside each other; the first has the better mean, or neither has one.

    difference  first minus second, so that more is better
    level       the chance of being wrong at which this pair is judged
    half        half of the interval of that level; infinite where there is none
    finding     "better": the first is
    further     how many more seeds would tell; None when nothing is open, or no number up to `MOST` would
    failed      which of the two failed under some seed: nothing is found then
    """

    first: str
    second: str
    difference: Difference
    level: float
    half: float
    finding: Finding
    further: int | None
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Standings:
    """Every variant in its place.

    order    by mean, the best first; those that failed under some seed at the end
    leaders  the best mean among those that never failed, and all that are not shown to be worse
    pairs    every two of them
    failed   those that failed under some seed
    """

    order: tuple[str, ...]
    leaders: tuple[str, ...]
    pairs: tuple[Pair, ...]
    failed: tuple[str, ...]

    def pair(self, a: str, b: str) -> Pair:
        """The pair of two variants, whichever is first in it."""
        return next(pair for pair in self.pairs if {pair.first, pair.second} == {a, b})

    def standing(self, name: str) -> Standing:
        """The place of a variant: the best alone, among those that share the first place, or behind."""
        if name in self.failed:
            return "failed"
        if name not in self.leaders:
            return "behind"
        return "best" if len(self.leaders) == 1 else "tied"

    @property
    def open(self) -> tuple[Pair, ...]:
        """The pairs that keep the first place open: of the best and another, with nothing found."""
        if not self.leaders:
            return ()
        best = self.leaders[0]
        return tuple(pair for name in self.leaders[1:] if (pair := self.pair(best, name)).finding == "open")

    @property
    def is_settled(self) -> bool:
        """Whether the first place has its holder, or holders that are practically equal."""
        return bool(self.leaders) and not self.open


def stand(scores: Mapping[str, Mapping[int, float | None]], terms: Terms) -> Standings:
    """The place of each variant by its scores.

    scores  by name, by seed; None where the run failed
    """
    held = {name: {seed: score for seed, score in of.items() if score is not None} for name, of in scores.items()}
    failed = tuple(name for name, of in scores.items() if len(held[name]) < len(of) or not of)
    sound = [name for name in scores if name not in failed]

    def by_mean(name: str) -> float:
        return -terms.sign * fmean(held[name].values()) if held[name] else inf

    order = (*sorted(sound, key=by_mean), *sorted(failed, key=by_mean))
    found: dict[tuple[str, str], Difference] = {}
    for a, b in combinations(order, 2):
        seeds = [seed for seed in held[a] if seed in held[b]]
        gap = paired_difference(
            [terms.sign * held[a][seed] for seed in seeds],
            [terms.sign * held[b][seed] for seed in seeds],
            terms.overlap,
        )
        found[a, b] = gap
    judged = [pair for pair in found if not set(pair) & set(failed)]
    levels = dict(zip(judged, holm_levels([found[pair].p_value() for pair in judged], terms.alpha), strict=True))
    pairs = tuple(_pair(a, b, gap, levels.get((a, b)), terms, failed) for (a, b), gap in found.items())
    beaten = {pair.second for pair in pairs if pair.first == order[0] and pair.finding == "better"}
    leaders = tuple(name for name in order if name in sound and name not in beaten)
    return Standings(order, leaders, pairs, failed)


def _pair(a: str, b: str, gap: Difference, level: float | None, terms: Terms, failed: Sequence[str]) -> Pair:
    broken = tuple(name for name in (a, b) if name in failed)
    if level is None:
        return Pair(a, b, gap, terms.alpha, gap.half_width(terms.alpha), "open", None, broken)
    finding = gap.find(terms.zone, level)
    # the next look is judged harder than this one
    later = level * look_level(terms.n_looks + 1, terms.is_planned) / terms.alpha
    further = gap.further_pairs(terms.zone, later) if finding == "open" else None
    return Pair(a, b, gap, level, gap.half_width(level), finding, further)


class Words:
    """The sentences of a comparison, in the user's language."""

    def __init__(self, terms: Terms, n_seeds: int, n_pairs: int) -> None:
        """n_pairs  those judged together"""
        self.terms, self.n_seeds, self.n_pairs = terms, n_seeds, n_pairs

    def amount(self, value: float, half: float = inf) -> str:
        """A difference of the metric, with its unit, and with its half-width where there is one."""
        text = self.bare_amount(value, half)
        return _("{amount} points").format(amount=text) if self.is_in_points else text

    def bare_amount(self, value: float, half: float = inf) -> str:
        """`amount` without the unit: a hundredth where the metric is shown in per cent."""
        scale = 100 if self.is_in_points else 1
        if not isfinite(half):
            # no minus before a zero
            return format_number(scale * value + 0.0, 2)
        decimals = _decimals(scale * (half or abs(value)))
        if value and not round(scale * value, decimals):
            decimals += 1
        # a gap that is larger than its half-width leaves zero out, and should read so
        tried = range(decimals, decimals + 4)
        decimals = next((n for n in tried if round(scale * abs(value), n) != round(scale * half, n)), decimals)
        text, width = (format_decimal(scale * number, decimals) for number in (value, half))
        return _("{gap} ± {half}").format(gap=text, half=width)

    @property
    def is_in_points(self) -> bool:
        """Whether differences are told in points: those of a metric shown in per cent."""
        return METRICS[self.terms.metric].percent

    def evidence(self) -> str:
        """What stands behind an interval."""
        seeds = ngettext("{n} paired seed", "{n} paired seeds", self.n_seeds).format(n=format_count(self.n_seeds))
        parts = [format_percent(0.95), seeds]
        if self.terms.overlap:
            parts.append(_("each with a split of its own"))
        if self.n_pairs > 1:
            parts.append(_("corrected for {n} pairs").format(n=format_count(self.n_pairs)))
        if self.terms.n_looks > 1 or self.terms.is_planned:
            parts.append(_("look {n} of several").format(n=format_count(self.terms.n_looks)))
        return ", ".join(parts)

    def pair(self, pair: Pair) -> str:
        """What is found of two variants, with its evidence."""
        words = {
            "a": pair.first,
            "b": pair.second,
            "gap": self.amount(pair.difference.mean, pair.half),
            "evidence": self.evidence(),
            "zone": self.amount(self.terms.zone),
        }
        if pair.failed:
            return _("Not shown: {names} failed under some seeds").format(names=", ".join(pair.failed))
        if pair.finding == "better":
            return _("{a} is better than {b} by {gap} ({evidence})").format(**words)
        if pair.finding == "equal":
            return _("{a} and {b} are practically equal (within {zone}): {gap} ({evidence})").format(**words)
        if pair.difference.n < FEWEST:
            return self._too_few(pair)
        known = _("{a} is ahead of {b} by {gap}, which may be luck ({evidence})")
        if not pair.difference.mean:
            known = _("{a} and {b} have the same mean: {gap} ({evidence})")
        known = known.format(**words)
        return _("Not shown: {hint}; {known}").format(hint=self.hint([pair]), known=known)

    def finding(self, pair: Pair) -> str:
        """What is found of the second of a pair, in a few words."""
        if pair.failed:
            return _("failed under some seeds")
        words = {"better": _("worse"), "equal": _("practically equal"), "worse": _("better"), "open": _("not shown")}
        return words[pair.finding]

    def _too_few(self, pair: Pair) -> str:
        n = pair.difference.n
        if not pair.difference.mean:
            text = ngettext(
                "Not shown: {a} and {b} have the same mean; {n} seed cannot tell skill from luck, it takes {fewest}",
                "Not shown: {a} and {b} have the same mean; {n} seeds cannot tell skill from luck, it takes {fewest}",
                n,
            )
            return text.format(a=pair.first, b=pair.second, n=n, fewest=FEWEST)
        text = ngettext(
            "Not shown: {a} is ahead of {b} by {gap}, but {n} seed cannot tell skill from luck; it takes {fewest}",
            "Not shown: {a} is ahead of {b} by {gap}, but {n} seeds cannot tell skill from luck; it takes {fewest}",
            n,
        )
        gap = self.amount(pair.difference.mean)
        return text.format(a=pair.first, b=pair.second, gap=gap, n=n, fewest=FEWEST)

    def hint(self, pairs: Sequence[Pair]) -> str:
        """How many more seeds would settle pairs that are open."""
        if self.n_seeds < FEWEST:
            return _("it takes {n} seeds at least").format(n=FEWEST)
        further = [pair.further for pair in pairs]
        if any(n is None for n in further):
            if self.terms.overlap:
                return _("no number of seeds would tell, it takes more data")
            return _("not even {n} more seeds would tell").format(n=format_count(MOST))
        most = max((n for n in further if n is not None), default=0)
        return ngettext("about {n} more seed would tell", "about {n} more seeds would tell", most).format(
            n=format_count(most)
        )

    def verdict(self, standings: Standings) -> str:
        """The whole in one or two sentences."""
        leaders, order = standings.leaders, standings.order
        sound = [name for name in order if name not in standings.failed]
        if not sound:
            return _("Nothing is shown: every variant failed under some seed.")
        if len(sound) == 1:
            return _("There is nothing to compare {name} with.").format(name=sound[0])
        if len(sound) == 2:
            return self.pair(standings.pair(*sound)) + "."
        if self.n_seeds < FEWEST:
            return self._too_few(standings.pair(*sound[:2])) + "."
        behind = [name for name in sound if name not in leaders]
        names = _listed(leaders)
        if len(leaders) == 1:
            pair = standings.pair(sound[0], sound[1])
            return _("{name} is the best of {n}: better than {next}, the next one, by {gap} ({evidence}).").format(
                name=sound[0],
                n=format_count(len(sound)),
                next=sound[1],
                gap=self.amount(pair.difference.mean, pair.half),
                evidence=self.evidence(),
            )
        rest = ""
        if behind:
            rest = " " + _("{name} is better than {others}.").format(name=leaders[0], others=_listed(behind))
        if standings.is_settled:
            equal = _("{name} is practically equal to {others} (within {zone}; {evidence}).")
            return (
                equal.format(
                    name=leaders[0],
                    others=_listed(leaders[1:]),
                    zone=self.amount(self.terms.zone),
                    evidence=self.evidence(),
                )
                + rest
            )
        text = _("It is not shown which of {names} is the best: {hint} ({evidence}).")
        return text.format(names=names, hint=self.hint(standings.open), evidence=self.evidence()) + rest


def _decimals(size: float) -> int:
    """So many that a half-width shows one digit, two where it begins with 1, 2 or 3.

    >>> _decimals(0.8), _decimals(0.31), _decimals(12.0)
    (1, 2, 0)
    """
    if size <= 0 or not isfinite(size):
        return 1
    place = floor(log10(size))
    return max(0, -place + int(size < 4 * 10.0**place))


def _listed(names: Sequence[str]) -> str:
    """Names as a sentence has them.

    >>> _listed(["relu", "silu", "tanh"])
    'relu, silu and tanh'
    """
    if len(names) == 1:
        return names[0]
    return _("{names} and {last}").format(names=", ".join(names[:-1]), last=names[-1])


def mean_and_interval(scores: Sequence[float], overlap: float = 0.0) -> tuple[float, float, float]:
    """The mean over seeds, its spread, and half of its 95% interval: infinite for one score or fewer than six equal."""
    one = Difference(fmean(scores), stdev(scores) if len(scores) > 1 else 0.0, len(scores), overlap)
    return one.mean, one.sd, one.half_width()
