"""The loads of the comparison: cycles of a simulation, jobs that only sit there, single operations."""

from collections.abc import Callable, Sequence
from random import Random
from time import process_time
from typing import NamedTuple, Protocol

from tests.benchmarks.representations.subset import Prototype

UNITS_PER_SECOND = 1_000_000
STEP = 1_009  # units between two cycles: about a millisecond, and no divisor of a second, so that dues are distinct
TUBE = "default"
TUBES = (TUBE,)
CLIENTS = tuple(f"worker-{number}" for number in range(10))
BODY = b""


def loaded(prototype: type[Prototype], resident: int, units_per_second: int = UNITS_PER_SECOND) -> Prototype:
    """A machine with `resident` ready jobs of random priorities."""
    machine = prototype(units_per_second)
    rng = Random(resident)
    for number in range(1, resident + 1):
        machine.put(number, TUBE, rng.getrandbits(32), 0, 60, BODY)
    return machine


def loaded_delayed(prototype: type[Prototype], resident: int) -> Prototype:
    """A machine with `resident` delayed jobs, each with a due of its own."""
    machine = prototype(UNITS_PER_SECOND)
    rng = Random(resident)
    for number in range(1, resident + 1):
        machine.put(number, TUBE, rng.getrandbits(32), rng.randrange(1, 86_400), 60, BODY)
    return machine


class Load(Protocol):
    """A fixed number of cycles, the same for every machine."""

    cycles: int
    units_per_second: int

    def run(self, machine: Prototype, held: list[int]) -> None:
        """Go on from where the machine stands; `held` are the workers' jobs (0: none), and are brought up to date."""


class SteadyLoad:
    """put, reserve, tick, next_tick_at, delete; ten workers, each holds a job for ten cycles; no ttr ever ends."""

    def __init__(self, seed: int, cycles: int) -> None:
        rng = Random(seed)
        self.priorities = [rng.getrandbits(32) for _ in range(cycles)]
        self.cycles = cycles
        self.units_per_second = UNITS_PER_SECOND

    def run(self, machine: Prototype, held: list[int]) -> None:
        """See `Load`."""
        now = machine.clock
        for number, priority in enumerate(self.priorities):
            worker = number % 10
            now += STEP
            machine.put(now, TUBE, priority, 0, 60, BODY)
            if held[worker]:
                machine.delete(now, held[worker], CLIENTS[worker])
            held[worker] = machine.reserve(now, CLIENTS[worker], TUBES)
            machine.tick(now)
            machine.next_tick_at()


class FiringLoad:
    """Timers fire, and ticks come exactly when they are due.

    Half of the puts are delayed; half of the reserved jobs are deleted, a quarter released with a delay, a quarter
    left to their ttr.
    """

    def __init__(self, seed: int, cycles: int, units_per_second: int = UNITS_PER_SECOND) -> None:
        rng = Random(seed)
        self.plan = [
            (rng.getrandbits(32), rng.choice((0, 0, 1, 2)), (rng.randrange(4), rng.randrange(4))) for _ in range(cycles)
        ]
        self.cycles = cycles
        self.cycles_per_second = UNITS_PER_SECOND // STEP
        self.units_per_second = units_per_second

    def run(self, machine: Prototype, held: list[int]) -> None:
        """See `Load`; nobody remembers a job from one cycle to the next, so `held` stays as it is."""
        fine = self.units_per_second == UNITS_PER_SECOND
        now = machine.clock
        for number, (priority, delay, fates) in enumerate(self.plan):
            if fine:
                now += STEP
            elif number % self.cycles_per_second == 0:
                now += self.units_per_second
            while (due := machine.next_tick_at()) is not None and due <= now:
                machine.tick(due)
            machine.put(now, TUBE, priority, delay, 2, BODY)
            client = CLIENTS[number % 10]
            for fate in fates:
                job_id = machine.reserve(now, client, TUBES)
                if fate < 2:
                    machine.delete(now, job_id, client)
                elif fate == 2:
                    machine.release(now, job_id, client, priority, 1)


class Costs(NamedTuple):
    """Nanoseconds an operation, the best of several batches."""

    put: float
    reserve: float
    touch: float
    tick_idle: float
    next_tick_at: float
    release: float
    delete: float


def operation_costs(machine: Prototype, batches: int, batch: int = 2_000) -> Costs:
    """Time each operation of a cycle in batches of its own: put, reserve, touch, release, reserve again, delete."""
    rng = Random(7)
    best = [float("inf")] * 7
    client = CLIENTS[0]
    for _ in range(batches):
        start = machine.clock + 1
        times = range(start, start + batch)
        priorities = [rng.getrandbits(32) for _ in times]
        taken: list[int] = []

        def reserve(now: int, taken: list[int] = taken) -> None:
            taken.append(machine.reserve(now, client, TUBES))

        samples = [
            _timed(lambda at, job: machine.put(at, TUBE, job, 0, 60, BODY), times, priorities),
            _timed(lambda at, _: reserve(at), times, priorities),
            _timed(lambda at, job: machine.touch(at + batch, job, client), times, taken),
            _timed(lambda at, _: machine.tick(at + batch), times, taken),
            _timed(lambda _at, _job: machine.next_tick_at(), times, taken),
            _timed(lambda at, job: machine.release(at + batch, job, client, 5, 0), times, taken),
        ]
        taken.clear()
        _timed(lambda at, _: reserve(at + batch), times, priorities)
        samples.append(_timed(lambda at, job: machine.delete(at + batch, job, client), times, taken))
        best = [min(pair) for pair in zip(best, samples, strict=True)]
    idle = min(_timed(lambda _at, _job: None, range(batch), range(batch)) for _ in range(batches))
    return Costs(*(value - idle for value in best))


def _timed(operation: Callable[[int, int], object], times: Sequence[int], jobs: Sequence[int]) -> float:
    started = process_time()
    for at, job in zip(times, jobs, strict=True):
        operation(at, job)
    return (process_time() - started) / len(times) * 1e9
