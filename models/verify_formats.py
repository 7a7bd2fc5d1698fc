"""The report of `jsm verify` as text, JSON, JUnit XML and SARIF: pure functions of a report and its trace's name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from models.report_formats import JUNIT_EPOCH, Case, Failure, ReportFormat, junit_xml, sarif_log
from models.verify_result import Report, TraceFinding
from models.verify_rules import RULE_NAMED
from models.verify_words import counted


def render(form: ReportFormat, report: Report, trace: str, *, timestamp: str = JUNIT_EPOCH) -> str:
    """The report on a trace of that name, with a line feed at its end."""
    match form:
        case ReportFormat.TEXT:
            return "".join(f"{line}\n" for line in _text(report, trace))
        case ReportFormat.JSON:
            return json.dumps({"trace": trace, **report.to_json()}, indent=2) + "\n"
        case ReportFormat.JUNIT:
            return _junit(report, trace, timestamp)
        case ReportFormat.SARIF:
            return json.dumps(_sarif(report, trace), indent=2) + "\n"


# ---------------------------------------------------------------------- for people


def _text(report: Report, trace: str) -> Iterator[str]:
    yield f"{trace}: {report.verdict}"
    yield from (f"  {line}" for line in report.summary)
    for finding in report.findings:
        yield ""
        yield from _finding(finding, trace)
    if report.unreported:
        yield ""
        yield f"{counted(report.unreported, 'more finding')} not listed."
    yield from (f"  note: {note}" for note in report.notes)


def _finding(finding: TraceFinding, trace: str) -> Iterator[str]:
    rule = RULE_NAMED[finding.rule]
    accepted = finding.record - 1
    where = f", up to line {finding.accepted_line}" if accepted and finding.accepted_line else ""
    yield f"{trace}:{finding.line}: {finding.rule}{f' ({rule.clause})' if rule.clause else ''}"
    yield f"  {rule.text}"
    yield f"  accepted  {counted(accepted, 'record')}{where}"
    yield from (f"    {line}" for line in finding.context)
    yield f"  rejected  {finding.event}"
    yield f"  expected  {finding.expected}"
    yield f"  found     {finding.found}"
    if finding.actions:
        yield "  what could have happened here, and what stood against it:"
        yield from (f"    {action}" for action in finding.actions)


# ---------------------------------------------------------------------- for machines


def _junit(report: Report, trace: str, timestamp: str) -> str:
    """One test case a rule."""
    cases = []
    for rule, count in report.checks.items():
        found = [finding for finding in report.findings if finding.rule == rule.name]
        failure, skipped = None, None
        if found:
            # The schemas allow one failure a test case: it tells of all findings.
            message = f"{trace}:{found[0].line}: expected {found[0].expected}; found {found[0].found}"
            text = "\n\n".join("\n".join(_finding(finding, trace)) for finding in found)
            failure = Failure(rule.name, message, text)
        elif not count:
            skipped = "there was nothing to check it on, or no end to checking"
        cases.append(Case(rule.name, "jsm.verify", failure, skipped))
    return junit_xml(
        "verify",
        cases,
        timestamp=timestamp,
        properties=[("trace", trace), ("verdict", report.verdict), *report.counts.items()],
        text="\n".join([*report.summary, *report.notes]),
    )


def _sarif(report: Report, trace: str) -> dict[str, Any]:
    """A rule each, and a result at the trace's line for each finding."""
    names = [rule.name for rule in report.checks]
    rules = [
        {
            "id": rule.name,
            "shortDescription": {"text": rule.text},
            "defaultConfiguration": {"level": "error"},
            "properties": {"clause": rule.clause},
        }
        for rule in report.checks
    ]
    results = [
        {
            "ruleId": finding.rule,
            "ruleIndex": names.index(finding.rule),
            "level": "error",
            "kind": "fail",
            "message": {"text": f"{finding.event}; expected {finding.expected}; found {finding.found}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _uri(trace), "index": 0},
                        "region": {"startLine": finding.line},
                    }
                }
            ],
            "properties": {
                "acceptedRecords": finding.record - 1,
                "acceptedLine": finding.accepted_line,
                "actions": [str(action) for action in finding.actions],
            },
        }
        for finding in report.findings
    ]
    return sarif_log(
        "verify",
        rules,
        {
            "artifacts": [{"location": {"uri": _uri(trace)}}],
            "results": results,
            "columnKind": "unicodeCodePoints",
            "properties": {"verdict": report.verdict, **report.counts, "notes": list(report.notes)},
        },
    )


def _uri(trace: str) -> str:
    """The trace's place as a URI: relative as it was named, or whole."""
    path = Path(trace)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
