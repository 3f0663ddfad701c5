"""Split learning: a model cut in parts that different parties hold, and only the tensors at the cuts travel.

    bottom, top = split.cut(model, at="encoder")                  # or ("encoder", "decoder"): bottom, middle, head
    client = split.Client(bottom, examples, settings, site="north")
    server = split.Server(top, settings)
    split.simulate({"north": client}, server)                     # all roles in this process

`vanilla`: sites hold bottoms, rows and labels, and labels travel. `u-shape`: sites hold the head too, and labels stay.
`vertical`: sites hold other columns of the same rows, one of them (or the coordinator) the labels. Sites that hold rows
of one kind train in turn and hand their parts on. The result is that of the whole model on the same batches, bit for bit.

GUARANTEE. None about a row, unless a boundary is given. Rows, and in the shapes with a head labels, are in no message;
but activations can be inverted in part, and gradients tell labels apart, often perfectly: `leakage` measures both, and a
measurement is no bound. With `GaussianBoundary` at a site, everything that the site sends satisfies differential privacy
of the replace_one relation by itself, accounted for each pass over the rows; noise on every row's activations costs much
accuracy.

ADVERSARY. Without a boundary: a coordinator and sites that follow the protocol. Rows stay hidden only as far as nobody
can invert the bottom: the coordinator never has it (parts are handed on sealed and signed, so that it cannot read,
exchange or replay them, even if it lies), and does not know its beginning with start = "redrawn". A coordinator that
lies can still steer a bottom until it can invert it (Pasquini et al. 2021); one that knows only its architecture may
learn to (Erdogan et al. 2022). A site sees the parts of the site before it, which depend on that site's rows. Sites
refuse other settings, steps out of order and rows asked for twice in an attempt. With a boundary: everybody else, lying
included.

COST. In an epoch 2 * (cut width) * (rows) * (bytes of a number) at each cut, plus labels, hand-overs and framing:
`traffic` states it exactly. One exchange for each batch, two with a head; about 1 ms of computation for each exchange
beyond the model's own, and a network's delay for each. McMahan's CNN cut after its second pooling layer moves 1.5 GB in
an epoch of MNIST.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reticent.split.boundary_accounting import (
    BoundaryNoise,
    BoundaryPrivacy,
    boundary_events,
    boundary_noise_multiplier,
)
from reticent.split.boundary_port import Boundary, Crossing
from reticent.split.canaries import Canaries, canary_activations, canary_gradients, make_canaries
from reticent.split.leakage import LeakageReport, distance_correlation, label_auc, leakage
from reticent.split.settings import Optimizer, SplitTraining
from reticent.split.traffic import Traffic, traffic

if TYPE_CHECKING:
    from reticent.split.client import Client
    from reticent.split.cutting import cut
    from reticent.split.defence import GaussianBoundary
    from reticent.split.joined import Joined
    from reticent.split.rows import epoch_batches, order_digest
    from reticent.split.server import Server
    from reticent.split.simulation import simulate
    from reticent.split.state import parts_bytes, state_dicts

__all__ = [
    "Boundary",
    "BoundaryNoise",
    "BoundaryPrivacy",
    "Canaries",
    "Client",
    "Crossing",
    "GaussianBoundary",
    "Joined",
    "LeakageReport",
    "Optimizer",
    "Server",
    "SplitTraining",
    "Traffic",
    "boundary_events",
    "boundary_noise_multiplier",
    "canary_activations",
    "canary_gradients",
    "canary_leakage",
    "cut",
    "distance_correlation",
    "epoch_batches",
    "label_auc",
    "leakage",
    "make_canaries",
    "order_digest",
    "parts_bytes",
    "simulate",
    "state_dicts",
    "traffic",
]

# The parts need torch; the settings and the traffic do not, and a plan must not load it.
_NEED_TORCH = {
    "Canaries": "canaries",
    "Client": "client",
    "GaussianBoundary": "defence",
    "Joined": "joined",
    "Server": "server",
    "canary_activations": "canaries",
    "canary_gradients": "canaries",
    "canary_leakage": "canaries",
    "cut": "cutting",
    "epoch_batches": "rows",
    "make_canaries": "canaries",
    "order_digest": "rows",
    "parts_bytes": "state",
    "simulate": "simulation",
    "state_dicts": "state",
}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEED_TORCH[name]}"), name)
