"""What a model changes in its own forward pass travels with the weights, unclipped and without noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from reticent.data import Examples
from reticent.errors import PolicyRefused
from reticent.training import DPSGD, flatten


class Diagnoses(nn.Module):
    """An embedding of codes; `max_norm` makes torch rescale the rows that are looked up, in place."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = nn.Embedding(50, 4, max_norm=1.0)
        self.last = nn.Linear(4, 2)
        with torch.no_grad():
            self.codes.weight.mul_(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return two outputs for each row."""
        return self.last(self.codes(x[:, 0].long()))


class Remembers(nn.Module):
    """Keeps the largest value seen; made-up examples below 2 never move it."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(1, 2)
        self.register_buffer("largest", torch.full((1,), 2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return two outputs for each row."""
        with torch.no_grad():
            self.largest.copy_(torch.maximum(self.largest, x.amax(0)))
        return self.last(x)


def test_an_embedding_that_rescales_the_rows_it_looks_up_is_refused() -> None:
    """It would write into the weights what was sampled, and mix the examples of a batch."""
    with pytest.raises(PolicyRefused, match=r"codes \(Embedding\)"):
        test_only_noised_gradients_change_what_travels(Diagnoses)


@pytest.mark.parametrize("kind", [Remembers])
def test_only_noised_gradients_change_what_travels(kind: type[nn.Module]) -> None:
    """With a learning rate of zero nothing may change: what does has gone around clipping and noise."""
    model = kind()
    before = flatten(model).copy()
    features = np.linspace(3, 49, 40, dtype=np.float32)[:, None]
    examples = Examples(features, np.arange(40) % 2, np.arange(40))
    dpsgd = DPSGD(
        population=40,
        expected_batch_size=20,
        steps=1,
        max_grad_norm=1.0,
        unit="record",
        relation="add_or_remove_one",
        noise_multiplier=1.0,
    )
    dpsgd.trainer(model, nn.functional.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.0)).fit(examples)
    assert np.array_equal(flatten(model), before)
