"""The claims on the 11-6-6-1 classifier, recomputed."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from limpide.export.program import program_text
from limpide.i18n import _, format_percent
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.labs.running import names_of
from limpide.nn.grammar import complete_network

STORY = names_of(__file__, "data", "network")
BIRTHS: dict[str, str] = {"PyTorch": "pytorch", "Keras": "xavier"}


@lru_cache(maxsize=1)
def trained() -> Any:
    """The classifier as the Keras listing trains it: batches of 10, a hundred epochs."""
    import limpide as lp

    options: dict[str, Any] = {"initializer": "xavier", "optimizer_options": {"epsilon": 1e-7}, "batch_size": 10}
    options |= {"epochs": 100, "patience": 0, "validation": 0.1, "test": 0.2, "seed": 0}
    return lp.train(STORY.frame, target="answer", network=STORY.LAYERS, **options, baselines=False, save=False)


@checks("nn11-same-network-twice")
def twice() -> Finding:
    """The parameters that each program makes, counted from its own lines, and the largest weight at birth."""
    counts = {}
    for to, pattern in (("torch", r"nn\.Linear\((\d+), (\d+)\)"), ("keras", r"layers\.Dense\((\d+)")):
        found = re.findall(pattern, program_text(trained(), to, "classifier"))
        units = [11, *(int(pair[1] if to == "torch" else pair) for pair in found)]
        counts[to] = [(n + 1) * m for n, m in pairwise(units)]
    bias = {}
    for library, initializer in BIRTHS.items():
        drawn = complete_network(STORY.LAYERS, (11,), 1, initializer).initialize(np.random.default_rng(0))
        bias[library] = np.abs(drawn["0.dense.b"]).max() > 0
    assert bias == {"PyTorch": True, "Keras": False}
    text = _("{counts} = {total} in both; the first biases differ: random in PyTorch, 0 in Keras")
    shown = " + ".join(map(str, counts["torch"]))
    return judge(counts["torch"] == counts["keras"], text.format(counts=shown, total=sum(counts["torch"])))


@checks("nn11-input-dim")
def input_dim() -> Finding:
    """What the layers of the installed Keras do with the argument, from their own lines."""
    spec = find_spec("keras")
    if spec is None or spec.origin is None:
        return argue("holds", _("Keras is not installed here; it takes the argument, with a warning"))
    lines = (Path(spec.origin).parent / "src" / "layers" / "layer.py").read_text("utf-8")
    is_taken = 'kwargs.pop("input_dim", None)' in lines
    warns = "Do not pass an `input_shape`/`input_dim` argument" in lines
    text = _("the argument is taken: {taken}; a warning is given: {warns}")
    said = {True: _("yes"), False: _("no")}
    return judge(is_taken, text.format(taken=said[is_taken], warns=said[warns]))


@checks("nn11-training-runs")
def runs() -> Finding:
    """Nothing of the listing can be run; what the stand-in data give."""
    values = {part: trained().evaluations[part].metrics["accuracy"].value for part in ("train", "test")}
    text = _("the listings define no data; with those of this lab {train} right in training, {test} on others")
    return argue("not reproducible", text.format(**{part: format_percent(value, 1) for part, value in values.items()}))
