"""`limpide engines` and `limpide settings`: what is here, how fast, what is missing; what can be set."""

import json

import pytest

from limpide.engines import base, machine
from limpide.engines.base import ENGINES, get_engine, is_compiled
from limpide.engines.machine import WORKLOADS, Workload, inspect_engine, time_update
from limpide.errors import MissingPackage, Unsupported
from limpide.settings import SETTINGS


@pytest.fixture
def hasty(monkeypatch):
    """Measurements cut short: what they show is the same."""
    monkeypatch.setattr(machine, "SECONDS", 0.002)
    monkeypatch.setattr(machine, "SIDE", 64)


@pytest.fixture
def without_torch(monkeypatch):
    def get(name):
        if name == "torch":
            raise MissingPackage('engine torch: expected PyTorch, got nothing; pip install "limpide[torch]"')
        return get_engine(name)

    monkeypatch.setattr(machine, "get_engine", get)


def test_every_engine_tells_its_version_device_threads_and_speed(shown, hasty):
    code, out, err = shown("engines", "--json")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert [engine["name"] for engine in facts["engines"]] == list(ENGINES)
    for engine in facts["engines"]:
        if engine["missing"]:
            continue
        assert engine["version"]
        assert engine["device"].split(":")[0] in {device.split(":")[0].split()[0] for device in engine["devices"]}
        assert min(engine["threads"].values()) >= 1
        assert set(engine["microseconds"]) == {workload.name for workload in WORKLOADS}
        assert engine["microseconds"][WORKLOADS[0].name] > 0
        assert engine["gflops"] > 0
        assert "same bits" in engine["repeatable"]
    assert facts["cores"] >= 1


def test_a_device_that_is_not_there_leaves_the_other_engines(shown, hasty, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("LIMPIDE_DEVICE", "abacus")
    code, out, err = shown("engines", "--quick")
    assert (code, "numpy" in out, "torch" in out) == (0, True, False)
    assert err.startswith("✗ LIMPIDE_DEVICE: expected cpu")


class HasNoPooling:
    def trainer(self, *_arguments):
        raise Unsupported("layer 1.globalavgpool")


def test_a_layer_that_an_engine_lacks_has_no_time():
    workload = Workload("deep", "1x8x8, residual(conv 1 3x3 pad 1), globalavgpool, 2", "adam", 4)
    assert time_update(get_engine("numpy"), workload) > 0
    assert time_update(HasNoPooling(), workload) is None


def test_an_engine_that_is_not_installed_is_a_line_with_the_command_to_install_it(shown, without_torch):
    code, out, err = shown("engines", "--quick")
    assert code == 0
    assert "torch" not in [line.split()[0] for line in out.splitlines() if line]
    assert err == '✗ engine torch: expected PyTorch, got nothing; pip install "limpide[torch]"\n'


def test_nothing_is_measured_when_in_a_hurry(shown, monkeypatch):
    monkeypatch.setattr(machine, "time_update", lambda *given: pytest.fail("measured"))
    code, out, _err = shown("engines", "--quick")
    assert code == 0
    assert "microseconds" not in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0].startswith("engine runs on devices")
    assert any(line.startswith("numpy NumPy ") for line in lines)
    assert "between two engines: equal to rounding, never promised bit for bit" in out


def test_a_busy_machine_is_said_to_be_busy(shown, hasty, without_torch, monkeypatch):
    monkeypatch.setattr("os.getloadavg", lambda: (7.25, 0, 0))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert "the machine is busy, with 7.2 tasks for 2 cores" in shown("engines")[1]
    monkeypatch.setattr("os.getloadavg", lambda: (0.1, 0, 0))
    out = shown("engines")[1]
    assert "busy" not in out
    assert "product of 64×64, GFLOP/s" in out


def test_a_gpu_promises_no_bits(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr("limpide.engines.torch_engine.choose_device", lambda *given: torch.device("cuda"))
    assert "may differ in the last digits" in inspect_engine("torch", is_measured=False).repeatable
    monkeypatch.setattr("limpide.engines.torch_engine.choose_device", lambda *given: torch.device("cpu"))
    assert "may differ" not in inspect_engine("torch", is_measured=False).repeatable


def test_whether_code_is_on_disk_is_told_as_it_was_before_the_look(monkeypatch):
    monkeypatch.setattr(machine, "is_compiled", lambda: False)
    facts = inspect_engine("compiled", is_measured=False)
    assert facts.missing or facts.is_on_disk is False
    assert inspect_engine("numpy", is_measured=False).is_on_disk is None
    assert base.is_compiled is is_compiled


def test_settings_shows_every_variable_and_what_it_is_set_to(shown, monkeypatch):
    monkeypatch.setenv("LIMPIDE_DATA", "/somewhere")
    code, out, err = shown("settings")
    assert (code, err) == (0, "")
    names = [line.split()[0] for line in out.splitlines() if line.startswith("LIMPIDE_")]
    assert names == list(SETTINGS)
    assert "/somewhere" in out
    code, out, _err = shown("settings", "--json")
    assert json.loads(out)["settings"]["LIMPIDE_DATA"] == "/somewhere"
    assert json.loads(out)["settings"]["LIMPIDE_DEBUG"] is None
