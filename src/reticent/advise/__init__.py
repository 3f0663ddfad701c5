"""Which technique fits."""

from reticent.advise.file import load_needs, parse_needs
from reticent.advise.needs import CONCERNS, QUESTIONS, Concern, Needs, Question
from reticent.advise.rank import Advice, Answer, Refused, advise
from reticent.advise.techniques import COVERS, TECHNIQUES, Technique
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
    "Needs",
    "Question",
    "Refused",
    "Reply",
    "Technique",
    "advise",
    "load_needs",
    "parse_needs",
]
