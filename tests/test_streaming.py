"""Data larger than memory: trained on as data in memory is, bounded, resumed, checked and predicted."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import limpide as lp
from limpide.__main__ import main
from limpide.data import text_pieces
from limpide.data.spools import memory_bytes
from limpide.data.streams import large_stream
from limpide.errors import DataError, LeakError, RecipeError, UnknownName
from limpide.job import prepare
from limpide.streaming import keeping, survey
from limpide.streaming.predicting import predict_stream
from limpide.training import Fit, resume
from limpide.verification import check_run

OPTIONS = {"network": "8 relu, dropout 0.2", "epochs": 3, "batch_size": 32, "engine": "numpy", "average": 0.5}


def houses(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    area, city = rng.normal(80, 20, n).round(1), rng.choice(["Lyon", "Nice", "Metz"], n)
    holes = pl.Series(rng.random(n) < 0.1)
    price = 3 * area + 40 * (city == "Nice") + rng.normal(0, 5, n)
    return pl.DataFrame(
        {
            "id": np.arange(1, n + 1),
            "area": area,
            "rooms": pl.Series(rng.integers(1, 7, n)).set(holes, None),
            "city": city,
            "garden": rng.choice(["yes", "no"], n),
            "price": price.round(2),
        }
    )


def classes(n=2000, seed=0):
    frame = houses(n, seed)
    dear = np.searchsorted(np.quantile(frame["price"], (0.3, 0.6)), frame["price"])
    return frame.with_columns(kind=np.array(["low", "mid", "high"])[dear]).drop("price")


def small_windows(monkeypatch, rows=256, measured=100):
    """Memory so scarce that there are many windows, pieces and drawn rows."""
    monkeypatch.setattr(keeping, "WINDOW_SHARE", rows * 40 / 32e6)
    monkeypatch.setattr(keeping, "MEASURED_SHARE", measured * 350 / 32e6)
    monkeypatch.setattr("limpide.data.streams.PIECE_ROWS", 333)
    monkeypatch.setattr(text_pieces, "PIECE_BYTES", 9_000)


def assert_same_training(a, b, is_exact=True):
    """Bit for bit; to rounding where means are gathered from pieces."""
    rounding = 0 if is_exact else 1e-4
    for name, array in a.weights.items():
        np.testing.assert_allclose(array, b.weights[name], rtol=rounding, atol=rounding)
    for one, other in zip(a.history, b.history, strict=True):
        assert one.validation_loss == pytest.approx(other.validation_loss, rel=rounding, abs=0)
        assert one.running_loss == pytest.approx(other.running_loss, rel=rounding, abs=0)
        assert one.train_loss == pytest.approx(other.train_loss, rel=rounding, abs=0)
    np.testing.assert_array_equal(a.test_rows, b.test_rows)
    np.testing.assert_allclose(a.test_outputs, b.test_outputs, rtol=rounding, atol=rounding)
    assert a.split_sizes == b.split_sizes
    assert a.class_counts == b.class_counts
    assert [example.row for example in a.examples] == [example.row for example in b.examples]
    assert a.dataset_sha256 == b.dataset_sha256


# The same as in memory


@pytest.mark.parametrize("form", ["csv", "parquet", "folder"])
@pytest.mark.parametrize("make", [houses, classes])
def test_a_stream_whose_window_holds_all_trains_as_the_table_in_memory_does(tmp_path, form, make):
    frame, place = make(1500), tmp_path / f"table.{form}"
    if form == "csv":
        frame.write_csv(place)
    elif form == "parquet":
        frame.write_parquet(place)
    else:
        place.mkdir()
        frame[:700].write_parquet(place / "part-1.parquet")
        frame[700:].write_parquet(place / "part-2.parquet")
    whole = lp.train(str(place), save=False, baselines=False, split="hash", **OPTIONS)
    stream = lp.train(str(place), save=False, baselines=False, stream=True, **OPTIONS)
    assert_same_training(whole, stream, is_exact=form != "folder")
    assert stream.recipe.data.stream
    assert stream.recipe.data.memory
    assert stream.recipe.split.method == "hash"


@pytest.mark.parametrize("engine", ["numpy", "compiled", "torch"])
def test_windows_train_on_every_row_once_an_epoch_in_whole_batches(tmp_path, monkeypatch, engine):
    houses().write_parquet(tmp_path / "houses.parquet")
    small_windows(monkeypatch)
    job = prepare(str(tmp_path / "houses.parquet"), stream=True, memory="32 MB", **{**OPTIONS, "engine": engine})
    fit = Fit(job)
    sizes = [len(order) for _x, _y, order in fit._windows(1)]
    assert sum(sizes) == job.sizes["train"]
    assert set(sizes[:-1]) == {256}
    history = list(fit)
    assert len(history) == 3
    assert history[-1].updates == 3 * -(-job.sizes["train"] // 32)
    assert history[-1].validation_loss < history[0].validation_loss


def test_steps_and_epochs_of_a_stream_are_one_training(tmp_path, monkeypatch):
    houses().write_parquet(tmp_path / "houses.parquet")
    small_windows(monkeypatch)
    job = prepare(str(tmp_path / "houses.parquet"), stream=True, memory="32 MB", **OPTIONS)
    one, other = Fit(job), Fit(job)
    epochs, steps = list(one), list(other.steps())
    assert len(steps) == epochs[-1].updates
    assert [epoch.validation_loss for epoch in epochs] == [epoch.validation_loss for epoch in other.history]


def test_a_divergence_in_a_later_window_is_named(tmp_path, monkeypatch):
    houses().write_parquet(tmp_path / "houses.parquet")
    small_windows(monkeypatch)
    fit = Fit(prepare(str(tmp_path / "houses.parquet"), stream=True, memory="32 MB", **OPTIONS))
    clean = fit._windows

    def poisoned(number):
        for i, (x, y, order) in enumerate(clean(number)):
            if number == 2 and i == 3:
                x = np.where(np.arange(len(x))[:, None] == 70, np.inf, x)
            yield x, y, order

    monkeypatch.setattr(fit, "_windows", poisoned)
    assert len(list(fit)) == 1
    # three windows of eight batches, then the third batch
    expected = -(-fit.job.sizes["train"] // 32) + 3 * 8 + 3
    assert fit.stop.reason == "diverged"
    assert f"update {expected}" in fit.stop.place


# What is bounded, and said


def test_what_is_drawn_stands_for_the_whole(tmp_path, monkeypatch):
    houses(20_000).write_parquet(tmp_path / "houses.parquet")
    small_windows(monkeypatch, measured=400)
    job = prepare(str(tmp_path / "houses.parquet"), stream=True, memory="32 MB", **OPTIONS)
    assert sum(job.sizes.values()) == 20_000
    for name, rows in job.parts.items():
        assert 250 < len(rows.x) < 600 < job.sizes[name]
        assert len(rows.x) == len(rows.y) == len(rows.truth)
    assert len(job.streamed.rows) == job.sizes["train"]
    frame = houses(20_000)
    for i in (0, len(job.streamed.test_rows) - 1):
        assert frame["price"][int(job.streamed.test_rows[i])] == job.parts["test"].truth[i]
        assert job.dataset.inputs.row(int(job.split.test[i])) == frame.drop("price").row(int(job.streamed.test_rows[i]))
    said = " ".join(note.text for note in job.notes)
    assert "shuffled in windows of" in said
    assert "measured on rows drawn by chance" in said
    assert f"fitted on the {job.sizes['train']:,} training rows alone" in said


def test_rows_keep_their_part_when_files_are_added(tmp_path):
    frame, folder = houses(3000), tmp_path / "parts"
    folder.mkdir()
    frame[:2000].write_parquet(folder / "b.parquet")
    before = prepare(str(folder), stream=True, **OPTIONS)
    frame[2000:].write_parquet(folder / "a.parquet")
    after = prepare(str(folder), stream=True, **OPTIONS)
    ids = [set(job.dataset.inputs["id"].gather(job.split.test).to_list()) for job in (before, after)]
    assert {i for i in ids[1] if i <= 2000} == ids[0]


def test_rows_of_a_group_stay_together(tmp_path):
    frame = houses(3000).with_columns(owner=pl.Series(np.arange(3000) % 90))
    frame.write_parquet(tmp_path / "houses.parquet")
    options = {**OPTIONS, "split": "hash", "split_column": "owner"}
    job = prepare(str(tmp_path / "houses.parquet"), stream=True, **options)
    owners = [set(job.dataset.inputs["owner"].gather(getattr(job.split, part)).to_list()) for part in job.parts]
    assert not owners[0] & owners[1]
    assert not owners[0] & owners[2]
    assert not owners[1] & owners[2]
    assert "owner" not in job.preparation.column_names


def test_a_leak_stops_a_stream_too(tmp_path):
    frame = houses().with_columns(dollars=houses()["price"] * 1.1)
    frame.write_parquet(tmp_path / "houses.parquet")
    with pytest.raises(LeakError, match="dollars"):
        prepare(str(tmp_path / "houses.parquet"), stream=True, target="price", **OPTIONS)


def test_rows_without_a_target_are_left_out_and_counted(tmp_path):
    frame = houses()
    frame = frame.with_columns(price=frame["price"].set(pl.Series(np.arange(3000) % 10 == 3), None))
    frame.write_parquet(tmp_path / "houses.parquet")
    job = prepare(str(tmp_path / "houses.parquet"), stream=True, **OPTIONS)
    assert sum(job.sizes.values()) == 2700
    assert any("300 rows without a target left out" in note.text for note in job.notes)


def test_a_table_streams_by_itself_where_it_would_not_fit(tmp_path):
    houses(9000).write_parquet(tmp_path / "houses.parquet")
    source = str(tmp_path / "houses.parquet")
    assert large_stream(source, 10**9, {}) is None
    assert large_stream(source, 10**6, {}) is not None
    assert prepare(source, **OPTIONS).streamed is None


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("2 GB", 2 * 10**9), ("500MB", 5 * 10**8), ("1,5 gb", 15 * 10**8), ("31 MB", None), ("much", None), ("2", None)],
)
def test_memory_is_read_as_people_write_it(text, n_bytes):
    assert memory_bytes(text) == n_bytes


# Columns that the first rows do not tell


def test_a_column_that_is_constant_in_the_first_file_is_learned_from(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for year in (2020, 2021, 2022):
        houses(400, year).with_columns(year=pl.lit(year)).drop("id").write_parquet(folder / f"{year}.parquet")
    job = prepare(str(folder), stream=True, target="price", **OPTIONS)
    assert "year" in job.preparation.column_names


def test_words_among_numbers_are_judged_over_all_rows(tmp_path, monkeypatch):
    small_windows(monkeypatch)
    frame = houses().with_columns(area=houses()["area"].cast(pl.String))
    few = frame.with_columns(area=frame["area"].set(pl.Series(np.arange(3000) % 500 == 499), "unknown"))
    few.write_csv(tmp_path / "few.csv")
    job = prepare(str(tmp_path / "few.csv"), stream=True, **OPTIONS)
    treatment = next(t for t in job.preparation.treatments if t.column == "area")
    assert treatment.kind == "number"
    assert treatment.words == ("unknown",)
    assert treatment.has_indicator
    assert any("few.csv: 'unknown' (row 501)" in note.text for note in job.notes)
    rows = pl.Series((np.arange(3000) % 3 == 2) & (np.arange(3000) > 500))
    frame.with_columns(area=frame["area"].set(rows, "unknown")).write_csv(tmp_path / "many.csv")
    with pytest.raises(DataError, match=r"column area: expected numbers, got many.csv: 'unknown' \(row 505\)"):
        prepare(str(tmp_path / "many.csv"), stream=True, **OPTIONS)


def test_cells_that_cannot_be_read_are_named_with_file_and_row(tmp_path, monkeypatch):
    small_windows(monkeypatch)
    folder = tmp_path / "parts"
    folder.mkdir()
    houses(1000).write_csv(folder / "a.csv")
    late = houses(1000, 1)
    late = late.with_columns(garden=late["garden"].set(pl.Series(np.arange(1000) == 876), "maybe"))
    late.write_csv(folder / "b.csv")
    with pytest.raises(DataError, match=r"b.csv, column garden: expected yes or no.*'maybe' \(row 878\)"):
        prepare(str(folder), stream=True, **OPTIONS)
    late = houses(1000, 1).with_columns(price=pl.col("price").cast(pl.String))
    late.with_columns(price=late["price"].set(pl.Series(np.arange(1000) == 876), "dear")).write_csv(folder / "b.csv")
    told = r"b.csv, target price: expected numbers, got 'dear' \(row 878\); correct these cells or leave them empty$"
    with pytest.raises(DataError, match=told):
        prepare(str(folder), stream=True, **OPTIONS)


def test_a_class_that_comes_late_is_told(tmp_path, monkeypatch):
    small_windows(monkeypatch)
    frame = houses(3000).drop("price").with_columns(sold=pl.Series(np.where(np.arange(3000) % 2, "yes", "no")))
    monkeypatch.setattr("limpide.data.streams.LOOKS", 1)
    frame = frame.with_columns(sold=frame["sold"].set(pl.Series(np.arange(3000) == 2500), "perhaps"))
    frame.write_parquet(tmp_path / "houses.parquet")
    with pytest.raises(DataError, match="target sold: expected two classes, as in the first rows, got 3 classes"):
        prepare(str(tmp_path / "houses.parquet"), stream=True, **OPTIONS)
    job = prepare(str(tmp_path / "houses.parquet"), stream=True, task="multiclass", **OPTIONS)
    assert job.target.labels == ("no", "perhaps", "yes")


def test_too_many_classes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(survey, "MOST_CLASSES", 2)
    classes(500).write_parquet(tmp_path / "houses.parquet")
    with pytest.raises(DataError, match="more than 2 different words"):
        prepare(str(tmp_path / "houses.parquet"), stream=True, **OPTIONS)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"split": "time", "split_column": "area"}, RecipeError, "hash, for data that is streamed"),
        ({"split": "hash", "split_column": "aera"}, UnknownName, "area"),
        ({"target": "prise"}, UnknownName, "price"),
        ({"kinds": {"aera": "number"}}, UnknownName, "area"),
        ({"drop": ["aera"]}, DataError, "area"),
        ({"memory": "lots"}, RecipeError, "such as 500 MB"),
        ({"kinds": {"city": "number"}}, DataError, "numbers"),
    ],
)
def test_what_a_stream_cannot_do_is_told(tmp_path, options, error, words):
    houses(300).write_parquet(tmp_path / "houses.parquet")
    with pytest.raises(error, match=words):
        prepare(str(tmp_path / "houses.parquet"), stream=True, **{**OPTIONS, **options})


@pytest.mark.parametrize("source", ["iris", "nowhere.csv"])
def test_what_is_no_table_file_cannot_be_streamed(source):
    with pytest.raises(RecipeError, match="leave stream out"):
        prepare(source, stream=True)


def test_a_disk_without_room_is_told_before_it_is_full(tmp_path, monkeypatch):
    houses(300).write_parquet(tmp_path / "houses.parquet")
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: type("Usage", (), {"free": 1000}))
    with pytest.raises(RecipeError, match="TMPDIR"):
        prepare(str(tmp_path / "houses.parquet"), stream=True, **OPTIONS)
    # room for the rows of one process
    n_bytes = 210 * (4 * 7 + 8)
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: type("Usage", (), {"free": 1.5 * n_bytes}))
    prepare(str(tmp_path / "houses.parquet"), stream=True, **OPTIONS)
    for name, value in (("TORCHELASTIC_RUN_ID", "none"), ("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match="TMPDIR"):
        prepare(str(tmp_path / "houses.parquet"), stream=True, **OPTIONS)


# Runs


def test_a_killed_stream_goes_on_bit_for_bit_and_can_be_checked(tmp_path, monkeypatch):
    houses().write_parquet(tmp_path / "houses.parquet")
    small_windows(monkeypatch)
    monkeypatch.setenv("LIMPIDE_CHECKPOINT_SECONDS", "0")
    options = {"stream": True, "memory": "32 MB", "baselines": False, "report": False, **OPTIONS}
    source = str(tmp_path / "houses.parquet")
    whole = lp.train(source, out=tmp_path / "whole", **options)

    class Killed(BaseException):
        pass

    def die(_training, epoch):
        if epoch is not None and epoch.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        lp.train(source, out=tmp_path / "killed", watch=die, **options)
    assert_same_training(whole, resume(tmp_path / "killed", baselines=False, report=False))
    outcomes = {check.name: check.outcome for check in check_run(tmp_path / "whole", redo=True, quick=True)}
    assert set(outcomes.values()) == {"ok"}
    assert {"data", "predictions", "trained again"} <= set(outcomes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    classes(1500).write_csv(folder / "houses.csv")
    return lp.train(str(folder / "houses.csv"), out=folder / "run", baselines=False, **OPTIONS)


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet"])
@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_predictions_piece_by_piece_are_those_of_the_whole(tmp_path, monkeypatch, run, form, source):
    small_windows(monkeypatch)
    frame, place, out = classes(1200, 5), tmp_path / f"new.{source}", tmp_path / f"out.{form}"
    frame.write_csv(place) if source == "csv" else frame.write_parquet(place)
    n, _notes = predict_stream(run, large_stream(str(place), 0, {}), out)
    read = pl.read_parquet(out) if form == "parquet" else pl.read_csv(out, separator="\t" if form == "tsv" else ",")
    expected = frame.hstack(run.predict(frame))
    assert n == len(frame)
    assert read.columns == expected.columns
    assert read["prediction"].to_list() == expected["prediction"].to_list()
    np.testing.assert_allclose(read["confidence"], expected["confidence"], rtol=1e-6)
    assert read["area"].to_list() == frame["area"].to_list()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_prediction_that_fails_late_leaves_no_file(tmp_path, monkeypatch, run, form):
    small_windows(monkeypatch)
    frame = classes(1200, 5)
    frame = frame.with_columns(garden=frame["garden"].set(pl.Series(np.arange(1200) == 1000), "perhaps"))
    frame.write_csv(tmp_path / "new.csv")
    with pytest.raises(DataError, match=r"new.csv, column garden.*'perhaps' \(row 1002\)"):
        predict_stream(run, large_stream(str(tmp_path / "new.csv"), 0, {}), tmp_path / f"out.{form}")
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


def test_the_command_line_streams(tmp_path, monkeypatch, run, capsys):
    monkeypatch.chdir(tmp_path)
    houses(1500).write_parquet("houses.parquet")
    words = "train houses.parquet --stream --memory 1GB --epochs 2 --no-baselines --no-report --json"
    assert main([*words.split(), "--out", "run"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["train"] > 1000
    monkeypatch.setattr("limpide.data.streams.COPIES", 10_000)
    classes(1200, 6).write_csv("new.csv")
    words = ["predict", str(run.path), "new.csv", "--memory", "64 MB"]
    assert main([*words]) != 0
    assert "too large to hold" in capsys.readouterr().err
    assert main([*words, "--out", "out.csv"]) == 0
    assert "1,200 predictions written" in capsys.readouterr().out
    assert len(pl.read_csv("out.csv")) == 1200
