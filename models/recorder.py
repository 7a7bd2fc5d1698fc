"""Keeps a trace while it is made, to be verified and written afterwards: for the tests of any implementation."""

from pathlib import Path

from jsm.limits import MAX_JOB_SIZE
from jsm.records import CommandRecord, TransitionRecord
from jsm.trace import encode_command, encode_header, encode_transition
from models.verify import verify_trace


class TraceRecorder:
    """An observer that keeps each record as a line of a trace.

    It takes the records of one machine from its beginning, those of an implementation in Python as well as those of
    `ObservedMachine`. Time units and the greatest body may be set until the trace is read.
    """

    def __init__(self, *, units_per_second: int = 1, max_job_size: int = MAX_JOB_SIZE) -> None:
        self.units_per_second = units_per_second
        self.max_job_size = max_job_size
        self.is_checked = False  # whether somebody else checks each call as it is made
        self._lines: list[str] = []

    def __len__(self) -> int:
        """How many records there are."""
        return len(self._lines)

    def transition(self, record: TransitionRecord) -> None:
        """Keep a transition."""
        self._lines.append(encode_transition(record))

    def command(self, record: CommandRecord) -> None:
        """Keep a call. Raises `BadValueError` when an argument is no JSON value."""
        self._lines.append(encode_command(record))

    def lines(self) -> list[str]:
        """The trace so far, header first, without line feeds."""
        more = {} if self.max_job_size == MAX_JOB_SIZE else {"max_job_size": self.max_job_size}
        return [encode_header(self.units_per_second, **more), *self._lines]

    def finding(self) -> str | None:
        """The first record that breaks a rule, in words; None when the trace holds, is empty or is checked elsewhere.

        O(1) a record beside the call that is repeated.
        """
        if self.is_checked or not self._lines:
            return None
        findings = verify_trace(self.lines()).findings
        if not findings:
            return None
        first = findings[0]
        return f"record {first.record}, {first.event}: {first.rule}: expected {first.expected}, found {first.found}"

    def write(self, path: Path) -> None:
        """Write the trace as JSON Lines, for `jsm verify`; makes the folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in self.lines()), encoding="utf-8")
