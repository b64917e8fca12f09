"""Where the command line begins. Streams and language come first: click chooses its language when it is imported."""

from __future__ import annotations

import atexit
import codecs
import gc
import gettext
import os
import sys
import warnings
from collections.abc import Sequence

from limpide import i18n
from limpide.distributed import place
from limpide.i18n import _

NEAREST = str.maketrans("·×–—’«»→✗█▁▂▃▄▅▆▇", '*x--\'"">x#.:-=+*%') | {ord("œ"): "oe"}
"""What stands for a character that a narrow encoding lacks, where taking off its accent is not enough."""

GARBAGE_AFTER = 100_000
"""New objects after which Python looks for garbage; its own default is 700."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    arguments  the words after `limpide`; None takes those of the process
    Returns    the exit code: 0; 1 for a failure; 2 when what was asked cannot be done; 130 after Ctrl-C
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if arguments is None:
        _look_less_for_garbage()
    if arguments is None and not sys.warnoptions:
        # libraries warn their developers; what users should know is said in words of our own
        warnings.simplefilter("ignore")
    try:
        _widen_streams()
        _choose_language(words)
        from limpide.cli import run

        return run(words)
    except KeyboardInterrupt as interrupt:
        if place().is_first:
            left = "; ".join(getattr(interrupt, "__notes__", [])) or _("nothing was written")
            print("\n" + _("interrupted: {left}").format(left=left), file=sys.stderr)
        return 130


def _look_less_for_garbage() -> None:
    """Look for garbage seldom, and not at all at exit: what is imported stays anyway, and going through it again and
    again takes a sixth of the time of a short command."""
    gc.set_threshold(GARBAGE_AFTER)
    atexit.register(gc.freeze)


def _choose_language(words: Sequence[str]) -> None:
    """The language of `--lang`, else of the environment, for our words and for click's."""
    named = None
    for i, word in enumerate(words):
        option, _equals, value = word.partition("=")
        if option == "--lang":
            named = value or (words[i + 1] if i + 1 < len(words) else None)
    language = i18n.set_language(named)
    # click asks gettext itself: it looks in LANGUAGE for the language and in the current domain for the text
    os.environ["LANGUAGE"] = language
    gettext.bindtextdomain("limpide", str(i18n.LOCALE_FOLDER))
    gettext.textdomain("limpide")


def _widen_streams() -> None:
    """Let no character stop a command: what the encoding of a stream lacks is written as its nearest neighbour."""
    codecs.register_error("nearest", _nearest)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="nearest")


def _nearest(error: UnicodeError) -> tuple[str, int]:
    from unicodedata import combining, normalize

    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end].translate(NEAREST)
    plain = "".join(c for c in normalize("NFKD", lacking) if not combining(c))
    return plain.encode("ascii", "replace").decode("ascii"), error.end


if __name__ == "__main__":
    sys.exit(main())
