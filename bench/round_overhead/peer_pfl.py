"""pfl-research (Granqvist et al., NeurIPS 2024): its simulator, one process, without evaluation."""

from __future__ import annotations

from typing import Any

import torch
import workload
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNEvalHyperParams, NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from torch import Tensor, nn


class Model(nn.Module):
    """pfl asks the module itself for its loss and metrics."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images)

    def loss(self, images: Tensor, labels: Tensor, eval: bool = False) -> Tensor:  # noqa: A002, ARG002
        return nn.functional.cross_entropy(self(images), labels)

    def metrics(self, images: Tensor, labels: Tensor, eval: bool = False) -> dict[str, Any]:  # noqa: A002, ARG002
        return {}


class EndOfRound(TrainingProcessCallback):
    def __init__(self, clock: workload.Clock) -> None:
        self.clock = clock

    def after_central_iteration(self, *_: Any, **__: Any) -> tuple[bool, Metrics]:
        self.clock.round_ended()
        return False, Metrics()


def main() -> None:
    task, _ = workload.arguments()
    clock = workload.Clock()
    PyTorchModel.do_multiple_epochs_of = clock.timing(PyTorchModel.do_multiple_epochs_of)
    datasets = [
        Dataset((torch.from_numpy(images), torch.from_numpy(labels)), user_id=str(user))
        for user, (images, labels) in enumerate(task.data)
    ]
    users = get_user_sampler("minimize_reuse", list(range(task.clients)))
    federated = FederatedDataset(datasets.__getitem__, users)
    module = Model(task.initial_model())
    central = torch.optim.SGD(module.parameters(), lr=1.0)
    model = PyTorchModel(module, local_optimizer_create=torch.optim.SGD, central_optimizer=central)
    FederatedAveraging().run(
        algorithm_params=NNAlgorithmParams(
            central_num_iterations=task.rounds,
            evaluation_frequency=10**6,
            train_cohort_size=task.clients,
            val_cohort_size=0,
        ),
        backend=SimulatedBackend(training_data=federated, val_data=federated),
        model=model,
        model_train_params=NNTrainHyperParams(
            local_num_epochs=1, local_learning_rate=workload.LEARNING_RATE, local_batch_size=workload.BATCH
        ),
        model_eval_params=NNEvalHyperParams(local_batch_size=None),
        callbacks=[EndOfRound(clock)],
    )
    clock.report(task, module, "pfl")


if __name__ == "__main__":
    main()
