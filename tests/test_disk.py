"""The system's disk does what the simulated one does."""

import errno
import os
from pathlib import Path

import pytest

from jsm.journal.disk import Disk, SystemDisk, write_all
from tests.simulated_disk import SimulatedDisk


@pytest.fixture(params=["system", "simulated"])
def disk(request: pytest.FixtureRequest) -> Disk:
    """Each of the two."""
    return SystemDisk() if request.param == "system" else SimulatedDisk()


def content(disk: Disk, path: Path) -> bytes:
    return b"".join(disk.read(path))


def test_a_file_is_made_written_cut_moved_and_removed(tmp_path: Path, disk: Disk) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    file = disk.create(path)
    assert disk.write(file, b"hello", 0) == 5
    assert disk.write(file, b"J", 0) == 1
    disk.allocate(file, 5, 3)
    assert content(disk, path) == b"Jello\0\0\0"
    disk.allocate(file, 0, 2)
    assert len(content(disk, path)) == 8
    disk.truncate(file, 4)
    disk.sync(file)
    disk.sync_folder(tmp_path)
    disk.close(file)
    assert content(disk, path) == b"Jell"
    file = disk.open(path)
    disk.write(file, b"!", 4)
    disk.close(file)
    disk.rename(path, other)
    assert disk.names(tmp_path) == ["b"]
    assert content(disk, other) == b"Jell!"
    disk.remove(other)
    assert disk.names(tmp_path) == []


def test_what_is_not_there_and_what_is_are_refused(tmp_path: Path, disk: Disk) -> None:
    for refused in (disk.open, disk.remove, lambda path: b"".join(disk.read(path))):
        with pytest.raises(FileNotFoundError):
            refused(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        disk.rename(tmp_path / "none", tmp_path / "some")
    disk.close(disk.create(tmp_path / "a"))
    with pytest.raises(FileExistsError):
        disk.create(tmp_path / "a")


def test_a_lock_is_one_holders_until_it_is_closed(tmp_path: Path, disk: Disk) -> None:
    lock = disk.lock(tmp_path / "lock")
    assert lock is not None
    assert disk.lock(tmp_path / "lock") is None
    disk.close(lock)
    again = disk.lock(tmp_path / "lock")
    assert again is not None
    disk.close(again)


def test_where_the_system_can_not_allocate_zero_bytes_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_file: int, _offset: int, _size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    disk = SystemDisk()
    file = disk.create(tmp_path / "a")
    disk.write(file, b"x", 0)
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    disk.allocate(file, 1, 100_000)
    assert content(disk, tmp_path / "a") == b"x" + bytes(100_000)
    monkeypatch.delattr(os, "posix_fallocate")
    disk.allocate(file, 100_001, 10)
    assert len(content(disk, tmp_path / "a")) == 100_011
    disk.close(file)


def test_a_refused_allocation_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_file: int, _offset: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    disk = SystemDisk()
    file = disk.create(tmp_path / "a")
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="No space left"):
        disk.allocate(file, 0, 10)
    disk.close(file)


def test_writes_in_part_go_on() -> None:
    class Short(SimulatedDisk):
        def write(self, file: int, data: bytes, offset: int) -> int:
            """Three bytes at most."""
            return super().write(file, data[:3], offset)

    disk = Short()
    file = disk.create(Path("a"))
    write_all(disk, file, b"hello, world", 2)
    assert content(disk, Path("a")) == b"\0\0hello, world"
