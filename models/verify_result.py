"""What the check of a trace found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from models.verify_guards import Action
from models.verify_rules import RULE_NAMED


class TraceFinding(NamedTuple):
    """A record that breaks a rule, and what would have been possible in its place."""

    rule: str
    line: int  # of the rejected record, from 1; the header is line 1
    record: int  # which record it is, from 1: the records before it are the longest accepted prefix
    accepted_line: int  # the last line of that prefix
    event: str  # the record in words
    expected: str
    found: str
    actions: tuple[Action, ...]  # for its job, or for its client: each with the guard that refuses it

    @property
    def clause(self) -> str:
        """Where INVARIANTS or SPEC says so."""
        return RULE_NAMED[self.rule].clause

    @property
    def text(self) -> str:
        """The rule in one sentence."""
        return RULE_NAMED[self.rule].text

    def to_json(self) -> dict[str, Any]:
        """The finding for machines."""
        return {
            "rule": self.rule,
            "clause": self.clause,
            "text": self.text,
            "line": self.line,
            "record": self.record,
            "accepted": {"records": self.record - 1, "line": self.accepted_line},
            "event": self.event,
            "expected": self.expected,
            "found": self.found,
            "actions": [action._asdict() for action in self.actions],
        }


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """The verdict on a trace, and what it rests on."""

    lines: int  # read, the header included
    records: int
    transitions: int
    calls: int
    refused: int  # of the calls
    repeated: int  # calls that were repeated on the machine and compared
    compared: int  # transitions that were compared with those of a repeated call
    adopted: int  # jobs that were put before the trace began
    live: int  # jobs in the machine at the end, as far as the trace tells
    edges: Mapping[str, int]  # transitions by edge, zeros included, in the diagram's order
    checks: Mapping[str, int]  # how often each rule was checked, zeros included
    findings: tuple[TraceFinding, ...]
    unreported: int  # findings beyond those that are listed
    notes: tuple[str, ...]  # what was not checked, and why; a sentence each

    @property
    def verdict(self) -> str:
        """`violated`, `holds`, or `undetermined` when nothing was checked."""
        if self.findings:
            return "violated"
        return "holds" if self.transitions or self.repeated else "undetermined"

    def to_json(self) -> dict[str, Any]:
        """The result for machines."""
        counts = ("lines", "records", "transitions", "calls", "refused", "repeated", "compared", "adopted", "live")
        return {
            "verdict": self.verdict,
            "counts": {**{name: getattr(self, name) for name in counts}, "findings": self.violations},
            "edges": dict(self.edges),
            "checks": dict(self.checks),
            "findings": [finding.to_json() for finding in self.findings],
            "notes": list(self.notes),
        }

    @property
    def violations(self) -> int:
        """How many findings there were in all."""
        return len(self.findings) + self.unreported
