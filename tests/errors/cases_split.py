"""How each error code of split is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from reticent.data import Examples
from reticent.dp import Grant
from reticent.identity import Roster, SigningKey
from reticent.messages import encode
from reticent.roles import Request
from reticent.split import Client, Server, SplitTraining, cut, state_dicts
from reticent.split.boundary_accounting import BoundaryNoise, BoundaryPrivacy
from reticent.split.defence import GaussianBoundary
from reticent.split.hand_over import Courier, labelled, place_of
from reticent.split.leakage import distance_correlation
from reticent.split.state import Checkpoint
from reticent.split.wire import Activations, BatchRequest, Open, Opened


def _privacy(**changed: object) -> BoundaryPrivacy:
    values = {
        "kind": "activations",
        "passes": 1,
        "noise": BoundaryNoise(vectors=1.0),
        "max_norm": 1.0,
        "unit": "record",
        "relation": "replace_one",
        "population": "ward-7",
        "dataset": "1",
    }
    return BoundaryPrivacy(**{**values, **changed})


def _crossing(**changed: object):
    boundary = GaussianBoundary(_privacy(**changed), units=np.arange(3))
    return boundary.open(Grant.without_ledger(boundary.cost().events))


def _update(optimizer=None, **changed: object) -> None:
    bottom = torch.nn.Linear(2, 1)
    optimizer = optimizer or torch.optim.SGD(bottom.parameters(), lr=0.1)
    _crossing(**changed).update(bottom, torch.ones(1, 2), torch.ones(1, 1), optimizer, rows=np.array([0]))


_LEARNS = {"noise": BoundaryNoise(vectors=1.0, updates=1.0), "max_update_norm": 1.0}
_OTHER = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
_TWICE = np.array([1, 1])

CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "boundary-frozen": lambda folder: _update(),
    "boundary-membership-public": lambda folder: _privacy(relation="add_or_remove_one"),
    "boundary-optimizer": lambda folder: _update(_OTHER, **_LEARNS),
    "boundary-row-twice": lambda folder: _crossing().release(torch.ones(2, 2), rows=_TWICE, units=_TWICE),
    "boundary-rows": lambda folder: _crossing().release(torch.ones(1, 2), rows=_TWICE, units=_TWICE),
    "boundary-rows-per-unit": lambda folder: GaussianBoundary(_privacy(unit="person"), units=np.zeros(2, np.int64)),
    "boundary-unit": lambda folder: _privacy(unit="site"),
    "invalid-boundary": lambda folder: _privacy(passes=0),
    "leakage-rows": lambda folder: distance_correlation(np.ones((3, 1)), np.ones((3, 1))),
}


_ROWS = Examples.of(np.zeros((5, 2), dtype=np.float32), np.array([0, 1, 0, 1, 0]))
_NORM = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def _settings(**changed: object) -> SplitTraining:
    values = {"shape": "vanilla", "sites": ("a",), "start": "given", "epochs": 1, "batch_size": 2, "classes": 2}
    return SplitTraining(**{**values, **changed})


def _client(parts: object = None, rows: Examples = _ROWS, **changed: object) -> Client:
    options = {name: changed.pop(name) for name in ("outputs", "checkpoints") if name in changed}
    return Client(parts or nn.Linear(2, 2), rows, _settings(**changed), site="a", **options)


def _ask(client: Client, phase: str, body: bytes = b"", epoch: int = 1) -> bytes:
    return client.handle(Request("run", epoch, 1, phase, body), None).message


def _opened(client: Client, settings: SplitTraining, **place: int) -> Client:
    _ask(client, "train/open", encode(Open(settings.digest())), **place)
    return client


def _wrong_gradient() -> None:
    client = _opened(_client(), _settings())
    _ask(client, "train/batch-0", encode(BatchRequest(None)))
    _ask(client, "train/batch-1", encode(BatchRequest(np.zeros((3, 3), dtype=np.float32))))


def _answered(*replies: object) -> None:
    """Feed a server one reply after the other; None for a site that is absent."""
    server = Server(nn.Linear(2, 2), _settings())
    for reply in replies:
        server.step()
        server.feed({} if reply is None else {"a": encode(reply)}, frozenset() if reply else frozenset("a"))


def _misaligned() -> None:
    server = Server(nn.Linear(4, 2), _settings(shape="vertical", sites=("a", "b"), labels="a"))
    server.step()
    server.feed({site: encode(Opened(3, site.encode(), b"", b"")) for site in "ab"}, frozenset())


def _low_order_key() -> None:
    """A site that signs a key of low order for itself."""
    keys = {site: SigningKey.generate() for site in "ab"}
    roster = Roster({site: key.public for site, key in keys.items()})
    place = place_of("run", 1, 1)
    signature = keys["b"].sign(labelled("key", place, "b", bytes(32)))
    Courier("a", place, keys["a"], roster).seal(b"", "b", bytes(32), signature)


class _Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + self.two(self.one(values))


class _Deciding(_Skip):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.one(values) if values.sum() > 0 else values


def _tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    return model


_INCOMPLETE = Examples.of(np.full((5, 2), np.nan, dtype=np.float32), np.zeros(5, dtype=np.int64))
_COLUMNS = {"shape": "vertical", "sites": ("a", "b"), "labels": "b"}
_PAIR = {"sites": ("a", "b")}
_BOUNDARY = GaussianBoundary(_privacy(kind="outputs"), units=np.arange(5))

CASES |= {
    "batch-of-one": lambda folder: _client(_NORM),
    "defence-without-effect": lambda folder: _client(outputs=_BOUNDARY),
    "hand-over-refused": lambda folder: _low_order_key(),
    "hand-over-without-identity": lambda folder: _opened(_client(**_PAIR), _settings(**_PAIR)),
    "invalid-split-setting": lambda folder: _settings(epochs=0),
    "label-not-a-class": lambda folder: _client(rows=Examples.of(_ROWS.features, _ROWS.labels + 1)),
    "malformed-parts": lambda folder: state_dicts(encode(Checkpoint(b"", b""))),
    "no-checkpoint": lambda folder: _opened(_client(epochs=2), _settings(epochs=2), epoch=2),
    "parts-do-not-fit": lambda folder: _client(nn.Flatten()),
    "split-rows-not-aligned": lambda folder: _misaligned(),
    "several-tensors-cross": lambda folder: cut(_Skip(), "one"),
    "shared-across-cut": lambda folder: cut(_tied(), "0"),
    "split-attempt-lost": lambda folder: _ask(_client(), "train/batch-0"),
    "split-out-of-order": lambda folder: _ask(_opened(_client(), _settings()), "train/batch-1"),
    "split-settings-differ": lambda folder: _ask(_client(), "train/open", encode(Open(b""))),
    "split-site-absent": lambda folder: _answered(None),
    "uncuttable-model": lambda folder: cut(_Deciding(), "one"),
    "unknown-cut": lambda folder: cut(_Skip(), "three"),
    "unknown-split-step": lambda folder: _ask(_client(), "train/guess"),
    "vertical-row-incomplete": lambda folder: _client(rows=_INCOMPLETE, **_COLUMNS),
    "wrong-activations": lambda folder: _answered(Opened(5, b"", b"", b""), Activations(np.zeros((1, 2)), None)),
    "wrong-gradient": lambda folder: _wrong_gradient(),
}
