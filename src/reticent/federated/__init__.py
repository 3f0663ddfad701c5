"""Federated learning: sites train on their own rows, a coordinator averages (McMahan et al. 2017, Li et al. 2020).

Adversary: other sites and the coordinator are honest but curious. What the coordinator sees depends on the
aggregation: with `plain` every site's update, with `secagg` only sums. Neither is a guarantee about one person:
that comes from differential privacy at the site (`PrivateTraining`), whose noise is in every message.
"""

from __future__ import annotations

from reticent.federated.client import Client
from reticent.federated.server import Server
from reticent.federated.settings import Aggregation, FedAvg, FedProx, LocalTraining, PrivateTraining, Schedule
from reticent.federated.simulation import simulate
from reticent.roles import Finished, Metrics

__all__ = [
    "Aggregation",
    "Client",
    "FedAvg",
    "FedProx",
    "Finished",
    "LocalTraining",
    "Metrics",
    "PrivateTraining",
    "Schedule",
    "Server",
    "simulate",
]
