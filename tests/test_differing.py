"""What differs between machine and specification, in words: the smallest part, whatever is compared."""

from typing import Any

import pytest

from jsm.job import JobView
from jsm.records import TransitionRecord
from jsm.states import JobState, Trigger
from models.differing import narrowed


def record(seq: int, *, job: int = 1, client: str | None = None) -> TransitionRecord:
    """A transition of a kick."""
    return TransitionRecord(seq, 3, job, "t", JobState.BURIED, Trigger.KICK, JobState.READY, client)


def view(job_id: int, **changes: Any) -> tuple[Any, ...]:
    """A job as the state of a machine lists it."""
    plain = JobView(job_id, "t", b"x", 0, 0, 9, JobState.READY, 0, 0, 0, 0, None, 0, 0, 0, 0, 0)  # type: ignore[arg-type]
    return (tuple(plain._replace(**changes)), 0)


MATCHED = ("r", "a", "matched", 1, b"x")
QUEUED = ("r", "a", "queued", 0, b"")
LATE = ("r", "b", "timeout", 0, b"")

CASES: dict[str, tuple[str, Any, Any, str, str]] = {
    "an answer": ("outcome ok", 3, 2, "answer = 3", "answer = 2"),
    "nothing": ("outcome", {"ok": None}, {"refused": "missing"}, "accepted", "refused: missing"),
    "another refusal": ("outcome refused", "missing", "wrong-state", "refused: missing", "refused: wrong-state"),
    "refusals in a mapping": (
        "outcome",
        {"refused": "missing"},
        {"refused": "unauthorized"},
        "refused: missing",
        "refused: unauthorized",
    ),
    "a crash": ("outcome", {"crashed": "KeyError(1)"}, {"ok": 1}, "raised KeyError(1)", "answer = 1"),
    "a reservation": ("outcome", {"ok": QUEUED}, {"ok": MATCHED}, "status = 'queued', job_id = 0, body = b''", ""),
    "a reservation or a refusal": ("outcome", {"ok": MATCHED}, {"refused": "missing"}, "a is told matched job 1", ""),
    "answers or a refusal": (
        "outcome",
        {"ok": [MATCHED, LATE]},
        {"refused": "time-backwards"},
        "answers: a is told matched job 1, then b is told timeout",
        "refused: time-backwards",
    ),
    "one answer too many": ("outcome ok", [MATCHED, LATE], [MATCHED], "answers: b is told timeout", "answers: none"),
    "answers in another order": (
        "outcome ok",
        [LATE, QUEUED],
        [QUEUED, LATE],
        "outcome ok in the order b, a",
        "outcome ok in the order a, b",
    ),
    "one of the answers": ("outcome ok", [QUEUED], [LATE], "answer to b: client_id = 'a', status = 'queued'", ""),
    "plain values": ("look get_tubes", ["default", "u"], ["default"], "look get_tubes: 'u'", "look get_tubes: none"),
    "a transition": (
        "records",
        [record(1)],
        [record(1, client="a")],
        "transition 1: client = none",
        "transition 1: client = 'a'",
    ),
    "transitions": (
        "records",
        [record(1), record(2, client="a")],
        [],
        "records: transition 1: job 1 in 't' from buried by kick to ready at 3, then transition 2: job 1 in 't' from "
        "buried by kick to ready for a at 3",
        "records: none",
    ),
    "transitions in another order": (
        "records",
        [record(1), record(2)],
        [record(2), record(1)],
        "records: transition 1: job 1 in 't' from buried by kick to ready at 3, then transition 2: job 1 in 't' from "
        "buried by kick to ready at 3",
        "",
    ),
    "a job's field": ("state jobs", [view(1, kicks=1)], [view(1)], "job 1: kicks = 1", "job 1: kicks = 0"),
    "its bury number": (
        "state jobs",
        [(view(1)[0], 2)],
        [(view(1)[0], 1)],
        "job 1: bury_number = 2",
        "job 1: bury_number = 1",
    ),
    "a job": ("state jobs", [view(1), view(2)], [view(1)], "jobs: job 2 (ready in 't')", "jobs: none"),
    "numbers": ("state numbers", (3, 1, 1), (2, 1, 1), "numbers: next_job_id = 3", "numbers: next_job_id = 2"),
    "a number": ("next_tick_at", None, 4, "next_tick_at = none", "next_tick_at = 4"),
    "a wait": (
        "state waiting",
        [("a", "r", ("t",), None, 4)],
        [("a", "r", ("t", "u"), None, 4)],
        "wait of a: watched_tubes = ['t']",
        "wait of a: watched_tubes = ['t', 'u']",
    ),
    "tubes": (
        "state tubes",
        [("t", 0, None, 1, 0, 0), ("u", 0, None, 1, 0, 0)],
        [],
        "tubes: (name = 't', pause_seconds = 0, pause_ends_at = none, total_jobs = 1, deletes = 0, pauses = 0), then ",
        "tubes: none",
    ),
    "tubes in another order": (
        "state tubes",
        [("u", 0, None, 1, 0, 0), ("t", 0, None, 1, 0, 0)],
        [("t", 0, None, 1, 0, 0), ("u", 0, None, 1, 0, 0)],
        "tubes in the order u, t",
        "tubes in the order t, u",
    ),
    "a counter": ("state commands", [("put", 2)], [("put", 1)], "cmd-put: count = 2", "cmd-put: count = 1"),
    "a look's ending": (
        "look peek_ready_job('t')",
        {"refused": "missing"},
        {"ok": 1},
        "look peek_ready_job('t') refused: missing",
        "look peek_ready_job('t') answer = 1",
    ),
    "a look's pairs": (
        "look get_stats_tube_as_yaml(0, 't')",
        {"ok": {"current-using": 1, "pause": 0}},
        {"ok": {"current-using": 2}},
        "look get_stats_tube_as_yaml(0, 't'): current-using = 1, pause = 0",
        "look get_stats_tube_as_yaml(0, 't'): current-using = 2, pause = none",
    ),
    "the order of pairs": ("stats", {"a": 1, "b": 2}, {"b": 2, "a": 1}, "stats: keys in the order ['a', 'b']", ""),
    "tuples of unknown fields": ("other", (1, 2, 3), (1, 2, 4), "other: [2] = 3", "other: [2] = 4"),
    "tuples of different lengths": ("other", (1, 2), (1,), "other = [1, 2]", "other = [1]"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_smallest_part_is_named(name: str) -> None:
    what, machine, spec, ours, theirs = CASES[name]
    found = narrowed(what, machine, spec)
    assert found.machine.startswith(ours)
    assert found.spec.startswith(theirs)
    assert found.machine != found.spec


def test_a_long_value_is_cut() -> None:
    found = narrowed("outcome ok", b"x" * 1_000, b"")
    assert len(found.machine) < 320
    assert found.machine.endswith("…")
