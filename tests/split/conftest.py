"""Small models of eight kinds, rows for them, and whole split trainings beside the training that is not split."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reticent import split
from reticent.data import Examples
from reticent.identity import Roster, SigningKey
from reticent.training import loss_by_name, optimizer_factory

CLASSES = 3


class Block(nn.Module):
    """A residual block: its skip lies inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, values: Tensor) -> Tensor:
        return F.relu(values + self.two(F.relu(self.one(values))))


class Residual(nn.Module):
    """A skip on either side of the cut, written with functions in the model's own forward."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.block, self.last = nn.Linear(6, 8), nn.Linear(8, 8), Block(8), nn.Linear(8, 3)

    def forward(self, values: Tensor) -> Tensor:
        values = F.relu(self.first(values), inplace=True)
        values = self.block(values + torch.tanh(self.inner(values)))
        return self.last(values) + values[:, :3]


class LeNet(nn.Module):
    """LeCun et al. 1998, in miniature."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 4, 2)
        self.fc1, self.fc2 = nn.Linear(16, 8), nn.Linear(8, CLASSES)

    def forward(self, values: Tensor) -> Tensor:
        values = F.max_pool2d(F.relu(self.conv1(values)), 2)
        values = F.relu(self.conv2(values))
        values = values.view(values.size(0), -1)
        return self.fc2(F.relu(self.fc1(values)))


class Dropouts(nn.Module):
    """Dropout as a layer and as a function, on both sides of the cut."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.second, self.last = (
            nn.Linear(6, 9),
            nn.Dropout(0.4),
            nn.Linear(9, 7),
            nn.Linear(7, 3),
        )

    def forward(self, values: Tensor) -> Tensor:
        values = F.dropout(torch.relu(self.first(values)), 0.3, training=self.training)
        values = self.second(self.drop(values))
        return self.last(F.dropout(values, 0.5, self.training))


class Recurrent(nn.Module):
    """A layer that returns a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.hidden, self.last = nn.GRU(3, 5, batch_first=True), nn.Linear(5, 4), nn.Linear(4, CLASSES)

    def forward(self, values: Tensor) -> Tensor:
        states, _ = self.gru(values)
        return self.last(torch.tanh(self.hidden(states[:, -1])))


class Transformer(nn.Module):
    """An encoder block with a position embedding of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(3, 4)
        self.place = nn.Parameter(torch.randn(4, 4))
        self.block = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True)
        self.last = nn.Linear(4, CLASSES)

    def forward(self, values: Tensor) -> Tensor:
        return self.last(self.block(self.embed(values) + self.place).mean(dim=1))


@dataclass
class Architecture:
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    at: str
    u_shape: tuple[str, str]


ARCHITECTURES = {
    "mlp": Architecture(
        lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 7), nn.ReLU(inplace=True), nn.Linear(7, 3)),
        (6,),
        "1",
        ("0", "2"),  # the head begins with an operation in place
    ),
    "lenet": Architecture(LeNet, (1, 8, 8), "conv2", ("conv1", "fc1")),
    "residual": Architecture(Residual, (6,), "add", ("relu", "block")),
    "batch-norm": Architecture(
        lambda: nn.Sequential(
            nn.Conv1d(2, 4, 3),
            nn.BatchNorm1d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16, 6),
            nn.BatchNorm1d(6),
            nn.Linear(6, 3),
        ),
        (2, 6),
        "2",
        ("1", "5"),
    ),
    "dropout": Architecture(Dropouts, (6,), "drop", ("first", "second")),
    "transformer": Architecture(Transformer, (4, 3), "block", ("add", "block")),
    "gru": Architecture(Recurrent, (4, 3), "getitem_2", ("getitem_2", "hidden")),
    "group-norm": Architecture(
        lambda: nn.Sequential(
            nn.Conv1d(2, 4, 3),
            nn.GroupNorm(2, 4),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(16, 6),
            nn.LayerNorm(6),
            nn.Linear(6, 3),
        ),
        (2, 6),
        "2",
        ("2", "4"),
    ),
}


@dataclass
class Recorded:
    """Every message of a run: phase, site, direction, bytes."""

    messages: list[tuple[str, str, str, bytes]] = field(default_factory=list)

    def __call__(self, phase: str, site: str, direction: str, body: bytes) -> None:
        self.messages.append((phase, site, direction, body))

    @property
    def bytes(self) -> int:
        return sum(len(body) for *_, body in self.messages)

    def bodies(self, start: str, direction: str | None = None) -> list[bytes]:
        return [body for phase, _, way, body in self.messages if phase.startswith(start) and direction in (None, way)]


class World:
    """Models, rows and parties."""

    Recorded = Recorded
    architectures = ARCHITECTURES

    def rows(self, shape: tuple[int, ...], rows: int, *, seed: int = 0, classes: int = CLASSES) -> Examples:
        generator = np.random.default_rng(seed)
        labels = generator.integers(0, classes, rows)
        features = generator.normal(size=(rows, *shape)) + labels.reshape(-1, *[1] * len(shape))
        return Examples.of(features, labels)

    def model(self, name: str, *, seed: int = 1) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return ARCHITECTURES[name].make().double()

    def settings(self, **changes: Any) -> split.SplitTraining:
        optimizer = changes.pop("optimizer", split.Optimizer(learning_rate=0.1, momentum=0.9))
        given: dict[str, Any] = {
            "shape": "vanilla",
            "sites": ("north",),
            "start": "given",
            "epochs": 10,
            "batch_size": 16,
            "classes": CLASSES,
            "bottom_optimizer": optimizer,
            "server_optimizer": optimizer,
            "head_optimizer": optimizer,
            "order": None if changes.get("shape") == "vertical" else "public",
        }
        return split.SplitTraining(**{**given, **changes})

    def identities(self, sites: tuple[str, ...]) -> tuple[dict[str, SigningKey], Roster]:
        keys = {site: SigningKey.generate() for site in sites}
        return keys, Roster({site: key.public for site, key in keys.items()})

    def parties(
        self,
        model: nn.Module,
        at: str | tuple[str, str],
        data: dict[str, Examples],
        settings: split.SplitTraining,
        *,
        test: dict[str, Examples] | None = None,
        copies: bool = False,
        checkpoints: dict[str, dict[int, bytes]] | None = None,
        **options: Any,
    ) -> tuple[dict[str, split.Client], split.Server]:
        """Cut `model` and return clients and server; with `copies`, every site has bottom and head of its own."""
        keys, roster = self.identities(settings.sites)
        clients, parts = {}, split.cut(model, at)
        for site in settings.sites:
            mine = split.cut(copy.deepcopy(model), at) if copies else parts
            held = mine[0] if len(mine) == 2 else (mine[0], mine[2])
            clients[site] = split.Client(
                held,
                data[site],
                settings,
                site=site,
                test=None if test is None else test[site],
                key=keys[site],
                roster=roster,
                checkpoints=None if checkpoints is None else checkpoints.setdefault(site, {}),
                **options,
            )
        return clients, split.Server(parts[1], settings)

    def unsplit(
        self,
        model: nn.Module,
        data: dict[str, Examples],
        settings: split.SplitTraining,
        *,
        epochs: int | None = None,
        optimizer: Any = None,
    ) -> nn.Module:
        """Train `model` in one piece on the same batches, site after site."""
        told = settings.server_optimizer
        assert told is not None
        make = optimizer_factory(told.name, told.learning_rate, told.momentum, told.weight_decay)
        optimizer = optimizer or make(model.parameters())
        loss = loss_by_name(str(settings.loss))
        model.train()
        for epoch in range(1, (epochs or settings.epochs) + 1):
            for site, examples in data.items():
                features, labels = torch.from_numpy(examples.features).double(), torch.from_numpy(examples.labels)
                for rows in split.epoch_batches(len(examples), settings, epoch=epoch, site=site):
                    optimizer.zero_grad()
                    loss(model(features[rows]), labels[rows]).backward()
                    optimizer.step()
        return model

    @staticmethod
    def difference(one: nn.Module, two: nn.Module) -> float:
        """The largest absolute difference of any parameter or buffer."""
        pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
        return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)


@pytest.fixture(scope="session")
def world() -> World:
    return World()
