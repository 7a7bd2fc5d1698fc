"""The driver: a tick at every due instant and at no other, before whatever else happens then."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest
from simpy.events import Event

from jsm.job import ClientID, JobID, TubeName
from jsm.machine import Machine
from jsm.reservations import Reservation, ReservationStatus
from sim.driver import CHUNK, Driver, RecordBuffer
from sim.environment import UnitEnvironment
from sim.run import Simulation
from sim.scenario import load_scenario

if TYPE_CHECKING:
    from jsm.records import TransitionRecord

UNITS = 10
TUBE = TubeName("default")
ANN, BOB = ClientID("ann"), ClientID("bob")


class NotingMachine(Machine):
    """Notes the instants of its ticks, and those that did nothing."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.ticks: list[int] = []
        self.idle_ticks: list[int] = []

    def tick(self, now: int) -> list[Reservation]:
        """Tick, and note it."""
        seq, pauses = self.record_seq, len(self._state.paused)
        answers = super().tick(now)
        self.ticks.append(now)
        if not answers and seq == self.record_seq and pauses == len(self._state.paused):
            self.idle_ticks.append(now)
        return answers


class Bench:
    """A driver on a machine with ten units a second, and what came of it."""

    def __init__(self) -> None:
        self.records: list[TransitionRecord] = []
        self.buffer = RecordBuffer([self.records.extend])
        self.machine = NotingMachine(units_per_second=UNITS, observer=self.buffer)
        self.env = UnitEnvironment()
        self.driver = Driver(self.env, self.machine, self.buffer)
        self.answers: list[tuple[int, str, ReservationStatus]] = []

    def put(self, *, delay: int = 0, ttr: int = 100) -> JobID:
        """Put now, and settle."""
        job_id = self.machine.put(self.env.now, priority=0, delay_seconds=delay, ttr_seconds=ttr, body=b"", tube=TUBE)
        self.driver.settle()
        return job_id

    def ask(self, client: ClientID = ANN, *, timeout: int | None = None) -> None:
        """Let a client reserve now, and note its answer when it comes."""
        answer = self.driver.reserve(client, (TUBE,), timeout, self._note)
        if answer is not None:
            self._note(answer)

    def at(self, instant: int, action: Callable[[], object]) -> None:
        """Do something at an instant."""

        def process() -> Generator[Event, Any, None]:
            yield self.env.timeout(instant - self.env.now)
            action()

        self.env.process(process())

    def run(self, until: int = 1_000) -> list[int]:
        """Run, and return the instants of the ticks that the machine was given."""
        self.driver.run(until)
        self.buffer.flush()
        return self.machine.ticks

    def _note(self, answer: Reservation) -> None:
        self.answers.append((self.env.now, answer.client_id, answer.status))


def test_tick_comes_when_a_delay_ends() -> None:
    bench = Bench()
    bench.put(delay=3)
    assert bench.run() == [30]
    assert [(record.at, record.trigger) for record in bench.records] == [(0, "put-delayed"), (30, "delay-elapsed")]


def test_tick_comes_when_a_ttr_runs_out() -> None:
    bench = Bench()
    bench.put(ttr=2)
    bench.ask()
    assert bench.run() == [20]
    assert (bench.records[-1].at, bench.records[-1].trigger) == (20, "ttr-expired")


def test_tick_comes_when_a_pause_ends() -> None:
    bench = Bench()
    bench.machine.pause_tube(0, TUBE, 4)
    bench.put()
    bench.ask()
    assert bench.run()[0] == 40
    assert bench.answers == [(40, ANN, ReservationStatus.MATCHED)]


def test_tick_comes_when_a_wait_ends() -> None:
    bench = Bench()
    bench.ask(timeout=15)
    bench.ask(BOB, timeout=16)
    assert bench.run() == [15, 16]
    assert bench.answers == [(15, ANN, ReservationStatus.TIMEOUT), (16, BOB, ReservationStatus.TIMEOUT)]


def test_tick_comes_a_second_before_a_waiting_holders_job_expires() -> None:
    bench = Bench()
    bench.put(ttr=5)
    bench.ask()
    bench.ask()
    assert bench.run() == [40, 50]
    assert bench.answers == [(0, ANN, ReservationStatus.MATCHED), (40, ANN, ReservationStatus.DEADLINE_SOON)]


def test_many_timers_make_one_tick_an_instant_and_none_between() -> None:
    bench = Bench()
    for delay in (7, 3, 5, 3, 7, 9):
        bench.put(delay=delay)
    assert bench.run() == [30, 50, 70, 90]
    assert bench.machine.idle_ticks == []


def test_stale_wake_up_is_ignored() -> None:
    bench = Bench()
    job = bench.put(delay=5)
    bench.at(20, lambda: bench.machine.delete(job, ANN, now=20))
    assert bench.run() == []  # the wake-up at 50 comes and finds nothing due


def test_sooner_timer_is_not_forgotten_for_a_later_one_nor_the_later_for_the_sooner() -> None:
    bench = Bench()
    bench.put(delay=5)
    bench.at(10, lambda: bench.put(delay=2))
    bench.at(20, lambda: bench.put(delay=8))
    assert bench.run() == [30, 50, 100]


def test_stale_wake_up_arms_nothing_again() -> None:
    bench = Bench()
    armed: list[int] = []
    arm = bench.driver._arm

    def note(due: int) -> None:
        armed.append(due)
        arm(due)

    bench.driver._arm = note  # type: ignore[method-assign]
    bench.put(delay=5)
    bench.put(delay=3)
    bench.put(delay=8)
    assert bench.run() == [30, 50, 80]
    assert armed == [50, 30, 50, 80]  # two wake-ups for 50; only the first of them leads to one for 80


def test_touch_moves_the_tick_and_the_old_one_does_not_come() -> None:
    bench = Bench()
    job = bench.put(ttr=3)
    bench.ask()

    def touch() -> None:
        bench.machine.touch(25, job, ANN)
        bench.driver.settle()

    bench.at(25, touch)
    assert bench.run() == [55]


def test_put_for_a_waiting_client_ticks_at_once() -> None:
    bench = Bench()
    bench.ask()
    bench.at(7, bench.put)
    bench.run(until=100)
    assert bench.machine.ticks == [7]
    assert bench.answers == [(7, ANN, ReservationStatus.MATCHED)]


def test_what_is_due_comes_before_what_else_happens_at_the_instant() -> None:
    bench = Bench()
    seen: list[str] = []

    def look(name: str) -> None:
        seen.append(f"{name} {bench.machine.count_jobs(TUBE)['ready']}")  # type: ignore[index]

    bench.at(30, lambda: look("scheduled before"))
    bench.at(29, lambda: bench.at(30, lambda: look("scheduled after")))
    bench.at(0, lambda: bench.put(delay=3))
    bench.at(10, lambda: bench.put(delay=2))
    bench.run()
    assert seen == ["scheduled before 2", "scheduled after 2"]


def test_closed_client_gets_no_answer_and_its_job_goes_to_the_next() -> None:
    bench = Bench()
    bench.ask(ANN)
    bench.ask(BOB)
    bench.at(5, lambda: bench.driver.close(ANN))
    bench.at(6, bench.put)
    bench.at(8, lambda: bench.ask(ANN))
    bench.at(8, lambda: bench.driver.close(BOB))
    bench.run(until=100)
    assert bench.answers == [(6, BOB, ReservationStatus.MATCHED), (8, ANN, ReservationStatus.MATCHED)]
    assert [record.trigger for record in bench.records] == ["put", "reserve", "close", "reserve"]
    assert bench.driver._waits == {}


def test_closed_client_leaves_no_event_behind() -> None:
    bench = Bench()
    bench.ask(ANN)
    bench.driver.close(ANN)
    assert bench.driver._waits == {}
    assert bench.run(until=100) == []
    assert bench.answers == []


def test_horizon_is_not_played_and_the_instant_before_it_is() -> None:
    bench = Bench()
    bench.put(delay=5)
    bench.put(delay=6)
    bench.at(60, lambda: pytest.fail("played"))
    assert bench.run(until=60) == [50]
    assert bench.env.now == 60


def test_stop_returns_before_the_next_event_even_at_the_same_instant() -> None:
    bench = Bench()
    bench.at(10, bench.driver.stop)
    bench.at(10, lambda: pytest.fail("played"))
    bench.run()
    assert bench.env.now == 10


def test_instants_are_whole_numbers() -> None:
    scenario = load_scenario("steady", ["run.duration_seconds=60", "run.warmup_seconds=0"])
    records: list[TransitionRecord] = []
    simulation = Simulation(scenario)
    simulation._buffer = simulation.driver._buffer = RecordBuffer([records.extend])
    simulation.driver.machine._state.observer = simulation._buffer  # type: ignore[union-attr]
    simulation.run()
    assert len(records) > 1_000
    assert {type(record.at) for record in records} == {int}
    assert type(simulation.env.now) is int


def test_nothing_is_polled() -> None:
    machines: list[NotingMachine] = []

    def make(**settings: Any) -> Machine:
        machines.append(NotingMachine(**settings))
        return machines[0]

    Simulation(load_scenario("steady", ["run.duration_seconds=300"]), make_machine=make).run()
    assert len(machines[0].ticks) > 1_000
    assert machines[0].idle_ticks == []


def test_buffer_hands_each_record_over_once_to_everybody() -> None:
    first: list[Any] = []
    second: list[Any] = []
    buffer = RecordBuffer([first.extend, second.extend])
    buffer.flush()
    for number in range(3):
        buffer.transition(number)  # type: ignore[arg-type]
    buffer.flush()
    buffer.transition(3)  # type: ignore[arg-type]
    buffer.flush()
    assert first == second == [0, 1, 2, 3]


def test_records_are_handed_over_while_the_run_goes_on() -> None:
    chunks: list[int] = []
    bench = Bench()
    bench.buffer._consumers = (lambda records: chunks.append(len(records)),)
    for instant in range(0, 3 * CHUNK, 2):
        bench.at(instant, lambda: [bench.put() for _ in range(3)])
    bench.run(until=10 * CHUNK)
    assert sum(chunks) == 3 * len(range(0, 3 * CHUNK, 2))
    assert max(chunks) <= CHUNK + 3
    assert len(chunks) >= 4
