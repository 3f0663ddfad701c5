"""Training with torch: private (DP-SGD and DP-FedAvg) and plain, and evaluation.

`DPSGD` and `DPFedAvg` are mechanisms: sampler, clip, noise and accounting in one object that cannot be changed. Their
`trainer` is the only path from rows to weights. `clipping` and `linear` hold the lines that clip; the line that adds
noise is in `reticent.dp.mechanisms`. How a clipped sum is computed is a port, `gradient_sums.ClippedSums`: gradient by
gradient, in closed form for one linear layer, or by whatever kernel comes next.

GUARANTEE. The weights after every step are differentially private for the stated unit (a row, all rows of a person, all
rows of a site) under the stated relation, at the epsilon that `Trainer.epsilon` certifies for the steps done. Nothing
unpaid leaves a step: no loss, no norm, no batch size. Rows that are not finite, empty samples and units without rows
change neither the course of a run nor its cost.

ADVERSARY. Sees the weights after every step and knows every row but one unit's. The caller is trusted with the rows and
makes mistakes: batches cannot be chosen, cut or used twice, settings cannot be changed, a step that failed on its
sample ends the training, and weights or optimiser states that something else has moved are noticed before the next
step. Not prevented, since Python cannot: a loss, model or hook that holds rows of its own (a memory bank, a nearest
neighbour) puts them into every gradient, past the clip; initial weights that were trained on the rows unpaid; code that
writes into a trainer's own attributes. Not covered: how long a step takes, and floating-point differences of about 1e-7
in a gradient between samples of different sizes.

COST. One gradient for each row. A step of a linear model on 3,969 features, 4,096 rows, takes 2.4 times as long as a
plain one in closed form and 13 times from single gradients (74, 420 and 32 ms on one core); recurrent layers
that vmap cannot follow (nn.GRU, nn.RNN, the cells; nn.LSTM in float64) are differentiated row by row. Comparing the
weights between steps takes one copy of them.
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
