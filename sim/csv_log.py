"""Reader of logs as comma-separated values with a first line of column names."""

import csv
from collections.abc import Iterable
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

from sim.input_errors import LogError
from sim.logs import LogCollector, LogTable, opened_log


def read_csv(
    path: Path,
    *,
    name: str,
    submit: str,
    work: str | None,
    fields: Iterable[str],
    units_per_second: int,
    delimiter: str = ",",
) -> LogTable:
    """The jobs of a CSV log, plain or gzipped: columns `submit` and `work`, and the named `fields`.

    Submit times are seconds, or ISO 8601 dates and times (without a zone: UTC); work is seconds. `name` is what
    notes and errors call the log. Raises `LogError`, also when a column is missing.
    """
    wanted = tuple(dict.fromkeys(fields))
    collector = LogCollector(name, wanted, units_per_second)
    with opened_log(path, name) as text:
        rows = csv.reader(text, delimiter=delimiter)
        try:
            names = [column.strip().removeprefix("\ufeff") for column in next(rows, [])]
            submit_place = _place(names, submit, name)
            work_place = None if work is None else _place(names, work, name)
            places = [_place(names, field, name) for field in wanted]
            for row in rows:
                if not row:
                    continue
                collector.lines_read += 1
                number = rows.line_num
                if len(row) != len(names):
                    collector.reject("the line has not as many fields as there are column names", number)
                    continue
                try:
                    submitted = _instant(row[submit_place])
                    seconds = None if work_place is None else float(row[work_place])
                except ValueError:
                    collector.reject("a time is missing or not a number", number)
                    continue
                collector.accept(submitted, seconds, [row[place].strip() for place in places], number)
        except csv.Error as error:
            problem = f"line {rows.line_num} is no CSV ({error})"
            raise LogError(name, "", None, problem, "check its quotes and the delimiter") from error
    return collector.table(has_work=work is not None, header={})


def _place(names: list[str], column: str, log: str) -> int:
    if column in names:
        return names.index(column)
    near = get_close_matches(column, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    remedy = f"{hint}its first line names {', '.join(names) or 'nothing'}"
    raise LogError(log, "", None, f"there is no column {column!r}", remedy)


def _instant(text: str) -> float:
    """Seconds, or the seconds since 1970 of a date and time."""
    try:
        return float(text)
    except ValueError:
        instant = datetime.fromisoformat(text.strip())
        return (instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)).timestamp()
