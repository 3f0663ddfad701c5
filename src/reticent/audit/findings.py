"""What an audit found: evidence against a claim, with its error probability, or none."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reticent.audit.claims import Claim

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The verdict on one claim.

    Attributes:
      claim: What was tested.
      confidence: At most 1 - confidence of all audits of true claims flag them.
      p_value: Upper bound on the probability of evidence this strong, if the claim were true.
      epsilon_at_least: With this confidence the mechanism is not (epsilon, delta)-private for any smaller epsilon, at
        the delta of the claim; 0 if nothing was found.
      evidence: What was counted, in words.
    """

    claim: Claim
    confidence: float
    p_value: float
    epsilon_at_least: float
    evidence: str

    @property
    def flagged(self) -> bool:
        """Whether the claim is refuted at this confidence."""
        return self.p_value <= 1 - self.confidence

    def sentence(self) -> str:
        """Return the finding in words. Not flagged does not mean true: another attack may find more."""
        claimed = f"epsilon {math.ceil(self.claim.epsilon * 1000) / 1000:g} at delta {self.claim.delta:g}"
        least = math.floor(self.epsilon_at_least * 1000) / 1000
        if self.flagged:
            return (
                f"The claim ({claimed}) is refuted: {self.evidence}. If it were true, evidence this strong would have a "
                f"probability of at most {self.p_value:.2g}; epsilon is at least {least:g} (confidence "
                f"{self.confidence:g})."
            )
        return (
            f"Nothing was found against the claim ({claimed}): {self.evidence}. This attack shows epsilon to be at least "
            f"{least:g} (confidence {self.confidence:g}), and says nothing of attacks that were not tried."
        )
