"""A run as a whole: how it ends, what it notices, what it keeps, and that it equals the bare queue unit for unit."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

import jsm._state
import sim.metrics
from jsm.machine import Machine
from jsm.records import TransitionRecord
from jsm.states import JobState, Trigger
from jsm.transitions import TRANSITIONS
from models.watcher import TransitionViolation
from sim.driver import CHUNK
from sim.run import Simulation
from sim.run_result import RunResult
from sim.scenario import bundled_scenarios, load_scenario
from tests.benchmarks.skeletons import BareQueue, Load
from tests.simulated import SECOND, Recorder, at_start, every, pool, recorded, scenario

SHORT = {
    "mg1-lognormal": ["run.duration_seconds=3000", "run.warmup_seconds=100"],
    "mm1": ["run.duration_seconds=3000", "run.warmup_seconds=100"],
    "mm4": ["run.duration_seconds=1000"],
    "priorities": ["run.duration_seconds=3000"],
    "steady": ["run.duration_seconds=1500"],
    "ttr-retry": ["run.duration_seconds=600"],
}


def _queue(jobs: int, workers: int, rate: float) -> list[str]:
    return [
        f"producers.arrivals.rate_per_second={rate}",
        f"producers.jobs={jobs}",
        f"workers.count={workers}",
        "run.duration_seconds=1e8",
        "run.warmup_seconds=0",
    ]


# ------------------------------------------------------------------ exactness


@pytest.mark.parametrize("workers", [1, 4, 10])
def test_waits_equal_those_of_the_bare_queue_unit_for_unit(workers: int) -> None:
    rate = 0.9 * workers
    recorder = Recorder()
    Simulation(load_scenario("mm4", _queue(6_000, workers, rate)), recorder=recorder).run()
    put_at = {record.job: record.at for record in recorder.transitions if record.trigger is Trigger.PUT}
    waits = [record.at - put_at[record.job] for record in recorder.transitions if record.trigger is Trigger.RESERVE]
    bare = BareQueue(Load(jobs=6_000, workers=workers, arrival_rate=rate), keep_waits=True).run()
    assert waits == bare.waits
    assert sum(1 for wait in waits if wait) > 2_000


def test_another_seed_would_have_been_noticed() -> None:
    _, _, result = recorded(load_scenario("mm4", _queue(300, 4, 3.6)))
    bare = BareQueue(Load(jobs=300, workers=4, arrival_rate=3.6, seed=2), keep_waits=True).run()
    assert result.wait[""].total != sum(bare.waits)


# ------------------------------------------------------------------ ends


def _finished(**tables: Any) -> tuple[Simulation, RunResult]:
    simulation = Simulation(scenario(**tables))
    simulation.run()
    return simulation, simulation.result()


def test_drained_run_ends_with_the_last_delete() -> None:
    _, result = _finished(producers=every(1.0, 3), workers=pool(2.5))
    assert result.ended_at == round(8.5 * SECOND)
    assert sum(result.left.values()) == 0


def test_drained_run_waits_for_delays_and_back_offs() -> None:
    policy = {"kind": "release", "backoff_seconds": 5}
    workers = pool(1.0, failure={"probability": 1.0, "policy": policy}, max_attempts=2)
    _, result = _finished(producers=at_start(delay_seconds=10), workers=workers)
    assert result.ended_at == 17 * SECOND  # 10 + 1, back at 16, buried at 17
    assert result.left[JobState.BURIED] == 1


def test_drained_run_waits_for_workers_that_crashed_or_start_late() -> None:
    _, result = _finished(producers=at_start(), workers=pool(1.0, start_at_seconds=50.0))
    assert result.ended_at == 51 * SECOND


@pytest.mark.parametrize("delay", [0, 50])
def test_drained_run_leaves_what_nobody_will_reserve(delay: int) -> None:
    producers = [at_start(2, name="a"), at_start(3, name="b", tube="nobodys", delay_seconds=delay)]
    simulation, result = _finished(producers=producers, workers=pool(1.0, reserve_timeout_seconds=5))
    assert result.ended_at == 2 * SECOND
    assert result.left[JobState.DELAYED if delay else JobState.READY] == 3
    assert result.holds
    assert any("no worker watches the tube nobodys" in note for note in simulation.info().notes)


def test_run_of_a_duration_stops_there_with_work_cut_off() -> None:
    run = {"duration_seconds": 2.5, "stop": "duration"}
    _, result = _finished(producers=at_start(5), workers=pool(2.0), run=run)
    assert result.ended_at == 2_500_000
    assert result.left == {"ready": 3, "delayed": 0, "reserved": 1, "buried": 0}
    assert [worker.busy for worker in result.workers] == [2_500_000]


def test_run_that_never_drains_ends_at_its_bound() -> None:
    workers = pool(1.0, failure={"probability": 1.0, "policy": {"kind": "release"}})
    _, result = _finished(producers=at_start(), workers=workers, run={"max_simulated_seconds": 30.0})
    assert result.ended_at == 30 * SECOND
    assert result.holds


def test_stopped_run_accounts_for_everything_so_far() -> None:
    simulation = Simulation(load_scenario("steady", ["run.duration_seconds=500"]))

    def stop() -> Any:
        yield simulation.env.timeout(300 * SECOND)
        simulation.stop()

    simulation.env.process(stop())
    simulation.run()
    result = simulation.result()
    assert result.ended_at == 300 * SECOND
    assert result.holds
    assert sum(result.left.values()) > 0
    assert simulation.info(interrupted=True).interrupted


# ------------------------------------------------------------------ what it measures


@pytest.mark.parametrize("name", bundled_scenarios())
def test_all_balances_of_a_bundled_scenario_hold(name: str) -> None:
    simulation = Simulation(load_scenario(name, SHORT.get(name, [])))
    simulation.run()
    result = simulation.result()
    assert [check.text for check in result.checks if not check.holds] == []
    assert {check.name for check in result.checks} >= {"littles_law_ready", "puts_are_deletes_plus_left"}
    assert result.watched is not None
    assert result.watched.illegal == 0
    assert result.watched.checked == sum(result.edges.values()) > 100


def test_classes_are_those_of_the_producers_in_their_order() -> None:
    simulation = Simulation(load_scenario("priorities", SHORT["priorities"]))
    simulation.run()
    assert list(simulation.result().wait) == ["", "urgent", "normal", "patient"]


def test_measuring_watching_and_recording_change_nothing() -> None:
    made = load_scenario("steady", ["run.duration_seconds=200", "run.warmup_seconds=0"])

    def final(**settings: Any) -> tuple[Any, ...]:
        simulation = Simulation(made, **settings)
        simulation.run()
        return simulation.env.now, simulation.machine.record_seq, simulation.machine.count_jobs()

    plain = final(measure=False, watch=False)
    assert plain == final() == final(recorder=Recorder()) == final(watch=False)


def test_recorder_is_given_every_transition_and_call() -> None:
    _, recorder, result = recorded(load_scenario("steady", ["run.duration_seconds=100", "run.warmup_seconds=0"]))
    assert [record.seq for record in recorder.transitions] == list(range(1, sum(result.edges.values()) + 1))
    assert {"put", "append_reservation", "tick", "delete"} <= {command.op for command in recorder.commands}


def test_another_worker_changes_no_arrival() -> None:
    def puts(workers: int) -> list[tuple[int, str]]:
        overrides = ["run.duration_seconds=200", "run.warmup_seconds=0", f"workers.general.count={workers}"]
        recorder = Recorder()
        Simulation(load_scenario("steady", overrides), recorder=recorder).run()
        return [(record.at, record.tube) for record in recorder.transitions if record.source is JobState.NEW]

    assert puts(7) == puts(8)
    assert len(puts(7)) > 1_000


# ------------------------------------------------------------------ planted faults


class Liar:
    """Stands between a machine and its observer, and changes one record."""

    def __init__(self, observer: Any, seq: int, change: Callable[[TransitionRecord], TransitionRecord]) -> None:
        self._observer = observer
        self._seq = seq
        self._change = change

    def transition(self, record: TransitionRecord) -> None:
        """Hand it on, the one changed."""
        self._observer.transition(self._change(record) if record.seq == self._seq else record)


def _illegal(record: TransitionRecord) -> TransitionRecord:
    return record._replace(source=JobState.READY, trigger=Trigger.BURY, target=JobState.BURIED)


def _lying(seq: int) -> Callable[..., Machine]:
    def make(*, observer: Any, **settings: Any) -> Machine:
        return Machine(observer=Liar(observer, seq, _illegal), **settings)

    return make


@pytest.mark.parametrize("seq", [2, CHUNK + 10, 5_998])
def test_illegal_record_ends_the_run_and_says_what_it_was(seq: int) -> None:
    # 2,000 jobs make 6,000 records: one chunk, and a last one that is handed over when the run is at its end
    simulation = Simulation(load_scenario("mm1", _queue(2_000, 1, 0.5)), make_machine=_lying(seq))
    with pytest.raises(TransitionViolation) as caught:
        simulation.run()
    violation = caught.value
    assert violation.record.seq == seq
    assert violation.name == "every_transition_is_an_edge"
    for part in (f"job {violation.record.job} ", "from ready", "by bury", "to buried", f"at {violation.record.at}"):
        assert part in str(violation)


def test_illegal_record_is_told_also_when_something_else_fails_after_it() -> None:
    class Failing(Machine):
        def delete(self, job_id: Any, client_id: Any, *, now: int | None = None) -> None:
            raise RuntimeError("something else")

    def make(*, observer: Any, **settings: Any) -> Machine:
        return Failing(observer=Liar(observer, 2, _illegal), **settings)

    with pytest.raises(TransitionViolation):
        Simulation(load_scenario("mm1", _queue(10, 1, 0.5)), make_machine=make).run()


def test_failure_of_the_machine_is_raised_as_it_is() -> None:
    class Failing(Machine):
        def delete(self, job_id: Any, client_id: Any, *, now: int | None = None) -> None:
            raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        Simulation(load_scenario("mm1", _queue(10, 1, 0.5)), make_machine=Failing).run()


def test_machine_that_moves_jobs_wrongly_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # The machine's own table is wrong, so its state and its records agree; the graph was made from the right one.
    simulation = Simulation(scenario(producers=at_start(ttr_seconds=2), workers=pool(3.0, gives_up_at_ttr=True)))
    wrong = {state: dict(row) for state, row in TRANSITIONS.items()}
    wrong[JobState.RESERVED][Trigger.TTR_EXPIRED] = JobState.BURIED
    monkeypatch.setattr(jsm._state, "_ROWS", wrong)
    with pytest.raises(TransitionViolation, match=r"job 1 .* from reserved by ttr-expired to buried"):
        simulation.run()


def test_lost_record_is_noticed() -> None:
    class Deaf(Liar):
        def transition(self, record: TransitionRecord) -> None:
            if record.seq != self._seq:
                self._observer.transition(record)

    def make(*, observer: Any, **settings: Any) -> Machine:
        return Machine(observer=Deaf(observer, 7, lambda record: record), **settings)

    with pytest.raises(TransitionViolation, match="records_are_numbered_without_a_gap"):
        Simulation(load_scenario("mm1", _queue(10, 1, 0.5)), make_machine=make).run()


# ------------------------------------------------------------------ memory


def _peak(jobs: int, recorder: Recorder | None = None) -> int:
    simulation = Simulation(load_scenario("mm4", _queue(jobs, 4, 3.2)), recorder=recorder)
    tracemalloc.start()
    simulation.run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    # What waits to be folded is a buffer of constant size; a smaller one is full sooner.
    monkeypatch.setattr(sim.metrics, "_LATENCIES_MAX", 1_000)
    monkeypatch.setattr(sim.metrics, "_PIECES_MAX", 500)
    _peak(100)  # what is made once: tables, caches
    assert _peak(15_000) < 1.3 * _peak(5_000)


def test_memory_that_grows_would_have_been_noticed() -> None:
    _peak(100)
    assert _peak(2_400, Recorder()) > 1.3 * _peak(800, Recorder())


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_jobs_at_length() -> None:
    assert _peak(200_000) < 1.3 * _peak(50_000)
