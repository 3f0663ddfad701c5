"""Federated learning: sites train on their own rows, a coordinator averages (McMahan et al. 2017, Li et al. 2020).

GUARANTEE. Rows stay at their site. That alone promises nothing about a person: an update can be inverted. What bounds it
is differential privacy at the site (`PrivateTraining`), whose noise is in every message; what hides single updates from
the coordinator is secure aggregation.

ADVERSARY. Other sites and the coordinator are honest but curious. What the coordinator sees depends on the aggregation:
with `plain` every site's update, with `secagg` only sums. Wrong updates are not detected.

COST. The model down and an update up for each site and round, four and eight bytes a value in the clear; a round of ten
clients adds 0.12 s to the training itself, 0.25 s under masks (docs/results/round-overhead.md).
"""

from __future__ import annotations

from reticent.federated.client import Client
from reticent.federated.server import Server
from reticent.federated.settings import (
    Aggregation,
    Encoding,
    FedAvg,
    FedProx,
    LocalTraining,
    PrivateTraining,
    Schedule,
    Statistics,
)
from reticent.federated.simulation import simulate
from reticent.roles import Finished, Metrics

__all__ = [
    "Aggregation",
    "Client",
    "Encoding",
    "FedAvg",
    "FedProx",
    "Finished",
    "LocalTraining",
    "Metrics",
    "PrivateTraining",
    "Schedule",
    "Server",
    "Statistics",
    "simulate",
]
