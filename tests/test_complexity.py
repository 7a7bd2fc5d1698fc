"""What an operation costs, counted in calls and not in time: nobody pays for what has nothing to do."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from jsm.job import ClientID, JobID, TubeName
from jsm.limits import check_watch_list
from jsm.machine import Machine
from tests.benchmarks import complexity
from tests.benchmarks.complexity import TUBE, WORKER, ask, crowded, filled, put


def calls_of(operation: Callable[[], object]) -> int:
    """How many functions, Python's and C's, the operation calls."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        operation()
    finally:
        sys.setprofile(before)
    return count


CROWDS = [(0, 0), (1, 1), (20_000, 5_000)]
"""Idle tubes and clients that wait elsewhere: none, one of each, many."""

OPERATIONS: dict[str, Callable[[Machine, JobID], object]] = {
    "put": lambda machine, _: put(machine, priority=0),
    "delete": lambda machine, job_id: machine.delete(job_id, WORKER),
    "tick": lambda machine, _: machine.tick(machine.clock),
    "next_tick_at": lambda machine, _: machine.next_tick_at(),
    "append_reservation": lambda machine, _: ask(machine, "worker", "t"),
    "reserve_job": lambda machine, job_id: machine.reserve_job(machine.clock, job_id, WORKER),
    "kick_n": lambda machine, _: machine.kick_n(TUBE, 5),
    "pause_tube": lambda machine, _: machine.pause_tube(machine.clock, TUBE, 5),
    "peek_ready_job": lambda machine, _: machine.peek_ready_job(TUBE),
    "get_stats_as_yaml": lambda machine, _: machine.get_stats_as_yaml(machine.clock),
    "get_stats_tube_as_yaml": lambda machine, _: machine.get_stats_tube_as_yaml(machine.clock, TUBE),
    "close_client": lambda machine, _: machine.close_client(WORKER),
}


def calls_in(machine: Machine, op: str) -> int:
    """The calls of one operation in a machine that gets two jobs and a client first."""
    put(machine, priority=5)
    job_id = put(machine, priority=0)
    machine.use_tube(WORKER, TUBE)
    check_watch_list((TUBE,))  # one that was not seen lately costs a few calls more
    return calls_of(lambda: OPERATIONS[op](machine, job_id))


@pytest.mark.parametrize("op", OPERATIONS)
def test_idle_tubes_and_clients_that_wait_elsewhere_cost_nothing(op: str) -> None:
    alone, beside_one, beside_all = (calls_in(crowded(tubes, waiting), op) for tubes, waiting in CROWDS)
    assert beside_all == beside_one
    assert beside_all == alone


def test_a_tick_with_one_thing_due_costs_the_same_beside_a_crowd() -> None:
    found = []
    for tubes, waiting in CROWDS:
        machine = crowded(tubes, waiting)
        put(machine, delay=1)
        found.append(calls_of(lambda machine=machine: machine.tick(1)))  # type: ignore[misc]
    alone, beside_one, beside_all = found
    assert beside_all == beside_one
    assert beside_all == alone


@pytest.mark.parametrize("op", OPERATIONS)
def test_ten_thousand_jobs_cost_what_ten_do(op: str) -> None:
    few, many = (calls_in(filled(jobs), op) for jobs in (10, 10_000))
    assert abs(few - many) <= 2


def test_the_count_sees_a_scan() -> None:
    """The planted fault: a tick that looks at every tube."""

    class Scanning(Machine):
        def tick(self, now: int) -> list[Any]:
            for tube in self.get_tubes():
                self.count_jobs(tube)
            return super().tick(now)

    small, big = Scanning(), Scanning()
    for number in range(100):
        big.watch_tube(ClientID("w"), TubeName(f"t{number}"))
    assert calls_of(lambda: big.tick(0)) > calls_of(lambda: small.tick(0)) + 100


@pytest.mark.parametrize("case", ["many_kicked", "many_cancelled", "many_closed", "many_served_at_once"])
def test_much_at_once_costs_calls_in_proportion(case: str) -> None:
    run: Callable[[int], float] = getattr(complexity, case)
    few, many = calls_of(lambda: run(200)), calls_of(lambda: run(2000))
    assert many < 11 * few


def test_the_report_has_all_its_tables() -> None:
    report = complexity.measure_all((10, 20), tubes=20, waiting=5, calls=3, rounds=1)
    text = complexity.as_markdown({"command": "c", "commit": "x", "python": "p", "machine": "m", **report})
    assert text.count("\n## ") == 4
    assert set(report["growth"]) == set(report["crowd"]) >= {"put", "delete", "append_reservation", "next_tick_at"}
    assert all(ns > 0 for row in report["growth"].values() for ns in row.values())
