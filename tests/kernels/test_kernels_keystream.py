"""The keystream inside the kernels is AES-128 in counter mode: published answers, and the library's own stream."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reticent.randomness import Keystream

SP_800_38A = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
FIPS_197 = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
ZERO = bytes(16)
# (key, counter, block of the keystream)
KNOWN = [
    (ZERO, 0, "66e94bd4ef8a2c3b884cfa59ca342b2e"),
    (ZERO, 1, "58e2fccefa7e3061367f1d57a4e7455a"),
    (ZERO, 2, "0388dace60b6a392f328c2b971b2fe78"),
]


def stream(native: ModuleType, level: str, key: bytes, block: int, words: int) -> NDArray[np.uint64]:
    out = np.empty(words, dtype=np.uint64)
    native.keystream(level, key, block, out)
    return out


@pytest.fixture(params=["avx512", "avx2"])
def aes(request: pytest.FixtureRequest, native: ModuleType) -> str:
    """Return one level with AES instructions; the level plain takes its keystream from the library `cryptography`."""
    if request.param not in native.levels():
        pytest.skip(f"this processor has no level {request.param}: it was not tested")
    return str(request.param)


def encrypted(key: bytes, block: bytes) -> str:
    """Return one block of `Keystream`'s cipher, by the counter that equals the plaintext."""
    return Keystream(key, block=int.from_bytes(block, "big")).bytes(16).hex()


def test_published_answers_of_the_library_stream() -> None:
    """FIPS 197, appendix C.1, and the counter blocks of SP 800-38A, F.5.1 (output blocks 1 and 2)."""
    assert encrypted(FIPS_197, bytes.fromhex("00112233445566778899aabbccddeeff")) == "69c4e0d86a7b0430d8cdb78070b4c55a"
    counter = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    found = Keystream(SP_800_38A, block=int.from_bytes(counter, "big")).bytes(32).hex()
    assert found == "ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae"


@pytest.mark.parametrize(("key", "counter", "block"), KNOWN)
def test_published_answers_of_the_kernels(native: ModuleType, aes: str, key: bytes, counter: int, block: str) -> None:
    """Encryptions of 0, 1 and 2 under the zero key, as in test cases 1 and 2 of the GCM specification."""
    assert stream(native, aes, key, counter, 2).astype("<u8").tobytes().hex() == block
    assert encrypted(key, counter.to_bytes(16, "big")) == block


@pytest.mark.parametrize("words", [0, 1, 2, 3, 15, 64, 511, 512, 513, 5000])
@pytest.mark.parametrize("block", [0, 1, 7, 255, 2**32 - 5, 2**63 + 11])
def test_every_place_equals_the_library_stream(native: ModuleType, aes: str, words: int, block: int) -> None:
    for key in (SP_800_38A, FIPS_197, bytes(range(200, 216))):
        assert np.array_equal(stream(native, aes, key, block, words), Keystream(key, block=block).words(words))


def test_a_skipped_block_is_noticed(native: ModuleType, aes: str) -> None:
    """Broken copy: the counter is one too high from the second kilobyte on."""
    whole = Keystream(FIPS_197).words(1024)
    broken = np.concatenate([stream(native, aes, FIPS_197, 0, 512), stream(native, aes, FIPS_197, 257, 512)])
    assert np.array_equal(whole[:512], broken[:512])
    assert not np.any(whole[512:] == broken[512:])


@pytest.mark.parametrize("key", [b"", bytes(15), bytes(32)])
def test_a_key_of_another_length_is_refused(native: ModuleType, aes: str, key: bytes) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        stream(native, aes, key, 0, 2)


@pytest.mark.parametrize("target", [np.empty(4, np.int64), np.empty(8, np.uint64)[::2], np.empty((2, 2), np.uint64)])
def test_a_target_is_never_converted_to_a_copy(native: ModuleType, aes: str, target: NDArray[Any]) -> None:
    with pytest.raises(TypeError):
        native.keystream(aes, ZERO, 0, target)
