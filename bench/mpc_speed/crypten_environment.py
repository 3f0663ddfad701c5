"""The environment of CrypTen, under `.peers/`, made if it is missing or its pins have changed."""

from __future__ import annotations

import shutil
import subprocess
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
CRYPTEN = "crypten==0.4.1"


def python_of_crypten() -> Path:
    """Return the interpreter."""
    pins = HERE / "requirements-crypten.txt"
    home = HERE.parents[1] / ".peers" / "crypten"
    stamp, python = home / "installed.txt", home / "bin" / "python"
    wanted = f"{CRYPTEN}\n{pins.read_text()}"
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print("making the environment of CrypTen in .peers/crypten", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", pins], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", CRYPTEN], check=True)
    stamp.write_text(wanted)
    return python
