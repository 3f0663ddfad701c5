"""The clip, the encoding and their broken copies."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reticent.dp import encoded_sensitivity, grid_for
from reticent.training.clipping import LARGEST_CLIP, SMALLEST_CLIP, clip, encoded_sum, norms, silence

SHAPES = ((4, 3), (5,), (2, 2, 2))


def contributions(n, scale, kind=torch.float32, seed=0):
    source = torch.Generator().manual_seed(seed)
    return [(torch.randn((n, *shape), generator=source, dtype=torch.float64) * scale).to(kind) for shape in SHAPES]


def lengths(parts):
    return torch.cat([part.double().flatten(1) for part in parts], dim=1).norm(dim=1)


# --- what a clip must do, as one check that the broken copies fail ----------------------------------------------------


def check_clip(clip):
    """No contribution longer than the bound; short ones untouched; direction kept; NaN rows become zero."""
    for scale in (1e-12, 0.01, 1.0, 1e4, 1e15):
        before = contributions(6, scale)
        after = [part.clone() for part in before]
        clip(after, 1.0)
        bound = lengths(before).clamp(max=1.0)
        torch.testing.assert_close(lengths(after), bound, rtol=2e-6, atol=1e-12)
        for row in range(6):
            ratios = torch.cat([(a[row] / b[row]).flatten() for a, b in zip(after, before, strict=True)])
            assert float(ratios.max() - ratios.min()) <= 1e-5 * float(ratios.max()), "direction changed"
    zero = [part * 0 for part in contributions(2, 1.0)]
    clip(zero, 1.0)
    assert float(lengths(zero).max()) == 0.0
    for bad in (math.nan, math.inf, -math.inf):
        spoilt = contributions(3, 0.1)
        expected = lengths(spoilt)
        spoilt[1][1, 0] = bad
        clip(spoilt, 1.0)
        assert lengths(spoilt).tolist() == pytest.approx([float(expected[0]), 0.0, float(expected[2])], rel=1e-6)


def test_clip():
    check_clip(clip)


def _no_clip(parts, bound):
    silence(parts, norms(parts))


def _clip_each_layer(parts, bound):
    for part in parts:
        clip([part], bound)


def _clamp_each_coordinate(parts, bound):
    silence(parts, norms(parts))
    for part in parts:
        part.clamp_(-bound, bound)


def _clip_the_whole_batch(parts, bound):
    silence(parts, norms(parts))
    whole = [part.flatten().unsqueeze(0) for part in parts]
    factor = min(1.0, bound / float(norms(whole)[0])) if float(norms(whole)[0]) else 1.0
    for part in parts:
        part.mul_(factor)


def _normalise_always(parts, bound):
    found = silence(parts, norms(parts))
    for part in parts:
        part.mul_((bound / found.clamp(min=1e-30)).to(part.dtype).view(-1, *[1] * (part.ndim - 1)))


def _no_silence(parts, bound):
    factors = (bound / norms(parts)).clamp(max=1.0)
    for part in parts:
        part.mul_(factors.to(part.dtype).view(-1, *[1] * (part.ndim - 1)))


@pytest.mark.parametrize(
    "broken",
    [_no_clip, _clip_each_layer, _clamp_each_coordinate, _clip_the_whole_batch, _normalise_always, _no_silence],
    ids=lambda broken: broken.__name__.strip("_"),
)
def test_broken_copies_of_the_clip_are_caught(broken):
    with pytest.raises(AssertionError):
        check_clip(broken)


# --- encoding ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    scale=st.floats(-15, 15),
    max_norm=st.sampled_from([SMALLEST_CLIP, 0.1, 1.0, 7.3, LARGEST_CLIP]),
    kind=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 10**6),
)
def test_one_unit_never_exceeds_the_charged_sensitivity(scale, max_norm, kind, seed):
    parts = contributions(1, 10.0**scale, kind, seed)
    grid = grid_for(max_norm, 25)
    clip(parts, max_norm)
    total = encoded_sum(parts, max_norm=max_norm, grid=grid)
    assert total.dtype == torch.int64
    assert math.sqrt(sum(int(step) ** 2 for step in total)) * grid <= encoded_sensitivity(max_norm, grid, 25)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 40), seed=st.integers(0, 10**6), kind=st.sampled_from([torch.float32, torch.float64]))
def test_sum_is_exactly_the_sum_of_the_encoded_units(rows, seed, kind):
    parts = contributions(rows, 1.0, kind, seed)
    clip(parts, 1.0)
    each = [encoded_sum([p[i : i + 1].clone() for p in parts], max_norm=1.0, grid=2.0**-12) for i in range(rows)]
    whole = encoded_sum([part.clone() for part in parts], max_norm=1.0, grid=2.0**-12)
    assert torch.equal(whole, torch.stack(each).sum(0))


def test_sum_is_exact_beyond_the_mantissa_of_float32():
    """Coordinates of 2^23 steps, 500 of them, with odd ends that float32 would lose."""
    value = (2**23 + 1) * 2.0**-23
    parts = [torch.full((500, 3), value, dtype=torch.float32)]
    total = encoded_sum(parts, max_norm=2.0, grid=2.0**-23)
    assert total.tolist() == [500 * (2**23 + 1)] * 3


def test_rounding_adds_at_most_one_percent():
    for parameters in (1, 25, 199_210):
        grid = grid_for(1.0, parameters)
        assert encoded_sensitivity(1.0, grid, parameters) <= 1.0102


def test_norms_of_a_million_parameters_are_within_the_margin():
    """Equal values are the worst case of a running float32 sum, which would be off by percents here."""
    parts = [torch.full((2, 1_000_003), 1.1, dtype=torch.float32)]
    exact = math.sqrt(1_000_003) * float(np.float32(1.1))
    assert norms(parts).tolist() == pytest.approx([exact, exact], rel=1e-5)
