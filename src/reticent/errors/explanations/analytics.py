"""Codes of `reticent.analytics`, and of `reticent describe`."""

from __future__ import annotations

__all__ = ["EXPLANATIONS"]

EXPLANATIONS: dict[str, str] = {
    "describe-option": (
        "An option of `reticent describe` is not of the form that it needs, or no column is declared at all. Ranges and "
        "categories are public declarations: looked up in the data they would tell of the people with the largest "
        "value or the rarest word. Write --bounds age=0:120 and --categories sex=f,m, or use --study."
    ),
    "describe-site": (
        "A study has several sites, and each has its own data, people and budget. Say whose table is described with "
        "--site."
    ),
    "describe-undeclared": (
        "A description costs privacy budget, and nothing about privacy has a default: epsilon, delta, unit, relation and "
        "the population that pays are to be given. With --study the unit and the relation are the study's."
    ),
    "statistics-bounds": (
        "A sum, mean, variance or quantile needs the lowest and highest value that can occur, declared before anybody "
        "looks at the data. They bound what one person can add, and so the noise. Bounds that are read from the data "
        "move with a single record and break the guarantee."
    ),
    "statistics-categories": (
        "A histogram needs its categories declared. A word that is collected from the data may be one person's alone, and "
        "that it is listed at all would tell of that person. Undeclared words can be counted together: other=True."
    ),
    "statistics-classes": (
        "AUROC, calibration and Brier score need a label with two classes, of which the score predicts the second, and at "
        "least two bins. Declare classes=(0, 1), or the two words of your label."
    ),
    "statistics-column": (
        "The table lacks a column that a question names, or has it twice. Whether a column exists is taken to be public. "
        "Correct the name, or name the site's own column in its site.toml."
    ),
    "statistics-confidence": (
        "A confidence is the probability, over the noise, that an interval holds: a number between 0 and 1, such as 0.95."
    ),
    "statistics-differ": (
        "The coordinator asks other questions, or with other noise, than those that this site agreed to; the hash of the "
        "settings does not fit. The site answers nothing. Give all parties the same plan, and find out why it differed."
    ),
    "statistics-edges": (
        "The edges of a histogram of numbers must rise, and stand instead of categories. Give, for example, "
        "edges=[0, 20, 40, 60]; values beyond fall into the outer bins."
    ),
    "statistics-levels": (
        "Quantiles are asked at levels between 0 and 1, such as 0.25. The levels 0 and 1 are the smallest and largest "
        "value, which belong to single people and cannot be released with any use."
    ),
    "statistics-not-in-contract": (
        "A question of the study names a column that the contract does not have, or for which it declares no range. "
        "Bounds and categories of statistics are those of the contract, so that nothing is declared twice."
    ),
    "statistics-nothing-asked": ("A list of questions was empty. Ask at least one, such as analytics.count()."),
    "statistics-of-tensors": (
        "Statistics are asked of named columns, and the contract describes tensors such as images, which have none."
    ),
    "statistics-persons": (
        "Under unit `person` all rows of one person are hidden together, so the table must say whose row each is. Name "
        "the column, or use unit `record` if every row is a person of its own."
    ),
    "statistics-rows-per-person": (
        "Under unit `person` it must be declared how many rows of one person count; it bounds what a person can add, and "
        "is never read from the data. Rows beyond are left out. Under unit `record` there is nothing to declare."
    ),
    "statistics-sites": (
        "The number of sites, of those that may fail, or of rows does not fit together. The cohort names every site once, "
        "and fewer sites may fail than take part."
    ),
    "statistics-table": (
        "Statistics read a pandas.DataFrame, a mapping of columns, or analytics.Rows, of up to 2^40 rows."
    ),
    "statistics-too-many-cells": (
        "A histogram or the bins of a quantile are too many. Every cell gets the noise of a whole count, so a table with "
        "more cells than people says nothing; ask for coarser bins or fewer categories."
    ),
    "statistics-top": (
        "The most frequent k of declared categories were asked, with k below one or above their number."
    ),
    "statistics-unit": (
        "Statistics hide a record or a person. Nothing bounds what a whole site adds to a count, so a claim for unit "
        "`site` would be false."
    ),
    "statistics-unknown": (
        "A question of the study names no statistic that exists. Use count, mean, quantiles, histogram and so on; see "
        "docs/statistics.md."
    ),
    "statistics-unknown-key": (
        "A question of the study has a key that it does not take, lacks one that it needs, or has a value of another "
        "kind. Bounds and categories are not written here: they come from the contract."
    ),
    "statistics-weight": (
        "The weight of a question says how much of the joint noise budget it takes beside the others: a number from "
        "1/1024 to 1024, 1 if not given."
    ),
    "statistics-without-noise": (
        "Statistics over several sites were set up without noise. Exact sums can be subtracted from each other to find "
        "one person's data. Take the noise multiplier from analytics.plan."
    ),
}
