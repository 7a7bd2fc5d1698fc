"""A result folder is whole or not there, the same run writes the same bytes, and every mistake is one clear line."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from jsm.states import LIVE_STATES, JobState, Trigger
from jsm.transitions import Transition
from models.watcher import TransitionWatcher
from sim.metrics import Metrics
from sim.result_folder import read_result_folder
from sim.results import (
    OutputError,
    check_out,
    fresh_folder,
    percentile_grid,
    rounded,
    summary_of,
    tables_of,
    write_json,
    write_result,
    write_table,
)
from sim.run_result import Outcome, PoolInfo, RunInfo, RunResult
from tests.made_records import edge_counts, history, left_of, totals_of, waits_of

INFO = RunInfo(scenario="made", description="A random history — with a dash", seed=4, notes=("a note",))
SEED, STEPS = 3, 500


def _result(*, warmup_at: int = 0) -> RunResult:
    records = history(SEED, steps=STEPS)
    watcher = TransitionWatcher()
    watcher.consume(records)
    metrics = Metrics(
        units_per_second=8,
        classes=("even", "odd"),
        pools=(PoolInfo("all", 2), PoolInfo("none", 0)),
        warmup_at=warmup_at,
    )
    metrics.class_of.update({record.job: record.job % 2 for record in records})
    metrics.consume(records)
    metrics.work(0, 1, 8, 40, Outcome.DONE)
    metrics.work(0, 1, 40, 44, Outcome.FAILED)
    metrics.absent(0, 1, 80, 160)
    return metrics.finish(_end(), left_of(records), watched=watcher.report())


def _end() -> int:
    return history(SEED, steps=STEPS)[-1].at + 1


def _write(out: Path, *writers: Callable[[Path], None]) -> None:
    write_result(_result(), INFO, out, run={"wall_seconds": 1.5}, scenario={"name": "made"}, writers=writers)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_summary_has_the_documented_keys_in_order() -> None:
    summary = summary_of(_result(warmup_at=80), INFO)
    assert list(summary) == [
        *("format", "scenario", "description", "seed", "interrupted", "simulated_seconds", "warmup_seconds", "jobs"),
        *("throughput_per_second", "wait_seconds", "total_seconds", "mean_jobs", "utilisation", "workers", "counts"),
        *("transitions", "invariants", "littles_law", "checks", "notes"),
    ]
    for measure in ("wait_seconds", "total_seconds"):
        numbers = ["count", "mean", "p50", "p90", "p99", "p999", "max"]
        assert list(summary[measure]) == [*numbers, "by_class"]
        assert list(summary[measure]["by_class"]) == ["even", "odd"]
        assert list(summary[measure]["by_class"]["odd"]) == numbers
    assert {"reserves", "timeouts", "releases", "buries", "kicks", "touches", "closes"} <= set(summary["counts"])


def test_summary_numbers_are_those_of_the_records() -> None:
    records, end = history(SEED, steps=STEPS), _end()
    summary = summary_of(_result(warmup_at=80), INFO)
    puts = sum(1 for record in records if record.source is JobState.NEW)
    deletes = [record for record in records if record.target is JobState.DELETED]
    assert summary["jobs"] == {
        "put": puts,
        "deleted": len(deletes),
        "left": {str(state): left_of(records)[state] for state in LIVE_STATES},
    }
    window = (end - 80) / 8
    assert summary["simulated_seconds"] == end / 8
    assert summary["warmup_seconds"] == 10
    assert summary["throughput_per_second"] == sum(1 for record in deletes if record.at >= 80) / window
    waits = [wait for _, _, wait in waits_of(records, 80)]
    assert summary["wait_seconds"]["count"] == len(waits)
    assert summary["wait_seconds"]["mean"] == float(Fraction(sum(waits), len(waits) * 8))
    assert summary["wait_seconds"]["max"] == max(waits) / 8
    assert summary["total_seconds"]["count"] == len(totals_of(records, 80))
    assert summary["utilisation"] == 0  # all work was done in the warm-up
    assert summary["workers"]["all"]["present_seconds"] == 2 * window - 10
    assert summary["workers"]["none"]["utilisation"] is None
    assert summary["transitions"]["checked"] == STEPS
    assert summary["transitions"]["illegal"] == 0
    assert sum(summary["transitions"]["edges"].values()) == STEPS
    assert (
        summary["transitions"]["edges"]["reserved>ready by release"]
        == edge_counts(records)[Transition(JobState.RESERVED, Trigger.RELEASE, JobState.READY)]
    )
    assert summary["transitions"]["edge_pairs_seen"] > 0
    assert all(check["holds"] for check in summary["checks"])
    for numbers in summary["littles_law"].values():
        product = numbers["visits_per_second"] * numbers["mean_visit_seconds"]
        assert numbers["mean_jobs"] == pytest.approx(product, rel=1e-12)


def test_numbers_of_nothing_are_null() -> None:
    metrics = Metrics(units_per_second=1, classes=("a",), pools=())
    result = metrics.finish(0, {})
    summary = summary_of(result, INFO)
    assert summary["wait_seconds"]["count"] == 0
    assert summary["wait_seconds"]["by_class"]["a"]["p999"] is None
    assert summary["throughput_per_second"] is None
    assert summary["utilisation"] is None
    tables = tables_of(result)
    assert tables["latency"].height == 0
    assert tables["timeline"]["ready_mean"].to_list() == [None]


def test_tables_have_the_documented_columns_and_add_up() -> None:
    tables = tables_of(_result())
    timeline, records = tables["timeline"], history(SEED, steps=STEPS)
    assert timeline.columns == [
        *("start_seconds", "width_seconds", "puts", "reserves", "deletes", "timeouts", "releases", "buries", "kicks"),
        *("ready_mean", "delayed_mean", "reserved_mean", "buried_mean", "busy_mean", "workers"),
        *("wait_count", "wait_mean", "wait_p50", "wait_p90", "wait_p99"),
        *("total_count", "total_mean", "total_p50", "total_p90", "total_p99"),
    ]
    assert timeline["width_seconds"].sum() == _end() / 8
    assert timeline["wait_count"].sum() == len(waits_of(records))
    assert timeline["total_count"].sum() == len(totals_of(records))
    assert (timeline["busy_mean"] * timeline["width_seconds"]).sum() == pytest.approx(36 / 8)
    assert (timeline["workers"] * timeline["width_seconds"]).sum() == pytest.approx((2 * _end() - 80) / 8)
    empty = timeline.filter(pl.col("wait_count") == 0)
    assert empty["wait_mean"].null_count() == empty.height > 0
    workers = tables["workers"]
    assert workers.columns[:5] == ["pool", "worker", "busy_seconds", "present_seconds", "utilisation"]
    assert {"jobs_done", "failures", "crashes", "late"} <= set(workers.columns)
    assert workers["busy_seconds"].to_list() == [0, 4.5]
    assert workers["jobs_done"].to_list() == [0, 1]
    assert tables["edges"].columns == ["source", "trigger", "target", "count"]
    assert tables["edges"]["count"].sum() == STEPS
    pairs = tables["edge_pairs"]
    assert pairs.columns == ["first_source", "first_trigger", "state", "second_trigger", "second_target", "count"]
    assert pairs["count"].sum() == STEPS - tables["edges"].filter(source="new")["count"].sum()


def test_latency_table_is_a_curve_for_each_measure_and_class() -> None:
    latency = tables_of(_result())["latency"]
    assert latency.columns == ["measure", "class", "percentile", "seconds", "count"]
    for measure in ("wait", "total"):
        for name in ("", "even", "odd"):
            rows = latency.filter(pl.col("measure") == measure, pl.col("class") == name)
            assert rows["percentile"].is_sorted()
            assert rows["seconds"].is_sorted()
            assert rows["percentile"][-1] == 100


def test_percentile_grid_goes_as_far_as_the_count() -> None:
    assert percentile_grid(0) == []
    assert percentile_grid(1) == [0, 1]
    for count, last in ((1000, 99.9), (10**5, 99.999), (10**9, 99.999)):
        grid = percentile_grid(count)
        assert [float(100 * q) for q in grid[-2:]] == [last, 100]
        assert grid == sorted(set(grid))
        assert {Fraction(1, 2), Fraction(9, 10), Fraction(99, 100), Fraction(999, 1000)} <= set(grid)


def test_floats_are_rounded_to_nine_digits() -> None:
    value = {"a": [1 / 3, 2e9 / 3, (1e-12 / 3,)], "b": 12345678912, "c": None, "d": True}
    assert rounded(value) == {"a": [0.333333333, 666666667.0, [3.33333333e-13]], "b": 12345678912, "c": None, "d": True}


def test_a_folder_is_read_back(tmp_path: Path) -> None:
    _write(tmp_path / "out")
    folder = read_result_folder(tmp_path / "out")
    assert folder.summary == rounded(summary_of(_result(), INFO))
    assert folder.run == {"wall_seconds": 1.5}
    assert folder.timeline.equals(tables_of(_result())["timeline"])
    assert json.loads((tmp_path / "out" / "scenario.json").read_text()) == {"name": "made"}
    assert "—" in (tmp_path / "out" / "summary.json").read_text(encoding="utf-8")


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from tests.test_results import _write; _write(Path(sys.argv[1]))"
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / seed)], env=environment, check=True)
    assert _digests(tmp_path / "1") == _digests(tmp_path / "2")
    assert len(_digests(tmp_path / "1")) == 8


def test_writers_add_to_the_same_folder(tmp_path: Path) -> None:
    def writer(folder: Path) -> None:
        assert read_result_folder(folder).summary["seed"] == 4  # everything else is there already
        (folder / "report.html").write_text("report")

    _write(tmp_path / "out", writer)
    assert (tmp_path / "out" / "report.html").read_text() == "report"
    assert os.listdir(tmp_path) == ["out"]


def test_folders_on_the_way_are_made_and_permissions_are_ordinary(tmp_path: Path) -> None:
    _write(tmp_path / "a" / "b")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "a" / "b").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_earlier_result_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _write(out, lambda folder: (folder / "old.png").touch())
    _write(out)
    assert not (out / "old.png").exists()
    assert os.listdir(tmp_path) == ["out"]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "there")
    _write(tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "there" / "summary.json").exists()


@pytest.mark.parametrize("foreign", ["notes.txt", "summary.json"])
def test_a_folder_that_is_no_result_is_left_alone(tmp_path: Path, foreign: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / foreign).write_text('{"mine": 1}')
    with pytest.raises(OutputError) as caught:
        _write(out)
    assert _line(caught.value).startswith(f"{out}: holds files but no summary.json of an earlier result")
    assert "name another folder with --out" in _line(caught.value)
    assert (out / foreign).read_text() == '{"mine": 1}'
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    with pytest.raises(OutputError, match="is not a folder; name another folder with --out"):
        check_out(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "precious"


def test_a_file_on_the_way_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError) as caught:
        _write(tmp_path / "file" / "out")
    assert "can't be written: Not a directory" in _line(caught.value)


def test_empty_folders_and_new_names_may_be_written(tmp_path: Path) -> None:
    check_out(tmp_path)
    check_out(tmp_path / "new")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_failure_leaves_everything_as_it_was(tmp_path: Path, number: int, earlier: bool) -> None:
    out = tmp_path / "out"
    if earlier:
        _write(out)
    before = _digests(tmp_path)

    def failing(folder: Path) -> None:
        (folder / "half.png").write_text("half")
        raise OSError(number, os.strerror(number), str(folder / "half.png"))

    with pytest.raises(OutputError) as caught:
        _write(out, failing)
    words = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk is full", errno.EACCES: "may not be written"}
    assert words.get(number, "Input/output error") in _line(caught.value)
    assert "--out" in _line(caught.value)
    assert _digests(tmp_path) == before
    assert os.listdir(tmp_path) == (["out"] if earlier else [])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupt_or_a_bug_leaves_everything_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    def interrupted(folder: Path) -> None:
        raise error

    with pytest.raises(error):
        _write(tmp_path / "out", interrupted)
    assert os.listdir(tmp_path) == []


def test_a_rename_that_fails_brings_the_earlier_result_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    _write(out)
    before = _digests(out)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if "partial" in self.name:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputError):
        _write(out)
    assert _digests(out) == before
    assert os.listdir(tmp_path) == ["out"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB; without the right to mount one, a write that fails as a full disk's would."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    mounted = (
        mount is not None
        and not subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False
        ).returncode
    )
    patch = pytest.MonkeyPatch()
    if not mounted:
        patch.setattr(Path, "write_bytes", _full)
    try:
        yield disk
    finally:
        patch.undo()
        if mounted:
            subprocess.run(["umount", str(disk)], check=True)


def _full(self: Path, data: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))


def test_a_full_disk_is_one_line_and_leaves_nothing(small_disk: Path) -> None:
    def big(folder: Path) -> None:
        (folder / "big.png").write_bytes(bytes(200_000))

    with pytest.raises(OutputError) as caught:
        _write(small_disk / "out", big)
    assert _line(caught.value) == (
        f"{small_disk / 'out'}: the disk is full; nothing was left behind; "
        "free some space, or name a folder on another disk with --out"
    )
    assert os.listdir(small_disk) == []


def test_writing_json_and_tables_is_exact(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1 / 3, "a": "ü"})
    assert (tmp_path / "a.json").read_bytes() == '{\n  "b": 0.333333333,\n  "a": "ü"\n}\n'.encode()
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"nan": float("nan")})
    table = pl.DataFrame({"x": [1.5, None]})
    for name in ("1", "2"):
        write_table(tmp_path / name, table)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert pl.read_parquet(tmp_path / "1").equals(table)


def test_fresh_folder_serves_other_writers_too(tmp_path: Path) -> None:
    with fresh_folder(tmp_path / "sweep") as folder:
        write_json(folder / "summary.json", {"format": 1, "scenario": "x"})
        assert not (tmp_path / "sweep").exists()
    check_out(tmp_path / "sweep")


def _line(error: Any) -> str:
    text = str(error)
    assert "\n" not in text
    return text
