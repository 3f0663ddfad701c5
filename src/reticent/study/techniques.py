"""What a study of split learning or secure computation may not ask; `refusals` has what all studies share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from reticent.errors import PolicyRefused, UsageError
from reticent.study.sections import Study

__all__ = ["check_columns", "check_sections", "checks_of"]

Check = Callable[[Study, str], None]

_SECTIONS = {
    "fedavg": "secure_aggregation",
    "fedprox": "secure_aggregation",
    "split": "split",
    "vertical": "split",
    "secure-computation": "secure_computation",
}
_ADD = {
    "secure_aggregation": '[secure_aggregation] with protocol = "secagg" (the coordinator sees the sum alone) or '
    '"plain" (it sees every update)',
    "split": '[split] with cut = "NAME OF A MODULE", or for vertical learning with width and top',
    "secure_computation": '[secure_computation] with protocol = "replicated" or "additive" and '
    'holds = "rows" or "columns"',
}


def check_sections(study: Study, at: str) -> None:
    """Refuse a study whose sections are not those of its method: a section that nobody reads protects nobody.

    Raises:
      UsageError: If the method's own section is missing, or another method's is there.
    """
    method = study.learning.method
    for name, section in _ADD.items():
        given, wanted = getattr(study, name) is not None, _SECTIONS[method] == name
        if wanted and not given:
            raise UsageError("missing-key", f"{at}{name} is missing", hint=f"add {section}")
        if given and not wanted:
            raise UsageError(
                "section-of-another-method",
                f"{at}[{name}] is not read with learning.method = {method!r}",
                hint=f"remove [{name}], or choose the method that it belongs to",
            )


def checks_of(study: Study) -> tuple[Check, ...]:
    """Return the checks of a method other than federated learning."""
    own = _computation if study.learning.method == "secure-computation" else _split
    return (_passes, own)


def _passes(study: Study, at: str) -> None:
    """Rounds are passes over all rows of all sites: settings of rounds with local training say nothing."""
    learning = study.learning
    for key in ("local_steps", "local_epochs", "clients_per_round", "mu"):
        if getattr(learning, key):
            raise UsageError(
                "not-for-this-method",
                f"{at}learning.{key} is {getattr(learning, key):g} with method {learning.method!r}",
                hint=f"remove {key}: a round is one pass over the training rows, in batches of batch_size",
            )
    if learning.batch_size is None:
        raise UsageError(
            "missing-key", f"{at}learning.batch_size is missing", hint="add batch_size to [learning], for example 32"
        )
    if learning.momentum and learning.optimizer not in ("sgd", "rmsprop"):
        raise UsageError(
            "momentum-and-optimizer",
            f"{at}learning.momentum is {learning.momentum:g} with optimizer {learning.optimizer!r}, which has none",
            hint='remove momentum, or use optimizer = "sgd"',
        )


def check_columns(study: Study, at: str) -> None:
    """Where sites hold columns, each column must be at exactly one of them, and rows must be told by the person."""
    if not study.by_columns:
        named = [name for name, site in study.sites.items() if site.columns]
        if named:
            raise UsageError(
                "columns-not-split",
                f"{at}sites.{named[0]}.columns is given, and sites hold rows of the same columns",
                hint='remove it, or use method = "vertical" or secure_computation.holds = "columns"',
            )
        return
    if study.data.kind != "table" or study.data.person in ("row", "given"):
        raise UsageError(
            "rows-not-named",
            f"{at}data.person is {study.data.person!r}, and sites hold columns of the same rows",
            hint='name the column that tells which row is whose at every site: person = "patient_id" in a table',
        )
    declared = [column.name for column in study.data.columns]
    held = Counter(column for site in study.sites.values() for column in site.columns)
    wrong = sorted({column for column in (*declared, *held) if held[column] != 1 or column not in declared})
    if wrong:
        raise UsageError(
            "columns-not-divided",
            f"{at}sites: {', '.join(wrong[:5])} is not held by exactly one site, or is no column of the contract",
            hint='give every column of the contract, the label too, to one site: columns = ["age", "outcome"]',
        )
    idle = sorted(name for name, site in study.sites.items() if not set(site.columns) - {study.data.label})
    if idle:
        raise UsageError(
            "site-without-columns",
            f"{at}sites.{idle[0]} holds no column to learn from",
            hint="give it a column besides the label, or leave the site out",
        )
    if study.data.incomplete_rows != "zero":
        raise UsageError(
            "rows-cannot-be-left-out",
            f"{at}data.incomplete_rows is {study.data.incomplete_rows!r}, and sites hold columns of the same rows",
            hint="let columns declare what stands in for a missing value (missing = ...): all sites need all rows",
        )


def _computation(study: Study, at: str) -> None:
    section, learning, sites = study.secure_computation, study.learning, len(study.sites)
    assert section is not None  # noqa: S101 - `check_sections` has seen it
    if study.privacy.claimed:
        raise PolicyRefused(
            "epsilon-under-sharing",
            f"{at}privacy.guarantee is 'differential-privacy' with method 'secure-computation'",
            hint='shares hide the rows, and the opened model is not noised: say guarantee = "none" with a reason, or '
            "use federated learning, whose noise is accounted",
        )
    needed = "exactly three" if section.protocol == "replicated" else "two or more"
    if sites < 2 or (section.protocol == "replicated" and sites != 3):
        raise UsageError(
            "parties-and-protocol",
            f"{at}secure_computation.protocol is {section.protocol!r}, and the study has {sites} sites",
            hint=f"{section.protocol} needs {needed} sites"
            + ('; use protocol = "additive" for another number' if section.protocol == "replicated" else ""),
        )
    if study.release.metrics is not None and study.release.metrics.every:
        raise UsageError(
            "not-for-this-method",
            f"{at}release.metrics.every is {study.release.metrics.every} with method 'secure-computation'",
            hint="use every = 0: nothing is opened before the last round",
        )
    if learning.optimizer != "sgd" or learning.momentum:
        raise UsageError(
            "steps-under-sharing",
            f"{at}learning.optimizer is {learning.optimizer!r} with momentum {learning.momentum:g}",
            hint='regressions are computed by plain gradient steps: optimizer = "sgd", no momentum',
        )
    fits = {"binary_cross_entropy_with_logits": 2, "mse_loss": 0}.get(study.model.loss)
    if fits is None or len(study.data.classes) != fits:
        raise UsageError(
            "loss-under-sharing",
            f"{at}model.loss is {study.model.loss!r}, and the label has {len(study.data.classes)} classes",
            hint="under sharing there is logistic regression (binary_cross_entropy_with_logits, two classes) and linear "
            "regression (mse_loss, a number)",
        )


def _split(study: Study, at: str) -> None:
    section, vertical = study.split, study.learning.method == "vertical"
    assert section is not None  # noqa: S101 - `check_sections` has seen it
    own, other = (("width", "top"), ("cut", "head")) if vertical else (("cut",), ("width", "top"))
    for key in own:
        if getattr(section, key) is None:
            raise UsageError("missing-key", f"{at}split.{key} is missing", hint=_SPLIT[key])
    for key in other:
        if getattr(section, key) is not None:
            raise UsageError(
                "not-for-this-method",
                f"{at}split.{key} is {getattr(section, key)!r} with method {study.learning.method!r}",
                hint=f"remove {key}; {study.learning.method} learning has {' and '.join(own)}",
            )
    if vertical and len(study.sites) < 2:
        raise UsageError(
            "parties-and-protocol",
            f"{at}learning.method is 'vertical', and the study has {len(study.sites)} site",
            hint="columns are divided between two sites or more",
        )
    if study.privacy.claimed:
        _promise_at_the_cut(study, at)


def _promise_at_the_cut(study: Study, at: str) -> None:
    """Refuse an epsilon that noise where the model is cut cannot give."""
    privacy = study.privacy
    if study.learning.method == "split" and (study.split is None or study.split.head is None):
        raise PolicyRefused(
            "labels-travel",
            f"{at}an epsilon is claimed, and without split.head the labels go to the coordinator as they are",
            hint='let labels stay: head = "NAME OF THE MODULE after which the model comes back to the site"',
        )
    if privacy.relation != "replace_one":
        raise PolicyRefused(
            "presence-is-seen",
            f"{at}privacy.relation is {privacy.relation!r}: a message for every row tells who is there",
            hint='use relation = "replace_one"; where membership is secret, use federated learning',
        )
    if privacy.unit == "person" and study.data.person != "row" and not study.by_columns:
        raise PolicyRefused(
            "person-with-many-rows",
            f"{at}privacy.unit is 'person', and a person of {study.data.person!r} may have any number of rows",
            hint='use unit = "record", or one row for each person: person = "row"',
        )
    _norms_at_the_cut(study, at)
    if study.by_columns and privacy.protects == "records" and privacy.sites_per_person != len(study.sites):
        raise PolicyRefused(
            "same-people-everywhere",
            f"{at}privacy.sites_per_person is {privacy.sites_per_person}, and all {len(study.sites)} sites hold the same "
            "people",
            hint=f"set sites_per_person = {len(study.sites)}: what all sites release about one person is composed",
        )
    if study.release.metrics is not None:
        raise PolicyRefused(
            "figures-across-the-cut",
            f"{at}release.metrics asks for figures, and an evaluation sends test rows across the cut",
            hint='set metrics = "none" where an epsilon is claimed; test the joined model on records that may be used',
        )
    _who_is_trained_on_is_fixed(study, at)


def _norms_at_the_cut(study: Study, at: str) -> None:
    """Refuse a missing norm, and settings that nothing at the cut would read."""
    privacy = study.privacy
    labels_alone = privacy.protects == "labels"
    for key in ("max_activation_norm", "max_gradient_norm", "max_grad_norm"):
        wanted = key == "max_gradient_norm" or not labels_alone
        if wanted and getattr(privacy, key) is None:
            raise UsageError(
                "missing-key", f"{at}privacy.{key} is missing", hint="say how large one row may be at the cut: 1.0"
            )
        if not wanted and getattr(privacy, key) is not None:
            raise UsageError(
                "not-for-this-method",
                f"{at}privacy.{key} is {getattr(privacy, key):g}, and only labels are protected",
                hint="remove it: only the gradient at the model's outputs is clipped and noised",
            )
    for key in ("sampling_probability", "expected_batch_size"):
        if getattr(privacy, key) is not None:
            raise UsageError(
                "not-for-this-method",
                f"{at}privacy.{key} is {getattr(privacy, key):g} with method {study.learning.method!r}",
                hint="remove it: every row is sent in every pass, and batches amplify nothing",
            )


def _who_is_trained_on_is_fixed(study: Study, at: str) -> None:
    """Refuse what lets a row's content decide whether it is trained on: everybody counts the rows that cross the cut."""
    data = study.data
    if data.person == "row" and data.test_fraction:
        raise PolicyRefused(
            "content-decides-the-split",
            f"{at}data.test_fraction is {data.test_fraction:g} with person = 'row': a row's content, its label too, would "
            "decide whether it is trained on, and how many rows cross the cut is seen",
            hint="leave test_fraction out, name the column of a person (unit record), or use a split_column",
        )
    if data.incomplete_rows != "zero":
        raise PolicyRefused(
            "content-decides-the-split",
            f"{at}data.incomplete_rows is {data.incomplete_rows!r}: whether a row is complete would show in how many rows "
            "cross the cut",
            hint='use incomplete_rows = "zero", or declare what stands in for a missing value (missing = ...)',
        )


_SPLIT = {
    "cut": 'name the module whose output leaves the sites: cut = "encoder" (names as in model.named_modules())',
    "width": "say how many values each site's part gives for one row: width = 16",
    "top": 'name the part after the sites\' parts: top = "module:function", a function of inputs and outputs',
}
