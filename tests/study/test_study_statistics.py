"""`[statistics]` in a study: its part of the promise, what the plan says of it, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reticent import dp
from reticent.errors import ReticentError
from reticent.study import Plan, Study, calibrate, dump_study, in_words, load_study, statistics_layout

ASK = [{"what": "count"}, {"what": "mean", "column": "age"}]
SECTION = {"data__person": "number", "statistics": {"epsilon": 0.4, "rows_per_person": 2, "ask": ASK}}


def certified(plan: Plan, site: str) -> float:
    release = plan.release(site)
    assert release is not None
    assert plan.guarantee is not None
    return dp.epsilon(release.events, delta=plan.guarantee.delta, relation=plan.guarantee.relation)


@pytest.mark.parametrize("changes", [{}, {"privacy__relation": "replace_one"}, {"privacy__spare_executions": 2}])
def test_statistics_share_the_promise(plan: Callable[..., Plan], changes: dict[str, Any]) -> None:
    found = plan(**SECTION, **changes)
    assert found.statistics is not None
    spare = found.privacy.spare_executions  # type: ignore[union-attr]
    event = dp.Gaussian(found.statistics.noise_multiplier or 0.0)
    for site in found.sites:
        assert 2.97 < certified(found, site.name) <= 3.0
        release = found.release(site.name)
        assert release is not None
        assert release.counts()[event] == 1 + spare
        assert site.noise_multiplier > plan(**changes).site(site.name).noise_multiplier  # type: ignore[operator]
    alone = dp.Repeated(event, 1 + spare)
    assert found.guarantee is not None
    assert dp.epsilon(alone, delta=found.guarantee.delta, relation=found.guarantee.relation) <= 0.4


def test_statistics_and_figures_are_never_the_same_event(plan: Callable[..., Plan]) -> None:
    """With equal parts of the target they had equal noise, and the ledger's commits for one counted for the other."""
    found = plan(**SECTION, release__metrics={"every": 0, "epsilon": 0.4})
    assert found.statistics is not None
    assert found.statistics.noise_multiplier != found.metrics.noise_multiplier
    for site in found.sites:
        assert certified(found, site.name) <= 3.0


def test_a_broken_copy_that_does_not_charge_statistics_is_caught(
    plan: Callable[..., Plan], study: Callable[..., Study], facts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certified anew from what the plan says it releases, training calibrated without them is beyond the target."""
    from reticent.study import derive

    besides = calibrate._Solver.besides  # type: ignore[attr-defined]
    monkeypatch.setattr(calibrate._Solver, "besides", lambda self, sites: besides(self, sites)[:1])  # type: ignore[attr-defined]
    broken = derive(study(**SECTION), facts)
    assert certified(broken, "north") > 3.0


def test_the_plan_says_what_leaves_and_every_party_derives_the_same_vector(plan: Callable[..., Plan]) -> None:
    found = plan(**SECTION)
    part, privacy = found.statistics, found.privacy
    assert part is not None
    assert privacy is not None
    layout = statistics_layout(part, found.contract, unit=privacy.unit, relation=privacy.relation)
    assert (layout.hash, layout.length, layout.grid) == (part.layout_hash, part.length, part.grid)
    text = in_words(found)
    assert "the answers to 2 questions as one vector with noise multiplier" in text
    assert "noised figures and statistics summed over the sites" in text.replace("\n    ", " ")
    assert Plan.model_validate_json(found.canonical()).hash == found.hash


def test_a_study_without_statistics_keeps_its_hash(plan: Callable[..., Plan]) -> None:
    assert "statistics" not in plan().canonical()


def test_statistics_survive_the_effective_file(written: Callable[..., Any]) -> None:
    study = load_study(written(**SECTION))
    written_again = written(**SECTION)
    written_again.write_text(dump_study(study))
    assert load_study(written_again) == study


def test_without_a_promise_statistics_are_exact(plan: Callable[..., Plan], without: dict[str, Any]) -> None:
    found = plan(**without, statistics={"ask": ASK})
    assert found.statistics is not None
    assert found.statistics.noise_multiplier is None
    assert "the answers to 2 questions exactly" in in_words(found)


@pytest.mark.parametrize(
    ("section", "code"),
    [
        (
            {"epsilon": 0.5, "rows_per_person": 2, "ask": [{"what": "mean", "column": "aeg"}]},
            "statistics-not-in-contract",
        ),
        ({"epsilon": 0.5, "rows_per_person": 2, "ask": [{"what": "meen", "column": "age"}]}, "statistics-unknown"),
        ({"epsilon": 0.5, "ask": ASK}, "statistics-rows-per-person"),
        ({"rows_per_person": 2, "ask": ASK}, "statistics-epsilon"),
        ({"epsilon": 2.9, "rows_per_person": 2, "ask": ASK}, "statistics-epsilon-too-large"),
        ({"epsilon": 0.5, "rows_per_person": 2, "ask": []}, "invalid-value"),
    ],
)
def test_what_is_refused(study: Callable[..., Study], section: dict[str, Any], code: str) -> None:
    with pytest.raises(ReticentError) as caught:
        study(data__person="number", statistics=section)
    assert caught.value.code == code
    assert caught.value.hint


def test_other_methods_do_not_read_it(study: Callable[..., Study]) -> None:
    with pytest.raises(ReticentError) as caught:
        study(
            statistics={"ask": ASK},
            learning={"method": "split", "rounds": 2, "batch_size": 8, "learning_rate": 0.1},
            privacy={"guarantee": "none", "reason": "made up"},
            secure_aggregation=None,
            split={"cut": "0"},
            release=None,
        )
    assert caught.value.code in ("section-of-another-method", "labels-travel")
