"""What the tests of real clients share: both servers, names of tubes, and waits that end when time passes.

One server serves all tests of a file, each test in tubes of its own: what a test leaves behind shows in the next.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import greenstalk
import pytest

from models.verify import verify_trace
from tests.servers import ServerUnderTest, debians_beanstalkd, jsm_serve

SERVERS: Final = [
    pytest.param("jsm serve", id="jsm"),
    pytest.param("beanstalkd", id="debian", marks=pytest.mark.beanstalkd),
]


REAL_SECONDS_MAX: Final = 20.0
"""How long a client of a test waits for a reply: with a manual clock, one that doesn't come would never be late."""


@contextmanager
def server_named(name: str, folder: Path, *options: str, unix_path: Path | None = None) -> Iterator[ServerUnderTest]:
    """One of the two servers; the trace of ours is verified when it has stopped."""
    if name == "beanstalkd":
        with debians_beanstalkd(*options, unix_path=unix_path) as server:
            yield server
        return
    trace = folder / "trace.jsonl"
    with jsm_serve(*options, "--trace", str(trace), unix_path=unix_path) as server:
        yield server
    with trace.open("rb") as lines:
        result = verify_trace(lines)
    assert result.verdict == "holds", [finding.to_json() for finding in result.findings]
    assert result.repeated > 0
    assert result.live == 0, "a test left a job behind"


def eventually(holds: Callable[[], bool]) -> None:
    """Return once something holds that a server does in its own time. Raises `AssertionError` if it takes long."""
    until = time.monotonic() + REAL_SECONDS_MAX
    while not holds():
        assert time.monotonic() < until, "it does not come to that"
        time.sleep(0.002)


@contextmanager
def while_waiting(server: ServerUnderTest, wait: Callable[[], Any], *, waiting: int = 1) -> Iterator["Future[Any]"]:
    """Run what waits at the server in a thread, and go on once so many clients wait there."""
    with ThreadPoolExecutor(1) as pool, greenstalk.Client(server.address) as watcher:
        answer = pool.submit(wait)
        eventually(lambda: answer.done() or watcher.stats()["current-waiting"] >= waiting)
        assert not answer.done(), answer
        yield answer
