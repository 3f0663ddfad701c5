"""Selection: laws by enumeration, the privacy inequality in rational arithmetic, frequencies, broken copies.

With whole utilities and sensitivity 1 all probabilities are rational functions of x = e^(-epsilon / 2), so the
inequality is checked exactly by letting x itself be a fraction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from reticent import dp
from reticent.dp import selection
from reticent.dp.samplers import coins
from reticent.errors import PolicyRefused, UsageError
from reticent.randomness import Keystream

FALSE_ALARM = 1e-7
Law = Callable[[Sequence[int], Any], list[Any]]


def exponential_law(utilities: Sequence[int], x: Any) -> list[Any]:
    """P(i) proportional to x^(best - u_i)."""
    weights = [x ** (max(utilities) - u) for u in utilities]
    return [weight / sum(weights) for weight in weights]


def permute_and_flip_law(utilities: Sequence[int], x: Any) -> list[Any]:
    """The definition of McKenna and Sheldon (algorithm 1): for every order, the first head wins."""
    heads = [x ** (max(utilities) - u) for u in utilities]
    law = [heads[0] * 0 for _ in utilities]
    orders = list(itertools.permutations(range(len(utilities))))
    for order in orders:
        left = x**0
        for i in order:
            law[i] += left * heads[i] / len(orders)
            left *= 1 - heads[i]
    return law


def uniform_head_law(utilities: Sequence[int], x: Any) -> list[Any]:
    """What the code does: all coins are flipped, and one of the heads is drawn uniformly."""
    heads = [x ** (max(utilities) - u) for u in utilities]
    law = [heads[0] * 0 for _ in utilities]
    for shown in itertools.product((0, 1), repeat=len(utilities)):
        weight = math.prod((h if s else 1 - h for h, s in zip(heads, shown, strict=True)), start=x**0)
        for i in range(len(utilities)):
            if shown[i]:
                law[i] += weight / sum(shown)
    return law


def noisy_max_law(utilities: Sequence[int], x: float) -> list[float]:
    """Discrete Laplace noise with P(k) proportional to x^|k|, ties to the first; what is cut off is below 1e-13."""
    reach = math.ceil(-30 / math.log(x))
    noise = np.arange(-reach, reach + 1)
    masses = x ** np.abs(noise) * (1 - x) / (1 + x)
    law = []
    for i, u in enumerate(utilities):
        product = masses.copy()
        for j, other in enumerate(utilities):
            if j != i:  # the other's noise stays at or below k + u - other, strictly below if it comes first
                limit = noise + u - other - (j < i)
                product *= np.cumsum(masses)[np.clip(limit + reach, 0, 2 * reach)] * (limit >= -reach)
        law.append(float(product.sum()))
    return law


STEPS = [Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)]
WORLDS = list(itertools.product(range(4), repeat=3))


def worst_ratio(law: Law, x: Any, moves: Sequence[int]) -> Any:
    """The largest P(i) / P'(i) over all utilities in 0 .. 3 for three candidates, and all that `moves` lead to."""
    laws = {world: law(world, x) for world in itertools.product(range(-1, 5), repeat=3)}
    return max(
        max(p / q, q / p)
        for world in WORLDS
        for move in itertools.product(moves, repeat=3)
        for p, q in zip(laws[world], laws[tuple(u + m for u, m in zip(world, move, strict=True))], strict=True)
    )


@pytest.mark.parametrize("x", STEPS)
def test_the_privacy_inequality_holds_exactly(x: Fraction) -> None:
    """Nowhere above x^-2 = e^epsilon; permute-and-flip gets there and the others stay below."""
    assert worst_ratio(exponential_law, x, (-1, 0, 1)) <= x**-2
    assert worst_ratio(permute_and_flip_law, x, (-1, 0, 1)) <= x**-2


@pytest.mark.parametrize("x", STEPS)
def test_monotonic_utilities_need_half(x: Fraction) -> None:
    """With moves in one direction x^-1 suffices, so x may be squared; with both directions it does not."""
    for law in (exponential_law, permute_and_flip_law):
        assert worst_ratio(law, x, (0, 1)) <= x**-1
        assert worst_ratio(law, x, (-1, 0, 1)) > x**-1


@pytest.mark.parametrize("x", [0.3, 0.5, 0.9])
def test_report_noisy_max_is_private_with_ties(x: float) -> None:
    assert worst_ratio(noisy_max_law, x, (-1, 0, 1)) <= x**-2 * (1 + 1e-9)
    assert worst_ratio(noisy_max_law, x, (0, 1)) <= x**-1 * (1 + 1e-9)
    assert sum(noisy_max_law((0, 2, 1), x)) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("x", STEPS)
def test_the_exponential_mechanism_has_a_bounded_range(x: Fraction) -> None:
    """Largest over smallest ratio is at most e^epsilon (Durfee and Rogers 2019): so it is charged; not so the flips."""

    def widest(law: Law) -> Fraction:
        ranges = []
        for world in itertools.product(range(3), repeat=3):
            for move in itertools.product((-1, 0, 1), repeat=3):
                other = law([u + m for u, m in zip(world, move, strict=True)], x)
                ratios = [p / q for p, q in zip(law(world, x), other, strict=True)]
                ranges.append(max(ratios) / min(ratios))
        return max(ranges)

    assert widest(exponential_law) <= x**-2
    assert widest(permute_and_flip_law) > x**-2


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.fractions(min_value="1/50", max_value="49/50"))
def test_a_uniform_head_is_the_first_in_a_random_order(utilities: list[int], x: Fraction) -> None:
    law = uniform_head_law(utilities, x)
    assert law == permute_and_flip_law(utilities, x)
    assert sum(law) == 1


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.fractions(min_value="1/50", max_value="49/50"))
def test_permute_and_flip_is_never_worse(utilities: list[int], x: Fraction) -> None:
    def expected(law: Law) -> Fraction:
        return sum((p * u for p, u in zip(law(utilities, x), utilities, strict=True)), start=Fraction(0))

    assert expected(permute_and_flip_law) >= expected(exponential_law)


# The code against the laws.

UTILITIES = [1, 0, 2, 2]
LAWS: dict[str, Law] = {
    "exponential": exponential_law,
    "permute_and_flip": permute_and_flip_law,
    "report_noisy_max": noisy_max_law,
}


def p_value(name: str, x: float, draws: int = 3000, **more: Any) -> float:
    """Chi-square of choices among four candidates against the law at x; every cell expects 20 or more."""
    if name == "report_noisy_max":
        more.setdefault("grid", 1.0)
    choose = getattr(selection, name)
    seen = np.zeros(4)
    for _ in range(draws):
        seen[choose(range(4), UTILITIES, sensitivity=1, epsilon=1.6, **more)] += 1
    expected = np.array(LAWS[name](UTILITIES, x)) * draws
    assert expected.min() > 20
    return float(chi2.sf(((seen - expected) ** 2 / expected).sum(), 3))


@pytest.mark.parametrize("name", LAWS)
def test_frequencies(name: str) -> None:
    """Chi-square, 3000 choices each way; false alarm 1e-7 each. Monotonic utilities double the exponent."""
    assert p_value(name, math.exp(-0.8)) > FALSE_ALARM
    assert p_value(name, math.exp(-1.6), monotonic=True) > FALSE_ALARM
    assert p_value(name, math.exp(-0.8), monotonic=True) < FALSE_ALARM


@pytest.mark.soak
@pytest.mark.parametrize("name", LAWS)
def test_frequencies_at_length(name: str) -> None:
    """1e5 choices; false alarm 1e-7 each. The coins below them have 2e7 draws of their own (test_dp_samplers)."""
    assert p_value(name, math.exp(-0.8), draws=100_000) > FALSE_ALARM


@pytest.mark.parametrize("name", LAWS)
def test_broken_copies_fail_the_frequency_test(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 2 of 2 * sensitivity forgotten; for noisy max: half the noise."""
    right = selection.bernoulli_exp
    monkeypatch.setattr(selection, "bernoulli_exp", lambda gamma, _, key: right(2 * gamma, lambda i: Fraction(0), key))
    scale = selection.scale_for
    monkeypatch.setattr(selection, "scale_for", lambda steps, epsilon: scale(steps, epsilon) / 2)
    assert p_value(name, math.exp(-0.8)) < FALSE_ALARM


def test_a_grid_widens_the_sensitivity() -> None:
    """Sensitivity 1 on the grid 1 becomes 2: the law at half the exponent, for utilities given as floats."""
    seen = np.zeros(4)
    for _ in range(3000):
        seen[dp.exponential(range(4), [1.2, 0.3, 1.9, 2.4], sensitivity=1.0, epsilon=1.6, grid=1.0)] += 1
    expected = np.array(exponential_law(UTILITIES, math.exp(-0.4))) * 3000
    assert chi2.sf(((seen - expected) ** 2 / expected).sum(), 3) > FALSE_ALARM


@pytest.mark.parametrize("name", ["exponential", "permute_and_flip"])
def test_the_fractions_alone_give_the_same_choices(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed:
        at = 0

        @classmethod
        def fresh(cls) -> Keystream:
            cls.at += 1
            return Keystream(cls.at.to_bytes(16, "big"))

    def choices() -> list[int]:
        Fixed.at = 0
        choose = getattr(selection, name)
        values = [0.1, 0.2, 1 / 3, 0.25, 0.3]
        return [choose(range(5), values, sensitivity=0.1, epsilon=0.7) for _ in range(150)]

    monkeypatch.setattr(selection, "Keystream", Fixed)
    usual = choices()
    monkeypatch.setattr(coins, "GUARD", 1e30)
    assert choices() == usual
    assert len(set(usual)) == 5


floats = st.floats(allow_nan=False, allow_infinity=False)
sizes = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@given(st.lists(floats, min_size=1, max_size=5), sizes, sizes, st.booleans())
def test_exponents_are_as_exact_as_coins_need(
    utilities: list[float], sensitivity: float, epsilon: float, monotonic: bool
) -> None:
    """Within 2^-48 (1 + g), or both beyond anything that is ever kept; for every float there is."""
    gaps = selection._Gaps(np.array(utilities), sensitivity=Fraction(sensitivity), epsilon=epsilon, monotonic=monotonic)
    for i, u in enumerate(utilities):
        wanted = (Fraction(max(utilities)) - Fraction(u)) * Fraction(epsilon) / Fraction(sensitivity)
        wanted /= 1 if monotonic else 2
        assert gaps.exact(i) == wanted
        found = float(gaps.gamma[i])
        if math.isinf(found) or wanted > 2**20:
            assert found > 4096 < wanted
        else:
            assert abs(Fraction(found) - wanted) <= (1 + wanted) / 2**48


def test_a_numpy_copy_loses_candidates_that_this_one_keeps() -> None:
    """exp overflows into NaN, and small weights become exact zeros: the support then depends on the data."""
    utilities = np.array([0.0, 1500.0])
    with np.errstate(over="ignore", invalid="ignore"):
        copy = np.exp(utilities / 2) / np.exp(utilities / 2).sum()
    assert np.isnan(copy).any()
    shifted = np.exp((utilities - utilities.max()) / 2)
    assert shifted[0] == 0.0
    gaps = selection._Gaps(utilities, sensitivity=Fraction(1), epsilon=1.0, monotonic=False)
    assert gaps.exact(0) == 750
    assert dp.exponential(["a", "b"], [1e308, -1e308], sensitivity=1e-300, epsilon=1e300) == "a"


def test_candidates_and_callables() -> None:
    far: dict[str, Any] = {"sensitivity": 1e-3, "epsilon": 1.0}
    for choose, more in ((dp.exponential, {}), (dp.permute_and_flip, {}), (dp.report_noisy_max, {"grid": 2.0**-10})):
        assert choose(["a", "bbb", "cc"], len, **far, **more) == "bbb"  # type: ignore[operator]
        assert choose(np.array([10, 20]), np.array([0.0, 1.0]), **far, **more) == 20  # type: ignore[operator]
        assert choose([None], [7], **far, **more) is None  # type: ignore[operator]
    assert dp.exponential(range(10**5), np.zeros(10**5), sensitivity=1.0, epsilon=1.0) in range(10**5)


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("exponential", dp.BoundedRange(0.5)),
        ("permute_and_flip", dp.PureDP(0.5)),
        ("report_noisy_max", dp.PureDP(0.5)),
    ],
)
def test_what_is_drawn_is_what_was_paid_for(name: str, event: dp.Event) -> None:
    choose = getattr(dp, name)
    arguments: dict[str, Any] = {"sensitivity": 1.0, "epsilon": 0.5, "grid": 0.5}
    grant = dp.Grant("key", [event])
    assert choose("ab", [0.0, 1.0], **arguments, grant=grant) in "ab"
    assert not grant.remaining()
    for unpaid in (grant, dp.Grant("key", [dp.PureDP(0.6), dp.BoundedRange(0.6)])):
        with pytest.raises(PolicyRefused):
            choose("ab", [0.0, 1.0], **arguments, grant=unpaid)
    untouched = dp.Grant("key", [event])
    bad: list[tuple[Any, Any, dict[str, Any]]] = [
        ("ab", [1.0, math.nan], {}),
        ("ab", [1.0, math.inf], {"grid": None} if name != "report_noisy_max" else {}),
        ("ab", [1, 2**63 + 12345], {}),
        ("ab", [1.0], {}),
        ("ab", [[1.0], [2.0]], {}),
        ("", [], {}),
        ("ab", [1.0, 2.0], {"sensitivity": 0.0}),
        ("ab", [1.0, 2.0], {"sensitivity": math.nan}),
        ("ab", [1.0, 2.0], {"epsilon": 0.0}),
        ("ab", [1.0, 2.0], {"epsilon": math.inf}),
        ("ab", [1.0, 2.0], {"grid": 0.3}),
        ("ab", ["12345", "0"], {}),
    ]
    for candidates, utilities, change in bad:
        with pytest.raises(UsageError) as caught:
            choose(candidates, utilities, **{**arguments, **change}, grant=untouched)
        assert "2345" not in str(caught.value)
    assert untouched.remaining()[event] == 1
