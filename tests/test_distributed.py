"""Several processes train as one: the same weights to rounding, one of them speaks, and a lost one costs nothing."""

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import limpide as lp
from limpide.distributed import Place, lost, place, signed, steady
from limpide.engines.base import caution
from limpide.engines.choosing import choose_engine
from limpide.errors import ProcessLost, RecipeError
from limpide.nn.network import Network
from limpide.progress import last_state
from limpide.recipe import Recipe
from limpide.streaming import keeping
from limpide.training import resume

pytest.importorskip("torch")

# 1,168 rows to train on: the last batch has one row, fewer than there are processes
# a bias before a batch norm has no gradient but rounding, which Adam blows up
NETWORK = (
    "conv 4 3x3 pad 1 no bias, batchnorm relu, residual(conv 4 3x3 pad 1 no bias, batchnorm), "
    "flatten, dropout 0.3, 8 no bias, batchnorm relu"
)
OPTIONS = ["--split", "ordered", "--validation", "0.15", "--test", "0.2", "--epochs", "4", "--batch", "389",
           "--patience", "0", "--optimizer", "adamw", "--rate", "0.01", "--option", "precision=float64",
           "--option", "optimizer.clip_norm=1.0", "--average", "0.8"]  # fmt: skip
WORDS = ["train", "digits", "--network", NETWORK, *OPTIONS, "--no-report", "--no-baselines"]
ENVIRONMENT = os.environ | {"LIMPIDE_LANG": "en", "OMP_NUM_THREADS": "1", "LIMPIDE_DEVICE": "cpu"}

STOPPED = """
import os, signal, sys
from limpide.__main__ import main
from limpide.training import Fit

start_epoch = Fit._start_epoch

def start_or_stop(training):
    if len(training.history) == 2 and os.environ["RANK"] == "{rank}":
        {stop}
    return start_epoch(training)

Fit._start_epoch = start_or_stop
sys.exit(main(sys.argv[1:]))
"""

SCARCE = "from limpide.streaming import keeping\nkeeping.WINDOW_SHARE, keeping.MEASURED_SHARE = 6e-4, 6e-4\n"
"""Windows of a few batches, and measures on some of the rows."""


def torchrun(*words, launched=("-m", "limpide")):
    """A job of two processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*launcher, *launched, *map(str, words)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def stopped(tmp_path, stop, rank=1):
    script = tmp_path / "stopped.py"
    script.write_text(STOPPED.format(stop=stop, rank=rank))
    return torchrun(*WORDS, "--out", tmp_path / "run", launched=(script,))


def assert_same_history(a, b, tolerance):
    for one, other in zip(a.history, b.history, strict=True):
        for name, value in one.to_dict().items():
            if isinstance(value, float) and name != "seconds":
                assert other.to_dict()[name] == pytest.approx(value, rel=tolerance), name
        assert other.validation == pytest.approx(one.validation, rel=tolerance)


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """What two processes printed, and their run."""
    folder = tmp_path_factory.mktemp("two") / "run"
    done = torchrun(*WORDS, "--out", folder)
    assert done.returncode == 0, done.stderr
    return done, lp.load(folder)


def test_two_processes_give_the_weights_and_measures_of_one(of_two, monkeypatch):
    """Batch norm and dropout are those of the whole batch; uneven shares are weighed."""
    monkeypatch.setenv("LIMPIDE_DEVICE", "cpu")
    _done, shared = of_two
    alone = lp.train(shared.recipe, save=False, baselines=False)
    assert alone.split_sizes["train"] % alone.recipe.training.batch_size == 1
    for name, array in alone.weights.items():
        np.testing.assert_allclose(shared.weights[name], array, rtol=1e-8, atol=1e-10, err_msg=name)
    assert_same_history(alone, shared, 1e-8)
    assert shared.test.main.value == pytest.approx(alone.test.main.value, rel=1e-8)


def test_one_process_prints_and_writes(of_two):
    done, run = of_two
    assert done.stdout.count("epoch 4 of 4: ") == 1
    assert done.stdout.count("all 4 epochs done") == 1
    assert run.engine == "torch"
    assert run.engine_why == "the one engine that several processes can share"
    assert "2 processes shared every batch" in " ".join(note.text for note in run.notes)


def test_a_killed_process_ends_the_job_and_its_run_goes_on_to_the_same_bits(of_two, tmp_path):
    done = stopped(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert done.returncode != 0
    assert "process 1 of 2: expected every process of the job at work, got one lost: " in done.stderr
    assert f"what was done is kept; go on: torchrun ... -m limpide resume {tmp_path / 'run'}" in done.stderr
    assert done.stderr.count("Traceback") == 1  # of torchrun itself
    _arrays, facts = last_state(tmp_path / "run")
    assert len(facts["history"]) == 2
    resumed = torchrun("resume", tmp_path / "run", "--no-report", "--no-baselines", "--quiet")
    assert resumed.returncode == 0, resumed.stderr
    _done, whole = of_two
    run = lp.load(tmp_path / "run")
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(run.weights[name], array, err_msg=name)
    assert_same_history(whole, run, 0)


def test_ctrl_c_keeps_a_run_that_can_go_on(tmp_path):
    # on a terminal it reaches torchrun alone, which passes it on
    # the first process sends it: the others may be an epoch ahead of what it has written down
    done = stopped(tmp_path, "os.kill(os.getppid(), signal.SIGINT); signal.pause()", rank=0)
    assert "interrupted after epoch 2; the mean of the weights up to epoch 2 is kept" in done.stdout
    assert "nothing was written" not in done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["stop"]["reason"] == "interrupted"
    assert len(last_state(tmp_path / "run")[1]["history"]) == 2


def test_a_stream_is_shared_and_goes_on_as_one_process_streams_it(tmp_path, monkeypatch):
    """Each reads the same windows; one is killed, and this process goes on alone."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": x[:, 0] + x[:, 1] * x[:, 2]})
    frame.write_parquet(tmp_path / "table.parquet")
    options = {"stream": True, "memory": "32 MB", "network": "8 tanh, dropout 0.2", "epochs": 4, "batch_size": 31}
    recipe = Recipe.from_options(str(tmp_path / "table.parquet"), engine="torch", precision="float64", **options)
    (tmp_path / "table.toml").write_text(recipe.to_toml())
    script = tmp_path / "scarce.py"
    script.write_text(SCARCE + STOPPED.format(stop="os.kill(os.getpid(), signal.SIGKILL)", rank=1))
    done = torchrun("train", tmp_path / "table.toml", "--out", tmp_path / "run", "--quiet", launched=(script,))
    assert "process 1 of 2: expected every process of the job at work, got one lost: " in done.stderr
    assert f"go on: torchrun ... -m limpide resume {tmp_path / 'run'}" in done.stderr
    assert len(last_state(tmp_path / "run")[1]["history"]) == 2
    monkeypatch.setenv("LIMPIDE_DEVICE", "cpu")
    for name in ("WINDOW_SHARE", "MEASURED_SHARE"):
        monkeypatch.setattr(keeping, name, 6e-4)
    alone = lp.train(recipe, save=False, baselines=False)
    run = resume(tmp_path / "run", baselines=False, report=False)
    assert "rows are shuffled in windows of" in " ".join(note.text for note in run.notes)
    for name, array in alone.weights.items():
        np.testing.assert_allclose(run.weights[name], array, rtol=1e-8, atol=1e-10, err_msg=name)
    assert_same_history(alone, run, 1e-8)
    np.testing.assert_array_equal(run.test_rows, alone.test_rows)


# in one process


@pytest.fixture
def second(monkeypatch):
    """As `torchrun` would have started the second of two."""
    for name, value in (("TORCHELASTIC_RUN_ID", "none"), ("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)


def test_other_launchers_do_not_make_a_job(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert place() == Place(0, 1, 0)


def test_only_the_torch_engine_is_shared(second):
    network = Network.parse("4, 8 relu, 2")
    assert choose_engine("auto", network, 10).name == "torch"
    with pytest.raises(RecipeError) as caught:
        choose_engine("numpy", network, 10)
    assert str(caught.value) == "engine: expected torch, the one engine that several processes can share, got numpy"


def test_what_goes_wrong_elsewhere_says_where(second, monkeypatch):
    assert signed(["x: expected y, got z"]) == ["process 2 of 2: x: expected y, got z"]
    assert signed(["process 2 of 2: expected y, got z"]) == ["process 2 of 2: expected y, got z"]
    monkeypatch.setenv("RANK", "0")
    assert signed(["x: expected y, got z"]) == ["x: expected y, got z"]


def test_any_process_says_how_to_go_on_when_the_first_is_lost(second, monkeypatch):
    assert str(lost("gone")) == (
        "process 2 of 2: expected every process of the job at work, got one lost: gone; if a run was begun, go on: "
        "torchrun ... -m limpide resume RUN"
    )
    monkeypatch.setattr(signal, "signal", lambda *_given: None)
    monkeypatch.setenv("RANK", "0")
    assert str(lost("gone")).endswith("got one lost: gone")


def test_each_process_takes_a_gpu_of_its_own(second, monkeypatch):
    import torch

    from limpide.engines import torch_model

    monkeypatch.delenv("LIMPIDE_DEVICE", raising=False)
    monkeypatch.setattr(torch_model, "_is_available", lambda kind: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert torch_model.choose_device() == torch.device("cuda", 1)
    with monkeypatch.context() as named:
        named.setenv("LIMPIDE_DEVICE", "cuda")
        named.setattr(torch, "empty", lambda _n, device: SimpleNamespace(device=torch.device(device)))
        assert torch_model.choose_device() == torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        RecipeError, match=r"expected 1 process for 1 GPU, got 2; start fewer, or set LIMPIDE_DEVICE=cpu"
    ):
        torch_model.choose_device()
    monkeypatch.setattr(torch_model, "_is_available", lambda kind: kind == "mps")
    assert torch_model.choose_device().type == "cpu"


def group(monkeypatch, rank, size):
    from limpide.engines.torch_group import Group

    made = Group.__new__(Group)
    made.rank, made.size = rank, size
    return made


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize("n_rows", [1, 2, 6, 7, 50])
def test_the_shares_of_a_batch_are_the_batch(n_rows, size, monkeypatch):
    shares = [group(monkeypatch, rank, size).share(n_rows) for rank in range(size)]
    assert sum(share.weight for share in shares) == pytest.approx(1)
    rows = [row for share in shares for row in range(n_rows)[share.rows]]
    if n_rows < size:
        assert rows == [*range(n_rows)] * size
    else:
        assert rows == [*range(n_rows)]
        assert max(share.weight for share in shares) - min(share.weight for share in shares) <= 1.01 / n_rows


def test_other_rows_than_those_of_the_first_process_are_refused(second, monkeypatch):
    import torch

    mine = group(monkeypatch, 1, 2)
    monkeypatch.setattr(mine, "add", lambda tensor: None, raising=False)
    monkeypatch.setattr(mine, "make_equal", lambda tensors: [tensor.fill_(5) for tensor in tensors], raising=False)
    mine.check_same(5, torch.device("cpu"))
    with pytest.raises(RecipeError, match="process 2 of 2: expected the same rows in every process, got others"):
        mine.check_same(6, torch.device("cpu"))


def test_a_process_that_does_not_answer_is_a_lost_one(second):
    from limpide.engines.torch_group import _together

    with pytest.raises(ProcessLost, match=r"process 2 of 2: .*got one lost: Connection closed by peer"), _together():
        raise RuntimeError("Connection closed by peer\nand a long story")
    gloo = "[/pytorch/gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:49: Connection reset by peer"
    with (
        pytest.raises(ProcessLost, match=r"got one lost: Read error \[127.0.0.1\]:49: Connection reset by peer; if"),
        _together(),
    ):
        raise RuntimeError(f"{gloo}. This is typically caused by a remote worker hanging. Good luck!")


def test_what_a_gpu_cannot_promise_is_said(monkeypatch):
    import torch

    from limpide.engines import torch_engine

    monkeypatch.setattr(torch_engine, "choose_device", lambda: torch.device("cuda"))
    assert caution("torch").startswith("computed on cuda: the same recipe gives the same numbers again but")
    assert caution("numpy") == ""
    monkeypatch.setattr(torch_engine, "choose_device", lambda: torch.device("cpu"))
    assert caution("torch") == ""


def test_signals_cannot_spoil_what_a_lost_process_leaves_behind(second, monkeypatch):
    """torchrun ends the others as soon as it misses one: while the first is writing its state."""
    monkeypatch.setenv("RANK", "0")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with steady():
            with pytest.raises(ProcessLost, match="torchrun ends the job"):
                os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
