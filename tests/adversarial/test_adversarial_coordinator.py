"""Whoever holds the coordinator's key may ask anything, in any order: a site answers what its plan says, and no more."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reticent.engines import InProcess
from reticent.errors import IdentityError, PolicyRefused
from reticent.federated import Aggregation, Client
from reticent.federated.wire import RoundOpening, UpdateRequest
from reticent.identity import Address, seal
from reticent.ledger import Ledger
from reticent.messages import encode
from reticent.roles import Exchange, Request
from reticent.runs.coordinator import _Loop, _Traffic
from reticent.runs.site import COORDINATOR, Answer, Ready

PLAIN = {'protocol = "secagg"\ndropouts = 1': 'protocol = "plain"\ndropouts = 1'}
NO_PRIVACY = {
    'guarantee = "differential-privacy"': 'guarantee = "none"\nreason = "made-up records"',
    'unit = "person"\nrelation = "add_or_remove_one"\ntarget = { epsilon = 3.0, delta = 1e-4 }\nmax_grad_norm = 1.0\n'
    "sampling_probability = 0.25\nspare_executions = 1\n": "",
    "learning_rate = 0.5": "learning_rate = 0.5\nbatch_size = 8",
    "metrics = { every = 0, epsilon = 0.5 }": 'metrics = "none"',
}


def _model(values: Any) -> UpdateRequest:
    return UpdateRequest(model=np.asarray(values, dtype=np.float32), shares=b"")


def _commits(folder: Path, site: str) -> int:
    return sum(entry.kind == "commit" for entry in Ledger(f"sqlite:///{folder / 'budget.db'}").entries(site))


def test_exact_figures_that_the_plan_does_not_release_are_refused(attack: Callable[..., Any]) -> None:
    """Without an epsilon no ledger stands in the way: the schedule of the plan must."""
    attacker = attack({**NO_PRIVACY, **PLAIN}, granted=None)
    for number in (1, 2, 3):
        answer = attacker.ask("north", "evaluate/update", _model(attacker.start), round=number)
        assert (answer.accepted, answer.code, answer.body) == (False, "not-in-plan", b"")
    assert not (attacker.folder.site("north") / "exact.jsonl").exists()


@pytest.mark.parametrize("number", [-(2**62), -5, -1, 0, 4, 1_000_000, 2**62])
def test_rounds_that_the_plan_does_not_contain_are_refused(attack: Callable[..., Any], number: int) -> None:
    """A seven-figure round also made the journal forget the answers of all rounds before it, its own among them."""
    attacker = attack({**NO_PRIVACY, **PLAIN}, granted=None)
    assert attacker.ask("north", "train/update", _model(attacker.start), round=3).accepted
    answer = attacker.ask("north", "train/update", _model(attacker.start), round=number)
    assert (answer.accepted, answer.code) == (False, "not-in-plan")
    assert len(list((attacker.folder.site("north") / "journal").iterdir())) == 1


@pytest.mark.parametrize(
    "phase", ["", "../../x", "train", "train.update", "train/\0", "/etc/passwd", "withdraw/update"]
)
def test_phases_from_the_wire_name_no_files(attack: Callable[..., Any], phase: str) -> None:
    attacker = attack(PLAIN)
    before = set(attacker.folder.path.parent.parent.rglob("*"))
    assert not attacker.ask("north", phase, _model(attacker.start)).accepted
    written = {path.name for path in set(attacker.folder.path.parent.parent.rglob("*")) - before}
    assert written <= {"refusals.jsonl", "heads", "north.json"}  # the ledger's head after the site reserved
    assert _commits(attacker.folder.path.parent.parent, "north") == 0


@pytest.mark.parametrize("members", [("coordinator", "north", "south"), ("east", "nobody", "north")])
def test_a_coordinator_cannot_play_a_member_of_the_sum(attack: Callable[..., Any], members: tuple[str, ...]) -> None:
    """With its own key in the roster it would be one of the threshold, and could uncover a single site alone."""
    attacker = attack()
    opening = RoundOpening(members, hashlib.sha256(attacker.start.tobytes()).digest())
    answer = attacker.ask("north", "train/keys", opening)
    assert (answer.accepted, answer.code) == (False, "wrong-cohort")


@pytest.mark.parametrize("members", [("north",), ("north", "south"), ("north", "north", "south")])
def test_a_smaller_company_is_refused(attack: Callable[..., Any], members: tuple[str, ...]) -> None:
    attacker = attack()
    opening = RoundOpening(members, hashlib.sha256(attacker.start.tobytes()).digest())
    assert attacker.ask("north", "train/keys", opening).code == "wrong-cohort"


def test_masks_cannot_be_asked_away(attack: Callable[..., Any]) -> None:
    """An update asked for without keys, or in the form of plain aggregation, is refused under secure aggregation."""
    attacker = attack()
    answer = attacker.ask("north", "train/update", _model(attacker.start))
    assert (answer.accepted, answer.code, answer.body) == (False, "attempt-lost", b"")


def test_one_persons_rows_never_decide_whether_a_site_answers(attack: Callable[..., Any], tmp_path: Path) -> None:
    """A coordinator may send weights under which the exact loss is infinite for one person only.

    The noised counts are paid for; that the site fell silent where that person had come told the rest.
    """
    accepted = []
    for extra in ([], [{"age": 99.0, "smoker": "yes", "outcome": "no"}] * 8):
        attacker = attack(PLAIN)
        rows = [{"age": 80.0, "smoker": "no", "outcome": "yes"}] * 40
        pd.DataFrame(rows + extra).to_csv(tmp_path / "north.csv", index=False)
        model = np.zeros_like(attacker.start).reshape(-1)
        model[0], model[1] = -3e38, 3e38  # some wrong answer becomes infinitely wrong
        for attempt, weights in enumerate((model, np.where(model, -model, 0), np.resize([3e38, -3e38], model.shape))):
            accepted.append(
                attacker.ask("north", "evaluate/update", _model(weights), round=3, attempt=attempt + 1).accepted
            )
    assert accepted == [True, True, False] * 2  # the third is not paid for


def test_a_repeated_question_costs_nothing_and_a_changed_one_is_refused(attack: Callable[..., Any]) -> None:
    attacker = attack(PLAIN)
    home = attacker.folder.path.parent.parent
    first = attacker.ask("north", "train/update", _model(attacker.start))
    assert attacker.ask("north", "train/update", _model(attacker.start)).body == first.body
    assert attacker.ask("north", "train/update", _model(attacker.start + 1)).code == "request-changed"
    assert _commits(home, "north") == 1
    attacker.hosts["north"] = attacker.host("north")  # a restart
    assert attacker.ask("north", "train/update", _model(attacker.start)).body == first.body
    for reply in (attacker.folder.site("north") / "journal").iterdir():
        reply.unlink()  # as if the crash had come before the journal
    assert attacker.ask("north", "train/update", _model(attacker.start)).code == "already-committed"
    assert _commits(home, "north") == 1


def test_what_is_answered_never_exceeds_the_plan_however_it_is_asked(attack: Callable[..., Any]) -> None:
    """Three rounds and one spare execution are planned: four updates leave, whatever the numbers say."""
    attacker = attack(PLAIN)
    answers = [
        attacker.ask("north", "train/update", _model(attacker.start), round=number, attempt=attempt)
        for number, attempt in [(3, 2**62), (1, 1), (3, 1), (2, 7), (2, 8), (1, 2), (3, 2)]
    ]
    assert [answer.accepted for answer in answers] == [True] * 4 + [False] * 3
    assert {answer.code for answer in answers[4:]} == {"reservation-spent"}
    assert _commits(attacker.folder.path.parent.parent, "north") == 4


def test_a_false_count_of_what_is_left_opens_nothing(attack: Callable[..., Any]) -> None:
    attacker = attack(PLAIN)
    for train in (-1, 0, 4, 2**62):
        answer = attacker.ask("north", "ready", Ready(attacker.plan.hash, train, 0), round=0, attempt=0)
        assert answer.accepted is (train <= 4)
    assert not attacker.ask("north", "ready", Ready("0" * 64, 1, 0), round=0, attempt=0).accepted


def test_only_this_runs_coordinator_may_ask(attack: Callable[..., Any]) -> None:
    """Neither another site, nor the coordinator under a site's name, nor an envelope of another run or for another."""
    attacker = attack(PLAIN)
    host, run = attacker.hosts["north"], attacker.folder.run
    body = b""
    forged = [
        (Address(run, 1, 1, "train/update", "south", "north"), "south"),
        (Address(run, 1, 1, "train/update", "south", "north"), COORDINATOR),
        (Address(run, 1, 1, "train/update", COORDINATOR, "north"), "south"),
        (Address("0" * 16, 1, 1, "train/update", COORDINATOR, "north"), COORDINATOR),
        (Address(run, 1, 1, "train/update", COORDINATOR, "south"), COORDINATOR),
    ]
    for address, signer in forged:
        with pytest.raises(IdentityError):
            host.answer(seal(body, address, attacker.folder.key(signer)))


def test_replies_are_of_one_length(attack: Callable[..., Any], tmp_path: Path) -> None:
    """What travels has the same size whatever the site holds."""
    lengths = set()
    for rows in (3, 30):
        attacker = attack(PLAIN)
        frame = pd.DataFrame(
            [{"age": 30.0 + n, "smoker": "no", "outcome": "yes" if n % 2 else "no"} for n in range(4 * rows)]
        )
        frame.to_csv(tmp_path / "north.csv", index=False)
        answers = [
            attacker.ask("north", phase, _model(attacker.start), round=3)
            for phase in ("train/update", "evaluate/update")
        ]
        assert all(answer.accepted for answer in answers)
        lengths.add(tuple(len(answer.body) for answer in answers))
    assert len(lengths) == 1


def test_without_a_check_of_members_the_attack_works(attack: Callable[..., Any]) -> None:
    """The broken copy: a client that is given the whole roster, as it was, lets the coordinator in."""
    attacker = attack()
    prepared = attacker.binding.prepare("north", attacker._sources["north"], lambda event: None)
    client: Client = attacker.binding.client(
        "north", prepared, key=attacker.folder.key("north"), roster=attacker.folder.roster
    )
    assert isinstance(client._aggregation, Aggregation)
    opening = RoundOpening(("coordinator", "north", "south"), b"0" * 32)
    assert client.handle(Request("run", 1, 1, "train/keys", encode(opening)), None).message
    with pytest.raises(PolicyRefused):
        client.handle(
            Request("run", 1, 2, "train/keys", encode(RoundOpening(("x", "north", "south"), b"0" * 32))), None
        )


def test_a_refusal_before_the_run_holds_no_count_of_rows(attack: Callable[..., Any], tmp_path: Path) -> None:
    """Under an epsilon, how many rows a site holds, and how many are spoilt, may not leave it in an error's words."""
    attacker = attack(PLAIN)
    table = pd.read_csv(tmp_path / "north.csv").astype({"age": object})
    table.loc[:6, "age"] = "unknown"
    table.to_csv(tmp_path / "north.csv", index=False)
    answer = attacker.ask("north", "ready", Ready(attacker.plan.hash, 3, 1), round=0, attempt=0)
    assert (answer.accepted, answer.code) == (False, "not-a-number")
    assert not {"7", "60"} & set(answer.message.replace(":", " ").split())


def test_a_site_cannot_write_to_the_operators_terminal_or_log(attack: Callable[..., Any]) -> None:
    """A refusal's words come from the site: escape codes, and a code of any length, must not reach the operator."""
    attacker = attack(PLAIN)
    run = attacker.folder
    answer = Answer(
        accepted=False, code="x\x1b[2J" * 1000, message="\x1b]0;owned\x07all is well", hint="\x9bfix", exit_status=3
    )
    address = Address(run.run, 1, 1, "train/update", "north", COORDINATOR)
    loop, traffic = _Loop(run, InProcess({}), run.key(COORDINATOR)), _Traffic()
    exchange = Exchange(1, 1, "train/update", {}, 1.0)
    assert loop._open("north", seal(encode(answer), address, run.key("north")), exchange, traffic) is None
    error = traffic.refusals["north"]
    assert (error.code, traffic.absent["north"]) == ("site-failed", "refused: site-failed")
    assert all(sign.isprintable() or sign == "\n" for sign in error.message + error.hint)
    assert "all is well" in error.message
