"""What a plan must know of a model, and models and losses that cannot be used."""

import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reticent.errors import UsageError
from reticent.training import logistic, loss_by_name, mnist_2nn, optimizer_factory, probe_model

CROSS_ENTROPY = loss_by_name("cross_entropy")


def test_facts_of_a_known_model():
    assert probe_model(mnist_2nn, (1, 28, 28), 10, CROSS_ENTROPY) == {
        "parameters": 199_210,
        "vector_length": 199_210,
        "outputs": 10,
        "mixing_layers": (),
    }


def test_frozen_parameters_travel_but_are_not_counted_and_batch_norm_is_named():
    def factory():
        model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
        model[0].requires_grad_(False)
        return model

    facts = probe_model(factory, (6,), 3, CROSS_ENTROPY)
    assert (facts["parameters"], facts["vector_length"]) == (8 + 15, 28 + 8 + 15 + 8)
    assert facts["mixing_layers"] == ("1 (BatchNorm1d)",)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_every_architecture_can_be_probed(kit):
    for name, (shape, factory) in kit.architectures.items():
        assert probe_model(factory, shape, 3, CROSS_ENTROPY)["mixing_layers"] == (), name


@pytest.mark.parametrize(
    ("outputs", "classes", "loss"),
    [
        (1, 2, "binary_cross_entropy_with_logits"),
        (2, 2, "cross_entropy"),
        (1, 0, "mse_loss"),
        (1, 2, "torch.nn.functional:soft_margin_loss"),
    ],
)
def test_losses_and_outputs_that_fit(outputs, classes, loss):
    def flat():
        return nn.Sequential(logistic(5, outputs), nn.Flatten(0)) if ":" in loss else logistic(5, outputs)

    assert probe_model(flat, (5,), classes, loss_by_name(loss))["outputs"] == outputs


class Tuple(nn.Module):
    def forward(self, x):
        return x, x


class Forgetful(nn.Module):
    def forward(self, x):
        return x.squeeze()[..., :3]


class Undefined(nn.Module):
    def forward(self, x):
        return torch.log(x - 5)


@pytest.mark.parametrize(
    ("factory", "classes", "loss", "code"),
    [
        (lambda: logistic(7, 3), 3, CROSS_ENTROPY, "model-rejects-input"),
        (lambda: "logistic", 3, CROSS_ENTROPY, "not-a-model"),
        (lambda: logistic(6, 3), 4, CROSS_ENTROPY, "model-output-shape"),
        (lambda: logistic(6, 1), 3, CROSS_ENTROPY, "model-output-shape"),
        (Tuple, 3, CROSS_ENTROPY, "model-output-shape"),
        (Forgetful, 3, CROSS_ENTROPY, "model-output-shape"),
        (Undefined, 6, CROSS_ENTROPY, "model-returns-nan"),
        (lambda: logistic(6, 3), 3, nn.CrossEntropyLoss(reduction="none"), "loss-shape"),
        (lambda: logistic(6, 3), 3, nn.MSELoss(), "loss-shape"),
        (lambda: logistic(6, 1), 2, nn.BCEWithLogitsLoss(), "loss-shape"),
        (lambda: logistic(6, 1), 0, F.mse_loss, "loss-shape"),  # (n, 1) against (n,): torch only warns
        (lambda: logistic(6, 3), 3, lambda outputs, labels: 0.5, "loss-shape"),
    ],
)
def test_models_and_losses_that_cannot_be_used(factory, classes, loss, code):
    with pytest.raises(UsageError) as caught:
        probe_model(factory, (6,), classes, loss)
    assert caught.value.code == code


def test_silent_broadcasting_is_refused_also_where_warnings_are_ignored():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(UsageError) as caught:
            probe_model(lambda: logistic(6, 1), (6,), 0, F.mse_loss)
    assert caught.value.code == "loss-shape"


# --- losses and optimisers by name ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["crossentropy", "torch.nn:Nothing", "no_such_module:loss", ":x", "torch:pi", ""])
def test_unknown_losses(name):
    with pytest.raises(UsageError, match="loss is") as caught:
        loss_by_name(name)
    assert caught.value.code == "unknown-loss"


def test_loss_of_a_module_may_be_a_class():
    loss = loss_by_name("torch.nn:HuberLoss")
    assert float(loss(torch.zeros(2), torch.ones(2))) == 0.5


@pytest.mark.parametrize("name", ["sgd", "SGD", "adam", "adamw", "rmsprop", "adagrad"])
def test_optimizers(name):
    model = logistic(2, 2)
    made = optimizer_factory(name, 0.1, weight_decay=0.01)(model.parameters())
    assert made.param_groups[0]["lr"] == 0.1
    assert made.param_groups[0]["weight_decay"] == 0.01


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("lbfgs", 0.1), "unknown-optimizer"),
        (("sgd", 0.0), "invalid-optimizer"),
        (("sgd", math.nan), "invalid-optimizer"),
        (("sgd", 0.1, 1.0), "invalid-optimizer"),
        (("adam", 0.1, 0.9), "invalid-optimizer"),
        (("sgd", 0.1, 0.0, -1.0), "invalid-optimizer"),
    ],
)
def test_wrong_optimizer_settings(arguments, code):
    with pytest.raises(UsageError) as caught:
        optimizer_factory(*arguments)
    assert caught.value.code == code


def test_sgd_takes_momentum():
    made = optimizer_factory("sgd", 0.1, 0.9)(logistic(2, 2).parameters())
    assert made.param_groups[0]["momentum"] == 0.9
