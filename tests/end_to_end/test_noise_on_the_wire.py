"""What really leaves a site carries the noise, the clip and the sample that were charged; without any, a test is red."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import reticent
import reticent.api
from reticent.data import Examples
from reticent.engines import InProcess, laptop
from reticent.federated.wire import PlainUpdate
from reticent.identity import unseal
from reticent.ledger import Ledger
from reticent.messages import decode
from reticent.runs.site import COORDINATOR, MESSAGE_LIMIT, Answer

SITES = {"east": 400, "north": 250, "south": 100}
INPUTS, HIDDEN, CLASSES = 20, 100, 5


def make_model(inputs: int, outputs: int) -> torch.nn.Module:
    """Return a network of 2,605 parameters."""
    return torch.nn.Sequential(torch.nn.Linear(inputs, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, outputs))


def silent_loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return a loss whose gradient is zero: what is sent is noise alone."""
    return (outputs * 0).mean()


def loud_loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return a loss with gradients far beyond any clip."""
    return 1e4 * torch.nn.functional.cross_entropy(outputs, labels)


class Recording(InProcess):
    """The local engine, with a copy of everything that sites send."""

    traffic: list[bytes]

    def exchange(self, requests: Mapping[str, bytes], *, deadline: float) -> Mapping[str, bytes]:
        replies = super().exchange(requests, deadline=deadline)
        type(self).traffic += replies.values()
        return replies


def run(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    loss: Callable[..., Any],
    *,
    protocol: str = "plain",
    rounds: int = 6,
    sampling: float = 0.2,
    size: float = 1.0,
) -> tuple[Any, Any, dict[str, list[NDArray[np.float64]]]]:
    """Run a study of one local step of learning rate 1, and return plan, result and every update that was sent."""
    bound = reticent.plan(
        model=make_model,
        loss=loss,
        sites=SITES,
        data={
            "kind": "tensor",
            "shape": [INPUTS],
            "classes": CLASSES,
            "range": [-8.0, 8.0],
            "person": "row",
            "test_fraction": 0.2,
            "split_key": "wire",
        },
        learning={"method": "fedavg", "rounds": rounds, "local_steps": 1, "learning_rate": 1.0, "seed": 1},
        privacy={
            "guarantee": "differential-privacy",
            "unit": "record",
            "relation": "add_or_remove_one",
            "target": {"epsilon": 2.0, "delta": 1e-5},
            "max_grad_norm": size,
            "sampling_probability": sampling,
            "spare_executions": 0,
        },
        aggregation={"protocol": protocol, "dropouts": 0},
        release={"metrics": "none"},
        ledger={"url": f"sqlite:///{folder / 'budget.db'}"},
    )
    book = Ledger(f"sqlite:///{folder / 'budget.db'}")
    for site in SITES:
        book.grant(
            site, epsilon=2.0, delta=1e-5, unit="record", relation="add_or_remove_one", reason="test", signer="t"
        )
    Recording.traffic = []
    monkeypatch.setattr(laptop, "InProcess", Recording)
    generator = np.random.default_rng(3)
    data = {}
    for site, rows in SITES.items():
        features = generator.normal(size=(rows, INPUTS)).astype(np.float32)
        data[site] = (features, generator.integers(0, CLASSES, size=rows))
    result = reticent.run(bound, data=data, directory=folder / "runs")
    return bound, result, _updates(result) if protocol == "plain" else {}


def _updates(result: Any) -> dict[str, list[NDArray[np.float64]]]:
    """Decode the recorded traffic as the coordinator does."""
    from reticent.runs import RunFolder

    roster = RunFolder.open(result.folder).roster
    found: dict[str, list[NDArray[np.float64]]] = {}
    for envelope in Recording.traffic:
        address, body = unseal(envelope, roster, recipient=COORDINATOR, limit=MESSAGE_LIMIT)
        if address.phase == "train/update":
            update = decode(decode(body, Answer, limit=MESSAGE_LIMIT).body, PlainUpdate, limit=MESSAGE_LIMIT)
            found.setdefault(address.sender, []).append(update.values)
    return found


def charged_deviation(plan: Any, site: str) -> float:
    """Return the standard deviation that one coordinate of a site's weighted update must have, from the plan alone."""
    part = plan.site(site)
    return float(part.weight * part.noise_multiplier * plan.privacy.sensitivity / part.expected_batch_size)


def check_noise(plan: Any, updates: dict[str, list[NDArray[np.float64]]]) -> None:
    """Compare measured and charged noise. 15,630 draws a site: 3 % are 5 deviations, a false alarm in 1e6 runs."""
    for site, sent in updates.items():
        measured = np.concatenate(sent).std()
        assert abs(measured / charged_deviation(plan, site) - 1) < 0.03, site


def test_decoded_messages_of_rounds_with_zero_gradients_carry_the_charged_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound, _, updates = run(tmp_path, monkeypatch, silent_loss)
    assert {site: len(sent) for site, sent in updates.items()} == dict.fromkeys(SITES, 6)
    check_noise(bound.plan, updates)
    everything = np.stack([np.stack(sent) for sent in updates.values()])
    # No draw is used twice: correlations stay within six deviations of 1/sqrt(2605).
    assert abs(np.corrcoef(everything.reshape(18, -1)) - np.eye(18)).max() < 0.12


def test_under_masks_the_sum_carries_the_noise_of_all_sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.numpy import load_file

    bound, result, _ = run(tmp_path, monkeypatch, silent_loss, protocol="secagg")
    models = [
        np.concatenate([value.ravel() for _, value in sorted(load_file(path).items())])
        for path in sorted((result.folder / "checkpoints").iterdir())
    ]
    steps = np.diff(np.stack(models), axis=0)
    charged = np.sqrt(sum(charged_deviation(bound.plan, site) ** 2 for site in SITES))
    assert abs(steps.std() / charged - 1) < 0.03


def test_half_the_noise_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reticent.dp import mechanisms

    right = mechanisms.rounded_gaussian
    monkeypatch.setattr(mechanisms, "rounded_gaussian", lambda scale, *rest: right(scale / 2, *rest))
    bound, _, updates = run(tmp_path, monkeypatch, silent_loss)
    with pytest.raises(AssertionError):
        check_noise(bound.plan, updates)


def test_no_noise_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reticent.dp import mechanisms

    monkeypatch.setattr(mechanisms, "rounded_gaussian", lambda _, size, *__: np.zeros(size, np.int64))
    bound, _, updates = run(tmp_path, monkeypatch, silent_loss)
    with pytest.raises(AssertionError):
        check_noise(bound.plan, updates)


def check_clip(plan: Any, updates: dict[str, list[NDArray[np.float64]]]) -> None:
    """Without noise and with every row sampled, an update is a sum of clipped gradients: at most one clip for each row."""
    for site, sent in updates.items():
        part = plan.site(site)
        rows = 0.85 * SITES[site]  # more than were dealt to training
        largest = part.weight * rows * plan.privacy.sensitivity / part.expected_batch_size
        assert max(np.linalg.norm(update) for update in sent) <= largest, site


@pytest.mark.parametrize("clipping", [True, False])
def test_updates_stay_within_the_clip_and_removing_it_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, clipping: bool
) -> None:
    from reticent.dp import mechanisms
    from reticent.training import contributions

    monkeypatch.setattr(mechanisms, "rounded_gaussian", lambda _, size, *__: np.zeros(size, np.int64))
    if not clipping:
        monkeypatch.setattr(contributions, "clip", lambda gradients, max_norm: None)
    bound, _, updates = run(tmp_path, monkeypatch, loud_loss, rounds=1, sampling=1.0, size=0.01)
    if clipping:
        check_clip(bound.plan, updates)
    else:
        with pytest.raises(AssertionError):
            check_clip(bound.plan, updates)


def check_poisson(sizes: NDArray[np.int64], units: int, probability: float) -> None:
    """Sample sizes vary as Binomial(units, probability); 400 samples, false alarm below 1e-6."""
    mean, variance = units * probability, units * probability * (1 - probability)
    assert abs(sizes.mean() - mean) < 5 * np.sqrt(variance / len(sizes))
    assert 0.65 < sizes.var() / variance < 1.45


@pytest.mark.parametrize("poisson", [True, False])
def test_sample_sizes_are_binomial_and_a_fixed_size_is_caught(
    monkeypatch: pytest.MonkeyPatch, *, poisson: bool
) -> None:
    import reticent.training.mechanism as mechanism_module
    from reticent import dp
    from reticent.training import DPSGD

    class FixedSize(dp.PoissonSampler):  # type: ignore[misc]
        """The broken copy: always the expected number of units, as shuffled batches have."""

        def sample(self, n: int, *rest: Any) -> Any:
            return np.sort(np.argsort(np.random.default_rng().random(n))[: round(n * 0.3)])

    if not poisson:
        monkeypatch.setattr(mechanism_module, "PoissonSampler", FixedSize)
    dpsgd = DPSGD(
        population=200,
        expected_batch_size=60,
        steps=400,
        max_grad_norm=1.0,
        unit="record",
        relation="add_or_remove_one",
        noise_multiplier=1.0,
    )
    examples = Examples(np.zeros((200, 2), np.float32), np.zeros(200, np.int64), np.arange(200))
    sizes = np.array([len(batch.labels) for batch in dpsgd.batches(examples)])
    if poisson:
        check_poisson(sizes, 200, 0.3)
    else:
        with pytest.raises(AssertionError):
            check_poisson(sizes, 200, 0.3)
