"""Goals: what they say, when an interval reaches one, and the line that a wrong one gets."""

from math import inf

import pytest

from sim.estimates import Interval
from sim.goals import goal_of
from sim.input_errors import ScenarioError


@pytest.mark.parametrize(
    ("text", "measure", "is_upper", "limit"),
    [
        ("wait.p99 <= 2s", "wait.p99", True, 2.0),
        ("wait.mean<250ms", "wait.mean", True, 0.25),
        ("total.p75 <= 1.5 min", "total.p75", True, 90.0),
        ("utilisation <= 80%", "utilisation", True, 0.8),
        ("throughput >= 1e3", "throughput", False, 1000.0),
        ("counts.timeouts <= 0", "counts.timeouts", True, 0.0),
    ],
)
def test_goals(text: str, measure: str, is_upper: bool, limit: float) -> None:
    goal = goal_of(text)
    assert (goal.measure, goal.is_upper) == (measure, is_upper)
    assert goal.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("fast", "--such-that fast: this is not MEASURE <= LIMIT; write it like 'wait.p99 <= 2s'"),
        ("wait.p99 == 2s", "--such-that wait.p99 == 2s: this is not MEASURE <= LIMIT; "),
        ("wait <= 2s", "--such-that wait <= 2s: there is no measure wait; name one of wait.mean, "),
        (
            "wait.p99 <= 2 parsecs",
            "--such-that wait.p99 <= 2 parsecs: parsecs is no unit of wait.p99; write one of us, ",
        ),
        ("utilisation <= 2s", "--such-that utilisation <= 2s: s is no unit of utilisation; write one of %, or none"),
    ],
)
def test_wrong_goals(text: str, line: str) -> None:
    with pytest.raises(ScenarioError) as error:
        goal_of(text)
    assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    ("text", "low", "high", "verdict"),
    [
        ("wait.mean <= 2s", 1.0, 2.0, True),
        ("wait.mean <= 2s", 1.0, 2.1, None),
        ("wait.mean <= 2s", 2.0, 3.0, None),
        ("wait.mean <= 2s", 2.1, inf, False),
        ("wait.mean <= 2s", -inf, inf, None),
        ("throughput >= 2", 2.0, 3.0, True),
        ("throughput >= 2", 1.9, 3.0, None),
        ("throughput >= 2", 1.0, 1.9, False),
    ],
)
def test_only_a_whole_interval_settles_it(text: str, low: float, high: float, verdict: bool | None) -> None:
    assert goal_of(text).judged(Interval(2.0, low, high, 10)) is verdict
    assert goal_of(text).judged(None) is None
