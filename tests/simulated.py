"""Makes small scenarios in a line and runs them, for the tests of the simulation's parts."""

from collections.abc import Sequence
from typing import Any

from jsm.records import CommandRecord, TransitionRecord
from sim.run import Simulation
from sim.run_result import RunResult
from sim.scenario_models import Scenario

SECOND = 1_000_000
"""Units a second in every scenario that is made here."""

Step = tuple[float, int, str]
"""When in seconds, which job, and by which trigger."""


class Recorder:
    """Keeps every record of a run."""

    def __init__(self) -> None:
        self.transitions: list[TransitionRecord] = []
        self.commands: list[CommandRecord] = []

    def transition(self, record: TransitionRecord) -> None:
        """Keep it."""
        self.transitions.append(record)

    def command(self, record: CommandRecord) -> None:
        """Keep it."""
        self.commands.append(record)

    def steps(self, job: int | None = None) -> list[Step]:
        """The transitions of one job or of all, without what a test rarely asks for."""
        return [
            (record.at / SECOND, record.job, str(record.trigger))
            for record in self.transitions
            if job is None or record.job == job
        ]

    def at(self, trigger: str, job: int | None = None) -> list[float]:
        """The seconds at which a trigger happened."""
        return [at for at, _, name in self.steps(job) if name == trigger]


def scenario(
    *,
    producers: dict[str, Any] | Sequence[dict[str, Any]],
    workers: dict[str, Any] | Sequence[dict[str, Any]],
    run: dict[str, Any] | None = None,
) -> Scenario:
    """A scenario of plain tables, not checked across its tables."""
    tables = {"name": "test", "producers": producers, "workers": workers, "run": run or {}}
    return Scenario.model_validate(tables)


def at_start(jobs: int = 1, **settings: Any) -> dict[str, Any]:
    """A producer that puts all its jobs at second 0."""
    return {"arrivals": {"kind": "at-start", "jobs": jobs}, **settings}


def every(seconds: float, jobs: int, **settings: Any) -> dict[str, Any]:
    """A producer of jobs at constant intervals."""
    return {"arrivals": {"kind": "constant", "interval_seconds": seconds}, "jobs": jobs, **settings}


def pool(seconds: float, count: int = 1, **settings: Any) -> dict[str, Any]:
    """A pool whose work takes always the same time."""
    return {"service": {"kind": "constant", "seconds": seconds}, "count": count, **settings}


def recorded(made: Scenario, *, replication: int = 0) -> tuple[Simulation, Recorder, RunResult]:
    """The finished run with its records and numbers; every check of the run holds."""
    recorder = Recorder()
    simulation = Simulation(made, replication=replication, recorder=recorder)
    simulation.run()
    result = simulation.result()
    assert result.holds
    return simulation, recorder, result
