"""A search as one page: the verdict, the three numbers, every trial. One HTML file, offline.

The words and the layout are in `templates/search.html`; here each part of a search becomes what it shows.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

from limpide.evaluation import METRICS, format_metric
from limpide.figures.axes import capital, tick_text
from limpide.figures.search import SearchFigures
from limpide.i18n import _, format_count, ngettext
from limpide.report import fill
from limpide.tuning.exploring import FINALISTS
from limpide.tuning.outcome import FINDINGS, Beside, Search, show_value, state_word
from limpide.tuning.proposals import METHODS

if TYPE_CHECKING:
    from limpide.tuning.records import Trial


def render_search(search: Search) -> str:
    """The search as the text of one HTML file that asks for nothing else."""
    return fill("search.html", _page(search))


def _page(search: Search) -> dict[str, Any]:
    question, figures, chosen = search.question, SearchFigures(search), search.recommended
    label = _(METRICS[question.metric].label)
    n = len(search.trials)
    trials = ngettext("{n} trial", "{n} trials", n).format(n=format_count(n))
    return {
        "name": question.base.data_name,
        "task": _("{trials} searched by {metric} on the validation rows; {ending}.").format(
            trials=trials, metric=label, ending=search.ending()
        ),
        "verdict": search.verdict,
        "figures": {name: getattr(figures, name)() for name in figures.names()},
        "troubles": search.troubles(),
        "facts": _facts(search),
        "metric": capital(label),
        "knobs": [knob.name for knob in question.space.knobs],
        "finalists": [_finalist(search, number) for number in search.finalists],
        "finalists_lead": _(
            "The best of the search, trained again under seeds that no trial had. All are compared with the winner "
            "seed by seed, and share one chance of being wrong."
        ),
        "trials": [_trial(search, trial) for trial in _in_order(search)],
        "how": _how(search),
        "notes": search.notes(),
        "best": "" if chosen is None else chosen.number,
        "recipe": "" if chosen is None else search.to_toml().strip(),
    }


def _in_order(search: Search) -> list[Trial]:
    """The trials by their mean, then those given up, then those that failed."""
    others = [trial for trial in search.trials if trial.state != "done"]
    return [*search.ranked, *sorted(others, key=lambda trial: (trial.state != "pruned", trial.number))]


def _facts(search: Search) -> list[dict[str, str]]:
    """The three numbers side by side, and what they cost."""
    winner = search.winner
    details = [
        _("the winner, chosen by it: too good by some luck"),
        _("the winner under seeds that chose nothing: what to expect"),
        _("on rows that nobody saw before, measured once"),
    ]
    facts = []
    for (where, value), detail in zip(search.numbers(winner) if winner else [], details):
        mean, _space, interval = value.partition(" (")
        text = _("; ").join((detail, interval.rstrip(")"))) if interval else detail
        facts.append({"term": capital(where), "value": mean, "detail": text})
    n = sum(len(trial.scores) for trial in search.trials) + sum(map(len, search.fresh.values()))
    seconds = tick_text(float(f"{sum(trial.seconds for trial in search.trials):.2g}"))
    detail = _("{n} s of training in the search").format(n=seconds)
    return [*facts, {"term": _("Trainings"), "value": format_count(n), "detail": detail}]


def _finalist(search: Search, number: int) -> dict[str, Any]:
    trial, metric = search.trial(number), search.question.metric
    beside: Beside | None = next((one for one in search.beside if one.trial is trial), None)
    fresh = search.fresh.get(number, {})
    shown = {
        "number": number,
        "standing": "",
        "leads": trial is search.recommended,
        "mean": format_metric(metric, trial.mean),
        "fresh": format_metric(metric, fmean(fresh.values())) if fresh else "–",
        "gap": "",
        "finding": "",
        "parameters": "–" if trial.parameters is None else format_count(trial.parameters),
    }
    if trial is search.recommended:
        shown["standing"] = _("recommended")
    elif trial is search.winner:
        shown["standing"] = _("the winner")
    if beside is not None and fresh:
        shown["gap"] = search.words.amount(-beside.difference.mean * search.terms.sign, beside.half)
        shown["finding"] = _(FINDINGS[beside.finding])
    return shown


def _trial(search: Search, trial: Trial) -> dict[str, Any]:
    metric = search.question.metric
    return {
        "number": trial.number,
        "mean": format_metric(metric, trial.mean),
        "seeds": ", ".join(format_metric(metric, score) for score in trial.scores.values()),
        "state": "" if trial.state == "done" else state_word(trial),
        "values": [show_value(value) for value in trial.values.values()],
        "parameters": "–" if trial.parameters is None else format_count(trial.parameters),
        "seconds": tick_text(float(f"{trial.seconds:.2g}")),
        "leads": trial is search.recommended,
    }


def _how(search: Search) -> list[tuple[str, str]]:
    """The method, for someone who meets it for the first time."""
    question = search.question
    rounds = _("Proposed {n} at a time: {method}.").format(n=question.at_once, method=_(METHODS[question.method]))
    how = [(_("Trials"), rounds)]
    if question.repeats > 1:
        text = _(
            "Each trial is trained under {n} seeds, the same for all. One whose first score is worse than the middle "
            "of the first scores of all rounds before is given up."
        )
        how.append((_("Seeds"), text.format(n=question.repeats)))
    how.append(
        (
            _("Why fresh seeds"),
            _(
                "The best of many scores is partly the luckiest. The {n} best at most are trained again under seeds "
                "that chose nothing: their scores are what to expect."
            ).format(n=FINALISTS),
        )
    )
    text = _("A finalist ties with the winner unless its interval, corrected for their number, shows it to be worse.")
    how.append((_("Ties"), text))
    text = _(
        "Of the winner and those that tie with it, at most a standard error behind, the network with the fewest "
        "parameters is recommended."
    )
    return [*how, (_("The simplest"), text)]
