"""Writing so that a crash leaves the old file or the new one, never a part; and locks that die with their process."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reticent.errors import EnvironmentFault

__all__ = ["append_line", "exclusive", "read_lines", "write"]


def write(path: Path, data: bytes) -> None:
    """Write `data` to `path` and return when it would survive a loss of power.

    Raises:
      EnvironmentFault: If the disk is full or the folder cannot be written; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.writing")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _fault(path, error) from error


def append_line(path: Path, value: dict[str, Any]) -> None:
    """Append one JSON line. A torn last line, left by a crash, is ended first, so that it spoils itself only."""
    line = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    try:
        with path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end and (file.seek(end - 1), file.read(1))[1] != b"\n":
                line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _fault(path, error) from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON lines of `path`; torn lines are left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


@contextmanager
def exclusive(path: Path, *, what: str) -> Iterator[None]:
    """Hold the lock file `path`; the system releases it if the process dies.

    Raises:
      EnvironmentFault: If another process holds it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise _fault(path, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise EnvironmentFault(
                "run-locked",
                f"another process is running {what}",
                hint="wait until it has ended; two runs of one study would ask the same people twice",
            ) from error
        yield


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fault(path: Path, error: OSError) -> EnvironmentFault:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return EnvironmentFault(
            "disk-full",
            f"no room to write {path}",
            hint="free space, then `reticent resume` the run folder; nothing that was written before is lost",
        )
    return EnvironmentFault(
        "cannot-write", f"cannot write {path}: {error.strerror}", hint="check the folder's owner and permissions"
    )
