"""Known answers, seed entropy, single use."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import random
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from reticent.errors import InternalError
from reticent.randomness import Keystream, derive, secret


def test_known_answer_aes_128_of_a_zero_counter() -> None:
    # NIST's AES-128 of the zero block under the key 000102..0f.
    stream = Keystream(bytes(range(16))).bytes(32)
    assert stream[:16].hex() == "c6a13b37878f5b826f4f8162a1c8d879"
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    block = Cipher(algorithms.AES(bytes(range(16))), modes.ECB()).encryptor()  # an independent mode of the same cipher
    assert stream == block.update((0).to_bytes(16, "big") + (1).to_bytes(16, "big"))


def test_known_answer_hkdf_rfc5869_case_3() -> None:
    # RFC 5869, A.3, has empty info, which we refuse; A.1 has a salt. So: the definition, by hmac.
    import hashlib
    import hmac

    secret_bytes, info = b"\x0b" * 22, b"\xf0\xf1\xf2"
    key = hmac.new(bytes(32), secret_bytes, hashlib.sha256).digest()
    first = hmac.new(key, info + b"\x01", hashlib.sha256).digest()
    second = hmac.new(key, first + info + b"\x02", hashlib.sha256).digest()
    assert derive(secret_bytes, info=info, length=42) == (first + second)[:42]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 100_000), max_size=6))
def test_any_way_of_cutting_gives_the_same_stream(cuts: list[int]) -> None:
    whole = Keystream(b"k" * 16).bytes(sum(cuts))
    stream = Keystream(b"k" * 16)
    assert b"".join(stream.bytes(n) for n in cuts) == whole


def test_words_are_little_endian_and_fill_agrees() -> None:
    words = Keystream(b"k" * 16).words(20_000)
    assert words.astype("<u8").tobytes() == Keystream(b"k" * 16).bytes(160_000)
    half = np.empty(40_000, np.uint32)
    Keystream(b"k" * 16).fill(half)
    assert half.astype("<u4").tobytes() == words.astype("<u8").tobytes()


def _bits_that_matter(derivation: object) -> int:
    base, changed = secret(32), 0
    reference = Keystream(derivation(base)).bytes(64)  # type: ignore[operator]
    for bit in range(256):
        flipped = bytearray(base)
        flipped[bit // 8] ^= 1 << (bit % 8)
        changed += Keystream(derivation(bytes(flipped))).bytes(64) != reference  # type: ignore[operator]
    return changed


def _folded(seed: bytes) -> bytes:
    low = int.from_bytes(seed, "little") % 2**32  # what a generator seeded mod 2^32 keeps
    return derive(low.to_bytes(16, "little"), info=b"x", length=16)


def test_every_one_of_256_seed_bits_changes_the_stream() -> None:
    assert _bits_that_matter(lambda seed: derive(seed, info=b"x", length=16)) == 256


def test_broken_copy_seed_reduced_to_32_bits_is_caught() -> None:
    assert _bits_that_matter(_folded) < 256


def test_xor_folding_to_32_bits_is_caught_by_colliding_seeds() -> None:
    # Folding by xor passes the flip test, since each single bit still counts: two flips in one column do not.
    def fold(seed: bytes) -> bytes:
        column = 0
        for i in range(0, 32, 4):
            column ^= int.from_bytes(seed[i : i + 4], "little")
        return derive(column.to_bytes(16, "little"), info=b"x", length=16)

    def pairs_that_matter(derivation: object) -> int:
        base = secret(32)
        reference = derivation(base)  # type: ignore[operator]
        changed = 0
        for bit in range(224):
            flipped = bytearray(base)
            flipped[bit // 8] ^= 1 << (bit % 8)
            flipped[bit // 8 + 4] ^= 1 << (bit % 8)
            changed += derivation(bytes(flipped)) != reference  # type: ignore[operator]
        return changed

    assert pairs_that_matter(lambda seed: derive(seed, info=b"x", length=16)) == 224
    assert pairs_that_matter(fold) == 0


def test_info_separates_keys() -> None:
    shared = secret(32)
    assert derive(shared, info=b"a") != derive(shared, info=b"b")


def test_fresh_streams_are_uniform_and_different() -> None:
    """Chi-square over the byte values of 1 MiB; false alarm 1e-7."""
    one, two = Keystream.fresh().bytes(1 << 20), Keystream.fresh().bytes(1 << 20)
    assert one != two
    counts = np.bincount(np.frombuffer(one, np.uint8), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-7


def test_seeded_global_generators_do_not_matter() -> None:
    seen = set()
    for _ in range(3):
        random.seed(7)
        np.random.seed(7)
        seen.add((Keystream.fresh().bytes(16), secret(16)))
    assert len(seen) == 3


def test_a_stream_is_not_copied_or_pickled() -> None:
    stream = Keystream.fresh()
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(InternalError, match="copied"):
            duplicate(stream)
    assert repr(stream) == "Keystream(...)"


def _child(stream: Keystream, queue: multiprocessing.SimpleQueue[str]) -> None:
    try:
        queue.put(stream.bytes(8).hex())
    except InternalError as error:
        queue.put(error.code)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_stream_does_not_survive_a_fork() -> None:
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.SimpleQueue[str] = context.SimpleQueue()
    stream = Keystream.fresh()
    process = context.Process(target=_child, args=(stream, queue))
    process.start()
    assert queue.get() == "keystream-forked"
    process.join()


def test_refusals() -> None:
    with pytest.raises(InternalError, match="key of 32 bytes"):
        Keystream(bytes(32))
    with pytest.raises(InternalError, match="4 bytes of secret"):
        derive(b"1234", info=b"x")
    with pytest.raises(InternalError, match="0 bytes of info"):
        derive(bytes(32), info=b"")
    with pytest.raises(InternalError, match="not contiguous"):
        Keystream.fresh().fill(np.empty((4, 4), np.uint64)[:, ::2])
