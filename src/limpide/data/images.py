"""An image as an array: brought to one size, and prepared as layer 0 of a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float32, Shaped, UInt8
from PIL import Image, ImageOps

from limpide.data.centring import Centring
from limpide.data.dataset import Note
from limpide.data.preparation import PreparationRow
from limpide.errors import DataError, problem
from limpide.i18n import _, format_number

Size = tuple[int, int]

BLOCK = 256
"""Images treated at a time: few enough to stay in the processor's cache."""


@dataclass(frozen=True)
class Wanted:
    """How images shall be read.

    size         rows and columns; None keeps the common size of small images, else takes a median one of at most 64
    channels     1 for grey, 3 for colour; None looks whether any image has colour
    need_target  each image must lie in the folder of its class
    centring     where strokes shall lie; None takes images whole
    """

    size: Size | None = None
    channels: int | None = None
    need_target: bool = True
    centring: Centring | None = None


def upright(image: Image.Image, light_ink: bool = False) -> Image.Image:
    """An open image as it is meant to be looked at: turned, on white, in 8 bits; of the modes L or RGB.

    light_ink  on black instead, where what is visible of a transparent image is light
    """
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _to_8_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        is_light = light_ink and _visible_light(image) > 0.5
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black" if is_light else "white"), image)
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def brought_to(image: Image.Image, size: Size, channels: int | None = None) -> UInt8[np.ndarray, "channels rows cols"]:
    """An open image as (channels, rows, cols) bytes: upright, on white, 8 bits, of that size.

    channels  None gives one channel when the image has no colour
    """
    image.draft(image.mode, (2 * max(size), 2 * max(size)))
    image = upright(image)
    rows, cols = size
    if image.size != (cols, rows):
        image = image.resize((cols, rows), Image.Resampling.BILINEAR)
    if image.mode == "RGB" and channels == 1:
        image = image.convert("L")
    pixels = np.asarray(image, np.uint8)
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    if channels is None and len(planes) == 3 and (planes == planes[:1]).all():
        planes = planes[:1]
    return np.ascontiguousarray(planes if channels in (None, len(planes)) else np.repeat(planes, 3, axis=0))


def _visible_light(image: Image.Image) -> float:
    """The mean light of what an RGBA image shows, in [0, 1]; dark where it shows nothing."""
    light, shown = (np.asarray(plane, np.float64) for plane in (image.convert("RGB").convert("L"), image.split()[3]))
    return float((light * shown).sum() / (255 * shown.sum())) if shown.any() else 0.0


def to_png_base64(image: Shaped[np.ndarray, "channels rows cols"], scale: int = 1) -> str:
    """An image (channels, rows, cols) in [0, 255] as the text of a PNG file, each pixel `scale` pixels wide.

    >>> to_png_base64(np.zeros((1, 2, 2), np.uint8))[:11]
    'iVBORw0KGgo'
    """
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    if scale > 1:
        picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def from_png_base64(png: str) -> UInt8[np.ndarray, "channels rows cols"]:
    """The image that `to_png_base64` wrote.

    >>> from_png_base64(to_png_base64(np.full((1, 1, 2), 7.0))).tolist()
    [[[7, 7]]]
    """
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(png)), formats=("PNG",)))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


@dataclass(frozen=True)
class ImagePreparation:
    """What happens to images before the first layer, as fitted on the training images.

        x = (pixel / 255 - mean) / sd        for each channel; without `standardise`
        x = low + (high - low) pixel / 255

    shape        (channels, rows, cols)
    mean         of the training images, for each channel, in [0, 1]
    sd           likewise; 1 stands for a channel that never changes
    pixel_range  low and high: what black and white become
    centring     where the strokes of the training images lie, and where those of others are brought
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    standardise: bool = True
    pixel_range: tuple[float, float] = (0.0, 1.0)
    centring: Centring | None = None
    kind: str = field(default="image", init=False)

    @classmethod
    def fit(
        cls,
        images: np.ndarray,
        standardise: bool = True,
        rows: np.ndarray | None = None,
        pixel_range: Sequence[float] | None = None,
        centring: Centring | None = None,
    ) -> ImagePreparation:
        """The preparation that the training images, those of `rows`, call for; None takes them all.

        pixel_range  what black and white become, instead of standardising
        centring     where the strokes of other images are to be brought; None takes images whole
        Raises       DataError  for what is no image
        """
        _check_pixels(images, rows)
        rows = np.arange(len(images)) if rows is None else rows
        n_channels = images.shape[1]
        mean, variance = (_byte_moments if images.dtype == np.uint8 else _moments)(images, rows)
        sd = np.where(variance > 1e-12, np.sqrt(variance), 1.0)
        shape = (n_channels, images.shape[2], images.shape[3])
        low, high = pixel_range or (0.0, 1.0)
        return cls(
            shape,
            tuple(mean.tolist()),
            tuple(sd.tolist()),
            standardise and pixel_range is None,
            (low, high),
            centring,
        )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The shape of one example."""
        return self.shape

    @property
    def feature_names(self) -> tuple[str, ...]:
        """None: the inputs of an image are its pixels."""
        return ()

    @property
    def reading(self) -> Wanted:
        """How new images are read so that they are as the training ones were."""
        return Wanted((self.shape[1], self.shape[2]), self.shape[0], False, self.centring)

    def transform(
        self, images: np.ndarray, rows: np.ndarray | None = None
    ) -> Float32[np.ndarray, "examples channels rows cols"]:
        """Images (n, channels, rows, cols) in [0, 255] as float32, in C order; those of `rows` where they are given."""
        _check_pixels(images, rows)
        if images.shape[1:] != self.shape:
            got = "×".join(str(side) for side in images.shape[1:])
            mend = _("bring them to the size and the channels of the training images")
            raise DataError(problem(_("images"), "×".join(str(side) for side in self.shape), got, mend))
        scale, shift = (values[:, None, None] for values in self._affine())
        prepared = np.empty((len(images if rows is None else rows), *self.shape), np.float32)

        def write(start: int) -> None:
            block = prepared[start : start + BLOCK]
            block[...] = images[start : start + BLOCK] if rows is None else images[rows[start : start + BLOCK]]
            block *= scale
            block += shift

        starts = range(0, len(prepared), BLOCK)
        with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
            list((threads.map if len(starts) > 1 else map)(write, starts))
        return prepared

    def notes(self, images: np.ndarray) -> list[Note]:
        """A warning when images are much lighter or darker than those of the training."""
        seen, now = float(np.mean(self.mean)), float(images.mean()) / 255.0
        if abs(now - seen) <= 0.35:
            return []
        text = (
            _("these images are much lighter than the training images ({now} against {seen} of full light)")
            if now > seen
            else _("these images are much darker than the training images ({now} against {seen} of full light)")
        ).format(now=format_number(now, 2), seen=format_number(seen, 2))
        text = _("{text}; are light and dark the other way round?").format(text=text)
        return [Note("warning", _("images"), text)]

    def rows(self) -> list[PreparationRow]:
        """The lines of this layer: where strokes are brought, and what happens to every pixel."""
        return [*self._centring_rows(), self._pixel_row()]

    def _centring_rows(self) -> list[PreparationRow]:
        if self.centring is None:
            return []
        what = _("of an image that is not so already: without their ground, scaled to one box, laid by their mass")
        row, col = (format_number(value, 3) for value in self.centring.middle)
        arithmetic = _("longer side {box} pixels, centre of mass at row {row}, column {col}").format(
            box=format_number(round(self.centring.box)), row=row, col=col
        )
        return [PreparationRow(_("strokes"), "number", what, arithmetic, ())]

    def _pixel_row(self) -> PreparationRow:
        channels, rows, cols = self.shape
        colour = _("grey") if channels == 1 else _("colour")
        what = _("upright, on white, {rows} × {cols}, {colour}").format(rows=rows, cols=cols, colour=colour)
        if not self.standardise:
            low, high = self.pixel_range
            ends = _("scaled to [{low}, {high}]").format(low=format_number(low), high=format_number(high))
            times = "" if high - low == 1 else f"{format_number(high - low)} "
            plus = f" {'+' if low > 0 else '-'} {format_number(abs(low))}" if low else ""
            return PreparationRow(_("pixels"), "number", f"{what}, {ends}", f"{times}pixel / 255{plus}", ())
        arithmetic = "; ".join(
            f"(pixel / 255 - {format_number(mean)}) / {format_number(sd)}" for mean, sd in zip(self.mean, self.sd)
        )
        return PreparationRow(_("pixels"), "number", what + ", " + _("standardised"), arithmetic, ())

    def to_dict(self) -> dict[str, Any]:
        """Itself as JSON."""
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "mean": list(self.mean),
            "sd": list(self.sd),
            "standardise": self.standardise,
            "pixel_range": list(self.pixel_range),
            "centring": None if self.centring is None else self.centring.to_dict(),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ImagePreparation:
        """The preparation that `to_dict` wrote."""
        channels, rows, cols = fields["shape"]
        low, high = fields.get("pixel_range", (0.0, 1.0))
        mean, sd = tuple(fields["mean"]), tuple(fields["sd"])
        centring = fields.get("centring")
        return cls(
            (channels, rows, cols),
            mean,
            sd,
            fields["standardise"],
            (low, high),
            None if centring is None else Centring.from_dict(centring),
        )

    def _affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shift of each channel: the two steps as one multiplication and one addition."""
        mean, sd = np.array(self.mean), np.array(self.sd)
        if not self.standardise:
            low, high = self.pixel_range
            return np.full(len(mean), (high - low) / 255, np.float32), np.full(len(mean), low, np.float32)
        return (1 / (255 * sd)).astype(np.float32), (-mean / sd).astype(np.float32)


def _byte_moments(images: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of bytes over 255, for each channel: rounded once, for the sums are whole numbers.

        variance = (n Σ b² - (Σ b)²) / (255 n)²

    In float32 a sum of `BLOCK` squares of bytes is still exact, in whatever order it is made.
    """
    sums = np.zeros((2, *images.shape[1:]))
    for start in range(0, len(rows), BLOCK):
        block = images[rows[start : start + BLOCK]].astype(np.float32)
        sums[0] += block.sum(axis=0)
        block *= block
        sums[1] += block.sum(axis=0)
    n = len(rows) * images.shape[2] * images.shape[3]
    pairs = [(int(total), int(squares)) for total, squares in sums.sum(axis=(2, 3)).T]
    mean = [total / (255 * n) for total, _squares in pairs]
    return np.array(mean), np.array([(n * squares - total**2) / (255 * n) ** 2 for total, squares in pairs])


def _moments(images: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of numbers over 255, for each channel."""
    n_channels = images.shape[1]
    total, squares = np.zeros(n_channels), np.zeros(n_channels)
    for start in range(0, len(rows), 1024):
        part = images[rows[start : start + 1024]].astype(np.float64) / 255.0
        total += part.sum(axis=(0, 2, 3))
        squares += np.einsum("ncij,ncij->c", part, part)
    n_values = len(rows) * images.shape[2] * images.shape[3]
    mean = total / n_values
    return mean, np.maximum(squares / n_values - mean**2, 0.0)


def _check_pixels(images: np.ndarray, rows: np.ndarray | None) -> None:
    where = _("images")
    if images.ndim != 4 or len(images if rows is None else rows) == 0:
        raise DataError(problem(where, _("an array (examples, channels, rows, cols)"), repr(images.shape)))
    if images.dtype == np.uint8:
        return
    if images.dtype.kind not in "fiu":
        raise DataError(problem(where, _("numbers in [0, 255]"), images.dtype.name))
    images = images if rows is None else images[rows]
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 255):
        got = _("values from {low} to {high}").format(low=format_number(low), high=format_number(high))
        raise DataError(problem(where, _("numbers in [0, 255]"), got))


def _to_8_bits(image: Image.Image) -> Image.Image:
    """A grey image of 16 bits (which Pillow may hold in 32) as one of 8: 65,535 becomes 255."""
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" or not (low >= 0 and high <= 65535):
        raise DataError(
            _("values from {low} to {high}, not 8 or 16 bits for each channel").format(
                low=format_number(low), high=format_number(high)
            )
        )
    return Image.fromarray(((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))
