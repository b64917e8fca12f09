"""Run folders in a bad world: cut, foreign and future files, full disks, disks that cannot be written, two at once."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
from safetensors.numpy import save_file

import limpide as lp
from limpide.__main__ import main
from limpide.checkpoint import read_arrays, write_arrays
from limpide.errors import LimpideError, RunError
from limpide.progress import STATE, Progress
from limpide.training import resume

OPTIONS = {"network": "64 relu", "epochs": 6, "patience": 0, "baselines": False, "report": False}
ARRAYS = ("model.safetensors", "test.safetensors")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    return lp.train("iris", out=folder, **OPTIONS)


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole.path, tmp_path / "run")


def assert_same(run, whole):
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(run.weights[name], array)
    assert [epoch.validation_loss for epoch in run.history] == [epoch.validation_loss for epoch in whole.history]


# ------------------------------------------------------------------------------------------------------ bad files


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path):
    path.write_bytes(b"")


def noise(path):
    path.write_bytes(bytes(range(256)) * 20)


def foreign(path):
    if path.suffix == ".safetensors":
        save_file({"a": np.zeros(2)}, str(path))
    else:
        path.write_text({".json": '{"a": 1}', ".jsonl": '{"a": 1}\n' * 6, ".toml": "a = 1\n"}[path.suffix])


def future(path):
    if path.suffix == ".safetensors":
        arrays, facts = read_arrays(path)
        write_arrays(path, arrays, facts | {"format": 99})
    elif path.suffix == ".json":
        path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    else:
        path.write_text(path.read_text().replace("limpide = 1", "limpide = 99"))


def gone(path):
    path.unlink()


DAMAGE = [
    (gone, "metrics.json", "run: expected a run folder, got one without metrics.json; name the folder of a run"),
    (cut, "metrics.json", "expected whole JSON, got "),
    (empty, "metrics.json", "metrics.json, line 1: expected whole JSON, got Expecting value; take a copy that is not"),
    (noise, "metrics.json", "expected a text in UTF-8, got 'utf-8' codec can't decode byte 0x80"),
    (foreign, "metrics.json", "metrics.json: expected a file written by limpide, got a file of another program"),
    (future, "metrics.json", "metrics.json: expected format 1 or older, got 99; install a newer limpide"),
    *((gone, name, f"{name}: expected a file of arrays, got no file; take a copy that is not") for name in ARRAYS),
    *((cut, name, f"{name}: expected a whole safetensors file, got Error while deserializing") for name in ARRAYS),
    *((noise, name, f"{name}: expected a whole safetensors file, got Error while deserializing") for name in ARRAYS),
    *((foreign, name, f"{name}: expected a file written by limpide, got a file of another program") for name in ARRAYS),
    *((future, name, f"{name}: expected format 1 or older, got 99; install a newer limpide") for name in ARRAYS),
    (gone, "history.jsonl", "history.jsonl: expected a file of a run, got no file; take a copy that is not damaged"),
    (empty, "history.jsonl", "history.jsonl: expected 6 epochs, got 0; take a copy that is not damaged"),
    (noise, "history.jsonl", "history.jsonl: expected a text in UTF-8, got "),
    (foreign, "history.jsonl", "run: expected a whole run folder, got "),
    (gone, "recipe.toml", "recipe.toml: expected a recipe, got no file"),
    (cut, "recipe.toml", "recipe.toml"),
    (empty, "recipe.toml", 'recipe.toml, the key "data" is missing'),
    (noise, "recipe.toml", "recipe.toml: expected a recipe in TOML, got "),
    (foreign, "recipe.toml", 'recipe.toml, unknown key "a"; choose among limpide, seed'),
    (future, "recipe.toml", "recipe.toml, limpide: expected format 1 or older, got 99; install a newer limpide"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "name", "message"), DAMAGE, ids=lambda part: getattr(part, "__name__", part)[:18])
def test_a_bad_file_has_its_own_message(damage, name, message, copy, capsys):
    damage(copy / name)
    with pytest.raises(LimpideError) as error:
        lp.load(copy)
    assert message in str(error.value)
    assert main(["show", str(copy)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_recipe_that_was_cut_between_two_keys_is_not_taken_for_whole(copy):
    text = (copy / "recipe.toml").read_text()
    (copy / "recipe.toml").write_text(text[: text.index("[training]")])
    with pytest.raises(RunError, match="expected the recipe of a run, which leaves nothing out, got one that does"):
        lp.load(copy)


def test_a_file_cut_anywhere_is_never_taken_for_whole_nor_for_a_mistake_of_ours(copy, whole):
    draw = random.Random(5)
    for name in ("metrics.json", "history.jsonl", "recipe.toml", *ARRAYS):
        content = (copy / name).read_bytes()
        for _ in range(15):
            (copy / name).write_bytes(content[: draw.randrange(len(content) - 2)])
            try:
                loaded = lp.load(copy)
            except LimpideError:
                continue
            # what is left of a recipe may still say everything
            assert name == "recipe.toml"
            assert loaded.recipe == whole.recipe
        (copy / name).write_bytes(content)


def test_a_byte_changed_anywhere_is_refused_or_read_never_a_mistake_of_ours(copy):
    draw = random.Random(6)
    for name in ("metrics.json", "history.jsonl", "recipe.toml", *ARRAYS):
        content = (copy / name).read_bytes()
        for _ in range(15):
            changed = bytearray(content)
            changed[draw.randrange(len(changed))] = draw.randrange(256)
            (copy / name).write_bytes(changed)
            with suppress(LimpideError):
                lp.load(copy)
        (copy / name).write_bytes(content)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_number_that_has_changed_since_is_refused_and_found_by_check(name, copy, capsys):
    content = bytearray((copy / name).read_bytes())
    content[-3] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(RunError) as error:
        lp.load(copy)
    message = f"{copy / name}: expected the file as it was written, got one that has changed since; take a copy that"
    assert str(error.value).startswith(message)
    assert main(["check", str(copy), "--quick"]) == 1
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert f"{name} FAILED the file is not the one that was written" in lines
    assert "history.jsonl ok SHA-256 as recorded" in lines


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "expected a whole safetensors file, got "),
        (foreign, "expected a file written by limpide, got a file of another program"),
        (future, "expected format 1 or older, got 99; install a newer limpide"),
    ],
)
def test_a_bad_state_has_its_own_message(damage, message, tmp_path, monkeypatch):
    folder = killed(tmp_path / "run", monkeypatch)
    damage(folder / STATE)
    with pytest.raises(RunError) as error:
        resume(folder)
    assert str(error.value).startswith(f"{folder / STATE}: {message}")


# ------------------------------------------------------------------------------------------- disks that take nothing


class Killed(BaseException):
    """Like a kill: nothing in the library may catch it."""


def killed(folder, monkeypatch, epoch_to_die=2):
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "0")

    def die(_training, epoch):
        if epoch is not None and epoch.epoch == epoch_to_die:
            raise Killed

    with pytest.raises(Killed):
        lp.train("iris", out=folder, watch=die, **OPTIONS)
    return folder


@pytest.fixture
def disk(tmp_path):
    """A real disk of half a megabyte; only who may mount has one."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", place], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk can be mounted here: {error}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk):
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.mark.parametrize("epoch", [1, 3, 6])
def test_a_disk_that_fills_up_loses_nothing(epoch, disk, whole, monkeypatch):
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "0")

    def fill_at(_training, done):
        if done is not None and done.epoch == epoch:
            fill(disk)

    with pytest.raises(RunError) as error:
        lp.train("iris", out=disk / "run", watch=fill_at, **OPTIONS)
    assert str(error.value) == (
        f"{disk}/run: expected a folder that can be written, got No space left on device; make room, or name another"
    )
    left = {place.name for place in (disk / "run").iterdir()}
    assert {"recipe.toml", STATE} <= left
    assert not left & {"metrics.json", "lock"}
    assert not [name for name in left if name.startswith(".")]
    _arrays, facts = read_arrays(disk / "run" / STATE)
    assert len(facts["history"]) == epoch
    (disk / "filler").unlink()
    assert_same(resume(disk / "run", report=False, baselines=False), whole)
    assert_same(lp.load(disk / "run"), whole)


def test_a_disk_that_is_full_from_the_start_leaves_nothing_behind(disk):
    fill(disk)
    with pytest.raises(RunError, match="No space left on device"):
        lp.train("iris", out=disk / "run", **OPTIONS)
    assert [place.name for place in disk.iterdir()] == ["filler"]


def test_a_limit_on_the_size_of_files_is_one_line_and_exit_code_2(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "limpide", "train", "digits", "--epochs", "2", "--quiet", "--out", "run"],
        cwd=tmp_path,
        env={**os.environ, "LIMPIDE_LANG": "en", "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "✗ run: expected a folder that can be written, got File too large; make room, or name another\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def read_only(disk, whole):
    """A disk with a finished run and a killed one, which nobody can write to any more."""
    shutil.copytree(whole.path, disk / "run")
    with pytest.MonkeyPatch.context() as patch:
        killed(disk / "killed", patch)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    return disk


def test_a_folder_that_cannot_be_written_is_said_before_training(read_only, whole, capsys):
    watched = []
    for act in (
        lambda: lp.train("iris", out=read_only / "new", watch=lambda *given: watched.append(given), **OPTIONS),
        lambda: resume(read_only / "killed", watch=lambda *given: watched.append(given)),
        lambda: whole.save(read_only / "copy"),
    ):
        with pytest.raises(RunError, match=r"expected a folder that can be written, got .*Read-only file system"):
            act()
    assert watched == []
    assert main(["train", "iris", "--out", str(read_only / "new")]) == 2
    assert capsys.readouterr().err.startswith(f"✗ {read_only}/new: expected a folder that can be written, got ")


def test_a_run_on_a_disk_that_cannot_be_written_can_still_be_used(read_only, whole, capsys):
    run = lp.load(read_only / "run")
    assert_same(run, whole)
    frame = lp.open_source("iris").inputs
    assert len(run.predict(frame)) == 150
    assert main(["check", str(read_only / "run"), "--quick"]) == 0
    assert main(["show", str(read_only / "run")]) == 0


# ----------------------------------------------------------------------------------------------------- two at once


def test_a_second_process_is_refused_while_the_first_is_at_work(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "limpide", "train", "iris", "--epochs", "1000000", "--patience", "0",
               "--quiet", "--out", str(folder)]  # fmt: skip
    first = subprocess.Popen(command, env={**os.environ, "LIMPIDE_CHECKPOINT_SECONDS": "0", "OMP_NUM_THREADS": "1"})
    try:
        began = time.monotonic()
        while not (folder / STATE).exists():
            assert first.poll() is None
            assert time.monotonic() - began < 120
            time.sleep(0.01)
        with pytest.raises(RunError, match="expected a folder nobody works in, got one that another process is train"):
            resume(folder)
        with pytest.raises(RunError, match="expected a new or empty folder, got one with an unfinished training"):
            lp.train("iris", out=folder)
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    with Progress.again(folder) as progress:
        assert progress.folder == folder
