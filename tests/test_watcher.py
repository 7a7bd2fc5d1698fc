"""The transition watcher: silent on every legal history, and exact about each kind of illegal one."""

import random
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jsm.errors import InvariantViolation
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from jsm.records import CommandRecord, TransitionRecord
from jsm.states import JobState, Trigger
from jsm.transitions import TRANSITIONS, Transition, transitions
from models.graph import edge_name, transition_graph
from models.watcher import TransitionReport, TransitionViolation, TransitionWatcher


def history(length: int, seed: int) -> list[TransitionRecord]:
    """A legal history of many jobs in three tubes, at random."""
    chance = random.Random(seed)
    live: list[tuple[int, str, JobState]] = []
    records: list[TransitionRecord] = []
    at = last_id = 0
    while len(records) < length:
        at += chance.randrange(3)
        if len(live) < 5 or chance.random() < 0.2:
            last_id += chance.randint(1, 2)  # other servers leave ids out
            live.append((last_id, chance.choice("abc"), JobState.NEW))
        place = chance.randrange(len(live))
        if live[-1][2] is JobState.NEW:
            place = len(live) - 1
        job, tube, source = live[place]
        trigger = chance.choice(list(TRANSITIONS[source]))
        target = TRANSITIONS[source][trigger]
        records.append(TransitionRecord(len(records) + 1, at, job, tube, source, trigger, target, None))
        live[place] = (job, tube, target)
        if target is JobState.DELETED:
            del live[place]
    return records


def rows(*texts: str) -> list[TransitionRecord]:
    """Records out of lines `seq at job tube source trigger target`."""
    return [
        TransitionRecord(int(seq), int(at), int(job), tube, JobState(source), Trigger(trigger), JobState(target), "c")
        for seq, at, job, tube, source, trigger, target in (text.split() for text in texts)
    ]


PUT = "1 0 1 t new put ready"
RESERVE = "2 5 1 t ready reserve reserved"
DELETE = "3 9 1 t reserved delete deleted"


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_a_legal_history_passes_and_is_counted(chunk: int) -> None:
    records = history(3000, seed=1)
    watcher = TransitionWatcher()
    for start in range(0, len(records), chunk):
        watcher.consume(records[start : start + chunk])
    report = watcher.report()
    edges = [Transition(record.source, record.trigger, record.target) for record in records]
    assert report.checked == 3000
    assert report.illegal == 0
    assert dict(report.edges) == {edge: edges.count(edge) for edge in transitions()}
    lives: dict[int, list[Transition]] = {}
    for record, edge in zip(records, edges, strict=True):
        lives.setdefault(record.job, []).append(edge)
    pairs = [pair for life in lives.values() for pair in pairwise(life)]
    assert dict(report.edge_pairs) == {pair: pairs.count((pair.first, pair.second)) for pair in report.edge_pairs}
    assert sum(report.edge_pairs.values()) == len(pairs)
    ends = [life[-1].target for life in lives.values()]
    assert dict(report.live) == {state: ends.count(state) for state in report.live}


def test_counts_have_their_zeros() -> None:
    watcher = TransitionWatcher()
    watcher.consume(rows(PUT, RESERVE, DELETE))
    report = watcher.report()
    assert list(report.edges) == list(transitions())
    assert len(report.edge_pairs) == 67
    assert [edge_name(edge) for edge, count in report.edges.items() if count] == [
        "new>ready by put",
        "ready>reserved by reserve",
        "reserved>deleted by delete",
    ]
    assert len(report.edges_never_seen) == 16
    assert len(report.edge_pairs_never_seen) == 65
    summary = report.summary()
    assert (summary["checked"], summary["illegal"], summary["edge_pairs_seen"]) == (3, 0, 2)
    assert summary["edges"]["reserved>ready by release"] == 0


# (rule, legal records, the illegal one, what the message says was expected)
FAULTS = [
    ("records_are_numbered_without_a_gap", [PUT], "3 5 1 t ready reserve reserved", "transition 2"),
    ("records_are_numbered_without_a_gap", [PUT], "1 5 1 t ready reserve reserved", "transition 2"),
    ("records_are_numbered_without_a_gap", [], "0 0 1 t new put ready", "transition 1"),
    ("time_never_goes_back", [PUT, RESERVE], "3 4 1 t reserved touch reserved", "an instant from 5 on"),
    (
        "every_transition_is_an_edge",
        [PUT],
        "2 5 1 t ready bury buried",
        "from ready: reserve to reserved, reserve-job to reserved, delete to deleted",
    ),
    (
        "every_transition_is_an_edge",
        [PUT, RESERVE],
        "3 5 1 t reserved release delayed",
        "from reserved: touch to reserved, release to ready",
    ),
    ("every_transition_is_an_edge", [PUT, RESERVE, DELETE], "4 9 1 t deleted kick ready", "from deleted: nothing"),
    ("a_life_begins_with_a_put", [], "1 0 1 t ready reserve reserved", "from new: put to ready"),
    ("a_life_begins_with_a_put", [PUT], "2 0 2 t buried kick ready", "from new: put to ready"),
    ("ids_strictly_increase", [PUT], "2 0 1 t new put ready", "an id greater than 1"),
    ("ids_strictly_increase", [PUT, RESERVE, DELETE], "4 9 1 t new put-delayed delayed", "an id greater than 1"),
    ("ids_strictly_increase", ["1 0 5 t new put ready"], "2 0 4 t new put ready", "an id greater than 5"),
    ("ids_strictly_increase", [], "1 0 0 t new put ready", "an id greater than 0"),
    ("a_job_continues_where_it_was", [PUT], "2 0 1 t reserved touch reserved", "from ready: reserve to reserved"),
    ("a_job_continues_where_it_was", [PUT, RESERVE], "3 9 1 t ready delete deleted", "from reserved: touch"),
    ("nothing_follows_a_delete", [PUT, RESERVE, DELETE], "4 9 1 t reserved delete deleted", "not in the machine"),
    ("a_job_keeps_its_tube", [PUT], "2 5 1 u ready reserve reserved", "tube 't', where the job was put"),
    ("a_job_keeps_its_tube", [PUT], "2 5 1 u ready delete deleted", "tube 't', where the job was put"),
]


@pytest.mark.parametrize(("rule", "before", "illegal", "expected"), FAULTS)
def test_each_fault_is_found_and_named(rule: str, before: Sequence[str], illegal: str, expected: str) -> None:
    watcher = TransitionWatcher()
    with pytest.raises(TransitionViolation) as found:
        watcher.consume(rows(*before, illegal))
    assert found.value.name == rule
    assert expected in str(found.value)
    assert found.value.record == rows(illegal)[0]
    report = watcher.report()
    assert (report.checked, report.illegal) == (len(before) + 1, 1)
    with pytest.raises(TransitionViolation, match=rule):
        watcher.transition(rows(illegal)[0])  # the illegal record changed nothing


def test_the_message_says_all() -> None:
    watcher = TransitionWatcher(units_per_second=1_000_000)
    watcher.consume(rows("1 0 7 mail new put ready"))
    with pytest.raises(InvariantViolation) as found:
        watcher.consume(rows("2 1500000 7 mail ready ttr-expired ready"))
    assert str(found.value) == (
        "every_transition_is_an_edge: transition 2 at 1500000 (1.5 s): job 7 in tube 'mail' went from ready by "
        "ttr-expired to ready for client 'c'; expected from ready: reserve to reserved, reserve-job to reserved, "
        "delete to deleted"
    )
    assert isinstance(found.value, TransitionViolation)
    assert found.value.seconds == 1.5


def outcome(watcher: TransitionWatcher, records: Sequence[TransitionRecord], *, at_once: bool) -> tuple[str, object]:
    """Which rule broke at which record, or none, and what was counted until then."""
    try:
        if at_once:
            watcher.consume(records)
        else:
            for record in records:
                watcher.transition(record)
    except TransitionViolation as violation:
        return f"{violation.name} {violation.record}", watcher.report()
    return "", watcher.report()


@given(
    seed=st.integers(0, 50),
    place=st.integers(0, 59),
    change=st.one_of(
        st.tuples(st.just("job"), st.integers(0, 30)),
        st.tuples(st.just("seq"), st.integers(0, 60)),
        st.tuples(st.just("at"), st.integers(0, 60)),
        st.tuples(st.just("tube"), st.sampled_from("abc")),
        st.tuples(st.just("source"), st.sampled_from(JobState)),
        st.tuples(st.just("trigger"), st.sampled_from(Trigger)),
        st.tuples(st.just("target"), st.sampled_from(JobState)),
    ),
)
def test_the_fast_way_is_the_slow_way(seed: int, place: int, change: tuple[str, Any]) -> None:
    records = history(60, seed)
    records[place] = records[place]._replace(**{change[0]: change[1]})
    fast = outcome(TransitionWatcher(), records, at_once=True)
    assert fast == outcome(TransitionWatcher(), records, at_once=False)


def test_plain_strings_are_states_and_triggers_too() -> None:
    plain = [record._replace(source=str(record.source)) for record in history(200, seed=3)]  # type: ignore[arg-type]
    watcher = TransitionWatcher()
    watcher.consume(plain)
    assert watcher.report().checked == 200


def test_memory_is_for_live_jobs_only() -> None:
    watcher = TransitionWatcher()
    for job in range(1, 1001):
        first = 3 * job - 2
        watcher.consume(
            rows(
                f"{first} {job} {job} t new put ready",
                f"{first + 1} {job} {job} t ready reserve reserved",
                f"{first + 2} {job} {job} t reserved delete deleted",
            )
        )
    assert watcher._rows == {}
    assert watcher._tubes == {}
    assert sum(watcher.report().live.values()) == 0


def test_a_watcher_can_begin_in_the_middle() -> None:
    watcher = TransitionWatcher(
        initial={3: (JobState.RESERVED, "t"), 5: (JobState.BURIED, "u")}, next_seq=41, clock=100, last_job_id=9
    )
    watcher.consume(
        rows("41 100 3 t reserved release ready", "42 100 5 u buried kick ready", "43 100 10 t new put ready")
    )
    report = watcher.report()
    assert report.checked == 3
    assert sum(report.edge_pairs.values()) == 0  # what came before the beginning is not known
    assert report.live[JobState.READY] == 3
    for illegal in ("44 99 3 t ready delete deleted", "44 100 9 t new put ready", "44 100 3 u ready delete deleted"):
        with pytest.raises(TransitionViolation):
            watcher.consume(rows(illegal))


def test_the_last_id_is_the_greatest_live_one_unless_told() -> None:
    watcher = TransitionWatcher(initial={3: (JobState.READY, "t")})
    with pytest.raises(TransitionViolation, match="ids_strictly_increase"):
        watcher.consume(rows("1 0 3 t new put ready"))


class Relay:
    """An observer that can be given its watcher later."""

    def __init__(self) -> None:
        self.watcher = TransitionWatcher()

    def transition(self, record: TransitionRecord) -> None:
        self.watcher.transition(record)

    def command(self, record: CommandRecord) -> None:
        self.watcher.command(record)


def test_a_watcher_goes_on_from_a_snapshot() -> None:
    relay = Relay()
    machine: Any = ObservedMachine(observer=relay)
    for delay_seconds in (0, 5, 0):
        machine.put(1, priority=0, delay_seconds=delay_seconds, ttr_seconds=9, body=b"", tube="t")
    machine.reserve_job(2, 1, "c")
    machine.delete(3, "c")
    later = TransitionWatcher.from_snapshot(machine.machine.snapshot())
    restored = TransitionWatcher.from_snapshot(machine.machine.snapshot())
    relay.watcher = later
    machine.release(1, "c")
    machine.tick(6)
    machine.put(6, priority=0, delay_seconds=0, ttr_seconds=9, body=b"", tube="t")
    assert later.report().checked == 3
    assert later.report().live[JobState.READY] == 3
    with pytest.raises(TransitionViolation, match="ids_strictly_increase"):
        restored.consume(rows("6 2 3 t new put ready"))  # the id of the deleted job


def test_refusals_are_counted_by_operation_kind_and_state() -> None:
    relay = Relay()
    machine: Any = ObservedMachine(observer=relay)
    machine.put(0, priority=0, delay_seconds=0, ttr_seconds=9, body=b"", tube="t")
    for job in (1, 1, 2):
        with pytest.raises(LookupError if job == 2 else Exception, match=f"job {job}|id {job}"):
            machine.release(job, "c")
    machine.delete(1, "c")
    with pytest.raises(LookupError):
        machine.kick(1)
    with pytest.raises(ValueError, match="priority"):
        machine.put(0, priority=-1, delay_seconds=0, ttr_seconds=9, body=b"", tube="t")
    report = relay.watcher.report()
    assert dict(report.refusals) == {
        ("kick", "missing"): 1,
        ("put", "bad-value"): 1,
        ("release", "missing"): 1,
        ("release", "wrong-state"): 2,
    }
    assert dict(report.refused_cells) == {
        ("deleted", "kick", "missing"): 1,
        ("new", "release", "missing"): 1,
        ("ready", "release", "wrong-state"): 2,
    }
    assert report.checked == 2


def test_it_checks_against_the_graph_that_it_is_given() -> None:
    graph = transition_graph()
    graph.remove_edge(JobState.READY, JobState.RESERVED, Trigger.RESERVE)
    watcher = TransitionWatcher(graph=graph)
    with pytest.raises(TransitionViolation, match="every_transition_is_an_edge"):
        watcher.consume(rows(PUT, RESERVE))
    assert len(watcher.report().edges) == 18


def test_a_planted_illegal_transition_stops_the_machines_caller() -> None:
    class Careless(Relay):
        def transition(self, record: TransitionRecord) -> None:
            if record.trigger is Trigger.RESERVE_JOB:
                record = record._replace(target=JobState.BURIED)
            super().transition(record)

    machine: Any = Machine(observer=Careless())
    machine.put(0, priority=0, delay_seconds=0, ttr_seconds=9, body=b"", tube="t")
    with pytest.raises(TransitionViolation, match="job 1 in tube 't' went from ready by reserve-job to buried"):
        machine.reserve_job(0, 1, "c")


def test_an_unfinished_chunk_leaves_the_watcher_whole() -> None:
    """An interrupt in the middle of a chunk: what was taken is counted, and the rest can be taken later."""
    records = history(50, seed=4)
    left = iter(records)

    class Interrupt(Exception):
        pass

    def feed() -> Iterator[TransitionRecord]:
        yield from islice(left, 30)
        raise Interrupt

    watcher = TransitionWatcher()
    with pytest.raises(Interrupt):
        watcher.consume(feed())
    assert watcher.report().checked == 30
    watcher.consume(left)
    whole = TransitionWatcher()
    whole.consume(records)
    assert watcher.report() == whole.report()


def test_an_empty_report_is_all_zeros() -> None:
    report = TransitionWatcher().report()
    assert isinstance(report, TransitionReport)
    assert report.checked == 0
    assert len(report.edges_never_seen) == 19
    assert len(report.edge_pairs_never_seen) == 67
