"""The site's role in federated learning: train or evaluate on its own data, and answer with one vector.

Run by: the site. Requires: an authenticated request, and for every update under differential privacy a grant for its
cost. Reveals: under differential privacy a noised update or noised counts, which satisfy the guarantee by themselves;
without it the exact update and counts. Under secure aggregation the coordinator sees the vector masked.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.data import Examples
from reticent.dp import Gaussian, Grant, Release
from reticent.errors import IdentityError, PolicyRefused, UsageError
from reticent.federated.aggregation import METRICS_BOUND, METRICS_PRECISION
from reticent.federated.learner import Learner
from reticent.federated.settings import Aggregation, Encoding, LocalTraining, Statistics
from reticent.federated.wire import (
    EVALUATE,
    STATISTICS,
    TRAIN,
    PlainUpdate,
    RoundOpening,
    UpdateRequest,
    session_of,
)
from reticent.identity import Roster, SigningKey
from reticent.messages import decode, encode
from reticent.roles import Reply, Request
from reticent.secagg import Client as MaskingClient
from reticent.secagg import Parameters

__all__ = ["Client"]

_MESSAGE_LIMIT = 1 << 32


class Client:
    """One site, for any torch model, loss and optimiser.

    Args:
      model: The model; its parameters are overwritten by every request.
      training: How this site trains within a round.
      aggregation: How vectors are summed; the client enforces cohort and dropouts itself.
      train: Training rows; never leave the site.
      test: Held-out rows; never leave the site.
      name, key, roster: This site's identity and the pinned keys of all sites, and of nobody else; needed under secure
        aggregation.
      statistics: What this site answers before the first round; None if the plan asks for nothing.
    """

    def __init__(
        self,
        model: Any,
        training: LocalTraining,
        aggregation: Aggregation,
        *,
        train: Examples,
        test: Examples,
        name: str = "site",
        key: SigningKey | None = None,
        roster: Roster | None = None,
        statistics: Statistics | None = None,
    ) -> None:
        self._statistics = statistics
        self._learner = Learner(model, training, train=train, test=test, name=name)
        self._private = training.private
        self._training = training
        self._aggregation = aggregation
        self._name = name
        self._key = key
        self._roster = roster
        self._session: tuple[tuple[str, int, int], RoundOpening, MaskingClient] | None = None

    def cost(self, request: Request) -> Release | None:
        """Return what answering reveals: training or counts in step `update`, nothing in the steps of the masks."""
        task, step = _task(request)
        if step != "update":
            return None
        if task == STATISTICS:
            return self._asked().cost()
        if self._private is None:
            return None
        if task == TRAIN:
            return self._private.release(self._private.execution(self._training.local_steps or 0))
        if self._private.metrics_noise_multiplier is None:
            raise PolicyRefused(
                "metrics-not-released",
                "the coordinator asked for metrics, and the plan releases none",
                hint="add [release.metrics] to the study and make a new plan",
            )
        return self._private.release(Gaussian(self._private.metrics_noise_multiplier))

    def handle(self, request: Request, grant: Grant | None) -> Reply:
        """Answer one step of one task. Keys live in memory only: after a restart the attempt is refused."""
        task, step = _task(request)
        match step:
            case "keys":
                return Reply(self._open(task, request))
            case "shares":
                return Reply(self._masking(task, request).share_keys(request.body))
            case "update":
                return self._update(task, request, grant)
            case "unmask":
                return Reply(self._masking(task, request).unmask(request.body))
        raise IdentityError("unknown-phase", f"phase is {request.phase!r}", hint="run the same version at every party")

    def _open(self, task: str, request: Request) -> bytes:
        if self._key is None or self._roster is None:
            raise UsageError(
                "no-identity", "this client has no identity for secure aggregation", hint="give name, key and roster"
            )
        opening = decode(request.body, RoundOpening, limit=_MESSAGE_LIMIT)
        if len(opening.members) != self._aggregation.cohort or len(set(opening.members)) != len(opening.members):
            raise PolicyRefused(
                "wrong-cohort",
                f"the coordinator opened a sum of {len(set(opening.members))} sites, "
                f"the plan says {self._aggregation.cohort}",
                hint="this site hides among the planned number of sites or not at all: run the plan that all approved",
            )
        if not set(opening.members) <= set(self._roster):
            raise PolicyRefused(
                "wrong-cohort",
                "the coordinator opened a sum with members who are no sites of the plan",
                hint="a member that the coordinator plays itself hides nobody: do not answer before this is explained",
            )
        encoding = self._encoding(task)
        parameters = Parameters(
            clients=self._aggregation.cohort,
            length=encoding.length,
            bound=encoding.bound,
            precision=encoding.precision,
            dropouts=self._aggregation.dropouts,
        )
        members = Roster({member: self._roster[member] for member in opening.members})
        session = session_of(request.run, task, request.round, request.attempt, opening)
        masking = MaskingClient(parameters, name=self._name, key=self._key, roster=members, session=session)
        self._session = ((task, request.round, request.attempt), opening, masking)
        return masking.advertise()

    def _encoding(self, task: str) -> Encoding:
        if task == STATISTICS:
            return self._asked().encoding
        if task == TRAIN:
            settings = self._aggregation
            return Encoding(length=self._learner.length, bound=settings.bound, precision=settings.precision)
        return Encoding(length=self._learner.metrics_length, bound=METRICS_BOUND, precision=METRICS_PRECISION)

    def _asked(self) -> Statistics:
        if self._statistics is None:
            raise PolicyRefused(
                "statistics-not-released",
                "the coordinator asked for statistics, and the plan releases none",
                hint="add [statistics] to the study and make a new plan",
            )
        return self._statistics

    def _masking(self, task: str, request: Request) -> MaskingClient:
        if self._session is None or self._session[0] != (task, request.round, request.attempt):
            raise PolicyRefused(
                "attempt-lost",
                f"the keys of round {request.round}, attempt {request.attempt} are gone",
                hint="keys are never written down: repeat the round as a new attempt",
            )
        return self._session[2]

    def _update(self, task: str, request: Request, grant: Grant | None) -> Reply:
        body = decode(request.body, UpdateRequest, limit=_MESSAGE_LIMIT)
        masked = self._aggregation.protocol == "secagg"
        masking = self._masking(task, request) if masked else None
        if masked and self._session is not None:
            received = hashlib.sha256(np.ascontiguousarray(body.model).tobytes()).digest()
            if received != self._session[1].model_hash:
                raise IdentityError(
                    "model-differs",
                    "the model is not the one announced when the round was opened",
                    hint="the coordinator must send one model to all sites: do not answer before this is explained",
                )
        vector, private_notes = self._values(task, request, body.model, grant)
        notes = json.dumps(private_notes, sort_keys=True).encode()
        if masking is not None:
            return Reply(masking.masked_input(body.shares, vector), notes)
        return Reply(encode(PlainUpdate(vector)), notes)

    def _values(
        self, task: str, request: Request, model: NDArray[Any], grant: Grant | None
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        if task == STATISTICS:
            return self._asked().vector(grant), {}
        if task == TRAIN:
            return self._learner.update(model, round_number=request.round, grant=grant, bound=self._aggregation.bound)
        return self._learner.metrics(model, grant=grant)


def _task(request: Request) -> tuple[str, str]:
    task, _, step = request.phase.partition("/")
    if task not in (STATISTICS, TRAIN, EVALUATE):
        raise IdentityError("unknown-phase", f"phase is {request.phase!r}", hint="run the same version at every party")
    return task, step
