"""`limpide check`: what was looked at, the numbers behind it, and the exit code."""

import json
import shutil


def test_a_check_shows_the_gradients_layer_by_layer_and_the_engines_update_by_update(shown, iris):
    code, out, err = shown("check", iris)
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "recipe ok every value as recorded" in lines
    assert any(line.startswith("gradients ok 7 tensors, at most ") for line in lines)
    assert any(line.startswith("engine numpy ok 5 updates, from the reference at most 0 in float64") for line in lines)
    table = lines[lines.index("layer gradient of numbers tried central differences PyTorch") :]
    assert [line.split()[:3] for line in table[2:5]] == [
        ["0.dense", "W", "12"],
        ["0.dense", "b", "6"],
        ["0.dense", "output", "12"],
    ]
    assert "allowed, of the largest slope: 1.0e-5 from central differences, 1.0e-9 from PyTorch" in lines
    steps = next(i for i, line in enumerate(lines) if line.startswith("update numpy float64 numpy float32"))
    assert [line.split()[0] for line in lines[steps + 2 :] if line[:1].isdigit()] == ["1", "2", "3", "4", "5"]
    assert lines[-1] == "allowed, of what the tensor has moved: 1.0e-7 in float64, 2.0e-3 in float32"


def test_json_holds_every_number(shown, iris):
    code, out, _err = shown("check", iris, "--json")
    assert code == 0
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert checks["recipe"]["gaps"] == []
    gradients = checks["gradients"]["gaps"]
    assert {gap["layer"] for gap in gradients} == {"0.dense", "1.activation", "2.dense"}
    assert all(gap["by_differences"] < 1e-5 for gap in gradients)
    steps = checks["engine numpy"]["gaps"]
    assert [(gap["precision"], gap["update"]) for gap in steps] == [
        (precision, update) for precision in ("float64", "float32") for update in range(1, 6)
    ]


def test_a_quick_check_of_a_changed_run_fails_and_measures_nothing(shown, iris, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for place in iris.iterdir():
        (copy / place.name).write_bytes(place.read_bytes())
    history = copy / "history.jsonl"
    history.write_text(history.read_text().replace('"epoch": 1,', '"epoch": 1 ,'))
    code, out, _err = shown("check", copy, "--quick")
    assert code == 1
    assert "history.jsonl      FAILED   the file is not the one that was written" in out
    assert "gradients" not in out


def test_a_folder_that_is_no_run_is_refused(shown, tmp_path):
    code, out, err = shown("check", tmp_path)
    assert (code, out) == (2, "")
    assert err == f"✗ {tmp_path}: expected a run folder, got one without metrics.json; name the folder of a run\n"
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n")
    code, out, err = shown("show", table)
    assert (code, out) == (2, "")
    assert err == f"✗ {table}: expected a run folder, got a file; name the folder of a run\n"


def test_a_figure_that_finds_no_place_says_so(shown, iris, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(iris, copy)
    (copy / "figures").write_text("a file stands in its place")
    code, out, err = shown("figure", copy, "loss")
    assert (code, out) == (2, "")
    place = copy / "figures" / "loss.png"
    said = "expected a file that can be written, got File exists; make room, or name another"
    assert err == f"✗ {place}: {said}\n"
    assert "reçu\xa0: un fichier de ce nom existe déjà" in shown("figure", copy, "loss", "--lang", "fr")[2]
