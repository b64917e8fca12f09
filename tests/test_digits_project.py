"""The book's digit project from the first look to one's own pictures, on a small part of MNIST, by the command line."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

import limpide as lp
from limpide.__main__ import main
from limpide.data.idx import read_idx_folder
from limpide.job import prepare
from limpide.recipes import shipped
from limpide.runs import load

QUICK = ["--quiet", "--lang", "en", "--no-baselines", "--no-report"]
CNN = "conv 16 3x3 pad 1 {name}, maxpool 2, conv 32 3x3 pad 1 {name}, maxpool 2, flatten, 128 {name}, 10"
RN_2 = "conv 32 3x3 pad 1 relu, maxpool 2, conv 64 3x3 pad 1 relu, maxpool 2, flatten, 128 relu, 10"
NETWORKS = {
    "RN_1": ("flatten, 512 relu, 256 relu, 128 relu, 10", 567_434),
    "RN_2": (RN_2, 421_642),
    "CNN with relu": (CNN.format(name="relu"), 206_922),
    "CNN with leaky relu": (CNN.format(name="leaky_relu"), 206_922),
    "CNN with swish": (CNN.format(name="silu"), 206_922),
}


@pytest.fixture(autouse=True)
def _mnist(mnist_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("LIMPIDE_DATA", str(mnist_folder))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def digits(mnist_folder, tmp_path_factory):
    """A network that knows digits well enough, on a tenth of MNIST."""
    patch = pytest.MonkeyPatch()
    patch.setenv("LIMPIDE_DATA", str(mnist_folder))
    folder = tmp_path_factory.mktemp("digits") / "run"
    words = ["--network", "100 relu", "--epochs", "8", "--batch", "64", "--engine", "numpy", *QUICK]
    assert main(["train", "mnist?rows=7000", *words, "--out", str(folder)]) == 0
    patch.undo()
    return folder


def own_pictures(mnist_folder, n, seed):
    """Test digits as people would photograph them: larger, somewhere on lit paper or on a dark screen, and answers."""
    rng = np.random.default_rng(seed)
    test = read_idx_folder(mnist_folder)
    made = []
    for row in 60_000 + rng.choice(10_000, n, replace=False):
        digit = Image.fromarray(test.inputs[row, 0])
        digit = digit.crop(digit.getbbox())
        scale = rng.integers(40, 400) / max(digit.size)
        ink = digit.resize([max(1, round(side * scale)) for side in digit.size], Image.Resampling.BICUBIC)
        ink = np.asarray(ink, float) / 255
        size = [round(side + max(ink.shape) * rng.uniform(0.2, 1.0)) for side in ink.shape]
        canvas = np.zeros(size)
        top, left = (rng.integers(0, room - side) for room, side in zip(size, ink.shape))
        canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
        if rng.random() < 0.3:
            picture = 15 + 215 * canvas
        else:
            light = 1 - rng.uniform(0, 0.4) * np.linspace(0, 1, size[1])[None]
            picture = 225 * light * (1 - rng.uniform(0.5, 0.9) * canvas)
        picture += rng.normal(0, 3, size)
        picture = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
        made.append((picture, test.target[int(row)]))
    return made


def test_the_data_are_looked_at_first(capsys):
    assert main(["data", "mnist?rows=7000", "--figures", "figures", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["shape"]) == (7000, [1, 28, 28])
    assert sum(facts["target"]["classes"].values()) == 7000
    figures = sorted(path.name for path in Path("figures").iterdir())
    assert figures == ["class-balance.svg", "means.svg", "samples.svg"]
    assert main(["data", "mnist?rows=7000", "--figures", "figures"]) != 0


def test_the_mean_images_most_alike_are_those_documented(mnist_folder):
    from limpide.figures.data import means

    train = read_idx_folder(mnist_folder)
    digits = train.target[:60_000].cast(int).to_numpy()
    images = np.asarray(train.inputs)[:60_000]
    picture = means([images[digits == digit].mean(axis=0) for digit in range(10)], [str(digit) for digit in range(10)])
    assert picture.table.rows[0][:2] == ("4", "9")
    assert picture.table.rows[0][2] == pytest.approx(2.485, abs=5e-4)


def test_the_books_recipe_is_the_books_project():
    recipe = shipped("mnist-book")
    network = lp.Network.parse("28x28, " + recipe.network.layers)
    assert network.n_parameters == 38_370
    job = prepare(recipe)
    assert [len(job.parts[name].x) for name in ("train", "validation", "test")] == [48_000, 12_000, 10_000]
    assert job.split.test.tolist() == list(range(60_000, 70_000))
    assert np.ptp(np.diff(job.split.validation)) > 1
    assert (job.parts["train"].x.min(), job.parts["train"].x.max()) == (-1, 1)
    assert job.recipe.preparation.centre is True


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_documented_networks_train_by_the_command_line(name, engine, capsys):
    if engine == "torch":
        pytest.importorskip("torch")
    layers, n_parameters = NETWORKS[name]
    words = ["--network", layers, "--epochs", "1", "--batch", "64", "--engine", engine, "--json", *QUICK]
    assert main(["train", "mnist?rows=700", *words, "--out", "run"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["parameters"] == n_parameters
    assert facts["rows"]["test"] == 100
    assert facts["test"]["accuracy"] > 0.3


def test_own_pictures_of_any_kind_are_recognised(digits, mnist_folder, tmp_path):
    run = load(digits)
    made = own_pictures(mnist_folder, 60, seed=4)
    for i, (picture, _digit) in enumerate(made):
        picture.save(tmp_path / f"{i:02}.png")
    answers = run.predict(tmp_path)
    right = np.mean([answer == digit for answer, (_picture, digit) in zip(answers["prediction"], made)])
    assert right > run.test.metrics["accuracy"].value - 0.08
    assert (answers["unlikeness"] <= 1).mean() >= 0.9
    # without centring it is guessing
    whole = np.stack([np.asarray(picture.resize((28, 28))) for picture, _digit in made])[:, None]
    guesses = run.predictions(whole)["prediction"]
    assert np.mean([guess == digit for guess, (_picture, digit) in zip(guesses, made)]) < 0.4


def test_what_is_no_digit_is_said_and_shown(digits, mnist_folder, tmp_path, capsys):
    from sklearn.datasets import load_sample_images

    place = tmp_path / "mine"
    place.mkdir()
    (own_pictures(mnist_folder, 1, seed=9)[0][0]).save(place / "digit.jpg")
    Image.new("RGB", (60, 40), "white").save(place / "blank.png")
    Image.fromarray(load_sample_images().images[0]).save(place / "temple.jpg")
    (place / ".DS_Store").write_bytes(b"x")
    assert main(["predict", str(digits), str(place), "--show-seen", "seen", "--lang", "en"]) == 0
    shown = capsys.readouterr()
    table = {row["image"]: row for row in csv.DictReader(io.StringIO(shown.out))}
    assert table["blank.png"]["doubt"].startswith("no strokes were found")
    assert table["temple.jpg"]["doubt"] != ""
    assert table["digit.jpg"]["doubt"] == ""
    assert "blank.png: no strokes were found" in shown.err
    page = (tmp_path / "seen" / "index.html").read_text("utf-8")
    assert page.count("<li>") == 3
    assert "no strokes were found" in page
    with Image.open(tmp_path / "seen" / "2-digit.png") as seen:
        assert seen.size == (280, 280)
    assert main(["predict", str(digits), str(place), "--show-seen", "seen"]) != 0


def test_a_run_is_measured_on_the_set_it_came_from_and_on_idx_files(digits, mnist_folder, capsys):
    for source in ("mnist?rows=7000", str(mnist_folder)):
        assert main(["evaluate", str(digits), source, "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        assert facts["metrics"]["accuracy"] > 0.85
