"""A ledger in a real PostgreSQL: the same faces as in a file, and the faults that a server adds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from reticent.errors import EnvironmentFault, PolicyRefused, ReticentError
from reticent.ledger import Ledger, postgres_journal, verify_export

CLAIM = {"unit": "record", "relation": "add_or_remove_one"}
GRANT = {**CLAIM, "epsilon": 2.0, "delta": 1e-4, "reason": "test", "signer": "Dr. Ada"}


@pytest.fixture
def shared(postgres: str) -> Ledger:
    """A ledger of an empty database, impatient."""
    return Ledger(postgres, wait=2.0)


def plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)


def reserve(book: Ledger, release: Callable, key: str = "run-1", steps: int = 4, **changes: Any) -> Any:
    return book.reserve(release(steps, **changes), delta=1e-5, purpose="sepsis@1", plan_hash="ab12", key=key)


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(ReticentError) as error:
        act()
    return error.value.code


def test_a_budget_from_grant_to_export(
    shared: Ledger, postgres: str, release: Callable, step: Any, tmp_path: Any
) -> None:
    assert (shared.entries(), shared.populations(), shared.head(), shared.verify()) == ([], (), None, 0)
    assert code_of(lambda: reserve(shared, release)) == "no-grant"
    shared.grant("ward-7", **GRANT)
    shared.grant("ward-8", **GRANT, filter="renyi")
    charge = reserve(shared, release)
    assert reserve(shared, release).key == charge.key
    charge.commit("round 1", [step])
    assert code_of(lambda: charge.commit("round 1", [step])) == "already-committed"
    assert code_of(lambda: charge.void("x")) == "cannot-void"
    reserve(shared, release, "run-2", 2).void("not needed")
    reserve(shared, release, "run-3", 2, population="ward-8")
    assert code_of(lambda: reserve(shared, release, "run-4", 8)) == "budget-exhausted"
    shared.declare_disjoint(["ward-7", "ward-8"], reason="two towns", signer="Dr. Ada")
    assert shared.total(["ward-7", "ward-8"]).granted_epsilon == 2.0

    again = Ledger(postgres)
    assert again.balance("ward-7").spent_epsilon == 1.0
    assert again.charge("run-1").remaining()[step] == 3
    assert again.verify(head=charge.head) == 8
    assert again.export(tmp_path / "x.jsonl") == verify_export(tmp_path / "x.jsonl") == shared.head()
    assert [entry.kind for entry in again.entries("ward-7")] == ["grant", "reserve", "commit", "reserve", "void"]


def test_rows_are_append_only_and_a_changed_one_is_found(shared: Ledger, postgres: str) -> None:
    shared.grant("ward-7", **GRANT)
    changes = ("update reticent_entries set signer = 'x'", "delete from reticent_entries", "truncate reticent_entries")
    for change in changes:
        with psycopg.connect(plain(postgres)) as other, pytest.raises(psycopg.Error, match="append-only"):
            other.execute(change)
    with psycopg.connect(plain(postgres)) as other:
        other.execute("alter table reticent_entries disable trigger reticent_no_change")
        other.execute("update reticent_entries set signer = 'Dr. Eve'")
    assert code_of(Ledger(postgres).verify) == "ledger-damaged"


def test_a_database_that_was_put_back_is_found(shared: Ledger, postgres: str, release: Callable) -> None:
    shared.grant("ward-7", **GRANT)
    reserve(shared, release)
    head = shared.head()
    with psycopg.connect(plain(postgres)) as other:
        other.execute("alter table reticent_entries disable trigger reticent_no_change")
        other.execute("delete from reticent_entries where seq = 2")
    assert code_of(lambda: shared.balance("ward-7")) == "ledger-rolled-back"
    assert Ledger(postgres).verify() == 1
    assert code_of(lambda: Ledger(postgres).verify(head=head)) == "ledger-rolled-back"
    with psycopg.connect(plain(postgres)) as other:
        other.execute("drop table reticent_ledger, reticent_entries, reticent_migrations cascade")
    assert code_of(lambda: reserve(shared, release, "run-2")) == "ledger-vanished"
    assert code_of(lambda: Ledger(postgres).verify(head=head)) == "ledger-rolled-back"


def test_tables_of_other_programs_are_no_obstacle(shared: Ledger, postgres: str) -> None:
    with psycopg.connect(plain(postgres)) as other:
        other.execute("create table patients (name text)")
    shared.grant("ward-7", **GRANT)
    assert shared.verify() == 1


def test_a_newer_form_is_refused(shared: Ledger, postgres: str) -> None:
    shared.grant("ward-7", **GRANT)
    with psycopg.connect(plain(postgres)) as other:
        other.execute("update reticent_ledger set version = 99")
    assert code_of(lambda: shared.balance("ward-7")) == "ledger-version"


def test_a_writer_waits_and_waiting_ends(shared: Ledger, postgres: str, release: Callable) -> None:
    shared.grant("ward-7", **GRANT)
    with psycopg.connect(plain(postgres)) as other:
        other.execute(f"select pg_advisory_xact_lock({postgres_journal._LOCK})")
        assert shared.balance("ward-7").left_epsilon == 2.0  # readers do not wait
        impatient = Ledger(postgres, wait=0.2)
        assert code_of(lambda: impatient.grant("ward-7", **GRANT)) == "ledger-busy"
        let_go = threading.Timer(0.4, other.rollback)
        let_go.start()
        start = time.monotonic()
        reserve(shared, release)
        assert time.monotonic() - start >= 0.2
        let_go.join()


def test_a_user_who_may_append_and_no_more(shared: Ledger, postgres: str, release: Callable, step: Any) -> None:
    """What docs/ledger.md recommends: programs read and append, the owner of the tables grants."""
    shared.grant("ward-7", **GRANT)
    name = f"program_{time.monotonic_ns()}"
    with psycopg.connect(plain(postgres)) as owner:
        owner.execute(f"create role {name} login")
        owner.execute(f"grant select on reticent_ledger, reticent_migrations, reticent_entries to {name}")
        owner.execute(f"grant insert on reticent_entries to {name}")
    try:
        program = Ledger(postgres.replace("//postgres", f"//{name}", 1), wait=2.0)
        reserve(program, release).commit("round 1", [step])
        assert program.verify() == 3
        with (
            psycopg.connect(plain(postgres).replace("//postgres", f"//{name}", 1)) as other,
            pytest.raises(psycopg.Error),
        ):
            other.execute("alter table reticent_entries disable trigger reticent_no_change")
        with psycopg.connect(plain(postgres)) as owner:
            owner.execute(f"revoke insert on reticent_entries from {name}")
        assert code_of(lambda: reserve(program, release, "run-2")) == "ledger-unreachable"
    finally:
        with psycopg.connect(plain(postgres)) as owner:
            owner.execute(f"drop owned by {name}")
            owner.execute(f"drop role {name}")


def test_commits_are_flushed_even_where_the_server_would_not(shared: Ledger, postgres: str) -> None:
    database = plain(postgres).rpartition("/")[2].partition("?")[0]
    with psycopg.connect(plain(postgres)) as other:
        other.execute(f"alter database {database} set synchronous_commit = off")
    shared.grant("ward-7", **GRANT)
    seen = []
    with shared._journal.writing() as pages:
        seen.append(pages._connection.exec_driver_sql("show synchronous_commit").scalar())
        seen.append(pages._connection.exec_driver_sql("show transaction_isolation").scalar())
    with shared._journal.reading() as pages:
        seen.append(pages._connection.exec_driver_sql("show transaction_isolation").scalar())
        seen.append(pages._connection.exec_driver_sql("show transaction_read_only").scalar())
    assert seen == ["on", "read committed", "repeatable read", "on"]


def test_a_row_that_the_tables_refuse(shared: Ledger, postgres: str, release: Callable) -> None:
    shared.grant("ward-7", **GRANT)
    with psycopg.connect(plain(postgres)) as other:
        other.execute("alter table reticent_entries add constraint another check (kind <> 'reserve')")
    assert code_of(lambda: reserve(shared, release)) == "ledger-invariant"
    assert Ledger(postgres).verify() == 1


def test_an_address_of_no_database(postgres: str) -> None:
    with pytest.raises(EnvironmentFault) as error:
        Ledger(postgres.replace("/ledger_", "/no_such_", 1)).entries()
    assert error.value.code == "ledger-unreachable"
    assert "does not exist" in error.value.message


def test_without_the_driver_the_fault_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault) as error:
        Ledger("postgresql://ada:geheim@host/budget")
    assert (error.value.code, error.value.hint) == ("ledger-driver-missing", "pip install 'reticent[postgres]'")
    assert "geheim" not in str(error.value)


def test_a_balance_is_quick_behind_many_entries(shared: Ledger, postgres: str, release: Callable) -> None:
    """1e5 rows; processor time of this process, and the plan of the query on the server."""
    shared.grant("ward-7", **GRANT)
    reserve(shared, release)
    with psycopg.connect(plain(postgres)) as other:
        columns = [
            row[0]
            for row in other.execute(
                "select column_name from information_schema.columns where table_name = 'reticent_entries' "
                "order by ordinal_position"
            )
        ]
        moved = {"seq": "-n", "key": "'k' || n", "previous": "'p' || n", "hash": "'h' || n"}
        other.execute(
            f"insert into reticent_entries select {', '.join(moved.get(name, name) for name in columns)} "
            "from reticent_entries, generate_series(1, 100000) n where seq = 2"
        )
        other.execute("analyze reticent_entries")
    start = time.process_time()
    assert shared.balance("ward-7").reserved_epsilon == 1.0
    assert time.process_time() - start < 0.05
    with psycopg.connect(plain(postgres)) as other:
        plan = other.execute(
            "explain select * from reticent_entries where population = 'ward-7' and (nano_epsilon > 0 or atto_delta > 0) "
            "order by seq desc limit 1"
        ).fetchall()
    assert "reticent_entries_that_move" in str(plan) or "reticent_entries_pkey" in str(plan)


def test_the_command_in_a_refusal_names_the_server(shared: Ledger, release: Callable) -> None:
    shared.grant("ward-7", **{**GRANT, "epsilon": 0.1})
    with pytest.raises(PolicyRefused, match="postgresql://") as error:
        reserve(shared, release)
    assert error.value.code == "budget-exhausted"
