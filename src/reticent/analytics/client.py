"""The site's role in a federated statistic: sum its own rows, noise the sum, answer with that.

Run by: the site. Requires: an authenticated request, and a grant for the one release. Reveals: the noised vector, which
satisfies the guarantee by itself; under secure aggregation the coordinator sees it masked.
"""

from __future__ import annotations

import numpy as np

from reticent.analytics.rows import Rows
from reticent.analytics.settings import Charged, Statistics
from reticent.analytics.wire import TASK, Asked, Opening, Vector, session_of
from reticent.dp import Grant, Release
from reticent.errors import IdentityError, PolicyRefused, UsageError
from reticent.identity import Roster, SigningKey
from reticent.messages import decode, encode
from reticent.roles import Reply, Request
from reticent.secagg import Client as MaskingClient

__all__ = ["Client"]

_LIMIT = 1 << 30


class Client:
    """One site.

    Args:
      settings: What this site agreed to; it answers nothing else.
      rows: Its rows; they never leave it.
      charged: Whose budget pays.
      name, key, roster: Its identity and the pinned keys of all sites and of nobody else; needed under `secagg`.
    """

    def __init__(
        self,
        settings: Statistics,
        rows: Rows,
        charged: Charged,
        *,
        name: str = "site",
        key: SigningKey | None = None,
        roster: Roster | None = None,
    ) -> None:
        self._settings, self._rows, self._charged = settings, rows, charged
        self._name, self._key, self._roster = name, key, roster
        self._session: tuple[int, MaskingClient] | None = None

    def cost(self, request: Request) -> Release | None:
        """Return what answering reveals: the one release in step `update`, nothing in the steps of the masks."""
        if _step(request) != "update":
            return None
        layout = self._settings.layout
        return Release(
            events=(layout.event(self._settings.noise_multiplier),),
            unit=layout.unit,
            relation=layout.relation,
            population=self._charged.population,
            dataset=self._charged.dataset,
        )

    def handle(self, request: Request, grant: Grant | None) -> Reply:
        """Answer one step. Keys live in memory only: after a restart the attempt is refused."""
        match _step(request):
            case "keys":
                return Reply(self._open(request))
            case "shares":
                return Reply(self._masking(request).share_keys(request.body))
            case "update":
                return self._update(request, grant)
            case "unmask":
                return Reply(self._masking(request).unmask(request.body))
        raise IdentityError("unknown-phase", f"phase is {request.phase!r}", hint="run the same version at every party")

    def _open(self, request: Request) -> bytes:
        if self._key is None or self._roster is None:
            raise UsageError(
                "no-identity", "this client has no identity for secure aggregation", hint="give name, key and roster"
            )
        opening = decode(request.body, Opening, limit=_LIMIT)
        self._check(opening.settings)
        members = set(opening.members)
        if len(members) != self._settings.cohort or len(opening.members) != len(members):
            raise PolicyRefused(
                "wrong-cohort",
                f"the coordinator opened a sum of {len(members)} sites, the plan says {self._settings.cohort}",
                hint="this site hides among the planned number of sites or not at all: run the plan that all approved",
            )
        if not members <= set(self._roster):
            raise PolicyRefused(
                "wrong-cohort",
                "the coordinator opened a sum with members who are no sites of the plan",
                hint="a member that the coordinator plays itself hides nobody: do not answer before this is explained",
            )
        masking = MaskingClient(
            self._settings.parameters,
            name=self._name,
            key=self._key,
            roster=Roster({member: self._roster[member] for member in opening.members}),
            session=session_of(request.run, request.attempt, opening),
        )
        self._session = (request.attempt, masking)
        return masking.advertise()

    def _masking(self, request: Request) -> MaskingClient:
        if self._session is None or self._session[0] != request.attempt:
            raise PolicyRefused(
                "attempt-lost",
                f"the keys of attempt {request.attempt} are gone",
                hint="keys are never written down: repeat the round as a new attempt",
            )
        return self._session[1]

    def _update(self, request: Request, grant: Grant | None) -> Reply:
        settings = self._settings
        asked = decode(request.body, Asked, limit=_LIMIT)
        self._check(asked.settings)
        masking = self._masking(request) if settings.protocol == "secagg" else None
        if grant is None:
            raise PolicyRefused(
                "noise-not-granted",
                "the release was not paid for",
                hint="reserve and commit a charge for what `cost` returned",
            )
        vector = settings.layout.vector(self._rows, noise_multiplier=settings.noise_multiplier, grant=grant)
        # After the noise, so that whether a site is larger than declared shows in nothing but its own noised sum.
        vector = np.clip(vector, -settings.bound, settings.bound)
        if masking is not None:
            return Reply(masking.masked_input(asked.shares, vector))
        return Reply(encode(Vector(vector)))

    def _check(self, settings: bytes) -> None:
        if settings != self._settings.hash:
            raise IdentityError(
                "statistics-differ",
                "the coordinator asks other questions, or with other noise, than this site agreed to",
                hint="give all parties the same plan; do not answer before this is explained",
            )


def _step(request: Request) -> str:
    task, _, step = request.phase.partition("/")
    if task != TASK:
        raise IdentityError("unknown-phase", f"phase is {request.phase!r}", hint="run the same version at every party")
    return step
