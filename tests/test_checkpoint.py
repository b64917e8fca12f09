"""Files of arrays: whole, atomic, and refused with a reason when they are not ours."""

import numpy as np
import pytest

from limpide.checkpoint import (
    read_arrays,
    read_json,
    read_json_lines,
    write_arrays,
    write_bytes,
    write_file,
    write_folder,
)
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


def test_a_file_that_cannot_be_written_is_told_and_its_folder_is_made(tmp_path):
    path = write_file(tmp_path / "new" / "a.txt", b"a")
    assert path.read_bytes() == b"a"
    with pytest.raises(RunError, match=r"b: expected a file that can be written, got (Not a directory|File exists); "):
        write_file(path / "b", b"b")


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


def test_a_file_of_another_kind_of_json_is_told_from_a_damaged_one(tmp_path):
    place = tmp_path / "facts.json"
    place.write_text("[1, 2]")
    with pytest.raises(RunError, match=r"expected a file written by limpide, got a file of another program"):
        read_json(place, 1)
    place.write_text('{"format": true')
    with pytest.raises(RunError, match=r"facts\.json, line 1: expected whole JSON"):
        read_json(place, 1)
    place.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(RunError, match=r"facts\.json, line 2: expected whole JSON, got Expecting value"):
        read_json_lines(place)


def test_a_folder_is_written_whole_where_there_is_an_empty_one_or_none(tmp_path):
    (tmp_path / "empty").mkdir()
    rights = (tmp_path / "empty").stat().st_mode
    for name in ("empty", "new/deep"):
        made = write_folder(tmp_path / name, lambda folder: write_bytes(folder / "a", b"1"))
        assert [place.name for place in made.iterdir()] == ["a"]
        # the rights of any other folder, not those of a private one
        assert made.stat().st_mode == rights
    with pytest.raises(RunError, match="expected a new or empty folder, got one that is in use"):
        write_folder(tmp_path / "empty", lambda folder: None)
    assert sorted(place.name for place in tmp_path.iterdir()) == ["empty", "new"]


@pytest.mark.parametrize("name", ["file/run", "file/deep/run", "x" * 300])
def test_a_place_that_can_hold_no_folder_is_refused(name, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="expected a folder that can be written, got "):
        write_folder(tmp_path / name, lambda folder: None)
    assert [place.name for place in tmp_path.iterdir()] == ["file"]


def test_a_file_in_the_place_of_a_folder_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="expected a new or empty folder, got one that is in use"):
        write_folder(tmp_path / "file", lambda folder: None)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_whose_writing_fails_is_not_there(tmp_path):
    def fail(folder):
        write_bytes(folder / "a", b"1")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match="No space left on device"):
        write_folder(tmp_path / "run", fail)
    assert list(tmp_path.iterdir()) == []
