"""A download goes on where it broke off, and keeps nothing but the content it knows."""

import gzip
import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from limpide.data import mnist
from limpide.data.downloads import WATCH, Remote, data_folder, fetch_all
from limpide.errors import DataError, MissingData

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
PACKED = gzip.compress(CONTENT)
REMOTE = Remote("digits.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Mirror(BaseHTTPRequestHandler):
    """Serves PACKED; `breaks` says after how many bytes the next answers end early."""

    packed, breaks, asked = PACKED, (), []

    def do_GET(self):
        cls = type(self)
        wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        cls.asked.append(start)
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        if start >= len(cls.packed):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        body = cls.packed[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cls.breaks:
            body, cls.breaks = body[: cls.breaks[0]], cls.breaks[1:]
        self.wfile.write(body)

    def log_message(self, *_words):
        pass


@pytest.fixture
def mirror():
    Mirror.packed, Mirror.breaks, Mirror.asked = PACKED, (), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_is_fetched_once_and_its_progress_told(mirror, tmp_path):
    told = []
    token = WATCH.set(lambda name, done, total: told.append((name, done, total)))
    try:
        folder = fetch_all([REMOTE], [mirror], tmp_path / "new" / "folder")
        fetch_all([REMOTE], [mirror], folder)
    finally:
        WATCH.reset(token)
    assert gzip.decompress((folder / "digits.gz").read_bytes()) == CONTENT
    assert Mirror.asked == [0]
    assert told[-1] == ("digits.gz", len(PACKED), len(PACKED))
    assert [place.name for place in folder.iterdir()] == ["digits.gz"]


def test_a_broken_download_goes_on_where_it_stopped(mirror, tmp_path):
    Mirror.breaks = (100_000,)
    fetch_all([REMOTE], [mirror, mirror], tmp_path)
    assert Mirror.asked[0] == 0
    assert 0 < Mirror.asked[1] <= 100_000
    assert gzip.decompress((tmp_path / "digits.gz").read_bytes()) == CONTENT


def test_another_content_is_never_kept(mirror, tmp_path):
    Mirror.packed = gzip.compress(CONTENT[:-1] + b"!")
    with pytest.raises(DataError, match=r"its content is not the one known .*LIMPIDE_DATA"):
        fetch_all([REMOTE], [mirror], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_may_be_known_by_the_sum_of_its_packed_form(mirror, tmp_path):
    known = Remote("digits.gz", len(CONTENT), packed_md5=hashlib.md5(PACKED).hexdigest())
    fetch_all([known], [mirror], tmp_path)
    assert (tmp_path / "digits.gz").read_bytes() == PACKED
    with pytest.raises(DataError, match=r"its content is not the one known \(MD5\)"):
        fetch_all([known._replace(name="other.gz", packed_md5="0" * 32)], [mirror], tmp_path)
    assert [place.name for place in tmp_path.iterdir()] == ["digits.gz"]


def _write_parts(folder):
    """70 black images in the form of MNIST."""
    for part, n in (("train", 60), ("t10k", 10)):
        images = bytes([0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(n * 784)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(images)
        labels = bytes([0, 0, 8, 1, 0, 0, 0, n]) + bytes(i % 10 for i in range(n))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)


def test_fashion_mnist_is_read_in_words_from_where_it_lies(monkeypatch, tmp_path):
    import limpide as lp

    monkeypatch.setenv("LIMPIDE_DATA", str(tmp_path))
    (tmp_path / "fashion-mnist").mkdir()
    _write_parts(tmp_path / "fashion-mnist")
    dataset = lp.open_source("fashion-mnist")
    assert dataset.inputs.shape == (70, 1, 28, 28)
    assert dataset.target[60:].to_list() == list(mnist.FASHION.labels)
    assert {remote.n_bytes for remote in mnist.FASHION.files} == {remote.n_bytes for remote in mnist.DIGITS.files}


def test_a_part_of_mnist_keeps_its_shares(mnist_folder, monkeypatch):
    import limpide as lp

    monkeypatch.setenv("LIMPIDE_DATA", str(mnist_folder))
    whole, part = lp.open_source("mnist"), lp.open_source("mnist?rows=700")
    np.testing.assert_array_equal(part.inputs[:600], whole.inputs[:600])
    np.testing.assert_array_equal(part.inputs[600:], whole.inputs[60_000:60_100])
    assert part.target[600:].to_list() == whole.target[60_000:60_100].to_list()


def test_a_bomb_is_not_unpacked(mirror, tmp_path):
    Mirror.packed = gzip.compress(bytes(50_000_000))
    with pytest.raises(DataError, match="its content is not the one known"):
        fetch_all([REMOTE], [mirror], tmp_path)


def test_the_next_mirror_is_asked(mirror, tmp_path):
    fetch_all([REMOTE], [f"{mirror}/missing", mirror], tmp_path)
    assert (tmp_path / "digits.gz").is_file()


def test_without_a_network_the_message_says_what_to_do(tmp_path):
    with pytest.raises(MissingData) as caught:
        fetch_all([REMOTE], ["http://127.0.0.1:9"], tmp_path / "data" / "digits")
    assert list(tmp_path.iterdir()) == []
    (line,) = caught.value.problems
    assert line.startswith("digits.gz: expected a copy from one of its mirrors, got http://127.0.0.1:9: ")
    assert line.endswith(
        f"without a network, put the files into {tmp_path / 'data' / 'digits'}, or name the folder that has them in "
        "LIMPIDE_DATA"
    )


def test_the_data_folder_is_the_one_named(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMPIDE_DATA", str(tmp_path))
    assert data_folder() == tmp_path


def test_mnist_is_found_where_it_lies(mnist_folder, monkeypatch):
    import limpide as lp

    monkeypatch.setenv("LIMPIDE_DATA", str(mnist_folder))
    assert mnist.family_folder(mnist.DIGITS) == mnist_folder
    dataset = lp.open_source("mnist")
    assert dataset.inputs.shape == (70_000, 1, 28, 28)
    counts = np.bincount(dataset.target[60_000:].cast(int).to_numpy())
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_the_known_sums_are_those_of_the_real_files(mnist_folder):
    for remote in mnist.DIGITS.files:
        content = gzip.decompress((mnist_folder / remote.name).read_bytes())
        assert (len(content), hashlib.sha256(content).hexdigest()) == (remote.n_bytes, remote.sha256)


def test_other_files_under_the_names_of_mnist_are_not_taken_for_it(monkeypatch, tmp_path):
    import limpide as lp

    monkeypatch.setenv("LIMPIDE_DATA", str(tmp_path))
    _write_parts(tmp_path)
    with pytest.raises(DataError, match="the files that its authors published, got other files under their names"):
        lp.open_source("mnist")
    assert len(lp.open_source(str(tmp_path)).target) == 70
