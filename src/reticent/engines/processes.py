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
                start_new_session=True,  # the terminal's Ctrl-C is for the coordinator, which ends the round first
            )
        assert self.process.stdin is not None  # noqa: S101
        assert self.process.stdout is not None  # noqa: S101
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        os.set_blocking(self.stdin.fileno(), False)
        self._received = bytearray()
        self._unsent = memoryview(b"")

    def begin(self, data: bytes) -> None:
        """Take one frame to be sent by `send`."""
        self._unsent = memoryview(_HEADER.pack(len(data)) + data)

    def send(self) -> bool:
        """Write as much as the process takes now; returns True when nothing is left to send, or nobody to take it."""
        try:
            self._unsent = self._unsent[os.write(self.stdin.fileno(), self._unsent) :]
        except BlockingIOError:
            return False
        except OSError:
            return True  # the end of its output will say that the process is gone
        return not self._unsent

    def receive(self) -> bytes | None:
        """Take what has arrived; returns a frame when it is complete. Raises EOFError if the process is gone."""
        chunk = os.read(self.stdout.fileno(), 1 << 20)
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
            self.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.stdout.close()


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
        waiting: dict[str, _Site] = {}
        end = time.monotonic() + deadline
        with selectors.DefaultSelector() as selector:
            for name, request in requests.items():
                site = self._site(name)
                if site is not None:
                    waiting[name] = site
                    site.begin(request)
                    # Written as the pipes allow: a site that does not read must not hold up others, or the deadline.
                    selector.register(site.stdin, selectors.EVENT_WRITE, name)
                    selector.register(site.stdout, selectors.EVENT_READ, name)
            while waiting and (left := end - time.monotonic()) > 0:
                for key, _ in selector.select(timeout=left):
                    site = self._running[key.data]
                    if key.fileobj is site.stdin:
                        if site.send():
                            selector.unregister(site.stdin)
                        continue
                    with suppress(EOFError):
                        frame = site.receive()
                        if frame is None:
                            continue
                        replies[key.data] = frame
                    selector.unregister(site.stdout)
                    del waiting[key.data]
        for name, site in waiting.items():
            # A late answer would be taken for the answer to the next request: a silent site is stopped.
            site.process.kill()
            site.stop()
            del self._running[name]
        return replies
