"""Explanations for `reticent.channels`."""

EXPLANATIONS: dict[str, str] = {
    "address-unusable": (
        "A computing party was to listen at an address that is not of its machine, or whose port another process has. "
        "Nothing was sent. Choose a free port of this machine and tell the other parties."
    ),
    "certificate-refused": (
        "What answers or calls in the place of a party did not prove an identity that is pinned for it. An out-of- "
        "date key, a wrong address or an attack look the same from here. Compare public keys by telephone before "
        "pinning another one."
    ),
    "different-meeting": (
        "Parties of one session are connected with different processes of the same identity, so that a computation "
        "would mix two halves. A party was started twice, or its key is used elsewhere. Stop all processes and start "
        "each party once."
    ),
    "facts-differ": (
        "Parties met that do not run the same program, or not with the same settings; the message says what differs. "
        "Shares of one would be garbage for the other, so nothing was sent. Give all parties the same files."
    ),
    "frame-too-long": (
        "A party announced a message longer than this channel allows, and it was refused before any memory was taken "
        "for it. Either the limit is too low for the program, or the other side is not what it should be."
    ),
    "invalid-deadline": (
        "The deadline of a channel is the number of seconds after which a party that says nothing counts as failed. "
        "It must be a positive number; time that a party spends in computing counts, so leave room for that."
    ),
    "invalid-parties": (
        "Parties of a computation were given without names, or two of them share one. Errors must be able to name the "
        "party that failed, so each needs a name of its own, and there are at least two."
    ),
    "malformed-frame": (
        "A party that had proved its identity sent bytes that the protocol does not have. Different versions of "
        "reticent are the usual reason; otherwise treat that party as hostile."
    ),
    "no-address": (
        "A party must be dialled or must listen, and no address is known for it. Give host and port of every party "
        "but the last."
    ),
    "no-such-party": (
        "A message was to go to, or to come from, a party that does not exist, or from a party to itself. Parties are "
        "numbered from 0 in the order of the party file; a dealer has the last number."
    ),
    "not-a-party": (
        "A process was started in the name of a party that the session does not have. Names are compared letter by "
        "letter."
    ),
    "other-party": (
        "A party with a pinned identity speaks under another number than its place in the list says. The lists of "
        "parties differ in order, and with it who holds which share. Use the same list everywhere."
    ),
    "other-session": (
        "A connection belongs to another session than this one: an old party file, or a connection key of an earlier "
        "session that somebody has kept. It is refused, so that nothing of one session can be used in another."
    ),
    "own-certificate-refused": (
        "The other side does not accept the identity that this party showed. It has pinned another public key for it, "
        "or none. Compare what both files say."
    ),
    "party-lost": (
        "A computing party died, was stopped, lost its network or left the computation, so that the others cannot go "
        "on; the message names it. The shares of this attempt are worthless and are not used again. Find out what "
        "happened at that party, then start all parties again."
    ),
    "party-missing": (
        "Not all parties were connected before the deadline; the message names those that are missing and what was "
        "refused meanwhile. Start all parties within the deadline, and check addresses, firewalls and pinned keys."
    ),
    "programs-diverged": (
        "Every party waits for a message of another, and none is on its way. The parties do not run the same program, "
        "or one of them took a branch that the others did not take. Only public values may decide a branch."
    ),
    "tls-failed": (
        "The encrypted connection could not be made or was disturbed on the way. Check that the address is that of a "
        "computing party, and that nothing on the way changes the traffic."
    ),
    "tls-too-old": (
        "The other side speaks an older protocol than TLS 1.3, or none, and nothing older is accepted here. A proxy "
        "that ends the encryption on the way is the usual reason; it must not stand between computing parties."
    ),
}
