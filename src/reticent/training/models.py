"""Small models to begin with; a study may name any other, `module:factory`, from an installed package."""

from __future__ import annotations

from torch import nn

__all__ = ["logistic", "mcmahan_cnn", "mnist_2nn", "two_layer"]


def logistic(inputs: int, outputs: int) -> nn.Module:
    """Return a linear model: logistic regression under cross entropy, linear regression under mean squared error."""
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs))


def two_layer(inputs: int, outputs: int, hidden: int = 32) -> nn.Module:
    """Return one hidden layer with tanh, whose bounded activations suit clipping (Papernot et al., AAAI 2021)."""
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), nn.Tanh(), nn.Linear(hidden, outputs))


def mnist_2nn() -> nn.Module:
    """Return the 2NN of McMahan et al. (AISTATS 2017, section 3): 784-200-200-10, ReLU, 199,210 parameters."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10)
    )


def mcmahan_cnn() -> nn.Module:
    """Return the CNN of McMahan et al. (AISTATS 2017, section 3): 1,663,370 parameters, for `(1, 28, 28)`."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(3136, 512),
        nn.ReLU(),
        nn.Linear(512, 10),
    )
