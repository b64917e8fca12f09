"""`limpide completion`: what a shell is told, and bash itself completing."""

import os
import shutil
import stat
import subprocess
import sys

import click
import pytest
from click.shell_completion import BashComplete

from limpide.cli import group
from limpide.cli.completion import Completed
from limpide.data.builtin import BUILTIN
from limpide.engines.base import ENGINES
from limpide.nn.losses import LOSSES
from limpide.nn.optimizers import OPTIMIZERS


def completed(*words):
    """What is proposed for the last word, the shell's own completions left out."""
    found = BashComplete(group, {}, "limpide", "_LIMPIDE_COMPLETE").get_completions(list(words[:-1]), words[-1])
    return [item.value for item in found if item.type == "plain"]


def commands(group, path=()):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_every_run_and_every_source_is_completed_in_whatever_command():
    expected = [
        (path, param.name)
        for path, command in commands(group)
        for param in command.params
        if isinstance(param, click.Argument) and (param.metavar == "RUN" or param.name in ("source", "sources"))
    ]
    made = [
        (path, param.name)
        for path, command in commands(group)
        for param in command.params
        if isinstance(param, click.Argument) and isinstance(param.type, Completed)
    ]
    assert made == expected
    assert len(made) >= 9


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["tr"], ["train"]),
        (["train", ""], sorted(BUILTIN)),
        (["data", "breast"], ["breast-cancer"]),
        (["train", "iris", "--engine", ""], sorted(["auto", *ENGINES])),
        (["train", "iris", "--optimizer", ""], sorted(OPTIMIZERS)),
        (["train", "iris", "--loss", ""], sorted(LOSSES)),
        (["train", "iris", "--split", "st"], ["stratified"]),
        (["train", "iris", "--log", ""], ["csv", "mlflow", "tensorboard"]),
        (["train", "iris", "--epo"], ["--epochs"]),
        (["train", "--lang", ""], ["en", "fr"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
    ids=" ".join,
)
def test_names_are_completed(words, answer):
    assert completed(*words) == answer


def test_run_folders_are_completed_finished_or_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("runs/iris-001/metrics.json", "runs/iris-002/progress.safetensors", "mine/metrics.json", "runs/x/a"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
    assert completed("resume", "") == ["mine", "runs/iris-001", "runs/iris-002"]
    assert completed("show", "ru") == ["runs/iris-001", "runs/iris-002"]
    assert completed("predict", "runs/iris-001", "wi") == ["wine"]
    assert completed("check", "runs/iris-002") == ["runs/iris-002"]
    assert completed("check", f"{tmp_path}/m") == [f"{tmp_path}/mine"]
    assert completed("check", "[") == []


def test_a_completed_parameter_is_read_as_before(shown):
    code, _out, err = shown("show", "nowhere")
    assert (code, err.splitlines()[0].startswith("✗ nowhere: expected a run folder, got no folder")) == (2, True)
    assert shown("completion", "tcsh")[0] == 2


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_every_shell_has_its_script(shown, shell):
    code, out, _err = shown("completion", shell)
    assert code == 0
    assert f"_LIMPIDE_COMPLETE={shell}_complete" in out


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")
def test_bash_completes_for_real(shown, tmp_path, iris):
    code, script, _err = shown("completion", "bash")
    assert code == 0
    (tmp_path / "script").write_text(script)
    program = tmp_path / "limpide"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m limpide "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    lines = [
        "source script",
        "compopt() { :; }  # it works in a real completion only",
        'ask() { COMPREPLY=(); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))',
        '_limpide_completion limpide; echo "${COMPREPLY[@]}"; }',
        "ask limpide res",
        "ask limpide train breast",
        "ask limpide train iris --engine t",
        f"ask limpide show {iris.parent}/",
    ]
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.splitlines() == ["resume", "breast-cancer", "torch", str(iris)]
    assert done.stderr == ""
