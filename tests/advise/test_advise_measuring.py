"""Figures come from runs: a technique that is slowed down on purpose costs more, one that sends more counts more."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reticent import federated
from reticent.advise import Figure, Technique, Trial, measure, table_trial
from reticent.advise.measuring import runs
from reticent.errors import DataError
from reticent.roles import Reply

F, D, M = Technique.federated, Technique.privacy, Technique.masks


def figure(trial: Trial, techniques: tuple[Technique, ...], task: str, model: str) -> Figure:
    found = measure(trial, only=[techniques], models=[model]).of(techniques, task, model)
    assert found is not None
    return found


def test_every_technique_is_measured_on_the_same_rows(trial: Trial) -> None:
    """Federated learning in its four forms, one model: all figures are there, and learning has taken place."""
    measured = measure(trial, only=[(F,), (F, D), (F, M), (F, D, M)], models=["logistic"])
    assert measured.missing == ()
    for techniques in ((F,), (F, D), (F, M), (F, D, M)):
        found = measured.of(techniques, "train", "logistic")
        assert found is not None
        assert found.outcome.accuracy > 0.85
        assert found.outcome.rows == len(trial.train)
        assert found.outcome.seconds > 0
        assert found.outcome.rounds == (40 if M in techniques else 10)
    # Ten rounds, three sites, 62 numbers of 4 bytes down and 8 bytes up, and a little that names them.
    plain = measured.of((F,), "train", "logistic")
    assert plain is not None
    assert 10 * 3 * 62 * 12 < plain.outcome.bytes < 2 * 10 * 3 * 62 * 12
    masked = measured.of((F, M), "train", "logistic")
    assert masked is not None
    assert masked.outcome.bytes > plain.outcome.bytes


def slow(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """Return `function` with a pause before it."""

    def slower(*arguments: Any, **named: Any) -> Any:
        time.sleep(seconds)
        return function(*arguments, **named)

    return slower


def test_a_slower_technique_costs_more(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of 20 ms in every answer of a site: 3 sites and 10 rounds make 0.6 s, and the table shows it."""
    before = figure(trial, (F,), "train", "logistic")
    monkeypatch.setattr(federated.Client, "handle", slow(federated.Client.handle, 0.02))
    after = figure(trial, (F,), "train", "logistic")
    assert after.outcome.seconds >= 0.6
    assert before.outcome.seconds < after.outcome.seconds
    assert after.overhead == pytest.approx(after.outcome.seconds / after.plain_seconds)


def test_a_technique_that_sends_more_counts_more(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site that answers with a copy of its message behind it is seen in the bytes (and refused by the server)."""
    answer = federated.Client.handle
    sent: list[int] = []

    def watched(self: Any, *arguments: Any) -> Reply:
        reply = answer(self, *arguments)
        sent.append(len(reply.message))
        return reply

    monkeypatch.setattr(federated.Client, "handle", watched)
    found = figure(trial, (F,), "train", "mlp")
    runs_made = len(sent) // 30
    assert found.outcome.bytes > sum(sent) // runs_made > found.outcome.bytes // 3


def test_a_broken_training_shows_in_the_accuracy(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copy: the server forgets the updates. The accuracy is that of the first model, and no constant."""
    with monkeypatch.context() as patch:
        patch.setattr(federated.Server, "_complete", _forgetful)
        assert figure(trial, (F,), "train", "logistic").outcome.accuracy < 0.9


def _forgetful(self: Any, summed: Any) -> None:
    self.finished = federated.Finished("train", self._done, 1, summed.contributors, None)
    self._done += 1
    self._sum = self._pending = None


def test_the_network_is_computed_apart_from_what_was_measured(trial: Trial) -> None:
    found = figure(trial, (F,), "train", "logistic")
    assert found.over_network(0.0, 1e12) == pytest.approx(found.outcome.seconds)
    waiting = found.over_network(100.0, 1.0) - found.outcome.seconds
    assert waiting == pytest.approx(10 * 0.1 + 8 * found.outcome.bytes / 1e6)


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(generator.normal(size=(200, 3)), columns=["a", "b", "c"])
    frame["ill"] = np.where(frame["a"] + frame["b"] > 0, "yes", "no")
    frame["name"] = "somebody"
    frame.loc[3, "a"] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = table_trial(tmp_path / "t.csv", "ill")
    assert (found.width, len(found.train) + len(found.test)) == (3, 199)
    assert figure(found, (F,), "train", "logistic").outcome.accuracy > 0.8


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n", "a,b,label\n" + "1,2,x\n" * 50, "a,label\n1,x\n2,y\n", "label\nx\ny\n", ""]
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=r"t\.csv"):
        table_trial(tmp_path / "t.csv", "label")


def test_runs_have_their_own_names() -> None:
    names = [run.name for run in runs()]
    assert len(names) == len(set(names))
    assert sum(run.techniques == (Technique.plain,) for run in runs()) == 4
