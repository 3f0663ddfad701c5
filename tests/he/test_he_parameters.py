"""Parameters: the security table, exact scales, and derivation from depth, bound and precision."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reticent.errors import UsageError
from reticent.he import SECURITY_BITS, Parameters, derive
from reticent.he.derive import product_error


def check_that_160_bits_are_refused_at_4096(kind: type[Parameters]) -> None:
    with pytest.raises(UsageError) as caught:
        kind(4096, (60,), (40,), 60, 40, 1.0, 1e-3)
    assert caught.value.code == "insecure-parameters"
    assert "8192" in caught.value.hint


def test_the_guides_160_bits_at_4096_are_refused() -> None:
    check_that_160_bits_are_refused_at_4096(Parameters)


def test_a_copy_that_does_not_count_the_special_prime_is_caught() -> None:
    """60 + 40 bits of data primes alone would pass the table at 4096."""

    class Broken(Parameters):
        @property
        def total_bits(self) -> int:
            return sum(self.base_bits) + sum(self.level_bits)

    with pytest.raises(pytest.fail.Exception):
        check_that_160_bits_are_refused_at_4096(Broken)


@pytest.mark.parametrize("degree", SECURITY_BITS)
def test_the_table_is_that_of_the_library(degree: int) -> None:
    """SEAL carries the table of the standard too: two sources that must agree."""
    sealapi = pytest.importorskip("tenseal.sealapi")
    assert sealapi.CoeffModulus.MaxBitCount(degree, sealapi.SEC_LEVEL_TYPE.TC128) == SECURITY_BITS[degree]


@pytest.mark.parametrize("degree", [4096, 8192, 16384, 32768])
def test_the_edge_of_the_table(degree: int) -> None:
    """As many bits as allowed pass; one more is refused."""
    room = SECURITY_BITS[degree] - 59
    depth = (room - 49) // 30
    base = room - 30 * depth
    bits = (base,) if base < 59 else (base // 2, base - base // 2)
    assert Parameters(degree, bits, (30,) * depth, 59, 30, 1.0, 1e-3).total_bits == SECURITY_BITS[degree]
    with pytest.raises(UsageError, match=f"{SECURITY_BITS[degree] + 1} bits"):
        Parameters(degree, bits, (30,) * depth, 60, 30, 1.0, 1e-3)


@pytest.mark.parametrize(
    "change",
    [
        {"degree": 5000},
        {"base_bits": ()},
        {"base_bits": (61,)},
        {"special_bits": 39},
        {"precision": 0.0},
        {"precision": 200.0},
        {"bound": math.inf},
        {"bound": math.nan},
        {"scale_bits": 30},
        {"bound": 1e9},
    ],
    ids=str,
)
def test_numbers_that_make_no_scheme_are_refused(change: dict[str, object]) -> None:
    sound = Parameters(8192, (50,), (40, 40), 60, 40, 100.0, 1e-4)
    with pytest.raises(UsageError) as caught:
        dataclasses.replace(sound, **change)  # type: ignore[arg-type]
    assert caught.value.code == "invalid-parameters"


@settings(max_examples=30, deadline=None)
@given(
    depth=st.integers(0, 8),
    bound=st.floats(0.1, 1000.0),
    digits=st.integers(1, 5),
)
def test_derived_parameters_keep_what_was_asked(depth: int, bound: float, digits: int) -> None:
    precision = min(bound, 10.0**-digits)
    try:
        parameters = derive(depth=depth, bound=bound, precision=precision)
    except UsageError as error:
        if error.code != "no-parameters" or bound ** (depth + 1) / precision < 2**40:
            raise
        return
    assert parameters.total_bits <= SECURITY_BITS[parameters.degree]
    assert parameters.depth == depth
    assert parameters.capacity(0) >= bound ** (depth + 1)
    assert product_error(parameters) <= precision / 2
    assert len(set(parameters.primes)) == len(parameters.primes) == len(parameters.base_bits) + depth + 1
    for bits, prime in zip((*parameters.base_bits, *parameters.level_bits), parameters.primes, strict=False):
        assert prime.bit_length() == bits
        assert prime % (2 * parameters.degree) == 1
        assert all(prime % small for small in (3, 5, 7, 11, 13))
    for level in range(1, depth + 1):
        assert parameters.scale(level - 1) == parameters.scale(level) ** 2 / parameters.prime(level)


@pytest.mark.parametrize(
    ("degree", "bits", "depth"), [(8192, 30, 3), (16384, 30, 11), (32768, 30, 25), (32768, 40, 18)]
)
def test_scales_do_not_drift_with_depth(degree: int, bits: int, depth: int) -> None:
    """Uncorrected, a scale off by 1e-3 of its prime would be off by 2^depth times as much at the end."""
    parameters = Parameters(degree, (50,), (bits,) * depth, 55, bits, 1.0, 1e-3)
    scales = [parameters.scale(level) for level in range(depth + 1)]
    assert max(scales) / min(scales) < 1.05


def test_the_fingerprint_covers_every_field() -> None:
    one = Parameters(8192, (55,), (40, 40), 60, 40, 100.0, 1e-4)
    others = [
        dataclasses.replace(one, degree=16384),
        dataclasses.replace(one, base_bits=(54,)),
        dataclasses.replace(one, level_bits=(40,)),
        dataclasses.replace(one, special_bits=59),
        dataclasses.replace(one, level_bits=(41, 41), scale_bits=41),
        dataclasses.replace(one, bound=99.0),
        dataclasses.replace(one, precision=1e-3),
    ]
    assert len({p.fingerprint for p in (one, *others)}) == 8
