"""`mpc.connect`: sessions over TLS within this process, closed, left by an error, or with settings that differ."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from reticent import mpc
from reticent.errors import QuorumLost, UsageError

X = np.arange(6.0).reshape(2, 3)


def play(parts: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Run the parts in threads; return what each returned or raised."""
    found: dict[str, Any] = {}

    def run(name: str) -> None:
        try:
            found[name] = parts[name]()
        except Exception as error:
            found[name] = error

    running = [threading.Thread(target=run, args=(name,)) for name in parts]
    for one in running:
        one.start()
    for one in running:
        one.join(timeout=30.0)
        assert not one.is_alive()
    return found


def square(path: Path, inputs: dict[str, Any], *, fail: bool = False) -> Any:
    with mpc.connect(path, inputs) as session:
        shared = session.input("x", owner=0, shape=X.shape)
        if fail:
            raise ArithmeticError
        return (shared * shared).reveal()


@pytest.mark.parametrize("protocol", ["replicated", "additive"])
def test_a_session_from_a_file(tmp_path: Path, protocol: Literal["replicated", "additive"]) -> None:
    names = ("a", "b", "c") if protocol == "replicated" else ("a", "b")
    files = mpc.party_files(tmp_path, names, protocol=protocol, deadline=10.0)
    parts: dict[str, Callable[[], Any]] = {
        name: lambda name=name: square(files[name], {"x": X} if name == "a" else {}) for name in names
    }
    if protocol == "additive":
        parts["dealer"] = lambda: mpc.run_dealer_file(files["dealer"])
    found = play(parts)
    for name in names:
        np.testing.assert_allclose(found[name], X * X, atol=1e-3)
    if protocol == "additive":
        assert found["dealer"].total().bytes_sent > 0


def test_a_block_that_raises_ends_the_others(tmp_path: Path) -> None:
    files = mpc.party_files(tmp_path, ("a", "b", "c"), deadline=20.0)
    found = play({n: lambda n=n: square(files[n], {"x": X} if n == "a" else {}, fail=n == "b") for n in files})
    assert isinstance(found["b"], ArithmeticError)
    for name in ("a", "c"):
        assert isinstance(found[name], QuorumLost)
        assert found[name].message.startswith("party 'b'")


def test_an_input_that_is_missing_ends_the_others(tmp_path: Path) -> None:
    """The one who owns it says so; the others name that party."""
    files = mpc.party_files(tmp_path, ("a", "b", "c"), deadline=20.0)
    found = play({n: lambda n=n: square(files[n], {}) for n in files})
    assert found["a"].code == "input-missing"
    assert {found[name].code for name in ("b", "c")} == {"party-lost"}


def test_settings_that_differ_are_named(tmp_path: Path) -> None:
    files = mpc.party_files(tmp_path, ("a", "b", "c"), deadline=20.0)
    files["c"].write_text(files["c"].read_text().replace("fraction_bits = 16", "fraction_bits = 20"))
    found = play({n: lambda n=n: square(files[n], {"x": X} if n == "a" else {}) for n in files})
    differing = [error for error in found.values() if isinstance(error, UsageError)]
    assert differing
    assert all("fraction_bits (" in error.message for error in differing)
