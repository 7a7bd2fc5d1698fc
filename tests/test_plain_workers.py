"""Plain workers: callbacks that do what the process of `sim.workers` does, at the same instants."""

from typing import Any

import pytest

import sim.run
from sim.plain_workers import is_plain
from sim.run import Simulation
from sim.run_result import Outcome
from sim.scenario import load_scenario
from sim.scenario_models import Pool
from tests.simulated import SECOND, Recorder, at_start, pool, recorded, scenario

POLICIES = {
    "release": {"kind": "release", "backoff_seconds": 1, "backoff_factor": 2.0, "backoff_max_seconds": 8},
    "bury": {"kind": "bury"},
    "ttr": {"kind": "ttr"},
}


def _history(made: Any) -> tuple[Recorder, list[Any]]:
    recorder = Recorder()
    simulation = Simulation(made, recorder=recorder)
    simulation.run()
    return recorder, simulation.result().workers


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize("timeout", [None, 1, 2])
def test_the_history_is_that_of_a_process(policy: str, timeout: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    made = scenario(
        producers={
            "arrivals": {"kind": "poisson", "rate_per_second": 1.5},
            "jobs": 300,
            "ttr_seconds": 4,
        },
        workers={
            "service": {"kind": "exponential", "mean_seconds": 1.0},
            "count": 3,
            "start_at_seconds": 2.5,
            "failure": {"probability": 0.2, "policy": POLICIES[policy]},
            **({} if timeout is None else {"reserve_timeout_seconds": timeout}),
        },
        run={"duration_seconds": 150.0, "stop": "duration"},
    )
    plain, plain_workers = _history(made)
    monkeypatch.setattr(sim.run, "is_plain", lambda _: False)
    process, process_workers = _history(made)
    assert len(plain.transitions) > 500
    assert plain.transitions == process.transitions
    assert plain.commands == process.commands
    assert plain_workers == process_workers


@pytest.mark.parametrize(
    "more",
    [
        {"crash": {"mean_seconds_between": 5.0, "restart_seconds": {"kind": "constant", "seconds": 1.0}}},
        {"touch_every_seconds": 1.0},
        {"max_attempts": 3},
        {"redraw": "once"},
        {"gives_up_at_ttr": True},
    ],
)
def test_what_needs_a_process_is_not_plain(more: dict[str, Any]) -> None:
    assert is_plain(Pool.model_validate({"name": "p", **pool(1.0)}))
    assert not is_plain(Pool.model_validate({"name": "p", **pool(1.0), **more}))


def test_work_that_the_end_cuts_off_is_reported_once() -> None:
    run = {"duration_seconds": 2.5, "stop": "duration"}
    _, _, result = recorded(scenario(producers=at_start(2), workers=pool(2.0), run=run))
    [worker] = result.workers
    assert {outcome: count for outcome, count in worker.outcomes.items() if count} == {
        Outcome.DONE: 1,
        Outcome.UNFINISHED: 1,
    }
    assert worker.busy == 2.5 * SECOND


def test_a_worker_that_never_appears_is_absent_all_the_time() -> None:
    run = {"duration_seconds": 2.0, "stop": "duration"}
    _, _, result = recorded(scenario(producers=at_start(1), workers=pool(1.0, start_at_seconds=9.0), run=run))
    assert [worker.present for worker in result.workers] == [0]


def test_bundled_scenarios_with_and_without_plain_pools_exist() -> None:
    kinds = {is_plain(each) for name in ("steady", "ttr-retry", "nasa-ipsc") for each in load_scenario(name).workers}
    assert kinds == {True, False}
