"""Explanations for `reticent.randomness`, `reticent.messages` and `reticent.identity`."""

EXPLANATIONS: dict[str, str] = {
    "bad-signature": (
        "A message does not carry the signature of the participant in whose name it came. It was altered or forged on "
        "the way, or the public key that you pinned is out of date. Compare the public keys over another channel, "
        "such as the telephone, and pin the right one; do not simply accept the new key."
    ),
    "invalid-name": (
        "Names of participants are 1 to 128 printable characters, since they appear in files, messages and reports. "
        "Choose a short name such as 'north'."
    ),
    "key-file-exposed": (
        "Other accounts of this machine may read or change the file of the signing key, so anybody there could speak "
        "in the name of this site. Set its mode to 0600. If others had access before, make a new key and have the "
        "other participants pin it."
    ),
    "key-file-malformed": (
        "The file does not hold an Ed25519 private key in PEM form. Restore it from a backup, or make a new key and "
        "have the other participants pin its public half."
    ),
    "key-file-unreadable": (
        "The file of the signing key does not exist or may not be read by this account. Check the path in the site "
        "configuration and the owner of the file."
    ),
    "key-file-unwritable": (
        "The file of the signing key could not be written. An existing file is never overwritten, since the identity "
        "in it would be lost; choose another path, or move the old file away on purpose."
    ),
    "keystream-copied": (
        "Code tried to copy or pickle a stream of secret randomness. Both copies would give the same masks or the "
        "same noise, which removes their protection, so this is refused. Make a fresh stream where it is needed."
    ),
    "keystream-forked": (
        "A stream of secret randomness was made before the process forked and used after it. Parent and child would "
        "draw the same noise. Make the stream in the process that uses it."
    ),
    "keystream-key-length": (
        "A stream of randomness takes a key of exactly 16 bytes. This is an error in the calling code: use "
        "Keystream.fresh(), or derive a key of 16 bytes."
    ),
    "keystream-target": (
        "A stream of randomness was asked to fill an array that is not contiguous in memory; it would have filled a "
        "copy and left the array as it was. This is an error in the calling code: fill a new array."
    ),
    "malformed-message": (
        "Bytes that came from outside are not a message of the expected kind: cut off, altered, too long, of another "
        "version, or made by an enemy. Nothing of it was used. Check that all participants run the same version of "
        "reticent; if they do, treat the sender or the network as hostile."
    ),
    "shared-identity-key": (
        "Two names of the roster have the same public key, so that one party could count as two, for instance towards "
        "the threshold of a secure sum. Every participant makes a key of its own."
    ),
    "signing-key-copied": (
        "Code tried to copy or pickle a signing key, which is how keys end up in files and messages. Load it from its "
        "file in the process that signs."
    ),
    "unencodable": (
        "A record holds something that messages cannot carry, or a class was used as a message that is not one. This "
        "is an error in the calling code; the text names the field."
    ),
    "unknown-signer": (
        "A message came in the name of somebody whose public key was not pinned before the run. Nobody joins a run "
        "that has begun; add the participant to the roster and start a new run."
    ),
    "unsafe-identity-key": (
        "The public key pinned for a participant has the wrong length or is one of the few special values under which "
        "forged signatures verify. Ask the participant for the public key that its own software shows."
    ),
    "weak-derivation": (
        "A key was to be derived from too little secret, or without naming its purpose. Either would make it "
        "guessable or used twice. This is an error in the calling code."
    ),
    "wrong-recipient": (
        "A signed envelope reached somebody it was not addressed to. The carrier mixed up messages or redirected them "
        "on purpose. Nothing of it was used; check the names in the configuration of sites and hub."
    ),
}
