"""The study file that `reticent new` writes: a small table at four sites, every decision with its reason."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["new_study"]

_TEXT = """\
# A study for reticent. Read it, change it, then:  reticent plan {name}.toml
schema = 1

[study]
name = "{name}"
purpose = "Say here what the model is for."
contact = "dpo@example.org"

[data]                          # the same columns, in the same units, for every site; all of this is public
kind = "table"
label = "outcome"
person = "row"                  # every row is another person; or the name of the column that tells persons apart
test_fraction = 0.25            # share of persons that are never trained on
split_key = "{name}-1"
columns = [
  {{ name = "age", kind = "number", unit = "year", range = [0, 110] }},
  {{ name = "height", kind = "number", unit = "cm", range = [40, 220], missing = 170.0 }},
  {{ name = "smoker", kind = "category", values = ["no", "yes"], other = true }},
  {{ name = "outcome", kind = "label", values = ["no", "yes"] }},
]

[model]
factory = "reticent.training.models:logistic"      # any module:function that returns a torch.nn.Module
loss = "cross_entropy"

[learning]
method = "fedavg"               # or "fedprox" with mu
rounds = 10
local_steps = 10                # or local_epochs
learning_rate = 0.5
seed = 1                        # public: the initial model; noise and samples never have a seed

[privacy]
guarantee = "differential-privacy"                 # or "none" with a reason
unit = "person"                 # whose presence is hidden: "person" or "record"
relation = "add_or_remove_one"
target = {{ epsilon = 3.0, delta = 1e-5 }}           # noise is computed from this
max_grad_norm = 1.0             # how far one person may move the model in a step
sampling_probability = 0.2      # share of the persons of a site in each step; or expected_batch_size
spare_executions = 1            # rounds that may be repeated after a crash; paid for in advance

[secure_aggregation]
protocol = "secagg"             # the coordinator sees sums alone; "plain": it sees every site's update
dropouts = 1                    # how many sites may fail in a round

[release]
metrics = {{ every = 0, epsilon = 0.3 }}             # final accuracy, from its own part of epsilon; or "none"

# One table for each site. rows: the number of persons (or records) to train on. Declare it; it is public, and
# never compared with the data. file: a CSV or Parquet file with the columns above, beside this file. Or
# site = "{first}/site.toml", the site's own file, which maps its columns, units and codes.
{sites}
"""

_SITE = """\
[sites.{name}]
rows = {rows}
file = "{name}.csv"
"""


def new_study(name: str, *, sites: Sequence[str] = ("north", "south", "east", "west"), rows: int = 500) -> str:
    """Return the text of a commented study file for a table.

    Args:
      name: Of the study: letters, digits, hyphens and underscores.
      sites: Names of the sites; at least three, since a sum of two hides nothing.
      rows: Declared training-set size of each site, to be corrected by hand.
    """
    tables = "\n".join(_SITE.format(name=site, rows=rows) for site in sites)
    return _TEXT.format(name=name, first=sites[0], sites=tables.rstrip("\n"))
