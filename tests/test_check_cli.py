"""`jsm check`: what it proves in a line, its exit codes, its documents, and what it says to bad input."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import models.check_cli
import models.check_worlds
from jsm.job import ClientID, JobID
from jsm.machine import Machine
from models.check_report import summary, told
from models.explorer import explore
from models.scope import SCOPES

ROOT = Path(__file__).parent.parent


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jsm", "check", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)


def test_a_closed_world_holds_and_says_in_one_line_what_has_been_proved() -> None:
    done = _run("--scope", "tiny", "--delays", "0", "--timeouts", "none", "--on-time", "--liveness", "--processes", "1")
    assert (done.returncode, done.stderr) == (0, "")
    first, *rest = done.stdout.splitlines()
    assert first.startswith("tiny: holds: every history of any length with at most 1 live job, any number of puts, ")
    assert any(line.startswith("tiny: holds: in every history that goes on with ticks") for line in rest)


def test_a_bound_is_undetermined_in_one_document_and_exit_3() -> None:
    done = _run("--scope", "tiny", "--states", "20", "--json")
    assert (done.returncode, done.stderr) == (3, "")
    document = json.loads(done.stdout)
    assert document["verdict"] == "undetermined"
    assert document["counterexample"] is None
    assert {"states", "transitions", "depth", "states_per_second", "bytes_per_state", "coverage"} <= set(document)
    assert {"edges", "edge_pairs", "refusals"} == set(document["coverage"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scope", "huge"], "--scope huge: there is no such world; one of tiny, small"),
        (["--jobs", "99"], "--jobs = 99: expected a whole number from 1 to 6"),
        (["--delays", "0,x"], "--delays 0,x: 'x' is not one; give whole numbers, separated by commas"),
        (["--ttrs", "0"], "--ttrs = (0,): expected whole numbers from 1 to 99"),
        (["--operations", "put,fly"], "--operations: there is no fly; expected some of put, "),
        (["--states", "0"], "--states 0: give a number above 0"),
        (["--processes", "-1"], "--processes -1: give 0 for one a core, or a number above 0"),
        (["--allow-unfired", "fly"], "--allow-unfired fly: is no operation of the world; one of "),
        (["--out", "README.md"], "--out README.md: is no folder; name one, or one that is to be made"),
        (["--sideways"], "no such option: --sideways"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(words: list[str], said: str) -> None:
    done = _run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"jsm check: {said}")


class NeverReleases(Machine):
    """A release is not heard."""

    __slots__ = ()

    def release(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        """Do nothing at all."""


def test_a_fault_is_told_with_its_history_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = explore(SCOPES["tiny"], make_machine=NeverReleases)
    document = told("tiny", result, tmp_path / "shown")
    assert document["verdict"] == "violated"
    assert document["text"].startswith("tiny: violated: ")
    assert document["counterexample"]["calls"]
    assert len(list((tmp_path / "shown").iterdir())) == 4
    whole = summary("violated", [document], [])
    assert whole["counterexample"] == document["counterexample"]


def test_an_operation_that_never_fires_is_an_error_unless_allowed() -> None:
    world = SCOPES["tiny"].but(operations=("put", "release", "tick"), refusals=True)
    assert explore(world).verdict == "violated"
    assert "never accepted" in told("x", explore(world), None)["text"]
    assert explore(world, allow_unfired=["release"]).verdict == "holds"


def test_an_interrupt_keeps_what_was_finished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    explored = models.check_worlds.explore
    worlds: list[Any] = []

    def interrupted(world: Any, **settings: Any) -> Any:
        worlds.append(world)
        if len(worlds) > 1:
            raise KeyboardInterrupt
        return explored(SCOPES["tiny"].but(operations=("put", "tick")), **{**settings, "processes": 1})

    monkeypatch.setattr(models.check_worlds, "explore", interrupted)
    from jsm.__main__ import main

    assert main(["check", "--quiet", "--processes", "1"]) == 130
    shown = capsys.readouterr()
    assert shown.out.startswith("small: holds")
    assert shown.err == "jsm check: interrupted; what is shown is what was finished\n"
