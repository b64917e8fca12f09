"""The error surface of a linear unit with two inputs, before and after these are brought to one scale.

Source  LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.3
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from limpide.figures.axes import show_numbers, tick_text
from limpide.figures.picture import INK, MUTED, ORANGE, PAPER, Picture, Sheet, Table
from limpide.figures.shades import caption_of, contours
from limpide.figures.tables import Rows
from limpide.i18n import _, format_count

STEPS = 30
_ALONG = 61


@dataclass(frozen=True, eq=False)
class Bowl:
    """The mean squared error of y = w₁ x₁ + w₂ x₂ + b over the two weights, the bias at its best.

        J(w) = J(w*) + (w - w*)ᵀ H (w - w*),   H = the mean of x xᵀ

    best   w*
    """

    hessian: np.ndarray
    best: np.ndarray
    least: float

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Bowl:
        """The bowl of these inputs (rows, 2) and targets."""
        ones = np.column_stack([x, np.ones(len(x))])
        solved = np.linalg.lstsq(ones, y, rcond=None)[0]
        return cls(x.T @ x / len(x), solved[:2], float(((y - ones @ solved) ** 2).mean()))

    @property
    def condition(self) -> float:
        """How many times steeper it is across than along: the ratio of the eigenvalues of H."""
        low, high = np.linalg.eigvalsh(self.hessian)
        return float(high / max(low, high * 1e-15))

    def heights(self, w1: np.ndarray, w2: np.ndarray) -> np.ndarray:
        """J over a grid, (w2, w1)."""
        d1, d2 = np.meshgrid(w1 - self.best[0], w2 - self.best[1])
        h = self.hessian
        found: np.ndarray = self.least + h[0, 0] * d1**2 + 2 * h[0, 1] * d1 * d2 + h[1, 1] * d2**2
        return found

    def descent(self, start: np.ndarray, steps: int = STEPS) -> np.ndarray:
        """Gradient descent with 0.9 times the rate beyond which it would not come nearer, (steps + 1, 2)."""
        rate = 0.9 / float(np.linalg.eigvalsh(self.hessian)[-1])
        places = [start]
        for _step in range(steps):
            places.append(places[-1] - rate * self.hessian @ (places[-1] - self.best))
        return np.stack(places)


def normalisation(rows: Rows, names: list[str]) -> Picture:
    """Two error surfaces side by side: of the two columns as they are, and of the same at mean 0 and deviation 1."""
    raw = np.column_stack([rows.numbers(name) for name in names])
    truth = (
        rows.truth.astype(float) if rows.run.task == "regression" else (rows.truth == rows.truth.max()).astype(float)
    )
    known = np.isfinite(raw).all(axis=1)
    raw, truth = raw[known], truth[known]
    y = (truth - truth.mean()) / (truth.std() or 1.0)
    scaled = (raw - raw.mean(axis=0)) / np.where(raw.std(axis=0) > 0, raw.std(axis=0), 1.0)
    bowls = {_("as they are"): Bowl.of(raw, y), _("mean 0, deviation 1"): Bowl.of(scaled, y)}
    paths = {word: bowl.descent(_start(bowl)) for word, bowl in bowls.items()}

    def draw(sheet: Sheet) -> None:
        for i, (word, bowl) in enumerate(bowls.items()):
            side = sheet.width / 2
            axes = sheet.panel(i * side + 0.72, 0.55, side - 0.84, sheet.height - 0.95)
            reach = 1.15 * float(np.abs(paths[word] - bowl.best).max())
            w1, w2 = (np.linspace(centre - reach, centre + reach, _ALONG) for centre in bowl.best)
            contours(axes, (w1, w2, bowl.heights(w1, w2)), named=False, levels=_levels(bowl, w1, w2))
            axes.plot(*paths[word].T, "-o", ms=3, lw=1.2, color=ORANGE)
            axes.plot(*bowl.best[:, None], "*", ms=12, color=INK, markeredgecolor=PAPER)
            text = _("{what}: {n} times steeper").format(what=word, n=tick_text(float(f"{bowl.condition:.3g}")))
            axes.set_title(text, loc="left", fontsize=9, pad=5)
            axes.set_aspect("equal")
            for axis in (axes.xaxis, axes.yaxis):
                show_numbers(axis)
            axes.locator_params(nbins=4)
            axes.set_xlabel(_("weight of {name}").format(name=rows.label(names[0])), fontsize=9)
            axes.set_ylabel(_("weight of {name}").format(name=rows.label(names[1])), color=MUTED, fontsize=9)

    header = (
        _("inputs"),
        _("steepness across over along"),
        _("error at the start"),
        _("after {n} steps").format(n=STEPS),
        _("least"),
    )
    table = Table(
        header, tuple((word, bowl.condition, *_ends(bowl, paths[word]), bowl.least) for word, bowl in bowls.items())
    )
    return Picture("normalisation", _("Why inputs are normalised"), _caption(rows, len(raw)), table, draw, (7.0, 3.9))


def _start(bowl: Bowl) -> np.ndarray:
    """Two weights of 0, or a little beside the best where this is at 0 too."""
    return np.zeros(2) if np.abs(bowl.best).max() > 1e-9 else bowl.best + 1.0


def _ends(bowl: Bowl, path: np.ndarray) -> tuple[float, float]:
    first, last = (float(bowl.heights(place[:1], place[1:])[0, 0]) for place in (path[0], path[-1]))
    return first, last


def _levels(bowl: Bowl, w1: np.ndarray, w2: np.ndarray) -> np.ndarray:
    """Lines at equal ratios of the height above the bottom."""
    above = bowl.heights(w1, w2) - bowl.least
    top = float(above.max()) or 1.0
    return bowl.least + top * np.geomspace(1e-3, 0.8, 9)


def _caption(rows: Rows, n: int) -> str:
    what = _("the target")
    if rows.run.task != "regression":
        what = _("being {label}").format(label=rows.run.target.labels[int(rows.truth.max())])
    return caption_of(
        _("The mean squared error of a linear unit that guesses {what} from two columns, over its two weights.").format(
            what=what
        ),
        _(
            "Orange: {steps} steps of gradient descent from weights of 0, each with the rate that its surface allows; "
            "the star is the best. Both axes of a panel have the same scale: a round bowl is walked straight down, a "
            "ravine is not."
        ).format(steps=STEPS),
        _("Computed on {n} training rows; the target at mean 0 and deviation 1.").format(n=format_count(n)),
    )
