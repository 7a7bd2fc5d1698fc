"""The full validation runs: how long each case is simulated, and the report on all of them.

`python -m tests.validation` simulates every case, in two processes for some minutes, and writes
`reports/validation.md`. `make test-all` runs the same studies as tests.
"""

import subprocess
from pathlib import Path
from platform import machine, python_implementation, python_version
from typing import Any, Final

from sim.scenario import load_scenario
from tests.analytic import CASES, Study, study

ROOT: Final = Path(__file__).resolve().parent.parent
REPORT: Final = ROOT / "reports" / "validation.md"
COMMAND: Final = "python -m tests.validation"

SCENARIOS: Final = {
    "mm4_rho0.8": "mm4",
    "mm1_rho0.8": "mm1",
    "mg1_lognormal_cv2_rho0.8": "mg1-lognormal",
    "mm1_prio3_nonpreemptive": "priorities",
    "ttr_exp_repeat_different": "ttr-retry",
    "drain_100_jobs_5_workers": "drain",
}
"""The bundled scenario of each case."""

FULL: Final[dict[str, tuple[int, int] | None]] = {
    "mm4_rho0.8": (140_000, 500),
    "mm1_rho0.8": (300_000, 1_000),
    "mg1_lognormal_cv2_rho0.8": (110_000, 5_000),
    "mm1_prio3_nonpreemptive": (60_000, 2_000),
    "ttr_exp_repeat_different": (3_000, 100),
    "drain_100_jobs_5_workers": None,
}
"""Simulated seconds after the warm-up, and the warm-up, of a replication; None: until the backlog is drained."""

_DRAINS: Final = 400
REPLICATIONS: Final = 48
PROCESSES: Final = 2


def study_for(case_id: str, seconds: tuple[int, int] | None, replications: int, *more: str, **how: Any) -> Study:
    """A case's bundled scenario, simulated for some seconds after a warm-up, against the exact values."""
    overrides: list[str] = []
    if seconds is not None:
        measured, warmup = seconds
        overrides += [
            f"run.duration_seconds={float(measured + warmup)}",
            f"run.warmup_seconds={float(warmup)}",
            "run.stop=duration",
        ]
    return study(case_id, SCENARIOS[case_id], replications=replications, overrides=[*overrides, *more], **how)


def full_study(case_id: str) -> Study:
    """The study of a case that the report shows."""
    return study_for(case_id, FULL[case_id], _DRAINS if FULL[case_id] is None else REPLICATIONS, processes=PROCESSES)


def report(studies: dict[str, Study], commit: str) -> str:
    """All comparisons as Markdown; `commit` is the one that was simulated."""
    seed = load_scenario("mm1").run.seed
    lines = [
        "# The simulation against queueing theory",
        "",
        f"`{COMMAND}` at commit {commit}, seed {seed}, {python_implementation()} {python_version()}, {machine()}.",
        "",
        "An exact value agrees when it lies within t(0.9995, R-1)·s/√R of the mean of R independent replications. A",
        "quantile is compared by the share of latencies at or below its exact value; its half-width is in seconds.",
        "Times are in seconds, rates a second.",
    ]
    for case_id, made in studies.items():
        replications = _DRAINS if FULL[case_id] is None else REPLICATIONS
        lines += [
            "",
            f"## {case_id}",
            "",
            f"{CASES[case_id]['desc']}; scenario `{SCENARIOS[case_id]}`, "
            f"{replications} replications, {made.jobs:,} jobs.",
            "",
            "| what | exact | simulated | ± | half-width, % of exact | agrees |",
            "| --- | ---: | ---: | ---: | ---: | --- |",
        ]
        lines += [
            f"| {each.name} | {each.exact:.5g} | {each.mean:.5g} | {each.half_width:.2g} "
            f"| {100 * each.relative_half_width:.2g} | {'yes' if each.agrees else '**no**'} |"
            for each in made.comparisons
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the report."""
    command = ("git", "rev-parse", "--short", "HEAD")
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    studies = {case_id: full_study(case_id) for case_id in FULL}
    REPORT.write_text(report(studies, commit), encoding="utf-8")


if __name__ == "__main__":
    main()
