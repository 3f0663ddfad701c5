"""Explanations for `reticent.channels`."""

EXPLANATIONS: dict[str, str] = {
    "invalid-deadline": (
        "The deadline of a channel is the number of seconds after which a party that says nothing counts as failed. "
        "It must be a positive number; time that a party spends in computing counts, so leave room for that."
    ),
    "invalid-parties": (
        "Parties of a computation were given without names, or two of them share one. Errors must be able to name the "
        "party that failed, so each needs a name of its own, and there are at least two."
    ),
    "no-such-party": (
        "A message was to go to, or to come from, a party that does not exist, or from a party to itself. Parties are "
        "numbered from 0 in the order of the party file; a dealer has the last number."
    ),
    "party-lost": (
        "A computing party died, was stopped, lost its network or left the computation, so that the others cannot go "
        "on; the message names it. The shares of this attempt are worthless and are not used again. Find out what "
        "happened at that party, then start all parties again."
    ),
    "programs-diverged": (
        "Every party waits for a message of another, and none is on its way. The parties do not run the same program, "
        "or one of them took a branch that the others did not take. Only public values may decide a branch."
    ),
}
