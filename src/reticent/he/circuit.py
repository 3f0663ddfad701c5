"""A plan on a backend: weights encoded once at their levels, then one pass for each ciphertext."""

from __future__ import annotations

from reticent.he.linear import PlainMatrix
from reticent.he.planning import Plan
from reticent.he.port import Backend, Cipher, Evaluation
from reticent.he.stages import Map, Power

__all__ = ["Circuit"]


class Circuit:
    """What the server runs; holds the weights and no key.

    Args:
      plan: The plan.
      backend: A backend under `plan.parameters`.
    """

    def __init__(self, plan: Plan, backend: Backend) -> None:
        self._backend = backend
        self._stages: list[PlainMatrix | Power] = []
        level = plan.parameters.depth
        for number, stage in enumerate(plan.stages.stages):
            is_map = isinstance(stage, Map)
            self._stages.append(PlainMatrix(backend, plan.maps[number], level, stage.bias) if is_map else stage)  # type: ignore[union-attr, arg-type]
            level -= stage.levels

    def run(self, vector: Cipher, evaluation: Evaluation) -> Cipher:
        """Return the encrypted result of one ciphertext, at level 0."""
        for stage in self._stages:
            if isinstance(stage, PlainMatrix):
                vector = stage.apply(vector, evaluation)
            else:
                vector = _power(self._backend, stage, vector, evaluation)
        return vector


def _power(backend: Backend, power: Power, x: Cipher, evaluation: Evaluation) -> Cipher:
    if power.square:
        return backend.rescale(backend.mul(x, x, evaluation))
    powers = {1: x}
    level = x.level - (power.degree - 1).bit_length()  # where all the powers meet
    used = [k for k, c in enumerate(power.coefficients) if k and c]
    for k in used:
        _raise(backend, powers, k, evaluation)
    vectors = [backend.align(powers[k], level) for k in used]
    factors = [backend.encode(power.coefficients[k], level=level) for k in used]
    total = backend.rescale(backend.dot_plain(vectors, factors))
    if not power.coefficients[0]:
        return total
    return backend.add_plain(total, backend.encode(power.coefficients[0], level=total.level))


def _raise(backend: Backend, powers: dict[int, Cipher], k: int, evaluation: Evaluation) -> Cipher:
    """Return x^k at the highest level possible: x^h x^(k - h), h the largest power of two below k."""
    if k not in powers:
        half = 1 << ((k - 1).bit_length() - 1)
        a, b = (_raise(backend, powers, part, evaluation) for part in (half, k - half))
        level = min(a.level, b.level)
        a, b = backend.align(a, level), backend.align(b, level)  # the same handle if at that level already
        powers[k] = backend.rescale(backend.mul(a, b, evaluation))
    return powers[k]
