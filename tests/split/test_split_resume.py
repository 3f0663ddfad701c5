"""Checkpoints on both sides: a run that was broken off and resumed ends in the same numbers as one that was not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from reticent import split
from reticent.errors import IdentityError, InternalError, PolicyRefused, QuorumLost
from reticent.messages import decode, encode
from reticent.roles import Request
from reticent.split.state import Checkpoint
from reticent.split.wire import BatchRequest, HeadRequest, Open

SITES = ("north", "south")
ADAM = split.Optimizer(name="adam", learning_rate=0.01)


class Parties:
    """Two sites and a coordinator, whose processes can be ended and begun again; what is durable stays."""

    def __init__(self, world: Any, shape: str, **changes: Any) -> None:
        self._world = world
        self.at = "drop" if shape == "vanilla" else ("first", "second")
        self.settings = world.settings(
            shape=shape, sites=SITES, epochs=4, evaluations=(2, 4), optimizer=ADAM, **changes
        )
        self.data = {site: world.rows((6,), 45, seed=index) for index, site in enumerate(SITES)}
        self.kept: dict[str, dict[int, bytes]] = {}
        self.begin()

    def begin(self, *, seed: int = 1) -> None:
        """Begin all processes, with other numbers in their models where nothing was loaded."""
        model = self._world.model("dropout", seed=seed)
        self.clients, self.server = self._world.parties(
            model, self.at, self.data, self.settings, test=self.data, copies=True, checkpoints=self.kept
        )
        self.state = self.server.dump()

    def run(self, *, exchanges: int | None = None) -> None:
        """Go on to the end, or for some exchanges; the coordinator writes its state after each task."""
        left = exchanges
        while (exchange := self.server.step()) is not None and left != 0:
            replies = {}
            for site, body in exchange.requests.items():
                request = Request("run", exchange.round, exchange.attempt, exchange.phase, body)
                replies[site] = self.clients[site].handle(request, None).message
            if self.server.feed(replies, frozenset()):
                self.state = self.server.dump()
            left = None if left is None else left - 1

    def weights(self) -> dict[str, torch.Tensor]:
        """All numbers that training made, wherever they are."""
        found = dict(self.server.part.state_dict())
        for site in SITES:
            found |= {f"{site}/{name}": value for name, value in split.state_dicts(self.kept[site][4]).items()}
        return {name: value.clone() for name, value in found.items()}


def unbroken(world: Any, shape: str) -> tuple[dict[str, torch.Tensor], Any]:
    with torch.random.fork_rng():
        torch.manual_seed(11)
        parties = Parties(world, shape)
        parties.run()
    return parties.weights(), parties.server.finished


# An epoch has 11 or 17 exchanges (vanilla, U-shape), an evaluation 5 or 7.
@pytest.mark.parametrize("exchanges", [1, 6, 12, 24, 30, 41])
@pytest.mark.parametrize("shape", ["vanilla", "u-shape"])
def test_a_resumed_run_equals_an_unbroken_one(world: Any, shape: str, exchanges: int) -> None:
    """All processes end after some exchange and begin again from disk: difference 0, dropout and Adam included."""
    expected, finished = unbroken(world, shape)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        parties = Parties(world, shape)
        parties.run(exchanges=exchanges)
        state = parties.state
        parties.begin(seed=1 if not any(parties.kept.values()) or exchanges < 6 else 99)
        torch.manual_seed(11 if exchanges < 6 else 12)
        parties.server.load(state, attempt=2)
        parties.run()
    found = parties.weights()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert parties.server.finished.metrics.confusion.tolist() == finished.metrics.confusion.tolist()
    assert parties.server.finished.metrics.loss == finished.metrics.loss


def test_an_epoch_is_repeated_by_sites_that_lived_on(world: Any) -> None:
    """The coordinator alone was lost: sites that are in the middle of an epoch go back to their own checkpoint."""
    expected, _ = unbroken(world, "vanilla")
    with torch.random.fork_rng():
        torch.manual_seed(11)
        parties = Parties(world, "vanilla")
        parties.run(exchanges=15)
        parties.server.load(parties.state, attempt=2)
        parties.run()
    assert all(torch.equal(parties.weights()[name], value) for name, value in expected.items())


def test_an_optimizer_that_is_not_kept_is_caught(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken copy: checkpoints of weights alone."""
    monkeypatch.setattr("reticent.split.state._load_optimizer", lambda *_: None)
    with pytest.raises(AssertionError):
        test_a_resumed_run_equals_an_unbroken_one(world, "vanilla", 24)


def test_a_site_without_its_checkpoint_refuses(world: Any) -> None:
    parties = Parties(world, "vanilla")
    parties.run(exchanges=20)
    parties.kept.clear()
    state = parties.state
    parties.begin()
    parties.server.load(state, attempt=2)
    with pytest.raises(PolicyRefused) as caught:
        parties.run()
    assert caught.value.code == "no-checkpoint"


def test_an_absent_site_ends_the_attempt(world: Any) -> None:
    parties = Parties(world, "vanilla")
    parties.run(exchanges=3)
    exchange = parties.server.step()
    assert exchange is not None
    with pytest.raises(QuorumLost, match="did not answer batch-2") as caught:
        parties.server.feed({}, frozenset(exchange.requests))
    assert caught.value.code == "split-site-absent"
    parties.server.load(parties.state, attempt=2)
    parties.run()
    assert parties.server.remaining == ()


def test_two_checkpoints_are_kept(world: Any) -> None:
    parties = Parties(world, "u-shape")
    parties.run()
    assert {site: sorted(kept) for site, kept in parties.kept.items()} == {site: [3, 4] for site in SITES}


def test_redrawn_weights_are_nobodys_guess_and_survive_a_restart(world: Any) -> None:
    """With start = redrawn, two runs of one seed begin differently; a restart goes on with what was drawn."""
    first = []
    for _ in range(2):
        parties = Parties(world, "u-shape", start="redrawn")
        given = parties._world.model("dropout").state_dict()["first.weight"]
        parties.run(exchanges=1)
        drawn = split.state_dicts(parties.kept["north"][0])
        first.append(drawn["first.weight"])
        assert not torch.equal(first[-1], given)
        parties.begin(seed=5)
        parties.run(exchanges=1)
        assert torch.equal(split.state_dicts(parties.kept["north"][0])["first.weight"], first[-1])
    assert not torch.equal(*first)


def test_a_secret_order_survives_a_restart(world: Any) -> None:
    parties = Parties(world, "vanilla", order="site")
    parties.run(exchanges=20)
    secret = decode(parties.kept["north"][1], Checkpoint, limit=1 << 20).order_secret
    parties.begin()
    parties.server.load(parties.server.dump(), attempt=2)
    parties.run()
    assert decode(parties.kept["north"][4], Checkpoint, limit=1 << 20).order_secret == secret


def test_damaged_parts_are_refused(world: Any) -> None:
    parties = Parties(world, "vanilla")
    parties.run(exchanges=20)
    state = parties.state
    for wrong in (b"", b"\x80\x04.", bytes(64)):
        parties.kept["north"][1] = encode(Checkpoint(wrong, bytes(32)))
        parties.begin()
        parties.server.load(state, attempt=2)
        with pytest.raises(IdentityError) as caught:
            parties.run()
        assert caught.value.code == "malformed-parts"
        with pytest.raises(IdentityError):
            split.state_dicts(parties.kept["north"][1])


def test_steps_out_of_order_are_refused(world: Any) -> None:
    """Twice, too early, too late, of another attempt, or unknown: a site answers each step of the protocol once."""
    parties = Parties(world, "u-shape")
    client, settings = parties.clients["north"], parties.settings

    def ask(phase: str, body: bytes = b"", *, attempt: int = 1) -> bytes:
        return client.handle(Request("run", 1, attempt, phase, body), None).message

    nothing = encode(BatchRequest(None))
    refused = {
        "split-attempt-lost": [lambda: ask("train/batch-0", nothing), lambda: ask("train/keep")],
        "unknown-split-step": [
            lambda: ask("train"),
            lambda: ask("learn/open"),
            lambda: ask("train/batch"),
            lambda: ask("train/batch--1"),
            lambda: ask("train/open-1"),
        ],
    }
    for code, steps in refused.items():
        for step in steps:
            with pytest.raises((PolicyRefused, IdentityError)) as caught:
                step()
            assert caught.value.code == code
    with pytest.raises(IdentityError) as caught:
        ask("train/open", encode(Open(bytes(32))))
    assert caught.value.code == "split-settings-differ"
    ask("train/open", encode(Open(settings.digest())))
    for phase in ("train/batch-1", "train/head-0", "train/keep", "train/take", "train/close"):
        with pytest.raises(IdentityError):
            ask(phase, nothing)
    ask("train/batch-0", nothing)
    for phase in ("train/batch-0", "train/batch-1", "train/batch-2", "train/head-1"):
        with pytest.raises(IdentityError) as caught:
            ask(phase, nothing)
        assert caught.value.code == "split-out-of-order"
    with pytest.raises(PolicyRefused):
        ask("train/batch-1", nothing, attempt=2)


def test_a_head_answers_once_and_before_the_bottom_goes_on(world: Any) -> None:
    """A coordinator that may ask twice for one batch could probe its labels with outputs of its choice."""
    parties = Parties(world, "u-shape")
    client = parties.clients["north"]

    def ask(phase: str, body: object) -> bytes:
        return client.handle(Request("run", 1, 1, phase, encode(body)), None).message

    ask("train/open", Open(parties.settings.digest()))
    ask("train/batch-0", BatchRequest(None))
    above, below = np.zeros((16, 7)), np.zeros((16, 9))
    for phase, body in (
        ("train/batch-1", BatchRequest(below)),  # the head has not been asked
        ("train/head-0", HeadRequest(np.zeros((1, 7)))),  # one row alone
        ("train/head-0", HeadRequest(np.zeros((32, 7)))),
    ):
        with pytest.raises(IdentityError) as caught:
            ask(phase, body)
        assert caught.value.code == "split-out-of-order"
    for wrong in (np.zeros((16, 3)), np.zeros((16, 7), dtype=np.float32), np.zeros((16, 2, 2))):
        clients = Parties(world, "u-shape").clients
        for phase, body in (("open", Open(parties.settings.digest())), ("batch-0", BatchRequest(None))):
            clients["north"].handle(Request("run", 1, 1, f"train/{phase}", encode(body)), None)
        with pytest.raises(IdentityError) as caught:
            clients["north"].handle(Request("run", 1, 1, "train/head-0", encode(HeadRequest(wrong))), None)
        assert caught.value.code == "wrong-activations"
    ask("train/head-0", HeadRequest(above))
    for phase, body in (("train/head-0", HeadRequest(above)), ("train/batch-1", BatchRequest(None))):
        with pytest.raises(IdentityError) as caught:
            ask(phase, body)
        assert caught.value.code == "split-out-of-order"
    with pytest.raises(IdentityError) as caught:
        ask("train/batch-1", BatchRequest(np.full((16, 9), np.nan)))
    assert caught.value.code == "wrong-gradient"
    ask("train/batch-1", BatchRequest(below))


def test_the_coordinator_takes_its_steps_in_turn(world: Any) -> None:
    parties = Parties(world, "vanilla")
    with pytest.raises(InternalError):
        parties.server.feed({}, frozenset())
    assert parties.server.step() == parties.server.step()
    assert parties.server.remaining == parties.settings.tasks()
