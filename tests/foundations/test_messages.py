"""One value, one encoding; and whatever an enemy sends gives a value or the one error."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from reticent.errors import IdentityError, InternalError
from reticent.messages import decode, encode, record


@record("test.everything", version=3)
@dataclass(frozen=True)
class Everything:
    integer: int = 0
    number: float = 0.0
    truth: bool = False
    text: str = ""
    raw: bytes = b""
    single: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    double: NDArray[np.float64] = field(default_factory=lambda: np.zeros(()))
    any_array: NDArray[Any] = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    floats: tuple[float, ...] = ()
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[np.uint64]] = field(default_factory=dict)
    maybe: int | None = None
    maybe_array: NDArray[np.int64] | None = None


@record("test.checked", version=1)
@dataclass(frozen=True)
class Checked:
    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share {self.share}")


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (two.dtype, two.shape, two.tobytes())
    if isinstance(one, Mapping):
        return one.keys() == two.keys() and all(_equal(one[key], two[key]) for key in one)
    if isinstance(one, float):
        return struct.pack("<d", one) == struct.pack("<d", two)
    if isinstance(one, tuple):
        return len(one) == len(two) and all(map(_equal, one, two))
    return type(one) is type(two) and one == two


def same(one: Any, two: Any) -> bool:
    return all(_equal(getattr(one, f.name), getattr(two, f.name)) for f in fields(one))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(width=64)
shapes = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


def arrays(dtype: Any) -> Any:
    return npst.arrays(dtype, shapes)


everything = st.builds(
    Everything,
    integer=integers,
    number=floats,
    truth=st.booleans(),
    text=texts,
    raw=st.binary(max_size=9),
    single=arrays(np.float32),
    double=arrays(np.float64),
    any_array=st.one_of(*(arrays(kind) for kind in (np.float32, np.int64, np.uint8, np.uint32, np.uint64))),
    names=st.lists(texts, max_size=3).map(tuple),
    numbers=st.lists(integers, max_size=3).map(tuple),
    floats=st.lists(floats, max_size=3).map(tuple),
    blobs=st.dictionaries(texts, st.binary(max_size=5), max_size=3),
    counts=st.dictionaries(texts, integers, max_size=3),
    arrays=st.dictionaries(texts, arrays(np.uint64), max_size=3),
    maybe=st.none() | integers,
    maybe_array=st.none() | arrays(np.int64),
)


@settings(max_examples=150, deadline=None)
@given(everything)
def test_round_trip_is_exact_and_canonical(value: Everything) -> None:
    data = encode(value)
    back = decode(data, Everything, limit=len(data))
    assert same(value, back)
    assert encode(back) == data


def test_order_of_a_mapping_and_byte_order_do_not_matter() -> None:
    one = Everything(blobs={"b": b"1", "a": b"2"}, double=np.arange(6.0).reshape(2, 3))
    two = Everything(blobs={"a": b"2", "b": b"1"}, double=np.asfortranarray(np.arange(6.0).reshape(2, 3)).astype(">f8"))
    assert encode(one) == encode(two)


def test_nan_payloads_survive() -> None:
    odd = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_1234))[0]
    assert encode(decode(encode(Everything(number=odd)), Everything, limit=10_000)) == encode(Everything(number=odd))


def test_arrays_own_aligned_writable_memory() -> None:
    back = decode(encode(Everything(double=np.ones(3))), Everything, limit=10_000)
    assert back.double.flags.writeable
    assert back.double.flags.aligned
    assert back.double.flags.owndata


def _sample() -> bytes:
    return encode(
        Everything(
            integer=-5,
            number=1.5,
            truth=True,
            text="ä",
            raw=b"abc",
            single=np.ones((2, 2), np.float32),
            names=("a", "b"),
            numbers=(1, 2),
            blobs={"x": b"1", "y": b"2"},
            arrays={"x": np.ones(2, np.uint64)},
            maybe=4,
        )
    )


def check_parser(data: bytes) -> bool:
    """A value whose encoding is `data` itself, or IdentityError and nothing else: True if accepted."""
    try:
        value = decode(data, Everything, limit=1 << 20)
    except IdentityError:
        return False
    assert encode(value) == data
    return True


def test_every_single_bit_flip_is_refused_or_canonical() -> None:
    data = _sample()
    assert check_parser(data)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        check_parser(bytes(flipped))


def test_every_truncation_and_extension_is_refused() -> None:
    data = _sample()
    assert check_parser(data)
    assert not any(check_parser(data[:n]) for n in range(len(data)))
    assert not check_parser(data + b"\0")


def test_bytes_after_the_last_field_are_refused_even_if_the_length_counts_them() -> None:
    data = bytearray(_sample() + b"\0")
    data[5:13] = struct.pack("<Q", len(data))
    assert not check_parser(bytes(data))


def test_random_edits_and_random_bytes() -> None:
    generator = random.Random(3)
    data = _sample()
    for _ in range(3000):
        edited = bytearray(data)
        for _ in range(generator.randint(1, 6)):
            place = generator.randrange(13, len(edited))
            match generator.randrange(3):
                case 0:
                    edited[place] = generator.choice((0, 1, 0x7F, 0x80, 0xFF, generator.randrange(256)))
                case 1:
                    del edited[place : place + generator.randint(1, 4)]
                case _:
                    edited[place:place] = generator.randbytes(generator.randint(1, 8))
            if len(edited) <= 14:
                break
        edited[5:13] = struct.pack("<Q", len(edited))  # past the length check, into the fields
        check_parser(bytes(edited))
    for size in range(200):
        check_parser(generator.randbytes(size))


def test_huge_claims_allocate_nothing() -> None:
    data = bytearray(_sample())
    assert check_parser(bytes(data))
    tracemalloc.start()
    for place in range(13, len(data) - 8):
        claim = bytearray(data)
        claim[place : place + 8] = struct.pack("<Q", 2**40)
        check_parser(bytes(claim))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize("dimension", [2**40, 2**62, 2**63, 2**64 - 1])
def test_zero_sized_array_with_an_impossible_dimension(dimension: int) -> None:
    # Without the check numpy accepts (0, 2**40), and whoever allocates by that shape later runs out of memory.
    data = encode(Everything(single=np.zeros((0, 7), np.float32)))
    place = data.index(struct.pack("<2Q", 0, 7))
    assert check_parser(data)
    assert not check_parser(data[:place] + struct.pack("<2Q", 0, dimension) + data[place + 16 :])


def test_refusals_do_not_quote_content() -> None:
    data = encode(Checked(0.25)).replace(struct.pack("<d", 0.25), struct.pack("<d", 123.456))
    with pytest.raises(IdentityError) as caught:
        decode(data, Checked, limit=1000)
    assert "123.456" not in str(caught.value)
    assert "not allowed" in caught.value.message


@pytest.mark.parametrize("limit", [0, 50, 99])
def test_limit(limit: int) -> None:
    with pytest.raises(IdentityError, match="over the limit"):
        decode(encode(Everything(raw=bytes(100))), Everything, limit=limit)


def test_other_kind_or_version() -> None:
    @record("test.checked", version=2)
    @dataclass(frozen=True)
    class Newer:
        share: float

    with pytest.raises(IdentityError, match="version 2"):
        decode(encode(Checked(0.5)), Newer, limit=1000)


def test_duplicate_and_unordered_keys_are_refused() -> None:
    data = encode(Everything(blobs={"x": b"1", "y": b"2"}))
    one, two = b"\x04\x01\0\0\0x", b"\x04\x01\0\0\0y"
    assert one in data
    assert not check_parser(data.replace(two, one))
    assert not check_parser(data.replace(one, b"?").replace(two, one).replace(b"?", two))


@pytest.mark.parametrize(
    "bad",
    [
        Everything(integer=2**63),
        Everything(integer=True),
        Everything(integer=1.0),  # type: ignore[arg-type]
        Everything(truth=1),  # type: ignore[arg-type]
        Everything(text="\ud800"),
        Everything(raw=bytearray(b"x")),  # type: ignore[arg-type]
        Everything(single=np.zeros(1)),  # type: ignore[arg-type]
        Everything(any_array=np.array([object()])),
        Everything(names=["a"]),  # type: ignore[arg-type]
        Everything(blobs={1: b""}),  # type: ignore[dict-item]
        Everything(maybe="x"),  # type: ignore[arg-type]
    ],
)
def test_values_of_another_type_are_not_encoded(bad: Everything) -> None:
    with pytest.raises(InternalError) as caught:
        encode(bad)
    assert caught.value.code == "unencodable"


def test_types_that_cannot_travel_are_refused_at_definition() -> None:
    with pytest.raises(InternalError, match="field of type"):

        @record("test.bad", version=1)
        @dataclass(frozen=True)
        class Bad:
            anything: object

    with pytest.raises(InternalError, match="frozen"):

        @record("test.bad", version=1)
        @dataclass
        class Loose:
            number: int

    with pytest.raises(InternalError, match="not a record"):
        encode(object())
