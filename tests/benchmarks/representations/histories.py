"""Random histories: the same operations for every prototype, chosen to collide often."""

from collections.abc import Callable, Iterator
from random import Random
from typing import TypeAlias

from tests.benchmarks.representations.subset import Prototype

Step: TypeAlias = Callable[[Prototype], object]

TUBES = ("left", "right", "unused")
CLIENTS = ("ann", "bob")


def random_steps(seed: int, length: int) -> Iterator[Step]:
    """`length` operations on ids that were mostly put already; times repeat and jump, late ticks included."""
    rng = Random(seed)
    now = 0
    for number in range(length):
        now += rng.choice((0, 0, 0, 0, 0, 0, 1, 1, 2, 5))
        yield _step(rng, now, number)


def _step(rng: Random, now: int, number: int) -> Step:
    client = rng.choice(CLIENTS)
    job_id = max(1, number // 4 - rng.randrange(12))  # one step in four puts a job
    priority = rng.choice((0, 1, 1, 2, 2**32 - 1))
    delay = rng.choice((0, 0, 1, 2, 7))
    tubes = rng.choice((TUBES, TUBES[:1], TUBES[1:2], TUBES[2:]))
    ttr = rng.choice((1, 3, 9, 30))
    tube = rng.choice(TUBES[:2])
    step: Step = rng.choice(
        (
            lambda m: m.put(now, tube, priority, delay, ttr, b"x"),
            lambda m: m.put(now, tube, priority, delay, ttr, b"y"),
            lambda m: m.put(now, tube, priority, delay, ttr, b"z"),
            lambda m: m.reserve(now, client, tubes),
            lambda m: m.reserve(now, client, tubes),
            lambda m: m.reserve_job(now, job_id, client),
            lambda m: m.reserve_job(now, job_id, client),
            lambda m: m.delete(now, job_id, client),
            lambda m: m.release(now, job_id, client, priority, delay),
            lambda m: m.bury(now, job_id, client, priority),
            lambda m: m.kick(now, job_id),
            lambda m: m.touch(now, job_id, client),
            lambda m: m.tick(now),
        )
    )
    return step
