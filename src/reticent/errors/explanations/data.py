"""Codes raised by `reticent.data`."""

from __future__ import annotations

__all__ = ["EXPLANATIONS"]

EXPLANATIONS: dict[str, str] = {
    "column-duplicate": (
        "Two columns of the site's table have the same name, so it is unclear which one the study means; or a file has "
        "no header line, and two cells of its first row are equal. "
        "Rename or remove one of them in the site's data."
    ),
    "column-missing": (
        "The contract names a column that the site's table lacks. Every site must give the same columns, or the models "
        "could not be averaged. If the site calls it otherwise, say so in site.toml: "
        'columns.age = { column = "AGE_YEARS" }.'
    ),
    "contract-columns": (
        "The contract declares a column twice, or declares its person or split column as a feature. The person and "
        "split columns decide whose row it is and where it goes; the model must not see them. Name each column once."
    ),
    "contract-kind": (
        "The contract mixes the settings of tables and tensors. A table has columns and a label; a tensor contract has "
        "a shape, classes and a range. Keep those of one kind."
    ),
    "contract-label": (
        "A table needs at least one feature and exactly one label column, and `label` must name it. Its values are the "
        "classes that the model learns, in this order at every site."
    ),
    "contract-missing": (
        "What stands in for a missing value must itself be possible: a number within the range, or one of the declared "
        "values. A label is never imputed, since a made-up label teaches a made-up rule. Correct `missing`."
    ),
    "contract-one-class": (
        "A label with fewer than two different classes leaves nothing to learn. Declare every class that any site may "
        "hold; a single site may well hold only one of them."
    ),
    "contract-range": (
        "A range is missing or empty. Numbers are scaled by declared ranges and never by ranges taken from records, "
        "because such statistics would leave the site inside the model without being accounted for. Declare a lowest "
        "and a highest value that are wide enough for every site."
    ),
    "contract-split": (
        "Training and test rows are told apart either by a keyed hash (test_fraction and split_key) or by a column "
        "(split_column), not by both. With a test_fraction a split_key is needed, so that every site splits alike."
    ),
    "contract-unit": (
        "The contract names a substance whose molar mass is not built in, so mg/dL and mmol/L could not be converted. "
        "Use one of the listed names, or leave `analyte` out and let sites give a factor."
    ),
    "contract-values": (
        "The vocabulary of a column is missing, holds a word twice, or stands at a column that is no category. The "
        "vocabulary is closed and declared, because one collected from the data would reveal rare values. List each "
        "value once; `other = true` adds a place for the rest."
    ),
    "data-folder-missing": (
        "The environment variable RETICENT_DATA names a folder that does not exist. Point it to the folder of data "
        "sets, or unset it; the demo and the tests run without that folder too."
    ),
    "data-format": (
        "The ending of the file's name tells how to read it, and this one is not known. Use .csv, .csv.gz or .parquet, "
        "or read the file with pandas and hand over the frame."
    ),
    "data-unreadable": (
        "The file exists, but its content is not what its name says: empty, cut off, lines of different lengths, "
        "another encoding, or no such format. The message quotes nothing from the file, so that no record reaches a "
        "log. Check the file, and separator, header and encoding under [csv] in site.toml."
    ),
    "examples-misaligned": (
        "Features, labels and units of a set of examples do not belong together, or have types that training does not "
        "read. Make them with Examples.of(features, labels, persons), which converts and numbers them."
    ),
    "file-unreadable": (
        "The file is not there, or this user may not read it. Check the path, which in site.toml counts from the "
        "folder of that file, and the rights on it."
    ),
    "fold-missing": (
        "The contract splits by a column, and some rows say neither train nor test. A row without a fold might end up "
        "in both. Fill the column in, or map the site's codes in site.toml."
    ),
    "labels-outside-classes": (
        "Labels of arrays must be class numbers from 0 to the number of classes less one. Number them in the order of "
        "`classes` in the contract."
    ),
    "mapping-invalid": (
        "The site's mapping, site.toml, has a key or a value that cannot be meant. The message names the key. Correct "
        "it; unknown keys are refused because a misspelt one would silently do nothing."
    ),
    "mapping-unknown-column": (
        "The site's mapping speaks of a column that the contract does not have, probably a misspelling. The names on "
        "the left are the contract's, those on the right the site's."
    ),
    "mapping-unknown-value": (
        "The site's codes lead to a value that the contract does not declare. Codes read theirs = ours: on the right "
        "stands one of the contract's values."
    ),
    "not-a-number": (
        "A number column holds text. It is refused rather than guessed, since a wrong guess changes a patient's value. "
        "Correct the cells, name the marks that mean missing, the decimal sign, or codes for texts such as <5. The "
        "message counts the cells and quotes none."
    ),
    "partition-invalid": (
        "The rows cannot be dealt out as asked: more sites than rows, sizes or alpha not above zero, or a minimum that "
        "the draw cannot meet. Correct the argument that the message names."
    ),
    "person-column-missing": (
        "The contract protects persons and names the column that tells them apart, and the site's data lack it. "
        "Without it a person with many rows would be protected as if each row were somebody else. Map the column in "
        'site.toml, or declare person = "row" if every row is a person of its own.'
    ),
    "person-missing": (
        "Some rows do not say whose they are. They cannot be counted towards anybody's bound, so a person could "
        "contribute more than was promised. Fill the person in or remove these rows."
    ),
    "site-empty": (
        "The site's table has no rows at all, which is usually a wrong file or a filter. Check the site's data, or "
        "leave the site out of the study."
    ),
    "source-kind": (
        "The data were given as an object that is not understood here. Tables come as a path, a pandas frame or "
        "arrays; tensors as arrays, Examples, an .npz file or a folder of idx files. A contract with a split column "
        "needs a table that has it."
    ),
    "source-parts": (
        'Data in parts must have exactly the parts "train" and "test". Give both, or one source without parts and let '
        "the contract split it."
    ),
    "standardiser-missing": (
        "The contract scales each site by its own statistics, so the contract alone does not tell how to scale new "
        "rows. Give the standardiser that `prepare` returned for the rows' own site. Contracts with declared ranges "
        "need no such thing, and are the only ones for which an epsilon can be claimed."
    ),
    "tensor-shape": (
        "The arrays do not have the shape that the contract declares, or not one label for each row. Reshape them, or "
        "correct `shape` in the contract, which is the shape of one example without the number of rows."
    ),
    "too-few-rows": (
        "The site has fewer rows than the contract's minimum_rows, below which taking part is not worth its risk. "
        "Leave the site out, or agree on a smaller minimum."
    ),
    "training-empty": (
        "After the split, and after leaving incomplete rows out, no row is left for training. Lower test_fraction, "
        "check the split column, or look at the missing values."
    ),
    "column-unit": (
        "The site's unit does not measure what the contract's unit measures, or the conversion is not built in. "
        "Correct the unit, give factor and offset (ours = factor * theirs + offset), or name the analyte in the "
        "contract for conversions between mass and amount."
    ),
    "unknown-category": (
        "A category or label column holds codes outside the declared vocabulary. They are not dropped or guessed. Map "
        "them to the contract's values in site.toml, or let the contract declare other = true. The message counts the "
        "cells and quotes none."
    ),
    "values-outside-range": (
        "More than half of a column (of arrays: a twentieth of the values) lies outside the declared range, which "
        "nearly always means another unit or another code. Clipping all of it would ruin the model in silence. "
        "Name the site's unit in site.toml, or widen the range."
    ),
    "aligned-person-twice": (
        "Sites hold columns of the same rows, joined by the person. A person with two rows at one site cannot be joined "
        "with one row at another. Keep one row for each person, for example the latest. Nothing was sent."
    ),
    "aligned-value-missing": (
        "Sites hold columns of the same rows, and here a value is missing that may not be imputed. The row cannot be left "
        "out at one site alone. Declare in the contract what stands in for it, or complete the data. Nothing was sent."
    ),
}
