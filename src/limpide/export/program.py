"""The program that a run is exported as: preparation, network, decoding, a door for files; its weights lie beside it.

What is the same for every library is written here; a library's own file writes the network.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from limpide.checkpoint import write_file
from limpide.data.images import ImagePreparation
from limpide.errors import UnknownName
from limpide.export.preparation_code import decoding_code, preparation_code
from limpide.export.reading_code import IMAGE_DOOR, described, is_plain, table_door
from limpide.i18n import _
from limpide.runs import Run

PROGRAMS: dict[str, str] = {
    "numpy": "limpide.export.numpy_code:write_network",
    "torch": "limpide.export.torch_code:write_network",
    "keras": "limpide.export.keras_code:write_network",
}
"""Each library, and the function that writes a network for it."""


@dataclass(frozen=True)
class NetworkCode:
    """A network as code.

    imports  lines
    body     lines that define `forward(x)`: prepared inputs (rows, ...) to outputs (rows, units), both NumPy arrays
    training lines that define `train(x, y)`, where the library trains
    """

    imports: list[str]
    body: list[str]
    training: list[str]


def export(run: Run, to: str, path: str | Path) -> tuple[Path, Path]:
    """Write a run as a Python program and its weights beside it.

    to       "numpy", "torch" or "keras"
    path     the program's file, such as "model.py"; the weights go to the same name with .npz
    Returns  both files
    Raises   UnknownName   for another library
             Unsupported   for a layer that the library does not have
             RunError      when the files cannot be written
    """
    if to not in PROGRAMS:
        raise UnknownName(_("export"), to, PROGRAMS)
    path = Path(path)
    text, weights = program_text(run, to, path.stem), io.BytesIO()
    np.savez(weights, allow_pickle=False, **run.weights)
    beside = path.with_suffix(".npz")
    write_file(beside, weights.getvalue())
    return write_file(path, text.encode()), beside


def is_centred(run: Run) -> bool:
    """Whether the run brings the strokes of images to their place first, which its program leaves to others."""
    return isinstance(run.preparation, ImagePreparation) and run.preparation.centring is not None


def program_text(run: Run, to: str, name: str) -> str:
    """The program as text."""
    module, _colon, function = PROGRAMS[to].partition(":")
    write: Callable[[Run], NetworkCode] = getattr(importlib.import_module(module), function)
    network = write(run)
    is_image = isinstance(run.preparation, ImagePreparation)
    sections = [
        preparation_code(run.preparation, run.reading),
        network.body,
        decoding_code(run.target, run.network.ends_in_probability),
        network.training,
        IMAGE_DOOR if is_image else table_door(run.reading),
    ]
    code = "\n\n\n".join("\n".join(section) for section in sections if section)
    standard = [line for word, line in _STANDARD.items() if word in code]
    imports = sorted(["import numpy as np", *network.imports], key=lambda line: line.split()[1])
    head = "\n".join(_head(run, to, name, bool(network.training)))
    weights = 'WEIGHTS = dict(np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False))'
    return (
        "\n\n".join([head, "\n".join([*standard, "from pathlib import Path"]), "\n".join(imports), weights])
        + f"\n\n{code}\n"
    )


_STANDARD = {
    "csv.": "import csv",
    "itertools.": "import itertools",
    "math.": "import math",
    " re.": "import re",
    "sys.": "import sys",
    "datetime(": "from datetime import datetime, timedelta",
}
"""What code looks like that needs an import, and the import."""


def _head(run: Run, to: str, name: str, trains: bool) -> Iterable[str]:
    labels = {"numpy": "NumPy", "torch": "PyTorch", "keras": "Keras"}
    is_image = isinstance(run.preparation, ImagePreparation)
    written = "" if is_image or is_plain(run.reading) else f": {described(run.reading)}"
    what = "files of images" if is_image else f"the rows of a CSV file{written}"
    yield f'"""{run.dataset_name}: a network that limpide trained, written out for {labels[to]}.'
    yield ""
    yield f"    {run.network}"
    yield ""
    yield f"python {name}.py FILE ...   predicts {what}"
    if is_centred(run):
        yield ""
        yield "Images are taken as they are: light strokes on a dark ground, of the size and in the place that those of"
        yield "the training images have. limpide predict brings others there first, this program does not."
    if trains:
        yield ""
        yield "train(x, y) trains the same network anew, on inputs that prepare() made and targets that encode() made."
    yield '"""'
