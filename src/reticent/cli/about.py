"""help CODE, doctor."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from reticent.cli.output import Format, emit
from reticent.errors import EnvironmentFault, ReticentError, UsageError
from reticent.errors.explanations import explain, known_codes

__all__ = ["doctor", "explain_code"]

_NEEDED = ("torch", "numpy", "scipy", "pandas", "pyarrow", "cryptography", "SQLAlchemy", "safetensors")


def explain_code(code: str | None) -> None:
    """Print the explanation of a code, or all codes."""
    if code is None:
        print("\n".join(known_codes()))
        return
    text = explain(code)
    if text is None:
        from difflib import get_close_matches

        near = get_close_matches(code, known_codes(), n=1)
        raise UsageError(
            "unknown-code",
            f"there is no error code {code!r}",
            hint=f"did you mean {near[0]}?" if near else "`reticent help` lists all codes",
        )
    print(f"{code}\n\n{text}")


def doctor(chosen: Format) -> None:
    """Check what a run needs; a missing part is an error of exit status 6."""
    checks = [*_packages(), _kernels(), _entropy(), _disk(), _locks()]
    text = "\n".join(f"{'ok' if ok else 'FAILED':7} {name}: {words}" for name, ok, words in checks)
    emit(chosen, text=text, data=[{"name": n, "ok": ok, "words": words} for n, ok, words in checks])
    failed = [name for name, ok, _ in checks if not ok]
    if failed:
        raise EnvironmentFault(
            "doctor-found-faults",
            f"not ready: {', '.join(failed)}",
            hint="mend the lines marked FAILED, then run it again",
        )


def _packages() -> list[tuple[str, bool, str]]:
    rows = [("python", True, platform.python_version())]
    for name in _NEEDED:
        try:
            rows.append((name, True, version(name)))
        except PackageNotFoundError:
            rows.append((name, False, f"missing: pip install {name}"))
    return rows


def _kernels() -> tuple[str, bool, str]:
    """Either kind computes the same; a wrong RETICENT_KERNELS is a fault."""
    from reticent import kernels

    try:
        return ("kernels", True, kernels.describe())
    except ReticentError as error:
        return ("kernels", False, f"{error.message}: {error.hint}")


def _entropy() -> tuple[str, bool, str]:
    from reticent.randomness import secret

    return ("randomness", len({secret(16) for _ in range(8)}) == 8, "the operating system gives secret randomness")


def _disk() -> tuple[str, bool, str]:
    free = shutil.disk_usage(Path.cwd()).free
    return ("disk", free > 200e6, f"{free / 1e9:.1f} GB free here, 0.2 GB are needed")


def _locks() -> tuple[str, bool, str]:
    """SQLite and flock need a file system that honours locks; some network folders do not."""
    import sqlite3

    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        first = sqlite3.connect(os.path.join(folder, "probe.db"), timeout=0)
        second = sqlite3.connect(os.path.join(folder, "probe.db"), timeout=0)
        first.execute("BEGIN IMMEDIATE")
        try:
            second.execute("BEGIN IMMEDIATE")
            held = False
        except sqlite3.OperationalError:
            held = True
        finally:
            first.close()
            second.close()
    return ("locks", held, "this folder honours locks" if held else "this folder ignores locks: keep ledgers elsewhere")
