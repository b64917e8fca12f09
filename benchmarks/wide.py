"""`python3 dev.py bench wide [table ...]`: limpide's defaults beside scikit-learn's, on some fifty tables.

For each seed a table is split once. limpide learns without a word of advice, its leak guard on, and keeps some of its
rows to stop by; scikit-learn's models learn from all rows but the test rows, behind what a careful user puts in front.
The rival is the better, on the mean, of its network and its linear model. The goal is reached where the 95 % interval
of the paired difference over the seeds does not lie below zero. Among fifty such intervals one or two lie below by
chance: a line at the end says how many do once all tables share the 5 % (Holm). Seconds are of one processor;
limpide's count reading.

The scores of scikit-learn's models do not depend on limpide: they are kept beside the tables, and made where they lack.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import time
import warnings
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.timing import ROOT, machine
from benchmarks.wide_tables import FOLDER, TABLES, Table, fetch
from limpide import fit, train
from limpide.data.sources import open_source
from limpide.evaluation import METRICS, evaluate
from limpide.paired import ALPHA, holm_levels
from limpide.runs import Run

FIRST_SEED = 4_000
"""The defaults were chosen on seeds below; `quality` has its own, from 0."""

FEW = 0.2
"""Share of the rarest class below which balanced accuracy is compared too."""

RESULTS = ROOT / "benchmarks" / "results" / "wide.json"
NETWORKS = ("network", "linear")
CONTENDERS = ("limpide", *NETWORKS, "boosting")
MAIN = {"regression": "r2", "binary": "accuracy", "multiclass": "accuracy"}
SIGNS = {"r2": 1, "accuracy": 1, "recall_macro": 1, "log_loss": -1}
Scores = dict[str, float]


@dataclass(frozen=True)
class Gap:
    """How much better limpide is in a metric: the mean over the seeds, its 95 % interval, the p of no difference."""

    metric: str
    rival: str
    mean: float
    low: float
    high: float
    p: float

    @property
    def is_met(self) -> bool:
        """Whether limpide reaches its rival within the interval."""
        return self.high >= -1e-9

    def __str__(self) -> str:
        scale = 100 if METRICS[self.metric].percent else 1
        mean, low, high = (f"{scale * number:+.3g}" for number in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}] {'yes' if self.is_met else 'NO'}"


@dataclass(frozen=True)
class Line:
    """A table measured.

    first_seed  of those it was measured with, one after the other
    scores      for each contender the scores of every seed, with `seconds`
    gaps        beside the better of scikit-learn's network and linear model
    boosting    beside gradient boosting
    says_so     seeds whose report says that gradient boosting does better
    """

    name: str
    n_rows: int
    n_columns: int
    n_features: int
    trouble: str
    advice: str
    task: str
    is_known: bool
    first_seed: int
    scores: dict[str, list[Scores]]
    gaps: list[Gap]
    boosting: Gap
    says_so: int

    def cells(self) -> list[str]:
        """The line of the printed table."""
        main = MAIN[self.task]
        percent = METRICS[main].percent
        means = (statistics.fmean(s[main] for s in self.scores[c]) for c in CONTENDERS)
        shown = [f"{100 * mean:.1f}" if percent else f"{mean:.3f}" for mean in means]
        seconds = (statistics.fmean(s["seconds"] for s in self.scores[c]) for c in CONTENDERS)
        by_metric = {gap.metric: str(gap) for gap in self.gaps}
        n = len(self.scores["limpide"])
        is_beaten = f"{-self.boosting.mean * (100 if percent else 1):.2g}; told {self.says_so}/{n}"
        return [
            f"{self.name}{'' if self.is_known else ' *'}",
            f"{self.n_rows:,}",
            f"{self.n_columns} ({self.n_features})",
            "; ".join(text for text in (self.trouble, self.advice) if text),
            str(n),
            *shown,
            by_metric[main],
            by_metric.get("log_loss", ""),
            by_metric.get("recall_macro", ""),
            is_beaten if self.boosting.high < 0 else "",
            " / ".join(f"{number:.1f}" for number in seconds),
        ]


HEADINGS = (
    *("table", "rows", "columns (inputs)", "what is hard; advice needed", "seeds"),
    *("limpide", "network", "linear", "boosting"),
    *("better than the rival by", "log-loss lower by", "balanced accuracy higher by"),
    *("boosting clearly ahead by", "seconds"),
)


def measure(table: Table) -> Line:
    """A table, all seeds."""
    train("iris", epochs=2, save=False, baselines=False)  # what is loaded once is nobody's
    scores: dict[str, list[Scores]] = {contender: [] for contender in CONTENDERS}
    says_so = 0
    for seed in range(FIRST_SEED, FIRST_SEED + table.n_seeds):
        started = time.process_time()
        training = fit(table.source, target=table.target, seed=seed, **table.advice)
        for _epoch in training:
            pass
        seconds = time.process_time() - started
        run = training.run()
        scores["limpide"].append({**scored(run.task, run.test_truth, run.test_outputs), "seconds": seconds})
        for name, rival in rival_scores(table, run, seed).items():
            scores[name].append(rival)
        says_so += "gradient boosting" in run.verdict and "does worse" in run.verdict
    counts = np.bincount(run.test_truth.astype(int)) if run.task != "regression" else np.ones(1)
    metrics = [MAIN[run.task]]
    if run.task != "regression":
        metrics += ["log_loss"] + ["recall_macro"] * bool(counts.min() < FEW * counts.sum() and len(counts) < 10)
    return Line(
        name=table.name,
        n_rows=sum(run.split_sizes.values()),
        n_columns=len(training.job.dataset.columns) or int(np.prod(run.network.input_shape)),
        n_features=int(np.prod(run.network.input_shape)),
        trouble=table.trouble,
        advice=f"{', '.join(f'{key} {value}' for key, value in table.advice.items())}: {table.why}"
        if table.why
        else "",
        task=run.task,
        is_known=table.is_known,
        first_seed=FIRST_SEED,
        scores=scores,
        gaps=[gap(scores, metric, NETWORKS) for metric in metrics],
        boosting=gap(scores, metrics[0], ("boosting",)),
        says_so=says_so,
    )


def gap(scores: Mapping[str, list[Scores]], metric: str, rivals: tuple[str, ...]) -> Gap:
    """limpide beside the best of these on the mean: the mean of the paired differences and Student's interval."""
    sign = SIGNS[metric]
    by_name = {name: np.array([sign * s[metric] for s in scores[name]]) for name in ("limpide", *rivals)}
    rival = max(rivals, key=lambda name: by_name[name].mean())
    differences = by_name["limpide"] - by_name[rival]
    n = len(differences)
    error = float(differences.std(ddof=1)) / n**0.5
    half = float(t.ppf(1 - ALPHA / 2, n - 1)) * error
    mean = float(differences.mean())
    p = float(2 * t.sf(abs(mean) / error, n - 1)) if error else float(mean == 0)
    return Gap(metric, rival, mean, mean - half, mean + half, p)


def scored(task: str, truth: np.ndarray, outputs: np.ndarray) -> Scores:
    """The metrics compared."""
    measured = evaluate(task, truth, outputs, intervals=False).metrics
    return {name: float(measured[name].value or 0.0) for name in SIGNS if name in measured}


def rival_scores(table: Table, run: Run, seed: int) -> dict[str, Scores]:
    """Those of scikit-learn's models on the run's own test rows: as kept, or fitted now."""
    rows = hashlib.sha256(run.test_rows.astype(np.int64).tobytes()).hexdigest()[:16]
    kept = FOLDER / f"scikit-learn-{version('scikit-learn')}" / f"{table.name}-{seed}-{rows}.json"
    if not kept.exists():
        frame, truth = raw_inputs(table, run)
        learn = np.setdiff1d(np.arange(len(frame)), run.test_rows)
        made = {}
        for name, model in rivals(run.task, seed).items():
            started = time.process_time()
            pipeline = make_pipeline(prepared(frame), model)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its default number of epochs is part of its defaults
                pipeline.fit(frame.iloc[learn], truth[learn])
            seconds = time.process_time() - started
            outputs = predicted(pipeline, frame.iloc[run.test_rows], run)
            made[name] = {**scored(run.task, truth[run.test_rows], outputs), "seconds": seconds}
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(made), encoding="utf-8")
    found: dict[str, Scores] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def raw_inputs(table: Table, run: Run) -> tuple[pd.DataFrame, np.ndarray]:
    """The columns limpide learned from, as they were read; dates as their parts. And the targets."""
    dataset = open_source(table.source, table.target, drop=table.advice.get("drop", ()))
    assert dataset.target is not None
    if isinstance(dataset.inputs, np.ndarray):
        frame = pd.DataFrame(dataset.inputs.reshape(len(dataset.inputs), -1)).add_prefix("pixel ")
    else:
        frame = dataset.inputs.select(dataset.input_names).to_pandas()
    for column in [c for c in dataset.columns if c.kind == "date"]:
        moment = pd.to_datetime(frame.pop(column.name), format="ISO8601")
        for part in ("year", "month", "day", "day_of_week", "hour"):
            frame[f"{column.name} {part}"] = getattr(moment.dt, part)
    return frame, run.target.truth(dataset.target)


def prepared(frame: pd.DataFrame) -> ColumnTransformer:
    """Filled and scaled numbers, one-hot categories: what a careful user of scikit-learn puts in front."""
    is_number = [pd.api.types.is_numeric_dtype(frame[name]) for name in frame]
    numbers = [name for name, yes in zip(frame, is_number) if yes]
    words = [name for name, yes in zip(frame, is_number) if not yes]
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    coded = OneHotEncoder(max_categories=50, handle_unknown="infrequent_if_exist", sparse_output=False)
    return ColumnTransformer([("numbers", scaled, numbers), ("words", coded, words)])


def rivals(task: str, seed: int) -> dict[str, Any]:
    """scikit-learn's models with its defaults; the network's target is scaled too, without which it learns little."""
    if task == "regression":
        return {
            "network": TransformedTargetRegressor(MLPRegressor(random_state=seed), transformer=StandardScaler()),
            "linear": RidgeCV(alphas=np.logspace(-3, 4, 15)),
            "boosting": HistGradientBoostingRegressor(random_state=seed),
        }
    return {
        "network": MLPClassifier(random_state=seed),
        "linear": LogisticRegression(max_iter=1_000),
        "boosting": HistGradientBoostingClassifier(random_state=seed),
    }


def predicted(model: Any, frame: pd.DataFrame, run: Run) -> np.ndarray:
    """Numbers, or a column of probabilities for every class, met in training or not."""
    if run.task == "regression":
        return np.asarray(model.predict(frame))
    outputs = np.zeros((len(frame), len(run.target.labels)))
    outputs[:, model.classes_] = model.predict_proba(frame)
    return outputs


def read(kept: Mapping[str, Any]) -> Line:
    """A line as it was kept."""
    gaps = [Gap(**gap) for gap in kept["gaps"]]
    return Line(**{**kept, "gaps": gaps, "boosting": Gap(**kept["boosting"])})


def summary(lines: list[Line]) -> list[str]:
    """Of how many tables the goal is reached, those apart that no default was chosen with."""
    said = []
    for label, chosen in (
        ("all tables", lines),
        ("tables unseen until the end (*)", [x for x in lines if not x.is_known]),
    ):
        for text, metrics in (("accuracy or R2", ("r2", "accuracy")), ("log-loss", ("log_loss",))):
            gaps = [gap for line in chosen for gap in line.gaps if gap.metric in metrics]
            if not gaps:
                continue
            n_met, n_ahead, n_above = (sum(test) for test in zip(*((g.is_met, g.low > 0, g.mean >= 0) for g in gaps)))
            said.append(f"{label}, {text}: reached on {n_met} of {len(gaps)}; mean at least equal on {n_above}, "
                        f"clearly better on {n_ahead}")  # fmt: skip
            beyond = [g.mean > 0 for g, level in zip(gaps, holm_levels([g.p for g in gaps])) if g.p < level]
            said.append(f"  all sharing the 5 % (Holm): missed {beyond.count(False)}, better {beyond.count(True)}")
    ratios = [
        statistics.fmean(s["seconds"] for s in line.scores["limpide"])
        / statistics.fmean(s["seconds"] for s in line.scores["network"])
        for line in lines
    ]
    middle, most = statistics.median(ratios), max(ratios)
    said.append(f"limpide's seconds over those of scikit-learn's network: median {middle:.2g}, at most {most:.2g}")
    return said


def main(names: list[str]) -> int:
    """Measure the tables named (none: all), keep them with those measured before, print the table; 0 when all reach."""
    unknown = sorted(set(names) - {table.name for table in TABLES})
    if unknown:
        print(
            f"bench wide: expected some of {', '.join(t.name for t in TABLES)}, got {' '.join(unknown)}",
            file=sys.stderr,
        )
        return 2
    fetch()
    chosen = [table for table in TABLES if table.name in names or not names]
    about = machine()
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}", flush=True)
    lines = []
    kept = json.loads(RESULTS.read_text(encoding="utf-8"))["tables"] if names and RESULTS.exists() else {}
    with ProcessPoolExecutor() as pool:
        for line in pool.map(measure, chosen):
            print(f"| {' | '.join(line.cells())} |", flush=True)
            lines.append(line)
            kept[line.name] = asdict(line)
            text = json.dumps({"date": date.today().isoformat(), "machine": about, "tables": kept}, indent=1)
            RESULTS.write_text(text + "\n", encoding="utf-8")
    print("", *summary(lines), sep="\n")
    if len(kept) > len(lines):
        together = [read(line) for line in kept.values()]
        print("", f"with those measured before, {len(kept)} tables:", *summary(together), sep="\n")
    return 0 if all(line.gaps[0].is_met for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
