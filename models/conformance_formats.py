"""The report of `jsm conform` as text, JSON, JUnit XML and SARIF: pure functions of a report and the server's name."""

import json
from collections.abc import Iterator
from typing import Any, Final

from models.conformance import Judgement, Report, Verdict
from models.report_formats import Case, Failure, ReportFormat, junit_xml, sarif_log

_LINES_MAX: Final = 40  # of a difference, for people
_WORDS: Final = {
    Verdict.OK: "as recorded or as the protocol asks for",
    Verdict.DECLARED: "otherwise, as declared",
    Verdict.RECORDED: "as beanstalkd, where protocol.txt asks for another reply",
    Verdict.DIFFERS: "otherwise",
    Verdict.LEFT_OUT: "left out",
}


def render(form: ReportFormat, report: Report, server: str) -> str:
    """The report on a server of that name, with a line feed at its end."""
    match form:
        case ReportFormat.TEXT:
            return "".join(f"{line}\n" for line in _text(report, server))
        case ReportFormat.JSON:
            return json.dumps({"server": server, **report.to_json()}, indent=2) + "\n"
        case ReportFormat.JUNIT:
            return _junit(report, server)
        case ReportFormat.SARIF:
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
    """One test case an entry."""
    cases = []
    for judgement in report.judgements:
        failure, skipped = None, None
        if judgement.verdict is Verdict.DIFFERS:
            failure = Failure("differs", _message(judgement), "\n".join(_difference(judgement)))
        elif judgement.verdict is Verdict.LEFT_OUT:
            skipped = judgement.reason
        cases.append(Case(judgement.name, f"jsm.conform.{judgement.kind}", failure, skipped))
    text = [line for judgement in report.judgements if judgement.reason for line in _reason(judgement)]
    return junit_xml(
        "conform",
        cases,
        properties=[("server", server), ("verdict", report.verdict), *report.counts.items()],
        text="\n".join(text),
    )


def _reason(judgement: Judgement) -> Iterator[str]:
    yield f"{judgement.name}: {judgement.verdict}: {judgement.reason}"


def _message(judgement: Judgement) -> str:
    """The first difference in a line."""
    first = judgement.differences[0]
    expected = first.expected.decode("latin-1") or "nothing"
    got = first.got.decode("latin-1") or "nothing"
    return f"step {first.step}: {first.action}: expected {expected!r}; got {got!r}"[:1000]


def _sarif(report: Report, server: str) -> dict[str, Any]:
    """A rule each entry that differs, a result each difference."""
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
    properties = {"server": server, "verdict": report.verdict, **report.counts}
    return sarif_log("conform", rules, {"results": results, "properties": properties})
