"""What `run.json` holds: everything about a run that depends on the machine that it ran on, and on the day."""

import platform
from importlib import metadata
from typing import Any, Final

from sim.run_result import RunResult

_PACKAGES: Final = ("beanstalk-jsm", "simpy", "networkx", "numpy", "scipy", "polars", "pydantic", "matplotlib")


def run_facts(result: RunResult, *, command: str, wall_seconds: float) -> dict[str, Any]:
    """The command line, the speed of the simulation (plots and files not counted) and the versions."""
    simulated = result.ended_at / result.units_per_second
    deleted = sum(count for edge, count in result.edges.items() if edge.trigger == "delete")
    records = sum(result.edges.values())
    return {
        "command": command,
        "wall_seconds": wall_seconds,
        "simulated_seconds_per_second": _rate(simulated, wall_seconds),
        "jobs_per_second": _rate(deleted, wall_seconds),
        "transitions_per_second": _rate(records, wall_seconds),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "versions": {name: version_of(name) for name in _PACKAGES},
    }


def version_of(package: str) -> str:
    """The installed version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _rate(amount: float, seconds: float) -> float | None:
    return amount / seconds if seconds > 0 else None
