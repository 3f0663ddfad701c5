"""One virtual environment for each peer, under `.peers/`, with exactly the versions of `requirements-NAME.txt`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE.parents[1] / ".peers"


def python_of(peer: str | None, *, folder: Path = HERE) -> Path:
    """Return the interpreter of `peer`, made if it is missing or its pins have changed; None is this environment.

    `folder` holds the pins, `requirements-PEER.txt`.
    """
    if peer is None:
        return Path(sys.executable)
    pins = folder / f"requirements-{peer}.txt"
    home = PEERS / peer
    stamp, python = home / "installed.txt", home / "bin" / "python"
    if stamp.exists() and stamp.read_text() == pins.read_text():
        return python
    print(f"making the environment of {peer} in .peers/{peer}", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", pins], check=True)
    stamp.write_text(pins.read_text())
    return python
