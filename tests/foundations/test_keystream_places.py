"""A keystream can begin at any place, and hands out keys that it will never give again."""

from __future__ import annotations

import numpy as np
import pytest

from reticent.randomness import Keystream

KEY = bytes(range(16))


@pytest.mark.parametrize("block", [0, 1, 5, 40])
def test_a_place_holds_what_the_stream_gives_there(block: int) -> None:
    whole = Keystream(KEY).words(100)
    assert np.array_equal(Keystream(KEY, block=block).words(100 - 2 * block), whole[2 * block :])


def test_the_upper_half_of_the_counter_is_another_place() -> None:
    """Broken copy: a counter cut to 64 bits would begin at 0 again, and give the first words a second time."""
    first = Keystream(KEY).bytes(16)
    assert Keystream(KEY, block=1 << 64).bytes(16) not in (first, Keystream(KEY, block=1).bytes(16))


def test_a_subkey_is_taken_out_of_the_stream() -> None:
    stream, twin = Keystream(KEY), Keystream(KEY)
    keys = [stream.subkey() for _ in range(3)]
    assert keys == [twin.bytes(16) for _ in range(3)]
    assert len(set(keys)) == 3
    assert stream.bytes(8) == twin.bytes(8)
