"""The guide: its code runs, its two languages agree, and it builds without a warning."""

import contextlib
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import limpide
from limpide.__main__ import main
from limpide.nn.layers import LAYERS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(str(path.relative_to(DOCS / "en")) for path in (DOCS / "en").rglob("*.md"))
BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = ("no-run", "refused")


def page(language, name):
    return (DOCS / language / name).read_text("utf-8")


def commands(name, marked=""):
    blocks = [code for info, code in BLOCK.findall(page("en", name)) if info.split() == ["sh", *marked.split()]]
    return [line for block in blocks for line in block.splitlines() if line.startswith("limpide ")]


def write_houses(folder, rng):
    lines = ["area,rooms,city,price"]
    for _ in range(120):
        area, rooms, city = rng.uniform(20, 150), rng.integers(1, 7), rng.choice(["Lyon", "Nice"])
        lines.append(f"{area:.1f},{rooms},{city},{3000 * area + 9000 * rooms + rng.normal(0, 9000):.0f}")
    rows = [line.rpartition(",") for line in lines]
    folder.joinpath("houses.csv").write_text("\n".join(lines))
    folder.joinpath("houses-2025.csv").write_text("\n".join(lines[:40]))
    folder.joinpath("new-houses.csv").write_text("\n".join(row for row, _comma, _price in rows))
    euros = ["price_eur", *(str(round(int(price) * 0.92)) for _row, _comma, price in rows[1:])]
    folder.joinpath("leaky.csv").write_text("\n".join(f"{line},{euro}" for line, euro in zip(lines, euros)))


def write_sales(folder, rng):
    lines = ["Ventes de l’année", "date;shop;weight;amount"]
    for i in range(80):
        weight = rng.uniform(1, 90)
        amount = f"{12 * weight + rng.normal(0, 60):.2f}".replace(".", ",")
        shop = rng.choice(["Besançon", "Nîmes"])
        lines.append(f"{i % 28 + 1:02}/0{i % 9 + 1}/2024;{shop};{weight:.1f}".replace(".", ",") + f";{amount}")
    folder.joinpath("sales.csv").write_bytes("\r\n".join(lines).encode("cp1252"))


def write_drawings(folder):
    digits = load_digits()
    for name, label in (("cat", 0), ("dog", 1)):
        folder.joinpath("drawings", name).mkdir(parents=True)
        for i, pixels in enumerate(digits.images[digits.target == label][:40]):
            Image.fromarray(np.uint8(pixels * 15)).save(folder / "drawings" / name / f"{i}.png")
    stroke = np.full((80, 80), 240, np.uint8)
    stroke[15:65, 36:46] = 20
    Image.fromarray(stroke).save(folder / "mine.png")


def stop_early(training, epoch):
    if epoch is not None and epoch.epoch == 3:
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """What a reader has in his folder, and the runs that other pages of the guide have made."""
    folder, rng = tmp_path_factory.mktemp("shelf"), np.random.default_rng(0)
    write_houses(folder, rng)
    write_sales(folder, rng)
    write_drawings(folder)
    (question,) = (code for info, code in BLOCK.findall(page("en", "questions.md")) if info == "toml")
    folder.joinpath("mine.toml").write_text(question)
    with contextlib.chdir(folder):
        quick = {"report": False, "baselines": False}
        limpide.train("houses.csv", target="price", epochs=4, **quick)
        limpide.train("digits", epochs=2, engine="numpy", network="32 relu", **quick)
        limpide.train("houses.csv", target="price", epochs=6, out="runs/stopped", watch=stop_early, **quick)
    return folder


@pytest.fixture
def desk(shelf, tmp_path, monkeypatch):
    """A folder of one's own to work through a page in."""
    shutil.copytree(shelf, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    # one process is started for a comparison, not one a core
    monkeypatch.setattr("limpide.many.usable_cores", lambda: 1)
    return tmp_path


@pytest.mark.parametrize("name", [name for name in PAGES if commands(name) or commands(name, "refused")])
def test_the_commands_of_a_page_run(name, desk, capsys):
    for command in commands(name, "refused"):
        assert main(shlex.split(command)[1:]) == 2, command
        assert "--accept-leak" in capsys.readouterr().err
    for command in commands(name):
        assert main(shlex.split(command)[1:]) == 0, f"{command}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("name", [name for name in PAGES if "```python" in page("en", name)])
def test_the_python_of_a_page_runs(name, desk):
    names = {}
    for info, code in BLOCK.findall(page("en", name)):
        if info == "python":
            exec(compile(code, name, "exec"), names)


def test_few_blocks_are_left_out():
    infos = [info for name in PAGES for info, _code in BLOCK.findall(page("en", name)) if "{" not in info]
    assert {info.partition(" ")[0] for info in infos} == {"sh", "python", "toml", "text"}
    assert {info.partition(" ")[2] for info in infos} == {"", *NOT_RUN}
    # those that ask questions, take a sheet that is filled in by hand, or need a folder of photos or two machines
    assert sum("no-run" in info for info in infos) == 8


def test_the_recipe_of_the_guide_is_one():
    (toml,) = (code for info, code in BLOCK.findall(page("en", "reference/recipe.md")) if info == "toml")
    assert limpide.Recipe.from_dict(tomllib.loads(toml)).network.layers == "32 relu, dropout 0.2"


def test_both_languages_have_the_same_pages():
    assert sorted(str(path.relative_to(DOCS / "fr")) for path in (DOCS / "fr").rglob("*.md")) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_the_same_in_both_languages(name):
    english, french = page("en", name), page("fr", name)
    for find in (
        r"^#+ ",  # headings, by level
        r"^% generated: \w+$",
        r"\]\([\w/]+\.md\)",  # links
        r"^(?:\||\* |\d+\. )",  # rows and items
    ):
        texts = [BLOCK.sub("", text) for text in (english, french)]
        assert re.findall(find, texts[0], re.MULTILINE) == re.findall(find, texts[1], re.MULTILINE), find
    # words of a picture are prose; all else between fences is the same byte for byte
    pairs = list(zip(BLOCK.findall(english), BLOCK.findall(french), strict=True))
    assert all(one == other or one[0] in ("{image} ../report.png", "{toctree}") for one, other in pairs)


@pytest.mark.parametrize("name", PAGES)
def test_a_french_page_is_set_as_french_is(name):
    prose = re.sub(r"`[^`]+`|\]\([^)]*\)|^%.*$|^\| ---.*$", "", BLOCK.sub("", page("fr", name)), flags=re.MULTILINE)
    wrong = re.findall(r".{0,20}(?:[ \w»)][:;!?%]|[^\u00a0]:|[^\u202f][;!?%]|'|« |[^\u00a0]»|«[^\u00a0]).{0,9}", prose)
    assert not wrong


def test_every_layer_is_in_the_reference():
    text = page("en", "reference/network.md")
    assert all(f"`{keyword}`" in text for keyword in LAYERS)


@pytest.mark.skipif(importlib.util.find_spec("sphinx") is None, reason="sphinx is not installed")
def test_the_french_guide_builds_without_a_warning(tmp_path):
    options = ["-W", "-q", "-D", "language=fr", "-c", DOCS, "-d", tmp_path / "kept"]
    words = [sys.executable, "-m", "sphinx", *options, DOCS / "fr", tmp_path / "fr"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    recipe = (tmp_path / "fr" / "reference" / "recipe.html").read_text("utf-8")
    assert '<html class="no-js" lang="fr"' in recipe
    assert "par défaut" in recipe
    assert "root of every random number" not in recipe
    assert "% generated" not in recipe
