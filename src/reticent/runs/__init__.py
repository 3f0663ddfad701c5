"""The host of a run: binds a plan to roles, and makes charges, replies and checkpoints durable."""

from __future__ import annotations

from reticent.runs import durable, refusals
from reticent.runs.baselines import baselines
from reticent.runs.binding import Binding, Source, ledger_url, sources_of
from reticent.runs.computing import Opened, compute, load_opened, participants
from reticent.runs.coordinator import coordinate
from reticent.runs.encrypted import predict_encrypted, program_of
from reticent.runs.events import MILESTONES, Event, Observer
from reticent.runs.factory import find_factory, probe
from reticent.runs.folder import RunFolder
from reticent.runs.hosting import ledger_urls, make_host, open_host
from reticent.runs.leakage import measure_leakage
from reticent.runs.model import Bundle, export, load_model, predict, save_model
from reticent.runs.site import SiteHost

__all__ = [
    "MILESTONES",
    "Binding",
    "Bundle",
    "Event",
    "Observer",
    "Opened",
    "RunFolder",
    "SiteHost",
    "Source",
    "baselines",
    "compute",
    "coordinate",
    "durable",
    "export",
    "find_factory",
    "ledger_url",
    "ledger_urls",
    "load_model",
    "load_opened",
    "make_host",
    "measure_leakage",
    "open_host",
    "participants",
    "predict",
    "predict_encrypted",
    "probe",
    "program_of",
    "refusals",
    "save_model",
    "sources_of",
]
