"""Sparse vector: its law, the privacy inequality over all answers, and the published variants that break it.

Lyu, Su and Li (VLDB 2017, figure 1) list six. Answers here are probabilities of whole sequences, summed over the noise
of the threshold (what is cut off is below 1e-12), so that a variant is judged by its law and not by luck.
"""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, chi2

from reticent import dp
from reticent.dp import sparse
from reticent.errors import PolicyRefused, UsageError

FALSE_ALARM = 1e-7
EPSILON = 1.5


@dataclass(frozen=True)
class Scheme:
    """A variant: scales of its noise (0: none), yeses before it stops (None: never), and when thresholds are fresh."""

    threshold_scale: float
    value_scale: float
    positives: int | None
    fresh: bool = True
    numeric: bool = False


def right_scheme(epsilon: float, positives: int, sensitivity: int = 1) -> Scheme:
    """The scales of Dwork and Roth 2014, theorem 3.23 and 3.25, with the split of Lyu et al., apart from the code."""
    each = epsilon / positives
    return Scheme(sensitivity / (0.387 * each), 2 * sensitivity / (0.613 * each), positives)


def at_least(m: np.ndarray, scale: float) -> np.ndarray:
    """P(noise >= m) for discrete Laplace noise."""
    if scale == 0:
        return (m <= 0).astype(float)
    p = math.exp(-1 / scale)
    return np.where(m >= 1, p ** np.maximum(m, 0) / (1 + p), 1 - p ** np.maximum(1 - m, 0) / (1 + p))


def law(scheme: Scheme, values: Sequence[int], threshold: int = 0) -> dict[tuple[Any, ...], float]:
    """From each sequence of answers to its probability; a numeric yes is the noisy value itself (-30 .. 30)."""
    reach = math.ceil(30 * scheme.threshold_scale)
    noise = np.arange(-reach, reach + 1)
    p = math.exp(-1 / scheme.threshold_scale) if reach else 0.0
    start = p ** np.abs(noise) * (1 - p) / (1 + p)
    states: dict[tuple[Any, ...], np.ndarray] = {(): start}
    for value in values:
        later: dict[tuple[Any, ...], np.ndarray] = {}
        for answers, weights in states.items():
            if scheme.positives is not None and sum(a is not False for a in answers) == scheme.positives:
                later[answers] = weights
                continue
            yes = at_least(threshold + noise - value, scheme.value_scale)
            later[*answers, False] = weights * (1 - yes)
            if scheme.numeric:
                for shown in range(-30, 31):
                    inside = at_least(np.array([shown - value]), scheme.value_scale) - at_least(
                        np.array([shown - value + 1]), scheme.value_scale
                    )
                    later[*answers, shown] = weights * inside * (shown >= threshold + noise)
            else:
                after = weights * yes
                later[*answers, True] = start * after.sum() if scheme.fresh else after
        states = later
    return {answers: float(weights.sum()) for answers, weights in states.items()}


def worst_loss(scheme: Scheme, length: int, changes: Sequence[int] = (-1, 0, 1), level: int = 0) -> float:
    """The largest |log ratio| of any answers between values at `level` and all neighbours of them."""
    base = law(scheme, [level] * length)
    worst = 0.0
    for change in itertools.product(changes, repeat=length):
        other = law(scheme, [level + c for c in change])
        for answers, mass in base.items():
            if max(mass, other[answers]) > 1e-9:
                ratio = other[answers] / mass if mass else math.inf
                worst = max(worst, abs(math.log(ratio)) if ratio else math.inf)
    return worst


@pytest.mark.parametrize(("positives", "length"), [(1, 5), (2, 5), (3, 4)])
def test_the_privacy_inequality(positives: int, length: int) -> None:
    """For every sequence of answers and all changes of values by -1, 0 or 1 each."""
    for level in (-2, 0, 3):
        assert worst_loss(right_scheme(EPSILON, positives), length, level=level) <= EPSILON * (1 + 1e-9)


def test_noes_are_free() -> None:
    """Fifty noes cost no more than the threshold does, though each alone would cost something."""
    scheme = right_scheme(EPSILON, 1)
    for change in (-1, 1):
        none, moved = (law(scheme, [level] * 50)[(False,) * 50] for level in (-20, -20 + change))
        assert abs(math.log(none / moved)) <= 0.387 * EPSILON * (1 + 1e-9)


RIGHT = right_scheme(EPSILON, 1)
BROKEN = {
    "numbers instead of yes (Roth 2011)": (Scheme(RIGHT.threshold_scale, RIGHT.value_scale, 1, numeric=True), 7),
    "noise not scaled with c (Lee and Clifton 2014)": (
        Scheme(RIGHT.threshold_scale, RIGHT.value_scale, 6, fresh=False),
        8,
    ),
    "no noise on values (Stoddard et al. 2014)": (Scheme(RIGHT.threshold_scale, 0.0, None, fresh=False), 2),
    "no end (Chen et al. 2015)": (Scheme(RIGHT.threshold_scale, RIGHT.value_scale, None, fresh=False), 8),
    "fresh, but no end": (Scheme(RIGHT.threshold_scale, RIGHT.value_scale, None), 8),
    "no noise on the threshold": (Scheme(0.0, RIGHT.value_scale, 1), 8),
    "sensitivity of values once": (Scheme(RIGHT.threshold_scale, RIGHT.value_scale / 2, 1), 8),
}


@pytest.mark.parametrize("name", BROKEN)
def test_variants_without_a_safeguard_break_the_inequality(name: str) -> None:
    """On the values of Lyu et al., section 3.3: half of the values rise, the other half fall, or all rise."""
    scheme, length = BROKEN[name]
    half = length // 2
    worst = 0.0
    for level in (-2, 0, 2):
        pairs = (
            ([level] * length, [level + 1] * half + [level - 1] * (length - half)),
            ([level] * length, [level + 1] * length),
            ([level] * (length - 1) + [level + 1], [level + 1] * (length - 1) + [level]),
        )
        for one, other in pairs:
            first, second = law(scheme, one), law(scheme, other)
            for answers, mass in first.items():
                if max(mass, second[answers]) > 1e-12:
                    low = min(mass, second[answers])
                    worst = max(worst, abs(math.log(max(mass, second[answers]) / low)) if low else math.inf)
    assert worst > EPSILON * 1.05


# The code against the law.


def answers_of(vector: dp.SparseVector, values: Sequence[float]) -> tuple[bool, ...]:
    found: list[bool] = []
    for value in values:
        if not vector.remaining:
            break
        found.append(vector.above(value))
    return tuple(found)


def p_value(positives: int, draws: int = 1500, make: Any = dp.SparseVector) -> float:
    """Chi-square of answers to four questions against the law; cells that expect fewer than 20 are pooled."""
    values = [0, 3, -2, 1]
    # Whole values on the grid 1: rounding widens 1 to 2 all the same.
    wanted = sorted(law(right_scheme(8.0, positives, sensitivity=2), values).items(), key=lambda item: item[1])
    arguments = {"threshold": 0, "sensitivity": 1.0, "epsilon": 8.0, "positives": positives, "grid": 1.0}
    seen = Counter(answers_of(make(**arguments), values) for _ in range(draws))
    if set(seen) - {answers for answers, _ in wanted}:
        return 0.0
    cells: list[list[float]] = [[0.0, 0.0]]
    for answers, mass in wanted:
        if cells[-1][1] >= 20:
            cells.append([0.0, 0.0])
        cells[-1][0] += seen[answers]
        cells[-1][1] += mass * draws
    statistic = sum((found - expected) ** 2 / expected for found, expected in cells)
    return float(chi2.sf(statistic, len(cells) - 1))


@pytest.mark.parametrize("positives", [1, 2])
def test_answers_follow_the_law(positives: int) -> None:
    """Chi-square with 1500 objects; false alarm below 1e-6 each."""
    assert p_value(positives) > FALSE_ALARM


@pytest.mark.soak
@pytest.mark.parametrize("positives", [1, 2, 3])
def test_answers_follow_the_law_at_length(positives: int) -> None:
    """5e4 objects; false alarm 1e-7 each. The noise below them has 2e7 draws of its own (test_dp_samplers)."""
    assert p_value(positives, draws=50_000) > FALSE_ALARM


class Quiet(dp.SparseVector):
    """Broken copy: no noise on values."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._value_scale = 2.0**-20


class Known(dp.SparseVector):
    """Broken copy: no noise on the threshold."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._threshold_scale = 2.0**-20


class Unscaled(dp.SparseVector):
    """Broken copy: epsilon for each yes instead of a share of it."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._threshold_scale /= arguments["positives"]
        self._value_scale /= arguments["positives"]


class Endless(dp.SparseVector):
    """Broken copy: goes on after the last yes."""

    def above(self, value: float) -> bool:
        self._left = 5
        self._grant = dp.Grant.without_ledger([self._each])
        return super().above(value)


@pytest.mark.parametrize("broken", [Quiet, Known, Unscaled, Endless])
def test_broken_copies_do_not_follow_the_law(broken: type[dp.SparseVector]) -> None:
    assert p_value(2, make=broken) < FALSE_ALARM


def tells_apart(make: Any) -> bool:
    """Whether two questions tell values (high, low) from (low, high), better than epsilon 1 allows.

    High and low are 100 away from the threshold, so neighbours for a sensitivity of 200. Of 1200 objects on either
    side; flagged only when epsilon 1 is impossible but for a probability of 1e-7 (exact binomial bounds).
    """
    arguments = {"threshold": 0, "sensitivity": 200.0, "epsilon": 1.0, "positives": 2, "grid": 1.0}

    def guesses(value: int) -> int:
        return sum(answers_of(make(**arguments), [-value, value]) == (False, True) for _ in range(1200))

    hits, alarms = guesses(100), guesses(-100)
    least = next(p for p in np.linspace(1, 0, 2001) if hits == 0 or binom.sf(hits - 1, 1200, p) <= 5e-8)
    most = next(p for p in np.linspace(0, 1, 2001) if binom.cdf(alarms, 1200, p) <= 5e-8)
    return bool(least > math.e * most)


class Stoddard(Endless):
    """Stoddard et al. 2014 as published: one threshold, no noise on values, no end."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._value_scale = 2.0**-20

    def above(self, value: float) -> bool:
        before = self._noisy_threshold
        answer = super().above(value)
        self._noisy_threshold = self._noisy_threshold if before is None else before
        if self._noisy_threshold is None:  # a yes to the first question: the same again
            self._noisy_threshold = self._threshold
        return answer


def test_an_attacker_tells_neighbours_apart_on_a_broken_copy_only() -> None:
    """No, then yes, is impossible for (high, low) under the published variant, and 1 in 6 for (low, high)."""
    assert tells_apart(Stoddard)
    assert not tells_apart(dp.SparseVector)


def test_thresholds_are_fresh_after_every_yes_and_only_then() -> None:
    """A stale threshold would show: 40 equal ones in a row have probability below 1e-30."""
    vector = dp.SparseVector(threshold=0.0, sensitivity=1.0, epsilon=1.0, positives=41, grid=2.0**-10)
    seen = set()
    for _ in range(40):
        assert vector.above(-1e9) is False
        before = vector._noisy_threshold
        assert vector.above(-1e9) is False
        assert vector._noisy_threshold == before
        assert vector.above(1e12) is True
        assert vector._noisy_threshold is None
        seen.add(before)
    assert len(seen) > 1
    assert vector.remaining == 1


def test_scales_and_charge() -> None:
    """Both noises and the parts of epsilon, for a sensitivity of 3 that rounding widens to 4 steps of 1."""
    vector = dp.SparseVector(threshold=5.0, sensitivity=3.0, epsilon=2.0, positives=4, grid=1.0)
    assert vector._threshold_scale == pytest.approx(4 / (0.387 * 0.5))
    assert vector._value_scale == pytest.approx(8 / (0.613 * 0.5))
    assert 4 / vector._threshold_scale + 8 / vector._value_scale <= 0.5
    assert dp.sparse_vector_event(epsilon=2.0, positives=4) == dp.Repeated(dp.PureDP(0.5), 4)
    for epsilon, positives in itertools.product((0.1, 1.0, 3.3), (1, 3, 7, 49)):
        event = dp.sparse_vector_event(epsilon=epsilon, positives=positives)
        assert isinstance(event.event, dp.PureDP)
        assert math.fsum([event.event.epsilon] * positives) <= epsilon


def test_it_is_charged_as_it_answers() -> None:
    event = dp.sparse_vector_event(epsilon=1.0, positives=2)
    grant = dp.Grant("key", [event])
    arguments: dict[str, Any] = {"threshold": 0.0, "sensitivity": 1.0, "epsilon": 1.0, "positives": 2, "grid": 1.0}
    vector = dp.SparseVector(**arguments, grant=grant)
    assert sum(grant.remaining().values()) == 2
    for _ in range(5):
        vector.above(-1e6)
    assert sum(grant.remaining().values()) == 1
    assert vector.above(1e6)
    assert sum(grant.remaining().values()) == 1
    assert vector.above(1e6)
    assert not grant.remaining()
    for _ in range(2):
        with pytest.raises(PolicyRefused) as caught:
            vector.above(1e6)
        assert caught.value.code == "sparse-vector-exhausted"
    unpaid = dp.SparseVector(**arguments, grant=grant)
    with pytest.raises(PolicyRefused, match="was not paid for"):
        unpaid.above(0.0)


def test_two_threads_do_not_take_the_last_yes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The draw is made slow on purpose; without the lock all eight would find a yes left."""
    right, started = sparse._draw, threading.Barrier(8)

    def slow(scale: float) -> int:
        threading.Event().wait(0.02)
        return right(scale)

    monkeypatch.setattr(sparse, "_draw", slow)
    vector = dp.SparseVector(threshold=0.0, sensitivity=1.0, epsilon=1.0, positives=1, grid=1.0)
    assert not vector.above(-1e6)  # the threshold is there and paid for: nothing but the lock is left to stop them
    found: list[str] = []

    def ask() -> None:
        started.wait()
        try:
            found.append(str(vector.above(1e6)))
        except PolicyRefused:
            found.append("refused")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(found) == {"True": 1, "refused": 7}


def test_it_cannot_be_copied() -> None:
    """A copy would give every yes twice, and tell the same threshold's noise again: with shallow ones, fifty times."""
    vector = dp.SparseVector(threshold=0.0, sensitivity=1.0, epsilon=1.0, positives=1, grid=1.0)
    assert not vector.above(-1e6)
    for double in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(PolicyRefused, match="spent twice"):
            double(vector)


def test_it_does_not_go_on_in_a_forked_process(monkeypatch: pytest.MonkeyPatch) -> None:
    vector = dp.SparseVector(threshold=0.0, sensitivity=1.0, epsilon=1.0, positives=1, grid=1.0)
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(PolicyRefused, match="forked"):
        vector.above(0.0)


def test_bad_arguments_are_refused_without_telling_values() -> None:
    good: dict[str, Any] = {"threshold": 0.0, "sensitivity": 1.0, "epsilon": 1.0, "positives": 2, "grid": 1.0}
    bad: list[dict[str, Any]] = [
        {"threshold": math.nan},
        {"threshold": [0.0, 1.0]},
        {"sensitivity": 0.0},
        {"sensitivity": math.inf},
        {"epsilon": 0.0},
        {"epsilon": math.nan},
        {"positives": 0},
        {"positives": 1.5},
        {"positives": math.nan},
        {"grid": 0.3},
        {"grid": 2.0**-50},
    ]
    for change in bad:
        with pytest.raises(UsageError):
            dp.SparseVector(**{**good, **change})
    grant = dp.Grant("key", [dp.sparse_vector_event(epsilon=1.0, positives=2)])
    vector = dp.SparseVector(**good, grant=grant)
    for value in (math.nan, math.inf, 1.2345e300, [12345.0, 1.0], "12345", True):
        with pytest.raises(UsageError) as caught:
            vector.above(value)  # type: ignore[arg-type]
        assert "2345" not in str(caught.value)
    assert sum(grant.remaining().values()) == 2
