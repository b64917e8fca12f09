"""Built-in data sets against the numbers that their sources print."""

import numpy as np
import pytest
from sklearn import datasets
from sklearn.model_selection import train_test_split

from limpide.data.builtin import BUILTIN
from limpide.errors import DataError, UnknownName
from limpide.nn.grammar import complete_network
from limpide.nn.initializers import INITIALIZERS
from limpide.nn.losses import LOSSES
from limpide.nn.optimizers import OPTIMIZERS


def matrix(dataset):
    return dataset.inputs.to_numpy()


def labels(dataset):
    return dataset.target.cast(int).to_numpy()


@pytest.mark.parametrize("name", [row.name for row in BUILTIN.rows() if not row.is_fetched])
def test_every_built_in_has_inputs_a_target_and_a_checksum_that_stays(name):
    dataset = BUILTIN[name].open()
    assert dataset.name == dataset.source == name
    assert len(dataset) == len(dataset.target) >= 100
    assert dataset.target.n_unique() >= 2
    assert dataset.is_image or dataset.input_names == tuple(dataset.inputs.columns)
    assert dataset.notes[0].text == BUILTIN[name].title
    assert dataset.sha256 == BUILTIN[name].open().sha256
    assert len(dataset.sha256) == 64


@pytest.mark.parametrize("name", [row.name for row in BUILTIN.rows() if "seed" in {o.name for o in row.options}])
def test_another_seed_draws_other_data(name):
    noise = {"noise": 0.1} if name == "sine" else {}
    a, b = (BUILTIN[name].open({"seed": seed} | noise) for seed in (7, 8))
    assert a.sha256 != b.sha256


@pytest.mark.parametrize("row", BUILTIN.rows(), ids=list(BUILTIN))
def test_what_is_documented_names_things_that_exist(row):
    documented = row.as_documented
    if not documented:
        return
    assert documented["data.source"].split("?")[0] == row.name
    assert documented["loss.name"] in LOSSES
    assert documented["optimizer.name"] in OPTIMIZERS
    assert documented["network.initializer"].split()[0] in INITIALIZERS
    assert row.systems


@pytest.mark.parametrize(
    ("name", "n_parameters"),
    [
        ("production-costs", 2369),
        ("production-costs-5000", 11_393),
        ("calculator", 609),
        ("random-classes", 64),
        ("random-labels", 17),
        ("moons", 25),
    ],
)
def test_the_documented_networks_have_the_documented_parameters(name, n_parameters):
    dataset, text = BUILTIN[name].open(), BUILTIN[name].as_documented["network.layers"]
    network = complete_network(text, (dataset.inputs.width,), int(text.split(", ")[-1].split()[0]))
    assert network.n_parameters == n_parameters


def test_the_production_costs_begin_the_test_rows_with_the_documented_values():
    dataset = BUILTIN["production-costs"].open()
    assert len(dataset) == 1000
    assert dataset.target[800:805].round(2).to_list() == [29.72, 46.37, 49.00, 32.26, 33.26]
    assert dataset.inputs.columns == ["material_kg", "production_hours", "labour_cost"]
    assert dataset.suggested == {"split.method": "ordered", "split.test": 0.2}


def test_five_thousand_production_costs_have_the_documented_values():
    real = [28.65, 70.38, 52.07, 61.12, 51.89, 56.51, 22.06, 71.02, 43.52, 41.03]
    for dataset in (BUILTIN["production-costs-5000"].open(), BUILTIN["production-costs"].open({"samples": "5000"})):
        assert dataset.target[4000:4010].round(2).to_list() == real


@pytest.mark.parametrize(
    ("name", "first_test", "least_squares", "formula"),
    [("production-costs", 800, 4.56, 4.52), ("production-costs-5000", 4000, 4.055, 4.043)],
)
def test_the_production_costs_leave_the_documented_errors_to_simple_models(name, first_test, least_squares, formula):
    dataset = BUILTIN[name].open()
    x, y = matrix(dataset), dataset.target.to_numpy()
    with_one = np.column_stack([x, np.ones(len(x))])
    weights = np.linalg.lstsq(with_one[:first_test], y[:first_test])[0]
    decimals = len(str(least_squares).split(".")[1])
    assert round(float(np.mean((with_one @ weights - y)[first_test:] ** 2)), decimals) == least_squares
    assert round(float(np.mean((x @ [3, 2, 4] - y)[first_test:] ** 2)), decimals) == formula


def test_the_calculator_adds_whole_numbers_of_its_range():
    dataset = BUILTIN["calculator"].open()
    pairs = matrix(dataset)
    assert pairs.shape == (10_000, 2)
    assert (pairs.min(), pairs.max()) == (0, 100)
    np.testing.assert_array_equal(pairs, np.rint(pairs))
    np.testing.assert_array_equal(dataset.target, pairs.sum(1))


def test_the_documented_share_of_calculator_pairs_comes_back():
    pairs = [tuple(row) for row in matrix(BUILTIN["calculator"].open())]
    seen = set(pairs[:8000])
    assert sum(pair in seen for pair in pairs[8000:]) / 2000 == 0.5485


def test_the_scaled_calculator_is_what_the_document_feeds():
    plain, scaled = BUILTIN["calculator"].open(), BUILTIN["calculator"].open({"scaled": "yes"})
    np.testing.assert_allclose(matrix(scaled), matrix(plain) / 100)
    np.testing.assert_allclose(scaled.target, plain.target.to_numpy() / 200)
    product = BUILTIN["calculator"].open({"operation": "multiply", "scaled": True, "maximum": 10})
    np.testing.assert_allclose(product.target, matrix(product).prod(1))
    legacy = np.random.RandomState(42).randint(0, 101, (10_000, 2))
    train, _validation = train_test_split(legacy, test_size=0.2, random_state=42)
    assert len(train) == BUILTIN["calculator"].as_documented["split.validation"] * 40_000
    np.testing.assert_array_equal(matrix(plain), legacy)


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def test_system_55_prints_its_documented_log():
    row = BUILTIN["random-classes"]
    dataset = row.open()
    x, y = matrix(dataset), labels(dataset)
    assert np.bincount(y).tolist() == [37, 34, 29]
    weights = [w.copy() for w in row.weights()]
    biases = [np.zeros(w.shape[1]) for w in weights]
    printed = []
    for epoch in range(row.as_documented["training.epochs"]):
        h1 = np.maximum(x @ weights[0] + biases[0], 0)
        h2 = np.maximum(h1 @ weights[1] + biases[1], 0)
        p = softmax(h2 @ weights[2] + biases[2])
        if epoch % 100 == 0:
            printed.append(f"{-np.mean(np.log(p[np.arange(100), y] + 1e-9)):.4f}")
        d3 = p - np.eye(3)[y]
        d2 = d3 @ weights[2].T * (h2 > 0)
        d1 = d2 @ weights[1].T * (h1 > 0)
        for i, (into, delta) in enumerate(((x, d1), (h1, d2), (h2, d3))):
            weights[i] -= row.as_documented["optimizer.rate"] / 100 * into.T @ delta
            biases[i] -= row.as_documented["optimizer.rate"] / 100 * delta.sum(0)
    assert " ".join(printed) == "1.0986 1.0937 1.0936 1.0936 1.0930 0.9798 0.9519 0.9024 0.8649 0.8667"
    assert np.mean(p.argmax(1) == y) == 0.55


def momentum_log(row, dataset, every):
    """Losses and accuracies that the documents' hand-written momentum prints."""
    x, y = matrix(dataset), labels(dataset)[:, None]
    x = (x - x.mean(0)) / x.std(0)
    documented = row.as_documented
    parameters = []
    for w in row.weights():
        parameters += [w.copy(), np.zeros(w.shape[1])]
    speeds = [np.zeros_like(p) for p in parameters]
    losses, accuracies = [], []
    for epoch in range(documented["training.epochs"]):
        w1, b1, w2, b2 = parameters
        h = np.maximum(x @ w1 + b1, 0)
        p = 1 / (1 + np.exp(-(h @ w2 + b2)))
        if epoch % every == 0:
            losses.append(f"{-np.mean(y * np.log(p + 1e-9) + (1 - y) * np.log(1 - p + 1e-9)):.4f}")
            accuracies.append(f"{np.mean((p > 0.5) == y):.2f}")
        d2 = p - y
        d1 = d2 @ w2.T * (h > 0)
        grads = [x.T @ d1, d1.sum(0), h.T @ d2, d2.sum(0)]
        rate = documented["optimizer.rate"] / len(x)
        speeds = [documented["optimizer.momentum"] * v - rate * g for v, g in zip(speeds, grads)]
        parameters = [p + v for p, v in zip(parameters, speeds)]
    return " ".join(losses), " ".join(accuracies)


def test_system_56_prints_its_documented_log():
    row = BUILTIN["random-labels"]
    losses, accuracies = momentum_log(row, row.open(), 100)
    assert losses == "0.6932 0.6132 0.6126 0.6126 0.6127 0.6126 0.6127 0.6127 0.6126 0.6126"
    assert accuracies == "0.48 0.66 0.66 0.66 0.66 0.66 0.66 0.66 0.66 0.66"


def test_system_57_prints_its_documented_log():
    row = BUILTIN["moons"]
    losses, accuracies = momentum_log(row, row.open({"samples": 200}), 200)
    assert losses == "0.6932 0.0854 0.0738 0.0702 0.0686 0.0676 0.0669 0.0666 0.0662 0.0660"
    assert accuracies == "0.50 0.98 0.98 0.98 0.98 0.98 0.98 0.98 0.97 0.98"


def perceptron(x, y, bias):
    x = np.column_stack([x, np.ones(len(x))]) if bias else x
    w = np.zeros(x.shape[1])
    for _round in range(200):
        for row, side in zip(x, y):
            if side * (w @ row) <= 0:
                w += side * row
    return np.mean(np.where(x @ w > 0, 1, -1) == y)


def test_system_19_needs_a_bias_once_the_clouds_are_shifted():
    centred, shifted = BUILTIN["clouds"].open(), BUILTIN["clouds"].open({"shifted": "yes"})
    found = [
        [perceptron(matrix(dataset), 2 * labels(dataset) - 1, bias) for bias in (False, True)]
        for dataset in (centred, shifted)
    ]
    assert found == [[1.0, 1.0], [0.5, 1.0]]


def test_system_53_is_badly_conditioned_until_it_is_standardised():
    x = matrix(BUILTIN["two-scales"].open())
    raw = np.linalg.cond(np.column_stack([x, np.ones(len(x))])) ** 2
    assert raw == pytest.approx(128_635, rel=0.1)
    assert np.linalg.cond((x - x.mean(0)) / x.std(0)) < 1.1


def test_the_line_and_the_sine_are_what_they_say():
    line, sine = BUILTIN["line"].open(), BUILTIN["sine"].open()
    assert np.polyfit(line.inputs["x"], line.target, 1) == pytest.approx([3, 2], abs=0.1)
    np.testing.assert_allclose(sine.target, np.sin(2 * np.pi * sine.inputs["x"].to_numpy()), atol=1e-12)


def test_the_digits_give_back_the_seventeen_levels_of_scikit_learn():
    dataset = BUILTIN["digits"].open()
    real = datasets.load_digits()
    assert dataset.inputs.shape == (1797, 1, 8, 8)
    assert dataset.inputs.dtype == np.uint8
    np.testing.assert_array_equal(np.rint(dataset.inputs[:, 0] * (16 / 255)), real.images)
    assert dataset.target.to_list() == [str(digit) for digit in real.target]


@pytest.mark.parametrize(
    ("name", "load", "words"),
    [
        ("iris", "load_iris", {"setosa": 50, "versicolor": 50, "virginica": 50}),
        ("wine", "load_wine", {"class_0": 59, "class_1": 71, "class_2": 48}),
        ("breast-cancer", "load_breast_cancer", {"malignant": 212, "benign": 357}),
    ],
)
def test_the_real_tables_are_those_of_scikit_learn_with_classes_in_words(name, load, words):
    dataset, real = BUILTIN[name].open(), getattr(datasets, load)()
    np.testing.assert_array_equal(matrix(dataset), real.data)
    assert dict(dataset.target.value_counts().iter_rows()) == words
    assert all(column.isidentifier() for column in dataset.inputs.columns)


def test_diabetes_comes_in_the_units_of_the_clinic():
    dataset = BUILTIN["diabetes"].open()
    assert dataset.inputs["age"][:3].to_list() == [59.0, 48.0, 72.0]
    assert dataset.target[:3].to_list() == [151.0, 75.0, 141.0]
    # scikit-learn's own columns are these, centred and scaled: the same correlations.
    x = matrix(dataset)
    scaled = (x - x.mean(0)) / (x.std(0) * np.sqrt(len(x)))
    np.testing.assert_allclose(scaled, datasets.load_diabetes().data, atol=1e-4)


def test_xor_circles_spirals_and_blobs_have_the_shapes_they_name():
    xor = BUILTIN["xor"].open()
    np.testing.assert_array_equal(labels(xor), np.prod(matrix(xor), axis=1) < 0)
    circles = BUILTIN["circles"].open({"noise": 0, "factor": 0.3})
    radius = np.linalg.norm(matrix(circles), axis=1)
    np.testing.assert_allclose(radius, np.where(labels(circles) == 1, 0.3, 1.0))
    spirals = BUILTIN["spirals"].open({"arms": 3, "noise": 0, "turns": 1})
    x = matrix(spirals)
    turned = np.arctan2(x[:, 1], x[:, 0]) / (2 * np.pi) - np.linalg.norm(x, axis=1) - labels(spirals) / 3
    np.testing.assert_allclose(turned, np.rint(turned), atol=1e-9)
    blobs = BUILTIN["blobs"].open({"centers": 4, "features": 3})
    assert np.bincount(labels(blobs)).tolist() == [250] * 4
    assert blobs.inputs.columns == ["x1", "x2", "x3"]


def test_random_classes_come_with_a_caution():
    notes = BUILTIN["random-classes"].open().notes
    assert [note.level for note in notes] == ["info", "warning"]
    assert "nothing to learn" in notes[1].text


def test_all_wrong_options_are_told_together():
    with pytest.raises(DataError) as caught:
        BUILTIN["calculator"].open({"sample": 3, "samples": "many", "operation": "ad", "scaled": "perhaps", "seed": -1})
    assert caught.value.problems == (
        'data set calculator: unknown name "sample"; did you mean "samples"?',
        "data set calculator, samples: expected a whole number from 10 to 5,000,000, got 'many'",
        'data set calculator, operation: unknown name "ad"; did you mean "add"?',
        "data set calculator, scaled: expected yes or no, got 'perhaps'",
        "data set calculator, seed: expected a whole number from 0 to 4,294,967,295, got -1",
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("iris", {"samples": 10}, "data set iris: expected no option, got 'samples'"),
        (
            "calculator",
            {"minimum": 5, "maximum": 2},
            "data set calculator: expected a minimum up to the maximum, 2, got 5",
        ),
        ("moons", {"noise": "nan"}, "data set moons, noise: expected a number from 0 to 100, got 'nan'"),
        ("moons", {"samples": 10.5}, "data set moons, samples: expected a whole number from 10 to 5,000,000, got 10.5"),
    ],
)
def test_an_impossible_option_is_refused(name, options, message):
    with pytest.raises(DataError) as caught:
        BUILTIN[name].open(options)
    assert str(caught.value) == message


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match='unknown name "moon"; did you mean "moons"'):
        BUILTIN["moon"]
