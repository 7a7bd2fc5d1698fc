"""The README says what is so: its example runs, its generated parts are fresh, its commands work."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from jsm.__main__ import COMMANDS
from models import pytest_plugin
from models.diagram import DiagramFormat, render
from reports.tools.docs import PARTS, stale_files, with_parts
from reports.tools.reports import FIGURE_BYTES_MAX, FIGURES, TARGET

pytest_plugins = ("pytester",)

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The contents of the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_example_runs_and_prints_what_stands_there() -> None:
    [example] = [block for block in blocks("python") if "def test_" not in block]
    done = subprocess.run([sys.executable, "-c", example], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout in blocks("text")


def test_the_example_of_a_test_passes(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> None:
    [example] = [block for block in blocks("python") if "def test_" in block]
    pytester.makepyfile(example)
    loaded = request.config.pluginmanager.is_registered(pytest_plugin)
    plugin = () if loaded else ("-p", "models.pytest_plugin")
    pytester.runpytest_inprocess(*plugin, "-p", "no:benchmark", "-p", "no:xdist").assert_outcomes(passed=1)


@pytest.mark.parametrize("room", ["jsm", "sim"])
def test_the_example_of_a_room_runs(room: str) -> None:
    [example] = re.findall(r"^```python\n(.*?)^```$", (ROOT / room / "README.md").read_text("utf-8"), re.DOTALL | re.M)
    subprocess.run([sys.executable, "-c", example], cwd=ROOT, check=True)


def test_the_diagram_is_that_of_the_table() -> None:
    assert blocks("mermaid") == [render(DiagramFormat.MERMAID).decode("utf-8")]


def test_generated_files_are_fresh() -> None:
    assert [path.name for path in stale_files()] == [], "write them anew: make docs"


def test_a_stale_part_is_noticed_and_mended() -> None:
    assert with_parts(README.replace("ready --> reserved", "ready --> buried")) == README
    with pytest.raises(ValueError, match="state diagram"):
        with_parts(README.replace("<!-- generated: state diagram -->", ""))
    assert len(PARTS) == README.count("<!-- generated: ")


def test_the_line_about_bad_input_is_what_is_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jsm", "simulate", "mm1", "--set", "workers.count=0"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr in blocks("text")


def test_commands_are_spelt_as_the_command_line_has_them() -> None:
    shown = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
    lines = [words for words in shown if words and words[0].endswith("jsm")]
    assert {words[1] for words in lines} == set(COMMANDS) - {"graph"}
    for command in sorted({words[1] for words in lines}):
        text = subprocess.run(
            [sys.executable, "-m", "jsm", command, "--help"],
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
        options = {word for words in lines if words[1] == command for word in words if word.startswith("--")}
        assert [option for option in sorted(options) if option not in text] == [], command


def test_the_committed_report_is_what_a_run_gives(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "jsm",
        "simulate",
        "nasa-ipsc",
        "--no-plots",
        "--quiet",
        "--out",
        str(tmp_path / "out"),
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    committed = json.loads((TARGET / "summary.json").read_text("utf-8"))
    assert json.loads((tmp_path / "out" / "summary.json").read_text("utf-8")) == committed, (
        "write it anew: make reports"
    )
    assert all((TARGET / f"{figure}.png").stat().st_size <= FIGURE_BYTES_MAX for figure in FIGURES)
