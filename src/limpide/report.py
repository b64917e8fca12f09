"""A run as one page: what it is worth, what it learned from, how, and how to redo it. One HTML file, offline.

The words and the layout are in `templates/report.html`; here each part of a run becomes what that page shows.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpide import __version__
from limpide.arrays import show_shape
from limpide.baselines import BASELINES, verdict
from limpide.data.dataset import Kind, kind_word
from limpide.errors import RunError, problem
from limpide.evaluation import MAIN_METRIC, METRICS, Evaluation, Metric, format_metric
from limpide.figures import Figures, Picture
from limpide.figures.axes import capital, short, tick_text
from limpide.figures.picture import DARK_STYLE
from limpide.i18n import N_, _, format_count, format_percent, get_language, ngettext, set_language

if TYPE_CHECKING:
    from limpide.data.columns import ColumnSummary
    from limpide.runs import Run

TEMPLATES = Path(__file__).parent / "templates"

LEFT_OUT: dict[Kind, str] = {
    "text": N_("text (left out)"),
    "identifier": N_("identifier (left out)"),
    "constant": N_("constant (left out)"),
}

PARTS = {"train": N_("training"), "validation": N_("validation"), "test": N_("test")}

_IN_THE_REPORT = (
    *("class_balance", "loss", "metrics", "baselines"),
    *("confusion", "prediction_vs_truth", "residuals", "calibration", "roc"),
)
_SHOWN_EXAMPLE_COLUMNS = 8
_SHOWN_WORDS = 4
_NAMED_CLASSES = 6
_SMALL_IMAGE = 64


@dataclass(frozen=True)
class _Fact:
    term: str
    value: str
    detail: str = ""


def render_report(run: Run, lang: str | None = None) -> str:
    """The report of a run as the text of one HTML file that asks for nothing else.

    lang  "en" or "fr"; None keeps the user's language
    """
    with _language(lang):
        return fill("report.html", _page(run))


def fill(template: str, shown: Mapping[str, Any]) -> str:
    """A page of the house as the text of one HTML file.

    template  its name in `templates`
    shown     what it shows, in the user's language
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    page = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    page.globals.update(
        _=_,
        count=format_count,
        number=lambda value: tick_text(float(f"{value:.4g}")),
        percent=format_percent,
        show_shape=show_shape,
        is_small=_is_small,
    )
    house = {"language": get_language(), "version": __version__, "dark_style": DARK_STYLE}
    return page.get_template(template).render(house | dict(shown)).strip() + "\n"


def page_place(path: str | Path | None, folder: Path | None, got: str, mend: str) -> Path:
    """Where a page goes: the path given, else report.html in the folder of what it shows.

    Raises  RunError when there is neither; `got` says what has no folder, `mend` what to do
    """
    if path is not None:
        return Path(path)
    if folder is None:
        raise RunError(problem("report", _("a path"), got, mend))
    return folder / "report.html"


@contextmanager
def _language(lang: str | None) -> Iterator[None]:
    """The language named for the time of the report, then the user's again."""
    before = get_language()
    try:
        if lang is not None:
            set_language(lang)
        yield
    finally:
        set_language(before)


def _page(run: Run) -> dict[str, Any]:
    """Everything the template shows."""
    judged = run.test
    figures = Figures(run)
    examples = run.examples
    return {
        "name": run.dataset_name,
        "task": _task(run),
        # the paired comparison needs the draws, which a run read from its folder no longer has
        "verdict": run.verdict if judged.draws is None else verdict(run.task, judged, run.baselines),
        "main": _main(run, judged),
        "facts": _facts(run),
        "warnings": [note for note in run.notes if note.level == "warning"],
        "notes": [note for note in run.notes if note.level != "warning"],
        "split": _split(run),
        "columns": [_column(summary) for summary in run.columns],
        "image_samples": run.image_samples,
        "image_means": run.image_means,
        "preparation": run.preparation.rows(),
        "layers": run.network.table(),
        "stop": capital(run.stop.sentence()) + ".",
        "figures": _pictures(figures),
        "metrics": _metrics(run, judged),
        "interval_sentence": _interval_sentence(judged),
        "per_class": _per_class(judged),
        "examples": examples,
        "example_columns": list(examples[0].values)[:_SHOWN_EXAMPLE_COLUMNS] if examples else [],
        "regression": run.task == "regression",
        "inferences": run.inferences,
        "recipe": run.recipe.to_toml({choice.what: choice.why for choice in run.inferences}).strip(),
        "environment": _environment(run),
    }


def _pictures(figures: Figures) -> dict[str, Picture]:
    there = figures.names()
    return {name: getattr(figures, name)() for name in _IN_THE_REPORT if name in there}


def _task(run: Run) -> str:
    """What the network does, in a phrase."""
    target, labels = run.target.name, run.target.labels
    if run.task == "regression":
        return _("A network that predicts a number: {target}.").format(target=target)
    named = ", ".join(labels) if len(labels) <= _NAMED_CLASSES else target
    return _("A network that tells {n} classes apart: {names}.").format(n=format_count(len(labels)), names=named)


def _main(run: Run, judged: Evaluation) -> dict[str, str]:
    """The one number that sums the run up."""
    name = MAIN_METRIC[run.task]
    metric = judged.metrics[name]
    measured_on = ngettext(
        "on {n} example the network never saw", "on {n} examples the network never saw", judged.n
    ).format(n=format_count(judged.n))
    between = _between(metric)
    return {
        "value": format_metric(name, metric.value),
        "label": capital(_(METRICS[name].label)),
        "measured_on": measured_on,
        "interval": _("{level} interval: {ends}").format(level=format_percent(0.95), ends=between) if between else "",
        "explanation": _(METRICS[name].explanation),
    }


def _between(metric: Metric) -> str:
    """The two ends of an interval; nothing when there is none."""
    if metric.low is None or metric.high is None:
        return ""
    low, high = format_metric(metric.name, metric.low), format_metric(metric.name, metric.high)
    return _("{low} to {high}").format(low=low, high=high)


def _interval_sentence(judged: Evaluation) -> str:
    return _(
        "Measured on the {n} test examples. Under each value, where it would lie for other examples of the same kind, "
        "95 times out of 100 (bootstrap). The best value of each row is in blue."
    ).format(n=format_count(judged.n))


def _facts(run: Run) -> list[_Fact]:
    total = sum(run.split_sizes.values())
    epochs = len(run.history)
    return [
        _Fact(_("Examples"), format_count(total), _("training, validation and test together")),
        _Fact(_("Parameters"), format_count(run.network.n_parameters), _("numbers that training set")),
        _Fact(_("Epochs"), format_count(epochs), _("the best one: {n}").format(n=format_count(run.stop.best_epoch))),
        _Fact(_("Training time"), _seconds(run.seconds), _("engine: {engine}").format(engine=run.engine)),
    ]


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return _("{n} s").format(n=tick_text(float(f"{seconds:.2g}")))
    return _("{n} min").format(n=format_count(round(seconds / 60)))


def _split(run: Run) -> list[dict[str, Any]]:
    total = max(sum(run.split_sizes.values()), 1)
    return [
        {"name": _(PARTS[part]), "n": n, "share": format_percent(n / total)} for part, n in run.split_sizes.items() if n
    ]


def _column(summary: ColumnSummary) -> dict[str, Any]:
    """A line of the table of columns."""
    counts = list(summary.histogram)
    if summary.mean is not None and summary.min is not None and summary.max is not None:
        low, mean, high = (tick_text(float(f"{value:.3g}")) for value in (summary.min, summary.mean, summary.max))
        values = _("{low} to {high}, mean {mean}").format(low=low, high=high, mean=mean)
    elif summary.first:
        values = _("{low} to {high}").format(low=summary.first, high=summary.last)
    else:
        shown = summary.top[:_SHOWN_WORDS]
        counts = [n for _word, n in summary.top] if summary.kind in ("category", "boolean") else []
        values = ", ".join(f"{short(word, 24)} ({format_count(n)})" for word, n in shown)
        values += ", …" if shown and summary.n_distinct > len(shown) else ""
    return {
        "name": summary.name,
        "kind": _(LEFT_OUT[summary.kind]) if summary.kind in LEFT_OUT else kind_word(summary.kind),
        "counts": counts,
        "summary": values,
        "missing": format_count(summary.n_missing),
    }


def _metrics(run: Run, judged: Evaluation) -> dict[str, Any]:
    """The table of metrics: a row each, the network first, then every baseline."""
    everyone = {_("the network"): judged} | {_(BASELINES[name].label): theirs for name, theirs in run.baselines.items()}
    rows = []
    for name in sorted(judged.metrics, key=lambda name: name != MAIN_METRIC[run.task]):
        theirs = [evaluation.metrics.get(name, Metric(name, None)) for evaluation in everyone.values()]
        pick = max if METRICS[name].higher_is_better else min
        best = pick((metric.value for metric in theirs if metric.value is not None), default=None)
        cells = [
            {
                "value": format_metric(name, metric.value),
                "detail": metric.why or _between(metric),
                "best": best is not None and metric.value == best,
            }
            for metric in theirs
        ]
        label = capital(_(METRICS[name].label))
        rows.append({"label": label, "explanation": _(METRICS[name].explanation), "cells": cells})
    return {"models": list(everyone), "rows": rows}


def _per_class(judged: Evaluation) -> list[dict[str, Any]]:
    return [
        {"label": label, "n": int(row["support"] or 0)}
        | {
            key: "–" if row[key] is None else format_percent(row[key] or 0.0, 1)
            for key in ("precision", "recall", "f1")
        }
        for label, row in (judged.per_class or {}).items()
    ]


def _environment(run: Run) -> list[tuple[str, str]]:
    """Where and with what the run was made."""
    return [
        (_("engine"), _("{name}: {text}").format(name=run.engine, text=run.engine_why)),
        (_("seed"), str(run.recipe.seed)),
        (_("seconds of training"), tick_text(float(f"{run.seconds:.3g}"))),
        *((_(name), value) for name, value in run.environment.items()),
        *([(_("SHA-256 of the data"), run.dataset_sha256)] if run.dataset_sha256 else []),
    ]


def _is_small(png: str) -> bool:
    """True for an image of so few pixels that they are better seen as squares than smoothed."""
    width, height = struct.unpack(">II", base64.b64decode(png[:32])[16:24])
    return bool(max(width, height) < _SMALL_IMAGE)
