"""reticent: organisations that may not show each other their data learn from it together, under one stated guarantee.

    import reticent
    plan = reticent.plan("study.toml")
    print(plan.guarantee.sentence(), plan.who_sees_what())
    result = reticent.run(plan)

The techniques are packages of their own, usable alone: `reticent.dp`, `reticent.training`, `reticent.federated`,
`reticent.secagg`, `reticent.mpc`, `reticent.he`, `reticent.split`, `reticent.ledger`; `reticent.advise` helps to choose.
Names here are imported when they are first used; importing `reticent` loads
neither torch nor pandas.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = [
    "BoundPlan",
    "Plan",
    "Result",
    "ReticentError",
    "advise",
    "data",
    "dp",
    "federated",
    "he",
    "ledger",
    "mpc",
    "plan",
    "resume",
    "run",
    "secagg",
    "split",
    "training",
]

_WHERE = {
    "BoundPlan": "reticent.api",
    "Plan": "reticent.study",
    "Result": "reticent.api",
    "ReticentError": "reticent.errors",
    "plan": "reticent.api",
    "resume": "reticent.api",
    "run": "reticent.api",
}
_PACKAGES = ("advise", "data", "dp", "federated", "he", "ledger", "mpc", "secagg", "split", "training")


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    if name in _PACKAGES:
        return importlib.import_module(f"reticent.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("reticent")
    raise AttributeError(f"module 'reticent' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
