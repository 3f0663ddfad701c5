"""Three hospitals and a coordinator share one network, and no record and no label leaves a hospital.

The network is cut twice. Each hospital holds the bottom (its patients go in) and the head (their diagnoses are compared
there); the coordinator holds the middle, which is the larger part. Hospitals train in turn, and hand bottom and head on
to each other sealed, so that the coordinator carries them and cannot read them. The result is the one that training on
all records in one place would give, bit for bit.

None of this is a guarantee about a patient: activations can be inverted in part and gradients tell diagnoses apart, as
the measurement at the end shows. A defence with an accounted epsilon is `split.GaussianBoundary`.

    python examples/split_learning.py
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reticent import split
from reticent.data import Examples, data_folder
from reticent.identity import Roster, SigningKey
from reticent.messages import decode
from reticent.split.wire import Activations, HeadGradient

EPOCHS, BATCH, HIDDEN, CUTS = 30, 32, 16, ("1", "3")
# Declared by clinicians, not read from the data: what becomes -1 and 1.
RANGES = [(20, 90), (0, 1), (1, 4), (80, 210), (0, 610), (0, 1), (0, 2), (60, 210), (0, 1), (-3, 7)]

Hospitals = dict[str, Examples]


def heart_disease(folder: Path) -> Hospitals:
    """Return three of the four hospitals of UCI's heart disease set, complete rows alone (FLamby's ten columns)."""
    found = {}
    for hospital in ("cleveland", "hungarian", "va"):
        lines = [line.split(",") for line in (folder / f"processed.{hospital}.data").read_text().split()]
        rows = np.array([[*line[:10], line[13]] for line in lines if "?" not in line[:10]], dtype=np.float64)
        low, high = np.array(RANGES, dtype=np.float64).T
        features = (rows[:, :10] - low) / (high - low) * 2 - 1
        found[hospital] = Examples.of(features, (rows[:, 10] > 0).astype(np.int64))
    return found


def breast_cancer() -> Hospitals:
    """Return the records that ship inside scikit-learn, dealt out to three hospitals."""
    from sklearn.datasets import load_breast_cancer

    features, labels = load_breast_cancer(return_X_y=True)
    features = (features - features.mean(0)) / features.std(0)
    order = np.random.default_rng(1).permutation(len(labels))
    parts = np.array_split(order, 3)
    return {
        name: Examples.of(features[p], labels[p]) for name, p in zip(("east", "north", "south"), parts, strict=True)
    }


def divide(hospitals: Hospitals) -> tuple[Hospitals, Hospitals]:
    """Return two thirds of each hospital's rows for training, and the rest."""
    train, test = {}, {}
    for name, rows in hospitals.items():
        order = np.random.default_rng(2).permutation(len(rows))
        train[name] = rows.select(order[: len(rows) * 2 // 3])
        test[name] = rows.select(order[len(rows) * 2 // 3 :])
    return train, test


def unsplit(model: nn.Module, train: Hospitals, settings: split.SplitTraining) -> nn.Module:
    """Train the same model in one piece on the same batches, as if all records lay in one place."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    loss = nn.BCEWithLogitsLoss()
    for epoch in range(1, settings.epochs + 1):
        for name, rows in train.items():
            features, labels = torch.from_numpy(rows.features).double(), torch.from_numpy(rows.labels).double()
            for batch in split.epoch_batches(len(rows), settings, epoch=epoch, site=name):
                optimizer.zero_grad()
                loss(model(features[batch]).squeeze(-1), labels[batch]).backward()
                optimizer.step()
    return model


def accuracy(model: nn.Module, rows: Hospitals) -> float:
    """Return the share of right answers over all hospitals."""
    model.eval()
    with torch.no_grad():
        right = [((model(torch.from_numpy(r.features).double())[:, 0] > 0).numpy() == r.labels) for r in rows.values()]
    return float(np.concatenate(right).mean())


def measured(seen: dict[str, list[bytes]], train: Hospitals, settings: split.SplitTraining, site: str) -> str:
    """Return what the coordinator's messages of the last epoch tell about one hospital's records, in words."""
    inputs: list[NDArray[np.float32]] = []
    labels: list[NDArray[np.int64]] = []
    for batch in split.epoch_batches(len(train[site]), settings, epoch=settings.epochs, site=site):
        inputs.append(train[site].features[batch])
        labels.append(train[site].labels[batch])
    sent = [decode(body, Activations, limit=1 << 30).values for body in seen["batch"]]
    returned = [decode(body, HeadGradient, limit=1 << 30).gradient for body in seen["head"]]
    report = split.leakage(
        inputs=np.concatenate(inputs),
        activations=np.concatenate(sent),
        gradients=np.concatenate(returned),
        labels=np.concatenate(labels),
        measured_on="rows",
    )
    return report.words()


class Coordinator:
    """What whoever carries the messages sees: how much, and of one hospital the last epoch's tensors."""

    def __init__(self, watched: str) -> None:
        self.watched = watched
        self.moved = {"up": 0, "down": 0}
        self.last: dict[str, list[bytes]] = {"batch": [], "head": []}

    def __call__(self, phase: str, site: str, direction: str, body: bytes) -> None:
        """Note one message."""
        self.moved[direction] += len(body)
        task, _, step = phase.partition("/")
        kind = step.partition("-")[0]
        if task != "train" or direction != "up" or kind not in self.last or site != self.watched:
            return
        if step == "batch-0":
            self.last = {"batch": [], "head": []}
        self.last[kind].append(body)


def train_split(
    model: nn.Module, train: Hospitals, test: Hospitals, settings: split.SplitTraining, witness: Coordinator
) -> float:
    """Train `model` at the hospitals and the coordinator, join its parts, and return the accuracy they report."""
    keys = {site: SigningKey.generate() for site in train}
    roster = Roster({site: key.public for site, key in keys.items()})
    kept: dict[str, dict[int, bytes]] = {site: {} for site in train}
    _, middle, _ = split.cut(model, at=CUTS)
    server, clients = split.Server(middle, settings), {}
    for site in train:
        bottom, _, head = split.cut(copy.deepcopy(model), at=CUTS)  # every hospital has parts of its own
        clients[site] = split.Client(
            (bottom, head),
            train[site],
            settings,
            site=site,
            test=test[site],
            key=keys[site],
            roster=roster,
            checkpoints=kept[site],
        )
    split.simulate(clients, server, witness=witness)
    # A hospital's checkpoint holds its parts under the model's own names; the coordinator gives the middle.
    model.load_state_dict({**split.state_dicts(kept[witness.watched][EPOCHS]), **middle.state_dict()})
    assert server.finished is not None
    assert server.finished.metrics is not None
    return float(server.finished.metrics.accuracy or 0.0)


def planned(model: nn.Module, train: Hospitals, test: Hospitals, settings: split.SplitTraining) -> split.Traffic:
    """Return what the run moves by the formula, before it is run."""
    bottom, _, head = split.cut(model, at=CUTS)
    shared = {"widths": dict.fromkeys(train, (HIDDEN,)), "head_width": (HIDDEN,), "itemsize": 8}
    size = split.parts_bytes(bottom, head, settings)
    rows, tested = ({site: len(part) for site, part in parts.items()} for parts in (train, test))
    epochs = [split.traffic(settings, epoch=e, rows=rows, parts_bytes=size, **shared) for e in range(1, EPOCHS + 1)]
    return sum(epochs, split.traffic(settings, task="evaluate", epoch=EPOCHS, rows=tested, **shared))


def main() -> None:
    """Train split and unsplit, and print what each party saw."""
    torch.set_num_threads(1)  # the matrices are small
    folder = data_folder()
    real = folder is not None and (Path(folder) / "heart_disease").is_dir()
    hospitals = heart_disease(Path(folder) / "heart_disease") if real and folder else breast_cancer()
    train, test = divide(hospitals)
    sites, inputs = tuple(train), next(iter(train.values())).features.shape[1]
    adam = split.Optimizer(name="adam", learning_rate=0.01)
    settings = split.SplitTraining(
        shape="u-shape",
        sites=sites,
        epochs=EPOCHS,
        batch_size=BATCH,
        classes=2,
        loss="binary_cross_entropy_with_logits",
        bottom_optimizer=adam,
        server_optimizer=adam,
        head_optimizer=adam,
        evaluations=(EPOCHS,),
        # Both public, so that the comparison below can repeat the run; a real one has start="redrawn", order="site".
        start="given",
        order="public",
    )
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1)
    ).double()
    whole = copy.deepcopy(model)
    told, seen = planned(model, train, test, settings), Coordinator(sites[-1])
    reported = train_split(model, train, test, settings, seen)
    unsplit(whole, train, settings)
    pairs = zip(model.state_dict().values(), whole.state_dict().values(), strict=True)
    difference, moved = max(float((a - b).abs().max()) for a, b in pairs), sum(seen.moved.values())

    print(f"{len(sites)} hospitals: {', '.join(f'{site} ({len(train[site])} records)' for site in sites)}\n")
    print("Who held and saw what")
    print("  a hospital       its records and diagnoses, bottom and head; of the hospital before it the weights")
    print(
        "  the coordinator  the middle; activations and gradients of every record; sizes. No record and no diagnosis,"
    )
    print("                   and no weight of bottom or head, which it carries sealed\n")
    print(f"Moved              {moved:,} bytes ({seen.moved['up']:,} up, {seen.moved['down']:,} down)")
    print(f"  as planned       {told.total:,}: {told.activations + told.gradients:,} at the cuts, ", end="")
    print(f"{told.handed:,} handed on, {told.framing:,} framing")
    print(f"Accuracy           {reported:.4f} split, {accuracy(whole, test):.4f} unsplit")
    print(f"Largest difference of a weight from unsplit training: {difference:g}\n")
    print(f"What the coordinator could tell about {seen.watched} from the last epoch:")
    print(f"  {measured(seen.last, train, settings, seen.watched)}")
    assert difference == 0.0, "split training is unsplit training"
    assert moved == told.total, "the plan states what moves"


if __name__ == "__main__":
    main()
