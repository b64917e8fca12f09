"""The recipes that come with limpide: found by name, complete, and true to what their first lines say."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

import limpide as lp
from limpide.data.builtin import BUILTIN
from limpide.data.shifts import shifted
from limpide.errors import RecipeError
from limpide.job import recipe_of
from limpide.nn.grammar import complete_network
from limpide.recipe import Recipe
from limpide.recipes import SHIPPED, shipped
from limpide.seeds import stream
from limpide.training import resume

FOLDER = Path(lp.__file__).parent / "recipes"


def test_every_file_has_its_line_and_every_line_its_file():
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_is_read_by_its_name_and_names_no_data_set(name):
    assert name not in BUILTIN
    recipe = recipe_of(name, seed=3)
    assert recipe == shipped(name).replace(seed=3)
    recipe.check()
    assert recipe.data.source in BUILTIN


@pytest.mark.parametrize("name", SHIPPED)
def test_what_a_shipped_recipe_says_of_its_network_is_so(name):
    text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    said = "".join(line for line in text.splitlines() if line.startswith("#"))
    recipe = shipped(name)
    network = complete_network(recipe.network.layers, (1, 28, 28), 10)
    found = re.search(r"([\d,]+) parameters", said)
    if found:
        assert int(found[1].replace(",", "")) == network.n_parameters
    found = re.search(r"(\d+) epochs", said)
    if found:
        assert int(found[1]) == recipe.training.epochs
    assert tomllib.loads(text)["data"]["source"] == "mnist"


def test_a_file_of_the_same_name_is_named_with_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rn-1").mkdir()
    assert recipe_of("rn-1") == shipped("rn-1")
    assert recipe_of("./rn-1").data.source == str(tmp_path / "rn-1")


# images moved at random


def test_shifted_images_are_the_images_moved_with_their_edges_repeated(rng):
    images = rng.normal(size=(200, 2, 5, 6)).astype(np.float32)
    moved = shifted(images, 1, stream(0, "shift"))
    seen = set()
    for image, after in zip(images, moved, strict=True):
        framed = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
        places = [(d, r) for d in range(3) for r in range(3) if (framed[:, d : d + 5, r : r + 6] == after).all()]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) == 9
    np.testing.assert_array_equal(shifted(images, 1, stream(0, "shift")), moved)


def options(**others):
    return {"network": "conv 4 3x3, flatten", "epochs": 3, "patience": 0, "shift": 1, "engine": "numpy",
            "baselines": False, "report": False, **others}  # fmt: skip


def test_a_training_on_moved_images_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "0")

    class Killed(BaseException):
        pass

    def die(_training, epoch):
        if epoch is not None and epoch.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        lp.train("digits", out=tmp_path / "run", watch=die, **options())
    resumed = resume(tmp_path / "run", baselines=False, report=False)
    whole = lp.train("digits", save=False, **options())
    still = lp.train("digits", save=False, **options(shift=0))
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], array)
        assert (still.weights[name] != array).any()


def test_tables_are_not_moved():
    with pytest.raises(RecipeError, match=r"training\.shift: expected images, got a table; leave it out"):
        lp.fit("iris", shift=1)


def test_fewer_rows_are_measured_where_the_recipe_says_so():
    training = lp.fit("digits", **{k: v for k, v in options(measured=100).items() if k not in ("baselines", "report")})
    epochs = list(training)
    assert epochs[0].train["accuracy"] * 100 == pytest.approx(round(epochs[0].train["accuracy"] * 100))
    run = training.run(baselines=False)
    assert run.evaluations["train"].n == 100
    assert run.evaluations["validation"].n == len(training.job.parts["validation"].x)
    assert run.test.n == len(training.job.parts["test"].x)
    assert "100 of the training rows were measured, drawn once" in [note.text for note in run.notes]
    assert training.job.measured("train").x is not training.job.parts["train"].x
    assert Recipe.from_options("digits").training.measured is None
