"""The rules, over every combination of needs: an answer or an honest no, and never a guarantee that is not in the table."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reticent.advise import COVERS, Advice, Concern, Needs, Technique, advise, offers, parse_needs
from reticent.advise.techniques import arises

DATA = ("rows", "columns", "one-party", "devices")
TASKS = ("train", "predict", "statistics")
MODELS = ("logistic", "mlp", "deep")


def needs(**changes: object) -> Needs:
    base: dict[str, object] = {
        "data": "rows",
        "parties": 4,
        "task": "train",
        "protect": (),
        "trusted_party": False,
        "published": False,
    }
    return parse_needs({**base, **changes}, where="test")


def every_need() -> Iterator[Needs]:
    """Every layout, task, model, trust and publication, with no, one, two and all concerns."""
    concerns = [()]
    concerns += [(concern,) for concern in Concern]
    concerns += list(itertools.combinations(Concern, 2))
    concerns += [tuple(Concern)]
    for data, task, model, trusted, published, protect, parties in itertools.product(
        DATA, TASKS, MODELS, (False, True), (False, True), concerns, (2, 5)
    ):
        if parties == 2 and (data != "rows" or published):
            continue  # two parties are special where something is summed
        yield needs(
            data=data,
            task=task,
            model=model,
            trusted_party=trusted,
            published=published,
            protect=protect,
            parties=parties,
        )


def check_no_false_promise(advice: Advice) -> None:
    """For every answer and stated concern that can arise, a line of the table whose partner is there and which holds."""
    for answer in advice.answers:
        for concern in advice.needs.concerns:
            if not arises(concern, advice.needs):
                continue
            lines = [
                cover
                for technique in answer.techniques
                for cover in COVERS[technique].get(concern, ())
                if cover.partner in (None, *answer.techniques)
                and advice.needs.task in cover.tasks
                and advice.needs.data in cover.data
                and advice.needs.parties >= cover.parties
                and (advice.needs.trusted_party or not cover.trusted)
            ]
            assert lines, f"{answer.name} is recommended, and nothing says that it covers {concern.value}"


def test_every_combination_has_an_answer_or_an_honest_no() -> None:
    for case in every_need():
        advice = advise(case)
        check_no_false_promise(advice)
        assert bool(advice.answers) != bool(advice.none)
        assert len({answer.techniques for answer in advice.answers}) == len(advice.answers)
        assert all(refused.reasons for refused in advice.refused)
        for answer in advice.answers:
            assert answer.why
            assert answer.who_sees
            assert answer.not_protected
        burdens = [answer.burden for answer in advice.answers]
        assert burdens == sorted(burdens)


@given(
    data=st.sampled_from(DATA),
    task=st.sampled_from(TASKS),
    model=st.sampled_from(MODELS),
    protect=st.sets(st.sampled_from(list(Concern))),
    parties=st.integers(2, 100_000),
    trusted_party=st.booleans(),
    published=st.booleans(),
    unit=st.sampled_from(("record", "person")),
    rows=st.none() | st.integers(1, 10**7),
    latency_ms=st.none() | st.floats(0, 1000),
    bandwidth_mbit=st.none() | st.floats(0.1, 1e5),
)
def test_no_answer_promises_more_than_the_table(protect: set[Concern], **changes: object) -> None:
    advice = advise(needs(protect=tuple(protect), **changes))
    check_no_false_promise(advice)
    assert advice == advise(advice.needs)


def test_a_rule_that_forgets_a_concern_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copies: the check of concerns says that all is well; a partner is not asked for."""
    with monkeypatch.context() as patch:
        patch.setattr(offers, "uncovered", lambda offer, wanted: ())
        with pytest.raises(AssertionError, match="persons-from-result"):
            check_no_false_promise(advise(needs(protect=(Concern.persons_result,))))
    with monkeypatch.context() as patch:
        patch.setattr(offers, "covered", lambda concern, offer, wanted: Technique.privacy in offer.techniques)
        with pytest.raises(AssertionError, match="updates-from-coordinator"):
            check_no_false_promise(advise(needs(protect=(Concern.updates,))))


def test_what_cannot_be_true_is_not_in_the_table() -> None:
    """The claims that are made too often, one by one."""
    assert COVERS[Technique.federated] == {}
    assert COVERS[Technique.cut] == {}
    assert COVERS[Technique.vertical] == {}
    by_technique = {technique: set(covers) for technique, covers in COVERS.items()}
    for technique, concerns in by_technique.items():
        if technique is not Technique.privacy:
            assert Concern.persons_result not in concerns, technique
    assert Concern.updates not in by_technique[Technique.privacy]  # a noised update is still seen
    assert Concern.model not in by_technique[Technique.encryption]  # the reply's noise depends on the weights
    assert all(
        cover.trusted or cover.data == ("one-party",)
        for covers in COVERS[Technique.plain].values()
        for cover in covers
        if cover.tasks != ("predict",)
    )
    cheating = [technique for technique, concerns in by_technique.items() if Concern.cheating in concerns]
    assert cheating == [Technique.plain]


F, D, M, S, H, P, L, V, C = (
    Technique.federated,
    Technique.privacy,
    Technique.masks,
    Technique.sharing,
    Technique.encryption,
    Technique.plain,
    Technique.local_model,
    Technique.vertical,
    Technique.cut,
)


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"protect": (Concern.updates, Concern.persons_result)}, (F, D, M)),
        ({"protect": (Concern.updates,)}, (F, M)),
        ({"protect": (Concern.persons_result,)}, (F, D)),
        ({"protect": (Concern.updates,), "published": True, "rows": 100_000}, (F, D, M)),
        ({"protect": (Concern.rows,), "data": "columns"}, (S,)),
        ({"protect": (Concern.labels,), "data": "columns", "model": "mlp"}, (V, D)),
        ({"protect": (Concern.rows,), "data": "columns", "model": "deep"}, (V, D)),
        ({"protect": (Concern.rows,), "model": "mlp", "parties": 2, "latency_ms": 90.0}, (F, D)),
        ({"protect": (), "data": "columns", "model": "deep", "trusted_party": False}, (P,)),
        ({"protect": (Concern.input,), "task": "predict", "data": "one-party"}, (L,)),
        ({"protect": (Concern.input, Concern.model), "task": "predict", "data": "one-party"}, (S,)),
        ({"protect": (Concern.persons_result,), "data": "one-party"}, (P, D)),
        ({"protect": (Concern.rows, Concern.persons_result), "data": "columns", "trusted_party": True}, (P, D)),
        ({"protect": (Concern.rows,), "task": "statistics"}, (M,)),
        ({"protect": (Concern.rows,), "task": "statistics", "published": True}, (D,)),
        ({"protect": (Concern.updates, Concern.persons_result), "task": "statistics"}, (M, D)),
        ({"protect": (Concern.rows,), "task": "statistics", "data": "columns"}, (S,)),
        ({"protect": (Concern.updates, Concern.persons_coordinator), "data": "devices", "parties": 5000}, (F, D, M)),
    ],
)
def test_the_usual_cases(changes: dict[str, object], first: tuple[Technique, ...]) -> None:
    assert advise(needs(**changes)).answers[0].techniques == first


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protect": (Concern.cheating,)}, "follow the protocol"),
        ({"protect": (Concern.membership,), "data": "columns"}, "Alignment"),
        ({"protect": (Concern.persons_result,), "task": "predict"}, "settled when the model is trained"),
        ({"protect": (Concern.input,), "task": "predict", "data": "columns", "trusted_party": True}, ""),
        ({"protect": (Concern.updates,), "parties": 2, "model": "mlp"}, "three parties"),
        ({"protect": (Concern.rows, Concern.persons_result), "data": "columns"}, "built for rows"),
        ({"protect": (), "task": "statistics", "data": "columns"}, ""),
    ],
)
def test_an_honest_no_names_what_to_do(changes: dict[str, object], words: str) -> None:
    advice = advise(needs(**changes))
    assert words in advice.none
    assert bool(words) == (advice.answers == ())


def test_masks_are_not_offered_to_two_parties() -> None:
    """Each of two computes the other's part from the sum."""
    advice = advise(needs(protect=(Concern.updates,), parties=2))
    assert all(M not in answer.techniques for answer in advice.answers)


def test_a_guarantee_needs_all_of_its_conditions() -> None:
    """Each condition of a line of the table counts by itself."""
    (cover,) = COVERS[M][Concern.updates][:1]
    assert cover.holds(needs(), (F, M))
    assert not cover.holds(needs(), (M,))
    assert not cover.holds(needs(parties=2), (F, M))
    assert not cover.holds(needs(task="statistics"), (F, M))
    assert not cover.holds(needs(data="columns"), (F, M))
    trusted = next(cover for cover in COVERS[P][Concern.rows] if cover.trusted)
    assert trusted.holds(needs(trusted_party=True), (P,))
    assert not trusted.holds(needs(), (P,))


def test_a_slow_network_moves_what_talks_much_down() -> None:
    case = {"protect": (Concern.rows,), "published": False, "rows": 500}
    near, far = (
        [answer.techniques for answer in advise(needs(latency_ms=latency, **case)).answers] for latency in (0.1, 80.0)
    )
    assert near[0] == (S,)
    assert far[0] == (F, D)
    assert set(near) == set(far)


def test_a_published_result_is_named_where_nothing_bounds_it() -> None:
    advice = advise(needs(protect=(Concern.updates,), published=True))
    assert any("only differential privacy" in note for note in advice.notes)
    masked = next(answer for answer in advice.answers if answer.techniques == (F, M))
    assert any("published result" in limit for limit in masked.not_protected)


def test_ranking_loads_no_torch() -> None:
    """The rules are values; measuring is another matter."""
    code = (
        "import sys; from reticent import advise; from reticent.advise import parse_needs;"
        "advise.advise(parse_needs(dict(data='rows', parties=3, task='train', protect=[], trusted_party=False,"
        "published=True), where='x')); assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
