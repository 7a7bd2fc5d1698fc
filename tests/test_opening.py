"""Opening a folder: one process at a time, the settings, the time that passed, what is left behind."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jsm import journal
from jsm.errors import BadValueError
from jsm.job import ClientID, JobID
from jsm.journal import SYNC_NEVER, JournalError, JournalUnfitError, SyncPolicy, open_journal
from jsm.journal.recovery import CHANGING_OPERATIONS
from jsm.states import JobState
from models.calls import Call
from tests.journalled import ask, made, opened, put, state_of
from tests.simulated_disk import Inode, SimulatedDisk

SECOND = 1_000_000_000  # nanoseconds


# ---------------------------------------------------------------------- a real folder


def test_a_folder_is_begun_closed_and_opened_again(tmp_path: Path) -> None:
    with open_journal(tmp_path, units_per_second=3, sync=SYNC_NEVER) as machine:
        assert made(machine, put(0, b"kept"))[0] == "ok"
        machine.before_replies()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.0000000001.jsonl", "lock"]
    assert (tmp_path / "journal.0000000001.jsonl").read_bytes().endswith(b"}\n"), "the reserve is given back"
    with open_journal(str(tmp_path), units_per_second=3) as machine:
        assert machine.get_job(JobID(1)).body == b"kept"
        machine.compact()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["journal.0000000003.jsonl", "lock", "snapshot.0000000003"]
    with open_journal(tmp_path, units_per_second=3) as machine:
        assert (machine.warnings, machine.folder) == ((), tmp_path)


def test_one_process_at_a_time_has_a_folder(tmp_path: Path) -> None:
    program = "import sys; from jsm.journal import open_journal; open_journal(sys.argv[1]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(JournalUnfitError) as refused:
            open_journal(tmp_path)
        assert str(refused.value) == (
            f"{tmp_path}: another server (process {child.pid}) has the folder; stop it, or name another folder"
        )
        child.kill()
    with open_journal(tmp_path) as machine, pytest.raises(JournalUnfitError, match=rf"process {os.getpid()}"):
        open_journal(machine.folder)
    open_journal(tmp_path).close()


def test_a_folder_that_is_not_there_or_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=rf"{tmp_path}/none: can't use the folder: No such file or directory"):
        open_journal(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="can't use the folder: Not a directory"):
        open_journal(tmp_path / "file")


@pytest.mark.parametrize("size", [0, -1, 1.5, "1", True])
def test_a_file_size_is_a_number_of_bytes(tmp_path: Path, size: object) -> None:
    with pytest.raises(BadValueError, match=r"file_size = .*: expected a number of bytes of at least 1"):
        open_journal(tmp_path, file_size=size)  # type: ignore[arg-type]  # wrong on purpose
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_policy_has_a_time(seconds: float) -> None:
    with pytest.raises(BadValueError, match="interval_seconds"):
        SyncPolicy(seconds)


# ---------------------------------------------------------------------- settings


def test_other_units_are_refused_with_the_ones_to_use() -> None:
    disk = SimulatedDisk()
    opened(disk, units_per_second=7).close()
    problem = "it counts 7 units a second, and units_per_second = 9 is asked for; open the folder with 7, or another"
    with pytest.raises(JournalUnfitError, match=rf"journal\.0000000001\.jsonl: {problem}"):
        opened(disk, units_per_second=9)
    with opened(disk, units_per_second=7) as machine:
        machine.compact()
    with pytest.raises(JournalUnfitError, match=rf"snapshot\.0000000003: {problem}"):
        opened(disk, units_per_second=9)
    assert opened(disk, units_per_second=7).units_per_second == 7


def test_another_size_of_bodies_holds_from_then_on() -> None:
    disk = SimulatedDisk()
    with opened(disk, max_job_size=10) as machine:
        made(machine, put(0, b"x" * 10))
        assert made(machine, put(0, b"x" * 11))[0] == "BodyTooBigError"
    with opened(disk, max_job_size=20) as machine:
        made(machine, put(0, b"x" * 20))
        assert machine.max_job_size == 20
    with pytest.raises(JournalUnfitError) as refused:
        opened(disk, max_job_size=19)
    assert str(refused.value) == (
        "/simulated: job 2 has 20 bytes, and max_job_size is 19; ask for a max_job_size of at least 20, "
        "or delete the job first"
    )
    with opened(disk, max_job_size=20) as machine:
        made(machine, Call("delete", (2, "a")))
        machine.compact()
    with opened(disk, max_job_size=15) as machine:
        machine.compact()
        assert made(machine, put(0, b"x" * 16))[0] == "BodyTooBigError"
        assert made(machine, put(0, b"x" * 15))[0] == "ok"
    assert len(state_of(opened(disk, max_job_size=15)).jobs) == 2


# ---------------------------------------------------------------------- what a restart does


def test_what_was_reserved_is_ready_and_what_waited_is_gone() -> None:
    disk = SimulatedDisk()
    machine = opened(disk)
    for call in (put(0), put(0, tube="t", delay=9), ask(1, "a"), ask(1, "b"), Call("watch_tube", ("c", "only"))):
        made(machine, call)
    made(machine, Call("pause_tube", (1, "t", 50)))
    assert machine.count_jobs()[JobState.RESERVED] == 1
    again = opened(disk.survivor())
    assert again.count_jobs()[JobState.READY] == 1
    assert again.check_client_state([ClientID("a"), ClientID("b")]).unknown == ["a", "b"]
    assert again.get_tubes() == ["default", "t"]
    assert again.get_job(JobID(1)).reserves == 1
    assert b"pause-time-left: 50\n" in again.get_stats_tube_as_yaml(1, "t")  # type: ignore[arg-type]  # a name


def test_statistics_begin_anew_but_for_those_of_the_jobs() -> None:
    disk = SimulatedDisk()
    machine = opened(disk)
    for call in (put(0), ask(0, "a"), Call("release", (1, "a")), ask(0, "a"), Call("tick", (5,)), put(5)):
        made(machine, call)
    made(machine, Call("delete", (2, "a")))
    text = opened(disk.survivor()).get_stats_as_yaml(5)
    for line in ("cmd-put: 0", "cmd-reserve: 0", "total-jobs: 0", "job-timeouts: 0", "current-jobs-ready: 1"):
        assert f"{line}\n".encode() in text
    again = opened(disk.survivor())
    job = again.get_job(JobID(1))
    assert (job.reserves, job.releases, job.timeouts) == (2, 1, 1)
    assert b"total-jobs: 0\n" in again.get_stats_tube_as_yaml(5, "default")  # type: ignore[arg-type]  # a name
    assert again.put(5, priority=0, delay_seconds=0, ttr_seconds=1, body=b"", tube="default") == 3  # type: ignore[arg-type]  # a name


def test_time_goes_on_while_nobody_serves() -> None:
    disk = SimulatedDisk()
    start = 1_700_000_000 * SECOND
    machine = opened(disk, units_per_second=1_000, wall_nanoseconds=start)
    assert (machine.resumes_at, machine.clock) == (0, 0)
    made(machine, put(2_500))
    again = opened(disk.survivor(), units_per_second=1_000, wall_nanoseconds=start + 10 * SECOND)
    assert (again.resumes_at, again.clock) == (10_000, 2_500)
    again.compact()
    made(again, put(10_500))
    later = opened(disk.survivor(), units_per_second=1_000, wall_nanoseconds=start + 10 * SECOND + 700_000_000)
    assert later.resumes_at == 10_700


def test_time_never_goes_back() -> None:
    disk = SimulatedDisk()
    start = 1_700_000_000 * SECOND
    machine = opened(disk, wall_nanoseconds=start)
    made(machine, put(50))
    again = opened(disk.survivor(), wall_nanoseconds=start - 1_000 * SECOND)
    assert again.resumes_at == 50


def test_a_clock_that_stands_while_nobody_serves_goes_on_where_it_stood() -> None:
    disk = SimulatedDisk()
    machine = opened(disk, wall_nanoseconds=5 * SECOND)
    made(machine, put(3))
    again = disk.survivor()
    for wall in (None, 900 * SECOND, 910 * SECOND):
        with opened(again, wall_nanoseconds=wall) as stood:
            assert stood.resumes_at == (3 if wall != 910 * SECOND else 13)
    after_a_stand = SimulatedDisk()
    opened(after_a_stand).close()
    assert opened(after_a_stand, wall_nanoseconds=900 * SECOND).resumes_at == 0
    assert opened(after_a_stand.survivor(), wall_nanoseconds=910 * SECOND).resumes_at == 10


def test_what_an_interrupted_snapshot_left_is_removed() -> None:
    disk = SimulatedDisk()
    disk.seen["snapshot.0000000004.part"] = Inode(bytearray(b"half"))
    opened(disk).close()
    assert sorted(disk.seen) == ["journal.0000000001.jsonl"]


def test_restarts_do_not_leave_ever_more_files() -> None:
    disk = SimulatedDisk()
    for _ in range(30):
        with opened(disk):
            assert len(disk.seen) <= 9
    with opened(disk) as machine:
        assert int(machine.statistics()["binlog-current-index"]) > 30


# ---------------------------------------------------------------------- the description


def test_the_description_is_true() -> None:
    """Its example runs, and its lines have the names of the real ones."""
    folder = Path(journal.__file__).parent
    text = (folder / "README.md").read_text("utf-8")
    [example] = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    subprocess.run([sys.executable, "-c", example], cwd=Path(__file__).parent.parent, check=True)
    [lines] = re.findall(r"^```json\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    disk = SimulatedDisk()
    machine = opened(disk)
    made(machine, put(0))
    made(machine, Call("delete", (1, "a")))
    real = bytes(disk.seen["journal.0000000001.jsonl"].seen).rstrip(b"\0").splitlines()
    for shown, written in zip(lines.splitlines(), real, strict=True):
        one, other = json.loads(shown), json.loads(written)
        assert list(one) == list(other)
        assert list(one.get("args", {})) == list(other.get("args", {}))
    assert f"one of the {len(CHANGING_OPERATIONS)} operations" in text
    modules = {path.stem for path in folder.glob("[a-z]*.py")} - {"arguments", "errors", "reading"}
    assert all(f"`{name}`" in text for name in modules)
