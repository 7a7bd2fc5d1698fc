"""Checks a trace, of this machine or of any other implementation, record by record.

Transition records are held to the state diagram and to the life of their job; calls are repeated on the machine, and
their outcomes and transitions compared (`models.verify_rules` lists the rules). A rejected record comes with the
longest accepted prefix, what was expected, and for each possible action what refuses it. Memory grows with the live
jobs, not with the trace.

What to write, for an implementation in any language: a text file of lines, each one JSON object (`jsm.trace` has the
fields of both kinds of records, `jsm.records` what they mean).

* Line 1 is the header: `{"format":"jsm-trace","version":1,"units_per_second":1}`. Instants are integers, in units;
  ttr, delay and pause are whole seconds. More that it may say:
  - `"max_job_size":N`, the greatest body in bytes; 65535 when left out.
  - `"begins":"middle"`, when jobs may have been put before the first record. Unknown jobs are adopted as they appear,
    and calls compared with their own transitions only; with a snapshot of where the trace begins all is checked.
  - `"without":[…]`, any of `"seq"`, `"at"`, `"client"`, which then no record has, and `"statistics"`: what the
    `get_stats_…` calls answered need not be this project's text. What rests on these is not checked. Every other
    field is required.
* Transition records alone, calls alone, or both. With both, a call's transitions stand right before the call, from
  the beginning of the trace to its end: a call without its transitions is then a violation.
* Calls are those of `jsm.interface.JSM`, arguments by name. A call without `now` is made at the record's `at`. Ticks
  are calls too, and have to be recorded: nothing else ends a delay, a pause, a ttr or a wait.
* Of a refused call the kind is compared, `error` and `message` are not. Its `at` is the clock, which it does not move,
  or its own instant.
* Further fields are ignored.

What the clients of a server saw, without a look into it, is another format: `models.histories`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jsm.errors import BadValueError
from jsm.trace import TraceError
from models.verify_lines import PartialReader, header_of
from models.verify_records import TraceVerifier
from models.verify_result import VerifyResult

if TYPE_CHECKING:
    from jsm.interface import JSMSnapshot


def verify_trace(
    lines: Iterable[str | bytes],
    *,
    max_job_size: int | None = None,
    snapshot: "JSMSnapshot | None" = None,
    from_middle: bool = False,
    go_on: bool = False,
) -> VerifyResult:
    """Check the lines of a trace, header first. O(1) a line beside the call that is repeated; lazy.

    `max_job_size` and `from_middle` replace what the header says. Raises `TraceError` for a line that can't be read.
    """
    numbered = enumerate(lines, start=1)
    number, first = next(numbered, (1, ""))
    header = header_of(first, number)
    if snapshot is not None and snapshot.header().units_per_second != header.units_per_second:
        units = snapshot.header().units_per_second
        raise TraceError(1, "units_per_second", header.units_per_second, f"{units}, as in the snapshot")
    verifier = TraceVerifier(
        units_per_second=header.units_per_second,
        max_job_size=header.max_job_size if max_job_size is None else max_job_size,
        snapshot=snapshot,
        from_middle=from_middle or header.begins_in_the_middle,
        without=header.without,
        go_on=go_on,
    )
    reader = PartialReader(header.without, at=0 if snapshot is None else snapshot.header().clock)
    for number, line in numbered:
        record = reader.record(line, number)
        try:
            verifier.take(record, number)
        except BadValueError as error:
            if isinstance(error, TraceError):
                raise
            raise TraceError(number, error.field, error.value, error.expected) from None
        if verifier.is_done:
            break
    return verifier.result()
