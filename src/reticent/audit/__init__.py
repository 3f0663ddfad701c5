"""Attacks that try to break a promise: is the epsilon of a mechanism or a trainer true?

    claim = audit.Claim.of(dpsgd.event, relation="add_or_remove_one", delta=1e-5)
    attack = audit.GradientCanaries(
        train=train, model=make_model, loss=loss, examples=examples, canaries=4000, length=100.0
    )
    print(audit.one_run(attack, canaries=4000, claim=claim, confidence=0.95).sentence())

`one_run` plants many canaries at once and guesses which; `two_world` compares many runs with a canary and without it.
Both take any callable; `GradientCanaries`, `MislabelledCanaries` and `OpposedCanary` make one of a trainer.

GUARANTEE. A true claim is flagged with a probability of at most 1 - confidence, whatever the mechanism is; that is a
theorem (`guessing`, `two_world`) about fair coins from the operating system. A false claim may pass: an audit refutes
and never proves. "Not flagged" says that this attack found nothing.

ADVERSARY. A one-run auditor chooses the canaries and sees what the mechanism releases; a two-world auditor also chooses
all other records. Side channels, timing, and what a mechanism does only where it is not audited are not seen.

COST. One run of the mechanism and at most some seconds of arithmetic, or two times `runs` of it. Planted canaries
spoil a model: audit a training of its own, never one whose model is used. Audits draw noise without a ledger.
"""

from reticent.audit.claims import Claim
from reticent.audit.findings import Finding
from reticent.audit.guessing import Guesses
from reticent.audit.one_run import one_run, planned_guesses
from reticent.audit.trainers import GradientCanaries, MislabelledCanaries, OpposedCanary
from reticent.audit.two_world import Rates, alone, two_world

__all__ = [
    "Claim",
    "Finding",
    "GradientCanaries",
    "Guesses",
    "MislabelledCanaries",
    "OpposedCanary",
    "Rates",
    "alone",
    "one_run",
    "planned_guesses",
    "two_world",
]
