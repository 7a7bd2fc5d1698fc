"""Benchmarks of the machine, left out by default: `pytest tests/benchmarks/test_bench_machine.py --benchmark-only`."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from jsm.machine import Machine
from tests.benchmarks.complexity import TUBE, WORKER, ask, crowded, filled, put


@pytest.mark.parametrize("jobs", [0, 1_000, 100_000])
def test_put_reserve_delete(benchmark: BenchmarkFixture, jobs: int) -> None:
    machine = filled(jobs)

    def cycle() -> None:
        job_id = put(machine, priority=0)
        ask(machine, "worker", "t")
        machine.delete(job_id, WORKER)

    benchmark(cycle)
    assert machine.count_jobs(TUBE)["ready"] == jobs  # type: ignore[index]


@pytest.mark.parametrize("crowd", [False, True])
def test_put_to_a_waiting_worker(benchmark: BenchmarkFixture, crowd: bool) -> None:
    machine = crowded(100_000, 10_000) if crowd else Machine()

    def cycle() -> None:
        ask(machine, "worker", "t", wait=True)
        job_id = put(machine)
        machine.tick(machine.clock)
        machine.delete(job_id, WORKER)

    benchmark(cycle)
    assert sum(machine.count_jobs().values()) == 0


@pytest.mark.parametrize("crowd", [False, True])
def test_idle_tick(benchmark: BenchmarkFixture, crowd: bool) -> None:
    machine = crowded(100_000, 10_000) if crowd else Machine()
    assert benchmark(machine.tick, 0) == []
