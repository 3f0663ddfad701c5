"""The way in and out: the readme's lines, rounding, counting, and what is loaded when."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from reticent import he
from reticent.errors import DataError, PolicyRefused, ReticentError, UsageError


def test_the_lines_of_the_readme() -> None:
    pytest.importorskip("tenseal.sealapi")
    context = he.context(depth=2, bound=100.0, precision=1e-4)
    values = np.array([1.5, -99.25, 100.0])
    v = context.encrypt(values)
    assert np.abs((v * 2 + 1).decrypt() - (values * 2 + 1)).max() <= 1e-4
    assert np.abs((v * v * v).decrypt() - values**3).max() <= 1e-4
    assert np.abs(v.dot(v).decrypt() - values @ values).max() <= 1e-4
    assert context.parameters.degree == 8192


@pytest.mark.parametrize("name", ["seal", "simulator"])
def test_depth_plus_one_factors_at_the_bound_are_within_the_precision(name: str) -> None:
    """What `context` promises, at its edge, for several depths."""
    if name == "seal":
        pytest.importorskip("tenseal.sealapi")
    for depth, bound, precision in ((0, 50.0, 1e-3), (1, 1.0, 1e-4), (3, 4.0, 1e-3), (5, 1.5, 1e-4)):
        context = he.context(depth=depth, bound=bound, precision=precision, backend=name)
        values = bound * np.array([1.0, -1.0, 0.999, 0.0, 1e-3])
        v = context.encrypt(values)
        product, exact = v, values
        for _ in range(depth):
            product, exact = product * v, exact * values
        assert np.abs(product.decrypt() - exact).max() <= precision
        with pytest.raises(ReticentError) as caught:
            product * v
        assert caught.value.code == "level-exhausted"


def test_decryption_rounds_counts_and_keeps_its_promise() -> None:
    context = he.context(depth=1, bound=10.0, precision=1e-2, backend="simulator")
    v = context.encrypt(np.linspace(-10, 10, 7))
    for precision in (None, 1e-3, 0.5):
        grid = precision or 1e-2
        found = v.decrypt(precision)
        assert np.array_equal(found, np.rint(found / grid) * grid)
    assert context.decryptions == 3
    with pytest.raises(UsageError) as caught:
        v.decrypt(precision=1e-12)
    assert caught.value.code == "precision-exceeded"
    accepted = float(caught.value.hint.split("precision=")[1].split(")")[0])
    assert np.abs(v.decrypt(precision=accepted) - np.linspace(-10, 10, 7)).max() <= accepted
    assert context.decryptions == 4


def test_the_evaluators_side_reads_nothing() -> None:
    context = he.context(depth=1, bound=10.0, precision=1e-2, backend="simulator")
    side = context.evaluator()
    v = context.encrypt([1.0, 2.0])
    there = he.Vector(side, v.ciphers, v.layout, v.estimate)
    for action in (there.decrypt, lambda: side.raw(there), lambda: side.encrypt([1.0]), lambda: side.client):
        with pytest.raises(PolicyRefused) as caught:
            action()
        assert caught.value.code == "no-secret-key"
    assert not any(isinstance(value, he.ClientKeys) for value in vars(side).values())


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([10.1], "he-over-bound"),
        ([-10.1, 0.0], "he-over-bound"),
        ([np.nan], "operand-not-finite"),
        ([np.inf], "operand-not-finite"),
        ([], "operand-shape"),
        ([[1.0]], "operand-shape"),
    ],
    ids=str,
)
def test_what_cannot_be_encrypted_is_refused_without_being_shown(values: list[object], code: str) -> None:
    context = he.context(depth=0, bound=10.0, precision=1e-2, backend="simulator")
    with pytest.raises(DataError) as caught:
        context.encrypt(values)
    assert caught.value.code == code
    assert "10.1" not in str(caught.value)


def test_a_declared_bound_is_checked_and_narrows_the_range() -> None:
    context = he.context(depth=1, bound=10.0, precision=1e-2, backend="simulator")
    v = context.encrypt([0.5], bound=1.0)
    assert v.range == (-1.0, 1.0)
    assert (v * v).error < (context.encrypt([0.5]) * v).error
    for bound in (0.4, 11.0, 0.0):
        with pytest.raises(DataError):
            context.encrypt([0.5], bound=bound)


def test_the_error_and_range_say_nothing_about_the_data() -> None:
    context = he.context(depth=1, bound=10.0, precision=1e-2, backend="simulator")
    a, b = context.encrypt(np.zeros(4)), context.encrypt(np.full(4, 10.0))
    for one, other in ((a, b), (a * a, b * b), (a.sum(), b.sum()), (a * 0.3 + 1, b * 0.3 + 1)):
        assert (one.range, one.error, one.level) == (other.range, other.error, other.level)


def test_importing_loads_neither_torch_nor_the_lattice_library() -> None:
    code = (
        "import sys, reticent.he as he\n"
        "he.context(depth=1, bound=1.0, precision=1e-3, backend='simulator').encrypt([0.5]) * 2\n"
        "print([name for name in ('torch', 'tenseal') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    assert all(hasattr(he, name) for name in he.__all__)
