"""What a run tells those who watch: progress bars, the log, and the tests that kill it at named points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["MILESTONES", "Event", "Observer"]

MILESTONES = ("reserve", "commit", "train", "journal", "send", "sum", "checkpoint")
"""The acts whose order makes a crash harmless; each is announced before and after it happens."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `detail` holds nothing that the plan does not release."""

    name: str
    when: Literal["before", "after", ""] = ""
    site: str = ""
    round: int = 0
    attempt: int = 0
    phase: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


Observer = Callable[[Event], None]
