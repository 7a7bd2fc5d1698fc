"""What the simulator's speed is measured against: the same queue without a job state machine.

All run `c` workers, Poisson arrivals and exponential service. `bare` and `resource` draw from the same streams as the
simulator does, so that the waits of `bare` must equal those of a simulation whose ttr never fires, unit for unit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import simpy
from simpy.events import Event

from sim.distributions import Exponential, units_sampler
from sim.environment import UnitEnvironment
from sim.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

UNITS_PER_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Load:
    """An M/M/c queue and how many jobs go through it."""

    jobs: int
    workers: int
    arrival_rate: float
    service_rate: float = 1.0
    seed: int = 1

    def gaps(self) -> Iterator[int]:
        """Units between arrivals: the stream of the scenario's producer `jobs`."""
        return self._units("producers/jobs/arrivals", self.arrival_rate)

    def service(self, worker: int) -> Iterator[int]:
        """Units of work: the stream of a worker of the scenario's pool `workers`."""
        return self._units(f"workers/workers/{worker}/service", self.service_rate)

    def _units(self, stream: str, rate: float) -> Iterator[int]:
        distribution = Exponential(kind="exponential", mean_seconds=1 / rate)
        return units_sampler(distribution, Streams(self.seed).stream(stream), UNITS_PER_SECOND)


@dataclass(slots=True)
class BareQueue:
    """Bare SimPy with a deque: jobs are their arrival instants, idle workers sleep on an event."""

    load: Load
    keep_waits: bool = False
    waits: list[int] = field(default_factory=list)
    served: int = 0

    def run(self) -> BareQueue:
        """Run until every job is served."""
        env = UnitEnvironment()
        queue: deque[int] = deque()
        idle: deque[Event] = deque()
        for number in range(self.load.workers):
            env.process(self._worker(env, queue, idle, self.load.service(number)))
        env.process(self._producer(env, queue, idle))
        env.run()
        return self

    def _producer(self, env: UnitEnvironment, queue: deque[int], idle: deque[Event]) -> Generator[Event, Any, None]:
        jobs = self.load.jobs
        for count, gap in enumerate(self.load.gaps()):
            if count == jobs:
                return
            yield env.timeout(gap)
            if idle:
                idle.popleft().succeed(env.now)
            else:
                queue.append(env.now)

    def _worker(
        self, env: UnitEnvironment, queue: deque[int], idle: deque[Event], service: Iterator[int]
    ) -> Generator[Event, Any, None]:
        while True:
            if queue:
                put_at = queue.popleft()
            else:
                event = Event(env)
                idle.append(event)
                put_at = yield event
            if self.keep_waits:
                self.waits.append(env.now - put_at)
            yield env.timeout(next(service))
            self.served += 1


def run_resource(load: Load) -> int:
    """SimPy's own Resource, a process a job; returns how many jobs were served."""
    env = UnitEnvironment()
    workers = simpy.Resource(env, capacity=load.workers)
    service = load.service(0)
    served = 0

    def job() -> Generator[Event, Any, None]:
        nonlocal served
        with workers.request() as request:
            yield request
            yield env.timeout(next(service))
        served += 1

    def producer() -> Generator[Event, Any, None]:
        for count, gap in enumerate(load.gaps()):
            if count == load.jobs:
                return
            yield env.timeout(gap)
            env.process(job())

    env.process(producer())
    env.run()
    return served


def run_ciw(load: Load) -> int:
    """Ciw, the queueing-network simulator; returns how many jobs were served."""
    import ciw

    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=load.arrival_rate)],
        service_distributions=[ciw.dists.Exponential(rate=load.service_rate)],
        number_of_servers=[load.workers],
    )
    ciw.seed(load.seed)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(load.jobs, method="Finish")
    return len(simulation.get_all_records())
