"""The report of `jsm conform` as text, JSON, JUnit XML and SARIF: pure functions of a report and the server's name."""

import json
from collections.abc import Iterator
from typing import Any, Final
from xml.etree import ElementTree

from models.conformance import Judgement, Report, Verdict
from models.verify_formats import JUNIT_EPOCH, VerifyFormat, package_version, xml_text

_LINES_MAX: Final = 40  # of a difference, for people
_SARIF_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_WORDS: Final = {
    Verdict.OK: "as recorded or as the protocol asks for",
    Verdict.DECLARED: "otherwise, as declared",
    Verdict.RECORDED: "as beanstalkd, where protocol.txt asks for another reply",
    Verdict.DIFFERS: "otherwise",
    Verdict.LEFT_OUT: "left out",
}


def render(form: VerifyFormat, report: Report, server: str) -> str:
    """The report on a server of that name, with a line feed at its end."""
    match form:
        case VerifyFormat.TEXT:
            return "".join(f"{line}\n" for line in _text(report, server))
        case VerifyFormat.JSON:
            return json.dumps({"server": server, **report.to_json()}, indent=2) + "\n"
        case VerifyFormat.JUNIT:
            return _junit(report, server)
        case VerifyFormat.SARIF:
            return json.dumps(_sarif(report, server), indent=2) + "\n"


def _text(report: Report, server: str) -> Iterator[str]:
    yield f"{server}: {report.verdict}"
    total = len(report.judgements)
    for verdict in Verdict:
        count = report.counts[verdict]
        if count:
            yield (
                f"  {count:4} of {total} answered {_WORDS[verdict]}"
                if verdict is not Verdict.LEFT_OUT
                else (f"  {count:4} of {total} left out")
            )
    reasons: dict[tuple[Verdict, str, str], list[str]] = {}
    for judgement in report.judgements:
        if judgement.verdict in (Verdict.DECLARED, Verdict.RECORDED, Verdict.LEFT_OUT):
            key = (judgement.verdict, judgement.reason, judgement.reference)
            reasons.setdefault(key, []).append(judgement.name)
    for (verdict, reason, reference), names in reasons.items():
        yield ""
        yield f"{verdict}: {', '.join(names)}"
        yield f"  {reason}{f' ({reference})' if reference else ''}"
    for judgement in report.judgements:
        if judgement.verdict is Verdict.DIFFERS:
            yield ""
            yield from _difference(judgement)


def _difference(judgement: Judgement) -> Iterator[str]:
    yield f"{judgement.kind} {judgement.name}: differs"
    if judgement.reason:
        yield f"  {judgement.reason}"
    for each in judgement.differences:
        where = f"step {each.step}, " if each.step else ""
        yield f"  {where}connection {each.connection}: {each.action}   (- expected, + got)"
        lines = each.lines
        yield from (f"    {line}" for line in lines[:_LINES_MAX])
        if len(lines) > _LINES_MAX:
            yield f"    … {len(lines) - _LINES_MAX} more lines"


def _junit(report: Report, server: str) -> str:
    """One test case an entry, in the form that Ant's and Jenkins' schemas both accept."""
    counts = report.counts
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        {
            "name": "jsm conform",
            "package": "jsm.conform",
            "id": "0",
            "timestamp": JUNIT_EPOCH,
            "hostname": "localhost",
            "tests": str(len(report.judgements)),
            "failures": str(counts[Verdict.DIFFERS]),
            "errors": "0",
            "skipped": str(counts[Verdict.LEFT_OUT]),
            "time": "0",
        },
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in [("server", server), ("verdict", report.verdict), *counts.items()]:
        ElementTree.SubElement(properties, "property", name=name, value=xml_text(str(value)))
    for judgement in report.judgements:
        case = ElementTree.SubElement(
            suite, "testcase", name=judgement.name, classname=f"jsm.conform.{judgement.kind}", time="0"
        )
        if judgement.verdict is Verdict.DIFFERS:
            lines = [xml_text(line) for line in _difference(judgement)]
            failure = ElementTree.SubElement(case, "failure", message=_message(judgement), type="differs")
            failure.text = "\n".join(lines)
        elif judgement.verdict is Verdict.LEFT_OUT:
            ElementTree.SubElement(case, "skipped", message=xml_text(judgement.reason))
    text = [line for judgement in report.judgements if judgement.reason for line in _reason(judgement)]
    ElementTree.SubElement(suite, "system-out").text = xml_text("\n".join(text))
    ElementTree.SubElement(suite, "system-err")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _reason(judgement: Judgement) -> Iterator[str]:
    yield f"{judgement.name}: {judgement.verdict}: {judgement.reason}"


def _message(judgement: Judgement) -> str:
    """The first difference in a line."""
    first = judgement.differences[0]
    expected = first.expected.decode("latin-1") or "nothing"
    got = first.got.decode("latin-1") or "nothing"
    return xml_text(f"step {first.step}: {first.action}: expected {expected!r}; got {got!r}"[:1000])


def _sarif(report: Report, server: str) -> dict[str, Any]:
    """A SARIF 2.1.0 log with one run: a rule each entry that differs, a result each difference."""
    found = [judgement for judgement in report.judgements if judgement.verdict is Verdict.DIFFERS]
    rules = [
        {
            "id": judgement.name,
            "shortDescription": {"text": judgement.reason or f"the {judgement.kind} {judgement.name}"},
            "defaultConfiguration": {"level": "error"},
        }
        for judgement in found
    ]
    results = [
        {
            "ruleId": judgement.name,
            "ruleIndex": index,
            "level": "error",
            "kind": "fail",
            "message": {"text": "\n".join(_difference(judgement))},
            "locations": [{"logicalLocations": [{"name": judgement.name, "kind": judgement.kind}]}],
        }
        for index, judgement in enumerate(found)
    ]
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "jsm conform", "version": package_version(), "rules": rules}},
                "results": results,
                "properties": {"server": server, "verdict": report.verdict, **report.counts},
            }
        ],
    }
