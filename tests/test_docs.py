"""What the documents say is tried."""

import re
import shlex
from pathlib import Path

import pytest

import limpide
from limpide.__main__ import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    assert "dense (6,) 11·6 + 6 = 72" in capsys.readouterr().out
    assert (tmp_path / "loss.svg").read_text().rstrip().endswith("</svg>")
    assert (tmp_path / "runs" / "iris-001" / "report.html").is_file()


def test_the_commands_of_the_readme_run(tmp_path, monkeypatch, capsys, rng):
    monkeypatch.chdir(tmp_path)
    lines = ["area,rooms,city,price"]
    for _ in range(120):
        area, rooms, city = rng.uniform(20, 150), rng.integers(1, 7), rng.choice(["Lyon", "Nice"])
        lines.append(f"{area:.1f},{rooms},{city},{3000 * area + 9000 * rooms + rng.normal(0, 9000):.0f}")
    Path("houses.csv").write_text("\n".join(lines))
    Path("new-houses.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines))
    commands = [line for block in blocks("") for line in block.splitlines() if line.startswith("limpide ")]
    assert len(commands) >= 9
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
    predictions = Path("predictions.csv").read_text().splitlines()
    assert len(predictions) == len(lines)
    assert "prediction" in predictions[0]
    assert "area" in capsys.readouterr().out


def test_the_changelog_and_the_package_agree_on_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.search(r"^## \[(.+?)\]", changelog, re.MULTILINE).group(1) == limpide.__version__
    assert f'version = "{limpide.__version__}"' in (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_file_a_document_names_is_there(name):
    text = (ROOT / name).read_text("utf-8")
    named = set(re.findall(r"`([\w/]+\.(?:py|md|toml))`", text)) | set(re.findall(r"\]\((docs/[^)]+)\)", text))
    places = [ROOT, ROOT / "src" / "limpide"]
    written_by_a_run = {"recipe.toml"}
    missing = [f for f in named - written_by_a_run if not any((place / f).exists() for place in places)]
    assert not missing
