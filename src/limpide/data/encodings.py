"""The encoding of a text file, guessed from its head."""

from __future__ import annotations

import codecs
import re

from limpide.errors import DataError, problem
from limpide.i18n import _, format_count

LABELS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 (BOM)",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "cp1252": "Windows-1252",
    "mac-roman": "Mac Roman",
    "cp850": "DOS (cp850)",
    "iso8859-1": "Latin-1",
}
LEGACY = ("cp1252", "mac-roman", "cp850")
"""Where a text is not UTF-8, in the order of preference."""

_CONTROL = "".join(map(chr, [*range(9), *range(14, 32)]))
_USUAL = frozenset("àâäáãåæçéèêëíìîïñóòôöõøœßúùûüÿÀÂÄÁÅÇÉÈÊËÍÎÏÑÓÔÖØŒÚÙÛÜ€£°²³µ§«»\u00a0‘’“”–—…·•®©™")
_HIGH = re.compile("[^\\x00-\\x7f]+")
_RUN = re.compile("(?:(?![0-9_])[^\\W\\x00-\\x7f]){2,}")
_CAPITAL = re.compile("(?<=[a-z])[À-ÖØ-Þ]")
LIKELY = 0.6
PIECE = 1 << 22
_TWICE = re.compile("[ÃÂ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")


def label(encoding: str) -> str:
    """The encoding as people call it."""
    return LABELS.get(encoding, encoding)


def guess_encoding(head: bytes) -> str | None:
    """The encoding of a text, or None when these bytes are no text.

    >>> guess_encoding("été".encode()), guess_encoding("été".encode("cp1252")), guess_encoding(bytes(9))
    ('utf-8', 'cp1252', None)
    >>> guess_encoding("été".encode("mac-roman")), guess_encoding("été".encode("utf-16-be"))
    ('mac-roman', 'utf-16-be')
    """
    if head.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in head:
        # Latin letters in UTF-16 put a zero in every other byte.
        even, odd = head[0::2].count(0), head[1::2].count(0)
        candidates = ["utf-16-le"] if odd > 0.4 * len(head) / 2 and not even else []
        candidates += ["utf-16-be"] if even > 0.4 * len(head) / 2 and not odd else []
    else:
        candidates = ["utf-8"]
    for encoding in candidates:
        text = decode_head(head, encoding)
        if text is not None and not any(character in text for character in _CONTROL):
            return encoding
    return None if b"\0" in head else guess_legacy(head)


def guess_legacy(head: bytes) -> str | None:
    """The encoding of a text of one byte a letter, the one of the most usual letters; None when it is none."""
    # what is neither a letter nor an end of line hardly comes in a text, whatever its alphabet
    if any(byte < 32 and byte not in b"\t\n\r\f\v" for byte in set(head)):
        return None
    texts = {encoding: decode_head(head, encoding) for encoding in LEGACY}
    shares = {encoding: _usual_share(text) for encoding, text in texts.items() if text is not None}
    if shares and max(shares.values()) >= LIKELY:
        return max(shares, key=lambda encoding: shares[encoding])
    n_high = sum(byte > 127 for byte in head)
    return "cp1252" if "cp1252" in shares and 2 * n_high < len(head) else None  # another alphabet: `doubts` says so


def _usual_share(text: str) -> float:
    """The part of the letters beyond ASCII that stand as they do in the languages of Western Europe."""
    high = _HIGH.findall(text)
    n = sum(map(len, high))
    # accents seldom follow each other, and no capital follows a small letter
    odd = sum(map(len, _RUN.findall(text))) + len(_CAPITAL.findall(text))
    usual = sum(letter in _USUAL for run in high for letter in run)
    return max(0, usual - odd) / n if n else 1.0


def decode_head(head: bytes, encoding: str) -> str | None:
    """The text of the first bytes of a file, a letter cut in two at their end left out; None when they do not fit."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except (UnicodeDecodeError, LookupError):
        return None


def as_utf8(where: str, content: bytes, encoding: str) -> bytes:
    """The text in UTF-8, without a mark at its beginning.

    Raises  DataError  at the first byte that does not fit
    """
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        got = _("byte {byte} at position {position}").format(
            byte=f"0x{content[error.start]:02X}", position=format_count(error.start)
        )
        expected = _("text in {encoding}").format(encoding=label(encoding))
        mend = _("say its encoding, or save it again as UTF-8")
        raise DataError(problem(where, expected, got, mend)) from error
    try:
        return text.removeprefix("\ufeff").encode()
    except UnicodeEncodeError as error:  # half a letter of UTF-16
        raise DataError(
            problem(where, _("whole letters"), repr(text[error.start]), _("save it again as UTF-8"))
        ) from error


def bad_byte(content: bytes) -> int | None:
    """The place of the first byte that is not UTF-8, if there is one."""
    if content.isascii():
        return None
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(content), PIECE):
        try:
            held = len(decoder.getstate()[0])
            decoder.decode(content[start : start + PIECE], final=start + PIECE >= len(content))
        except UnicodeDecodeError as error:
            return start - held + error.start
    return None


def doubts(text: str, encoding: str) -> list[str]:
    """What in a text looks as if its encoding were another, or had been mistaken before: sentences."""
    found = []
    if encoding in LEGACY:
        if _usual_share(text) < LIKELY:
            found.append(_("its letters look wrong in {encoding}: say its encoding").format(encoding=label(encoding)))
        elif encoding != "cp1252":
            found.append(_("not in UTF-8, and {encoding} gives the likeliest letters").format(encoding=label(encoding)))
    elif _TWICE.search(text):
        cell = _TWICE.search(text)
        assert cell is not None
        found.append(_("letters such as {letters!r} look encoded twice: names and words stay as they are").format(
            letters=cell[0]))  # fmt: skip
    if "\ufffd" in text:
        found.append(_("letters were lost before: \ufffd stands for them"))
    return found
