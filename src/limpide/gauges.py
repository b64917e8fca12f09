"""What is measured at the end of every epoch, in microseconds: the loss, and a metric or two.

This is most of the time that a small training takes. So what stays the same from one epoch to the next is worked out
once, and the parts are read together: NumPy takes hardly longer for the rows of two parts than for those of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np

from limpide.data.preparation import TargetPreparation
from limpide.data.rows import Rows
from limpide.evaluation import quick_metrics, squares_around_mean
from limpide.nn.losses import Loss

Reading = tuple[float, dict[str, float | None]]
"""The loss of a part and its metrics; None where its rows leave one undefined."""


class Gauge:
    """Loss and metrics of the same parts of the data, epoch after epoch.

    x  the prepared inputs of each part
    """

    def __init__(self, parts: Sequence[Rows], loss: Loss, target: TargetPreparation, activated: bool) -> None:
        """activated  as for `TargetPreparation.decode`"""
        self.x = [rows.x for rows in parts]
        self._y, self._loss = np.concatenate([rows.y for rows in parts]), loss
        self._target, self._activated = target, activated
        ends = np.cumsum([len(x) for x in self.x]).tolist()
        self._places = [slice(end - len(x), end) for end, x in zip(ends, self.x, strict=True)]
        is_number = target.task == "regression"
        self._truths = [(rows.truth, squares_around_mean(rows.truth) if is_number else None) for rows in parts]

    def read(self, outputs: Sequence[np.ndarray]) -> list[Reading]:
        """Loss and metrics of each part, from what the network gives for `x`; no metrics where a loss is not finite.

        NumPy does not warn of an overflow on the way: whether the losses are finite is for the caller to check.
        """
        raw = np.concatenate(outputs)
        with np.errstate(over="ignore", invalid="ignore"):
            of_each = self._loss.value(raw, self._y)
            losses = [float(of_each[place].sum()) / (place.stop - place.start) for place in self._places]
            if not all(map(isfinite, losses)):
                return [(loss, {}) for loss in losses]
            answers = self._target.decode(raw, self._activated)
        readings: list[Reading] = []
        for loss, place, (truth, around_mean) in zip(losses, self._places, self._truths, strict=True):
            found = quick_metrics(self._target.task, truth, answers[place], around_mean)
            readings.append((loss, {name: value if isfinite(value) else None for name, value in found.items()}))
        return readings
