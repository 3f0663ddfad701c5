"""How much noise every site needs, so that all it may ever release stays within the promise.

Metrics and statistics take their own part of the target first; training gets the smallest noise with which all three,
spare executions included, stay within the whole. A person at k sites is covered by composing k sites; which k is not
known, so the promise is the worst choice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

from reticent import dp
from reticent.errors import InternalError, UsageError
from reticent.study.sections import Study

__all__ = ["Calibration", "Sampling", "calibrate", "evaluations_of", "sampling_of", "shown"]

_DIGITS = 1e4
"""Noise multipliers are rounded up to 1e-4, so that a plan has the same hash on every machine."""
_EPSILON_DIGITS = 1e6
_MOST_CHOICES = 64
_MOST_CORRECTIONS = 50


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one site samples: each unit with `probability`, independently, in each of `steps` steps of a round."""

    probability: float
    expected_batch_size: float
    steps: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """The noise that a study's target needs.

    Attributes:
      noise: Noise multiplier of training, by kind of sampling.
      metrics_noise: Noise multiplier of one evaluation; None if no metrics are released.
      statistics_noise: Noise multiplier of the statistics; None if there are none.
      site_epsilon: Certified epsilon of everything that a site with this kind of sampling may release.
      epsilon: Certified epsilon for one person at `sites_per_person` sites, whichever they are.
    """

    noise: Mapping[Sampling, float]
    metrics_noise: float | None
    statistics_noise: float | None
    site_epsilon: Mapping[Sampling, float]
    epsilon: float


def sampling_of(study: Study, site: str) -> Sampling:
    """Return how `site` samples in a study that claims an epsilon.

    `local_epochs` become steps: that many times 1 / probability, rounded up. Where each person trains alone, there is
    one sample in a round, whatever persons do with their rows.
    """
    rows, privacy, learning = study.sites[site].rows, study.privacy, study.learning
    probability = privacy.sampling_probability or (privacy.expected_batch_size or 1.0) / rows
    steps = (
        1
        if privacy.by_update
        else learning.local_steps or math.ceil((learning.local_epochs or 1.0) / probability * (1 - 1e-12))
    )
    return Sampling(probability, privacy.expected_batch_size or probability * rows, steps)


def evaluations_of(study: Study) -> tuple[int, ...]:
    """Return the rounds after which metrics leave the sites; the last round is always one of them."""
    metrics, rounds = study.release.metrics, study.learning.rounds
    if metrics is None:
        return ()
    regular = range(metrics.every, rounds + 1, metrics.every) if metrics.every else ()
    return tuple(sorted({*regular, rounds}))


def calibrate(study: Study) -> Calibration:
    """Solve for the noise of every site; sites that sample alike are solved once.

    Raises:
      PolicyRefused: If no noise reaches the target, or too many kinds of sites make the worst choice uncheckable.
    """
    privacy, target = study.privacy, study.privacy.target
    if target is None or privacy.relation is None:
        raise InternalError("no-target", "a study without a target was calibrated", hint="please report this")
    kinds = Counter((s.probability, s.steps) for s in (sampling_of(study, name) for name in study.sites))
    choices = list(_choices(kinds, privacy.sites_per_person))
    metrics_noise, statistics_noise = _metrics_noise(study), _statistics_noise(study)
    if statistics_noise is not None and statistics_noise == metrics_noise:
        # Releases of two kinds are two events, or one's payment would count as the other's.
        statistics_noise = _up(statistics_noise + 0.5 / _DIGITS)
    solve = _Solver(study, target.epsilon, target.delta, privacy.relation, metrics_noise, statistics_noise)
    noise = {kind: solve.noise(*kind) for kind in sorted(kinds)}
    for _ in range(_MOST_CORRECTIONS):
        # k equal sites within the target do not prove that k different ones are: the mix is certified by itself.
        joint = max(solve.epsilon(Counter(choice), noise) for choice in choices)
        if joint <= target.epsilon:
            break
        noise = {kind: _up(1.001 * multiplier) for kind, multiplier in noise.items()}
    else:
        raise InternalError(
            "noise-not-found",
            f"noise {max(noise.values()):g} still gives epsilon {joint:g}, above {target.epsilon:g}",
            hint="please report this with the study file",
        )
    alone = {kind: solve.epsilon(Counter([kind]), noise) for kind in noise}
    samplings = {sampling_of(study, name) for name in study.sites}
    return Calibration(
        noise={s: noise[s.probability, s.steps] for s in samplings},
        metrics_noise=metrics_noise,
        statistics_noise=statistics_noise,
        site_epsilon={s: shown(alone[s.probability, s.steps], target.epsilon) for s in samplings},
        epsilon=shown(joint, target.epsilon),
    )


Kind = tuple[float, int]
"""Sampling probability and steps in a round: all that the noise depends on."""


@dataclass(frozen=True, slots=True)
class _Solver:
    study: Study
    target_epsilon: float
    delta: float
    relation: dp.Relation
    metrics_noise: float | None
    statistics_noise: float | None

    def besides(self, sites: int) -> tuple[dp.Event, ...]:
        """All evaluations and all statistics of `sites` sites."""
        planned = (
            (self.metrics_noise, _evaluation_count(self.study)),
            (self.statistics_noise, 1 + self.study.privacy.spare_executions),
        )
        return tuple(dp.Repeated(dp.Gaussian(z), count * sites) for z, count in planned if z is not None)

    def noise(self, probability: float, steps: int) -> float:
        """The smallest noise with which a person at equal sites stays within the target."""
        sites = self.study.privacy.sites_per_person
        executions = self.study.learning.rounds + self.study.privacy.spare_executions
        return _up(
            dp.noise_multiplier(
                epsilon=self.target_epsilon,
                delta=self.delta,
                sampling_probability=probability,
                steps=steps * executions * sites,
                relation=self.relation,
                also=self.besides(sites),
            )
        )

    def epsilon(self, sites: Counter[Kind], noise: Mapping[Kind, float]) -> float:
        """The certified epsilon of one person at these sites."""
        executions = self.study.learning.rounds + self.study.privacy.spare_executions
        training = [
            dp.Repeated(dp.PoissonSampled(kind[0], dp.Gaussian(noise[kind])), kind[1] * executions * count)
            for kind, count in sorted(sites.items())
        ]
        return dp.epsilon((*training, *self.besides(sites.total())), delta=self.delta, relation=self.relation)


def _evaluation_count(study: Study) -> int:
    evaluations = len(evaluations_of(study))
    return evaluations + study.privacy.spare_executions if evaluations else 0


def _metrics_noise(study: Study) -> float | None:
    """Return the noise of one evaluation, so that all of them, spare ones included, take the metrics' epsilon."""
    metrics = study.release.metrics
    return _noise_of(study, metrics.epsilon if metrics else None, _evaluation_count(study))


def _statistics_noise(study: Study) -> float | None:
    """Return the noise of the statistics, so that they and their spare executions take their epsilon."""
    section = study.statistics
    return _noise_of(study, section.epsilon if section else None, 1 + study.privacy.spare_executions)


def _noise_of(study: Study, epsilon: float | None, executions: int) -> float | None:
    privacy, target = study.privacy, study.privacy.target
    if epsilon is None or target is None or privacy.relation is None:
        return None
    return _up(
        dp.noise_multiplier(
            epsilon=epsilon,
            delta=target.delta,
            sampling_probability=1.0,
            steps=executions * privacy.sites_per_person,
            relation=privacy.relation,
        )
    )


def _choices(kinds: Counter[Kind], sites: int) -> Iterator[tuple[Kind, ...]]:
    """Yield every set of `sites` sites, up to sites that sample alike."""
    if math.comb(len(kinds) + sites - 1, sites) > _MOST_CHOICES and sites > 1:
        raise UsageError(
            "too-many-kinds-of-sites",
            f"privacy.sites_per_person is {sites}, and {len(kinds)} sites all sample differently",
            hint="set privacy.sampling_probability in place of expected_batch_size, so that all sites sample alike",
        )
    for choice in combinations_with_replacement(sorted(kinds), sites):
        if all(count <= kinds[kind] for kind, count in Counter(choice).items()):
            yield choice


def _up(multiplier: float) -> float:
    return math.ceil(multiplier * _DIGITS) / _DIGITS


def shown(epsilon: float, target: float) -> float:
    """Round a certified epsilon up, not beyond the target that it was certified against."""
    return min(math.ceil(epsilon * _EPSILON_DIGITS) / _EPSILON_DIGITS, target)
