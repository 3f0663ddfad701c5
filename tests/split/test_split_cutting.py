"""A cut gives parts that together are the model, own its parameters, and let one tensor cross; or says why not."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reticent import split
from reticent.errors import UsageError
from reticent.split import tracing

NAMES = ["mlp", "lenet", "residual", "batch-norm", "dropout", "transformer", "gru", "group-norm"]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("u_shape", [False, True], ids=["two", "three"])
@pytest.mark.parametrize("name", NAMES)
def test_parts_together_are_the_model(world: Any, name: str, u_shape: bool, training: bool) -> None:
    """Bit for bit, with the same random numbers, in both modes, whichever mode the model was cut in."""
    kind = world.architectures[name]
    model = world.model(name).train(not training)
    parts = split.cut(model, kind.u_shape if u_shape else kind.at)
    assert len(parts) == (3 if u_shape else 2)
    values = torch.from_numpy(world.rows(kind.shape, 9).features).double()
    whole = copy.deepcopy(model).train(training)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = whole(values)
        torch.manual_seed(3)
        found = values
        for part in parts:
            found = part.train(training)(found)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", NAMES)
def test_parts_own_the_very_parameters(world: Any, name: str) -> None:
    model = world.model(name)
    parts = split.cut(model, world.architectures[name].u_shape)
    owned = [value for part in parts for value in part.parameters()]
    assert {id(value) for value in owned} == {id(value) for value in model.parameters()}
    assert len(owned) == len(list(model.parameters()))
    named = {key for part in parts for key in part.state_dict()}
    assert named == set(model.state_dict())


def test_dropout_written_as_a_function_follows_the_mode(world: Any) -> None:
    """The pitfall of tracing: a part that was cut in training mode must not go on dropping in evaluation mode."""
    model = world.model("dropout").train()
    bottom, top = split.cut(model, "first")
    values = torch.ones(4, 6).double()
    model.eval(), bottom.eval(), top.eval()
    assert torch.equal(top(bottom(values)), model(values))
    model.train(), bottom.train(), top.train()
    assert not torch.equal(top(bottom(values)), top(bottom(values)))


def test_a_graph_that_forgot_the_mode_is_caught(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken copy: a tracer that keeps the mode of the moment."""
    tracer = tracing._Tracer
    monkeypatch.setattr(tracing, "_Tracer", lambda inside, follow_mode: tracer(inside, follow_mode=False))
    with pytest.raises(AssertionError):
        test_dropout_written_as_a_function_follows_the_mode(world)


class Branches(nn.Module):
    """A skip from the input across the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, values: Tensor) -> Tensor:
        inner = self.second(F.relu(self.first(values)))
        return self.last(inner + values)


def test_several_tensors_that_cross_are_named_with_a_place_to_cut() -> None:
    with pytest.raises(UsageError, match="the input values and the output of first would cross") as caught:
        split.cut(Branches(), "first")
    assert caught.value.code == "several-tensors-cross"
    places = re.search(r"cut after (.*)", caught.value.hint)
    assert places
    bottom, top = split.cut(Branches(), places[1].split(" or ")[0])
    assert bottom is not top


def test_no_place_to_cut_is_said() -> None:
    class Everywhere(Branches):
        def forward(self, values: Tensor) -> Tensor:
            return self.last(self.first(values)) + values[:, :2]

    with pytest.raises(UsageError, match="the input values") as caught:
        split.cut(Everywhere(), "first")
    assert "in one submodule" in caught.value.hint


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 4)
        self.last.weight = self.first.weight
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, values: Tensor) -> Tensor:
        return self.last(self.first(values))


class Scaled(Tied):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 4)

    def forward(self, values: Tensor) -> Tensor:
        return self.last(self.first(values * self.scale)) * self.scale


def test_tied_parameters_across_the_cut_are_refused() -> None:
    for model, name in ((Tied(), "first.weight"), (Scaled(), "scale")):
        with pytest.raises(UsageError, match=name) as caught:
            split.cut(model, "first")
        assert caught.value.code == "shared-across-cut"


def test_a_layer_inside_a_container_and_a_node_of_the_graph() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Sequential(nn.Linear(5, 6), nn.Tanh()))
            self.head = nn.Linear(6, 2)

        def forward(self, values: Tensor, scale: float = 2.0, mask: Tensor | None = None) -> Tensor:
            values = self.encoder(values)
            if mask is not None:
                values = values * mask
            return self.head(torch.sigmoid(values) * scale)

    model = Deep()
    values = torch.randn(3, 4)
    for place in ("encoder.0", "encoder.2.0", "encoder.2", "encoder", "sigmoid", "mul"):
        bottom, top = split.cut(model, place)
        assert torch.equal(top(bottom(values)), model(values)), place
    bottom, middle, head = split.cut(model, ("encoder.0", "encoder"))
    assert torch.equal(head(middle(bottom(values))), model(values))
    assert [sum(p.numel() for p in part.parameters()) for part in (bottom, middle, head)] == [25, 36, 14]


def test_what_a_submodule_does_inside_does_not_matter() -> None:
    """Control flow that depends on data, behind the cut: only the way to the cut is traced."""

    class Wild(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, values: Tensor) -> Tensor:
            return self.linear(values) if float(values.detach().sum()) > 0 else values

    model = nn.Sequential(nn.Linear(4, 4), Wild(), nn.Linear(4, 2))
    bottom, top = split.cut(model, "0")
    for sign in (1.0, -1.0):
        values = sign * torch.ones(2, 4)
        assert torch.equal(top(bottom(values)), model(values))


class OnData(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, values: Tensor) -> Tensor:
        if values.sum() > 0:
            values = self.first(values)
        return self.last(values)


class OnMode(OnData):
    def forward(self, values: Tensor) -> Tensor:
        values = self.first(values)
        return self.last(values) if self.training else values


class TwoInputs(OnData):
    def forward(self, values: Tensor, others: Tensor) -> Tensor:
        return self.last(self.first(values) + others)


class TwoOutputs(OnData):
    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        values = self.first(values)
        return self.last(values), values


@pytest.mark.parametrize("kind", [OnData, OnMode, TwoInputs, TwoOutputs])
def test_what_cannot_be_cut_is_refused_and_left_as_it_was(kind: type[nn.Module]) -> None:
    model = kind()
    modes = [vars(layer)["training"] for layer in model.modules()]
    with pytest.raises(UsageError) as caught:
        split.cut(model, "first")
    assert caught.value.code == "uncuttable-model"
    assert [vars(layer)["training"] for layer in model.modules()] == modes
    assert all(isinstance(mode, bool) for mode in modes)


@pytest.mark.parametrize("at", ["nowhere", "0.nowhere", "1.5", "", (), ("2", "0"), ("0", "0")], ids=str)
def test_an_unknown_place_is_refused(at: Any) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(UsageError) as caught:
        split.cut(model, at)
    assert caught.value.code == "unknown-cut"


def test_a_submodule_that_is_called_twice_is_no_place() -> None:
    class Twice(OnData):
        def forward(self, values: Tensor) -> Tensor:
            return self.last(self.first(self.first(values)))

    with pytest.raises(UsageError, match="2 times"):
        split.cut(Twice(), "first")
