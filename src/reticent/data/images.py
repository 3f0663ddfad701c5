"""Image sets in the idx format of MNIST (LeCun, Cortes, Burges), strictly parsed, and the folder of real data."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.data.examples import Examples
from reticent.errors import DataError, EnvironmentFault

__all__ = ["data_folder", "mnist", "read_idx", "read_idx_set"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_LIMIT = 2**31
_NAMES = {"train": ("train",), "test": ("t10k", "test")}


def data_folder() -> Path | None:
    """Return the folder of real data sets: `RETICENT_DATA`, else `../shared/data` beside the checkout, else None.

    Raises:
      EnvironmentFault: If `RETICENT_DATA` names no folder.
    """
    named = os.environ.get("RETICENT_DATA")
    if named:
        if not Path(named).is_dir():
            raise EnvironmentFault(
                "data-folder-missing",
                f"RETICENT_DATA is {named!r}, which is no folder",
                hint="point RETICENT_DATA to the folder of data sets, or unset it",
            )
        return Path(named)
    here = (Path.cwd(), Path(__file__).resolve().parents[3])
    return next((found for place in here if (found := place.parent / "shared" / "data").is_dir()), None)


def read_idx(path: str | Path) -> NDArray[Any]:
    """Read an idx file, plain or gzipped; the array has the shape and type that its header declares.

    Raises:
      EnvironmentFault: If the file cannot be read.
      DataError: If it is not exactly one idx array.
    """
    path = Path(path)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _malformed(path, "it is no complete gzip file") from error
    except OSError as error:
        raise EnvironmentFault("file-unreadable", f"{path}: {error.strerror}", hint="check the path") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES or not 1 <= content[3] <= 4:
        raise _malformed(path, "it does not begin like an idx file")
    kind, axes = np.dtype(_TYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        raise _malformed(path, "its header is cut off")
    shape = struct.unpack(f">{axes}I", content[4:start])
    size = math.prod(shape) * kind.itemsize
    if size > _LIMIT or len(content) != start + size:
        raise _malformed(path, f"its header declares {size} bytes and {len(content) - start} follow")
    return np.frombuffer(content, kind, offset=start).reshape(shape).astype(kind.newbyteorder("="))


def _malformed(path: Path, reason: str) -> DataError:
    return DataError(
        "data-unreadable", f"{path} could not be read: {reason}", hint="get the file anew; compare its checksum"
    )


def read_idx_set(folder: str | Path, part: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return images `(n, height, width)` and labels `(n,)` of the part "train" or "test" of an idx folder."""
    images, labels = (read_idx(_named(Path(folder), part, kind)) for kind in ("images-idx3", "labels-idx1"))
    if labels.ndim != 1 or len(images) != len(labels):
        raise _malformed(Path(folder), f"{len(images)} images and {len(labels)} labels")
    return images, labels.astype(np.int64)


def _named(folder: Path, part: str, kind: str) -> Path:
    for name in _NAMES[part]:
        found = sorted(path for path in folder.glob(f"*{name}-{kind}-*") if path.suffix in ("", ".gz"))
        if found:
            return found[0]
    raise EnvironmentFault(
        "file-unreadable",
        f"{folder} has no file *{_NAMES[part][0]}-{kind}-ubyte[.gz]",
        hint="the folder needs the four files of MNIST under their usual names",
    )


def mnist(folder: str | Path, *, writers: str | Path | None = None, first_label: int = 0) -> tuple[Examples, Examples]:
    """Return training and test examples of MNIST or a set like it, pixels in [0, 1], shape `(n, 1, height, width)`.

    Args:
      folder: Folder with the four idx files, plain or gzipped.
      writers: Folder of the QMNIST labels (Yadav & Bottou, NeurIPS 2019), which name the writer of each MNIST digit; a
        unit is then a writer. None: each image is a unit of its own.
      first_label: The smallest label in the files (1 for EMNIST Letters); classes are numbered from 0.
    """
    sets = []
    for part in ("train", "test"):
        images, labels = read_idx_set(folder, part)
        persons = None
        if writers is not None:
            path = next(iter(sorted(Path(writers).glob(f"qmnist-{part}-labels-idx2-int*"))), Path(writers) / part)
            # QMNIST's first 10,000 test rows are MNIST's test rows, in order; column 2 is the writer.
            persons = read_idx(path)[: len(images), 2]
        pixels = images[:, None].astype(np.float32) / np.float32(255)
        sets.append(Examples.of(pixels, labels - first_label, persons))
    return sets[0], sets[1]
