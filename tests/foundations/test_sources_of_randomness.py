"""No seedable generator in the rooms that make keys, masks, shares and noise: a scan of their syntax."""

from __future__ import annotations

import ast
import pathlib

import pytest

import reticent.randomness

SOURCE = pathlib.Path(reticent.randomness.__file__).parent
ROOMS = [
    SOURCE / "randomness.py",
    SOURCE / "identity.py",
    SOURCE / "messages.py",
    *sorted((SOURCE / "rings").glob("*.py")),
    *sorted((SOURCE / "secagg").glob("*.py")),
    *sorted((SOURCE / "dp").rglob("*.py")),
    *sorted((SOURCE / "kernels").rglob("*.py")),
    *sorted((SOURCE / "analytics").rglob("*.py")),
]


def seedable(source: str) -> list[str]:
    """The names of seedable generators that a module imports or reaches."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.split(".")[0] in ("random", "torch")]
            found += [name.name for name in node.names if name.name.startswith("numpy.random")]
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in ("random", "torch") or node.module.startswith("numpy.random"):
                found.append(node.module)
            found += [f"{node.module}.random" for name in node.names if (node.module, name.name) == ("numpy", "random")]
        elif isinstance(node, ast.Attribute) and node.attr in ("random", "rvs", "default_rng", "RandomState"):
            found.append(node.attr)
    return found


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_operating_system_entropy(path: pathlib.Path) -> None:
    assert seedable(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import random",
        "from random import randbytes",
        "np.random.rand()",
        "from numpy import random",
        "import torch",
        "norm.rvs(3)",
    ],
)
def test_broken_copies_are_caught(source: str) -> None:
    assert seedable(source)
