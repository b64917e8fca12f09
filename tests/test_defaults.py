import numpy as np
import polars as pl
import pytest
from PIL import Image

import limpide as lp
from limpide.data.shifts import told_by_place
from limpide.defaults import Choices, settle_network, settle_split, settle_training
from limpide.errors import RecipeError
from limpide.estimators import NetworkClassifier, NetworkRegressor
from limpide.job import prepare
from limpide.recipe import Recipe
from limpide.training import resume
from limpide.verification import check_run


def choices(suggested=None, **options):
    return Choices(Recipe.from_options("here", **options), suggested or {}, "here")


def table(n, n_rare):
    rng = np.random.default_rng(0)
    labels = np.array(["common"] * (n - n_rare) + ["rare"] * n_rare)
    return pl.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "kind": labels})


@pytest.mark.parametrize(("n_rows", "share"), [(20, 0.15), (999, 0.15), (1_000, 0.1), (10**6, 0.1), (None, 0.1)])
def test_of_few_rows_a_larger_share_says_when_to_stop(n_rows, share):
    made = choices()
    settle_split(made, "binary", n_rows)
    assert (made.recipe.split.validation, made.recipe.split.test) == (share, 0.2)


def test_a_split_in_order_takes_its_validation_rows_from_those_that_are_not_the_test():
    made = choices({"split.method": "ordered", "split.test": 0.5})
    settle_split(made, "regression", 5_000)
    assert (made.recipe.split.method, made.recipe.split.test, made.recipe.split.validation) == ("ordered", 0.5, 0.05)


@pytest.mark.parametrize(("task", "n_outputs"), [("regression", 1), ("binary", 1), ("multiclass", 5)])
@pytest.mark.parametrize("n_train", [10, 3_000, 10**6])
def test_every_choice_is_told_with_its_reason_and_fills_the_recipe(task, n_outputs, n_train):
    made = choices()
    settle_split(made, task, n_train)
    network = settle_network(made, (7,), n_outputs, n_train, task)
    settle_training(made, network, task, n_train)
    told = {inference.what: inference for inference in made.made}
    assert all(inference.why and inference.value for inference in told.values())
    recipe = made.recipe
    assert {key for key in told if recipe.value(key) is None} == set()
    assert {"split.validation", "network.layers", "optimizer.rate", "training.epochs", "training.patience"} <= set(told)


def test_what_the_user_says_is_neither_changed_nor_told():
    made = choices(validation=0.3, network="3 tanh", batch_size=7)
    settle_split(made, "binary", 50)
    network = settle_network(made, (2,), 1, 30, "binary")
    settle_training(made, network, "binary", 30)
    assert (made.recipe.split.validation, made.recipe.training.batch_size) == (0.3, 7)
    assert str(network) == "2, 3 tanh, 1"
    assert not {"split.validation", "network.layers", "training.batch_size"} & {i.what for i in made.made}


@pytest.mark.parametrize(
    ("task", "options", "suggested", "start"),
    [
        ("regression", {}, {}, ("pytorch 0.5", 0.003)),
        ("binary", {}, {}, ("pytorch", 0.001)),
        ("multiclass", {}, {}, ("pytorch", 0.001)),
        ("regression", {"network": "3 tanh"}, {}, ("pytorch", 0.001)),
        ("regression", {"rate": 0.002}, {}, ("pytorch", 0.002)),
        ("regression", {"optimizer": "sgd"}, {}, ("pytorch", 0.01)),
        ("regression", {"optimizer": "adam"}, {}, ("pytorch", 0.001)),
        ("regression", {"initializer": "he"}, {}, ("he", 0.001)),
        ("regression", {}, {"network.layers": "3 tanh"}, ("pytorch", 0.001)),
        ("regression", {}, {"optimizer.rate": 0.02}, ("pytorch", 0.02)),
    ],
)
def test_the_network_of_a_regression_starts_small_and_learns_faster(task, options, suggested, start):
    made = choices(suggested, **options)
    network = settle_network(made, (7,), 1, 300, task)
    settle_training(made, network, task, 300)
    assert (made.recipe.network.initializer, made.recipe.optimizer.rate) == start
    assert network.layers[0].initializer == start[0]


def test_images_with_a_number_to_tell_keep_their_start():
    made = choices()
    network = settle_network(made, (1, 8, 8), 1, 300, "regression")
    settle_training(made, network, "regression", 300)
    assert (made.recipe.network.initializer, made.recipe.optimizer.rate) == ("he", 0.001)


def test_the_estimators_and_train_choose_the_same_network():
    frame = table(200, 80)
    x = frame.select("a", "b").to_numpy()
    y = frame["kind"].to_numpy()
    assert NetworkClassifier(epochs=1, random_state=0).fit(x, y).network_ == prepare(frame, target="kind").network
    numbers = frame.drop("kind").with_columns((pl.col("a") + pl.col("b").sin()).alias("y"))
    model = NetworkRegressor(epochs=1, random_state=0).fit(x, numbers["y"].to_numpy())
    job = prepare(numbers, target="y")
    assert model.network_ == job.network
    assert model.recipe_.optimizer.rate == job.recipe.optimizer.rate == 0.003


POOLED = "conv {} 3x3 pad 1 no bias, batchnorm relu, maxpool 2"
STRIDED = "conv {} {} stride 2 no bias, batchnorm relu"


@pytest.mark.parametrize(
    ("shape", "n_train", "layers"),
    [
        ((1, 8, 8), 1_000, ["128 relu", "dropout 0.3"]),
        ((1, 12, 40), 50, [POOLED.format(8), POOLED.format(16), "flatten", "dropout 0.3", "64 relu"]),
        ((3, 96, 96), 500, [*(POOLED.format(n) for n in (8, 16, 32, 64, 64)), "flatten", "dropout 0.3", "64 relu"]),
        (
            (1, 28, 28),
            49_000,
            [
                STRIDED.format(16, "5x5"),
                STRIDED.format(32, "3x3"),
                "flatten",
                "dropout 0.3",
                "128 no bias, batchnorm relu",
            ],
        ),
    ],
)
def test_images_are_halved_until_little_is_left_of_many_in_steps_of_two(shape, n_train, layers):
    made = choices()
    network = settle_network(made, shape, 10, n_train, "multiclass")
    assert made.recipe.network.layers == ", ".join(layers)
    assert network.output_shape == (10,)


@pytest.mark.parametrize("side", range(12, 200, 9))
@pytest.mark.parametrize("n_train", [2, 10**7])
def test_images_of_any_size_have_a_network(side, n_train):
    network = settle_network(choices(), (3, side, side), 4, n_train, "multiclass")
    widest = max(shape[-1] for shape in network.shapes if len(shape) == 3)
    assert widest <= side
    assert network.n_parameters < 10**6


def blobs(rng, n, side=16, by_place=False):
    """Bright or dark blobs anywhere; the class is their brightness, or the half they stand in."""
    classes = np.arange(n) % 2
    rows, columns = rng.uniform(1, side - 1, (2, n))
    if by_place:
        columns = columns / 2 + classes * side / 2
    far = (np.arange(side)[:, None] - rows[:, None, None]) ** 2 + (np.arange(side) - columns[:, None, None]) ** 2
    strength = 60.0 if by_place else np.where(classes, 60, -60)[:, None, None]
    images = 128 + strength * np.exp(-far / 4) + rng.normal(0, 3, far.shape)
    return images[:, None].astype(np.uint8), np.array(["a", "b"])[classes]


@pytest.mark.parametrize(
    ("job", "options", "shift"),
    [
        ({"n": 60}, {}, 2),
        ({"n": 60, "side": 32}, {}, 4),
        ({"n": 60, "side": 32}, {"shift": 1}, 1),
        ({"n": 20, "side": 600}, {}, 64),
        ({"n": 60}, {"shift": 0}, 0),
        ({"n": 60, "by_place": True}, {}, 0),
        ({"n": 60, "side": 11}, {}, None),
        ({"n": 60}, {"network": "flatten, 8 relu"}, None),
        ({"n": 7_200}, {}, None),
    ],
)
def test_few_images_are_moved_unless_the_place_tells_the_class(rng, job, options, shift):
    made = prepare(blobs(rng, **job), seed=0, **options)
    assert made.recipe.training.shift == shift
    told = {inference.what: inference for inference in made.inferences}
    assert ("training.shift" in told) == (shift is not None and "shift" not in options)
    if "training.shift" in told:
        assert told["training.shift"].value == str(shift)
        assert ("where things stand" in told["training.shift"].why) == job.get("by_place", False)


def test_images_with_a_number_to_tell_are_not_moved(rng):
    images, _ = blobs(rng, 60)
    assert prepare((images, rng.normal(size=60)), task="regression").recipe.training.shift is None


@pytest.mark.parametrize("engine", ["numpy", "compiled", "torch"])
def test_a_training_on_images_moved_by_default_is_redone_and_resumed(rng, tmp_path, monkeypatch, engine):
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "0")
    for place, (image, kind) in enumerate(zip(*blobs(rng, 60), strict=True)):
        (tmp_path / "blobs" / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(tmp_path / "blobs" / kind / f"{place}.png")
    options = {"engine": engine, "epochs": 2, "seed": 3, "baselines": False, "report": False}

    class Killed(BaseException):
        pass

    def die(_training, epoch):
        if epoch is not None:
            raise Killed

    whole = lp.train(tmp_path / "blobs", out=tmp_path / "whole", **options)
    assert whole.recipe.training.shift == 2
    assert {check.outcome for check in check_run(tmp_path / "whole", redo=True, quick=True)} == {"ok"}
    with pytest.raises(Killed):
        lp.train(tmp_path / "blobs", out=tmp_path / "cut", watch=die, **options)
    resumed = resume(tmp_path / "cut", baselines=False, report=False)
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], array)


@pytest.mark.parametrize(("classes", "share"), [([0, 0, 0, 0], 0.0), ([0, 1, 2, 3], 0.0), ([5, 5, 9, 9], 0.7)])
def test_one_class_or_a_class_for_each_image_is_not_told_by_place(classes, share):
    images = np.eye(4).reshape(4, 1, 1, 4)
    assert told_by_place(images, np.array(classes)) == share
    assert told_by_place(np.ones_like(images), np.array(classes)) == 0.0


@pytest.mark.parametrize(("n_rare", "is_told"), [(10, True), (20, True), (30, False), (100, False)])
def test_a_rare_class_is_told_of_before_its_accuracy_misleads(n_rare, is_told):
    notes = [note for note in prepare(table(200, n_rare), target="kind").notes if "recall of each class" in note.text]
    assert len(notes) == is_told
    if is_told:
        assert notes[0].level == "warning"
        assert "% of the training rows are rare, and always answering common is right on " in notes[0].text


def test_numbers_and_even_classes_have_no_rare_class():
    frame = pl.DataFrame({"a": np.arange(40) % 7 / 3, "y": np.arange(40) * 0.37 % 1.0})
    assert not [note for note in prepare(frame, target="y").notes if "recall" in note.text]


def test_a_few_numbers_far_from_all_others_are_told_of_before_r2_misleads():
    rng = np.random.default_rng(0)
    price = rng.lognormal(10, 1, 300)
    prices = pl.DataFrame({"area": rng.normal(size=300), "price": price})

    def told(frame, **options):
        return [note.text for note in prepare(frame, target="price", **options).notes if "R²" in note.text]

    assert told(prices) == []
    price[:150:100] *= 3000
    prices = prices.with_columns(price=price)
    (text,) = told(prices, split="ordered")
    assert "squared differences" in text
    assert text.endswith("train with --loss mae")
    assert "--loss" not in told(prices, split="ordered", loss="mae")[0]


def test_whole_numbers_taken_for_classes_may_be_a_count():
    calls = pl.DataFrame({"hour": list(range(200)), "calls": [i % 7 for i in range(200)]})
    why = next(choice.why for choice in prepare(calls, target="calls").inferences if choice.what == "data.task")
    assert why == "7 different whole numbers in 200 rows; if they are a count or a size, --kind calls=number"
    assert prepare(calls, target="calls", kinds={"calls": "number"}).target.task == "regression"


def test_a_column_named_for_the_split_settles_its_method():
    n = 120
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 4, 29), eager=True)
    sales = pl.DataFrame({"day": days, "shop": ["A", "B", "C", "D", "E", "F"] * 20, "year": [2023, 2024] * 60})
    sales = sales.with_columns(heat=np.arange(n) % 13 / 3, sold=np.arange(n) * 0.37 % 5)

    def split_by(column, **options):
        return prepare(sales, target="sold", split_column=column, accept_leaks=["all"], **options)

    by_time, by_shop = split_by("day"), split_by("shop")
    assert (by_time.recipe.split.method, by_shop.recipe.split.method) == ("time", "group")
    assert by_time.split.test.min() > by_time.split.train.max()
    with pytest.raises(RecipeError, match="expected group or time, as year holds numbers"):
        split_by("year")
    with pytest.raises(RecipeError, match="expected group, time or hash"):
        split_by("day", split="random")


def test_a_column_left_out_may_deal_the_rows_out():
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 4, 29), eager=True)
    sales = pl.DataFrame({"day": days, "heat": np.arange(120) % 13 / 3, "sold": np.arange(120) * 0.37 % 5})
    job = prepare(sales, target="sold", split="time", split_column="day", drop=["day"])
    assert [treatment.column for treatment in job.preparation.treatments] == ["heat"]
    assert job.split.test.min() > job.split.train.max()
