"""Reading tables from files: CSV (also compressed) and Parquet."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reticent.data.mapping import CsvFormat
from reticent.errors import DataError, EnvironmentFault

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_table"]

_CSV = (".csv", ".data", ".tsv", ".txt", ".gz", ".bz2")


def load_table(path: str | Path, csv: CsvFormat | None = None) -> pd.DataFrame:
    """Read a table.

    Every cell of a CSV file is read as text: what a cell means must not depend on the other rows, as it would if types
    were guessed from the column.

    Args:
      path: A `.csv` (or `.tsv`, `.data`, `.txt`; also compressed as `.gz` or `.bz2`) or `.parquet` file.
      csv: How the CSV file is written.

    Raises:
      EnvironmentFault: If there is no such file or it may not be read.
      DataError: If its content is not a table. The message quotes nothing from the file.
    """
    path = Path(path)
    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        table = _read(path, _parquet)
    elif name.endswith(_CSV):
        form = csv or CsvFormat(separator="\t" if ".tsv" in name else ",")
        table = _read(path, lambda file: _csv(file, form))
    else:
        raise DataError(
            "data-format",
            f"{path} has the unknown ending {path.suffix!r}",
            hint="use .csv, .csv.gz or .parquet, or read it with pandas and hand over the frame",
        )
    names = [column.strip() for column in table.column_names]
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            "column-duplicate",
            # By place, not by name: in a file without a header line the "names" are a record.
            f"{path}: the columns {' and '.join(_places(names, twice[0]))} have the same name",
            hint="rename or remove one; if the file has no header line, give csv.header in site.toml",
        )
    frame: pd.DataFrame = table.rename_columns(names).to_pandas()
    return frame


def _places(names: list[str], name: str) -> list[str]:
    return [str(number) for number, other in enumerate(names, start=1) if other == name]


def _read(path: Path, reader: Any) -> Any:
    import pyarrow as pa

    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise EnvironmentFault(
            "file-unreadable", f"{path}: {error.strerror}", hint="check the path of the data and the rights on it"
        ) from error
    reason = ""
    try:
        return reader(path)
    except (pa.ArrowException, OSError, UnicodeError, LookupError) as error:
        reason = type(error).__name__
    # Raised outside the handler on purpose: the parser's own message quotes a line of the file, which must not
    # reach a log or a traceback through `__context__`.
    raise DataError(
        "data-unreadable",
        f"{path} could not be read as a table ({reason})",
        hint="check that it is not empty or cut off, that each line has as many cells as the header, "
        "and that separator, header and encoding under [csv] in site.toml are right",
    )


def _parquet(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(path, partitioning=None)


def _csv(path: Path, form: CsvFormat) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    read = {"encoding": form.encoding, "skip_rows": form.skip_lines}
    parse = csv.ParseOptions(delimiter=form.separator, newlines_in_values=True)
    if form.header:
        names = list(form.header)
    else:
        with csv.open_csv(
            path, read_options=csv.ReadOptions(**read), parse_options=parse, convert_options=csv.ConvertOptions()
        ) as opened:
            names = opened.schema.names
    return csv.read_csv(
        path,
        read_options=csv.ReadOptions(**read, column_names=list(form.header) or None),
        parse_options=parse,
        convert_options=csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        ),
    )
