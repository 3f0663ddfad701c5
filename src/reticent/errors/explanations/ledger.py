"""What the codes of the budget ledger mean."""

__all__ = ["EXPLANATIONS"]

EXPLANATIONS: dict[str, str] = {
    "already-committed": (
        "This part of the plan was committed before, so its noise may have been drawn and its message may have left. "
        "Drawing fresh noise for the same part would let someone average it out. "
        "Send the journalled reply again, which costs nothing, or take the next execution under a new key."
    ),
    "budget-exhausted": (
        "The plan needs more epsilon or delta than is left of what was granted for this population; nothing was "
        "reserved and nothing released. Plan with more noise or fewer rounds, or let whoever answers for these people "
        "run the command in the message, which grants exactly the rest."
    ),
    "cannot-void": (
        "A reservation can be given back only while nothing of it was committed. The epsilon was computed for the plan "
        "as a whole and has no parts, so after the first commit all of it is spent. "
        "The remaining executions can still be run and cost nothing more."
    ),
    "empty-release": (
        "A reservation or commit without any event would be paid for nothing, and is nearly always a mistake in the "
        "caller. Name the events that will be drawn; what draws no noise needs neither reservation nor commit."
    ),
    "export-unreadable": (
        "The export that was to be checked cannot be opened: it does not exist, or its permissions do not allow "
        "it. Check the path."
    ),
    "export-unwritable": (
        "The file of the export could not be written; nothing half-written was left, and the ledger is as it was. "
        "Name a file in a directory that exists, has space, and that you may write to."
    ),
    "filter-mismatch": (
        "The first grant of a population chooses how its plans are added up, and what was charged under one filter "
        "cannot be read under another. Grant under the filter of the first grant, or leave it out."
    ),
    "grant-not-signed": (
        "With a roster every grant, and every word that populations are disjoint, must carry its signer's "
        "signature; this entry has a name alone. Signatures cannot be added afterwards. Verify without a roster, "
        "or begin a new ledger whose grants are signed."
    ),
    "head-unreadable": (
        "The file with the head of the ledger cannot be opened. Check the path; it is a file that `reticent ledger "
        "verify --format json` or `reticent ledger export` wrote."
    ),
    "invalid-budget": (
        "A budget is a finite epsilon above 0 and a delta of at least 0 and below 1; all grants of one population "
        "together stay below an epsilon of a million and a delta of 1, beyond which nothing is promised any more. "
        "Correct the number; delta should be smaller than one over the number of units in the population."
    ),
    "invalid-filter": (
        "A filter says how the plans of a population are added up: `sum` adds their epsilons and deltas, `renyi` "
        "adds their Renyi curves, which lets many plans fit more. Use one of the two names."
    ),
    "invalid-ledger-head": (
        "A head is the identity of a ledger, the position of its last entry and that entry's hash. The text that "
        "was given holds none. Give what `reticent ledger verify --format json` printed, or an export."
    ),
    "invalid-ledger-text": (
        "Reasons, purposes, keys, hashes, data set names and signers are printed in reports, one line each. "
        "An empty text, a line break, a control character or more than 500 characters is refused. Shorten it to a line."
    ),
    "invalid-ledger-url": (
        "A ledger lives in a SQLite file, or in a PostgreSQL database where programs on several machines share a "
        "budget. Use sqlite:///budget.db for a file in the current folder, sqlite:////srv/budget.db for an "
        "absolute path, or postgresql://user@host/database. Passwords belong in ~/.pgpass or PGPASSWORD."
    ),
    "invalid-population": (
        "Budgets are kept by the population's name, so two names that look alike would be two budgets for the same "
        "people. Only ASCII letters, digits and . _ : @ / + - are allowed, at most 100, the first a letter or digit."
    ),
    "ledger-busy": (
        "Writers take turns, and another process has held the ledger for longer than the waiting time. Nothing was "
        "written and nothing released. Find the process that has the file open, end it, and start again."
    ),
    "ledger-damaged": (
        "The file is no SQLite database, its pages are damaged, or its entries contradict each other. Nothing is "
        "released on the strength of a ledger that cannot be read. Restore a copy that is not older than the last "
        "release; an older one would forget what was spent, so grant less by the difference."
    ),
    "ledger-disk": (
        "The operating system could not write the ledger: the disk or a quota is full, or the disk fails. No noise is "
        "drawn before its charge is safely on disk, so nothing was released. Free some space and start again."
    ),
    "ledger-driver-missing": (
        "The address names a PostgreSQL database, and the driver that speaks to it is an extra that is not "
        "installed. Run the command in the message, or use a SQLite file where one machine is enough."
    ),
    "ledger-invariant": (
        "The database refused a row that the program had checked before, by a rule that the tables carry for "
        "themselves. Nothing was written. Call `Ledger(...).verify()`: if it finds no damage, this is our mistake; "
        "please report it."
    ),
    "ledger-not-empty": (
        "An export can fill only a ledger that holds nothing: entries are never overwritten, and two histories cannot "
        "be mixed. Name a file that does not exist yet, or an empty database."
    ),
    "ledger-rolled-back": (
        "The ledger lacks an entry that it held before, or is another ledger than the one whose head was kept: an "
        "older copy was put back. It would allow again what was spent. Restore the newest copy, and release "
        "nothing before the difference is explained."
    ),
    "ledger-unreachable": (
        "The ledger's file cannot be created or opened for writing (a folder that does not exist, a folder in "
        "place of the file, missing permission), or its server does not answer or refuses the user. Name a file on "
        "a local disk in a folder that you may write to, or check the server; what was committed before is kept."
    ),
    "ledger-vanished": (
        "The ledger was there when this program first opened it, and is gone or empty now. A new, empty file would "
        "forget what was spent, so none is made. Put the file back, or restore a copy that is not older than the last "
        "release."
    ),
    "ledger-version": (
        "The ledger has a newer form than this program knows; older forms are brought up to date when they are "
        "opened. Reading it with the wrong rules could overlook what was spent. Use the version of reticent that "
        "wrote it, or a newer one."
    ),
    "no-common-unit": (
        "Budgets of several populations can be added up, or declared disjoint, only where they count the same unit "
        "under the same relation: an epsilon of one kind says nothing about the other. Name populations that have "
        "both in common."
    ),
    "no-grant": (
        "Nobody has allowed any release about this population, so there is nothing to spend; nothing was drawn. "
        "Check the spelling of the population and the address of the ledger. Otherwise let whoever answers for these "
        "people run the command in the message."
    ),
    "not-a-ledger": (
        "The file is a SQLite database that another program has filled. To protect its data, nothing is written into "
        "it. Name the ledger's own file, or a file that does not exist yet."
    ),
    "not-an-export": (
        "The file does not begin as an export of a ledger does, or a newer version of the program wrote it. Name a "
        "file that `reticent ledger export` wrote, and read it with that version."
    ),
    "nothing-to-export": (
        "Nothing was ever granted in this ledger, so there is nothing to write. Check the address of the ledger."
    ),
    "relation-mismatch": (
        "The budget was granted under another neighbouring relation than the plan claims. An epsilon for adding or "
        "removing one unit and an epsilon for exchanging one mean different things and cannot be added. "
        "Plan under the budget's relation."
    ),
    "reservation-key-reused": (
        "A key names one reservation for ever, so that a retry after a crash finds its own charge. This key was used "
        "for a plan with another content. Reserve under a new key."
    ),
    "reservation-spent": (
        "The executions left in the reservation do not cover what is to be drawn: the plan's rounds and spare "
        "executions are used up, or the noise differs from what was reserved. Nothing was drawn. "
        "Reserve a new plan, with more spare executions if crashes are frequent."
    ),
    "reservation-void": (
        "The reservation was given back, and its budget may be held by another plan by now. Nothing can be drawn "
        "under it. Reserve the plan again under a new key."
    ),
    "signer-missing": (
        "The command in a refusal has a placeholder where the name of the signer belongs, and it was left in. Put "
        "the name of the person there who answers for these people: whoever audits the ledger will ask them."
    ),
    "too-few-populations": (
        "That populations are disjoint is a word about two or more of them: nobody is in two. Name them all in one "
        "declaration."
    ),
    "unbounded-release": (
        "No finite epsilon holds for these events at this delta, for instance because the noise multiplier is 0. "
        "No budget can pay for that. Add noise, or do not release."
    ),
    "unit-mismatch": (
        "The budget protects another unit (record, person or site) than the plan claims. An epsilon for one record "
        "says nothing about all records of a person, so the two cannot be added. Plan for the budget's unit."
    ),
    "unknown-population": (
        "The ledger has no entry for this population: nothing was granted, so there is no balance to show. "
        "Check the spelling against the names in the message, and the address of the ledger."
    ),
}
