"""How each error code of the core of mpc is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from reticent import mpc
from reticent.channels import threads
from reticent.mpc.link import Link
from reticent.mpc.operation import Operation
from reticent.mpc.recipes import decode_request
from reticent.mpc.replicated import Replicated
from reticent.mpc.streams import Keys


def _run(program: Callable[[mpc.Session], Any], **settings: Any) -> object:
    """Run `program` at three parties; party 0 has x, of two numbers."""
    inputs = [{"x": np.array([1.0, 2.0])}, {}, {}]
    return mpc.run_local(program, inputs=inputs, **{"protocol": "replicated", **settings})


def _x(session: mpc.Session, shape: tuple[int, ...] = (2,)) -> mpc.Tensor:
    return session.input("x", owner=0, shape=shape)


def _with_x(function: Callable[[mpc.Tensor], object]) -> Callable[[pathlib.Path], object]:
    return lambda folder: _run(lambda session: function(_x(session)))


def _keys() -> Keys:
    return Keys({0: bytes(32), 1: bytes(32)}, bytes(32))


def _twice_the_same_material(folder: pathlib.Path) -> object:
    """Two operations under one number, at one party."""
    protocol = Replicated(Link(threads(["a", "b", "c"])[2], _keys()))
    return [protocol.fresh(Operation(1, "truncate")) for _ in range(2)]


def _twice_the_same_stream(folder: pathlib.Path) -> object:
    keys = _keys()
    keys.stream(1, "deal", (1, 1))
    return keys.stream(1, "deal", (1, 1))


def _short_message(folder: pathlib.Path) -> object:
    ends = threads(["a", "b"])
    ends[0].send(1, b"7 bytes")
    return Link(ends[1], _keys()).receive(0, [((1,), np.dtype(np.uint64))])


def _other_session(folder: pathlib.Path) -> object:
    kept: dict[int, mpc.Tensor] = {}

    def first(session: mpc.Session) -> None:
        kept[session.party] = _x(session)

    def second(session: mpc.Session) -> mpc.Tensor:
        return _x(session) + kept[session.party]

    _run(first)
    return _run(second)


def _reused(folder: pathlib.Path) -> object:
    one, spent = mpc.share(3), mpc.triple()
    mpc.multiply(one, one, triple=spent)
    return mpc.multiply(one, one, triple=spent)


def _threshold() -> mpc.ThresholdShares:
    return mpc.share(3, parties=3, threshold=2)


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "condition-not-a-bit": _with_x(lambda x: x.select(x, x)),
    "dealer-computes": lambda folder: mpc.Dealer(threads(["a", "b", "c"])[1], parties=2),
    "degree-too-high": lambda folder: _threshold() * _threshold(),
    "index-not-whole": _with_x(lambda x: mpc.one_hot(x, 4)),
    "input-missing": lambda folder: _run(lambda session: session.input("y", owner=0, shape=(2,))),
    "input-shape": lambda folder: _run(lambda session: _x(session, (3,))),
    "invalid-domain": _with_x(lambda x: x.reciprocal(low=2.0, high=1.0)),
    "malformed-request": lambda folder: decode_request(b'{"operation": [1], "name": "", "recipe": "passwords"}'),
    "material-reused": _twice_the_same_material,
    "message-of-other-length": _short_message,
    "no-such-axis": _with_x(lambda x: x.max(3)),
    "no-such-owner": lambda folder: _run(lambda session: session.input("x", owner=3, shape=(2,))),
    "no-such-receiver": _with_x(lambda x: x.reveal(to=3)),
    "not-integers": lambda folder: mpc.share(0.5),
    "nothing-to-join": lambda folder: mpc.concat([]),
    "parties-differ": lambda folder: mpc.add(mpc.share(1, parties=2), mpc.share(1, parties=3)),
    "protocol-parties": lambda folder: mpc.run_local(print, inputs=[{}], protocol="additive"),
    "secret-branch": _with_x(bool),
    "shapes-do-not-fit": _with_x(lambda x: x @ np.ones((3, 3))),
    "stream-reused": _twice_the_same_stream,
    "tensor-of-other-session": _other_session,
    "triple-does-not-fit": lambda folder: mpc.multiply(mpc.share(1), mpc.share(1), triple=mpc.triple(parties=2)),
    "triple-missing": lambda folder: mpc.multiply(mpc.share(1), mpc.share(1)),
    "triple-reused": _reused,
    "unknown-protocol": lambda folder: _run(print, protocol="yao"),
    "unknown-truncation": lambda folder: _run(print, truncation="none"),
}

ALSO: dict[str, Callable[[pathlib.Path], object]] = {
    "not-integers": lambda folder: mpc.share(2**255, threshold=2),
    "parties-differ": lambda folder: mpc.add(_threshold(), mpc.share(1, parties=4, threshold=2)),
}
