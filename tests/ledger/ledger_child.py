"""Faults that need processes of their own: `python ledger_child.py MODE ADDRESS ARGUMENTS`, prints JSON.

    kill ADDRESS TRIALS BROKEN        SIGKILL a writer at random instants; what it was told must be in the ledger
    race ADDRESS WHAT N BROKEN        N processes do the same thing at the same time; prints each one's outcome
    races ADDRESS N                   every race once
    slots ADDRESS N ROUNDS BROKEN     N processes race for the last few slots of a budget, again and again
    disk ADDRESS                      writing beyond a limit of file size

BROKEN is 1 for a copy with its safeguard removed, 2 for one without its second line of defence either. The processes
are forks of one that has imported everything.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy.exc import DBAPIError

from reticent import dp
from reticent.errors import ReticentError
from reticent.ledger import Charge, Ledger, journal, pages, postgres_journal, sqlite_journal

STEP = dp.PoissonSampled(0.1, dp.Gaussian(2.0))
dp.epsilon = lambda events, *, delta, relation: dp.flatten(events).total() * 0.25


def grant(book: Ledger, epsilon: float = 1e5, delta: float = 0.01) -> None:
    claim = {"unit": "record", "relation": "add_or_remove_one", "reason": "test", "signer": "t"}
    book.grant("ward-7", epsilon=epsilon, delta=delta, **claim)


def reserve(book: Ledger, key: str, steps: int = 4) -> Charge:
    events = (dp.Repeated(STEP, steps),)
    release = dp.Release(
        events=events, unit="record", relation="add_or_remove_one", population="ward-7", dataset="2026"
    )
    return book.reserve(release, delta=1e-9, purpose="sepsis@1", plan_hash="ab12", key=key)


# kill ---------------------------------------------------------------------------------------------------------------


def work_until_killed(url: str, trial: int, told: int) -> None:
    book = Ledger(url)
    for number in range(10**6):
        key = f"{trial}-{number}"
        charge = reserve(book, key)
        os.write(told, f"reserve {key} \n".encode())
        if number % 4 == 3:
            charge.void("not needed")
            os.write(told, f"void {key} \n".encode())
            continue
        for attempt in range(3):
            charge.commit(f"r{attempt}", [STEP])
            os.write(told, f"commit {key} r{attempt}\n".encode())


@contextlib.contextmanager
def writing_late(self: journal.Journal, *, create: bool = False) -> Iterator[Any]:
    """The broken copy: it returns before the transaction is committed, and commits each fifth time only."""
    late = self.__dict__.setdefault("late", [])
    if not late:
        late.append(self._engine.connect())
        self._begin_writing(late[0])
    yield self._pages(late[0], None, create=create)
    self.calls = getattr(self, "calls", 0) + 1
    if self.calls % 5 == 0:
        late[0].commit()
        late.pop().close()


def kill(url: str, trials: str, broken: str) -> dict[str, Any]:
    grant(Ledger(url))
    path = pathlib.Path(url.removeprefix("sqlite:///"))
    result: Counter[str] = Counter()
    notes = pathlib.Path("told.txt")
    written = 1
    for trial in range(int(trials)):
        told = os.open(notes, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND)
        pid = os.fork()
        if pid == 0:
            if broken == "1":
                journal.Journal.writing = writing_late
            work_until_killed(url, trial, told)
        while not os.fstat(told).st_size:
            time.sleep(0.0005)
        time.sleep(random.uniform(0, 0.04))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(told)
        result["hot journals"] += path.with_name(path.name + "-journal").exists()
        book = Ledger(url, wait=10.0)
        grant(
            book, epsilon=1.0, delta=0.0
        )  # the server has ended the killed client's transaction, or is told to by this one
        result["rows"] = book.verify()
        stored = {f"{e.kind} {e.key} {e.commit_key}" for e in book.entries() if e.key.startswith(f"{trial}-")}
        promised = set(notes.read_text().splitlines())
        result["lost"] += len(promised - stored)
        result["told"] += len(promised)
        result["more than one ahead"] += result["rows"] - written > len(promised) + 2
        written = result["rows"]
    return result


# race ---------------------------------------------------------------------------------------------------------------


def races(url: str, racers: str) -> dict[str, Any]:
    """Every race once, each in a fork of its own: what it patches is gone afterwards."""
    found = {}
    for what in ("create", "reserve", "same reserve", "commit", "same commit"):
        answers, answer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(answer, json.dumps(race(url, what, racers, "0")).encode())
            os._exit(0)
        os.close(answer)
        with os.fdopen(answers) as reader:
            found[what] = json.loads(reader.read())
        os.waitpid(pid, 0)
    return found


def race(url: str, what: str, racers: str, broken: str) -> dict[str, Any]:
    acts: dict[str, Callable[[Ledger, int], object]] = {
        "create": lambda book, _: grant(book),
        "reserve": lambda book, number: reserve(book, f"run-{number}"),
        "same reserve": lambda book, _: reserve(book, "run"),
        "commit": lambda book, number: book.charge("first").commit(f"r{number}", [dp.Repeated(STEP, 3)]),
        "same commit": lambda book, _: book.charge("first").commit("r", [STEP]),
        "void": lambda book, n: book.charge("first").void("x") if n % 2 else book.charge("first").commit("r", [STEP]),
    }
    clear(url)  # each race begins with a ledger of its own
    if what != "create":
        grant(Ledger(url), epsilon=1.5 if what.endswith("reserve") else 1e5)
    if "commit" in what or what == "void":
        reserve(Ledger(url), "first", steps=4)
    break_safeguards(broken)
    meet_between_check_and_append(patience=0.15 if broken == "0" else 3.0)
    outcomes = run_together(url, acts[what], int(racers))
    book = Ledger(url)
    result: dict[str, Any] = {"outcomes": outcomes, "rows": len(book.entries())}
    with contextlib.suppress(ReticentError):
        result["verified"] = book.verify()
    return result


def clear(url: str) -> None:
    if url.startswith("sqlite"):
        pathlib.Path(url.removeprefix("sqlite:///")).unlink(missing_ok=True)
        return
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "", 1)) as connection:
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")


def break_safeguards(broken: str) -> None:
    if broken in "12":
        sqlite_journal._WRITE = "SELECT 1"  # no transaction: each statement for itself
        postgres_journal._WRITE = "SELECT 1"  # READ COMMITTED without the lock
    if broken == "2":
        append_after_whatever_is_last()
    if broken == "3":
        # The lock is there, but the snapshot is as old as the statement that waited for it.
        postgres_journal._ISOLATION = "REPEATABLE READ"


def append_after_whatever_is_last() -> None:
    """Forget which head was checked: otherwise the number of the row keeps a copy without the lock from overspending."""
    append = pages.Pages.append

    def late(self: pages.Pages, *arguments: Any, **fields: Any) -> Any:
        for _ in range(50):
            self._head = None
            # Where each statement stands for itself, a refused one leaves nothing behind; a server needs a savepoint.
            server = self._connection.dialect.name == "postgresql"
            with (
                contextlib.suppress(DBAPIError),
                self._connection.begin_nested() if server else contextlib.nullcontext(),
            ):
                return append(self, *arguments, **fields)
            time.sleep(random.uniform(0, 0.04))
        raise TimeoutError

    pages.Pages.append = late


def meet_between_check_and_append(*, patience: float) -> None:
    """Let the first process that has checked wait for a second one there, so that a race that can happen does."""
    append = pages.Pages.append
    arrivals = os.open("arrivals", os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_APPEND)

    def together(*arguments: Any, **fields: Any) -> Any:
        os.write(arrivals, b"x")
        end = time.monotonic() + patience
        while os.fstat(arrivals).st_size < 2 and time.monotonic() < end:
            time.sleep(0.001)
        return append(*arguments, **fields)

    pages.Pages.append = together


def run_together(url: str, act: Callable[[Ledger, int], object], racers: int) -> dict[str, int]:
    gate, opener = os.pipe()
    children = {}
    for number in range(racers):
        answers, answer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(opener)
            book = Ledger(url)
            os.read(gate, 1)  # returns when the parent closes the other end
            try:
                act(book, number)
                outcome = "ok"
            except ReticentError as error:
                outcome = error.code
            except BaseException as error:
                outcome = repr(error)
            os.write(answer, outcome.encode())
            os._exit(0)
        os.close(answer)
        children[pid] = answers
    os.close(opener)
    outcomes: Counter[str] = Counter()
    for pid, answers in children.items():
        with os.fdopen(answers) as reader:
            outcomes[reader.read()] += 1
        os.waitpid(pid, 0)
    return outcomes


# slots --------------------------------------------------------------------------------------------------------------


def slots(url: str, racers: str, rounds: str, broken: str) -> dict[str, Any]:
    """Let all racers reserve, and the winners commit, where the budget is enough for five of them."""
    break_safeguards(broken)
    if broken != "0":
        meet_between_check_and_append(patience=3.0)
    result: Counter[str] = Counter()
    for _ in range(int(rounds)):
        clear(url)
        grant(Ledger(url), epsilon=5.0)
        outcomes = run_together(url, win_a_slot, int(racers))
        book = Ledger(url)
        try:
            rows = book.verify()
        except ReticentError:
            rows = 0
        entries = book.entries()
        reserved = sum(entry.kind == "reserve" for entry in entries)
        committed = sum(entry.kind == "commit" for entry in entries)
        result["overspent"] += reserved > 5
        result["lost"] += committed < outcomes["ok"] or reserved < committed
        result["not verified"] += rows != len(entries)
        result["other outcomes"] += sum(outcomes.values()) - outcomes["ok"] - outcomes["budget-exhausted"]
        result["won"] += outcomes["ok"]
    return result


def win_a_slot(book: Ledger, number: int) -> None:
    reserve(book, f"run-{number}").commit("round 1", [STEP])


# disk ---------------------------------------------------------------------------------------------------------------


def disk(url: str) -> dict[str, Any]:
    book = Ledger(url)
    grant(book)
    path = pathlib.Path(url.removeprefix("sqlite:///"))
    no_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 8192, no_limit[1]))
    told, code = [], ""
    while not code:
        try:
            told.append(reserve(book, f"run-{len(told)}").key)
        except ReticentError as error:
            code = error.code
    full = {"code": code, "told": told, "rows": book.verify()}
    resource.setrlimit(resource.RLIMIT_FSIZE, no_limit)
    stored = [entry.key for entry in book.entries() if entry.kind == "reserve"]
    reserve(book, f"run-{len(told)}")
    return {**full, "stored": stored, "rows_after": book.verify()}


if __name__ == "__main__":
    mode, address, *arguments = sys.argv[1:]
    sys.stdout.write(
        json.dumps(
            {"kill": kill, "race": race, "races": races, "slots": slots, "disk": disk}[mode](address, *arguments)
        )
    )
