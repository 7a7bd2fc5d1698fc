"""pystalk's whole vocabulary, against `jsm serve` and, the same tests, against Debian's beanstalkd."""

import ast
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pystalk  # type: ignore[import-untyped]
import pytest

from tests.client_servers import REAL_SECONDS_MAX, SERVERS, eventually, server_named, while_waiting
from tests.servers import HOST, ServerUnderTest, free_port

Connect = Callable[..., pystalk.BeanstalkClient]


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    with server_named(request.param, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def tube(request: pytest.FixtureRequest) -> str:
    return str(request.node.originalname).replace("_", "-")


@pytest.fixture
def connect(server: ServerUnderTest, tube: str) -> Iterator[Connect]:
    """Make clients that use and watch the test's tube; afterwards close them and delete its jobs."""
    clients: list[pystalk.BeanstalkClient] = []

    def connected(**options: Any) -> pystalk.BeanstalkClient:
        client = pystalk.BeanstalkClient(*server.address, **{"socket_timeout": REAL_SECONDS_MAX, **options})
        client.use(tube)
        client.watch(tube)
        clients.append(client)
        return client

    yield connected
    for client in clients:
        client.close()
    sweeper = pystalk.BeanstalkClient(*server.address)
    sweeper.use(tube)
    for jobs in (sweeper.peek_ready_iter, sweeper.peek_delayed_iter, sweeper.peek_buried_iter):
        for job in jobs():
            sweeper.delete_job(job)
    sweeper.close()


def refusal(call: Callable[[], Any]) -> str:
    """The server's word when a call is refused."""
    with pytest.raises(pystalk.BeanstalkError) as caught:
        call()
    return str(caught.value.message)


# ---------------------------------------------------------------------- connecting


def test_a_client_connects_when_it_has_to_and_again_after_close(server: ServerUnderTest, tube: str) -> None:
    client = pystalk.BeanstalkClient.from_uri(f"beanstalk://{HOST}:{server.port}", socket_timeout=5, auto_decode=True)
    assert client.ping()
    client.use(tube)
    client.watch(tube)
    client.put_job("grün")
    client.close()
    job = client.reserve_job(0)  # in the tube that it watched before
    assert job.job_data == "grün"
    assert client.stats_job(job)["tube"] == tube
    client.delete_job(job.job_id)
    client.close()


def test_nobody_listens() -> None:
    client = pystalk.BeanstalkClient(HOST, free_port())
    with pytest.raises(pystalk.BeanstalkConnectionError):
        client.ping()
    with pytest.raises(pystalk.BeanstalkConnectionError):
        client.stats()


# ---------------------------------------------------------------------- a job's life


@pytest.mark.parametrize("body", [b"", b"a", bytes(range(256)) * 40, b"\r\n", b"quit\r\n"])
def test_a_body_comes_back_as_it_was_put(connect: Connect, body: bytes) -> None:
    client = connect()
    status, job_id = client.put_job(body, pri=3, delay=0, ttr=20)
    assert status == b"INSERTED"
    assert client.peek_ready().job_data == body
    job = client.reserve_job(0)
    assert (job.job_id, job.job_data) == (job_id, body)
    stats = client.stats_job(job)
    assert (stats["pri"], stats["ttr"], stats["state"], stats["time-left"] in (19, 20)) == (3, 20, "reserved", True)


def test_jobs_go_into_the_tube_that_they_are_put_into(connect: Connect, tube: str) -> None:
    client = connect()
    _, first = client.put_job_into("elsewhere", "a")
    with client.using("elsewhere") as inserter:
        _, second = inserter.put_job("b")
    _, third = client.put_job("c")
    assert [client.stats_job(job_id)["tube"] for job_id in (first, second, third)] == ["elsewhere", "elsewhere", tube]
    client.delete_job(first)
    client.delete_job(second)


def test_iterators_end_when_there_is_no_more(connect: Connect) -> None:
    client = connect()
    ids = [client.put_job(str(number), pri=number)[1] for number in range(3)]
    jobs = list(client.reserve_iter())
    assert [job.job_id for job in jobs] == ids
    for job in jobs:
        client.bury_job(job, pri=1)
    buried = []
    for job in client.peek_buried_iter():
        buried.append(job.job_id)
        client.kick_job(job)
    assert buried == ids
    ready = []
    for job in client.peek_ready_iter():
        ready.append(job.job_id)
        client.delete_job(job)
    assert ready == ids
    client.put_job("late", delay=30)
    for job in client.peek_delayed_iter():
        client.kick_job(job.job_id)
    assert refusal(client.peek_delayed) == "NOT_FOUND"


def test_release_bury_and_kick(connect: Connect) -> None:
    client = connect()
    _, job_id = client.put_job("a")
    assert client.release_job(client.reserve_job(0), pri=7, delay=100) == b"RELEASED"
    stats = client.stats_job(job_id)
    assert (stats["state"], stats["pri"], stats["delay"], stats["releases"]) == ("delayed", 7, 100, 1)
    assert client.kick_jobs(5) == (b"KICKED", 1)
    assert client.bury_job(client.reserve_job(0).job_id, pri=2) == b"BURIED"
    assert client.peek_buried().job_id == job_id
    assert client.kick_jobs(5) == (b"KICKED", 1)
    assert client.kick_jobs(5) == (b"KICKED", 0)
    assert client.peek_ready().job_id == job_id


def test_reserve_waits_for_a_put(connect: Connect, server: ServerUnderTest) -> None:
    worker, producer = connect(), connect()
    with while_waiting(server, lambda: worker.reserve_job(15)) as answer:
        _, job_id = producer.put_job("late")
        assert answer.result(5).job_id == job_id


# ---------------------------------------------------------------------- time


def test_delay_timeout_ttr_and_pause_take_their_time(connect: Connect, server: ServerUnderTest, tube: str) -> None:
    client, other = connect(), connect()
    _, job_id = client.put_job("a", delay=1, ttr=1)
    assert refusal(lambda: client.reserve_job(0)) == "TIMED_OUT"
    with while_waiting(server, lambda: client.reserve_job(15)) as answer:
        server.advance(1)  # the delay
        job = answer.result(5)
    assert refusal(lambda: client.reserve_job(1)) == "DEADLINE_SOON"
    server.advance(1)  # the ttr
    client.list_tubes()  # beanstalkd 1.12 may sleep through the instant until the owner says something
    assert refusal(lambda: client.release_job(job)) == "NOT_FOUND"
    assert client.stats_job(job_id)["timeouts"] == 1
    assert client.pause_tube(tube, 1) == b"PAUSED"
    with while_waiting(server, lambda: other.reserve_job(15)) as answer:
        server.advance(1)  # the pause
        assert answer.result(5).job_id == job_id
    other.release_job(job_id)
    client.pause_tube(tube)
    assert client.stats_tube(tube)["pause"] == 3600
    assert client.unpause_tube(tube) == b"PAUSED"
    assert client.reserve_job(1).job_id == job_id


def test_a_wait_ends_when_its_time_is_over(connect: Connect, server: ServerUnderTest) -> None:
    client = connect()
    with while_waiting(server, lambda: client.reserve_job(1)) as answer:
        server.advance(1)
        assert refusal(lambda: answer.result(5)) == "TIMED_OUT"


# ---------------------------------------------------------------------- tubes


def test_the_watchlist_can_be_set(connect: Connect, tube: str) -> None:
    client = connect()
    assert client.watchlist == {tube}
    client.watchlist = ["one", "two"]
    assert client.watchlist == {"one", "two"}
    assert {"one", "two"} <= set(client.list_tubes())
    client.ignore("one")
    assert client.stats_tube("two")["current-watching"] == 1
    assert refusal(lambda: client.stats_tube("one")) == "NOT_FOUND"
    with pytest.raises(KeyError):
        client.ignore("one")
    assert refusal(lambda: client.ignore("two")) == "NOT_IGNORED"


def test_statistics_are_yaml(connect: Connect, server: ServerUnderTest, tube: str) -> None:
    client = connect()
    stats = client.stats()
    assert (stats["pid"], stats["max-job-size"], stats["draining"]) == (server.process.pid, 65535, False)
    assert {"version", "id", "hostname", "os", "platform", "uptime", "current-connections"} <= set(stats)
    assert client.stats_tube(tube)["name"] == tube
    assert client.list_tubes()[0] == "default"


# ---------------------------------------------------------------------- errors


def test_refusals_have_the_servers_words(connect: Connect) -> None:
    client, other = connect(), connect()
    _, job_id = client.put_job("a")
    job = client.reserve_job(0)
    for call in (other.delete_job, other.release_job, other.bury_job, other.kick_job, client.kick_job):
        assert refusal(lambda call=call: call(job)) == "NOT_FOUND"  # type: ignore[misc]
    for call in (client.stats_job, client.delete_job, client.kick_job):
        assert refusal(lambda call=call: call(job_id + 10**9)) == "NOT_FOUND"  # type: ignore[misc]
    for peek in (client.peek_ready, client.peek_delayed, client.peek_buried):
        assert refusal(peek) == "NOT_FOUND"
    assert refusal(lambda: client.pause_tube("nowhere")) == "NOT_FOUND"
    assert refusal(lambda: client.unpause_tube("nowhere")) == "NOT_FOUND"
    assert refusal(lambda: client.use("not a name")) == "BAD_FORMAT"
    assert refusal(lambda: client.put_job("a" * 65536)) == "JOB_TOO_BIG"


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_drains_refuses_puts(name: str, tmp_path: Path) -> None:
    with server_named(name, tmp_path) as running:
        client = pystalk.BeanstalkClient(*running.address)
        client.put_job("a")
        running.drain()
        eventually(lambda: client.stats()["draining"] is True)
        assert refusal(lambda: client.put_job("b")) == "DRAINING"
        client.delete_job(client.reserve_job(0))
        client.close()


# ---------------------------------------------------------------------- the pool


def test_a_pool_puts_where_somebody_listens(connect: Connect, server: ServerUnderTest, tube: str) -> None:
    uris = [f"beanstalk://{HOST}:{free_port()}", f"beanstalkd://{HOST}:{server.port}"]
    pool = pystalk.ProductionPool.from_uris(uris, socket_timeout=5, initial_shuffle=False)
    pool.use(tube)
    _, first = pool.put_job("a", pri=4)
    _, second = pool.put_job_into("pooled", "b")
    client = connect()
    assert [client.stats_job(job_id)["tube"] for job_id in (first, second)] == [tube, "pooled"]
    client.delete_job(second)
    for record in pool._clients:
        record.client.close()


# ---------------------------------------------------------------------- nothing is left out


def test_every_method_is_in_this_file() -> None:
    used = {
        node.attr for node in ast.walk(ast.parse(Path(__file__).read_text("utf-8"))) if isinstance(node, ast.Attribute)
    }
    for client, count in ((pystalk.BeanstalkClient, 29), (pystalk.ProductionPool, 4)):
        methods = {
            name
            for name, each in inspect.getmembers(client)
            if not name.startswith("_") and (inspect.isroutine(each) or isinstance(each, property))
        }
        assert len(methods) == count
        assert sorted(methods - used) == []
