"""Reports as text, JSON, JUnit XML and SARIF: complete, of the form that their readers expect, the same every time."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from models.report_formats import JUNIT_EPOCH, ReportFormat
from models.verify_formats import render
from models.verify_result import Report
from models.verify_rules import RULES
from tests.recorded import check, rows, short_story

PUT = "1 0 1 t new put ready -"
WRONG = rows(PUT, "2 5 1 t ready touch reserved a", "3 6 1 t reserved bury buried b", "4 6 2 t new put ready b")


def wrong(*, go_on: bool = True) -> Report:
    """A report with three findings of two rules."""
    return check(WRONG, go_on=go_on).report()


def good() -> Report:
    return check(short_story()).report()


def test_text_gives_prefix_event_expectation_and_actions() -> None:
    assert render(ReportFormat.TEXT, wrong(go_on=False), "t.jsonl").splitlines()[:12] == [
        "t.jsonl: violated",
        "  2 records: 2 transitions, 0 calls (0 repeated on the machine)",
        "  1 of 19 edges of the state diagram taken; 1 job live at the end of what was read",
        "",
        "t.jsonl:3: every_transition_is_an_edge (S2)",
        "  Only the 19 edges of the state diagram change a job's state.",
        "  accepted  1 record, up to line 2",
        "  rejected  transition 2: job 1 in tube 't' went from ready by touch to reserved for client 'a' at 5",
        "  expected  from ready: reserve to reserved, reserve-job to reserved, delete to deleted",
        "  found     from ready: touch to reserved",
        "  what could have happened here, and what stood against it:",
        "    put: refused, job 1 is ready, and put already",
    ]
    assert render(ReportFormat.TEXT, good(), "t.jsonl").splitlines() == [
        "t.jsonl: holds",
        "  45 records: 20 transitions, 25 calls (25 repeated on the machine, 1 refused)",
        "  14 of 19 edges of the state diagram taken; 3 jobs live at the end of what was read",
    ]


def test_json_has_verdict_counts_and_findings() -> None:
    document = json.loads(render(ReportFormat.JSON, wrong(), "t.jsonl"))
    assert (document["trace"], document["verdict"], document["counts"]["findings"]) == ("t.jsonl", "violated", 3)
    assert [finding["line"] for finding in document["findings"]] == [3, 4, 5]
    first = document["findings"][0]
    assert first["accepted"] == {"records": 1, "line": 2}
    assert {"action": "kick"}.items() <= {"action": first["actions"][9]["name"]}.items()
    assert first["actions"][9] == {"name": "kick", "possible": False, "guard": "job 1 is ready, not delayed or buried"}
    assert sum(document["edges"].values()) == 1
    assert json.loads(render(ReportFormat.JSON, good(), "t"))["findings"] == []


# ---------------------------------------------------------------------- JUnit XML

SUITE_ATTRIBUTES = {"name", "package", "id", "timestamp", "hostname", "tests", "failures", "errors", "skipped", "time"}


@pytest.mark.parametrize(("report", "failures"), [(wrong(), 2), (good(), 0), (check([]).report(), 0)])
def test_junit_has_the_elements_of_the_schemas_in_their_order(report: Report, failures: int) -> None:
    """What Ant's and Jenkins' schemas require and allow of these elements, by hand."""
    root = ElementTree.fromstring(render(ReportFormat.JUNIT, report, "t.jsonl"))
    assert (root.tag, root.attrib) == ("testsuites", {})
    (suite,) = root
    assert (suite.tag, set(suite.attrib)) == ("testsuite", SUITE_ATTRIBUTES)
    assert suite.attrib["timestamp"] == JUNIT_EPOCH
    tags = [child.tag for child in suite]
    assert tags == ["properties", *["testcase"] * len(RULES), "system-out", "system-err"]
    assert all(set(each.attrib) == {"name", "value"} for each in suite[0])
    cases = suite.findall("testcase")
    assert [case.attrib["name"] for case in cases] == [rule.name for rule in RULES]
    for case in cases:
        assert set(case.attrib) == {"name", "classname", "time"}
        assert len(case) <= 1
        assert {child.tag for child in case} <= {"failure", "skipped"}
        for failure in case.findall("failure"):
            assert set(failure.attrib) == {"message", "type"}
            assert failure.text is not None
            assert "rejected" in failure.text
    counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    skipped = len(suite.findall("testcase/skipped"))
    assert counts == {"tests": len(RULES), "failures": failures, "errors": 0, "skipped": skipped}
    assert len(suite.findall("testcase/failure")) == failures
    assert (skipped == len(RULES)) is (report.verdict == "undetermined")


def test_junit_holds_what_xml_can_not() -> None:
    """Names of clients and tubes are texts of the trace: control characters, halves of a character, brackets."""
    records = rows(PUT, "2 5 1 t ready reserve reserved a")
    records[1] = records[1]._replace(client=None, tube="\x00\ud800<]]>&")  # type: ignore[call-arg]
    report = check(records).report()
    root = ElementTree.fromstring(render(ReportFormat.JUNIT, report, "odd\x01.jsonl").encode("utf-8"))
    assert "<]]>&" in str(root.findall(".//failure")[0].text)


# ---------------------------------------------------------------------- SARIF

TEXT = {"type": "string", "minLength": 1}
MESSAGE = {"type": "object", "properties": {"text": TEXT}, "required": ["text"], "additionalProperties": False}
LINE = {"type": "integer", "minimum": 1}
LOCATION = {"type": "object", "properties": {"uri": TEXT, "index": {"type": "integer"}}, "additionalProperties": False}
BAG = {"type": "object"}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


SARIF: dict[str, Any] = _closed(
    ["version", "runs"],
    **{"$schema": TEXT},
    version={"enum": ["2.1.0"]},
    runs=_list(
        _closed(
            ["tool", "results"],
            tool=_closed(
                ["driver"],
                driver=_closed(
                    ["name"],
                    name=TEXT,
                    version=TEXT,
                    rules=_list(
                        _closed(
                            ["id"],
                            id=TEXT,
                            shortDescription=MESSAGE,
                            defaultConfiguration=_closed([], level={"enum": ["none", "note", "warning", "error"]}),
                            properties=BAG,
                        )
                    ),
                ),
            ),
            artifacts=_list(_closed([], location=LOCATION)),
            columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            properties=BAG,
            results=_list(
                _closed(
                    ["message"],
                    ruleId=TEXT,
                    ruleIndex={"type": "integer", "minimum": 0},
                    level={"enum": ["none", "note", "warning", "error"]},
                    kind={"enum": ["fail", "pass", "open", "informational", "notApplicable", "review"]},
                    message=MESSAGE,
                    locations=_list(
                        _closed(
                            [],
                            physicalLocation=_closed(
                                ["artifactLocation"],
                                artifactLocation=LOCATION,
                                region=_closed(["startLine"], startLine=LINE),
                            ),
                        )
                    ),
                    properties=BAG,
                )
            ),
        )
    ),
)
"""What of the SARIF 2.1.0 schema (OASIS) is used here, with nothing else allowed."""


@pytest.mark.parametrize("report", [wrong(), good()])
def test_sarif_is_of_the_schema(report: Report) -> None:
    log = json.loads(render(ReportFormat.SARIF, report, "a folder/t.jsonl"))
    jsonschema.validate(log, SARIF)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.name for rule in RULES]
    assert len(run["results"]) == len(report.findings)
    for result, finding in zip(run["results"], report.findings, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.rule
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "a%20folder/t.jsonl"
        assert place["region"]["startLine"] == finding.line
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**log, "version": "2.0.0"}, SARIF)


def test_sarif_names_a_whole_path_as_a_uri(tmp_path: Path) -> None:
    log = json.loads(render(ReportFormat.SARIF, wrong(), str(tmp_path / "t.jsonl")))
    assert log["runs"][0]["artifacts"][0]["location"]["uri"] == (tmp_path / "t.jsonl").as_uri()


@pytest.mark.parametrize("form", list(ReportFormat))
def test_the_same_report_gives_the_same_bytes(form: ReportFormat) -> None:
    text = render(form, wrong(), "t.jsonl")
    assert text == render(form, wrong(), "t.jsonl")
    assert text.endswith("\n")
