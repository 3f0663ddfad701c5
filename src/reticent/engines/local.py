"""All sites on this machine and in this process: the default, with ordinary tracebacks."""

from __future__ import annotations

from collections.abc import Mapping

from reticent.runs import SiteHost

__all__ = ["InProcess"]


class InProcess:
    """Calls every site's host in turn. A bug in the study's own code surfaces with its own traceback."""

    def __init__(self, hosts: Mapping[str, SiteHost]) -> None:
        self._hosts = dict(hosts)

    def exchange(self, requests: Mapping[str, bytes], *, deadline: float) -> Mapping[str, bytes]:  # noqa: ARG002
        """Return every site's answer; nothing is lost or late inside one process."""
        return {site: self._hosts[site].answer(request) for site, request in requests.items()}
