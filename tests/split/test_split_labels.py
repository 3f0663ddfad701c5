"""In a U-shape no label leaves: recorded traffic, read as whoever carries it would."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reticent import split
from reticent.data import Examples
from reticent.messages import decode, encode
from reticent.split import client as client_module
from reticent.split.sides import to_array
from reticent.split.wire import Activations, HeadGradient


def recode(rows: Examples) -> Examples:
    """The same rows with the classes named the other way round: every label is another."""
    return Examples.of(rows.features, (rows.labels + 1) % 3)


def record(world: Any, data: Examples, shape: str = "u-shape", **changes: Any) -> Any:
    """Train two epochs and evaluate, and return all messages."""
    model = world.model("mlp")
    settings = world.settings(shape=shape, epochs=2, evaluations=(2,), **changes)
    at = "1" if shape == "vanilla" else ("0", "3")
    clients, server = world.parties(model, at, {"north": data}, settings, test={"north": data})
    recorded = world.Recorded()
    split.simulate(clients, server, witness=recorded)
    return recorded


def codings(labels: np.ndarray) -> list[bytes]:
    """Sequences of bytes that the labels of eight neighbouring rows become under usual codings."""
    kinds = ("<i8", "<i4", "<i2", "|u1", "<f4", "<f8")
    one_hot = np.eye(3)[labels]
    return [labels.astype(kind).tobytes() for kind in kinds] + [one_hot.astype(kind).tobytes() for kind in kinds]


def holds_labels(recorded: Any, data: Examples, settings: split.SplitTraining) -> bool:
    """Whether the labels of any batch (its first eight rows) stand anywhere in the traffic."""
    wanted = []
    for epoch in (1, 2):
        for rows in split.epoch_batches(len(data), settings, epoch=epoch, site="north"):
            wanted += codings(data.labels[rows[:8]])
    wanted += codings(data.labels[:8])
    return any(found in body for *_, body in recorded.messages for found in wanted)


def test_no_label_stands_in_the_traffic(world: Any) -> None:
    data, settings = world.rows((6,), 64), world.settings(shape="u-shape", epochs=2)
    assert not holds_labels(record(world, data), data, settings)


def test_the_search_finds_labels_where_they_travel(world: Any) -> None:
    data, settings = world.rows((6,), 64), world.settings(shape="vanilla", epochs=2)
    assert holds_labels(record(world, data, "vanilla"), data, settings)


def test_what_goes_forward_does_not_depend_on_a_label(world: Any) -> None:
    """With other labels for every row, everything up to the first gradient has the same bytes, and all lengths agree.

    Later messages differ, since the weights have then learned from the labels: gradients depend on labels, and this
    test does not deny it.
    """
    data = world.rows((6,), 64)
    one, two = record(world, data).messages, record(world, recode(data)).messages
    assert [(phase, way, len(body)) for phase, _, way, body in one] == [
        (phase, way, len(body)) for phase, _, way, body in two
    ]
    first = next(index for index, message in enumerate(one) if message[0] == "train/head-0" and message[2] == "up")
    assert [body for *_, body in one[:first]] == [body for *_, body in two[:first]]
    assert one[first][3] != two[first][3]


def test_with_frozen_parts_only_gradients_and_counts_depend_on_labels(world: Any) -> None:
    """Without learning, every forward message of every epoch has the same bytes whatever the labels are."""
    frozen = {"bottom_optimizer": None, "server_optimizer": None, "head_optimizer": None}
    data = world.rows((6,), 64)
    one, two = (record(world, rows, **frozen).messages for rows in (data, recode(data)))
    different = {(phase.partition("-")[0], way) for (phase, _, way, a), (*_, b) in zip(one, two, strict=True) if a != b}
    assert different == {
        ("train/head", "up"),  # the gradient of the loss
        ("train/batch", "down"),  # what the middle makes of it
        ("train/close", "down"),
        ("evaluate/close", "up"),  # counts
    }


def _telling(kind: str) -> Any:
    """A client that slips labels into its messages."""
    right = client_module.Client._batch

    def batch(self: Any, task: Any, number: int, body: bytes) -> bytes:
        answer = decode(right(self, task, number, body), Activations, limit=1 << 20)
        labels = to_array(self._holding.rows(task.kind).take(task.batches[number])[1])
        if kind == "field":
            return encode(Activations(answer.values, labels))
        return encode(Activations(answer.values + 1e-9 * labels[:, None], None))

    return batch


def test_labels_in_a_field_are_caught(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data, settings = world.rows((6,), 64), world.settings(shape="u-shape", epochs=2)
    monkeypatch.setattr(client_module.Client, "_batch", _telling("field"))
    assert holds_labels(record(world, data), data, settings)


def test_labels_hidden_in_the_activations_are_caught(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module.Client, "_batch", _telling("hidden"))
    with pytest.raises(AssertionError):
        test_what_goes_forward_does_not_depend_on_a_label(world)


def test_gradients_of_a_u_shape_tell_classes_apart(world: Any) -> None:
    """What is *not* promised: with one logit, the gradients of the two classes point in opposite directions."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    data = world.rows((6,), 64, classes=2)
    settings = world.settings(shape="u-shape", epochs=1, classes=2, loss="binary_cross_entropy_with_logits")
    clients, server = world.parties(copy.deepcopy(model), ("0", "1"), {"north": data}, settings)
    recorded = world.Recorded()
    split.simulate(clients, server, witness=recorded)
    rows = split.epoch_batches(64, settings, epoch=1, site="north")[0]
    gradient = decode(recorded.bodies("train/head-0", "up")[0], HeadGradient, limit=1 << 20).gradient
    sides = gradient @ gradient[0] > 0
    truth = data.labels[rows] == data.labels[rows][0]
    assert np.array_equal(sides, truth)
