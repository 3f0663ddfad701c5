"""What a secure computation will send, found by two short rehearsals on made-up rows of the declared shapes."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
from numpy.typing import NDArray

from reticent.runs.computing import Fit, Shapes, program
from reticent.runs.splitting import features_of_site
from reticent.study import ComputationFacts, Study, columns_of

__all__ = ["rehearse"]

Array = NDArray[np.float64]


def rehearse(study: Study) -> ComputationFacts:
    """Return what the study's computation sends, from one step and two on made-up rows of the declared shapes.

    What parties send depends on shapes alone, so a rehearsal knows it exactly; test rows are taken to be as many as the
    contract's fraction says.
    """
    from reticent import mpc

    section, names, contract = study.secure_computation, sorted(study.sites), study.data
    assert section is not None  # noqa: S101 - asked for such studies only
    held = columns_of(study)
    fraction = contract.test_fraction / (1 - contract.test_fraction)
    shapes = tuple(Shapes(study.sites[name].rows, round(fraction * study.sites[name].rows), b"") for name in names)
    if held:  # the same rows everywhere
        shapes = (shapes[0],) * len(names)
    fit = Fit(
        widths=tuple(len(features_of_site(contract, held[name])) if held else contract.n_features for name in names),
        label=names.index(study.label_site or "") if held else None,
        classes=len(contract.classes),
        batch_size=study.learning.batch_size or 1,
        rounds=study.learning.rounds,
        learning_rate=study.learning.learning_rate,
        l2=study.learning.weight_decay,
        counts=study.release.metrics is not None,
    )
    inputs: list[dict[str, Array]] = []
    for number, shape in enumerate(shapes):
        own: dict[str, Array] = {}
        for task, rows in (("train", shape.train), ("test", shape.test)):
            own[f"{task} x"] = np.zeros((rows, fit.widths[number]))
            if fit.label in (None, number):
                own[f"{task} y"] = np.zeros(rows)
        inputs.append(own)
    totals = []
    for steps in (2, 3):  # the first step multiplies zeros that everybody knows
        _, cost = mpc.run_local(
            partial(program, fit=dataclasses.replace(fit, steps=steps), shapes=shapes),
            inputs=inputs,
            protocol=section.protocol,
            fraction_bits=section.fraction_bits,
        )
        totals.append(cost.total())
    rows = sum(shape.train for shape in shapes) if fit.label is None else shapes[0].train
    size = min(fit.batch_size, rows)
    batches = -(-rows // size)
    # Batches of a pass differ by one row; the rehearsed step is brought to their mean.
    mean = rows / batches / len(mpc.cyclic_batches(rows, size, 3)[2])
    return ComputationFacts(
        steps=fit.rounds * batches,
        bytes_once=3 * totals[0].bytes_sent - 2 * totals[1].bytes_sent,
        bytes_per_step=round(mean * (totals[1].bytes_sent - totals[0].bytes_sent)),
        rounds_per_step=totals[1].rounds - totals[0].rounds,
    )
