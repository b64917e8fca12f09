"""Image folders and zip files, fabricated with Pillow: every form, litter, damage and traps."""

import base64
import io
import warnings
import zipfile
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from limpide.data import image_files, image_places
from limpide.data.image_files import Wanted, read_image_file, read_image_folder, read_image_zip
from limpide.data.images import ImagePreparation, brought_to, to_png_base64
from limpide.errors import DataError

ANY = Wanted()
TO_PREDICT = Wanted(need_target=False)


def save(path, pixels, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **how)


def grey(value, size=(4, 6)):
    return np.full(size, value, np.uint8)


def colour(values, size=(4, 6)):
    return np.broadcast_to(np.array(values, np.uint8), (*size, 3)).copy()


def two_classes(root, n=2, size=(4, 6)):
    for name, value in (("cat", 10), ("dog", 200)):
        for i in range(n):
            save(root / name / f"{i}.png", grey(value + i, size))


def test_a_sub_folder_is_a_class_and_grey_images_have_one_channel(tmp_path):
    two_classes(tmp_path)
    dataset = read_image_folder(tmp_path, ANY)
    assert dataset.inputs.shape == (4, 1, 4, 6)
    assert dataset.inputs[:, 0, 0, 0].tolist() == [10, 11, 200, 201]
    assert dataset.target.to_list() == ["cat", "cat", "dog", "dog"]
    assert dataset.target.name == "class"
    assert [note.text for note in dataset.notes] == ["4 images of 4 × 6 pixels, grey, one channel"]
    alone = read_image_file(tmp_path / "cat" / "0.png", TO_PREDICT)
    assert alone.notes[0].text == "1 image of 4 × 6 pixels, grey, one channel"


def test_one_coloured_image_gives_all_three_channels(tmp_path):
    two_classes(tmp_path)
    save(tmp_path / "dog" / "red.png", colour((255, 0, 0)))
    dataset = read_image_folder(tmp_path, ANY)
    assert dataset.inputs.shape == (5, 3, 4, 6)
    assert dataset.inputs[0, :, 0, 0].tolist() == [10, 10, 10]
    assert dataset.inputs[4, :, 0, 0].tolist() == [255, 0, 0]


def test_grey_images_saved_in_colour_are_grey(tmp_path):
    for i, name in enumerate(("a", "b")):
        save(tmp_path / name / "x.png", colour((i, i, i)))
    assert read_image_folder(tmp_path, ANY).inputs.shape == (2, 1, 4, 6)


def test_channels_can_be_asked_for(tmp_path):
    save(tmp_path / "a" / "x.png", colour((255, 0, 0)))
    save(tmp_path / "b" / "x.png", grey(7))
    assert read_image_folder(tmp_path, Wanted(channels=1)).inputs[:, 0, 0, 0].tolist() == [76, 7]
    assert read_image_folder(tmp_path, Wanted(channels=3)).inputs[1, :, 0, 0].tolist() == [7, 7, 7]


def test_a_zip_gives_what_its_folder_gives(tmp_path):
    two_classes(tmp_path / "pets")
    with zipfile.ZipFile(tmp_path / "pets.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (tmp_path / "pets").rglob("*.png"):
            archive.write(path, path.relative_to(tmp_path))
        archive.writestr("__MACOSX/pets/cat/._0.png", b"litter")
        archive.writestr("pets/.DS_Store", b"litter")
    folder, packed = read_image_folder(tmp_path / "pets", ANY), read_image_zip(tmp_path / "pets.zip", ANY)
    np.testing.assert_array_equal(folder.inputs, packed.inputs)
    assert folder.target.to_list() == packed.target.to_list()
    assert folder.sha256 == packed.sha256
    assert packed.notes[-1].text == "2 files left by the system were ignored"


def test_other_files_are_left_out_and_named(tmp_path):
    two_classes(tmp_path)
    (tmp_path / "Thumbs.db").write_bytes(b"litter")
    (tmp_path / "cat" / "notes.txt").write_text("a cat")
    dataset = read_image_folder(tmp_path, ANY)
    assert [(note.level, note.text) for note in dataset.notes[1:]] == [
        ("info", "1 file left by the system was ignored"),
        ("warning", "1 file is not an image and was left out: cat/notes.txt"),
    ]


def test_images_of_several_sizes_are_brought_to_the_median_one(tmp_path):
    for i, side in enumerate((10, 20, 30)):
        save(tmp_path / "ab"[i % 2] / f"{i}.png", grey(50, (side, 2 * side)))
    dataset = read_image_folder(tmp_path, ANY)
    assert dataset.inputs.shape == (3, 1, 20, 40)
    assert (dataset.inputs == 50).all()
    assert dataset.notes[1].text == (
        "the images come in 3 sizes and are brought to 20 × 40; the option size changes it"
    )


@pytest.mark.parametrize(
    ("size", "expected"), [((28, 28), (28, 28)), ((128, 100), (128, 100)), ((300, 150), (64, 32)), ((1000, 2), (64, 1))]
)
def test_large_images_are_made_smaller_in_proportion(tmp_path, size, expected):
    two_classes(tmp_path, n=1, size=size)
    assert read_image_folder(tmp_path, ANY).inputs.shape == (2, 1, *expected)


def test_the_size_can_be_asked_for(tmp_path):
    two_classes(tmp_path)
    assert read_image_folder(tmp_path, Wanted(size=(3, 5))).inputs.shape == (4, 1, 3, 5)


def test_a_photo_taken_sideways_is_turned_upright(tmp_path):
    pixels = np.zeros((4, 6), np.uint8)
    pixels[0, :] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in "ab":
        save(tmp_path / name / "x.png", pixels, exif=exif)
    dataset = read_image_folder(tmp_path, ANY)
    assert dataset.inputs.shape == (2, 1, 6, 4)
    np.testing.assert_array_equal(dataset.inputs[0, 0], np.rot90(pixels, -1))


def test_transparent_parts_become_white():
    for mode, pixel in (("RGBA", (0, 0, 0, 0)), ("LA", (0, 0))):
        assert brought_to(Image.new(mode, (3, 2), pixel), (2, 3)).tolist() == [[[255] * 3] * 2]
    half = brought_to(Image.new("RGBA", (3, 2), (255, 0, 0, 128)), (2, 3))
    assert half[:, 0, 0].tolist() == [255, 127, 127]
    palette = Image.new("P", (3, 2), 0)
    palette.putpalette([9, 9, 9])
    palette.info["transparency"] = 0
    assert brought_to(palette, (2, 3)).max() == 255


def test_sixteen_bits_become_eight():
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    image = Image.fromarray(values)
    assert brought_to(image, (1, 4)).tolist() == [[[0, 1, 128, 255]]]
    file = io.BytesIO()
    image.save(file, "PNG")
    assert brought_to(Image.open(file), (1, 4)).tolist() == [[[0, 1, 128, 255]]]


@pytest.mark.parametrize(
    ("mode", "pixel", "expected"),
    [
        ("1", 1, [255]),
        ("CMYK", (0, 0, 0, 0), [255]),
        ("CMYK", (0, 255, 255, 0), [255, 0, 0]),
        ("P", 0, [0]),
        ("HSV", (0, 0, 255), [255]),
    ],
)
def test_every_way_to_write_colour_is_read(mode, pixel, expected):
    assert brought_to(Image.new(mode, (3, 2), pixel), (2, 3))[:, 0, 0].tolist() == expected


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".gif", ".tiff", ".webp", ".ppm"])
def test_every_usual_format_is_read(tmp_path, suffix):
    for name, value in (("a", 40), ("b", 220)):
        save(tmp_path / name / f"x{suffix}", grey(value, (8, 8)))
    dataset = read_image_folder(tmp_path, ANY)
    np.testing.assert_allclose(dataset.inputs[:, 0, 0, 0], [40, 220], atol=2)


def test_all_unreadable_images_are_told_together(tmp_path):
    two_classes(tmp_path)
    (tmp_path / "cat" / "text.png").write_text("no image")
    save(tmp_path / "dog" / "cut.png", np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8))
    whole = (tmp_path / "dog" / "cut.png").read_bytes()
    (tmp_path / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "dog" / "empty.jpg").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read_image_folder(tmp_path, Wanted(size=(4, 6)))
    root = tmp_path.name
    assert caught.value.problems == (
        f"{root}/cat/text.png: expected an image that can be read, got a file that is not an image",
        f"{root}/dog/cut.png: expected an image that can be read, got a damaged or unfinished file",
        f"{root}/dog/empty.jpg: expected an image that can be read, got a file that is not an image",
    )


def test_the_list_of_unreadable_images_is_bounded(tmp_path):
    two_classes(tmp_path)
    for i in range(40):
        (tmp_path / "cat" / f"bad{i}.png").write_bytes(b"bad")
    with pytest.raises(DataError) as caught:
        read_image_folder(tmp_path, ANY)
    assert len(caught.value.problems) == 11
    assert caught.value.problems[2].startswith(f"{tmp_path.name}/cat/bad2.png")
    assert caught.value.problems[-1] == "and 30 more problems"


def test_an_image_of_floats_is_refused(tmp_path):
    for name in "ab":
        save(tmp_path / name / "x.tiff", np.ones((3, 3), np.float32))
    with pytest.raises(DataError, match="values from 1 to 1, not 8 or 16 bits for each channel"):
        read_image_folder(tmp_path, ANY)


def test_an_image_of_too_many_pixels_is_refused_unread(tmp_path, monkeypatch):
    two_classes(tmp_path)
    monkeypatch.setattr(image_files, "MOST_PIXELS", 23)
    with pytest.raises(DataError, match="got more than 23 pixels"):
        read_image_folder(tmp_path, ANY)


def test_a_decompression_bomb_is_refused_unread(tmp_path):
    two_classes(tmp_path)
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    assert len(bomb.getvalue()) < 100_000
    (tmp_path / "cat" / "bomb.png").write_bytes(bomb.getvalue())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=r"cat/bomb.png: .* got more than 100,000,000 pixels"):
            read_image_folder(tmp_path, ANY)


def test_more_pixels_than_memory_is_worth_are_refused(tmp_path, monkeypatch):
    two_classes(tmp_path)
    monkeypatch.setattr(image_files, "MOST_ARRAY_BYTES", 100)
    with pytest.raises(DataError, match="expected at most 100 bytes of pixels, got 288; choose a smaller size"):
        read_image_folder(tmp_path, ANY)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"expected images \(.png, .*\), got none"),
        (["a/x.png", "a/y.png"], "expected at least two classes, got only 'a'; put the images of each class"),
        (["x.png", "a/y.png"], "expected a folder for each class, got 1 image outside of them: x.png; put the"),
    ],
)
def test_folders_without_two_classes_are_refused(tmp_path, names, message):
    for name in names:
        save(tmp_path / name, grey(3))
    with pytest.raises(DataError, match=message):
        read_image_folder(tmp_path, ANY)


def test_images_to_predict_need_no_classes_and_keep_the_natural_order(tmp_path):
    for i in (10, 2, 1):
        save(tmp_path / f"digit{i}.png", grey(i))
    dataset = read_image_folder(tmp_path, TO_PREDICT)
    assert dataset.target is None
    assert dataset.inputs[:, 0, 0, 0].tolist() == [1, 2, 10]
    one = read_image_file(tmp_path / "digit2.png", Wanted((2, 2), 3, False))
    assert one.inputs.shape == (1, 3, 2, 2)
    assert one.target is None


def test_train_and_test_folders_are_parts_of_one_set(tmp_path):
    for part, n in (("train", 6), ("test", 2)):
        for name, value in (("cat", 10), ("dog", 200)):
            for i in range(n):
                save(tmp_path / part / name / f"{i}.png", grey(value + i + (50 if part == "test" else 0)))
    dataset = read_image_folder(tmp_path, ANY)
    assert dataset.suggested == {"split.method": "ordered", "split.test": 0.25}
    assert dataset.target[12:].to_list() == ["cat", "cat", "dog", "dog"]
    assert dataset.inputs[12:, 0, 0, 0].tolist() == [60, 61, 250, 251]
    first = dataset.target[:12].to_list()
    assert sorted(first) == ["cat"] * 6 + ["dog"] * 6
    assert first != sorted(first)
    assert [value < 100 for value in dataset.inputs[:12, 0, 0, 0]] == [name == "cat" for name in first]


def test_a_zip_that_points_outside_is_refused(tmp_path):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../a/x.png", "/b/x.png", "c:/x.png", "ok/x.png"):
            archive.writestr(name, b"x")
    with pytest.raises(DataError) as caught:
        read_image_zip(path, ANY)
    assert caught.value.problems == tuple(
        f"evil.zip: expected names inside the zip file, got '{name}'" for name in ("../a/x.png", "/b/x.png", "c:/x.png")
    )


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "big.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/x.png", bytes(10_000))
        archive.writestr("b/x.png", bytes(10_000))
    monkeypatch.setattr(image_places, "MOST_ZIP_BYTES", 15_000)
    with pytest.raises(DataError, match=r"big.zip: expected at most 15,000 bytes once unpacked, got 20,000"):
        read_image_zip(path, ANY)
    monkeypatch.setattr(image_places, "MOST_ZIP_BYTES", 30_000)
    monkeypatch.setattr(image_files, "MOST_FILE_BYTES", 5_000)
    with pytest.raises(DataError, match=r"big.zip/a/x.png: expected at most 5,000 bytes, got 10,000"):
        read_image_zip(path, ANY)


def test_an_entry_that_lies_about_its_size_is_never_unpacked_whole(tmp_path):
    path = tmp_path / "lie.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/x.png", bytes(50_000_000))
        archive.writestr("b/x.png", bytes(10))
    data = path.read_bytes().replace((50_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"lie.zip/a/x.png: expected an image that can be read"):
        read_image_zip(path, ANY)


def test_a_locked_or_damaged_zip_is_refused(tmp_path):
    path = tmp_path / "locked.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/x.png", b"x")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"locked.zip/a/x.png: expected a file without a password, got a locked one"):
        read_image_zip(path, ANY)
    path.write_bytes(b"PK\3\4 nothing")
    with pytest.raises(DataError, match=r"locked.zip: expected a zip file, got a file that is not one, or is damaged"):
        read_image_zip(path, ANY)


@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
def test_a_damaged_zip_gives_images_or_a_data_error(tmp_path_factory, where, byte, deflated):
    root = tmp_path_factory.mktemp("fuzz")
    two_classes(root / "x", n=1)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as archive:
        for path in sorted((root / "x").rglob("*.png")):
            archive.write(path, path.relative_to(root / "x"))
    data = bytearray(file.getvalue())
    data[where % len(data)] = byte
    (root / "x.zip").write_bytes(bytes(data))
    try:
        dataset = read_image_zip(root / "x.zip", ANY)
    except DataError:
        return
    assert len(dataset) == 2


images = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=4, max_dims=4, max_side=5))


@given(images)
def test_standardised_training_images_have_mean_zero_and_deviation_one(pixels):
    prepared = ImagePreparation.fit(pixels).transform(pixels)
    assert prepared.dtype == np.float32
    assert prepared.flags["C_CONTIGUOUS"]
    assert prepared.shape == pixels.shape
    changes = pixels.std(axis=(0, 2, 3)) > 0
    np.testing.assert_allclose(prepared.mean(axis=(0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(prepared.std(axis=(0, 2, 3))[changes], 1, atol=1e-3)


@given(images, st.booleans())
def test_a_preparation_comes_back_from_its_dictionary(pixels, standardise):
    preparation = ImagePreparation.fit(pixels, standardise)
    back = ImagePreparation.from_dict(preparation.to_dict())
    assert back == preparation
    assert back.kind == "image"
    np.testing.assert_array_equal(back.transform(pixels), preparation.transform(pixels))


def test_without_standardising_pixels_go_from_zero_to_one(rng):
    pixels = rng.integers(0, 256, (5, 3, 4, 4), dtype=np.uint8)
    preparation = ImagePreparation.fit(pixels, standardise=False)
    np.testing.assert_allclose(preparation.transform(pixels), pixels / 255, rtol=1e-6)
    assert preparation.input_shape == (3, 4, 4)
    assert preparation.reading == Wanted((4, 4), 3, need_target=False)
    (row,) = preparation.rows()
    assert (row.treatment, row.arithmetic) == ("upright, on white, 4 × 4, colour, scaled to [0, 1]", "pixel / 255")


@pytest.mark.parametrize(
    ("ends", "arithmetic"), [((-1.0, 1.0), "2 pixel / 255 - 1"), ((0.5, 1.0), "0.5 pixel / 255 + 0.5")]
)
def test_black_and_white_become_the_ends_of_the_range_asked_for(ends, arithmetic):
    pixels = np.array([0, 255], np.uint8).reshape(1, 1, 1, 2)
    preparation = ImagePreparation.fit(pixels, pixel_range=ends)
    np.testing.assert_allclose(preparation.transform(pixels).ravel(), ends, atol=1e-6)
    assert preparation.rows()[-1].arithmetic == arithmetic
    assert ImagePreparation.from_dict(preparation.to_dict()) == preparation


def test_mnist_is_scaled_by_its_documented_mean_and_deviation(mnist_folder):
    from limpide.data.idx import read_idx_folder

    preparation = ImagePreparation.fit(read_idx_folder(mnist_folder).inputs[:60_000])
    assert [round(value, 4) for value in (*preparation.mean, *preparation.sd)] == [0.1307, 0.3081]
    (row,) = preparation.rows()
    assert row.arithmetic == "(pixel / 255 - 0.1307) / 0.3081"


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((2, 1, 3, 3), np.uint8), "images: expected 1×4×4, got 1×3×3; bring them to the size"),
        (np.zeros((2, 4, 4), np.uint8), r"expected an array \(examples, channels, rows, cols\), got \(2, 4, 4\)"),
        (np.full((2, 1, 4, 4), -1.0), r"expected numbers in \[0, 255\], got values from -1 to -1"),
        (np.full((2, 1, 4, 4), np.nan), r"expected numbers in \[0, 255\], got values from nan to nan"),
        (np.full((2, 1, 4, 4), "a"), r"expected numbers in \[0, 255\], got str"),
    ],
)
def test_images_that_do_not_fit_are_refused(pixels, message):
    preparation = ImagePreparation.fit(np.zeros((2, 1, 4, 4), np.uint8))
    with pytest.raises(DataError, match=message):
        preparation.transform(pixels)


def test_images_with_light_and_dark_the_other_way_round_are_noted(rng):
    pixels = rng.integers(0, 60, (5, 1, 4, 4), dtype=np.uint8)
    preparation = ImagePreparation.fit(pixels)
    assert preparation.notes(pixels) == []
    (note,) = preparation.notes(255 - pixels)
    assert note.level == "warning"
    assert "much lighter than the training images" in note.text


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_text_holds_the_image(rng, channels):
    image = rng.integers(0, 256, (channels, 5, 4), dtype=np.uint8)
    back = np.asarray(Image.open(io.BytesIO(base64.b64decode(to_png_base64(image, scale=3)))))
    assert back.shape[:2] == (15, 12)
    np.testing.assert_array_equal(back.reshape(15, 12, channels)[1::3, 1::3].transpose(2, 0, 1), image)


@pytest.mark.parametrize("shape", [(600, 1, 5, 4), (300, 3, 2, 7), (1, 1, 1, 2)])
def test_the_mean_and_sd_of_bytes_are_rounded_once(shape):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, shape).astype(np.uint8)
    rows = rng.permutation(len(pixels))[: len(pixels) // 2 + 1]
    fitted = ImagePreparation.fit(pixels, rows=rows)
    for channel in range(shape[1]):
        values = [Fraction(int(b), 255) for b in pixels[rows, channel].ravel()]
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / len(values)
        assert fitted.mean[channel] == float(mean)
        assert fitted.sd[channel] == pytest.approx(float(variance) ** 0.5, rel=1e-15)


def test_many_light_images_are_counted_exactly():
    pixels = np.full((1000, 1, 2, 2), 255, np.uint8)
    pixels[0] = 254
    fitted = ImagePreparation.fit(pixels)
    assert fitted.mean == (float(Fraction(4 * (1000 * 255 - 1), 4000 * 255)),)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_rows_taken_are_prepared_as_they_stand_alone(kind):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (700, 3, 4, 5)).astype(kind)
    rows = rng.integers(0, 700, 600)
    fitted = ImagePreparation.fit(pixels, rows=rows)
    assert fitted == ImagePreparation.fit(pixels[rows])
    prepared = fitted.transform(pixels, rows)
    assert prepared.dtype == np.float32
    assert prepared.flags.c_contiguous
    np.testing.assert_array_equal(prepared, fitted.transform(pixels[rows]))
    mean, sd = (np.array(values)[:, None, None] for values in (fitted.mean, fitted.sd))
    np.testing.assert_allclose(prepared, (pixels[rows] / 255.0 - mean) / sd, atol=2e-6)
