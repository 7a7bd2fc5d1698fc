"""The report of `jsm verify` as text, JSON, JUnit XML and SARIF: pure functions of a report and its trace's name."""

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree

from models.verify_result import Report, TraceFinding
from models.verify_rules import RULE_NAMED
from models.verify_words import counted

JUNIT_EPOCH: Final = "1970-01-01T00:00:00"
"""What JUnit XML gives as its instant where none is known: the same trace then gives the same bytes."""

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SARIF_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"


class VerifyFormat(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    SARIF = "sarif"


def render(form: VerifyFormat, report: Report, trace: str, *, timestamp: str = JUNIT_EPOCH) -> str:
    """The report on a trace of that name, with a line feed at its end."""
    match form:
        case VerifyFormat.TEXT:
            return "".join(f"{line}\n" for line in _text(report, trace))
        case VerifyFormat.JSON:
            return json.dumps({"trace": trace, **report.to_json()}, indent=2) + "\n"
        case VerifyFormat.JUNIT:
            return _junit(report, trace, timestamp)
        case VerifyFormat.SARIF:
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


# ---------------------------------------------------------------------- JUnit XML


def _junit(report: Report, trace: str, timestamp: str) -> str:
    """One test case a rule, in the form that Ant's and Jenkins' schemas both accept."""
    failed = {finding.rule for finding in report.findings}
    skipped = [rule for rule, count in report.checks.items() if not count and rule.name not in failed]
    counts = {"tests": len(report.checks), "failures": len(failed), "errors": 0, "skipped": len(skipped)}
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        {
            "name": "jsm verify",
            "package": "jsm.verify",
            "id": "0",
            "timestamp": timestamp,
            "hostname": "localhost",
            **{name: str(count) for name, count in counts.items()},
            "time": "0",
        },
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in [("trace", trace), ("verdict", report.verdict), *report.counts.items()]:
        ElementTree.SubElement(properties, "property", name=name, value=xml_text(str(value)))
    for rule in report.checks:
        case = ElementTree.SubElement(suite, "testcase", name=rule.name, classname="jsm.verify", time="0")
        found = [finding for finding in report.findings if finding.rule == rule.name]
        if found:
            # The schemas allow one failure a test case: it tells of all findings.
            message = xml_text(f"{trace}:{found[0].line}: expected {found[0].expected}; found {found[0].found}")
            failure = ElementTree.SubElement(case, "failure", message=message, type=rule.name)
            failure.text = xml_text("\n\n".join("\n".join(_finding(finding, trace)) for finding in found))
        elif rule in skipped:
            ElementTree.SubElement(case, "skipped", message="there was nothing to check it on, or no end to checking")
    ElementTree.SubElement(suite, "system-out").text = xml_text("\n".join([*report.summary, *report.notes]))
    ElementTree.SubElement(suite, "system-err")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def xml_text(text: str) -> str:
    """Text without what XML can't hold."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


# ---------------------------------------------------------------------- SARIF


def _sarif(report: Report, trace: str) -> dict[str, Any]:
    """A SARIF 2.1.0 log with one run: a rule each, and a result at the trace's line for each finding."""
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
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "jsm verify", "version": package_version(), "rules": rules}},
                "artifacts": [{"location": {"uri": _uri(trace)}}],
                "results": results,
                "columnKind": "unicodeCodePoints",
                "properties": {"verdict": report.verdict, **report.counts, "notes": list(report.notes)},
            }
        ],
    }


def _uri(trace: str) -> str:
    """The trace's place as a URI: relative as it was named, or whole."""
    path = Path(trace)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def package_version() -> str:
    """The version of this package; "unknown" when the files are used without an installation."""
    try:
        return metadata.version("beanstalk-jsm")
    except metadata.PackageNotFoundError:
        return "unknown"
