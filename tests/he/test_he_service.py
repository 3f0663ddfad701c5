"""Encrypted prediction as roles and as two processes: what travels, what is refused, and who is named when one dies."""

from __future__ import annotations

import dataclasses
import importlib
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from reticent import he
from reticent.channels import threads
from reticent.errors import IdentityError, QuorumLost, ReticentError
from reticent.he.seal import SealBackend
from reticent.identity import Roster, SigningKey
from reticent.messages import encode

FACTORY = """
import os
import numpy as np
from reticent import he
from reticent.lowering import Program, ops

def lowered(seed):  # no torch: the process starts faster
    chance = np.random.default_rng(seed)
    first = ops.Linear(name="a", inputs=("input",), shape=(4,), weight=chance.normal(size=(4, 6)), bias=np.ones(4))
    square = ops.Square(name="b", inputs=("a",), shape=(4,))
    last = ops.Linear(name="c", inputs=("b",), shape=(2,), weight=chance.normal(size=(2, 4)), bias=np.ones(2))
    return Program((6,), (first, square, last), "c")

def program(seed):
    print("a factory may print")
    return he.compile(lowered(seed), precision=1e-3)

class Dies(he.Program):
    def reply(self, rows, parts):
        os._exit(9)

def dies(seed):
    return Dies(program(seed).plan)
"""


class Square(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(6, 4), Square(), nn.Linear(4, 2)).double().eval()


@pytest.fixture(scope="module")
def program(model: nn.Module) -> he.Program:
    return he.compile(model, precision=1e-3)


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(2).uniform(-3, 3, (5, 6))


@pytest.fixture
def seals() -> tuple[he.Signed, he.Signed]:
    keys = {name: SigningKey.generate() for name in ("server", "client")}
    roster = Roster({name: key.public for name, key in keys.items()})
    one, other = (
        he.Signed(keys[me], roster, me=me, peer=peer, session="today")
        for me, peer in (("server", "client"), ("client", "server"))
    )
    return one, other


def exchange(
    server: he.PredictionServer,
    client: he.PredictionClient,
    alter: Callable[[str, int, bytes], bytes] = lambda side, number, data: data,
) -> list[tuple[str, bytes]]:
    """Carry messages until the client is content; `alter` is the enemy in the middle. Returns what travelled."""
    traffic: list[tuple[str, bytes]] = []
    message: bytes | None = client.start()
    while message is not None:
        traffic.append(("up", message := alter("up", len(traffic), message)))
        reply = server.answer(message)
        traffic.append(("down", reply := alter("down", len(traffic), reply)))
        message = client.answer(reply)
    return traffic


def exact(model: nn.Module, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor(x)).numpy()


def test_neither_input_nor_weights_nor_secret_key_travel(
    model: nn.Module, program: he.Program, x: np.ndarray, seals: tuple[he.Signed, he.Signed]
) -> None:
    """Recorded traffic: no number of the rows goes up, none of the model comes down, in float64 or float32.

    Eight bytes each, so two neighbours in float32: four bytes would stand in megabytes of ciphertexts by chance. A false
    alarm has a probability below 1e-9.
    """
    server, client = he.PredictionServer(program, seals[0]), he.PredictionClient(x, seals[1])
    traffic = exchange(server, client)
    np.testing.assert_allclose(client.values, exact(model, x), atol=1e-3)
    up, down = (b"".join(data for side, data in traffic if side == way) for way in ("up", "down"))
    parameters = torch.cat([p.detach().reshape(-1) for p in model.parameters()]).numpy()
    for numbers, travelled in ((x.reshape(-1), up), (parameters, down)):
        for kind in (np.float64, np.float32):
            data, size = numbers.astype(kind).tobytes(), kind().itemsize
            windows = [data[start : start + 8] for start in range(0, len(data) - 8 + size, size)]
            assert len(windows) >= len(numbers) - 1
            assert not any(window in travelled for window in windows)
    assert server.rows == len(x)
    assert server.finished


@pytest.mark.parametrize(("backend", "shown"), [("seal", []), ("simulator", [4])], ids=["seal", "simulator"])
def test_rows_show_in_the_traffic_only_without_encryption(
    backend: str, shown: list[int], program: he.Program, seals: tuple[he.Signed, he.Signed]
) -> None:
    """The simulator is the broken copy: the two high bytes of 1.5 stand in its rows hundreds of times.

    In random bytes they stand once in 65,536; that 100 and twice as many more are found has a probability below 1e-50.
    """
    server = he.PredictionServer(program, seals[0], backend=backend)
    traffic = exchange(server, he.PredictionClient(np.full((100, 6), 1.5), seals[1], backend=backend))
    high = np.float64(1.5).tobytes()[6:]
    found = [n for n, (way, data) in enumerate(traffic) if way == "up" and data.count(high) > 100 + len(data) / 2**15]
    assert found == shown


@pytest.mark.parametrize("number", range(6))
def test_one_flipped_bit_is_refused_before_the_lattice_library_reads(
    number: int,
    program: he.Program,
    x: np.ndarray,
    seals: tuple[he.Signed, he.Signed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In each of the six messages, in the middle of its body."""
    read: list[int] = []
    original = SealBackend._load

    def watched(self: SealBackend, empty: object, data: bytes) -> None:
        read.append(len(data))
        original(self, empty, data)

    def flip(side: str, at: int, data: bytes) -> bytes:
        if at != number:
            return data
        monkeypatch.setattr(SealBackend, "_load", watched)
        changed = bytearray(data)
        changed[len(data) // 2] ^= 1
        return bytes(changed)

    with pytest.raises(IdentityError):
        exchange(he.PredictionServer(program, seals[0]), he.PredictionClient(x, seals[1]), flip)
    assert read == []


def test_messages_of_another_place_in_the_session_are_refused(
    program: he.Program, x: np.ndarray, seals: tuple[he.Signed, he.Signed]
) -> None:
    """The rows once more, or the server's own reply sent back."""
    server = he.PredictionServer(program, seals[0], backend="simulator")
    traffic = exchange(server, he.PredictionClient(x, seals[1], backend="simulator"))
    for data in (traffic[4][1], traffic[5][1], traffic[0][1]):
        with pytest.raises(IdentityError):
            server.answer(data)


def test_an_authentic_client_that_lies_gets_no_answer(
    program: he.Program, x: np.ndarray, seals: tuple[he.Signed, he.Signed]
) -> None:
    """More rows than ordered, a lower level, other rotations, or rows for another program."""

    def lying(change: Callable[[he.PredictionKeys], None]) -> str:
        keys = he.keygen(program.client_spec(), backend="simulator")
        mac = he.OwnMac(keys.client)
        server = he.PredictionServer(program, mac, backend="simulator")
        server.answer(he.PredictionClient(x[:2], mac).start())
        with pytest.raises(ReticentError) as caught:
            _send(server, keys, mac, change)
        return caught.value.code

    def _send(server: he.PredictionServer, keys: he.PredictionKeys, mac: he.OwnMac, change: object) -> None:
        evaluation, rows = change(keys)  # type: ignore[operator]
        server.answer(he.dump_evaluation_keys(evaluation, keys.client.backend, mac))
        server.answer(he.dump_ciphertexts(rows, mac))

    assert lying(lambda keys: (keys.evaluation, keys.encrypt(x))) == "he-foreign-rows"  # type: ignore[arg-type, return-value]
    fewer = program.client_spec().steps[1:]
    assert lying(lambda keys: (keys.client.evaluation(fewer), keys.encrypt(x))) == "unauthentic-ciphertext"  # type: ignore[arg-type, return-value]
    assert (
        lying(lambda keys: (keys.evaluation, dataclasses.replace(keys.encrypt(x[:2]), label="rows of another")))  # type: ignore[arg-type, return-value]
        == "unauthentic-ciphertext"
    )


def test_rows_outside_the_bounds_stop_at_the_client(
    program: he.Program, x: np.ndarray, seals: tuple[he.Signed, he.Signed]
) -> None:
    """Before keys are sent; the error holds a count and no number of the data."""
    server, client = he.PredictionServer(program, seals[0]), he.PredictionClient(x * 100, seals[1])
    with pytest.raises(ReticentError) as caught:
        exchange(server, client)
    assert caught.value.code == "he-out-of-bounds"
    assert "5 of 5 rows" in caught.value.message
    assert client.evaluation_key_bytes == 0


def test_many_rows_travel_in_several_messages(
    model: nn.Module, program: he.Program, seals: tuple[he.Signed, he.Signed]
) -> None:
    rows = np.random.default_rng(0).uniform(-3, 3, (8 * program.rows + 3, 6))
    server = he.PredictionServer(program, seals[0], backend="simulator")
    client = he.PredictionClient(rows, seals[1], backend="simulator")
    traffic = exchange(server, client)
    assert len(traffic) == 8
    np.testing.assert_allclose(client.values, exact(model, rows), atol=1e-3)


def test_over_a_channel(
    model: nn.Module, program: he.Program, x: np.ndarray, seals: tuple[he.Signed, he.Signed]
) -> None:
    """`serve` and `predict_remote`: what is counted is what travelled."""
    ends = threads(["server", "client"], deadline=30.0)
    served: list[int] = []
    worker = threading.Thread(target=lambda: served.append(he.serve(program, ends[0], seals[0])))
    worker.start()
    found = he.predict_remote(x, ends[1], seals[1])
    worker.join()
    np.testing.assert_allclose(found.values, exact(model, x), atol=1e-3)
    assert served == [5]
    assert (found.bytes_up, found.bytes_down) == (ends[1].bytes_sent, ends[0].bytes_sent)
    assert 0 < found.evaluation_key_bytes < found.bytes_up


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "he_service_factory.py").write_text(FACTORY)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "he_service_factory"


def test_two_processes(x: np.ndarray, factory: str) -> None:
    """The model is made in the server process alone, from its name."""
    found = he.predict_in_processes(x, f"{factory}:program", {"seed": 4})
    expected = importlib.import_module(factory).lowered(4).run(x)
    np.testing.assert_allclose(found.values, expected, atol=1e-3)
    assert found.precision == 1e-3
    assert found.bytes_up > found.bytes_down > 0


def test_a_server_that_dies_is_named(x: np.ndarray, factory: str) -> None:
    with pytest.raises(QuorumLost) as caught:
        he.predict_in_processes(x, f"{factory}:dies", {"seed": 4}, deadline=20.0, backend="simulator")
    assert "'server'" in caught.value.message


def test_the_description_fits_the_limit_of_a_message(program: he.Program) -> None:
    """It grows with the slots and the features only."""
    assert len(encode(program.client_spec())) < 1 << 17
