"""Files of arrays: whole, atomic, and refused with a reason when they are not ours."""

import numpy as np
import pytest

from limpide.checkpoint import read_arrays, write_arrays, write_bytes
from limpide.errors import RunError


def test_arrays_and_facts_come_back_as_they_were(tmp_path, rng):
    arrays = {"0.dense.W": rng.random((3, 4), np.float32), "n": np.array(7), "empty": np.zeros((0, 2))}
    arrays["reversed"] = arrays["0.dense.W"][:, ::-1]
    write_arrays(tmp_path / "a.safetensors", arrays, {"é": [1, 2.5, None]})
    again, facts = read_arrays(tmp_path / "a.safetensors")
    assert facts == {"é": [1, 2.5, None]}
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == array.dtype
        assert again[name].shape == array.shape


def test_the_same_content_gives_the_same_bytes(tmp_path, rng):
    arrays = {"b": rng.random(3), "a": rng.random(2)}
    write_arrays(tmp_path / "1", arrays, {"x": 1, "y": 2})
    write_arrays(tmp_path / "2", arrays, {"y": 2, "x": 1})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_missing_truncated_and_foreign_files_have_their_own_message(tmp_path):
    with pytest.raises(RunError, match="no file"):
        read_arrays(tmp_path / "missing")
    write_arrays(tmp_path / "whole", {"a": np.arange(100.0)}, {})
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-8])
    with pytest.raises(RunError, match="a whole safetensors file"):
        read_arrays(tmp_path / "cut")
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(2)}, str(tmp_path / "foreign"))
    with pytest.raises(RunError, match="a file of another program"):
        read_arrays(tmp_path / "foreign")


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    place = tmp_path / "f"
    write_bytes(place, b"old")
    monkeypatch.setattr("os.fsync", lambda _file: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_bytes(place, b"new")
    assert place.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [place]
