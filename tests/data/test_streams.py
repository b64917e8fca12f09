"""Data read piece by piece: hashes that never change, sketches beside the exact figures, windows, files in parts."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from limpide.data import hashes, sketches, text_pieces
from limpide.data.columns import understand
from limpide.data.dataset import Column
from limpide.data.hashes import draws, row_hashes
from limpide.data.parts import read_parts, table_files
from limpide.data.preparation import TablePreparation
from limpide.data.sketches import SIZE, SKETCHES, Counts, Moments, Quantiles
from limpide.data.sources import open_source
from limpide.data.splits import parts_of, split_by_hash
from limpide.data.spools import Spool
from limpide.data.streams import TableStream
from limpide.data.treatments import TREATMENTS
from limpide.data.treatments.base import Scale
from limpide.errors import DataError

PINNED = ["0x7c6537460eb2bf", "0xdb14c83ebf8f7d1", "0xcee84ab4f0f83a"]
PINNED_DRAWS = [0.577473409686, 0.709000960699, 0.826344259422]
MIXED = pl.DataFrame(
    {"n": [1, -7, None], "x": [0.5, -0.0, 1e300], "word": ["é", "", "Lyon"], "yes": [True, False, None]}
)


# Hashes


def test_hashes_are_pinned_for_ever():
    # these numbers decide which rows test: should they change, rows would move from the test set to the training set
    assert [hex(h) for h in row_hashes(MIXED, 0)] == PINNED
    assert [hex(h) for h in row_hashes(MIXED, 1)] != PINNED
    assert [round(d, 12) for d in draws(np.array([0, 1, 10**9]), 0, "measured")] == PINNED_DRAWS


def test_a_hash_asks_neither_for_the_type_nor_for_the_order_of_columns():
    numbers = pl.DataFrame({"a": [1, 2, None], "b": [0.5, 1e-3, -2.0]})
    for other in (
        pl.DataFrame({"b": ["0.50", " 0.001", "-2"], "a": ["1", "2.0", "NA"]}),
        pl.DataFrame({"a": [1.0, 2.0, float("nan")], "b": [0.5, 0.001, -2.0]}),
        numbers.select("b", "a").cast(pl.Float32).cast({"b": pl.Float64}).with_columns(b=numbers["b"]),
    ):
        np.testing.assert_array_equal(row_hashes(numbers, 5), row_hashes(other, 5))


def test_a_hash_tells_cells_columns_and_rows_apart():
    frame = pl.DataFrame({"a": [1, 2, 1, 2, 0, None], "b": [2, 1, 1, 2, None, 0]})
    assert len(set(row_hashes(frame, 0).tolist())) == len(frame)


def test_a_hash_does_not_hang_on_other_rows():
    words = [f"word {i % 700}" for i in range(1000)]
    frame = pl.DataFrame({"word": words, "n": range(1000)})
    whole = row_hashes(frame, 3)
    for start, stop in ((0, 1), (17, 400), (900, 1000)):
        np.testing.assert_array_equal(whole[start:stop], row_hashes(frame[start:stop], 3))


def test_the_shares_of_the_parts_are_those_asked_for():
    part = parts_of(row_hashes(pl.DataFrame({"n": range(100_000)}), 0), 0.15, 0.2)
    shares = np.bincount(part) / len(part)
    np.testing.assert_allclose(shares, [0.65, 0.15, 0.2], atol=0.005)


def test_rows_never_move_when_others_are_added_or_validation_grows():
    frame = pl.DataFrame({"n": range(5000)})
    old, new = row_hashes(frame[:3000], 0), row_hashes(frame.sample(fraction=1, shuffle=True, seed=1).sort("n"), 0)
    np.testing.assert_array_equal(parts_of(old, 0.1, 0.2), parts_of(new, 0.1, 0.2)[:3000])
    np.testing.assert_array_equal(parts_of(new, 0.1, 0.2) == 2, parts_of(new, 0.4, 0.2) == 2)


def test_equal_rows_and_rows_of_a_group_stay_together():
    frame = pl.DataFrame({"group": [i % 50 for i in range(1000)], "x": [i % 100 for i in range(1000)]})
    for column, key in ((None, ["group", "x"]), ("group", ["group"])):
        parted = frame.with_columns(part=parts_of(row_hashes(frame, 0, column), 0.2, 0.2))
        assert parted.group_by(key).agg(pl.col("part").n_unique())["part"].max() == 1


def test_a_part_without_rows_is_refused():
    with pytest.raises(DataError, match="rows in each of the three parts"):
        split_by_hash(row_hashes(pl.DataFrame({"x": [1, 1, 1]}), 0), 0.2, 0.2)


def test_images_are_hashed_by_their_pixels():
    images = np.zeros((4, 1, 2, 2), np.uint8)
    images[2] = 1
    found = row_hashes(images, 0)
    assert found[0] == found[1] == found[3] != found[2]


# Sketches beside what is exact


def cut(values, sizes):
    return np.split(values, np.cumsum(sizes)[np.cumsum(sizes) < len(values)])


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60),
    st.lists(st.integers(1, 20), max_size=10),
    st.sampled_from([1.0, 1e-300, 1e200]),
)
def test_moments_of_pieces_are_those_of_the_whole(values, sizes, unit):
    array = np.array(values) * unit
    moments = Moments()
    for piece in cut(array, sizes):
        moments.add(piece)
    exact, found = Scale.of(array), moments.scale()
    spread = max(abs(array.max()), abs(array.min()), 1e-300)
    assert found.mean == pytest.approx(exact.mean, rel=1e-12, abs=1e-12 * spread)
    if array.max() - array.min() > 1e-6 * spread:
        assert found.sd == pytest.approx(exact.sd, rel=1e-7)
    assert (moments.low, moments.high, moments.n) == (array.min(), array.max(), len(array))


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=200), st.lists(st.integers(1, 40), max_size=10))
def test_a_median_of_few_values_is_exact(values, sizes):
    quantiles = Quantiles()
    for piece in cut(np.array(values, float), sizes):
        quantiles.add(piece)
    low, high = quantiles.median()
    assert (low + high) / 2 == np.median(values)
    assert high == np.partition(values, len(values) // 2)[len(values) // 2]


@pytest.mark.parametrize("kind", ["random", "rising", "falling", "two values", "heavy"])
def test_a_median_of_many_values_is_as_near_as_it_says(kind):
    n = 40 * SIZE + 137
    rng = np.random.default_rng(0)
    values = {
        "random": rng.normal(size=n),
        "rising": np.arange(n, dtype=float),
        "falling": -np.arange(n, dtype=float),
        "two values": np.repeat([0.0, 1.0], [n // 2 + 3000, n - n // 2 - 3000]),
        "heavy": rng.standard_cauchy(n),
    }[kind]
    quantiles = Quantiles()
    for piece in np.array_split(values, 90):
        quantiles.add(piece)
    found = np.array(quantiles.median())
    bound = (1 + np.log2(n / SIZE)) / SIZE
    below, up_to = (np.array([(values < f).mean(), (values <= f).mean()]) for f in found[:1] for _ in (0, 1))
    assert below[0] - bound <= 0.5 <= up_to[1] + bound
    kept = sum(len(piece) for level in quantiles._levels for piece in level)
    assert kept <= (2 + np.log2(n / SIZE)) * SIZE


def test_counts_are_exact_until_there_are_too_many_words(monkeypatch):
    monkeypatch.setattr(sketches, "MOST_WORDS", 100)
    rng = np.random.default_rng(0)
    frequent = [f"often {i}" for i in range(5)]
    words = [frequent[i % 5] if i % 2 else f"rare {rng.integers(10_000)}" for i in range(20_000)]
    counts = Counts()
    for start in range(0, len(words), 700):
        counts.add(pl.Series(words[start : start + 700]))
    assert [word for word, _n in counts.counts.most_common(5)] == pytest.approx(frequent) or set(frequent) == {
        word for word, _n in counts.counts.most_common(5)
    }
    assert 0 < counts.lost <= len(words) / 100
    for word in frequent:
        assert words.count(word) - counts.lost <= counts.counts[word] <= words.count(word)


def test_every_treatment_has_a_sketch():
    assert set(SKETCHES) == set(TREATMENTS)


def table(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    holes = rng.random(n) < 0.1
    return pl.DataFrame(
        {
            "x": rng.normal(5, 2, n).round(3),
            "hole": pl.Series(rng.normal(size=n).round(2)).set(pl.Series(holes), None),
            "whole": rng.integers(0, 1000, n),
            "city": rng.choice(["Lyon", "Nice", "Brest", "Metz"], n, p=[0.5, 0.3, 0.15, 0.05]),
            "garden": rng.choice(["yes", "no"], n),
            "day": pl.Series(rng.integers(0, 10**15, n)).cast(pl.Datetime("us")),
        }
    )


@pytest.mark.parametrize("missing", ["median", "mean"])
@pytest.mark.parametrize("standardise", [True, False])
def test_layer_0_of_pieces_is_that_of_the_table(missing, standardise):
    frame = table()
    columns, _notes = understand(frame)
    exact = TablePreparation.fit(frame, columns, standardise, missing, 3)
    for treatment in exact.treatments:
        column = next(c for c in columns if c.name == treatment.column)
        sketch = SKETCHES[column.kind](column, standardise, missing, 3)
        for start in range(0, len(frame), 777):
            sketch.add(sketch.read(frame[column.name][start : start + 777]))
        found = sketch.treatment()
        assert type(found) is type(treatment)
        for name, value in vars(treatment).items():
            if isinstance(value, Scale):
                assert vars(vars(found)[name]) == pytest.approx(vars(value), rel=1e-12)
            elif isinstance(value, float):
                assert vars(found)[name] == pytest.approx(value, rel=1e-12)
            else:
                assert vars(found)[name] == value


def test_a_sketch_of_nothing_is_the_treatment_of_nothing():
    for kind, sketch in SKETCHES.items():
        column = Column("c", kind, date_format="%Y-%m-%d" if kind == "date" else "")
        series = pl.Series("c", [None, None], pl.String)
        found = sketch(column, True, "median", 5)
        found.add(found.read(series))
        assert found.treatment() == TREATMENTS[kind].fit(series, column, True, "median", 5)


# Windows


def spool_of(n, window):
    spool = Spool(window)
    for start in range(0, n, 97):
        rows = np.arange(start, min(start + 97, n))
        spool.append(np.stack([rows, -rows], 1).astype(np.float32), rows)
    return spool


@given(st.integers(1, 700), st.integers(1, 800), st.integers(1, 64), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_windows_hold_every_row_once_in_whole_batches(n, size, batch, seed):
    spool = spool_of(n, size)
    windows = list(spool.windows(np.random.default_rng(seed), batch, np.dtype(np.float32)))
    seen = np.concatenate([window.y for window in windows])
    np.testing.assert_array_equal(np.sort(seen), np.arange(n))
    for window in windows:
        np.testing.assert_array_equal(window.x[:, 0], window.y)
        np.testing.assert_array_equal(window.x[:, 1], -window.y)
        assert len(window.x) <= max(size, batch)
    assert all(len(window.x) % batch == 0 for window in windows[:-1])


def test_one_window_is_the_order_of_data_in_memory():
    (window,) = spool_of(500, 10_000).windows(np.random.default_rng(4), 32, np.dtype(np.float64))
    np.testing.assert_array_equal(window.y, np.random.default_rng(4).permutation(500))
    assert window.x.dtype == np.float64


def test_a_window_takes_rows_from_everywhere():
    windows = list(spool_of(20_000, 2_000).windows(np.random.default_rng(0), 10, np.dtype(np.float32)))
    assert len(windows) == 10
    for window in windows:
        assert window.y.min() < 1_000
        assert window.y.max() > 19_000
        assert abs(np.corrcoef(np.arange(len(window.y)), window.y)[0, 1]) < 0.1


def test_windows_may_be_left_in_the_middle():
    windows = spool_of(5_000, 100).windows(np.random.default_rng(0), 10, np.dtype(np.float32))
    next(windows)
    windows.close()


# Files


def written(folder, frame, n_files=3, form="parquet"):
    folder.mkdir(exist_ok=True)
    for i, part in enumerate(np.array_split(np.arange(len(frame)), n_files)):
        file = folder / f"part-{i}.{form}"
        frame[part].write_parquet(file) if form == "parquet" else frame[part].write_csv(file)
    return folder


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_pieces_are_the_rows_of_the_files_in_order(tmp_path, form, monkeypatch):
    monkeypatch.setattr("limpide.data.streams.PIECE_ROWS", 100)
    monkeypatch.setattr(text_pieces, "PIECE_BYTES", 2_000)
    frame = table(1500).drop("day")
    files = table_files(str(written(tmp_path / "parts", frame, 12, form)))
    assert [file.stem for file in files] == [f"part-{i}" for i in range(12)]
    pieces = list(TableStream("parts", files).pieces())
    assert len(pieces) > 12
    assert pl.concat([piece.frame for piece in pieces]).equals(frame)
    numbers = np.cumsum([0, *(len(piece.frame) for piece in pieces)])
    first = 2 if form == "csv" else 1  # below the names
    assert [piece.number for piece in pieces] == numbers[:-1].tolist()
    starts = [piece.number for piece in pieces if piece.places.numbers[0] == first]
    assert starts == (125 * np.arange(12)).tolist()


def test_quoted_cells_of_several_lines_are_never_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(text_pieces, "PIECE_BYTES", 50)
    frame = pl.DataFrame({"text": [f'line {i}\nand "more",\n\n{i}' for i in range(60)], "n": list(range(60))})
    frame.write_csv(tmp_path / "cells.csv")
    stream = TableStream("cells.csv", [tmp_path / "cells.csv"])
    assert pl.concat([piece.frame for piece in stream.pieces()]).equals(frame)


def test_a_stray_quote_is_a_letter(tmp_path, monkeypatch):
    monkeypatch.setattr(text_pieces, "PIECE_BYTES", 64)
    rows = [f"pipe {i},{i}" for i in range(50)]
    rows[20] = 'pipe 5" wide,20'
    (tmp_path / "pipes.csv").write_text("name,n\n" + "\n".join(rows) + "\n")
    stream = TableStream("pipes.csv", [tmp_path / "pipes.csv"])
    numbers = [int(n) for piece in stream.pieces() for n in piece.frame["n"]]
    assert numbers == list(range(50))


def test_ragged_rows_are_told_with_file_and_line(tmp_path, monkeypatch):
    monkeypatch.setattr(text_pieces, "PIECE_BYTES", 1_000)
    rows = [f"{i},{i}" for i in range(1, 1001)]
    rows[700] = "1,2,3"
    rows[702] = "1"
    (tmp_path / "a.csv").write_text("x,y\n" + "\n".join(rows))
    with pytest.raises(DataError, match=r"a.csv, line 702: expected 2 cells.*got 3 cells"):
        list(TableStream("a.csv", [tmp_path / "a.csv"]).pieces())


def test_other_letters_are_read_or_told(tmp_path):
    text = "ville,n\n" + "".join(f"Orléans,{i}\n" for i in range(5))
    (tmp_path / "a.csv").write_bytes(text.encode("cp1252"))
    (tmp_path / "b.csv").write_bytes(text.encode("utf-8-sig"))
    (tmp_path / "c.csv").write_bytes(text.encode("utf-16"))
    for name in ("a.csv", "b.csv"):
        assert TableStream(name, [tmp_path / name]).head()["ville"].to_list() == ["Orléans"] * 5
    with pytest.raises(DataError, match="save it again as UTF-8"):
        TableStream("c.csv", [tmp_path / "c.csv"])


def test_a_column_that_turns_to_text_late_is_read_as_text_there(tmp_path, monkeypatch):
    monkeypatch.setattr(text_pieces, "PIECE_BYTES", 4_000)
    rows = [str(i) for i in range(2000)]
    rows[1500] = "unknown"
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{x},{i}\n" for i, x in enumerate(rows)))
    frames = [piece.frame for piece in TableStream("a.csv", [tmp_path / "a.csv"]).pieces()]
    assert {frame["x"].dtype for frame in frames} == {pl.Int64(), pl.String()}


def test_files_with_other_columns_are_named(tmp_path):
    folder = written(tmp_path / "parts", table(30))
    table(5).drop("x").with_columns(z=1).write_parquet(folder / "part-7.parquet")
    table(5).drop("x").write_parquet(folder / "part-8.parquet")
    table(5).with_columns(z=1).write_parquet(folder / "part-9.parquet")
    with pytest.raises(DataError) as caught:
        TableStream("parts", table_files(str(folder)))
    assert caught.value.problems == (
        "part-7.parquet: expected the columns of part-0.parquet, got columns without x and with z besides",
        "part-8.parquet: expected the columns of part-0.parquet, got columns without x",
        "part-9.parquet: expected the columns of part-0.parquet, got columns with z besides",
    )


def test_a_folder_a_pattern_and_a_file_are_tables_and_other_things_are_not(tmp_path):
    folder = written(tmp_path / "parts", table(30))
    (folder / "_SUCCESS").touch()
    assert len(table_files(str(folder))) == len(table_files(str(folder / "part-[0-9].parquet"))) == 3
    assert len(table_files(str(folder / "part-0.parquet"))) == 1
    (folder / "readme.md").write_text("words")
    assert table_files(str(folder)) == table_files(str(tmp_path / "none")) == table_files("iris") == []


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_folder_of_tables_read_at_once_is_one_table(tmp_path, form):
    frame = table(300).drop("day")
    folder = written(tmp_path / "parts", frame, 3, form)
    found = read_parts("parts", table_files(str(folder)))
    assert found.frame.equals(frame)
    assert "3 files read as one table" in found.notes[0].text
    assert (
        open_source(str(folder), "whole").sha256
        == found.sha256
        == TableStream("parts", table_files(str(folder))).sha256
    )


def test_the_random_mixture_of_splitmix_is_the_published_one():
    # the finaliser of java.util.SplittableRandom: its stream from seed 0 begins with this number
    golden = np.array([0x9E3779B97F4A7C15], np.uint64)
    assert int(hashes.mixed(golden)[0]) == 0xE220A8397B1DCDAF


def test_names_over_two_rows_are_joined_in_a_stream_and_a_frame_is_refused(tmp_path):
    rows = "".join(f"s{i % 5},{i}.5,{i * 7 % 40},{i % 9}\n" for i in range(40))
    (tmp_path / "t.csv").write_text(",2023,,2024\nshop,Jan,Feb,Jan\n" + rows)
    stream = TableStream("t.csv", [tmp_path / "t.csv"])
    assert stream.columns == ("shop", "2023 Jan", "2023 Feb", "2024 Jan")
    piece = next(stream.pieces())
    assert (len(piece.frame), piece.places.shown(0)) == (40, "3")
    (tmp_path / "t.csv").write_text("| a | b |\n|---|---|\n" + "".join(f"| {i} | {i} |\n" for i in range(9)))
    with pytest.raises(DataError, match=r"t.csv: expected a table that can be streamed, got a list in a frame of bars"):
        TableStream("t.csv", [tmp_path / "t.csv"])
