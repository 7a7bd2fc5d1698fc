"""Explores several worlds: one after the other on all cores, or side by side where there are as many as cores.

A world that is spread over processes keeps two cores busy for two thirds of the time; two worlds side by side keep
them busy all of it.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple, cast

from jsm.engines import open_engine
from models.explorer import explore
from models.liveness import check_liveness

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from models.check_result import Bounds, CheckResult
    from models.liveness import LivenessResult
    from models.scope import Scope


class World(NamedTuple):
    """What is to be explored, and how."""

    name: str
    scope: Scope
    lassos: bool = False  # look for what never happens, instead of checking every call
    lockstep: bool = True
    invariants: bool = True
    allow_unfired: tuple[str, ...] = ()


def explored(
    worlds: Sequence[World],
    *,
    bounds: Bounds,
    processes: int = 0,
    progress: Callable[[str], Callable[[int, int], None]] | None = None,
) -> Generator[tuple[World, CheckResult | LivenessResult]]:
    """The worlds in their order, each with what came out of it, as soon as it and those before it are done.

    `processes` work side by side (0: one a core); the results don't depend on how many. `progress` is asked by a
    world's name for whom to tell how many states are done and known. Whoever has enough closes the iterator.
    """
    count = processes or os.cpu_count() or 1
    if count > 1 and len(worlds) >= count:
        with open_engine(processes=count) as engine:
            results = engine.run(_result, [(world, bounds) for world in worlds])
            with closing(cast("Generator[CheckResult | LivenessResult]", results)):
                yield from zip(worlds, results, strict=True)
        return
    for world in worlds:
        told = None if progress is None or world.lassos else progress(world.name)
        yield world, _result(world, bounds, count, told)


def _result(
    world: World, bounds: Bounds, processes: int = 1, progress: Callable[[int, int], None] | None = None
) -> CheckResult | LivenessResult:
    if world.lassos:
        return check_liveness(world.scope, states_max=bounds.states)
    return explore(
        world.scope,
        lockstep=world.lockstep,
        invariants=world.invariants,
        bounds=bounds,
        allow_unfired=world.allow_unfired,
        progress=progress,
        processes=processes,
    )
