"""The door to the project: what it installs, when, and what it says when it cannot."""

import gettext
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


@pytest.fixture
def dev():
    """dev.py as a fresh module, so that a test may redirect it."""
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(dev, tmp_path, monkeypatch):
    """A small project of its own for dev.py, whose environment is this one."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "0"\n')
    (tmp_path / "constraints.txt").write_text("numpy==2.4.6\n")
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(dev, "STAMP", tmp_path / ".venv" / "stamp.txt")
    monkeypatch.setattr(dev, "CONSTRAINTS", tmp_path / "constraints.txt")
    monkeypatch.setattr(dev, "PYTHON", sys.executable)
    return tmp_path


def stamp(dev, *extras):
    dev.STAMP.write_text(" ".join([dev.fingerprint(), *extras]))


def test_an_old_python_is_told_which_one_is_needed():
    code = (
        f"import sys; sys.version_info = (3, 9, 1); sys.argv = ['dev.py']; exec(open({str(ROOT / 'dev.py')!r}).read())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "dev.py: expected Python 3.11 or newer, got 3.9; start it with a newer one, such as python3.12 dev.py\n"
    )


def test_it_needs_nothing_but_the_standard_library():
    done = subprocess.run([sys.executable, "-I", "-S", ROOT / "dev.py"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "python3 dev.py try" in done.stdout


def test_every_command_is_described(dev, capsys):
    assert dev.main([]) == 0
    described = re.findall(r"^python3 dev.py (\w+)", capsys.readouterr().out, flags=re.MULTILINE)
    assert described == list(dev.COMMANDS)


def test_an_unknown_command_is_answered_with_the_known_ones(dev, capsys):
    assert dev.main(["tset"]) == 2
    assert capsys.readouterr().err == (
        "dev.py: expected one of try, limpide, test, check, bench, fuzz, translate, docs, pin, got tset; "
        "python3 dev.py lists what each does\n"
    )


def test_an_environment_without_a_stamp_is_not_installed(dev, project):
    assert not dev.is_installed(dev.CORE)


def test_an_environment_serves_whoever_needs_no_more_than_it_has(dev, project):
    stamp(dev, "dev")
    assert dev.is_installed(dev.CORE)
    assert dev.is_installed(dev.TOOLS)
    assert not dev.is_installed(dev.ALL)


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_asks_for_a_new_install(dev, project, name):
    stamp(dev, "dev", "torch")
    with (project / name).open("a") as file:
        file.write("# more\n")
    assert not dev.is_installed(dev.CORE)


def test_windows_line_ends_ask_for_no_new_install(dev, project):
    stamp(dev)
    path = project / "constraints.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert dev.is_installed(dev.CORE)


def test_a_tree_that_was_moved_asks_for_a_new_install(dev, project, monkeypatch):
    stamp(dev)
    monkeypatch.setattr(dev, "ROOT", project / "moved")
    (project / "moved").mkdir()
    (project / "moved" / "pyproject.toml").write_bytes((project / "pyproject.toml").read_bytes())
    assert not dev.is_installed(dev.CORE)


def test_nothing_is_installed_twice(dev, project, monkeypatch):
    stamp(dev, "dev")
    monkeypatch.setattr(dev, "install", lambda extras: pytest.fail(f"installs {extras}"))
    dev.prepare(dev.TOOLS)


def test_a_failed_install_leaves_no_stamp_and_says_what_to_do(dev, project, monkeypatch, capsys):
    stamp(dev)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(project))
    monkeypatch.setattr(dev, "limpide", lambda arguments: dev.install(dev.CORE))
    monkeypatch.setitem(dev.COMMANDS, "limpide", dev.limpide)
    assert dev.main(["limpide"]) == 2
    assert not dev.STAMP.exists()
    said = capsys.readouterr().err
    assert "ERROR" in said
    assert "expected pip to install limpide, got the error above; check the network connection" in said


def test_a_missing_venv_module_is_named_with_its_package(dev, project, monkeypatch, capsys):
    answer = "The virtual environment was not created successfully because ensurepip is not available."
    failed = subprocess.CompletedProcess([], 1, stdout=answer)
    monkeypatch.setattr(dev.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(dev.Failure, match="sudo apt install python3-venv"):
        dev.make_venv()
    assert answer in capsys.readouterr().err
    assert not dev.VENV.exists()


def test_a_python_that_is_gone_makes_the_environment_unusable(dev, project, monkeypatch):
    assert dev.is_usable()
    monkeypatch.setattr(dev, "PYTHON", project / "gone")
    assert not dev.is_usable()


def test_check_runs_everything_even_when_something_fails(dev, project, monkeypatch, capfd):
    checks = {
        "first": ["-c", "print('one')"],
        "second": ["-c", "raise SystemExit(3)"],
        "third": ["-c", "print('three')"],
    }
    monkeypatch.setattr(dev, "CHECKS", checks)
    monkeypatch.setattr(dev, "prepare", lambda extras: None)
    assert dev.main(["check"]) == 1
    out = capfd.readouterr().out
    assert "three" in out
    summary = [line.split()[:2] for line in out.splitlines()[-3:]]
    assert summary == [["first", "passed"], ["second", "FAILED"], ["third", "passed"]]


def test_check_passes_when_everything_does(dev, project, monkeypatch, capfd):
    monkeypatch.setattr(dev, "CHECKS", {"first": ["-c", ""], "second": ["-c", "raise SystemExit(3)"]})
    monkeypatch.setattr(dev, "prepare", lambda extras: None)
    assert dev.main(["check", "first"]) == 0
    assert dev.main(["check", "thrid"]) == 2


def test_the_exit_code_of_the_command_line_is_passed_on(dev):
    assert dev.run([sys.executable, "-c", "raise SystemExit(5)"]) == 5


def test_settings_reach_the_command_beside_the_environment(dev, monkeypatch, capfd):
    monkeypatch.setenv("LIMPIDE_HERE", "kept")
    dev.run([sys.executable, "-c", "import os; print(os.environ['LIMPIDE_HERE'], os.environ['MORE'])"], MORE="added")
    assert capfd.readouterr().out.strip() == "kept added"


@pytest.mark.skipif(os.name == "nt", reason="signals to a group of processes are POSIX")
def test_ctrl_c_is_answered_by_the_command_and_its_exit_code_comes_back(tmp_path):
    child = tmp_path / "child.py"
    child.write_text(
        "import time\n"
        "try:\n    print('ready', flush=True)\n    time.sleep(30)\n"
        "except KeyboardInterrupt:\n    raise SystemExit(7)\n"
    )
    code = f"import dev, sys; sys.exit(dev.run([sys.executable, {str(child)!r}]))"
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert parent.stdout.readline() == "ready\n"
    time.sleep(0.1)
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.wait(timeout=20) == 7
    parent.stdout.close()


@pytest.fixture
def translated(dev, project, monkeypatch):
    """A project with one text to translate; gives the path of its French file."""
    pytest.importorskip("babel")
    source = project / "src" / "limpide"
    source.mkdir(parents=True)
    (source / "words.py").write_text('from x import _\n\nprint(_("{n} rows read").format(n=3))\n')
    (project / "babel.cfg").write_bytes((ROOT / "babel.cfg").read_bytes())
    monkeypatch.setattr(dev, "LOCALE", source / "locale")
    monkeypatch.setattr(dev, "prepare", lambda extras: None)
    return source / "locale" / "fr" / "LC_MESSAGES" / "limpide.po"


def put_into_french(po, french):
    text = po.read_text(encoding="utf-8")
    assert 'msgid "{n} rows read"' in text
    po.write_text(re.sub(r'(msgid "{n} rows read"\nmsgstr) ".*"', rf'\1 "{french}"', text), encoding="utf-8")


def test_translate_gathers_the_texts_and_lists_what_is_missing(dev, translated, capfd):
    assert dev.main(["translate"]) == 1
    assert capfd.readouterr().out == "  untranslated: '{n} rows read'\n1 texts, 1 to translate or mend\n"
    put_into_french(translated, "{n} lignes lues")
    assert dev.main(["translate"]) == 0
    assert gettext.translation("limpide", dev.LOCALE, ["fr"]).gettext("{n} rows read") == "{n} lignes lues"


def test_translate_finds_a_blank_that_would_stay_empty(dev, translated, capfd):
    dev.main(["translate"])
    put_into_french(translated, "{nombre} lignes lues")
    assert dev.main(["translate"]) == 1
    assert "other {names} than the English: '{n} rows read'" in capfd.readouterr().out


def test_translate_check_writes_nothing_and_tells_when_the_files_are_behind(dev, translated, capfd):
    dev.main(["translate"])
    put_into_french(translated, "{n} lignes lues")
    before = {path: path.read_bytes() for path in translated.parent.iterdir()}
    assert dev.main(["translate", "--check"]) == 1
    assert "limpide.mo behind the texts; run python3 dev.py translate" in capfd.readouterr().out
    assert {path: path.read_bytes() for path in translated.parent.iterdir()} == before
    assert dev.main(["translate"]) == 0
    assert dev.main(["translate", "--check"]) == 0


def test_everything_limpide_says_is_said_in_french(dev, monkeypatch, capfd):
    pytest.importorskip("babel")
    monkeypatch.setattr(dev, "prepare", lambda extras: None)
    monkeypatch.setattr(dev, "PYTHON", sys.executable)
    code = dev.main(["translate", "--check"])
    assert code == 0, capfd.readouterr().out


def pinned():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


def test_every_requirement_is_pinned_to_a_version_it_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    versions: dict[str, list[str]] = {}
    for pin in pinned():
        versions.setdefault(pin.name.lower(), []).append(str(pin.specifier).removeprefix("=="))
    for requirement in map(Requirement, wanted):
        assert versions.get(requirement.name.lower()), f"{requirement.name} is not pinned: python3 dev.py pin"
        assert all(requirement.specifier.contains(version) for version in versions[requirement.name.lower()])


def test_pins_leave_the_cuda_packages_to_torch():
    assert [pin.name for pin in pinned() if pin.name.startswith(("nvidia", "cuda", "triton"))] == []


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_each_python_gets_one_pin_of_a_package(python):
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    names = [pin.name for pin in pinned() if pin.marker is None or pin.marker.evaluate(here)]
    assert len(names) == len(set(names))
    assert {"numpy", "scipy", "polars"} <= set(names)


def test_continuous_integration_runs_what_the_readme_says():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert script[-1] == "python3 dev.py test"
    assert script[-1] in (ROOT / "README.md").read_text(encoding="utf-8")
