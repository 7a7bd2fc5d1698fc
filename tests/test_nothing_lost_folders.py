"""`jsm serve -b` in folders that it can't use, which it leaves alone; and ids and time over a restart."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from jsm import TubeName
from jsm.journal import open_journal
from jsm.wire.serving import UNITS_PER_SECOND
from tests.server_processes import refused, server_process

DEFAULT = TubeName("default")


def contents(folder: Path) -> dict[str, bytes]:
    """What stands in a folder's files, but for whose it is."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a snapshot and three files of records behind it."""
    folder = tmp_path_factory.mktemp("journal")
    for turn in range(3):
        with open_journal(folder, units_per_second=UNITS_PER_SECOND) as machine:
            for _ in range(20):
                machine.put(machine.clock, priority=0, delay_seconds=0, ttr_seconds=60, body=b"a body", tube=DEFAULT)
            if not turn:
                machine.compact()
    assert sorted(contents(folder)) == [*(f"journal.000000000{n}.jsonl" for n in (2, 3, 4)), "snapshot.0000000002"]
    return folder


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def swap_with_the_next(path: Path) -> None:
    other = path.with_name("journal.0000000004.jsonl")
    data = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(data)


def add_a_foreign_binlog(path: Path) -> None:
    path.with_name("binlog.1").write_bytes(b"beanstalkd's")


@pytest.mark.parametrize(
    ("name", "damage", "problem", "remedy"),
    [
        ("journal.0000000003.jsonl", flip, "the checksum does not fit: this line or one before it", "truncate -s"),
        ("journal.0000000003.jsonl", halve, "the line is not finished, and later files hold records", "truncate -s"),
        ("journal.0000000003.jsonl", Path.unlink, "the file is missing", "put it back: it holds calls of the journal"),
        ("journal.0000000002.jsonl", Path.unlink, "the file is missing", "put it back: it holds calls of the journal"),
        ("journal.0000000003.jsonl", swap_with_the_next, "it is number 4 of the journal", "rename it"),
        ("snapshot.0000000002", flip, "", ""),
        ("snapshot.0000000002", halve, "", ""),
        ("snapshot.0000000002", Path.unlink, "the file is missing", "put it back"),
        ("journal.0000000002.jsonl", add_a_foreign_binlog, "a file of beanstalkd's own binlog", "name another folder"),
    ],
)
def test_a_damaged_folder_is_refused_in_a_line_and_left_alone(
    journal: Path, tmp_path: Path, name: str, damage: Callable[[Path], object], problem: str, remedy: str
) -> None:
    folder = tmp_path / "journal"
    shutil.copytree(journal, folder)
    damage(folder / name)
    before = contents(folder)
    line = refused("-l", "127.0.0.1", "-p", "0", "-b", str(folder))
    assert line.startswith(f"jsm-beanstalkd: {folder}")
    assert problem in line
    assert remedy in line
    assert "; " in line
    assert contents(folder) == before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"mine")
    line = refused("-l", "127.0.0.1", "-p", "0", "-b", str(path))
    assert line == (
        f"jsm-beanstalkd: -b = '{path}': {path}: can't use the folder: Not a directory; "
        "give a folder that is there and may be written to"
    )
    assert (list(tmp_path.iterdir()), path.read_bytes()) == ([path], b"mine")


def test_a_second_server_changes_nothing(tmp_path: Path) -> None:
    with server_process("-b", str(tmp_path), "-f", "0") as server:
        assert server.connect().ask("put 1 0 60 1\r\na") == "INSERTED 1"
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert refused("-l", "127.0.0.1", "-p", "0", "-b", str(tmp_path)) == (
            f"jsm-beanstalkd: {tmp_path}: another server (process {server.process.pid}) has the folder; "
            "stop it, or name another folder"
        )
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_id_of_a_job_that_is_gone_is_not_given_again(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        with server_process("-b", str(tmp_path), "-s", "4096") as server:
            client = server.connect()
            assert client.ask("put 1 0 60 1\r\na") == f"INSERTED {number}"
            assert client.ask(f"delete {number}") == "DELETED"
            server.stop(signal.SIGKILL)


def test_a_clock_that_is_moved_by_hand_does_not_go_back(tmp_path: Path) -> None:
    with server_process("-b", str(tmp_path), "--clock", "manual", lines=2) as server:
        assert server.connect().ask("put 1 50 60 1\r\na") == "INSERTED 1"
        assert server.clock().ask("advance 30") == "OK 30"
        server.stop(signal.SIGKILL)
    with server_process("-b", str(tmp_path), "--clock", "manual", lines=2) as server:
        assert server.clock().ask("now") == "30"
