"""Strokes found in any picture, and brought to the size and the place they have in the training images.

MNIST scaled each digit to fit a box of 20 × 20 pixels, its shape kept, and put the centre of its mass in the middle of
28 × 28. A network that learned such images knows no others: a photograph of a digit must go the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from limpide.errors import DataError, problem
from limpide.i18n import _, format_count, format_number

Plane = Float[np.ndarray, "rows cols"]
Planes = Float[np.ndarray, "n rows cols"]

WORK_SIDE = 224
"""The longer side of the picture that is searched: many times finer than what the network sees."""
MEASURED = 5_000
"""Training images that the size and the place of strokes are measured on, at most."""
FAINTEST = 0.06
"""Strokes that differ less than this from the ground, of full light, are none."""
ROUNDS, FITTED = 10, 5_000
"""Rounds of fitting the ground, and the pixels it is fitted to, at most."""
DUST = 0.04
"""Parts smaller than this share of the largest are no strokes."""
ROUGHEST, MOST_BLURRED, MOST_BESIDES = 0.12, 1.5, 0.05
"""What a drawing does not exceed: the noise of its ground; pixels between ground and stroke, and strokes left out, for
each clear pixel. Measured: drawings up to 0.11, 1.2 and 0.003; three photographs in four are beyond one of them."""
MARGIN = 0.3
"""Ground kept around strokes that are cut out of a larger picture, as a share of their size."""


class Seen(NamedTuple):
    """An image as the network takes it.

    said   what was done to it; no word where it was left as it is
    doubt  why it may show no strokes at all
    """

    pixels: UInt8[np.ndarray, "rows cols"]
    said: str = ""
    doubt: str = ""


@dataclass(frozen=True)
class Centring:
    """How strokes lie in the training images, light on a dark ground.

    rows, cols  the size of the images
    box         the longer side of a box around the strokes, in pixels
    middle      row and column of the centre of mass, from the upper left corner
    thin, usual the width of strokes: all but a twentieth are wider than `thin`, half of them are than `usual`
    """

    rows: int
    cols: int
    box: float
    middle: tuple[float, float]
    thin: float
    usual: float

    @classmethod
    def standard(cls, rows: int, cols: int) -> Centring:
        """As MNIST has it, in images of any size."""
        unit = min(rows, cols) / 28
        return cls(rows, cols, 20 * unit, (rows / 2 + 0.5 * unit, cols / 2 + 0.5 * unit), 1.6 * unit, 2.4 * unit)

    @classmethod
    def fit(cls, images: np.ndarray, rows_taken: np.ndarray | None = None) -> Centring:
        """What the training images (n, 1, rows, cols) have in common.

        rows_taken  the training images among them; None takes them all
        Raises      DataError  when they are not grey
        """
        if images.shape[1] != 1:
            raise DataError(problem("preparation.centre", _("grey images"), _("images in colour")))
        planes = _some(images, np.arange(len(images)) if rows_taken is None else rows_taken)
        return cls._of(planes, _sides(planes), _middles(planes))

    @classmethod
    def _of(cls, planes: Planes, sides: np.ndarray, middles: np.ndarray) -> Centring:
        """What planes have in common whose sides and middles are measured."""
        _n, rows, cols = planes.shape
        row, col = (float(value) for value in np.median(middles, axis=0))
        thin, usual = (float(value) for value in np.percentile(_widths(planes[: MEASURED // 5]), (5, 50)))
        return cls(rows, cols, float(np.median(sides)), (row, col), thin, usual)

    def to_dict(self) -> dict[str, Any]:
        """Itself as JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Centring:
        """The centring that `to_dict` wrote."""
        row, col = fields["middle"]
        return cls(**{**fields, "middle": (row, col)})

    def holds(self, planes: Planes) -> np.ndarray:
        """Which planes, in [0, 1], are as the training images are: of their size and place, on a dark ground."""
        return self._hold(_sides(planes), _middles(planes))

    def _hold(self, sides: np.ndarray, middles: np.ndarray) -> np.ndarray:
        tolerance = self.box / 10
        near = np.abs(middles - self.middle).max(1) <= tolerance / 2
        return np.asarray(near & (np.abs(sides - self.box) <= tolerance))

    def applied(self, image: Image.Image) -> Seen:
        """An upright image without transparency as the network shall see it.

        One that is as the training images are stays as it is. Of any other the ground is taken away, whatever its
        shading; the strokes are scaled to the box and laid with the centre of their mass in the middle.

        image  of the modes L or RGB
        """
        grey = image.convert("L")
        if grey.size == (self.cols, self.rows):
            given = np.asarray(grey)
            if self.holds(given[None] / 255.0)[0]:
                return Seen(given)
        found = _find(grey)
        for band in image.split() if found is None and image.mode == "RGB" else ():
            # strokes as light as the ground differ from it in colour
            found = found or _find(band)
        if found is None:
            return Seen(np.zeros((self.rows, self.cols), np.uint8), _("left blank"), _("no strokes were found"))
        strokes = found.strokes
        size = _("{height} × {width} pixels brought to {box}").format(
            height=format_count(found.height), width=format_count(found.width), box=format_count(round(self.box))
        )
        said = [_("light strokes on a dark ground") if found.is_light else _("dark strokes, turned over"), size]
        per_pixel = max(_extent(strokes)) / self.box
        width = float(_widths(strokes[None])[0]) / per_pixel
        if width < self.thin:
            strokes = _thickened(strokes, (self.usual - width) / 2 * per_pixel)
            said.append(_("thickened"))
        doubt = "" if found.is_plain else _("the ground is not plain: is it a drawing?")
        return Seen(self._laid(strokes), ", ".join(said), doubt)

    def _laid(self, strokes: Plane) -> UInt8[np.ndarray, "rows cols"]:
        """The strokes alone, scaled to the box, with the centre of their mass in the middle."""
        top, bottom, left, right = _corners(strokes)
        scale = self.box / max(bottom - top, right - left)
        height, width = (max(1, round(side * scale)) for side in (bottom - top, right - left))
        patch = np.asarray(
            Image.fromarray(strokes.astype(np.float32)).resize(
                (min(width, self.cols), min(height, self.rows)),
                Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR,
                (left, top, right, bottom),
            )
        )
        canvas = np.zeros((self.rows, self.cols), np.uint8)
        start = [
            int(np.clip(round(middle - mass), 0, room - side))
            for middle, mass, room, side in zip(self.middle, _middles(patch[None])[0], canvas.shape, patch.shape)
        ]
        place = tuple(slice(first, first + side) for first, side in zip(start, patch.shape))
        canvas[place] = np.rint(255 * np.clip(patch, 0, 1)).astype(np.uint8)
        return canvas


def judge(images: np.ndarray, rows_taken: np.ndarray) -> tuple[Centring | None, str]:
    """How strokes lie in images (n, channels, rows, cols) that have them in one size and place, as MNIST's do; else
    None. And why.

    rows_taken  the training images among them
    """
    _n, channels, rows, cols = images.shape
    if channels != 1:
        return None, _("images in colour are taken whole")
    planes = _some(images, rows_taken)
    edge = np.concatenate([planes[:, 0], planes[:, -1], planes[:, :, 0], planes[:, :, -1]], axis=1)
    sides, middles = _sides(planes), _middles(planes)
    centring = Centring._of(planes, sides, middles)
    share = float(centring._hold(sides, middles).mean())
    is_small = centring.box <= 0.85 * max(rows, cols)
    if float(np.median(edge.max(1))) > 0.1 or not is_small or share < 0.95:
        return None, _("these images are not strokes of one size, in one place, on a dark ground")
    text = _("the strokes of the training images have one size, {box} pixels, and their centre of mass in one place")
    return centring, text.format(box=format_number(round(centring.box)))


class _Found(NamedTuple):
    """Strokes, and of what they were taken.

    height, width  their size in the picture
    is_plain       the ground is much quieter than they are, and they have clear edges
    """

    strokes: Plane
    is_light: bool
    height: int
    width: int
    is_plain: bool


def _some(images: np.ndarray, rows_taken: np.ndarray) -> Planes:
    """At most `MEASURED` of these rows of the images, at even distances, with values in [0, 1]."""
    chosen = rows_taken[:: -(-len(rows_taken) // MEASURED)]
    return np.asarray(images[chosen, 0].astype(np.float64) / 255.0)


def _sides(planes: Planes) -> np.ndarray:
    """The longer side of the box around what is lit, of each plane."""
    lit: np.ndarray = planes > 0.25
    heights, widths = (
        np.where(line.any(1), line.shape[1] - line.argmax(1) - line[:, ::-1].argmax(1), 0)
        for line in (lit.max(2), lit.max(1))
    )
    sides: np.ndarray = np.maximum(heights, widths)
    return sides


def _middles(planes: Planes) -> np.ndarray:
    """Row and column of the centre of mass of each plane; its own middle where nothing is lit."""
    mass = planes.sum((1, 2))
    middles = []
    for axis, lines in ((1, planes.sum(2)), (2, planes.sum(1))):
        n = planes.shape[axis]
        moment = lines @ (np.arange(n) + 0.5)
        middles.append(np.divide(moment, mass, out=np.full(len(planes), n / 2), where=mass > 0))
    return np.stack(middles, axis=1)


def _widths(planes: Planes) -> np.ndarray:
    """The mean width of the strokes of each plane, in [0, 1]: twice their area over their outline; 0 without strokes.

    The outline is the total variation, which neither blur nor resolution changes much.
    """
    n, rows, cols = planes.shape
    padded = np.zeros((n, rows + 2, cols + 2))
    padded[:, 1:-1, 1:-1] = planes
    down, right = np.diff(padded, axis=1)[:, :, :-1], np.diff(padded, axis=2)[:, :-1]
    outline = np.hypot(down, right).sum((1, 2))
    widths: np.ndarray = np.divide(2 * planes.sum((1, 2)), outline, out=np.zeros(n), where=outline > 0)
    return widths


def _thickened(strokes: Plane, by: float) -> Plane:
    """Strokes grown by so many pixels on each side."""
    from scipy.ndimage import distance_transform_edt

    padded = np.pad(strokes, int(by) + 2)
    away = distance_transform_edt(padded < 0.5)
    grown: np.ndarray = np.maximum(padded, np.clip(by + 1 - away, 0, 1))
    return grown


def _corners(strokes: Plane) -> tuple[int, int, int, int]:
    """First and last row, first and last column of what is at least half lit; the last ones are just outside."""
    lit = strokes >= min(0.5, float(strokes.max()))
    rows, cols = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1


def _extent(strokes: Plane) -> tuple[int, int]:
    top, bottom, left, right = _corners(strokes)
    return bottom - top, right - left


def _find(grey: Image.Image) -> _Found | None:
    """The strokes of a grey picture; None when it shows none.

    They are searched in a reduced copy, then cut out of the picture and searched again in their full detail.
    """
    found = _search(grey)
    if found is None or max(grey.size) <= WORK_SIDE:
        return found
    top, bottom, left, right = _corners(found.strokes)
    ratio = max(grey.size) / max(found.strokes.shape)
    margin = MARGIN * max(bottom - top, right - left) + 2
    edges = ((left - margin), (top - margin), (right + margin), (bottom + margin))
    limits = (grey.width, grey.height, grey.width, grey.height)
    box = tuple(int(np.clip(edge * ratio, 0, limit)) for edge, limit in zip(edges, limits))
    return _search(grey.crop((box[0], box[1], box[2], box[3]))) or found


def _search(grey: Image.Image) -> _Found | None:
    """The strokes of a picture reduced to `WORK_SIDE`."""
    ratio = max(1.0, max(grey.size) / WORK_SIDE)
    if ratio > 1:
        size = (max(1, round(grey.width / ratio)), max(1, round(grey.height / ratio)))
        grey = grey.resize(size, Image.Resampling.BOX)
    light = np.asarray(grey, np.float64) / 255.0
    rim = _surface(light)
    is_light = _mass(light - rim) > _mass(rim - light)
    if is_light:
        light, rim = 1 - light, 1 - rim
    best = None
    # a slope of light asks for a curved ground, the edge of a shadow for a flat one: the first with clean strokes
    for ground in (_surface(light, rim), np.full(light.shape, np.median(light))):
        strokes, is_clean, is_plain = _drawn(light, ground, is_light)
        if strokes is not None and (is_clean or best is None):
            height, width = (round(side * ratio) for side in _extent(strokes))
            best = _Found(strokes, is_light, height, width, is_plain)
        if is_clean:
            break
    return best


def _drawn(light: Plane, ground: Plane, is_light: bool) -> tuple[Plane | None, bool, bool]:
    """The strokes on a ground or None; whether they stand free of the rim on a plain ground; whether that is plain."""
    ink = _ink(light, ground, is_light)
    full = _full(ink)
    if full is None:
        return None, False, False
    strokes, is_dropped = _without_dust(np.clip((ink / full - 0.25) / 0.5, 0, 1))
    if strokes.max() < 0.5:
        return None, False, False
    is_plain = _is_plain(ink / full, is_dropped)
    is_free = not any(edge.any() for edge in (strokes[0], strokes[-1], strokes[:, 0], strokes[:, -1]))
    return strokes, is_plain and is_free, is_plain


def _mass(difference: Plane) -> float:
    """How much a picture rises above the ground, small ripples left out."""
    return float(np.maximum(difference - 3 * np.median(np.abs(difference)) - 0.02, 0).sum())


def _surface(light: Plane, near: Plane | None = None) -> Plane:
    """The ground as a surface of the second degree, for light slopes on paper: through most pixels of the rim, or
    through most pixels `near` a first surface."""
    rows, cols = light.shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, cols), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    chosen = np.maximum(abs(x), abs(y)) >= 0.9 if near is None else np.ones(light.shape, bool)
    step = -(-int(chosen.sum()) // FITTED)
    design, seen = terms[chosen][::step], light[chosen][::step]
    away = np.zeros(len(seen)) if near is None else seen - near[chosen][::step]
    fitted = np.zeros(6)
    for _round in range(ROUNDS):
        # the weights of a Cauchy law: what differs much from the ground is no ground
        weighted = design / (1 + (away / 0.02) ** 2)[:, None]
        fitted = np.linalg.solve(weighted.T @ design + 1e-6 * np.eye(6), weighted.T @ seen)
        away = seen - design @ fitted
    surface: np.ndarray = terms @ fitted
    return surface


def _ink(light: Plane, surface: Plane, is_light: bool) -> Plane:
    """How far dark strokes differ from the ground, which itself becomes 0.

    The ground is a smooth surface, then what remains of it when everything dark and narrow is filled up (a closing): so
    it follows a slope of light, and the edge of a shadow too.
    """
    from scipy.ndimage import gaussian_filter, grey_closing

    side = max(light.shape)
    smooth = gaussian_filter(light, side / 400)
    # light falls on paper and strokes alike: what counts is the share that strokes take away
    smooth = smooth - surface if is_light else smooth / np.maximum(surface, 0.1)
    window = max(3, round(0.45 * side))
    ground = grey_closing(smooth, size=(window, window), mode="nearest")
    ink: np.ndarray = (ground - smooth) / (1.0 if is_light else np.maximum(ground, 0.1))
    ink -= np.median(ink)
    return ink


def _noise(ink: Plane) -> float:
    return 1.4826 * float(np.median(np.abs(ink)))


def _full(ink: Plane) -> float | None:
    """How far strokes differ from the ground where they are drawn in full; None when nothing stands out."""
    strong = ink[ink > max(5 * _noise(ink), FAINTEST)]
    return float(np.percentile(strong, 80)) if len(strong) else None


def _without_dust(strokes: Plane) -> tuple[Plane, np.ndarray]:
    """The strokes without what is far smaller or leaves the picture, and what that was."""
    from scipy.ndimage import label

    parts, n_parts = label(strokes > 0, structure=np.ones((3, 3)))
    mass = np.bincount(parts.ravel(), strokes.ravel(), n_parts + 1)
    mass[0] = 0
    inner = mass.copy()
    inner[np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))] = 0
    # the edge of a sheet, a shadow or a ruled line leaves the picture
    best = inner if inner.max() >= 0.2 * mass.max() else mass
    is_kept = best >= DUST * best.max()
    is_kept[0] = False
    return np.where(is_kept[parts], strokes, 0.0), ~is_kept[parts]


def _is_plain(ink: Plane, is_dropped: np.ndarray) -> bool:
    """Whether a picture looks drawn: a quiet ground, clear edges, hardly anything besides the strokes.

    ink  1 where strokes are drawn in full
    """
    noise, clear = _noise(ink), int((ink >= 0.75).sum())
    blurred = int(((ink > 0.25) & (ink < 0.75)).sum())
    besides = int(((ink > 0.25) & is_dropped).sum())
    return noise <= ROUGHEST and blurred <= MOST_BLURRED * clear and besides <= MOST_BESIDES * clear
