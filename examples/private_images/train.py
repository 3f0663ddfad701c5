"""A private classifier of images on the laptop: fixed features, a linear model, one stated epsilon.

    python examples/private_images/train.py FOLDER --epsilon 3

FOLDER holds the four idx files of MNIST or Fashion-MNIST. Nothing that depends on the images is chosen, standardised,
stopped early or picked by score: the features are fixed, each image is normalised by itself, samples are Poisson, and
the figure is that of the last step.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scattering import group_normalised, scattering

from reticent import dp
from reticent.data import Examples, mnist
from reticent.training import DPSGD

BATCH = 500


def features_of(examples: Examples) -> Examples:
    """Return the same labels with fixed features: float32 `(n, 81 * 7 * 7)` for images of 28 x 28 pixels."""
    images = torch.from_numpy(examples.features[:, 0])
    parts = [group_normalised(scattering(images[i : i + BATCH])).numpy() for i in range(0, len(images), BATCH)]
    return Examples(np.concatenate(parts), examples.labels, examples.units)


def mechanism(n: int, *, epsilon: float, batch: float, epochs: float) -> DPSGD:
    """Return the settings of Tramer and Boneh 2021 (clip 0.1), with the noise that `epsilon` really needs."""
    return DPSGD(
        population=n,
        expected_batch_size=batch,
        steps=round(epochs * n / batch),
        max_grad_norm=0.1,
        unit="record",
        relation="add_or_remove_one",
        target=dp.Target(epsilon=epsilon, delta=1e-5),
    )


def train(examples: Examples, dpsgd: DPSGD, *, learning_rate: float) -> torch.nn.Module:
    """Return a linear model after all steps of `dpsgd`."""
    model = torch.nn.Linear(examples.features.shape[1], 10)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    dpsgd.trainer(model, torch.nn.functional.cross_entropy, optimizer).fit(examples)
    return model


def accuracy(model: torch.nn.Module, examples: Examples) -> float:
    """Return the share of right answers."""
    with torch.no_grad():
        guesses = model(torch.from_numpy(examples.features)).argmax(1).numpy()
    return float((guesses == examples.labels).mean())


def main(given: list[str] | None = None) -> dict[str, Any]:
    """Train as the command line says; print and return what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epsilon", type=float, default=3.0)
    parser.add_argument("--batch", type=float, default=4096)
    parser.add_argument("--epochs", type=float, default=40)
    parser.add_argument("--learning-rate", type=float, default=8.0)
    parser.add_argument("--rows", type=int, default=None, help="use the first rows only, to try it out")
    chosen = parser.parse_args(given)
    learn, test = (
        features_of(Examples(part.features[: chosen.rows], part.labels[: chosen.rows], part.units[: chosen.rows]))
        for part in mnist(chosen.folder)
    )
    dpsgd = mechanism(len(learn), epsilon=chosen.epsilon, batch=chosen.batch, epochs=chosen.epochs)
    model = train(learn, dpsgd, learning_rate=chosen.learning_rate)
    found = {"epsilon": dpsgd.epsilon(1e-5), "noise_multiplier": dpsgd.noise_multiplier, "test": accuracy(model, test)}
    print(f"epsilon {found['epsilon']:.3f} at delta 1e-5, noise multiplier {dpsgd.noise_multiplier:.3f}")
    print(f"{found['test']:.2%} of the test images are right")
    return found


if __name__ == "__main__":
    main()
