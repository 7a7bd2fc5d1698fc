"""Writes `reports/counterexamples.md`: planted faults, found in long histories, and their counterexamples in all forms.

    python -m reports.tools.counterexamples [--check]

The report depends on the machine, the checks and the faults below alone: no time, no speed, no chance.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from jsm.job import ClientID, TubeName
from jsm.machine import Machine
from jsm.reservations import Reservation
from jsm.states import READY
from models.calls import Call
from models.finding import Counterexample, find_fault
from models.minimise import minimise
from models.named_calls import canonical
from models.renderings import FORMS, file_names, render

TARGET: Final = Path(__file__).parents[2] / "reports" / "counterexamples.md"

_LANGUAGES: Final = {"steps": "text", "pytest": "python", "mermaid": "mermaid", "jsonl": "json"}
_TITLES: Final = {
    "steps": "Numbered steps",
    "pytest": "A test",
    "mermaid": "A sequence diagram",
    "jsonl": "A trace",
}


class FirstTubeWins(Machine):
    """A reserve takes the first of its tubes that has a ready job, not the best job of all."""

    __slots__ = ()

    def append_reservation(
        self,
        now: int,
        client_id: ClientID,
        *,
        request_id: str,
        tubes: Iterable[TubeName],
        deadline_at: int | None,
    ) -> Reservation:
        """Ask for a job of the first tube that has one."""
        names = tuple(tubes)
        known = self.get_tubes()
        full = tuple(name for name in names if name in known and self.count_jobs(name)[READY])
        return super().append_reservation(
            now, client_id, request_id=request_id, tubes=full[:1] or names, deadline_at=deadline_at
        )


class OneSecondLate(Machine):
    """A tick ends only what was due a second before."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        """Do what was due a second ago, then set the clock."""
        answers = super().tick(max(self.clock, now - self.units_per_second))
        self.get_tubes(now=now)
        return answers


class Fault(NamedTuple):
    """A planted fault, and a history that shows it somewhere."""

    machine: type[Machine]
    origin: str
    calls: Sequence[Call]


def _put(now: int, tube: str, priority: int, ttr_seconds: int = 120, delay_seconds: int = 0) -> Call:
    numbers = {"priority": priority, "delay_seconds": delay_seconds, "ttr_seconds": ttr_seconds}
    return Call("put", (now,), {**numbers, "body": b"message", "tube": tube})


def _ask(now: int, client: str, *tubes: str, until: int | None = None) -> Call:
    return Call("append_reservation", (now, client), {"request_id": "42", "tubes": tubes, "deadline_at": until})


_A_DAY_AT_THE_OFFICE: Final = (
    _put(3, "mail", 1024),
    _put(5, "thumbnails", 100, delay_seconds=60),
    _ask(8, "worker-1", "mail", "thumbnails", until=30),
    Call("touch", (60, 1, "worker-1")),
    Call("tick", (65,)),
    _put(70, "mail", 1024),
    Call("use_tube", ("web", "mail"), {"now": 71}),
    _ask(72, "worker-2", "thumbnails", until=90),
    Call("bury", (80, 1, "worker-1"), {"priority": 2000}),
    Call("kick_n", ("mail", 10), {"now": 85}),
    Call("release", (2, "worker-2"), {"now": 90}),
    _ask(95, "worker-3", "mail", "thumbnails", until=95),
)
_A_FORGOTTEN_JOB: Final = (
    _put(3, "mail", 1024),
    _ask(8, "worker-1", "mail", "thumbnails", until=30),
    _put(9, "thumbnails", 100),
    Call("delete", (1, "worker-1"), {"now": 20}),
    _ask(21, "worker-2", "thumbnails"),
    Call("get_job", (2,)),
    Call("tick", (141,)),
)

FAULTS: Final = (
    Fault(FirstTubeWins, "beanstalkd had it until 3427936 (2009)", _A_DAY_AT_THE_OFFICE),
    Fault(OneSecondLate, "coolbeans has it: `now > t` for `now >= t`", _A_FORGOTTEN_JOB),
)
"""Of INVARIANTS, section 2."""


def counterexamples_text() -> str:
    """The whole report."""
    lines = [
        "# Counterexamples",
        "",
        "Written by `python -m reports.tools.counterexamples`. Two faults of real servers are planted into the machine",
        "(the classes stand in `reports/tools/counterexamples.py`), each is found in a history of ordinary work, and",
        "`models.minimise` makes the history short: first calls are left out, then arguments become smaller, as long",
        "as the same property is broken. What is left is shown in the four forms of `models.renderings`.",
    ]
    for fault in FAULTS:
        lines += _section(fault)
    return "\n".join(lines) + "\n"


def _section(fault: Fault) -> list[str]:
    found = found_in(fault)
    short = minimise(found, make_machine=fault.machine)
    planted = " ".join((fault.machine.__doc__ or "").split())
    lines = [
        "",
        f"## {fault.machine.__name__}",
        "",
        f"{planted} {fault.origin[0].upper()}{fault.origin[1:]}.",
        "",
        f"Found after {len(found.calls)} calls:",
        "",
        "```text",
        *(str(call) for call in found.calls),
        "```",
        "",
        f"{len(short.calls)} of them are enough.",
    ]
    names, target = file_names(short), f"reports.tools.counterexamples:{fault.machine.__name__}"
    for form in FORMS:
        text = render(short, form, make_machine=fault.machine, target=target)
        lines += ["", f"### {_TITLES[form]} (`{names[form]}`)", "", f"```{_LANGUAGES[form]}", text.rstrip("\n"), "```"]
    return lines


def found_in(fault: Fault) -> Counterexample:
    """The fault's history up to the call that shows it. Raises `ValueError` when none does."""
    finding = find_fault(fault.calls, make_machine=fault.machine)
    if finding is None:
        raise ValueError(f"the history does not show the fault of {fault.machine}")
    return Counterexample(tuple(map(canonical, fault.calls[: finding.step + 1])), finding)


def main() -> int:
    """Run the command line; exit code 1 when a check found the report stale."""
    parser = argparse.ArgumentParser(description="Write the report of counterexamples.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the report is stale")
    check = parser.parse_args().check
    text = counterexamples_text()
    stale = not TARGET.exists() or TARGET.read_text("utf-8") != text
    if check and stale:
        sys.stderr.write(
            "reports/counterexamples.md is stale; write it anew: python -m reports.tools.counterexamples\n"
        )
    elif stale:
        TARGET.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
