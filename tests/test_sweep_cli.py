"""`jsm sweep`: what it prints and writes, its exit codes, one line for bad input, an interrupt, a cluster."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jsm.__main__ import main
from sim.sweep_table import answer_of, shown
from tests.test_engines import scheduler, wait_for_workers, worker

ROOT = Path(__file__).parent.parent
SHORT = ("--set", "run.duration_seconds=60.0", "--set", "run.warmup_seconds=5.0", "--processes", "1")
GRID = ("mm1", "--over", "workers.count=1..2", "--replications", "3", *SHORT)

Shown = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sweep(*arguments: object) -> int:
    return main(["sweep", *map(str, arguments)])


def told(capsys: Shown) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_a_grid_prints_a_table_and_writes_a_folder(capsys: Shown) -> None:
    assert sweep(*GRID, "--measure", "wait.mean", "--measure", "throughput") == 0
    out = capsys.readouterr().out
    assert out.startswith("mm1, seed 1: 3 replications for each row\n")
    assert "workers.count" in out
    assert max(map(len, out.splitlines())) <= 80
    assert sorted(path.name for path in Path("out/mm1-sweep").iterdir()) == ["cells", "sweep.json", "sweep.parquet"]
    assert sweep(*GRID, "--json") == 0  # nothing is left to do
    document = told(capsys)
    assert document == json.loads(Path("out/mm1-sweep/sweep.json").read_text("utf-8"))
    assert [cell["settings"] for cell in document["cells"]] == [{"workers.count": "1"}, {"workers.count": "2"}]
    assert sweep(*GRID, "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_a_search_says_what_it_found(capsys: Shown) -> None:
    asked = ("mm1", "--find", "workers.count=1..4", "--such-that", "wait.mean <= 500ms", "--replications", "8", *SHORT)
    assert sweep(*asked) == 0
    out = capsys.readouterr().out
    assert out.startswith("workers.count = 2 reaches wait.mean <= 500ms; 1 misses it. Confidence 95 %.\n")
    assert sweep(*asked, "--json") == 0
    assert told(capsys)["answer"] == "2"
    assert sweep("mm1", "--find", "workers.count=1", "--such-that", "wait.mean <= 1us", *SHORT) == 1
    assert capsys.readouterr().out.startswith("wait.mean <= 1us: no value of workers.count from 1 to 1 reaches it.\n")
    assert sweep("mm1", "--find", "workers.count=1", "--such-that", "wait.mean <= 3s", "--replications", 2, *SHORT) == 3
    assert "is known to reach it;\nmore replications would" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("mm1",), "--over: nothing is varied; say what: --over workers.count=1..8"),
        (("mm1", "--over", "workers.count"), "--over workers.count: this is not KEY=RANGE; "),
        (("mm1", "--over", "workers.count=0..1"), "--set workers.count=0: workers.count = 0: must be at least 1; "),
        (("mm1", "--over", "workers.count=1", "--measure", "speed"), "--measure speed: there is no such measure; "),
        (("mm1", "--over", "workers.count=1", "--such-that", "x"), "--such-that x: is the goal of --find; "),
        (("mm1", "--find", "workers.count"), "--find: the goal is missing; say it: --such-that 'wait.p99 <= 2s'"),
        (("mm1", "--find", "a", "--over", "b=1"), "--over: a grid and --find exclude each other; "),
        (("mm1", "--find", "workers.count", "--such-that", "x"), "--such-that x: this is not MEASURE <= LIMIT; "),
        (("nothing", "--over", "workers.count=1"), "nothing: there is no such scenario; "),
        (("mm1", "--over", "workers.count=1", "--cluster", "here"), "here: is no address of a Dask scheduler; "),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], line: str, capsys: Shown) -> None:
    assert sweep(*arguments) == 2
    shown_there = capsys.readouterr()
    assert shown_there.out == ""
    (only,) = shown_there.err.splitlines()
    assert only.startswith(f"jsm sweep: {line}")


def test_an_interrupt_keeps_the_cells_and_the_same_command_goes_on(capsys: Shown, tmp_path: Path) -> None:
    arguments = ("mm1", "--over", "run.seed=1..40", "--replications", "2", *SHORT)
    command = [sys.executable, "-m", "jsm", "sweep", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("out/mm1-sweep/cells/[0-9a-f]*.json")) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.startswith("jsm sweep: interrupted; ")
    kept = len(list(tmp_path.glob("out/mm1-sweep/cells/*.json")))
    assert 1 <= kept < 40
    assert f"; {kept} of 40 cells are kept in out/mm1-sweep; " in said
    assert sweep(*arguments, "--json") == 0
    document = told(capsys)
    assert (document["complete"], len(document["cells"])) == (True, 40)


def test_sentences_and_cells() -> None:
    assert shown("wait.p99", {"estimate": 1.5, "low": None, "high": 2.0}) == "1.50 s […, 2 s]"
    assert shown("utilisation", {"estimate": 0.5, "low": 0.4, "high": 0.6}) == "50.0 % [40.0 %, 60.0 %]"
    assert shown("counts.kicks", None) == "–"
    document = {"key": "k", "goal": "g", "answer": "3", "beyond": None, "values": ["3", "9"], "settled": True}
    assert answer_of(document) == "g: reached at both ends of k from 3 to 9."


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes(tmp_path: Path) -> None:
    """Scheduler and workers are started in another folder, and the scenario is a file beside this process."""
    text = (ROOT / "sim" / "scenarios" / "mm1.toml").read_text("utf-8")
    Path("mine.toml").write_text(text, encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with scheduler(elsewhere) as address, worker(elsewhere, address), worker(elsewhere, address):
        wait_for_workers(address, 2)
        assert sweep("mine.toml", *GRID[1:], "--cluster", address, "--out", "there", "--quiet") == 0
    assert sweep("mine.toml", *GRID[1:], "--out", "here", "--quiet") == 0
    there, here = (
        {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*.*") if path.is_file()}
        for folder in ("there", "here")
    )
    assert there == here
    assert len(here) == 4
