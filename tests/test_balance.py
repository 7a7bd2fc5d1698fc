"""Every planted fault breaks a check or is refused with an error; without one, every check holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from jsm.errors import InvariantViolation
from jsm.records import TransitionRecord
from jsm.states import LIVE_STATES, JobState, Trigger
from jsm.transitions import Transition, transitions
from sim import metrics as metrics_module
from sim.balance import Books, Check, LittleSides, checks_of, failed, taken
from sim.histogram import Integers
from sim.metrics import Metrics
from sim.run_result import Outcome, PoolInfo
from sim.timeline import Timeline
from tests.made_records import history, left_of, renumbered

HISTORY = history(17, steps=150)
LEFT = left_of(HISTORY)
END = HISTORY[-1].at + 5


def _checks(records: Sequence[TransitionRecord], left: Mapping[JobState, int] = LEFT, end: int = END) -> list[Check]:
    metrics = Metrics(units_per_second=1, classes=(), pools=())
    metrics.consume(records)
    return list(metrics.finish(end, left).checks)


def _caught(records: Sequence[TransitionRecord], left: Mapping[JobState, int] = LEFT) -> list[str]:
    """The names of what noticed: the failed checks, or the broken invariant."""
    try:
        return [check.name for check in failed(_checks(records, left))]
    except InvariantViolation as violation:
        return [violation.name]


def test_every_check_holds_without_a_fault() -> None:
    checks = _checks(HISTORY)
    assert not failed(checks)
    assert len({check.name for check in checks}) == len(checks) == 12
    assert [check.name for check in checks if not check.left and not check.right] == ["workers_work_while_present"]


def test_a_dropped_record_is_noticed() -> None:
    for position, dropped in enumerate(HISTORY):
        rest = [*HISTORY[:position], *HISTORY[position + 1 :]]
        inner = 0 < position < len(HISTORY) - 1
        assert not inner or _caught(rest), dropped
        # a touch is the one record that only its number misses: it leaves its job where it is
        assert dropped.trigger is Trigger.TOUCH or _caught(renumbered(rest)), dropped


def test_a_duplicated_record_is_noticed() -> None:
    for position, doubled in enumerate(HISTORY):
        more = [*HISTORY[: position + 1], *HISTORY[position:]]
        assert _caught(more), doubled
        assert doubled.trigger is Trigger.TOUCH or _caught(renumbered(more)), doubled


def test_a_wrong_state_is_noticed() -> None:
    for position, right in enumerate(HISTORY):
        for state in JobState:
            for field in ("source", "target"):
                if getattr(right, field) is not state:
                    wrong = right._replace(**{field: state})  # type: ignore[arg-type]
                    assert _caught([*HISTORY[:position], wrong, *HISTORY[position + 1 :]]), wrong


def test_another_edge_is_noticed_when_it_ends_elsewhere() -> None:
    for position, right in enumerate(HISTORY):
        for edge in transitions():
            if edge.source is not right.source or edge.target is not right.target:
                wrong = right._replace(source=edge.source, trigger=edge.trigger, target=edge.target)
                assert _caught([*HISTORY[:position], wrong, *HISTORY[position + 1 :]]), wrong


def test_a_wrong_job_is_noticed() -> None:
    for position, right in enumerate(HISTORY):
        wrong = right._replace(job=right.job + 1000)
        assert _caught([*HISTORY[:position], wrong, *HISTORY[position + 1 :]]) or right.source is JobState.NEW, wrong


@pytest.mark.parametrize("state", LIVE_STATES)
@pytest.mark.parametrize("by", [-1, 1])
def test_a_wrong_count_of_the_machine_is_noticed(state: JobState, by: int) -> None:
    caught = _caught(HISTORY, {**LEFT, state: LEFT[state] + by})
    held = ["reserves_are_accounted_for"] if state is JobState.RESERVED else []
    assert caught == [f"{state}_count_is_the_machines", "puts_are_deletes_plus_left", *held]


def test_a_whole_life_that_is_dropped_is_noticed_by_the_numbers() -> None:
    job = next(record.job for record in HISTORY if record.target is JobState.DELETED and record.seq < 140)
    rest = [record for record in HISTORY if record.job != job]
    assert _caught(rest) == ["records_without_gap"]


def test_a_timeline_that_loses_events_breaks_littles_law(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(Timeline):
        def events(self, at: Integers, kinds: Integers) -> None:
            super().events(at[1:], kinds[1:])

    monkeypatch.setattr(metrics_module, "Timeline", Forgetful)
    assert {name for name in _caught(HISTORY) if name.startswith("littles_law")}


def test_littles_law_text_names_its_three_numbers() -> None:
    books = _books(little={state: LittleSides(area=60, stays=60, visits=4) for state in LIVE_STATES})
    assert "L = 0.6 jobs, λ = 0.4 visits/s, W = 1.5 s" in checks_of(books)[0].text


def _books(**changes: object) -> Books:
    """Books that balance: one job was put, reserved and deleted; one is held."""
    edges = dict.fromkeys(transitions(), 0)
    edges[Transition(JobState.NEW, Trigger.PUT, JobState.READY)] = 2
    edges[Transition(JobState.READY, Trigger.RESERVE, JobState.RESERVED)] = 2
    edges[Transition(JobState.RESERVED, Trigger.DELETE, JobState.DELETED)] = 1
    books = Books(
        units_per_second=10,
        ended_at=100,
        edges=edges,
        left={**dict.fromkeys(LIVE_STATES, 0), JobState.RESERVED: 1},
        little={state: LittleSides(area=9, stays=9, visits=2) for state in LIVE_STATES},
        records=5,
        seq_span=5,
        watched_edges=dict(edges),
        worker_overdrafts=0,
    )
    return replace(books, **changes)  # type: ignore[arg-type]


def _with_edge(source: JobState, trigger: Trigger, target: JobState, count: int) -> Books:
    books = _books()
    edges = {**books.edges, Transition(source, trigger, target): count}
    return replace(books, edges=edges, watched_edges=edges)


FAULTS: list[tuple[Callable[[], Books], list[str]]] = [
    (_books, []),
    (
        lambda: _books(little={state: LittleSides(9, 9 + (state is JobState.READY), 2) for state in LIVE_STATES}),
        ["littles_law_ready"],
    ),
    (
        lambda: _books(left={**dict.fromkeys(LIVE_STATES, 0), JobState.READY: 1}),
        ["ready_count_is_the_machines", "reserved_count_is_the_machines", "reserves_are_accounted_for"],
    ),
    (
        lambda: _with_edge(JobState.NEW, Trigger.PUT_DELAYED, JobState.DELAYED, 1),
        ["delayed_count_is_the_machines", "puts_are_deletes_plus_left"],
    ),
    (
        lambda: _with_edge(JobState.RESERVED, Trigger.CLOSE, JobState.READY, 1),
        ["ready_count_is_the_machines", "reserved_count_is_the_machines", "reserves_are_accounted_for"],
    ),
    (lambda: _books(records=4), ["records_without_gap"]),
    (lambda: _books(worker_overdrafts=1), ["workers_work_while_present"]),
    (lambda: _books(watched_edges={}), ["watcher_saw_the_same_edges"]),
    (
        lambda: _books(watched_edges={**_books().edges, Transition(JobState.BURIED, Trigger.BURY, JobState.BURIED): 1}),
        ["watcher_saw_the_same_edges"],
    ),
]


@pytest.mark.parametrize(("books", "names"), FAULTS)
def test_each_fault_breaks_its_own_checks(books: Callable[[], Books], names: list[str]) -> None:
    assert [check.name for check in failed(checks_of(books()))] == names


@pytest.mark.parametrize(
    ("trigger", "target"),
    [
        (Trigger.RELEASE, JobState.READY),
        (Trigger.RELEASE_DELAYED, JobState.DELAYED),
        (Trigger.BURY, JobState.BURIED),
        (Trigger.TTR_EXPIRED, JobState.READY),
        (Trigger.CLOSE, JobState.READY),
        (Trigger.DELETE, JobState.DELETED),
    ],
)
def test_every_way_out_of_reserved_counts_in_the_balance_of_reserves(trigger: Trigger, target: JobState) -> None:
    edge = Transition(JobState.RESERVED, trigger, target)
    books = _with_edge(*edge, _books().edges[edge] + 1)
    assert "reserves_are_accounted_for" in [check.name for check in failed(checks_of(books))]


def test_work_during_an_absence_is_noticed() -> None:
    metrics = Metrics(units_per_second=1, classes=(), pools=(PoolInfo("one", 1),))
    metrics.work(0, 0, 0, 6, Outcome.DONE)
    metrics.absent(0, 0, 5, 10)
    checks = metrics.finish(10, dict.fromkeys(LIVE_STATES, 0)).checks
    assert [check.name for check in failed(checks)] == ["workers_work_while_present"]


def test_taken_counts_by_ends_and_triggers() -> None:
    edges = dict.fromkeys(transitions(), 1)
    assert taken(edges) == 19
    assert taken(edges, target=JobState.DELETED) == 4
    assert taken(edges, sources=(JobState.BURIED,), triggers=(Trigger.KICK, Trigger.DELETE)) == 2
