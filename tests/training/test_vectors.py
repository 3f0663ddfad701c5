"""A model and its flat vector."""

import numpy as np
import pytest
import torch
from torch import nn

from reticent.errors import UsageError
from reticent.training import flatten, load_flat, vector_length


def model():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_parameters_then_floating_buffers():
    made = model()
    made[1].running_mean.fill_(5.0)
    vector = flatten(made)
    assert (vector.dtype, vector.size, vector_length(made)) == (np.float32, 12 + 4 + 4 + 4 + 8 + 2 + 8, 42)
    assert vector[-8:].tolist() == [5.0] * 4 + [1.0] * 4
    assert np.array_equal(vector[:12].reshape(4, 3), made[0].weight.detach().numpy())


def test_there_and_back_for_every_architecture(kit):
    for shape, factory in kit.architectures.values():
        del shape
        first, second = factory(), factory()
        load_flat(second, flatten(first))
        assert np.array_equal(flatten(first), flatten(second))
        for name, value in first.state_dict().items():
            assert torch.equal(value, second.state_dict()[name]), name


def test_tied_weights_travel_once_and_frozen_ones_too(kit):
    assert vector_length(kit.architectures["tied"][1]()) == 36 + 6 + 6 + 21
    assert vector_length(kit.architectures["frozen"][1]()) == 42 + 21


def test_the_vector_is_a_copy_and_keeps_double_precision():
    made = model().double()
    vector = flatten(made)
    assert vector.dtype == np.float64
    vector += 1
    assert not np.array_equal(vector, flatten(made))
    read_only = flatten(made)
    read_only.setflags(write=False)
    load_flat(made, read_only)


def test_load_keeps_the_parameters_that_an_optimizer_holds():
    made = model()
    optimizer = torch.optim.SGD(made.parameters(), lr=1.0)
    load_flat(made, np.zeros(42, dtype=np.float64))
    assert all(
        value is held for value, held in zip(made.parameters(), optimizer.param_groups[0]["params"], strict=True)
    )
    assert not flatten(made).any()


@pytest.mark.parametrize("shape", [(41,), (43,), (42, 1), ()])
def test_wrong_length_changes_nothing(shape):
    made = model()
    before = flatten(made)
    with pytest.raises(UsageError, match="42 values") as caught:
        load_flat(made, np.zeros(shape))
    assert caught.value.code == "vector-length"
    assert np.array_equal(before, flatten(made))
