"""Links resolve; the glossary is one line and one source; SECURITY.md speaks of every room."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
TERMS = (
    "epsilon",
    "delta",
    "noise_multiplier",
    "max_grad_norm",
    "clipping_norm",
    "sampling_probability",
    "neighbouring relation",
    "round",
    "site",
    "coordinator",
    "share",
    "mask",
    "threshold",
    "dealer",
    "Beaver triple",
    "replicated sharing",
    "fixed point",
    "truncation",
    "opening",
    "semi-honest",
    "CKKS",
    "level",
    "slot",
    "evaluation key",
    "cut layer",
    "boundary",
    "smashed data",
    "label inference",
    "distance correlation",
    "canary",
)


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as repositories make them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def broken_links(path: Path, text: str) -> list[str]:
    """Return the links of a document that lead nowhere; links to other sites are not followed."""
    broken = []
    for target in LINK.findall(FENCE.sub("", text)):
        if target.startswith(("https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        there = file.exists() and (not anchor or anchor in anchors(file.read_text(encoding="utf-8")))
        if not there:
            broken.append(target)
    return broken


def test_links_resolve(documents: tuple[Path, ...]) -> None:
    found = {path.name: broken_links(path, path.read_text(encoding="utf-8")) for path in documents}
    assert {name: links for name, links in found.items() if links} == {}


def test_a_link_to_nowhere_is_seen(root: Path) -> None:
    """Broken copies: a file that is gone, a heading that was renamed."""
    readme = root / "README.md"
    assert broken_links(readme, "[a](docs/gone.md) [b](README.md#renamed) [c](README.md#the-ledger)") == [
        "docs/gone.md",
        "README.md#renamed",
    ]


@pytest.fixture(scope="module")
def glossary(root: Path) -> list[tuple[str, str, str]]:
    text = (root / "GLOSSARY.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]
    assert all(len(row) == 3 for row in rows), [row for row in rows if len(row) != 3]
    return [row for row in rows if row[0] != "term"]  # type: ignore[misc]


def test_each_term_has_one_line_and_one_source(glossary: list[tuple[str, str, str]]) -> None:
    terms = [term for term, _, _ in glossary]
    assert len(terms) == len(set(terms))
    assert [term for term in TERMS if term not in terms] == []
    for term, meaning, source in glossary:
        assert 20 < len(meaning) < 200, term
        assert re.search(r"\d{4}", source) or source.startswith("["), term


def test_every_room_has_its_threat_model(root: Path) -> None:
    text = (root / "SECURITY.md").read_text(encoding="utf-8")
    table = text.split("## Room by room")[1].split("\n## ", maxsplit=1)[0]
    described = {
        name for cell in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }
    source = root / "src" / "reticent"
    rooms = {path.stem for path in source.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(described) == sorted(rooms - {"__init__"})


def test_every_security_test_file_is_named(root: Path) -> None:
    """A new test file of a room that guards a promise is added to SECURITY.md."""
    text = (root / "SECURITY.md").read_text(encoding="utf-8")
    guards = ("channels", "dp", "foundations", "he", "ledger", "mpc", "rings", "secagg", "split")
    files = [path.relative_to(root).as_posix() for room in guards for path in (root / "tests" / room).glob("test_*.py")]
    assert [file for file in sorted(files) if f"({file})" not in text] == []


def test_the_changelog_has_the_version(root: Path) -> None:
    import tomllib

    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"## [{version}]" in (root / "CHANGELOG.md").read_text(encoding="utf-8")
