"""Events, releases, grants, guarantees, targets; and that importing dp stays cheap."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reticent import dp
from reticent.errors import PolicyRefused, ReticentError, UsageError

gaussians = st.builds(dp.Gaussian, st.floats(0.0, 1e6))
singles = gaussians | st.builds(dp.PoissonSampled, st.floats(1e-12, 1.0), gaussians)
events: st.SearchStrategy[dp.Event] = st.recursive(
    singles,
    lambda inner: (
        st.builds(dp.Repeated, inner, st.integers(0, 5))
        | st.builds(lambda parts: dp.Composed(tuple(parts)), st.lists(inner, max_size=3))
    ),
    max_leaves=8,
)


@given(events)
def test_events_survive_the_ledgers_text(event: dp.Event) -> None:
    text = dp.events.to_json(event)
    assert dp.events.from_json(text) == event
    assert dp.events.to_json(dp.events.from_json(text)) == text


@given(events, st.integers(0, 4))
def test_repeating_multiplies_counts(event: dp.Event, count: int) -> None:
    once = dp.flatten([event])
    assert dp.flatten([dp.Repeated(event, count)]) == Counter({one: n * count for one, n in once.items() if n * count})
    assert dp.flatten([event] * count) == dp.flatten([dp.Repeated(event, count)])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"kind":"magic"}',
        '{"kind":"gaussian"}',
        '{"kind":"gaussian","noise_multiplier":"x"}',
        '{"kind":"gaussian","noise_multiplier":1,"more":2}',
        '{"kind":"repeated","count":2,"event":3}',
        "[" * 100_000,
        '{"kind":"poisson_sampled","sampling_probability":0.5,"event":{"kind":"composed","events":[]}}',
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        dp.events.from_json(text)
    assert caught.value.code == "unknown-event"


@pytest.mark.parametrize(
    "text",
    [
        '{"kind":"repeated","count":2.5,"event":{"kind":"gaussian","noise_multiplier":1}}',
        '{"kind":"repeated","count":NaN,"event":{"kind":"gaussian","noise_multiplier":1}}',
        '{"kind":"discrete_gaussian","sigma":1,"sensitivity":Infinity}',
        '{"kind":"gaussian","noise_multiplier":1' + "0" * 400 + "}",
    ],
)
def test_texts_of_events_that_cannot_be_are_refused(text: str) -> None:
    """With a code, whatever it is: a ledger must not stop at OverflowError."""
    with pytest.raises(UsageError):
        dp.events.from_json(text)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: dp.Gaussian(-1.0), "invalid-noise-multiplier"),
        (lambda: dp.Gaussian(math.nan), "invalid-noise-multiplier"),
        (lambda: dp.PoissonSampled(1.1, dp.Gaussian(1.0)), "invalid-sampling-probability"),
        (lambda: dp.PoissonSampled(math.nan, dp.Gaussian(1.0)), "invalid-sampling-probability"),
        (lambda: dp.Repeated(dp.Gaussian(1.0), -1), "invalid-count"),
        (lambda: dp.Repeated(dp.Gaussian(1.0), 0.9), "invalid-count"),  # type: ignore[arg-type]
        (lambda: dp.Repeated(dp.Gaussian(1.0), math.nan), "invalid-count"),  # type: ignore[arg-type]
        (lambda: dp.Repeated(dp.Gaussian(1.0), math.inf), "invalid-count"),  # type: ignore[arg-type]
        (lambda: dp.SampledWithoutReplacement(10.5, 2, dp.Gaussian(1.0)), "invalid-event"),  # type: ignore[arg-type]
        (lambda: dp.SampledWithoutReplacement(10, 2.5, dp.Gaussian(1.0)), "invalid-event"),  # type: ignore[arg-type]
        (lambda: dp.RandomizedResponse(0.5, 2.5), "invalid-event"),  # type: ignore[arg-type]
        (lambda: dp.DiscreteGaussian(1.0, 1, 1.5), "invalid-event"),  # type: ignore[arg-type]
        (lambda: dp.DiscreteGaussian(1.0, math.inf), "invalid-event"),
        (lambda: dp.Gaussian(10**400), "invalid-noise-multiplier"),
        (lambda: dp.Target(epsilon=math.nan, delta=1e-5), "invalid-epsilon"),
        (lambda: dp.Target(epsilon=1.0, delta=1.0), "invalid-delta"),
        (lambda: dp.check_delta(0.01, 100), "delta-too-large"),
        (lambda: dp.check_delta(0.5, 1), None),
        (lambda: dp.check_delta(0.0099, 100), None),
        (lambda: dp.check_delta(math.nan, 100), "invalid-delta"),
        (lambda: dp.check_delta(1e-5, -3), "invalid-population-size"),
    ],
)
def test_values_out_of_range_are_refused(make: Any, code: str | None) -> None:
    if code is None:
        make()
        return
    with pytest.raises(ReticentError) as caught:
        make()
    assert caught.value.code == code


def test_half_a_draw_was_charged_as_half_stored_as_none_and_drawn_as_one() -> None:
    """What `Repeated(event, 0.5)` did before counts had to be whole: the three readers of a count disagreed."""
    count = 0.5
    stored, left = int(count), Counter({dp.Gaussian(1.0): count})
    assert stored == 0 < count
    assert left[dp.Gaussian(1.0)] > 0  # so `Grant.draw` drew it
    written = dp.Repeated(dp.Gaussian(1.0), 3.0)  # type: ignore[arg-type]
    assert dp.events.from_json(dp.events.to_json(written)) == dp.Repeated(dp.Gaussian(1.0), 3)


def test_whole_numbers_beyond_floats_survive_their_text() -> None:
    event = dp.DiscreteLaplace(2.0**40, 2**60 + 1)
    assert dp.events.from_json(dp.events.to_json(event)) == event


def test_delta_of_one_over_n_is_a_matter_of_policy() -> None:
    with pytest.raises(PolicyRefused, match="1 / 1000"):
        dp.check_delta(1e-3, 1000)


def test_a_grant_pays_each_event_once() -> None:
    a, b = dp.Gaussian(1.0), dp.PoissonSampled(0.5, dp.Gaussian(2.0))
    grant = dp.Grant("key", [dp.Repeated(a, 2), b])
    grant.draw(a)
    grant.draw(b)
    assert grant.remaining() == Counter({a: 1})
    with pytest.raises(PolicyRefused, match="key"):
        grant.draw(b)
    grant.draw(a)
    with pytest.raises(PolicyRefused):
        grant.draw(a)
    assert not grant.remaining()


def guarantee(epsilon: float, delta: float = 1e-6, unit: dp.Unit = "person") -> dp.Guarantee:
    return dp.Guarantee(
        epsilon=epsilon, delta=delta, unit=unit, relation="add_or_remove_one", holds_against="the coordinator"
    )


@pytest.mark.parametrize(("epsilon", "found"), [(1.0, 0.027), (2.0, 0.074), (3.0, 0.20), (8.0, 0.9997)])
def test_true_positives_at_one_per_cent(epsilon: float, found: float) -> None:
    """What any attack can find with 1 % false alarms (Kairouz, Oh, Viswanath 2015): 2.7, 7.4, 20 and 99.97 %."""
    share = guarantee(epsilon).true_positives(at_false_positives=0.01)
    assert round(share, {0.027: 3, 0.074: 3, 0.20: 2, 0.9997: 4}[found]) == found


@given(st.floats(0.0, 800.0), st.floats(0.0, 1.0), st.floats(1e-12, 1e-2))
def test_true_positives_respect_both_lines_of_the_trade_off(epsilon: float, fpr: float, delta: float) -> None:
    share = guarantee(epsilon, delta).true_positives(at_false_positives=fpr)
    growth = math.exp(min(epsilon, 700.0))
    assert 0 <= share <= 1
    assert share <= growth * fpr + delta + 1e-12
    assert 1 - fpr <= growth * (1 - share + 1e-15) + delta + 1e-9


def test_best_guess() -> None:
    assert guarantee(0.0).best_guess() == 0.5
    assert guarantee(1.0).best_guess() == pytest.approx(0.7311, abs=1e-4)
    assert guarantee(1e9).best_guess() == pytest.approx(1.0)
    assert guarantee(1.0).best_guess(prior=0.01) == pytest.approx(0.0267, abs=1e-4)


def test_the_sentence_rounds_up_and_is_complete() -> None:
    text = guarantee(1.001, unit="record").sentence()
    for part in ("record", "73.2 %", "coordinator", "1e-06", "1.01", "add or remove one"):
        assert part in text


def test_public_names() -> None:
    assert len(dp.__all__) == len(set(dp.__all__))
    assert all(hasattr(dp, name) for name in dp.__all__)
    assert dp.events.Gaussian is dp.Gaussian


def test_importing_dp_loads_nothing_heavy() -> None:
    code = (
        "import sys, time, numpy; begin = time.process_time(); import reticent.dp; "
        "print(time.process_time() - begin); "
        "heavy = {'torch', 'scipy', 'dp_accounting', 'pandas', 'matplotlib', 'sqlalchemy', 'pydantic', 'mpmath'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split("\n")
    assert output[1] == "[]"
    assert float(output[0]) < 0.15
