"""Client keys stay: no way of encoding, copying or sending them works, and what is sent holds nothing of them."""

from __future__ import annotations

import copy
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pytest

from reticent import he
from reticent.errors import EnvironmentFault, IdentityError, PolicyRefused
from reticent.he import keys as keys_module
from reticent.he.keys import refuse_secrets
from reticent.messages import encode


@pytest.fixture(scope="module", params=["seal", "simulator"])
def side(request: pytest.FixtureRequest) -> he.Context:
    if request.param == "seal":
        pytest.importorskip("tenseal.sealapi")
    return he.context(depth=1, bound=4.0, precision=1e-2, backend=request.param)


@pytest.mark.parametrize("way", [encode, pickle.dumps, copy.copy, copy.deepcopy], ids=lambda way: way.__name__)
def test_client_keys_cannot_be_encoded_or_copied(side: he.Context, way: object) -> None:
    with pytest.raises(PolicyRefused) as caught:
        way(side.client)  # type: ignore[operator]
    assert caught.value.code == "secret-key-on-wire"


def test_secret_bytes_in_a_message_are_recognised(side: he.Context) -> None:
    """Somebody dumps the secret and puts it into a message by hand: the last look at the wire stops it."""
    stolen = side.backend.dump_secret(side.client.handle)
    message = he.Ciphertexts(bytes(32), bytes(32), side.backend.name, "vector", 0, 1.0, {}, (stolen,))
    with pytest.raises(PolicyRefused) as caught:
        he.dump_ciphertexts(message, he.OwnMac(side.client))
    assert caught.value.code == "secret-key-on-wire"


def test_without_the_last_look_the_secret_would_leave(side: he.Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken copy: the test above is about that look and nothing else."""
    monkeypatch.setattr("reticent.he.wire.refuse_secrets", lambda body: None)
    with pytest.raises(pytest.fail.Exception):
        test_secret_bytes_in_a_message_are_recognised(side)


def test_what_travels_holds_no_secret(side: he.Context) -> None:
    secret = side.backend.dump_secret(side.client.handle)
    sent = side.dump(side.encrypt(np.ones(5))) + he.dump_evaluation_keys(
        side.client.evaluation([1, 2]), side.backend, he.OwnMac(side.client)
    )
    windows = {
        secret[i : i + 16]
        for i in range(100 if len(secret) > 1000 else 20, len(secret) - 16, 1600 if len(secret) > 1000 else 16)
    }
    assert not any(window in sent for window in windows)


def test_nothing_is_printed(side: he.Context) -> None:
    for text in (repr(side.client), str(side.client), repr(side.evaluation)):
        assert len(text) < 80
        assert side.backend.dump_secret(side.client.handle)[40:44].hex() not in text


def test_keys_are_saved_for_their_owner_only(side: he.Context, tmp_path: Path) -> None:
    path = tmp_path / "client.keys"
    v = side.encrypt([1.0, -2.0])
    side.save_keys(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    again = he.open_context(path)
    assert again.client.fingerprint == side.client.fingerprint
    assert np.allclose(again.load(side.dump(v)).decrypt(), [1.0, -2.0], atol=1e-2)
    assert np.allclose((again.load(side.dump(v)) * again.encrypt([2.0, 2.0])).sum().decrypt(), [-2.0], atol=2e-2)
    with pytest.raises(EnvironmentFault, match=r"client\.keys"):
        side.save_keys(path)
    os.chmod(path, 0o640)
    with pytest.raises(IdentityError) as caught:
        he.open_context(path)
    assert caught.value.code == "key-file-exposed"
    os.chmod(path, 0o600)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IdentityError):
        he.open_context(path)
    with pytest.raises(EnvironmentFault):
        he.open_context(tmp_path / "missing")


def test_no_secret_touches_a_disk(side: he.Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On Linux all of SEAL's files are anonymous memory; the fallback leaves nothing behind."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    he.ClientKeys.generate(side.backend).evaluation([1])
    assert list(tmp_path.iterdir()) == []
    seen: list[int] = []
    monkeypatch.delattr(os, "memfd_create", raising=False)
    real = Path.touch

    def touch(self: Path, *arguments: object, **settings: object) -> None:
        real(self, *arguments, **settings)  # type: ignore[arg-type]
        seen.append(stat.S_IMODE(self.parent.stat().st_mode))

    monkeypatch.setattr(Path, "touch", touch)
    he.ClientKeys.generate(side.backend).evaluation([1])
    assert set(seen) <= {0o700}
    assert list(tmp_path.iterdir()) == []


def test_two_key_pairs_differ_and_do_not_mix(side: he.Context) -> None:
    other = he.ClientKeys.generate(side.backend)
    assert other.fingerprint != side.client.fingerprint
    refuse_secrets(other.fingerprint)
    assert len(keys_module._LIVE) >= 2


def test_client_keys_in_place_of_evaluation_keys_are_refused_as_what_they_are() -> None:
    """Handing over the wrong one of two objects is the mistake that the two types exist for."""
    context = he.context(depth=1, bound=10.0, precision=1e-2, backend="simulator")
    keys = he.ClientKeys.generate(context.backend)
    with pytest.raises(PolicyRefused) as caught:
        he.dump_evaluation_keys(keys, context.backend, he.OwnMac(keys))
    assert caught.value.code == "secret-key-on-wire"
