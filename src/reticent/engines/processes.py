"""One operating-system process for each site, so that hidden shared state cannot survive and a crash stays local.

A site's process reads framed, signed envelopes on its standard input and writes them on its standard output:
four bytes of length, then the envelope. Its own messages go to `site.log` in the site's folder.
"""

from __future__ import annotations

import os
import selectors
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from reticent.runs import RunFolder

__all__ = ["Processes", "read_frame", "write_frame"]

_HEADER = struct.Struct(">I")
_STARTS = 3


def write_frame(stream: IO[bytes], data: bytes) -> None:
    """Write one frame and flush it."""
    stream.write(_HEADER.pack(len(data)) + data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Return the next frame, or None at the end of the stream."""
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    (length,) = _HEADER.unpack(header)
    data = stream.read(length)
    return data if len(data) == length else None


class _Site:
    """The process of one site, and what it has sent of its next frame."""

    def __init__(self, command: list[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            self.process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                env={"OMP_NUM_THREADS": "1", **os.environ},  # many one-thread processes share few cores best
            )
        self._received = bytearray()

    def send(self, data: bytes) -> bool:
        """Hand over one frame; False if the process is gone."""
        try:
            assert self.process.stdin is not None  # noqa: S101
            view = memoryview(_HEADER.pack(len(data)) + data)
            while view:
                view = view[self.process.stdin.write(view) or 0 :]
        except (BrokenPipeError, OSError):
            return False
        return True

    def receive(self) -> bytes | None:
        """Take what has arrived; returns a frame when it is complete. Raises EOFError if the process is gone."""
        assert self.process.stdout is not None  # noqa: S101
        chunk = os.read(self.process.stdout.fileno(), 1 << 20)
        if not chunk:
            raise EOFError
        self._received += chunk
        if len(self._received) < _HEADER.size:
            return None
        (length,) = _HEADER.unpack_from(self._received)
        end = _HEADER.size + length
        if len(self._received) < end:
            return None
        frame = bytes(self._received[_HEADER.size : end])
        del self._received[:end]
        return frame

    def stop(self) -> None:
        """End the process: it stops at the end of its input, or is killed."""
        with suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Processes:
    """Starts a process for every site of a run; a site whose process died is started again, a few times.

    Use as a context manager: all processes end with it.
    """

    def __init__(self, folder: RunFolder, sites: tuple[str, ...]) -> None:
        self._folder = folder
        self._starts = dict.fromkeys(sites, 0)
        self._running: dict[str, _Site] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for site in self._running.values():
            site.stop()
        self._running.clear()

    def pid(self, site: str) -> int:
        """Return the process id of a site."""
        return self._running[site].process.pid

    def _site(self, name: str) -> _Site | None:
        running = self._running.get(name)
        if running is not None and running.process.poll() is None:
            return running
        if running is not None:
            running.stop()
        if self._starts[name] >= _STARTS:
            return None
        self._starts[name] += 1
        command = [sys.executable, "-m", "reticent.engines.site_process", str(self._folder.path), name]
        self._running[name] = _Site(command, self._folder.site(name) / "site.log")
        return self._running[name]

    def exchange(self, requests: Mapping[str, bytes], *, deadline: float) -> Mapping[str, bytes]:
        """Send to all sites, then collect until all have answered, died, or the deadline has passed."""
        replies: dict[str, bytes] = {}
        end = time.monotonic() + deadline
        with selectors.DefaultSelector() as selector:
            for name, request in requests.items():
                site = self._site(name)
                if site is not None and site.send(request):
                    selector.register(site.process.stdout, selectors.EVENT_READ, name)  # type: ignore[arg-type]
            while selector.get_map() and (left := end - time.monotonic()) > 0:
                for key, _ in selector.select(timeout=left):
                    try:
                        frame = self._running[key.data].receive()
                    except EOFError:
                        selector.unregister(key.fileobj)
                        continue
                    if frame is not None:
                        replies[key.data] = frame
                        selector.unregister(key.fileobj)
            # A late answer would be taken for the answer to the next request: a silent site is stopped.
            for key in list(selector.get_map().values()):
                self._running[key.data].process.kill()
        return replies
