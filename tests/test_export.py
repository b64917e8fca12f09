"""A run written out as a program predicts what the run predicts, without limpide."""

import ast
import csv
import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest
from PIL import Image

import limpide as lp
from limpide.__main__ import main
from limpide.errors import Unsupported
from limpide.export import PROGRAMS, export
from limpide.export.keras_code import ACTIVATIONS as KERAS_ACTIVATIONS
from limpide.export.keras_code import LOSSES as KERAS_LOSSES
from limpide.export.numpy_code import ACTIVATIONS as NUMPY_ACTIVATIONS
from limpide.export.torch_code import ACTIVATIONS as TORCH_ACTIVATIONS
from limpide.export.torch_code import LOSSES as TORCH_LOSSES
from limpide.nn.activations import ACTIVATIONS
from limpide.nn.losses import LOSSES
from limpide.recipe import Recipe

ASK = """
import csv, importlib.util, json, sys
import numpy as np
sys.modules["limpide"] = None  # the program must do without

def load(name):
    spec = importlib.util.spec_from_file_location(name, f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def rows(name):
    with open(f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
"""
PREDICT = """
found = {}
for name in json.loads(sys.argv[1]):
    program = load(name)
    data = np.load(f"{name}.npy") if program.__dict__.get("SHAPE") else rows(name)
    outputs = program.forward(program.prepare(data))
    found[name] = (program.probabilities(outputs) if hasattr(program, "LABELS") else program.decode(outputs)).tolist()
print(json.dumps(found))
"""
TRAIN = """
import torch
for name in json.loads(sys.argv[1]):
    program = load(name)
    x, y = program.prepare(rows(name)), program.encode(np.load("labels.npy").tolist())
    with torch.enable_grad():
        network = program.train(x, y, epochs=30, batch_size=16)
    with torch.no_grad():
        print("accuracy", (np.asarray(network(torch.from_numpy(x))).argmax(1) == y).mean())
"""
EVERYTHING = (
    "conv 4 3x3 pad 1 relu, batchnorm, maxpool 2, residual(conv 4 3x3 pad 1 groups 2 silu), avgpool 2, "
    "flatten, dropout 0.2, 10"
)
TABLES = {
    "iris": {"network": "8 tanh"},
    "breast-cancer": {"network": "8 gelu, batchnorm"},
    "wine": {"network": "6 prelu, 3 softmax", "loss": "categorical_cross_entropy"},
    "activations": {"network": ", ".join(f"5 {row.name}" for row in ACTIVATIONS.rows()) + ", 3"},
}
IMAGES = {"everything": EVERYTHING, "global": "conv 3 3x3 stride 2 leaky_relu, globalavgpool, 10"}
EACH_LIBRARY = pytest.mark.parametrize("to", PROGRAMS)


def needs(library):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")


def ask(folder, code, names):
    """What a process that has no limpide prints."""
    settings = {**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", ASK + code, json.dumps(names)]
    done = subprocess.run(command, capture_output=True, text=True, env=settings, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A table with every kind of column and missing values."""
    rng = np.random.default_rng(3)
    n = 240
    area, rooms = rng.uniform(20, 150, n).round(1), rng.integers(1, 7, n)
    city, garden = rng.choice(["Lyon", "Nice", "Pau, sud"], n), rng.choice(["yes", "no"], n)
    dates = zip(rng.integers(1, 29, n), rng.integers(1, 13, n), rng.integers(10, 24, n))
    days = [f"{day:02d}/{month:02d}/20{year:02d}" for day, month, year in dates]
    price = 3 * area + 9 * rooms + 20 * (city == "Nice") + rng.normal(0, 9, n)
    path = tmp_path_factory.mktemp("mixed") / "houses.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["area", "rooms", "city", "garden", "sold", "price"])
        for i in range(n):
            cells = [area[i], rooms[i], city[i], garden[i], days[i], f"{price[i]:.2f}"]
            writer.writerow(["" if j < 5 and rng.random() < 0.04 else cell for j, cell in enumerate(cells)])
    return path


@pytest.fixture(scope="module")
def trained(mixed):
    """Runs by name, the rows they are asked about, and what they answer."""
    quick = {"epochs": 2, "engine": "numpy", "save": False, "baselines": False}
    run = lp.train(mixed, target="price", **quick)
    cases = {"houses": (run, mixed.read_bytes(), run.predict(mixed)["prediction"].to_numpy())}
    for name, options in TABLES.items():
        source = name if name in ("breast-cancer", "wine") else "iris"
        run, table = lp.train(source, **options, **quick), lp.open_source(source).inputs
        cases[name] = (run, table.write_csv().encode(), shares(run, table))
    pictures = lp.open_source("digits").inputs[:40]
    for name, network in IMAGES.items():
        run = lp.train("digits", network=network, **{**quick, "epochs": 1})
        cases[name] = (run, pictures, shares(run, pictures))
    return cases


def shares(run, source):
    return run.predict(source).select(pl.col("^P\\(.*$")).to_numpy()


@pytest.fixture(scope="module", params=PROGRAMS)
def answers(request, trained, tmp_path_factory):
    """What the programs of a library answer, by name."""
    needs(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    for name, (run, data, _expected) in trained.items():
        export(run, request.param, folder / f"{name}.py")
        if isinstance(data, bytes):
            (folder / f"{name}.csv").write_bytes(data)
        else:
            np.save(folder / f"{name}.npy", data)
    return json.loads(ask(folder, PREDICT, list(trained)))


@pytest.mark.parametrize("name", ["houses", *TABLES, *IMAGES])
def test_a_program_answers_like_the_run(name, answers, trained):
    _run, _data, expected = trained[name]
    assert np.abs(np.array(answers[name]) - expected).max() < 1e-5 * max(1.0, expected.std())


@pytest.mark.parametrize("to", ["torch", "keras"])
def test_the_training_of_a_program_learns(to, tmp_path):
    needs(to)
    ways = {"adam": {"optimizer": "adam", "rate": 0.02}, "cycle": {"optimizer": "nesterov", "schedule": "one_cycle"}}
    data = lp.open_source("iris")
    np.save(tmp_path / "labels.npy", data.target.to_numpy().astype(str))
    for name, options in ways.items():
        run = lp.train("iris", network="8 relu", epochs=1, save=False, baselines=False, **{"rate": 0.05, **options})
        export(run, to, tmp_path / f"{name}.py")
        data.inputs.write_csv(tmp_path / f"{name}.csv")
    said = [line for line in ask(tmp_path, TRAIN, list(ways)).splitlines() if line.startswith("accuracy")]
    assert len(said) == 2
    assert all(float(line.split()[1]) > 0.9 for line in said)


def test_every_activation_and_loss_can_be_written():
    names = {row.name for row in ACTIVATIONS.rows()}
    for written in (NUMPY_ACTIVATIONS, TORCH_ACTIVATIONS, KERAS_ACTIVATIONS):
        assert set(written) == names
    for written in (TORCH_LOSSES, KERAS_LOSSES):
        assert set(written) == {row.name for row in LOSSES.rows()}


@EACH_LIBRARY
def test_a_program_is_python_that_says_what_it_holds(to, trained, tmp_path):
    for name in ("houses", "everything"):
        run = trained[name][0]
        program, weights = export(run, to, tmp_path / f"{name}.py")
        tree = ast.parse(program.read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert {"prepare", "forward", "decode", "encode", "predict"} <= functions
        assert str(run.network) in ast.get_docstring(tree)
        assert weights.exists()


def test_the_command_writes_a_program_that_reads_a_file(mixed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lp.train(mixed, target="price", epochs=2, out="run", baselines=False, report=False)
    assert main(["export", "run", "--to", "numpy", "--out", "model.py"]) == 0
    assert "model.py" in capsys.readouterr().out
    done = subprocess.run([sys.executable, "model.py", str(mixed)], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 240
    assert main(["export", "run", "--to", "numpy", "--out", "model.py"]) != 0
    assert main(["export", "run", "--to", "jax"]) != 0
    assert main(["export", "nothing", "--to", "torch"]) != 0


FOREIGN = {
    "french": (";", ",", "\u00a0", "cp1252", "{} %", "", [0, 1]),
    "german": (";", ",", ".", "utf-8", "{} kg", "", [0, 1]),
    "swiss": ("\t", ".", "'", "utf-16", "{}", "of the year\n\n", [1]),
    "american": (",", ".", ",", "utf-8-sig", "${}", "", [0, 1]),
}
"""Delimiter, decimal mark, mark of thousands, encoding, unit, what stands above the names, decimals of an amount."""


@pytest.mark.parametrize("name", FOREIGN)
def test_a_program_reads_files_as_the_run_does(name, tmp_path):
    delimiter, decimal, thousands, encoding, unit, above, decimals = FOREIGN[name]
    rng = np.random.default_rng(5)
    amounts = [f"{rng.uniform(0, 9000):,.{rng.choice(decimals)}f}" for _ in range(90)]
    marks = str.maketrans({",": thousands, ".": decimal})
    lines = [delimiter.join(["Région", "amount", "hours", "price"])]
    for i, amount in enumerate(amounts):
        hours = "n.c." if i % 11 == 3 else "" if i % 17 == 5 else f"{rng.uniform(0, 40):.1f}".translate(marks)
        cells = [
            "Nîmes" if i % 2 else "Pau",
            unit.format(amount.translate(marks)),
            hours,
            f"{i / 4:.2f}".translate(marks),
        ]
        lines.append(delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in cells))
    (tmp_path / "table.csv").write_text(above + "\n".join(lines) + "\n", encoding=encoding)
    run = lp.train(tmp_path / "table.csv", target="price", network="8 tanh", epochs=2, save=False, baselines=False)
    assert [treatment.kind for treatment in run.preparation.treatments] == ["category", "number", "number"]
    program, _weights = export(run, "numpy", tmp_path / "model.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "table.csv")], capture_output=True, text=True, check=True
    )
    answers = np.array(done.stdout.split(), float)
    # both compute in float32, but add in another order
    np.testing.assert_allclose(answers, run.predict(tmp_path / "table.csv")["prediction"], atol=1e-4)
    head = ast.get_docstring(ast.parse(program.read_text()))
    assert ("decimal mark" in head) == (name != "american")


def test_a_program_reads_times_brackets_signs_behind_marks_and_plurals_as_the_run_does(tmp_path):
    rng = np.random.default_rng(6)
    lines = ["start;lap;balance;change;depth;mark;size;price"]
    for i in range(60):
        minus = i % 2
        cells = [
            f"{i % 24:02}:{i % 60:02}" if i % 7 else "",
            f"{1 + i % 3}:{i:02}.{i:02}",
            f"(${i + 1}.50)" if minus else "$ -" if i == 30 else f"${i}.25",
            f"{i}.5-" if minus else f"{i}.5",
            f"\N{MINUS SIGN}{i + 1}" if minus else f"{i}",
            f"{i % 20}.5 / 20",
            f"{i % 5 + 1} room" + "s" * (i % 5 > 0),
            f"{rng.normal() + i:.3f}",
        ]
        lines.append(";".join(cells))
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    run = lp.train(tmp_path / "table.csv", target="price", network="8 tanh", epochs=2, save=False, baselines=False)
    assert {treatment.kind for treatment in run.preparation.treatments} == {"number"}
    program, _weights = export(run, "numpy", tmp_path / "model.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "table.csv")], capture_output=True, text=True, check=True
    )
    answers = np.array(done.stdout.split(), float)
    # both compute in float32, but add in another order
    np.testing.assert_allclose(answers, run.predict(tmp_path / "table.csv")["prediction"], atol=1e-4)


def test_a_program_takes_numbers_as_they_are(trained, tmp_path):
    export(trained["houses"][0], "numpy", tmp_path / "houses.py")
    (tmp_path / "houses.csv").write_text("area,rooms,city,garden,sold\n40.5,3,Nice,yes,02/03/2020\n,2,Lyon,,\n")
    answers = ask(
        tmp_path,
        """
program = load("houses")
print(program.predict(rows("houses")).tolist())
first = {"area": 40.5, "rooms": 3, "city": "Nice", "garden": True, "sold": "02/03/2020"}
second = {"area": float("nan"), "rooms": 2.0, "city": "Lyon", "garden": None, "sold": None}
print(program.predict([first, second]).tolist())
""",
        [],
    ).splitlines()
    assert answers[0] == answers[1]


@pytest.mark.parametrize("kind", ["large.png", "turned.jpg", "clear.png", "deep.png", "palette.gif"])
def test_a_program_reads_pictures_as_the_run_does(kind, tmp_path):
    rng = np.random.default_rng(4)
    for i in range(24):
        folder = tmp_path / "pictures" / "abc"[i % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (30 + i, 41, 3), np.uint8)).save(folder / f"{i}.png")
    run = lp.train(tmp_path / "pictures", network="flatten, 3", epochs=1, save=False, baselines=False)
    program, _weights = export(run, "numpy", tmp_path / "model.py")
    path = tmp_path / kind
    picture = Image.fromarray(rng.integers(0, 255, (300, 200, 3), np.uint8))
    exif = Image.Exif()
    if kind == "turned.jpg":
        exif[0x0112] = 6
    elif kind == "clear.png":
        picture.putalpha(Image.fromarray(rng.integers(0, 255, (300, 200), np.uint8)))
    elif kind == "deep.png":
        picture = Image.fromarray(rng.integers(0, 65535, (300, 200), np.uint16))
    elif kind == "palette.gif":
        picture = picture.quantize(20)
    picture.save(path, exif=exif)
    done = subprocess.run([sys.executable, str(program), str(path)], capture_output=True, text=True, check=True)
    _name, answer = done.stdout.strip().split(" ", 1)
    expected = run.predict(path)
    label, probability = ast.literal_eval(answer)
    assert label == expected["prediction"][0]
    assert probability == pytest.approx(expected["confidence"][0], abs=1e-6)


def test_a_program_that_leaves_the_centring_of_images_to_others_says_so(trained, tmp_path, capsys):
    recipe = Recipe.from_options("digits", epochs=1, network="8 relu", engine="numpy")
    recipe = recipe.with_values({"preparation.centre": True})
    run = lp.train(recipe, out=tmp_path / "run", baselines=False, report=False)
    out = str(tmp_path / "model.py")
    assert main(["export", str(run.path), "--to", "numpy", "--out", out, "--json"]) == 0
    (note,) = json.loads(capsys.readouterr().out)["notes"]
    assert note["text"] == (
        "takes strokes as the training images have them; limpide predict brings others there, the program does not"
    )
    sentence = "Images are taken as they are: "
    assert sentence in (tmp_path / "model.py").read_text()
    export(trained["everything"][0], "numpy", tmp_path / "whole.py")
    assert sentence not in (tmp_path / "whole.py").read_text()


def test_what_a_library_lacks_is_refused_and_nothing_is_written(tmp_path):
    run = lp.train("iris", epochs=1, optimizer="sgd", weight_decay=0.1, save=False, baselines=False)
    with pytest.raises(Unsupported, match="a weight decay that Keras has"):
        export(run, "keras", tmp_path / "model.py")
    assert not list(tmp_path.iterdir())
