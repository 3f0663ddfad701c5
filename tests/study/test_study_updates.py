"""`privacy.clipping_norm`: each sampled person trains alone, and gives one clipped update in a round (DP-FedAvg)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reticent import dp
from reticent.errors import ReticentError
from reticent.study import Plan, Study, in_words

UPDATES = {
    "privacy__clipping_norm": 0.5,
    "privacy__max_grad_norm": None,
    "privacy__sampling_probability": 0.25,
    "learning__local_steps": None,
    "learning__local_epochs": 3.0,
    "learning__batch_size": 4,
}


def test_a_round_is_one_sample_however_long_persons_train(plan: Callable[..., Plan]) -> None:
    found, longer = plan(**UPDATES), plan(**{**UPDATES, "learning__local_epochs": 30.0})
    site = found.sites[0]
    assert (site.local_steps, site.local_epochs, found.training.batch_size) == (1, 3.0, 4)
    assert found.privacy is not None
    assert (found.privacy.contribution, found.privacy.max_grad_norm) == ("update", 0.5)
    assert site.noise_multiplier == longer.sites[0].noise_multiplier
    release = found.release(site.name)
    assert release is not None
    assert release.counts()[dp.PoissonSampled(0.25, dp.Gaussian(site.noise_multiplier or 0.0))] == 4 + 1
    assert "trains alone" in " ".join(in_words(found).split())


def test_gradients_leave_the_plan_as_it_was(plan: Callable[..., Plan]) -> None:
    assert '"contribution":' not in plan().canonical()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"privacy__max_grad_norm": 1.0}, "choose-one-key"),
        ({"privacy__unit": "record"}, "updates-of-persons"),
        ({"learning__local_steps": 4, "learning__local_epochs": None}, "not-for-this-method"),
        ({"learning__local_epochs": None}, "choose-one-key"),
    ],
)
def test_what_is_refused(study: Callable[..., Study], changes: dict[str, Any], code: str) -> None:
    with pytest.raises(ReticentError) as caught:
        study(**{**UPDATES, **changes})
    assert caught.value.code == code
