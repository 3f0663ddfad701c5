"""Party files: what is written is read, and what is wrong is named with its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from reticent.errors import EnvironmentFault, IdentityError, ReticentError, UsageError
from reticent.mpc import party, party_file
from reticent.mpc.party_file import party_files, read_party_file


def changed(folder: Path, old: str, new: str, *, protocol: str = "replicated") -> Path:
    """Write good files, and one of them with `old` replaced by `new`."""
    names = ("north", "south", "west") if protocol == "replicated" else ("north", "south")
    files = party_files(folder, names, protocol=protocol)  # type: ignore[arg-type]
    text = files["north"].read_text()
    assert old in text
    files["north"].write_text(text.replace(old, new, 1))
    return files["north"]


def test_files_for_trying_out_are_read_back(tmp_path: Path) -> None:
    files = party_files(tmp_path, ("north", "south"), protocol="additive", fraction_bits=20, deadline=7)
    read = {name: read_party_file(path) for name, path in files.items()}
    assert list(read) == ["north", "south", "dealer"]
    assert [file.me for file in read.values()] == list(read)
    assert [file.is_dealer for file in read.values()] == [False, False, True]
    assert len({(file.session, file.deadline, str(file.public_keys)) for file in read.values()}) == 1
    north = read["north"]
    assert (north.settings.fraction_bits, north.settings.truncation, north.deadline) == (20, "exact", 7.0)
    assert list(north.public_keys) == list(read)
    assert north.parties["north"].place[0] == "127.0.0.1"
    assert Path(north.key) == tmp_path / "north.key"
    assert Path(north.key).stat().st_mode & 0o077 == 0


def test_ipv6_addresses_have_brackets(tmp_path: Path) -> None:
    path = changed(tmp_path, '"127.0.0.1:', '"[::1]:')
    assert read_party_file(path).parties["north"].place[0] == "::1"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("deadline = 30.0", "deadline = 0.0", "deadline"),
        ("deadline = 30.0", "dead_line = 30.0", "dead_line"),
        ("fraction_bits = 16", 'fraction_bits = "16"', "settings.fraction_bits"),
        ("fraction_bits = 16", "fraction_bits = 99", "settings.fraction_bits"),
        ("fraction_bits = 16", "bits = 16", "settings.bits"),
        ('protocol = "replicated"', 'protocol = "magic"', "protocol"),
        ('me = "north"', 'me = "east"', "me"),
        ('address = "127.0.0.1:', 'address = "127.0.0.1', "parties.north.address"),
        ('public_key = "', 'public_key = "x', "parties.north.public_key"),
        ('[parties."west"]', '[parties."we st"]', "parties.we st"),
        ("[settings]", "[settings", ""),
    ],
)
def test_wrong_values_are_named_with_file_and_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    path = changed(tmp_path, old, new)
    with pytest.raises(UsageError) as caught:
        read_party_file(path)
    assert caught.value.code == "party-file-invalid"
    assert caught.value.message.startswith(f"{path}: {key}")


@pytest.mark.parametrize(
    ("protocol", "old", "new", "key"),
    [
        ("additive", 'name = "dealer"', 'name = "south"', "dealer.name"),
        ("additive", "[dealer]", "[parties.dealer]\naddress = 'h:1'\n#", "dealer"),
        ("additive", 'protocol = "additive"', 'protocol = "replicated"', "parties"),
        ("replicated", 'protocol = "replicated"', 'protocol = "additive"', "dealer"),
    ],
    ids=["dealer-computes", "no-dealer", "two-replicated", "additive-without"],
)
def test_parties_must_fit_the_protocol(tmp_path: Path, protocol: str, old: str, new: str, key: str) -> None:
    path = changed(tmp_path, old, new, protocol=protocol)
    text = path.read_text().replace('#\nname = "dealer"\n', "")
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_party_file(path)
    assert caught.value.message.startswith(f"{path}: {key}")


def test_one_key_for_two_parties_is_refused(tmp_path: Path) -> None:
    files = party_files(tmp_path, ("north", "south", "west"))
    file = read_party_file(files["north"])
    one, other = (file.parties[name].public_key for name in ("north", "south"))
    files["north"].write_text(files["north"].read_text().replace(other, one))
    with pytest.raises(IdentityError, match=str(files["north"])):
        read_party_file(files["north"])


def test_unreadable_files_and_files_of_another_role(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="missing"):
        read_party_file(tmp_path / "missing.toml")
    files = party_files(tmp_path, ("north", "south"), protocol="additive")
    with pytest.raises(UsageError, match="is the dealer"):
        party.connect(files["dealer"])
    with pytest.raises(UsageError, match="is no dealer"):
        party.run_dealer_file(files["north"])
    with pytest.raises(ReticentError):  # keys are never overwritten
        party_files(tmp_path, ("north", "south"), protocol="additive")


def test_the_head_of_the_module_is_a_party_file(tmp_path: Path) -> None:
    """The example that the errors point to; its keys are shortened there."""
    assert party_file.__doc__
    example = party_file.__doc__.partition("\n\n")[2]
    lines = [line.split("   ")[0].strip() if "=" in line else line.strip() for line in example.splitlines()]
    lines = [line.partition('"   ')[0] for line in lines]
    text = "\n".join(line for line in lines if line.startswith("[") or " = " in line)
    assert "public_key" in text
    assert "[parties.north]" in text


def program_one(session: object) -> int:
    return 1


def test_the_hash_of_a_program_is_that_of_its_text() -> None:
    assert party.hash_of(program_one) == party.hash_of(program_one)
    assert party.hash_of(program_one) != party.hash_of(test_the_hash_of_a_program_is_that_of_its_text)

    class Program:
        def __call__(self, session: object) -> int:
            return 1

    assert party.hash_of(Program()) == party.hash_of(Program())
    typed_in: dict[str, object] = {}
    exec("def program(session): return 1", typed_in)
    assert len(party.hash_of(typed_in["program"])) == 64  # type: ignore[arg-type]
