"""A convolutional network and an MLP read real digits under sharing as torch does in clear text."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from reticent import lowering, mpc
from reticent.data import Examples, data_folder, mnist

PARTIES = {"replicated": 3, "additive": 2}
IMAGES = 64


@pytest.fixture(scope="module")
def digits() -> tuple[Examples, Examples]:
    folder = data_folder()
    if folder is None or not (folder / "mnist").is_dir():
        pytest.skip("no folder with MNIST")
    return mnist(folder / "mnist")


def lenet() -> nn.Module:
    """LeNet-5 with ReLU and maxima, as it is taught now (LeCun et al., Proceedings of the IEEE 1998)."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )


MODELS = {"lenet": lenet, "mlp": mlp}


@pytest.fixture(scope="module")
def trained(digits: tuple[Examples, Examples]) -> dict[str, nn.Module]:
    """Return both models after 60 steps: they read most digits, so that the order of the classes means something."""
    images, labels = (torch.as_tensor(np.asarray(part[: 60 * 64])) for part in (digits[0].features, digits[0].labels))
    models = {}
    for name, make in MODELS.items():
        torch.manual_seed(4)
        model = make()
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for step in range(60):
            batch = slice(64 * step, 64 * step + 64)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
        models[name] = model.eval()
    return models


@pytest.mark.parametrize("protocol", sorted(PARTIES))
@pytest.mark.parametrize("name", sorted(MODELS))
def test_digits_are_read_as_in_clear_text(
    digits: tuple[Examples, Examples], trained: dict[str, nn.Module], name: str, protocol: str
) -> None:
    """The same class on at least 99 % of 64 images, and every score within the stated bound and within 0.01."""
    model, others = trained[name], MODELS[name]()
    x = np.asarray(digits[1].features[:IMAGES], dtype=np.float64)
    labels = np.asarray(digits[1].labels[:IMAGES])
    with torch.no_grad():
        wanted = model.double()(torch.from_numpy(x)).numpy()
    model.float()
    assert np.mean(wanted.argmax(axis=1) == labels) > 0.7

    def program(session: mpc.Session) -> np.ndarray:
        own = model if session.party == 1 else others
        network = session.compile(own, torch.zeros(1, 1, 28, 28), owner=1)
        return network(session.input("x", owner=0, shape=x.shape)).reveal()

    found, _ = mpc.run_local(program, inputs=[{"x": x}, {}, {}][: PARTIES[protocol]], protocol=protocol)
    assert np.sum(found.argmax(axis=1) == wanted.argmax(axis=1)) >= 0.99 * IMAGES
    error = np.abs(found - wanted)
    assert (error <= mpc.fixed_point_bound(lowering.lower(model, torch.zeros(1, 1, 28, 28)), x)).all()
    assert error.max() < 0.01
