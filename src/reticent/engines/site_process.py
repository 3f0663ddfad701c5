"""The process of one site: open the run folder, answer envelopes until the input ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from reticent.engines.processes import read_frame, write_frame
from reticent.errors import ReticentError
from reticent.runs import Event, RunFolder, open_host


def main(path: str, site: str) -> int:
    """Serve `site` of the run in `path`."""
    # Whatever the study's code prints goes to the log: standard output belongs to the protocol.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    host = open_host(RunFolder.open(Path(path)), site, observer=_tell_the_log)
    while (envelope := read_frame(sys.stdin.buffer)) is not None:
        try:
            write_frame(replies, host.answer(envelope))
        except ReticentError as error:
            # An envelope that is not from this run's coordinator gets no answer; the site stays up.
            sys.stderr.write(f"{error}\n")
    return 0


def _tell_the_log(event: Event) -> None:
    """Write warnings about the site's own data to its own log; nobody else may know them."""
    if event.name == "warning":
        sys.stderr.write(f"warning: {event.detail['text']}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2]))
