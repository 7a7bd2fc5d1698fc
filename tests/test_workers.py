"""Workers: what each policy and each fault does, to the exact instant.

Work and arrivals are constant, so that every instant can be said beforehand.
"""

from typing import Any

import pytest

from sim.run_result import Outcome
from tests.simulated import SECOND, Recorder, at_start, every, pool, recorded, scenario

RELEASE = {"kind": "release", "backoff_seconds": 2, "backoff_factor": 2.0, "backoff_max_seconds": 7}


def _failing(policy: dict[str, Any], probability: float = 1.0) -> dict[str, Any]:
    return {"probability": probability, "policy": policy}


def _run(**tables: Any) -> tuple[Recorder, dict[Outcome, int], Any]:
    """The records, the outcomes of all pieces of work, and the result."""
    _, recorder, result = recorded(scenario(**tables))
    outcomes = {o: n for o in Outcome if (n := sum(worker.outcomes[o] for worker in result.workers))}
    return recorder, outcomes, result


def test_work_is_reserve_wait_delete() -> None:
    recorder, outcomes, result = _run(producers=every(2.0, 2), workers=pool(1.5))
    assert recorder.steps() == [
        (2.0, 1, "put"),
        (2.0, 1, "reserve"),
        (3.5, 1, "delete"),
        (4.0, 2, "put"),
        (4.0, 2, "reserve"),
        (5.5, 2, "delete"),
    ]
    assert outcomes == {Outcome.DONE: 2}
    assert result.ended_at == 5_500_000
    assert [worker.busy for worker in result.workers] == [3_000_000]


def test_workers_are_served_in_the_order_of_asking_and_jobs_in_the_order_of_putting() -> None:
    recorder, _, _ = _run(producers=at_start(4), workers=pool(1.0, 2))
    reserves = [(r.at, r.job, r.client) for r in recorder.transitions if r.trigger == "reserve"]
    assert reserves == [
        (0, 1, "workers/0"),
        (0, 2, "workers/1"),
        (1_000_000, 3, "workers/0"),
        (1_000_000, 4, "workers/1"),
    ]


def test_release_waits_out_exactly_the_back_off_which_doubles_up_to_its_maximum() -> None:
    recorder, outcomes, _ = _run(
        producers=at_start(),
        workers=pool(1.0, failure=_failing(RELEASE), max_attempts=5),
    )
    # delays 2, 4, 7 (not 8), 7, and the fifth attempt buries
    assert recorder.at("reserve") == [0, 3, 8, 16, 24]
    assert recorder.at("release-delayed") == [1, 4, 9, 17]
    assert recorder.at("delay-elapsed") == [3, 8, 16, 24]
    assert recorder.at("bury") == [25]
    assert outcomes == {Outcome.FAILED: 5}


def test_release_without_back_off_is_ready_at_once_and_may_change_the_priority() -> None:
    policy = {"kind": "release", "priority": 9}
    recorder, _, _ = _run(
        producers=at_start(2, priority=5), workers=pool(1.0, failure=_failing(policy), max_attempts=2)
    )
    # job 1 falls behind job 2 by its new priority
    reserved = [(r.at // 1_000_000, r.job) for r in recorder.transitions if r.trigger == "reserve"]
    assert reserved == [(0, 1), (1, 2), (2, 1), (3, 2)]
    assert recorder.at("release") == [1, 2]
    assert recorder.at("bury") == [3, 4]


def test_release_keeps_the_priority_unless_told() -> None:
    recorder, _, _ = _run(
        producers=at_start(2, priority=5), workers=pool(1.0, failure=_failing({"kind": "release"}), max_attempts=2)
    )
    assert [job for _, job, trigger in recorder.steps() if trigger == "reserve"] == [1, 1, 2, 2]


def test_bury_leaves_the_job_buried_and_the_run_ends() -> None:
    recorder, outcomes, result = _run(
        producers=at_start(), workers=pool(1.0, failure=_failing({"kind": "bury", "priority": 3}))
    )
    assert recorder.steps() == [(0, 1, "put"), (0, 1, "reserve"), (1, 1, "bury")]
    assert outcomes == {Outcome.FAILED: 1}
    assert result.left == {"ready": 0, "delayed": 0, "reserved": 0, "buried": 1}
    assert result.ended_at == SECOND
    bury = next(command for command in recorder.commands if command.op == "bury")
    assert bury.args["priority"] == 3


def test_forgotten_job_comes_back_at_its_ttr_and_its_holder_is_warned_while_it_waits() -> None:
    recorder, outcomes, _ = _run(
        producers=at_start(ttr_seconds=10),
        workers=pool(2.0, failure=_failing({"kind": "ttr"})),
        run={"duration_seconds": 30.0, "stop": "duration"},
    )
    # Forgotten at 2, waits; warned at 9 (expiry - 1 s), asks again at 10, when the tick has made the job ready.
    assert recorder.at("ttr-expired") == [10, 20]
    assert recorder.at("reserve") == [0, 10, 20]
    asks = [command.at / 1e6 for command in recorder.commands if command.op == "append_reservation"]
    assert asks == [0, 2, 10, 12, 20, 22]
    answers = [
        (command.at / 1e6, answer) for command in recorder.commands if command.op == "tick" for answer in [command]
    ]
    assert [at for at, _ in answers if at in (9, 19, 29)] == [9, 19, 29]
    assert outcomes == {Outcome.FAILED: 3}


def test_holder_that_asks_within_the_last_second_is_warned_at_once_and_sleeps_a_second() -> None:
    recorder, _, _ = _run(
        producers=at_start(ttr_seconds=3),
        workers=pool(2.5, failure=_failing({"kind": "ttr"})),
        run={"duration_seconds": 5.0, "stop": "duration"},
    )
    asks = [command.at / 1e6 for command in recorder.commands if command.op == "append_reservation"]
    # at 2.5 half a second is left: warned; next ask at 3.5, job ready since 3
    assert asks == [0, 2.5, 3.5]
    assert recorder.at("reserve") == [0, 3.5]


def test_touch_keeps_a_long_job_alive() -> None:
    recorder, outcomes, _ = _run(producers=at_start(ttr_seconds=2), workers=pool(5.0, touch_every_seconds=1.5))
    assert recorder.at("touch") == [1.5, 3.0, 4.5]
    assert recorder.at("ttr-expired") == []
    assert recorder.at("delete") == [5]
    assert outcomes == {Outcome.DONE: 1}


def test_touch_at_the_instant_of_the_end_of_work_is_not_made() -> None:
    recorder, _, _ = _run(producers=at_start(), workers=pool(3.0, touch_every_seconds=1.5))
    assert recorder.at("touch") == [1.5]


def test_touch_at_the_instant_of_the_ttr_comes_too_late() -> None:
    recorder, outcomes, _ = _run(producers=at_start(ttr_seconds=2), workers=pool(5.0, 2, touch_every_seconds=2.0))
    assert recorder.at("touch") == []
    assert recorder.at("ttr-expired")[0] == 2
    touches = [command.outcome.get("refused") for command in recorder.commands if command.op == "touch"]
    assert touches == ["unauthorized", "wrong-state", "wrong-state"]  # at 2 the first; at 4 both, whose job is ready
    assert outcomes == {Outcome.DONE: 1, Outcome.UNFINISHED: 1}  # the first worker deletes it, ready, at 5


def test_touching_worker_that_gives_up_counts_its_ttr_from_the_last_touch() -> None:
    recorder, outcomes, _ = _run(
        producers=at_start(ttr_seconds=2), workers=pool(5.0, touch_every_seconds=1.5, gives_up_at_ttr=True)
    )
    assert recorder.at("touch") == [1.5, 3.0, 4.5]
    assert outcomes == {Outcome.DONE: 1}


@pytest.mark.parametrize(("work", "done"), [(2.999999, True), (3.000001, False)])
def test_worker_gives_up_exactly_at_the_ttr(work: float, done: bool) -> None:
    recorder, outcomes, result = _run(
        producers=at_start(ttr_seconds=3),
        workers=pool(work, gives_up_at_ttr=True),
        run={"duration_seconds": 3.5, "stop": "duration"},
    )
    if done:
        assert recorder.at("delete") == [work]
        assert outcomes == {Outcome.DONE: 1}
        return
    assert recorder.steps() == [(0, 1, "put"), (0, 1, "reserve"), (3, 1, "ttr-expired"), (3, 1, "reserve")]
    assert outcomes == {Outcome.GAVE_UP: 1, Outcome.UNFINISHED: 1}
    assert [worker.busy for worker in result.workers] == [3_500_000]


@pytest.mark.parametrize("gives_up", [False, True])
def test_work_that_ends_with_the_ttr_finds_the_job_ready_and_deletes_it(gives_up: bool) -> None:
    # What is due comes first, so the job is back by then; anyone may delete a ready job. The work is done, so a
    # worker that gives up at the ttr has nothing to give up.
    recorder, outcomes, _ = _run(producers=at_start(ttr_seconds=3), workers=pool(3.0, gives_up_at_ttr=gives_up))
    assert recorder.steps()[2:] == [(3, 1, "ttr-expired"), (3, 1, "delete")]
    assert outcomes == {Outcome.DONE: 1}


def test_late_worker_cannot_delete_what_another_holds() -> None:
    late, prompt = pool(4.0, name="late"), pool(0.5, name="prompt", start_at_seconds=1.0)
    recorder, _, result = _run(producers=[at_start(2, ttr_seconds=2)], workers=[late, prompt])
    outcomes = {w.pool: {o: n for o, n in w.outcomes.items() if n} for w in result.workers}
    # late has job 1 from 0 to 4; it expires at 2 and prompt does both
    assert [(r.at / 1e6, r.job, r.client) for r in recorder.transitions if r.trigger == "delete"] == [
        (1.5, 2, "prompt/0"),
        (2.5, 1, "prompt/0"),
    ]
    assert outcomes["prompt"] == {Outcome.DONE: 2}
    assert outcomes["late"] == {Outcome.UNFINISHED: 1}


def test_late_worker_goes_on_to_the_next_job() -> None:
    late, prompt = pool(4.0, name="late"), pool(0.5, name="prompt", start_at_seconds=1.0)
    _, outcomes, _ = _run(
        producers=[at_start(1, name="a", ttr_seconds=2), every(5.0, 1, name="b", ttr_seconds=9)], workers=[late, prompt]
    )
    assert outcomes[Outcome.LATE] == 1
    assert outcomes[Outcome.DONE] == 2


def test_attempts_beyond_the_greatest_number_are_buried_without_work() -> None:
    recorder, outcomes, _ = _run(
        producers=at_start(ttr_seconds=2), workers=pool(5.0, gives_up_at_ttr=True, max_attempts=2)
    )
    assert recorder.at("reserve") == [0, 2, 4]
    assert recorder.at("bury") == [4]
    assert outcomes == {Outcome.GAVE_UP: 2, Outcome.FAILED: 1}


def test_crash_returns_the_job_by_close_and_the_absence_is_accounted() -> None:
    crash = {"mean_seconds_between": 5.0, "restart_seconds": {"kind": "constant", "seconds": 2.0}}
    recorder, outcomes, result = _run(producers=at_start(20, ttr_seconds=60), workers=pool(1.0, crash=crash))
    crashes = outcomes[Outcome.CRASHED]
    assert crashes >= 2
    assert recorder.at("close")
    for at in recorder.at("close"):
        after = min(begin for begin in recorder.at("reserve") if begin > at)
        assert after == pytest.approx(at + 2.0)
    worker = result.workers[0]
    assert worker.busy <= worker.present < result.ended_at
    away = result.ended_at - worker.present
    assert away == 2_000_000 * crashes
    # the only worker is busy whenever it is there, as long as there are jobs
    assert worker.busy == worker.present


def test_worker_that_crashes_while_it_waits_holds_nothing_and_comes_back() -> None:
    crash = {"mean_seconds_between": 0.5, "restart_seconds": {"kind": "constant", "seconds": 0.25}}
    recorder, outcomes, result = _run(producers=every(10.0, 3), workers=pool(0.01, crash=crash))
    assert len(recorder.at("delete")) == 3
    assert outcomes[Outcome.DONE] == 3
    closes = [command for command in recorder.commands if command.op == "close_client"]
    assert len(closes) > 10
    assert (result.ended_at - result.workers[0].present) >= 250_000 * (len(closes) - 1)


def test_reserve_with_a_timeout_is_asked_again_when_it_runs_out() -> None:
    recorder, _, _ = _run(producers=every(7.0, 1), workers=pool(1.0, reserve_timeout_seconds=3))
    asks = [command.at / 1e6 for command in recorder.commands if command.op == "append_reservation"]
    assert asks == [0, 3, 6, 8]
    assert recorder.at("reserve") == [7]


@pytest.mark.parametrize(("redraw", "same"), [("once", True), ("each-attempt", False)])
def test_work_is_drawn_once_or_for_each_attempt(redraw: str, same: bool) -> None:
    workers = {
        "service": {"kind": "uniform", "low_seconds": 1.0, "high_seconds": 2.0},
        "redraw": redraw,
        "failure": _failing({"kind": "release"}),
        "max_attempts": 4,
    }
    recorder, _, _ = _run(producers=at_start(3), workers=workers)
    for job in (1, 2, 3):
        begins = [r.at for r in recorder.transitions if r.job == job and r.trigger == "reserve"]
        ends = [r.at for r in recorder.transitions if r.job == job and r.trigger in ("release", "bury")]
        durations = [end - begin for begin, end in zip(begins, ends, strict=True)]
        assert len(durations) == 4
        assert len(set(durations)) == (1 if same else 4)


def test_work_of_the_job_is_drawn_at_the_put_whoever_does_it() -> None:
    work = {"kind": "uniform", "low_seconds": 1.0, "high_seconds": 2.0}

    def durations(count: int) -> dict[int, int]:
        recorder, _, _ = _run(producers=at_start(20, work=work), workers={"service": {"kind": "job"}, "count": count})
        begins = {r.job: r.at for r in recorder.transitions if r.trigger == "reserve"}
        return {r.job: r.at - begins[r.job] for r in recorder.transitions if r.trigger == "delete"}

    assert durations(1) == durations(7)
    assert len(set(durations(1).values())) == 20


def test_start_of_a_pool_is_waited_for_and_counts_as_absence() -> None:
    recorder, _, result = _run(producers=at_start(), workers=pool(1.0, start_at_seconds=4.0))
    assert recorder.at("reserve") == [4]
    assert [(worker.busy, worker.present) for worker in result.workers] == [(1_000_000, 1_000_000)]


def test_share_of_failures_is_the_probability() -> None:
    _, outcomes, _ = _run(
        producers=at_start(4_000), workers=pool(1.0, 10, failure=_failing({"kind": "bury"}, probability=0.25))
    )
    assert outcomes[Outcome.FAILED] + outcomes[Outcome.DONE] == 4_000
    assert abs(outcomes[Outcome.FAILED] - 1_000) < 4 * (4_000 * 0.25 * 0.75) ** 0.5


def test_book_is_empty_when_every_job_is_deleted() -> None:
    simulation, _, _ = recorded(
        scenario(
            producers=at_start(50, ttr_seconds=5, work={"kind": "constant", "seconds": 1.0}),
            workers={
                "service": {"kind": "job"},
                "count": 3,
                "gives_up_at_ttr": True,
                "failure": _failing({"kind": "release"}, probability=0.3),
            },
        )
    )
    book = simulation._book
    assert (book.work, book.ttr, book.failures) == ({}, {}, {})
