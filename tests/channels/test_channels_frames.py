"""Frames from a stream cut anywhere, and from an enemy."""

from __future__ import annotations

import tracemalloc
import unittest.mock
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reticent.channels import frames
from reticent.channels.frames import FrameReader, Kind, header
from reticent.channels.hello import HELLO_BYTES, Hello, check_hello
from reticent.errors import IdentityError, ReticentError
from reticent.messages import decode, encode

LIMIT = 1 << 20


def feed(reader: FrameReader, stream: bytes, cuts: list[int]) -> list[tuple[Kind, bytes]]:
    """Write `stream` into the reader in pieces of the sizes `cuts`, over and over."""
    found: list[tuple[Kind, bytes]] = []
    at, turn = 0, 0
    while at < len(stream):
        space = reader.space()
        piece = stream[at : at + min(cuts[turn % len(cuts)], space.nbytes)]
        space[: len(piece)] = piece
        found += [(kind, bytes(body)) for kind, body in reader.take(len(piece))]
        at, turn = at + len(piece), turn + 1
    return found


def code_of(act: Callable[[], object]) -> str | None:
    """Return the code that `act` was refused with."""
    try:
        act()
    except IdentityError as error:
        return error.code
    return None


messages = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.one_of(st.binary(max_size=40), st.integers(0, 60_000).map(bytes))),
    max_size=6,
)


@given(messages, st.lists(st.integers(1, frames.RECORD_BYTES), min_size=1, max_size=5))
def test_frames_come_out_as_they_went_in_wherever_the_stream_is_cut(
    sent: list[tuple[Kind, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(header(kind, len(body)) + body for kind, body in sent)
    assert feed(FrameReader("peer", LIMIT), stream, cuts) == sent


@given(st.binary(max_size=200), st.lists(st.integers(1, 50), min_size=1, max_size=3))
def test_any_bytes_are_frames_or_refused(stream: bytes, cuts: list[int]) -> None:
    """No other exception, and no memory for lengths that are only announced."""
    tracemalloc.start()
    code = code_of(lambda: feed(FrameReader("peer", LIMIT), stream, cuts))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert code in {None, "frame-too-long", "malformed-frame"}
    assert most < 4 * LIMIT


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name)
def test_lengths_over_the_limit_are_refused_before_the_body(kind: Kind) -> None:
    limit = LIMIT if kind == Kind.DATA else 1 << 16
    assert feed(FrameReader("peer", LIMIT), header(kind, limit), [9]) == []
    for length in (limit + 1, 2**63, 2**64 - 1):
        with pytest.raises(IdentityError) as caught:
            feed(FrameReader("peer", LIMIT), header(kind, length), [9])
        assert caught.value.code == "frame-too-long"
        assert "'peer'" in caught.value.message


@given(st.binary(max_size=80), st.integers(2, 4))
def test_bodies_of_control_frames_are_what_was_written_or_refused(body: bytes, parties: int) -> None:
    view = memoryview(body)

    def alive() -> None:
        assert frames.alive_body(*frames.read_alive(view, "peer", parties)) == body

    def abort() -> None:
        assert frames.abort_body(frames.read_abort(view, "peer", parties)) == body

    assert {code_of(alive), code_of(abort)} <= {None, "malformed-frame"}


OWN = Hello("s", 0, 1, ("a", "b"), {"program": "p"}, bytes(32))


@given(st.binary(max_size=300))
def test_any_bytes_are_no_hello(data: bytes) -> None:
    with pytest.raises(ReticentError):
        check_hello(data, OWN, b"")


@given(st.data())
def test_a_hello_with_a_byte_changed_is_refused_or_harmless(data: st.DataObject) -> None:
    """Anything but another nonce is refused: whatever else a hello says is compared."""
    theirs = Hello("s", 1, 0, ("a", "b"), {"program": "p"}, bytes(32))
    raw = bytearray(encode(theirs))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with unittest.mock.patch("reticent.channels.hello.session_of", return_value=True):
        try:
            check_hello(bytes(raw), OWN, b"")
        except ReticentError:
            return
    changed = decode(bytes(raw), Hello, limit=HELLO_BYTES)
    assert changed.nonce != theirs.nonce
