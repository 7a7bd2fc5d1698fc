"""`jsm verify` on histories: the verdict, the rejection and the bad input of `models.linearizability`, as a report."""

import json
from pathlib import Path

import pytest

from jsm.errors import BadValueError
from jsm.trace import TraceError
from models.report_formats import ReportFormat
from models.verify_formats import render
from models.verify_histories import verify_history
from tests.test_verify_cli import jsm_verify, refused

HISTORY = Path(__file__).parent / "data" / "traces" / "history.jsonl"
LINES = HISTORY.read_bytes().splitlines(keepends=True)


def test_a_history_without_an_order_is_violated_and_explained() -> None:
    result = jsm_verify(HISTORY)
    assert result.exit_code == 1
    assert f"{HISTORY}:4: history_is_linearizable (SPEC 3-5)\n" in result.stdout
    assert "  accepted  2 records\n    a: put(" in result.stdout
    assert "  rejected  c: delete(job_id=1)" in result.stdout
    assert "  expected  job 1 is reserved by b, so that it had to be refused with unauthorized\n" in result.stdout
    assert "refused, not before 5001, and something had returned at 6\n" in result.stdout


def test_a_history_with_an_order_holds() -> None:
    report = verify_history(LINES[:3])
    assert (report.verdict, report.findings, report.counts["operations"]) == ("holds", (), 2)
    assert jsm_verify("-", given=b"".join(LINES[:3])).exit_code == 0


def test_a_bound_that_is_hit_is_undetermined() -> None:
    result = jsm_verify("-", "--max-states", 1, "--json", given=b"".join(LINES))
    assert (result.exit_code, json.loads(result.stdout)["verdict"]) == (3, "undetermined")
    assert "<skipped" in render(ReportFormat.JUNIT, verify_history(LINES, max_states=1), "h")


@pytest.mark.parametrize("form", list(ReportFormat))
def test_every_format_names_the_line(form: ReportFormat) -> None:
    text = render(form, verify_history(LINES), "h.jsonl")
    assert {"text": "h.jsonl:4: ", "json": '"line": 4', "junit": "h.jsonl:4: ", "sarif": '"startLine": 4'}[form] in text


def test_bad_input_is_one_line() -> None:
    assert refused("-", given=LINES[0] + b"{}\n").startswith("standard input:2: client = None: expected a text")
    assert refused(HISTORY, "--allow", "all") == "--allow all: expected some of KB-1, KB-12, one-by-one"
    line = refused(HISTORY, "--from-middle")
    assert line.startswith("--from-middle, --snapshot and --max-job-size are for traces")
    with pytest.raises(TraceError):
        verify_history([*LINES[:1], b"{}"])
    with pytest.raises(BadValueError):
        verify_history(LINES, lateness=-1)
