"""How each error code of the channels is raised."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Callable

from reticent import channels


def _left(folder: pathlib.Path) -> object:
    here, there = channels.threads(["here", "there"])
    there.close()
    return here.receive(1)


def _diverged(folder: pathlib.Path) -> object:
    here, there = channels.threads(["here", "there"], deadline=0.5)
    released = threading.Event()

    def wait_for_ever() -> None:
        with there:
            try:
                there.receive(0)
            except Exception:
                released.set()

    other = threading.Thread(target=wait_for_ever)
    other.start()
    try:
        return here.receive(1)
    finally:
        here.close()
        other.join()


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "invalid-deadline": lambda folder: channels.threads(["here", "there"], deadline=0.0),
    "invalid-parties": lambda folder: channels.threads(["alone"]),
    "no-such-party": lambda folder: channels.threads(["here", "there"])[0].send(0, b""),
    "party-lost": _left,
    "programs-diverged": _diverged,
}
