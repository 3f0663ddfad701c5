"""The idx format: what it may hold, and that nothing else is ever read as it."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reticent.data import Contract, data_folder, mnist, prepare, read_idx
from reticent.errors import DataError, EnvironmentFault, ReticentError


def idx(values: np.ndarray, code: int = 0x08) -> bytes:
    header = bytes([0, 0, code, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.tobytes()


def image_folder(folder: Path, *, zipped: bool = False) -> Path:
    draw = np.random.default_rng(0)
    for name, rows in (("train", 30), ("t10k", 12)):
        images = idx(draw.integers(0, 256, (rows, 4, 4), dtype=np.uint8))
        labels = idx((np.arange(rows) % 10).astype(np.uint8))
        for kind, content in (("images-idx3", images), ("labels-idx1", labels)):
            path = folder / f"{name}-{kind}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(content) if zipped else content)
    return folder


def size_or_code(path: Path) -> int | str:
    try:
        return read_idx(path).nbytes
    except DataError as refused:
        return refused.code


@pytest.mark.parametrize(("kind", "code"), [("u1", 8), ("i1", 9), (">i2", 11), (">i4", 12), (">f4", 13), (">f8", 14)])
def test_all_types_are_read_with_native_bytes(tmp_path, kind, code):
    values = np.arange(24).reshape(2, 3, 4).astype(kind)
    (tmp_path / "a").write_bytes(idx(values, code))
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(values, code)))
    for name in ("a", "a.gz"):
        read = read_idx(tmp_path / name)
        assert np.array_equal(read, values)
        assert read.dtype.isnative


@given(st.binary(max_size=40))
def test_random_bytes_are_refused_or_read_whole(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.write_bytes(content)
    assert size_or_code(path) in ("data-unreadable", *range(len(content) + 1))


@given(st.integers(0, 300), st.integers(0, 7), st.booleans())
def test_flipped_and_cut_files_are_refused_or_read_whole(tmp_path_factory, place, bit, cut):
    content = bytearray(gzip.compress(idx(np.ones((3, 5), np.uint8)), mtime=0))
    if cut:
        content = content[: place % len(content)]
    else:
        content[place % len(content)] ^= 1 << bit
    path = tmp_path_factory.getbasetemp() / "fuzz.gz"
    path.write_bytes(content)
    assert size_or_code(path) in ("data-unreadable", 15)


def test_a_header_that_declares_more_than_is_there_allocates_nothing(tmp_path):
    (tmp_path / "a").write_bytes(bytes([0, 0, 8, 4]) + b"\xff" * 16)
    with pytest.raises(DataError):
        read_idx(tmp_path / "a")


def test_bytes_after_the_array_are_refused(tmp_path):
    (tmp_path / "a").write_bytes(idx(np.ones((3, 5), np.uint8)) + b"x")
    with pytest.raises(DataError, match="declares 15 bytes and 16 follow"):
        read_idx(tmp_path / "a")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_becomes_examples(tmp_path, zipped):
    train, test = mnist(image_folder(tmp_path, zipped=zipped))
    assert (train.features.shape, test.features.shape) == ((30, 1, 4, 4), (12, 1, 4, 4))
    assert 0 <= train.features.min() < train.features.max() <= 1
    assert train.n_units == 30
    made = Contract(kind="tensor", shape=(16,), classes=10, range=(0, 255), standardise="declared")
    prepared = prepare(made, tmp_path)
    np.testing.assert_allclose(prepared.train.features, train.features.reshape(30, 16) * 2 - 1, atol=1e-6)
    assert np.array_equal(prepared.test.labels, test.labels)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(EnvironmentFault, match="has no file"):
        mnist(tmp_path)
    (image_folder(tmp_path) / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(ReticentError, match="30 images and 3 labels"):
        mnist(tmp_path)


def test_the_data_folder_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("RETICENT_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.setenv("RETICENT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(EnvironmentFault):
        data_folder()
    monkeypatch.delenv("RETICENT_DATA")
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "checkout").mkdir()
    monkeypatch.chdir(tmp_path / "checkout")
    assert data_folder() == tmp_path / "shared" / "data"


def test_digits_and_their_writers(real):
    train, test = mnist(real / "mnist", writers=real / "mnist_writers")
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert (train.n_units, len(test)) == (539, 10_000)
    assert train.features.mean() == pytest.approx(0.1307, abs=1e-4)
    assert train.features.std() == pytest.approx(0.3081, abs=1e-4)
