"""What every channel keeps, over queues and over TLS alike."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reticent import channels
from reticent.errors import QuorumLost, ReticentError, UsageError

Meet = Callable[..., list[channels.Channel]]


def together(parts: list[Callable[[], Any]]) -> list[Any]:
    """Run the parts in threads; return what each returned or raised."""
    found: list[Any] = [None] * len(parts)

    def run(index: int) -> None:
        try:
            found[index] = parts[index]()
        except Exception as error:
            found[index] = error

    running = [threading.Thread(target=run, args=(index,)) for index in range(len(parts))]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(timeout=30.0)
        assert not thread.is_alive()
    return found


def test_messages_arrive_whole_and_in_order(meet: Meet) -> None:
    """Sizes around the borders of records, pieces and of nothing; all send first and receive then."""
    sizes = [0, 1, 8, 16_374, 16_375, 16_376, 16_384, 131_072, 147_447, 300_001, 0, 5]
    ends = meet("a", "b", "c")

    def part(end: channels.Channel) -> list[tuple[int, int]]:
        others = [party for party in range(3) if party != end.party]
        for size in sizes:
            for to in others:
                end.send(to, bytes([end.party * 3 + to]) * size)
        got = []
        for size in sizes:
            for sender in others:
                data = end.receive(sender)
                assert bytes(data) == bytes([sender * 3 + end.party]) * size
                got.append((sender, len(data)))
        end.close()
        return got

    results = together([lambda end=end: part(end) for end in ends])
    assert all(len(result) == 2 * len(sizes) for result in results)
    assert [end.bytes_sent for end in ends] == [2 * sum(sizes)] * 3
    assert [end.messages_sent for end in ends] == [2 * len(sizes)] * 3


def test_what_was_sent_may_be_changed_at_once(meet: Meet) -> None:
    """Send takes a copy of what it cannot hand over; arrays of any shape and type go through."""
    here, there = meet("here", "there")
    words = np.arange(500_000, dtype=np.uint64).reshape(1000, 500)
    expected = words.copy()

    def send() -> None:
        here.send(1, words.data)
        words[:] = 0
        here.send(1, np.empty((0, 3), dtype=np.uint64).data)
        here.close()

    def receive() -> np.ndarray:
        time.sleep(0.2)
        got = np.frombuffer(there.receive(0), dtype=np.uint64)
        assert len(there.receive(0)) == 0
        there.close()
        return got

    _, got = together([send, receive])
    np.testing.assert_array_equal(got.reshape(1000, 500), expected)


@pytest.mark.parametrize(
    "sizes",
    [(), (0,), (3, 0, 5), (5, 70_000, 3), (40_000, 40_000), (16_375, 300_000, 1, 32_768, 32_769), (9,) * 9_000],
    ids=lambda sizes: f"{len(sizes)}-{sum(sizes)}",
)
def test_parts_are_one_message(meet: Meet, sizes: tuple[int, ...]) -> None:
    here, there = meet("here", "there")
    parts = [np.random.default_rng(at).bytes(size) for at, size in enumerate(sizes)]
    here.send(1, [memoryview(part) if at % 2 else part for at, part in enumerate(parts)])
    here.send(1, b"next")
    assert bytes(there.receive(0)) == b"".join(parts)
    assert bytes(there.receive(0)) == b"next"
    assert here.bytes_sent == sum(sizes) + 4
    assert here.messages_sent == 2
    together([here.close, there.close])


def test_send_does_not_wait_for_a_party_that_does_not_receive(meet: Meet) -> None:
    """More than any kernel buffer, and the other side reads no byte before all is sent; closing hands it over."""
    here, there = meet("here", "there", deadline=20.0)
    sent = threading.Event()

    def send() -> None:
        for _ in range(16):
            here.send(1, bytes(1 << 20))
        sent.set()
        here.close()

    def receive() -> int:
        assert sent.wait(timeout=20.0)
        got = sum(len(there.receive(0)) for _ in range(16))
        there.close()
        return got

    assert together([send, receive]) == [None, 16 << 20]


def test_a_failure_is_heard_past_a_party_that_hears_nothing(meet: Meet) -> None:
    """a waits for b, who computes; c fails: a need not wait for b to hear of it."""
    ends = meet("a", "b", "c", deadline=20.0)
    heard = threading.Event()

    def waits() -> None:
        try:
            with ends[0]:
                ends[0].receive(1)
        finally:
            heard.set()

    def fails() -> None:
        ends[2].abort()

    a, b, _ = together([waits, lambda: heard.wait(timeout=10.0), fails])
    assert b
    assert isinstance(a, QuorumLost)
    assert "'c'" in a.message


def test_a_party_that_raises_is_named_to_all_even_to_those_waiting_elsewhere(meet: Meet) -> None:
    """c fails; b waits for c, a waits for b."""
    ends = meet("a", "b", "c", deadline=20.0)

    def waits(end: channels.Channel, sender: int) -> None:
        with end:
            end.receive(sender)

    def fails() -> None:
        with ends[2]:
            raise ArithmeticError

    start = time.monotonic()
    a, b, c = together([lambda: waits(ends[0], 1), lambda: waits(ends[1], 2), fails])
    assert time.monotonic() - start < 5.0
    assert isinstance(c, ArithmeticError)
    for error in (a, b):
        assert isinstance(error, QuorumLost)
        assert error.code == "party-lost"
        assert "'c'" in error.message


def test_a_silent_party_is_named_to_all_within_the_deadline(meet: Meet) -> None:
    """c neither speaks nor waits: b waits for it, a waits for b from before; both name c."""
    ends = meet("a", "b", "c", deadline=2.0)
    release = threading.Event()

    def waits(end: channels.Channel, sender: int, pause: float) -> None:
        with end:
            time.sleep(pause)
            end.receive(sender)

    def silent() -> None:
        release.wait(timeout=10.0)

    start = time.monotonic()
    took: list[float] = []

    def both() -> list[Any]:
        found = together([lambda: waits(ends[0], 1, 0.0), lambda: waits(ends[1], 2, 0.0)])
        took.append(time.monotonic() - start)
        release.set()
        return found

    found, _ = together([both, silent])
    assert took[0] < 2.0 + 0.5
    for error in found:
        assert isinstance(error, QuorumLost)
        assert "'c'" in error.message
        assert "'a'" not in error.message


def test_a_computing_party_is_not_taken_for_dead(meet: Meet) -> None:
    """b computes for half of the deadline and only then sends, several times: a waits longer than the deadline."""
    a, b = meet("a", "b", deadline=1.0)

    def compute() -> None:
        for _ in range(3):
            time.sleep(0.5)
            b.send(0, b"x")
        b.close()

    def wait() -> int:
        got = sum(len(a.receive(1)) for _ in range(3))
        a.close()
        return got

    assert together([compute, wait])[1] == 3


def test_waiting_in_a_circle_is_told_from_failing(meet: Meet) -> None:
    """Programs that took different branches: nobody is to blame, and all learn it well within the deadline."""
    ends = meet("a", "b", "c", deadline=2.0)

    def waits(end: channels.Channel) -> None:
        with end:
            end.send((end.party + 1) % 3, b"one")
            end.receive((end.party + 2) % 3)
            end.receive((end.party + 2) % 3)

    found = together([lambda end=end: waits(end) for end in ends])
    assert all(isinstance(error, ReticentError) for error in found)
    assert "programs-diverged" in {error.code for error in found}


def test_a_party_that_ended_early_is_named(meet: Meet) -> None:
    """What it sent is still read; what it never sent is an error."""
    a, b = meet("a", "b")

    def end() -> None:
        b.send(0, b"last")
        b.close()

    def read() -> bytes:
        first = bytes(a.receive(1))
        with pytest.raises(QuorumLost, match="'b'"):
            a.receive(1)
        with pytest.raises(QuorumLost, match="'b'"):
            a.receive(1)
        return first

    assert together([end, read])[1] == b"last"


def test_numbers_of_nobody_and_uses_after_the_end(meet: Meet) -> None:
    a, b = meet("a", "b")
    for number in (0, 2, -1):
        with pytest.raises(UsageError, match=f"party {number}"):
            a.send(number, b"")
        with pytest.raises(UsageError, match=f"party {number}"):
            a.receive(number)
    together([a.close, b.close])
    with pytest.raises(QuorumLost):
        b.receive(0)


@pytest.mark.parametrize("names", [(), ("a",), ("a", "a"), ("a", "")])
def test_parties_that_cannot_be_told_apart(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="parties"):
        channels.threads(names)
