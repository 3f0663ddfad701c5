"""On small rings, with every value of every random draw: each party's view is the same for all inputs.

Each element of an array is one assignment of all draws, so that one run of a gate enumerates it. A view is what a party
drew, what it was dealt, its shares of the inputs and what it received. Distributions are compared exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reticent.mpc import beaver as beaver_module
from reticent.mpc import carry, lookup, replicated, truncation
from reticent.mpc import sign as sign_module
from reticent.mpc.additive import Additive
from reticent.mpc.beaver import beaver, deal_triple
from reticent.mpc.group import Group
from reticent.mpc.material import DealerSource, PartySource
from reticent.mpc.operation import Operation
from reticent.mpc.replicated import Replicated
from reticent.mpc.rounds import Round
from reticent.mpc.shared import Shared

Array = NDArray[Any]


class View:
    """How often each combination of values occurs, over all draws."""

    def __init__(self, columns: Sequence[Array]) -> None:
        code = np.zeros(len(columns[0]), dtype=np.int64)
        for column in columns:
            assert column.max() < 8
            code = code * 8 + column.astype(np.int64)
        assert len(columns) <= 21
        self._sorted = np.sort(code)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, View) and np.array_equal(self._sorted, other._sorted)

    __hash__ = None  # type: ignore[assignment]


class Columns:
    """All assignments of independent uniform draws, one for each element; `draw` gives the next draw of each."""

    def __init__(self, sizes: Sequence[int]) -> None:
        grids = np.meshgrid(*(np.arange(size, dtype=np.uint64) for size in sizes), indexing="ij")
        self._columns = iter([grid.reshape(-1) for grid in grids])
        self.count = int(np.prod(sizes))

    def draw(self) -> Array:
        return next(self._columns)

    def finish(self) -> None:
        assert next(self._columns, None) is None, "the gate drew less than was enumerated"


class Tape:
    """Fills arrays with enumerated draws, and remembers them so that both ends of a stream read the same."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.drawn: list[Array] = []
        self._readers: list[int] = []

    def reader(self) -> SimpleNamespace:
        """Return one end of the stream."""
        state = {"place": 0}

        def fill(out: Array) -> None:
            planes = out.shape[0] if out.ndim == 2 else 1
            packed = out.dtype == np.uint8 and out.shape[-1] != self._columns.count
            for plane in range(planes):
                if state["place"] == len(self.drawn):
                    self.drawn.append(self._columns.draw())
                column = self.drawn[state["place"]]
                state["place"] += 1
                bits = np.packbits(column.astype(np.uint8), bitorder="little") if packed else column.astype(out.dtype)
                (out[plane] if out.ndim == 2 else out)[...] = bits

        return SimpleNamespace(fill=fill)


def unpacked(array: Array, count: int, modulus: int) -> list[Array]:
    """Return an array of a message as columns of small numbers, one for each bit plane if it is packed."""
    if array.dtype == np.uint8 and array.size != count:
        rows = array.reshape(-1, count // 8)
        return [np.unpackbits(row, bitorder="little", count=count).astype(np.uint64) for row in rows]
    return [row.astype(np.uint64) % np.uint64(modulus) for row in array.reshape(-1, count)]


def recorded(parties: dict[int, Any], count: int, modulus: int) -> tuple[dict[int, Any], dict[int, list[Array]]]:
    """Run a protocol at all parties; return results and, for each party, everything it received."""
    received: dict[int, list[Array]] = {party: [] for party in parties}
    results: dict[int, Any] = {}
    mail: dict[int, dict[int, list[Array]]] = {}
    while len(results) < len(parties):
        sent: dict[int, dict[int, list[Array]]] = {party: {} for party in parties}
        for party, steps in parties.items():
            if party in results:
                continue
            try:
                step: Round = steps.send(mail[party]) if party in mail else next(steps)
            except StopIteration as end:
                results[party] = end.value
                continue
            for peer, arrays in step.send.items():
                sent[peer][party] = arrays
                received[peer] += [c for array in arrays for c in unpacked(array, count, modulus)]
        mail = sent
    return results, received


def gate_views(
    recipe: Callable[..., Any],
    online: Callable[[Group, Any, list[Array]], Any],
    inputs: Sequence[int],
    sizes: Sequence[int],
    *,
    bits: int = 2,
    members: int = 2,
    binary: bool = False,
    check: Callable[[list[Any], int], None] | None = None,
    messages_only: bool = False,
) -> list[View]:
    """Return each member's view of a gate on shares of `inputs`, over all draws of the given sizes.

    The first draws are the input shares of all members but the last; the rest are the tapes, in the order drawn.
    """
    modulus, columns = 2**bits, Columns(sizes)
    group = [Group(me, tuple(range(members)), bits) for me in range(members)]
    shares: list[list[Array]] = [[] for _ in range(members)]
    for value in inputs:
        rest = np.full(columns.count, value, dtype=np.uint64)
        for me in range(members - 1):
            drawn = columns.draw()
            shares[me].append(drawn)
            rest = rest ^ drawn if binary else (rest - drawn) % np.uint64(modulus)
        shares[-1].append(rest)
    tapes = [Tape(columns) for _ in range(members)]
    dealer = DealerSource(group[0], [tape.reader() for tape in tapes])
    recipe(dealer, count=columns.count)
    corrections = memoryview(b"".join(np.ascontiguousarray(c).tobytes() for c in dealer.corrections))
    columns.finish()

    def party(me: int) -> Any:
        source = PartySource(group[me], tapes[me].reader())
        material = recipe(source, count=columns.count)
        source.finish(corrections if me == members - 1 else memoryview(b""))
        return online(group[me], material, [np.copy(share) for share in shares[me]])

    results, received = recorded({me: party(me) for me in range(members)}, columns.count, modulus)
    if check is not None:
        check([results[me] for me in range(members)], columns.count)
    if messages_only:
        return [View(received[me]) for me in range(members)]
    dealt = [c for array in dealer.corrections for c in unpacked(array, columns.count, modulus)]
    return [
        View([*shares[me], *tapes[me].drawn, *(dealt if me == members - 1 else []), *received[me]])
        for me in range(members)
    ]


def all_equal(views: Iterator[list[View]]) -> bool:
    """Whether the lists of views, one for each choice of inputs, are all equal."""
    first, *others = list(views)
    return all(other == first for other in others)


def summed(results: list[Array], modulus: int) -> Array:
    return np.sum(results, axis=0, dtype=np.uint64) % np.uint64(modulus)


# Beaver's product ------------------------------------------------------------------------------------------------


def product_views(x: int, y: int, *, left: int | None = None, right: int | None = None, members: int = 2) -> list[View]:
    bits = 2 if members == 2 else 1
    n = 2**bits
    draws = (members if left is None else 1) + (members if right is None else 1) + members - 1

    def correct(results: list[Array], count: int) -> None:
        assert (summed(results, n) == x * y % n).all()

    def recipe(source: Any, count: int) -> Any:
        shape = (count,)
        return deal_triple(source, kind="multiply", left=shape, right=shape, left_holder=left, right_holder=right)

    def online(group: Group, triple: Any, shares: list[Array]) -> Any:
        # An operand that one party holds: its share is the value, the others' are zero.
        a = shares[0] if left is None else np.full_like(shares[0], x * (group.me == left))
        b = shares[1] if right is None else np.full_like(shares[1], y * (group.me == right))
        return beaver(group, triple, a, b, kind="multiply", left_holder=left, right_holder=right)

    return gate_views(
        recipe, online, [x, y], [n] * (2 * (members - 1) + draws), bits=bits, members=members, check=correct
    )


@pytest.mark.parametrize("members", [2, 3])
def test_product(members: int) -> None:
    values = range(4 if members == 2 else 2)
    assert all_equal(product_views(x, y, members=members) for x, y in itertools.product(values, repeat=2))


def test_product_of_operands_that_single_parties_hold() -> None:
    # The other party learns nothing; the holder knows its operand before.
    views = {(x, y): product_views(x, y, left=0, right=1) for x, y in itertools.product(range(4), repeat=2)}
    for x, y in views:
        assert views[x, y][0] == views[x, 0][0]
        assert views[x, y][1] == views[0, y][1]


@pytest.mark.parametrize("broken", ["no mask", "even mask"])
def test_broken_copies_of_the_triple_are_caught(broken: str) -> None:
    def poor(source: Any, **settings: Any) -> Any:
        triple = deal_triple(source, **settings)
        factor = {"no mask": 0, "even mask": 2}[broken]
        a, b = (np.asarray(m * np.uint64(factor)) for m in (triple.a, triple.b))
        return beaver_module.Triple(a, b, triple.c)

    def views(x: int, y: int) -> list[View]:
        return gate_views(
            lambda source, count: poor(source, kind="multiply", left=(count,), right=(count,)),
            lambda group, triple, shares: beaver(group, triple, *shares, kind="multiply"),
            [x, y],
            [4] * 7,
        )

    assert not all_equal(views(x, y) for x, y in [(0, 0), (1, 0), (2, 3), (3, 3)])


def test_broken_copy_that_uses_a_triple_twice_is_caught() -> None:
    def twice(group: Group, triple: Any, shares: list[Array]) -> Any:
        yield from beaver(group, triple, shares[0], shares[1], kind="multiply")
        return (yield from beaver(group, triple, shares[2], shares[1], kind="multiply"))

    def views(x: int, second: int) -> list[View]:
        return gate_views(
            lambda source, count: deal_triple(source, kind="multiply", left=(count,), right=(count,)),
            twice,
            [x, 0, second],
            [2] * 8,
            bits=1,
        )

    assert not all_equal(views(x, second) for x, second in itertools.product(range(2), repeat=2))


# Truncation, comparison, lookup -----------------------------------------------------------------------------------


def test_truncation() -> None:
    def views(x: int) -> list[View]:
        def correct(results: list[Array], count: int) -> None:
            floor = (x - 8 if x > 3 else x) >> 1
            found = summed(results, 8)
            assert ((found == floor % 8) | (found == (floor + 1) % 8)).all()

        return gate_views(
            lambda source, count: truncation.deal_truncation(source, count=count, bits=1, exact=False, ring_bits=3),
            lambda group, material, shares: truncation.truncate(group, material, shares[0], bits=1),
            [x],
            [8] * 5,  # x; r at both; r shifted; its top bit
            bits=3,
            check=correct,
        )

    assert all_equal(views(x) for x in (6, 7, 0, 1))  # -2 to 1: what lies below 2^(3 - 2)


def test_what_exact_truncation_opens() -> None:
    """Without the two dealt words that enter no message, which the test above covers."""

    def recipe(source: Any, count: int) -> Any:
        r = source.uniform((count,))
        less = carry.deal_less(source, r, count, 1)
        none = np.zeros(count, dtype=np.uint64)
        return truncation.TruncationMaterial(
            r, none, none, truncation.Borrow(less, *truncation.deal_bit(source, count))
        )

    def views(x: int) -> list[View]:
        return gate_views(
            recipe,
            lambda group, material, shares: truncation.truncate(group, material, shares[0], bits=1),
            [x],
            [8, 8, 8, 2, 2, 2, 2, 2, 8],  # x; r at both; three bits; the packed bit at both; the bit as a word
            bits=3,
        )

    assert all_equal(views(x) for x in (6, 7, 0, 1))


def test_sign_with_products() -> None:
    def views(x: int, y: int) -> list[View]:
        def correct(results: list[Any], count: int) -> None:
            negative = x > 1
            m, mx, my = (summed([result[k] for result in results], 4) for k in range(3))
            assert (m == negative).all()
            assert (mx == x * negative % 4).all()
            assert (my == y * negative % 4).all()

        return gate_views(
            lambda source, count: sign_module.deal_sign(source, count=count, payloads=1, ring_bits=2),
            lambda group, material, shares: sign_module.sign(group, material, shares[0], shares[1:]),
            [x, y],
            # x, y; r at both; three bits; the packed bit at both; bit; s at both; b r and b s
            [2, 2, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2],
            check=correct,
        )

    # Shares of x and y and the dealt words run over half of the ring, to keep the enumeration small: correctness holds
    # for each assignment, and views are compared on the smaller gate below over the whole ring.
    views(3, 1)
    views(1, 2)


def test_sign_views() -> None:
    def views(x: int) -> list[View]:
        return gate_views(
            lambda source, count: sign_module.deal_sign(source, count=count, ring_bits=2),
            lambda group, material, shares: sign_module.sign(group, material, shares[0]),
            [x],
            [4, 4, 4, 2, 2, 2, 2, 2, 4, 4],
        )

    assert all_equal(views(x) for x in range(4))


def test_broken_copy_whose_comparison_is_opened_unmasked_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    original = sign_module.deal_sign

    def poor(source: Any, **settings: Any) -> Any:
        m = original(source, **settings)
        return sign_module.SignMaterial(m.r, m.less, m.bit, m.packed * np.uint8(0), m.masks, m.products)

    def views(x: int) -> list[View]:
        return gate_views(
            lambda source, count: poor(source, count=count, ring_bits=2),
            lambda group, material, shares: sign_module.sign(group, material, shares[0]),
            [x],
            [4, 4, 4, 2, 2, 2, 2, 2, 4, 4],
        )

    assert not all_equal(views(x) for x in range(4))


@pytest.mark.parametrize("last", [False, True])
def test_gates_of_one_level_of_the_comparison(last: bool) -> None:
    """Two AND gates with a common factor, on shared bits g, p of two neighbours."""

    def views(g_high: int, p_high: int, g_low: int, p_low: int) -> list[View]:
        def correct(results: list[Any], count: int) -> None:
            g = np.bitwise_xor.reduce([result[0] for result in results])
            p = np.bitwise_xor.reduce([result[1] for result in results])
            assert (np.unpackbits(g) == (g_high ^ (p_high & g_low))).all()
            assert last or (np.unpackbits(p) == (p_high & p_low)).all()

        def online(group: Group, level: Any, shares: list[Array]) -> Any:
            bits = [np.packbits(s.astype(np.uint8), bitorder="little")[np.newaxis] for s in shares]
            return carry._join(group, level, (bits[0], bits[1]), (bits[2], bits[3]))

        def recipe(source: Any, count: int) -> Any:
            return carry._deal_level(source, (1, count // 8), np.dtype(np.uint8), last=last)

        return gate_views(
            recipe,
            online,
            [g_high, p_high, g_low, p_low],
            [2] * (9 if last else 12),
            bits=1,
            binary=True,
            check=correct,
        )

    assert all_equal(views(*bits) for bits in itertools.product(range(2), repeat=4))


def test_lookup() -> None:
    table = np.array([3, 1, 0, 2], dtype=np.uint64)

    def views(index: int) -> list[View]:
        def correct(results: list[Array], count: int) -> None:
            assert (summed(results, 4) == table[index]).all()

        def recipe(source: Any, count: int) -> Any:
            return lookup.deal_one_hot(_Wide(source), count=count, size=4)

        return gate_views(
            recipe,
            lambda group, material, shares: lookup.from_table(group, material, shares[0], table),
            [index],
            [4, 4, 4, 2, 2, 2, 2],
            check=correct,
            messages_only=True,  # the dealt words run over half of the ring, what is opened over all of it
        )

    assert all_equal(views(index) for index in range(4))


class _Wide:
    """Draws the vector of a lookup place by place, so that each is enumerated by itself."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.uniform = source.uniform

    def fixed(self, compute: Callable[[], Array], shape: tuple[int, ...]) -> Array:
        found: Array = self._source.fixed(lambda: np.ascontiguousarray(compute().T), shape[::-1])
        return found.T


# Whole protocols --------------------------------------------------------------------------------------------------


class _Streams:
    """The keystreams of one pair, one tape for each use."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._tapes: dict[tuple[Any, ...], Tape] = {}

    def at(self, me: int) -> SimpleNamespace:
        def stream(peer: int, use: str, operation: tuple[int, ...]) -> SimpleNamespace:
            return self._tapes.setdefault((min(me, peer), max(me, peer), use, operation), Tape(self._columns)).reader()

        def common(use: str, operation: tuple[int, ...]) -> SimpleNamespace:
            return self._tapes.setdefault(("all", use, operation), Tape(self._columns)).reader()

        return SimpleNamespace(me=me, keys=SimpleNamespace(stream=stream, common=common))

    def seen(self, me: int) -> list[Array]:
        """Return what the party can draw: its own pairs' streams and the common ones."""
        names = sorted((n for n in self._tapes if n[0] == "all" or me in n[:2]), key=str)
        return [column for name in names for column in self._tapes[name].drawn]


def protocol_views(
    make: Callable[[Any, int], Any],
    step: Callable[[Any, int, Columns], tuple[Any, list[Array]]],
    sizes: Sequence[int],
    modulus: int,
    check: Callable[[dict[int, Any]], None] | None = None,
) -> list[View]:
    """Return the views of three parties of one step of a protocol, over all draws."""
    columns = Columns(sizes)
    streams = _Streams(columns)
    prepared = {me: step(make(streams.at(me), me), me, columns) for me in range(3)}
    results, received = recorded({me: one[0] for me, one in prepared.items()}, columns.count, modulus)
    columns.finish()
    if check is not None:
        check(results)
    return [View([*prepared[me][1], *streams.seen(me), *received[me]]) for me in range(3)]


def replicated_shares(value: int, columns: Columns, cache: dict[int, list[Array]], modulus: int) -> list[Array]:
    if id(columns) not in cache:
        first, second = columns.draw(), columns.draw()
        rest = (np.full_like(first, value) - first - second) % np.uint64(modulus)
        cache[id(columns)] = [first, second, rest]
    return cache[id(columns)]


def replicated_step(
    values: Sequence[int], operate: Callable[[Any, list[Shared]], Any], modulus: int
) -> Callable[[Any, int, Columns], tuple[Any, list[Array]]]:
    caches: list[dict[int, list[Array]]] = [{} for _ in values]

    def step(protocol: Any, me: int, columns: Columns) -> tuple[Any, list[Array]]:
        parts = [replicated_shares(v, columns, cache, modulus) for v, cache in zip(values, caches, strict=True)]
        held = [Shared((np.copy(three[me]), np.copy(three[(me + 1) % 3]))) for three in parts]
        return operate(protocol, held), [part for shared in held for part in shared.parts]

    return step


def replicated_views(
    values: Sequence[int], operate: Callable[[Any, list[Shared]], Any], draws: int, modulus: int = 4, check: Any = None
) -> list[View]:
    return protocol_views(
        lambda link, me: Replicated(link),
        replicated_step(values, operate, modulus),
        [modulus] * (2 * len(values) + draws),
        modulus,
        check,
    )


def test_replicated_product() -> None:
    def views(x: int, y: int) -> list[View]:
        def correct(results: dict[int, Shared]) -> None:
            total = results[0].parts[0] + results[0].parts[1] + results[1].parts[1]
            assert (total % np.uint64(4) == x * y % 4).all()

        return replicated_views(
            [x, y], lambda p, held: p.product(Operation(1, ""), "multiply", *held), 3, check=correct
        )

    assert all_equal(views(x, y) for x, y in itertools.product(range(4), repeat=2))


def test_broken_copy_of_the_replicated_product_without_shares_of_zero_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = Replicated._drawn

    def none(self: Any, peer: int, use: str, number: Any, shape: Any) -> Array:
        return original(self, peer, use, number, shape) * np.uint64(0)

    monkeypatch.setattr(replicated.Replicated, "_drawn", none)
    assert not all_equal(
        replicated_views([x, y], lambda p, held: p.product(Operation(1, ""), "multiply", *held), 3)
        for x, y in itertools.product(range(4), repeat=2)
    )


def test_replicated_product_for_the_group() -> None:
    assert all_equal(
        replicated_views([x, y], lambda p, held: p.group_product(Operation(1, ""), "multiply", *held), 1)
        for x, y in itertools.product(range(4), repeat=2)
    )


def test_replicated_resharing() -> None:
    def operate(protocol: Any, held: list[Shared]) -> Any:
        mine = protocol.to_group(held[0])
        shape = held[0].parts[0].shape
        return protocol.from_group(Operation(1, ""), None if protocol.helping else [mine], [shape])

    def views(x: int) -> list[View]:
        def correct(results: dict[int, list[Shared]]) -> None:
            parts = [results[me][0].parts for me in range(3)]
            assert all((parts[me][1] % np.uint64(4) == parts[(me + 1) % 3][0] % np.uint64(4)).all() for me in range(3))
            assert ((parts[0][0] + parts[0][1] + parts[1][1]) % np.uint64(4) == x).all()

        return replicated_views([x], operate, 2, check=correct)

    assert all_equal(views(x) for x in range(4))


@pytest.mark.parametrize("owner", [0, 1, 2])
def test_replicated_input(owner: int) -> None:
    def views(x: int) -> list[View]:
        def step(protocol: Any, me: int, columns: Columns) -> tuple[Any, list[Array]]:
            words = np.full(columns.count, x, dtype=np.uint64) if me == owner else None
            return protocol.input(Operation(1, ""), owner, words, (columns.count,)), []

        return protocol_views(lambda link, me: Replicated(link), step, [4, 4], 4)

    found = [views(x) for x in range(4)]
    assert all(view[me] == found[0][me] for view in found for me in range(3) if me != owner)


@pytest.mark.parametrize("to", [None, 0, 1, 2])
def test_replicated_reveal_of_a_sum_shows_the_sum_alone(to: int | None) -> None:
    def operate(protocol: Any, held: list[Shared]) -> Any:
        return protocol.open(Operation(1, ""), held[0].combine(held[1], np.add), to)

    found = {(x, y): replicated_views([x, y], operate, 0) for x, y in itertools.product(range(4), repeat=2)}
    for (x, y), views in found.items():
        for me in range(3):
            same = (x + y) % 4 if to in (None, me) else 0
            assert views[me] == found[same, 0][me]


def additive_reveal(values: Sequence[int], to: int | None) -> list[View]:
    """Reveal the sum of inputs that parties 0, 1, 2 hold without having split them, on Z/4."""

    def step(protocol: Any, me: int, columns: Columns) -> tuple[Any, list[Array]]:
        total = Shared((np.full(columns.count, values[me], dtype=np.uint64),))
        return protocol.open(Operation(1, ""), total, to), []

    return protocol_views(lambda link, me: Additive(link, parties=3, dealer=3), step, [4] * 3, 4)


@pytest.mark.parametrize("to", [None, 1])
def test_additive_reveal_of_a_sum_shows_the_sum_alone(to: int | None) -> None:
    """Party 1 knows its own input; of the others' it learns their sum if the result is revealed to it."""
    found = {v: additive_reveal(v, to) for v in itertools.product(range(4), (2,), range(4))}
    for (x, y, z), views in found.items():
        assert views[1] == found[(x + z) % 4, y, 0][1]


def test_broken_copy_that_reveals_inputs_which_were_never_split_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Additive._zero
    monkeypatch.setattr(Additive, "_zero", lambda self, operation, shared: original(self, operation, shared) * 0)
    assert additive_reveal((1, 2, 0), None)[1] != additive_reveal((0, 2, 1), None)[1]
