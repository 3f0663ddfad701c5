"""Two organisations know different things about the same patients, and train one network on both.

The clinic has ten measurements and the diagnoses, the laboratory twenty measurements more. Each holds a bottom of its
own; what the bottoms make of a patient is joined at a coordinator, which holds the top; the outputs go to the clinic,
which alone compares them with the diagnoses and returns gradients. Columns and labels stay where they are. Rows must be
in one agreed order (patients matched beforehand): the parties compare a hash of their ids and stop where it differs.

The result equals training on the joined table, bit for bit. What crosses is no guarantee about a patient: the last
lines measure what the coordinator and the laboratory could tell.

    python examples/vertical_learning.py
"""

from __future__ import annotations

import copy
import csv
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reticent import split
from reticent.data import Examples, data_folder
from reticent.errors import DataError
from reticent.messages import decode
from reticent.split.wire import BatchRequest

EPOCHS, BATCH, HIDDEN = 20, 32, 8
CLINIC, LABORATORY = "clinic", "laboratory"

Array = NDArray[np.float64]


@dataclass
class Joint:
    """The table that nobody has: here only to deal it out, and to train on it for comparison."""

    features: Array
    labels: NDArray[np.int64]
    ids: list[str]
    columns: dict[str, list[int]]

    def rows(self, site: str, part: NDArray[np.int64]) -> Examples:
        """Return what `site` holds of some rows; the laboratory knows no diagnosis, and zeros stand in their place."""
        labels = self.labels[part] if site == CLINIC else np.zeros(len(part), dtype=np.int64)
        return Examples.of(self.features[part][:, self.columns[site]], labels)

    def names(self, part: NDArray[np.int64]) -> list[str]:
        """Return the ids of some rows."""
        return [self.ids[row] for row in part]


def breast_cancer() -> Joint:
    """Return FATE's division of the Wisconsin records where they are, or scikit-learn's records divided alike."""
    folder, columns = data_folder(), {CLINIC: list(range(10)), LABORATORY: list(range(10, 30))}
    if folder is not None and (folder / "breast_cancer_vertical").is_dir():
        guest, host = (
            sorted(csv.reader((folder / "breast_cancer_vertical" / name).read_text().splitlines()[1:]))
            for name in ("breast_hetero_guest.csv", "breast_hetero_host.csv")
        )
        clinic, laboratory = np.array(guest, dtype=np.float64), np.array(host, dtype=np.float64)
        features = np.concatenate([clinic[:, 2:], laboratory[:, 1:]], axis=1)
        return Joint(features, clinic[:, 1].astype(np.int64), [row[0] for row in guest], columns)
    from sklearn.datasets import load_breast_cancer

    features, labels = load_breast_cancer(return_X_y=True)
    features = (features - features.mean(0)) / features.std(0)
    return Joint(features, labels.astype(np.int64), [str(row) for row in range(len(labels))], columns)


def network(joint: Joint) -> split.Joined:
    """Return both bottoms under one top, as one model."""
    torch.manual_seed(0)
    bottoms = {site: nn.Sequential(nn.Linear(len(mine), HIDDEN), nn.Tanh()) for site, mine in joint.columns.items()}
    top = nn.Sequential(nn.Linear(2 * HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
    return split.Joined(bottoms, top, joint.columns).double()


def parties(
    model: split.Joined, joint: Joint, train: NDArray[np.int64], test: NDArray[np.int64], settings: split.SplitTraining
) -> tuple[dict[str, split.Client], split.Server]:
    """Return the two organisations, each with its own columns, and the coordinator."""
    clients = {}
    for site, bottom in zip(joint.columns, model.bottoms, strict=True):
        clients[site] = split.Client(
            (bottom, nn.Identity()) if site == CLINIC else bottom,  # the clinic compares outputs with diagnoses
            joint.rows(site, train),
            settings,
            site=site,
            test=joint.rows(site, test),
            ids=joint.names(train),
            test_ids=joint.names(test),
        )
    return clients, split.Server(model.top, settings)


def pooled(model: nn.Module, joint: Joint, train: NDArray[np.int64], settings: split.SplitTraining) -> nn.Module:
    """Train the same model on the joined table, with the same batches."""
    told = settings.server_optimizer
    assert told is not None
    optimizer = torch.optim.SGD(model.parameters(), lr=told.learning_rate, momentum=told.momentum)
    features = torch.from_numpy(joint.features[train].astype(np.float32)).double()
    labels = torch.from_numpy(joint.labels[train]).double()
    for epoch in range(1, settings.epochs + 1):
        for batch in split.epoch_batches(len(train), settings, epoch=epoch, site=CLINIC):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(features[batch])[:, 0], labels[batch]).backward()
            optimizer.step()
    return model


def area(scores: Array, labels: NDArray[np.int64]) -> float:
    """Return the area under the ROC curve, by all pairs."""
    pairs = scores[labels == 1][:, None] - scores[labels == 0][None]
    return float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())


def main() -> None:
    """Train on divided columns and on the joined table, and print what each party saw."""
    torch.set_num_threads(1)  # the matrices are small
    joint = breast_cancer()
    order = np.random.default_rng(3).permutation(len(joint.labels))
    train, test = order[: len(order) * 7 // 10], order[len(order) * 7 // 10 :]
    optimizer = split.Optimizer(learning_rate=0.1, momentum=0.9)
    settings = split.SplitTraining(
        shape="vertical",
        sites=tuple(joint.columns),
        labels=CLINIC,
        start="given",  # public here, so that the comparison can repeat the run; a real one has start="redrawn"
        epochs=EPOCHS,
        batch_size=BATCH,
        classes=2,
        loss="binary_cross_entropy_with_logits",
        bottom_optimizer=optimizer,
        server_optimizer=optimizer,
        head_optimizer=None,
        evaluations=(EPOCHS,),
    )
    model = network(joint)
    whole = copy.deepcopy(model)
    moved: dict[str, int] = dict.fromkeys(joint.columns, 0)
    returned: list[bytes] = []

    def witness(phase: str, site: str, direction: str, body: bytes) -> None:
        moved[site] += len(body)
        if phase.startswith("train/batch-") and site == LABORATORY and direction == "down":
            returned.append(body)

    clients, server = parties(model, joint, train, test, settings)
    split.simulate(clients, server, witness=witness)
    pooled(whole, joint, train, settings)
    pairs = zip(model.state_dict().values(), whole.state_dict().values(), strict=True)
    difference = max(float((a - b).abs().max()) for a, b in pairs)
    with torch.no_grad():
        scores = whole.eval()(torch.from_numpy(joint.features[test].astype(np.float32)).double())[:, 0].numpy()
    together = area(scores, joint.labels[test])
    apart = server.finished.metrics.auc if server.finished and server.finished.metrics else None

    shape = {"widths": dict.fromkeys(joint.columns, (HIDDEN,)), "head_width": (1,), "itemsize": 8}
    told = split.traffic(settings, rows=dict.fromkeys(joint.columns, len(train)), **shape)
    tested = split.traffic(settings, task="evaluate", rows=dict.fromkeys(joint.columns, len(test)), **shape)
    predicted = EPOCHS * told.total + tested.total

    print(f"{len(train)} patients to train on, {len(test)} kept aside; columns: ", end="")
    print(", ".join(f"{site} {len(columns)}" for site, columns in joint.columns.items()), "\n")
    print("Who held and saw what")
    print("  clinic           its columns, the diagnoses, its bottom; the outputs, and gradients for its bottom")
    print("  laboratory       its columns and its bottom; gradients for it; no diagnosis and no column of the clinic")
    print("  the coordinator  the top; activations of both, gradients of the outputs; no column and no diagnosis\n")
    print(f"Moved    {sum(moved.values()):,} bytes ", end="")
    print(f"({', '.join(f'{site} {count:,}' for site, count in moved.items())}); the plan says {predicted:,}")
    print(f"AUC      {apart:.4f} on divided columns, {together:.4f} on the joined table")
    print(f"Largest difference of a weight from pooled training: {difference:g}\n")
    print("What the laboratory could tell about diagnoses from the gradients of its last epoch:")
    print(f"  {labels_told(returned, joint, train, settings)}\n")
    print(f"Rows in another order: {misaligned(network(joint), joint, train, test, settings)}")
    assert difference == 0.0, "vertical training is pooled training"
    assert abs((apart or 0.0) - together) <= 0.002
    assert sum(moved.values()) == predicted, "the plan states what moves"


def labels_told(returned: list[bytes], joint: Joint, train: NDArray[np.int64], settings: split.SplitTraining) -> str:
    """Return how well the gradients of one epoch separate the diagnoses, in words."""
    batches = split.epoch_batches(len(train), settings, epoch=EPOCHS, site=LABORATORY)
    requests = [decode(body, BatchRequest, limit=1 << 30).gradient for body in returned[-len(batches) :]]
    # The gradient of a batch comes with the request for the next one; that of the last one comes with the close.
    gradients = [gradient for gradient in requests if gradient is not None]
    labels = [joint.labels[train][batch] for batch in batches[: len(gradients)]]
    report = split.leakage(gradients=np.concatenate(gradients), labels=np.concatenate(labels), measured_on="rows")
    return report.words()


def misaligned(
    model: split.Joined, joint: Joint, train: NDArray[np.int64], test: NDArray[np.int64], settings: split.SplitTraining
) -> str:
    """Return what happens when one party sorts its patients in another way."""
    clients, server = parties(model, joint, train, test, settings)
    others, _ = parties(model, joint, train[::-1], test, settings)
    try:
        split.simulate({CLINIC: clients[CLINIC], LABORATORY: others[LABORATORY]}, server)
    except DataError as refused:
        return f"refused, {refused.message}"
    return "not noticed"


if __name__ == "__main__":
    main()
