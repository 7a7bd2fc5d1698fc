"""Producers: when jobs are put, with what, and what is noted of them."""

from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jsm.records import CommandRecord
from sim.distributions import Exponential, probability_sampler, units_sampler
from sim.run_result import Outcome
from sim.scenario import load_scenario
from sim.streams import Streams
from tests.simulated import SECOND, Recorder, at_start, every, pool, recorded, scenario

if TYPE_CHECKING:
    from collections.abc import Iterator


def _puts(recorder: Recorder, tube: str | None = None) -> list[CommandRecord]:
    return [c for c in recorder.commands if c.op == "put" and tube in (None, c.args["tube"])]


def _run(**tables: Any) -> Recorder:
    return recorded(scenario(**tables))[1]


def test_constant_arrivals_come_at_every_interval_from_the_first_one_on() -> None:
    recorder = _run(producers=every(0.1, 4), workers=pool(0.0))
    assert [put.at for put in _puts(recorder)] == [100_000, 200_000, 300_000, 400_000]


def test_backlog_is_put_at_second_0() -> None:
    recorder = _run(producers=at_start(5), workers=pool(1.0))
    assert [put.at for put in _puts(recorder)] == [0] * 5


def test_poisson_arrivals_are_the_exponential_gaps_of_the_producers_stream() -> None:
    producer = {"name": "web", "arrivals": {"kind": "poisson", "rate_per_second": 4.0}, "jobs": 200}
    recorder = _run(producers=producer, workers=pool(0.01), run={"seed": 7})
    rng = Streams(7).stream("producers/web/arrivals")
    gaps: Iterator[int] = units_sampler(Exponential(kind="exponential", mean_seconds=0.25), rng, SECOND)
    instants = [put.at for put in _puts(recorder)]
    assert [after - before for before, after in pairwise([0, *instants])] == list(islice(gaps, 200))


def test_number_of_poisson_arrivals_is_the_rate_times_the_time() -> None:
    producer = {"arrivals": {"kind": "poisson", "rate_per_second": 5.0}}
    recorder = _run(producers=producer, workers=pool(0.01), run={"duration_seconds": 1_000.0})
    assert abs(len(_puts(recorder)) - 5_000) < 4 * 5_000**0.5


@pytest.mark.parametrize(("duration", "puts"), [(2.999999, 2), (3.0, 3), (3.000001, 3)])
def test_puts_end_with_the_duration_which_is_still_in(duration: float, puts: int) -> None:
    recorder = _run(producers=every(1.0, 100), workers=pool(0.1), run={"duration_seconds": duration})
    assert len(_puts(recorder)) == puts


def test_first_limit_that_is_reached_ends_a_producer() -> None:
    recorder = _run(producers=every(1.0, 3), workers=pool(0.1), run={"duration_seconds": 10.0})
    assert [put.at for put in _puts(recorder)] == [SECOND, 2 * SECOND, 3 * SECOND]


def test_jobs_carry_what_the_producer_says() -> None:
    producer = at_start(tube="mail", priority=7, delay_seconds=3, ttr_seconds=11, body_bytes=5)
    recorder = _run(producers=producer, workers=pool(1.0, watch=["mail"]))
    (put,) = _puts(recorder)
    fields = {name: put.args[name] for name in ("tube", "priority", "delay_seconds", "ttr_seconds")}
    assert fields == {"tube": "mail", "priority": 7, "delay_seconds": 3, "ttr_seconds": 11}
    assert len(put.args["body"]) == 5 or put.args["body"] == {"bytes": 5}
    assert recorder.at("delay-elapsed") == [3]


def test_producers_draw_from_streams_of_their_own() -> None:
    def web() -> dict[str, Any]:
        return {"name": "web", "tube": "web", "arrivals": {"kind": "poisson", "rate_per_second": 1.0}, "jobs": 50}

    other = {"name": "other", "arrivals": {"kind": "poisson", "rate_per_second": 3.0}, "jobs": 80}
    alone = _run(producers=web(), workers=pool(0.1, watch=["web"]))
    together = _run(producers=[other, web()], workers=pool(0.1, 2, watch=["web", "default"]))
    instants = [put.at for put in _puts(alone)]
    assert [put.at for put in _puts(together, "web")] == instants
    assert [put.at for put in _puts(together, "default")][:50] != instants


def test_replications_differ_and_repeat() -> None:
    producer = {"arrivals": {"kind": "poisson", "rate_per_second": 1.0}, "jobs": 20}
    made = scenario(producers=producer, workers=pool(0.1))

    def instants(replication: int) -> list[int]:
        return [put.at for put in _puts(recorded(made, replication=replication)[1])]

    assert instants(0) == instants(0)
    assert instants(0) != instants(1)


def test_log_is_replayed_with_its_instants_work_tubes_priorities_and_classes(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("at,work,who\n10,2,ann\n10,0,bob\n12.5,1,ann\n", encoding="utf-8")
    (tmp_path / "s.toml").write_text(
        """
        name = "log"
        [producers]
        arrivals = { kind = "trace", format = "csv", file = "log.csv", columns = { submit = "at", work = "work" } }
        tube = { from = "who", template = "of-{value}" }
        priority = { from = "who", table = { ann = 1, bob = 2 } }
        class = { from = "who" }
        [workers]
        watch = ["of-*"]
        count = 3
        service = { kind = "job" }
        """,
        encoding="utf-8",
    )
    _, recorder, result = recorded(load_scenario(tmp_path / "s.toml"))
    puts = [(put.at, put.args["tube"], put.args["priority"]) for put in _puts(recorder)]
    assert puts == [(0, "of-ann", 1), (0, "of-bob", 2), (2_500_000, "of-ann", 1)]
    assert [(at, job) for at, job, trigger in recorder.steps() if trigger == "delete"] == [(0, 2), (2, 1), (3.5, 3)]
    assert {name: histogram.count for name, histogram in result.total.items()} == {"": 3, "ann": 2, "bob": 1}
    assert result.total["ann"].total == 3 * SECOND


def test_classes_are_told_apart_by_producer() -> None:
    producers = [at_start(2, name="a"), every(1.0, 3, name="b"), every(1.0, 4, name="c", **{"class": "a"})]
    _, _, result = recorded(scenario(producers=producers, workers=pool(0.1, 20)))
    assert {name: histogram.count for name, histogram in result.wait.items()} == {"": 9, "a": 6, "b": 3}


CLASSES = [
    {"name": "mail", "weight": 6},
    {"name": "report", "weight": 3, "priority": 5, "tube": "slow", "ttr_seconds": 90, "body_bytes": 9},
    {"name": "audit", "weight": 1, "delay_seconds": 2, "work": {"kind": "constant", "seconds": 0.5}},
]


def _of_classes(jobs: int, classes: list[dict[str, Any]] = CLASSES, **settings: Any) -> dict[str, Any]:
    work = {"kind": "exponential", "mean_seconds": 0.1}
    return every(0.1, jobs, name="web", priority=7, ttr_seconds=30, work=work, classes=classes, **settings)


def test_each_class_has_its_share_and_what_it_says_and_the_rest_from_the_producer() -> None:
    workers = {"service": {"kind": "job"}, "count": 5, "watch": ["default", "slow"]}
    _, recorder, result = recorded(scenario(producers=_of_classes(3_000), workers=workers))
    keys = ("tube", "priority", "delay_seconds", "ttr_seconds")
    kinds = Counter(tuple(put.args[key] for key in keys) for put in _puts(recorder))
    mail, report, audit = ("default", 7, 0, 30), ("slow", 5, 0, 90), ("default", 7, 2, 30)
    assert set(kinds) == {mail, report, audit}
    expected = {mail: 1_800, report: 900, audit: 300}
    assert sum((kinds[kind] - count) ** 2 / count for kind, count in expected.items()) < 13.8  # chi-square, 0.1 %
    assert {name: histogram.count for name, histogram in result.wait.items()} == {
        "": 3_000,
        "mail": kinds[mail],
        "report": kinds[report],
        "audit": kinds[audit],
    }
    work = {name: histogram.mean() for name, histogram in result.total.items()}
    wait = {name: histogram.mean() for name, histogram in result.wait.items()}
    done, began = work["audit"], wait["audit"]
    assert done is not None
    assert began is not None
    assert done - began == 0.5 * SECOND


def test_classes_draw_from_streams_of_their_own() -> None:
    """The instants are those without classes; one more class leaves the work that another's jobs carry as it is."""
    workers = {"service": {"kind": "job"}, "count": 50, "watch": ["*"]}

    def works(classes: list[dict[str, Any]], tube: str = "m") -> list[int]:
        recorder = _run(producers=_of_classes(400, classes), workers=workers)
        spans: dict[int, list[int]] = {}
        for record in recorder.transitions:
            if record.tube == tube:
                spans.setdefault(record.job, []).append(record.at)
        return [ended - put for put, *_, ended in spans.values()]

    mail = {"name": "mail", "weight": 1, "tube": "m"}
    both = [mail, {"name": "other", "weight": 1, "tube": "o"}]
    alone, beside = works([mail]), works(both)
    assert len(alone) == 400
    assert 150 < len(beside) < 250
    assert beside == alone[: len(beside)]
    assert works(both, "o")[:10] != alone[:10]
    drawn = probability_sampler(Streams(1).stream("producers/web/class"))
    tubes = [put.args["tube"] for put in _puts(_run(producers=_of_classes(400, both), workers=workers))]
    assert tubes == ["m" if chance < 0.5 else "o" for chance in islice(drawn, 400)]
    plain = every(0.1, 400, name="web")
    instants = [put.at for put in _puts(_run(producers=plain, workers=pool(0.1)))]
    assert [put.at for put in _puts(_run(producers=_of_classes(400), workers=workers))] == instants


def test_a_worker_gives_up_at_the_ttr_of_the_jobs_class() -> None:
    classes = [{"name": "a", "weight": 1, "ttr_seconds": 2}]
    producer = at_start(1, ttr_seconds=9, classes=classes)
    workers = pool(5.0, gives_up_at_ttr=True, max_attempts=1)
    _, recorder, result = recorded(scenario(producers=producer, workers=workers))
    assert recorder.at("ttr-expired") == [2]
    assert [worker.outcomes[Outcome.GAVE_UP] for worker in result.workers] == [1]
