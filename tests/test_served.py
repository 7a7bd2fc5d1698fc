"""The server in a thread: time that only the test lets pass, and checks of all that it does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import greenstalk
import pytest

from jsm.errors import BadValueError
from jsm.job import ClientID, JobID
from jsm.machine import Machine
from jsm.reservations import Reservation
from models.served import BeanstalkdServer


@pytest.fixture
def server() -> Iterator[BeanstalkdServer]:
    with BeanstalkdServer() as running:
        yield running
    assert running.finding() is None


class Generous(Machine):
    """Gives a job that is reserved by its id to somebody else."""

    def reserve_job(self, now: int, job_id: JobID, client_id: ClientID, *, request_id: str = "") -> Reservation:
        return super().reserve_job(now, job_id, ClientID("somebody else"), request_id=request_id)


class Broken(Machine):
    """Can't delete."""

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        raise ZeroDivisionError("planted")


def test_a_day_passes_at_once_and_nothing_before_its_time(server: BeanstalkdServer) -> None:
    began = monotonic()
    with greenstalk.Client(server.address) as worker, greenstalk.Client(server.address) as other:
        job_id = worker.put("report", ttr=86_400)
        worker.reserve()
        assert server.advance(86_399.999999) == server.now == 86_399.999999
        assert other.stats_job(job_id)["state"] == "reserved"
        assert server.advance(0.000001) == 86_400.0
        assert other.reserve(timeout=0).id == job_id
    assert monotonic() - began < 5


def test_everything_on_the_way_happens_at_its_instant(server: BeanstalkdServer) -> None:
    with greenstalk.Client(server.address) as client:
        for delay in (3, 1, 2):
            client.put(str(delay), delay=delay)
        server.advance(10)
    ticks = [line for line in server.trace.lines() if '"trigger":"delay-elapsed"' in line]
    assert [line.split('"at":')[1].split(",")[0] for line in ticks] == ["1000000", "2000000", "3000000"]


def test_a_worker_in_a_thread_is_waited_for(server: BeanstalkdServer) -> None:
    with ThreadPoolExecutor(1) as pool, greenstalk.Client(server.address) as worker:
        answer = pool.submit(worker.reserve, timeout=30)
        server.wait_for_waiting(1)
        server.advance(29)
        assert not answer.done()
        server.advance(1)
        with pytest.raises(greenstalk.TimedOutError):
            answer.result(5)
        with pytest.raises(TimeoutError, match="0 clients wait in a reserve, not 2"):
            server.wait_for_waiting(2, real_seconds_max=0.01)
        with pytest.raises(BadValueError, match="clients = -1"):
            server.wait_for_waiting(-1)


def test_drain_refuses_puts(server: BeanstalkdServer) -> None:
    server.drain()
    with greenstalk.Client(server.address) as client, pytest.raises(greenstalk.DrainingError):
        client.put("a")


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_time_moves_on_by_a_number_of_seconds(server: BeanstalkdServer, seconds: float) -> None:
    with pytest.raises(BadValueError, match="seconds = "):
        server.advance(seconds)
    assert server.now == 0.0


def test_what_does_not_hold_is_found_and_the_server_goes_on() -> None:
    with BeanstalkdServer(make_machine=Generous) as server, greenstalk.Client(server.address) as client:
        assert server.finding() is None
        client.reserve_job(client.put("a"))
        assert server.violation is not None
        assert server.finding() == str(server.violation)
        assert client.using() == "default"
        assert "somebody else" in str(server.trace.finding())  # by the trace alone, too


def test_a_fault_of_the_server_is_raised_by_whoever_needs_it_next() -> None:
    server = BeanstalkdServer(make_machine=Broken).start()
    with greenstalk.Client(server.address) as client:
        job_id = client.put("a")
        with pytest.raises(ConnectionError):
            client.delete(job_id)
        for use in (server.stop, lambda: server.advance(1), server.drain):
            with pytest.raises(ZeroDivisionError, match="planted"):
                use()


def test_a_server_that_does_not_run_says_so() -> None:
    server = BeanstalkdServer()
    server.stop()
    uses: list[Any] = [lambda: server.address, lambda: server.advance(1), server.drain]
    for use in uses:
        with pytest.raises(RuntimeError, match=r"the server (has not been started|is not running)"):
            use()
    with server:
        pass
    server.stop()
    with pytest.raises(RuntimeError, match="the server is not running"):
        server.advance(1)
    with pytest.raises(RuntimeError):
        server.start()
