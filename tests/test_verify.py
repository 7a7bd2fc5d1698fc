"""Traces are accepted when the machine could have made them, and rejected at the record where it could not."""

import contextlib
import json
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from jsm.errors import BadValueError, JsmError
from jsm.job import ClientID, JobID, JobView, TubeName
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from jsm.records import CommandRecord, Record, TransitionRecord
from jsm.trace import TraceError, encode_record
from models.verify import verify_trace
from models.verify_records import FINDINGS_MAX, TraceVerifier, verify_records
from models.verify_rules import RULES
from tests.machines import Notes, driver_of, random_history
from tests.recorded import (
    calls_of,
    check,
    lines_of,
    only_finding,
    random_records,
    recorded,
    rows,
    short_story,
    transitions_of,
)

PUT = "1 0 1 t new put ready -"
RESERVE = "2 5 1 t ready reserve reserved a"
DELETE = "3 9 1 t reserved delete deleted a"


# ---------------------------------------------------------------------- what holds


@pytest.mark.parametrize("second", [1, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_what_the_machine_records_holds(seed: int, second: int) -> None:
    records = random_records(seed, calls=400, second=second)
    result = check(records, second=second)
    assert (result.verdict, result.findings, result.notes) == ("holds", (), ())
    calls, transitions = calls_of(records), transitions_of(records)
    assert (result.repeated, result.compared) == (len(calls), len(transitions))
    assert result.refused == sum("refused" in call.outcome for call in calls if isinstance(call, CommandRecord)) > 0
    assert sum(result.edges.values()) == len(transitions)
    alone = check(calls, second=second)
    assert (alone.verdict, alone.repeated, alone.live) == ("holds", len(calls), result.live)
    alone = check(transitions, second=second)
    assert (alone.verdict, alone.repeated, alone.live) == ("holds", 0, result.live)


def test_calls_may_leave_their_instant_to_the_record() -> None:
    """A server's clock goes on by itself: a call without `now`, refused or not, is made at the record's `at`."""
    notes = Notes()
    d = driver_of(ObservedMachine(observer=notes))
    d.hold("a", ttr=5)
    d.call("delete", 1, "a", now=3)
    put, transition, *rest = notes.records
    deleted = rest[-1]
    assert isinstance(deleted, CommandRecord)
    late = deleted._replace(args={"job_id": 1, "client_id": "a"})
    missing = late._replace(at=4, outcome={"refused": "missing"})
    assert check([put, transition, *rest[:-1], late, missing]).verdict == "holds"
    finding = only_finding(check([put, transition, *rest[:-1], late._replace(at=2)]))
    assert finding.rule == "time_never_goes_back"


def test_an_observed_machine_is_checked_as_it_runs() -> None:
    verifier = TraceVerifier()
    machine = ObservedMachine(observer=verifier)
    for call in random_history(9, calls=200):
        with contextlib.suppress(JsmError):
            getattr(machine, call.op)(*call.args, **call.kwargs)
    assert verifier.result().verdict == "holds"
    assert verifier.result().repeated == 200


def test_a_body_limit_stands_in_the_header() -> None:
    notes = Notes()
    machine = ObservedMachine(observer=notes, max_job_size=3)
    with contextlib.suppress(JsmError):
        machine.put(0, priority=0, delay_seconds=0, ttr_seconds=1, body=b"four", tube=TubeName("t"))
    assert check(notes.records, max_job_size=3).verdict == "holds"
    assert only_finding(check(notes.records)).expected == "answered 1"
    assert verify_trace(lines_of(notes.records), max_job_size=3).verdict == "holds"


# ---------------------------------------------------------------------- what does not


CREATED = {
    "records_are_numbered_without_a_gap": rows(PUT, "3 5 1 t ready reserve reserved a"),
    "time_never_goes_back": rows("1 7 1 t new put ready -", RESERVE),
    "every_transition_is_an_edge": rows(PUT, "2 5 1 t ready touch reserved a"),
    "a_life_begins_with_a_put": rows(PUT, "2 5 2 t ready reserve reserved a"),
    "ids_strictly_increase": rows("1 0 4 t new put ready -", "2 0 3 t new put ready -"),
    "a_job_continues_where_it_was": rows(PUT, "2 5 1 t buried kick ready -"),
    "nothing_follows_a_delete": rows(PUT, RESERVE, DELETE, "4 9 1 t ready delete deleted a"),
    "a_job_keeps_its_tube": rows(PUT, "2 5 1 u ready reserve reserved a"),
    "the_client_is_the_owner": rows(PUT, RESERVE, "3 9 1 t reserved release ready b"),
}


REPEATED: list[tuple[str, str, dict[str, Any]]] = [
    ("calls_end_as_specified", "delete", {"outcome": {"ok": None}}),
    ("calls_end_as_specified", "get_tubes", {"outcome": {"ok": ["default", "t", "u"]}}),
    ("the_clock_is_the_calls_instant", "touch", {"at": 1}),
    ("a_call_names_its_client", "touch", {"client": "c"}),
    ("a_call_counts_its_transitions", "touch", {"seq": 7}),
]


@pytest.mark.parametrize("rule", CREATED)
def test_each_rule_of_transitions(rule: str) -> None:
    records = CREATED[rule]
    finding = only_finding(check(records))
    assert (finding.rule, finding.record, finding.line) == (rule, len(records), len(records) + 1)
    assert (finding.accepted_line, finding.event.split(":")[0]) == (
        len(records),
        f"transition {records[-1].seq}",
    )
    assert check(records[:-1]).verdict == "holds"


def _index_of(records: list[Record], op: str, nth: int = 0) -> int:
    return [i for i, each in enumerate(records) if isinstance(each, CommandRecord) and each.op == op][nth]


@pytest.mark.parametrize(("rule", "op", "changes"), REPEATED)
def test_each_rule_of_repeated_calls(rule: str, op: str, changes: Mapping[str, Any]) -> None:
    records = short_story()
    place = _index_of(records, op)
    records[place] = records[place]._replace(**changes)
    finding = only_finding(check(records))
    assert (finding.rule, finding.record, finding.line, finding.accepted_line) == (
        rule,
        place + 1,
        place + 2,
        place + 1,
    )


def test_a_transition_that_a_call_does_not_make_is_rejected_where_it_stands() -> None:
    records = rows(PUT, "2 0 1 t ready delete deleted a", "3 0 2 t new put ready -")
    story = short_story()
    place = _index_of(story, "release")
    transition = story[place - 1]
    assert isinstance(transition, TransitionRecord)
    story[place - 1] = rows(f"{transition.seq} 0 1 default reserved close ready a")[0]
    finding = only_finding(check(story))
    assert (finding.rule, finding.record) == ("calls_make_the_specified_transitions", place)
    assert finding.expected.endswith("from reserved by release to ready for client 'a'")
    assert finding.found.endswith("from reserved by close to ready for client 'a'")
    calls = calls_of(recorded(random_history(0, calls=3)))
    late = only_finding(check([*records, *[call._replace(at=0, seq=3) for call in calls]]))
    assert (late.rule, late.found) == (
        "calls_make_the_specified_transitions",
        "3 transitions in front of the first call",
    )


def test_a_transition_too_many_is_rejected_where_it_stands() -> None:
    story = short_story()
    look = _index_of(story, "peek_ready_job")
    extra = rows("16 3 2 u ready delete deleted a")
    finding = only_finding(check([*story[:look], *extra, story[look]]))
    assert (finding.rule, finding.record) == ("calls_make_the_specified_transitions", look + 1)
    assert finding.expected == "no further transition"


def test_transitions_can_not_begin_later_nor_go_on_for_ever_without_calls() -> None:
    story = short_story()
    first = next(i for i, each in enumerate(story) if isinstance(each, TransitionRecord) and each.seq == 2)
    silent = only_finding(check([*calls_of(story[:first]), *story[first:]]))
    assert silent.rule == "calls_make_the_specified_transitions"
    assert silent.expected == "the transitions of the calls before it too, from line 2 on"
    too_many = rows(*(f"{seq} 0 {seq} t new put ready -" for seq in range(3, 60)))
    finding = only_finding(check([*story[:4], *too_many]))
    assert finding.rule == "calls_make_the_specified_transitions"
    assert finding.expected == "a call after at most 3 transitions: two of each live job, and a put's"


class _Hasty(Machine):
    """A machine with a planted fault: a touch counts from one unit too early."""

    def touch(self, now: int, job_id: JobID, client_id: ClientID) -> None:
        super().touch(max(now - 1, self.clock), job_id, client_id)


class _Blind(Machine):
    """A machine with a planted fault: it does not ask who deletes."""

    def delete(self, job_id: JobID, client_id: ClientID, *, now: int | None = None) -> None:
        view: JobView | None = self._state.jobs[job_id].view() if job_id in self._state.jobs else None
        owner = client_id if view is None or view.reserved_by is None else view.reserved_by
        super().delete(job_id, owner, now=now)


@pytest.mark.parametrize(
    ("machine", "rule"),
    [(_Hasty, "calls_make_the_specified_transitions"), (_Blind, "calls_end_as_specified")],
)
def test_a_faulty_machine_is_caught(machine: type[Machine], rule: str) -> None:
    history = random_history(3, calls=500)
    assert check(recorded(history)).verdict == "holds"
    finding = only_finding(check(recorded(history, make_machine=machine)))
    assert finding.rule == rule


# ---------------------------------------------------------------------- going on


def test_all_findings_of_transitions() -> None:
    records = rows(
        PUT, "2 5 1 t ready touch reserved a", "3 6 1 t reserved bury buried b", "4 7 9 t buried kick ready -"
    )
    result = check(records, go_on=True)
    assert [(finding.rule, finding.record) for finding in result.findings] == [
        ("every_transition_is_an_edge", 2),
        ("the_client_is_the_owner", 3),
        ("a_life_begins_with_a_put", 4),
    ]
    assert result.records == 4


def test_a_wrong_look_lets_the_calls_be_checked_further() -> None:
    story = short_story()
    look, delete = _index_of(story, "peek_ready_job"), _index_of(story, "delete", 1)
    story[look] = story[look]._replace(outcome={"refused": "missing"})
    story[delete] = story[delete]._replace(outcome={"refused": "missing"})
    result = check(story, go_on=True)
    assert [finding.record for finding in result.findings] == [look + 1, delete + 1]
    since = f"Calls were not checked from line {delete + 2} on"
    assert result.notes == (f"{since}, after a call that took another course than the machine's.",)
    assert len(check(story).findings) == 1


def test_findings_are_bounded() -> None:
    records = rows(PUT, *(f"{seq} 5 1 t ready touch ready a" for seq in range(2, 400)))
    result = check(records, go_on=True)
    assert (len(result.findings), result.violations) == (FINDINGS_MAX, 398)


# ---------------------------------------------------------------------- partial traces


def test_from_the_middle_unknown_jobs_are_adopted() -> None:
    records = random_records(5, calls=600)
    middle = records[400:]
    assert check(middle).verdict == "violated"
    result = check(middle, begins="middle")
    assert (result.verdict, result.repeated) == ("holds", 0)
    assert result.adopted > 0
    assert "need" in "".join(result.notes)
    transitions = transitions_of(middle)
    assert check(transitions, begins="middle").verdict == "holds"
    assert check(calls_of(middle), begins="middle").verdict == "undetermined"
    assert verify_trace(lines_of(middle), from_middle=True).verdict == "holds"


def test_an_adopted_job_was_put_before_all_that_were() -> None:
    records = rows("7 5 3 t buried kick ready -", "8 5 9 t new put ready -", "9 5 10 t ready reserve reserved a")
    assert only_finding(check(records, begins="middle")).rule == "a_life_begins_with_a_put"
    assert check(records[:2], begins="middle").verdict == "holds"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"op": "release"}, "no transition but release"),
        ({"args": {"job_id": 2, "client_id": "a"}}, "transitions of job 2, which was named"),
        ({"args": {"job_id": 1, "client_id": "b"}}, "transitions for client 'b', who called"),
        ({"at": 6}, "transitions at 6, the call's instant"),
        ({"outcome": {"refused": "missing"}}, "no transition, since the call was refused"),
    ],
)
def test_in_the_middle_a_call_makes_its_own_transitions(changes: Mapping[str, Any], expected: str) -> None:
    transition = rows("7 5 1 t reserved bury buried a")
    call = CommandRecord(7, 5, "a", "bury", {"now": 5, "job_id": 1, "client_id": "a", "priority": 0}, {"ok": None})
    assert check([*transition, call], begins="middle").verdict == "holds"
    finding = only_finding(check([*transition, call._replace(**changes)], begins="middle"))
    assert (finding.rule, finding.expected) == ("a_call_makes_only_its_own_transitions", expected)
    alone = only_finding(
        check([*transition, call, call._replace(args={"job_id": 4, "client_id": "a"})], begins="middle")
    )
    assert (alone.expected, alone.found) == ("one transition by bury", "none")


def test_in_the_middle_kick_n_makes_as_many_transitions_as_it_says() -> None:
    kicked = rows("7 5 1 t buried kick ready -", "8 5 2 t buried kick ready -")
    call = CommandRecord(8, 5, None, "kick_n", {"now": 5, "tube": "t", "n": 3}, {"ok": 2})
    assert check([*kicked, call], begins="middle").verdict == "holds"
    finding = only_finding(check([*kicked, call._replace(outcome={"ok": 3})], begins="middle"))
    assert finding.expected == "as many transitions by kick as the call returned, 3"


def test_with_a_snapshot_everything_is_checked_from_the_middle() -> None:
    notes = Notes()
    machine = ObservedMachine(observer=notes)
    history = random_history(6, calls=500)
    for call in history[:300]:
        with contextlib.suppress(JsmError):
            getattr(machine, call.op)(*call.args, **call.kwargs)
    twin = Machine()
    source, target = machine.snapshot(), twin.snapshot()
    target.restore_header(source.header())
    target.restore_jobs(source.snapshot_jobs())
    target.restore_clients(source.snapshot_clients())
    target.finalize_restore()
    notes.records.clear()
    for call in history[300:]:
        with contextlib.suppress(JsmError):
            getattr(machine, call.op)(*call.args, **call.kwargs)
    result = verify_trace(lines_of(notes.records), snapshot=twin.snapshot())
    assert (result.verdict, result.repeated, result.notes) == ("holds", 200, ())
    with pytest.raises(TraceError, match=r"units_per_second = 7: expected 1, as in the snapshot"):
        verify_trace(lines_of(notes.records, second=7), snapshot=twin.snapshot())


@pytest.mark.parametrize("without", [["seq"], ["client"], ["at"], ["seq", "at", "client", "statistics"]])
def test_what_a_trace_does_not_have_is_not_asked_for(without: list[str]) -> None:
    records = random_records(8, calls=300)
    for part in (records, calls_of(records), transitions_of(records)):
        lines = lines_of(part, without=without)
        for place, record in enumerate(part, start=1):
            kept = {name: value for name, value in record._asdict().items() if name not in without}
            lines[place] = f"{json.dumps(kept)}\n"
        result = verify_trace(lines)
        assert (result.verdict, result.records) == ("holds", len(part))
        assert "".join(result.notes).startswith("Not compared, since the trace doesn't have it: ")
        with pytest.raises(TraceError, match="no such field: the header's without names it"):
            verify_trace([lines[0], encode_record(part[0])])


def test_nothing_to_check_is_undetermined() -> None:
    result = check([])
    assert (result.verdict, result.lines, result.notes) == (
        "undetermined",
        1,
        ("The trace has a header and no record.",),
    )


def test_the_last_call_may_be_missing() -> None:
    records = short_story()
    result = check(records[:1])
    assert (result.verdict, result.notes) == ("holds", ())
    result = check(records[:3])
    assert result.notes == ("Not compared, since the trace ends before their call: the last 1 transition.",)


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"op": "putt"}, "line 2: op = 'putt': expected one of put, delete, "),
        ({"args": {"now": 0}}, "line 2: args = {'now': 0}: expected the parameters of put (missing"),
        ({"args": {"body": "\u20ac"}}, "line 2: args.body = '\u20ac': expected text of the code points 0 to 255"),
    ],
)
def test_a_call_of_no_operation_is_bad_input(fields: Mapping[str, Any], message: str) -> None:
    args = {"now": 0, "priority": 0, "delay_seconds": 0, "ttr_seconds": 1, "body": "", "tube": "t"}
    call = CommandRecord(1, 0, None, "put", args, {"ok": 1})
    changed = call._replace(
        **{**fields, "args": {**args, **fields["args"]}} if "body" in fields.get("args", ()) else fields
    )
    with pytest.raises(TraceError) as error:
        check([changed])
    assert str(error.value).startswith(message)
    with pytest.raises(BadValueError):
        verify_records([changed])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"begins": "late"}, """begins = 'late': expected "empty" (the default) or "middle\""""),
        ({"max_job_size": -1}, "max_job_size = -1: expected a number of bytes of at least 0"),
        ({"without": ["job"]}, "without = ['job']: expected a list of seq, at, client, statistics"),
        ({"without": "seq"}, "without = 'seq': expected a list of seq, at, client, statistics"),
        ({"version": 9}, "version = 9: expected 1, the one that this program reads; convert the trace"),
    ],
)
def test_a_bad_header_is_bad_input(header: Mapping[str, Any], message: str) -> None:
    with pytest.raises(TraceError) as error:
        check([], **header)
    assert str(error.value) == f"line 1: {message}"


def test_every_rule_is_broken_by_some_test() -> None:
    tested = {*CREATED, *(rule for rule, _, _ in REPEATED)}
    others = {"calls_make_the_specified_transitions", "a_call_makes_only_its_own_transitions"}
    assert tested | others == {rule.name for rule in RULES}


def test_verdicts_do_not_depend_on_how_records_come() -> None:
    records = short_story()
    chance = Random(0)
    place = chance.randrange(10, len(records))
    spoilt = [*records[:place], *records[place + 1 :]]
    assert verify_records(spoilt).findings == check(spoilt).findings
