"""A comparison as one page: the verdict, its evidence, what was compared in truth. One HTML file, offline.

The words and the layout are in `templates/comparison.html`; here each part of a comparison becomes what it shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from limpide.evaluation import METRICS, format_metric
from limpide.experiment.verdict import STANDINGS, Pair
from limpide.figures.axes import capital, tick_text
from limpide.figures.comparison import ComparisonFigures
from limpide.i18n import _, format_count, format_number, ngettext
from limpide.paired import ALPHA, POWER
from limpide.report import fill

if TYPE_CHECKING:
    from limpide.experiment.comparison import Comparison, Row


def render_comparison(comparison: Comparison) -> str:
    """The comparison as the text of one HTML file that asks for nothing else."""
    return fill("comparison.html", _page(comparison))


def _page(comparison: Comparison) -> dict[str, Any]:
    standings, terms = comparison.standings, comparison.terms
    best = standings.order[0]
    first = next(iter(comparison.settled.values()))
    figures = ComparisonFigures(comparison)
    label = _(METRICS[terms.metric].label)
    settled = comparison.settled.get(best, first)
    return {
        "name": first.data_name,
        "task": _task(comparison, label),
        "verdict": comparison.verdict,
        "figures": {name: getattr(figures, name)() for name in figures.names()},
        "troubles": comparison.troubles(),
        "facts": _facts(comparison),
        "lead": _("The variants by their mean over the seeds. Under each mean, where it lies, 95 times out of 100."),
        "metric": capital(label),
        "beside": _("beside {name}").format(name=best),
        "has_updates": comparison.common_loss is not None,
        "variants": [_variant(comparison, row) for row in comparison.rows],
        "under_table": _("Seconds: the middle training, beside others at work on the same machine."),
        "named": list(comparison.settled),
        "differing": {key: [_shown(value) for value in values] for key, values in comparison.differing.items()},
        "pairs_lead": _("Each pair on the seeds that both finished. All pairs share one chance of being wrong."),
        "pairs": [_pair(comparison, pair) for pair in standings.pairs if not pair.failed],
        "how": _how(comparison),
        "notes": comparison.notes(),
        "best": settled.name,
        "recipe": settled.recipe.to_toml().strip(),
    }


def _task(comparison: Comparison, label: str) -> str:
    n = len(comparison.settled) + len(comparison.unfit)
    variants = ngettext("{n} variant", "{n} variants", n).format(n=format_count(n))
    return _("{variants} compared by {metric} on the validation rows; {ending}.").format(
        variants=variants, metric=label, ending=comparison.ending()
    )


def _facts(comparison: Comparison) -> list[dict[str, str]]:
    scores = [score for of in comparison.scores.values() for score in of.values()]
    seconds = sum(score.seconds for score in scores)
    rows = next(iter(comparison.settled.values())).rows
    return [
        {"term": _("Trainings"), "value": format_count(len(scores)), "detail": comparison.ending()},
        {
            "term": _("Validation rows"),
            "value": format_count(rows["validation"]),
            "detail": _("beside {n} to learn from").format(n=format_count(rows["train"])),
        },
        {
            "term": _("Practically equal"),
            "value": comparison.words.amount(comparison.terms.zone),
            "detail": _("differences up to this do not matter"),
        },
        {
            "term": _("Training time"),
            "value": _("{n} s").format(n=tick_text(float(f"{seconds:.2g}"))),
            "detail": _("of all trainings together"),
        },
    ]


def _variant(comparison: Comparison, row: Row) -> dict[str, Any]:
    name, words = comparison.terms.metric, comparison.words
    best = comparison.standings.order[0]
    shown = {
        "name": row.name,
        "standing": _(STANDINGS[row.standing]),
        "leads": row.standing in ("best", "tied"),
        "mean": format_metric(name, row.mean),
        "interval": "",
        "sd": "–" if row.sd is None else words.amount(row.sd),
        "gap": "",
        "finding": "",
        "parameters": "–" if row.parameters is None else format_count(row.parameters),
        "seconds": "–" if row.seconds is None else tick_text(float(f"{row.seconds:.2g}")),
        "updates": "–" if row.updates is None else format_count(row.updates),
    }
    if row.low is not None and row.high is not None:
        ends = {"low": format_metric(name, row.low), "high": format_metric(name, row.high)}
        shown["interval"] = _("{low} to {high}").format(**ends)
    if row.name != best and row.scores:
        pair = comparison.standings.pair(best, row.name)
        shown["gap"] = words.amount(-pair.difference.mean * comparison.terms.sign, pair.half)
        shown["finding"] = words.finding(pair)
    return shown


def _pair(comparison: Comparison, pair: Pair) -> dict[str, str]:
    words = comparison.words
    finding = words.finding(pair)
    if pair.finding == "open":
        finding = _("{finding}; {hint}").format(finding=finding, hint=words.hint([pair]))
    gap = words.amount(pair.difference.mean, pair.half)
    return {"names": f"{pair.first} – {pair.second}", "gap": gap, "finding": finding}


def _how(comparison: Comparison) -> list[tuple[str, str]]:
    """The method, for someone who meets it for the first time."""
    terms, words = comparison.terms, comparison.words
    how = [
        (
            _("Seeds"),
            _(
                "A network's score depends on chance: its first weights, the order of the rows. Each variant is "
                "trained under the same seeds, and compared seed by seed, so that what they share cancels out."
            ),
        ),
        (
            _("Interval"),
            _("Of the mean difference, by Student's t. It leaves zero out: better. It stays in the zone: equal."),
        ),
        (
            _("Practically equal"),
            _("Within {zone}. The two are taken as equal when the whole interval lies within.").format(
                zone=words.amount(terms.zone)
            ),
        ),
        (
            _("Seeds that would tell"),
            _("How many more would settle it {share} times out of 100, if mean and spread stay as they are.").format(
                share=format_count(round(100 * POWER))
            ),
        ),
    ]
    if len(comparison.standings.pairs) > 1:
        text = _("Among many, one is ahead by luck. Holm's correction holds all pairs together to {n} errors in 100.")
        how.append((_("Several pairs"), text.format(n=format_count(round(100 * ALPHA)))))
    if terms.n_looks > 1 or terms.is_planned:
        text = _(
            "Who looks again and again is fooled more often. Each look has half of what is left of the errors allowed."
        )
        how.append((_("Several looks"), text))
    if terms.overlap:
        text = _(
            "Training sets drawn again share most of their rows. The interval is wider for it (Nadeau and Bengio 2003)."
        )
        how.append((_("Splits drawn again"), text))
    return how


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return format_number(value)
    return "–" if value is None else str(value)
