"""Reader of the Standard Workload Format, version 2: 18 numbers a job, comments with `;`.

Source: Chapin, Cirne, Feitelson, Jones, Leutenegger, Schwiegelshohn, Smith, Talby: Benchmarks and Standards for
the Evaluation of Parallel Job Schedulers (1999), and the format's page at the Parallel Workloads Archive.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from sim.logs import LogCollector, LogTable, opened_log

FIELDS_A_LINE = 18
SUBMIT_FIELD = 1
RUN_TIME_FIELD = 3

SWF_FIELDS = {
    "job": 0,
    "submit": 1,
    "wait": 2,
    "run": 3,
    "processors": 4,
    "cpu_seconds": 5,
    "memory": 6,
    "requested_processors": 7,
    "requested_seconds": 8,
    "requested_memory": 9,
    "status": 10,
    "user": 11,
    "group": 12,
    "executable": 13,
    "queue": 14,
    "partition": 15,
    "preceding_job": 16,
    "think_seconds": 17,
}
"""The names by which a mapping's `from` calls the fields, with their places from 0."""

_UNKNOWN = "-1"
_HEADER = re.compile(r"; {0,3}([A-Za-z][A-Za-z0-9 _-]*):\s*(.*)")
_CONTINUED = re.compile(r";\s{4,}(\S.*)")


def read_swf(path: Path, *, name: str, fields: Iterable[str], units_per_second: int) -> LogTable:
    """The jobs of an SWF log, plain or gzipped, with the named `fields` beside submit and run time.

    Run times of 0 are kept; a field of -1 is unknown. `name` is what notes and errors call the log. Raises `LogError`.
    """
    wanted = tuple(dict.fromkeys(fields))
    places = [SWF_FIELDS[field] for field in wanted]
    collector = LogCollector(name, wanted, units_per_second)
    comments: list[str] = []
    with opened_log(path, name) as text:
        for number, line in enumerate(text, start=1):
            values = line.split()
            if not values:
                continue
            if values[0].startswith(";"):
                comments.append(line.strip())
                continue
            collector.lines_read += 1
            if len(values) != FIELDS_A_LINE:
                collector.reject(f"the line has not {FIELDS_A_LINE} fields", number)
                continue
            try:
                numbers = [float(value) for value in values]
            except ValueError:
                collector.reject("a field is not a number", number)
                continue
            known = ["" if values[place] == _UNKNOWN else values[place] for place in places]
            collector.accept(numbers[SUBMIT_FIELD], numbers[RUN_TIME_FIELD], known, number)
    return collector.table(has_work=True, header=parsed_header(comments))


def parsed_header(comments: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """`; Key: value` comments as a mapping; a key may come often, a deeply indented line continues the last one."""
    header: dict[str, list[str]] = {}
    last: list[str] | None = None
    for comment in comments:
        if (found := _HEADER.fullmatch(comment)) is not None:
            last = header.setdefault(found[1], [])
            last.append(found[2].strip())
        elif last is not None and (more := _CONTINUED.fullmatch(comment)) is not None:
            last[-1] = f"{last[-1]} {more[1].strip()}".strip()
        else:
            last = None
    return {key: tuple(values) for key, values in header.items()}
