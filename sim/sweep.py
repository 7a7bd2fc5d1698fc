"""A sweep: a scenario at every point of a grid over its keys, each in the same replications.

The pieces of work are single replications, so that all cores are busy also for a grid of one. They come back in the
order of the grid, and a cell is kept as soon as its last one is there. No number depends on the engine.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from jsm.engines import Engine
from sim.axes import Axis
from sim.check_mode import CheckMode
from sim.estimates import CONFIDENCE
from sim.input_errors import ScenarioError
from sim.replications import Replicate, estimates, replicate
from sim.scenario import load_scenario
from sim.scenario_models import Scenario
from sim.sweep_folder import SweepFolder, digest_of, table_of

CELLS_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Cell:
    """A point of the grid: what is set, and the scenario that comes of it."""

    settings: dict[str, str]
    scenario: Scenario
    digest: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is to be done."""

    source: str
    overrides: tuple[str, ...]
    axes: tuple[Axis, ...]
    replications: int
    check: CheckMode = CheckMode.SAMPLED


def cells_of(sweep: Sweep) -> list[Cell]:
    """Every point of the grid, the last key's values next to each other. Raises `InputError` for what can't be run."""
    size = 1
    for axis in sweep.axes:
        size *= len(axis.values)
    if size > CELLS_MAX:
        raise ScenarioError(
            "--over", "", None, f"the grid has {size:,} cells", f"{CELLS_MAX:,} are allowed; name fewer"
        )
    cells = []
    for values in product(*(axis.values for axis in sweep.axes)):
        settings = {axis.key: value for axis, value in zip(sweep.axes, values, strict=True)}
        scenario = scenario_at(sweep.source, sweep.overrides, settings)
        digest = digest_of(scenario, {"replications": sweep.replications, "check": str(sweep.check)})
        cells.append(Cell(settings, scenario, digest))
    return cells


def scenario_at(source: str, overrides: Sequence[str], settings: dict[str, str]) -> Scenario:
    """The scenario with what is set; its files are named from the root, for processes that work in other folders."""
    path = Path(source)
    texts = (*overrides, *(f"{key}={value}" for key, value in settings.items()))
    return load_scenario(path.resolve() if path.is_file() else source, texts)


def run_sweep(
    sweep: Sweep,
    cells: Sequence[Cell],
    engine: Engine,
    folder: SweepFolder,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Make the cells that the folder lacks, and write what it holds then; the document that `sweep.json` is.

    `progress` is told how many replications are there and how many there will be. When `stopped` says so, nothing
    more is begun, and the document says that it is not complete. Raises `InputError`, `InvariantViolation` and
    `EngineError`; the finished cells are kept in any case.
    """
    found = {cell.digest: kept for cell in cells if (kept := folder.cell(cell.digest)) is not None}
    left = {cell.digest: cell for cell in cells if cell.digest not in found}
    total = len(cells) * sweep.replications
    done = total - len(left) * sweep.replications
    progress(done, total)
    pieces = ((cell.scenario, number, sweep.check) for cell in left.values() for number in range(sweep.replications))
    with closing(engine.run(replicate, pieces)) as made:  # type: ignore[type-var]
        for cell in left.values():
            runs: list[Replicate] = []
            for run in _up_to(made, sweep.replications):
                runs.append(run)
                done += 1
                progress(done, total)
                if stopped():
                    break
            if len(runs) == sweep.replications:
                found[cell.digest] = folder.keep(cell.digest, _cell(cell, runs))
            if stopped():
                break
    document = _document(sweep, cells, found)
    folder.finish(document, table_of([axis.key for axis in sweep.axes], document["cells"]))
    return document


def _up_to(runs: Iterator[Replicate], count: int) -> Iterator[Replicate]:
    for _ in range(count):
        yield next(runs)


def _cell(cell: Cell, runs: Sequence[Replicate]) -> dict[str, Any]:
    return {
        "settings": cell.settings,
        "replications": len(runs),
        "measures": estimates(runs),
        "failing_checks": [f"replication {run.number}: {text}" for run in runs for text in run.failing],
    }


def _document(sweep: Sweep, cells: Sequence[Cell], found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    rows = []
    for cell in cells:
        kept = found.get(cell.digest)
        if kept is not None:  # the settings are this sweep's: another may have written 8 as 8.0
            rows.append({"settings": cell.settings, **{key: kept[key] for key in _KEPT}})
    scenario = cells[0].scenario
    return {
        "scenario": scenario.name,
        "seed": scenario.run.seed,
        "set": list(sweep.overrides),
        "over": [{"key": axis.key, "values": list(axis.values)} for axis in sweep.axes],
        "replications": sweep.replications,
        "confidence": CONFIDENCE,
        "complete": len(rows) == len(cells),
        "cells": rows,
    }


_KEPT: Final = ("replications", "measures", "failing_checks")
