"""Plans: what they promise is certified, what they contain follows from the study, and their hash is stable."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reticent import dp
from reticent.errors import PolicyRefused, UsageError
from reticent.study import ModelFacts, Plan, derive, in_words, topics
from reticent.study import calibrate as calibrate_module
from reticent.study.calibrate import evaluations_of, sampling_of

UNEVEN = {
    "privacy__sampling_probability": None,
    "privacy__expected_batch_size": 30.0,
    "sites": {"north": {"rows": 300}, "south": {"rows": 150}, "east": {"rows": 150}},
}
TWICE = {**UNEVEN, "privacy__sites_per_person": 2}


def certify(plan: Plan) -> dict[str, float]:
    """Account for every site's whole release anew, apart from the derivation."""
    assert plan.guarantee is not None
    found = {}
    for site in plan.sites:
        release = plan.release(site.name)
        assert release is not None
        found[site.name] = dp.epsilon(release.events, delta=plan.guarantee.delta, relation=plan.guarantee.relation)
    return found


# The promise --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        UNEVEN,
        {"privacy__relation": "replace_one"},
        {"release": None, "privacy__spare_executions": 0},
        {"release__metrics": {"every": 1, "epsilon": 0.5}, "privacy__unit": "record"},
    ],
    ids=["whole", "uneven", "replace one", "no metrics", "metrics each round"],
)
def test_what_every_site_may_release_is_certified_within_the_target(plan: Any, changes: dict[str, Any]) -> None:
    """And the noise is not wasted: a hundredth less of it breaks the target."""
    found = plan(**changes)
    for name, epsilon in certify(found).items():
        site = found.site(name)
        assert epsilon <= site.epsilon <= found.guarantee.epsilon <= 3.0
        assert site.epsilon - epsilon < 2e-6
        assert epsilon > 2.97
    weaker = tuple(site.model_copy(update={"noise_multiplier": 0.99 * site.noise_multiplier}) for site in found.sites)
    assert max(certify(found.model_copy(update={"sites": weaker})).values()) > 3.0


def test_without_sampling_the_promise_is_the_closed_form(plan: Any) -> None:
    """One Gaussian of combined precision (Balle and Wang 2018): executions and evaluations with their spare ones."""
    found = plan()
    noise, metrics_noise = found.sites[0].noise_multiplier, found.metrics.noise_multiplier
    precision = 5 * (4 + 1) / noise**2 + (1 + 1) / metrics_noise**2
    sigma = dp.gaussian_sigma(sensitivity=1.0, epsilon=found.guarantee.epsilon, delta=1e-5)
    assert 1 / math.sqrt(precision) == pytest.approx(sigma, rel=1e-3)


def test_metrics_take_no_more_than_their_part(plan: Any) -> None:
    found = plan(release__metrics={"every": 1, "epsilon": 0.5}, privacy__unit="record")
    assert found.metrics.evaluations == (1, 2, 3, 4)
    all_of_them = dp.Repeated(found.evaluation(), 4 + 1)
    spent = dp.epsilon(all_of_them, delta=1e-5, relation="add_or_remove_one")
    assert 0.495 < spent <= 0.5


def test_spare_executions_are_paid_for(plan: Any) -> None:
    counts = Counter(plan().release("north").counts())
    step = next(event for event in counts if isinstance(event, dp.PoissonSampled))
    assert counts[step] == 5 * (4 + 1)
    assert counts[plan().evaluation()] == 1 + 1
    assert plan(privacy__spare_executions=0).sites[0].noise_multiplier < plan().sites[0].noise_multiplier


def test_a_person_at_two_sites_is_covered_by_the_worst_two(plan: Any) -> None:
    found = plan(**TWICE)
    pairs = [("north", "south"), ("north", "east"), ("south", "east")]
    joint = []
    for pair in pairs:
        events = [event for name in pair for event in found.release(name).events]
        joint.append(dp.epsilon(events, delta=1e-5, relation="add_or_remove_one"))
    assert 2.97 < max(joint) <= found.guarantee.epsilon <= 3.0
    assert all(epsilon < 2.5 for epsilon in certify(found).values())
    assert found.guarantee.holds_against.startswith("everyone but the person's own sites")
    assert any("at more than 2 sites" in line for line in found.assumptions)


def test_a_broken_copy_that_calibrates_for_one_site_is_caught(
    study: Any, facts: ModelFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The safeguard removed: noise for a person at one site, although two are declared."""
    solver = calibrate_module._Solver
    wanted = study(**TWICE)

    def careless(self: Any, probability: float, steps: int) -> float:
        return dp.noise_multiplier(
            epsilon=3.0,
            delta=1e-5,
            sampling_probability=probability,
            steps=steps * 5,
            relation="add_or_remove_one",
            also=self.besides(1),
        )

    monkeypatch.setattr(solver, "noise", careless)
    monkeypatch.setattr(calibrate_module, "_MOST_CORRECTIONS", 1)
    with pytest.raises(Exception, match="noise-not-found"):
        derive(wanted, facts)


def test_a_mix_of_sites_over_the_target_gets_more_noise(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a mix exceeds the target although equal sites do not, the noise grows until the mix is certified."""
    wanted = study()
    solved = calibrate_module.calibrate(wanted)
    honest = calibrate_module._Solver.noise
    monkeypatch.setattr(calibrate_module._Solver, "noise", lambda *a: 0.99 * honest(*a))
    mended = calibrate_module.calibrate(wanted)
    assert mended.epsilon <= 3.0
    for sampling, noise in mended.noise.items():
        assert solved.noise[sampling] * 0.999 <= noise <= solved.noise[sampling] * 1.002


def test_equal_sites_are_solved_once(study: Any, facts: ModelFacts, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    honest = dp.noise_multiplier
    monkeypatch.setattr(dp, "noise_multiplier", lambda **asked: calls.append(asked) or honest(**asked))
    derive(study(), facts)
    assert len(calls) == 2  # the metrics, and the one kind of site


def test_rounding_enters_the_sensitivity(plan: Any) -> None:
    privacy = plan().privacy
    assert privacy.grid == dp.grid_for(1.0, 10)
    assert privacy.sensitivity == dp.encoded_sensitivity(1.0, privacy.grid, 10)
    assert 1.0 < privacy.sensitivity <= 1.0101 + 1e-4


def test_without_a_promise_nothing_is_charged(plan: Any, without: dict[str, Any]) -> None:
    found = plan(**without)
    assert found.guarantee is None
    assert found.privacy is None
    assert found.why_no_promise == "public records"
    assert found.release("north") is found.execution("north") is found.evaluation() is None
    assert found.metrics.evaluations == (2, 4)
    assert found.training.batch_size == 16
    assert all(site.epsilon is site.noise_multiplier is site.sampling_probability is None for site in found.sites)


# What follows from the study -----------------------------------------------------------------------------------


def test_weights_follow_from_declared_rows(plan: Any) -> None:
    weights = {"north": 0.5, "south": 0.25, "east": 0.125, "west": 0.125}
    assert {site.name: site.weight for site in plan().sites} == weights


@pytest.mark.parametrize(
    ("rows", "batch", "epochs", "expected"),
    [
        (48, 16.0, 1.0, (1 / 3, 16.0, 3)),
        (100, 30.0, 1.0, (0.3, 30.0, 4)),
        (100, 100.0, 0.1, (1.0, 100.0, 1)),
        (10, 1.0, 2.5, (0.1, 1.0, 25)),
        (49, 1.0, 1.0, (1 / 49, 1.0, 49)),  # 1 / (1 / 49) is a little over 49 in floating point
    ],
)
def test_epochs_become_steps(
    study: Any, rows: int, batch: float, epochs: float, expected: tuple[float, float, int]
) -> None:
    wanted = study(
        sites={name: {"rows": rows} for name in "abc"},
        learning__local_steps=None,
        learning__local_epochs=epochs,
        privacy__sampling_probability=None,
        privacy__expected_batch_size=batch,
    )
    sampling = sampling_of(wanted, "a")
    assert (sampling.probability, sampling.expected_batch_size, sampling.steps) == expected


@pytest.mark.parametrize(
    ("rounds", "every", "expected"),
    [(4, 0, (4,)), (4, 2, (2, 4)), (5, 2, (2, 4, 5)), (3, 1, (1, 2, 3)), (1, 1, (1,))],
)
def test_the_last_round_is_always_evaluated(study: Any, rounds: int, every: int, expected: tuple[int, ...]) -> None:
    wanted = study(learning__rounds=rounds, release__metrics={"every": every, "epsilon": 0.5})
    assert evaluations_of(wanted) == expected


def test_thresholds_refer_to_the_chosen_sites(plan: Any) -> None:
    found = plan(learning__clients_per_round=3)
    assert (found.training.clients_per_round, found.aggregation.threshold) == (3, 2)
    assert plan().aggregation.threshold == 3
    assert plan(secure_aggregation={"protocol": "secagg", "threshold": 4}).aggregation.threshold == 4
    assert any("as if it were chosen in every round" in line for line in found.assumptions)
    assert found.sites[0].noise_multiplier == plan().sites[0].noise_multiplier  # being chosen never amplifies


def test_the_ring_is_that_of_secure_aggregation(plan: Any) -> None:
    from reticent.secagg import Parameters

    aggregation = plan().aggregation
    parameters = Parameters(clients=4, length=10, bound=2.0**10, precision=2.0**-24, dropouts=1)
    assert (aggregation.ring_bits, aggregation.threshold) == (parameters.ring_bits, parameters.threshold)
    assert 2**aggregation.ring_bits > 2 * 4 * 2**34
    assert plan(secure_aggregation={"protocol": "plain"}).aggregation.ring_bits == 0


def test_layers_that_mix_examples_are_refused_where_an_epsilon_is_claimed(
    study: Any, facts: ModelFacts, without: dict[str, Any]
) -> None:
    mixing = facts.model_copy(update={"mixing_layers": ("1 (BatchNorm1d)",)})
    with pytest.raises(PolicyRefused, match="BatchNorm1d") as caught:
        derive(study(), mixing)
    assert "GroupNorm" in caught.value.hint
    assert derive(study(**without), mixing).guarantee is None


def test_sections_changed_behind_the_checks_are_checked_again(study: Any, facts: ModelFacts) -> None:
    wanted = study()
    privacy = wanted.privacy.model_copy(update={"unit": "site"})
    with pytest.raises(PolicyRefused, match="whole site"):
        derive(wanted.model_copy(update={"privacy": privacy}), facts)


# The hash ----------------------------------------------------------------------------------------------------


def test_the_same_study_has_the_same_hash(study: Any, plan: Any, facts: ModelFacts) -> None:
    assert derive(study(), facts).hash == plan().hash
    sites = dict(reversed([(site.name, {"rows": site.rows}) for site in plan().sites]))
    assert plan(sites=sites).hash == plan().hash  # the order of the sites in the file means nothing
    assert Plan.model_validate_json(plan().canonical()).hash == plan().hash
    assert json.loads(plan().canonical())["study"] == "wards"


def test_paths_of_this_machine_are_no_part_of_the_plan(plan: Any) -> None:
    local = {"sites__north": {"rows": 600, "file": "/srv/a.csv"}, "ledger": {"url": "sqlite:////srv/b.db"}}
    assert plan(**local).hash == plan().hash


@pytest.mark.parametrize(
    "change",
    [
        {"sites__north__rows": 601},
        {"learning__learning_rate": 0.51},
        {"privacy__target": {"epsilon": 2.9, "delta": 1e-5}},
        {"study__purpose": "another"},
        {"secure_aggregation": {"protocol": "plain", "dropouts": 1}},
        {"data__split_key": "wards-2"},
        {"sites__north__dataset": "2"},
    ],
)
def test_whatever_changes_the_plan_changes_the_hash(plan: Any, change: dict[str, Any]) -> None:
    assert plan(**change).hash != plan().hash


# In words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["secagg", "plain"])
@pytest.mark.parametrize("claimed", [True, False])
def test_the_four_parties_are_told_apart(plan: Any, without: dict[str, Any], protocol: str, claimed: bool) -> None:
    changes = {} if claimed else without
    found = plan(**changes, secure_aggregation={"protocol": protocol, "dropouts": 1})
    own, others, coordinator, reader = found.who_sees
    assert "own site" in own.party
    assert ("noised" in coordinator.sees) == claimed == ("noised" in reader.sees)
    assert ("sum of the" in coordinator.sees) == (protocol == "secagg")
    assert "every single site" in coordinator.sees or protocol == "secagg"
    assert "this site's records" in others.does_not_see
    assert all(row.party in found.who_sees_what() for row in found.who_sees)


def test_what_is_not_covered_is_said(plan: Any, without: dict[str, Any]) -> None:
    text = " ".join(plan().not_covered)
    for said in (
        "takes part",
        "computing time",
        "Declared sizes",
        "Choosing settings",
        "exact files",
        "exported model",
    ):
        assert said in text
    assert "masks against 3 or more sites" in text
    assert "departs from the protocol" in text
    assert "reveal single records" in " ".join(plan(**without).not_covered)
    rows = plan(privacy__unit="record", data__person="patient").not_covered
    assert any("m rows" in line for line in rows)


@pytest.mark.parametrize("width", [40, 60, 100])
@pytest.mark.parametrize("claimed", [True, False])
def test_the_plan_in_words_fits_the_terminal(plan: Any, without: dict[str, Any], width: int, claimed: bool) -> None:
    found = plan(**({} if claimed else without))
    text = in_words(found, width=width, left={"north": 4.0})
    assert max(map(len, text.splitlines())) <= max(width, 60)
    assert found.hash[:12] in text
    for title in topics(found):
        assert title in text
    if claimed:
        assert found.guarantee.sentence() in topics(found)["The promise"]
        assert "left before 4.00, after 1.00" in " ".join(text.split())
    else:
        assert "No promise of differential privacy is made: public records" in text


def test_epsilon_is_shown_rounded_up_and_what_is_left_rounded_down(plan: Any) -> None:
    found = plan()
    site = found.sites[0].model_copy(update={"epsilon": 2.9912})
    shown = topics(found.model_copy(update={"sites": (site,)}), left={site.name: 4.0})["Privacy budget"][0]
    assert "epsilon 3.00 at" in shown
    assert "after 1.00" in shown


@given(epsilon=st.floats(0.6, 50), rounds=st.integers(1, 30), more=st.tuples(st.integers(0, 3), st.integers(0, 3)))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_study_keeps_its_target(
    study: Any, facts: ModelFacts, epsilon: float, rounds: int, more: tuple[int, int]
) -> None:
    """Without sampling, so that accounting is exact and quick."""
    spare, every = more
    wanted = study(
        privacy__target={"epsilon": epsilon, "delta": 1e-5},
        learning__rounds=rounds,
        privacy__spare_executions=spare,
        release__metrics={"every": min(every, rounds), "epsilon": 0.5},
    )
    found = derive(wanted, facts)
    assert max(certify(found).values()) <= found.guarantee.epsilon <= epsilon


def test_models_with_other_outputs_are_refused(study: Any, facts: ModelFacts) -> None:
    with pytest.raises(UsageError, match="returns 1 values"):
        derive(study(), facts.model_copy(update={"outputs": 1}))
    assert derive(study(model__loss="binary_cross_entropy_with_logits"), facts.model_copy(update={"outputs": 1}))
    assert derive(study(model__loss="my.losses:focal"), facts.model_copy(update={"outputs": 7}))
