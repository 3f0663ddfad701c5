"""Each technique says in one place what it guarantees, against whom, and what it costs."""

from __future__ import annotations

import importlib
import re

import pytest

TECHNIQUES = ("dp", "federated", "he", "mpc", "secagg", "split")
PARTS = ("GUARANTEE", "ADVERSARY", "COST")


def missing(text: str) -> list[str]:
    """Return which of the three paragraphs are not there, or say next to nothing."""
    found = {
        match[1]: match[2] for match in re.finditer(r"^([A-Z]+)\. (.+?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    }
    return [part for part in PARTS if len(found.get(part, "").split()) < 25]


@pytest.mark.parametrize("name", TECHNIQUES)
def test_guarantee_adversary_and_cost_stand_in_the_first_docstring(name: str) -> None:
    assert missing(importlib.import_module(f"reticent.{name}").__doc__ or "") == []


def test_an_empty_paragraph_is_seen() -> None:
    text = importlib.import_module("reticent.mpc").__doc__ or ""
    assert missing(text.replace("ADVERSARY.", "Adversaries:")) == ["ADVERSARY"]
    assert missing("COST. Little.\n\n") == list(PARTS)
