"""Checking a trace takes memory for the live jobs, however long the trace is."""

import tracemalloc
from collections.abc import Iterator

import pytest

from models.verify import verify_trace
from tests.recorded import lines_of


def long_trace(cycles: int, *, kind: str = "both") -> Iterator[str]:
    """A trace of put, reserve, delete again and again, six records a cycle; made as it is read."""
    for line in _both(cycles):
        if kind == "both" or ('"op"' in line) is (kind == "calls") or "format" in line:
            yield line


def _both(cycles: int) -> Iterator[str]:
    yield lines_of([])[0]
    put = '"op":"put","args":{"now":%d,"priority":0,"delay_seconds":0,"ttr_seconds":9,"body":"x","tube":"t"}'
    for job in range(1, cycles + 1):
        seq, at, named = 3 * job, job, f'"job":{job},"tube":"t"'
        call = f'"at":{at},"client":"a","args":{{"now":{at},"job_id":{job},"client_id":"a"}}'
        answer = f'{{"request_id":"","client_id":"a","status":"Matched","job_id":{job}}}'
        yield from (
            f'{{"seq":{seq - 2},"at":{at},{named},"source":"new","trigger":"put","target":"ready","client":null}}',
            f'{{"seq":{seq - 2},"at":{at},"client":null,{put % at},"outcome":{{"ok":{job}}}}}',
            f'{{"seq":{seq - 1},"at":{at},{named},"source":"ready","trigger":"reserve-job","target":"reserved",'
            f'"client":"a"}}',
            f'{{"seq":{seq - 1},{call},"op":"reserve_job","outcome":{{"ok":{answer}}}}}',
            f'{{"seq":{seq},"at":{at},{named},"source":"reserved","trigger":"delete","target":"deleted","client":"a"}}',
            f'{{"seq":{seq},{call},"op":"delete","outcome":{{"ok":null}}}}',
        )


def _peak(cycles: int, *, kind: str = "both") -> int:
    kept = [(None,) * size for size in range(1, 21) for _ in range(2000)]
    del kept  # the interpreter keeps up to 2,000 tuples of each of these sizes for later: they are no growth
    tracemalloc.start()
    try:
        assert verify_trace(long_trace(cycles, kind=kind)).verdict == "holds"
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_trace() -> None:
    _peak(200)  # what is made once
    assert _peak(17_000) < _peak(500) + 50_000  # 102,000 records against 3,000


@pytest.mark.parametrize(("kind", "cycles"), [("both", 500), ("calls", 500), ("transitions", 2000)])
def test_memory_does_not_grow_with_a_shorter_trace(kind: str, cycles: int) -> None:
    _peak(40, kind=kind)  # what is made once
    assert _peak(cycles, kind=kind) < _peak(40, kind=kind) + 40_000  # not 40 bytes of each record are kept
