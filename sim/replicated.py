"""`jsm simulate` in replications: the first is the run that is drawn and reported, the others give it intervals."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import polars as pl

from jsm.engines import Engine
from sim.check_mode import CheckMode
from sim.estimates import CONFIDENCE, REPLICATIONS_MIN
from sim.input_errors import ScenarioError
from sim.replications import PRECISE, Replicate, estimates, kept_of, until_precise
from sim.run_result import RunInfo, RunResult
from sim.scenario_models import Scenario

REPLICATIONS_MAX: Final = 1000
"""Where a half-width is asked for and no number of replications is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many replications, or how precise."""

    replications: int
    half_width: float | None = None  # a share of the estimate
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Replicated:
    """All replications of a scenario, the reported run first."""

    runs: tuple[Replicate, ...]
    wanted: Wanted
    reached: bool | None  # whether the half-width was; None: none was asked for

    def document(self) -> dict[str, Any]:
        """What `summary.json` holds under `replications`."""
        return {
            "count": len(self.runs),
            "confidence": CONFIDENCE,
            "until_halfwidth": self.wanted.half_width,
            "reached": self.reached,
            "measures": estimates(self.runs),
            "failing_checks": [f"replication {run.number}: {text}" for run in self.runs[1:] for text in run.failing],
        }

    def info(self, info: RunInfo) -> RunInfo:
        """What the summary says, with what the replications add."""
        note = f"figures and numbers are those of the first of {len(self.runs)} replications; 'replications' has all"
        return replace(info, notes=(*info.notes, note), more={**(info.more or {}), "replications": self.document()})

    def table(self) -> pl.DataFrame:
        """A row for each replication: its number and its values."""
        columns = {"replication": pl.Series([run.number for run in self.runs], dtype=pl.Int64)}
        for name in self.runs[0].values:
            columns[name] = pl.Series([run.values[name] for run in self.runs], dtype=pl.Float64)
        return pl.DataFrame(columns)


def wanted_of(replications: int | None, half_width: str | None, processes: int) -> Wanted | None:
    """What the options say; None: a single run. `half_width` is a percentage or a share. Raises `ScenarioError`."""
    if half_width is None:
        return None if replications in (None, 1) else Wanted(replications or 1, None, processes)
    text = half_width.strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        problem, remedy = "is no share of an estimate", "write it like 2% or 0.02"
        raise ScenarioError(f"--until-halfwidth {half_width}", "", None, problem, remedy)
    if replications is not None and replications < REPLICATIONS_MIN:
        problem = f"with --until-halfwidth it is the bound, and the first look is after {REPLICATIONS_MIN}"
        raise ScenarioError(f"--replications {replications}", "", None, problem, f"give {REPLICATIONS_MIN} or more")
    return Wanted(replications or REPLICATIONS_MAX, share, processes)


def replicated(
    engine: Engine,
    scenario: Scenario,
    result: RunResult,
    wanted: Wanted,
    *,
    check: CheckMode,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda number: None,
) -> Replicated:
    """Make the other replications; `result` is that of the first. When `stopped` says so, those so far are it.

    Raises what `replicate` raises.
    """
    runs, reached = until_precise(
        engine,
        scenario,
        wanted.half_width,
        replications_max=wanted.replications,
        check=check,
        first=[kept_of(result, 0)],
        stopped=stopped,
        progress=progress,
    )
    return Replicated(tuple(runs), wanted, None if wanted.half_width is None else reached)


def imprecise(document: dict[str, Any]) -> str:
    """What to say when the half-width was not reached."""
    names = ", ".join(PRECISE)
    return f"after {document['count']} replications the half-width of {names} is not {document['until_halfwidth']:.4g}"
