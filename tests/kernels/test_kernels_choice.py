"""Which kernels run, and that the choice is said, made once, and without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from reticent import kernels
from reticent.errors import EnvironmentFault, UsageError
from reticent.kernels import choice


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_module", lambda: (None, "the compiled module was not built"))


def test_auto_falls_back_to_the_reference_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)
    assert kernels.choose("auto").describe() == "reference (numpy): the compiled module was not built"


def test_native_is_never_replaced_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)
    for wanted in ("native", "native:plain"):
        with pytest.raises(EnvironmentFault, match="not built") as caught:
            kernels.choose(wanted)
        assert "compiler" in caught.value.hint


def test_a_module_that_does_not_load_is_told_from_one_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError("undefined symbol")

    monkeypatch.setattr(choice.importlib, "import_module", broken)
    assert "does not load (undefined symbol)" in kernels.choose("auto").describe()


def test_a_module_of_other_sources_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its functions might take other arguments: that would be found in the middle of a run."""
    monkeypatch.setattr(choice.importlib, "import_module", lambda name: SimpleNamespace(interface=0))
    assert kernels.choose("auto").describe() == "reference (numpy): the compiled module was built from other sources"
    with pytest.raises(EnvironmentFault, match="other sources"):
        kernels.choose("native")


@pytest.mark.parametrize("wanted", ["", "fast", "NATIVE", "native:", "native:sse", "reference:avx2"])
def test_a_wrong_value_is_refused(wanted: str) -> None:
    with pytest.raises(UsageError, match="RETICENT_KERNELS") as caught:
        kernels.choose(wanted)
    assert "auto, native, reference" in caught.value.hint


def test_the_fastest_level_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(levels=lambda: ["avx2", "plain"], inverse_normal=lambda: None)
    monkeypatch.setattr(choice, "_module", lambda: (fake, ""))
    assert kernels.choose("auto").describe() == kernels.choose("native").describe() == "native (AVX2, AES-NI)"
    assert kernels.choose("native:plain").describe() == "native (plain C++)"
    with pytest.raises(EnvironmentFault, match="no level avx512"):
        kernels.choose("native:avx512")


def test_the_choice_is_made_once() -> None:
    assert kernels.active() is kernels.active()
    assert kernels.describe() == kernels.active().describe()


def test_the_variable_reaches_the_process() -> None:
    code = "from reticent import kernels; print(kernels.describe())"
    assert run(code, RETICENT_KERNELS="reference").stdout.strip() == "reference (numpy): RETICENT_KERNELS is reference"
    assert "unknown-kernels" in run(code, RETICENT_KERNELS="both").stderr


def test_an_empty_variable_means_auto() -> None:
    code = "from reticent import kernels; print(kernels.describe())"
    assert run(code, RETICENT_KERNELS="").returncode == 0


def test_every_level_of_this_processor_can_be_demanded(level: str) -> None:
    code = "from reticent import kernels; print(kernels.active().level)"
    assert run(code, RETICENT_KERNELS=f"native:{level}").stdout.strip() == level


def test_kernels_load_neither_torch_nor_scipy() -> None:
    code = "import sys, reticent.kernels as k; k.describe(); print({'torch', 'scipy'} & set(sys.modules))"
    assert run(code).stdout.strip() == "set()"


def test_a_level_that_the_processor_lacks_never_runs(native: ModuleType) -> None:
    """The module checks the processor itself: a wrong level would be an illegal instruction."""
    import numpy as np

    with pytest.raises(ValueError, match="no level"):
        native.keystream("avx1024", bytes(16), 0, np.empty(2, dtype=np.uint64))
