"""Figures asked for: which a run has, their options, what is said of a wrong one, what they look like."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest

import limpide as lp
from limpide.__main__ import main
from limpide.errors import InputError, RunError
from limpide.figures import FIGURES, Figures, gradients, picture
from limpide.figures.asking import ask, options_of

COLOURS = set(picture._DARK)

DRAWN = [
    *(("iris", name, {}) for name in ("histograms", "target_by_feature", "correlations", "boundary", "normalisation")),
    *(("iris", name, {}) for name in ("descent", "landscape", "path", "gradients")),
    ("iris", "landscape", {"view": "surface"}),
    ("iris", "path", {"view": "surface"}),
    ("iris", "descent", {"on": "ravine"}),
    ("iris", "boundary", {"x": "sepal_width_cm"}),
    ("iris", "activations", {"names": "all"}),
    ("costs", "surface", {}),
    ("costs", "surface", {"view": "surface"}),
    ("costs", "target_by_feature", {}),
    ("costs", "histograms", {"columns": "labour_cost,material_kg"}),
    ("digits", "kernels", {}),
    ("digits", "feature_maps", {}),
    ("digits", "weight_histograms", {}),
]  # fmt: skip


@pytest.mark.parametrize(("run", "name", "options"), DRAWN, ids=lambda part: str(part))
def test_a_figure_says_what_it_is_and_how_it_was_computed(run, name, options, request):
    shown = getattr(request.getfixturevalue(run).figures, name)(**options)
    svg = shown.svg()
    assert ElementTree.fromstring(svg).get("aria-label", "").startswith(shown.title)
    assert set(re.findall(r"(?:fill|stroke): (#\w{6})", svg)) <= COLOURS
    assert shown.table.rows
    assert {len(row) for row in shown.table.rows} == {len(shown.table.header)}
    assert shown.caption.endswith(".")
    if name not in ("activations",) and "on" not in options:
        assert re.search(r"seed 0|training rows", shown.caption)


def test_a_figure_that_draws_by_chance_is_the_same_each_time(iris):
    once, again = (figures.path().svg() + figures.boundary().svg() for figures in (iris.figures, Figures(iris)))
    assert once == again


def test_a_network_of_many_layers_gets_a_row_for_each():
    norms = np.geomspace(1e-6, 1, 8)[:, None] * np.ones((8, 5))
    drawn = picture.Picture("n", "t", "c", picture.Table(("a",), ((1,),)), gradients._squares(list("abcdefgh"), norms))
    texts = {element.text for element in ElementTree.fromstring(drawn.svg()).iter()}
    assert set("abcdefgh") <= texts


def test_the_options_of_a_figure_are_those_of_its_method():
    assert options_of("boundary") == {"x": (), "y": ()}
    assert options_of("landscape") == {"view": ("contour", "surface")}
    assert options_of("loss") == {"running": ("true", "false")}
    assert all(callable(getattr(Figures, name)) for name in FIGURES)


def test_words_become_what_an_option_takes(costs):
    assert "running average" in ask(costs.figures, "loss", {"running": "true"}).svg()
    assert "larger than 3" in ask(costs.figures, "prediction_vs_truth", {"large": "3"}).caption


TOO_FAR = "figures.descent, weights: expected a weight from 0.dense.W[0,0] to 0.dense.W[3,5], got 0.dense.W[9,9]"
NO_NUMBERS = (
    "figures.surface: expected a run that predicts numbers from a table with a column of numbers, got multiclass; "
    "use boundary() or feature_maps()"
)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("boundray", {}, 'figure: unknown name "boundray"; did you mean "boundary"?'),
        ("boundary", {"z": "1"}, 'option of boundary: unknown name "z"; choose among x, y'),
        (
            "boundary",
            {"x": "petal_lenght_cm"},
            'figures.boundary, x: unknown name "petal_lenght_cm"; did you mean "petal_length_cm"?',
        ),
        (
            "boundary",
            {"x": "petal_length_cm", "y": "petal_length_cm"},
            "figures.boundary: expected two columns, got 'petal_length_cm'; name another as y",
        ),
        ("landscape", {"view": "contuor"}, 'figures.landscape, view: unknown name "contuor"; did you mean "contour"?'),
        ("activations", {"names": "rleu"}, 'activation: unknown name "rleu"; did you mean "relu"?'),
        ("weights", {"layer": "1"}, 'figures.weights, layer: unknown name "1"; choose among 0.dense, 2.dense'),
        ("descent", {"weights": "0.dense.W[9,9] 0.dense.W[0,0]"}, TOO_FAR),
        (
            "descent",
            {"weights": "0.dense.X[1,1] 0.dense.W[0,0]"},
            'figures.descent, weights: unknown name "0.dense.X"; did you mean "0.dense.W"?',
        ),
        (
            "descent",
            {"weights": "0.dense.W[0,0]"},
            "figures.descent, weights: expected two weights of the run, got 0.dense.W[0,0]; "
            "name two, such as 0.dense.W[0,1]",
        ),
        ("histograms", {"columns": "petal"}, None),
        ("surface", {}, NO_NUMBERS),
        ("feature_maps", {}, "figures.feature_maps: expected a run on images, got multiclass; use weights()"),
        ("kernels", {}, "figures.kernels: expected a run on images, got multiclass; use weights()"),
    ],
)
def test_what_cannot_be_drawn_is_said(iris, name, options, message):
    with pytest.raises(InputError) as caught:
        ask(iris.figures, name, options)
    assert message is None or str(caught.value) == message


def test_a_row_that_is_not_there_and_one_that_is_no_number(digits):
    for word, expected in (("-3", "a row from 0 to 1796"), ("first", "a whole number")):
        with pytest.raises(RunError, match=expected):
            ask(digits.figures, "feature_maps", {"row": word})


@pytest.fixture(scope="module")
def shops():
    """A frame with words, and a run on it."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, 90)
    frame = pl.DataFrame(
        {
            "age": age,
            "town": rng.choice(["Lyon", "Nice", "Lille"], 90),
            "member": rng.choice(["yes", "no"], 90),
            "bought": np.where(age + rng.normal(0, 9, 90) > 48, "yes", "no"),
        }
    )
    return frame, lp.train(
        frame, target="bought", epochs=2, network="3 relu", save=False, baselines=False, engine="numpy"
    )


def test_the_data_of_a_frame_are_given_anew(shops):
    frame, run = shops
    figures = run.figures.of(frame)
    assert "town = " in figures.boundary().caption
    assert figures.target_by_feature().svg()
    assert figures.histograms().svg()
    with pytest.raises(RunError, match=r"expected a column of numbers, got town \(category\); choose among age"):
        figures.boundary(x="town")


@pytest.mark.parametrize(
    "opened",
    [
        lambda run, data: run.figures.of(data).correlations(),
        lambda run, data: lp.explain(run, source=data),
        lp.diagnose,
    ],
    ids=["figures", "explain", "diagnose"],
)
def test_whatever_opens_a_run_again_asks_for_its_data_in_the_same_words(shops, opened):
    frame, run = shops
    with pytest.raises(RunError, match="expected the data of the run, got a frame, which its recipe cannot name"):
        opened(run, None)
    with pytest.raises(RunError, match="expected the data of the run, got data that have changed since; bring them"):
        opened(run, frame.with_columns(age=pl.col("age") + 1))


def test_the_words_of_a_column_are_held_at_their_most_frequent(shops):
    frame, run = shops
    rows = run.figures.of(frame)._rows
    assert rows.ordinary["town"] == rows.frame["town"].mode().sort()[0]
    assert rows.ordinary["member"] == rows.frame["member"].mode().sort()[0]
    assert rows.ordinary["age"] == rows.frame["age"].median()


def test_a_training_that_the_recipe_does_not_make_again_is_not_walked(iris):
    other = {name: array + 1 for name, array in iris.weights.items()}
    with pytest.raises(RunError, match="expected a run that its recipe makes again"):
        replace(iris, weights=other).figures.gradients()


def test_a_saved_file_holds_the_caption(iris, tmp_path):
    text = iris.figures.weights().save(tmp_path / "w.svg").read_text("utf-8")
    written = " ".join(element.text or "" for element in ElementTree.fromstring(text).iter())
    assert "orange pushes it up, blue down" in " ".join(written.split())
    with pytest.raises(InputError, match="expected a file that can be written"):
        iris.figures.weights().save(tmp_path / "w.svg" / "w.svg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("figures") / "iris"
    lp.train("iris", epochs=2, network="3 relu", out=place, baselines=False, report=False, engine="numpy")
    return place


def told(capsys, *words):
    capsys.readouterr()
    code = main([str(word) for word in words])
    return code, *capsys.readouterr()


def test_the_command_lists_the_figures_of_a_run(folder, capsys):
    code, out, _err = told(capsys, "figure", folder)
    assert code == 0
    assert all(word in out for word in ("boundary", "its data", "view=contour|surface"))
    assert "surface  " not in out.split("Draw one")[0].replace("contour|surface", "")
    _code, out, _err = told(capsys, "figure", folder, "--json")
    assert [row["name"] for row in json.loads(out)["figures"]] == [
        n for n, k in FIGURES.items() if k.fits(lp.load(folder))
    ]


def test_the_command_draws_into_the_run_or_where_it_is_told(folder, tmp_path, capsys):
    code, out, _err = told(capsys, "figure", folder, "boundary", "x=petal_width_cm")
    assert code == 0
    assert (folder / "figures" / "boundary.png").read_bytes().startswith(b"\x89PNG")
    assert "boundary.png written" in out
    code, out, _err = told(capsys, "figure", folder, "gradients", "--out", tmp_path / "g.pdf", "--json")
    facts = json.loads(out)
    assert facts["header"] == ["epoch", "0.dense", "2.dense"]
    assert len(facts["rows"]) == 3
    assert (tmp_path / "g.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    "words",
    [["boundary", "x=town"], ["boundary", "x"], ["loss", "--out", "loss.gif"], ["surface"], ["loss", "running=maybe"]],
)
def test_the_command_refuses_in_a_line_and_writes_nothing(folder, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = told(capsys, "figure", folder, *words)
    assert (code, out) == (2, "")
    assert err.startswith("✗ ")
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())
