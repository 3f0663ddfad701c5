"""How each error code of runs, engines, the Python interface and the command line is raised."""

from __future__ import annotations

import dataclasses
import errno
import functools
import pathlib
import sys
from collections.abc import Callable
from unittest import mock

import numpy as np
import torch

import reticent
from reticent import api
from reticent.cli import about, app, results, studies
from reticent.cli.output import Format
from reticent.data import SiteMapping
from reticent.errors import DataError
from reticent.identity import Address, seal
from reticent.ledger import Ledger
from reticent.messages import encode
from reticent.roles import Exchange, Reply, Request
from reticent.runs import (
    Binding,
    Bundle,
    RunFolder,
    SiteHost,
    Source,
    baselines,
    durable,
    export,
    find_factory,
    load_model,
    make_host,
    save_model,
    sources_of,
)
from reticent.runs.coordinator import _Loop, _Traffic
from reticent.runs.journal import Journal
from reticent.runs.site import COORDINATOR, Ready
from reticent.runs.statistics import answers_of
from reticent.study import StatisticsPlan, Study, dump_study, load_study

_STUDY = """
[study]
name = "small"
purpose = "test"
contact = "dpo@example.org"
[data]
kind = "table"
person = "row"
test_fraction = 0.25
split_key = "small-1"
columns = [
  { name = "age", kind = "number", range = [0, 100] },
  { name = "outcome", kind = "label", values = ["no", "yes"] },
]
[model]
factory = "reticent.training.models:logistic"
loss = "cross_entropy"
[learning]
method = "fedavg"
rounds = 1
local_steps = 1
learning_rate = 0.5
%s
[secure_aggregation]
protocol = "plain"
[sites.east]
rows = 30
file = "east.csv"
[sites.north]
rows = 30
file = "north.csv"
"""
_PRIVATE = """
[privacy]
guarantee = "differential-privacy"
unit = "person"
relation = "add_or_remove_one"
target = { epsilon = 3.0, delta = 1e-4 }
max_grad_norm = 1.0
sampling_probability = 1.0
"""
_PLAIN = """batch_size = 8
[privacy]
guarantee = "none"
reason = "made-up records"
"""
_ROWS = "age,outcome\n" + "".join(f"{20 + n},{'yes' if n % 2 else 'no'}\n" for n in range(40))


def _home(folder: pathlib.Path, section: str = _PRIVATE) -> pathlib.Path:
    """Write a study with its tables and return the study file."""
    for site in ("east", "north"):
        (folder / f"{site}.csv").write_text(_ROWS)
    (folder / "study.toml").write_text(_STUDY % section)
    return folder / "study.toml"


@functools.cache
def _bound() -> api.BoundPlan:
    """Return a plan that is derived once; its sites have no files."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return reticent.plan(_home(pathlib.Path(folder)))


def _folder(path: pathlib.Path, *, objects: bool = False) -> RunFolder:
    settings = {"engine": "local", "baseline_seeds": 0, "objects": objects}
    bound = _bound()
    return RunFolder.create(path, bound.plan, dump_study(_study(path)), base=path, settings=settings)


def _study(folder: pathlib.Path) -> Study:
    return load_study(_home(folder))


def _host(folder: pathlib.Path) -> tuple[RunFolder, SiteHost]:
    run, url = _folder(folder), f"sqlite:///{folder}/budget.db"
    Ledger(url).grant(
        "east", epsilon=9, delta=1e-3, unit="person", relation="add_or_remove_one", reason="test", signer="t"
    )
    source = Source(folder / "east.csv", None, url)
    return run, make_host(run, _bound().binding, "east", source, observer=lambda event: None)


def _ready(folder: pathlib.Path, **changes: object) -> object:
    _, host = _host(folder)
    wanted = Ready(_bound().plan.hash, train=1, evaluate=0)
    return host._ready(dataclasses.replace(wanted, **changes))  # type: ignore[arg-type]


def _promise_without_noise(folder: pathlib.Path) -> object:
    """A site's noise is taken out of the plan by hand."""
    _, host = _host(folder)
    host._total, host._promised = None, 1.0
    return host._prepared()


def _site_failed(folder: pathlib.Path) -> object:
    """A site whose data fail in the middle of a run: the coordinator learns that, and nothing else."""
    run, host = _host(folder)
    error = DataError("file-unreadable", "row 7 holds a secret", hint="none")
    body = encode(host._refuse(Request(run.run, 1, 1, "train/update", b""), error))
    address = Address(run.run, 1, 1, "train/update", "east", COORDINATOR)
    loop, traffic = _Loop(run, mock.Mock(), run.key(COORDINATOR)), _Traffic()
    loop._open("east", seal(body, address, run.key("east")), Exchange(1, 1, "train/update", {}, 1.0), traffic)
    raise traffic.refusals["east"]


def _wrong_sender(folder: pathlib.Path) -> object:
    run, host = _host(folder)
    address = Address(run.run, 1, 1, "train/update", "north", "east")
    return host.answer(seal(b"", address, run.key("north")))


def _asked_otherwise(folder: pathlib.Path) -> object:
    plan = _bound().plan
    ask = ({"what": "count"},)
    part = StatisticsPlan(
        ask=ask,
        rows_per_person=None,
        confidence=0.95,
        noise_multiplier=None,
        length=1,
        bound=1.0,
        grid=0.5,
        layout_hash="of another version",
    )
    return answers_of(plan.model_copy(update={"statistics": part}), np.zeros(1), sites=1)


def _nothing_reserved(folder: pathlib.Path) -> object:
    _, host = _host(folder)
    release = _bound().plan.release("east")
    assert release is not None
    return host._pay(Request("run", 1, 1, "train/update", b""), release)


def _consent(**fields: object) -> Callable[[pathlib.Path], object]:
    def case(folder: pathlib.Path) -> object:
        mapping = SiteMapping.model_validate(fields)
        return _bound().binding.prepare("east", Source(None, mapping, ""), lambda event: None)

    return case


def _model_changed(folder: pathlib.Path) -> object:
    plan = _bound().plan
    facts = plan.model.model_copy(update={"code_hash": "0" * 64})
    return Binding(plan.model_copy(update={"model": facts}), folder).model()


def _model_not_found(folder: pathlib.Path) -> object:
    with mock.patch.object(sys, "path", list(sys.path)):
        return find_factory("no_such_module_anywhere:model", folder)


def _other_plan(folder: pathlib.Path) -> object:
    plan = _bound().plan
    other = plan.model_copy(update={"purpose": "another"})
    save_model(folder / "model.safetensors", torch.nn.Linear(1, 1), plan=other, round_number=1, attempt=1)
    return load_model(Bundle(folder, plan), base=folder)


def _unreadable(folder: pathlib.Path) -> object:
    (folder / "model.safetensors").write_bytes(b"no tensors")
    return load_model(Bundle(folder, _bound().plan), base=folder)


def _request_changed(folder: pathlib.Path) -> object:
    journal, request = Journal(folder), Request("run", 1, 1, "train/update", b"")
    journal.write(request, b"hash", Reply(b"answer"))
    return journal.find(request, b"another hash")


def _forgotten(folder: pathlib.Path) -> object:
    journal = Journal(folder)
    asked = [Request("run", 1, 1, f"train/batch-{number}", b"") for number in range(9)]
    for request in asked:
        journal.write(request, b"hash", Reply(b"answer"))
    return journal.find(asked[0], b"hash")


def _records_cross(folder: pathlib.Path) -> object:
    from reticent.training.models import two_layer

    label = {"name": "ill", "kind": "label", "values": ["no", "yes"]}
    return reticent.plan(
        model=two_layer,
        sites=["a", "b"],
        data={"kind": "table", "columns": [{"name": "age", "kind": "number", "range": [0.0, 1.0]}, label]},
        learning={"method": "split", "rounds": 1, "batch_size": 4, "learning_rate": 0.1},
        split={"cut": "0"},
        privacy={"guarantee": "none", "reason": "made up"},
        aggregation=None,
    )


def _cut_plan(folder: pathlib.Path) -> RunFolder:
    """A run of split learning that has not begun."""
    from reticent.training.models import two_layer

    label = {"name": "ill", "kind": "label", "values": ["no", "yes"]}
    bound = reticent.plan(
        model=two_layer,
        sites=["a", "b"],
        data={"kind": "table", "columns": [{"name": "age", "kind": "number", "range": [0.0, 1.0]}, label]},
        learning={"method": "split", "rounds": 1, "batch_size": 4, "learning_rate": 0.1},
        split={"cut": "1"},
        privacy={"guarantee": "none", "reason": "made up"},
        aggregation=None,
    )
    return RunFolder.create(folder, bound.plan, "", base=folder, settings={})


def _part_missing(folder: pathlib.Path) -> object:
    from reticent.runs.splitting import joined_state

    run = _cut_plan(folder)
    return joined_state(run.plan, {}, run.path / "sites")


def _other_people(_: pathlib.Path) -> object:
    """Two sites whose lists of people differ tell each other a digest, and no more."""
    from reticent.channels import threads
    from reticent.runs.computing import Shapes, _exchange

    plan = mock.Mock(contract=mock.Mock(person="id"))
    plan.sites = [mock.Mock(), mock.Mock()]
    plan.sites[0].name, plan.sites[1].name = "north", "south"
    plan.computation.holds = "columns"
    here, there = threads(["north", "south"], deadline=5.0)
    there.send(0, encode(Shapes(3, 1, b"other")))
    return _exchange(plan, Shapes(3, 1, b"order"), here)


def _diverged(_: pathlib.Path) -> object:
    """Opened coefficients of a size that 16 fraction bits do not carry."""
    from reticent.runs.computing import _check_range

    plan = mock.Mock()
    plan.computation.fraction_bits, plan.training.batch_size, plan.contract.classes = 16, 32, ()
    plan.training.optimizer.learning_rate = 30.0
    _check_range(plan, np.array([1e6, -2e6]))
    return _check_range(plan, np.array([1e8, -2e7]))


def _encrypted(folder: pathlib.Path, columns: list[dict[str, object]], rows: str) -> object:
    from reticent.data import Contract
    from reticent.runs import predict_encrypted

    label = {"name": "ill", "kind": "label", "values": ["no", "yes"]}
    contract = Contract.model_validate({"kind": "table", "columns": [*columns, label], "standardise": "none"})
    (folder / "rows.csv").write_text(rows)
    bundle = Bundle(folder, mock.Mock(contract=contract))
    return predict_encrypted(bundle, folder / "rows.csv", base=folder, precision=1e-3)


def _locked(folder: pathlib.Path) -> object:
    with durable.exclusive(folder / "lock", what="a test"), durable.exclusive(folder / "lock", what="a test"):
        return None


def _disk_full(folder: pathlib.Path) -> object:
    with mock.patch("os.fsync", side_effect=OSError(errno.ENOSPC, "no space left")):
        return durable.write(folder / "file", b"data")


def _doctor(folder: pathlib.Path) -> object:
    with mock.patch.object(about, "_NEEDED", ("a-package-that-nobody-has",)):
        return about.doctor(Format.text)


def _verification(folder: pathlib.Path) -> object:
    done = reticent.run(reticent.plan(_home(folder, _PLAIN)))
    model = done.folder / "model.safetensors"
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.write_bytes(bytes(data))
    return results.verify(done.folder, Format.text)


def _plan_differs(folder: pathlib.Path) -> object:
    other = reticent.plan(_home(folder, _PLAIN))
    return reticent.resume(_folder(folder).path, bound=other)


def _taken(folder: pathlib.Path) -> pathlib.Path:
    (folder / "file").write_text("here already")
    return folder


def _no_data(folder: pathlib.Path) -> object:
    study = _study(folder)
    east = study.sites["east"].model_copy(update={"file": None})
    return sources_of(study.model_copy(update={"sites": {**study.sites, "east": east}}), folder, {})


CASES: dict[str, Callable[[pathlib.Path], object]] = {
    "bad-override": lambda folder: studies.overrides_of(["learning.rounds"]),
    "baselines-need-public-data": lambda folder: baselines(_bound().binding, {}, seeds=1),
    "cannot-write": lambda folder: durable.append_line(_taken(folder) / "file" / "log.jsonl", {}),
    "disk-full": _disk_full,
    "doctor-found-faults": _doctor,
    "folder-not-empty": lambda folder: studies.new(_taken(folder), ["a", "b", "c"]),
    "model-changed": _model_changed,
    "model-not-found": _model_not_found,
    "model-of-another-plan": _other_plan,
    "model-unreadable": _unreadable,
    "no-model-here": Bundle.open,
    "no-run-here": RunFolder.open,
    "no-spare-execution": lambda folder: _ready(folder, train=2),
    "not-in-plan": lambda folder: _host(folder)[1]._answer(Request("run", 2, 1, "train/update", b"")),
    "no-statistics": lambda folder: answers_of(_bound().plan, np.zeros(1), sites=1),
    "statistics-version": _asked_otherwise,
    "nothing-reserved": _nothing_reserved,
    "nothing-to-plan": lambda folder: reticent.plan(),
    "objects-not-stored": lambda folder: reticent.resume(_folder(folder, objects=True).path),
    "objects-stay-here": lambda folder: reticent.run(_bound(), data={"east": []}, engine="processes"),
    "over-site-limit": _consent(max_epsilon=0.5),
    "plan-differs": lambda folder: _ready(folder, plan_hash="another"),
    "population-differs": _consent(population="another hospital"),
    "promise-without-noise": _promise_without_noise,
    "purpose-not-allowed": _consent(purposes=["something else"]),
    "bounds-not-declared": lambda folder: _encrypted(folder, [{"name": "age", "kind": "number"}], "age\n1\n"),
    "nothing-to-predict": lambda folder: _encrypted(folder, [{"name": "age", "kind": "number"}], "age\n"),
    "only-encrypted": lambda folder: app.predict(folder, folder / "rows.csv", plan_=True),
    "part-not-here": _part_missing,
    "parts-stay-apart": lambda folder: export(Bundle(folder, _cut_plan(folder).plan), folder / "new", card=""),
    "rows-not-aligned": _other_people,
    "computation-out-of-range": _diverged,
    "cut-sends-records": _records_cross,
    "reply-forgotten": _forgotten,
    "request-changed": _request_changed,
    "run-locked": _locked,
    "site-failed": _site_failed,
    "site-without-data": _no_data,
    "target-not-empty": lambda folder: export(Bundle(folder, _bound().plan), _taken(folder), card=""),
    "too-few-site-names": lambda folder: studies.new(folder / "study", ["a", "b"]),
    "unknown-code": lambda folder: about.explain_code("no-such-code"),
    "unknown-engine": lambda folder: reticent.run(_bound(), engine="moon"),
    "unknown-site": lambda folder: sources_of(_study(folder), folder, {"nowhere": []}),
    "verification-failed": _verification,
    "wrong-sender": _wrong_sender,
}

ALSO: dict[str, Callable[[pathlib.Path], object]] = {"plan-differs": _plan_differs}
"""The same codes at other places, with another class."""
