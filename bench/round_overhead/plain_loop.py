"""No framework: one model is loaded, trained and added up for each client in turn."""

from __future__ import annotations

import copy

import torch
import workload


def main() -> None:
    task, _ = workload.arguments()
    clock = workload.Clock()
    train = clock.timing(workload.local_sgd)
    server = task.initial_model()
    client = copy.deepcopy(server)
    data = [(torch.from_numpy(images), torch.from_numpy(labels)) for images, labels in task.data]
    for _ in range(task.rounds):
        total = [torch.zeros_like(value) for value in server.parameters()]
        for images, labels in data:
            client.load_state_dict(server.state_dict())
            train(client, images, labels)
            with torch.no_grad():
                for summed, value in zip(total, client.parameters(), strict=True):
                    summed.add_(value, alpha=1 / task.clients)
        with torch.no_grad():
            for value, mean in zip(server.parameters(), total, strict=True):
                value.copy_(mean)
        clock.round_ended()
    clock.report(task, server)


if __name__ == "__main__":
    main()
