"""An image as an array: brought to one size, and prepared as layer 0 of a network."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from PIL import Image, ImageOps

from limpide.data.dataset import Note
from limpide.data.preparation import PreparationRow
from limpide.errors import DataError, problem
from limpide.i18n import _, format_number

Size = tuple[int, int]


def brought_to(image: Image.Image, size: Size, channels: int | None = None) -> UInt8[np.ndarray, "channels rows cols"]:
    """An open image as (channels, rows, cols) bytes: upright, on white, 8 bits, of that size.

    channels  None gives one channel when the image has no colour
    """
    image.draft(image.mode, (2 * max(size), 2 * max(size)))
    image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _to_8_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    rows, cols = size
    image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    if image.size != (cols, rows):
        image = image.resize((cols, rows), Image.Resampling.BILINEAR)
    if image.mode == "RGB" and channels == 1:
        image = image.convert("L")
    pixels = np.asarray(image, np.uint8)
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    if channels is None and len(planes) == 3 and (planes == planes[:1]).all():
        planes = planes[:1]
    return np.ascontiguousarray(planes if channels in (None, len(planes)) else np.repeat(planes, 3, axis=0))


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


@dataclass(frozen=True)
class ImagePreparation:
    """What happens to images before the first layer, as fitted on the training images.

        x = (pixel / 255 - mean) / sd        for each channel; x = pixel / 255 without `standardise`

    shape  (channels, rows, cols)
    mean   of the training images, for each channel, in [0, 1]
    sd     likewise; 1 stands for a channel that never changes
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    standardise: bool = True
    kind: str = field(default="image", init=False)

    @classmethod
    def fit(cls, images: np.ndarray, standardise: bool = True, rows: np.ndarray | None = None) -> ImagePreparation:
        """The preparation that the training images, those of `rows`, call for; None takes them all."""
        images = images if rows is None else images[rows]
        _check_pixels(images)
        n_channels = images.shape[1]
        total, squares = np.zeros(n_channels), np.zeros(n_channels)
        for start in range(0, len(images), 1024):
            part = images[start : start + 1024].astype(np.float64) / 255.0
            total += part.sum(axis=(0, 2, 3))
            squares += np.einsum("ncij,ncij->c", part, part)
        n_values = len(images) * images.shape[2] * images.shape[3]
        mean = total / n_values
        variance = np.maximum(squares / n_values - mean**2, 0.0)
        sd = np.where(variance > 1e-12, np.sqrt(variance), 1.0)
        shape = (n_channels, images.shape[2], images.shape[3])
        return cls(shape, tuple(mean.tolist()), tuple(sd.tolist()), standardise)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """The shape of one example."""
        return self.shape

    @property
    def feature_names(self) -> tuple[str, ...]:
        """None: the inputs of an image are its pixels."""
        return ()

    @property
    def reading(self) -> dict[str, Any]:
        """The options that make `open_source` read new images as the training ones were."""
        return {"size": self.shape[1:], "channels": self.shape[0]}

    def transform(
        self, images: np.ndarray, rows: np.ndarray | None = None
    ) -> Float32[np.ndarray, "examples channels rows cols"]:
        """Images (n, channels, rows, cols) in [0, 255] as float32, in C order; those of `rows` where they are given."""
        images = images if rows is None else images[rows]
        _check_pixels(images)
        if images.shape[1:] != self.shape:
            got = "×".join(str(side) for side in images.shape[1:])
            mend = _("bring them to the size and the channels of the training images")
            raise DataError(problem(_("images"), "×".join(str(side) for side in self.shape), got, mend))
        scale, shift = self._affine()
        prepared: np.ndarray = np.multiply(images, scale[:, None, None], dtype=np.float32, order="C")
        prepared += shift[:, None, None]
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
        """The one line of this layer: every pixel is treated alike."""
        channels, rows, cols = self.shape
        colour = _("grey") if channels == 1 else _("colour")
        what = _("upright, on white, {rows} × {cols}, {colour}").format(rows=rows, cols=cols, colour=colour)
        if not self.standardise:
            return [PreparationRow(_("pixels"), "number", what + ", " + _("scaled to [0, 1]"), "pixel / 255", ())]
        arithmetic = "; ".join(
            f"(pixel / 255 - {format_number(mean)}) / {format_number(sd)}" for mean, sd in zip(self.mean, self.sd)
        )
        return [PreparationRow(_("pixels"), "number", what + ", " + _("standardised"), arithmetic, ())]

    def to_dict(self) -> dict[str, Any]:
        """Itself as JSON."""
        return {
            "kind": self.kind,
            "shape": list(self.shape),
            "mean": list(self.mean),
            "sd": list(self.sd),
            "standardise": self.standardise,
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ImagePreparation:
        """The preparation that `to_dict` wrote."""
        channels, rows, cols = fields["shape"]
        return cls((channels, rows, cols), tuple(fields["mean"]), tuple(fields["sd"]), fields["standardise"])

    def _affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shift of each channel: the two steps as one multiplication and one addition."""
        mean, sd = np.array(self.mean), np.array(self.sd)
        if not self.standardise:
            return np.full(len(mean), 1 / 255, np.float32), np.zeros(len(mean), np.float32)
        return (1 / (255 * sd)).astype(np.float32), (-mean / sd).astype(np.float32)


def _check_pixels(images: np.ndarray) -> None:
    where = _("images")
    if images.ndim != 4 or len(images) == 0:
        raise DataError(problem(where, _("an array (examples, channels, rows, cols)"), repr(images.shape)))
    if images.dtype == np.uint8:
        return
    if images.dtype.kind not in "fiu":
        raise DataError(problem(where, _("numbers in [0, 255]"), images.dtype.name))
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
