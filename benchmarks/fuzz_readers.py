"""Every reader as a function of bytes, and valid files to begin from."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from json import loads
from pathlib import Path
from threading import Timer
from typing import NamedTuple


class Reader(NamedTuple):
    """What takes bytes, and valid ones.

    read  raises nothing, whatever the bytes, unless there is a fault
    """

    read: Callable[[bytes], None]
    seeds: Sequence[bytes]


def _guarded(read: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """The reader without the errors that it is meant to raise."""
    from limpide.errors import LimpideError

    def guarded(content: bytes) -> None:
        problems: Sequence[object] = ("none",)
        try:
            read(content)
        except LimpideError as error:
            problems = error.problems
        assert problems
        assert all(isinstance(line, str) and line for line in problems)

    return guarded


def _corpus(*names: str) -> list[bytes]:
    """The files of the tests whose names end so."""
    from tests.data.test_corpus_accepted import CASES

    made = [case.content() for case in CASES if case.file.endswith(names)]
    return [content for content in made if len(content) < 50_000]


def _table(content: bytes) -> object:
    """What every command does with a table: read it, understand its columns, read it again for a model."""
    from limpide.data.columns import understand
    from limpide.data.reading import Asked
    from limpide.data.tables import read_content

    if not content:
        return None
    table = read_content("fuzz.csv", content, Asked())
    understand(table.frame, dates=table.reading.dates or "day")
    cells = {name: "text" if i % 2 else "number" for i, name in enumerate(table.frame.columns)}
    again = read_content("fuzz.csv", content, Asked(table.reading))
    assert again.frame.equals(table.frame), "read otherwise the second time"
    from dataclasses import replace

    return read_content("fuzz.csv", content, Asked(former=replace(table.reading, cells=cells)))


def text() -> Reader:
    """CSV and its kin."""
    return Reader(_guarded(_table), _corpus(".csv", ".txt", ".dat"))


def json() -> Reader:
    """JSON lines and arrays."""
    return Reader(_guarded(_table), _corpus(".json", ".jsonl"))


def packed() -> Reader:
    """Archives; every other input is packed first, so that what is inside is changed too."""
    packings: list[Callable[[bytes], bytes]] = [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda c: _zip({"a.csv": c}),
    ]

    def read(content: bytes) -> object:
        kind = content[0] if content else 0
        return _table(packings[kind % 4](content[1:]) if kind & 128 else content[1:])

    seeds = [b"\0" + content for content in _corpus(".gz", ".bz2", ".xz", ".zip")]
    return Reader(_guarded(read), [*seeds, *(bytes([128 + i]) + b"a,b\n1,2\n3,4\n" for i in range(4))])


def _zip(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def _parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def excel() -> Reader:
    """Workbooks: the file itself, or one of its parts in a workbook that is whole."""
    books = _corpus(".xlsx")
    whole = [_parts(book) for book in books]
    names = [
        "xl/worksheets/sheet1.xml",
        "xl/workbook.xml",
        "xl/styles.xml",
        "xl/sharedStrings.xml",
        "xl/_rels/workbook.xml.rels",
    ]

    def read(content: bytes) -> object:
        kind, rest = (content[0], content[1:]) if content else (0, b"")
        if kind < 128:
            return _table(rest)
        return _table(_zip({**whole[kind % len(whole)], names[kind // 8 % len(names)]: rest}))

    seeds = [b"\0" + book for book in books]
    for kind in range(128, 256):
        parts, name = whole[kind % len(whole)], names[kind // 8 % len(names)]
        seeds += [bytes([kind]) + parts[name]] if name in parts else []
    return Reader(_guarded(read), seeds)


class _Served:
    """Stands in for `apart.ask`: one process for many files, a new one when it broke down."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self, request: bytes, seconds: float) -> bytes:
        from limpide.data import apart

        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                apart.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        given, out = self.process.stdin, self.process.stdout
        assert given is not None
        assert out is not None
        limit = Timer(seconds, self.process.kill)
        limit.start()
        with suppress(BrokenPipeError):
            given.write(request)
            given.flush()
        facts = out.readline()
        n_bytes = sum(loads(facts).get("sizes", [])) if facts.endswith(b"\n") else -1
        frames = out.read(n_bytes) if n_bytes >= 0 else b""
        limit.cancel()
        if len(frames) != n_bytes:
            self.process.kill()
            self.process.wait()
            return b""
        return facts + frames


def old_excel() -> Reader:
    """Workbooks that are not XML."""
    from limpide.data import apart

    apart.ask = _Served()
    return Reader(_guarded(_table), _corpus(".xls"))


def parquet() -> Reader:
    """Parquet."""
    from limpide.data import apart

    apart.ask = _Served()
    import polars as pl

    from tests.data.nasty import parquet as written

    frames = [pl.DataFrame({"a": [1, None], "b": ["x", "y"]}), pl.DataFrame({"d": [None, True], "f": [1.5, 2]})]
    return Reader(_guarded(_table), [*_corpus(".parquet"), *map(written, frames)])


def arrays() -> Reader:
    """NumPy's files."""
    import numpy as np

    from limpide.data.sources import open_source
    from tests.data.nasty import npy, npz

    images = npz(images=np.zeros((3, 4, 4), np.uint8), labels=np.arange(3))
    parts = npz(x_train=np.zeros((3, 2)), y_train=np.arange(3), x_test=np.zeros((2, 2)), y_test=np.arange(2))
    read = _in_file("fuzz.npy", lambda path: open_source(path, need_target=False) if path.stat().st_size else None)
    return Reader(_guarded(read), [*_corpus(".npy", ".npz"), images, parts, npy(np.array([["a", "b"]]))])


def _in_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A reader of paths as a reader of bytes."""
    path = Path(tempfile.mkdtemp()) / name

    def through_file(content: bytes) -> object:
        path.write_bytes(content)
        return read(path)

    return through_file


def idx() -> Reader:
    """IDX."""
    import numpy as np

    from limpide.data.idx import read_idx

    content = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3]) + np.arange(18, dtype=np.uint8).tobytes()
    read = _in_file("fuzz-idx3-ubyte", lambda path: read_idx(path, None))
    return Reader(_guarded(read), [content, gzip.compress(content)])


def images() -> Reader:
    """Images and zip files of them."""
    from PIL import Image

    from limpide.data.image_files import read_image_file, read_image_zip
    from limpide.data.images import Wanted

    one, several = Path(tempfile.mkdtemp()) / "a.png", Path(tempfile.mkdtemp()) / "a.zip"

    def read(content: bytes) -> object:
        path = several if content[:1] == b"P" else one
        path.write_bytes(content[1:])
        return (read_image_zip if path is several else read_image_file)(path, Wanted(need_target=False))

    seeds = []
    for form in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"):
        for mode in ("L", "RGB") if form != "GIF" else ("L",):
            file = io.BytesIO()
            Image.new(mode, (5, 4), 3).save(file, form)
            seeds += [b"I" + file.getvalue(), b"P" + _zip({"a/1.png": file.getvalue(), "b/2.png": file.getvalue()})]
    return Reader(_guarded(read), seeds)


def recipe() -> Reader:
    """Recipes in TOML."""
    from limpide.recipe import Recipe

    def read(path: Path) -> None:
        made = Recipe.read(path)
        made.check()
        assert Recipe.read(path).hash() == made.hash()

    small = Recipe.from_options(
        "iris", epochs=3, network="8 relu", kinds={"a": "number"}, data_options={"decimal": ","}
    )
    seeds = [b'limpide = 1\n[data]\nsource = "iris"\n', small.to_toml().encode()]
    return Reader(_guarded(_in_file("fuzz.toml", read)), seeds)


def runs() -> Reader:
    """The files of a run, one of them changed."""
    from limpide import load, train
    from limpide.runs import FILES

    folder = Path(tempfile.mkdtemp())
    train("iris", epochs=1, out=folder / "run", baselines=False, report=False, network="3 relu", engine="numpy")
    names = (*FILES, "metrics.json")
    whole = {name: (folder / "run" / name).read_bytes() for name in names}

    def read(content: bytes) -> object:
        name = names[content[0] % len(names)] if content else names[0]
        shutil.copytree(folder / "run", folder / "copy", dirs_exist_ok=True)
        (folder / "copy" / name).write_bytes(content[1:])
        return load(folder / "copy")

    return Reader(_guarded(read), [bytes([i]) + whole[name] for i, name in enumerate(names)])


READERS: dict[str, Callable[[], Reader]] = {
    "text": text,
    "json": json,
    "packed": packed,
    "excel": excel,
    "old_excel": old_excel,
    "parquet": parquet,
    "arrays": arrays,
    "idx": idx,
    "images": images,
    "recipe": recipe,
    "runs": runs,
}
