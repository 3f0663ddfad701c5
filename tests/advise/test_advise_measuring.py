"""Figures come from runs: a technique that is slowed down on purpose costs more, one that sends more counts more."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reticent import federated, he, mpc, secagg, split, training
from reticent.advise import Figure, Technique, Trial, measure, measuring, runs, table_trial
from reticent.errors import DataError, EnvironmentFault
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


SLOWED = {
    "federated": ((F,), "train", "logistic", federated.Client, "handle", 0.02, 30),
    "masks": ((F, M), "train", "logistic", secagg.Client, "masked_input", 0.02, 30),
    "privacy": ((F, D), "train", "logistic", training.Trainer, "step", 0.005, 120),
    "split": ((Technique.cut,), "train", "mlp", split.Client, "handle", 0.005, 90),
    "vertical": ((Technique.vertical,), "train", "logistic", split.Client, "handle", 0.005, 90),
    "sharing": ((Technique.sharing,), "predict", "logistic", mpc.Session, "input", 0.2, 1),
    "encryption": ((Technique.encryption,), "predict", "logistic", he.PredictionServer, "answer", 0.1, 3),
}


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run of each: these tests look for pauses, not for the shortest time."""
    monkeypatch.setattr(measuring, "_REPEATS", 1)


@pytest.mark.parametrize("name", SLOWED)
def test_a_slower_technique_costs_more(small: Trial, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause in each call of one part: all of them appear in the figure, and in the overhead."""
    techniques, task, model, owner, method, pause, calls = SLOWED[name]
    monkeypatch.setattr(owner, method, slow(getattr(owner, method), pause))
    after = figure(small, techniques, task, model)
    assert after.outcome.seconds >= pause * calls
    assert after.overhead == pytest.approx(after.outcome.seconds / after.plain_seconds)


def test_a_pause_makes_the_difference(small: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seconds of pauses in a run that takes a tenth of one; the traffic stays."""
    before = figure(small, (F,), "train", "logistic")
    monkeypatch.setattr(federated.Client, "handle", slow(federated.Client.handle, 0.1))
    after = figure(small, (F,), "train", "logistic")
    assert after.outcome.seconds > before.outcome.seconds + 1.5
    assert (after.outcome.bytes, after.outcome.rounds) == (before.outcome.bytes, before.outcome.rounds)


def test_training_under_shares_learns_what_plain_training_learns(small: Trial) -> None:
    found = figure(small, (Technique.sharing,), "train", "logistic")
    assert found.outcome.accuracy > 0.85
    assert found.outcome.rounds > 100
    assert found.outcome.bytes > 100_000


def test_a_defended_cut_is_measured_too(small: Trial) -> None:
    """Noise in every activation on 96 rows: traffic as without it, and no claim about the accuracy."""
    vertical = (Technique.vertical, D)
    found = measure(small, only=[(Technique.vertical,), vertical], models=["logistic"])
    open_, noised = found.of((Technique.vertical,), "train", "logistic"), found.of(vertical, "train", "logistic")
    assert open_ is not None
    assert noised is not None
    assert noised.outcome.bytes == open_.outcome.bytes
    assert "epsilon" in noised.outcome.note
    assert open_.outcome.accuracy > 0.85


def test_predictions_of_all_rows_agree_with_the_plain_model(trial: Trial) -> None:
    """Encrypted and shared, both models: at most one of 143 rows is on the other side."""
    measured = measure(trial, only=[(Technique.sharing,), (Technique.encryption,)], models=["mlp"])
    for technique in (Technique.sharing, Technique.encryption):
        found = measured.of((technique,), "predict", "mlp")
        assert found is not None
        assert abs(found.outcome.accuracy - found.plain_accuracy) < 1.5 / len(trial.test)
        assert found.outcome.rows == len(trial.test)


def test_a_missing_extra_is_named_and_the_rest_goes_on(small: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: Any, **named: Any) -> None:
        raise EnvironmentFault("code", "tenseal is not installed", hint="pip install 'reticent[he]'")

    monkeypatch.setattr(he, "compile", missing)
    measured = measure(small, only=[(Technique.encryption,)], models=["logistic"])
    assert [left.name for left in measured.missing] == ["homomorphic-encryption, predict, logistic"]
    assert "pip install 'reticent[he]'" in measured.missing[0].reason
    assert len(measured.figures) == 2


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
