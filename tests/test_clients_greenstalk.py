"""greenstalk's whole vocabulary, against `jsm serve` and, the same tests, against Debian's beanstalkd."""

import ast
import inspect
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import greenstalk
import pytest

from tests.client_servers import REAL_SECONDS_MAX, SERVERS, eventually, server_named, while_waiting
from tests.servers import ServerUnderTest

Connect = Callable[..., "greenstalk.Client[Any]"]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    with server_named(request.param, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def tube(request: pytest.FixtureRequest) -> str:
    return str(request.node.originalname).replace("_", "-")


@pytest.fixture
def connect(server: ServerUnderTest, tube: str) -> Iterator[Connect]:
    """Make clients that use and watch the test's tube; afterwards delete its jobs and close them."""
    clients: list[greenstalk.Client[Any]] = []

    def connected(**options: Any) -> "greenstalk.Client[Any]":
        client = greenstalk.Client(server.address, **{"use": tube, "watch": tube, **options})
        client._sock.settimeout(REAL_SECONDS_MAX)
        clients.append(client)
        return client

    yield connected
    for client in clients:
        client.close()
    with greenstalk.Client(server.address, use=tube) as sweeper:
        for peek in (sweeper.peek_ready, sweeper.peek_delayed, sweeper.peek_buried):
            while True:
                try:
                    sweeper.delete(peek())
                except greenstalk.NotFoundError:
                    break


# ---------------------------------------------------------------------- connecting


def test_a_client_uses_and_watches_what_it_is_told(connect: Connect, tube: str) -> None:
    fresh = connect(use="default", watch="default")
    assert (fresh.using(), fresh.watching()) == ("default", ["default"])
    one = connect()
    assert (one.using(), one.watching()) == (tube, [tube])
    several = connect(watch=("other-1", "other-2"))
    assert sorted(several.watching()) == ["other-1", "other-2"]  # beanstalkd fills a gap with the last one
    assert connect(watch=["default", "other-1"]).watching() == ["default", "other-1"]


def test_a_client_takes_a_socket_that_is_connected(server: ServerUnderTest) -> None:
    with greenstalk.Client(socket.create_connection(server.address)) as client:
        assert client.using() == "default"
        assert repr(client) == f"greenstalk.Client(host='127.0.0.1', port={server.port})"


@pytest.mark.parametrize("name", SERVERS)
def test_a_client_connects_to_a_path(name: str, tmp_path: Path) -> None:
    with (
        server_named(name, tmp_path, unix_path=tmp_path / "s") as running,
        greenstalk.Client(str(running.unix_path)) as client,
    ):
        client.delete(client.put("over a path"))


def test_close_gives_back_what_a_client_holds(connect: Connect) -> None:
    keeper, leaver = connect(), connect()
    job_id = keeper.put("a")
    leaver.reserve(0)
    leaver.close()
    assert keeper.reserve(timeout=1).id == job_id
    stats = keeper.stats_job(job_id)
    assert (stats["reserves"], stats["timeouts"], stats["releases"]) == (2, 0, 0)
    keeper.delete(job_id)


# ---------------------------------------------------------------------- a job's life


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("utf-8", "größer ✓"), ("latin-1", "größer"), (None, bytes(range(256))), ("utf-8", ""), (None, b"\r\nput 1\r\n")],
)
def test_a_body_comes_back_as_it_was_put(connect: Connect, encoding: str | None, body: Any) -> None:
    client = connect(encoding=encoding)
    job_id = client.put(body)
    job = client.reserve()
    assert (job.id, job.body) == (job_id, body)
    assert client.peek(job_id).body == body
    client.delete(job)


def test_put_keeps_priority_delay_and_ttr(connect: Connect, tube: str) -> None:
    client = connect()
    job_id = client.put("a", priority=4294967295, delay=3, ttr=7)
    assert client.stats_job(job_id) == {
        "id": job_id,
        "tube": tube,
        "state": "delayed",
        "pri": 4294967295,
        "age": 0,
        "delay": 3,
        "ttr": 7,
        "time-left": client.stats_job(job_id)["time-left"],
        "file": 0,
        "reserves": 0,
        "timeouts": 0,
        "releases": 0,
        "buries": 0,
        "kicks": 0,
    }
    assert client.stats_job(job_id)["time-left"] in (2, 3)


def test_a_ttr_of_zero_is_one(connect: Connect) -> None:
    client = connect()
    job_id = client.put("a", ttr=0)
    assert client.stats_job(job_id)["ttr"] == 1


def test_the_lowest_priority_comes_first_and_then_the_lowest_id(connect: Connect) -> None:
    client = connect()
    bodies = ["b1", "a1", "b2", "a2"]
    for body in bodies:
        client.put(body, priority=ord(body[0]))
    taken = [client.reserve(timeout=0) for _ in bodies]
    assert [job.body for job in taken] == ["a1", "a2", "b1", "b2"]
    client.release(taken[1], priority=ord("b"))
    client.release(taken[2], priority=ord("b"))
    assert client.reserve(timeout=0).body == "b1"


def test_the_best_job_of_all_watched_tubes_comes_first(connect: Connect, tube: str) -> None:
    client = connect(watch=[tube, "second-tube"])
    client.put("worse", priority=2)
    client.use("second-tube")
    job_id = client.put("better", priority=1)
    assert client.reserve(timeout=0).id == job_id
    client.delete(job_id)


def test_reserve_waits_for_a_put(connect: Connect, server: ServerUnderTest) -> None:
    worker, producer = connect(), connect()
    with while_waiting(server, worker.reserve) as answer:
        job_id = producer.put("late")
        assert answer.result(5).id == job_id
    with while_waiting(server, lambda: worker.reserve(timeout=100)) as answer:
        job_id = producer.put("later")
        assert answer.result(5).id == job_id


def test_reserve_gives_up_when_its_time_is_over(connect: Connect, server: ServerUnderTest) -> None:
    worker = connect()
    with while_waiting(server, lambda: worker.reserve(timeout=1)) as answer:
        server.advance(1)
        with pytest.raises(greenstalk.TimedOutError):
            answer.result(5)
    with pytest.raises(greenstalk.TimedOutError):
        worker.reserve(timeout=0)


def test_reserve_job_takes_ready_delayed_and_buried_ones(connect: Connect) -> None:
    client, other = connect(), connect()
    ready, delayed, buried = client.put("r"), client.put("d", delay=10), client.put("b")
    client.bury(client.reserve_job(buried), priority=9)
    for job_id in (ready, delayed, buried):
        assert client.reserve_job(job_id).id == job_id
        assert client.stats_job(job_id)["state"] == "reserved"
        with pytest.raises(greenstalk.NotFoundError):
            other.reserve_job(job_id)
    with pytest.raises(greenstalk.NotFoundError):
        client.reserve_job(2**63)


def test_release_sets_priority_and_delay(connect: Connect) -> None:
    client = connect()
    job_id = client.put("a", delay=0)
    client.release(client.reserve(timeout=0), priority=5, delay=20)
    stats = client.stats_job(job_id)
    assert (stats["state"], stats["pri"], stats["delay"], stats["releases"]) == ("delayed", 5, 20, 1)
    client.release(client.reserve_job(job_id))
    stats = client.stats_job(job_id)
    assert (stats["state"], stats["pri"], stats["delay"], stats["releases"]) == ("ready", 65536, 0, 2)


def test_bury_and_kick(connect: Connect) -> None:
    client = connect()
    ids = [client.put(body) for body in "abc"]
    for _ in ids:
        client.bury(client.reserve(timeout=0), priority=3)
    assert client.peek_buried().id == ids[0]
    assert client.kick(2) == 2
    assert [client.stats_job(job_id)["state"] for job_id in ids] == ["ready", "ready", "buried"]
    client.kick_job(ids[2])
    assert client.kick(100) == 0
    stats = client.stats_job(ids[2])
    assert (stats["state"], stats["buries"], stats["kicks"], stats["pri"]) == ("ready", 1, 1, 3)


def test_kick_takes_delayed_jobs_only_when_none_is_buried(connect: Connect) -> None:
    client = connect()
    late, soon = client.put("late", delay=50), client.put("soon", delay=10)
    buried = client.put("buried")
    client.bury(client.reserve(timeout=0))
    assert client.kick(10) == 1
    assert client.stats_job(buried)["state"] == "ready"
    assert client.kick(1) == 1
    assert (client.stats_job(soon)["state"], client.stats_job(late)["state"]) == ("ready", "delayed")
    client.kick_job(client.peek(late))
    assert client.stats_job(late)["state"] == "ready"


def test_delete_takes_jobs_in_every_state(connect: Connect) -> None:
    client, other = connect(), connect()
    ready, delayed, buried, reserved = client.put("r"), client.put("d", delay=9), client.put("b"), client.put("own")
    client.bury(client.reserve_job(buried))
    client.reserve_job(reserved)
    with pytest.raises(greenstalk.NotFoundError):
        other.delete(reserved)
    for job_id, whose in ((ready, other), (delayed, other), (buried, other), (reserved, client)):
        whose.delete(job_id)
        with pytest.raises(greenstalk.NotFoundError):
            client.peek(job_id)


def test_peeks_show_each_states_first_job(connect: Connect) -> None:
    client = connect()
    for peek in (client.peek_ready, client.peek_delayed, client.peek_buried):
        with pytest.raises(greenstalk.NotFoundError):
            peek()
    ready, delayed = client.put("r", priority=1), client.put("d", delay=60)
    client.put("e", delay=61)
    buried = client.put("b", priority=0)
    client.bury(client.reserve(timeout=0))
    assert [client.peek_ready().id, client.peek_delayed().id, client.peek_buried().id] == [ready, delayed, buried]
    assert client.peek(delayed).body == "d"


# ---------------------------------------------------------------------- time


def test_a_ttr_that_is_over_gives_the_job_to_another(connect: Connect, server: ServerUnderTest) -> None:
    slow, quick = connect(), connect()
    job_id = slow.put("a", ttr=1)
    job = slow.reserve(timeout=0)
    server.advance(1)
    slow.using()  # beanstalkd 1.12 may sleep through the instant until the owner says something
    assert quick.reserve(timeout=0).id == job_id
    with pytest.raises(greenstalk.NotFoundError):
        slow.delete(job)
    stats = quick.stats_job(job_id)
    assert (stats["state"], stats["timeouts"], stats["reserves"], stats["releases"]) == ("reserved", 1, 2, 0)
    quick.delete(job_id)


def test_a_holder_is_warned_in_the_last_second(connect: Connect, server: ServerUnderTest) -> None:
    client = connect()
    job_id = client.put("a", ttr=2)
    job = client.reserve(timeout=0)
    with while_waiting(server, client.reserve) as answer:
        server.advance(1)
        with pytest.raises(greenstalk.DeadlineSoonError):
            answer.result(5)
    with pytest.raises(greenstalk.DeadlineSoonError):
        client.reserve(timeout=0)
    client.touch(job)
    with pytest.raises(greenstalk.TimedOutError):
        client.reserve(timeout=0)
    assert client.stats_job(job_id)["timeouts"] == 0


def test_a_delay_ends(connect: Connect, server: ServerUnderTest) -> None:
    client = connect()
    job_id = client.put("a", delay=1)
    with pytest.raises(greenstalk.TimedOutError):
        client.reserve(timeout=0)
    with while_waiting(server, client.reserve) as answer:
        server.advance(1)
        assert answer.result(5).id == job_id


def test_a_paused_tube_gives_nothing_until_its_time_is_over(
    connect: Connect, server: ServerUnderTest, tube: str
) -> None:
    client = connect()
    client.put("a")
    client.pause_tube(tube, 1)
    stats = client.stats_tube(tube)
    assert (stats["pause"], stats["cmd-pause-tube"], stats["pause-time-left"] in (0, 1)) == (1, 1, True)
    with pytest.raises(greenstalk.TimedOutError):
        client.reserve(timeout=0)
    with while_waiting(server, client.reserve) as answer:
        server.advance(1)
        job = answer.result(5)
    client.release(job)
    client.pause_tube(tube, 1000)
    client.pause_tube(tube, 0)
    assert client.reserve(timeout=1).id == job.id


def test_a_manual_clock_makes_hours_pass_at_once(connect: Connect, server: ServerUnderTest) -> None:
    client = connect()
    job_id = client.put("a", delay=3600, ttr=7200)
    if server.has_manual_clock:
        server.advance(3599)
        assert client.stats_job(job_id)["time-left"] == 1
        server.advance(1)
        client.reserve(timeout=0)
        server.advance(7199)
        assert (client.stats_job(job_id)["state"], client.stats_job(job_id)["time-left"]) == ("reserved", 1)
        server.advance(1)
        stats = client.stats_job(job_id)
        assert (stats["state"], stats["age"], stats["timeouts"]) == ("ready", 10800, 1)
    else:
        assert client.stats_job(job_id)["time-left"] in (3599, 3600)


# ---------------------------------------------------------------------- tubes


def test_watch_and_ignore_count_tubes(connect: Connect, tube: str) -> None:
    client = connect()
    assert client.watch("more") == 2
    assert client.watch("more") == 2
    assert sorted(client.watching()) == sorted([tube, "more"])
    assert client.ignore(tube) == 1
    assert client.ignore("never-watched") == 1
    with pytest.raises(greenstalk.NotIgnoredError):
        client.ignore("more")
    assert client.watching() == ["more"]


def test_a_tube_lives_as_long_as_somebody_needs_it(connect: Connect) -> None:
    client, watcher = connect(), connect()
    client.use("passing")
    assert "passing" in watcher.tubes()
    job_id = client.put("a")
    client.use("default")
    assert "passing" in watcher.tubes()
    client.delete(job_id)
    assert "passing" not in watcher.tubes()
    assert "default" in watcher.tubes()
    with pytest.raises(greenstalk.NotFoundError):
        client.stats_tube("passing")


@pytest.mark.parametrize("name", ["a", "a" * 200, "A-Z/0+9;.$_()", "0"])
def test_names_that_tubes_may_have(connect: Connect, name: str) -> None:
    client = connect()
    client.use(name)
    assert client.using() == name
    client.watch(name)
    assert name in client.watching()


@pytest.mark.parametrize("name", ["a" * 201, "-a", "a!b", "a b"])
def test_names_that_tubes_may_not_have(connect: Connect, tube: str, name: str) -> None:
    client = connect()
    with pytest.raises(greenstalk.BadFormatError):
        client.use(name)
    assert client.using() == tube


def test_statistics_of_a_tube(connect: Connect, tube: str) -> None:
    client = connect()
    client.put("urgent", priority=1023)
    client.put("ready", priority=1024)
    client.put("delayed", delay=9)
    client.put("buried", priority=0)
    client.bury(client.reserve(timeout=0), priority=0)
    client.put("held", priority=0)
    client.reserve(timeout=0)
    client.delete(client.put("gone"))
    assert client.stats_tube(tube) == {
        "name": tube,
        "current-jobs-urgent": 1,
        "current-jobs-ready": 2,
        "current-jobs-reserved": 1,
        "current-jobs-delayed": 1,
        "current-jobs-buried": 1,
        "total-jobs": 6,
        "current-using": 1,
        "current-watching": 1,
        "current-waiting": 0,
        "cmd-delete": 1,
        "cmd-pause-tube": 0,
        "pause": 0,
        "pause-time-left": 0,
    }


def test_statistics_of_the_server(connect: Connect, server: ServerUnderTest) -> None:
    client, watcher = connect(), connect()
    before = client.stats()
    assert set(greenstalk.Stats.__annotations__) <= set(before)
    client.delete(client.put("a"))
    client.touch(client.reserve_job(client.put("b")))
    client.stats_tube("default")
    after = client.stats()
    grown = {
        key: after[key] - before[key]  # type: ignore[literal-required]
        for key in before
        if key.startswith("cmd-") or key in ("total-jobs", "total-connections", "current-jobs-reserved")
    }
    assert {key: count for key, count in grown.items() if count} == {
        "cmd-put": 2,
        "cmd-delete": 1,
        "cmd-touch": 1,
        "cmd-stats": 1,
        "cmd-stats-tube": 1,
        **({} if "cmd-reserve-job" not in grown else {"cmd-reserve-job": 1}),
        "total-jobs": 2,
        "current-jobs-reserved": 1,
    }
    assert (after["max-job-size"], after["draining"], after["pid"]) == (65535, "false", server.process.pid)
    assert (after["current-producers"], after["current-workers"]) == (
        before["current-producers"] + 1,
        before["current-workers"] + 1,
    )
    client.close()
    kinds = ("connections", "producers", "workers", "jobs-reserved")
    there = [before[f"current-{kind}"] - (kind == "connections") for kind in kinds]  # type: ignore[literal-required]
    eventually(lambda: [watcher.stats()[f"current-{kind}"] for kind in kinds] == there)  # type: ignore[literal-required]


# ---------------------------------------------------------------------- errors


def test_only_the_owner_may_end_a_reservation(connect: Connect) -> None:
    owner, other = connect(), connect()
    owner.put("a")
    job = owner.reserve(timeout=0)
    for refused in (other.release, other.bury, other.touch, other.delete, other.kick_job):
        with pytest.raises(greenstalk.NotFoundError):
            refused(job)
    owner.touch(job)
    owner.release(job)
    for refused in (owner.release, owner.bury, owner.touch, owner.kick_job):
        with pytest.raises(greenstalk.NotFoundError):
            refused(job)


def test_what_does_not_exist_is_not_found(connect: Connect) -> None:
    client = connect()
    gone = greenstalk.Job(2**62, "")
    for refused in (
        client.delete,
        client.release,
        client.bury,
        client.touch,
        client.kick_job,
        client.stats_job,
    ):
        with pytest.raises(greenstalk.NotFoundError):
            refused(gone)
    with pytest.raises(greenstalk.NotFoundError):
        client.pause_tube("nowhere", 1)


@pytest.mark.parametrize(
    "numbers", [{"priority": 2**32}, {"delay": 2**32}, {"ttr": 2**32}, {"priority": -1}, {"delay": -1}]
)
def test_numbers_out_of_range_are_bad_format(server: ServerUnderTest, numbers: dict[str, int]) -> None:
    client = greenstalk.Client(server.address)  # the body is read as a command, so the connection is of no use then
    with pytest.raises(greenstalk.BadFormatError):
        client.put("a", **numbers)
    client.close()


def test_the_greatest_body_goes_and_one_byte_more_does_not(connect: Connect) -> None:
    client = connect()
    job_id = client.put("x" * 65535)
    with pytest.raises(greenstalk.JobTooBigError):
        client.put("x" * 65536)
    assert client.reserve(timeout=0).id == job_id


def test_errors_of_a_client_that_does_not_keep_to_the_protocol(connect: Connect) -> None:
    client = connect()
    for command, error in (
        (b"grab", greenstalk.UnknownCommandError),
        (b"peek x", greenstalk.BadFormatError),
    ):
        with pytest.raises(error):
            client._send_cmd(command, b"OK")
    with pytest.raises(greenstalk.UnknownResponseError) as caught:
        client._send_cmd(b"list-tube-used", b"OK")
    assert caught.value.status == b"USING"
    with pytest.raises(greenstalk.ExpectedCrlfError):
        client._send_cmd(b"put 0 0 1 1\r\nab", b"INSERTED")


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_drains_refuses_puts_only(name: str, tmp_path: Path) -> None:
    with server_named(name, tmp_path, "-z", "10") as running, greenstalk.Client(running.address) as client:
        job_id = client.put("0123456789")
        with pytest.raises(greenstalk.JobTooBigError):
            client.put("01234567890")
        running.drain()
        eventually(lambda: client.stats()["draining"] == "true")
        with pytest.raises(greenstalk.DrainingError):
            client.put("a")
        client.delete(client.reserve(timeout=0))
        with pytest.raises(greenstalk.NotFoundError):
            client.peek(job_id)


# ---------------------------------------------------------------------- nothing is left out

NEVER_SENT = {
    "BeanstalkdError": "the base class",
    "BuriedError": "sent by a server that has no room to keep a job ready, which none runs into here",
    "Error": "the base class",
    "InternalError": "a server's own fault",
    "OutOfMemoryError": "sent by a server without memory or disk, tested with the journal",
}


def test_every_method_and_every_error_is_in_this_file() -> None:
    used = {
        node.attr for node in ast.walk(ast.parse(Path(__file__).read_text("utf-8"))) if isinstance(node, ast.Attribute)
    }
    methods = {
        name for name, _ in inspect.getmembers(greenstalk.Client, inspect.isfunction) if not name.startswith("_")
    }
    errors = {
        name for name, each in inspect.getmembers(greenstalk, inspect.isclass) if issubclass(each, greenstalk.Error)
    }
    assert len(methods) == 24
    assert sorted(methods - used) == []
    assert sorted(errors - used) == sorted(NEVER_SENT.keys() - {"Error"})
