"""What split learning is told: the shape, the schedule, and the optimiser of every party. No torch here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from reticent.errors import UsageError

__all__ = ["EVALUATION_ROWS", "Optimizer", "Shape", "SplitTraining"]

Shape = Literal["vanilla", "u-shape", "vertical"]

EVALUATION_ROWS = 256
"""Held-out rows in one exchange of an evaluation."""


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """One party's optimiser, by the names of `reticent.training.optimizer_factory`."""

    name: str = "sgd"
    learning_rate: float = 0.05
    momentum: float = 0.0
    weight_decay: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SplitTraining:
    """Who holds which part, and how they train. All parties run the same settings; a site refuses others.

    Attributes:
      shape: `vanilla`: sites hold bottom, rows and labels, the coordinator the top, and labels travel to it.
        `u-shape`: sites hold bottom and head, the coordinator the middle; labels stay. `vertical`: each site holds
        other columns of the same rows and a bottom of its own.
      sites: In the order in which they train (vanilla, u-shape) or in which their activations are joined (vertical).
      labels: Vertical only: the site that holds labels and head; None if the coordinator holds labels and top.
      start: `given`: the parts start as they are passed. If everybody built them from a public seed, the coordinator
        knows the first bottom, and can invert the first activations with it. `redrawn`: each site draws the first
        weights of its trained parts anew, from entropy of the operating system.
      epochs: Passes over the rows.
      batch_size: Rows in one step.
      last_batch: Whether the smaller batch at the end of an epoch is used (`keep`) or left out (`drop`).
      classes: Number of label classes; 0 for a numeric label.
      loss: Name for `reticent.training.loss_by_name`, or a function of (outputs, labels) that is a *mean* over rows.
      bottom_optimizer, server_optimizer, head_optimizer: Of each part; None freezes the part, in evaluation mode. In
        the shapes without a head, the loss and the top belong to the coordinator.
      order: Who draws the order of the rows: `site` from its own entropy, so that a place in a batch does not tell which
        row it is (activations that resemble each other may); `public`: from `seed`. Vertical is always public: all
        sites must agree. None: the more private one.
      seed: Public seed of the order.
      evaluations: Epochs after which the held-out rows are evaluated.
      deadline: Seconds that a site has for one answer.
    """

    shape: Shape
    sites: tuple[str, ...]
    start: Literal["given", "redrawn"]
    epochs: int
    batch_size: int
    classes: int
    loss: str | Callable[..., Any] = "cross_entropy"
    bottom_optimizer: Optimizer | None = Optimizer()
    server_optimizer: Optimizer | None = Optimizer()
    head_optimizer: Optimizer | None = Optimizer()
    labels: str | None = None
    last_batch: Literal["keep", "drop"] = "keep"
    order: Literal["site", "public"] | None = None
    seed: int = 0
    evaluations: tuple[int, ...] = ()
    deadline: float = 3600.0

    def __post_init__(self) -> None:
        self._require_known("shape", self.shape, get_args(Shape))
        self._require_known("start", self.start, ("given", "redrawn"))
        self._require_known("last_batch", self.last_batch, ("keep", "drop"))
        self._require_known("order", self.order, (None, "site", "public"))
        for name, least in (("epochs", 1), ("batch_size", 1), ("classes", 0), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise _invalid(name, value, f"give a whole number, {least} or larger")
        if not self.sites or len(set(self.sites)) < len(self.sites):
            raise _invalid("sites", self.sites, "name each site once, at least one")
        if wrong := [epoch for epoch in self.evaluations if not 1 <= epoch <= self.epochs]:
            raise _invalid("evaluations", wrong[0], f"name epochs from 1 to {self.epochs}")
        if self.labels is not None and (self.shape != "vertical" or self.labels not in self.sites):
            raise _invalid("labels", self.labels, "only in the shape vertical, and one of the sites")
        if self.shape == "vertical" and self.order == "site":
            raise _invalid("order", self.order, "all sites of a vertical study must take the rows in one public order")

    @staticmethod
    def _require_known(name: str, value: object, allowed: tuple[object, ...]) -> None:
        if value not in allowed:
            raise _invalid(name, value, f"use one of {', '.join(map(str, allowed))}")

    @property
    def public_order(self) -> bool:
        """Whether everybody knows which rows are in which batch."""
        return self.shape == "vertical" or self.order == "public"

    @property
    def head_sites(self) -> tuple[str, ...]:
        """The sites that hold labels and a head, so that no label leaves them."""
        if self.shape == "u-shape":
            return self.sites
        return (self.labels,) if self.labels is not None else ()

    def hands_to(self, site: str, epoch: int) -> tuple[str, ...]:
        """Return to whom `site` hands its parts when it has finished its rows of `epoch`; nobody in vertical.

        A site hands on to the next; the last one to the first, and to all where the epoch is evaluated or the last.
        """
        if self.shape == "vertical" or len(self.sites) == 1:
            return ()
        place = self.sites.index(site)
        if place + 1 < len(self.sites):
            return (self.sites[place + 1],)
        everybody = epoch in self.evaluations or epoch == self.epochs
        return self.sites[:-1] if everybody else self.sites[:1]

    def tasks(self) -> tuple[tuple[str, int], ...]:
        """Return the tasks in order, as (task, epoch)."""
        work: list[tuple[str, int]] = []
        for epoch in range(1, self.epochs + 1):
            work.append(("train", epoch))
            if epoch in self.evaluations:
                work.append(("evaluate", epoch))
        return tuple(work)

    def batch_sizes(self, rows: int) -> tuple[int, ...]:
        """Return how many rows each batch of an epoch over `rows` rows holds."""
        whole, rest = divmod(rows, self.batch_size)
        return (self.batch_size,) * whole + ((rest,) if rest and self.last_batch == "keep" else ())

    def digest(self) -> bytes:
        """Return the hash of all settings, 32 bytes: parties with different ones must not train together."""
        plain = asdict(self)
        if not isinstance(self.loss, str):
            plain["loss"] = getattr(self.loss, "__qualname__", type(self.loss).__qualname__)
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).digest()


def _invalid(name: str, value: object, hint: str) -> UsageError:
    return UsageError("invalid-split-setting", f"{name} of a split training is {value!r}", hint=hint)
