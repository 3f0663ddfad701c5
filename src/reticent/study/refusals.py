"""What a study may not ask, found before any model, data or budget is touched.

Each check names the key and the value at fault and a way forward. What would break the study's own promise is a
`PolicyRefused`; what merely does not fit together is a `UsageError`.
"""

from __future__ import annotations

from collections import Counter

from reticent.errors import PolicyRefused, UsageError
from reticent.study.plan import ModelFacts
from reticent.study.sections import Study
from reticent.study.statistics import check_statistics
from reticent.study.techniques import check_columns, check_sections, checks_of

__all__ = ["check_model", "check_study", "expected_outputs"]

_EXACT_STEPS = 2**53
"""Larger sums of whole numbers are no longer exact as float64 (`rings.FixedPoint` has the same limit)."""


def check_study(study: Study, *, where: str = "study") -> None:
    """Refuse what no model and no data can mend.

    Args:
      study: Sections whose single values are in range.
      where: The file, for messages.

    Raises:
      UsageError: If settings contradict each other.
      PolicyRefused: If the promise could not hold.
    """
    check_sections(study, f"{where}: ")
    own = (_learning, _batches, _aggregation) if study.federated else checks_of(study)
    for check in (_sites, check_columns, _promise_is_whole, *own, _promise_can_hold, _metrics, check_statistics, _loss):
        check(study, f"{where}: ")


def check_model(study: Study, facts: ModelFacts) -> None:
    """Refuse a model that does not fit the study.

    Raises:
      PolicyRefused: If layers mix examples and an epsilon is claimed: one example would then move the gradients of
        others, and clipping each bounds nothing.
      UsageError: If the model's outputs do not fit the label.
    """
    if facts.mixing_layers and study.privacy.claimed:
        raise PolicyRefused(
            "layers-mix-examples",
            f"model.factory = {facts.factory!r}: {', '.join(facts.mixing_layers)} mixes the examples of a batch",
            hint="replace BatchNorm by GroupNorm or LayerNorm, which look at one example at a time",
        )
    if study.secure_computation is not None and facts.parameters != study.data.n_features + 1:
        raise UsageError(
            "model-under-sharing",
            f"model.factory = {facts.factory!r} has {facts.parameters} parameters, a linear model of "
            f"{study.data.n_features} features has {study.data.n_features + 1}",
            hint='use factory = "reticent.training.models:logistic" with model.outputs = 1',
        )
    wanted = expected_outputs(study)
    if wanted is not None and facts.outputs != wanted:
        raise UsageError(
            "model-outputs",
            f"model.factory = {facts.factory!r} returns {facts.outputs} values, the label and the loss "
            f"{study.model.loss!r} need {wanted}",
            hint=f"let the model return {wanted} values, or choose the loss that fits it",
        )


def expected_outputs(study: Study) -> int | None:
    """Return how many values the model should return for one example; None for a loss that is not ours."""
    if study.model.outputs is not None:
        return study.model.outputs
    match study.model.loss:
        case "cross_entropy":
            return len(study.data.classes)
        case "binary_cross_entropy_with_logits" | "mse_loss":
            return 1
    return None


def _sites(study: Study, at: str) -> None:
    sites, chosen = len(study.sites), study.learning.clients_per_round
    if chosen is not None and chosen > sites:
        raise UsageError(
            "clients-over-sites",
            f"{at}learning.clients_per_round is {chosen}, the study has {sites} sites",
            hint=f"choose at most {sites}, or leave the key out to use all sites in every round",
        )
    if study.privacy.sites_per_person > sites:
        raise UsageError(
            "sites-per-person-over-sites",
            f"{at}privacy.sites_per_person is {study.privacy.sites_per_person}, the study has {sites} sites",
            hint=f"a person can be at {sites} sites at most",
        )
    for name in study.sites:
        if name.lower() == "coordinator":
            raise UsageError(
                "reserved-name", f"{at}sites.{name}: this name is the coordinator's", hint="give the site another name"
            )
    _populations(study, at)


def _populations(study: Study, at: str) -> None:
    if len({name.lower() for name in study.sites}) < len(study.sites):
        raise UsageError(
            "reserved-name",
            f"{at}sites: two names differ in capitals only: {', '.join(sorted(study.sites))}",
            hint="give every site a name of its own; names become folders, and some disks do not tell capitals apart",
        )
    shared = Counter(study.population(name) for name in study.sites)
    population, count = max(shared.items(), key=lambda item: item[1])
    if study.privacy.claimed and count > study.privacy.sites_per_person:
        raise PolicyRefused(
            "shared-population",
            f"{at}{count} sites declare the population {population!r}, and privacy.sites_per_person is "
            f"{study.privacy.sites_per_person}",
            hint=f"one person may be at all of them: set privacy.sites_per_person = {count}, or name populations apart "
            "if no person is at two of them",
        )


def _learning(study: Study, at: str) -> None:
    learning = study.learning
    _one_of(f"{at}learning", local_steps=learning.local_steps, local_epochs=learning.local_epochs)
    if (learning.method == "fedprox") != (learning.mu > 0):
        raise UsageError(
            "mu-and-method",
            f"{at}learning.mu is {learning.mu:g} with method {learning.method!r}",
            hint='FedProx needs mu above 0, for example 0.01; FedAvg has none: method = "fedprox" or mu = 0',
        )
    if learning.momentum and learning.optimizer not in ("sgd", "rmsprop"):
        raise UsageError(
            "momentum-and-optimizer",
            f"{at}learning.momentum is {learning.momentum:g} with optimizer {learning.optimizer!r}, which has none",
            hint='remove momentum, or use optimizer = "sgd"',
        )
    if study.privacy.by_update and learning.local_steps is not None:
        raise UsageError(
            "not-for-this-method",
            f"{at}learning.local_steps is {learning.local_steps}, and with privacy.clipping_norm each person trains alone",
            hint="say how often a person goes through their own rows in a round: local_epochs = 1",
        )
    if study.privacy.claimed and learning.batch_size is not None and not study.privacy.by_update:
        raise UsageError(
            "batch-size-with-epsilon",
            f"{at}learning.batch_size is {learning.batch_size}, and an epsilon is claimed",
            hint="batches are Poisson samples of random size: set privacy.expected_batch_size instead",
        )
    if not study.privacy.claimed and learning.batch_size is None:
        raise UsageError(
            "missing-key", f"{at}learning.batch_size is missing", hint="add batch_size to [learning], for example 32"
        )


def _one_of(section: str, **keys: float | None) -> None:
    given = [key for key, value in keys.items() if value is not None]
    if len(given) != 1:
        raise UsageError(
            "choose-one-key",
            f"{section} has {' and '.join(given) if given else 'neither ' + ' nor '.join(keys)}",
            hint=f"give exactly one of {', '.join(keys)}",
        )


def _promise_is_whole(study: Study, at: str) -> None:
    privacy = study.privacy
    if not privacy.claimed:
        if privacy.reason is None:
            raise UsageError(
                "reason-missing",
                f'{at}privacy.guarantee is "none" and no reason is given',
                hint='say why, for the report: reason = "public records, a baseline"',
            )
        unread = sorted(privacy.model_fields_set - {"guarantee", "reason"})
        unread = [key for key in unread if getattr(privacy, key) != type(privacy).model_fields[key].default]
        if unread:
            raise UsageError(
                "keys-without-guarantee",
                f'{at}privacy.guarantee is "none", which makes no use of {", ".join(unread)}',
                hint='remove them, or set guarantee = "differential-privacy"',
            )
        return
    if privacy.reason is not None:
        raise UsageError(
            "keys-without-guarantee",
            f"{at}privacy.reason explains why no promise is made, and one is made",
            hint='remove the reason, or set guarantee = "none"',
        )
    if study.federated and privacy.protects == "labels":
        raise UsageError(
            "not-for-this-method",
            f"{at}privacy.protects is 'labels' with method {study.learning.method!r}",
            hint="remove it: noised updates protect whole records; labels alone can be protected in split learning",
        )
    if privacy.by_update:
        _check_updates(study, at)
    for key in ("unit", "relation", "target", "max_grad_norm"):
        elsewhere = key == "max_grad_norm" and (privacy.protects == "labels" or privacy.by_update)
        if getattr(privacy, key) is None and not elsewhere:
            raise UsageError("missing-key", f"{at}privacy.{key} is missing", hint=_ADD[key])
    if not study.federated:
        return
    _one_of(
        f"{at}privacy",
        expected_batch_size=privacy.expected_batch_size,
        sampling_probability=privacy.sampling_probability,
    )


def _check_updates(study: Study, at: str) -> None:
    privacy = study.privacy
    _one_of(f"{at}privacy", max_grad_norm=privacy.max_grad_norm, clipping_norm=privacy.clipping_norm)
    if not study.federated:
        raise UsageError(
            "not-for-this-method",
            f"{at}privacy.clipping_norm is {privacy.clipping_norm:g} with method {study.learning.method!r}",
            hint="remove it: only federated learning sums updates",
        )
    if privacy.unit != "person":
        raise PolicyRefused(
            "updates-of-persons",
            f"{at}privacy.clipping_norm is {privacy.clipping_norm:g} and privacy.unit is {privacy.unit!r}: an update is "
            "what somebody's rows together did to the model",
            hint='use unit = "person", or max_grad_norm in place of clipping_norm',
        )


_ADD = {
    "unit": 'say whose presence is hidden: unit = "person" or "record"',
    "relation": 'say what neighbouring data are: relation = "add_or_remove_one" or "replace_one"',
    "target": "say what is promised: target = { epsilon = 3.0, delta = 1e-6 }",
    "max_grad_norm": "say how far one unit may move the model in a step: max_grad_norm = 1.0",
}


def _promise_can_hold(study: Study, at: str) -> None:
    privacy, target = study.privacy, study.privacy.target
    if not privacy.claimed or target is None:
        return
    if privacy.unit == "site":
        raise PolicyRefused(
            "unit-site",
            f'{at}privacy.unit is "site": a whole site is hidden only by noise that is complete inside the sum',
            hint='use unit = "person" or "record"; noise inside the sum comes with a later version',
        )
    if privacy.unit == "person" and "person" not in study.data.model_fields_set:
        raise PolicyRefused(
            "person-not-declared",
            f'{at}privacy.unit is "person", and data.person does not say whose rows are whose',
            hint='name the column, person = "patient_id", or declare that every row is another person: person = "row"',
        )
    if study.data.standardise == "per-site":
        raise PolicyRefused(
            "scaling-from-data",
            f'{at}data.standardise is "per-site": its means and spreads are statistics of the data that nobody pays for',
            hint='declare a range for every number column and set standardise = "declared"',
        )
    smallest = min(study.sites, key=lambda name: study.sites[name].rows)
    rows = study.sites[smallest].rows
    if target.delta * rows >= 1:
        raise PolicyRefused(
            "target-delta-too-large",
            f"{at}privacy.target.delta is {target.delta:g}, not below 1 / {rows} (sites.{smallest}.rows): "
            "publishing somebody's record outright would be allowed",
            hint=f"use a delta well below {1 / rows:.3g}, for example {0.1 / rows:.0e}",
        )


def _batches(study: Study, at: str) -> None:
    if not study.privacy.claimed:
        return
    expected = study.privacy.expected_batch_size
    for name, site in study.sites.items():
        if expected is not None and expected > site.rows:
            raise UsageError(
                "batch-over-rows",
                f"{at}privacy.expected_batch_size is {expected:g}, sites.{name}.rows is {site.rows}",
                hint=f"use at most {site.rows}, or a sampling_probability, which fits sites of all sizes",
            )


def _metrics(study: Study, at: str) -> None:
    metrics, target = study.release.metrics, study.privacy.target
    if metrics is None:
        return
    if not study.data.classes and study.privacy.claimed:
        raise PolicyRefused(
            "regression-metrics",
            f"{at}release.metrics asks for figures of a regression, whose errors have no bound to noise them by",
            hint='set metrics = "none", or learn classes: values of the label in place of its range',
        )
    if study.data.kind == "table" and not study.data.test_fraction and study.data.split_column is None:
        raise UsageError(
            "nothing-to-evaluate",
            f"{at}release.metrics asks for figures, and data.test_fraction is 0",
            hint='keep some persons for tests: test_fraction = 0.2, split_key = "any word"; or metrics = "none"',
        )
    if metrics.every > study.learning.rounds:
        raise UsageError(
            "metrics-every-over-rounds",
            f"{at}release.metrics.every is {metrics.every}, learning.rounds is {study.learning.rounds}",
            hint="use 0 for the last round only",
        )
    if (metrics.epsilon is not None) != study.privacy.claimed:
        raise UsageError(
            "metrics-epsilon",
            f"{at}release.metrics.epsilon is {metrics.epsilon} with privacy.guarantee = {study.privacy.guarantee!r}",
            hint="metrics need their part of the target exactly where an epsilon is claimed: epsilon = 0.2",
        )
    if metrics.epsilon is not None and target is not None and metrics.epsilon >= target.epsilon:
        raise PolicyRefused(
            "metrics-epsilon-too-large",
            f"{at}release.metrics.epsilon is {metrics.epsilon:g}, which leaves nothing of privacy.target.epsilon "
            f"{target.epsilon:g} for training",
            hint=f"give metrics a small part of the target, for example {target.epsilon / 10:.2g}",
        )


def _loss(study: Study, at: str) -> None:
    classes, loss = len(study.data.classes), study.model.loss
    fits = {
        "cross_entropy": classes >= 2,
        "binary_cross_entropy_with_logits": classes == 2,
        "mse_loss": classes == 0,
    }.get(loss, True)
    if not fits:
        raise UsageError(
            "loss-and-label",
            f"{at}model.loss is {loss!r}, and the label has {f'{classes} classes' if classes else 'no classes'}",
            hint="cross_entropy is for classes, binary_cross_entropy_with_logits for two, mse_loss for numbers",
        )


def _aggregation(study: Study, at: str) -> None:
    section, clients, at = study.aggregation, study.clients, f"{at}secure_aggregation"
    if section.dropouts is not None and section.threshold is not None:
        raise UsageError(
            "choose-one-key",
            f"{at} has dropouts and threshold",
            hint="keep one: threshold is the number of sites in a round less the dropouts",
        )
    if study.dropouts < 0 or study.threshold < 1:
        asked = f"threshold is {section.threshold}" if section.threshold else f"dropouts is {section.dropouts}"
        raise UsageError(
            "threshold-over-sites",
            f"{at}.{asked}, and {clients} sites take part in a round",
            hint=f"use a threshold between {clients // 2 + 1} and {clients}, or fewer dropouts than sites",
        )
    if section.protocol == "plain":
        return
    if clients < 3:
        raise PolicyRefused(
            "too-few-sites-to-hide",
            f"{at}.protocol is 'secagg' with {clients} sites in a round: from the sum, each of two sites computes the "
            "other's update",
            hint='bring a third site, or use protocol = "plain" and say so to both',
        )
    if 2 * study.threshold <= clients:
        raise PolicyRefused(
            "threshold-under-half",
            f"{at}: a threshold of {study.threshold} of {clients} sites lets a coordinator unmask two halves apart",
            hint=f"use a threshold of at least {clients // 2 + 1}, that is at most {(clients - 1) // 2} dropouts",
        )
    if clients * (section.bound / section.precision + 1) >= _EXACT_STEPS or section.precision > section.bound:
        raise UsageError(
            "sum-too-wide",
            f"{at}: a sum of {clients} numbers up to bound {section.bound:g} in steps of precision "
            f"{section.precision:g} does not fit 2**53 steps, or the step is larger than the bound",
            hint="use a coarser precision or a smaller bound; 2**10 in steps of 2**-24 fits thousands of sites",
        )
