"""The bundled replay of a real log: no job lost, and the week shows."""

from collections import Counter

import pytest

from jsm.states import JobState
from sim.run import Simulation
from sim.run_result import RunInfo, RunResult
from sim.scenario import load_scenario
from sim.traces import read_traces

JOBS = 18_239
HOUR = 3_600
# The log's header: it starts on Friday, 1 October 1993, at 0:00:03 in the machine's own time zone (Pacific).
FIRST_WEEKDAY = 4  # Monday is 0


@pytest.fixture(scope="module")
def nasa() -> tuple[RunResult, RunInfo]:
    """One run of the whole log."""
    simulation = Simulation(load_scenario("nasa-ipsc"))
    simulation.run()
    return simulation.result(), simulation.info()


def test_every_job_of_the_log_is_used_and_none_is_lost(nasa: tuple[RunResult, RunInfo]) -> None:
    result, info = nasa
    puts = sum(count for edge, count in result.edges.items() if edge.source is JobState.NEW)
    deletes = sum(count for edge, count in result.edges.items() if edge.target is JobState.DELETED)
    assert info.input is not None
    assert info.input["ipsc"]["used"] == puts == JOBS
    assert deletes + sum(result.left.values()) == puts
    assert sum(result.left.values()) == 0
    assert result.holds
    assert result.total[""].count == JOBS


def test_lines_read_are_used_left_out_or_rejected(nasa: tuple[RunResult, RunInfo]) -> None:
    _, info = nasa
    assert info.input is not None
    log = info.input["ipsc"]
    rejected = sum(row["count"] for row in log["rejected"])
    assert log["lines_read"] == log["used"] + sum(log["left_out"].values()) + rejected


def test_report_is_told_that_submit_times_are_start_times(nasa: tuple[RunResult, RunInfo]) -> None:
    _, info = nasa
    assert any("start time" in note.lower() for note in info.notes)


def test_jobs_of_no_length_are_kept_and_the_longest_fits_the_ttr(nasa: tuple[RunResult, RunInfo]) -> None:
    result, _ = nasa
    (trace,) = read_traces(load_scenario("nasa-ipsc")).values()
    assert trace.work is not None
    assert len(trace.work) == JOBS
    assert sum(1 for work in trace.work if work == 0) > 0
    assert max(trace.work) == 62_643 * result.units_per_second
    assert sum(worker.busy for worker in result.workers) == sum(trace.work)
    assert not any(count for edge, count in result.edges.items() if edge.trigger == "ttr-expired")


def test_week_has_its_rhythm(nasa: tuple[RunResult, RunInfo]) -> None:
    result, _ = nasa
    (trace,) = read_traces(load_scenario("nasa-ipsc")).values()
    by_hour = Counter((at // result.units_per_second // HOUR + 24 * FIRST_WEEKDAY) % 168 for at in trace.put_at)

    def rate(days: range, hours: range) -> float:
        return sum(by_hour[24 * day + hour] for day in days for hour in hours) / (len(days) * len(hours))

    working, nights = rate(range(5), range(9, 17)), rate(range(5), range(6))
    weekend = rate(range(5, 7), range(9, 17))
    assert working > 2 * nights
    assert working > 2 * weekend


def test_log_runs_twice_alike(nasa: tuple[RunResult, RunInfo]) -> None:
    again = Simulation(load_scenario("nasa-ipsc"))
    again.run()
    result = again.result()
    assert result.ended_at == nasa[0].ended_at
    assert result.edges == nasa[0].edges
    assert result.wait[""].total == nasa[0].wait[""].total


def test_second_zero_of_the_log_is_on_the_wall_clock() -> None:
    nasa = Simulation(load_scenario("nasa-ipsc")).info()
    assert nasa.more == {"starts_at": "1993-10-01T00:00:03"}
    scaled = Simulation(load_scenario("nasa-ipsc", ["producers.arrivals.time_scale=0.5"])).info()
    assert scaled.more is None
