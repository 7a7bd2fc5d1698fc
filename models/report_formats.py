"""What the reports of commands share as JUnit XML and as SARIF: the frame around a command's own cases and results."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from importlib import metadata
from typing import Any, Final, NamedTuple
from xml.etree import ElementTree

JUNIT_EPOCH: Final = "1970-01-01T00:00:00"
"""What JUnit XML gives as its instant where none is known: the same input then gives the same bytes."""

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SARIF_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"


class ReportFormat(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    SARIF = "sarif"


class Failure(NamedTuple):
    """Why a test case failed."""

    kind: str
    message: str
    text: str


class Case(NamedTuple):
    """A test case of JUnit XML."""

    name: str
    classname: str
    failure: Failure | None
    skipped: str | None  # why; None: it was run


def junit_xml(
    command: str,
    cases: Sequence[Case],
    *,
    properties: Iterable[tuple[str, object]],
    text: str,
    timestamp: str = JUNIT_EPOCH,
) -> str:
    """The report of `jsm COMMAND`, in the form that Ant's and Jenkins' schemas both accept; `text` is its output."""
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        {
            "name": f"jsm {command}",
            "package": f"jsm.{command}",
            "id": "0",
            "timestamp": timestamp,
            "hostname": "localhost",
            "tests": str(len(cases)),
            "failures": str(sum(case.failure is not None for case in cases)),
            "errors": "0",
            "skipped": str(sum(case.skipped is not None for case in cases)),
            "time": "0",
        },
    )
    inside = ElementTree.SubElement(suite, "properties")
    for name, value in properties:
        ElementTree.SubElement(inside, "property", name=name, value=_xml_text(str(value)))
    for case in cases:
        element = ElementTree.SubElement(suite, "testcase", name=case.name, classname=case.classname, time="0")
        if case.failure is not None:
            kind, message, why = case.failure
            ElementTree.SubElement(element, "failure", message=_xml_text(message), type=kind).text = _xml_text(why)
        elif case.skipped is not None:
            ElementTree.SubElement(element, "skipped", message=_xml_text(case.skipped))
    ElementTree.SubElement(suite, "system-out").text = _xml_text(text)
    ElementTree.SubElement(suite, "system-err")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def sarif_log(command: str, rules: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> dict[str, Any]:
    """A SARIF 2.1.0 log with one run of `jsm COMMAND`, which has these rules and fields."""
    driver = {"name": f"jsm {command}", "version": _package_version(), "rules": rules}
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, **run}]}


def _xml_text(text: str) -> str:
    """Text without what XML can't hold."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _package_version() -> str:
    """The version of this package; "unknown" when the files are used without an installation."""
    try:
        return metadata.version("beanstalk-jsm")
    except metadata.PackageNotFoundError:
        return "unknown"
