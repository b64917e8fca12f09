"""`limpide train` and `limpide new`: what is shown, what is written, what reaches the recipe."""

import json
import tomllib

from limpide.recipe import Recipe
from limpide.runs import load

FAST = ["--epochs", "3", "--no-report"]


def without_source(recipe):
    return recipe.with_values({"data.source": ""}).model_dump()


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
    assert [line.partition(":")[0] for line in err.splitlines()] == [f"✗ {key}" for key in keys]
    assert err.splitlines()[2] == "✗ training.patience: expected a whole number, got 'soon'"


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
        "64 relu, 32 relu",
        "--quiet",
        "--out",
        str(tmp_path / "run"),
    ]
    code, _out, err = shown("train", "iris", *FAST, *words)
    assert code == 1
    assert "layer 2.dense, output: expected finite numbers, got NaN or Inf in the first epoch" in err
    assert not (tmp_path / "run").exists()


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
