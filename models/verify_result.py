"""What the check of a trace found, and the report on it that all formats write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from models.verify_guards import Action
from models.verify_rules import RULE_NAMED, RULES, Rule
from models.verify_words import counted

HOLDS: Final = "holds"
VIOLATED: Final = "violated"
UNDETERMINED: Final = "undetermined"


class TraceFinding(NamedTuple):
    """A record that breaks a rule, and what would have been possible in its place."""

    rule: str
    line: int  # of the rejected record, from 1; the header is line 1
    record: int  # which record it is, from 1: the records before it are the longest accepted prefix
    accepted_line: int | None  # the last line of that prefix; None: it has no last line, as in a history
    event: str  # the record in words
    expected: str
    found: str
    actions: tuple[Action, ...]  # for its job, or for its client: each with the guard that refuses it
    context: tuple[str, ...] = ()  # what led there, a line each

    def to_json(self) -> dict[str, Any]:
        """The finding for machines."""
        return {
            "rule": self.rule,
            "clause": RULE_NAMED[self.rule].clause,
            "text": RULE_NAMED[self.rule].text,
            "line": self.line,
            "record": self.record,
            "accepted": {"records": self.record - 1, "line": self.accepted_line},
            "event": self.event,
            "expected": self.expected,
            "found": self.found,
            "actions": [action._asdict() for action in self.actions],
            **({"context": list(self.context)} if self.context else {}),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to write about a check, whatever was checked."""

    verdict: str  # HOLDS, VIOLATED or UNDETERMINED
    counts: Mapping[str, int]
    summary: tuple[str, ...]  # the counts in words, a line each
    checks: Mapping[Rule, int]  # how often each rule was checked, zeros included
    findings: tuple[TraceFinding, ...]
    unreported: int  # findings beyond those that are listed
    notes: tuple[str, ...]  # what was not checked, and why; a sentence each
    more: Mapping[str, Any] = field(default_factory=dict)  # for machines alone

    def to_json(self) -> dict[str, Any]:
        """The report for machines."""
        return {
            "verdict": self.verdict,
            "counts": dict(self.counts),
            "checks": {rule.name: count for rule, count in self.checks.items()},
            "findings": [finding.to_json() for finding in self.findings],
            "notes": list(self.notes),
            **self.more,
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
            return VIOLATED
        return HOLDS if self.transitions or self.repeated else UNDETERMINED

    @property
    def violations(self) -> int:
        """How many findings there were in all."""
        return len(self.findings) + self.unreported

    def report(self) -> Report:
        """The result as all formats write it."""
        names = ("lines", "records", "transitions", "calls", "refused", "repeated", "compared", "adopted", "live")
        counts = {**{name: getattr(self, name) for name in names}, "findings": self.violations}
        checks = {rule: self.checks[rule.name] for rule in RULES}
        return Report(
            self.verdict,
            counts,
            self._summary(),
            checks,
            self.findings,
            self.unreported,
            self.notes,
            {"edges": dict(self.edges)},
        )

    def _summary(self) -> tuple[str, ...]:
        refused = f", {self.refused:,} refused" if self.refused else ""
        calls = f"{counted(self.calls, 'call')} ({self.repeated:,} repeated on the machine{refused})"
        records = f"{counted(self.records, 'record')}: {counted(self.transitions, 'transition')}, {calls}"
        if not self.transitions:
            return (records,)
        seen = sum(1 for count in self.edges.values() if count)
        adopted = f", {self.adopted:,} adopted" if self.adopted else ""
        jobs = f"{counted(self.live, 'job')} live at the end of what was read{adopted}"
        return records, f"{seen} of {len(self.edges)} edges of the state diagram taken; {jobs}"
