"""Both protocols, and gates run at all parties without a channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reticent import mpc
from reticent.mpc.group import Group
from reticent.mpc.material import DealerSource, PartySource
from reticent.mpc.recipes import RECIPES
from reticent.mpc.rounds import play
from reticent.randomness import Keystream, secret
from reticent.rings import split_additive

Run = Callable[..., Any]
PROTOCOLS = ["replicated", "additive"]


def run_program(program: mpc.Program, inputs: Mapping[str, Any], protocol: str, **settings: Any) -> Any:
    """Run `program` with all inputs at party 0 except those named y.., which are at party 1."""
    first = {name: value for name, value in inputs.items() if not name.startswith("y")}
    second = {name: value for name, value in inputs.items() if name.startswith("y")}
    parties = [first, second] + ([{}] if protocol == "replicated" else [])
    return mpc.run_local(program, inputs=parties, protocol=protocol, **settings)


def call(function: Callable[..., Any], *arrays: Any, protocol: str = "replicated", **settings: Any) -> Any:
    """Return what `function` of shared arrays gives; the second array belongs to party 1."""
    names = ["x", "y", "z"]
    arrays = tuple(np.asarray(array, dtype=np.float64) for array in arrays)

    def program(session: mpc.Session) -> Any:
        shared = [
            session.input(name, owner=int(name == "y"), shape=array.shape)
            for name, array in zip(names, arrays, strict=False)
        ]
        found = function(*shared)
        return session.reveal_together(*found) if isinstance(found, tuple) else found.reveal()

    return run_program(program, dict(zip(names, arrays, strict=False)), protocol, **settings)[0]


def gate(
    recipe: str,
    arguments: dict[str, Any],
    online: Callable[[Group, Any, list[NDArray[np.uint64]]], Any],
    values: Sequence[NDArray[np.uint64]],
    parties: int = 2,
) -> Any:
    """Run one gate among `parties` on additive shares of `values`; return the list of its results at the parties."""
    members = tuple(range(parties))
    keys = [secret(16) for _ in members]
    dealer = DealerSource(Group(parties, members), [Keystream(key) for key in keys])
    RECIPES[recipe](dealer, **arguments)
    corrections = memoryview(b"".join(np.ascontiguousarray(array).tobytes() for array in dealer.corrections))
    shares = [split_additive(value, parties) for value in values]

    def party(me: int) -> Any:
        group = Group(me, members)
        source = PartySource(group, Keystream(keys[me]))
        material = RECIPES[recipe](source, **arguments)
        source.finish(corrections if group.last else memoryview(b""))
        return online(group, material, [share[me] for share in shares])

    found = play({me: party(me) for me in members})
    return [found[me] for me in members]


@pytest.fixture(params=PROTOCOLS, scope="session")
def protocol(request: pytest.FixtureRequest) -> str:
    """Each protocol."""
    return str(request.param)


@pytest.fixture(scope="session")
def shared(protocol: str) -> Run:
    """`call` under each protocol."""

    def run(function: Callable[..., Any], *arrays: Any, **settings: Any) -> Any:
        return call(function, *arrays, protocol=protocol, **settings)

    return run


@pytest.fixture(scope="session")
def run(protocol: str) -> Run:
    """`run_program` under each protocol."""

    def go(program: mpc.Program, inputs: Mapping[str, Any], **settings: Any) -> Any:
        return run_program(program, inputs, protocol, **settings)

    return go


@pytest.fixture(scope="session")
def run_gate() -> Run:
    """`gate`."""
    return gate
