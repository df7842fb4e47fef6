"""Published data sets: where they are looked for, and what is said when they are not there."""

import gzip
import re
import shutil
import socket
import threading
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from babel_dl.data import load_dataset, load_images
from babel_dl.data.sources import SOURCES, read_idx
from babel_dl.data.sources.load import EMBEDDED
from babel_dl.data.sources.make_mini import choose, main
from babel_dl.errors import ArgumentError, DataError

FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
LABELS = "t10k-labels-idx1-ubyte.gz"
IMAGES = "t10k-images-idx3-ubyte.gz"


class QuietFolder(SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *arguments):
        pass


class Ends(BaseHTTPRequestHandler):
    """Announces more bytes than it sends."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5000")
        self.end_headers()
        self.wfile.write(b"\x1f\x8b" + b"x" * 1000)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def serve():
    """Starts real servers on this machine, and gives their addresses."""
    servers = []

    def start(handler):
        server = HTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """A machine without any of the files; `alone(name, urls)` sets the addresses of a source."""
    monkeypatch.delenv("BABEL_DL_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def set_urls(name, *urls):
        monkeypatch.setitem(SOURCES, name, replace(SOURCES[name], urls=urls, system_folders=()))

    set_urls("mnist")
    set_urls("fashion_mnist")
    return set_urls


def closed_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


def test_system_package_is_found(monkeypatch):
    monkeypatch.delenv("BABEL_DL_DATA_DIR", raising=False)
    images, labels = load_images("fashion_mnist", "train")
    assert images.shape == (60000, 28, 28) and images.dtype == np.uint8 and np.bincount(labels).tolist() == [6000] * 10


@pytest.mark.parametrize("split", ["dev", "test"])
def test_data_folder_is_found(alone, split, mnist_folder):
    images, labels = load_images("mnist", split, data_dir=mnist_folder)
    # the class counts that the publishers state
    assert images.shape == (10000, 28, 28) and labels.tolist().count(1) == 1135


def test_variable_names_a_folder_that_holds_one_folder_for_each_source(alone, monkeypatch, tmp_path, mnist_folder):
    (tmp_path / "mnist").symlink_to(mnist_folder)
    (tmp_path / "fashion_mnist").symlink_to(FASHION_FOLDER)
    monkeypatch.setenv("BABEL_DL_DATA_DIR", str(tmp_path))
    digits, clothes = load_images("mnist", "dev")[0], load_images("fashion_mnist", "dev")[0]
    assert not np.array_equal(digits, clothes)


def test_folder_of_a_sister_source_is_passed_by(alone, monkeypatch, mnist_folder):
    monkeypatch.setenv("BABEL_DL_DATA_DIR", str(FASHION_FOLDER))
    _, labels = load_images("fashion_mnist", "dev", data_dir=mnist_folder)
    assert np.bincount(labels).tolist() == [1000] * 10


def test_decompressed_files_are_found(alone, tmp_path, mnist_folder):
    for name in (IMAGES, LABELS):
        (tmp_path / name.removesuffix(".gz")).write_bytes(gzip.decompress((mnist_folder / name).read_bytes()))
    assert np.array_equal(load_images("mnist", "dev", data_dir=tmp_path)[0], load_images("mnist", "dev", data_dir=mnist_folder)[0])


def test_truncated_file_is_named(alone, tmp_path, mnist_folder):
    shutil.copy(mnist_folder / IMAGES, tmp_path)
    (tmp_path / LABELS).write_bytes((mnist_folder / LABELS).read_bytes()[:3000])
    with pytest.raises(DataError, match=f"The compressed file {re.escape(str(tmp_path / LABELS))} is truncated or altered"):
        load_images("mnist", "dev", data_dir=tmp_path)


def test_altered_content_is_named(alone, tmp_path, mnist_folder):
    content = bytearray(gzip.decompress((mnist_folder / IMAGES).read_bytes()))
    content[5000] ^= 1
    (tmp_path / IMAGES).write_bytes(gzip.compress(content, 1))
    with pytest.raises(DataError, match="not the one that was published.\n  Its .* content has the SHA-256 .*, expected 0fa7898d"):
        load_images("mnist", "dev", data_dir=tmp_path)


def test_download_is_kept_in_the_users_cache(alone, serve, tmp_path, mnist_folder):
    alone("mnist", serve(partial(QuietFolder, directory=str(mnist_folder))))
    _, labels = load_images("mnist", "dev")
    assert labels.tolist().count(1) == 1135
    folder = tmp_path / "cache" / "babel_dl" / "mnist"
    assert sorted(path.name for path in folder.iterdir()) == [IMAGES, LABELS]
    alone("mnist")  # no address is left
    assert np.array_equal(load_images("mnist", "dev")[1], labels)


def test_second_address_helps_where_the_first_fails(alone, serve, tmp_path, mnist_folder):
    alone("mnist", closed_address(), serve(Ends), serve(partial(QuietFolder, directory=str(mnist_folder))))
    load_images("mnist", "dev", data_dir=tmp_path / "mine")
    assert sorted(path.name for path in (tmp_path / "mine" / "mnist").iterdir()) == [IMAGES, LABELS]


def test_download_of_something_else_leaves_nothing(alone, serve, tmp_path, mnist_folder):
    alone("fashion_mnist", serve(partial(QuietFolder, directory=str(mnist_folder))))
    with pytest.raises(DataError, match="what came has the SHA-256 0fa7898d.* when decompressed, expected 5b4141f0"):
        load_images("fashion_mnist", "dev", data_dir=tmp_path)
    assert list((tmp_path / "fashion_mnist").iterdir()) == []


def test_download_that_ends_early_leaves_nothing(alone, serve, tmp_path):
    alone("mnist", serve(Ends))
    with pytest.raises(DataError, match="the connection ended after 1002 of 5000 bytes|IncompleteRead"):
        load_images("mnist", "dev", data_dir=tmp_path)
    assert list((tmp_path / "mnist").iterdir()) == []


def test_missing_network_lists_the_places_and_the_ways_out(alone, tmp_path):
    address = closed_address()
    alone("fashion_mnist", address)
    with pytest.raises(DataError, match="fashion_mnist: the file train-images-idx3-ubyte.gz was not found in") as caught:
        load_images("fashion_mnist", "train", data_dir=tmp_path)
    for text in (
        str(tmp_path / "fashion_mnist"), str(tmp_path / "cache"), f"{address}train-images-idx3-ubyte.gz: URLError", "BABEL_DL_DATA_DIR",
        "apt-get install dataset-fashion-mnist", 'data="mini"',
    ):
        assert text in str(caught.value)


def test_embedded_subset_is_a_part_of_the_published_set():
    for split, count in (("train", 600), ("dev", 100)):
        images, labels = load_images("fashion_mnist", split, data="mini")
        assert np.bincount(labels).tolist() == [count] * 10
        full_images, full_labels = load_images("fashion_mnist", split)
        rows = choose(full_images, full_labels, count)
        assert np.array_equal(images, full_images[rows]) and np.array_equal(labels, full_labels[rows])


def test_embedded_files_are_small_and_carry_their_licence():
    files = list((EMBEDDED / "fashion_mnist").iterdir())
    assert sum(path.stat().st_size for path in files) < 3_000_000
    licence = (EMBEDDED / "fashion_mnist" / "LICENSE").read_text()
    assert "MIT License" in licence and "2017 Zalando SE" in licence


def test_embedded_files_are_made_again_with_the_same_content(tmp_path, capsys):
    assert main([str(FASHION_FOLDER), str(tmp_path)]) == 0
    assert "(6000, 28, 28)" in capsys.readouterr().out
    for pair in SOURCES["fashion_mnist"].mini.values():
        for file in pair:
            read_idx(tmp_path / file.name, file.sha256)


def test_maker_without_folders_says_how_to_call_it(capsys):
    assert main([]) == 2
    assert "python -m babel_dl.data.sources.make_mini SOURCE TARGET" in capsys.readouterr().err


def test_dataset_of_a_source_has_channels_and_classes():
    data = load_dataset("fashion_mnist", "dev", data="mini")
    inp, outp = data[0]
    assert len(data) == 1000 and inp.image.shape == (28, 28, 1) and inp.image.dtype == np.uint8 and outp.class_id.dtype == np.uint8


def test_version_of_a_source_tells_split_and_amount():
    versions = {load_dataset("fashion_mnist", split, data="mini").version for split in ("train", "dev")}
    assert len(versions) == 2 and load_dataset("fashion_mnist", "dev").version not in versions


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("fashion_mnits", "train"), "There is no data source 'fashion_mnits'. Did you mean 'fashion_mnist'?"),
        (("mnist", "trian"), "mnist has no split 'trian'. Did you mean 'train'?"),
        (("mnist", "dev", "tiny"), "data is 'tiny', and must be 'full' or 'mini'"),
    ],
)
def test_unknown_names_are_refused(arguments, text):
    with pytest.raises(ArgumentError, match=re.escape(text)):
        load_images(*arguments)


def test_source_without_a_subset_says_which_have_one():
    with pytest.raises(DataError, match="mnist: no subset comes with babel_dl, only of: fashion_mnist"):
        load_images("mnist", "dev", data="mini")
