"""The dealer of the additive protocol: deals correlated randomness and sees nothing but kinds and shapes."""

from __future__ import annotations

import time

from reticent.channels import Channel
from reticent.mpc.additive import check_dealer
from reticent.mpc.cost import Cost, Entry
from reticent.mpc.group import Group
from reticent.mpc.link import Link
from reticent.mpc.material import DealerSource
from reticent.mpc.recipes import deal, decode_request
from reticent.mpc.streams import agree

__all__ = ["FINISHED", "Dealer", "run_dealer"]

FINISHED = b"finished"


class Dealer:
    """Deals what the parties ask for.

    *Run by* a participant of its own, who holds no input and receives no opened value. *Requires* that it colludes
    with none of the parties: whoever has its seeds and a transcript has every input. Semi-honest: a dealer that deals
    wrong triples falsifies results unnoticed. *Reveals* to the parties: nothing. It sees the kinds and shapes of the
    operations.

    Args:
      channel: Its end of the channels; parties 0 .. parties - 1 compute.
      parties: How many participants compute; all of lower number.

    Raises:
      PolicyRefused: If it is itself a computing party.
    """

    def __init__(self, channel: Channel, *, parties: int) -> None:
        check_dealer(channel.party, parties=parties)
        self._channel = channel
        self._group = Group(channel.party, tuple(range(parties)))
        self._cost = Cost()

    def serve(self) -> Cost:
        """Answer requests until the first party says that the program has ended, and return what that cost."""
        began = time.perf_counter()
        link = Link(self._channel, agree(self._channel, computing=len(self._group.members)))
        while (request := bytes(link.receive_bytes(0))) != FINISHED:
            self._cost.entries.append(self._answer(link, request))
        self._cost.seconds = time.perf_counter() - began
        return self._cost

    def _answer(self, link: Link, request: bytes) -> Entry:
        began = time.perf_counter()
        number, name, recipe, arguments = decode_request(request)
        # A number asked for twice is refused by the keys: the same triple would serve two products.
        streams = [link.keys.stream(member, "deal", number) for member in self._group.members]
        source = DealerSource(self._group, streams)
        deal(source, recipe, arguments, request)
        sent = link.send(self._group.members[-1], source.corrections)
        return Entry(name, sent, 0, time.perf_counter() - began)


def run_dealer(channel: Channel, *, parties: int | None = None) -> Cost:
    """Be the dealer on `channel`, whose last participant it is unless `parties` says how many compute."""
    return Dealer(channel, parties=channel.parties - 1 if parties is None else parties).serve()
