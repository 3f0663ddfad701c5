"""Explanations for `reticent.secagg`."""

EXPLANATIONS: dict[str, str] = {
    "invalid-secagg": (
        "The number of clients, of vector elements or of tolerated drop-outs makes no sense for a secure sum. The "
        "message names the allowed range."
    ),
    "key-rejected": (
        "A site was shown public keys that are missing, replaced, used twice or of a kind that anybody could compute "
        "with, so that its masks would protect nothing. Either the coordinator altered keys or a site's random "
        "generator is broken. Find out which before the round is repeated."
    ),
    "own-key-not-pinned": (
        "The roster of the run pins another public key for this site than the one it holds, or none. Compare the "
        "site's public key with the study's roster and pin the right one."
    ),
    "phase-out-of-order": (
        "A site was asked for a phase of a secure sum that it has answered, or that is not its turn. Answering twice "
        "could give out both secrets of another site, so a site answers each phase once, and not at all after an "
        "error. A failed sum is repeated as a new attempt with new keys."
    ),
    "reconstruction-failed": (
        "The shares that sites opened restore another secret than the one a site had used, so at least one of them "
        "sent a wrong share and the sum would be garbage. The round has failed. Repeat the attempt, and look for a "
        "site that fails again."
    ),
    "secagg-client-copied": (
        "Code tried to copy or pickle a site's state of a secure sum. A copy could answer a second time and give out "
        "what the first must not. Make a new client for a new attempt."
    ),
    "server-phase-order": (
        "The server of a secure sum was given the replies of a phase that is not its turn. This is an error in the "
        "calling code: one server carries one attempt, phase by phase."
    ),
    "share-rejected": (
        "What a site received as another's shares does not decrypt to what that site sealed for it in this session. "
        "Messages were mixed up or altered, or the sites were shown different keys. Nothing was answered; repeat the "
        "attempt."
    ),
    "survivors-below-threshold": (
        "A site was shown fewer participants than the threshold of the plan. The sum over few sites says much about "
        "each, and the sum over one is its vector, so every site enforces the threshold itself. Wait for more sites "
        "and repeat the attempt."
    ),
    "survivors-rejected": (
        "The list of survivors shown to a site repeats names, leaves the site out, or names sites that never shared "
        "their keys with it. An honest coordinator sends no such list. Do not repeat the round before that is "
        "explained."
    ),
    "threshold-too-low": (
        "So many drop-outs were to be tolerated that half of the sites or fewer, or a single one, could finish the "
        "sum. Then the coordinator could ask two groups of sites different questions and uncover a vector. Tolerate "
        "fewer drop-outs, or have more sites."
    ),
    "too-few-survivors": (
        "Fewer sites than the threshold answered a phase of a secure sum in time, so that the sum cannot be "
        "uncovered, and must not be. Nothing was revealed. Repeat the attempt when more sites are reachable."
    ),
    "unknown-drop-phase": (
        "Drop-outs were asked for in a phase that the protocol does not have. Its phases are advertise, share_keys, "
        "masked_input and unmask."
    ),
    "unusable-reply": (
        "A reply to the server of a secure sum cannot be used: from somebody who was not asked, or about others than "
        "it should be. The server counts its sender as absent and lists it in `rejected`."
    ),
    "vector-shape": (
        "The vector given to a secure sum has another shape than the plan states. Flatten the model with the function "
        "of `reticent.training`, and check that all sites use the same model."
    ),
}
