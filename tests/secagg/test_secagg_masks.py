"""Masks: what they derive from, that they never repeat, and that views are equal for equal sums."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reticent.errors import PolicyRefused, UsageError
from reticent.messages import decode
from reticent.randomness import Keystream, derive, secret
from reticent.secagg import Parameters, masks, sum_of, wire

CONTEXT = bytes(32)


def mask(key: bytes, length: int = 64) -> bytes:
    total = np.zeros(length, np.uint32)
    masks.add_mask(total, key, negative=False)
    return total.tobytes()


def seed_bits_that_count(key_of: Callable[[bytes], bytes]) -> int:
    """Of 256 single flips and 224 pairs of flips in one column of 32 bits, how many change the mask."""
    seed = secret(32)
    reference = mask(key_of(seed))
    flips = [1 << bit for bit in range(256)] + [(1 << bit) | (1 << (bit + 32)) for bit in range(224)]
    return sum(mask(key_of((int.from_bytes(seed) ^ flip).to_bytes(32))) != reference for flip in flips)


KEYS: list[Callable[[bytes], bytes]] = [
    lambda shared: masks.pair_key(shared, CONTEXT, "ada", "bob"),
    lambda seed: masks.self_key(seed, CONTEXT, "ada"),
]


@pytest.mark.parametrize("key_of", KEYS, ids=["pairwise", "own"])
def test_every_bit_of_a_seed_counts(key_of: Callable[[bytes], bytes]) -> None:
    assert seed_bits_that_count(key_of) == 256 + 224


def _xor_folded(secret: bytes, *, info: bytes, length: int = 32) -> bytes:
    column = 0
    for start in range(0, 32, 4):
        column ^= int.from_bytes(secret[start : start + 4])
    return derive(column.to_bytes(16), info=info, length=length)


def _reduced(secret: bytes, *, info: bytes, length: int = 32) -> bytes:
    return derive((int.from_bytes(secret) % 2**32).to_bytes(16), info=info, length=length)


@pytest.mark.parametrize("broken", [_xor_folded, _reduced])
@pytest.mark.parametrize("key_of", KEYS, ids=["pairwise", "own"])
def test_broken_copy_seed_of_32_bits_is_caught(
    key_of: Callable[[bytes], bytes], broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masks, "derive", broken)
    assert seed_bits_that_count(key_of) < 256 + 224


def test_both_ends_of_a_pair_derive_one_key_and_nobody_else() -> None:
    shared = secret(32)
    keys = {masks.pair_key(shared, CONTEXT, *pair) for pair in (("ada", "bob"), ("bob", "ada"))}
    assert len(keys) == 1
    other = [("ada", "bobc"), ("adab", "ob"), ("a", "dabob")]
    assert len(keys | {masks.pair_key(shared, CONTEXT, *pair) for pair in other}) == 4
    assert masks.self_key(shared, CONTEXT, "ada") not in keys


@pytest.mark.parametrize(
    "key_of",
    [
        lambda context: masks.pair_key(bytes(32), context, "ada", "bob"),
        lambda context: masks.self_key(bytes(32), context, "ada"),
        lambda context: masks.commit(bytes(32), context, "ada"),
        lambda context: masks.seal_shares(bytes(32), context, "ada", "bob", b"shares"),
    ],
)
def test_every_key_is_bound_to_the_context(key_of: Callable[[bytes], bytes]) -> None:
    assert key_of(CONTEXT) != key_of(b"\1" * 32)


def test_the_context_is_bound_to_session_parameters_and_keys(four: Parameters) -> None:
    other = Parameters(clients=4, length=1024, bound=1.0, precision=1.0, dropouts=0)
    contexts = {wire.session_context(p, s) for p in (four, other) for s in (b"1", b"2")}
    contexts |= {wire.roster_context(s, m) for s in (b"1", b"2") for m in (b"keys", b"other keys")}
    assert len(contexts) == 8


def same_words(play: Any, monkeypatch: pytest.MonkeyPatch, one: Any, two: Any) -> bool:
    """Whether two sessions whose secrets all repeat (a restored snapshot, say) send the same masked vector."""
    from reticent.secagg import client

    sent = []
    for parameters, session in (one, two):
        generator = random.Random(5)
        with monkeypatch.context() as patch:
            patch.setattr(client, "secret", generator.randbytes)
            x25519 = client.X25519PrivateKey

            class Repeating:
                from_private_bytes = staticmethod(x25519.from_private_bytes)
                generate = staticmethod(lambda: x25519.from_private_bytes(generator.randbytes(32)))  # noqa: B023

            patch.setattr(client, "X25519PrivateKey", Repeating)
            vectors = {name: np.zeros(parameters.length) for name in ("ada", "bob", "cyd", "dan")}
            recording = play(parameters, vectors, session=session)
        data = recording.replies["masked_input"]["bob"]
        sent.append(decode(data, wire.MaskedInput, limit=parameters.message_limit).words)
    return sent[0] == sent[1]


def test_session_is_part_of_every_mask(play: Any, four: Parameters, monkeypatch: pytest.MonkeyPatch) -> None:
    assert same_words(play, monkeypatch, (four, b"round 1"), (four, b"round 1"))  # the set-up does repeat
    assert not same_words(play, monkeypatch, (four, b"round 1"), (four, b"round 2"))


def test_parameters_are_part_of_every_mask(play: Any, four: Parameters, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Parameters(clients=4, length=1024, bound=1.0, precision=1.0, dropouts=0)
    assert not same_words(play, monkeypatch, (four, b"s"), (other, b"s"))


def test_broken_copy_session_missing_in_the_key_derivation_is_caught(
    play: Any, four: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "session_context", lambda parameters, session: bytes(32))
    monkeypatch.setattr(wire, "roster_context", lambda session, message: bytes(32))
    assert same_words(play, monkeypatch, (four, b"round 1"), (four, b"round 2"))


def test_seeded_global_generators_do_not_change_that_masks_differ(play: Any, four: Parameters) -> None:
    sent = set()
    for _ in range(2):
        random.seed(1)
        np.random.seed(1)
        recording = play(four, {name: np.zeros(1024) for name in ("ada", "bob", "cyd", "dan")})
        sent.add(recording.replies["masked_input"]["ada"])
    assert len(sent) == 2


@pytest.mark.parametrize("length", [1, 7, 8191, 8192, 8193, 20_000])
@pytest.mark.parametrize("word", [np.uint32, np.uint64])
def test_a_mask_is_the_keystream(length: int, word: Any) -> None:
    total = np.full(length, 5, word)
    masks.add_mask(total, b"k" * 16, negative=False)
    stream = np.frombuffer(Keystream(b"k" * 16).bytes(length * total.itemsize), total.dtype)
    assert (total - stream == 5).all()
    masks.add_mask(total, b"k" * 16, negative=True)
    assert (total == 5).all()


# Three clients in the ring of 8 elements; "keys" name the words of an ideal tape.
PAIRS = (("a", "b"), ("a", "c"), ("b", "c"))


def views(inputs: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch, *, late: bool) -> Counter[tuple[int, ...]]:
    """How often each view occurs over all tapes: the three vectors less what the coordinator can remove.

    With `late`, client c was declared vanished and its vector came all the same: its pairwise masks are known then, and
    its own mask is not; of the others the own masks are known.
    """
    found: Counter[tuple[int, ...]] = Counter()
    for tape in itertools.product(range(8), repeat=4):
        words = dict(zip((*PAIRS, "own"), tape, strict=True))

        def add(total: Any, key: Any, *, negative: bool, words: Any = words) -> None:
            total += np.uint32(-words[key] % 8 if negative else words[key])

        monkeypatch.setattr(masks, "add_mask", add)
        view = []
        for name, x in zip("abc", inputs, strict=True):
            total = np.array([x % 8], np.uint32)
            for pair in PAIRS:
                if name in pair:
                    peer = pair[1 - pair.index(name)]
                    masks.add_pair_mask(total, pair, owner=name, peer=peer)  # type: ignore[arg-type]
                    if late and "c" in pair:
                        masks.add_pair_mask(total, pair, owner=name, peer=peer, remove=True)  # type: ignore[arg-type]
            if late and name == "c":
                add(total, "own", negative=False)
            view.append(int(total[0] % 8))
        found[tuple(view)] += 1
    return found


def test_views_are_equal_if_and_only_if_the_sums_are(monkeypatch: pytest.MonkeyPatch) -> None:
    one, same, other = ((1, 0, -1), (-1, 1, 0), (1, 1, 1))
    assert views(one, monkeypatch, late=False) == views(same, monkeypatch, late=False)
    assert not views(one, monkeypatch, late=False).keys() & views(other, monkeypatch, late=False).keys()
    assert set(views(one, monkeypatch, late=False).values()) == {8**4 // 8**2}


def test_the_view_of_a_late_vector_depends_on_the_sum_of_the_others_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert views((1, 0, 1), monkeypatch, late=True) == views((0, 1, -1), monkeypatch, late=True)
    assert views((1, 0, 1), monkeypatch, late=True) != views((1, 1, 1), monkeypatch, late=True)


def test_parameters_derive_threshold_and_ring() -> None:
    parameters = Parameters(clients=100, length=10, bound=8.0, precision=1e-4, dropouts=20)
    assert (parameters.threshold, parameters.ring_bits) == (80, 24)
    assert (
        parameters.fingerprint()
        != Parameters(clients=100, length=10, bound=8.0, precision=1e-4, dropouts=21).fingerprint()
    )


@pytest.mark.parametrize(("clients", "dropouts"), [(4, 2), (5, 3), (2, 1), (3, 2), (4, 4)])
def test_half_of_the_clients_are_never_enough(clients: int, dropouts: int) -> None:
    with pytest.raises(PolicyRefused) as caught:
        Parameters(clients=clients, length=1, bound=1.0, precision=1.0, dropouts=dropouts)
    assert caught.value.code == "threshold-too-low"


@pytest.mark.parametrize(
    "change", [{"clients": 1}, {"length": 0}, {"dropouts": -1}, {"bound": 0.0}, {"precision": 9.0}]
)
def test_parameters_without_sense(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Parameters(**({"clients": 3, "length": 1, "bound": 1.0, "precision": 1.0, "dropouts": 0} | change))


def test_sum_of() -> None:
    parameters = Parameters(clients=3, length=2, bound=4.0, precision=0.5, dropouts=1)
    vectors = {"x": np.array([1.0, 2.0]), "y": np.array([0.5, -4.0], np.float32), "z": np.array([4.0, 0.0])}
    assert sum_of(vectors, parameters).vector.tolist() == [5.5, -2.0]
    assert sum_of(vectors, parameters, drop={"share_keys": ["y"]}).contributors == ("x", "z")
    with pytest.raises(UsageError, match="lunch"):
        sum_of(vectors, parameters, drop={"lunch": ["y"]})
