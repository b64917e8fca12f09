"""Images as people have them: each case is put beside good ones, with its verdict: accepted, warned of, or refused."""

import io
import os
import unicodedata
import zipfile

import numpy as np
import pytest
from PIL import Image

from limpide.data import image_files
from limpide.data.image_files import Wanted, read_image_folder, read_image_zip
from limpide.errors import DataError

SIZE = (12, 10)
ACCEPTED, WARNED, REFUSED = "accepted", "warned", "refused"


def picture(mode="RGB", colour=(200, 30, 30), size=SIZE):
    return Image.new(mode, size, colour)


def noise(shape=(10, 12), top=255, dtype=np.uint8):
    return Image.fromarray(np.random.default_rng(0).integers(0, top, shape, dtype=dtype))


def encoded(image, form, **how):
    file = io.BytesIO()
    image.save(file, form, **how)
    return file.getvalue()


def turned(code):
    exif = Image.Exif()
    exif[0x0112] = code
    return encoded(picture(), "JPEG", exif=exif)


def frames(form):
    return encoded(picture("L", 10), form, save_all=True, append_images=[picture("L", 240)])


def palette():
    image = picture("P", 1)
    image.putpalette([0, 0, 0, 250, 100, 50])
    return encoded(image, "GIF", transparency=0)


CASES = {
    # what is written differently
    "photo on its side.jpg": (turned(6), ACCEPTED, ""),
    "photo upside down.jpg": (turned(3), ACCEPTED, ""),
    "mirrored photo.jpg": (turned(7), ACCEPTED, ""),
    "transparent.png": (encoded(picture("RGBA", (9, 9, 9, 0)), "PNG"), ACCEPTED, ""),
    "grey with alpha.png": (encoded(picture("LA", (9, 200)), "PNG"), ACCEPTED, ""),
    "sixteen bits.png": (encoded(noise(top=65535, dtype=np.uint16), "PNG"), ACCEPTED, ""),
    "sixteen bits.tif": (encoded(noise(top=65535, dtype=np.uint16), "TIFF"), ACCEPTED, ""),
    "one bit.tif": (encoded(picture("1", 1), "TIFF"), ACCEPTED, ""),
    "for the printer.jpg": (encoded(picture("CMYK", (0, 200, 200, 0)), "JPEG"), ACCEPTED, ""),
    "for the printer.tif": (encoded(picture("CMYK", (0, 200, 200, 0)), "TIFF"), ACCEPTED, ""),
    "lab.tif": (encoded(picture("LAB", (128, 0, 0)), "TIFF"), ACCEPTED, ""),
    "palette.gif": (palette(), ACCEPTED, ""),
    "progressive.jpg": (encoded(noise(), "JPEG", progressive=True), ACCEPTED, ""),
    "lossless.webp": (encoded(noise(), "WEBP", lossless=True), ACCEPTED, ""),
    "plain.pgm": (b"P2 2 2 255\n0 255 255 0\n", ACCEPTED, ""),
    # what is named differently
    "a png named.jpg": (encoded(noise(), "PNG"), ACCEPTED, ""),
    "SHOUTED.JPG": (encoded(noise(), "JPEG"), ACCEPTED, ""),
    "été ☀ 写真.png": (encoded(noise(), "PNG"), ACCEPTED, ""),
    # odd shapes
    "one pixel.png": (encoded(picture(size=(1, 1)), "PNG"), ACCEPTED, ""),
    "a line.png": (encoded(picture("L", 3, (20_000, 1)), "PNG"), ACCEPTED, ""),
    # more than one
    "moving.gif": (frames("GIF"), WARNED, "1 file holds several pictures, of which the first is taken: a/moving.gif"),
    "pages.tif": (frames("TIFF"), WARNED, "holds several pictures, of which the first is taken: a/pages.tif"),
    "moving.webp": (frames("WEBP"), WARNED, "holds several pictures"),
    "same as in b.png": (encoded(picture("L", 0), "PNG"), WARNED, "1 image lies in two classes, so one of them"),
    # litter and strangers
    ".DS_Store": (b"\0\0\0\1Bud1", ACCEPTED, "1 file left by the system was ignored"),
    "Thumbs.db": (b"\xd0\xcf\x11\xe0", ACCEPTED, "1 file left by the system was ignored"),
    "desktop.ini": (b"[.ShellClassInfo]", ACCEPTED, "1 file left by the system was ignored"),
    "._photo.jpg": (b"\0\5\26\7", ACCEPTED, "1 file left by the system was ignored"),
    "labels.csv": (b"a,b\n", WARNED, "1 file is not an image and was left out: a/labels.csv"),
    "telephone.heic": (b"\0\0\0\x18ftypheic", WARNED, "1 file is not an image and was left out: a/telephone.heic"),
    "drawing.svg": (b"<svg/>", WARNED, "1 file is not an image and was left out: a/drawing.svg"),
    "no suffix": (encoded(noise(), "PNG"), WARNED, "1 file is not an image and was left out: a/no suffix"),
    # damage
    "empty.png": (b"", REFUSED, "a/empty.png: expected an image that can be read, got a file that is not an image"),
    "cut.png": (encoded(noise((60, 60)), "PNG")[:1500], REFUSED, "cut.png: .* got a damaged or unfinished file"),
    "cut.jpg": (encoded(noise((60, 60)), "JPEG")[:900], REFUSED, "cut.jpg: .* got a damaged or unfinished file"),
    "cut.gif": (encoded(noise((60, 60)), "GIF")[:900], REFUSED, "cut.gif: .* got a damaged or unfinished file"),
    "header alone.bmp": (encoded(noise(), "BMP")[:54], REFUSED, "header alone.bmp: .* got a damaged or unfinished"),
    "page not found.jpg": (b"<!doctype html><title>404", REFUSED, "not found.jpg: .* got a file that is not an image"),
    "document.png": (b"%PDF-1.7\n", REFUSED, "document.png: .* got a file that is not an image"),
    "program.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n", REFUSED, "program.png: .* got a file that is not an image"),
    "pointer.png": (b"version https://git-lfs.github.com/spec/v1\n", REFUSED, "pointer.png: .* not an image"),
    "measured.tif": (encoded(Image.fromarray(np.ones((3, 3), np.float32)), "TIFF"), REFUSED, "not 8 or 16 bits"),
    "bomb.png": (encoded(Image.new("1", (20_000, 20_000)), "PNG"), REFUSED, "got more than 100,000,000 pixels"),
    "wide claim.pgm": (b"P5 60000 60000 255\n", REFUSED, "got more than 100,000,000 pixels"),
}


@pytest.fixture
def classes(tmp_path):
    """Two classes of one image each."""
    for name, level in (("a", 90), ("b", 0)):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "good.png").write_bytes(encoded(picture("L", level), "PNG"))
    return tmp_path / "set"


@pytest.mark.parametrize("name", CASES)
def test_every_case_has_its_verdict(classes, name):
    content, verdict, text = CASES[name]
    (classes / "a" / name).write_bytes(content)
    if verdict == REFUSED:
        with pytest.raises(DataError, match=text):
            read_image_folder(classes, Wanted())
        return
    dataset = read_image_folder(classes, Wanted(size=(8, 8)))
    warnings = [note.text for note in dataset.notes if note.level == "warning"]
    assert (warnings != []) == (verdict == WARNED)
    assert any(text in note.text for note in dataset.notes)
    is_read = image_files.is_image_name(name) and not name.startswith(".")
    assert dataset.inputs.shape[0] == 2 + is_read


def test_every_refusal_of_a_folder_is_told_at_once(classes):
    refused = [name for name, (_content, verdict, _text) in CASES.items() if verdict == REFUSED]
    for name in refused[:9]:
        (classes / "a" / name).write_bytes(CASES[name][0])
    with pytest.raises(DataError) as caught:
        read_image_folder(classes, Wanted())
    assert len(caught.value.problems) == 9
    for name in refused[:9]:
        assert sum(f"set/a/{name}: " in line for line in caught.value.problems) == 1


def test_damaged_exif_is_no_reason_to_lose_a_photograph(classes):
    data = turned(6)
    at = data.index(b"Exif") + 6
    (classes / "a" / "x.jpg").write_bytes(data[:at] + b"\xff" * 8 + data[at + 8 :])
    assert len(read_image_folder(classes, Wanted(size=(8, 8)))) == 3


def test_a_class_may_hold_its_images_in_folders_of_its_own(classes):
    (classes / "a" / "2024" / "may").mkdir(parents=True)
    (classes / "a" / "2024" / "may" / "x.png").write_bytes(encoded(noise(), "PNG"))
    assert read_image_folder(classes, Wanted()).target.to_list() == ["a", "a", "b"]


def test_a_name_written_in_two_ways_is_one_class(classes):
    for form in ("NFC", "NFD"):
        folder = classes / unicodedata.normalize(form, "été")
        folder.mkdir(exist_ok=True)
        (folder / f"{form}.png").write_bytes(encoded(noise(), "PNG"))
    assert sorted(set(read_image_folder(classes, Wanted()).target)) == ["a", "b", unicodedata.normalize("NFC", "été")]


def test_a_class_without_images_is_warned_of(classes):
    (classes / "c").mkdir()
    (classes / ".hidden").mkdir()
    assert [n.text for n in read_image_folder(classes, Wanted()).notes if n.level == "warning"] == [
        "no image lies in the folder c"
    ]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_are_followed_once_and_broken_ones_passed_over(classes, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.png").write_bytes(encoded(noise(), "PNG"))
    (classes / "c").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (classes / "a" / "again").symlink_to(classes, target_is_directory=True)
    (classes / "a" / "gone.png").symlink_to(tmp_path / "gone.png")
    os.mkfifo(classes / "a" / "pipe.png")
    assert read_image_folder(classes, Wanted()).target.to_list() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("../outside.png", "expected names inside the zip file, got '../outside.png'"),
        ("/etc/outside.png", "expected names inside the zip file, got '/etc/outside.png'"),
        ("c:\\outside.png", "expected names inside the zip file"),
    ],
)
def test_a_zip_that_points_outside_is_refused(tmp_path, entry, text):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(entry, encoded(noise(), "PNG"))
    with pytest.raises(DataError, match=text):
        read_image_zip(tmp_path / "x.zip", Wanted())


def test_a_link_in_a_zip_is_read_as_the_text_it_is(tmp_path):
    link = zipfile.ZipInfo("a/link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("b/good.png", encoded(noise(), "PNG"))
    with pytest.raises(DataError, match=r"a/link.png: .* got a file that is not an image"):
        read_image_zip(tmp_path / "x.zip", Wanted())
