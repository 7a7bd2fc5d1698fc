"""A disk in memory whose calls can fail, be the last ones, run out of space, or lose what was not forced to it."""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

BLOCK = 4096


class Died(BaseException):
    """The process ends here; no `except` of the project may catch it."""


@dataclass
class Inode:
    """A file: what programs see of it, and what is on the disk."""

    seen: bytearray = field(default_factory=bytearray)
    forced: bytes = b""

    def copy(self) -> "Inode":
        return Inode(bytearray(self.seen), self.forced)

    @property
    def size(self) -> int:
        """The bytes that it takes of the disk."""
        return -(-len(self.seen) // BLOCK) * BLOCK


Names = dict[str, Inode]
Before = Callable[["SimulatedDisk", str], None]


class SimulatedDisk:
    """`jsm.journal.disk.Disk` for one folder."""

    def __init__(self, *, capacity: int = 1 << 30) -> None:
        self.capacity = capacity
        self.seen: Names = {}
        self.forced: Names = {}
        self.unforced: list[tuple[str, Inode | None]] = []  # what became of names since they were forced
        self.open_files: dict[int, Inode] = {}
        self.locks: dict[int, str] = {}
        self.calls = 0
        self.before_call: Before = lambda _disk, _call: None
        self.in_write: Before = lambda _disk, _call: None  # when half of it is there

    # ------------------------------------------------------------------ what happens to it

    def survivor(self) -> "SimulatedDisk":
        """The disk as the next process finds it when this one was killed."""
        inodes: dict[int, Inode] = {}
        return self._with({name: inodes.setdefault(id(file), file.copy()) for name, file in self.seen.items()})

    def after_power_loss(self, random: Random) -> "SimulatedDisk":
        """The disk as it is when the power failed: what was not forced is there in part, a page, a name, or not."""
        names = dict(self.forced)
        for name, file in self.unforced:
            if random.random() < 0.5:
                if file is None:
                    names.pop(name, None)
                else:
                    names[name] = file
        kept = {name: Inode(bytearray(_mixed(file, random))) for name, file in names.items()}
        return self._with(kept)

    def _with(self, names: Names) -> "SimulatedDisk":
        disk = SimulatedDisk(capacity=self.capacity)
        disk.seen = names
        for file in names.values():
            file.forced = bytes(file.seen)
        disk.forced = dict(names)
        return disk

    @property
    def used(self) -> int:
        """The bytes that all files take."""
        files = {id(file): file for file in [*self.seen.values(), *self.open_files.values()]}
        return sum(file.size for file in files.values())

    # ------------------------------------------------------------------ the calls

    def names(self, folder: Path) -> list[str]:
        """See `Disk.names`."""
        self._call("names")
        return sorted(self.seen)

    def read(self, path: Path) -> Iterator[bytes]:
        """See `Disk.read`."""
        self._call("read")
        yield bytes(self._named(path).seen)

    def create(self, path: Path) -> int:
        """See `Disk.create`."""
        self._call("create")
        if path.name in self.seen:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        file = Inode()
        self._name(path, file)
        return self._opened(file)

    def open(self, path: Path) -> int:
        """See `Disk.open`."""
        self._call("open")
        return self._opened(self._named(path))

    def write(self, file: int, data: bytes, offset: int) -> int:
        """See `Disk.write`."""
        self._call("write")
        half = len(data) // 2
        self._put(file, data[:half], offset)
        self.in_write(self, "write")
        self._put(file, data[half:], offset + half)
        return len(data)

    def allocate(self, file: int, offset: int, size: int) -> None:
        """See `Disk.allocate`."""
        self._call("allocate")
        inode = self.open_files[file]
        self._expect_room(inode, offset + size)
        inode.seen.extend(bytes(max(0, offset + size - len(inode.seen))))

    def truncate(self, file: int, size: int) -> None:
        """See `Disk.truncate`."""
        self._call("truncate")
        seen = self.open_files[file].seen
        del seen[size:]
        seen.extend(bytes(size - len(seen)))

    def sync(self, file: int) -> None:
        """See `Disk.sync`."""
        self._call("sync")
        self.open_files[file].forced = bytes(self.open_files[file].seen)

    def sync_folder(self, folder: Path) -> None:
        """See `Disk.sync_folder`."""
        self._call("sync_folder")
        self.forced = dict(self.seen)
        self.unforced.clear()

    def close(self, file: int) -> None:
        """See `Disk.close`."""
        self._call("close")
        del self.open_files[file]
        self.locks.pop(file, None)

    def rename(self, old: Path, new: Path) -> None:
        """See `Disk.rename`."""
        self._call("rename")
        self._name(new, self._named(old))
        self._name(old, None)

    def remove(self, path: Path) -> None:
        """See `Disk.remove`."""
        if path.name in self.seen:  # what is not there is no step at which something could happen
            self._call("remove")
        self._named(path)
        self._name(path, None)

    def lock(self, path: Path) -> int | None:
        """See `Disk.lock`."""
        self._call("lock")
        if path.name in self.locks.values():
            return None
        file = self._opened(Inode())
        self.locks[file] = path.name
        return file

    # ------------------------------------------------------------------ inside

    def _call(self, name: str) -> None:
        self.calls += 1
        self.before_call(self, name)

    def _named(self, path: Path) -> Inode:
        if path.name not in self.seen:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self.seen[path.name]

    def _name(self, path: Path, file: Inode | None) -> None:
        """Let a name stand for a file, or for none."""
        self.unforced.append((path.name, file))
        if file is None:
            del self.seen[path.name]
        else:
            self.seen[path.name] = file

    def _opened(self, file: Inode) -> int:
        number = max(self.open_files, default=2) + 1
        self.open_files[number] = file
        return number

    def _put(self, file: int, data: bytes, offset: int) -> None:
        inode = self.open_files[file]
        self._expect_room(inode, offset + len(data))
        seen = inode.seen
        seen.extend(bytes(max(0, offset - len(seen))))
        seen[offset : offset + len(data)] = data

    def _expect_room(self, inode: Inode, end: int) -> None:
        grown = -(-max(end, len(inode.seen)) // BLOCK) * BLOCK - inode.size
        if grown > 0 and self.used + grown > self.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _mixed(file: Inode, random: Random) -> bytes:
    """What is on the disk of a file: each page as it was forced or as it was seen last."""
    size = random.choice([len(file.forced), len(file.seen)])
    pages = []
    for start in range(0, size, BLOCK):
        source = random.choice([file.forced, file.seen])
        page = bytes(source[start : start + BLOCK])
        pages.append(page.ljust(min(BLOCK, size - start), b"\0")[: size - start])
    return b"".join(pages)
