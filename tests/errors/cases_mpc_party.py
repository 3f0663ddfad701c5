"""How each error code of the party process is raised."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from reticent import mpc


def _files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    return mpc.party_files(folder, ("north", "south"), protocol="additive")


def _invalid(folder: pathlib.Path) -> object:
    (folder / "party.toml").write_text('session = "one"\n')
    return mpc.read_party_file(folder / "party.toml")


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "dealer-file": lambda folder: mpc.connect(_files(folder)["dealer"]),
    "not-the-dealer": lambda folder: mpc.run_dealer_file(_files(folder)["north"]),
    "party-file-invalid": _invalid,
    "party-file-unreadable": lambda folder: mpc.read_party_file(folder / "missing.toml"),
}
