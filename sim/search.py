"""The smallest or largest value of a key at which a scenario reaches a goal: bisection, with confidence.

A value reaches the goal when the whole interval of the measure is on the right side, and misses it when the whole is
on the wrong one. As long as neither is so, the replications are doubled, twice. Every one of these looks may be wrong,
so each gets an equal share of what the confidence of the answer leaves (Bonferroni's inequality; A. M. Law, Simulation
Modeling and Analysis, 5th edition, McGraw-Hill 2015, 9.7).
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from math import ceil, log2
from typing import Any, Final

import polars as pl

from jsm.engines import Engine
from sim.check_mode import CheckMode
from sim.estimates import CONFIDENCE
from sim.goals import Goal
from sim.replications import Replicate, estimate, replications, told
from sim.scenario_models import Scenario
from sim.sweep_folder import SweepFolder, digest_of

LOOKS: Final = 3
"""How often a value is looked at: with the replications asked for, twice and four times as many."""

REACHED, MISSED, OPEN = "reached", "missed", "open"
_VERDICTS: Final = {True: REACHED, False: MISSED, None: OPEN}


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for."""

    key: str
    values: tuple[str, ...]  # in growing order
    goal: Goal
    replications: int
    check: CheckMode = CheckMode.SAMPLED
    confidence: float = CONFIDENCE

    @property
    def confidence_of_a_look(self) -> float:
        """So that all looks together are right with the confidence of the answer."""
        tried = min(2 + ceil(log2(max(len(self.values) - 1, 1))), len(self.values))
        return 1 - (1 - self.confidence) / (tried * LOOKS)


class SearchStopped(Exception):
    """An interrupt came; the values that were judged are kept."""


class Searcher:
    """Judges values, each once, and remembers the verdicts in a folder."""

    def __init__(
        self,
        search: Search,
        engine: Engine,
        folder: SweepFolder,
        scenario_at: Callable[[str], Scenario],
        *,
        progress: Callable[[int], None] = lambda judged: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.search = search
        self.judged: dict[int, dict[str, Any]] = {}
        self._engine = engine
        self._folder = folder
        self._scenario_at = scenario_at
        self._progress = progress
        self._stopped = stopped

    def find(self) -> dict[str, Any]:
        """The document that `find.json` is. Raises `SearchStopped`, and what a sweep raises.

        It is taken for granted that along the values the goal is reached from somewhere on, or up to somewhere.
        O(log values) of them are simulated.
        """
        last = len(self.search.values) - 1
        ends = self._reached(0), self._reached(last)
        if ends[0] == ends[1]:
            return self._told(0 if ends[0] else None, None)
        good, bad = (last, 0) if ends[1] else (0, last)
        while abs(good - bad) > 1:
            middle = (good + bad) // 2
            if self._reached(middle):
                good = middle
            else:
                bad = middle
        return self._told(good, bad)

    def _reached(self, place: int) -> bool:
        if place not in self.judged:
            self.judged[place] = self._judge(self.search.values[place])
        return bool(self.judged[place]["verdict"] == REACHED)

    def _judge(self, value: str) -> dict[str, Any]:
        search = self.search
        scenario = self._scenario_at(value)
        asked = {
            "goal": [search.goal.measure, search.goal.is_upper, search.goal.limit],
            "replications": search.replications,
            "confidence": search.confidence_of_a_look,
            "check": str(search.check),
        }
        digest = digest_of(scenario, asked)
        kept = self._folder.cell(digest)
        if kept is None:
            self._progress(len(self.judged))
            kept = self._folder.keep(digest, self._looked(value, scenario))
        return {**kept, "value": value}  # another range may have written 8 as 8.0

    def _looked(self, value: str, scenario: Scenario) -> dict[str, Any]:
        search = self.search
        runs: list[Replicate] = []
        for look in range(LOOKS):
            begun = range(len(runs), search.replications << look)
            with closing(replications(self._engine, scenario, begun, check=search.check)) as made:  # type: ignore[type-var]
                for run in made:
                    runs.append(run)
                    if self._stopped():
                        raise SearchStopped
            interval = estimate(runs, search.goal.measure, search.confidence_of_a_look)
            verdict = search.goal.judged(interval)
            if verdict is not None:
                break
        return {
            "value": value,
            "verdict": _VERDICTS[verdict],
            "replications": len(runs),
            "measured": told(interval),
            "failing_checks": [f"replication {run.number}: {text}" for run in runs for text in run.failing],
        }

    def _told(self, good: int | None, bad: int | None) -> dict[str, Any]:
        """The answer, and whether its neighbour on the other side is known to miss the goal."""
        search = self.search
        tried = [self.judged[place] for place in sorted(self.judged)]
        edge = [self.judged[bad]] if bad is not None else [] if good is not None else tried
        return {
            "key": search.key,
            "values": list(search.values),
            "goal": search.goal.text,
            "replications": search.replications,
            "confidence": search.confidence,
            "answer": None if good is None else search.values[good],
            "beyond": None if bad is None else search.values[bad],
            "settled": all(each["verdict"] == MISSED for each in edge),
            "tried": [{key: each[key] for key in _KEPT} for each in tried],
        }


def table_of_search(document: dict[str, Any]) -> pl.DataFrame:
    """A row for each value that was tried."""
    rows = document["tried"]
    measured = [each["measured"] or {} for each in rows]
    columns = {
        document["key"]: pl.Series([each["value"] for each in rows], dtype=pl.String),
        "replications": pl.Series([each["replications"] for each in rows], dtype=pl.Int64),
        "verdict": pl.Series([each["verdict"] for each in rows], dtype=pl.String),
    }
    for end in ("estimate", "low", "high"):
        columns[end] = pl.Series([each.get(end) for each in measured], dtype=pl.Float64)
    return pl.DataFrame(columns)


_KEPT: Final = ("value", "verdict", "replications", "measured", "failing_checks")
