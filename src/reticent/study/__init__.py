"""From a wish to a plan: study files, what they may not ask, and `derive`, which settles all that a run will do.

Values only: nothing here touches data, models, keys or budgets, and torch is never imported. A plan that this room
derives must keep its own promise whatever the data are; what cannot be accounted is refused with a way forward.

Threat model: the study file is public and may come from somebody else. It is read as data; the code that it names is
not imported here.
"""

from reticent.study.build import study_from, without_privacy
from reticent.study.computing import columns_of
from reticent.study.derive import derive
from reticent.study.file import dump_study, load_study
from reticent.study.parts import (
    BoundaryPlan,
    ComputationFacts,
    ComputationPlan,
    OptimizerPlan,
    SplitFacts,
    SplitPlan,
    StatisticsPlan,
)
from reticent.study.plan import (
    AggregationPlan,
    Cost,
    MetricsPlan,
    ModelFacts,
    Plan,
    PrivacyPlan,
    SitePlan,
    TrainingPlan,
    Visibility,
)
from reticent.study.refusals import expected_outputs
from reticent.study.sections import (
    AggregationSection,
    DataSection,
    LearningSection,
    LedgerSection,
    MetricsSection,
    ModelSection,
    PrivacySection,
    ReleaseSection,
    RunSection,
    SecureComputationSection,
    SiteSection,
    SplitSection,
    StatisticsSection,
    Study,
    StudySection,
    TargetSection,
)
from reticent.study.splitting import training_of
from reticent.study.statistics import statistics_layout
from reticent.study.template import new_study
from reticent.study.words import in_words, method_in_words, size, topics

__all__ = [
    "AggregationPlan",
    "AggregationSection",
    "BoundaryPlan",
    "ComputationFacts",
    "ComputationPlan",
    "Cost",
    "DataSection",
    "LearningSection",
    "LedgerSection",
    "MetricsPlan",
    "MetricsSection",
    "ModelFacts",
    "ModelSection",
    "OptimizerPlan",
    "Plan",
    "PrivacyPlan",
    "PrivacySection",
    "ReleaseSection",
    "RunSection",
    "SecureComputationSection",
    "SitePlan",
    "SiteSection",
    "SplitFacts",
    "SplitPlan",
    "SplitSection",
    "StatisticsPlan",
    "StatisticsSection",
    "Study",
    "StudySection",
    "TargetSection",
    "TrainingPlan",
    "Visibility",
    "columns_of",
    "derive",
    "dump_study",
    "expected_outputs",
    "in_words",
    "load_study",
    "method_in_words",
    "new_study",
    "size",
    "statistics_layout",
    "study_from",
    "topics",
    "training_of",
    "without_privacy",
]
