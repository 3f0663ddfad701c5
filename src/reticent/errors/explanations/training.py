"""Explanations of the error codes that `reticent.training` raises."""

from __future__ import annotations

__all__ = ["EXPLANATIONS"]

EXPLANATIONS: dict[str, str] = {
    "changed-between-steps": (
        "A private trainer found other weights, buffers or optimiser state than it had left: something else has trained "
        "the model, past clip and noise, or a layer was swapped, frozen or unfrozen. The stated epsilon would be wrong. "
        "Change a model before its first private step, or make a new trainer, which is charged anew."
    ),
    "invalid-adaptive-clip": (
        "A setting of AdaptiveClip is out of range. initial is a clip, quantile lies between 0 and 1, learning_rate is "
        "0.2 or so, and count_noise must exceed half the noise multiplier: the count is paid for out of the same noise, "
        "and nothing would be left for the gradient."
    ),
    "invalid-dpsgd": (
        "A setting of DPSGD or DPFedAvg is out of range. population and expected_batch_size are declared constants with "
        "0 < expected_batch_size <= population; steps is at least 1; the clip lies between 1e-9 and 1e9, where "
        "float32 can still measure a norm; a schedule has a value for every step. Correct the value that the message names."
    ),
    "invalid-optimizer": (
        "The optimiser cannot work with one of its settings: learning_rate must be above 0, momentum in [0, 1) and "
        "only for sgd and rmsprop, weight_decay 0 or larger. Correct the value that the message names."
    ),
    "invalid-schedule": (
        "Plain training stops after local_epochs passes over the rows or after local_steps steps. Exactly one of them "
        "must be given, above 0, and batch_size must be above 0 or left out."
    ),
    "invalid-segments": (
        "A schedule is written as Segments((steps, value), ...), with whole numbers of steps, at least 1, and finite "
        "values. Correct the pair that the message names."
    ),
    "loss-shape": (
        "The loss was tried on made-up examples: it failed, or returned something else than one number, or would have "
        "paired every output with every label, (n, 1) against (n,). Such a training would be wrong from its first "
        "step. Let the model's outputs and the loss fit each other, and reduce the loss to a scalar."
    ),
    "mechanism-is-fixed": (
        "What a private training costs follows from all its settings together: population, batch, steps, clip, noise. "
        "They are fixed when the mechanism is made, and one of them was to be changed afterwards. Make a new mechanism "
        "with the settings wanted."
    ),
    "mixes-examples": (
        "Differential privacy bounds what one unit can do to a gradient. A layer or loss in which the examples of a "
        "batch influence each other, such as BatchNorm or normalised class weights, has no such bound, and running "
        "statistics carry rows out without noise. Use GroupNorm or LayerNorm, and a loss that is a sum or mean of one "
        "term for each example."
    ),
    "model-output-shape": (
        "The model must return one tensor with one row for each example, also for a batch of one, and as many values "
        "in it as the label has classes; one value, a logit, will do for two classes. Change its last layer, or the "
        "squeeze() that loses the batch's dimension."
    ),
    "model-rejects-input": (
        "The model failed on made-up examples of the shape that the data contract gives. Its first layer probably "
        "expects another number of inputs. Change the model, or the columns of the contract."
    ),
    "model-returns-nan": (
        "The model returned NaN or infinite values for made-up numbers in [0, 2), so nothing could be learned from it. "
        "At the beginning its initialisation, a logarithm or a division is at fault; in a later round the training has "
        "diverged. Correct the model, or lower learning_rate."
    ),
    "no-gradient": (
        "The loss does not depend on the model's parameters in a way that torch can differentiate. Usually forward "
        "detaches a tensor, works under no_grad or turns it into a Python number. Remove that."
    ),
    "not-a-model": (
        "The function that the study names as the model's factory returned something else than a torch.nn.Module. "
        "Return the module itself, made without arguments."
    ),
    "not-examples": (
        "Private training draws its own Poisson samples, so it needs the rows themselves: reticent.data.Examples, or a "
        "torch TensorDataset of features, labels and, where persons are hidden, the person of each row. Batches of a "
        "data loader are no Poisson samples, and the stated epsilon would not hold for them."
    ),
    "not-the-next-sample": (
        "The stated epsilon holds only if every step uses the mechanism's own Poisson samples, each once, in order, "
        "empty ones included. Another batch, a repeated one or one left out would make the statement false, so it is "
        "refused. Iterate over dpsgd.batches(examples), or call trainer.fit(examples)."
    ),
    "nothing-to-train": (
        "Every parameter of the model is frozen (requires_grad is False), or it has none. Unfreeze those that should "
        "learn."
    ),
    "optimizer-needs-closure": (
        "LBFGS evaluates the loss several times within one step. A private step releases one noised gradient and "
        "cannot be asked again. Use SGD, Adam or another first-order optimiser."
    ),
    "optimizer-not-fresh": (
        "In DP-FedAvg every person or site trains alone, with an optimiser of its own. The function given as "
        "LocalSteps.optimizer returned one that exists already, and momentum or Adam's averages in it would carry one "
        "unit's gradients into the updates of the next, which no clip bounds. Let the function make a new one."
    ),
    "optimizer-of-other-model": (
        "The optimiser holds none of the trained parameters of the model, so training would change nothing. This "
        "happens when a model is replaced or copied after its optimiser was made. Make the optimiser anew."
    ),
    "scheduler-needs-metric": (
        "ReduceLROnPlateau lowers the learning rate when a loss no longer falls. A loss of real rows is a release, and "
        "nobody has paid for it. Use a schedule that is fixed in advance, such as CosineAnnealingLR."
    ),
    "share-not-bounded": (
        "Noised counts are charged on the statement that each unit adds at most 1 to them, on an exact grid. The given "
        "shares break it, so the noise would be too small. Pass the result of unit_confusion unchanged."
    ),
    "state-not-portable": (
        "The state of an optimiser or scheduler holds something else than tensors, numbers, texts, lists and "
        "dictionaries. Such things could only be saved as code that runs when it is loaded, which is never done here. "
        "Use an optimiser or scheduler of torch."
    ),
    "state-of-other-training": (
        "A saved training can only be continued by the same mechanism, model, optimiser and scheduler: what was spent is "
        "counted in its steps. The message names what differs. Make them as they were when the state was saved."
    ),
    "state-outdated": (
        "A state remembers what was spent up to the moment it was saved, and as many further steps as were asked for "
        "with ahead. A training that went on beyond them and crashed would come back and forget the steps between. Save "
        "again, or give ahead the number of steps between two savings."
    ),
    "step-interrupted": (
        "A step failed or was stopped after it had looked at its sample. Going on with a fresh sample would allow samples "
        "to be refused until one pleases, and the first one is what was charged. Save trainer.state(), and make a new "
        "trainer from it with a grant for the steps that are left."
    ),
    "target-or-noise": (
        "The noise of DPSGD follows from a target (epsilon, delta) or is given as noise_multiplier. With both, one "
        "would contradict the other; with none, there is no guarantee. Give exactly one."
    ),
    "uninitialized-model": (
        "The model has lazy layers whose parameters have no shape yet, so no bound over the whole gradient can be "
        "stated. Run the model once on made-up rows, then make its optimiser and the trainer."
    ),
    "unit-site-unsupported": (
        "Whether a whole site took part can be hidden by noise on the sum over sites, and never by a site in its own "
        "rows: its message shows that it is there. Where one trusted party holds the rows of all sites, give them as "
        "{site name: examples}. Otherwise use unit person or record."
    ),
    "unknown-loss": (
        "A study names its loss as cross_entropy, binary_cross_entropy_with_logits or mse_loss, or as module:name from "
        "a package that every site has installed. The name given is none of these, or cannot be imported."
    ),
    "unknown-optimizer": ("The optimiser's name is not known. Use sgd, adam, adamw, adagrad or rmsprop."),
    "vector-length": (
        "A flat vector was written into a model with another number of values. Sites and coordinator must run the same "
        "model factory; compare the code hashes in their plans."
    ),
}
