"""Bytes for a library that reads and writes files only: anonymous files in memory, so that no key touches a disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["bytes_of", "file_of"]


@contextmanager
def _path(data: bytes = b"") -> Iterator[str]:
    """Yield the path of a private file holding `data`, gone afterwards.

    On Linux the file has no name and lives in memory (memfd_create); elsewhere it lies in a fresh folder of mode 0700.
    """
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        handle = os.memfd_create("reticent", os.MFD_CLOEXEC)
        try:
            with open(handle, "wb", closefd=False) as file:
                file.write(data)
            yield f"/proc/self/fd/{handle}"
        finally:
            os.close(handle)
        return
    folder = tempfile.mkdtemp(prefix="reticent-")
    try:
        path = Path(folder) / "object"
        path.touch(mode=0o600)
        path.write_bytes(data)
        yield str(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bytes_of(save: Callable[[str], object]) -> bytes:
    """Return what `save(path)` writes."""
    with _path() as path:
        save(path)
        return Path(path).read_bytes()


@contextmanager
def file_of(data: bytes) -> Iterator[str]:
    """Yield a path from which `data` can be read."""
    with _path(data) as path:
        yield path
