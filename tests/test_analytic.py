"""The simulation against exact queueing theory: `tests/data/analytic_cases.json`, compared as `tests.analytic` says.

The full set, marked `slow`, has intervals that are narrow enough to mean something: a half-width of at most 3 % of
the exact value for every mean and every quantile up to 0.99, 10 % for the quantile 0.999 and for the lognormal. The
short set has the same comparisons on fewer jobs. Planted faults show that even the short set notices.
"""

from typing import Any

import pytest

from jsm.limits import PRIORITY_MAX
from jsm.machine import Machine
from tests.analytic import CASES, study
from tests.validation import FULL, SCENARIOS, full_study, report, study_for

ELSEWHERE = ("erlangA_mm4_M", "machine_repair_N10_c3")  # impatient and waiting producers are no part of scenarios yet

REPLICATIONS = 24

# Simulated seconds after the warm-up, and the warm-up. The slowest queue, M/M/1 at 0.8, forgets its start with a
# time constant of 1/(1 - sqrt(0.8))^2 = 90 s, the lognormal one more slowly.
SHORT = {
    "mm1_rho0.8": (3_000, 1_000),
    "mm4_rho0.8": (800, 200),
    "mg1_lognormal_cv2_rho0.8": (4_000, 2_000),
    "mm1_prio3_nonpreemptive": (3_000, 1_000),
    "ttr_exp_repeat_different": (400, 50),
}


def test_every_case_is_compared_or_named_as_not_yet_possible() -> None:
    assert {*SCENARIOS, *ELSEWHERE} == set(CASES)


@pytest.mark.parametrize("case_id", SHORT)
def test_short_runs_agree(case_id: str) -> None:
    made = study_for(case_id, SHORT[case_id], REPLICATIONS)
    assert made.disagreements == []
    compared = {comparison.name.split(" ")[0] for comparison in made.comparisons}
    assert compared & {"wq_mean", "wq", "completion_mean"}


@pytest.mark.slow
@pytest.mark.parametrize("case_id", [case_id for case_id, seconds in FULL.items() if seconds is not None])
def test_full_runs_agree_with_narrow_intervals(case_id: str) -> None:
    made = full_study(case_id)
    assert made.disagreements == []
    lognormal = case_id.startswith("mg1")
    wide = [line for line in made.wider_than(0.10 if lognormal else 0.03) if "quantile 0.999" not in line]
    assert wide == []
    assert made.wider_than(0.10) == []


def test_drain_takes_as_long_as_it_should_in_mean_and_variance() -> None:
    made = full_study("drain_100_jobs_5_workers")
    assert [comparison.name for comparison in made.comparisons] == ["makespan_mean", "makespan_var"]
    assert made.disagreements == []
    assert made.wider_than(0.03, names="makespan_mean") == []


def test_processes_change_nothing() -> None:
    alone, together = (study("drain_100_jobs_5_workers", "drain", replications=4, processes=n) for n in (1, 2))
    assert alone == together


def test_report_names_every_comparison() -> None:
    made = study_for("drain_100_jobs_5_workers", None, 20)
    text = report({"drain_100_jobs_5_workers": made}, "0123abc")
    assert "| makespan_mean | 21.283 |" in text
    assert "| makespan_var |" in text
    assert "2,000 jobs" in text
    assert "at commit 0123abc, seed 1" in text


# ------------------------------------------------------------------ planted faults


class LastInFirstOut(Machine):
    """Serves the youngest job first: the mean wait stays what it is, its distribution doesn't."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.puts = 0

    def put(self, now: int, *, priority: int, **fields: Any) -> Any:
        """Put with a priority that is more urgent each time."""
        self.puts += 1
        return super().put(now, priority=PRIORITY_MAX - self.puts, **fields)


def test_last_in_first_out_is_noticed_by_the_quantiles_alone() -> None:
    made = study_for("mm1_rho0.8", SHORT["mm1_rho0.8"], REPLICATIONS, make_machine=LastInFirstOut)
    wrong = {line.split(":")[0] for line in made.disagreements}
    assert {"wait quantile 0.5", "wait quantile 0.99"} <= wrong
    assert "wq_mean" not in wrong
    assert "utilisation" not in wrong


def test_slower_service_is_noticed() -> None:
    made = study_for("mm4_rho0.8", (3_000, 200), REPLICATIONS, "workers.service.mean_seconds=1.05")
    wrong = {line.split(":")[0] for line in made.disagreements}
    assert {"utilisation", "wq_mean", "sojourn_mean"} <= wrong


def test_swapped_priorities_are_noticed() -> None:
    made = study_for(
        "mm1_prio3_nonpreemptive",
        SHORT["mm1_prio3_nonpreemptive"],
        REPLICATIONS,
        "producers.urgent.priority=2",
        "producers.patient.priority=0",
    )
    wrong = {line.split(":")[0] for line in made.disagreements}
    assert {"wq of urgent", "wq of patient"} <= wrong


def test_ttr_that_is_off_by_one_second_is_noticed() -> None:
    made = study_for(
        "ttr_exp_repeat_different", SHORT["ttr_exp_repeat_different"], REPLICATIONS, "producers.ttr_seconds=3"
    )
    wrong = {line.split(":")[0] for line in made.disagreements}
    assert {"p_timeout_per_attempt", "attempts_mean"} <= wrong


def test_missing_worker_is_noticed_by_the_drain() -> None:
    made = study_for("drain_100_jobs_5_workers", None, 50, "workers.count=4")
    assert made.disagreements[0].startswith("makespan_mean")
