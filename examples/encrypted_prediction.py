"""A laboratory predicts for a hospital without seeing a patient, and the hospital never sees the model.

    python examples/encrypted_prediction.py

Real records (Breast Cancer Wisconsin, inside scikit-learn). The laboratory trained a small network with squares as
activations on its half; the hospital encrypts the other half. Two processes, mutual TLS between them: this one is the
hospital; the laboratory's makes the model from the name `encrypted_prediction:laboratory`.
"""

from __future__ import annotations

import textwrap
import time

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

from reticent import he

BOUNDS = (-4.0, 4.0)


class Square(nn.Module):
    """What encrypted numbers can do in place of a ReLU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


def records() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return (features, labels) of the laboratory and of the hospital, standardised and clipped alike.

    The constants come from the laboratory's half; it publishes them with its service.
    """
    features, labels = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(7).permutation(len(features))
    own, other = np.array_split(order, 2)
    mean, deviation = features[own].mean(axis=0), features[own].std(axis=0)
    prepared = np.clip((features - mean) / deviation, *BOUNDS)
    return (prepared[own], labels[own]), (prepared[other], labels[other])


def trained() -> nn.Module:
    """Train the laboratory's network: 30-16(square)-1, sigmoid."""
    (x, y), _ = records()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 16), Square(), nn.Linear(16, 1), nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-2)
    rows, wanted = torch.tensor(x, dtype=torch.float32), torch.tensor(y[:, None], dtype=torch.float32)
    for _ in range(400):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy(model(rows), wanted).backward()
        optimizer.step()
    return model.eval()


def laboratory() -> he.Program:
    """Called in the server process: the only place where the model is while predictions are made."""
    return he.compile(trained(), input_bounds=BOUNDS, precision=1e-3)


def main() -> None:
    _, (patients, diagnoses) = records()
    print(f"The hospital has {len(patients)} patients with 30 measurements each, from {BOUNDS[0]:g} to {BOUNDS[1]:g}.")
    start = time.perf_counter()
    found = he.predict_in_processes(patients, "encrypted_prediction:laboratory")
    print(f"\nPredicted by the laboratory's process in {time.perf_counter() - start:.1f} s, of which:")
    for phase, seconds in found.seconds.items():
        print(f"  {phase:<12}{seconds:6.2f} s")
    print("  (the rest: the laboratory trains and compiles its model)")
    print(
        f"Sent by the hospital: {found.bytes_up / 1e6:.2f} MB, of which {found.evaluation_key_bytes / 1e6:.2f} MB are "
        f"evaluation keys, sent once. Sent back: {found.bytes_down / 1e6:.2f} MB."
    )
    # For this demonstration only: the hospital could not do this.
    program = laboratory()
    clear = 1 / (1 + np.exp(-program.run(patients)))
    same = int(((found.values > 0.5) == (clear > 0.5)).sum())
    print(
        f"\nAgainst the same model in clear: {same} of {len(patients)} calls agree; largest difference of a probability "
        f"{np.abs(found.values - clear).max():.1e} (promised: at most {found.precision:g})."
    )
    right = ((found.values[:, 0] > 0.5) == (diagnoses > 0.5)).mean()
    usual = max(diagnoses.mean(), 1 - diagnoses.mean())
    print(f"Right for {right:.1%} of the patients; always calling the larger class: {usual:.1%}.")
    print("\nWhat was promised, by Program.explain():")
    for paragraph in program.explain().split("\n\n"):
        print(f"\n{textwrap.fill(paragraph, 100)}")


if __name__ == "__main__":
    main()
