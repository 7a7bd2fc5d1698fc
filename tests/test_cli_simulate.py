"""`jsm simulate`: what it prints and writes, its exit codes, one line for bad input, nothing half-written."""

import gzip
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import PIPE, Popen, run
from typing import Any

import pytest

from jsm.__main__ import main
from jsm.machine import Machine
from jsm.records import TransitionRecord
from jsm.states import JobState
from jsm.trace import read_trace
from sim import balance, cli, plots, results, scenario
from sim.run import Simulation
from sim.run import _Tee as _TEE

SHORT = ("--set", "run.duration_seconds=60.0", "--set", "run.warmup_seconds=5.0", "--no-plots")
SCRIPT = [sys.executable, "-m", "jsm", "simulate"]
ROOT = Path(__file__).parent.parent

Shown = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def simulate(*arguments: object) -> int:
    return main(["simulate", *map(str, arguments)])


def refused(capsys: Shown, *arguments: object) -> str:
    """The one line that a bad input gets; nothing is printed or written beside it."""
    before = sorted(Path().rglob("*"))
    assert simulate(*arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert sorted(Path().rglob("*")) == before
    (line,) = shown.err.splitlines()
    assert line.startswith("jsm simulate: ")
    return line.removeprefix("jsm simulate: ")


def test_the_default_is_the_scenario_that_the_room_names() -> None:
    assert cli._DEFAULT_SCENARIO == scenario.DEFAULT_SCENARIO
    assert scenario.DEFAULT_SCENARIO in scenario.bundled_scenarios()


def test_a_run_prints_a_table_and_writes_a_folder(capsys: Shown) -> None:
    assert simulate(*SHORT) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)
    for word in ("Jobs ", "Left ", "Throughput ", "Utilisation ", "p99.9", "timeouts", "touches", "Speed ", "mailers"):
        assert word in shown.out
    assert "Self-checks  all 13 hold" in shown.out
    assert "out/steady/report.html" in shown.out
    names = {path.name for path in Path("out/steady").iterdir()}
    assert names == {"summary.json", "run.json", "scenario.json", "metrics", "report.html"}
    assert [path.name for path in Path("out").iterdir()] == ["steady"]


def test_figures_are_drawn_and_stand_in_the_report() -> None:
    assert simulate("drain", "--quiet", "--out", "here") == 0
    drawn = {path.name for path in Path("here/plots").iterdir()}
    names = [plot.name for plot in plots.PLOTS if plot.name != "typical_week"]
    assert drawn == {f"{name}.{form}" for name in names for form in ("png", "svg")}
    assert Path("here/report.html").read_text().count("data:image/svg+xml;base64,") == len(names)


def test_json_is_the_summary_and_nothing_else(capsys: Shown) -> None:
    assert simulate("drain", "--json", "--no-plots") == 0
    shown = capsys.readouterr()
    assert shown.out == Path("out/drain/summary.json").read_text(encoding="utf-8")
    assert json.loads(shown.out)["jobs"]["deleted"] == 100
    assert shown.err == ""


def test_quiet_prints_nothing(capsys: Shown) -> None:
    assert simulate("drain", "--quiet", "--no-plots") == 0
    shown = capsys.readouterr()
    assert shown.out + shown.err == ""
    assert Path("out/drain/summary.json").exists()


def test_the_list_names_every_bundled_scenario(capsys: Shown) -> None:
    assert simulate("--list") == 0
    table = capsys.readouterr().out
    assert simulate("--list", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["scenarios"]) == list(scenario.bundled_scenarios())
    assert all(f"\n{name} " in f"\n{table}" for name in document["scenarios"])
    assert list(Path().iterdir()) == []


def test_settings_and_seed_reach_the_run_and_run_json_says_how_to_repeat_it() -> None:
    arguments = ("drain", "--set", "workers.count=8", "--seed", "5", "--no-plots", "--quiet", "--out", "a b")
    assert simulate(*arguments) == 0
    summary = json.loads(Path("a b/summary.json").read_text())
    assert summary["seed"] == 5
    assert summary["workers"]["workers"]["count"] == 8
    facts = json.loads(Path("a b/run.json").read_text())
    assert facts["command"] == ("jsm simulate drain --set workers.count=8 --set run.seed=5 --out 'a b' --no-plots")
    assert facts["wall_seconds"] > 0
    assert facts["jobs_per_second"] == pytest.approx(100 / facts["wall_seconds"], rel=1e-6)
    assert {"simpy", "polars", "beanstalk-jsm"} <= set(facts["versions"])


def test_the_written_scenario_gives_the_same_run() -> None:
    assert simulate("drain", "--seed", "9", "--no-plots", "--quiet") == 0
    assert simulate("out/drain/scenario.json", "--out", "again", "--no-plots", "--quiet") == 0
    assert Path("again/summary.json").read_bytes() == Path("out/drain/summary.json").read_bytes()


def test_equal_seeds_give_equal_bytes_whatever_the_hash_seed() -> None:
    for number in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": str(ROOT)}
        run([*SCRIPT, *SHORT, "--quiet", "--trace", "--out", number], env=environment, check=True, timeout=60)
    first, second = ({path.relative_to(n): path for path in Path(n).rglob("*") if path.is_file()} for n in ("1", "2"))
    assert sorted(first) == sorted(second)
    for name in set(first) - {Path("run.json"), Path("report.html")}:
        assert first[name].read_bytes() == second[name].read_bytes(), name
    assert simulate(*SHORT, "--quiet", "--out", "3", "--seed", "2") == 0
    assert Path("3/summary.json").read_bytes() != Path("1/summary.json").read_bytes()


def test_a_trace_has_every_transition_and_changes_no_result() -> None:
    assert simulate(*SHORT, "--quiet", "--out", "plain") == 0
    assert simulate(*SHORT, "--quiet", "--out", "traced", "--trace") == 0
    assert Path("plain/summary.json").read_bytes() == Path("traced/summary.json").read_bytes()
    with Path("traced/trace.jsonl").open(encoding="utf-8") as lines:
        trace = read_trace(lines)
        transitions = sum(isinstance(record, TransitionRecord) for record in trace.records)
    assert trace.units_per_second == 1_000_000
    assert transitions == json.loads(Path("plain/summary.json").read_text())["transitions"]["checked"]
    assert sorted(path.name for path in Path().iterdir()) == ["plain", "traced"]


# --------------------------------------------------------------------- faults


class _LyingMachine(Machine):
    """Its records say that the third reserve buried the job."""

    def __init__(self, *, observer: Any, **settings: Any) -> None:
        super().__init__(observer=_Liar(observer), **settings)


class _Liar:
    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._left = 3

    def transition(self, record: TransitionRecord) -> None:
        self._left -= record.trigger == "reserve"
        if record.trigger == "reserve" and not self._left:
            record = record._replace(target=JobState.BURIED)
        self._observer.transition(record)

    def command(self, record: Any) -> None:
        self._observer.command(record)


@pytest.mark.parametrize("traced", [False, True])
def test_an_illegal_transition_ends_the_run_with_1_and_says_which(
    traced: bool, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    if traced:
        monkeypatch.setattr("sim.run._Tee", lambda *parts: _Liar(_TEE(*parts)))
    else:
        monkeypatch.setattr("sim.run.Simulation", partial(Simulation, make_machine=_LyingMachine))
    assert simulate("drain", "--set", "workers.count=1", "--no-plots", *(["--trace"] if traced else [])) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    violation, again = shown.err.splitlines()
    assert "every_transition_is_an_edge" in violation
    assert "job 3 in tube 'default' went from ready by reserve to buried for client" in violation
    assert " s): " in violation  # when
    assert "jsm simulate drain --set workers.count=1" in again
    assert list(Path().rglob("*")) == []


def _plant_a_failing_check(monkeypatch: pytest.MonkeyPatch) -> None:
    true = balance.checks_of
    wrong = balance.Check("two_is_three", False, 2, 3, "a planted fault")
    monkeypatch.setattr("sim.metrics.checks_of", lambda books: (*true(books), wrong))


def test_a_failing_check_is_shown_and_ends_with_1(monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    _plant_a_failing_check(monkeypatch)
    assert simulate("drain", "--no-plots") == 1
    shown = capsys.readouterr()
    assert "Self-checks  1 of 14 FAIL" in shown.out
    assert shown.err == "jsm simulate: a check failed: two_is_three: 2 is not 3; a planted fault\n"
    assert json.loads(Path("out/drain/summary.json").read_text())["checks"][-1]["holds"] is False


# ----------------------------------------------------------------- interrupts

LONG = ("--set", "run.duration_seconds=1000000.0", "--set", "run.warmup_seconds=0.0", "--no-plots")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_was_finished(number: int, monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    _signal_after_records(monkeypatch, lambda: signal.raise_signal(number))
    assert simulate(*LONG) == 130
    shown = capsys.readouterr()
    assert shown.err == "jsm simulate: interrupted; the results so far are in out/steady\n"
    assert "until it was interrupted" in shown.out
    summary = json.loads(Path("out/steady/summary.json").read_text())
    assert summary["interrupted"] is True
    assert 0 < summary["simulated_seconds"] < 1_000_000
    assert all(check["holds"] for check in summary["checks"])


def test_an_interrupt_in_the_warmup_gives_a_summary_too(monkeypatch: pytest.MonkeyPatch) -> None:
    _signal_after_records(monkeypatch, lambda: signal.raise_signal(signal.SIGINT))
    assert simulate(*LONG, "--set", "run.warmup_seconds=900000.0", "--quiet") == 130
    summary = json.loads(Path("out/steady/summary.json").read_text())
    assert summary["throughput_per_second"] is None or summary["throughput_per_second"] >= 0


def test_a_second_interrupt_ends_at_once_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    _signal_after_records(monkeypatch, twice)
    before = signal.getsignal(signal.SIGINT)
    assert simulate(*LONG, "--trace") == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert capsys.readouterr().out == ""
    assert list(Path().rglob("*")) == []


@pytest.mark.parametrize(("signals", "kept"), [(1, True), (2, False)])
def test_interrupts_while_results_are_written(signals: int, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    true = results.write_table

    def interrupted(path: Path, table: Any) -> None:
        if path.name == "edges.parquet":
            for _ in range(signals):
                signal.raise_signal(signal.SIGINT)
        true(path, table)

    monkeypatch.setattr(results, "write_table", interrupted)
    assert simulate("drain", "--no-plots", "--quiet") == 130
    assert Path("out/drain/report.html").exists() is kept
    assert [path.name for path in Path("out").iterdir()] == (["drain"] if kept else [])


def test_a_process_that_is_interrupted_ends_with_130(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with Popen([*SCRIPT, *LONG, "--trace"], env=environment, stdout=PIPE, stderr=PIPE, text=True) as process:
        trace = tmp_path / f".steady.trace-{process.pid}"
        while not (trace.exists() and trace.stat().st_size) and process.poll() is None:
            time.sleep(0.02)  # the trace grows as soon as the run goes
        process.send_signal(signal.SIGINT)
        shown, complaint = process.communicate(timeout=60)
    assert process.returncode == 130, complaint
    assert "interrupted" in shown
    assert Path("out/steady/trace.jsonl").exists()


def _signal_after_records(monkeypatch: pytest.MonkeyPatch, send: Callable[[], None]) -> None:
    monkeypatch.setattr("sim.progress.RunProgress.at", lambda _self, _now: send())


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nowhere"], "nowhere: there is no such scenario; give a path, or one of the bundled scenarios: bursts, "),
        (["--set", "nonsense"], "--set nonsense: this is not KEY=VALUE; write it like workers.count=8"),
        (["--set", "run.sed=1"], "--set run.sed=1: run.sed = 1: there is no such key; did you mean seed?"),
        (["--seed", "-1"], "--set run.seed=-1: run.seed = -1: must be at least 0; give the seed"),
        (["drain", "--set", "workers.count=many"], '--set workers.count=many: workers.count = "many": must be a whole'),
        (["mm1", "--set", "producers.arrivals.rate_per_second=-2"], "--set producers.arrivals.rate_per_second=-2: "),
        (["nasa-ipsc", "--set", "producers.arrivals.file=no.swf"], "nasa-ipsc.toml with --set producers.arrivals.file"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], line: str, capsys: Shown) -> None:
    assert refused(capsys, *arguments).startswith(line)


def test_a_truncated_log_is_one_line(capsys: Shown) -> None:
    whole = gzip.compress(b"".join(b"%d %d 0 5 1 -1 -1 1 5 -1 1 1 1 1 1 -1 -1 -1\n" % (n, n) for n in range(1, 999)))
    Path("log.swf.gz").write_bytes(whole[: len(whole) // 2])
    line = refused(capsys, "nasa-ipsc", "--set", f"producers.arrivals.file={Path('log.swf.gz').resolve()}")
    assert "log.swf.gz" in line
    assert "fetch the log again" in line


def test_out_must_be_a_place_for_results(capsys: Shown) -> None:
    Path("file").write_text("mine")
    Path("foreign").mkdir()
    Path("foreign/file").write_text("mine")
    assert refused(capsys, "drain", "--out", "file").startswith("file: is not a folder; ")
    assert refused(capsys, "drain", "--out", "foreign").startswith("foreign: holds files but no summary.json")
    assert refused(capsys, "drain", "--out", "file/below").startswith("file/below: ")


@pytest.mark.parametrize("traced", [False, True])
def test_a_full_disk_is_one_line_and_leaves_the_old_result(
    traced: bool, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    assert simulate("drain", "--no-plots", "--quiet") == 0
    old = Path("out/drain/summary.json").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if traced:
        monkeypatch.setattr("sim.trace_file.TraceWriter.command", full)
    else:
        monkeypatch.setattr(results, "write_table", full)
    line = refused(capsys, "drain", "--seed", "2", "--no-plots", *(["--trace"] if traced else []))
    assert line.startswith("out/drain: ")
    assert "nothing was left behind" in line
    assert Path("out/drain/summary.json").read_bytes() == old
