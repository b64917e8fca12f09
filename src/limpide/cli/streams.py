"""`limpide predict` and `limpide evaluate` on tables larger than memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limpide.cli.screen import open_console, print_json, show_notes
from limpide.errors import RecipeError, problem
from limpide.i18n import _, format_count, ngettext

if TYPE_CHECKING:
    from limpide.data.dataset import Note
    from limpide.evaluation import Evaluation
    from limpide.runs import Run

RANKED = ("roc_auc", "median_absolute_error")
"""Metrics that need rows in order."""

FORMATS = (".csv", ".tsv", ".parquet")
"""What can be written piece by piece."""


def predict_large(
    run: Run, source: str, out: Path | None, memory: str | None, reading: Mapping[str, Any], is_json: bool
) -> bool:
    """Predict a table that would not fit in memory, piece by piece; False when it would.

    Raises  RecipeError  without a file to write to, or with a bound that is none
    """
    from limpide.streaming.predicting import predict_stream

    stream = run.large(source, memory, reading)
    if stream is None:
        return False
    if out is None or out.suffix.lower() not in FORMATS:
        expected = _("--out with a name that ends in {names}: the table is too large to hold").format(
            names=", ".join(FORMATS)
        )
        raise RecipeError(problem("predict", expected, str(out) if out else _("none")))
    n, notes = predict_stream(run, stream, out)
    if is_json:
        facts = {"run": str(run.path), "task": run.task, "target": run.target.name, "rows": n, "out": str(out)}
        print_json(facts | {"notes": [asdict(note) for note in notes]})
        return True
    console = open_console()
    show_notes(console, notes)
    text = ngettext("{n} prediction written to {path}", "{n} predictions written to {path}", n)
    console.print(text.format(n=format_count(n), path=out), soft_wrap=True)
    return True


def ranked_notes(evaluation: Evaluation, name: str) -> list[Note]:
    """What was measured on some of the rows alone, by name."""
    from limpide.data.dataset import Note
    from limpide.evaluation import METRICS

    if evaluation.ranked is None:
        return []
    ranked = [_(METRICS[metric].label) for metric in evaluation.metrics if metric in RANKED]
    text = _("{metrics} of {n} of the {all} rows, drawn by chance: it needs rows in order, and more would not fit")
    counts = {"n": format_count(evaluation.ranked), "all": format_count(evaluation.n)}
    return [Note("info", name, text.format(metrics=", ".join(ranked), **counts))]
