"""`limpide predict`: files, pipes, values of one row."""

import io
import json

import numpy as np
import polars as pl
import pytest
from PIL import Image

from limpide.runs import load

FAST = ["--epochs", "3", "--no-report"]


def test_predictions_stand_beside_the_columns_of_the_file(shown, iris):
    code, out, err = shown("predict", iris, "iris", "--out", "p.csv")
    assert (code, out, err[:1]) == (0, "150 predictions written to p.csv\n", "·")
    table = pl.read_csv("p.csv")
    names = ["sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm", "species", "prediction"]
    assert table.columns == [*names, "confidence", "P(setosa)", "P(versicolor)", "P(virginica)"]
    assert table["prediction"].to_list() == load(iris).predict("iris")["prediction"].to_list()
    shown("predict", iris, "p.csv", "--out", "again.parquet")
    assert pl.read_parquet("again.parquet").columns == table.columns


def test_a_pipe_gets_every_prediction_as_csv(shown, iris):
    _code, out, _err = shown("predict", iris, "iris")
    assert len(out.splitlines()) == 151
    assert out.splitlines()[0].endswith("prediction,confidence,P(setosa),P(versicolor),P(virginica)")


def test_a_prediction_of_values_shows_each_probability_and_what_was_never_seen(shown, iris):
    values = {"sepal_length_cm": 70, "sepal_width_cm": 3, "petal_length_cm": 1.4, "petal_width_cm": 0.2}
    words = [f"--set={name}={value}" for name, value in values.items()]
    code, out, _err = shown("predict", iris, *words)
    assert code == 0
    assert out.splitlines()[0].startswith("species = ")
    assert "virginica" in out
    assert "! sepal_length_cm: 1 value outside the training range" in out
    _code, out, _err = shown("predict", iris, *words, "--json")
    facts = json.loads(out)
    expected = load(iris).predict([values]).to_dicts()
    assert [prediction["prediction"] for prediction in facts["predictions"]] == [expected[0]["prediction"]]
    assert facts["predictions"][0] == pytest.approx(expected[0])
    assert [note["level"] for note in facts["notes"]] == ["warning"]


def test_a_sum_is_asked_in_the_units_of_the_data(shown):
    words = ["--network", "16x3 relu", "--optimizer", "adam", "--rate", "0.01", "--epochs", "5", "--split", "distinct"]
    assert shown("train", "calculator", *words, *FAST[2:], "--quiet", "--no-baselines", "--out", "sums")[0] == 0
    code, out, _err = shown("predict", "sums", "--set", "a=50", "--set", "b=50", "--lang", "en")
    assert code == 0
    assert out.startswith("result = ")
    assert abs(float(out.splitlines()[0].removeprefix("result = ")) - 100) < 2
    _code, out, _err = shown("predict", "sums", "--set", "a=150", "--set", "b=6", "--lang", "en")
    assert "a: 1 value outside the training range" in out


def test_values_that_are_missing_or_unknown_are_all_named(shown, diabetes):
    code, out, err = shown("predict", diabetes, "--set", "bmi=1", "--set", "agee=2")
    assert (code, out) == (2, "")
    missing = [name for name in load(diabetes).preparation.column_names if name != "bmi"]
    assert len(err.splitlines()) == 1 + len(missing)
    assert err.splitlines()[0] == '✗ --set: unknown name "agee"; did you mean "age"?'
    for name, line in zip(missing, err.splitlines()[1:], strict=True):
        assert line == (
            f"✗ column {name}: expected a value, got none; add --set {name}=VALUE, or --set {name}= when it is not "
            "known"
        )


def test_a_name_of_several_words_is_quoted_as_a_shell_wants_it(shown, tmp_path):
    lines = [
        "Date of birth,Poids (kg),cost",
        *(f"19{40 + i}-02-03,{i * 7 % 50 + 0.5},{i * 37 % 80}.5" for i in range(60)),
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    words = ["--target", "cost", "--epochs", "1", "--no-report", "--no-baselines", "--out", tmp_path / "run"]
    assert shown("train", tmp_path / "t.csv", *words)[0] == 0
    _code, _out, err = shown("predict", tmp_path / "run", "--set", "Date of birth=1950-02-03")
    assert "add --set 'Poids (kg)=VALUE', or --set 'Poids (kg)=' when it is not known" in err


def test_a_prediction_needs_a_source_or_values_and_not_both(shown, iris):
    assert shown("predict", iris)[2] == "✗ predict: expected either SOURCE or --set, got neither\n"
    assert shown("predict", iris, "iris", "--set", "a=1")[2] == "✗ predict: expected either SOURCE or --set, got both\n"


def test_a_file_is_overwritten_only_by_force(shown, iris, tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("mine")
    code, _out, err = shown("predict", iris, "iris", "--out", path)
    assert code == 2
    assert err == f"✗ {path}: expected a new file, got one that is there; overwrite it with --force\n"
    assert path.read_text() == "mine"
    assert shown("predict", iris, "iris", "--out", path, "--force")[0] == 0
    assert len(pl.read_csv(path)) == 150


def test_predictions_are_written_only_in_a_known_form(shown, iris):
    code, _out, err = shown("predict", iris, "iris", "--out", "p.xls")
    assert code == 2
    assert err == (
        "✗ --out: expected a name that ends in one of .csv, .tsv, .parquet, .xlsx, got 'p.xls'; "
        'did you mean ".xlsx"?\n'
    )


def test_images_are_trained_on_and_predicted(shown, tmp_path, rng):
    for label, level in (("dark", 40), ("light", 200)):
        (tmp_path / "set" / label).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(level - 30, level + 30, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / label / f"{i}.png")
    code, _out, err = shown("train", tmp_path / "set", *FAST, "--no-baselines", "--out", "run")
    assert (code, err) == (0, "")
    _code, out, _err = shown("predict", "run", tmp_path / "set" / "dark" / "3.png", "--json")
    assert json.loads(out)["rows"] == 1
    code, _out, err = shown("predict", "run", "--set", "a=1")
    assert (code, err) == (2, "✗ --set: expected a model of tables, got one of images; name an image or a folder\n")
    _code, out, _err = shown("data", tmp_path / "set", "--json")
    facts = json.loads(out)
    assert (facts["kind"], facts["rows"], facts["shape"]) == ("images", 40, [1, 8, 8])
    assert facts["target"]["classes"] == {"dark": 20, "light": 20}


def test_images_come_with_how_unlike_they_are_and_what_was_seen(shown, tmp_path, rng):
    for label, rows in (("flat", slice(3, 5)), ("high", slice(0, 8))):
        (tmp_path / "set" / label).mkdir(parents=True)
        for i in range(40):
            pixels = rng.integers(0, 30, (8, 8), dtype=np.uint8)
            pixels[rows, 2:6] += 180
            Image.fromarray(pixels).save(tmp_path / "set" / label / f"{i}.png")
    assert shown("train", tmp_path / "set", *FAST, "--no-baselines", "--out", "run")[0] == 0
    for name, pixels in (("like", 180 * (np.arange(64) // 8 // 2 % 2)), ("white", np.full(64, 255))):
        Image.fromarray(pixels.reshape(8, 8).astype(np.uint8)).save(tmp_path / f"{name}.png")
    like = tmp_path / "set" / "flat" / "3.png"
    _code, out, err = shown("predict", "run", like, "--show-seen", "seen")
    row = pl.read_csv(out.encode()).row(0, named=True)
    assert (row["image"], row["doubt"]) == ("3.png", "")
    assert row["unlikeness"] <= 1.5
    assert "unlike" not in err
    _code, out, err = shown("predict", "run", tmp_path / "white.png", "--json")
    facts = json.loads(out)
    assert facts["predictions"][0]["unlikeness"] > 1
    assert any(note["text"].startswith("unlike the training images: ") for note in facts["notes"])
    code, _out, err = shown("predict", "run", like, "--show-seen", "seen")
    told = "✗ seen: expected a new or empty folder, got one that is in use; name another with --show-seen"
    assert (code, told in err) == (2, True)


def test_a_table_has_nothing_to_see(shown, iris):
    code, _out, err = shown("predict", iris, "iris", "--show-seen", "seen")
    assert (code, err.splitlines()[-1]) == (2, "✗ --show-seen: expected images, got a table; leave it out")


def test_images_are_shown_as_half_blocks_side_by_side():
    from rich.console import Console

    from limpide.cli.seen import Seen, as_blocks, show_seen

    ramp = np.linspace(0, 255, 28 * 28).reshape(1, 28, 28)
    assert as_blocks(ramp).plain.splitlines() == ["▀" * 28] * 14
    assert set(as_blocks(ramp, in_colour=False).plain) == set(" ░▒▓█\n")
    assert len(as_blocks(np.zeros((3, 90, 60))).plain.splitlines()[0]) <= 28
    seen = [Seen(f"{i}.png", ramp, "", "strange" if i == 1 else "", "7", 0.5) for i in range(9)]
    console = Console(width=60, record=True, force_terminal=True, file=io.StringIO())
    show_seen(console, seen)
    text = console.export_text()
    assert "0.png                         1.png" in text
    assert "7  50.0%                      7  50.0% ?" in text
    assert "4.png" not in text
