"""Numbers and short phrases as readers see them: epsilon is rounded up, what is left of a budget is rounded down."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from reticent.dp import Event, Gaussian, PoissonSampled, Relation, Unit, flatten

if TYPE_CHECKING:
    from reticent.report.facts import Promise

__all__ = [
    "bytes_of",
    "count",
    "down",
    "duration",
    "mechanism",
    "moment",
    "neighbours",
    "percent",
    "percent_up",
    "plain",
    "protected",
    "several",
    "up",
]

THIN = "\N{NARROW NO-BREAK SPACE}"


def up(value: float | None) -> str:
    """Return an epsilon with two decimals, never smaller than it is; what lies beyond all bounds is said in words.

    >>> up(2.9801), up(3.0), up(None)
    ('2.99', '3.00', 'no bound')
    """
    return "no bound" if value is None else f"{math.ceil(round(value * 100, 6)) / 100:.2f}"


def down(value: float) -> str:
    """Return what is left of a budget with two decimals, never larger than it is.

    >>> down(1.0199)
    '1.01'
    """
    return f"{math.floor(round(value * 100, 6)) / 100:.2f}"


def plain(value: float) -> str:
    """Return a number as short as it can be said without changing it much.

    >>> plain(1e-05), plain(0.25), plain(4.0)
    ('0.00001', '0.25', '4')
    """
    if 0 < abs(value) < 1e-8:
        return f"{value:.3g}"
    text = f"{value:.10f}".rstrip("0").rstrip(".")
    return text or "0"


def count(value: float) -> str:
    """Return a count with thin spaces between groups of three digits; noised counts keep their sign."""
    return f"{round(value):,}".replace(",", THIN).replace("-", "\N{MINUS SIGN}")


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in [0, 1] as a percentage."""
    return "not released" if value is None else f"{value * 100:.{digits}f}{THIN}%"


def percent_up(value: float, digits: int = 1) -> str:
    r"""Return a bound in [0, 1] as a percentage that is never smaller than it.

    >>> percent_up(0.20001)
    '20.1\u202f%'
    """
    scale = 10**digits
    return f"{min(100.0, math.ceil(round(value * 100 * scale, 6)) / scale):.{digits}f}{THIN}%"


def bytes_of(value: float) -> str:
    r"""Return an amount of bytes in the unit that keeps it readable.

    >>> bytes_of(1536).replace("\u202f", " ")
    '1.5 kB'
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.1f}{THIN}{unit}"
    return f"{value:.0f}{THIN}bytes"


def duration(seconds: float) -> str:
    """Return a duration in seconds, or in minutes where it is long."""
    return f"{seconds:.1f}{THIN}s" if seconds < 120 else f"{seconds / 60:.1f}{THIN}min"


def moment(time: str) -> str:
    """Return a time (ISO 8601) to the second, with its zone; other text is returned as it is.

    >>> moment("2026-11-24T09:21:02.512+00:00")
    '2026-11-24T09:21:02+00:00'
    """
    return re.sub(r"(T\d\d:\d\d:\d\d)\.\d+", r"\1", time)


def several(number: int, one: str, more: str) -> str:
    """Return a number with its noun.

    >>> several(1, "spare execution", "spare executions")
    '1 spare execution'
    """
    return f"{count(number)} {one if number == 1 else more}"


def neighbours(relation: Relation) -> str:
    """Return the neighbouring relation in words."""
    return {
        "add_or_remove_one": "data sets that differ by one of them more or less",
        "replace_one": "data sets in which one of them is exchanged for another",
    }[relation]


def protected(promise: Promise) -> str:
    """Return in words what the promise is about."""
    if promise.protects == "labels":
        return f"the label of one {promise.unit}, and nothing else of it"
    units: dict[Unit, str] = {
        "record": "one record (a person with several records is protected less)",
        "person": "one person, with all of that person's records at a site",
        "site": "one site, with all of its records",
    }
    return units[promise.unit]


def reach(promise: Promise, share: str) -> str:
    """Return what no attack does, for at most this share: a clause that follows "no attack"."""
    if promise.protects == "labels":
        return f"names more than {share} of the labels rightly"
    if promise.relation == "replace_one":
        return f"tells more than {share} of {promise.unit}s' data from what they might have been"
    return f"finds more than {share} of those who took part"


def mechanism(event: Event | None) -> str:
    """Return in words what is done to one message of this kind before it leaves the site."""
    if event is None:
        return "no noise"
    parts = []
    for single, times in flatten([event]).items():
        repeated = f"{count(times)} \N{MULTIPLICATION SIGN} " if times > 1 else ""
        match single:
            case PoissonSampled(probability, Gaussian(noise)):
                parts.append(
                    f"{repeated}Gaussian noise, multiplier {noise:.4g}, on a Poisson sample with probability "
                    f"{probability:.4g}"
                )
            case Gaussian(noise):
                parts.append(f"{repeated}Gaussian noise, multiplier {noise:.4g}")
    return "; ".join(parts) or "nothing"


def caught(promise: Promise) -> str:
    """Return what an attacker who is right does: a clause that follows "would"."""
    if promise.protects == "labels":
        return f"name the label of a {promise.unit} rightly"
    if promise.relation == "replace_one":
        return f"tell a {promise.unit}'s data from what they might have been"
    took_part = {
        "record": "a record that was used",
        "person": "a person who took part",
        "site": "a site that took part",
    }
    return f"recognise {took_part[promise.unit]}"
