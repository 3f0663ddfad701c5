"""Which technique, or which two together, and what they cost on this machine.

`advise(needs)` ranks by rules that can be read (`rank`, `offers`) over one table of guarantees (`techniques`);
`measure()` runs each technique once, small, and writes down seconds, bytes, rounds and accuracy.

Guarantee: no answer is given for a stated concern that the table does not cover. That is a statement about the table,
not a proof about a deployment: what each technique promises is proven, tested and limited in its own room.

Adversary: none. Needs are values, and nothing here sees data that must be protected: measurements use published records,
or a table that whoever runs them may see. Their noise and keys are real, and are thrown away.

Cost: ranking takes milliseconds and loads no torch; measuring everything takes less than two minutes on two cores.
"""

from reticent.advise.figures import Figure, Measurements, Missing, Outcome
from reticent.advise.file import load_needs, parse_needs
from reticent.advise.measuring import measure, runs
from reticent.advise.needs import CONCERNS, QUESTIONS, Concern, Needs, Question
from reticent.advise.offers import Mark
from reticent.advise.page import page_sections, rewrite_page, sections_of
from reticent.advise.rank import Advice, Answer, Refused, advise
from reticent.advise.table import as_data, figures_table, in_words, technique_table
from reticent.advise.techniques import COVERS, TECHNIQUES, Technique
from reticent.advise.trial import Trial, example_trial, table_trial
from reticent.advise.views import View
from reticent.advise.wishes import WRONG_CHOICES, Reply

__all__ = [
    "CONCERNS",
    "COVERS",
    "QUESTIONS",
    "TECHNIQUES",
    "WRONG_CHOICES",
    "Advice",
    "Answer",
    "Concern",
    "Figure",
    "Mark",
    "Measurements",
    "Missing",
    "Needs",
    "Outcome",
    "Question",
    "Refused",
    "Reply",
    "Technique",
    "Trial",
    "View",
    "advise",
    "as_data",
    "example_trial",
    "figures_table",
    "in_words",
    "load_needs",
    "measure",
    "page_sections",
    "parse_needs",
    "rewrite_page",
    "runs",
    "sections_of",
    "table_trial",
    "technique_table",
]
