"""Every state of a small closed world, breadth first: what a model checker asks of a representation."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from tests.benchmarks.representations.subset import Prototype

TUBES = ("left", "right")
CLIENTS = ("ann", "bob")


Operation: TypeAlias = Callable[[Prototype], object]


class Explored(NamedTuple):
    """How large the world was."""

    states: int
    operations: int  # restore, operation and key, each once


def explore(machine: Prototype, jobs_max: int) -> Explored:
    """Visit all that at most `jobs_max` jobs at a time, two clients and two tubes can come to."""
    seen = {machine.key()}
    frontier = deque([(machine.snapshot(), 0, machine.ids())])
    operations = 0
    while frontier:
        snapshot, clock, ids = frontier.popleft()
        machine.restore(snapshot)
        for operation in _operations(clock, ids, jobs_max):
            if operation(machine) is False:
                continue  # refused: nothing to restore
            operations += 1
            key = machine.key()
            if key not in seen:
                seen.add(key)
                frontier.append((machine.snapshot(), machine.clock, machine.ids()))
            machine.restore(snapshot)
    return Explored(len(seen), operations)


def _operations(now: int, ids: list[int], jobs_max: int) -> Iterator[Operation]:
    yield lambda m: m.tick(now + 1)
    if len(ids) < jobs_max:
        yield lambda m: m.put(now, TUBES[0], 1, 0, 1, b"")
        yield lambda m: m.put(now, TUBES[1], 0, 1, 1, b"")
    for client in CLIENTS:
        yield _reserve(now, client)
    for job_id in ids:
        yield _kick(now, job_id)
        for client in CLIENTS:
            yield from _on_job(now, job_id, client)


def _reserve(now: int, client: str) -> Operation:
    return lambda m: m.reserve(now, client, TUBES)


def _kick(now: int, job_id: int) -> Operation:
    return lambda m: m.kick(now, job_id)


def _on_job(now: int, job_id: int, client: str) -> Iterator[Operation]:
    yield lambda m: m.delete(now, job_id, client)
    yield lambda m: m.release(now, job_id, client, 1, 0)
    yield lambda m: m.release(now, job_id, client, 1, 1)
    yield lambda m: m.bury(now, job_id, client, 1)
    yield lambda m: m.touch(now, job_id, client)
