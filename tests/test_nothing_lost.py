"""`jsm serve -b` under load, killed at random instants: nothing that it told anybody is lost, nothing comes back."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from tests.ledger_clients import Book, Conversation, SharedClient, TubeClient, found_jobs, run_until_killed, stats
from tests.server_processes import BEANSTALKD, ROOT, ServerProcess, server_process
from tests.shared_ledger import SharedLedger
from tests.tube_ledger import Command, Found, Unexpected

SECONDS = float(os.environ.get("JSM_NOTHING_LOST_SECONDS", "40"))
"""How long each of the long runs takes."""

ROLES = ("put", "work", "work", "work", "kick")


def address_of(server: ServerProcess) -> tuple[str, int]:
    if not server.lines[0]:
        raise Unexpected(f"the server did not start: {server.stop(signal.SIGKILL)}")
    assert isinstance(server.address, tuple)
    return server.address


def serve_until_killed(server: ServerProcess, book: Book, *, answers: int, seconds: float) -> None:
    """Load a server, and kill it so many seconds after it gave so many answers."""
    address = address_of(server)
    own = [TubeClient(address, book, f"own{number}") for number in range(3)]
    shared = [SharedClient(address, book, role) for role in ROLES]
    enough = book.answers + answers
    kill_at: float | None = None

    def is_time() -> bool:
        nonlocal kill_at
        if kill_at is None and book.answers >= enough:
            kill_at = time.monotonic() + seconds
        return kill_at is not None and time.monotonic() >= kill_at

    run_until_killed(server.process, [*own, *shared], book, is_time)
    expect_death(*server.stop(signal.SIGKILL))


def expect_death(code: int, said: str) -> None:
    assert code == -signal.SIGKILL, said
    for line in said.splitlines():
        assert line.endswith("the last record is not finished and was cut off"), said


def compare(server: ServerProcess, book: Book, *, may_be_full: bool = False) -> None:
    """Compare what a restarted server has with the ledgers, and go on with that."""
    total = 1
    with Conversation(address_of(server)) as conversation:
        (probe,) = conversation.ask([b"put 0 0 60 0\r\n\r\n"])
        if may_be_full and probe == b"OUT_OF_MEMORY":
            total = 0
            jobs = found_jobs(conversation, book.latest_id + sum(map(len, book.in_flight.values())))
            book.latest_id = max([book.latest_id, *jobs])
        else:
            probe_id = book.take_id(probe, book.latest_id)
            jobs = found_jobs(conversation, probe_id - 1)
            assert conversation.ask([b"delete %d\r\n" % probe_id]) == [b"DELETED"]
        by_tube: dict[str, dict[int, Found]] = {tube: {} for tube in (*book.tubes, "shared")}
        for job in jobs.values():
            by_tube[job.tube][job.id] = job
        for tube, ledger in book.tubes.items():
            book.tubes[tube] = ledger.survived(book.in_flight[tube], by_tube[tube])
            if by_tube[tube]:
                expect_counts(stats(conversation, b"stats-tube %b\r\n" % tube.encode()), by_tube[tube])
        book.shared.survive(by_tube["shared"])
        expect_sums(stats(conversation), jobs, total=total)
        if book.random.random() < 0.5:
            expect_burials(conversation, book.shared)


def expect_counts(values: Mapping[str, str], jobs: Mapping[int, Found]) -> None:
    """Compare a tube's statistics with a recount."""
    counted = dict.fromkeys(("ready", "reserved", "delayed", "buried"), 0)
    for job in jobs.values():
        counted[job.state] += 1
    assert {state: int(values[f"current-jobs-{state}"]) for state in counted} == counted
    urgent = sum(job.state == "ready" and job.priority < 1024 for job in jobs.values())
    assert int(values["current-jobs-urgent"]) == urgent
    assert (values["current-waiting"], values["current-using"], values["current-watching"]) == ("0", "0", "0")


def expect_sums(values: Mapping[str, str], jobs: Mapping[int, Found], *, total: int) -> None:
    """Compare the server's statistics with a recount, of what the passing of time does not change."""
    states = ("ready", "reserved", "delayed", "buried")
    assert sum(int(values[f"current-jobs-{state}"]) for state in states) == len(jobs)
    assert int(values["current-jobs-buried"]) == sum(job.state == "buried" for job in jobs.values())
    assert (values["current-jobs-reserved"], values["current-connections"]) == ("0", "1")
    assert int(values["total-jobs"]) == total


def expect_burials(conversation: Conversation, ledger: SharedLedger) -> None:
    """Compare the order of the burials in a tube; each of its jobs is kicked for that."""
    count = sum(job.state == "buried" for job in ledger.jobs.values())
    replies = conversation.ask([b"use shared\r\n", *[b"peek-buried\r\n", b"kick 1\r\n"] * count])
    order = [int(reply.split()[1]) for reply in replies[1::2]]
    assert replies[2::2] == [b"KICKED 1"] * count
    ledger.expect_order(order)
    for number in order:
        ledger.kicked(number)


def expect_what_is_left(server: ServerProcess, book: Book) -> None:
    """Compare the order of all burials, and of what is ready."""
    with Conversation(address_of(server)) as conversation:
        for tube, ledger in book.tubes.items():
            name = tube.encode()
            conversation.ask([b"use %b\r\n" % name, b"watch %b\r\n" % name, b"ignore default\r\n"])
            while ledger.buried():
                peeked, _ = conversation.ask([b"peek-buried\r\n", b"kick 1\r\n"])
                assert int(peeked.split()[1]) == ledger.buried()[0].id
                ledger.run(Command("kick", (1,)))
            reserve = Command("reserve-with-timeout", (0,))
            while (reply := ledger.run(reserve)) != b"TIMED_OUT":
                assert conversation.ask([reserve.sent]) == [reply]
            assert conversation.ask([reserve.sent, b"watch default\r\n", b"ignore %b\r\n" % name])[0] == b"TIMED_OUT"


def killed_at_its_start(folder: Path, options: tuple[str, ...], seconds: float) -> None:
    """A server that is killed so long after its process was begun, while it recovers or compacts."""
    command = [*BEANSTALKD, "-l", "127.0.0.1", "-p", "0", "-b", str(folder), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    process.kill()
    _, said = process.communicate()
    expect_death(process.returncode, said)


def test_nothing_is_lost_when_a_server_is_killed(tmp_path: Path) -> None:
    random = Random("quick")
    book = Book(random)
    for number in range(5):
        sync = (("-f", "0"), ("-f", "50"), ("-F",))[number % 3]
        with server_process("-b", str(tmp_path), "-s", ("4096", "100000")[number % 2], *sync) as server:
            if number:
                compare(server, book)
            if number < 4:
                serve_until_killed(server, book, answers=random.randint(100, 600), seconds=random.uniform(0, 0.02))
            else:
                expect_what_is_left(server, book)
    assert all(len(ledger.jobs) > 5 for ledger in book.tubes.values())
    assert book.done.keys() >= {b"INSERTED", b"RESERVED", b"DELETED", b"RELEASED", b"BURIED", b"KICKED", b"TOUCHED"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [("-f", "0"), ("-f", "50"), ("-F",), ("-f", "0", "-s", "4096"), ("-f", "50", "-s", "4096"), ("-F", "-s", "20000")],
)
def test_nothing_is_ever_lost(tmp_path: Path, options: tuple[str, ...]) -> None:
    random = Random(" ".join(options))
    book = Book(random)
    end = time.monotonic() + SECONDS
    rounds = 0
    while True:
        with server_process("-b", str(tmp_path), *options) as server:
            if rounds:
                compare(server, book)
            if time.monotonic() > end:
                expect_what_is_left(server, book)
                break
            serve_until_killed(server, book, answers=random.randint(1, 3000), seconds=random.uniform(0, 0.05))
        rounds += 1
        if random.random() < 0.3:
            killed_at_its_start(tmp_path, options, random.uniform(0, 0.5))
    assert rounds > 5
