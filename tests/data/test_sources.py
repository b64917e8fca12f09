"""The single door: every form of source, and what it says when there is nothing behind a name."""

import gzip
import os
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from limpide.data.columns import task_of
from limpide.data.dataset import Dataset
from limpide.data.sources import open_source
from limpide.errors import DataError, InputError, UnknownName

CSV = "area,rooms,town,price\n50,2,Lyon,100\n70,3,Paris,300\n90,4,Lyon,200\n120,5,Lille,210\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path, text=CSV):
    path.write_text(text)
    return path


def save_images(root, names):
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((3, 4), 9 * i, np.uint8)).save(root / name)


def save_idx(folder, part="train"):
    for role, array in (("images-idx3", np.zeros((2, 3, 3))), ("labels-idx1", np.arange(2))):
        header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
        (folder / f"{part}-{role}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())


def test_a_name_opens_a_built_in(here):
    dataset = open_source("iris")
    assert (dataset.name, dataset.target.name, len(dataset)) == ("iris", "species", 150)


def test_options_stand_behind_a_question_mark_or_apart(here):
    dataset = open_source("calculator?operation=multiply&maximum=10")
    assert dataset.source == "calculator?maximum=10&operation=multiply"
    np.testing.assert_array_equal(dataset.target, dataset.inputs.to_numpy().prod(1))
    apart = open_source("calculator?maximum=10", options={"operation": "multiply"})
    assert apart.sha256 == dataset.sha256
    assert open_source(apart.source).sha256 == dataset.sha256


def test_a_file_of_the_same_name_as_a_built_in_is_pointed_out(here):
    save_images(here / "digits", ["a/1.png", "b/1.png"])
    dataset = open_source("digits")
    assert len(dataset) == 1797
    assert dataset.notes[-1].text == "a file of that name is here too: write ./digits to read it"
    assert len(open_source("./digits")) == 2


def test_a_table_is_opened_with_the_target_named(here):
    dataset = open_source(write(here / "houses.csv"), target="price")
    assert (dataset.name, dataset.source) == ("houses.csv", str(here / "houses.csv"))
    assert dataset.inputs.columns == ["area", "rooms", "town"]
    assert dataset.input_names == ("area", "rooms", "town")
    assert dataset.target.to_list() == [100, 300, 200, 210]


def test_parquet_and_excel_are_tables_too(here):
    frame = pl.read_csv(write(here / "houses.csv"))
    frame.write_parquet(here / "houses.parquet")
    frame.to_pandas().to_excel(here / "houses.xlsx", index=False)
    for name in ("houses.parquet", "houses.xlsx"):
        dataset = open_source(name, "price")
        assert dataset.inputs.rows() == frame.drop("price").rows()


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame, pa.table])
def test_a_frame_is_a_table(make):
    columns = {"area": [50, 70, 90], "price": [1.5, 2.5, 3.0]}
    dataset = open_source(make(columns), "price")
    assert (dataset.name, dataset.source) == ("frame", "frame")
    assert dataset.target.to_list() == columns["price"]
    assert dataset.sha256 == open_source(make(columns), "price").sha256


@pytest.mark.parametrize(
    ("names", "target", "why"),
    [
        (("price", "area", "rooms"), "price", "taken as the target, for its name"),
        (("Target", "label", "price"), "Target", "taken as the target, for its name"),
        (("area", "rooms", "age"), "age", "taken as the target: the last column that can be predicted"),
    ],
)
def test_a_target_that_is_not_named_is_found_and_said(names, target, why):
    frame = pl.DataFrame({name: [1.5 + i, 2.5, 4.0, 3.5] for i, name in enumerate(names)})
    dataset = open_source(frame)
    assert dataset.target.name == target
    assert (dataset.notes[0].where, dataset.notes[0].text) == (target, why)


def test_an_identifier_or_a_constant_is_not_taken_as_the_target():
    n = 50
    frame = pl.DataFrame(
        {
            "x": np.arange(n) % 7 / 2,
            "size": np.arange(n) % 5 / 3,
            "customer_id": np.arange(n) + 1000,
            "country": ["F"] * n,
        }
    )
    assert open_source(frame).target.name == "size"


def test_rows_without_a_target_are_left_out_and_counted(here):
    write(here / "houses.csv", CSV + "60,3,Nice,\n80,1,Nice,NA\n")
    dataset = open_source("houses.csv", "price")
    assert len(dataset) == len(dataset.target) == 4
    assert "2 rows without a target left out" in [note.text for note in dataset.notes]


def test_a_target_can_be_made_a_category(here):
    dataset = open_source(write(here / "houses.csv"), "rooms", kinds={"rooms": "category"})
    assert dataset.target.to_list() == ["2", "3", "4", "5"]


def test_columns_can_be_dropped_and_given_a_kind(here):
    dataset = open_source(write(here / "houses.csv"), "price", kinds={"rooms": "category"}, drop=["town"])
    assert [(column.name, column.kind) for column in dataset.columns] == [("area", "number"), ("rooms", "category")]
    assert dataset.inputs.columns == ["area", "rooms"]


def test_the_columns_of_a_built_in_can_be_changed_too():
    dataset = open_source("iris", target="petal_width_cm", drop=["species"])
    assert dataset.target.name == "petal_width_cm"
    assert dataset.inputs.columns == ["sepal_length_cm", "sepal_width_cm", "petal_length_cm"]
    assert open_source("production-costs", kinds={"material_kg": "number"}).suggested["split.method"] == "ordered"


def test_data_to_predict_need_no_target(here):
    write(here / "new.csv", "area,rooms,town\n55,2,Lyon\n")
    assert open_source("new.csv", "price", need_target=False).target is None
    assert open_source("new.csv", need_target=False).inputs.columns == ["area", "rooms", "town"]
    with_target = open_source(write(here / "houses.csv"), "price", need_target=False)
    assert with_target.target.to_list() == [100, 300, 200, 210]
    assert with_target.inputs.columns == ["area", "rooms", "town"]


def test_a_data_set_passes_through():
    dataset = open_source("iris")
    assert open_source(dataset) is dataset
    bare = Dataset("bare", "frame", dataset.inputs, None)
    assert open_source(bare, need_target=False) is bare
    with pytest.raises(DataError, match="bare: expected a target to learn from, got none"):
        open_source(bare)


def test_folders_and_zip_files_of_images_are_opened(here):
    names = ["cat/1.png", "cat/2.png", "dog/1.png"]
    save_images(here / "pets", names)
    with zipfile.ZipFile(here / "pets.zip", "w") as archive:
        for name in names:
            archive.write(here / "pets" / name, name)
    folder, packed = open_source("pets"), open_source("pets.zip?size=6x8&channels=3")
    assert folder.inputs.shape == (3, 1, 3, 4)
    assert packed.inputs.shape == (3, 3, 6, 8)
    assert packed.target.to_list() == folder.target.to_list() == ["cat", "cat", "dog"]
    assert open_source("pets", options={"size": (6, 8), "channels": 3}).inputs.shape == (3, 3, 6, 8)
    one = open_source("pets/cat/1.png", need_target=False, options={"size": [6, 6]})
    assert one.inputs.shape == (1, 1, 6, 6)


def test_idx_files_are_opened_as_a_folder_as_a_pair_or_by_the_images(here):
    save_idx(here)
    images, labels = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
    for source in (str(here), f"{images},{labels}", images):
        dataset = open_source(source)
        assert dataset.inputs.shape == (2, 1, 3, 3)
        assert dataset.target.to_list() == ["0", "1"]
    (here / "alone").write_bytes(gzip.compress((here / images).read_bytes()))
    assert open_source("alone", need_target=False).target is None
    with pytest.raises(DataError, match=r"alone: expected a file of labels beside it, .*; name both"):
        open_source("alone")


def test_images_may_come_as_arrays(rng):
    images = rng.integers(0, 256, (4, 3, 3), dtype=np.uint8)
    dataset = open_source((images, [0, 1, 1, 0]))
    assert dataset.inputs.shape == (4, 1, 3, 3)
    assert dataset.target.to_list() == ["0", "1", "1", "0"]
    assert open_source(images.astype(float), need_target=False).inputs.dtype == np.float32
    with pytest.raises(DataError, match="arrays: expected a label for each of the 4 images, got 3"):
        open_source((images, [0, 1, 1]))
    with pytest.raises(DataError, match=r"got \(4, 3\); for a table give columns by name, or a frame, and its target$"):
        open_source((images[:, 0], [0, 1, 1, 0]))


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("digit", UnknownName, 'data: unknown name "digit"; did you mean "digits"?'),
        ("photo", UnknownName, 'data: unknown name "photo"; did you mean "photos"?'),
        (
            "house.csv",
            DataError,
            "house.csv: expected a file, a folder or the name of a built-in data set, got nothing there; "
            'did you mean "houses.csv"?',
        ),
        (
            "https://example.org/a.csv",
            DataError,
            "https://example.org/a.csv: expected a file on this machine, got an address; download it first",
        ),
        ("iris?", None, ""),
        ("moons?noise", DataError, "moons?noise: expected options such as ?size=32x32&channels=1, got 'noise'"),
        (
            "moons?nois=1",
            DataError,
            'data set moons: unknown name "nois"; did you mean "noise"?',
        ),
        ("houses.csv?size=3", UnknownName, 'houses.csv: unknown name "size"; choose among delimiter, decimal,'),
        (
            "photos?size=big&channels=2&colour=1",
            DataError,
            'photos: unknown name "colour"; choose among size, channels, centre\n'
            "photos, size: expected rows and columns such as 32x32, at most 4096, got 'big'\n"
            "photos, channels: expected 1 (grey) or 3 (colour), got '2'",
        ),
        ("photos/a/1.png", DataError, "photos/a/1.png: expected a folder or a zip file with a folder of images for"),
        ("", UnknownName, 'data: unknown name ""; choose among digits'),
        ("x" * 5000, UnknownName, 'data: unknown name "xxx'),
        ("~nobody/x.csv", DataError, "~nobody/x.csv: expected a file, a folder or the name of a built-in data set"),
        ("bad.zip", DataError, "bad.zip: expected a zip file, got a file that is not one, or is damaged"),
    ],
)
def test_what_cannot_be_opened_is_answered_with_a_mend(here, source, error, message):
    write(here / "houses.csv")
    write(here / "bad.zip", "no zip")
    save_images(here / "photos", ["a/1.png", "b/1.png"])
    if error is None:
        assert len(open_source(source)) > 0
        return
    with pytest.raises(error) as caught:
        open_source(source)
    assert type(caught.value) is error
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"target": "prices"}, UnknownName, 'column of houses.csv: unknown name "prices"; did you mean "price"?'),
        (
            {"target": "prices", "drop": ["twn"], "kinds": {"roms": "number"}},
            DataError,
            'column of houses.csv: unknown name "prices"; did you mean "price"?\n'
            'column of houses.csv: unknown name "roms"; did you mean "rooms"?\n'
            'column of houses.csv: unknown name "twn"; did you mean "town"?',
        ),
        ({"target": "price", "drop": ["area", "rooms", "town"]}, DataError, "houses.csv: expected at least one column"),
        (
            {"kinds": {"price": "nmber"}},
            UnknownName,
            'kind of column price: unknown name "nmber"; did you mean "number"?',
        ),
    ],
)
def test_columns_that_do_not_exist_are_answered_with_the_nearest(here, how, error, message):
    write(here / "houses.csv")
    with pytest.raises(error) as caught:
        open_source("houses.csv", **how)
    assert type(caught.value) is error
    assert str(caught.value).startswith(message)


def test_one_answer_for_all_rows_is_nothing_to_learn(here):
    write(here / "same.csv", "x,y\n1,a\n2,a\n3,a\n")
    with pytest.raises(DataError, match=r"same.csv, target y: expected at least two different values, got only 'a'"):
        open_source("same.csv", "y")


def test_images_have_no_columns_to_choose(here):
    with pytest.raises(UnknownName, match='column of digits: unknown name "digt"; did you mean "digit"'):
        open_source("digits", target="digt")
    assert open_source("digits", target="digit").is_image


@given(
    st.text(max_size=30),
    st.sampled_from(["{}", "{}?a=1", "moons?{}", "calculator?samples={}", "./{}", "{},{}", "iris?x={}&y=1"]),
)
def test_any_text_gives_data_or_an_input_error(text, form):
    source = form.replace("{}", text)
    assume(not os.path.exists(source.split("?")[0]))
    try:
        dataset = open_source(source)
    except InputError:
        return
    assert len(dataset) > 0


def test_pictures_to_learn_from_are_centred_when_asked(here):
    for name, level in (("a", 30), ("b", 90)):
        (here / "drawn" / name).mkdir(parents=True)
        canvas = np.full((120, 90), 250, np.uint8)
        canvas[40:70, 20:30] = level
        Image.fromarray(canvas).save(here / "drawn" / name / "1.png")
    dataset = open_source("drawn?centre=yes")
    assert dataset.inputs.shape == (2, 1, 28, 28)
    assert dataset.treated[0].said == "dark strokes, turned over, 30 × 10 pixels brought to 20"
    assert open_source("drawn?centre=yes&size=14x14").inputs.shape == (2, 1, 14, 14)
    assert open_source("drawn?centre=no&size=14x14").treated[0].said == ""
    with pytest.raises(DataError, match="drawn, centre: expected yes or no, got 'perhaps'"):
        open_source("drawn?centre=perhaps")


@pytest.mark.parametrize(
    ("cells", "got"),
    [
        (("21 °C", "70 °F"), "column x: expected numbers in '°C' as in a.csv, got '°F'; write all of them in one unit"),
        (("7 %", "7"), "column x: expected numbers in '%' as in a.csv, got no unit; write all of them in one unit"),
        (("7 kg", "7"), ""),
    ],
)
def test_files_of_one_table_are_in_one_unit(here, cells, got):
    (here / "parts").mkdir()
    for name, cell in zip("ab", cells):
        (here / "parts" / f"{name}.csv").write_text("x,y\n" + "".join(f"{i}{cell},{i}.5\n" for i in range(1, 9)))
    if not got:
        assert open_source("parts", "y").inputs["x"].to_list() == [*range(17, 90, 10)] * 2
        return
    with pytest.raises(DataError) as caught:
        open_source("parts", "y")
    assert list(caught.value.problems) == [f"b.csv, {got}"]


def test_files_of_one_table_that_write_dates_in_other_orders_are_told_apart(here):
    (here / "parts").mkdir()
    (here / "parts" / "eu.csv").write_text("day,y\n" + "".join(f"{i + 1:02}/03/2024,{i}.5\n" for i in range(28)))
    (here / "parts" / "us.csv").write_text("day,y\n" + "".join(f"03/{i + 1:02}/2024,{i}.5\n" for i in range(28)))
    with pytest.raises(DataError) as caught:
        open_source("parts", "y")
    assert list(caught.value.problems) == [
        "parts: expected at least one column to learn from, got day (text); say what a column is with its kind, number "
        "or category",
        "day: dates written in several ways, such as '01/03/2024' (row 2 of eu.csv), '03/13/2024' (row 14 of "
        "us.csv): kept as words; write all of them one way",
    ]


def test_a_warning_of_one_of_several_files_names_it(here):
    (here / "parts").mkdir()
    (here / "parts" / "a.csv").write_text("x,y\n" + "".join(f"{i},{i}.5\n" for i in range(30)))
    (here / "parts" / "b.csv").write_text('x,y\n"1,250",2\n"2,500",3\n')
    warned = [(note.where, note.text[:40]) for note in open_source("parts", "y").notes if note.level == "warning"]
    assert ("b.csv, column x", "nothing tells whether '1,250' (row 2) ha") in warned


def test_a_target_in_several_units_is_told_so_rather_than_to_be_replaced(tmp_path):
    units = ["€", "$", "£"]
    lines = ["days;total", *(f"{i};{i + 10},{i % 100:02d} {units[i % 3]}" for i in range(120))]
    (tmp_path / "bills.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError) as error:
        task_of(open_source(tmp_path / "bills.csv", target="total"))
    first, second = error.value.problems
    assert first == ("total: its numbers are in several units ('€', '$', '£'): kept as words; write all of them in one")
    assert second.startswith("target total: expected classes that come again, got 120 different words")


def test_a_zero_byte_in_the_name_of_a_folder_is_no_crash():
    with pytest.raises(DataError, match="nothing there"):
        open_source("\0/0")
