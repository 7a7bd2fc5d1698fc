"""Where work is done side by side: the same results in the same order, and one line when it can't be done there."""

import logging
import math
import operator
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest

import jsm.engines
from jsm.engines import EngineError, check_address, open_engine
from models.scope import SCOPES
from models.walks import walk
from tests.servers import free_port

ROOT = Path(__file__).parent.parent
ROOTS = [math.sqrt(number) for number in range(10)]
PIECES = [(number,) for number in range(10)]


# ---------------------------------------------------------------------- processes of this machine


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_work(processes: int) -> None:
    with open_engine(processes=processes) as engine:
        assert (engine.workers, engine.place) == (processes, "this machine")
        assert list(engine.run(math.sqrt, PIECES)) == ROOTS


def test_no_number_is_one_a_core() -> None:
    with open_engine(processes=0) as engine:
        assert engine.workers == os.cpu_count()


def test_one_process_is_this_one_and_two_are_others() -> None:
    with open_engine() as engine:
        assert set(engine.run(os.getpid, [()] * 3)) == {os.getpid()}
    with open_engine(processes=2) as engine:
        assert os.getpid() not in set(engine.run(os.getpid, [()] * 3))


@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_piece_raises_is_raised(processes: int) -> None:
    with open_engine(processes=processes) as engine, pytest.raises(ZeroDivisionError):
        list(engine.run(operator.truediv, [(1, 2), (1, 0), (1, 1)]))


@pytest.mark.parametrize("processes", [1, 2])
def test_whoever_has_enough_stops_the_rest(processes: int) -> None:
    begun = []

    def pieces() -> Iterator[tuple[float]]:
        for number in range(100):
            begun.append(number)
            yield (0.01,)

    with open_engine(processes=processes) as engine, closing(engine.run(time.sleep, pieces())) as results:  # type: ignore[type-var]
        next(results)
    assert len(begun) < 30


# ---------------------------------------------------------------------- what is no cluster


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        "host:8786",
        "tcp://host",
        "tcp://:8786",
        "tcp://host:0",
        "tcp://host:65536",
        "http://host:1",
        "tcp://a b:1",
    ],
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(EngineError, match=r"is no address of a Dask scheduler; give tcp://HOST:PORT"):
        check_address(address)


@pytest.mark.parametrize(
    "address", ["tcp://host:8786", "tcp://10.0.0.1:1", "tls://host.example:65535", "tcp://[::1]:80/"]
)
def test_addresses(address: str) -> None:
    check_address(address)


def test_where_nobody_listens_there_is_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsm.engines, "_CONNECT_SECONDS", 0.3)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(EngineError) as error, open_engine(cluster=address):
        pass
    assert str(error.value).startswith(f"{address}: no Dask scheduler answers (Connection refused); ")
    assert f"start one there (dask scheduler --port {address.rpartition(':')[2]})" in str(error.value)
    assert "\n" not in str(error.value)


def greet(stranger: socket.socket, words: bytes) -> None:
    """Say something to the first who comes."""
    with stranger.accept()[0] as who:
        who.sendall(words)


@pytest.mark.parametrize(
    ("words", "said"), [(b"", "timed out"), (b"SSH-2.0-OpenSSH_9.2\r\n", "somebody else listens there")]
)
def test_a_stranger_who_listens_is_no_scheduler(monkeypatch: pytest.MonkeyPatch, words: bytes, said: str) -> None:
    monkeypatch.setattr(jsm.engines, "_CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        address = f"tcp://127.0.0.1:{stranger.getsockname()[1]}"
        if words:
            Thread(target=greet, args=(stranger, words)).start()
        with pytest.raises(EngineError) as error, open_engine(cluster=address):
            pass
    assert str(error.value).startswith(f"{address}: no Dask scheduler answers ({said}); start one there")


def test_without_dask_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EngineError) as error, open_engine(cluster="tcp://127.0.0.1:8786"):
        pass
    assert str(error.value).endswith("Dask is not installed here; install it: pip install 'beanstalk-jsm[cluster]'")


def test_its_logs_are_as_loud_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsm.engines, "_CONNECT_SECONDS", 0.1)
    levels = [logging.getLogger(name).level for name in jsm.engines._QUIETED]
    with pytest.raises(EngineError), open_engine(cluster=f"tcp://127.0.0.1:{free_port()}"):
        pass
    assert [logging.getLogger(name).level for name in jsm.engines._QUIETED] == levels


# ---------------------------------------------------------------------- a cluster


@contextmanager
def program(folder: Path, *words: str, python_path: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A part of Dask as a process of its own, in another folder, for as long as the context lasts."""
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "PYTHONPATH": python_path}
    command = [sys.executable, "-m", *words]
    with (folder / f"{words[0]}.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def scheduler(folder: Path) -> Iterator[str]:
    """A scheduler; its address, once it answers."""
    port = free_port()
    words = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    with program(folder, *words):
        until = time.monotonic() + 15
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"tcp://127.0.0.1:{port}"


def worker(folder: Path, address: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A worker with a single thread."""
    words = ("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny")
    return program(folder, *words, python_path=str(ROOT))


def wait_for_workers(address: str, count: int) -> None:
    """Until so many have come."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        client.wait_for_workers(count, timeout=20)


@pytest.mark.slow
def test_a_cluster_does_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workers are started in another folder, one after the other; then one of them is killed, then both."""
    with scheduler(tmp_path) as address:
        with pytest.raises(EngineError) as error, open_engine(cluster=address):
            pass
        assert str(error.value) == f"{address}: the scheduler has no workers; start some: dask worker {address}"
        with worker(tmp_path, address) as first, worker(tmp_path, address) as second:
            wait_for_workers(address, 2)
            with open_engine(cluster=address) as engine:
                assert (engine.workers, engine.place) == (2, address)
                assert list(engine.run(math.sqrt, PIECES)) == ROOTS
                pids = set(engine.run(os.getpid, [()] * 8))
                assert pids == {first.pid, second.pid}
                with pytest.raises(ZeroDivisionError):
                    list(engine.run(operator.truediv, [(1, 2), (1, 0), (1, 1)]))
            alone = walk(SCOPES["large"], walks=4, steps=200, share_states_max=0)
            together = walk(SCOPES["large"], walks=4, steps=200, share_states_max=0, cluster=address)
            assert (alone.states, alone.edges, alone.coverage) == (together.states, together.edges, together.coverage)
            monkeypatch.setattr(jsm.engines, "_LOOK_SECONDS", 0.2)
            monkeypatch.setattr(jsm.engines, "_PATIENCE_SECONDS", 1)
            with open_engine(cluster=address) as engine, closing(engine.run(time.sleep, [(0.1,)] * 50)) as results:  # type: ignore[type-var]
                next(results)
                first.kill()
                for _ in range(5):
                    next(results)
                second.kill()
                with pytest.raises(EngineError, match=r"the scheduler or all of its workers are gone|were lost"):
                    list(results)
