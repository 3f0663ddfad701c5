"""Explanations for `reticent.dp`."""

EXPLANATIONS: dict[str, str] = {
    "delta-too-large": (
        "A mechanism that publishes each record outright with probability delta satisfies the definition, so from "
        "delta = 1 / population on a claim may mean that somebody's record is published. Such a claim is refused. "
        "Use a delta well below 1 / population, for example a tenth of it or less."
    ),
    "invalid-count": (
        "A number of repetitions, steps, draws or units is negative, or zero where at least one is needed. "
        "Give a whole number that is large enough."
    ),
    "invalid-delta": (
        "Delta is the probability mass that the promise does not cover, so it lies above 0 and below 1. A Gaussian "
        "mechanism has no guarantee with delta 0. Give a number well below 1 / population, for example 1e-6."
    ),
    "invalid-dimension": (
        "The number of coordinates of a contribution sets how much rounding adds to its norm, and must be 1 or larger. "
        "Give the number of trained parameters."
    ),
    "invalid-epsilon": (
        "Epsilon is the bound on the privacy loss: a finite number above 0. Zero would forbid to release anything, a "
        "negative number or NaN means nothing, and infinity is no promise. Values of 1 to 8 are usual; above 10 an "
        "attacker may become nearly certain."
    ),
    "invalid-event": (
        "An event describes a mechanism that was run, and one of its numbers cannot describe any: a probability outside "
        "[0, 1], a negative scale, a sensitivity that is not in whole steps. Describe what was really drawn."
    ),
    "invalid-grid": (
        "Sums are exact because all contributions are whole multiples of a grid, which must be a power of two so that "
        "scaling by it loses nothing. Use dp.grid_for, or a power of two such as 2**-10."
    ),
    "invalid-max-grad-norm": (
        "The clipping norm bounds what one unit can contribute, and the noise is a multiple of it. It must be a finite "
        "number above 0. Values of 0.1 to 10 are usual."
    ),
    "invalid-noise-multiplier": (
        "The noise multiplier is the standard deviation of the noise over the largest norm of one unit's contribution. "
        "It must be finite and not negative; 0 means no noise and an infinite epsilon. Use dp.noise_multiplier to find "
        "the one that a target needs."
    ),
    "invalid-noise-scale": (
        "The sampler of noise works for standard deviations above 0 and up to 2**40 grid steps; beyond that, sums "
        "could leave the 64-bit range. Use a coarser grid, as dp.grid_for gives it."
    ),
    "invalid-population-size": (
        "The population is the declared, public number of units that a claim speaks about, 1 or larger. "
        "Declare it in the study; it is never taken from the data, since the true count may be secret."
    ),
    "invalid-relation": (
        "The neighbouring relation says what differs between two data sets that shall be hard to tell apart: "
        "'add_or_remove_one' (one unit more or less) or 'replace_one' (one unit exchanged for another, which costs "
        "about twice as much). It has no default because an epsilon means nothing without it."
    ),
    "invalid-sampling-probability": (
        "The sampling probability is the chance of each unit to take part in a step: above 0 and at most 1. "
        "It is a declared constant, usually the expected batch size over the population."
    ),
    "invalid-sensitivity": (
        "The sensitivity is the largest change that one unit can cause, in L2 norm: a finite number above 0. It must "
        "follow from clipping or from a declared range, never from the data at hand."
    ),
    "invalid-total": (
        "Noise is added to whole numbers of grid steps (int64) of a size that cannot overflow, and what was given is "
        "something else. Clip values to a declared range, encode them to the grid, or use a coarser grid."
    ),
    "invalid-unit": (
        "The unit says whose presence is hidden: 'record' (one row), 'person' (all rows of one person) or 'site' "
        "(everything of one site). It has no default because an epsilon means nothing without it."
    ),
    "noise-not-granted": (
        "Noise was about to be drawn for an event that no budget was charged for, or that was drawn before. Drawing "
        "twice for one charge would let an attacker average the noise away. Reserve and commit a charge for every "
        "draw; a repeated attempt is a new charge."
    ),
    "not-gaussian": (
        "`add_gaussian` draws Gaussian noise, and was asked to charge it as another mechanism. What is drawn is what is "
        "charged: use the function of that mechanism."
    ),
    "target-unreachable": (
        "The other events that belong to the same target, such as released metrics, use it up alone, so that no amount "
        "of noise on the rest keeps it. Give those releases more noise or fewer repetitions, or raise the target."
    ),
    "unknown-event": (
        "Something that is not one of the known mechanisms was to be accounted or read from a ledger. An unknown "
        "mechanism has no known cost, so it is refused. Use the types of reticent.dp.events, and read ledgers with "
        "the version that wrote them or a newer one."
    ),
}
