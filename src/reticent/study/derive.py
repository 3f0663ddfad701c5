"""From what is wanted to what will be done: `derive(study, facts) -> Plan`.

Everything that a run does is settled here: noise, precision, thresholds, weights, and what each party will see. The
noise mode is `local`: every site adds its own, so that each of its messages satisfies the promise by itself, and the
masks of secure aggregation hide single sites on top of that.
"""

from __future__ import annotations

from reticent import dp
from reticent.study import computing, limits, splitting, statistics, visibility
from reticent.study.calibrate import Calibration, calibrate, evaluations_of, sampling_of
from reticent.study.cost import predict
from reticent.study.parts import OptimizerPlan
from reticent.study.plan import (
    AggregationPlan,
    Cost,
    MetricsPlan,
    ModelFacts,
    Plan,
    PrivacyPlan,
    SitePlan,
    TrainingPlan,
)
from reticent.study.refusals import check_model, check_study
from reticent.study.sections import Study

__all__ = ["derive"]


def derive(study: Study, facts: ModelFacts) -> Plan:
    """Return the plan of `study` for a model with these `facts`.

    The same study and facts give the same plan, and so the same hash, at every party.

    Raises:
      UsageError: If study and model do not fit together.
      PolicyRefused: If the promise could not hold; the message names the setting and a way forward.
    """
    check_study(study)
    check_model(study, facts)
    method = study.learning.method
    words = {"split": splitting, "vertical": splitting, "secure-computation": computing}.get(method, limits)
    calibration = calibrate(study) if study.privacy.claimed and study.federated else None
    split = splitting.split_plan(study, facts) if study.split is not None else None
    epsilons, together = splitting.epsilons(study, split) if split and split.boundary else ({}, None)
    aggregation = _aggregation(study, facts)
    return Plan(
        study=study.study.name,
        purpose=study.study.purpose,
        contact=study.study.contact,
        contract=study.data.contract(),
        model=facts,
        training=_training(study),
        privacy=_privacy(study, facts),
        why_no_promise=study.privacy.reason or "",
        aggregation=aggregation,
        computation=computing.computation(study) if method == "secure-computation" else None,
        split=split,
        metrics=MetricsPlan(
            evaluations=evaluations_of(study), noise_multiplier=calibration.metrics_noise if calibration else None
        ),
        statistics=statistics.statistics_plan(study, calibration.statistics_noise if calibration else None),
        sites=tuple(_site(study, name, calibration, epsilons.get(name)) for name in sorted(study.sites)),
        guarantee=_guarantee(study, calibration.epsilon if calibration else together),
        public_data=study.data.public,
        round_deadline=study.run.deadline,
        who_sees=words.who_sees(study),
        assumptions=words.assumptions(study),
        not_covered=words.not_covered(study),
        cost=_cost(study, facts, aggregation, calibration.statistics_noise if calibration else None),
    )


def _training(study: Study) -> TrainingPlan:
    learning = study.learning
    return TrainingPlan(
        method=learning.method,
        mu=learning.mu,
        rounds=learning.rounds,
        clients_per_round=study.clients,
        batch_size=learning.batch_size,
        optimizer=OptimizerPlan(
            name=learning.optimizer,
            learning_rate=learning.learning_rate,
            momentum=learning.momentum,
            weight_decay=learning.weight_decay,
        ),
        loss=study.model.loss,
        seed=learning.seed,
    )


def _privacy(study: Study, facts: ModelFacts) -> PrivacyPlan | None:
    privacy = study.privacy
    # Where only labels are protected, there is the last of them alone.
    norm = privacy.max_grad_norm or privacy.clipping_norm or privacy.max_gradient_norm
    if privacy.target is None or privacy.unit is None or privacy.relation is None or norm is None:
        return None
    grid = dp.grid_for(norm, facts.parameters)
    return PrivacyPlan(
        unit=privacy.unit,
        relation=privacy.relation,
        target_epsilon=privacy.target.epsilon,
        delta=privacy.target.delta,
        max_grad_norm=norm,
        grid=grid,
        sensitivity=dp.encoded_sensitivity(norm, grid, facts.parameters),
        spare_executions=privacy.spare_executions,
        sites_per_person=privacy.sites_per_person,
        contribution="update" if privacy.by_update else "gradient",
    )


def _aggregation(study: Study, facts: ModelFacts) -> AggregationPlan:
    if not study.federated:
        return AggregationPlan(protocol="none", threshold=len(study.sites), bound=0.0, precision=0.0, ring_bits=0)
    section, ring_bits = study.aggregation, 0
    if section.protocol == "secagg":
        from reticent.secagg import Parameters

        ring_bits = Parameters(
            clients=study.clients,
            length=facts.vector_length,
            bound=section.bound,
            precision=section.precision,
            dropouts=study.dropouts,
        ).ring_bits
    return AggregationPlan(
        protocol=section.protocol,
        threshold=study.threshold,
        bound=section.bound,
        precision=section.precision,
        ring_bits=ring_bits,
    )


def _site(study: Study, name: str, calibration: Calibration | None, epsilon: float | None) -> SitePlan:
    section, learning = study.sites[name], study.learning
    sampling = sampling_of(study, name) if calibration else None
    return SitePlan(
        name=name,
        rows=section.rows,
        weight=section.rows / sum(site.rows for site in study.sites.values()),
        population=study.population(name),
        dataset=section.dataset,
        local_steps=sampling.steps if sampling else learning.local_steps,
        local_epochs=None if sampling and not study.privacy.by_update else learning.local_epochs,
        sampling_probability=sampling.probability if sampling else None,
        expected_batch_size=sampling.expected_batch_size if sampling else None,
        noise_multiplier=calibration.noise[sampling] if calibration and sampling else None,
        epsilon=calibration.site_epsilon[sampling] if calibration and sampling else epsilon,
    )


def _cost(study: Study, facts: ModelFacts, aggregation: AggregationPlan, statistics_noise: float | None) -> Cost:
    if study.split is not None and facts.split is not None:
        return splitting.cost(study, facts.split)
    if facts.computation is not None:
        return computing.cost(study, facts.computation)
    return predict(
        vector_length=facts.vector_length,
        classes=len(study.data.classes),
        clients=study.clients,
        ring_bits=aggregation.ring_bits,
        masked=aggregation.protocol == "secagg",
        rounds=study.learning.rounds,
        evaluations=len(evaluations_of(study)),
        private=study.privacy.claimed,
        statistics=statistics.statistics_cost(study, statistics_noise),
    )


def _guarantee(study: Study, epsilon: float | None) -> dp.Guarantee | None:
    privacy = study.privacy
    if epsilon is None or privacy.target is None or privacy.unit is None or privacy.relation is None:
        return None
    return dp.Guarantee(
        epsilon=epsilon,
        delta=privacy.target.delta,
        unit=privacy.unit,
        relation=privacy.relation,
        protects=privacy.protects,
        holds_against=visibility.holds_against(study),
    )
