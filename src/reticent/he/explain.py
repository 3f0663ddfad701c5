"""A compiled program in words: what is sent, who sees what, which ring, how exact, how large."""

from __future__ import annotations

from reticent.he.client import ClientSpec
from reticent.he.parameters import SECURITY_BITS
from reticent.he.planning import Plan
from reticent.he.stages import Map

__all__ = ["NOT_HIDDEN", "explain", "sizes"]

NOT_HIDDEN = (
    "the number of rows and the time of each request, from the server",
    "the model's input and output shape, its depth and the widths that the rotations betray, from the client",
    "the results, from the client: by many queries it can rebuild the model (limit and count them)",
    "last digits: results are rounded to the precision, but the encrypted errors are not flooded, so that a client who "
    "looks at unrounded slots learns a little more about the weights than the results say",
    "whether the server computes what it says: it is trusted to follow the protocol (semi-honest), and can return "
    "wrong results",
)


def sizes(plan: Plan) -> dict[str, int]:
    """Return upper bounds in bytes: of the evaluation keys, of one ciphertext up and of one down.

    Random halves of fresh objects travel as seeds; the library's compression saves some more.
    """
    ring = plan.parameters
    bits = [*ring.base_bits, *ring.level_bits]
    one = ring.degree * sum(_packed(b) for b in (*bits, ring.special_bits)) // 8
    top, bottom = (ring.degree * sum(map(_packed, some)) // 8 for some in (bits, ring.base_bits))
    return {
        "evaluation_keys": (len(plan.steps) + 1) * len(bits) * one + top,
        "ciphertext_up": top,
        "ciphertext_down": 2 * bottom,
    }


def _packed(bits: int) -> int:
    return min(64, 8 * (-(-bits // 8) + 1))  # compression removes the zero bytes of a 64-bit word, all but one of them


def explain(plan: Plan, spec: ClientSpec, expected_error: float) -> str:
    """Return the explanation, one paragraph for each question."""
    ring, stages, size = plan.parameters, plan.stages, sizes(plan)
    maps = plan.maps.values()
    rotations = sum(found.rotations for found in maps)
    products = sum(len(found.terms) for found in maps)
    end = f" The client applies the final {stages.finish} itself, after decryption." if stages.finish else ""
    paragraphs = [
        f"Sent. The client sends evaluation keys once ({_size(size['evaluation_keys'])}), then ciphertexts of "
        f"{_size(size['ciphertext_up'])} that hold {_count(spec.rows, 'row')} each; the server answers each with one of "
        f"{_size(size['ciphertext_down'])}. Sizes are upper bounds.{end}",
        "Seen. The server sees ciphertexts and evaluation keys: neither decrypts without the client's secret key, which "
        "never leaves the client. The client sees the results, and the description of the program: no weight.",
        f"Ring. CKKS of degree {ring.degree} ({ring.slots} slots), a modulus of {ring.total_bits} bits (primes of "
        f"{', '.join(map(str, (*ring.base_bits, *ring.level_bits, ring.special_bits)))} bits); 128 bits of classical "
        f"security allow {SECURITY_BITS[ring.degree]}.",
        f"Computed. {_count(ring.depth, 'level')}: {_steps(plan)}. For each ciphertext {_count(rotations, 'rotation')} "
        f"and {_count(products, 'product')} with encoded weights.",
        f"Exact to. Results are multiples of {spec.precision:g}, off by at most as much from the model in float64. Before "
        f"rounding: {expected_error:.1g} expected (the largest of a rehearsal), {plan.error:.1g} with every number at the "
        f"end of its range, {plan.worst:.1g} if all errors align.",
        f"Ranges. Input from {spec.low.min():g} to {spec.high.max():g}: {_ranges(plan)}. No input within the bounds "
        "leaves them; the client refuses others.",
        "Not hidden: " + "; ".join(NOT_HIDDEN) + ".",
    ]
    return "\n\n".join(paragraphs)


def _steps(plan: Plan) -> str:
    words = []
    for stage in plan.stages.stages:
        if isinstance(stage, Map):
            words.append(f"{stage.name} as a {len(stage.matrix)}x{stage.matrix.shape[1]} matrix")
        else:
            words.append(f"{stage.name} as {'a square' if stage.square else f'a polynomial of degree {stage.degree}'}")
    return "; ".join(words)


def _ranges(plan: Plan) -> str:
    return "; ".join(f"{span.name} up to {float(span.largest.max()):.3g}" for span in plan.ranges[1:])


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
