"""Every operation against float64, under both protocols, over shapes, signs and magnitudes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from reticent import mpc
from reticent.errors import UsageError

Run = Callable[..., Any]
Reals = NDArray[np.float64]

UNIT = 2.0**-16
"""One unit in the last place."""

few = settings(max_examples=25, deadline=None)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """Codes: what encoding changes is not the business of these tests."""
    return st.integers(int(low / UNIT), int(high / UNIT)).map(lambda code: code * UNIT)


def arrays(low: float = -100.0, high: float = 100.0, **shape: Any) -> st.SearchStrategy[Reals]:
    dims = hnp.array_shapes(max_dims=3, max_side=5, **shape)
    return hnp.arrays(np.float64, dims, elements=numbers(low, high))


def pairs(low: float = -100.0, high: float = 100.0) -> st.SearchStrategy[tuple[Reals, Reals]]:
    shapes = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4)
    return shapes.flatmap(
        lambda found: st.tuples(*(hnp.arrays(np.float64, s, elements=numbers(low, high)) for s in found.input_shapes))
    )


@few
@given(pairs(-(2.0**28), 2.0**28))
def test_sums_and_differences_are_exact(shared: Run, both: tuple[Reals, Reals]) -> None:
    x, y = both
    total, difference, negative = shared(lambda a, b: (a + b, a - b, -a), x, y)
    assert np.array_equal(total, x + y)
    assert np.array_equal(difference, x - y)
    assert np.array_equal(negative, -x)


@few
@given(pairs(-2000.0, 2000.0))
def test_products_are_the_floor_of_the_exact_product(shared: Run, both: tuple[Reals, Reals]) -> None:
    x, y = both
    exact = np.floor(np.asarray(x * 2**16) * np.asarray(y * 2**16) / 2.0**16) / 2.0**16
    assert np.array_equal(shared(lambda a, b: a * b, x, y), exact)


@few
@given(pairs(-2000.0, 2000.0))
def test_probabilistic_products_are_within_one_unit(shared: Run, both: tuple[Reals, Reals]) -> None:
    x, y = both
    found = shared(lambda a, b: a * b, x, y, truncation="probabilistic")
    assert np.all(np.abs(found - x * y) <= UNIT)


@few
@given(arrays(), st.sampled_from([0.0, 1.0, -3.0, 0.5, -0.25, 2.0**-12, 0.001, np.pi, 17.3]))
def test_numbers(shared: Run, x: Reals, constant: float) -> None:
    product, left, total, rest, part = shared(
        lambda a: (a * constant, constant * a, a + constant, constant - a, a / (constant or 1.0)), x
    )
    tolerance = UNIT * (1 + np.abs(x))
    assert np.all(np.abs(product - x * constant) <= tolerance)
    assert np.array_equal(left, product)
    assert np.all(np.abs(total - (x + constant)) <= UNIT / 2)
    assert np.all(np.abs(rest - (constant - x)) <= UNIT / 2)
    assert np.all(np.abs(part - x / (constant or 1.0)) <= UNIT * (1 + np.abs(x / (constant or 1.0))))


@few
@given(st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 5)), st.integers(0, 2), st.data())
def test_matrix_products(shared: Run, sizes: tuple[int, int, int], batch: int, data: st.DataObject) -> None:
    m, k, n = sizes
    shapes = [((m, k), (k, n)), ((2, m, k), (k, n)), ((2, 1, m, k), (3, k, n))][batch]
    x, y = (data.draw(hnp.arrays(np.float64, shape, elements=numbers(-50, 50))) for shape in shapes)
    found, public, left = shared(lambda a, b: (a @ b, a @ y, x @ b), x, y)
    assert np.all(np.abs(found - x @ y) <= UNIT)
    assert np.all(np.abs(public - x @ y) <= UNIT * (1 + np.abs(x).sum(-1, keepdims=True)))
    assert np.all(np.abs(left - x @ y) <= UNIT * (1 + np.abs(y).sum(-2, keepdims=True)))


@pytest.mark.parametrize("constant", [1e-7, -3e-6, 1 / 60_000])
def test_small_numbers_keep_their_digits(shared: Run, constant: float) -> None:
    x = np.array([2.0**20, -(2.0**17), 3.0])
    assert np.all(np.abs(shared(lambda a: a * constant, x) - x * constant) <= UNIT * (1 + np.abs(x * constant)))


def test_products_with_vectors(shared: Run) -> None:
    x, v, w = np.arange(12.0).reshape(3, 4), np.arange(4.0), np.arange(3.0)
    found = shared(lambda a, b, c: (a @ b, c @ a, b @ b, x @ b, w @ a, c @ x), x, v, w)
    for got, wanted in zip(found, (x @ v, w @ x, v @ v, x @ v, w @ x, w @ x), strict=True):
        assert np.array_equal(got, wanted)


@few
@given(arrays(min_dims=1), st.data())
def test_shapes(shared: Run, x: Reals, data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, x.ndim - 1))
    order = data.draw(st.permutations(range(x.ndim)))
    index = data.draw(hnp.basic_indices(x.shape, allow_newaxis=True))
    chosen = np.array([0, x.shape[0] - 1, 0])
    found = shared(
        lambda a: (
            a.sum(),
            a.sum(axis),
            a.sum(axis, keepdims=True),
            a.mean(axis),
            a.reshape(-1),
            a.reshape(1, x.size),
            a.transpose(*order),
            a.T,
            a[index],
            a[chosen],
            mpc.concat([a, a], axis=axis),
            mpc.stack([a, a], axis=axis),
        ),
        x,
    )
    wanted = (
        x.sum(),
        x.sum(axis),
        x.sum(axis, keepdims=True),
        None,
        x.reshape(-1),
        x.reshape(1, -1),
        x.transpose(order),
        x.T,
        x[index],
        x[chosen],
        np.concatenate([x, x], axis),
        np.stack([x, x], axis),
    )
    assert np.all(np.abs(found[3] - x.mean(axis)) <= UNIT * (1 + np.abs(x).sum(axis)))
    for got, exact in zip(found, wanted, strict=True):
        assert exact is None or np.array_equal(got, exact)


@pytest.mark.parametrize("count", [255, 257, 1000, 4096, 20_000])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 250_000.0])
def test_means_of_many_terms_do_not_wrap(shared: Run, count: int, scale: float) -> None:
    """20,000 thrombocyte counts: their sum times 1 / 20,000, of 16 digits, has more than 62 bits."""
    x = np.rint(np.random.default_rng(count).normal(scale, scale, count) / UNIT) * UNIT
    middle = np.rint(scale / UNIT) * UNIT
    found, share = shared(lambda a: (a.mean(), (a > middle).mean()), x)
    assert abs(found - x.mean()) <= UNIT * (2 + abs(x.mean()))
    assert abs(share - (x > middle).mean()) <= 2 * UNIT


def test_means_of_nothing(shared: Run) -> None:
    with pytest.raises(UsageError) as caught:
        shared(lambda a: a.mean(0), np.zeros((0, 3)))
    assert caught.value.code == "no-such-axis"
    assert shared(lambda a: a.mean(1), np.zeros((0, 3))).shape == (0,)


def test_equality_is_computed_and_not_that_of_python_objects(shared: Run) -> None:
    x, y = np.array([-1.0, 0.5, 3.0]), np.array([-1.0, 0.25, 4.0])
    same, other, three = shared(lambda a, b: (a == b, a != b, a == 3), x, y)
    assert (same.tolist(), other.tolist(), three.tolist()) == ([1, 0, 0], [0, 1, 1], [0, 0, 1])
    with pytest.raises(UsageError, match="branch"):
        shared(lambda a: a if a == 0 else -a, x)


def test_take_fills_with_zeros(shared: Run) -> None:
    x = np.arange(6.0).reshape(2, 3) + 1
    indices = np.array([[0, -1], [5, 2]])
    assert shared(lambda a: a.take(indices, fill=-1), x).tolist() == [[1, 0], [6, 3]]
    assert shared(lambda a: a.take(np.array([3, 3])), x).tolist() == [4, 4]


@few
@given(pairs(-(2.0**28), 2.0**28))
def test_comparisons(shared: Run, both: tuple[Reals, Reals]) -> None:
    x, y = both
    found = shared(lambda a, b: (a < b, a <= b, a > b, a >= b, a < 0, a >= y), x, y)
    for got, wanted in zip(found, (x < y, x <= y, x > y, x >= y, x < 0, x >= y), strict=True):
        assert np.array_equal(got, wanted)


@few
@given(pairs(-(2.0**28), 2.0**28))
def test_relu_absolute_value_and_selection(shared: Run, both: tuple[Reals, Reals]) -> None:
    x, y = both
    found = shared(
        lambda a, b: (a.relu(), a.abs(), (a < b).select(a, b), (a < b).select(1, b), (a < b).select(a, 0)), x, y
    )
    wanted = (
        np.maximum(x, 0),
        np.abs(x),
        np.minimum(x, y),
        np.where(x < y, 1, y),
        np.where(x < y, x, 0),
    )
    for got, exact in zip(found, wanted, strict=True):
        assert np.array_equal(got, exact)


@pytest.mark.parametrize("code", [0, 1, -1, 2**62, -(2**62), 2**63 - 1, -(2**63), 2**31, -(2**31), -(2**48) - 1])
def test_signs_of_all_codes(run_gate: Run, code: int) -> None:
    from reticent.mpc.sign import sign
    from reticent.rings import combine_additive

    x = np.array([code], dtype=np.int64).view(np.uint64)
    parties = run_gate("sign", {"count": 1, "payloads": 0, "keep": True}, lambda g, m, s: sign(g, m, s[0]), [x], 3)
    negative, product = (combine_additive([party[k] for party in parties]) for k in range(2))
    assert int(negative[0]) == (code < 0)
    assert int(product.view(np.int64)[0]) == min(code, 0)


@few
@given(arrays(-(2.0**20), 2.0**20, min_dims=1), st.data())
def test_maximum(shared: Run, x: Reals, data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        x = np.round(x / 2.0**19)  # many equal ones: the first must win
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    largest, kept, index, hot = shared(
        lambda a: (a.max(axis), a.max(axis, keepdims=True), a.argmax(axis), a.argmax(axis, one_hot=True)), x
    )
    assert np.array_equal(largest, x.max(axis))
    assert np.array_equal(kept, x.max(axis, keepdims=True))
    assert np.array_equal(index, x.argmax(axis))
    assert np.array_equal(hot.argmax(axis), x.argmax(axis))
    assert set(np.unique(hot)) <= {0.0, 1.0}
    assert np.all(hot.sum(axis) == 1)


@pytest.mark.parametrize("fraction_bits", [8, 20, 24])
def test_other_fraction_bits(shared: Run, fraction_bits: int) -> None:
    x, y = np.array([1.5, -2.25, 0.0]), np.array([0.5, 3.0, -1.0])
    found = shared(lambda a, b: (a * b, a.relu(), a + 0.25), x, y, fraction_bits=fraction_bits)
    for got, wanted in zip(found, (x * y, np.maximum(x, 0), x + 0.25), strict=True):
        assert np.array_equal(got, wanted)


@pytest.mark.parametrize("parties", [2, 3, 4])
def test_additive_among_several_parties(parties: int) -> None:
    arrays = [np.arange(6.0).reshape(2, 3) - 3 * party for party in range(parties)]

    def program(session: mpc.Session) -> Any:
        shared = [session.input(f"x{owner}", owner=owner, shape=(2, 3)) for owner in range(session.parties)]
        total = shared[0] * shared[1]
        for tensor in shared:
            total = total + tensor
        return total.relu().reveal(), (shared[0] @ shared[1].T).reveal(to=1)

    outputs, _ = mpc.run_local(
        program, inputs=[{f"x{party}": array} for party, array in enumerate(arrays)], protocol="additive"
    )
    assert all(np.array_equal(one[0], np.maximum(arrays[0] * arrays[1] + sum(arrays), 0)) for one in outputs)
    assert [one[1] is None for one in outputs] == [party != 1 for party in range(parties)]
    assert np.array_equal(outputs[1][1], arrays[0] @ arrays[1].T)


def test_a_shared_value_decides_no_branch(shared: Run) -> None:
    with pytest.raises(UsageError, match="branch"):
        shared(lambda a: a if a > 0 else -a, np.ones(2))


def test_broken_copy_that_multiplies_shares_is_caught() -> None:
    """The guide's product: each party multiplies its own shares. It is no share of the product."""
    a, b = mpc.share(5), mpc.share(7)
    wrong = mpc.reconstruct([np.multiply(x, y) for x, y in zip(a, b, strict=True)])
    right = mpc.reconstruct(mpc.multiply(a, b, triple=mpc.triple()))
    assert wrong != 35
    assert right == 35
