"""Private images beside published figures: fixed features and a linear model, and two ladders of a small network.

Tramer and Boneh, ICLR 2021, table 1: 98.7 % on MNIST and 89.7 % on Fashion-MNIST at epsilon 3, delta 1e-5. Their code
shuffles where it accounts for Poisson samples, and takes a clipping bound for its statistics from the data; here
samples are Poisson, no statistic of the data is used at all, and the figure is that of the last step.

The ladders are those of the MNIST tutorials of TensorFlow Privacy (batch 256) and of Opacus (240): their noise, clip,
learning rate and length, with the epsilon that is really spent by Poisson samples under a tight accountant.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reticent import dp
from reticent.data import Examples, data_folder, mnist
from reticent.training import DPSGD

EXAMPLE = Path(__file__).parents[2] / "examples" / "private_images"
sys.path.insert(0, str(EXAMPLE))
import train as example  # noqa: E402

RESULTS = Path(__file__).parents[2] / "docs" / "results"
RUNS = 5
LINEAR = {
    # folder: (published, batch, learning rate); 40 epochs follow from the published noise
    "mnist": (0.987, 4096, 8.0),
    "fashion_mnist": (0.897, 8192, 16.0),
}


@dataclass(frozen=True)
class Rung:
    """One published setting: what was stated and reached, and how it was trained."""

    source: str
    batch: int
    stated_epsilon: float
    published: str
    learning_rate: float
    noise_multiplier: float
    clip: float
    epochs: int

    def mechanism(self, n: int) -> DPSGD:
        return DPSGD(
            population=n,
            expected_batch_size=self.batch,
            steps=self.epochs * n // self.batch,
            max_grad_norm=self.clip,
            unit="record",
            relation="add_or_remove_one",
            noise_multiplier=self.noise_multiplier,
        )


LADDER = (
    Rung("TF Privacy", 256, 1.19, "95.0", 0.25, 1.3, 1.5, 15),
    Rung("TF Privacy", 256, 3.01, "96.6", 0.15, 1.1, 1.0, 60),
    Rung("TF Privacy", 256, 7.10, "97.0", 0.25, 0.7, 1.5, 45),
    Rung("Opacus", 240, 1.16, "94.63 ± .34", 0.25, 1.3, 1.5, 15),
    Rung("Opacus", 240, 2.91, "96.78 ± .21", 0.15, 1.1, 1.0, 60),
    Rung("Opacus", 240, 6.86, "97.09 ± .17", 0.25, 0.7, 1.5, 45),
)


def network() -> nn.Module:
    """Return the network of 26,010 parameters that both tutorials use."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 8, 2, padding=3),
        nn.ReLU(),
        nn.MaxPool2d(2, 1),
        nn.Conv2d(16, 32, 4, 2),
        nn.ReLU(),
        nn.MaxPool2d(2, 1),
        nn.Flatten(),
        nn.Linear(512, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


@pytest.fixture(scope="module")
def folder() -> Path:
    found = data_folder()
    if found is None:
        pytest.skip("needs the folder of real data sets: set RETICENT_DATA")
    return found


def heading(title: str, test: str) -> list[str]:
    version = torch.__version__.split("+")[0]
    return [
        f"# {title}",
        "",
        f"Written by `make reproduce` (tests/reproduce/{test}) with torch {version}, {torch.get_num_threads()} threads.",
        "",
    ]


@pytest.mark.reproduce
@pytest.mark.filterwarnings("default")
def test_scattering_and_a_linear_model_at_epsilon_3(folder: Path) -> None:
    lines = heading("Images at epsilon 3, delta 1e-5", Path(__file__).name)
    lines += [
        "| data | published | here, mean ± deviation of 5 runs | single runs | noise multiplier | steps | seconds a run |",
        "|---|---|---|---|---|---|---|",
    ]
    reached = {}
    for name, (published, batch, rate) in LINEAR.items():
        learn, test = (example.features_of(part) for part in mnist(folder / name))
        dpsgd = example.mechanism(len(learn), epsilon=3.0, batch=batch, epochs=40)
        assert dpsgd.epsilon(1e-5) <= 3.0
        started = time.monotonic()
        found = [example.accuracy(example.train(learn, dpsgd, learning_rate=rate), test) for _ in range(RUNS)]
        seconds = (time.monotonic() - started) / RUNS
        reached[name] = (float(np.mean(found)), published)
        lines.append(
            f"| {name} | {published:.1%} | {np.mean(found):.2%} ± {np.std(found, ddof=1):.2%} "
            f"| {', '.join(f'{value:.2%}' for value in found)} | {dpsgd.noise_multiplier:.3f} | {dpsgd.steps} "
            f"| {seconds:.0f} |"
        )
    lines += [
        "",
        "Scattering features (J = 2, 8 angles, 3,969 numbers), each image normalised by itself in 27 groups, a linear",
        "model from zeros, clip 0.1, momentum 0.9, batch and learning rate of the paper, 40 epochs. Units are records,",
        "neighbours add or remove one, samples are Poisson. No statistic of the data is used, nothing was tuned on these",
        "images here, and each figure is that of the last step. The paper's own noise (3.04 and 4.05) spends epsilon 2.37",
        "under a tight accountant; here the noise is what epsilon 3 needs. The paper's MNIST figure also standardises with",
        "private statistics, and its settings were found by a search on the test images, which neither figure pays for.",
        "",
    ]
    (RESULTS / "private-images.md").write_text("\n".join(lines))
    for name, (mean, published) in reached.items():
        assert mean >= published - 0.005, name


def accuracy(model: Any, test: Examples) -> float:
    with torch.no_grad():
        guesses = model(torch.from_numpy(test.features)).argmax(1).numpy()
    return float((guesses == test.labels).mean())


def climbed(rung: Rung) -> tuple[float, float, float]:
    """Train one rung, on one thread of a process of its own: epsilon spent, test accuracy, seconds."""
    torch.set_num_threads(1)
    learn, test = mnist((data_folder() or Path()) / "mnist")
    dpsgd = rung.mechanism(len(learn))
    torch.manual_seed(0)
    model, started = network(), time.monotonic()
    optimizer = torch.optim.SGD(model.parameters(), lr=rung.learning_rate)
    dpsgd.trainer(model, nn.functional.cross_entropy, optimizer).fit(learn)
    return dpsgd.epsilon(1e-5), accuracy(model, test), time.monotonic() - started


@pytest.mark.reproduce
@pytest.mark.filterwarnings("default")
def test_the_ladders_of_two_tutorials(folder: Path) -> None:
    lines = heading("Two ladders on MNIST", Path(__file__).name)
    lines += [
        "| source | noise | clip | learning rate | epochs | stated epsilon | really spent | published | here | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        for rung, (spent, right, seconds) in zip(LADDER, pool.map(climbed, LADDER), strict=True):
            lines.append(
                f"| {rung.source} | {rung.noise_multiplier} | {rung.clip} | {rung.learning_rate} | {rung.epochs} "
                f"| {rung.stated_epsilon} | {spent:.3f} | {rung.published} | {right:.2%} | {seconds:.0f} |"
            )
            print(lines[-1], flush=True)
            assert spent < rung.stated_epsilon
            assert right > float(rung.published[:4]) / 100 - 0.015
    lines += [
        "",
        "One run of each, delta 1e-5, unit record, add or remove one, Poisson samples, plain SGD, the last step. The",
        "stated epsilons are those of the tutorials, by Renyi accounting.",
        "",
    ]
    (RESULTS / "mnist-ladders.md").write_text("\n".join(lines))


def test_the_ladders_spend_less_than_they_say() -> None:
    """The accounting alone, which takes no data: quick enough for every run of the suite."""
    for rung in LADDER:
        dpsgd = rung.mechanism(60_000)
        spent = dp.epsilon(dpsgd.event, delta=1e-5, relation="add_or_remove_one")
        assert 0.65 * rung.stated_epsilon < spent < rung.stated_epsilon
