"""The command line: `reticent VERB`. Each verb is a thin skin over the Python interface.

Exit codes: 0 done, 2 usage, 3 refused by privacy policy, 4 connection or identity, 5 quorum or timeout,
6 data or environment, 70 our bug, 130 stopped by the user.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its status."""
    from reticent.cli.app import run_app

    raise SystemExit(run_app())
