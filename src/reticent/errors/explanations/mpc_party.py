"""Explanations for the party process of `reticent.mpc`."""

EXPLANATIONS: dict[str, str] = {
    "dealer-file": (
        "A computing party was to be started with the file of the dealer. The dealer knows every triple, so it never "
        "runs a program nor holds a share. Start it with `mpc.run_dealer_file`, and parties with their own files."
    ),
    "not-the-dealer": (
        "A dealer was to be started with the file of a computing party, who must never know the triples. Start the "
        "dealer with the file whose `me` is the name in its section `[dealer]`."
    ),
    "party-file-invalid": (
        "A party file is no TOML, or holds an unknown, missing or wrong entry; the message names the file and the key. "
        "Nothing was started. All parties need the same file, but for `me` and `key`."
    ),
    "party-file-unreadable": (
        "A party file does not exist or may not be read by this process. Check its path and its permissions, then "
        "start the party again."
    ),
}
