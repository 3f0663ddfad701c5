"""The example runs, with and without the folder of data sets, and tells the truth about what it prints."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "secure_computation.py"


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("secure_computation_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("folder", ["given", "none"])
def test_the_example_runs_in_a_few_seconds(
    example: ModuleType, folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(example, "STEPS", 4)
    if folder == "none":
        monkeypatch.setattr(example, "data_folder", lambda: None)
    elif example.data_folder() is None:
        pytest.skip("no folder of data sets")
    example.main()
    printed = capsys.readouterr().out
    shared, plain = (float(found) for found in re.findall(r"AUC [a-z ]+([\d.]+)", printed))
    assert abs(shared - plain) < 0.001
    assert shared > 0.9
    assert "no epsilon is claimed" in printed
    assert "Only the clinic saw the scores" in printed
