"""The command line in process: what each command prints, its JSON, its exit codes."""

import csv
import json
import tomllib

import numpy as np
import polars as pl
import pytest
from PIL import Image

from limpide.__main__ import main
from limpide.cli.options import recipe_values
from limpide.cli.screen import make_table, natural_width, open_console, printable, sparkline
from limpide.errors import RecipeError
from limpide.recipe import Recipe
from limpide.runs import load

FAST = ["--epochs", "3", "--no-report"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path_factory, monkeypatch):
    """Every command runs in a folder of its own, in English, and leaves the environment as it was."""
    monkeypatch.chdir(tmp_path_factory.mktemp("place"))
    for name in ("LIMPIDE_DEBUG", "NO_COLOR", "COLUMNS", "LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"):
        monkeypatch.setenv(name, "")
        if name in ("COLUMNS", "LIMPIDE_DEBUG", "NO_COLOR"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    """A run on iris, baselines and report included."""
    folder = tmp_path_factory.mktemp("iris") / "run"
    assert main(["train", "iris", "--epochs", "30", "--network", "6 relu", "--quiet", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory):
    """A run on diabetes, without baselines and report."""
    folder = tmp_path_factory.mktemp("diabetes") / "run"
    assert main(["train", "diabetes", *FAST, "--no-baselines", "--quiet", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def shown(capsys):
    """What a command gives: its exit code, standard output, standard error."""

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def houses(tmp_path, rng):
    """A table with an identifier, numbers with gaps, words, and a price."""
    path = tmp_path / "houses.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "area", "town", "price"])
        for i in range(80):
            area = 30 + 170 * rng.random()
            rows.writerow([1000 - i, "" if i % 10 == 0 else f"{area:.1f}", ["Lyon", "Nîmes"][i % 2], f"{3 * area:.2f}"])
    return path


def without_source(recipe):
    return recipe.with_values({"data.source": ""}).model_dump()


def lines(text):
    return [line.rstrip() for line in text.splitlines()]


# ------------------------------------------------------------------------------------------------------------- network


def test_the_network_table_writes_each_count_with_its_arithmetic(shown):
    code, out, _err = shown("network", "28x28, 512 relu, 10")
    assert code == 0
    assert lines(out) == [
        "layer      specification    output                 parameters        multiply-adds",
        "─" * 82,
        "0.flatten  28×28 → 784         784",
        "1.dense    784 → 512, bias     512  28·28·512 + 512 = 401,920  28·28·512 = 401,408",
        "2.relu     max(0, z)           512",
        "3.dense    512 → 10, bias       10        512·10 + 10 = 5,130       512·10 = 5,120",
        "─" * 82,
        "total                                                 407,050              406,528",
    ]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_on_a_narrow_terminal_the_network_table_stacks_its_counts_and_cuts_nothing(shown, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    text = "1x28x28, conv 32 3x3 pad 1 relu, maxpool 2, flatten, 10"
    _code, out, _err = shown("network", text)
    assert max(len(line) for line in lines(out)) <= width
    flat = " ".join(out.split())
    assert "3·3·1·32 + 32 = 320" in flat
    assert "3·3·1·32·28·28 = 225,792" in flat
    assert "32·14·14·10 + 10 = 62,730" in flat
    assert "63,050 parameters, 288,512 multiply-adds" in flat


def test_the_network_as_json_holds_the_layer_table(shown):
    _code, out, _err = shown("network", "11-6-6-1 relu", "--json")
    facts = json.loads(out)
    assert list(facts) == ["network", "layers", "parameters", "multiply_adds"]
    assert facts["network"] == "11, 6 relu, 6 relu, 1"
    assert (facts["parameters"], facts["multiply_adds"]) == (121, 108)
    assert facts["layers"][0] == {
        "type": "dense",
        "specification": "11 → 6, bias",
        "output": [6],
        "parameters": 72,
        "arithmetic": "11·6 + 6 = 72",
        "multiply_adds": 66,
        "multiply_adds_arithmetic": "11·6 = 66",
    }
    assert sum(layer["parameters"] for layer in facts["layers"]) == 121


# --------------------------------------------------------------------------------------------------------------- train


def test_train_as_json_prints_one_object_alone_on_standard_output(shown):
    code, out, err = shown("train", "iris", *FAST, "--json")
    facts = json.loads(out)
    assert code == 0
    assert out.count("\n") == 1
    wanted = {"run", "task", "engine", "epochs", "seconds", "stopped", "test", "baselines"}
    assert wanted <= set(facts)
    assert (facts["task"], facts["epochs"], facts["stopped"]) == ("multiclass", 3, "epochs")
    assert set(facts["baselines"]) == {"majority", "logistic", "gradient_boosting"}
    assert all(0 <= metrics["accuracy"] <= 1 for metrics in [facts["test"], *facts["baselines"].values()])
    assert facts["test"] == {name: metric.value for name, metric in load(facts["run"]).test.metrics.items()}
    assert "epoch 3 of 3" in err


def test_train_says_what_it_inferred_then_each_epoch_then_the_figures_and_where_they_are(shown):
    code, out, err = shown("train", "iris", *FAST, "--network", "6 relu")
    assert (code, err) == (0, "")
    places = [
        "iris: 150 rows, 98 to train, 22 to validate, 30 to test",
        "3 different words",
        "4·6 + 6 = 30",
        "epoch 1 of 3: loss",
        "epoch 3 of 3: loss",
        "logistic regression",
        "best baseline",
        "all 3 epochs done",
        "runs/iris-001",
        "limpide predict runs/iris-001",
    ]
    found = [out.find(place) for place in places]
    assert -1 not in found
    assert found == sorted(found)
    assert "report" not in out


def test_quiet_leaves_only_the_last_lines(shown):
    _code, out, err = shown("train", "iris", *FAST, "--quiet", "--no-baselines")
    assert err == ""
    assert "epoch 1" not in out
    assert "inferred" not in out
    assert "all 3 epochs done" in out
    assert "runs/iris-001" in out


def test_the_options_of_train_reach_the_recipe(shown, houses):
    words = ["--network", "5 tanh", "--batch", "8", "--optimizer", "rmsprop", "--rate", "0.02", "--seed", "7"]
    words += ["--loss", "mae", "--patience", "2", "--validation", "0.25", "--test", "0.25", "--kind", "town=category"]
    words += ["--drop", "id", "--option", "preparation.missing=mean", "--option", "precision=float64"]
    words += ["--option", "optimizer.schedule=cosine", "--target", "price", "--out", "here", "--no-baselines"]
    code, _out, err = shown("train", houses, *FAST, *words)
    assert (code, err) == (0, "")
    recipe = load("here").recipe
    assert recipe.network.layers == "5 tanh"
    assert (recipe.training.batch_size, recipe.training.patience, recipe.training.loss) == (8, 2, "mae")
    assert (recipe.optimizer.name, recipe.optimizer.rate, recipe.optimizer.schedule) == ("rmsprop", 0.02, "cosine")
    assert (recipe.split.validation, recipe.split.test, recipe.seed) == (0.25, 0.25, 7)
    assert (recipe.data.kinds, recipe.data.drop) == ({"town": "category"}, ["id"])
    assert (recipe.preparation.missing, recipe.precision) == ("mean", "float64")


def test_every_wrong_value_of_a_command_is_told_at_once(shown):
    code, out, err = shown("train", "iris", "--epochs", "0", "--rate", "-1", "--option", "training.patience=soon")
    assert (code, out) == (2, "")
    keys = ["optimizer.rate", "training.epochs", "training.patience"]
    assert [line.partition(":")[0] for line in lines(err)] == [f"✗ {key}" for key in keys]
    assert lines(err)[2] == "✗ training.patience: expected a whole number, got 'soon'"


def test_a_run_is_never_overwritten(shown, iris):
    code, _out, err = shown("train", "iris", *FAST, "--out", iris)
    assert code == 2
    assert err == f"✗ {iris}: expected a new or empty folder, got one that is in use; name another with --out\n"


def test_a_training_that_diverges_at_once_says_where_and_writes_nothing(shown, tmp_path):
    words = [
        "--optimizer",
        "sgd",
        "--rate",
        "1e30",
        "--network",
        "6 relu, 3",
        "--quiet",
        "--out",
        str(tmp_path / "run"),
    ]
    code, _out, err = shown("train", "iris", *FAST, *words)
    assert code == 1
    assert "layer 2.dense, output: expected finite numbers, got NaN or Inf in the first epoch" in err
    assert not (tmp_path / "run").exists()


# ------------------------------------------------------------------------------------------------------- predict


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
    assert lines(out)[0].startswith("species = ")
    assert "virginica" in out
    assert "! sepal_length_cm: 1 value outside the training range" in out
    _code, out, _err = shown("predict", iris, *words, "--json")
    facts = json.loads(out)
    expected = load(iris).predict([values]).to_dicts()
    assert [prediction["prediction"] for prediction in facts["predictions"]] == [expected[0]["prediction"]]
    assert facts["predictions"][0] == pytest.approx(expected[0])
    assert [note["level"] for note in facts["notes"]] == ["warning"]


def test_values_that_are_missing_or_unknown_are_all_named(shown, diabetes):
    code, out, err = shown("predict", diabetes, "--set", "bmi=1", "--set", "agee=2")
    assert (code, out) == (2, "")
    missing = [name for name in load(diabetes).preparation.column_names if name != "bmi"]
    assert len(lines(err)) == 1 + len(missing)
    assert lines(err)[0] == '✗ --set: unknown name "agee"; did you mean "age"?'
    for name, line in zip(missing, lines(err)[1:], strict=True):
        assert line == (
            f"✗ column {name}: expected a value, got none; add --set {name}=VALUE, or {name}= when it is not known"
        )


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


# ------------------------------------------------------------------------------------------------------------- looking


def test_evaluate_gives_the_test_rows_or_other_data(shown, iris):
    _code, out, _err = shown("evaluate", iris, "--json")
    facts, run = json.loads(out), load(iris)
    assert facts["metrics"] == {name: metric.value for name, metric in run.test.metrics.items()}
    assert facts["intervals"]["accuracy"] == [run.test.main.low, run.test.main.high]
    assert (facts["rows"], facts["labels"]) == (30, ["setosa", "versicolor", "virginica"])
    assert np.sum(facts["confusion"]) == 30
    _code, out, _err = shown("evaluate", iris)
    assert "gradient boosting" in out
    assert run.verdict in out
    _code, out, _err = shown("evaluate", iris, "iris")
    assert "150 rows" in out
    assert "! iris: the run was trained on this data: it has seen 98 rows of it" in out


def test_runs_lists_what_was_trained_the_newest_last(shown):
    assert shown("runs")[:2] == (0, "no run in runs; train one with: limpide train SOURCE\n")
    shown("train", "iris", *FAST, "--no-baselines", "--quiet", "--network", "2 relu")
    shown("train", "iris", *FAST, "--no-baselines", "--quiet", "--network", "3 relu")
    _code, out, _err = shown("runs", "--json")
    found = json.loads(out)["runs"]
    assert [run["run"] for run in found] == ["runs/iris-001", "runs/iris-002"]
    assert [run["parameters"] for run in found] == [19, 27]
    _code, out, _err = shown("runs")
    assert [line.split()[0] for line in lines(out)[2:]] == ["runs/iris-001", "runs/iris-002"]


def test_show_tells_a_run_and_its_report(shown, iris):
    code, out, _err = shown("show", iris)
    assert code == 0
    for part in ("4·6 + 6 = 30", "ROC-AUC", load(iris).verdict, str(iris / "report.html")):
        assert part in out
    _code, out, _err = shown("show", iris, "--json")
    facts = json.loads(out)
    assert [layer["type"] for layer in facts["layers"]] == ["dense", "relu", "dense"]
    assert facts["recipe"]["training"]["epochs"] == 30
    assert {"what", "value", "why"} == set(facts["inferred"][0])


def test_data_shows_what_was_understood_of_a_table(shown, houses):
    code, out, _err = shown("data", houses)
    assert code == 0
    assert "houses.csv: 80 rows, 3 columns besides the target" in out
    assert "! id: left out" in out
    assert "Lyon 40, Nîmes 40" in out
    assert "price: regression (numbers with decimals)" in out
    _code, out, _err = shown("data", houses, "--target", "town", "--drop", "id", "--kind", "price=number", "--json")
    facts = json.loads(out)
    area, price = facts["columns"]
    numbers = pl.read_csv(houses)
    assert (area["name"], area["kind"], area["missing"]) == ("area", "number", 8)
    assert area["mean"] == pytest.approx(numbers["area"].mean())
    assert sum(area["histogram"]) == 72
    assert (price["why"], price["max"]) == ("you said so", pytest.approx(numbers["price"].max()))
    assert facts["target"]["task"] == "binary"
    assert facts["target"]["classes"] == {"Lyon": 40, "Nîmes": 40}


def test_new_writes_a_recipe_that_says_why_and_can_be_followed(shown, houses, monkeypatch):
    monkeypatch.chdir(houses.parent)
    code, out, err = shown("new", "houses.csv", "--epochs", "2")
    assert (code, err) == (0, "")
    assert out == "houses.toml written; edit it, then: limpide train houses.toml\n"
    text = (houses.parent / "houses.toml").read_text("utf-8")
    recipe = tomllib.loads(text)
    assert recipe["data"]["source"] == "houses.csv"
    assert (recipe["data"]["target"], recipe["training"]["epochs"]) == ("price", 2)
    assert 'method = "random" # rows are taken to be independent' in text
    assert "#   town: category (2 different words)" in text
    code, _out, err = shown("new", "houses.csv")
    assert (code, err) == (2, "✗ houses.toml: expected a new file, got one that is there; name another with --out\n")
    assert (houses.parent / "houses.toml").read_text("utf-8") == text
    assert shown("train", "houses.toml", "--no-report", "--no-baselines", "--out", "run")[0] == 0
    assert without_source(load("run").recipe) == without_source(Recipe.from_dict(recipe))


# -------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["trian", "iris"], "No such command 'trian'. Did you mean 'train'?"),
        (["train", "iris", "--epoch", "3"], "No such option '--epoch'. Did you mean '--epochs'?"),
        (["train", "iris", "--epochs", "x"], "Invalid value for '--epochs': 'x' is not a valid integer."),
        (["train"], "Missing argument 'SOURCE'."),
        (["train", "iris", "--option", "drop"], "--option: expected NAME=VALUE, got 'drop'"),
        (["train", "iris", "--option", "patence=1"], '--option: unknown name "patence"; did you mean "patience"?'),
        (["train", "irsi"], 'data: unknown name "irsi"; did you mean "iris"?'),
        (["train", "iris", "--target", "specie"], 'column of iris: unknown name "specie"; did you mean "species"?'),
        (["train", "iris", "--optimizer", "adm"], 'optimizer: unknown name "adm"; did you mean "adam"?'),
        (["network", "4, 3 rleu"], 'network, item 2: unknown name "rleu"; did you mean "relu"?'),
        (["show", "nowhere"], "nowhere: expected a run folder, got no folder; train one with: limpide train SOURCE"),
        (["network", "4, 3", "--lang", "de"], "Invalid value for '--lang': 'de' is not one of 'en', 'fr'."),
    ],
)
def test_a_wrong_command_is_told_in_a_line_with_its_mend(shown, words, problem):
    code, out, err = shown(*words)
    assert (code, out) == (2, "")
    assert lines(err)[0] == f"✗ {problem}"
    assert "Traceback" not in err


def test_an_unforeseen_error_is_one_line_and_its_trace_is_for_those_who_ask(shown, monkeypatch):
    def broken(text):
        raise ZeroDivisionError("one over nought")

    monkeypatch.setattr("limpide.nn.network.Network.parse", broken)
    code, _out, err = shown("network", "4, 3")
    assert code == 1
    assert err == "✗ unexpected error: ZeroDivisionError: one over nought; LIMPIDE_DEBUG=1 shows where\n"
    monkeypatch.setenv("LIMPIDE_DEBUG", "1")
    code, _out, err = shown("network", "4, 3")
    assert code == 1
    assert "Traceback" in err


# ---------------------------------------------------------------------------------------------------------- the screen


def test_values_of_options_are_read_as_toml_or_as_a_bare_word():
    others = {"momentum": "0.9", "missing": "mean", "standardise": "false", "image_size": "[8, 8]"}
    with pytest.raises(RecipeError, match="momentum"):
        recipe_values({}, others)
    others["optimizer.options.momentum"] = others.pop("momentum")
    assert recipe_values({"rate": None, "epochs": 2, "drop": []}, others) == {
        "training.epochs": 2,
        "preparation.missing": "mean",
        "preparation.standardise": False,
        "preparation.image_size": [8, 8],
        "optimizer.options.momentum": 0.9,
    }


def test_a_sparkline_is_empty_only_where_there_is_nothing():
    assert sparkline([0, 1, 500, 1000]) == " ▁▄█"
    assert sparkline([]) == ""


def test_names_from_files_cannot_move_the_cursor():
    assert printable("\x1b[2Jgone\r\nnext\u202f1") == "\N{REPLACEMENT CHARACTER}[2Jgone next\u202f1"


def test_square_brackets_in_names_are_shown_as_they_are(capsys):
    console = open_console()
    console.print(make_table(("a",), [("[bold]x[/bold] :smile:",)]))
    assert "[bold]x[/bold] :smile:" in capsys.readouterr().out


def test_a_table_knows_the_width_on_which_nothing_wraps(capsys, monkeypatch):
    table = make_table(("a", "b"), [("one word", "three more words")])
    assert natural_width(table) == len("one word") + 2 + len("three more words")
    monkeypatch.setenv("COLUMNS", str(natural_width(table)))
    open_console().print(table)
    assert "one word  three more words" in capsys.readouterr().out
