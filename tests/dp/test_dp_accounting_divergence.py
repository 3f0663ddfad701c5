"""Divergences of one event: 300 bits, another implementation, integration over the plane, and their relative error."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from reticent import dp
from reticent.dp import accounting, divergence
from reticent.dp.accounting.pairs_gaussian import SampledGaussian

ADD: dp.Relation = "add_or_remove_one"
REPLACE: dp.Relation = "replace_one"
DIRECTIONS: tuple[divergence.Direction, ...] = ("remove", "add", "replace")


def tail(x: Any) -> Any:
    return mp.erfc(x / mp.sqrt(2)) / 2


def gaussian(e: Any, sigma: Any) -> Any:
    return tail(e * sigma - 1 / (2 * sigma)) - mp.exp(e) * tail(e * sigma + 1 / (2 * sigma))


def exact(loss: float, sigma: float, q: float, direction: str) -> Any:
    """The divergence in 300 bits, from the sets that attain it; for `replace`, the half-line of Neyman and Pearson."""
    e, s, p = mp.mpf(loss), mp.mpf(sigma), mp.mpf(q)
    if direction == "remove":
        inner = (mp.exp(e) - (1 - p)) / p
        return p * gaussian(mp.log(inner), s) if inner > 0 else 1 - mp.exp(e)
    if direction == "add":
        left = 1 - mp.exp(e) * (1 - p)
        return left * gaussian(mp.log(p * mp.exp(e) / left), s) if left > 0 else mp.mpf(0)
    a, m = abs(e), 1 / s
    z = (a / 2 + mp.asinh((1 - p) / p * mp.exp(m * m / 2) * mp.sinh(a / 2))) * s
    upper = (1 - p) * tail(z) + p * tail(z - m) - mp.exp(a) * ((1 - p) * tail(z) + p * tail(z + m))
    return upper if e >= 0 else 1 - mp.exp(e) + mp.exp(e) * upper


def settings(seed: int, count: int) -> list[tuple[float, float, str, list[float]]]:
    draw = random.Random(seed)
    found: list[tuple[float, float, str, list[float]]] = []
    while len(found) < count:
        sigma, q = 10 ** draw.uniform(-1.1, 5), 10 ** draw.uniform(-7, 0)
        direction = DIRECTIONS[len(found) % 3]
        low, high = divergence.loss_range(sigma=sigma, probability=q, direction=direction)
        if high > 600:
            continue
        losses = [draw.uniform(low, high) for _ in range(6)]
        losses += [end * 10 ** draw.uniform(-9, 0) for end in (low, high) for _ in range(3)]
        found.append((sigma, q, direction, losses))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_relative_errors_stay_below_what_is_charged(seed: int) -> None:
    """A composition multiplies them by its number of steps, so they must be relative also where delta is 1e-30."""
    with mp.workprec(300):
        for sigma, q, direction, losses in settings(seed, 40):
            pair = SampledGaussian(sigma, q, direction)  # type: ignore[arg-type]
            claimed = pair.deltas(np.array(losses))
            room = divergence.RELATIVE_ERROR[direction]  # type: ignore[index]
            for loss, found in zip(losses, claimed, strict=True):
                truth = exact(loss, sigma, q, direction)
                if truth < 1e-40:
                    continue
                assert found >= truth, (sigma, q, direction, loss)  # rounded up
                further = exact(loss - 4e-15 * max(abs(loss), min(-math.log1p(-q), 1.0)), sigma, q, direction)
                assert found <= further * (1 + 2 * room), (sigma, q, direction, loss)


@pytest.mark.parametrize("sigma", [0.2, 0.5, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("q", [1e-6, 1e-3, 0.1, 0.5, 0.99])
def test_divergences_agree_with_dp_accounting(sigma: float, q: float) -> None:
    """Two implementations, three directions, the whole range of losses; absolute difference below 1e-12."""
    from dp_accounting.pld import privacy_loss_mechanism as theirs

    for direction in DIRECTIONS:
        reference = theirs.GaussianPrivacyLoss(
            sigma, sampling_prob=q, adjacency_type=theirs.AdjacencyType[direction.upper()]
        )
        low, high = divergence.loss_range(sigma=sigma, probability=q, direction=direction)
        losses = np.linspace(low, high, 101) * 0.999 + 1e-9
        ours = divergence.sampled_delta(losses, sigma=sigma, probability=q, direction=direction)
        assert np.abs(ours - reference.get_delta_for_epsilon(losses)).max() < 1e-12


def test_opposite_points_are_the_worst_replacement() -> None:
    """By integration over the plane, beside the proof: no angle between two units diverges more than 180 degrees."""
    axis = np.linspace(-7, 7, 701)
    x, y = np.meshgrid(axis, axis, sparse=True)
    cell = (axis[1] - axis[0]) ** 2

    def density(angle: float | None, q: float) -> Any:
        centre = np.exp(-(x**2 + y**2) / 2) / (2 * math.pi)
        if angle is None:
            return centre
        moved = np.exp(-((x - math.cos(angle)) ** 2 + (y - math.sin(angle)) ** 2) / 2) / (2 * math.pi)
        return (1 - q) * centre + q * moved

    for q, epsilon in itertools.product((0.05, 0.5, 1.0), (-0.5, 0.0, 0.3, 1.0)):
        found = [
            float(np.maximum(density(0.0, q) - math.exp(epsilon) * density(angle, q), 0).sum() * cell)
            for angle in (0.5, 1.5, 2.5, math.pi)
        ]
        claimed = divergence.sampled_delta(np.array([epsilon]), sigma=1.0, probability=q, direction="replace")[0]
        assert found == sorted(found)
        assert found[-1] == pytest.approx(claimed, abs=1e-4)


@pytest.mark.parametrize("q", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("scale", [0.3, 1.0, 20.0])
def test_sampled_laplace_by_integration(q: float, scale: float) -> None:
    """One Laplace draw on a Poisson sample, all three neighbours, integrated on the line to 2e-6."""
    axis = np.linspace(-1 - 30 * scale, 1 + 30 * scale, 600_001)
    width = axis[1] - axis[0]

    def density(centre: float) -> Any:
        return np.exp(-np.abs(axis - centre) / scale) / (2 * scale)

    nothing = density(0.0)
    mixed, opposite = (1 - q) * nothing + q * density(1.0), (1 - q) * nothing + q * density(-1.0)
    event = dp.PoissonSampled(q, dp.Laplace(scale))
    removed, added = accounting.pairs_of(event, ADD)
    (replaced,) = accounting.pairs_of(event, REPLACE)
    for pair, upper, lower in ((removed, mixed, nothing), (added, nothing, mixed), (replaced, mixed, opposite)):
        low, high = pair.loss_range()
        for loss in (0.9 * low, 0.3 * low, 0.0, 0.2 * high, 0.7 * high, 0.99 * high):
            found = float(np.maximum(upper - math.exp(loss) * lower, 0).sum() * width)
            assert float(pair.deltas(np.array([loss]))[0]) == pytest.approx(found, abs=5e-6)
        assert float(pair.deltas(np.array([high * (1 + 1e-9)]))[0]) < 1e-9


def test_sampling_any_mechanism_agrees_with_sampling_a_gaussian() -> None:
    """The general amplification, given the curve of a Gaussian, is the closed form of the sampled one."""
    from reticent.dp.accounting.pairs_sampled import Added, Removed

    whole = SampledGaussian(1.3, 1.0, "remove")
    general = {"remove": Removed(whole, 0.07), "add": Added(whole, 0.07)}
    for direction in DIRECTIONS[:2]:
        special = SampledGaussian(1.3, 0.07, direction)
        losses = np.linspace(*special.loss_range(), 200)
        assert general[direction].deltas(losses) == pytest.approx(special.deltas(losses), rel=1e-9, abs=1e-300)
