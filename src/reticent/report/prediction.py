"""An encrypted prediction, planned and reported: who sees what, what it costs, and what is not promised.

Facts of one call, made by who had the rows: nothing of a row or a result is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from reticent.report.facts import Seen
from reticent.report.html import content_policy, environment, stylesheet
from reticent.report.statement import write_json
from reticent.study.plan import Plan

__all__ = ["PredictionFacts", "facts_of_prediction", "plan_of_prediction", "write_prediction_page"]


class PredictionFacts(BaseModel):
    """What one encrypted prediction was, and what travelled.

    Attributes:
      degree, modulus_bits, allowed_bits: The ring, and the largest modulus that 128 bits of security allow it.
      precision: Largest error of the model's outputs.
      rows_together: Rows in one ciphertext.
      bytes_up, bytes_down, key_bytes: At the client; keys are part of what went up.
      seconds: By phase, at the client.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    generated: str
    study: str
    purpose: str
    contact: str
    factory: str
    plan_hash: str
    rows: int
    precision: float
    degree: int
    modulus_bits: int
    allowed_bits: int
    rows_together: int
    bytes_up: int
    bytes_down: int
    key_bytes: int
    seconds: dict[str, float]
    who_sees: tuple[Seen, ...]
    not_promised: tuple[str, ...]


def who_sees() -> tuple[Seen, ...]:
    """Return the table *who sees what* of every encrypted prediction."""
    return (
        Seen(
            party="who has the rows (client)",
            sees="its rows, its keys, the results, and a description of the program: ring, packing, bounds, shapes",
            does_not_see="a weight of the model, except as far as many results rebuild it",
        ),
        Seen(
            party="who has the model (server)",
            sees="the model, evaluation keys, ciphertexts, how many rows there are, and when they are asked about",
            does_not_see="a number of a row, or a result; it never has the secret key",
        ),
        Seen(
            party="whoever carries the messages",
            sees="that the two speak, when, and how much",
            does_not_see="anything that was sent: the channel is mutual TLS 1.3, and every object in it is signed",
        ),
    )


def facts_of_prediction(plan: Plan, found: Any, rows: int) -> PredictionFacts:
    """Return the facts of `found`, a `he.Prediction` for `rows` rows with the model of `plan`."""
    from reticent import he

    ring = found.spec.ring
    return PredictionFacts(
        generated=datetime.now(UTC).isoformat(timespec="seconds"),
        study=plan.study,
        purpose=plan.purpose,
        contact=plan.contact,
        factory=plan.model.factory,
        plan_hash=plan.hash,
        rows=rows,
        precision=found.precision,
        degree=ring.degree,
        modulus_bits=ring.total_bits,
        allowed_bits=he.SECURITY_BITS[ring.degree],
        rows_together=found.spec.rows,
        bytes_up=found.bytes_up,
        bytes_down=found.bytes_down,
        key_bytes=found.evaluation_key_bytes,
        seconds=dict(found.seconds),
        who_sees=who_sees(),
        not_promised=he.NOT_HIDDEN,
    )


def plan_of_prediction(plan: Plan, program: Any) -> dict[str, tuple[str, ...]]:
    """Return, under titles, what an encrypted prediction would do; `program` is a `he.Program`. Nothing is sent."""
    explained = dict(paragraph.split(". ", 1) for paragraph in program.explain().split("\n\n")[:-1])
    return {
        f"Encrypted prediction with the model of {plan.study} ({plan.hash[:12]})": (
            f"purpose: {plan.purpose}; contact: {plan.contact}",
        ),
        "Who sees what": tuple(
            line
            for row in who_sees()
            for line in (f"{row.party}: sees {row.sees}", f"  does not see {row.does_not_see}")
        ),
        **{title: (words,) for title, words in explained.items() if title != "Seen"},
        "Not promised": tuple(f"Not hidden: {words}." for words in _not_hidden()),
    }


def _not_hidden() -> tuple[str, ...]:
    from reticent import he

    return he.NOT_HIDDEN


def write_prediction_page(facts: PredictionFacts, path: Path | str) -> Mapping[str, Path]:
    """Write a self-contained page to `path` and the same facts as JSON beside it; return where both are."""
    page = Path(path)
    template = environment().get_template("prediction.html.j2")
    page.write_text(template.render(facts=facts, css=stylesheet(), policy=content_policy()), encoding="utf-8")
    return {"page": page, "statement": write_json(facts, page.with_suffix(".json"))}
