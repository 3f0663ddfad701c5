"""Words, JSON and the guides' table: figures where they were measured, computed ones apart."""

from __future__ import annotations

import json
from collections.abc import Callable

from reticent.advise import Concern, Measurements, Needs, advise, as_data, figures_table, in_words, technique_table


def test_words_say_everything_that_counts(needs: Callable[..., Needs], made_up: Measurements) -> None:
    advice = advise(needs(protect=(Concern.updates,), wish="split-learning", latency_ms=100.0, bandwidth_mbit=8.0))
    text = " ".join(in_words(advice, made_up).split())
    for part in (
        "1. federated-learning + secure-aggregation",
        "whoever coordinates must not see",
        "seen by the coordinator",
        "not protected: the sum",
        "You thought of split-learning",
        "500 ms for training (5.0 times the plain run), 1 MB in 40 rounds",
        # 0.5 s + 40 rounds of 0.1 s + 8e6 bits at 8 Mbit/s
        "computed for 100 ms and 8 Mbit/s: 5.5 s",
        "a machine",
    ):
        assert part in text, part


def test_an_honest_no_is_the_first_thing(needs: Callable[..., Needs]) -> None:
    text = in_words(advise(needs(protect=(Concern.cheating,))))
    assert "No answer\n  None of these does that" in text
    assert "1. " not in text


def test_json_holds_what_the_words_say(needs: Callable[..., Needs], made_up: Measurements) -> None:
    advice = advise(needs(protect=(Concern.updates,), latency_ms=100.0, bandwidth_mbit=8.0))
    data = json.loads(json.dumps(as_data(advice, made_up)))
    assert data["answers"][0]["techniques"] == ["federated-learning", "secure-aggregation"]
    assert data["answers"][0]["who_sees"][0]["party"] == "the coordinator"
    assert data["needs"]["protect"] == ["updates-from-coordinator"]
    figure = data["measured"]["figures"][1]
    assert figure["outcome"]["seconds"] == 0.5
    assert figure["computed_network_seconds"] == 5.5
    assert {left["techniques"][0] for left in data["not_recommended"]} >= {"plain", "differential-privacy"}
    assert json.loads(json.dumps(as_data(advice)))["measured"] is None


def test_the_guides_table_has_figures(made_up: Measurements) -> None:
    table = technique_table(made_up)
    lines = table.splitlines()
    assert lines[0] == "| technique | use | complexity | overhead |"
    masks = next(line for line in lines if line.startswith("| secure aggregation |"))
    assert masks.endswith("training 5.0 times, 1 MB, 40 rounds |")
    assert "not measured" in technique_table(None)
    assert "0.900 | 0.950 |" in figures_table(made_up)
