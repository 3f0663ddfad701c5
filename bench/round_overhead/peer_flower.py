"""Flower (Beutel et al., 2020): `run_simulation` on Ray, one CPU for each of as many actors as there are cores."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ |= {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_memory_monitor_refresh_ms": "0"}
os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # the actors import `workload`, too

import torch
import workload
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

task, _ = workload.arguments()
clock = workload.Clock()
final = task.initial_model()
client_app = ClientApp()
server_app = ServerApp()


@client_app.train()
def train(message: Message, context: Context) -> Message:
    model = task.make_model()
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    images, labels = task.data[context.node_config["partition-id"]]
    start = time.perf_counter()
    workload.local_sgd(model, torch.from_numpy(images), torch.from_numpy(labels))
    times = {"num-examples": len(labels), "start": start, "stop": time.perf_counter()}
    reply = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord(times)})
    return Message(content=reply, reply_to=message)


class Timed(FedAvg):
    """FedAvg with a look at the clients' times before they are averaged."""

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Any:
        arrived = list(replies)
        clock.training += [tuple(reply.content["metrics"][at] for at in ("start", "stop")) for reply in arrived]
        return super().aggregate_train(server_round, arrived)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> Any:
        result = super().aggregate_evaluate(server_round, replies)
        clock.round_ended()
        return result


@server_app.main()
def serve(grid: Grid, _: Context) -> None:
    strategy = Timed(
        fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=task.clients, min_available_nodes=task.clients
    )
    result = strategy.start(grid=grid, initial_arrays=ArrayRecord(final.state_dict()), num_rounds=task.rounds)
    final.load_state_dict(result.arrays.to_torch_state_dict())


def main() -> None:
    cores = len(os.sched_getaffinity(0))
    run_simulation(
        server_app=server_app,
        client_app=client_app,
        num_supernodes=task.clients,
        backend_name="ray",
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {
                "num_cpus": cores,
                "include_dashboard": False,
                "logging_level": logging.ERROR,
                "log_to_driver": False,
            },
        },
    )
    clock.report(task, final, "flwr", "ray")


if __name__ == "__main__":
    main()
