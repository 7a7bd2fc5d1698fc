"""How work ends: retries that are spread by jitter, and jobs that are buried after so many failures."""

from itertools import islice
from typing import Any

from jsm.states import JobState
from sim.distributions import probability_sampler
from sim.run_result import Outcome
from sim.scenario_models import ReleasePolicy
from sim.streams import Streams
from tests.simulated import SECOND, at_start, pool, recorded, scenario


def _failing(probability: float = 1.0, **policy: Any) -> dict[str, Any]:
    return {"probability": probability, "policy": {"kind": "release", **policy}}


def test_jitter_draws_its_share_of_the_delay() -> None:
    full = ReleasePolicy(kind="release", backoff_seconds=100, backoff_factor=2.0, backoff_max_seconds=150, jitter=1.0)
    assert [full.delay_seconds(1, chance) for chance in (0.0, 0.25, 0.999)] == [0, 25, 100]
    assert [full.delay_seconds(2, chance) for chance in (0.0, 0.5, 0.999)] == [0, 75, 150]  # the greatest delay is cut
    half = full.model_copy(update={"jitter": 0.5})
    assert [half.delay_seconds(1, chance) for chance in (0.0, 0.5, 0.999)] == [50, 75, 100]
    none = full.model_copy(update={"jitter": 0.0})
    assert [none.delay_seconds(failures, 0.3) for failures in (1, 2)] == [100, 150]


def test_delays_are_those_of_the_workers_stream_and_spread_a_herd() -> None:
    """100 jobs fail at second 1; their mean delay is half of the back-off, and each worker draws by itself."""
    failure = _failing(backoff_seconds=1_000, jitter=1.0, bury_after_failures=2)
    _, recorder, _ = recorded(scenario(producers=at_start(100), workers=pool(1.0, 100, failure=failure)))
    (released,) = set(recorder.at("release-delayed"))
    assert released == 1
    delays = {record.client: record for record in recorder.commands if record.op == "release_with"}
    assert len(delays) == 100
    for client, record in delays.items():
        (chance,) = islice(probability_sampler(Streams(1).stream(f"workers/{client}/jitter")), 1)
        assert record.args["delay_seconds"] == round(1_000 * chance)
    ready = recorder.at("delay-elapsed")
    assert len(set(ready)) > 80
    assert abs(sum(ready) / 100 - 501) < 3.3 * 1_000 / (12 * 100) ** 0.5
    assert len(recorder.at("bury")) == 100


def test_jitter_leaves_failures_and_work_as_they_are() -> None:
    """Common random numbers: what is compared is the jitter alone."""

    def failed(**policy: Any) -> list[bool]:
        workers = {"service": {"kind": "exponential", "mean_seconds": 1.0}, "failure": _failing(0.5, **policy)}
        recorder = recorded(scenario(producers=at_start(50), workers=workers))[1]
        ended = [r for r in recorder.transitions if r.trigger in ("release", "release-delayed", "delete")]
        return [r.trigger != "delete" for r in ended][:40]

    assert failed() == failed(backoff_seconds=1, jitter=0.9)


def test_failures_are_counted_over_all_workers_and_the_last_one_buries() -> None:
    failure = _failing(bury_after_failures=3)
    _, recorder, result = recorded(scenario(producers=at_start(1, priority=4), workers=pool(1.0, 2, failure=failure)))
    assert [trigger for _, _, trigger in recorder.steps() if trigger != "reserve"] == [
        "put",
        "release",
        "release",
        "bury",
    ]
    assert {record.client for record in recorder.transitions if record.trigger == "reserve"} == {
        "workers/0",
        "workers/1",
    }
    assert result.ended_at == 3 * SECOND
    assert result.left[JobState.BURIED] == 1
    bury = next(command for command in recorder.commands if command.op == "bury")
    assert bury.args["priority"] == 4
    assert sum(worker.outcomes[Outcome.FAILED] for worker in result.workers) == 3


def test_only_failures_count_not_ttrs_that_run_out() -> None:
    """Work of 3 s against a ttr of 2 s is late each time; a limit of failures doesn't bury the job, attempts do."""
    workers = pool(3.0, failure=_failing(bury_after_failures=1), gives_up_at_ttr=True)
    run = {"duration_seconds": 20.0, "stop": "duration"}
    _, recorder, _ = recorded(scenario(producers=at_start(1, ttr_seconds=2), workers=workers, run=run))
    assert recorder.at("bury") == []
    assert len(recorder.at("ttr-expired")) >= 4
    attempts = {**workers, "max_attempts": 2}
    _, recorder, _ = recorded(scenario(producers=at_start(1, ttr_seconds=2), workers=attempts, run=run))
    assert len(recorder.at("bury")) == 1
