"""The numbers behind the figures of a run, against other programs."""

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.decomposition import TruncatedSVD

from limpide.figures import answers, descent, inside, relations
from limpide.figures.functions import values_of
from limpide.figures.landscape import landscape_of
from limpide.figures.normalisation import Bowl
from limpide.nn.activations import ACTIVATIONS
from limpide.nn.optimizers import SGD, Adam, Momentum

WIDE = np.array([-1e3, -1e3]), np.array([1e3, 1e3])


def torch_of(run):
    """The dense layers of a run as PyTorch's, in float64."""
    modules = []
    for i, layer in enumerate(run.network.layers):
        if layer.keyword == "dense":
            W, b = (torch.tensor(run.weights[f"{i}.dense.{key}"], dtype=torch.float64) for key in "Wb")
            linear = torch.nn.Linear(*W.shape, dtype=torch.float64)
            linear.weight.data, linear.bias.data = W.T.contiguous(), b
            modules.append(linear)
        else:
            modules.append({"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[layer.function]())
    return torch.nn.Sequential(*modules)


def test_gradient_norms_are_those_of_autograd(iris):
    opened = iris.figures._opened
    rows = opened.job.parts["train"]
    model = torch_of(iris)
    loss = torch.nn.functional.cross_entropy(model(torch.tensor(rows.x, dtype=torch.float64)), torch.tensor(rows.y))
    loss.backward()
    best = opened.walk.epochs.index(iris.stop.best_epoch)
    for i, name in ((0, "0.dense"), (2, "2.dense")):
        norm = sum(float((p.grad**2).sum()) for p in model[i].parameters()) ** 0.5
        assert opened.walk.norms[name][best] == pytest.approx(norm, rel=1e-4)


def test_the_training_made_again_is_the_runs_own(iris):
    walk = iris.figures._opened.walk
    assert walk.gap == 0
    assert walk.epochs == [0, 1, 2, 3, 4]
    for name, array in walk.weights[iris.stop.best_epoch].items():
        assert np.array_equal(array, iris.weights[name])


@pytest.mark.parametrize("name", ["iris", "costs"])
def test_the_centre_of_a_landscape_is_the_loss_of_the_run(name, request):
    run = request.getfixturevalue(name)
    land = landscape_of(run.figures._opened)
    middle = len(land.a) // 2
    assert land.centre == pytest.approx(run.history[run.stop.best_epoch - 1].train_loss, rel=1e-5)
    assert land.losses[middle, middle] == pytest.approx(land.centre, rel=1e-6)
    assert land.n_rows == run.split_sizes["train"]


def test_a_place_of_a_landscape_has_the_loss_of_weights_moved_there(iris):
    from limpide.figures.landscape import _random_direction

    opened = iris.figures._opened
    land = landscape_of(opened)
    u, v = (_random_direction(iris.network, iris.weights, 0, name) for name in "uv")
    moved = torch_of(iris)
    flat = np.concatenate([np.asarray(iris.weights[s.name], float).ravel() for s in iris.network.slots])
    flat = flat + land.a[3] * u + land.b[20] * v
    for slot in iris.network.slots:
        array = torch.tensor(flat[slot.start : slot.stop].reshape(slot.shape))
        if slot.key == "W":
            moved[slot.layer].weight.data = array.T.contiguous()
        else:
            moved[slot.layer].bias.data = array
    rows = opened.job.parts["train"]
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(moved(torch.tensor(rows.x, dtype=torch.float64)), torch.tensor(rows.y))
    assert land.losses[20, 3] == pytest.approx(float(loss), rel=1e-4)


def test_a_random_direction_is_as_long_as_the_run_filter_by_filter_and_leaves_biases(digits):
    from limpide.figures.landscape import _random_direction

    direction = _random_direction(digits.network, digits.weights, 0, "u")
    for slot in digits.network.slots:
        own, drawn = np.asarray(digits.weights[slot.name]), direction[slot.start : slot.stop].reshape(slot.shape)
        if slot.key == "K":
            own, drawn = own.reshape(len(own), -1).T, drawn.reshape(len(drawn), -1).T
        if slot.key == "b":
            assert not drawn.any()
        else:
            assert np.linalg.norm(drawn, axis=0) == pytest.approx(np.linalg.norm(own, axis=0), rel=1e-5)


def test_the_plane_of_a_path_is_that_of_its_principal_components(iris):
    land = landscape_of(iris.figures._opened, "path")
    walk = iris.figures._opened.walk
    flat = [np.concatenate([np.asarray(w[s.name], float).ravel() for s in iris.network.slots]) for w in walk.weights]
    moves = np.stack(flat) - flat[iris.stop.best_epoch]
    other = TruncatedSVD(2, algorithm="arpack", random_state=0).fit(moves)
    assert np.abs(land.path) == pytest.approx(np.abs(other.transform(moves)), abs=1e-6)
    assert land.shares == pytest.approx(tuple(other.singular_values_**2 / (moves**2).sum()))
    assert land.path[iris.stop.best_epoch] == pytest.approx([0, 0], abs=1e-9)
    i, j = (int(np.abs(axis).argmin()) for axis in (land.a, land.b))
    assert land.losses[j, i] == pytest.approx(land.centre, rel=1e-6)


def test_a_boundary_shows_what_the_run_predicts_with_the_other_columns_at_their_median(iris):
    rows = iris.figures._rows
    names = ["petal_length_cm", "sepal_width_cm"]
    (xs, ys), outputs = answers.plane(rows, names)
    train = iris.figures._opened.job.dataset.inputs[iris.figures._opened.job.split.train]
    others = {name: train[name].median() for name in train.columns if name not in names}
    places = [(4, 7), (50, 2), (80, 60)]
    frame = pl.DataFrame([{names[0]: xs[i], names[1]: ys[j]} | others for i, j in places])
    predicted = iris.predict(frame)
    for (i, j), row in zip(places, predicted.iter_rows(named=True)):
        assert iris.target.labels[int(outputs[j, i].argmax())] == row["prediction"]
        assert outputs[j, i].max() == pytest.approx(row["confidence"], rel=1e-5)


def test_a_surface_shows_what_the_run_predicts(costs):
    rows = costs.figures._rows
    (xs, ys), outputs = answers.plane(rows, ["labour_cost", "material_kg"])
    hours = rows.ordinary["production_hours"]
    row = {"labour_cost": xs[9], "material_kg": ys[30], "production_hours": hours}
    assert outputs[30, 9] == pytest.approx(costs.predict([row])["prediction"][0], rel=1e-5)


def test_the_columns_chosen_are_those_that_matter(costs, monkeypatch):
    rows = costs.figures._rows
    monkeypatch.setattr(type(costs), "predictions_array", lambda run, frame: frame["labour_cost"].to_numpy())
    assert rows.strongest(1) == ["labour_cost"]


@pytest.mark.parametrize(
    ("optimizer", "theirs"),
    [
        (SGD(0.05), lambda p: torch.optim.SGD(p, 0.05)),
        (Momentum(0.02), lambda p: torch.optim.SGD(p, 0.02, momentum=0.9)),
        (Adam(0.3), lambda p: torch.optim.Adam(p, 0.3)),
    ],
)
def test_a_path_of_descent_is_that_of_pytorch(optimizer, theirs):
    ground = descent.GROUNDS["rosenbrock"]
    path, heights = descent.descend(ground.slope, ground.start, optimizer, *WIDE)
    at = torch.tensor(ground.start, dtype=torch.float64, requires_grad=True)
    other = theirs([at])
    for place, height in zip(path[1:], heights):
        other.zero_grad()
        loss = (1 - at[0]) ** 2 + 5 * (at[1] - at[0] ** 2) ** 2
        assert height == pytest.approx(loss.item())
        loss.backward()
        other.step()
        assert place == pytest.approx(at.detach().numpy(), rel=1e-6)


def test_a_path_that_leaves_the_ground_is_never_chosen():
    ground = descent.GROUNDS["ravine"]
    found = descent.best_descents(ground.slope, ground.start, ground.x, ground.y)
    assert list(found) == ["SGD", "momentum", "Adam"]
    for rate, path in found.values():
        assert rate in descent.RATES
        assert len(path) == descent.STEPS + 1
        assert (np.abs(path[:, 0]) <= 5).all()
        assert ground.slope(path[-1])[0] < ground.slope(path[0])[0] / 10


@pytest.mark.parametrize(
    "places", [[("0.dense.W", (1, 3)), ("2.dense.b", (0,))], [("2.dense.W", (4, 0)), ("2.dense.W", (1, 0))]]
)
def test_two_weights_alone_are_moved(costs, places):
    opened = costs.figures._opened
    tail = descent._Tail.of(opened, places)
    at = np.array([0.3, -0.2])
    value, gradient = tail.slope(at)
    assert tail.height(at) == pytest.approx(value)
    model = torch_of(costs)
    for (name, place), moved in zip(places, at):
        layer = model[int(name[0])]
        (layer.weight.data.T if name.endswith("W") else layer.bias.data)[place] = moved
    rows = opened.sample(len(tail.rows.x))
    x, y = (torch.tensor(a, dtype=torch.float64) for a in (rows.x, rows.y))
    loss = torch.nn.functional.mse_loss(model(x), y)
    loss.backward()
    assert value == pytest.approx(loss.item(), rel=1e-5)
    theirs = [
        float((model[int(name[0])].weight.grad.T if name.endswith("W") else model[int(name[0])].bias.grad)[place])
        for name, place in places
    ]
    assert gradient == pytest.approx(theirs, rel=1e-4)


def test_the_bowl_of_a_linear_unit_is_its_mean_squared_error(rng):
    x = rng.normal([3, -1], [5, 0.5], (60, 2))
    y = x @ [0.4, -2] + rng.normal(size=60)
    bowl = Bowl.of(x, y)
    ones = np.column_stack([x, np.ones(60)])
    best = np.linalg.lstsq(ones, y, rcond=None)[0]
    w1, w2 = np.array([0.1, 0.9]), np.array([-3.0, 0.0, 1.0])
    direct = [[np.mean((y - a * x[:, 0] - b * x[:, 1] - best[2]) ** 2) for a in w1] for b in w2]
    assert bowl.heights(w1, w2) == pytest.approx(np.array(direct))
    assert bowl.condition == pytest.approx(np.linalg.cond(bowl.hessian))
    path = bowl.descent(np.zeros(2))
    heights = [bowl.heights(p[:1], p[1:])[0, 0] for p in path]
    assert (np.diff(heights) <= 1e-12).all()


def test_correlations_are_those_of_scipy(costs):
    rows = costs.figures._rows
    table = {frozenset(row[:2]): row[2] for row in relations.correlations(rows).table.rows}
    assert len(table) == 6
    for name in rows.numeric:
        found = table[frozenset([name, "production_cost"])]
        assert found == pytest.approx(pearsonr(rows.numbers(name), rows.truth)[0])


def test_histograms_count_every_training_row_of_each_column(iris):
    rows = iris.figures.histograms().table.rows
    for name in {row[0] for row in rows}:
        assert sum(row[2] for row in rows if row[0] == name) == iris.split_sizes["train"]


@pytest.mark.parametrize("name", [row.name for row in ACTIVATIONS.rows() if row.name not in ("step", "prelu")])
def test_functions_and_derivatives_are_those_of_pytorch(name):
    z = torch.linspace(-4, 4, 50, dtype=torch.float64, requires_grad=True)
    F = torch.nn.functional
    theirs = (
        {
            "identity": lambda z: z * 1,
            "leaky_relu": F.leaky_relu,
            "softmax": lambda z: torch.softmax(torch.stack([z, z * 0]), 0)[0],
        }.get(name)
        or getattr(F, name, None)
        or getattr(torch, name)
    )
    y = theirs(z)
    y.sum().backward()
    row = ACTIVATIONS[name]
    value, derivative = values_of(row, z.detach().numpy(), row.slope or 0.0)
    assert value == pytest.approx(y.detach().numpy(), abs=1e-12)
    assert derivative == pytest.approx(z.grad.numpy(), abs=1e-12)


def test_feature_maps_and_their_gradients_are_those_of_autograd(digits):
    x = digits.figures._opened.job.parts["test"].x[:1].astype(np.float64)
    output, values, gradients = inside.opened_pass(digits.network, digits.weights, x)
    K, b, W, c = (torch.tensor(digits.weights[n]).double() for n in ("0.conv.K", "0.conv.b", "4.dense.W", "4.dense.b"))
    image = torch.tensor(x, requires_grad=True)
    maps = torch.relu(torch.nn.functional.conv2d(image, K, b, padding=1))
    maps.retain_grad()
    scores = torch.nn.functional.max_pool2d(maps, 2).flatten(1) @ W + c
    scores.max().backward()
    assert output == pytest.approx(scores.detach().numpy())
    assert values[2] == pytest.approx(maps.detach().numpy())
    assert gradients[2] == pytest.approx(maps.grad.numpy())
    assert gradients[0] == pytest.approx(image.grad.numpy())
