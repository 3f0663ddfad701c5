"""What the documents tell people to type is executed as it stands.

Every ```python block, and every ```bash block marked `runnable`, in a folder of its own. `reticent` and `python` are
those of the environment that runs the tests; `make` is only asked what it would do.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(?P<kind>[^\n`]+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[tuple[str, int, str]]:
    """Yield (kind, line, body) of every fenced block."""
    for match in BLOCK.finditer(text):
        yield match["kind"].strip(), text[: match.start()].count("\n") + 1, match["body"]


def marked(kind: str) -> list[tuple[str, int, str]]:
    """Return (document, line, body) of all blocks of one kind in all documents."""
    found = []
    for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))):
        for block, line, body in blocks(path.read_text(encoding="utf-8")):
            if block == kind:
                found.append((path.relative_to(ROOT).as_posix(), line, body))
    return found


def places(kind: str) -> list[object]:
    return [pytest.param(line, body, id=f"{document}:{line}") for document, line, body in marked(kind)]


@pytest.mark.parametrize(("line", "body"), places("python"))
def test_python_blocks_run(line: int, body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block by itself: what it needs it imports."""
    monkeypatch.chdir(tmp_path)
    exec(compile(body, f"block at line {line}", "exec"), {"__name__": "block"})


@pytest.mark.parametrize(("line", "body"), places("bash runnable"))
def test_bash_blocks_run(line: int, body: str, tmp_path: Path) -> None:
    """Each block as a script that stops at the first failure, in a folder that looks like the repository."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, command in (
        ("reticent", f"exec '{sys.executable}' -c 'from reticent.cli import main; main()' \"$@\""),
        ("python", f"exec '{sys.executable}' \"$@\""),
        ("make", f"exec /usr/bin/env PATH=/usr/bin:/bin make --dry-run -C '{ROOT}' \"$@\""),
    ):
        (tools / name).write_text(f"#!/bin/sh\n{command}\n")
        (tools / name).chmod(0o755)
    here = tmp_path / "repository"
    here.mkdir()
    (here / "examples").symlink_to(ROOT / "examples")
    environment = {**os.environ, "PATH": f"{tools}:/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", body], cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"block at line {line} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_the_readme_has_what_it_must_have() -> None:
    """The two commands, a picture, a minute for each technique that exists, and what is not protected."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for needed in (
        "make demo",
        "make test",
        "docs/report.png",
        "### Federated learning",
        "### Differential privacy",
        "### Secure aggregation",
        "### Secure computation",
        "### Homomorphic encryption",
        "### Split learning",
        "### Vertical learning",
        "### The ledger",
        "reticent advise",
        "predict --encrypted",
        "## What it does not protect",
    ):
        assert needed in text, needed
    assert len(marked("python")) >= 15
    assert len(marked("bash runnable")) >= 5


def test_no_document_names_a_registry_or_a_machine() -> None:
    """Hosts of package indices, paths of this machine and names of tools around it stay out."""
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"https?://(?!keepachangelog\.com|semver\.org)\S+|/(?:work|root)/\S*", text)
        assert found == [], f"{path.name}: {found}"


def test_a_block_that_fails_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken copies: a misspelt name in Python, a refused command in the middle of a script."""
    text = (
        "```python\nimport reticent\nreticent.plam('study.toml')\n```\n\n```bash runnable\nreticent plam x\ntrue\n```\n"
    )
    (_, _, python), (_, _, bash) = blocks(text)
    with pytest.raises(AttributeError):
        test_python_blocks_run(1, python, tmp_path, monkeypatch)
    with pytest.raises(AssertionError, match="No such command"):
        test_bash_blocks_run(1, bash, tmp_path)


def test_indented_blocks_are_not_overlooked() -> None:
    """A fence that is indented, as in a list, would not be executed: there is none."""
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"^[ \t]+```", text, re.MULTILINE), path.name
