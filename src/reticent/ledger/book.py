"""The ledger: grants of people, reservations of plans, and what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reticent.dp import Relation, Release, Unit
from reticent.errors import PolicyRefused, UsageError
from reticent.ledger.amounts import DELTA_STEPS, EPSILON_STEPS, LARGEST_EPSILON, Amount, charged, granted
from reticent.ledger.audit import audit
from reticent.ledger.charge import Charge, void_charge
from reticent.ledger.entries import Balance, Entry, History, Standing
from reticent.ledger.pricing import price
from reticent.ledger.wording import budget_exhausted, check_population, check_text, grant_command, no_grant

if TYPE_CHECKING:
    from reticent.ledger.pages import Pages

__all__ = ["Ledger"]


class Ledger:
    """Privacy budgets of populations, in one SQLite file that survives this process.

    A plan is reserved once, with all its planned and spare executions, and committed bit by bit before each draw. The
    filter is the sum of the plans' (epsilon, delta) (basic composition, which holds for plans chosen adaptively:
    Rogers, Roth, Ullman, Vadhan, NeurIPS 2016, section 3).

    Args:
      url: `sqlite:///relative.db` or `sqlite:////absolute.db`; the first grant creates the file.
      wait: Seconds to wait for other processes that write.
    """

    def __init__(self, url: str = "sqlite:///budget.db", *, wait: float = 30.0) -> None:
        # SQLAlchemy costs a third of a second to import: only whoever opens a ledger pays.
        from reticent.ledger.journal import Journal

        self._journal = Journal(url, wait=wait)

    def grant(
        self,
        population: str,
        *,
        epsilon: float,
        delta: float,
        unit: Unit,
        relation: Relation,
        reason: str,
        signer: str = "",
    ) -> None:
        """Allow releases about a population; grants of one population add up.

        Args:
          population: The people, not a file.
          epsilon: Above 0, rounded down to 1e-9.
          delta: At least 0 and below 1, as the sum of all grants.
          unit: Whose presence is hidden; one for each population.
          relation: The neighbouring relation; one for each population.
          reason: Why, for whoever reads the ledger later.
          signer: Who allows it.

        Raises:
          UsageError: If an argument is out of its range.
          PolicyRefused: If the population's budget counts another unit or relation.
        """
        check_population(population)
        check_text("reason", reason)
        check_text("signer", signer, empty=True)
        # A release checks its unit and relation; an empty one serves to check ours.
        Release(events=(), unit=unit, relation=relation, population=population, dataset="")
        amount = granted(epsilon=epsilon, delta=delta)
        with self._journal.writing(create=True) as pages:
            if pages is None:
                raise self._journal.vanished()
            standing = pages.standing(population) or Standing(population=population, unit=unit, relation=relation)
            _check_claim(standing, unit=unit, relation=relation)
            _check_total(standing, amount)
            pages.append("grant", standing, amount, reason=reason, signer=signer)

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
        asked = _Asked(release=release, delta=delta, purpose=purpose, plan_hash=plan_hash, key=key)
        with self._journal.reading() as pages:
            known = None if pages is None else pages.history(key)
        if known is not None:
            return self._same(known, asked)
        # Priced before the transaction: accounting takes seconds, in which others must be able to write.
        cost = price(release, delta=delta)
        with self._journal.writing() as pages:
            known = None if pages is None else pages.history(key)
            if known is not None:
                return self._same(known, asked)
            standing = self._admit(pages, asked, cost)
            if pages is None:
                raise self._journal.vanished()
            entry = pages.append("reserve", standing, cost, key=key, **asked.described())
        return Charge(self._journal, entry)

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
            standing = None if pages is None else pages.standing(population)
            known = () if pages is None or standing else pages.populations()
        if standing is None:
            raise UsageError(
                "unknown-population",
                f"the ledger {self._journal.path} knows no population {str(population)[:120]!r}",
                hint=f"it knows: {', '.join(known[:20]) or 'none yet; `reticent ledger grant` adds one'}",
            )
        return Balance.of(standing)

    def populations(self) -> tuple[str, ...]:
        """Return the names of all populations, sorted."""
        with self._journal.reading() as pages:
            return () if pages is None else pages.populations()

    def entries(self, population: str | None = None) -> list[Entry]:
        """Return all entries in order, or those of one population."""
        with self._journal.reading() as pages:
            return [] if pages is None else [entry for entry, _ in pages.rows(population)]

    def verify(self) -> int:
        """Add up all entries anew and return how many there are.

        Finds gaps, changed amounts and totals, and commits beyond their reservation; not a whole file put back to an
        older state, and not a forger who recomputes every row.

        Raises:
          EnvironmentFault: If the entries contradict each other.
        """
        with self._journal.reading() as pages:
            return 0 if pages is None else audit(pages.rows())

    def _admit(self, pages: Pages | None, asked: _Asked, cost: Amount) -> Standing:
        release = asked.release
        standing = None if pages is None else pages.standing(release.population)

        def command(amount: Amount) -> str:
            return grant_command(
                url=self._journal.url,
                population=release.population,
                amount=amount,
                unit=release.unit,
                relation=release.relation,
                purpose=asked.purpose,
            )

        if standing is None:
            known = () if pages is None else pages.populations()
            raise no_grant(release.population, known=known, cost=cost, command=command(cost.at_least_one_step()))
        _check_claim(standing, unit=release.unit, relation=release.relation)
        if not standing.left.covers(cost):
            missing = cost - standing.left
            raise budget_exhausted(standing, cost=cost, command=command(missing.at_least_one_step()))
        return standing

    def _same(self, known: History, asked: _Asked) -> Charge:
        if not asked.equals(known.reserve):
            raise UsageError(
                "reservation-key-reused",
                f"the key {asked.key!r} names a reservation with another content ({known.reserve.purpose!r})",
                hint="reserve another plan under another key; a key names one plan for ever",
            )
        if known.voided:
            raise void_charge(asked.key)
        return Charge(self._journal, known.reserve)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What `reserve` was asked for, to be stored, or compared with what is stored under the same key."""

    release: Release
    delta: float
    purpose: str
    plan_hash: str
    key: str

    def described(self) -> dict[str, Any]:
        return {
            "dataset": self.release.dataset,
            "purpose": self.purpose,
            "plan_hash": self.plan_hash,
            "events": tuple(self.release.events),
        }

    def equals(self, entry: Entry) -> bool:
        # Not epsilon: a later version of the accountant may find a tighter one, the old one stays charged.
        described = self.described() | {
            name: getattr(self.release, name) for name in ("population", "unit", "relation")
        }
        same_delta = charged(epsilon=0.0, delta=self.delta).atto_delta == entry.amount.atto_delta
        return same_delta and all(getattr(entry, name) == value for name, value in described.items())


def _check_claim(standing: Standing, *, unit: Unit, relation: Relation) -> None:
    if unit != standing.unit:
        raise PolicyRefused(
            "unit-mismatch",
            f"population {standing.population!r} has a budget for unit {standing.unit!r}, not {unit!r}",
            hint="plan for the unit of the budget: epsilons of different units cannot be added",
        )
    if relation != standing.relation:
        raise PolicyRefused(
            "relation-mismatch",
            f"population {standing.population!r} has a budget for relation {standing.relation!r}, not {relation!r}",
            hint="plan for the relation of the budget: epsilons of different relations cannot be added",
        )


def _check_total(standing: Standing, amount: Amount) -> None:
    total = standing.granted + amount
    if not Amount(LARGEST_EPSILON * EPSILON_STEPS, DELTA_STEPS - 1).covers(total):
        raise UsageError(
            "invalid-budget",
            f"all grants of population {standing.population!r} together would be epsilon {total.epsilon_text()} and "
            f"delta {total.delta_text()}",
            hint=f"grant less: at most epsilon {LARGEST_EPSILON:g} and delta below 1 in all; more promises nothing",
        )
