"""`reticent doctor` says which kernels run, and that a wrong choice of them is a fault."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DOCTOR = "from reticent.cli import main; raise SystemExit(main())"


def doctor(folder: Path, wanted: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DOCTOR, "doctor"],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "RETICENT_KERNELS": wanted},
    )  # fmt: skip


def test_the_doctor_says_which_kernels_run(tmp_path: Path) -> None:
    done = doctor(tmp_path, "reference")
    assert "ok      kernels: reference (numpy): RETICENT_KERNELS is reference" in done.stdout


def test_a_wrong_choice_is_a_fault_with_its_fix(tmp_path: Path) -> None:
    done = doctor(tmp_path, "fastest")
    assert done.returncode == 6
    assert "FAILED  kernels: RETICENT_KERNELS is 'fastest': set it to one of auto, native, reference" in done.stdout
