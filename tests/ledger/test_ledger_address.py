"""Addresses as a parser: anything is an address or a refusal, and a password is never said again."""

from __future__ import annotations

import logging
import traceback
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reticent.errors import EnvironmentFault, UsageError
from reticent.ledger import Ledger
from reticent.ledger.address import FileAddress, ServerAddress, parse_address

PASSWORD = "gehe1m/@:%&?"
QUOTED = quote(PASSWORD, safe="")


def test_a_server() -> None:
    found = parse_address(f"postgresql+psycopg://ada:{QUOTED}@db.example:6432/budget%20one?sslmode=verify-full")
    assert isinstance(found, ServerAddress)
    assert (found.user, found.password, found.host, found.port) == ("ada", PASSWORD, "db.example", 6432)
    assert (found.database, found.options) == ("budget one", (("sslmode", "verify-full"),))
    assert found.url == "postgresql://ada@db.example:6432/budget%20one?sslmode=verify-full"
    again = parse_address(found.url)
    assert isinstance(again, ServerAddress)
    assert (again.host, again.database, again.password) == ("db.example", "budget one", "")


@pytest.mark.parametrize(
    ("url", "host", "database"),
    [
        ("postgresql:///budget", "", "budget"),
        ("postgresql://", "", ""),
        ("postgresql://[::1]:5432/b", "::1", "b"),
        ("postgresql:///b?host=/run/postgresql", "", "b"),
    ],
)
def test_short_addresses(url: str, host: str, database: str) -> None:
    found = parse_address(url)
    assert isinstance(found, ServerAddress)
    assert (found.host, found.database) == (host, database)
    assert isinstance(parse_address(found.url), ServerAddress)


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://ada:{QUOTED}@host/db",
        f"postgresql+asyncpg://ada:{QUOTED}@host/db",
        f"postgres://ada:{QUOTED}@host/db",
        f"postgresql://ada:{QUOTED}@host:port/db",
        f"postgresql://ada:{QUOTED}@host:99999999/db",
        f"postgresql://ada:{QUOTED}@[host/db",
        "postgresql://ada:gehe1m/db",
        f"postgresql://host/db?password={QUOTED}",
        f"postgresql://host/db?user=ada&options=-c%20x={QUOTED}",
        f"postgresql://ada:{QUOTED}@host/db#x",
        f"postgresql://ada:{QUOTED}@host/db?sslmode",
        f"postgresql:ada:{QUOTED}@host",
        f"sqlite://ada:{QUOTED}@host/db",
        f"sqlite:///a.db?password={QUOTED}",
    ],
)
def test_a_refused_address_is_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as error:
        Ledger(url)
    assert error.value.code == "invalid-ledger-url"
    assert "gehe1m" not in "".join(traceback.format_exception(error.value))


SCHEMES = st.sampled_from(["sqlite", "postgresql", "postgresql+psycopg", "postgresql+x"])
SHORT = st.text(max_size=8)
QUERY = st.text("=&ahost%", max_size=12)


@settings(deadline=None, max_examples=300)
@given(
    st.text()
    | st.builds("{}://{}".format, SCHEMES, st.text())
    | st.builds("postgresql://{}:{}@{}/{}?{}".format, SHORT, SHORT, SHORT, SHORT, QUERY)
)
def test_any_text_is_an_address_or_a_refusal(url: str) -> None:
    try:
        found = parse_address(url)
    except UsageError:
        return
    assert isinstance(found, FileAddress | ServerAddress)
    if isinstance(found, ServerAddress):
        again = parse_address(found.url)
        assert isinstance(again, ServerAddress)
        assert again.password == ""
        assert (again.user, again.host, again.port) == (found.user, found.host, found.port)
        assert (again.database, again.options) == (found.database, found.options)


@pytest.mark.parametrize("value", [None, 7, b"sqlite:///x.db", "sqlite:///a\0b.db"])
def test_what_is_no_text(value: object) -> None:
    with pytest.raises(UsageError):
        parse_address(value)


def test_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    """The driver's own words are shown, without the password; so are the traceback and the logs."""
    caplog.set_level(logging.DEBUG)
    book = Ledger(f"postgresql://ada:{QUOTED}@127.0.0.1:1/budget", wait=1.0)
    with pytest.raises(EnvironmentFault) as error:
        book.balance("ward-7")
    assert error.value.code == "ledger-unreachable"
    assert "postgresql://ada@127.0.0.1:1/budget" in error.value.message
    said = "".join(traceback.format_exception(error.value)) + caplog.text + repr(book) + str(vars(book._journal))
    assert PASSWORD not in said
    assert QUOTED not in said
    assert "gehe1m" not in said


def test_a_copy_that_shows_the_address_as_it_was_written_is_caught(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ServerAddress, "shown", property(lambda self: f"{self.url} {self.password}"))
    with pytest.raises(AssertionError):
        test_a_server_that_is_not_there(caplog)


def test_the_driver_may_repeat_what_it_was_given() -> None:
    found = parse_address(f"postgresql://ada:{QUOTED}@host/db")
    assert isinstance(found, ServerAddress)
    assert found.without_password(f"invalid dsn: password={PASSWORD} or {QUOTED}") == "invalid dsn: password=*** or ***"
    assert PASSWORD not in repr(found)
