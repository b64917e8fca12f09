"""The claim on arrays of pictures, recomputed."""

from __future__ import annotations

import numpy as np

import limpide as lp
from limpide.i18n import _
from limpide.labs import is_full
from limpide.labs.claims import Finding, checks, judge
from limpide.labs.running import names_of

STORY = names_of(__file__, "colour", "axes")


@checks("image-axis-order")
def axes() -> Finding:
    """A grey and a colour picture of other height than width, through a file; the whole of MNIST on request."""
    shades = np.arange(256, dtype=np.uint8).reshape(8, 32)
    grey, colour = STORY.through_a_file(shades)[1], STORY.through_a_file(STORY.picture[:20])[1]
    is_right = grey.shape == (1, 8, 32) and colour.shape == (3, 20, 32)
    is_right &= np.array_equal(grey[0], shades) and np.array_equal(colour, STORY.picture[:20].transpose(2, 0, 1))
    text = _("grey {grey} with {n} levels from {low} to {high}, colour {colour}")
    evidence = text.format(
        grey=grey.shape, n=len(np.unique(grey)), low=f"{grey.min():g}", high=f"{grey.max():g}", colour=colour.shape
    )
    if is_full():
        pixels = np.asarray(lp.open_source("mnist").inputs)
        is_right &= pixels.shape[1:] == (1, 28, 28) and len(np.unique(pixels)) == 256
        evidence += f"; MNIST {pixels.shape[1:]}, {pixels.min():g}–{pixels.max():g}, {len(np.unique(pixels))}"
    return judge(bool(is_right), evidence)
