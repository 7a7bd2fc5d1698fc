"""Recording conversations: how scripts are read, what is masked, what counts as the same."""

import json
from pathlib import Path

import pytest

from models.conformance_corpus import installed_corpus
from models.conformance_match import matches
from models.conformance_spawn import check_command
from reports.tools import record_conformance
from reports.tools.conversation_scripts import TIMED, scripts

RECORDED = {each.name: each for each in installed_corpus().conversations if each.name.startswith("more/")}


def test_every_script_is_recorded_and_nothing_else() -> None:
    names = [f"more/{name}" for name, _ in scripts()]
    assert len(set(names)) == len(names) == 110
    assert list(RECORDED) == names
    for name, script in scripts():
        assert len(RECORDED[f"more/{name}"].steps) == len(script)


def test_times_are_before_and_at_an_instant() -> None:
    waits = [step.wait_seconds for each in RECORDED.values() for step in each.steps if step.wait_seconds]
    assert len(waits) >= 30
    assert sum(each.wait_seconds > 0 for each in RECORDED.values()) == len(TIMED) - 5  # five need no time to pass


@pytest.mark.beanstalkd
@pytest.mark.parametrize("name", ["release_when_reserved", "counted_commands", "quit_gives_jobs_back"])
def test_a_script_is_answered_as_it_was(name: str) -> None:
    script = dict(scripts())[name]
    steps = record_conformance._record(script, check_command("beanstalkd -l 127.0.0.1 -p {port}"))
    for step, recorded in zip(steps, RECORDED[f"more/{name}"].steps, strict=True):
        assert step["op"] == recorded.op
        assert step["send"].encode("latin-1") == recorded.send
        assert matches(recorded.reply, step["reply"].encode("latin-1"), recorded.tolerance) or b"{{" in recorded.reply


def test_names_are_quoted_and_the_moments_values_masked() -> None:
    quoted = record_conformance._quoted
    assert quoted(b"OK 24\r\n---\nid: 1\ntube: default\n\r\n") == b'OK 26\r\n---\nid: 1\ntube: "default"\n\r\n'
    assert quoted(b"USING tube: x\r\n<EOF>") == b"USING tube: x\r\n<EOF>"
    stats = quoted(b"OK 26\r\n---\na: 1\npid: 77\nid: ab\n\r\n")
    assert stats == b"OK {{n}}\r\n---\na: 1\npid: {{volatile}}\nid: {{volatile}}\n\r\n"


def test_runs_that_differ_are_told() -> None:
    first = [{"send": "stats-job 1", "reply": "OK 11\r\n---\nage: 1\n\r\n", "tolerance": {"age": 1}}]
    near = [{"send": "", "reply": "OK 11\r\n---\nage: 2\n\r\n"}]
    far = [{"send": "", "reply": "OK 11\r\n---\nage: 3\n\r\n"}]
    assert record_conformance._disagreement(first, near) == ""
    assert record_conformance._disagreement(first, far).startswith("step 1: 'stats-job 1'")


def test_what_can_not_be_repeated_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(record_conformance, "scripts", lambda: iter([("one", ("1 use x",))]))
    runs = iter(["USING x\r\n", "USING y\r\n", "USING x\r\n", "USING x\r\n"])
    monkeypatch.setattr(
        record_conformance,
        "_record",
        lambda script, words: [record_conformance._step(1, 0, "send", b"use x\r\n", next(runs).encode())],
    )
    out = tmp_path / "out.json"
    assert record_conformance.main(["--out", str(out), "--runs", "2"]) == 1
    assert "more/one: step 1: 'use x\\r\\n'" in capsys.readouterr().err
    assert not out.exists()
    assert record_conformance.main(["--out", str(out), "--runs", "2"]) == 0
    [written] = json.loads(out.read_text("utf-8"))["conversations"]
    assert written["name"] == "more/one"
    assert written["steps"][0]["n_replies"] == 1
