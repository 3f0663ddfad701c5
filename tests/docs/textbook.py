"""The classes of the usual tutorials, as they are usually written. Each is wrong; `test_docs_textbook.py` breaks it.

Nothing here is used by reticent. The names and the mistakes are those that readers bring along.
"""

from __future__ import annotations

import copy
import math
import random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


class FederatedClient:
    """Trains on its rows and sends its whole model."""

    def __init__(self, model: nn.Module, features: torch.Tensor, labels: torch.Tensor, lr: float = 0.1) -> None:
        self.model, self.features, self.labels, self.lr = copy.deepcopy(model), features, labels, lr

    def train(self, epochs: int = 1) -> dict[str, torch.Tensor]:
        optimizer = torch.optim.SGD(self.model.parameters(), lr=self.lr)
        for _ in range(epochs):
            optimizer.zero_grad()
            nn.functional.cross_entropy(self.model(self.features), self.labels).backward()
            optimizer.step()
        return {name: value.clone() for name, value in self.model.state_dict().items()}


class FederatedServer:
    """Averages the models of the clients."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.seen: list[dict[str, torch.Tensor]] = []

    def aggregate(self, states: list[dict[str, torch.Tensor]]) -> None:
        self.seen += states
        mean = {name: torch.stack([state[name].float() for state in states]).mean(0) for name in states[0]}
        self.model.load_state_dict(mean)


class DPFederatedClient(FederatedClient):
    """Clips the gradient of the batch, each coordinate by itself, and adds noise of a fixed size."""

    def __init__(self, *args: Any, clip: float = 1.0, noise: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clip, self.noise = clip, noise

    def batch_gradient(self) -> torch.Tensor:
        self.model.zero_grad()
        nn.functional.cross_entropy(self.model(self.features), self.labels).backward()
        return torch.cat([value.grad.flatten() for value in self.model.parameters() if value.grad is not None])

    def clip_gradient(self, gradient: torch.Tensor) -> torch.Tensor:
        return torch.clamp(gradient, -self.clip, self.clip)

    def clip_batch(self, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * min(1.0, self.clip / float(gradient.norm()))

    def private_gradient(self) -> torch.Tensor:
        clipped = self.clip_gradient(self.batch_gradient())
        noise = np.random.normal(0.0, self.noise * self.clip / len(self.features), clipped.shape)
        return clipped + torch.from_numpy(noise).float()


class DifferentialPrivacy:
    """The Gaussian mechanism, with the formula of the textbook."""

    def __init__(self, epsilon: float, delta: float, sensitivity: float) -> None:
        self.epsilon, self.delta, self.sensitivity = epsilon, delta, sensitivity

    @property
    def sigma(self) -> float:
        return self.sensitivity * math.sqrt(2 * math.log(1.25 / self.delta)) / self.epsilon

    def add_noise(self, value: float) -> float:
        return value + np.random.normal(0.0, self.sigma)


class DPTrainer:
    """Reports the epsilon of one step for the whole training, and every loss for nothing."""

    def __init__(self, noise_multiplier: float, delta: float) -> None:
        self.noise_multiplier, self.delta, self.steps = noise_multiplier, delta, 0
        self.history: list[float] = []

    def step(self, loss: float) -> None:
        self.steps += 1
        self.history.append(loss)

    def epsilon(self) -> float:
        return math.sqrt(2 * math.log(1.25 / self.delta)) / self.noise_multiplier


class PrivacyBudget:
    """Spends first and looks afterwards; in floats; any number is a spend; a new object is a new budget."""

    def __init__(self, total_epsilon: float) -> None:
        self.total, self.spent = total_epsilon, 0.0

    def consume(self, epsilon: float) -> bool:
        self.spent += epsilon
        return self.spent <= self.total

    def remaining(self) -> float:
        return self.total - self.spent


class PrivacyAccountant:
    """Adds up what "advanced composition" and a factor q make of the textbook's epsilon of one step."""

    def __init__(self, delta: float) -> None:
        self.delta = delta
        self.steps: list[tuple[float, float]] = []

    def step(self, noise_multiplier: float, sampling_rate: float) -> None:
        self.steps.append((noise_multiplier, sampling_rate))

    def epsilon(self) -> float:
        total = 0.0
        for noise_multiplier, sampling_rate in self.steps:
            one = math.sqrt(2 * math.log(1.25 / self.delta)) / noise_multiplier
            total += (sampling_rate * one) ** 2
        return math.sqrt(2 * math.log(1 / self.delta) * total)


class SecureAggregation:
    """Every client draws a mask; the masks are drawn by each alone, or from a seed that all know."""

    def __init__(self, clients: int, size: int, seed: int | None = None) -> None:
        self.clients, self.size, self.seed = clients, size, seed

    def mask(self, client: int, value: NDArray[np.float64]) -> NDArray[np.float64]:
        generator = np.random.default_rng(None if self.seed is None else [self.seed, client])
        return value + generator.normal(0.0, 1.0, self.size)

    def mask_in_pairs(self, client: int, value: NDArray[np.float64]) -> NDArray[np.float64]:
        masked = value.copy()
        for peer in range(self.clients):
            low, high = min(client, peer), max(client, peer)
            if low != high:
                pair = np.random.default_rng([self.seed or 0, low, high]).normal(0.0, 1.0, self.size)
                masked += pair if client == low else -pair
        return masked


class SecureMultiPartyComputation:
    """Shares a number among parties: all shares but the last one are drawn from 0 to 99."""

    def __init__(self, parties: int = 3) -> None:
        self.parties = parties

    def share_secret(self, secret: int) -> list[int]:
        shares = [random.randint(0, 99) for _ in range(self.parties - 1)]
        return [*shares, secret - sum(shares)]

    def share_float(self, secret: float, spread: float = 1e9) -> list[float]:
        shares = [random.uniform(-spread, spread) for _ in range(self.parties - 1)]
        return [*shares, secret - sum(shares)]

    def add(self, a: list[int], b: list[int]) -> list[int]:
        return [x + y for x, y in zip(a, b, strict=True)]

    def multiply(self, a: list[int], b: list[int]) -> list[int]:
        return [x * y for x, y in zip(a, b, strict=True)]

    def reconstruct(self, shares: list[int]) -> int:
        return sum(shares)


class HomomorphicEncryption:
    """Encrypts with TenSEAL; the server gets the context with everything in it, and evaluates a layer."""

    def __init__(self, **settings: Any) -> None:
        import tenseal

        kind = tenseal.SCHEME_TYPE.CKKS
        self.context = tenseal.context(kind, coeff_mod_bit_sizes=[60, 40, 40, 60], **settings)

    def prepare(self) -> None:
        self.context.global_scale = 2**40
        self.context.generate_galois_keys()

    def encrypt(self, values: list[float]) -> Any:
        import tenseal

        return tenseal.ckks_vector(self.context, values)

    def layer(self, encrypted: Any, shift: list[float], weights: list[list[float]]) -> Any:
        return (encrypted + shift).mm(weights)

    def for_the_server(self) -> bytes:
        context: bytes = self.context.serialize(save_secret_key=True)
        return context


class SplitNetwork(nn.Module):
    """A network in two halves; the lower half is to learn by a call of its activation function."""

    def __init__(self, inputs: int = 4, width: int = 8, classes: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)  # the same start for everybody
        self.bottom, self.relu, self.top = nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, classes)

    def lower(self, features: torch.Tensor) -> torch.Tensor:
        return self.relu(self.bottom(features))

    def backward_lower(self, gradient: torch.Tensor) -> None:
        self.relu.backward(gradient)  # type: ignore[operator]


class SplitClient:
    """Sends the activation, graph and all, with the label beside it; both count as anonymous, for no name is sent."""

    def __init__(self, network: SplitNetwork) -> None:
        self.network = network
        self.sent: torch.Tensor | None = None

    def forward(self, features: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.sent = self.network.lower(features)
        return self.sent, labels

    def backward(self, gradient: torch.Tensor) -> None:
        assert self.sent is not None
        self.sent.backward(gradient)


class SplitServer:
    """Trains the top, and returns the gradient of what it received."""

    def __init__(self, network: SplitNetwork) -> None:
        self.network = network

    def step(self, activations: torch.Tensor, labels: torch.Tensor) -> torch.Tensor | None:
        activations.retain_grad()
        nn.functional.cross_entropy(self.network.top(activations), labels).backward(retain_graph=True)
        return activations.grad
