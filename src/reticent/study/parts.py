"""Parts of a plan that belong to one technique: split learning, and computation on shares. Values only."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from reticent.dp import Composed, Event, Gaussian

__all__ = [
    "BoundaryPlan",
    "ComputationFacts",
    "ComputationPlan",
    "OptimizerPlan",
    "SplitFacts",
    "SplitPlan",
    "StatisticsPlan",
    "Value",
]


class Value(BaseModel):
    """A frozen value without unknown fields: what plans are made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OptimizerPlan(Value):
    """The local optimiser, started anew in every round."""

    name: str
    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0


class SplitFacts(Value):
    """What the probe of a cut model found.

    Attributes:
      cut_width: Values that one row becomes where the sites' part ends.
      head_width: The same where the coordinator's part ends; 0 where labels go to the coordinator.
      parts_bytes: Size of what one site hands over to the next; 0 where nothing is handed over.
      code_hash: SHA-256 of the source of the part that is not the sites', where it is named by itself.
    """

    cut_width: int
    head_width: int
    parts_bytes: int
    code_hash: str = ""


class ComputationFacts(Value):
    """What a rehearsal of a secure computation found: what parties send depends on shapes alone.

    Attributes:
      steps: Gradient steps of the whole computation, with rows as declared.
      bytes_once, bytes_per_step: Of all parties, any dealer included.
      rounds_per_step: Messages that must wait for each other.
    """

    steps: int
    bytes_once: int
    bytes_per_step: int
    rounds_per_step: int


class ComputationPlan(Value):
    """Secure computation: who computes, on what, and how wide the numbers are.

    Attributes:
      protocol: `replicated` (three parties, Araki et al. 2016) or `additive` (two or more, and a dealer).
      holds: What each site holds: `rows` of the same columns, or `columns` of the same rows.
      columns: By site, where sites hold columns, in the order of the contract.
      label_site: Who holds the label, where sites hold columns.
      dealer: Who deals triples; never a computing party. None where nobody does.
    """

    protocol: Literal["replicated", "additive"]
    holds: Literal["rows", "columns"]
    columns: dict[str, tuple[str, ...]]
    label_site: str | None
    fraction_bits: int
    dealer: str | None


class BoundaryPlan(Value):
    """Noise where a site's part of the model ends: everything that one row moves is clipped and noised.

    Attributes:
      activation_norm: Largest L2 norm of what the site sends for one row; 0, as is the noise, if only labels are protected.
      activation_noise: Noise multiplier of it: standard deviation over the norm.
      update_norm: Largest L2 norm of one row's gradient of the site's part.
      update_noise: Noise multiplier of the sum by which that part learns.
      output_norm: Where the labels are: largest L2 norm of one row's gradient at the model's outputs; 0 elsewhere.
      output_noise: Noise multiplier of it; 0 elsewhere.
    """

    activation_norm: float = 0.0
    activation_noise: float = 0.0
    update_norm: float = 0.0
    update_noise: float = 0.0
    output_norm: float = 0.0
    output_noise: float = 0.0

    def one_pass(self) -> Event:
        """Return what one pass over the site's rows releases about one row, under relation `replace_one`."""
        noise = (self.activation_noise, self.update_noise, self.output_noise)
        return Composed(tuple(Gaussian(multiplier) for multiplier in noise if multiplier))


class SplitPlan(Value):
    """Split learning: where the model is cut, and who holds which part.

    Attributes:
      shape: `vanilla`: labels go to the coordinator; `u-shape`: they stay; `vertical`: sites hold columns.
      cut, head: Names of the modules after which the model changes hands.
      width: Vertical: values that each site's part gives for one row.
      top: Vertical: `module:function` of the part after the sites' parts.
      columns, label_site: As in `ComputationPlan`; empty where sites hold rows.
      boundary: The noise of each site; empty where no epsilon is claimed.
    """

    shape: Literal["vanilla", "u-shape", "vertical"]
    cut: str
    head: str
    width: int
    top: str
    top_optimizer: OptimizerPlan
    columns: dict[str, tuple[str, ...]]
    label_site: str | None
    boundary: dict[str, BoundaryPlan]


class StatisticsPlan(Value):
    """Private statistics, released once before the first round.

    Attributes:
      ask: The questions, as the study writes them; bounds and categories are those of the contract.
      rows_per_person: Under unit person: how many rows of one person count.
      confidence: Of every interval.
      noise_multiplier: Standard deviation of the noise over one unit's joint contribution; None without an epsilon.
      length, bound, grid: Of the vector that is summed.
      layout_hash: Names how the questions became a vector: a version that does it otherwise is refused.
    """

    ask: tuple[dict[str, Any], ...]
    rows_per_person: int | None
    confidence: float
    noise_multiplier: float | None
    length: int
    bound: float
    grid: float
    layout_hash: str
