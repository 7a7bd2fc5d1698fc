"""The search for a value: which ones are tried, how sure the answer is, and whether theory agrees."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jsm.engines import open_engine
from sim import search as module
from sim.axes import axis_of
from sim.estimates import Interval
from sim.goals import goal_of
from sim.scenario import load_scenario
from sim.scenario_models import Scenario
from sim.search import Search, Searcher, SearchStopped, table_of_search
from sim.sweep import scenario_at
from sim.sweep_folder import SweepFolder

BRIEF = ("run.duration_seconds=20.0", "run.warmup_seconds=1.0")


class Idle:
    """An engine that makes nothing."""

    workers = 1
    place = "here"

    def __init__(self) -> None:
        self.made = 0

    def run(self, function: Callable[..., Any], pieces: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        for piece in pieces:
            self.made += 1
            yield _Run(piece[0].workers[0].count, piece[1])


class _Run:
    failing = ()

    def __init__(self, workers: int, number: int) -> None:
        self.workers = workers
        self.number = number


def found(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    low_high: Callable[[int, int], tuple[float, float]],
    values: str,
    **how: Any,
) -> tuple[dict[str, Any], int]:
    """A search whose measure is said by workers and replications; and how many replications it took."""

    def estimate(runs: list[_Run], name: str, confidence: float) -> Interval:
        low, high = low_high(runs[0].workers, len(runs))
        return Interval((low + high) / 2, low, high, len(runs), confidence)

    monkeypatch.setattr(module, "estimate", estimate)
    engine = Idle()
    asked = Search("workers.count", axis_of(f"workers.count={values}").values, goal_of("wait.mean <= 10s"), 4)

    def scenario_with(value: str) -> Scenario:
        return load_scenario("mm1", [*BRIEF, f"workers.count={value}"])

    return Searcher(asked, engine, SweepFolder(folder, "find"), scenario_with, **how).find(), engine.made


@pytest.mark.parametrize("right", range(2, 17))
def test_bisection_finds_the_smallest(right: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document, _ = found(tmp_path, monkeypatch, lambda n, _: (1, 2) if n >= right else (20, 30), "1..16")
    assert (document["answer"], document["beyond"], document["settled"]) == (str(right), str(right - 1), True)
    assert len(document["tried"]) <= 6


@pytest.mark.parametrize("right", range(1, 16))
def test_bisection_finds_the_largest(right: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document, _ = found(tmp_path, monkeypatch, lambda n, _: (1, 2) if n <= right else (20, 30), "1..16")
    assert (document["answer"], document["beyond"], document["settled"]) == (str(right), str(right + 1), True)


def test_replications_are_doubled_where_the_interval_holds_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def narrowing(workers: int, count: int) -> tuple[float, float]:
        middle = {1: 30.0, 2: 10.5}.get(workers, 1.0)
        return middle - 8 / count, middle + 8 / count

    document, made = found(tmp_path, monkeypatch, narrowing, "1..3")
    assert (document["answer"], document["beyond"], document["settled"]) == ("3", "2", False)
    assert [(each["value"], each["replications"], each["verdict"]) for each in document["tried"]] == [
        ("1", 4, "missed"),
        ("2", 16, "open"),
        ("3", 4, "reached"),
    ]
    assert made == 4 + 16 + 4
    assert table_of_search(document)["verdict"].to_list() == ["missed", "open", "reached"]


@pytest.mark.parametrize(
    ("interval", "answer", "settled"), [((1.0, 2.0), "1", True), ((20.0, 30.0), None, True), ((5.0, 15.0), None, False)]
)
def test_where_both_ends_agree_there_is_nothing_between(
    interval: tuple[float, float], answer: str | None, settled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, _ = found(tmp_path, monkeypatch, lambda *_: interval, "1..9")
    assert (document["answer"], document["settled"], len(document["tried"])) == (answer, settled, 2)


def test_all_looks_together_have_the_confidence_of_the_answer() -> None:
    asked = Search("k", tuple(map(str, range(1, 257))), goal_of("wait.mean <= 1"), 10)
    assert asked.confidence_of_a_look == pytest.approx(1 - 0.05 / (10 * 3))
    assert Search("k", ("1",), asked.goal, 10).confidence_of_a_look == pytest.approx(1 - 0.05 / 3)


def test_a_stopped_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = iter([False] * 9 + [True] * 99)
    with pytest.raises(SearchStopped):
        found(tmp_path, monkeypatch, lambda n, _: (n, n), "1..16", stopped=lambda: next(asked))
    document, made = found(tmp_path, monkeypatch, lambda n, _: (n, n), "1..16")
    assert (document["answer"], document["beyond"]) == ("10", "11")
    assert made == 4 * (len(document["tried"]) - 2)


def test_erlang_c_agrees(tmp_path: Path) -> None:
    """M/M/c, 3.2 jobs a second, work of mean 1 s: the limit lies between the waits with 4 and with 5 workers."""
    axis = axis_of("workers.count=3..7")
    overrides = ("run.duration_seconds=900.0", "run.warmup_seconds=100.0", "run.stop=duration")
    limit = (_erlang_c_wait(4) + _erlang_c_wait(5)) / 2
    asked = Search(axis.key, axis.values, goal_of(f"wait.mean <= {limit:.6f}s"), 6)
    with open_engine() as engine:
        searcher = Searcher(
            asked, engine, SweepFolder(tmp_path, "find"), lambda value: scenario_at("mm4", overrides, {axis.key: value})
        )
        document = searcher.find()
    assert (document["answer"], document["beyond"], document["settled"]) == ("5", "4", True)


def _erlang_c_wait(workers: int, load: float = 3.2) -> float:
    blocked = 1.0
    for number in range(1, workers + 1):
        blocked = load * blocked / (number + load * blocked)
    waiting = blocked / (1 - load / workers * (1 - blocked))
    return waiting / (workers - load)
