"""Three organisations fit one model on columns that none shows the others: logistic regression under secret sharing.

A clinic knows whose tumour is benign and ten measurements of each patient, two laboratories ten more each. Their rows
are in the same declared order (patients matched beforehand). Every number that travels is a share, uniform by itself. Two
results are opened, and each is a release: the scores of patients kept aside, to the clinic alone; and the coefficients,
to all, so that this example can compare them with a fit in clear text. No epsilon is claimed for either.

    python examples/secure_computation.py
"""

from __future__ import annotations

import csv

import numpy as np
from numpy.typing import NDArray

from reticent import mpc
from reticent.data import data_folder

NAMES = ("clinic", "laboratory A", "laboratory B")
STEPS, BATCH, RATE, L2 = 40, 64, 0.5, 0.01

Array = NDArray[np.float64]


def breast_cancer() -> tuple[list[Array], Array, str]:
    """Return the three organisations' columns, the labels, and where they come from (1: benign)."""
    folder = data_folder()
    if folder is not None and (folder / "breast_cancer_vertical").is_dir():
        guest, host = (
            sorted(
                csv.reader(
                    (folder / "breast_cancer_vertical" / f"breast_hetero_{side}.csv").read_text().splitlines()[1:]
                )
            )
            for side in ("guest", "host")
        )
        clinic, laboratories = np.array(guest, dtype=np.float64), np.array(host, dtype=np.float64)
        columns = [clinic[:, 2:], laboratories[:, 1:11], laboratories[:, 11:]]
        return columns, clinic[:, 1], "Breast Cancer Wisconsin, in FATE's vertical split"
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    return np.hsplit(found.data, 3), found.target.astype(np.float64), "Breast Cancer Wisconsin, from scikit-learn"


def standardised(columns: Array, training: NDArray[np.bool_]) -> Array:
    """Return columns standardised by their own training rows: each organisation does this alone."""
    known = columns[training]
    return (columns - known.mean(axis=0)) / known.std(axis=0)


def auc(labels: Array, scores: Array) -> float:
    """Return the probability that a benign case scores above a malignant one."""
    higher = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    return float(np.mean((higher > 0) + 0.5 * (higher == 0)))


def main() -> None:
    """Fit under sharing and in clear text, and print both with the cost."""
    columns, labels, source = breast_cancer()
    training = np.arange(len(labels)) % 3 != 0
    columns = [standardised(part, training) for part in columns]
    inputs = [{"x": part[training], "new": part[~training]} for part in columns]
    inputs[0]["y"] = labels[training]
    shapes = [part["x"].shape for part in inputs]
    settings = {"batches": mpc.cyclic_batches(int(training.sum()), BATCH, STEPS), "learning_rate": RATE, "l2": L2}

    def program(session: mpc.Session) -> tuple[object, object]:
        model = mpc.logistic_regression(session, columns="split", shapes=shapes, labels=0, **settings)
        new = [session.input("new", owner=party, shape=part["new"].shape) for party, part in enumerate(inputs)]
        scores = model.scores(mpc.concat(new, axis=1))
        return scores.reveal(to=0), model.reveal()

    outputs, cost = mpc.run_local(program, inputs=inputs, protocol="replicated")
    weights, intercept = mpc.plain_logistic_regression(np.hstack(columns)[training], labels[training], **settings)
    plain = np.hstack(columns)[~training] @ weights + intercept
    (scores, (found, _)), total = outputs[0], cost.total()
    print(f"{source}: {training.sum()} patients to learn from, {np.sum(~training)} kept aside")
    for name, part in zip(NAMES, columns, strict=True):
        print(f"  {name}: {part.shape[1]} columns{', and the diagnosis' if name == NAMES[0] else ''}")
    print(f"{STEPS} steps on batches of {BATCH}, three parties, replicated shares")
    print(f"  AUC under sharing   {auc(labels[~training], scores):.5f}")
    print(f"  AUC in clear text   {auc(labels[~training], plain):.5f}")
    print(f"  largest difference of a coefficient  {np.abs(found - weights).max():.1e}")
    print(f"  sent by all parties {total.bytes_sent / 1e6:.1f} MB in {total.rounds} rounds, {total.seconds:.1f} s")
    others = "saw the scores of the patients kept aside" if outputs[1][0] is None else "and everybody saw the scores"
    print(f"Only the clinic {others}; all saw the coefficients. Both are releases: no epsilon is claimed.")


if __name__ == "__main__":
    main()
