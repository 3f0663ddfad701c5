"""One task at the coordinator, as a generator of steps: site after site, or all sites of a vertical study together."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reticent.errors import DataError, IdentityError, QuorumLost
from reticent.messages import decode, encode
from reticent.split.holding import refuse_batch_of_one
from reticent.split.middle import Middle
from reticent.split.rows import epoch_batches, evaluation_batches
from reticent.split.settings import SplitTraining
from reticent.split.sides import to_array, to_tensor
from reticent.split.wire import (
    TRAIN,
    Activations,
    BatchRequest,
    CloseRequest,
    Counts,
    Handed,
    HeadGradient,
    HeadRequest,
    HeldParts,
    Nothing,
    Open,
    Opened,
)

__all__ = ["Figures", "Pass", "Step", "begin"]

_MESSAGE_LIMIT = 1 << 32
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange of a task: its name and the requests."""

    name: str
    requests: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Figures:
    """What an evaluation found: counts (classes * classes,), and loss and AUC where they are known."""

    confusion: NDArray[np.float64]
    loss: float | None
    auc: float | None


Replies = Mapping[str, bytes]
Pass = Generator[Step, Replies, Figures | None]
_Part = Generator[Step, Replies, _T]
_Group = tuple[str, ...]


def begin(kind: str, epoch: int, middle: Middle, settings: SplitTraining) -> Pass:
    """Return the steps of one task; it ends with the figures of an evaluation, or None."""
    work = _Work(epoch, middle, settings)
    return work.train() if kind == TRAIN else work.evaluate()


class _Work:
    """One task under way."""

    def __init__(self, epoch: int, middle: Middle, settings: SplitTraining) -> None:
        self._epoch = epoch
        self._middle = middle
        self._settings = settings
        self._vertical = settings.shape == "vertical"
        # All sites of a vertical study answer a batch together, others one after the other.
        self._groups: tuple[_Group, ...] = (
            (settings.sites,) if self._vertical else tuple((site,) for site in settings.sites)
        )
        self._opened: Mapping[str, Opened] = {}

    def train(self) -> Pass:
        """Train on every row once, hand the parts on, and let everybody keep a checkpoint."""
        yield from self._open(self._middle.labels)
        held: dict[str, HeldParts] = {}
        for group in self._groups:
            if group[0] in held:
                yield from _ask("take", {group[0]: encode(held.pop(group[0]))}, Nothing)
            gradients = yield from self._learn(group)
            requests = {site: self._closing(site, gradients.get(site)) for site in group}
            handed = yield from _ask("close", requests, Handed)
            for site in group:
                held |= {recipient: HeldParts(site, box) for recipient, box in handed[site].sealed.items()}
        kept = {site: encode(held.get(site, HeldParts("", b""))) for site in self._settings.sites}
        yield from _ask("keep", kept, Nothing)
        return None

    def evaluate(self) -> Pass:
        """Pass every held-out row forward once, and add up the counts."""
        yield from self._open(self._middle.test_labels if self._middle.labels is not None else None)
        if self._middle.top is not None:
            self._middle.top.begin_count()
        found: list[Counts] = []
        for group in self._groups:
            yield from self._pass_forward(group)
            requests = {site: encode(CloseRequest(None, {}, {})) for site in group}
            counts = yield from _ask("close", requests, Counts)
            found += [counts[site] for site in group if site in self._settings.head_sites]
        if self._middle.top is not None:
            counted = self._middle.top.counted
            return Figures(counted.confusion(), counted.loss(), counted.auc() if len(self._groups) == 1 else None)
        return _sum(found, self._settings.classes)

    def _open(self, own_labels: Tensor | None) -> _Part[None]:
        request = encode(Open(self._settings.digest()))
        self._opened = yield from _ask("open", dict.fromkeys(self._settings.sites, request), Opened)
        if self._vertical:
            rows = {site: known.rows for site, known in self._opened.items()}
            order = {site: known.order for site, known in self._opened.items()}
            if own_labels is not None:
                rows["coordinator"], order["coordinator"] = len(own_labels), self._middle.order
            _require_aligned(rows, order)

    def _rows(self, group: _Group) -> int:
        return self._opened[group[0]].rows

    def _closing(self, site: str, gradient: NDArray[Any] | None) -> bytes:
        wanted = self._settings.hands_to(site, self._epoch)
        keys = {name: self._opened[name].key for name in wanted}
        signatures = {name: self._opened[name].signature for name in wanted}
        return encode(CloseRequest(gradient, keys, signatures))

    def _learn(self, group: _Group) -> _Part[dict[str, NDArray[Any]]]:
        """Train on all batches of a group; returns the gradients of the last one, which are still to be sent."""
        rows = self._rows(group)
        refuse_batch_of_one(self._middle.side, rows, self._settings)
        own = self._own_batches(rows)
        gradients: dict[str, NDArray[Any]] = {}
        for number, size in enumerate(self._settings.batch_sizes(rows)):
            requests = {site: encode(BatchRequest(gradients.get(site))) for site in group}
            answers = yield from _ask(f"batch-{number}", requests, Activations)
            joined, widths = self._joined(answers, group, size)
            if self._middle.top is not None:
                below = self._middle.top.learn(joined, self._labels(answers, group, own[number] if own else None, size))
            else:
                below = yield from self._through_head(group, number, joined)
            parts = torch.split(below, widths, dim=1) if len(group) > 1 else (below,)
            gradients = {site: to_array(part) for site, part in zip(group, parts, strict=True)}
        return gradients

    def _own_batches(self, rows: int) -> list[NDArray[np.int64]] | None:
        """Return which rows are in each batch, where the coordinator must know: it has their labels."""
        if self._middle.labels is None:
            return None
        return epoch_batches(rows, self._settings, epoch=self._epoch, site="")

    def _through_head(self, group: _Group, number: int, joined: Tensor) -> _Part[Tensor]:
        """Let the site with the labels take over above the middle, and bring its gradient below."""
        side, site = self._middle.side, self._head_of(group)
        above = side.forward(joined)
        answers = yield from _ask(f"head-{number}", {site: encode(HeadRequest(to_array(above)))}, HeadGradient)
        below = side.backward(to_tensor(answers[site].gradient, side.module))
        assert below is not None  # noqa: S101  (a middle is never a first part)
        return below

    def _head_of(self, group: _Group) -> str:
        return next(site for site in group if site in self._settings.head_sites)

    def _pass_forward(self, group: _Group) -> _Part[None]:
        own = self._middle.test_labels if self._middle.labels is not None else None
        for number, rows in enumerate(evaluation_batches(self._rows(group))):
            requests = dict.fromkeys(group, encode(BatchRequest(None)))
            answers = yield from _ask(f"batch-{number}", requests, Activations)
            joined, _ = self._joined(answers, group, len(rows))
            if self._middle.top is not None:
                labels = self._labels(answers, group, None, len(rows)) if own is None else own[torch.from_numpy(rows)]
                self._middle.top.count(joined, labels)
            else:
                above = encode(HeadRequest(to_array(self._middle.side.infer(joined))))
                yield from _ask(f"head-{number}", {self._head_of(group): above}, Nothing)

    def _joined(self, answers: Mapping[str, Activations], group: _Group, size: int) -> tuple[Tensor, list[int]]:
        """Return the activations of all sites side by side, and how wide each is."""
        values = [to_tensor(answers[site].values, self._middle.side.module) for site in group]
        if any(value.ndim < 2 or len(value) != size for value in values):
            raise _wrong_activations(f"{size} rows were asked for")
        if len(values) == 1:
            return values[0], [values[0].shape[1]]
        if len({(value.dtype, value.ndim, *value.shape[2:]) for value in values}) > 1:
            raise _wrong_activations("they cannot be joined along the second dimension")
        return torch.cat(values, dim=1), [value.shape[1] for value in values]

    def _labels(
        self, answers: Mapping[str, Activations], group: _Group, rows: NDArray[np.int64] | None, size: int
    ) -> Tensor:
        """Return the labels of a batch: the coordinator's own, or those that came with the activations."""
        if self._middle.labels is not None and rows is not None:
            return self._middle.labels[torch.from_numpy(rows)]
        sent = answers[group[0]].labels
        if sent is None or sent.shape != (size,):
            raise _wrong_activations("one label for each row is missing")
        return to_tensor(sent, self._middle.side.module)


def _ask(name: str, requests: Mapping[str, bytes], kind: type[_T]) -> _Part[dict[str, _T]]:
    """Exchange one step; all sites must answer."""
    replies = yield Step(name, requests)
    if missing := sorted(set(requests) - set(replies)):
        raise QuorumLost(
            "split-site-absent",
            f"{', '.join(missing)} did not answer {name}",
            hint="bring the site back and resume: the epoch is repeated from the last checkpoint",
        )
    return {site: decode(replies[site], kind, limit=_MESSAGE_LIMIT) for site in requests}


def _wrong_activations(why: str) -> IdentityError:
    return IdentityError(
        "wrong-activations",
        f"a site sent activations of another shape: {why}",
        hint="run the same version, the same model and the same settings at every party",
    )


def _require_aligned(rows: Mapping[str, int], order: Mapping[str, bytes]) -> None:
    if len(set(rows.values())) > 1:
        raise DataError(
            "split-rows-not-aligned",
            f"the parties hold {', '.join(f'{count} ({site})' for site, count in rows.items())} rows",
            hint="keep the rows that all parties have, and sort them by the common id",
        )
    if len(set(order.values())) > 1:
        raise DataError(
            "split-rows-not-aligned",
            f"{', '.join(order)} hold other ids, or the same in another order",
            hint="keep the rows that all parties have, sort them by the common id, and give every party its ids",
        )


def _sum(found: list[Counts], classes: int) -> Figures:
    total = np.zeros(classes**2)
    for each in found:
        if each.confusion.shape != total.shape:
            raise _wrong_activations(f"counts of {classes} classes were asked for")
        total += each.confusion
    losses, rows = [each.loss_sum for each in found], [each.rows for each in found]
    known = [(loss, count) for loss, count in zip(losses, rows, strict=True) if loss is not None and count]
    loss = sum(loss for loss, _ in known) / sum(count for _, count in known) if known and None not in losses else None
    return Figures(total, loss, found[0].auc if len(found) == 1 else None)
