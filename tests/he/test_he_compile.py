"""Compiled programs: the result is the model's, ranges hold, and what cannot be promised is refused beforehand."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reticent import data, he
from reticent.errors import IdentityError, UsageError
from reticent.he import bounds as bounds_module
from reticent.he import planning
from reticent.he.bounds import ranges
from reticent.he.explain import NOT_HIDDEN, sizes
from reticent.he.stages import Map, Power, Stages
from reticent.messages import encode


class Square(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


class Poly(nn.Module):
    def __init__(self, *coefficients: float) -> None:
        super().__init__()
        self.coefficients = coefficients

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = x * self.coefficients[1] + self.coefficients[0]
        for power, c in enumerate(self.coefficients[2:], start=2):
            if c:
                total = total + c * x**power
        return total


def mlp(inputs: int, hidden: int, outputs: int, activation: nn.Module | None = None) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(inputs, hidden), activation or Square(), nn.Linear(hidden, outputs)).eval()


def conv_net() -> nn.Sequential:
    """The network of TenSEAL's tutorial 4."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 7, 3), Square(), nn.Flatten(), nn.Linear(256, 64), Square(), nn.Linear(64, 10)
    ).eval()


def pooled_net() -> nn.Sequential:
    """Batch norm before and after an activation, average pooling, two convolutions."""
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), Square(), nn.BatchNorm2d(3), nn.AvgPool2d(2),
        nn.Conv2d(3, 4, 3), Square(), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip
    net.train()(torch.rand(16, 2, 8, 8))  # running statistics that are not 0 and 1
    return net.eval()


def exact(model: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.double()(torch.tensor(x, dtype=torch.float64)).numpy()


def samples(program: he.Program, count: int) -> np.ndarray:
    spec = program.client_spec()
    inside = np.random.default_rng(5).uniform(spec.low, spec.high, (count, len(spec.low)))
    return inside.reshape(count, *spec.input_shape)


MODELS: dict[str, tuple[Callable[[], nn.Module], dict[str, object]]] = {
    "linear": (lambda: nn.Sequential(nn.Linear(30, 1)), {}),
    "square": (lambda: mlp(30, 16, 2), {}),
    "one sample": (lambda: mlp(30, 16, 2), {"rows": 1}),
    "quadratic": (lambda: mlp(30, 16, 2, Poly(0.5, 0.2, 0.1)), {}),
    "quadratic at the end": (lambda: mlp(5, 4, 2)[:1].append(Poly(0.5, 0.2, 0.1)), {}),
    "square first": (lambda: nn.Sequential(Square(), nn.Linear(6, 2)), {"input_shape": (6,)}),
    "cubic": (lambda: mlp(8, 4, 2, Poly(0.5, 0.2, 0.0, 0.02)), {}),
    "degree 5": (lambda: mlp(8, 4, 2, Poly(0.5, 0.2, 0.0, 0.02, 0.01, 0.001)), {"input_bounds": (-1, 1)}),
    "pooled": (pooled_net, {"input_shape": (2, 8, 8), "input_bounds": (0, 1), "precision": 1e-2}),
    "tutorial": (conv_net, {"input_shape": (1, 28, 28), "input_bounds": (0, 1), "precision": 3e-2, "rows": 1}),
}


@pytest.mark.parametrize("name", MODELS)
def test_encrypted_results_are_the_models_within_the_precision(name: str) -> None:
    """On real ciphertexts, for one row more than fits one ciphertext (or three), against torch in float64."""
    make, settings_ = MODELS[name]
    model = make()
    program = he.compile(model, **{"precision": 1e-3, **settings_})  # type: ignore[arg-type]
    keys = he.keygen(program.client_spec())
    x = samples(program, min(program.rows + 1, 3) if program.rows > 1 else 1)
    values = keys.decrypt(program.evaluate(keys.encrypt(x), keys.evaluation))
    precision = program.parameters.precision
    np.testing.assert_allclose(values, exact(model, x), atol=precision)
    np.testing.assert_allclose(values / precision, np.rint(values / precision), atol=1e-6)
    np.testing.assert_allclose(program.run(x), exact(model, x), atol=1e-9)
    assert program.expected_error <= program.plan.error <= precision / 2
    assert program.plan.error <= program.plan.worst
    assert keys.decrypted == len(x)


@pytest.fixture(scope="module")
def images() -> tuple[nn.Module, he.Program, np.ndarray]:
    """An MLP 784-128(square)-10, trained for a few seconds on MNIST, compiled; and images it has not seen."""
    folder = data.data_folder()
    if folder is None or not (folder / "mnist").is_dir():
        pytest.skip("needs the folder mnist of real data sets (RETICENT_DATA)")
    train, test = data.mnist(folder / "mnist")
    model = mlp(784, 128, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.tensor(train.features[:12_000]).reshape(-1, 784), torch.tensor(train.labels[:12_000])
    for start in range(0, len(x), 100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[start : start + 100]), y[start : start + 100]).backward()
        optimizer.step()
    return model, he.compile(model, input_bounds=(0, 1), precision=1e-4), test.features.reshape(-1, 784)


def test_images_encrypted(images: tuple[nn.Module, he.Program, np.ndarray]) -> None:
    """24 images in a ring of degree 8192: errors of at most 1e-4, every class the same as the polynomial model's."""
    model, program, pixels = images
    assert program.parameters.degree == 8192
    keys = he.keygen(program.client_spec())
    values = keys.decrypt(program.evaluate(keys.encrypt(pixels[:24]), keys.evaluation))
    expected = exact(model, pixels[:24])
    assert np.abs(values - expected).max() <= 1e-4
    assert (values.argmax(axis=1) == expected.argmax(axis=1)).all()


ENDS = {
    "softmax": nn.Softmax(dim=1),
    "log-softmax": nn.LogSoftmax(dim=1),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_client_applies_what_the_model_ends_with(end: str) -> None:
    model = mlp(6, 4, 3).append(ENDS[end])
    program = he.compile(model)
    assert f"The client applies the final {end} itself" in program.explain()
    x = samples(program, 3)
    np.testing.assert_allclose(program.simulate(x), exact(model, x), atol=2e-3)
    np.testing.assert_allclose(program.simulate(x, finish=False), exact(model[:-1], x), atol=1e-3)


# Ranges -----------------------------------------------------------------------------------------------------------


@st.composite
def stage_lists(draw: st.DrawFn) -> Stages:
    widths = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stages: list[Map | Power] = []
    for before, after in itertools.pairwise(widths):
        stages.append(Map("map", chance.normal(size=(after, before)), chance.normal(size=after)))
        coefficients = draw(st.sampled_from([(0.0, 0.0, 1.0), (1.0, -2.0, 0.5, 1.0), (0.0, 1.0, 0.0, 0.0, -1.0)]))
        stages.append(Power("power", coefficients))
    return Stages(tuple(stages), (widths[0],), (widths[-1],))


def leaves_its_range(stages: Stages, found: list[bounds_module.Range], x: np.ndarray) -> bool:
    """Whether any value, or any sum of any part of a row's terms, is outside what was announced."""
    value, slack = x, 1e-9
    for stage, span in zip(stages.stages, found[1:], strict=True):
        if isinstance(stage, Map):
            parts = np.abs(stage.matrix[None] * value[:, None, :]).sum(axis=2) + np.abs(stage.bias)
            if parts.max() > span.peak * (1 + slack):
                return True
        value = stage.run(value)
        room = slack * (1 + span.peak)
        if (value < span.low - room).any() or (value > span.high + room).any():
            return True
    return False


@settings(deadline=None, max_examples=60)
@given(stages=stage_lists(), low=st.floats(-3, 1), width=st.floats(0, 3), seed=st.integers(0, 2**32 - 1))
def test_no_input_within_the_bounds_leaves_the_ranges(stages: Stages, low: float, width: float, seed: int) -> None:
    features = stages.input_shape[0]
    lows, highs = np.full(features, low), np.full(features, low + width)
    chance = np.random.default_rng(seed)
    inside = chance.uniform(lows, highs, (50, features))
    corners = np.where(chance.random((50, features)) < 0.5, lows, highs)
    assert not leaves_its_range(stages, ranges(stages, lows, highs), np.concatenate([inside, corners]))


@pytest.mark.parametrize("broken", ["signs ignored", "turning points ignored"])
def test_the_check_of_ranges_catches_a_broken_copy(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if broken == "signs ignored":
        stages = Stages((Map("map", np.array([[1.0, -1.0]]), np.zeros(1)),), (2,), (1,))

        def naive(stage: Map, before: bounds_module.Range) -> bounds_module.Range:
            ends = (stage.matrix @ before.low + stage.bias, stage.matrix @ before.high + stage.bias)
            return bounds_module.Range("map", np.minimum(*ends), np.maximum(*ends), 100.0)

        monkeypatch.setattr(bounds_module, "_map", naive)
    else:
        stages = Stages((Power("power", (0.0, 0.0, 1.0)),), (2,), (2,))

        def ends_only(stage: Power, before: bounds_module.Range) -> bounds_module.Range:
            ends = stage.run(before.low), stage.run(before.high)
            return bounds_module.Range("power", np.minimum(*ends), np.maximum(*ends), 100.0)

        monkeypatch.setattr(bounds_module, "_power", ends_only)
    inside = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    assert leaves_its_range(stages, ranges(stages, -np.ones(2), np.ones(2)), inside)


def test_the_rehearsal_refuses_an_overflow_that_the_ranges_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copy: ranges that claim 1 everywhere. Parameters are then too narrow, and the simulator says so."""
    model = mlp(20, 16, 2)
    with torch.no_grad():
        model[0].weight.mul_(1000)
    original = planning.ranges

    def small(stages: Stages, low: np.ndarray, high: np.ndarray) -> list[bounds_module.Range]:
        return [
            dataclasses.replace(span, low=np.minimum(span.low, -1) * 0 - 1, high=span.high * 0 + 1, peak=1.0)
            for span in original(stages, low, high)
        ]

    monkeypatch.setattr(planning, "ranges", small)
    with pytest.raises(UsageError) as caught:
        he.compile(model, precision=1e-2)
    assert caught.value.code == "range-exceeded"


def test_a_range_that_no_level_holds_is_refused_with_the_layer() -> None:
    layers = [layer for _ in range(6) for layer in (nn.Linear(8, 8), Square())]
    with torch.no_grad():
        for layer in layers[::2]:
            layer.weight.fill_(2.0)  # type: ignore[union-attr, operator]
    with pytest.raises(UsageError) as caught:
        he.compile(nn.Sequential(*layers, nn.Linear(8, 1)), precision=1.0)
    assert caught.value.code == "range-exceeded"
    assert "at activation 4 reach" in caught.value.message


# What is said and what is refused ---------------------------------------------------------------------------------


def test_a_layer_that_compares_is_refused_with_its_place_and_the_way_forward() -> None:
    for layer, kind in ((nn.ReLU(), "Relu"), (nn.Sigmoid(), "Sigmoid")):
        with pytest.raises(UsageError) as caught:
            he.compile(nn.Sequential(nn.Linear(4, 4), layer, nn.Linear(4, 1)))
        assert caught.value.code == "he-unsupported-layer"
        assert f"{kind} at 1 (" in caught.value.message
        assert "square" in caught.value.hint
        assert "after decryption" in caught.value.hint


def test_the_explanation_and_the_announced_sizes() -> None:
    """Every size that is announced is an upper bound of what travels, by at most 15 %."""
    program = he.compile(mlp(30, 16, 2), precision=1e-3)
    text = " ".join(program.explain().split())
    for said in ("degree 8192", "218", "128 bits", "3 levels", "128 rows", "multiples of 0.001", *NOT_HIDDEN):
        assert said in text
    keys = he.keygen(program.client_spec())
    rows = keys.encrypt(samples(program, 1))
    measured = {
        "evaluation_keys": sum(map(len, keys.client.backend.dump_evaluation(keys.evaluation.handle).values())),
        "ciphertext_up": len(rows.parts[0]),
        "ciphertext_down": len(program.evaluate(rows, keys.evaluation).parts[0]),
    }
    for name, announced in sizes(program.plan).items():
        assert announced / 1.15 <= measured[name] <= announced, name


def test_the_clients_description_holds_no_weight() -> None:
    """Two models that differ in every weight, at equal ranges, have the same description, byte for byte."""
    one, other = mlp(6, 4, 2), mlp(6, 4, 2)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.neg_()
    specs = [he.compile(model, input_bounds=(-1, 1)).client_spec() for model in (one, other)]
    assert encode(specs[0]) == encode(specs[1])


def test_rows_and_replies_go_with_their_program_and_their_keys() -> None:
    program = he.compile(mlp(6, 4, 2), precision=1e-3)
    spec = program.client_spec()
    keys, other = he.keygen(spec, backend="simulator"), he.keygen(spec, backend="simulator")
    rows = keys.encrypt(samples(program, 2))
    refused = {
        "wrong-key": lambda: program.evaluate(rows, other.evaluation),
        "foreign-parameters": lambda: he.compile(mlp(6, 4, 2), precision=1e-1).evaluate(rows, keys.evaluation),
        "he-foreign-rows": lambda: program.evaluate(
            dataclasses.replace(rows, label=spec.label("results")), keys.evaluation
        ),
        "he-foreign-reply": lambda: other.decrypt(program.evaluate(rows, keys.evaluation)),
    }
    for code, act in refused.items():
        with pytest.raises(IdentityError) as caught:
            act()
        assert caught.value.code == code


def test_a_reply_without_the_programs_repetition_is_not_believed() -> None:
    """A hostile or broken server returns a well-formed ciphertext of other numbers under the client's key."""
    program = he.compile(mlp(6, 4, 2), precision=1e-3)
    keys = he.keygen(program.client_spec(), backend="simulator")
    reply = program.evaluate(keys.encrypt(samples(program, 2)), keys.evaluation)
    backend, slots = keys.client.backend, program.parameters.slots
    noise = np.random.default_rng(0).uniform(-1, 1, slots)
    part = backend.dump_cipher(backend.encrypt(backend.encode(noise, level=0), keys.client.handle))
    with pytest.raises(IdentityError) as caught:
        keys.decrypt(dataclasses.replace(reply, parts=(part,)))
    assert caught.value.code == "he-implausible-reply"
