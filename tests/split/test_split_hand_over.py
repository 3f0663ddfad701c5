"""Parts go from site to site as if one site had all rows, and the coordinator that carries them cannot read them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from reticent import split
from reticent.errors import IdentityError, PolicyRefused, ReticentError, UsageError
from reticent.identity import Roster, SigningKey
from reticent.messages import decode, encode
from reticent.roles import Request
from reticent.split.hand_over import Courier, place_of
from reticent.split.settings import Optimizer
from reticent.split.sides import Side
from reticent.split.state import pack, unpack
from reticent.split.wire import CloseRequest, Handed, HeldParts, Open, Opened

SITES = ("east", "north", "south")


def three(world: Any, shape: str, **changes: Any) -> tuple[Any, dict[str, Any], split.SplitTraining, Any]:
    """Three sites with different numbers of rows; one of them has none."""
    data = {site: world.rows((6,), count, seed=count) for site, count in zip(SITES, (35, 0, 50), strict=True)}
    settings = world.settings(shape=shape, sites=SITES, epochs=3, **changes)
    return world.model("dropout"), data, settings, "drop" if shape == "vanilla" else ("first", "second")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("shape", ["vanilla", "u-shape"])
def test_three_sites_in_a_row_equal_one_model_on_their_rows(world: Any, shape: str, optimizer: str) -> None:
    """Weights and optimisers travel, so that three hospitals train as one that saw their rows in turn: difference 0."""
    momentum = 0.9 if optimizer == "sgd" else 0.0
    told = split.Optimizer(name=optimizer, learning_rate=0.05, momentum=momentum)
    model, data, settings, at = three(world, shape, optimizer=told)
    whole = copy.deepcopy(model)
    kept: dict[str, dict[int, bytes]] = {}
    clients, server = world.parties(model, at, data, settings, copies=True, checkpoints=kept)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        split.simulate(clients, server)
        torch.manual_seed(5)
        world.unsplit(whole, data, settings)
    expected = whole.state_dict()
    for site in SITES:
        mine = split.state_dicts(kept[site][3])
        assert mine
        assert all(torch.equal(value, expected[name]) for name, value in mine.items()), site
    top = server.part.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in top.items())


def test_before_the_last_epoch_only_the_first_site_has_the_newest_parts(world: Any) -> None:
    model, data, settings, at = three(world, "vanilla")
    kept: dict[str, dict[int, bytes]] = {}
    split.simulate(*world.parties(model, at, data, settings, copies=True, checkpoints=kept), after_task=lambda _: True)
    east, north, south = (split.state_dicts(kept[site][1])["first.weight"] for site in SITES)
    assert torch.equal(east, south)
    assert not torch.equal(east, north)
    assert settings.hands_to("south", 1) == ("east",)
    assert settings.hands_to("south", 3) == ("east", "north")
    assert settings.hands_to("east", 3) == ("north",)


def test_the_coordinator_sees_no_weight_of_a_bottom(world: Any) -> None:
    """No row of a weight matrix stands in the traffic in the clear; the broken copy, which does not seal, is caught."""
    assert not bottoms_in_traffic(world)


def test_parts_in_the_clear_are_caught(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Courier, "seal", lambda self, parts, *_: parts)
    monkeypatch.setattr(Courier, "open", lambda self, box, _: box)
    assert bottoms_in_traffic(world)


def bottoms_in_traffic(world: Any) -> bool:
    model, data, settings, at = three(world, "u-shape")
    kept: dict[str, dict[int, bytes]] = {}
    recorded = world.Recorded()
    clients, server = world.parties(model, at, data, settings, copies=True, checkpoints=kept)
    weights: list[bytes] = []

    def remember(_: Any) -> None:
        for site in SITES:
            for value in split.state_dicts(kept[site][max(kept[site])]).values():
                weights.append(value.reshape(-1)[:4].numpy().tobytes())

    split.simulate(clients, server, witness=recorded, after_task=remember)
    sealed = [body for phase, _, _, body in recorded.messages if phase.endswith(("close", "take", "keep"))]
    assert sealed
    assert weights
    return any(part in body for part in weights for body in sealed)


class Lying:
    """A coordinator that changes what it carries; made around an honest server."""

    def __init__(self, world: Any, change: Callable[[str, str, bytes], bytes]) -> None:
        model, data, settings, at = three(world, "vanilla")
        self.clients, self.server = world.parties(model, at, data, settings, copies=True)
        self._change = change

    def run(self) -> None:
        while (exchange := self.server.step()) is not None:
            replies = {}
            for site, body in exchange.requests.items():
                changed = self._change(exchange.phase, site, body)
                request = Request("run", exchange.round, exchange.attempt, exchange.phase, changed)
                replies[site] = self.clients[site].handle(request, None).message
            self.server.feed(replies, frozenset())


def test_a_key_that_the_coordinator_puts_in_is_refused(world: Any) -> None:
    """The attack that would give it the bottom: its own key in the place of the next site's."""
    own = Courier("coordinator", b"", SigningKey.generate(), Roster({}))
    phases: list[str] = []

    def change(phase: str, site: str, body: bytes) -> bytes:
        phases.append(phase)
        if phase != "train/close" or site != "east":
            return body
        asked = decode(body, CloseRequest, limit=1 << 30)
        return encode(CloseRequest(asked.gradient, {"north": own.public}, dict(asked.signatures)))

    with pytest.raises(IdentityError) as caught:
        Lying(world, change).run()
    assert caught.value.code == "bad-signature"
    # The site that should seal refuses; had it sealed, the coordinator could have read the box already.
    assert phases[-1] == "train/close"


def test_a_close_without_the_next_sites_key_is_refused(world: Any) -> None:
    def change(phase: str, site: str, body: bytes) -> bytes:
        if phase != "train/close" or site != "south":
            return body
        asked = decode(body, CloseRequest, limit=1 << 30)
        return encode(CloseRequest(asked.gradient, {}, {}))

    with pytest.raises(IdentityError) as caught:
        Lying(world, change).run()
    assert caught.value.code == "split-out-of-order"


def test_a_box_of_an_earlier_epoch_is_refused(world: Any) -> None:
    boxes: list[bytes] = []

    def change(phase: str, site: str, body: bytes) -> bytes:
        if phase == "train/take" and site == "north":
            boxes.append(body)
            return boxes[0]
        return body

    with pytest.raises(IdentityError) as caught:
        Lying(world, change).run()
    assert len(boxes) == 2
    assert caught.value.code == "bad-signature"


@pytest.mark.parametrize("flip", [3, 40, -80, -1])
def test_a_changed_box_is_refused(world: Any, flip: int) -> None:
    def change(phase: str, site: str, body: bytes) -> bytes:
        if phase != "train/take":
            return body
        held = decode(body, HeldParts, limit=1 << 30)
        box = bytearray(held.sealed)
        box[flip] ^= 1
        return encode(HeldParts(held.sender, bytes(box)))

    with pytest.raises(IdentityError):
        Lying(world, change).run()


def test_parts_from_the_wrong_site_are_refused(world: Any) -> None:
    def change(phase: str, site: str, body: bytes) -> bytes:
        if phase != "train/take":
            return body
        held = decode(body, HeldParts, limit=1 << 30)
        return encode(HeldParts("south", held.sealed))

    with pytest.raises(IdentityError) as caught:
        Lying(world, change).run()
    assert caught.value.code == "split-out-of-order"


def couriers(place: bytes = place_of("run", 1, 1)) -> tuple[Courier, Courier]:
    keys = {site: SigningKey.generate() for site in ("a", "b")}
    roster = Roster({site: key.public for site, key in keys.items()})
    return Courier("a", place, keys["a"], roster), Courier("b", place, keys["b"], roster)


def test_a_box_opens_for_its_recipient_alone() -> None:
    one, two = couriers()
    box = one.seal(b"parts", "b", two.public, two.signature)
    assert two.open(box, "a") == b"parts"
    for wrong in (lambda: two.open(box, "b"), lambda: one.open(box, "a"), lambda: one.open(box, "b")):
        with pytest.raises(IdentityError):
            wrong()


def test_a_site_without_an_identity_cannot_hand_on(world: Any) -> None:
    settings = world.settings(sites=SITES)
    model = world.model("mlp")
    client = split.Client(split.cut(model, "1")[0], world.rows((6,), 20), settings, site="east")
    with pytest.raises(UsageError) as caught:
        client.handle(Request("run", 1, 1, "train/open", encode(Open(settings.digest()))), None)
    assert caught.value.code == "hand-over-without-identity"


def test_a_recipient_after_a_restart_has_no_key(world: Any) -> None:
    """Keys live in memory: a restarted site refuses the old attempt, and the epoch is repeated."""
    model, data, settings, at = three(world, "vanilla")
    kept: dict[str, dict[int, bytes]] = {}
    clients, _ = world.parties(model, at, data, settings, copies=True, checkpoints=kept)
    opened = clients["north"].handle(Request("run", 1, 1, "train/open", encode(Open(settings.digest()))), None)
    assert decode(opened.message, Opened, limit=1 << 20).key
    again, _ = world.parties(model, at, data, settings, copies=True, checkpoints=kept)
    with pytest.raises(PolicyRefused) as caught:
        again["north"].handle(Request("run", 1, 1, "train/take", encode(HeldParts("east", b""))), None)
    assert caught.value.code == "split-attempt-lost"


def test_a_site_that_closes_hands_on_once(world: Any) -> None:
    model, data, settings, at = three(world, "vanilla")
    clients, server = world.parties(model, at, data, settings, copies=True)
    closed: list[tuple[Request, bytes]] = []
    while not closed:
        exchange = server.step()
        assert exchange is not None
        replies = {}
        for site, body in exchange.requests.items():
            request = Request("run", exchange.round, exchange.attempt, exchange.phase, body)
            replies[site] = clients[site].handle(request, None).message
            if exchange.phase == "train/close":
                closed.append((request, replies[site]))
        server.feed(replies, frozenset())
    assert decode(closed[0][1], Handed, limit=1 << 30).sealed.keys() == {"north"}
    with pytest.raises(ReticentError) as caught:
        clients["east"].handle(closed[0][0], None)
    assert caught.value.code == "split-out-of-order"


def test_who_hands_parts_on_does_not_choose_the_others_dropout() -> None:
    """Only a site's own checkpoint sets torch's generator; bytes from elsewhere may hold a state of it, unread."""
    side = {"bottom": Side(nn.Linear(2, 2), Optimizer())}
    torch.manual_seed(1)
    sent = pack(side, generator=True)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    unpack(side, sent, generator=False)
    assert torch.equal(torch.get_rng_state(), before)
    unpack(side, sent, generator=True)
    assert not torch.equal(torch.get_rng_state(), before)
