"""Independent operations share rounds; cost says what was sent; results go only where they are meant to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reticent import mpc
from reticent.errors import ReticentError, UsageError

Run = Callable[..., Any]
X = np.arange(24.0).reshape(4, 6) - 7


def rounds(run: Run, function: Callable[[mpc.Tensor], Any]) -> int:
    """Return the rounds that `function` of one shared array takes, without those for the array."""

    def program(session: mpc.Session) -> int:
        x = session.input("x", owner=0, shape=X.shape)
        session.complete()
        before = session.cost.rounds
        function(x)
        session.complete()
        return session.cost.rounds - before

    found = run(program, {"x": X})[0]
    return int(max(found) if isinstance(found, list) else found)


def test_independent_operations_share_their_rounds(run: Run) -> None:
    kinds = [lambda x: x.relu(), lambda x: (x * x) > 3, lambda x: x.argmax(1), lambda x: x @ x.T, lambda x: x.exp()]
    assert rounds(run, lambda x: [kind(x) for kind in kinds]) == max(rounds(run, kind) for kind in kinds)
    assert rounds(run, lambda x: [x.relu() for _ in range(10)]) == rounds(run, lambda x: x.relu())
    assert rounds(run, lambda x: [x * x for _ in range(200)]) <= 2 * rounds(run, lambda x: x * x)


def test_rounds_are_as_documented(protocol: str, run: Run) -> None:
    extra = int(protocol == "replicated")
    assert rounds(run, lambda x: x.relu()) == 7 + extra
    assert rounds(run, lambda x: x + x * 2 - x.sum()) == 0
    assert rounds(run, lambda x: x.max(1)) == 3 * (7 + extra)


def test_together_and_one_by_one_reveal_the_same_in_fewer_rounds(run: Run) -> None:
    def apart(session: mpc.Session) -> Any:
        x = session.input("x", owner=0, shape=X.shape)
        return [x.reveal(), (x * 2).reveal(), x.relu().reveal()]

    def together(session: mpc.Session) -> Any:
        x = session.input("x", owner=0, shape=X.shape)
        return session.reveal_together(x, x * 2, x.relu())

    first, slow = run(apart, {"x": X})
    second, fast = run(together, {"x": X})
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert fast.total().rounds < slow.total().rounds


@pytest.mark.parametrize("to", ["all", 0, 1])
def test_results_go_where_they_are_meant_to(run: Run, to: Any) -> None:
    outputs, _ = run(lambda s: s.input("x", owner=0, shape=X.shape).reveal(to=to), {"x": X})
    if to == "all":
        assert np.array_equal(outputs, X)
    else:
        assert [one is None for one in outputs] == [party != to for party in range(len(outputs))]
        assert np.array_equal(outputs[to], X)


def test_cost_is_what_the_channels_counted(protocol: str, run: Run) -> None:
    from reticent.channels import threads

    ends = threads(["a", "b", "c"])

    def program(session: mpc.Session) -> Any:
        x = session.input("x", owner=0, shape=X.shape)
        return (x @ x.T).relu().softmax(1).reveal()

    _, cost = run(program, {"x": X}, channels=ends)
    # Requests to the dealer and the word that ends it are counted at the operations and not listed, respectively.
    listed = cost.total().bytes_sent
    assert 0 <= sum(end.bytes_sent for end in ends) - listed <= 16
    assert "total" in str(cost)
    assert {"keys", "input", "matmul", "relu", "reveal"} <= set(cost.by_operation())


def test_bytes_are_as_documented(protocol: str, run: Run) -> None:
    n = 10_000

    def program(session: mpc.Session) -> Any:
        return session.input("x", owner=0, shape=(n,)).relu().reveal()

    _, cost = run(program, {"x": np.ones(n)})
    sent = sum(e.bytes_sent for e in cost.entries if "relu" in e.name)
    assert sent / n < (92 if protocol == "replicated" else 76)
    assert sent / n > (90 if protocol == "replicated" else 74)


def test_an_error_at_one_party_ends_all_and_is_the_one_that_is_raised(run: Run) -> None:
    def program(session: mpc.Session) -> Any:
        x = session.input("x", owner=0, shape=X.shape)
        if session.party == 1:
            raise UsageError("no-such-axis", "made for the test", hint="none")
        return x.relu().reveal()

    with pytest.raises(UsageError, match="made for the test"):
        run(program, {"x": X})


def test_parties_that_disagree_end_with_an_error(run: Run) -> None:
    """Which one depends on who notices first."""

    def program(session: mpc.Session) -> Any:
        x = session.input("x", owner=0, shape=X.shape)
        return (x.relu() if session.party == 1 else x).reveal()

    with pytest.raises(ReticentError):
        run(program, {"x": X})


def test_many_operations_do_not_pile_up(run: Run) -> None:
    def program(session: mpc.Session) -> Any:
        x = session.input("x", owner=0, shape=(2,))
        for _ in range(300):
            x = x * 0.75 + 1
        return x.reveal()

    assert np.abs(run(program, {"x": np.ones(2)})[0] - 4).max() < 0.01


def test_words_and_names_survive_scalars(run: Run) -> None:
    def program(session: mpc.Session) -> Any:
        x = session.input("x", owner=0, shape=())
        y = session.public(2.5)
        return (x * y + x.relu()).reveal(), repr(x), len(session.public([1.0, 2.0]))

    found, text, length = run(program, {"x": np.array(1.5)})[0]
    assert float(found) == 1.5 * 2.5 + 1.5
    assert text == "Tensor(shape=(), fraction=16)"
    assert length == 2
