"""Training with torch: DP-SGD with per-example clipping, plain SGD for baselines, and evaluation.

`clipping` holds the line that clips; the line that adds the noise is in `reticent.dp.mechanisms`. `DPSGD` binds
sampler, clip, noise, encoding and accounting into one object, so that none can be changed alone.

Threat model: the adversary sees the weights after every step. Not covered: how long a step takes, and floating-point
differences of about 1e-7 in a gradient between batches of different sizes.
"""

from reticent.training.adaptive_clip import AdaptiveClip
from reticent.training.batches import Batch
from reticent.training.choices import loss_by_name, optimizer_factory
from reticent.training.clipping import clip
from reticent.training.contributions import Rows, clipped_sum
from reticent.training.dpfedavg import DPFedAvg
from reticent.training.dpsgd import DPSGD
from reticent.training.evaluation import (
    METRICS_GRID,
    Evaluation,
    evaluate,
    noised_confusion,
    predict_classes,
    unit_confusion,
)
from reticent.training.gradient_sums import ClippedSums, EncodedSum
from reticent.training.local_updates import LocalSteps
from reticent.training.mixing import mixing_layers, refuse_mixing
from reticent.training.models import logistic, mcmahan_cnn, mnist_2nn, two_layer
from reticent.training.per_example import Loss, PerExampleGradients, unchanged
from reticent.training.plain import fit_plain
from reticent.training.probe import check_model, probe_model
from reticent.training.segments import Segments
from reticent.training.trainer import Trainer
from reticent.training.vectors import flatten, load_flat, vector_length

__all__ = [
    "DPSGD",
    "METRICS_GRID",
    "AdaptiveClip",
    "Batch",
    "ClippedSums",
    "DPFedAvg",
    "EncodedSum",
    "Evaluation",
    "LocalSteps",
    "Loss",
    "PerExampleGradients",
    "Rows",
    "Segments",
    "Trainer",
    "check_model",
    "clip",
    "clipped_sum",
    "evaluate",
    "fit_plain",
    "flatten",
    "load_flat",
    "logistic",
    "loss_by_name",
    "mcmahan_cnn",
    "mixing_layers",
    "mnist_2nn",
    "noised_confusion",
    "optimizer_factory",
    "predict_classes",
    "probe_model",
    "refuse_mixing",
    "two_layer",
    "unchanged",
    "unit_confusion",
    "vector_length",
]
