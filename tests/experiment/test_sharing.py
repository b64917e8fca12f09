"""Several processes on one experiment: who trains what, who died, and a real database."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory

import pytest

import limpide as lp
from limpide.errors import MissingPackage, RunError
from limpide.experiment import boards, trials
from limpide.experiment.boards import FolderBoard
from limpide.experiment.storages import StorageBoard
from limpide.tuning.searching import search
from tests.experiment.conftest import Invented

QUICK = {"report": False, "engine": "numpy", "network": "4 relu"}
COMPARED = {"vary": {"activation": ["relu", "tanh", "silu"]}, "seeds": 3, **QUICK}
SEARCHED = {"space": {"rate": "log(1e-4, 1e-1)"}, "trials": 7, "repeats": 2, "fresh": 2, "at_once": 3, **QUICK}


def boards_of(kind, folder, n):
    if kind == "folder":
        return [FolderBoard(folder) for _i in range(n)]
    return [StorageBoard(f"sqlite:///{folder}/b.db", "one") for _i in range(n)]


@pytest.fixture(params=["folder", "storage"])
def two(request, tmp_path):
    return boards_of(request.param, tmp_path, 2)


def test_a_record_of_one_is_read_by_the_other(two):
    a, b = two
    assert b.read("results/x") is None
    a.write("results/x", '{"é": 1}')
    a.write("results/x", '{"é": 2}')
    time.sleep(0.3)
    assert b.read("results/x") == '{"é": 2}'


def test_a_claim_is_held_by_one_until_it_is_given_back(two):
    a, b = two
    assert a.claim("results/x")
    assert not b.claim("results/x")
    assert b.claim("results/y")
    b.release("results/x")
    assert not b.claim("results/x")
    a.release("results/x")
    time.sleep(0.3)
    assert b.claim("results/x")
    b.release("results/x")
    b.release("results/y")


def test_of_many_that_claim_at_once_one_has_it(tmp_path):
    crowd, got, start = boards_of("folder", tmp_path, 8), [], threading.Barrier(8)

    def claim(board):
        start.wait()
        for n in range(20):
            if board.claim(f"results/{n}"):
                got.append(n)

    threads = [threading.Thread(target=claim, args=(board,)) for board in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(20))


def gone(monkeypatch, two):
    """The first board claims as a process that is no more."""
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    with monkeypatch.context() as patch:
        patch.setattr(boards.os, "getpid", lambda: int(child.stdout))
        assert two[0].claim("results/x")


def test_the_claim_of_a_dead_process_is_free_at_once(two, monkeypatch):
    gone(monkeypatch, two)
    assert two[1].claim("results/x")
    two[1].release("results/x")


def test_the_claim_of_a_machine_that_beats_no_more_is_free_after_a_while(two, monkeypatch):
    a, b = two
    with monkeypatch.context() as patch:
        patch.setattr(boards, "_machine", lambda: "far away")
        assert a.claim("results/x")
    # its heart has stopped
    a._heart.let_go("results/x")
    clock = [time.monotonic()]
    monkeypatch.setattr(boards.time, "monotonic", lambda: clock[0])
    assert not b.claim("results/x")
    clock[0] += boards.GRACE - 1
    assert not b.claim("results/x")
    # a beat, and it lives
    a._heart._beat("results/x")
    clock[0] += 2
    assert not b.claim("results/x")
    clock[0] += boards.GRACE + 1
    assert b.claim("results/x")
    b.release("results/x")


def test_a_claim_beats_for_as_long_as_it_is_held(monkeypatch):
    monkeypatch.setattr(boards, "BEAT", 0.01)
    beats = []
    heart = boards.Heart(beats.append)
    heart.hold("x")
    while len(beats) < 3:
        time.sleep(0.01)
    heart.let_go("x")
    while heart._thread is not None:
        time.sleep(0.01)
    assert set(beats) == {"x"}


def at_once(work, n=2):
    """The same work in `n` threads, each with its own view of the folder or the storage."""
    found, errors = [], []

    def run():
        try:
            found.append(work())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return found


class Slow(Invented):
    """Takes some time, so that the others get their share."""

    def outcome(self, recipe, test):
        time.sleep(0.02)
        return super().outcome(recipe, test)


@pytest.fixture
def crew(monkeypatch):
    made = Slow(lambda layers, seed: 0.8 + 0.01 * (hash((layers, seed)) % 7))
    monkeypatch.setattr(trials, "train_many", made)
    return made


def n_twice(crew):
    hashes = [(recipe.hash()) for recipe in crew.trained]
    return len(hashes) - len(set(hashes))


def test_two_that_compare_in_one_folder_train_nothing_twice(crew):
    one, other = at_once(lambda: lp.compare("iris", **COMPARED, out="c"))
    assert one.to_dict() == other.to_dict()
    assert (len(crew.trained), n_twice(crew)) == (9, 0)
    assert not list(Path("c").rglob("*.claim"))


def test_two_that_search_in_one_folder_train_nothing_twice(crew):
    one, other = at_once(lambda: search("iris", **SEARCHED, out="s"))
    assert [one.verdict, one.fresh, one.test] == [other.verdict, other.fresh, other.test]
    assert n_twice(crew) == 0
    alone = search("iris", **SEARCHED, save=False)
    assert [trial.scores for trial in alone.trials] == [trial.scores for trial in one.trials]
    assert not list(Path("s").rglob("*.claim"))


def test_an_address_that_does_not_answer_is_told_without_its_password(tmp_path):
    with pytest.raises(RunError) as error:
        search("iris", **SEARCHED, storage="postgresql://me:secret@127.0.0.1:1/none")
    assert "expected a database that answers" in str(error.value)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(RunError, match="write one such as postgresql://user@host/name"):
        search("iris", **SEARCHED, storage="nowhere")
    with pytest.raises(MissingPackage, match="expected the driver of this database"):
        search("iris", **SEARCHED, storage="oracle://h/x")
    with pytest.raises(RunError, match="expected a database that answers"):
        lp.compare("iris", **COMPARED, storage="sqlite:////no/such/folder/x.db")
    assert list(tmp_path.iterdir()) == []


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from limpide.experiment import trials
from tests.experiment.conftest import Invented
from limpide.tuning.searching import search
class Slow(Invented):
    def outcome(self, recipe, test):
        print("over", flush=True)
        time.sleep(0.05)
        return super().outcome(recipe, test)
trials.train_many = Slow(lambda layers, seed: 0.8 + 0.01 * (seed % 7))
search("iris", **{terms!r}, out="s")
"""


def test_a_search_that_is_killed_goes_on_as_if_it_had_not_been(monkeypatch):
    monkeypatch.setattr(trials, "train_many", made := Invented(lambda layers, seed: 0.8 + 0.01 * (seed % 7)))
    whole = search("iris", **SEARCHED, save=False)
    n_whole = len(made.trained)
    code = KILLED.format(tests=str(Path(__file__).parents[2]), terms=SEARCHED)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    with process:
        for _over in range(9):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
    # it died with a claim in its hands
    assert list(Path("s").rglob("*.claim"))
    made.trained.clear()
    found = search("iris", **SEARCHED, out="s")
    assert len(made.trained) <= n_whole - 8
    assert [trial.facts() for trial in found.trials] == [trial.facts() for trial in whole.trials]
    assert (found.fresh, found.test) == (whole.fresh, whole.test)


@pytest.fixture(scope="module")
def database():
    """The address of a PostgreSQL server of its own, which refuses to be run by root."""
    missing = [name for name in ("initdb", "pg_ctl", "postgres") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"PostgreSQL is not installed: no {', '.join(missing)}")
    pytest.importorskip("psycopg2", reason="psycopg2, the driver of PostgreSQL, is not installed")
    # not below pytest's own folder, which is root's alone
    with TemporaryDirectory(prefix="postgres-") as folder:
        yield from served(folder)


def served(folder):
    terms = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if os.geteuid() == 0:
        terms |= {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody", "nogroup")
    with closing(socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    subprocess.run(["initdb", "-D", "data", "-A", "trust", "-U", "limpide", "--no-sync"], **terms)
    options = f"-F -p {port} -h 127.0.0.1 -k {folder}"
    subprocess.run(["pg_ctl", "-D", "data", "-w", "-o", options, "start"], **terms)
    yield f"postgresql://limpide@127.0.0.1:{port}/postgres"
    subprocess.run(["pg_ctl", "-D", "data", "-m", "immediate", "stop"], **terms)


def test_two_machines_share_a_search_and_a_comparison_in_postgresql(database, crew):
    terms = {**SEARCHED, "storage": database}
    folders = iter("ab")
    one, other = at_once(lambda: search("iris", **terms, out=next(folders)))
    assert n_twice(crew) == 0
    alone = search("iris", **SEARCHED, save=False)
    for found in (one, other):
        assert (found.verdict, found.test) == (alone.verdict, alone.test)
    crew.trained.clear()
    longer = search("iris", **{**terms, "trials": 8}, out="third")
    assert 1 <= len({recipe.optimizer.rate for recipe in crew.trained}) <= 2
    assert len(longer.trials) == 8
    crew.trained.clear()
    here, there = at_once(lambda: lp.compare("iris", **COMPARED, storage=database, save=False))
    assert here.to_dict() == there.to_dict()
    assert (len(crew.trained), n_twice(crew)) == (9, 0)


def test_a_claim_in_postgresql_outlives_no_process(database, monkeypatch):
    gone(monkeypatch, two := [StorageBoard(database, "claims") for _i in range(2)])
    assert two[1].claim("results/x")
    assert not StorageBoard(database, "claims").claim("results/x")
    two[1].release("results/x")
