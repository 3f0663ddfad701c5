"""Dealing one public data set out to simulated sites.

Seeds are fine here, and only here: a partition for a simulation is public, it protects nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reticent.data.text import canonical
from reticent.errors import UsageError

__all__ = ["by_column", "by_person", "dirichlet", "iid", "shards", "uneven"]

Rows = NDArray[np.intp]


def iid(n: int, sites: int, seed: int) -> list[Rows]:
    """Deal `n` rows out at random, to sites that differ in size by at most one row."""
    _check(sites=sites, rows=n)
    return [np.sort(rows) for rows in np.array_split(np.random.default_rng(seed).permutation(n), sites)]


def uneven(n: int, sizes: Sequence[float], seed: int) -> list[Rows]:
    """Deal all `n` rows out at random, in proportion to `sizes` (exactly these sizes if they add up to `n`)."""
    shares = np.asarray(sizes, dtype=np.float64)
    _check(sites=len(shares), rows=n)
    if not (np.isfinite(shares).all() and (shares > 0).all()):
        raise UsageError("partition-invalid", f"sizes are {list(sizes)}", hint="give a positive size for each site")
    ends = np.rint(np.cumsum(shares) / shares.sum() * n).astype(np.intp)
    return [np.sort(rows) for rows in np.split(np.random.default_rng(seed).permutation(n), ends[:-1])]


def shards(labels: NDArray[Any], sites: int, shards_per_site: int, seed: int) -> list[Rows]:
    """Sort by label, cut into equal shards and deal each site `shards_per_site` (McMahan et al. 2017, section 3)."""
    n = len(labels)
    _check(sites=sites, rows=n)
    pieces = sites * shards_per_site
    if shards_per_site < 1 or pieces > n:
        raise UsageError(
            "partition-invalid",
            f"{sites} sites with {shards_per_site} shards each, of {n} rows",
            hint="use at least one shard for each site, and no more shards than rows",
        )
    cut = np.array_split(np.argsort(labels, kind="stable"), pieces)
    dealt = np.random.default_rng(seed).permutation(pieces).reshape(sites, shards_per_site)
    return [np.sort(np.concatenate([cut[piece] for piece in own])) for own in dealt]


def dirichlet(labels: NDArray[Any], sites: int, alpha: float, seed: int, *, minimum: int = 0) -> list[Rows]:
    """Deal each class out in proportions drawn from Dirichlet(alpha) (Yurochkin et al., ICML 2019; NIID-Bench 2022).

    Args:
      labels: Shape `(n,)`.
      sites: Number of sites.
      alpha: Small: each class sits at few sites; large: near IID.
      seed: Of the public generator.
      minimum: Draw anew until each site has this many rows; NIID-Bench uses 10.
    """
    n = len(labels)
    _check(sites=sites, rows=n)
    if not alpha > 0 or minimum * sites > n:
        raise UsageError(
            "partition-invalid",
            f"alpha is {alpha} and the minimum {minimum} rows, for {sites} sites and {n} rows",
            hint="use alpha above 0, and a minimum that the rows can meet",
        )
    generator = np.random.default_rng(seed)
    for _ in range(1000):
        dealt: list[list[Rows]] = [[] for _ in range(sites)]
        for label in np.unique(labels):
            rows = generator.permutation(np.flatnonzero(labels == label))
            ends = np.rint(np.cumsum(generator.dirichlet(np.full(sites, alpha))) * len(rows)).astype(np.intp)
            for own, piece in zip(dealt, np.split(rows, ends[:-1]), strict=True):
                own.append(piece)
        parts = [np.sort(np.concatenate(own)) for own in dealt]
        if min(map(len, parts)) >= minimum:
            return parts
    raise UsageError(
        "partition-invalid",
        f"no draw of 1000 gave each of {sites} sites {minimum} rows at alpha {alpha}",
        hint="use a larger alpha, fewer sites or a smaller minimum",
    )


def by_column(values: Any) -> dict[str, Rows]:
    """Return the rows of each distinct value, by the value's text: natural sites, such as a hospital column."""
    names, place = np.unique([canonical(value) for value in values], return_inverse=True)
    return {name: np.flatnonzero(place == number) for number, name in enumerate(names.tolist())}


def by_person(persons: Any, sites: int, seed: int) -> list[Rows]:
    """Deal persons out at random, each with all rows to one site, as `sites_per_person = 1` assumes."""
    names, place = np.unique(np.asarray(persons), return_inverse=True)
    own = [np.isin(place, people) for people in iid(len(names), sites, seed)]
    return [np.flatnonzero(rows) for rows in own]


def _check(*, sites: int, rows: int) -> None:
    if not 1 <= sites <= rows:
        raise UsageError(
            "partition-invalid",
            f"{rows} rows for {sites} sites",
            hint="use at least one site, and no more sites than rows",
        )
