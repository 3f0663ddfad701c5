"""Pinned identities: what is forged, redirected, altered or exposed is refused."""

from __future__ import annotations

import copy
import dataclasses
import os
import pathlib
import pickle
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reticent import identity
from reticent.errors import EnvironmentFault, IdentityError, InternalError, UsageError
from reticent.identity import Address, Roster, SigningKey, seal, unseal
from reticent.messages import decode, encode

NORTH, SOUTH, HUB = SigningKey.generate(), SigningKey.generate(), SigningKey.generate()
ROSTER = Roster({"north": NORTH.public, "south": SOUTH.public, "hub": HUB.public})
ADDRESS = Address(run="r", round=3, attempt=1, phase="keys", sender="north", recipient="hub")


def code(action: object, kind: type[Exception] = IdentityError) -> str:
    with pytest.raises(kind) as caught:
        action()  # type: ignore[operator]
    return caught.value.code  # type: ignore[attr-defined,no-any-return]


def test_known_answer_rfc_8032_test_2(tmp_path: pathlib.Path) -> None:
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
    assert key.public.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_save_and_load(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "identity.key"
    NORTH.save(path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert SigningKey.load(path).public == NORTH.public
    before = path.read_bytes()
    assert code(lambda: SOUTH.save(path), EnvironmentFault) == "key-file-unwritable"
    assert path.read_bytes() == before


def test_key_files_that_are_not_right(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "identity.key"
    assert code(lambda: SigningKey.load(path), EnvironmentFault) == "key-file-unreadable"
    path.write_bytes(b"nonsense")
    path.chmod(0o600)
    assert code(lambda: SigningKey.load(path)) == "key-file-malformed"
    path.unlink()
    NORTH.save(path)
    path.chmod(0o640)
    assert code(lambda: SigningKey.load(path)) == "key-file-exposed"


def test_signing_keys_do_not_leak_by_copy_or_print() -> None:
    for duplicate in (copy.deepcopy, pickle.dumps):
        assert code(lambda d=duplicate: d(NORTH), InternalError) == "signing-key-copied"
    private = NORTH._key.private_bytes_raw()
    assert private.hex() not in repr(NORTH)


def test_roster_is_a_mapping_and_survives_a_process_boundary() -> None:
    assert dict(ROSTER) == {"north": NORTH.public, "south": SOUTH.public, "hub": HUB.public}
    assert dict(pickle.loads(pickle.dumps(ROSTER))) == dict(ROSTER)


def test_roster_refuses_bad_names_and_shared_keys() -> None:
    for name in ("", "a\nb", "x" * 129, "\ud800"):
        assert code(lambda n=name: Roster({n: NORTH.public}), UsageError) == "invalid-name"
    assert code(lambda: Roster({"a": NORTH.public, "b": NORTH.public})) == "shared-identity-key"
    assert code(lambda: Roster({"a": b"short"})) == "unsafe-identity-key"


def _torsion() -> set[int]:
    """y of all points of order dividing 8, by multiplying points by the group order: independent of the source."""
    p, order = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
    d = -121665 * pow(121666, -1, p) % p

    def add(one: tuple[int, int], two: tuple[int, int]) -> tuple[int, int]:
        (x1, y1), (x2, y2) = one, two
        t = d * x1 * x2 * y1 * y2 % p
        return ((x1 * y2 + x2 * y1) * pow(1 + t, -1, p) % p, (y1 * y2 + x1 * x2) * pow(1 - t, -1, p) % p)

    found = set()
    for y in range(2, 24):
        square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
        x = pow(square, (p + 3) // 8, p)
        if x * x % p != square:
            x = x * pow(2, (p - 1) // 4, p) % p
        if x * x % p != square:
            continue
        total, point, bits = (0, 1), (x, y), order
        while bits:
            if bits & 1:
                total = add(total, point)
            point, bits = add(point, point), bits >> 1
        for _ in range(8):
            found.add(total[1])
            total = add(total, total)
    return found


def test_low_order_and_non_canonical_keys_are_refused() -> None:
    torsion = _torsion()
    assert torsion == identity._SMALL_ORDER
    p = 2**255 - 19
    for y in [*torsion, p, p + 1, p + 18]:
        for sign in (0, 1):
            key = (y | sign << 255).to_bytes(32, "little")
            assert code(lambda k=key: Roster({"a": k})) == "unsafe-identity-key"


def test_a_low_order_key_would_verify_forgeries(monkeypatch: pytest.MonkeyPatch) -> None:
    # Broken copy: without the check, the identity point as "key" makes one signature fit every message.
    monkeypatch.setattr(identity, "_unsafe", lambda key: False)
    roster = Roster({"mallory": (1).to_bytes(32, "little")})
    forged = (1).to_bytes(32, "little") + bytes(32)  # R = identity, s = 0
    roster.verify("mallory", b"one thing", forged)
    roster.verify("mallory", b"another", forged)


def test_verify() -> None:
    ROSTER.verify("north", b"data", NORTH.sign(b"data"))
    assert code(lambda: ROSTER.verify("north", b"data", SOUTH.sign(b"data"))) == "bad-signature"
    assert code(lambda: ROSTER.verify("north", b"datb", NORTH.sign(b"data"))) == "bad-signature"
    assert code(lambda: ROSTER.verify("north", b"data", b"")) == "bad-signature"
    assert code(lambda: ROSTER.verify("west", b"data", NORTH.sign(b"data"))) == "unknown-signer"


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300))
def test_envelope_round_trip(body: bytes) -> None:
    assert unseal(seal(body, ADDRESS, NORTH), ROSTER, recipient="hub", limit=300) == (ADDRESS, body)


def test_every_bit_flip_and_truncation_of_an_envelope_is_refused() -> None:
    data = seal(b"body of it", ADDRESS, NORTH)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(IdentityError):
            unseal(bytes(flipped), ROSTER, recipient="hub", limit=300)
    for n in range(len(data)):
        with pytest.raises(IdentityError):
            unseal(data[:n], ROSTER, recipient="hub", limit=300)


@pytest.mark.parametrize(
    "change",
    [{"run": "s"}, {"round": 4}, {"attempt": 2}, {"phase": "sum"}, {"sender": "south"}, {"recipient": "south"}],
)
def test_a_signature_counts_for_its_address_only(change: dict[str, object]) -> None:
    envelope = decode(seal(b"body", ADDRESS, NORTH), identity._Envelope, limit=5000)
    moved = encode(dataclasses.replace(envelope, address=encode(replace(ADDRESS, **change))))  # type: ignore[arg-type]
    recipient = str(change.get("recipient", "hub"))
    assert code(lambda: unseal(moved, ROSTER, recipient=recipient, limit=300)) == "bad-signature"


def test_broken_copy_signing_the_body_only_lets_a_replay_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_signed", lambda address, body: b"x" + body)
    with pytest.raises(pytest.fail.Exception):
        test_a_signature_counts_for_its_address_only({"round": 4})


def test_envelope_for_another_reader_or_from_a_stranger_or_too_long() -> None:
    data = seal(b"body", ADDRESS, NORTH)
    assert code(lambda: unseal(data, ROSTER, recipient="south", limit=300)) == "wrong-recipient"
    assert code(lambda: unseal(data, Roster({"hub": HUB.public}), recipient="hub", limit=300)) == "unknown-signer"
    assert code(lambda: unseal(seal(bytes(9000), ADDRESS, NORTH), ROSTER, recipient="hub", limit=300)) == (
        "malformed-message"
    )
