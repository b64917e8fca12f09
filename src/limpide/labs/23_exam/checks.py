"""The filled-in sheet of the test cell by cell, and the lines of its programme."""

from __future__ import annotations

import numpy as np

import limpide as lp
from limpide.i18n import _
from limpide.labs.claims import Finding, argue, checks, judge
from limpide.labs.exercise import EXERCISES, correct, exercise
from limpide.labs.running import names_of

STORY = names_of(__file__, "dense", "convolutions", "sheet")

CELLS = {
    "exam-fc1-width": ("rn-1", "fc1", "output"),
    "exam-fc1-params": ("rn-1", "fc1", "parameters"),
    "exam-fc2-input": ("rn-1", "fc2", "input"),
    "exam-fc2-output": ("rn-1", "fc2", "output"),
    "exam-fc2-params": ("rn-1", "fc2", "parameters"),
    "exam-fc3-output": ("rn-1", "fc3", "output"),
    "exam-fc3-params": ("rn-1", "fc3", "parameters"),
    "exam-fc4-output": ("rn-1", "fc4", "output"),
    "exam-fc4-params": ("rn-1", "fc4", "parameters"),
    "exam-dense-type": ("rn-1", "fc1", "type"),
    "exam-conv1-params": ("rn-2", "conv1", "parameters"),
    "exam-conv1-output": ("rn-2", "conv1", "output"),
    "exam-conv2-output": ("rn-2", "conv2", "output"),
    "exam-conv2-params": ("rn-2", "conv2", "parameters"),
    "exam-rn2-fc1-input": ("rn-2", "fc1", "input"),
    "exam-rn2-fc1-output": ("rn-2", "fc1", "output"),
    "exam-rn2-fc1-params": ("rn-2", "fc1", "parameters"),
    "exam-rn2-fc2-output": ("rn-2", "fc2", "output"),
    "exam-rn2-fc2-params": ("rn-2", "fc2", "parameters"),
}
"""By claim, the cell of the sheet that it is about."""


@checks(*CELLS)
def cell(name: str) -> Finding:
    """A cell of the sheet, as the exercise corrects it."""
    network, layer, column = CELLS[name]
    sheet = {"rn-1": STORY.SHEET_1, "rn-2": STORY.SHEET_2}[network]
    (found,) = (c for c in correct(exercise(network), sheet, [column]) if c.layer == layer)
    return judge(found.is_right, found.expected if found.is_right else f"{found.expected} ({found.why})")


@checks("exam-blank-cells")
def blank() -> Finding:
    """What belongs into the rows that were left empty."""
    sheets = (("rn-1", STORY.SHEET_1), ("rn-2", STORY.SHEET_2))
    empty = [c for name, sheet in sheets for c in correct(exercise(name), sheet) if c.layer not in sheet]
    outputs = ", ".join(c.expected for c in empty if c.column == "output")
    counts = {c.expected for c in empty if c.column == "parameters"}
    assert counts == {"0"}
    return judge(all(c.is_right for c in empty), _("{outputs}; 0 parameters each").format(outputs=outputs))


@checks("exam-conv1-filters")
def filters() -> Finding:
    """The shape of the first convolution's weights."""
    slot = STORY.rn_2.slots[0]
    # ours are (rows, columns, channels in, channels out) or the reverse: the sizes tell
    return judge(sorted(slot.shape) != [1, 3, 3, 32], f"{slot.name}: {slot.shape}")


@checks("exam-rn1-total", "exam-rn2-total")
def total(name: str) -> Finding:
    """All parameters of a network."""
    network = exercise(f"rn-{name[7]}")
    return judge(network.n_parameters == {"1": 567_434, "2": 421_642}[name[7]], f"{network.n_parameters}")


@checks("exam-rn1-super", "exam-rn2-super")
def parent(name: str) -> Finding:
    """A constructor that calls its parent's through the name of another class."""
    other = {"1": "MLP", "2": "CNN"}[name[7]]
    code = f"class RN:\n    def __init__(self):\n        super({other}, self).__init__()\nRN()"
    told = []
    for names in ({}, {other: type(other, (), {})}):
        try:
            exec(code, {"__name__": "test", **names})
        except (NameError, TypeError) as error:
            told.append(f"{type(error).__name__}: {error}")
    return judge(not told, "; ".join(told))


@checks("exam-three-networks")
def networks() -> Finding:
    """How many networks there are."""
    return judge(len(EXERCISES) == 3, _("{n} networks are defined").format(n=len(EXERCISES)))


@checks("exam-normalise-comma")
def comma() -> Finding:
    """The misplaced comma makes two means of one."""
    image = np.zeros((1, 28, 28))
    try:
        image -= np.array([0, 1307.0])[:, None, None]
    except ValueError as error:
        return judge(False, f"{type(error).__name__}: {error}")
    return judge(True, f"{image.shape}")


@checks("exam-mnist-constants")
def constants() -> Finding:
    """Mean and standard deviation of the training pixels."""
    pixels = lp.open_source("mnist").inputs[:60_000] / 255
    mean, deviation = float(pixels.mean()), float(pixels.std())
    return judge(abs(mean - 0.1307) < 5e-5 and abs(deviation - 0.3081) < 5e-5, f"{mean:.6f}, {deviation:.6f}")


@checks("exam-torch-max-line")
def pair() -> Finding:
    """The line as it is printed, given to Python."""
    try:
        compile(".., predicted = torch.max(outputs, 1)", "test", "exec")
    except SyntaxError as error:
        return judge(False, f"SyntaxError: {error.msg}")
    return judge(True, "")


@checks("exam-running-loss-displayed")
def displayed() -> Finding:
    """What the print line shows."""
    batches = -(-60_000 // 64)
    return argue("wrong", _("running_loss / {n} is displayed, the mean over the batches").format(n=batches))
