"""Strokes in any picture are found, and brought where the training images have theirs: what was drawn is the oracle."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from limpide.data import likeness
from limpide.data.centring import Centring, judge
from limpide.data.image_files import Wanted, read_image_folder
from limpide.data.images import ImagePreparation, upright
from limpide.data.likeness import Likeness
from limpide.errors import DataError

STANDARD = Centring.standard(28, 28)


def strokes(kind, side, pen):
    """Light strokes on black: "seven", "ring" or "bar"."""
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    a, b, c = round(0.1 * side), round(0.5 * side), round(0.9 * side)
    if kind == "seven":
        draw.line([(a, a), (c, a), (b, c)], 255, pen, joint="curve")
    elif kind == "ring":
        draw.ellipse((a, a, c, c), outline=255, width=pen)
    else:
        draw.line([(b, a), (b, c)], 255, pen)
    return np.asarray(image, float) / 255


def put(ink, size, corner, ground=255, pen=20, shade=0.0, spread=0.0):
    """The strokes on a ground, lit from one side, with noise."""
    canvas = np.zeros(size)
    canvas[corner[0] : corner[0] + len(ink), corner[1] : corner[1] + len(ink)] = ink
    light = 1 - shade * np.linspace(0, 1, size[1])[None] + np.zeros(size)
    picture = (ground + (pen - ground) * canvas) * light
    picture += np.random.default_rng(0).normal(0, spread, size)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def mass_centre(pixels):
    share = pixels / pixels.sum()
    places = np.arange(28) + 0.5
    return share.sum(1) @ places, share.sum(0) @ places


def digits_like(n=60, rng=None):
    """Images as MNIST's are: strokes of 20 pixels, their mass in the middle of 28 × 28."""
    rng = rng or np.random.default_rng(1)
    kinds = [("seven", "ring", "bar")[i % 3] for i in range(n)]
    drawn = [STANDARD.applied(put(strokes(k, 80 + i % 7, 8 + i % 5), (120, 120), (9, 11))) for i, k in enumerate(kinds)]
    return np.stack([one.pixels for one in drawn])[:, None], kinds


@given(
    kind=st.sampled_from(["seven", "ring", "bar"]),
    side=st.integers(30, 300),
    thick=st.floats(0.06, 0.14),
    corner=st.tuples(st.integers(0, 120), st.integers(0, 120)),
    light_ground=st.booleans(),
)
def test_strokes_of_any_size_and_place_fill_the_box_around_their_mass(kind, side, thick, corner, light_ground):
    ink = strokes(kind, side, max(2, round(thick * side)))
    ends = {"ground": 255, "pen": 20} if light_ground else {"ground": 10, "pen": 240}
    seen = STANDARD.applied(put(ink, (side + 130, side + 140), corner, **ends))
    lit = np.argwhere(seen.pixels > 100)
    assert 18 <= max(np.ptp(lit, axis=0) + 1) <= 22
    # a stroke with its mass far from the middle of its box reaches the rim first
    if lit.min() > 0 and lit.max() < 27:
        assert np.abs(np.subtract(mass_centre(seen.pixels), 14.5)).max() <= 0.6
    assert ("turned over" in seen.said) == light_ground
    assert seen.doubt == ""


def test_shading_noise_and_a_shadow_change_little():
    ink = strokes("seven", 160, 16)
    plain = STANDARD.applied(put(ink, (300, 260), (70, 40))).pixels / 255
    lit = put(ink, (300, 260), (70, 40), ground=220, pen=70, shade=0.5, spread=4)
    shadow = np.asarray(put(ink, (300, 260), (70, 40), ground=220, pen=50), float)
    shadow[:, 205:] *= 0.6
    shaded = Image.fromarray(shadow.astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    for picture in (lit, shaded):
        seen = STANDARD.applied(picture).pixels / 255
        assert np.corrcoef(seen.ravel(), plain.ravel())[0, 1] > 0.95
    across = np.asarray(put(ink, (300, 260), (70, 40), ground=220, pen=50), float)
    across[:, 100:] *= 0.6
    assert STANDARD.applied(Image.fromarray(across.astype(np.uint8))).doubt != ""


def test_thin_strokes_are_thickened_and_it_is_said():
    thin, thick = (STANDARD.applied(put(strokes("ring", 300, pen), (400, 400), (50, 50))) for pen in (6, 36))
    assert "thickened" in thin.said
    assert "thickened" not in thick.said
    assert thin.pixels.max() == 255


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_is_said_to_be_blank(mode, level):
    seen = STANDARD.applied(Image.new("L", (90, 60), level).convert(mode))
    assert seen.pixels.sum() == 0
    assert (seen.said, seen.doubt) == ("left blank", "no strokes were found")


def test_strokes_as_light_as_the_ground_are_found_by_their_colour():
    ink = strokes("seven", 100, 12)[..., None] > 0.5
    red, green = (200, 0, 0), (0, 102, 0)
    canvas = np.where(ink, np.array(red), np.array(green)).astype(np.uint8)
    picture = Image.fromarray(np.pad(canvas, ((20, 20), (20, 20), (0, 0)), mode="edge"))
    assert np.ptp(np.asarray(picture.convert("L"))) < 5
    assert STANDARD.applied(picture).doubt == ""


def test_light_strokes_on_nothing_are_not_lost_on_white():
    ink = (255 * strokes("seven", 100, 12)).astype(np.uint8)
    drawn = Image.merge("LA", [Image.new("L", (100, 100), 255), Image.fromarray(ink)])
    assert upright(drawn).getextrema() == ((255, 255),) * 3
    seen = STANDARD.applied(upright(drawn, light_ink=True))
    assert seen.said.startswith("light strokes on a dark ground")


def test_a_photograph_of_anything_is_doubted(rng):
    blobs = Image.fromarray(rng.integers(0, 256, (12, 9), dtype=np.uint8)).resize((360, 480), Image.Resampling.BICUBIC)
    assert STANDARD.applied(blobs).doubt != ""
    fine = Image.fromarray(rng.integers(0, 256, (60, 45), dtype=np.uint8)).resize((360, 480), Image.Resampling.BICUBIC)
    assert STANDARD.applied(fine).doubt != ""


def test_images_that_are_as_the_training_images_stay_as_they_are():
    images, _kinds = digits_like()
    centring = Centring.fit(images)
    for image in images[:20, 0]:
        seen = centring.applied(Image.fromarray(image))
        np.testing.assert_array_equal(seen.pixels, image)
        assert seen.said == ""
    moved = np.roll(images[0, 0], 4, axis=1)
    back = centring.applied(Image.fromarray(moved))
    assert back.said.startswith("light strokes on a dark ground")
    assert np.corrcoef(back.pixels.ravel(), images[0, 0].ravel())[0, 1] > 0.97


def test_the_rule_takes_strokes_of_one_size_and_place_and_nothing_else(rng):
    images, _kinds = digits_like()
    rows = np.arange(len(images))
    is_centred, why = judge(images, rows)
    assert is_centred
    assert why == "the strokes of the training images have one size, 20 pixels, and their centre of mass in one place"
    shifts = rng.integers(-4, 5, len(images))
    shifted = np.stack([np.roll(image, shift, axis=2) for image, shift in zip(images, shifts)])
    noise = rng.integers(0, 256, images.shape, dtype=np.uint8)
    for others in (shifted, 255 - images, noise, np.repeat(images, 3, axis=1)):
        assert not judge(others, rows)[0]
    with pytest.raises(DataError, match=r"preparation.centre: expected grey images, got images in colour"):
        Centring.fit(np.repeat(images, 3, axis=1))


def test_the_rule_takes_the_real_mnist_and_measures_its_documented_box(mnist_folder):
    from limpide.data.idx import read_idx_folder

    images = np.asarray(read_idx_folder(mnist_folder).inputs)
    assert judge(images, np.arange(60_000))[0]
    centring = Centring.fit(images[:60_000:12])
    assert (centring.rows, centring.cols, centring.box) == (28, 28, 20)
    np.testing.assert_allclose(centring.middle, 14.5, atol=0.05)
    assert centring.holds(images[60_000::5, 0] / 255).mean() > 0.999


def test_a_folder_of_own_pictures_is_read_as_the_preparation_says(tmp_path):
    images, _kinds = digits_like()
    preparation = ImagePreparation.from_dict(ImagePreparation.fit(images, centring=Centring.fit(images)).to_dict())
    assert preparation.rows()[0].arithmetic == "longer side 20 pixels, centre of mass at row 14, column 14.5"
    Image.fromarray(images[3, 0]).save(tmp_path / "as-given.png")
    put(strokes("ring", 200, 20), (260, 300), (30, 60)).save(tmp_path / "photo.jpg")
    Image.new("RGB", (50, 50), "white").save(tmp_path / "white.png")
    dataset = read_image_folder(tmp_path, preparation.reading)
    assert dataset.inputs.shape == (3, 1, 28, 28)
    np.testing.assert_array_equal(dataset.inputs[0], images[3])
    assert [one.said.split(",")[0] for one in dataset.treated] == ["", "dark strokes", "left blank"]
    said = {note.where: note.text for note in dataset.notes}
    assert said["photo.jpg"].startswith("dark strokes, turned over, ")
    assert read_image_folder(tmp_path, Wanted((28, 28), 1, False)).treated[1].said == ""


def test_what_was_never_seen_is_unlike_and_what_was_is_like(rng):
    images, kinds = digits_like(240)
    classes = np.unique(kinds, return_inverse=True)[1]
    train, validation, others = np.arange(0, 180), np.arange(180, 210), images[210:]
    likeness = Likeness.fit(images, classes[train], train, validation)
    distances, nearest = likeness.nearest(others)
    assert (distances <= 1.3).all()
    assert (nearest == classes[210:]).all()
    strangers = {
        "blank": np.zeros_like(others),
        "inverted": 255 - others,
        "noise": rng.integers(0, 256, others.shape, dtype=np.uint8),
        "on its side": np.rot90(others[np.array(kinds[210:]) == "bar"], 1, (2, 3)),
    }
    for name, strange in strangers.items():
        assert (likeness.nearest(strange)[0] > 1).all(), name
    file = io.BytesIO()
    np.savez(file, **likeness.to_arrays())
    back = Likeness.from_arrays(np.load(io.BytesIO(file.getvalue())))
    np.testing.assert_array_equal(back.nearest(others)[0], distances)
    assert Likeness.from_arrays({"0.dense.W": np.zeros(1)}) is None


@given(st.integers(1, 3), st.integers(1, 70), st.integers(1, 40), st.integers(2, 12))
def test_images_of_any_shape_can_be_compared(channels, rows, cols, n):
    images = np.random.default_rng(0).integers(0, 256, (n, channels, rows, cols), dtype=np.uint8)
    likeness = Likeness.fit(images, np.zeros(n - 1), np.arange(n - 1), np.array([n - 1]))
    assert likeness.nearest(images[-1:])[0] <= 1.001
    assert (likeness.nearest(images[:-1])[0] < 1e3).all()


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 20, 31), (1, 1, 1, 1), (5, 1, 64, 48)])
def test_images_are_softened_as_by_a_filter(shape, monkeypatch):
    from scipy.ndimage import convolve1d

    monkeypatch.setattr(likeness, "CACHED", 1000)
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    ground = np.arange(shape[1]) * 20.0
    x = images - ground[:, None, None]
    factor = -(-max(shape[2:]) // 32)
    if factor > 1:
        rows, cols = shape[2] // factor, shape[3] // factor
        x = x[:, :, : rows * factor, : cols * factor].reshape(*shape[:2], rows, factor, cols, factor).mean((3, 5))
    for _time in range(round(max(x.shape[2:]) ** 2 / 400)):
        for axis in (2, 3):
            x = convolve1d(x, [0.25, 0.5, 0.25], axis, mode="constant")
    flat = x.reshape(len(x), -1)
    expected = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-3)
    np.testing.assert_allclose(likeness._softened(images, ground), expected, atol=1e-5)


def test_centring_of_some_rows_is_that_of_these_images_alone():
    images = np.stack([strokes(kind, 28, pen) for kind in ("seven", "ring", "bar") for pen in (2, 3)])[:, None]
    rows = np.array([0, 2, 3, 5])
    assert Centring.fit(images, rows) == Centring.fit(images[rows])
