"""`jsm serve -b` where there is no room: puts are refused first, jobs are served, nothing that was told is lost."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple, Self

import pytest

from tests.ledger_clients import Book, Conversation, TubeClient, found_jobs, run_until_killed
from tests.server_processes import BEANSTALKD, ServerProcess, server_process
from tests.test_nothing_lost import SECONDS, address_of, compare
from tests.tube_ledger import Command, TubeLedger, Unexpected

WHERE = ("-l", "127.0.0.1", "-p", "0")
KILOBYTE = 1024
BODY_BYTES = 6000
FILLING = "filling"


class Place(NamedTuple):
    """A folder with little room, and the command that starts a server there."""

    folder: Path
    command: tuple[str, ...]


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Place]:
    """A file system of its own."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield Place(folder, (*BEANSTALKD, *WHERE, "-b", str(folder)))
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def small_files(folder: Path, kilobytes: int) -> Iterator[Place]:
    """A process whose files can't become longer."""
    folder.mkdir()
    program = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes * KILOBYTE},) * 2)\n"
        "from jsm.wire.beanstalkd import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    yield Place(folder, (sys.executable, "-c", program, *WHERE, "-b", str(folder)))


def may_mount() -> bool:
    """Whether this process may mount a file system, which is left to root."""
    if os.geteuid() or shutil.which("unshare") is None or shutil.which("mount") is None:
        return False
    tried = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


Room = Callable[[Path, int], AbstractContextManager[Place]]
ROOMS: list[Room] = [small_files, *([small_disk] if may_mount() else [])]

FULL = (b"OUT_OF_MEMORY", b"INTERNAL_ERROR")


class Keeper:
    """A client whose every command is checked with its ledger, one at a time."""

    def __init__(self, server: ServerProcess, ledger: TubeLedger) -> None:
        if not server.lines[0]:
            raise Unexpected(f"the server did not start: {server.stop(signal.SIGKILL)}")
        assert isinstance(server.address, tuple)
        self._conversation = Conversation(server.address)
        self._ledger = ledger

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._conversation.socket.close()

    def ask(self, word: str, *numbers: int, body: bytes = b"") -> bytes:
        """The reply to a command, which is what the ledger expects, or that there is no room for a put."""
        command = Command(word, numbers, body)
        (reply,) = self._conversation.ask([command.sent])
        if word == "put" and reply == b"OUT_OF_MEMORY":
            return reply
        expected = self._ledger.run(command, int(reply.split()[1]) if word == "put" else None)
        if reply != expected:
            raise Unexpected(f"{command} was answered {reply!r}, expected {expected!r}")
        return reply

    def fill(self, *, refusals: int) -> int:
        """Put jobs until so many were refused, one after the other; how many were not."""
        taken = refused = 0
        while refused < refusals:
            body = b"%d " % time.monotonic_ns() + b"x" * BODY_BYTES
            if self.ask("put", 5, 0, 1000, body=body) == b"OUT_OF_MEMORY":
                refused += 1
            else:
                refused = 0
                taken += 1
        return taken

    def compare(self) -> None:
        """Compare what the server has with the ledger, in which every client is gone."""
        last = max([*self._ledger.jobs, *self._ledger.gone])
        found = found_jobs(self._conversation, last)
        self._ledger = self._ledger.survived([], found)

    def serve_some(self) -> None:
        """Reserve, and end it in each way."""
        numbers = [int(self.ask("reserve-with-timeout", 0).split()[1]) for _ in range(16)]
        for number in numbers:
            match number % 4:
                case 0:
                    assert self.ask("bury", number, 7) == b"BURIED"
                case 1:
                    assert self.ask("release", number, 9, 5000) == b"RELEASED"
                case 2:
                    assert self.ask("delete", number) == b"DELETED"
                case _:
                    assert self.ask("touch", number) == b"TOUCHED"
        assert self.ask("kick", 1) == b"KICKED 1"
        assert self.ask("kick-job", self._ledger.buried()[0].id) == b"KICKED"

    def delete_all_but(self, count: int) -> None:
        """Delete what can be deleted."""
        for number in list(self._ledger.jobs)[count:]:
            assert self.ask("delete", number) == b"DELETED"

    @property
    def ledger(self) -> TubeLedger:
        """The jobs."""
        return self._ledger


def expect_killed(server: ServerProcess) -> None:
    assert server.stop(signal.SIGKILL) == (-signal.SIGKILL, "")


@pytest.mark.parametrize("room", ROOMS)
def test_without_room_puts_are_refused_and_jobs_are_served(tmp_path: Path, room: Room) -> None:
    with room(tmp_path / "journal", 600) as (folder, command):
        with server_process(command=command) as server, Keeper(server, TubeLedger("default")) as client:
            assert client.fill(refusals=1) > 40
            client.serve_some()
            client.fill(refusals=5 if room is small_disk else 1)  # small files are soon many
            client.serve_some()
            expect_killed(server)
        if room is small_disk:
            take_what_is_left(folder)
        with server_process("-s", "4096", command=command) as server, Keeper(server, client.ledger) as client:
            client.compare()
            client.serve_some()
            assert client.ask("put", 5, 0, 1000, body=b"x" * BODY_BYTES) == b"OUT_OF_MEMORY" or room is small_files
            (folder / FILLING).unlink(missing_ok=True)
            client.delete_all_but(3)
            expect_killed(server)
        with server_process(command=command) as server, Keeper(server, client.ledger) as client:
            client.compare()
            assert client.fill(refusals=1) + client.fill(refusals=1) > 10  # the first that is refused makes room
            client.delete_all_but(0)
            assert client.fill(refusals=1) + client.fill(refusals=1) > 10
            assert server.stop() == (0, "")
        with server_process(command=command) as server, Keeper(server, client.ledger) as client:
            client.compare()


def take_what_is_left(folder: Path) -> None:
    """Be somebody else on the disk, who leaves no room."""
    with suppress(OSError), (folder / FILLING).open("wb", buffering=0) as file:
        while file.write(bytes(100)):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("room", ROOMS)
def test_nothing_is_lost_while_room_comes_and_goes(tmp_path: Path, room: Room) -> None:
    random = Random("room")
    book = Book(random)
    end = time.monotonic() + SECONDS
    with room(tmp_path / "journal", 300) as (folder, command):
        kilobytes = 300
        rounds = 0
        while time.monotonic() < end:
            with server_process("-s", random.choice(("4096", "50000", "10000000")), command=command) as server:
                if not server.lines[0]:  # not even room for a file: people have to make some
                    assert room is small_disk
                    code, said = server.stop()
                    assert code == 2
                    assert said.count("\n") == 1
                    assert ": No space left on device" in said
                    kilobytes += 12
                    remount = ["mount", "-o", f"remount,size={kilobytes}k", str(folder)]
                    subprocess.run(remount, check=True, capture_output=True)
                    continue
                if rounds:
                    compare(server, book, may_be_full=True)
                address = address_of(server)
                clients = [TubeClient(address, book, f"own{n}", at_once=(1,), refusals=FULL) for n in range(4)]
                run_until_killed(server.process, clients, book, after(book, random.randint(1, 3000)))
                expect_killed(server)
            rounds += 1
    assert rounds > 3
    assert book.done[b"OUT_OF_MEMORY"] > 0


def after(book: Book, answers: int) -> Callable[[], bool]:
    """Whether so many more answers have come."""
    enough = book.answers + answers
    return lambda: book.answers >= enough
