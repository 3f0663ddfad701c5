"""One refusal for each code of trade-off curves and audits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reticent import audit
from reticent.dp import TradeOff

__all__ = ["CASES"]

CASES: dict[str, Callable[[Path], object]] = {
    "invalid-audit": lambda _: audit.two_world(
        lambda *, present: float(present), runs=1, claim=audit.Claim(1.0, 1e-5), confidence=0.95
    ),
    "invalid-mu": lambda _: TradeOff.gaussian(-1.0),
    "invalid-profile": lambda _: TradeOff([1.0], [1.5]),
    "invalid-share": lambda _: TradeOff.gaussian(1.0).success(prior=1.0),
    "invalid-slack": lambda _: TradeOff.gaussian(1.0).gaussian_mu(slack=-1e-5),
}
