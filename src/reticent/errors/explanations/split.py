"""Explanations for `reticent.split`."""

EXPLANATIONS: dict[str, str] = {
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
    "invalid-boundary": (
        "A setting of the noised boundary makes no sense: a count below its least value, a norm that is not a positive "
        "number, or a noise for updates without their norm. The message names the setting and its value."
    ),
    "leakage-rows": (
        "Leakage is measured row by row, between inputs and activations or between gradients and labels, and needs at "
        "least four rows of both. Give arrays that belong together; about 500 rows give steady figures."
    ),
}
