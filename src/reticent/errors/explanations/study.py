"""Explanations of the error codes that `reticent.study` raises."""

from __future__ import annotations

__all__ = ["EXPLANATIONS"]

EXPLANATIONS: dict[str, str] = {
    "batch-over-rows": (
        "Each step samples every unit of a site with probability expected_batch_size / rows, which cannot exceed 1. "
        "Use an expected batch no larger than the smallest site, or give sampling_probability, which fits all sizes."
    ),
    "batch-size-with-epsilon": (
        "Under differential privacy batches are Poisson samples, whose size is random; a fixed size would be accounted "
        "wrongly. Remove learning.batch_size and set privacy.expected_batch_size or privacy.sampling_probability."
    ),
    "choose-one-key": (
        "Two keys say the same thing in two ways, and the study has both, or neither. Nothing is guessed: keep exactly "
        "one of the keys that the message names."
    ),
    "clients-over-sites": (
        "clients_per_round is the number of sites that are chosen in a round, so it cannot exceed the number of sites. "
        "Lower it, or leave it out to use all sites in every round."
    ),
    "invalid-override": (
        "An override is section.key=value, as in --set privacy.target.epsilon=1. This one has no such form, or leads "
        "through a value that has no keys of its own. Nothing was changed; correct the override."
    ),
    "invalid-value": (
        "The value of this key has the wrong type or is out of its range; the message names both. Numbers stand "
        "without quotes, texts with them. Correct the value."
    ),
    "keys-without-guarantee": (
        "The study sets privacy keys that its guarantee makes no use of. A setting that looks like protection and does "
        "nothing is worse than none, so it is refused. Remove these keys or change the guarantee."
    ),
    "layers-mix-examples": (
        "A layer such as BatchNorm computes on a whole batch, so one person's row changes the gradients of all others "
        "and clipping each of them bounds nothing. No epsilon would be true. Use GroupNorm, LayerNorm or no "
        "normalisation."
    ),
    "loss-and-label": (
        "The loss does not fit the label that the contract declares: cross_entropy learns classes, "
        "binary_cross_entropy_with_logits two classes, mse_loss a number. Choose another loss or declare the label's "
        "values."
    ),
    "metrics-epsilon": (
        "Figures that leave the sites are releases. Where an epsilon is claimed they need their own part of it; where "
        "none is claimed, a part has no meaning. Set or remove release.metrics.epsilon."
    ),
    "metrics-epsilon-too-large": (
        "The metrics' epsilon is a part of the target, and training gets what is left. This part leaves nothing. Give "
        "metrics a small part, for example a tenth, or raise the target."
    ),
    "metrics-every-over-rounds": (
        "Metrics are asked for less often than the study has rounds, so the number must be a mistake. Use 0 for the "
        "last round only."
    ),
    "missing-key": (
        "A key that the study cannot do without is missing. Numbers and choices that decide about privacy have no "
        "default on purpose. Add the key that the message names."
    ),
    "model-outputs": (
        "The model returns another number of values for one example than label and loss need: one for each class, or "
        "one for a regression or a two-class logit. Change the model's last layer or the loss."
    ),
    "momentum-and-optimizer": (
        "Only the optimisers sgd and rmsprop have a momentum; adam and its kin have constants of their own. A setting "
        "that does nothing is refused. Remove it or choose another optimiser."
    ),
    "mu-and-method": (
        "mu is the strength of FedProx's proximal term. FedProx without it is FedAvg, and FedAvg has none. Set both "
        "consistently."
    ),
    "updates-of-persons": (
        "With privacy.clipping_norm each sampled person trains alone on all rows they have, and the update of that person "
        "is clipped. A single record has no update of its own, and a whole site would need noise inside the sum. "
        "Use unit person, or clip gradients with max_grad_norm."
    ),
    "statistics-clients-per-round": (
        "Statistics are one sum over all sites, and sites enforce how many stand in a sum: as many as in a round of "
        "training. Let all sites take part in every round, or ask the statistics in a study of their own."
    ),
    "statistics-epsilon": (
        "Statistics are a release like the model. Where an epsilon is claimed they need their own part of it, "
        "`statistics.epsilon`; where none is claimed, such a part would promise what nobody keeps."
    ),
    "statistics-epsilon-too-large": (
        "Statistics, metrics and training share privacy.target.epsilon. The parts of the first two leave nothing for "
        "training, so no noise could reach the target. Give statistics a small part, a tenth say."
    ),
    "no-target": (
        "The noise of a study without a target was asked for, which the checks before should have prevented. This is "
        "a bug of reticent: please report it with the study file."
    ),
    "noise-not-found": (
        "The noise that was solved for does not keep the certified epsilon within the target, and more noise did not "
        "help. No plan is made, since its promise would be false. Please report it with the study file."
    ),
    "nothing-to-evaluate": (
        "Metrics are computed on persons who were never trained on, and the contract keeps none. Set "
        "data.test_fraction with a split_key, or a split_column, or release no metrics."
    ),
    "override-unknown-site": (
        "An override names a site that the study file does not have. A new site is never added by an override, since "
        "a misspelt name would join the study. Correct the name, or add the site in the file."
    ),
    "person-not-declared": (
        "The unit of the promise is a person, and the contract does not say which rows belong to which person. Rows "
        "of one person that are protected one by one would make the promise false. Name the person column, or declare "
        'person = "row" if every row is another person.'
    ),
    "reason-missing": (
        "A study that promises no differential privacy must say why, since the reason stands in the plan and the "
        "report. Add privacy.reason, for example that the records are public."
    ),
    "regression-metrics": (
        "The error of a regression has no bound by which noise could be scaled, so releasing it cannot be accounted. "
        "Release no metrics (exact ones stay at each site), or learn classes."
    ),
    "reserved-name": (
        "Names of sites become folders and senders of messages, so each must be unlike every other, whatever the "
        "capitals, and unlike the coordinator's. Rename the site."
    ),
    "rows-not-declared": (
        "Sampling probabilities, weights and the check of delta follow from the sizes of the sites, which are declared "
        "public constants. Sites given by name alone have none. Give a mapping from name to rows."
    ),
    "scaling-from-data": (
        "Per-site scaling uses means and spreads of the site's own records, and these are releases that nobody pays "
        "for. Where an epsilon is claimed, declare a range for every number column and use declared scaling."
    ),
    "shared-population": (
        "Several sites declare the same people, while the study assumes that a person is at fewer sites. What these "
        "sites release about one person adds up. Raise privacy.sites_per_person, or name the populations apart if "
        "they are disjoint."
    ),
    "sites-per-person-over-sites": (
        "A person cannot have records at more sites than the study has. Lower privacy.sites_per_person."
    ),
    "study-not-found": (
        "There is no file at this path. Give the path of a study file; `reticent new` writes one to begin with."
    ),
    "study-syntax": (
        "The file is not valid TOML; the message gives line and column. Frequent causes are missing quotes, a key that "
        "stands twice, and True in place of true."
    ),
    "study-unreadable": (
        "The study file exists and cannot be read. Check that the path is a file and that you may read it."
    ),
    "sum-too-wide": (
        "Masked sums are computed on whole numbers of steps of the precision, and up to 2**53 steps are exact. Bound "
        "and precision of this study need more, or contradict each other. Use a coarser precision or a smaller bound."
    ),
    "target-delta-invalid": (
        "delta is the probability with which the promise may fail; it must be above 0 and below 1, and in practice "
        "well below one over the number of persons. Correct privacy.target.delta."
    ),
    "target-delta-too-large": (
        "From delta = 1 / n on, publishing the record of one random person outright would satisfy the promise. So "
        "delta must be below one over the rows of the smallest site. Use a smaller delta."
    ),
    "target-epsilon-invalid": (
        "epsilon bounds how much one person's presence can change any outcome; it must be a finite number above 0. "
        "0 would allow no learning at all. Values around 1 to 3 are common."
    ),
    "threshold-over-sites": (
        "The threshold is the number of sites that must answer in a round, so it lies between one and the number of "
        "chosen sites. Correct secure_aggregation.threshold or dropouts."
    ),
    "threshold-under-half": (
        "With a threshold of half the sites or fewer, a coordinator could unmask two disjoint groups and learn more "
        "than one sum. The threshold must exceed half of the sites in a round. Allow fewer dropouts."
    ),
    "too-few-sites-to-hide": (
        "Secure aggregation reveals a sum. With two sites, each computes the other's update from it, so the masks "
        "would protect nothing from the sites. Bring a third site, or use plain aggregation knowingly."
    ),
    "too-many-kinds-of-sites": (
        "A person may be at several sites, and the promise is the worst choice of them. With many sites that all "
        "sample differently the choices are too many to certify. Give sampling_probability, the same for all sites."
    ),
    "unit-site": (
        "Hiding that a whole site took part needs noise that is complete only in the sum over the sites, which this "
        "version does not do. Use the unit person or record."
    ),
    "unknown-key": (
        "Nobody reads this key, so it is a mistake: a misspelt setting must never become a silent default. The hint "
        "names the key that was probably meant."
    ),
    "columns-not-divided": (
        "Sites hold columns of the same rows, so every column of the contract, the label too, must be at exactly one of "
        "them. A column that nobody holds cannot be read, and one that two hold would be counted twice. Correct the "
        "lists in [sites.NAME] columns."
    ),
    "columns-not-split": (
        "A site lists columns of its own, and the method is one where every site holds rows of the same columns, so the "
        "list would not be read. Remove it, or choose vertical learning or secure computation on columns."
    ),
    "epsilon-under-sharing": (
        "Secure computation hides the rows from the other parties while they compute, and then opens the exact result. "
        "That result is not noised, so no epsilon is true of it, and none is claimed. Say so with a reason, or use "
        "federated learning under differential privacy."
    ),
    "loss-under-sharing": (
        "Under secret sharing this version trains linear regression (mse_loss) and logistic regression "
        "(binary_cross_entropy_with_logits, two classes). Choose the one that fits the label, or another method."
    ),
    "model-under-sharing": (
        "Under secret sharing this version trains a linear model: one weight for each feature, and one intercept. The "
        "study's model has another number of parameters. Use a factory that returns torch.nn.Linear(inputs, 1), or "
        "another method for larger models."
    ),
    "not-for-this-method": (
        "The key belongs to another method of learning and would not be read here. A setting that does nothing is "
        "refused, since somebody may rely on it. Remove it; the message says what this method has."
    ),
    "parties-and-protocol": (
        "The protocol needs another number of sites: replicated sharing has exactly three parties, additive sharing and "
        "vertical learning at least two. Change the protocol or the sites."
    ),
    "rows-cannot-be-left-out": (
        "Sites hold columns of the same rows. If one of them left rows out by itself, the others would join wrong rows. "
        "Let the contract declare what stands in for a missing value."
    ),
    "rows-not-named": (
        "Sites hold columns of the same rows, and the contract names no column that says which row is whose. Without it "
        "rows could only be joined by position, which goes wrong in silence. Name the column in data.person."
    ),
    "section-of-another-method": (
        "The study has a section that its method of learning does not read, so it would promise something that nothing "
        "does. Remove the section, or choose the method that it belongs to."
    ),
    "site-without-columns": (
        "Sites hold columns of the same rows, and this site holds none to learn from; the label alone is no feature. Give "
        "it a column, or leave the site out of the study."
    ),
    "steps-under-sharing": (
        "Regressions under secret sharing are computed by plain gradient steps. Another optimiser or a momentum would need "
        "more shared state than this version keeps. Use sgd without momentum."
    ),
    "content-decides-the-split": (
        "Where a model is cut, everybody counts the rows that cross it. If the content of a row decides whether it is "
        "trained on (test rows by a hash of the content, incomplete rows left out), that count changes with what one row "
        "says, and no noise hides it. Keep no test rows, or choose them by a person column or a split_column."
    ),
    "figures-across-the-cut": (
        "To test a split model, test rows must cross the cut as training rows do, and the counts leave the site of the "
        "labels. This version pays for neither. Claim no figures here, and test the joined model on public records."
    ),
    "labels-travel": (
        "In split learning without a head at the site, the coordinator computes the loss and so receives every label. No "
        "noise elsewhere makes an epsilon true of a record whose label is sent openly. Keep the head at the site."
    ),
    "person-with-many-rows": (
        "The noise where a model is cut protects one row in each pass. A person with m rows sends m of them, so the noise "
        "would have to grow with m, which nobody declared. Use unit record, or one row for each person."
    ),
    "presence-is-seen": (
        "In split learning every row is sent in every pass, so whoever receives it knows which rows exist. Noise can hide "
        "what a row says, and that is replace_one; it cannot hide that the row is there."
    ),
    "same-people-everywhere": (
        "Where sites hold columns of the same people, every site releases something about each of them, and it adds up. "
        "The study must say so: sites_per_person is the number of sites. The noise then covers all of them together."
    ),
}
