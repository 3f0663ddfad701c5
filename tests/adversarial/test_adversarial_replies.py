"""A reply counts for the request that it answers and for no other: a relay that serves old ones makes a site absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import reticent.api
from reticent.engines import InProcess, laptop
from reticent.runs import Event


class Replays(InProcess):
    """Gives the first update of `south` again in every later round; its signature is as good as ever."""

    first: bytes | None = None
    exchanges = 0

    def exchange(self, requests: Mapping[str, bytes], *, deadline: float) -> Mapping[str, bytes]:
        replies = dict(super().exchange(requests, deadline=deadline))
        type(self).exchanges += 1
        if self.exchanges == 2:  # the first is the question whether all are ready
            type(self).first = replies["south"]
        elif self.first is not None:
            replies["south"] = self.first
        return replies


@pytest.mark.filterwarnings("default")
def test_an_old_reply_makes_a_site_absent(small_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study({'protocol = "secagg"': 'protocol = "plain"'})
    monkeypatch.setattr(laptop, "InProcess", Replays)
    monkeypatch.setattr(Replays, "first", None)
    monkeypatch.setattr(Replays, "exchanges", 0)
    events: list[Event] = []
    reticent.api.run(reticent.api.plan(study), observer=events.append)
    absent = [dict(event.detail["absent"]) for event in events if event.name == "round"]
    assert absent[0] == {}
    for later in absent[1:]:
        assert list(later) == ["south"]
        assert "to another request" in later["south"]
