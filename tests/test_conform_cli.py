"""`jsm conform`: what it prints in each form, its exit codes, and the line for each mistake."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from jsm.__main__ import main
from models.conformance import Judgement, Report, Verdict
from models.conformance_formats import render
from models.conformance_virtual import virtual
from models.report_formats import ReportFormat
from tests.conformance_cases import bad_input, conversation, step, write_corpus

SPAWN = ("--spawn", "a server at {port}")
"""No such program is there: the tests put this project's sessions in its place."""

GOOD = conversation(step("use x\r\n", "USING x\r\n"), name="good")
BAD = conversation(step("use x\r\n", "USING y\r\n"), name="bad", note="a note")
LONG = conversation(step("use x\r\n", "USING x\r\n", wait=2), name="long")
LENIENT = bad_input("kick 1\r\n", "BAD_FORMAT\r\n", "KICKED 0\r\n", name="lenient")
AWAY = bad_input("kick 1\r\n", "KICKED 0\r\n", name="away", args=["-b", "x"])


@pytest.fixture(autouse=True)
def _no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.conform_cli.spawned", lambda words, arguments: virtual(arguments))


def conform(tmp_path: Path, *entries: dict[str, Any], options: tuple[str, ...] = ()) -> int:
    path = write_corpus(tmp_path, *entries)
    return main(["conform", *SPAWN, "--corpus", str(path), *options])


def test_the_installed_corpus_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", *SPAWN]) == 0
    told = capsys.readouterr().out
    assert told.startswith("a server at {port}: holds\n")
    assert "deviates-as-declared: put_expected_crlf_burns_id\n" in told


def test_a_difference_is_shown_and_violates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conform(tmp_path, GOOD, BAD, LENIENT, AWAY) == 1
    told = capsys.readouterr().out
    assert told == (
        "a server at {port}: violated\n"
        "     1 of 4 answered as recorded or as the protocol asks for\n"
        "     1 of 4 answered as beanstalkd, where protocol.txt asks for another reply\n"
        "     1 of 4 answered otherwise\n"
        "     1 of 4 left out\n"
        "\n"
        "as-recorded: lenient\n"
        "  beanstalkd's reply, where protocol.txt, read strictly, asks for another\n"
        "\n"
        "left-out: away\n"
        "  it needs a server started with -b x\n"
        "\n"
        "conversation bad: differs\n"
        "  step 1, connection 1: send use x\\r\\n   (- expected, + got)\n"
        "    - USING y\\r\\n\n"
        "    + USING x\\r\\n\n"
    )


def test_strict_insists_on_the_protocol(tmp_path: Path) -> None:
    assert conform(tmp_path, GOOD, LENIENT) == 0
    assert conform(tmp_path, GOOD, LENIENT, options=("--strict",)) == 1


def test_what_is_left_out_is_counted_and_never_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conform(tmp_path, GOOD, LONG, options=("--fast",)) == 0
    told = capsys.readouterr().out
    assert "     1 of 2 left out\n" in told
    assert "left-out: long\n  it waits for more than 1 s, and --fast leaves such out\n" in told
    assert conform(tmp_path, LONG, options=("--fast",)) == 3
    assert conform(tmp_path, LONG) == 0


def test_with_a_manual_clock_nothing_is_too_long(tmp_path: Path) -> None:
    path = write_corpus(tmp_path, LONG)
    assert main(["conform", "--spawn", "a {port} {clock_port}", "--corpus", str(path), "--fast"]) == 0


def test_only_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conform(tmp_path, GOOD, BAD, options=("--only", "good")) == 0
    assert "1 of 1 answered as recorded" in capsys.readouterr().out


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert conform(tmp_path, GOOD, BAD, options=("--json",)) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["server"], document["verdict"]) == ("a server at {port}", "violated")
    assert document["counts"]["ok"] == document["counts"]["differs"] == 1
    [finding] = document["findings"]
    assert finding["name"] == "bad"
    assert finding["differences"][0]["expected"] == "USING y\r\n"


def test_quiet_and_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result.xml"
    assert conform(tmp_path, BAD, AWAY, options=("--format", "junit", "--out", str(out))) == 1
    assert capsys.readouterr().out == ""
    suite = ElementTree.fromstring(out.read_text("utf-8")).find("testsuite")
    assert suite is not None
    assert {key: suite.get(key) for key in ("tests", "failures", "skipped", "errors")} == {
        "tests": "2",
        "failures": "1",
        "skipped": "1",
        "errors": "0",
    }
    assert conform(tmp_path, BAD, options=("--quiet",)) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_forms_hold_any_byte() -> None:
    from models.conformance import Difference

    odd = Difference(1, 1, "send \\x00", b"\x00\xff<&>", b"]]>\x1b")
    report = Report((Judgement("odd", "input", Verdict.DIFFERS, "", "", (odd,)),))
    [failure] = ElementTree.fromstring(render(ReportFormat.JUNIT, report, "s")).iter("failure")
    assert failure.text is not None
    sarif = json.loads(render(ReportFormat.SARIF, report, "s"))
    [run] = sarif["runs"]
    assert run["results"][0]["ruleId"] == run["tool"]["driver"]["rules"][0]["id"] == "odd"
    assert json.loads(render(ReportFormat.JSON, report, "s"))["findings"][0]["differences"][0]["got"] == "]]>\x1b"


MISTAKES: list[tuple[list[str], str]] = [
    ([], "give either --server HOST:PORT, a server that runs, or --spawn 'CMD with {port}', one to start"),
    (["--server", "a:1", *SPAWN], "give either --server HOST:PORT"),
    (["--server", "nowhere"], "--server nowhere: expected HOST:PORT with a port from 1 to 65535, or unix:PATH"),
    (["--server", "a:99999"], "--server a:99999: expected HOST:PORT"),
    (["--server", "127.0.0.1:1"], "127.0.0.1:1: Connection refused: the server takes no connection"),
    (["--spawn", "beanstalkd -p 1"], "--spawn = 'beanstalkd -p 1': expected a command with {port} where the port goes"),
    ([*SPAWN, "--only", "drain"], "name = 'drain': expected the name of a conversation or an input; near it: "),
    ([*SPAWN, "--corpus", "none.json"], "none.json = 'No such file or directory': expected a file of conversations"),
    ([*SPAWN, "--json", "--format", "junit"], "--json and --format junit exclude each other; leave one out"),
    ([*SPAWN, "--only", "quit", "--out", "/no/folder/x"], "--out /no/folder/x: No such file or directory; name a file"),
    ([*SPAWN, "--jobs", "0"], "invalid value for '--jobs'"),
]


@pytest.mark.parametrize(("options", "line"), MISTAKES, ids=[line for _, line in MISTAKES])
def test_a_mistake_is_one_line(options: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("jsm conform: ")
    assert printed.err.count("\n") == 1
    assert line in printed.err


def test_an_interrupt_keeps_what_was_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    played = []

    def interrupted(words: tuple[str, ...], arguments: tuple[str, ...]) -> Any:
        played.append(arguments)
        if len(played) > 1:
            raise KeyboardInterrupt
        return virtual(arguments)

    monkeypatch.setattr("models.conform_cli.spawned", interrupted)
    assert conform(tmp_path, GOOD, BAD, options=("--jobs", "1")) == 130
    printed = capsys.readouterr()
    assert "1 of 1 answered as recorded" in printed.out
    assert printed.err == "jsm conform: interrupted after 1 entries\n"
