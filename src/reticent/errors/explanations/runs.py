"""Codes of `reticent.runs`, `reticent.engines`, `reticent.api` and the command line."""

from __future__ import annotations

__all__ = ["EXPLANATIONS"]

EXPLANATIONS: dict[str, str] = {
    "bad-override": "An option --set is not of the form section.key=value. Write for example --set learning.rounds=10.",
    "baselines-need-public-data": (
        "Exact baselines disclose figures about the records that the plan protects. They are computed only where the "
        "study says data.public = true, which is for records that are published anyway."
    ),
    "cannot-write": (
        "A file of the run could not be written. What had been written before is complete. Check owner and permissions "
        "of the folder, then `reticent resume`."
    ),
    "disk-full": (
        "The disk is full. Files are replaced as a whole, so the last checkpoint, the journals and the ledger are intact. "
        "Free space, then `reticent resume` the run folder."
    ),
    "doctor-found-faults": (
        "`reticent doctor` found something that a run needs and this machine lacks. Each line marked FAILED says what."
    ),
    "folder-not-empty": "`reticent new` writes into a new folder only, so that it can never overwrite your work.",
    "model-changed": (
        "The source file of the study's model is not the one whose hash the plan pins. Sites approve a plan, and code "
        "that changed afterwards was approved by nobody. Restore the file, or plan again."
    ),
    "model-not-found": (
        "The module or function named by model.factory cannot be imported. Code does not travel: put the module beside "
        "the study file, or install the package that holds it at every site."
    ),
    "model-of-another-plan": (
        "The model file says that it was written under another plan than the one beside it. Files of different runs were "
        "mixed, or one was changed. `reticent verify` on the original run folder says which."
    ),
    "model-unreadable": "The model file is damaged or not a safetensors file. Copy or export it again.",
    "no-model-here": (
        "The folder holds no finished model. Give a finished run folder or an exported bundle; `reticent resume` finishes "
        "a run that was stopped."
    ),
    "no-run-here": (
        "The folder is not a run folder, or its making was interrupted before anything was asked of a site. Give the "
        "folder that `reticent run` named, or run again: nothing was spent."
    ),
    "no-spare-execution": (
        "A round was begun and paid for, and a crash or an absence makes a repetition necessary. A repetition draws a "
        "fresh sample and fresh noise and must be paid for, and the plan holds no spare execution. The model of the last "
        "checkpoint can be used. Plan with privacy.spare_executions = 1 or more to survive a crash."
    ),
    "not-in-plan": (
        "A site was asked for a round, or for figures, that its plan does not contain. What may leave a site stands in the "
        "plan and nowhere else; without an epsilon no budget would stop such a question. Run the plan that all approved."
    ),
    "no-statistics": (
        "A part of reticent asked for the statistics of a plan that has none. This is a mistake of ours. "
        "Please report it with the study file."
    ),
    "statistics-version": (
        "Questions become a vector in the same way at every party, and the plan names that way by a hash. This version "
        "of reticent does it otherwise, so its vector would not fit into the sum. Install the version that made the plan."
    ),
    "nothing-reserved": (
        "A site was asked for a release under a plan that claims no privacy, or before its budget was reserved. It "
        "answers nothing. Run the plan that the site approved."
    ),
    "nothing-to-plan": "reticent.plan needs a study file, or a model and sites.",
    "objects-not-stored": (
        "The run was made from Python objects (a model function, frames). Code and data are never stored in a run folder, "
        "so `resume` must be given the same plan and data again."
    ),
    "objects-stay-here": (
        "Python objects cannot be handed to processes of their own without pickle, which reticent never uses. Name the "
        "model and the data in a study file."
    ),
    "over-site-limit": (
        "The plan would spend more at a site than the site's own file allows (max_epsilon). The site's file always wins. "
        "Lower the target, or ask the site."
    ),
    "plan-differs": (
        "Two parties, or a run and its resumption, hold different plans. Budget was reserved and approval given for one "
        "plan only. Make the plan again from the same study file with the same version."
    ),
    "population-differs": (
        "The study would charge another population, or another version of the data, than the site declares in its own "
        "file. Budgets belong to people, so the two must agree word for word."
    ),
    "purpose-not-allowed": (
        "The site's own file lists the purposes that it takes part in, and the study's is not among them."
    ),
    "request-changed": (
        "A site was asked a question under a name that it has answered before, in other words. Answering both would be "
        "two releases for the price of one. Only a new attempt may ask something new."
    ),
    "run-locked": (
        "Another process is running this study in the same folder. Two runs at once would ask the same people twice. "
        "Wait for it to end; the lock dies with its process."
    ),
    "site-failed": (
        "A site could not answer during a run. The reason may depend on its records, so it stays at the site: look into "
        "refusals.jsonl in the site's own folder."
    ),
    "site-without-data": (
        "The study names no data for a site on this machine. Add `file` or `site` to its section, or hand the rows to "
        "reticent.run."
    ),
    "target-not-empty": "`reticent export` writes into a new folder only, so that files of two runs cannot mix.",
    "too-few-site-names": (
        "`reticent new` writes a study with secure aggregation, which needs at least three sites: from the sum of two, "
        "each could compute the other's part."
    ),
    "unknown-code": "There is no error code of this name. `reticent help` lists all of them.",
    "unknown-engine": 'The engine is "local" (all sites in this process) or "processes" (one process for each site).',
    "unknown-site": "Data or a setting were given for a site that the study does not have. Use the names under [sites].",
    "verification-failed": (
        "At least one check of `reticent verify` failed: a file, the ledger or the promise is not what was recorded. "
        "Compare with the signed page, and do not use the model before the difference is explained."
    ),
    "wrong-sender": (
        "A message is signed, but not by the party that should have sent it, or belongs to another run or request. It is "
        "not answered and not used."
    ),
    "reply-forgotten": (
        "The coordinator asked again for an answer that the site gave long ago in this round. The site keeps only its last "
        "replies, and never computes an answer twice, since that would be a second release. Open a new attempt instead."
    ),
    "cut-sends-records": (
        "The model is cut before any layer that has weights, so the sites would send their records in the clear and only "
        "call it split learning. Cut after a trained layer; the later the cut, the less an activation usually shows."
    ),
    "bounds-not-declared": (
        "Encrypted numbers must stay within a bound that both sides know, or they wrap around unseen. This contract leaves "
        "a number column without a range. Declare the range; a value beyond it is moved to its end, as in training."
    ),
    "nothing-to-predict": (
        "The table holds no rows, so nothing would be encrypted and sent. Check that it is the right file, and that its "
        "header line is not its only line."
    ),
    "rows-not-aligned": (
        "Sites hold columns of the same people, and their lists of people differ: a person is missing somewhere, or is "
        "called by another name. Joined by position the rows would be wrong, so nothing was shared. Agree on one list."
    ),
    "computation-out-of-range": (
        "Numbers under sharing have a fixed number of digits, and what grows beyond them wraps around unseen. The opened "
        "model is so large that this may have happened, usually because gradient steps diverged, so it is not used. Take a "
        "smaller learning rate, or scale the number to be predicted, and run again. What was opened stays known to all."
    ),
    "part-not-here": (
        "In split learning every party keeps its own part of the model. The whole model can be used only where the folders "
        "of all parties lie, as after a run on one machine, and here one is missing. Nothing was computed."
    ),
    "parts-stay-apart": (
        "The model was trained in parts that belong to different parties, and a bundle would put them into one hand. Each "
        "party keeps its part; on a machine that owns all folders of a run, `reticent predict` joins them for the moment."
    ),
    "only-encrypted": (
        "A plan and a report of a prediction say who sees what when rows are encrypted. A prediction in the clear shows "
        "the rows to whoever runs it and has neither. Add --encrypted, or leave these options out."
    ),
    "promise-without-noise": (
        "The plan says one epsilon, and its own noise gives a larger one, or there is none at a site. Plans that are "
        "derived from a study never do that; this one was changed by hand. The site takes no part, and nothing was spent."
    ),
}
