"""Starting is cheap, what is imported is small, and the public face is what it says."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "reticent"
PACKAGES = ["errors", "messages", "randomness", "identity", "dp", "rings", "secagg", "ledger", "data", "study", "roles"]


def _loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("package", ["", *PACKAGES])
def test_no_torch_below_training(package: str) -> None:
    loaded = _loaded_by(f"import reticent{'.' + package if package else ''}")
    assert "torch" not in loaded
    if not package:
        assert not {"numpy", "pandas", "sqlalchemy", "pydantic", "typer"} & loaded


def test_help_loads_no_heavy_library() -> None:
    loaded = _loaded_by(
        "import sys; sys.argv = ['reticent', '--help']\n"
        "from reticent.cli.app import app\ntry: app()\nexcept SystemExit: pass"
    )
    assert not {"torch", "pandas", "numpy", "sqlalchemy", "matplotlib"} & loaded


@pytest.mark.parametrize(
    "package",
    [
        "reticent",
        *(
            f"reticent.{p}"
            for p in (
                "data",
                "dp",
                "engines",
                "federated",
                "ledger",
                "report",
                "rings",
                "runs",
                "secagg",
                "study",
                "training",
            )
        ),
    ],
)
def test_exports_exist_once(package: str) -> None:
    """Their order is ruff's rule RUF022."""
    module = importlib.import_module(package)
    assert len(module.__all__) == len(set(module.__all__))
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_no_pickle_no_seedable_generator_near_secrets_and_print_only_in_the_command_line() -> None:
    """Calls that would undo a promise, found in the source itself."""
    for path in SOURCE.rglob("*.py"):
        tree, name = ast.parse(path.read_text()), path.relative_to(SOURCE).as_posix()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {"pickle", "marshal", "shelve", "dill"} & {m.split(".")[0] for m in modules}, name
                if name.split("/")[0] in ("secagg", "rings", "dp", "identity.py"):
                    assert not {"random", "secrets"} & {m.split(".")[0] for m in modules}, name
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if name.split("/")[0] != "cli":
                    assert called != "print", name
                if name.split("/")[0] in ("secagg", "rings", "dp"):
                    assert "default_rng" not in called, name
                    assert not called.startswith(("np.random", "torch.rand")), name


def test_every_verb_has_help(cli: Callable[..., Any]) -> None:
    verbs = ["new", "doctor", "plan", "run", "resume", "report", "verify", "predict", "export", "help", "ledger"]
    for verb in verbs:
        outcome = cli(verb, "--help")
        assert outcome.status == 0
        assert "Usage" in outcome.out
    for verb in ("grant", "show"):
        assert cli("ledger", verb, "--help").status == 0
    assert cli("--version").out.startswith("reticent ")


def test_doctor(cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli("doctor", "--format", "json")
    assert outcome.status == 0, outcome.out
    assert not list(tmp_path.iterdir())
