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
    "invalid-budget": (
        "A budget is a finite epsilon above 0 and a delta of at least 0 and below 1; all grants of one population "
        "together stay below an epsilon of a million and a delta of 1, beyond which nothing is promised any more. "
        "Correct the number; delta should be smaller than one over the number of units in the population."
    ),
    "invalid-ledger-text": (
        "Reasons, purposes, keys, hashes, data set names and signers are printed in reports, one line each. "
        "An empty text, a line break, a control character or more than 500 characters is refused. Shorten it to a line."
    ),
    "invalid-ledger-url": (
        "A ledger lives in a file, since budgets must outlive the process; this version writes SQLite files only. "
        "Use sqlite:///budget.db for a file in the current folder, or sqlite:////srv/budget.db for an absolute path."
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
    "ledger-invariant": (
        "The database refused a row that the program had checked before, by a rule that the tables carry for "
        "themselves. Nothing was written. Call `Ledger(...).verify()`: if it finds no damage, this is our mistake; "
        "please report it."
    ),
    "ledger-unreachable": (
        "The ledger's file cannot be created or opened for writing: a folder that does not exist, a folder in place "
        "of the file, or missing permission. Name a file on a local disk in a folder that you may write to."
    ),
    "ledger-vanished": (
        "The ledger was there when this program first opened it, and is gone or empty now. A new, empty file would "
        "forget what was spent, so none is made. Put the file back, or restore a copy that is not older than the last "
        "release."
    ),
    "ledger-version": (
        "The file has another version of the ledger's form than this program knows. Reading it with the wrong rules "
        "could overlook what was spent. Use the version of reticent that wrote it, or a newer one."
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
