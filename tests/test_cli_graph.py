"""`jsm graph`: what it prints and writes, its exit codes, and one line for each bad input."""

import json
from pathlib import Path
from subprocess import run
from sys import executable
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from jsm.transitions import transitions
from models import cli
from models.diagram import DiagramFormat, dot_text, mermaid_text, png_bytes, render, svg_bytes
from models.graph import edge_name

APP = typer.Typer()
APP.command()(cli.graph)

EDGES = {edge_name(edge): edge for edge in transitions()}
REPORTS = Path(__file__).parent.parent / "reports"


def jsm_graph(*arguments: object) -> Result:
    return CliRunner().invoke(APP, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    """The one line that a bad input gets; nothing is written to standard output."""
    result = jsm_graph(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("jsm graph: ")
    return line.removeprefix("jsm graph: ")


def test_formats_go_to_standard_output() -> None:
    assert jsm_graph().stdout == mermaid_text()
    assert jsm_graph("--format", "dot").stdout == dot_text()
    assert jsm_graph("--format", "svg").stdout_bytes == svg_bytes()
    assert jsm_graph("--format", "png").stdout_bytes == png_bytes()


def test_png_is_not_poured_into_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_is_terminal", lambda: True)
    assert (
        refused("--format", "png") == "--format png: a terminal can't show it; give --out FILE, or send it down a pipe"
    )
    assert jsm_graph("--format", "svg").exit_code == 0


@pytest.mark.parametrize("form", list(DiagramFormat))
def test_out_writes_what_check_accepts(form: DiagramFormat, tmp_path: Path) -> None:
    path = tmp_path / "diagram"
    written = jsm_graph("--format", form, "--out", path)
    assert (written.exit_code, written.stdout, written.stderr) == (0, "", f"wrote {path}\n")
    assert path.read_bytes() == render(form)
    assert list(tmp_path.iterdir()) == [path]
    checked = jsm_graph("--format", form, "--check", path)
    assert (checked.exit_code, checked.stdout, checked.stderr) == (0, "", f"{path} is up to date\n")


def test_quiet_says_nothing(tmp_path: Path) -> None:
    assert jsm_graph("--quiet", "--out", tmp_path / "d.mmd").output == ""
    assert jsm_graph("--quiet", "--check", tmp_path / "d.mmd").output == ""


def test_a_stale_file_fails_the_check_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "d.mmd"
    old = mermaid_text().replace("touch", "prod")
    path.write_text(old)
    result = jsm_graph("--check", path)
    assert result.exit_code == 1
    assert result.stderr == f"jsm graph: {path} is stale; write it anew: jsm graph --format mermaid --out {path}\n"
    assert path.read_text() == old


@pytest.mark.parametrize(("form", "suffix"), [("mermaid", "mmd"), ("svg", "svg")])
def test_the_committed_files_pass_the_check(form: str, suffix: str) -> None:
    assert jsm_graph("--format", form, "--check", REPORTS / f"state-diagram.{suffix}").exit_code == 0


def test_json_is_one_document_of_the_whole_graph() -> None:
    document = json.loads(jsm_graph("--json").stdout)
    assert [state["name"] for state in document["states"]] == [
        "new",
        "ready",
        "delayed",
        "reserved",
        "buried",
        "deleted",
    ]
    assert [edge["name"] for edge in document["edges"]] == list(EDGES)
    assert document["edges"][0] == {
        "name": "new>ready by put",
        "source": "new",
        "trigger": "put",
        "target": "ready",
        "by": "anyone",
        "operations": ["put"],
    }
    assert len(document["edge_pairs"]) == 67
    assert (document["sound"], document["findings"]) == (True, [])


def test_json_tells_of_files_too(tmp_path: Path) -> None:
    path = tmp_path / "d.svg"
    assert json.loads(jsm_graph("--json", "--format", "svg", "--out", path).stdout)["out"] == str(path)
    result = jsm_graph("--json", "--format", "dot", "--check", path)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["check"] == {"file": str(path), "stale": True}


def test_an_unsound_diagram_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.graph.graph_findings", lambda _: ["states that no job can reach: buried"])
    result = jsm_graph()
    assert result.exit_code == 1
    assert result.stderr == "jsm graph: the diagram is not sound: states that no job can reach: buried\n"


def summary(path: Path, edges: Any) -> Path:
    path.write_text(json.dumps({"transitions": {"edges": edges}}))
    return path


def test_counts_of_a_run_are_shown(tmp_path: Path) -> None:
    counts = {name: number for number, name in enumerate(EDGES)}
    path = summary(tmp_path / "summary.json", counts)
    expected = {EDGES[name]: number for name, number in counts.items()}
    assert jsm_graph("--counts", path).stdout == mermaid_text(expected)
    edges = json.loads(jsm_graph("--json", "--counts", path).stdout)["edges"]
    assert {edge["name"]: edge["count"] for edge in edges} == counts


def test_bad_counts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    assert refused("--counts", path) == (f"--counts {path}: No such file or directory; name the summary.json of a run")
    path.write_text("{")
    assert refused("--counts", path).startswith(f"--counts {path}: not JSON (")
    path.write_bytes(b"\xff\xff")
    assert refused("--counts", path).startswith(f"--counts {path}: not JSON (")
    for text in ("[]", "{}", '{"transitions": 1}', '{"transitions": {"edges": []}}'):
        path.write_text(text)
        assert "has no object at transitions.edges; name the summary.json of a run" in refused("--counts", path)
    for bad in (-1, 1.5, True, "many", None):
        line = refused("--counts", summary(path, {"new>ready by put": bad}))
        assert line.endswith(f"transitions.edges['new>ready by put'] = {bad!r}: expected a whole number from 0 on")
    assert "has 'new>buried by put', which is no edge" in refused("--counts", summary(path, {"new>buried by put": 1}))


def test_bad_files_are_refused(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere" / "d.svg"
    assert refused("--out", missing).startswith(f"--out {missing}: No such file or directory; name a file")
    assert refused("--check", missing).startswith(f"--check {missing}: No such file or directory; name a file")
    assert refused("--out", tmp_path).startswith(f"--out {tmp_path}: Is a directory")
    assert refused("--out", "/dev/full").startswith("--out /dev/full: No space left on device")
    assert "exclude each other" in refused("--out", missing, "--check", missing)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "d.mmd"
    path.write_text("old")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert "No space left on device" in refused("--out", path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_door_can_register_it_cheaply() -> None:
    code = "import sys, models.cli; print([m for m in ('networkx', 'matplotlib', 'numpy') if m in sys.modules])"
    assert run([executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
