"""Persistent privacy budgets: who allowed what, which plan holds it, and what was spent.

    grant    a person allows (epsilon, delta) for a population, once or several times
    reserve  a plan holds its whole (epsilon, delta), for all planned and spare executions; may be voided while unused
    commit   one bit of the plan may draw its noise; the first commit spends the whole plan, later ones cost nothing

GUARANTEE. What the plans of one population reserve together stays within what was granted to it, under the filter that
its first grant chose, however many programs reserve at once and whenever one of them is killed. A charge is durable
before the noise exists, so a crash can only overstate what was released. A plan that stops early gets nothing back: its
epsilon was computed for the fixed sequence and has no parts. Budgets of different populations add up unless a named
person vouched that nobody is in two of them.

ADVERSARY. Processes that crash or race, disks that fill up or flip bits, typing errors, files that are deleted or put
back: all are noticed, by the next action or by `verify`. Whoever may write the database can rewrite it with new hashes;
against them stands a head or an export that was kept elsewhere, and grants signed with a key. Not covered: a program
that releases without asking the ledger, and the clock of the machine, which the times of entries come from.

COST. A reservation or commit waits for two syncs of the disk, or for one round trip and a sync of the server: 5 to 30
milliseconds. A balance takes 1 to 4. Neither grows with the number of entries. `verify` reads everything, about 10,000
entries a second.
"""

from reticent.ledger.book import Ledger
from reticent.ledger.chain import Head
from reticent.ledger.charge import Charge
from reticent.ledger.disjoint import Total
from reticent.ledger.entries import Balance, Entry
from reticent.ledger.export import verify_export

__all__ = ["Balance", "Charge", "Entry", "Head", "Ledger", "Total", "verify_export"]
