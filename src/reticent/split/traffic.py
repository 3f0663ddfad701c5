"""How many bytes split learning moves: a formula, exact for the bodies of the messages, and torch-free.

In one epoch every row's activations go up and its gradient comes down, once at each cut that the row passes:
2 * (cut width) * (rows) * (bytes of a number), to which labels (vanilla), hand-overs and framing are added
(Gupta and Raskar 2018, section 3; compare 2 * (sites) * (parameters) for a round of federated averaging).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from reticent.messages import encode
from reticent.split.hand_over import box_overhead
from reticent.split.settings import EVALUATION_ROWS, SplitTraining
from reticent.split.wire import (
    EVALUATE,
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

__all__ = ["Traffic", "traffic"]

_KEY, _SIGNATURE, _DIGEST, _LABEL = 32, 64, 32, 8


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of one task, over all sites.

    Attributes:
      activations: Up: what bottoms send; down and up also what passes the upper cut towards the labels.
      gradients: What comes back, at both cuts.
      labels: Up, in vanilla only.
      handed: The sealed parts, each counted up and down.
      framing: Names, lengths, keys and digests.
      messages: Requests and replies together; envelopes add a constant to each.
    """

    activations: int = 0
    gradients: int = 0
    labels: int = 0
    handed: int = 0
    framing: int = 0
    messages: int = 0

    @property
    def total(self) -> int:
        """All bytes of message bodies."""
        return self.activations + self.gradients + self.labels + self.handed + self.framing

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


def traffic(
    settings: SplitTraining,
    *,
    task: str = TRAIN,
    epoch: int = 1,
    rows: Mapping[str, int],
    widths: Mapping[str, Sequence[int]],
    head_width: Sequence[int] = (),
    itemsize: int = 4,
    parts_bytes: int = 0,
    ids: bool = True,
) -> Traffic:
    """Return what one task moves.

    Args:
      settings: Shape, sites, batches.
      task: "train", or "evaluate" for a pass over held-out rows.
      epoch: Which: parts are handed to everybody after the last epoch, and where an evaluation follows.
      rows: Complete rows of each site (training or held-out); in vertical the same number at all.
      widths: Shape of one row's activations at each site's cut.
      head_width: Shape of one row at the upper cut, where sites hold heads.
      itemsize: Bytes of a number: 4 for float32.
      parts_bytes: Size of what is handed on (`split.parts_bytes`); 0 for one site or vertical.
      ids: Vertical: whether the sites compare the digests of their ids.
    """
    total = Traffic()
    vertical = settings.shape == "vertical"
    for site in settings.sites:
        total += _opening(settings, task, vertical=vertical, ids=ids)
        total += _batches(settings, task, site, rows[site], tuple(widths[site]), tuple(head_width), itemsize)
        total += _closing(settings, task, site, epoch, len(tuple(widths[site])), parts_bytes)
    return total


def _opening(settings: SplitTraining, task: str, *, vertical: bool, ids: bool) -> Traffic:
    hands = task == TRAIN and not vertical and len(settings.sites) > 1
    order = bytes(2 * _DIGEST) if vertical and ids else b""
    opened = Opened(0, order, bytes(_KEY) if hands else b"", bytes(_SIGNATURE) if hands else b"")
    return Traffic(framing=len(encode(Open(bytes(_DIGEST)))) + len(encode(opened)), messages=2)


def _batches(  # noqa: PLR0917  (all of them numbers of one formula)
    settings: SplitTraining,
    task: str,
    site: str,
    rows: int,
    width: tuple[int, ...],
    head_width: tuple[int, ...],
    itemsize: int,
) -> Traffic:
    training = task == TRAIN
    sizes = settings.batch_sizes(rows) if training else _evaluation_sizes(rows)
    used, count, sends_labels = sum(sizes), len(sizes), settings.shape == "vanilla"
    crossing = used * math.prod(width) * itemsize
    labels = np.zeros(0, dtype=np.int64) if sends_labels else None
    framing = count * len(encode(Activations(_empty(width), labels)))
    # The first request of a pass carries no gradient; the last gradient comes with the close.
    framing += len(encode(BatchRequest(None))) * (1 if training and count else count)
    framing += max(count - 1, 0) * len(encode(BatchRequest(_empty(width)))) if training else 0
    found = Traffic(
        activations=crossing,
        gradients=crossing if training else 0,
        labels=used * _LABEL if sends_labels else 0,
        framing=framing,
        messages=2 * count,
    )
    if site not in settings.head_sites:
        return found
    above = used * math.prod(head_width) * itemsize
    answer = encode(HeadGradient(_empty(head_width))) if training else encode(Nothing())
    return found + Traffic(
        activations=above,
        gradients=above if training else 0,
        framing=count * (len(encode(HeadRequest(_empty(head_width)))) + len(answer)),
        messages=2 * count,
    )


def _closing(  # noqa: PLR0917
    settings: SplitTraining, task: str, site: str, epoch: int, dimensions: int, parts_bytes: int
) -> Traffic:
    if task == EVALUATE:
        counted = site in settings.head_sites
        confusion = np.zeros(settings.classes**2 if counted else 0)
        auc = 0.0 if settings.classes == 2 else None
        counts = Counts(confusion, 0.0, 0, auc) if counted else Counts(confusion, None, None, None)
        return Traffic(framing=len(encode(CloseRequest(None, {}, {}))) + len(encode(counts)), messages=2)
    to = settings.hands_to(site, epoch)
    gradient = np.zeros((0,) * (dimensions + 1), dtype=np.float32)
    close = CloseRequest(gradient, dict.fromkeys(to, bytes(_KEY)), dict.fromkeys(to, bytes(_SIGNATURE)))
    framing = len(encode(close)) + len(encode(Handed(dict.fromkeys(to, b""))))
    # Every site gets one request at the end, with parts or without; some get parts before their own rows.
    framing += len(encode(HeldParts("", b""))) + len(encode(Nothing()))
    passes_on = bool(to) and site != settings.sites[-1]
    framing += (len(encode(HeldParts(site, b""))) + len(encode(Nothing()))) if passes_on else 0
    framing += len(to) * len(site.encode()) if to and not passes_on else 0
    box = parts_bytes + box_overhead()
    return Traffic(handed=2 * len(to) * box, framing=framing, messages=4 + 2 * passes_on)


def _evaluation_sizes(rows: int) -> tuple[int, ...]:
    whole, rest = divmod(rows, EVALUATION_ROWS)
    return (EVALUATION_ROWS,) * whole + ((rest,) if rest else ())


def _empty(width: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.zeros((0, *(0 for _ in width)), dtype=np.float32)
