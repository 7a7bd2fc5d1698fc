"""The result of `jsm verify` as text, JSON, JUnit XML and SARIF: pure functions of a result and its trace's name."""

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree

from models.verify_result import TraceFinding, VerifyResult
from models.verify_rules import RULE_NAMED, RULES

JUNIT_EPOCH: Final = "1970-01-01T00:00:00"
"""What JUnit XML gives as its instant where none is known: the same trace then gives the same bytes."""

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SARIF_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"


class VerifyFormat(StrEnum):
    """How a result is written."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    SARIF = "sarif"


def render(form: VerifyFormat, result: VerifyResult, trace: str, *, timestamp: str = JUNIT_EPOCH) -> str:
    """The result on a trace of that name, with a line feed at its end."""
    match form:
        case VerifyFormat.TEXT:
            return "".join(f"{line}\n" for line in _text(result, trace))
        case VerifyFormat.JSON:
            return json.dumps({"trace": trace, **result.to_json()}, indent=2) + "\n"
        case VerifyFormat.JUNIT:
            return _junit(result, trace, timestamp)
        case VerifyFormat.SARIF:
            return json.dumps(_sarif(result, trace), indent=2) + "\n"


# ---------------------------------------------------------------------- for people


def _text(result: VerifyResult, trace: str) -> Iterator[str]:
    yield f"{trace}: {result.verdict}"
    yield f"  {_counts(result)}"
    if result.transitions:
        seen = sum(1 for count in result.edges.values() if count)
        yield f"  {seen} of {len(result.edges)} edges of the state diagram taken; {result.live:,} jobs live at the end"
    for finding in result.findings:
        yield ""
        yield from _finding(finding, trace)
    if result.unreported:
        yield ""
        yield f"{result.unreported:,} more findings are counted and not listed."
    for note in result.notes:
        yield f"  note: {note}"


def _counts(result: VerifyResult) -> str:
    refused = f", {result.refused:,} refused" if result.refused else ""
    calls = f"{result.calls:,} calls ({result.repeated:,} repeated on the machine{refused})"
    adopted = f", {result.adopted:,} jobs adopted" if result.adopted else ""
    return f"{result.records:,} records: {result.transitions:,} transitions, {calls}{adopted}"


def _finding(finding: TraceFinding, trace: str) -> Iterator[str]:
    clause = f" ({finding.clause})" if finding.clause else ""
    yield f"{trace}:{finding.line}: {finding.rule}{clause}"
    yield f"  {finding.text}"
    accepted = finding.record - 1
    where = f", up to line {finding.accepted_line}" if accepted else ""
    yield f"  accepted  {accepted:,} {'record' if accepted == 1 else 'records'}{where}"
    yield f"  rejected  {finding.event}"
    yield f"  expected  {finding.expected}"
    yield f"  found     {finding.found}"
    if finding.actions:
        yield "  what could have happened here, and what stood against it:"
        yield from (f"    {action}" for action in finding.actions)


# ---------------------------------------------------------------------- JUnit XML


def _junit(result: VerifyResult, trace: str, timestamp: str) -> str:
    """One test case a rule, in the form that Ant's and Jenkins' schemas both accept."""
    failed = {finding.rule for finding in result.findings}
    skipped = [rule for rule in RULES if not result.checks[rule.name] and rule.name not in failed]
    counts = {"tests": len(RULES), "failures": len(failed), "errors": 0, "skipped": len(skipped)}
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
    for name, value in [("trace", trace), ("verdict", result.verdict), *result.to_json()["counts"].items()]:
        ElementTree.SubElement(properties, "property", name=name, value=_xml(str(value)))
    for rule in RULES:
        case = ElementTree.SubElement(suite, "testcase", name=rule.name, classname="jsm.verify", time="0")
        found = [finding for finding in result.findings if finding.rule == rule.name]
        if found:
            # The schemas allow one failure a test case: it tells of all findings.
            message = _xml(f"{trace}:{found[0].line}: expected {found[0].expected}; found {found[0].found}")
            failure = ElementTree.SubElement(case, "failure", message=message, type=rule.name)
            failure.text = _xml("\n\n".join("\n".join(_finding(finding, trace)) for finding in found))
        elif rule in skipped:
            ElementTree.SubElement(case, "skipped", message="the trace has nothing to check it on")
    ElementTree.SubElement(suite, "system-out").text = _xml("\n".join([_counts(result), *result.notes]))
    ElementTree.SubElement(suite, "system-err")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    """Text without what XML can't hold."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


# ---------------------------------------------------------------------- SARIF


def _sarif(result: VerifyResult, trace: str) -> dict[str, Any]:
    """A SARIF 2.1.0 log with one run: a rule each, and a result at the trace's line for each finding."""
    names = list(RULE_NAMED)
    rules = [
        {
            "id": rule.name,
            "shortDescription": {"text": rule.text},
            "defaultConfiguration": {"level": "error"},
            "properties": {"clause": rule.clause},
        }
        for rule in RULES
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
        for finding in result.findings
    ]
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "jsm verify", "version": _version(), "rules": rules}},
                "artifacts": [{"location": {"uri": _uri(trace)}}],
                "results": results,
                "columnKind": "unicodeCodePoints",
                "properties": {"verdict": result.verdict, **result.to_json()["counts"], "notes": list(result.notes)},
            }
        ],
    }


def _uri(trace: str) -> str:
    """The trace's place as a URI: relative as it was named, or whole."""
    path = Path(trace)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _version() -> str:
    try:
        return metadata.version("beanstalk-jsm")
    except metadata.PackageNotFoundError:
        return "unknown"
