"""Matrix times encrypted vector: the packing and the diagonals in plain numpy, then the same steps on ciphertexts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reticent import he
from reticent.errors import InternalError, UsageError
from reticent.he import diagonals as diagonals_module
from reticent.he.diagonals import Diagonals, best_packing, diagonals
from reticent.he.linear import PlainMatrix
from reticent.he.packing import Packing, next_power
from reticent.he.port import Backend

Array = NDArray[np.float64]
RING = he.Parameters(8192, (48,), (40, 40), 60, 40, 4.0, 1e-4)


def on_slots(found: Diagonals, slots: Array) -> Array:
    """The meaning of the diagonals: rotations, products and sums of slots in numpy."""
    rows = found.before.rows

    def rotate(v: Array, places: int) -> Array:
        return np.roll(v, -places * rows)

    total = np.zeros_like(slots)
    for (giant, baby), _ in found.terms.items():
        total = total + rotate(found.coefficients(giant, baby) * rotate(slots, baby), giant)
    for step in found.folds:
        total = total + rotate(total, step)
    return total


def packings(slots: int, matrix: Array, rows: int) -> list[Diagonals]:
    """All ways in which this matrix can be met: the client's best packing, repeated vectors, vectors at the front."""
    outputs, inputs = matrix.shape
    found = [best_packing(matrix, slots, rows=rows)]
    if max(next_power(inputs), next_power(outputs)) * rows <= slots:
        found.append(diagonals(matrix, Packing.repeated(slots, inputs, rows=rows)))
    if rows == 1:
        found.append(diagonals(matrix, Packing.once(slots, inputs)))
    return found


@settings(deadline=None, max_examples=60)
@given(
    outputs=st.integers(1, 40),
    inputs=st.integers(1, 40),
    rows=st.sampled_from([1, 2, 4]),
    density=st.sampled_from([1.0, 0.2]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_slot_holds_a_whole_result_or_nothing(
    outputs: int, inputs: int, rows: int, density: float, seed: int
) -> None:
    """In any packing, and for every row: each slot of the product is an output or padding of 0, never a partial sum."""
    chance = np.random.default_rng(seed)
    matrix = chance.normal(size=(outputs, inputs)) * (chance.random((outputs, inputs)) < density)
    matrix[0, 0] = 1.0
    samples = chance.normal(size=(rows, inputs))
    for found in packings(256, matrix, rows):
        product = on_slots(found, found.before.pack(samples))
        np.testing.assert_allclose(product, found.after.pack(samples @ matrix.T), atol=1e-12)
        np.testing.assert_allclose(found.after.unpack(product, rows), samples @ matrix.T, atol=1e-12)


@pytest.mark.parametrize("broken", ["no fold", "turned the other way", "weights met twice"])
def test_the_check_of_slots_catches_a_broken_copy(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(1)
    matrix, samples = chance.normal(size=(16, 20)), chance.normal(size=(1, 20))
    packing = Packing.repeated(64, 20)
    if broken == "weights met twice":
        # Without the record of what was met, later diagonals add weights again.
        original = diagonals_module._offsets

        def twice(matrix: Array, source: Any, padded: int) -> dict[int, Array]:
            found = original(matrix, source, padded)
            return {**found, padded: found[0]}

        monkeypatch.setattr(diagonals_module, "_offsets", twice)
    found = diagonals(matrix, packing)
    if broken == "no fold":
        found = Diagonals(found.before, found.after, found.terms, found.folds[:-1])
    if broken == "turned the other way":
        found = Diagonals(found.before, found.after, {(-g, b): v for (g, b), v in found.terms.items()}, found.folds)
    product = on_slots(found, found.before.pack(samples))
    assert not np.allclose(product, found.after.pack(samples @ matrix.T))


def test_copies_that_would_be_counted_twice_are_refused() -> None:
    """Two copies at a distance that is a multiple of the outputs meet some weights twice and others never."""
    places = np.concatenate([np.arange(20), np.full(12, -1), np.arange(20), np.full(12, -1)])
    with pytest.raises(InternalError) as caught:
        diagonals(np.ones((4, 20)), Packing(64, 1, places))
    assert caught.value.code == "he-diagonals"


def test_a_large_matrix_needs_few_rotations() -> None:
    """784x128 in 4096 slots: 14 rotations and 26 products for one sample; TenSEAL's product makes 784 rotations."""
    matrix = np.random.default_rng(0).normal(size=(128, 784))
    single, four = (best_packing(matrix, 4096, rows=rows) for rows in (1, 4))
    assert (single.rotations, len(single.terms)) == (14, 26)
    assert (four.rotations, len(four.terms)) == (24, 128)


def backends() -> list[Any]:
    return [pytest.param(name, id=name) for name in ("seal", "simulator")]


@pytest.fixture(scope="module", params=backends())
def backend(request: pytest.FixtureRequest) -> Backend:
    return he.backend(request.param, RING)


@pytest.mark.parametrize(("outputs", "inputs", "rows"), [(128, 784, 1), (10, 64, 64), (3, 5, 1), (40, 7, 2)])
def test_encrypted_product(backend: Backend, outputs: int, inputs: int, rows: int) -> None:
    """Every slot within 1e-5 of the product; one level down, at rest, so that the next product may follow."""
    chance = np.random.default_rng(outputs)
    matrix, bias = chance.uniform(-1, 1, (outputs, inputs)) / inputs, chance.uniform(-1, 1, outputs)
    samples = chance.uniform(-1, 1, (rows, inputs))
    found = best_packing(matrix, RING.slots, rows=rows)
    secret, evaluation = backend.keygen(sorted(found.steps))
    product = PlainMatrix(backend, found, RING.depth, bias).apply(
        backend.encrypt(backend.encode(found.before.pack(samples), level=RING.depth), secret), evaluation
    )
    assert (product.level, product.scale) == (RING.depth - 1, RING.scale(RING.depth - 1))
    expected = found.after.pack(samples @ matrix.T + bias)
    np.testing.assert_allclose(backend.decrypt(product, secret), expected, atol=1e-5)


def test_each_rotation_that_is_asked_for_is_needed() -> None:
    """No key is made in vain: with any one of them missing the product is refused, and with all it is not."""
    matrix = np.random.default_rng(0).normal(size=(12, 50))
    backend = he.backend("simulator", RING)
    found = best_packing(matrix, RING.slots)
    for left_out in found.steps:
        secret, evaluation = backend.keygen(sorted(found.steps - {left_out}))
        vector = backend.encrypt(backend.encode(np.zeros(4), level=2), secret)
        with pytest.raises(UsageError) as caught:
            PlainMatrix(backend, found, 2).apply(vector, evaluation)
        assert caught.value.code == "rotation-missing"


def test_a_sparse_matrix_is_met_by_its_own_diagonals_only() -> None:
    """A shift by 3 has one diagonal, whatever its size."""
    assert len(best_packing(np.eye(64, k=3), 256).terms) <= 2
