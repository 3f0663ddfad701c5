"""Averaging is right, and what the coordinator saw of one site is uniform: in every pattern of drop-outs.

A client's fate is the number of phases it answers in time, 0 to 4; the reply to the next phase arrives too late. It is
no part of the sum, but the coordinator has seen it, so the attacker in these tests uses it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from reticent.messages import decode, encode
from reticent.rings import SHARE_BYTES
from reticent.secagg import Client, Parameters, masks, wire

ALL_FATES = list(itertools.product(range(5), repeat=4))


def check(play: Any, parameters: Parameters, patterns: Iterable[tuple[int, ...]], **how: Any) -> list[float]:
    """Play all patterns; assert the right outcome of each; return the p-values of the uniformity tests."""
    p_values: list[float] = []
    names = ("ada", "bob", "cyd", "dan", "eve", "fay")[: parameters.clients]
    vectors = {name: np.full(parameters.length, (-1.0, 1.0, 1.0, -1.0, 0.0, 1.0)[i]) for i, name in enumerate(names)}
    bins = 2**parameters.ring_bits
    for pattern in patterns:
        fate = dict(zip(names, pattern, strict=True))
        recording = play(parameters, vectors, fate, **how)
        counts = [sum(phases >= number for phases in pattern) for number in (1, 2, 3, 4)]
        if min(counts) < parameters.threshold:
            assert recording.result is None
            assert recording.lost.code == "too-few-survivors"
        else:
            stayed = [name for name in names if fate[name] >= 3]
            assert recording.result.contributors == tuple(stayed)
            assert (recording.result.vector == sum(vectors[name] for name in stayed)).all()
        for name in recording.replies["masked_input"] | recording.late["masked_input"]:
            observed = np.bincount(recording.residual(name).astype(np.int64), minlength=bins)
            p_values.append(float(stats.chisquare(observed).pvalue))
        assert not recording.uncovered
    return p_values


def test_every_pattern_of_four_sites(play: Any, four: Parameters) -> None:
    """All 5^4 patterns: right sum or loud failure, and every site's residual is uniform over the ring.

    Chi-square with 15 degrees of freedom for each of 972 recorded vectors of one constant; Bonferroni; false
    alarm 1e-6 for the whole test.
    """
    p_values = check(play, four, ALL_FATES)
    assert len(p_values) == 216 * 3 + 81 * 4  # three or four sites shared their keys
    assert min(p_values) > 1e-6 / len(p_values)


@pytest.mark.parametrize(("clients", "dropouts"), [(5, 2), (6, 2), (5, 0)])
def test_sampled_patterns_of_five_and_six(play: Any, clients: int, dropouts: int) -> None:
    """As above on 25 patterns; false alarm 1e-6."""
    generator = random.Random(clients)
    parameters = Parameters(clients=clients, length=1024, bound=1.0, precision=1.0, dropouts=dropouts)
    patterns = [tuple(generator.choices(range(5), [1, 1, 1, 1, 8], k=clients)) for _ in range(25)]
    p_values = check(play, parameters, patterns)
    assert min(p_values) > 1e-6 / len(p_values)


BROKEN_PATTERNS = [(4, 4, 4, 4), (4, 4, 2, 4), (4, 4, 4, 3), (1, 4, 4, 4)]


def scalar_mask(total: Any, key: bytes, *, negative: bool) -> None:
    word = masks.Keystream(key).words(1).astype(total.dtype)[0]
    np.add(total, (0 - word) if negative else word, out=total)


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_broken_copy_one_scalar_as_mask_is_caught(play: Any, four: Parameters, monkeypatch: Any) -> None:
    monkeypatch.setattr(masks, "add_mask", scalar_mask)
    p_values = check(play, four, BROKEN_PATTERNS)  # the sums are right all the same
    assert min(p_values) < 1e-6 / len(p_values)


def test_broken_copy_masks_that_do_not_cancel_are_caught(play: Any, four: Parameters, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        masks,
        "add_pair_mask",
        lambda total, key, *, owner, peer, remove=False: masks.add_mask(total, key, negative=remove),
    )
    with pytest.raises(AssertionError):
        check(play, four, BROKEN_PATTERNS[:1])


def test_broken_copy_vanished_masks_not_removed_are_caught(play: Any, four: Parameters, monkeypatch: Any) -> None:
    real = masks.add_pair_mask

    def never_remove(total: Any, key: bytes, *, owner: str, peer: str, remove: bool = False) -> None:
        if not remove:
            real(total, key, owner=owner, peer=peer)

    monkeypatch.setattr(masks, "add_pair_mask", never_remove)
    check(play, four, BROKEN_PATTERNS[:1])
    with pytest.raises(AssertionError):
        check(play, four, BROKEN_PATTERNS[1:2])


class GivesBoth(Client):
    """Broken copy: opens both secrets of every peer."""

    def unmask(self, survivors_message: bytes) -> bytes:
        keys = {name: share for name, (_, share) in self._shares.items()}
        seeds = {name: share for name, (share, _) in self._shares.items()}
        super().unmask(survivors_message)
        return encode(wire.Openings(seeds, keys))


def test_broken_copy_both_secrets_of_a_peer_are_caught(play: Any, four: Parameters) -> None:
    recording = play(four, {name: np.ones(1024) for name in ("ada", "bob", "cyd", "dan")}, client=GivesBoth)
    assert recording.uncovered == {"ada", "bob", "cyd", "dan"}
    # And this is what it would mean: the plain vector stands there.
    assert (four.encoding.decode(recording.residual("ada")) == 1).all()


def test_no_own_mask_means_a_late_vector_is_uncovered(play: Any, four: Parameters, monkeypatch: Any) -> None:
    # Broken copy: the mask that protects a vector which arrives after its owner was declared vanished.
    monkeypatch.setattr(masks, "self_key", lambda seed, context, name: bytes(16))
    real = masks.add_mask
    monkeypatch.setattr(
        masks,
        "add_mask",
        lambda total, key, *, negative: None if key == bytes(16) else real(total, key, negative=negative),
    )
    p_values = check(play, four, [(4, 4, 4, 2)])
    assert min(p_values) < 1e-6 / len(p_values)


def test_averaging_with_masks_equals_plain_averaging_to_the_fixed_point_error(play: Any) -> None:
    generator = np.random.default_rng(1)
    parameters = Parameters(clients=4, length=5000, bound=8.0, precision=1e-4, dropouts=1)
    vectors = {name: generator.uniform(-8, 8, 5000) for name in ("ada", "bob", "cyd", "dan")}
    for fate in ({}, {"bob": 2}, {"cyd": 3}):
        result = play(parameters, vectors, fate).result
        plain = np.mean([vectors[name] for name in result.contributors], axis=0)
        error = np.abs(result.vector / len(result.contributors) - plain).max()
        assert 0 < error <= parameters.precision / 2 * (1 + 1e-6)


def test_the_wire_carries_the_packed_ring_and_little_else(play: Any) -> None:
    parameters = Parameters(clients=4, length=8000, bound=2.0**15, precision=1.0, dropouts=1)  # 16-bit inputs
    recording = play(parameters, {name: np.zeros(8000) for name in ("ada", "bob", "cyd", "dan")})
    assert parameters.ring_bits == 19
    masked = len(recording.replies["masked_input"]["ada"])
    assert masked - 8000 * 19 // 8 < 200
    sent = sum(len(recording.replies[phase]["ada"]) for phase in PHASES_WITHOUT_VECTOR)
    assert sent <= 215 * 3 + 500  # Bonawitz et al.: 215 bytes for each peer


PHASES_WITHOUT_VECTOR = ("advertise", "share_keys", "unmask")


def test_recorded_messages_hold_no_secret(play: Any, four: Parameters, monkeypatch: Any) -> None:
    drawn: list[bytes] = []
    from reticent.secagg import client

    monkeypatch.setattr(client, "secret", lambda n: drawn.append(np.random.bytes(n)) or drawn[-1])
    recording = play(four, {name: np.ones(1024) for name in ("ada", "bob", "cyd", "dan")}, {"cyd": 2})
    everything = b"".join(
        data for phase in wire.PHASES for data in (recording.replies[phase] | recording.requests[phase]).values()
    )
    assert len(drawn) == 4
    assert not any(seed in everything for seed in drawn)
    assert decode(recording.requests["unmask"]["ada"], wire.Survivors, limit=1000).names == ("ada", "bob", "dan")


@pytest.mark.parametrize(("users", "entries", "published"), [(2**10, 2**20, 1.73), (2**14, 2**24, 1.98)])
def test_expansion_is_below_the_published_one(users: int, entries: int, published: float) -> None:
    """Bonawitz et al. 2017, abstract: 16-bit inputs.

    Sizes of messages do not depend on their content, so they are made of zeros; the vector itself is not.
    """
    parameters = Parameters(clients=users, length=entries, bound=2.0**15 - 1, precision=1.0, dropouts=users // 3)
    names = [f"site{i:04}" for i in range(users)]
    sealed = len(masks.seal_shares(bytes(32), b"", names[0], names[1], bytes(2 * SHARE_BYTES)))
    messages = (
        encode(wire.PublicKeys(bytes(32), bytes(32), bytes(64))),
        encode(wire.SealedShares(dict.fromkeys(names[1:], bytes(sealed)))),
        encode(wire.Openings(dict.fromkeys(names, bytes(SHARE_BYTES)), {})),
        encode(wire.MaskedInput(b"", bytes(32))),
    )
    control = sum(map(len, messages))
    assert control <= 215 * users
    assert (control + parameters.encoding.packed_bytes(entries)) / (2 * entries) < published
