"""Any expression of sums, products and powers of one value lowers to operations that compute it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reticent import lowering

Expression = Callable[[torch.Tensor], torch.Tensor]

NUMBERS = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.25, 1.0, 3.0])


def combined(parts: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    """Return expressions one operation larger."""
    return st.one_of(
        st.tuples(parts, parts).map(lambda two: lambda x: two[0](x) + two[1](x)),
        st.tuples(parts, parts).map(lambda two: lambda x: two[0](x) - two[1](x)),
        st.tuples(parts, parts).map(lambda two: lambda x: two[0](x) * two[1](x)),
        st.tuples(parts, st.integers(1, 3)).map(lambda two: lambda x: two[0](x) ** two[1]),
        st.tuples(parts, NUMBERS).map(lambda two: lambda x: two[1] * two[0](x) + two[1]),
        st.tuples(parts, NUMBERS).map(lambda two: lambda x: two[1] - two[0](x)),
        parts.map(lambda one: lambda x: -one(x) / 4),
        parts.map(lambda one: lambda x: torch.relu(one(x))),
    )


class Through(nn.Module):
    """An expression as a module."""

    def __init__(self, expression: Expression) -> None:
        super().__init__()
        self.expression = expression

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.expression(x)


@given(st.recursive(st.just(lambda x: x), combined, max_leaves=5))
@settings(max_examples=25, deadline=None)
def test_expressions_of_one_value(expression: Expression) -> None:
    x = torch.linspace(-1.5, 1.5, 12, dtype=torch.float64).reshape(4, 3)
    program = lowering.lower(Through(expression), x[:1])
    wanted = expression(x).numpy()
    np.testing.assert_allclose(program.run(x.numpy()), wanted, rtol=1e-9, atol=1e-9 * (1 + np.abs(wanted).max()))
