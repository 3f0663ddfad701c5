"""ARCHITECTURE.md: the two lines are where it says, the layers are those that are enforced, the rooms exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "ARCHITECTURE.md").read_text(encoding="utf-8")


def first_paragraph(page: str) -> str:
    return " ".join(page.split("\n\n")[1].split())


def check_line(paragraph: str, root: Path, path: str, function: str) -> None:
    """Assert that the paragraph names `function` and `path`, and quotes a line that stands there, in that function."""
    assert f"({path})" in paragraph
    assert f"`{function}`" in paragraph
    source = (root / path).read_text(encoding="utf-8")
    body = source.split(f"def {function}(")[1].split("\ndef ", maxsplit=1)[0]
    quoted = [
        line for line in re.findall(r"`([^`]+)`", paragraph) if line in body and ("=" in line or "return" in line)
    ]
    assert len(quoted) == 1, f"{path}: none of the quoted lines stands in {function}"


def test_the_line_that_clips_and_the_line_that_adds_the_noise(page: str, root: Path) -> None:
    paragraph = first_paragraph(page)
    check_line(paragraph, root, "src/reticent/training/clipping.py", "clip")
    check_line(paragraph, root, "src/reticent/dp/mechanisms.py", "add_gaussian")
    assert len(paragraph.split()) < 150


def test_a_line_that_moved_is_noticed(page: str, root: Path) -> None:
    """Broken copies: the quoted line is changed; the function has another name."""
    paragraph = first_paragraph(page)
    with pytest.raises(AssertionError):
        check_line(paragraph.replace("max=1.0", "max=2.0"), root, "src/reticent/training/clipping.py", "clip")
    with pytest.raises(AssertionError):
        check_line(paragraph, root, "src/reticent/training/clipping.py", "norms")


def test_noise_is_added_nowhere_else(root: Path) -> None:
    """The first paragraph says "the only one": rounded noise is drawn in one function, which one module calls."""
    users = [
        path.relative_to(root).as_posix()
        for path in sorted((root / "src").rglob("*.py"))
        if re.search(r"\brounded_gaussian\(", path.read_text(encoding="utf-8"))
    ]
    assert users == ["src/reticent/dp/mechanisms.py", "src/reticent/dp/noise.py"]


def test_doors_open_the_way_that_is_enforced(page: str, root: Path) -> None:
    (block,) = re.findall(r"```layers\n(.*?)```", page, re.DOTALL)
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    enforced = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    assert block.split("\n")[:-1] == [layer.replace("reticent.", "") for layer in enforced]


def test_every_room_is_described(page: str, root: Path) -> None:
    described = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    source = root / "src" / "reticent"
    rooms = {path.stem for path in source.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(described) == sorted(rooms - {"__init__"})


def test_every_name_in_the_walk_exists(page: str, root: Path) -> None:
    """`room.name` in backticks is a public name of the room."""
    import importlib

    walk = page.split("## A walk through one run")[1].split("\n## ", maxsplit=1)[0]
    for room, name in re.findall(r"`(api|runs|study|report|training|federated)\.(\w+)(?:\.\w+)?`", walk):
        module = importlib.import_module(f"reticent.{room}")
        assert hasattr(module, name) or importlib.import_module(f"reticent.{room}.{name}"), f"{room}.{name}"
