"""The dealer: never a computing party, deals nothing twice, and sees kinds and shapes only."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from reticent import mpc
from reticent.channels import threads
from reticent.errors import IdentityError, InternalError, PolicyRefused
from reticent.mpc.group import Group
from reticent.mpc.link import Link
from reticent.mpc.material import PartySource
from reticent.mpc.recipes import decode_request, encode_request
from reticent.mpc.streams import Keys
from reticent.randomness import Keystream


@pytest.mark.parametrize("number", [0, 1])
def test_a_computing_party_does_not_deal(number: int) -> None:
    with pytest.raises(PolicyRefused) as caught:
        mpc.Dealer(threads(["a", "b", "c"])[number], parties=2)
    assert caught.value.code == "dealer-computes"
    with pytest.raises(PolicyRefused):
        mpc.open_session(threads(["a", "b", "c"])[0], {}, protocol="additive", dealer=number)


def test_the_dealer_receives_nothing_but_requests() -> None:
    ends = threads(["a", "b", "dealer"])
    received: list[bytes] = []
    original = ends[2].receive

    def listen(sender: int) -> memoryview:
        data = original(sender)
        received.append(bytes(data))
        return data

    ends[2].receive = listen  # type: ignore[method-assign]
    x = np.full((3, 4), 1234.0)
    mpc.run_local(
        lambda s: (s.input("x", owner=0, shape=(3, 4)) * s.input("y", owner=1, shape=(3, 4))).relu().reveal(to=1),
        inputs=[{"x": x}, {"y": x}],
        protocol="additive",
        channels=ends,
    )
    keys, requests = received[:2], received[2:]
    assert all(len(key) == 32 for key in keys)
    assert requests[-1] == b"finished"
    for request in requests[:-1]:
        assert set(json.loads(request)) == {"operation", "name", "recipe", "arguments"}


def request(recipe: str, **arguments: Any) -> bytes:
    return encode_request((1, 1), "test", recipe, arguments)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b"x" * 5000,
        request("unknown", count=1),
        request("sign", count=-1),
        request("sign", count=2**40),
        request("sign", count=True),
        request("sign", count="9"),
        request("truncation", count=1, bits=63, exact=True),
        request("truncation", count=1, bits=16, exact=1),
        request("triple", kind="divide", left=[1], right=[1]),
        request("triple", kind="multiply", left=[1.5], right=[1]),
        request("triple", kind="multiply", left="1", right=[1]),
        request("sign", command="rm"),
    ],
    ids=str,
)
def test_requests_for_nothing_that_is_dealt_are_refused(data: bytes) -> None:
    with pytest.raises(IdentityError):
        decode_request(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 4000,
        request("truncation"),
        request("sign", count=1, size=4),
        request("triple", kind="multiply", left=[2]),
        request("triple", kind="multiply", left=[2], right=[3]),
        request("triple", kind="multiply", left=[2], right=[2], left_holder=9),
        request("triple", kind="matmul", left=[2**32, 2**32], right=[2**32, 2**32]),
        request("one-hot", count=1, size=0),
    ],
    ids=lambda data: data[:120].decode(),
)
def test_requests_that_cannot_be_dealt_end_with_a_code(data: bytes) -> None:
    """Well-formed or not, what a party sends never ends the dealer with a traceback."""
    ends = threads(["a", "b", "dealer"], deadline=5.0)
    for party in (0, 1):
        ends[party].send(2, bytes(32))
    ends[0].send(2, data)
    with pytest.raises(IdentityError) as caught:
        mpc.run_dealer(ends[2])
    assert caught.value.code == "malformed-request"


def test_nothing_is_dealt_under_one_number_twice() -> None:
    keys = Keys({0: bytes(32)}, b"")
    first = keys.stream(0, "deal", (1, 1)).bytes(16)
    assert keys.stream(0, "deal", (1, 2)).bytes(16) != first
    assert keys.stream(0, "zero", (1, 1)).bytes(16) != first
    with pytest.raises(InternalError):
        keys.stream(0, "deal", (1, 1))


def test_each_bit_of_a_common_secret_counts() -> None:
    """All 256 of them, unlike seeds that are folded to 32 bits somewhere."""
    plain = Keys({0: bytes(32)}, b"").stream(0, "deal", (1, 1)).bytes(16)
    for bit in range(256):
        secret = bytearray(32)
        secret[bit // 8] ^= 1 << bit % 8
        assert Keys({0: bytes(secret)}, b"").stream(0, "deal", (1, 1)).bytes(16) != plain


@pytest.mark.parametrize("length", [0, 7, 15, 17, 24])
def test_messages_of_another_length_are_refused(length: int) -> None:
    word = np.dtype(np.uint64)
    ends = threads(["a", "b"])
    ends[0].send(1, bytes(length))
    with pytest.raises(IdentityError):
        Link(ends[1], Keys({0: bytes(32)}, b"")).receive(0, [((1,), word), ((1,), word)])
    source = PartySource(Group(1, (0, 1)), Keystream(bytes(16)))
    source.fixed(lambda: np.zeros(2, dtype=np.uint64), (2,))
    with pytest.raises(IdentityError):
        source.finish(memoryview(bytes(length)))


def test_the_package_loads_neither_torch_nor_scipy() -> None:
    code = "import sys, reticent.mpc; print(sorted({'torch', 'scipy', 'tenseal'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_exports_are_sorted_and_there() -> None:
    assert mpc.__all__ == sorted(mpc.__all__)
    assert all(hasattr(mpc, name) for name in mpc.__all__)
    for word in ("GUARANTEE.", "ADVERSARY.", "COST.", "emi-honest"):
        assert word in (mpc.__doc__ or "")
    assert "emi-honest" in (mpc.Dealer.__doc__ or "")
    assert "emi-honest" in (mpc.Session.__doc__ or "")
