"""A goal such as `wait.p99 <= 2s`: a measure of a scenario, a side, and a limit."""

import re
from dataclasses import dataclass
from typing import Final

from sim.estimates import Interval
from sim.input_errors import ScenarioError
from sim.replications import MEASURES, is_measure

_GOAL: Final = re.compile(
    r"\s*([a-z_0-9.]+)\s*(<=|>=|<|>)\s*([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)\s*([a-zµ%]*)\s*", re.I
)
_SECONDS: Final = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PLAIN: Final = {"": 1.0, "%": 0.01}


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked of a measure; the limit is in seconds, jobs a second, or what the measure has."""

    text: str
    measure: str
    is_upper: bool  # the measure must not exceed the limit
    limit: float

    def judged(self, interval: Interval | None) -> bool | None:
        """Whether the whole interval is on the right side; None: it holds the limit, or nothing was measured."""
        if interval is None:
            return None
        if self.is_upper:
            return True if interval.high <= self.limit else False if interval.low > self.limit else None
        return True if interval.low >= self.limit else False if interval.high < self.limit else None


def goal_of(text: str) -> Goal:
    """`MEASURE <= NUMBER UNIT` taken apart. Raises `ScenarioError`."""
    where = f"--such-that {text}"
    found = _GOAL.fullmatch(text)
    if found is None:
        raise ScenarioError(where, "", None, "this is not MEASURE <= LIMIT", "write it like 'wait.p99 <= 2s'")
    name, side, number, unit = found.groups()
    if not is_measure(name):
        names = ", ".join(MEASURES)
        raise ScenarioError(
            where, "", None, f"there is no measure {name}", f"name one of {names}, or wait.p95 or the like"
        )
    units = _SECONDS if name.startswith(("wait.", "total.")) else _PLAIN
    if unit not in units:
        known = ", ".join(each for each in units if each)
        raise ScenarioError(where, "", None, f"{unit} is no unit of {name}", f"write one of {known}, or none")
    return Goal(text, name, side in ("<=", "<"), float(number) * units[unit])
