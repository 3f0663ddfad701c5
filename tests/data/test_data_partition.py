"""Partitions: every row at exactly one site, the same for the same seed, and the shapes that the papers describe."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reticent.data import partition
from reticent.data.split import held_out, held_out_rows
from reticent.errors import UsageError

LABELS = np.repeat(np.arange(10), 60)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 20), st.integers(0, 5), st.sampled_from(["iid", "uneven", "shards", "dir"]))
def test_every_row_stands_at_one_site(n, sites, seed, kind):
    sites = min(n, sites)
    labels = np.arange(n) % 3
    make = {
        "iid": lambda: partition.iid(n, sites, seed),
        "uneven": lambda: partition.uneven(n, [1.5**site for site in range(sites)], seed),
        "shards": lambda: partition.shards(labels, sites, 1, seed),
        "dir": lambda: partition.dirichlet(labels, sites, 0.5, seed),
    }[kind]
    parts = make()
    assert len(parts) == sites
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    assert all(np.array_equal(one, two) for one, two in zip(parts, make(), strict=True))


def test_iid_sites_are_even_and_differ_by_seed():
    sizes = [len(rows) for rows in partition.iid(103, 4, 0)]
    assert sorted(sizes) == [25, 26, 26, 26]
    assert not np.array_equal(partition.iid(100, 2, 0)[0], partition.iid(100, 2, 1)[0])


def test_uneven_sizes_that_add_up_are_met_exactly():
    assert [len(rows) for rows in partition.uneven(569, [300, 150, 79, 40], 0)] == [300, 150, 79, 40]
    assert [len(rows) for rows in partition.uneven(100, [3, 1], 0)] == [75, 25]


def test_two_shards_hold_two_labels_as_in_mcmahan():
    """McMahan et al. 2017, section 3: 200 shards of 300 by label, two for each of 100 clients (here a tenth of it)."""
    parts = partition.shards(LABELS, 10, 2, seed=0)
    assert {len(rows) for rows in parts} == {60}
    assert max(len(np.unique(LABELS[rows])) for rows in parts) <= 2


def test_a_small_alpha_makes_sites_one_sided_and_a_large_one_does_not():
    def largest_share(alpha):
        parts = partition.dirichlet(LABELS, 5, alpha, 0, minimum=10)
        assert min(map(len, parts)) >= 10
        return np.mean([np.bincount(LABELS[rows], minlength=10).max() / len(rows) for rows in parts])

    assert largest_share(0.1) > 2 * largest_share(1000.0)
    assert largest_share(1000.0) == pytest.approx(0.1, abs=0.02)


def test_natural_sites_and_persons():
    parts = partition.by_column(["b", "a", "b", 1.0, 1])
    assert {name: rows.tolist() for name, rows in parts.items()} == {"1": [3, 4], "a": [1], "b": [0, 2]}
    persons = np.arange(100) // 4
    sites = [set(persons[rows]) for rows in partition.by_person(persons, 3, 0)]
    assert sum(map(len, sites)) == 25
    assert sum(map(len, partition.by_person(persons, 3, 0))) == 100


@pytest.mark.parametrize(
    "ask",
    [
        lambda: partition.iid(3, 4, 0),
        lambda: partition.iid(3, 0, 0),
        lambda: partition.uneven(9, [1, 0], 0),
        lambda: partition.uneven(9, [1, float("nan")], 0),
        lambda: partition.shards(LABELS, 100, 7, 0),
        lambda: partition.shards(LABELS, 10, 0, 0),
        lambda: partition.dirichlet(LABELS, 5, 0.0, 0),
        lambda: partition.dirichlet(LABELS, 5, 1.0, 0, minimum=121),
        lambda: partition.dirichlet(np.zeros(50), 10, 1e-6, 0, minimum=5),
    ],
)
def test_what_cannot_be_dealt_is_refused(ask):
    with pytest.raises(UsageError) as refused:
        ask()
    assert refused.value.code == "partition-invalid"


def test_the_hash_is_hmac_sha256_of_the_person():
    persons = np.array([f"p{number}" for number in range(300)] * 2)
    kept = held_out(persons, key="study", fraction=0.25)
    for person, out in zip(persons, kept, strict=True):
        digest = hmac.new(b"study", person.encode(), hashlib.sha256).digest()
        assert out == (int.from_bytes(digest[:8], "big") / 2**64 < 0.25)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5])
def test_the_share_of_persons_is_the_fraction(fraction):
    """20,000 persons under a fixed key: within 5 standard deviations (false-alarm rate 6e-7 had the key been drawn)."""
    kept = held_out(np.arange(20_000), key="k", fraction=fraction)
    assert abs(kept.mean() - fraction) <= 5 * np.sqrt(fraction * (1 - fraction) / 20_000)
    rows = held_out_rows(np.arange(20_000), key="k", fraction=fraction)
    assert abs(rows.mean() - fraction) <= 5 * np.sqrt(fraction * (1 - fraction) / 20_000)


def test_another_key_is_another_split():
    persons = np.arange(1000)
    one, two = (held_out(persons, key=key, fraction=0.5) for key in "ab")
    assert 400 < np.count_nonzero(one != two) < 600
