"""Explanations for `reticent.split`."""

EXPLANATIONS: dict[str, str] = {
    "batch-of-one": (
        "The last batch of an epoch would hold one row, and batch normalisation cannot divide by the variance of one "
        "row. Leave the last batch out with last_batch = drop, or choose another batch size."
    ),
    "boundary-frozen": (
        "A bottom was to learn behind a noised boundary whose plan pays only for the vectors that are sent. Learning "
        "looks at the rows a second time, and the learned weights would show them in later activations. Plan with "
        "noise and a norm for the updates, or leave the bottom frozen."
    ),
    "boundary-membership-public": (
        "A split model sends a vector for every row, so everybody who gets them knows which rows take part; a promise "
        "about adding or removing a row would be false. Use the relation replace_one, which hides what a row says. "
        "Where membership itself is secret, use federated learning."
    ),
    "boundary-optimizer": (
        "The bottom behind a noised boundary learns from one noised gradient for each batch. The optimiser that was "
        "given evaluates the loss several times, or belongs to other parameters. Make a first-order optimiser, such as "
        "SGD or Adam, from the parameters of the bottom."
    ),
    "boundary-row-twice": (
        "A row was asked for a second time within one pass, but each row is paid for once in each pass; serving it again "
        "would cost more than was charged. It may be an attempt to read a row out. Use batches without overlap; to "
        "repeat a pass that was interrupted, pay for a new one, from the spare passes of the plan."
    ),
    "boundary-rows": (
        "The rows of a batch are not numbers of this site's rows, or the values that came with them have another shape. "
        "Nothing was released. Check that all parties run the same plan and the same model."
    ),
    "boundary-rows-per-unit": (
        "At least one person has more rows than rows_per_unit declares, so the noise that was planned would not hide "
        "them. Declare a larger number, which costs more, or keep fewer rows of each person before the run. How many "
        "there are is not said, since that is a fact about a person."
    ),
    "boundary-unit": (
        "Noise on a boundary hides what one row or one person says. It cannot hide that a whole site takes part, which "
        "everybody sees. Use unit record or unit person."
    ),
    "defence-without-effect": (
        "A defence of a split model was asked for where it could not keep its promise: labels that travel in the clear, "
        "a bottom that learns from the exact rows, exact counts, or a record of which only the features or only the "
        "labels are covered. The epsilon would be false. Give the site a boundary for whatever it holds, as the message "
        "says."
    ),
    "hand-over-refused": (
        "The parts that one site sealed for another do not open with the keys of this epoch, or the key offered is one "
        "that would let anybody compute the secret. Nothing was taken over. Repeat the epoch; if it happens again, "
        "whoever carries the messages changes them."
    ),
    "hand-over-without-identity": (
        "With several sites, each hands its parts to the next one, sealed and signed, so that the coordinator that "
        "carries them can neither read nor exchange them. This client has no signing key or no roster of pinned keys. "
        "Give split.Client both, or train with one site."
    ),
    "invalid-boundary": (
        "A setting of the noised boundary makes no sense: a count below its least value, a norm that is not a positive "
        "number, or a noise for updates without their norm. The message names the setting and its value."
    ),
    "invalid-split-setting": (
        "A setting of a split training makes no sense, or does not fit the shape. The message names it and its value, "
        "and the fix says what is allowed."
    ),
    "label-not-a-class": (
        "A label is not one of the class numbers from 0 to the number of classes less one. Nothing was trained. Number "
        "the classes from 0, and give the settings their number; which labels are wrong is not said."
    ),
    "leakage-rows": (
        "Leakage is measured row by row, between inputs and activations or between gradients and labels, and needs at "
        "least four rows of both. Give arrays that belong together; about 500 rows give steady figures."
    ),
    "malformed-parts": (
        "The bytes that should hold the weights and the optimiser of a part are damaged, or belong to another model. "
        "Run the same version and the same model at every party, and resume from an undamaged folder."
    ),
    "no-checkpoint": (
        "A site was asked to go on from an epoch of which it has no checkpoint, as after its folder was lost. Going on "
        "from other weights would train another model without a word. Resume with the folder that the site used "
        "before, or begin a new run."
    ),
    "parts-do-not-fit": (
        "The parts or labels given to a party do not belong to it in this shape: a head where labels travel, none where "
        "they stay, labels at two parties, or a bottom without weights, which would send the rows themselves. Pass the "
        "parts that split.cut returned as the shape has them."
    ),
    "several-tensors-cross": (
        "At this place more than one tensor would go from one part of the model to the other, as where a skip leads "
        "around the cut. One tensor may cross. Cut at one of the places that the message names, or put what the skip "
        "spans into one submodule."
    ),
    "shared-across-cut": (
        "Both sides of the cut use the same parameter or buffer, and no two parties can own one tensor. Untie it, or "
        "cut where both uses lie on the same side."
    ),
    "split-attempt-lost": (
        "A site was asked to go on within an epoch that it does not know, as after a restart. What an epoch has under "
        "way is never written down. Repeat the epoch as a new attempt, from the checkpoints of the last one; "
        "`reticent resume` does so."
    ),
    "split-out-of-order": (
        "A message of split learning came twice, too early or too late, or is not the one that belongs here. A site "
        "answers each step once, since a coordinator that may ask twice for a row could learn more than was agreed. "
        "Repeat the epoch as a new attempt; if it happens again, find out which party changed."
    ),
    "split-rows-not-aligned": (
        "The parties of a vertical study hold different numbers of rows, or their ids differ in content or order. A "
        "model trained on rows that do not belong together learns nothing and says nothing about it, so the run stops. "
        "Keep the rows that all have, sort them by the common id, and give every party its ids."
    ),
    "split-settings-differ": (
        "The coordinator trains under other settings than this site holds. Nothing was answered. Give every party the "
        "same settings, by the same plan."
    ),
    "split-site-absent": (
        "A site did not answer in time. In split learning nobody else has its rows or its part, so the epoch cannot go "
        "on without it. Bring the site back and resume; the epoch is repeated from the last checkpoint."
    ),
    "uncuttable-model": (
        "The forward function of the model cannot be followed down to the cut: it decides by data or by the mode, takes "
        "several inputs or returns several values. Move what decides into a submodule, which is left whole, and give "
        "the model one input and one output."
    ),
    "unknown-cut": (
        "The place named for the cut is no submodule that data pass once, and no node of the model's graph. The fix "
        "lists the places there are."
    ),
    "unknown-split-step": (
        "A site was asked for a step that its version of split learning does not have. Run the same version of reticent "
        "and the same plan at every party."
    ),
    "vertical-row-incomplete": (
        "A row of a vertical study has a value that is missing at one site. Leaving it out there would shift all rows "
        "after it against those of the other sites. Impute the value, or drop the row at all sites before they are "
        "aligned."
    ),
    "wrong-activations": (
        "A site sent activations, labels or counts of a shape that the settings do not have. Nothing was learned from "
        "them. Run the same version, the same model and the same settings at every party."
    ),
    "wrong-gradient": (
        "A gradient came back that is not one of the batch that waits for it: another shape or type, or numbers that are "
        "not finite. If the training diverged, lower the learning rate; otherwise find out which party changed."
    ),
}
