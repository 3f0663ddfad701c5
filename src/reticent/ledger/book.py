"""The ledger: grants of people, reservations of plans, and what is left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reticent.dp import Relation, Release, Unit
from reticent.errors import UsageError
from reticent.ledger.admission import Asked, check_claim, check_filter_kept, check_fits, check_total
from reticent.ledger.amounts import NOTHING, granted
from reticent.ledger.audit import audit
from reticent.ledger.chain import Head
from reticent.ledger.charge import Charge, void_charge
from reticent.ledger.disjoint import Total, total_of
from reticent.ledger.entries import Balance, Entry, History, Standing
from reticent.ledger.faults import rolled_back
from reticent.ledger.filters import Filter, check_filter, favoured_order
from reticent.ledger.pricing import Price, price
from reticent.ledger.wording import check_population, check_signer, check_text, no_grant

if TYPE_CHECKING:
    from reticent.identity import Roster, SigningKey
    from reticent.ledger.pages import Pages

__all__ = ["Ledger"]


class Ledger:
    """Privacy budgets of populations, in a database that survives this process.

    A plan is reserved once, with all its planned and spare executions, and committed bit by bit before each draw. How
    plans are added up is chosen by a population's first grant (`filters`).

    Args:
      url: `sqlite:///relative.db` or `sqlite:////absolute.db`, which the first grant makes; or
        `postgresql://user@host/database`, where programs on several machines share a budget.
      wait: Seconds to wait for other processes that write.
    """

    def __init__(self, url: str = "sqlite:///budget.db", *, wait: float = 30.0) -> None:
        # SQLAlchemy costs a third of a second to import: only whoever opens a ledger pays.
        from reticent.ledger.journal import open_journal

        self._journal = open_journal(url, wait=wait)

    def __repr__(self) -> str:
        return f"Ledger({self._journal.url!r})"

    def grant(
        self,
        population: str,
        *,
        epsilon: float,
        delta: float,
        unit: Unit,
        relation: Relation,
        reason: str,
        signer: str,
        filter: Filter | None = None,  # noqa: A002 - the word that readers of the literature look for
        key: SigningKey | None = None,
    ) -> None:
        """Allow releases about a population; grants of one population add up.

        Args:
          population: The people, not a file.
          epsilon: Above 0, rounded down to 1e-9.
          delta: At least 0 and below 1, as the sum of all grants; the first under the Renyi filter is above 0.
          unit: Whose presence is hidden; one for each population.
          relation: The neighbouring relation; one for each population.
          reason: Why, for whoever reads the ledger later.
          signer: Who allows it.
          filter: How plans are added up: "sum" (also if not given) or "renyi"; one for each population. Under either,
            a later grant raises the epsilon and the delta that all plans together must stay within.
          key: The signer's key, if `verify(roster=...)` shall find more than the name.

        Raises:
          UsageError: If an argument is out of its range.
          PolicyRefused: If the population's budget counts another unit or relation, or has another filter.
        """
        check_population(population)
        check_text("reason", reason)
        check_signer(signer)
        check_filter(filter or "sum")
        # A release checks its unit and relation; an empty one serves to check ours.
        Release(events=(), unit=unit, relation=relation, population=population, dataset="")
        amount = granted(epsilon=epsilon, delta=delta)
        first = Standing(population=population, unit=unit, relation=relation, filter=filter or "sum")
        with self._journal.writing(create=True) as pages:
            if pages is None:
                raise self._journal.vanished()
            standing = pages.standing(population) or _favouring(first, epsilon=epsilon, delta=delta)
            check_claim(standing, unit=unit, relation=relation)
            check_filter_kept(standing, filter)
            check_total(standing, amount)
            pages.append("grant", standing, amount, reason=reason, signer=signer, signing_key=key)

    def declare_disjoint(
        self, populations: Iterable[str], *, reason: str, signer: str, key: SigningKey | None = None
    ) -> None:
        """Record the word of a person that nobody is, or will be, in two of these populations; `total` relies on it.

        Args:
          populations: Two or more that have budgets.
          reason: How that is known.
          signer: Who vouches for it.
          key: The signer's key, if `verify(roster=...)` shall find more than the name.

        Raises:
          UsageError: If a population is unknown or alone, or they count different units or relations.
        """
        names = _several(populations)
        check_text("reason", reason)
        check_signer(signer)
        with self._journal.writing() as pages:
            common = total_of((self._balance(pages, name) for name in names), ())
            if pages is None:
                raise self._journal.vanished()
            nobody = Standing(population="", unit=common.unit, relation=common.relation)
            pages.append("disjoint", nobody, NOTHING, members=names, reason=reason, signer=signer, signing_key=key)

    def reserve(self, release: Release, *, delta: float, purpose: str, plan_hash: str, key: str) -> Charge:
        """Hold the budget of a whole plan: check and append in one transaction.

        Args:
          release: Everything the plan may draw about the population, spare executions included.
          delta: The delta of the plan, at which its epsilon is computed.
          purpose: What for.
          plan_hash: Hash of the plan.
          key: Name of the reservation. The same key with the same content returns the same charge.

        Raises:
          PolicyRefused: If nothing was granted, too little is left, the unit or relation differs, no finite epsilon
            holds, or a reservation of this key was given back.
          UsageError: If the key names another reservation, or an argument is out of its range.
        """
        check_population(release.population)
        for name, text in (("purpose", purpose), ("plan_hash", plan_hash), ("key", key), ("dataset", release.dataset)):
            check_text(name, text)
        asked = Asked(release=release, delta=delta, purpose=purpose, plan_hash=plan_hash, key=key)
        with self._journal.reading() as pages:
            known = None if pages is None else pages.history(key)
            standing = None if pages is None else pages.standing(release.population)
        if known is not None:
            return self._same(known, asked)
        # Priced before the transaction: accounting takes seconds, in which others must be able to write.
        cost = price(release, delta=delta, curve=standing is not None and standing.filter == "renyi")
        with self._journal.writing() as pages:
            known = None if pages is None else pages.history(key)
            if known is not None:
                return self._same(known, asked)
            standing, cost = self._admit(pages, asked, cost)
            if pages is None:
                raise self._journal.vanished()
            entry = pages.append("reserve", standing, cost.amount, curve=cost.curve, key=key, **asked.described())
            head = pages.head()
        return Charge(self._journal, entry, head=head)

    def charge(self, key: str) -> Charge | None:
        """Return the reservation of this key, None if there is none."""
        with self._journal.reading() as pages:
            history = None if pages is None else pages.history(key)
        return None if history is None else Charge(self._journal, history.reserve)

    def balance(self, population: str) -> Balance:
        """Return what was granted to a population, spent, reserved and is left.

        Raises:
          UsageError: If nothing was ever granted to it.
        """
        with self._journal.reading() as pages:
            return self._balance(pages, population)

    def total(self, populations: Iterable[str]) -> Total:
        """Return what somebody was promised who may be in any of these populations.

        Budgets add up; of populations that somebody declared disjoint the largest counts.

        Raises:
          UsageError: If a population is unknown, or they count different units or relations.
        """
        with self._journal.reading() as pages:
            balances = [self._balance(pages, name) for name in dict.fromkeys(populations)]
            words = [] if pages is None else [row.entry for row in pages.rows(kind="disjoint")]
        return total_of(balances, words)

    def populations(self) -> tuple[str, ...]:
        """Return the names of all populations, sorted."""
        with self._journal.reading() as pages:
            return () if pages is None else pages.populations()

    def entries(self, population: str | None = None) -> list[Entry]:
        """Return all entries in order, or those of one population."""
        with self._journal.reading() as pages:
            return [] if pages is None else [row.entry for row in pages.rows(population)]

    def head(self) -> Head | None:
        """Return the state of the whole ledger in one line; None where nothing was ever granted."""
        with self._journal.reading() as pages:
            return None if pages is None else pages.head()

    def export(self, path: Path | str) -> Head:
        """Write all entries to a file that `ledger.verify_export` checks without the database, and return its head.

        Raises:
          UsageError: If nothing was ever granted.
          EnvironmentFault: If the file cannot be written.
        """
        from reticent.ledger.export import write_export

        with self._journal.reading() as pages:
            if pages is None:
                raise UsageError(
                    "nothing-to-export",
                    f"the ledger {self._journal.shown} holds nothing",
                    hint="check its address; `reticent ledger grant` makes a new one",
                )
            head = pages.head()
            write_export(Path(path), pages.stored(), head)
        return head

    def restore(self, path: Path | str) -> Head:
        """Fill this ledger, which must be empty, with an export: the same identity, entries and hashes.

        An export that is older than the last release forgets what was spent since: compare its head with one that was
        kept. The ledger that was exported must not be used any more; two that go on from one head are two histories.

        Raises:
          UsageError: If this ledger holds entries, or the file is no export.
          EnvironmentFault: If the export is damaged.
        """
        from reticent.ledger.export import read_rows, verify_export

        head = verify_export(path)
        with self._journal.writing(create=True, ledger=head.ledger) as pages:
            if pages is None:
                raise self._journal.vanished()
            if pages.ledger != head.ledger or pages.head().seq:
                raise UsageError(
                    "ledger-not-empty",
                    f"the ledger {self._journal.shown} holds {pages.head().seq} entries",
                    hint="restore into a file that does not exist yet, or an empty database; no entry is overwritten",
                )
            pages.adopt(read_rows(Path(path)), head)
        return head

    def verify(self, *, head: Head | None = None, roster: Roster | None = None) -> int:
        """Check every hash, add up all entries anew, and return how many there are.

        Finds damaged pages and indexes, gaps, changed rows, amounts and totals, commits beyond their reservation; with
        `head` also a ledger that was put back to an older state or exchanged, and with `roster` grants that somebody
        else wrote. Without a head that was kept elsewhere it cannot find a forger who recomputes every row.

        Args:
          head: One that `head()` or `export()` gave earlier; the ledger must still contain it.
          roster: The keys of those who may grant; every grant must carry its signer's signature.

        Raises:
          EnvironmentFault: If the entries contradict each other, or lack the head.
          PolicyRefused: If a grant is not signed.
          IdentityError: If a signature is not its signer's.
        """
        from reticent.ledger.rows import chained
        from reticent.ledger.signatures import signed

        self._journal.check_storage()
        with self._journal.reading() as pages:
            if pages is None:
                if head is not None:
                    raise rolled_back(self._journal.shown, f"holds nothing, and not the head {head.seq} that was given")
                return 0
            if head is not None and not pages.contains(head):
                raise rolled_back(self._journal.shown, f"does not contain the head {head.seq} that was given")
            rows = chained(pages.rows(), pages.ledger)
            if roster is not None:
                rows = signed(rows, roster)
            return audit((row.entry, row.standing) for row in rows)

    def _balance(self, pages: Pages | None, population: str) -> Balance:
        standing = None if pages is None else pages.standing(population)
        if standing is None:
            known = () if pages is None else pages.populations()
            raise UsageError(
                "unknown-population",
                f"the ledger {self._journal.shown} knows no population {str(population)[:120]!r}",
                hint=f"it knows: {', '.join(known[:20]) or 'none yet; `reticent ledger grant` adds one'}",
            )
        return Balance.of(standing)

    def _admit(self, pages: Pages | None, asked: Asked, cost: Price) -> tuple[Standing, Price]:
        population, url = asked.release.population, self._journal.url
        standing = None if pages is None else pages.standing(population)
        if standing is None:
            known = () if pages is None else pages.populations()
            raise no_grant(population, known=known, cost=cost.amount, command=asked.command(url, cost.amount))
        if standing.filter == "renyi" and not cost.curve:
            # The first grant came between the two transactions.
            cost = price(asked.release, delta=asked.delta, curve=True)
        check_fits(standing, asked, cost, url=url)
        return standing, cost

    def _same(self, known: History, asked: Asked) -> Charge:
        if not asked.equals(known.reserve):
            raise UsageError(
                "reservation-key-reused",
                f"the key {asked.key!r} names a reservation with another content ({known.reserve.purpose!r})",
                hint="reserve another plan under another key; a key names one plan for ever",
            )
        if known.voided:
            raise void_charge(asked.key)
        return Charge(self._journal, known.reserve)


def _favouring(first: Standing, *, epsilon: float, delta: float) -> Standing:
    """Return the standing before a population's first grant, with the order that the Renyi filter shall favour."""
    if first.filter == "sum":
        return first
    if not delta > 0:
        raise UsageError(
            "invalid-budget",
            f"delta is {delta} under the Renyi filter",
            hint="give a delta above 0 with the first grant: the epsilon of all plans together is computed at it",
        )
    return replace(first, favoured=favoured_order(epsilon=epsilon, delta=delta))


def _several(populations: Iterable[str]) -> tuple[str, ...]:
    names = tuple(sorted(set(populations)))
    for name in names:
        check_population(name)
    if len(names) < 2:
        raise UsageError(
            "too-few-populations",
            f"{len(names)} population was named",
            hint="name two or more: the word is that nobody is in two of them",
        )
    return names
