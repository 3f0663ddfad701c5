"""Named articles and sections of three laws, and which facts of a run speak to each.

Sources: Regulation (EU) 2016/679 (GDPR); 45 CFR Parts 164 subparts C and E (HIPAA security and privacy rules);
California Civil Code, title 1.81.5 (CCPA as amended by the CPRA). The headings are short paraphrases for orientation;
the text of the law alone counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LAWS", "Law", "Provision", "Regulation"]

Regulation = Literal["gdpr", "hipaa", "ccpa"]


@dataclass(frozen=True, slots=True)
class Provision:
    """One article or section: where it stands, what it is about, and the names of the evidence that speaks to it."""

    reference: str
    about: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Law:
    """A law by its full and its short name."""

    title: str
    provisions: tuple[Provision, ...]


_GDPR = Law(
    "General Data Protection Regulation, Regulation (EU) 2016/679",
    (
        Provision("Art. 4(5)", "pseudonymisation, as defined", ("identifiers",)),
        Provision("Art. 5(1)(a)", "lawfulness, fairness and transparency", ("parties", "limits", "legal basis")),
        Provision("Art. 5(1)(b)", "purpose limitation", ("purpose", "purpose bound")),
        Provision("Art. 5(1)(c)", "data minimisation", ("columns", "left the site")),
        Provision("Art. 5(1)(d)", "accuracy", ("accuracy",)),
        Provision("Art. 5(1)(e)", "storage limitation", ("kept",)),
        Provision("Art. 5(1)(f)", "integrity and confidentiality", ("protocol", "integrity")),
        Provision("Art. 5(2)", "accountability", ("accountable", "ledger")),
        Provision("Art. 6", "lawfulness of processing", ("purpose", "legal basis")),
        Provision("Art. 9", "special categories of personal data", ("columns", "legal basis")),
        Provision("Art. 25", "data protection by design and by default", ("before it leaves", "bound")),
        Provision("Art. 30", "records of processing activities", ("purpose", "columns", "parties", "kept", "protocol")),
        Provision("Art. 32", "security of processing", ("protocol", "integrity", "log", "limits")),
        Provision(
            "Art. 35(7)",
            "contents of a data protection impact assessment: operations and purposes (a), necessity and "
            "proportionality (b), risks (c), measures (d)",
            ("purpose", "left the site", "bound", "limits", "before it leaves"),
        ),
        Provision(
            "Recital 26",
            "to which information the Regulation applies: the means reasonably likely to be used to identify a person",
            ("bound", "identifiers", "limits"),
        ),
    ),
)

_HIPAA = Law(
    "Health Insurance Portability and Accountability Act: security and privacy rules, 45 CFR Part 164",
    (
        Provision("45 CFR 164.502(b)", "minimum necessary", ("left the site", "columns")),
        Provision("45 CFR 164.514(a)", "standard for de-identification", ("bound", "identifiers")),
        Provision(
            "45 CFR 164.514(b)(1)",
            "expert determination: a person with appropriate knowledge determines that the risk is very small, and "
            "documents methods and results",
            ("bound", "before it leaves", "limits", "accountable"),
        ),
        Provision("45 CFR 164.514(b)(2)", "removal of listed identifiers (safe harbor)", ("identifiers", "columns")),
        Provision(
            "45 CFR 164.514(e)", "limited data set and data use agreement", ("left the site", "identifiers", "outside")
        ),
        Provision(
            "45 CFR 164.308(a)(1)(ii)(A)-(B)",
            "security management: risk analysis, risk management",
            ("bound", "limits"),
        ),
        Provision("45 CFR 164.308(a)(1)(ii)(D)", "information system activity review", ("log", "ledger")),
        Provision("45 CFR 164.308(a)(8)", "evaluation", ("accountable",)),
        Provision("45 CFR 164.308(b)", "business associate contracts", ("parties", "outside")),
        Provision("45 CFR 164.312(a)", "access control", ("parties", "log")),
        Provision("45 CFR 164.312(b)", "audit controls", ("log", "ledger")),
        Provision("45 CFR 164.312(c)", "integrity", ("integrity",)),
        Provision("45 CFR 164.312(d)-(e)", "authentication and transmission security", ("protocol",)),
        Provision("45 CFR 164.530(j)", "documentation and its retention", ("kept", "accountable")),
    ),
)

_CCPA = Law(
    "California Consumer Privacy Act, Civil Code 1798.100 and following",
    (
        Provision(
            "Civ. Code 1798.100(a), (c)",
            "notice, retention, and collection and use that are reasonably necessary and proportionate",
            ("purpose", "columns", "left the site", "kept"),
        ),
        Provision("Civ. Code 1798.100(e)", "reasonable security procedures and practices", ("protocol", "integrity")),
        Provision("Civ. Code 1798.105", "right to delete", ("erasure", "kept")),
        Provision("Civ. Code 1798.121", "use of sensitive personal information", ("columns", "purpose")),
        Provision("Civ. Code 1798.140(b)", "aggregate consumer information, as defined", ("left the site", "bound")),
        Provision(
            "Civ. Code 1798.140(m)",
            "deidentified, as defined: reasonable measures, a public commitment, contractual obligations",
            ("bound", "identifiers", "limits", "outside"),
        ),
        Provision("Civ. Code 1798.140(v)", "personal information, as defined", ("columns", "bound")),
        Provision(
            "Civ. Code 1798.148", "prohibition of reidentifying certain patient information", ("bound", "outside")
        ),
        Provision(
            "Civ. Code 1798.185",
            "regulations, among them those on risk assessments and cybersecurity audits",
            ("bound", "limits", "protocol", "accountable"),
        ),
    ),
)

LAWS: dict[Regulation, Law] = {"gdpr": _GDPR, "hipaa": _HIPAA, "ccpa": _CCPA}
