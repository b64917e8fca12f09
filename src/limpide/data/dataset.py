"""What every reader gives and every user of data takes: the inputs, the target, and what was understood of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from limpide.arrays import show_shape
from limpide.i18n import N_, _, format_count, ngettext
from limpide.markup import paragraph, picture, table

if TYPE_CHECKING:
    import polars as pl

    from limpide.data.places import Places
    from limpide.data.reading import Reading

Kind = Literal["number", "category", "boolean", "date", "text", "identifier", "constant"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FEATURE_KINDS: tuple[Kind, ...] = ("number", "category", "boolean", "date")
KIND_WORDS: dict[Kind, str] = {
    "number": N_("number"),
    "category": N_("category"),
    "boolean": N_("yes or no"),
    "date": N_("date"),
    "text": N_("text"),
    "identifier": N_("identifier"),
    "constant": N_("constant"),
}

SHOWN_IMAGES, IMAGE_WIDTH = 12, 64
"""In a notebook: how many, and how wide in pixels of the page."""


def kind_word(kind: Kind) -> str:
    """A kind in the user's language."""
    return _(KIND_WORDS[kind])


def typed_kind(kind: Kind) -> str:
    """A kind in the user's language, and in brackets as an option takes it, where that is another word.

    >>> typed_kind("number"), typed_kind("boolean")
    ('number', 'yes or no (boolean)')
    """
    word = kind_word(kind)
    return word if word == kind else f"{word} ({kind})"


def named_kinds(columns: Iterable[Column]) -> str:
    """Columns with their kinds, for a problem with all of them; "none" without any."""
    return ", ".join(f"{column.name} ({kind_word(column.kind)})" for column in columns) or _("none")


@dataclass(frozen=True)
class Note:
    """Something worth knowing about the data: a guess, a repair, a doubt.

    where  the file, the column or the part it speaks of
    text   one sentence, already in the user's language
    """

    level: Literal["info", "warning"]
    where: str
    text: str


@dataclass(frozen=True)
class Column:
    """A column of a table, and what it was taken for.

    kind         only numbers, categories, booleans and dates become features of a network
    why          the reason for the kind, a sentence in the user's language
    words        the stray words among numbers, read as missing values
    date_format  how its text writes dates, such as "%d/%m/%Y"
    is_chosen    whether the user said what it is
    """

    name: str
    kind: Kind
    why: str = ""
    words: tuple[str, ...] = ()
    date_format: str = ""
    is_chosen: bool = False

    @property
    def is_feature(self) -> bool:
        """True when the network sees the column."""
        return self.kind in FEATURE_KINDS


@dataclass(frozen=True)
class Treated:
    """What was done to an image so that it is as the training images are.

    said   no word where it was left alone
    doubt  why it may be no image of their kind
    """

    said: str = ""
    doubt: str = ""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples ready to be split and prepared.

    name       what people call it: "iris", "houses.csv"
    source     what the user gave, as text: a path, a built-in name, or "frame"
    inputs     a table without its target, or images (examples, channels, rows, cols) with values in [0, 255]
    target     None when there is nothing to compare with, at prediction time
    columns    the kind of each column of a table; empty for images
    sha256     of the file or files, or of the content
    suggested  recipe keys and values that suit a built-in, such as {"split.method": "ordered"}
    names      what each example is called, where it has a name: the file of an image
    reading    how a table was read; None for images
    treated    what was done to each image read from a file
    places     where the rows of a table stand in its file; None where they are counted from 1
    """

    name: str
    source: str
    inputs: pl.DataFrame | np.ndarray
    target: pl.Series | None
    columns: tuple[Column, ...] = ()
    notes: tuple[Note, ...] = ()
    sha256: str = ""
    suggested: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    reading: Reading | None = None
    treated: tuple[Treated, ...] = ()
    places: Places | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def nbytes(self) -> int:
        """What the inputs take in memory."""
        return self.inputs.nbytes if isinstance(self.inputs, np.ndarray) else int(self.inputs.estimated_size())

    @property
    def is_image(self) -> bool:
        """True when the inputs are images, false when they are a table."""
        return isinstance(self.inputs, np.ndarray)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The columns the network sees; none for images."""
        return tuple(column.name for column in self.columns if column.is_feature)

    def _repr_html_(self) -> str:
        """Its columns and what each was taken for, or its first images, in a notebook."""
        n = len(self)
        title = ngettext("{name}: {n} row", "{name}: {n} rows", n).format(name=self.name, n=format_count(n))
        if isinstance(self.inputs, np.ndarray):
            return paragraph(f"{title}, {show_shape(self.inputs.shape[1:])}") + self._first_images()
        rows: list[tuple[str, str, str]] = [
            (column.name, typed_kind(column.kind), column.why) for column in self.columns
        ]
        if self.target is not None:
            rows.append((self.target.name, _("target"), ""))
        notes = "".join(paragraph(f"{note.where}: {note.text}") for note in self.notes)
        return table((_("column"), _("kind"), _("why")), rows, caption=title) + notes

    def _first_images(self) -> str:
        from limpide.data.images import to_png_base64

        words = [""] * len(self) if self.target is None else [str(word) for word in self.target[:SHOWN_IMAGES]]
        pairs = zip(self.inputs[:SHOWN_IMAGES], words)
        return "".join(picture(to_png_base64(np.asarray(image)), word, IMAGE_WIDTH) for image, word in pairs)
