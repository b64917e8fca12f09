"""What the tests of the command line share: a place of their own, runs to look at, a way to run a command."""

import csv

import pytest

from limpide.__main__ import main


@pytest.fixture(autouse=True)
def _own_folder(tmp_path_factory, monkeypatch):
    """Every command runs in a folder of its own, in English, and leaves the environment as it was."""
    monkeypatch.chdir(tmp_path_factory.mktemp("place"))
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"):
        monkeypatch.setenv(name, "")
    for name in ("LIMPIDE_DEBUG", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def iris(tmp_path_factory):
    """A run on iris, baselines and report included."""
    folder = tmp_path_factory.mktemp("iris") / "run"
    words = ["--epochs", "30", "--network", "6 relu", "--quiet", "--lang", "en"]
    assert main(["train", "iris", *words, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def diabetes(tmp_path_factory):
    """A run on diabetes, without baselines and report."""
    folder = tmp_path_factory.mktemp("diabetes") / "run"
    words = ["--epochs", "3", "--no-report", "--no-baselines", "--quiet", "--lang", "en"]
    assert main(["train", "diabetes", *words, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def shown(capsys):
    """What a command gives: its exit code, standard output, standard error; blanks at the ends of lines taken off."""

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, *("\n".join(map(str.rstrip, text.split("\n"))) for text in captured)

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
