"""reticent's roles alone: messages are encoded and decoded, nothing is signed, journalled or written."""

from __future__ import annotations

import numpy as np
import workload

from reticent.data import Examples
from reticent.federated import Aggregation, Client, Finished, LocalTraining, Schedule, Server, learner, simulate
from reticent.training import flatten, load_flat, loss_by_name, optimizer_factory


def main() -> None:
    task, _ = workload.arguments()
    clock = workload.Clock()
    learner.fit_plain = clock.timing(learner.fit_plain)
    training = LocalTraining(
        weight=1 / task.clients,
        classes=workload.CLASSES,
        loss=loss_by_name("cross_entropy"),
        optimizer=optimizer_factory("sgd", learning_rate=workload.LEARNING_RATE, momentum=0.0, weight_decay=0.0),
        batch_size=workload.BATCH,
        local_epochs=1,
    )
    aggregation = Aggregation(protocol="plain", cohort=task.clients)
    clients = {}
    for number, (images, labels) in enumerate(task.data):
        rows = Examples(features=images, labels=labels, units=np.arange(len(labels)))
        clients[f"site-{number:03}"] = Client(
            task.initial_model(), training, aggregation, train=rows, test=rows.select(slice(0))
        )
    model = task.initial_model()
    server = Server(
        flatten(model),
        weights=dict.fromkeys(clients, 1 / task.clients),
        schedule=Schedule(rounds=task.rounds),
        aggregation=aggregation,
        classes=workload.CLASSES,
        private=False,
    )

    def after_task(_: Finished) -> None:
        clock.round_ended()

    simulate(server, clients, after_task=after_task)
    load_flat(model, server.model)
    clock.report(task, model, "reticent")


if __name__ == "__main__":
    main()
