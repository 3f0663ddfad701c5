"""Secure computation in a run: what one site computes with the others, on shares, and what they open at the end.

Run by: every site, with its own prepared rows, and a channel to the others (and, with additive shares, to the dealer).
Reveals: to all sites how many rows each has, and where they hold columns whether they hold the same people; then the
model and the counts of the test rows, together, at the very end. Until then nothing has been opened, so a computation
that broke off is simply begun again. (If it broke off in that last round, some sites may have the result and others not.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reticent.data import AlignedColumns, Prepared
from reticent.errors import DataError, UsageError
from reticent.messages import decode, encode, record
from reticent.runs.splitting import features_of_site
from reticent.study import ComputationPlan, Plan, Study

if TYPE_CHECKING:
    from reticent.channels import Channel
    from reticent.mpc import Cost, Session, Tensor

__all__ = ["Fit", "Opened", "Shapes", "compute", "load_opened", "participants", "program", "require_linear"]

Array = NDArray[np.float64]
_LIMIT = 1 << 16


@record("runs.shapes", version=1)
@dataclass(frozen=True)
class Shapes:
    """Site to site, before anything is shared: how many rows, and the digest of aligned rows."""

    train: int
    test: int
    order: bytes


@record("runs.opened", version=1)
@dataclass(frozen=True)
class Opened:
    """What every site holds at the end: coefficients, intercept last; confusion counts, or none; and what it cost.

    Attributes:
      coefficients: (features + 1,), in the order of the contract's features.
      confusion: (2, 2), rows are the truth; (0, 0) where no figures are released.
      bytes_sent, rounds: Of this site.
    """

    coefficients: NDArray[np.float64]
    confusion: NDArray[np.float64]
    bytes_sent: int
    rounds: int


def participants(plan: Plan) -> tuple[str, ...]:
    """Return who takes part, in the order of their numbers: the sites, and the dealer where there is one."""
    dealer = _computation(plan).dealer
    return (*(site.name for site in plan.sites), *((dealer,) if dealer else ()))


def compute(plan: Plan, rows: Prepared | AlignedColumns, channel: Channel) -> tuple[Opened, Cost]:
    """Compute the plan's regression with the other sites, as the site that holds `rows`.

    Raises:
      DataError: If the sites do not hold the same people in the same order.
      UsageError: If the model that was opened is so large that numbers may have wrapped around on the way.
      QuorumLost: If a site is lost; the error names it.
    """
    from reticent import mpc

    part = _Part(rows)
    shapes = _exchange(plan, part.shapes, channel)
    computation = _computation(plan)
    found, cost = mpc.run_party(
        lambda session: program(session, Fit.of(plan), shapes),
        part.inputs,
        channel,
        protocol=computation.protocol,
        fraction_bits=computation.fraction_bits,
    )
    coefficients, confusion = found
    _check_range(plan, coefficients)
    total = cost.total()
    return Opened(_in_order(plan, coefficients), confusion, total.bytes_sent, total.rounds), cost


def load_opened(model: Any, opened: Opened) -> Any:
    """Write opened coefficients into a linear torch model, and return it; see `require_linear`."""
    import torch

    weights, intercept = sorted(model.parameters(), key=lambda parameter: -parameter.dim())
    with torch.no_grad():
        weights.copy_(torch.from_numpy(opened.coefficients[:-1]).reshape(weights.shape))
        intercept.copy_(torch.from_numpy(opened.coefficients[-1:]).reshape(intercept.shape))
    return model


def require_linear(model: Any, study: Study) -> None:
    """Refuse a model that opened coefficients cannot be written into, while nothing has been opened.

    A model with another number of parameters is left to the plan, which says what is wrong.

    Raises:
      UsageError: If the model's answer is not weights times features plus intercept.
    """
    import torch

    features, sizes = study.data.n_features, sorted(parameter.numel() for parameter in model.parameters())
    if sum(sizes) != features + 1:
        return
    told = np.linspace(-1.0, 1.0, features + 1) + 0.1
    rows = np.cos(np.arange(3.0 * features)).reshape(3, features)
    if sizes == [1, features]:
        load_opened(model.eval(), Opened(told, np.zeros((0, 0)), 0, 0))
        with torch.no_grad():
            said = model(torch.from_numpy(rows).float().reshape(3, *study.data.input_shape)).numpy().reshape(-1)
        if said.shape == (3,) and np.allclose(said, rows @ told[:-1] + told[-1], atol=1e-4):
            return
    raise UsageError(
        "model-under-sharing",
        f"model.factory = {study.model.factory!r} does not answer with weights times features plus intercept",
        hint='use factory = "reticent.training.models:logistic" with model.outputs = 1',
    )


def _check_range(plan: Plan, coefficients: Array) -> None:
    """Refuse a model at whose size scores or gradients may have left the range in which fixed point is right."""
    limit = 2.0 ** (62 - 2 * _computation(plan).fraction_bits)
    batch, scores = float(plan.training.batch_size or 1), float(np.abs(coefficients).sum())
    # The sum over a batch of answers that are wrong by as much as the scores are large, or by 1.
    if not (max(scores, batch) if plan.contract.classes else batch * scores) < limit:
        raise UsageError(
            "computation-out-of-range",
            f"with learning_rate {plan.training.optimizer.learning_rate:g} and batch_size {batch:g}, scores or gradients "
            f"may have reached {limit:g}, where {_computation(plan).fraction_bits} fraction bits end",
            hint="the opened numbers are no model: lower the learning rate, scale a number to be predicted, or use fewer "
            "secure_computation.fraction_bits",
        )


def _computation(plan: Plan) -> ComputationPlan:
    assert plan.computation is not None  # noqa: S101 - asked for such plans only
    return plan.computation


class _Part:
    """A site's rows as the inputs of the program."""

    def __init__(self, rows: Prepared | AlignedColumns) -> None:
        if isinstance(rows, Prepared):
            train, test = (part.select(part.complete) for part in (rows.train, rows.test))
            features = (train.features, test.features)
            labels: tuple[Any, Any] = (train.labels, test.labels)
            order = b""
        else:
            features, order = (rows.train, rows.test), rows.order
            labels = (rows.train_labels, rows.test_labels)
        self.shapes = Shapes(len(features[0]), len(features[1]), order)
        self.inputs: dict[str, Array] = {}
        for name, values, truth in zip(("train", "test"), features, labels, strict=True):
            self.inputs[f"{name} x"] = values.reshape(len(values), math.prod(values.shape[1:])).astype(np.float64)
            if truth is not None:
                self.inputs[f"{name} y"] = truth.astype(np.float64)


def _exchange(plan: Plan, own: Shapes, channel: Channel) -> tuple[Shapes, ...]:
    """Tell all sites the own shapes and return everybody's, after the same check at every site."""
    sites = range(len(plan.sites))
    for other in sites:
        if other != channel.party:
            channel.send(other, encode(own))
    shapes = tuple(
        own if other == channel.party else decode(bytes(channel.receive(other)), Shapes, limit=_LIMIT)
        for other in sites
    )
    if _computation(plan).holds == "columns":
        differing = [
            site.name for site, shape in zip(plan.sites, shapes, strict=True) if shape.order != shapes[0].order
        ]
        if differing:
            raise DataError(
                "rows-not-aligned",
                f"{', '.join(differing)} and {plan.sites[0].name} do not hold the same people in "
                f"{plan.contract.person!r}",
                hint="agree on one list of people; each site must hold one row for each of them, in any order",
            )
    return shapes


@dataclass(frozen=True)
class Fit:
    """What all sites must compute alike.

    Attributes:
      widths: Features of each site; where sites hold rows, the same at all.
      label: Number of the site with the label, where sites hold columns.
      steps: Gradient steps; None: as many as `rounds` passes over the rows take.
    """

    widths: tuple[int, ...]
    label: int | None
    classes: int
    batch_size: int
    rounds: int
    learning_rate: float
    l2: float
    counts: bool
    steps: int | None = None

    @classmethod
    def of(cls, plan: Plan) -> Fit:
        """Return what the sites of `plan` compute."""
        computation, training, contract = _computation(plan), plan.training, plan.contract
        names = [site.name for site in plan.sites]
        return cls(
            widths=tuple(
                len(features_of_site(contract, plan.columns(name))) if computation.columns else contract.n_features
                for name in names
            ),
            label=None if computation.label_site is None else names.index(computation.label_site),
            classes=len(contract.classes),
            batch_size=training.batch_size or 1,
            rounds=training.rounds,
            learning_rate=training.optimizer.learning_rate,
            l2=training.optimizer.weight_decay,
            counts=bool(plan.metrics.evaluations),
        )


def program(session: Session, fit: Fit, shapes: tuple[Shapes, ...]) -> tuple[Array, Array]:
    """Return the opened coefficients, in the order of the parties, and the counts of the test rows."""
    from reticent import mpc

    by_rows = fit.label is None
    rows = sum(shape.train for shape in shapes) if by_rows else shapes[0].train
    size = min(fit.batch_size, rows)
    regression = mpc.logistic_regression if fit.classes else mpc.linear_regression
    fitted = regression(
        session,
        rows="split" if by_rows else None,
        columns=None if by_rows else "split",
        shapes=[(shape.train, width) for shape, width in zip(shapes, fit.widths, strict=True)],
        labels=fit.label,
        batches=mpc.cyclic_batches(rows, size, fit.steps or fit.rounds * -(-rows // size)),
        learning_rate=fit.learning_rate,
        l2=fit.l2,
        names=("train x", "train y"),
    )
    assert fitted.intercept is not None  # noqa: S101 - asked for above
    opened = [mpc.concat([fitted.weights, fitted.intercept], axis=0)]
    tested = [shape.test for shape in shapes]
    if fit.counts and fit.classes and any(tested):
        opened.append(_counts(session, fitted, tested, fit))
    found = session.reveal_together(*opened)
    coefficients, counts = found[0], found[1] if len(found) > 1 else np.zeros((0, 0))
    assert coefficients is not None and counts is not None  # noqa: S101, PT018 - revealed to all
    return coefficients, np.rint(counts).reshape(counts.shape)


def _counts(session: Session, fitted: Any, tested: list[int], fit: Fit) -> Tensor:
    """Return the shared confusion counts of the test rows, (2, 2): no score and no answer is opened."""
    from reticent import mpc

    label, widths = fit.label, fit.widths
    parties = range(len(tested))
    held = [party for party in parties if tested[party]]
    blocks = [session.input("test x", owner=party, shape=(tested[party], widths[party])) for party in held]
    if label is None:
        truth = mpc.concat([session.input("test y", owner=party, shape=(tested[party],)) for party in held], axis=0)
    else:
        truth = session.input("test y", owner=label, shape=(tested[label],))
    scores = fitted.scores(mpc.concat(blocks, axis=0 if label is None else 1))
    said = scores > 0.0
    both, positives, called = (said * truth).sum(), truth.sum(), said.sum()
    rows = float(truth.shape[0])
    cells = [rows - positives - called + both, called - both, positives - both, both]
    return mpc.stack([cell.reshape(1) for cell in cells], axis=0).reshape(2, 2)


def _in_order(plan: Plan, coefficients: Array) -> Array:
    """Return the coefficients in the order of the contract's features; the intercept stays last."""
    if _computation(plan).holds == "rows":
        return np.asarray(coefficients)
    places = [place for site in plan.sites for place in features_of_site(plan.contract, plan.columns(site.name))]
    ordered = np.empty_like(coefficients)
    ordered[places] = coefficients[:-1]
    ordered[-1] = coefficients[-1]
    return ordered
