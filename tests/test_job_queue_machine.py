"""Strangers' queues: the right ones pass, each planted bug is found and printed as a short program."""

import re
import sys
import unittest
from collections import deque
from collections.abc import Callable
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st

import models.job_queue_machine
from models.job_queue_machine import DEADLINE_SOON, WAITING, JobQueueMachine, QueueDifference
from tests.machine_as_queue import MachineAsQueue
from tests.stranger_bugs import BUGS
from tests.strangers import NoSuchJob, NotYours, Queue, QueueMachine

QUICK_BUGS = {
    "CrashesOnEmptyWait", "DelayIsPriority", "FirstTube", "IdsUsedAgain", "KickTakesReady", "LeftUnderflows",
    "NoOwnerCheck", "PauseIgnored", "SecondLate", "TtrAfterWait",
}  # fmt: skip
"""The bugs of the quick tests: one or two of a class, each found within a second."""

CLAUSES = {
    "LeftUnderflows": "S14",
    "FirstTube": "S9",
    "TimeoutsNotCounted": "S15",
    "HolderMayNotWait": "S20",
    "KickTakesReady": "SPEC 2",
    "DelayedByPriority": "S10",
    "DelayedNotKicked": "S13",
    "NoOwnerCheck": "S4",
    "NeverGivesUp": "L3",
    "DelayIsPriority": "S17",
    "IdsUsedAgain": "S3",
    "LastBuriedFirst": "S12",
    "PauseIgnored": "S29",
    "CrashesOnEmptyWait": "S26",
}
"""The clauses that the shortest programs name; the other bugs show in more than one way."""


def difference(kind: type[JobQueueMachine], *, histories: int | None = None) -> QueueDifference | None:
    """What is found with the settings that a user has, but always the same."""
    how: settings = kind.TestCase.settings
    how = settings(how, derandomize=True, database=None, max_examples=histories or how.max_examples)
    try:
        kind.check(how)
    except QueueDifference as found:
        return found
    return None


def found_in(kind: type[JobQueueMachine]) -> QueueDifference:
    """What is found, if anything is."""
    found = difference(kind)
    assert found is not None
    return found


def machine_of(queue: type[Queue]) -> type[QueueMachine]:
    """The mapping of all of a queue, for one with a bug."""
    return type(f"{queue.__name__}Machine", (QueueMachine,), {"kind": queue})


def run(program: tuple[str, ...], kind: type[JobQueueMachine]) -> None:
    """Run the lines of a program."""
    exec("\n".join(program), {kind.__name__: kind})


# ---------------------------------------------------------------------- right queues, and queues with a bug


@pytest.mark.parametrize("kind", [QueueMachine, MachineAsQueue])
def test_right_queues_pass(kind: type[JobQueueMachine]) -> None:
    assert difference(kind, histories=15) is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", [QueueMachine, MachineAsQueue])
def test_right_queues_pass_for_long(kind: type[JobQueueMachine]) -> None:
    assert difference(kind, histories=1000) is None


@pytest.mark.parametrize(
    "bug", [pytest.param(bug, marks=[] if bug.__name__ in QUICK_BUGS else [pytest.mark.slow]) for bug in BUGS]
)
def test_a_planted_bug_is_found_and_printed_as_a_short_program(bug: type[Queue]) -> None:
    kind = machine_of(bug)
    found = found_in(kind)
    assert len(found.program) <= 8, str(found)
    assert found.program[0] == f"state = {kind.__name__}()"
    assert all(re.fullmatch(r"(job_\d+ = )?state\.\w+\(.*\)", line) for line in found.program[1:])
    assert all(f"    {line}\n" in f"{found}\n" for line in found.program)
    if bug.__name__ in CLAUSES:
        assert found.reason.clause in CLAUSES[bug.__name__]
    with pytest.raises(QueueDifference) as again:
        run(found.program, kind)
    assert str(again.value) == str(found), "the program shows something else when it is run"
    run(found.program[:-1], kind)


def test_the_right_queue_passes_what_shows_a_bug() -> None:
    found = found_in(machine_of(next(bug for bug in BUGS if bug.__name__ == "FirstTube")))
    run((f"state = {QueueMachine.__name__}()", *found.program[1:]), QueueMachine)


def test_a_failure_says_what_why_and_after_which_calls() -> None:
    found = found_in(machine_of(next(bug for bug in BUGS if bug.__name__ == "KickTakesReady")))
    assert str(found) == dedent(
        """\
        kick(number=job_0)
          found:    it is accepted
          expected: a refusal: wrong-state
          because from this state no such step leads anywhere (SPEC 2)
        after
            state = KickTakesReadyMachine()
            job_0 = state.put(body=b'0', priority=0, delay=0, ttr=5, tube='default')
            state.kick(number=job_0)"""
    )


def test_the_test_case_fails_as_the_check_does() -> None:
    kind = machine_of(next(bug for bug in BUGS if bug.__name__ == "CrashesOnEmptyWait"))
    case = kind.TestCase
    assert issubclass(case, unittest.TestCase)
    assert kind.TestCase is case
    assert case is not QueueMachine.TestCase
    case.settings = settings(case.settings, derandomize=True, database=None)
    result = unittest.TestResult()
    case().run(result)
    (failure,) = result.failures
    assert "ZeroDivisionError(0) is raised" in failure[1]
    assert "in reserve\n    raise ZeroDivisionError(timeout)" in failure[1], "where the queue itself failed"
    assert "Failing test case" not in failure[1], "Hypothesis's own, longer program"


# ---------------------------------------------------------------------- the example of the documentation


class Documented:
    """The queue that the module's example maps, over the queue of `tests.strangers`."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.inner = self.kind(clock)
        self.clock = clock

    kind: type[Queue] = Queue

    def put(self, priority: int, delay: int, ttr: int) -> int:
        return self.inner.put(b"", priority, delay, ttr, "default")

    def reserve(self, client: str) -> int | None:
        return self.inner.reserve(client, ["default"])

    def release(self, job: int, client: str) -> None:
        self.inner.release(job, client, self.inner.find(job).priority, 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @property
    def jobs(self) -> dict[int, Any]:
        self.inner.catch_up()
        return self.inner.items


class KeyErrors(Queue):
    """The queue, refusing as the example says."""

    def find(self, number: int) -> Any:
        return self.items[number]

    def kick(self, number: int) -> None:
        try:
            super().kick(number)
        except NoSuchJob as error:
            raise KeyError(number) from error

    def held(self, number: int, client: str) -> Any:
        try:
            return super().held(number, client)
        except NoSuchJob as error:
            raise KeyError(number) from error

    def check_owner(self, item: Any, client: str) -> None:
        if item.owner != client:
            raise PermissionError(client)


class KeyErrorsSecondLate(KeyErrors):
    """The same, a second late."""

    def is_due(self, until: int) -> bool:
        return until < self.clock()


def example(monkeypatch: pytest.MonkeyPatch, queue: type[Queue]) -> type[JobQueueMachine]:
    """The class that the module's example makes, when `Queue` is this queue."""
    blocks = re.findall(r"(?:^ {4}.*\n|^\n)+", models.job_queue_machine.__doc__ or "", re.MULTILINE)
    (code,) = [dedent(block) for block in blocks if "class QueueMachine" in block]
    project = ModuleType("your_project")
    vars(project)["Queue"] = type("Queue", (Documented,), {"kind": queue})
    monkeypatch.setitem(sys.modules, "your_project", project)
    names: dict[str, Any] = {"__name__": "example"}
    exec(code, names)
    body = code.partition("class QueueMachine")[2].partition("\n\nTest")[0]
    assert len(body.splitlines()[1:]) <= 10, "it says ten lines"
    assert issubclass(names["TestQueue"], unittest.TestCase)
    kind: type[JobQueueMachine] = names["QueueMachine"]
    return kind


def test_the_example_of_the_documentation_passes_a_right_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    assert difference(example(monkeypatch, KeyErrors), histories=15) is None


def test_the_example_of_the_documentation_finds_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_in(example(monkeypatch, KeyErrorsSecondLate))
    assert len(found.program) <= 4
    assert found.reason.clause in ("L1", "L2")


# ---------------------------------------------------------------------- queues that have less


class Fifo:
    """A list of jobs: no priorities, delays, ttr, tubes or clients; jobs are called by what they are."""

    def __init__(self) -> None:
        self.todo: deque[bytes] = deque()
        self.doing: list[bytes] = []

    def push(self, job: bytes) -> None:
        self.todo.append(job)

    def pop(self) -> bytes | None:
        if not self.todo:
            return None
        self.doing.append(self.todo.popleft())
        return self.doing[-1]

    def ack(self, job: bytes) -> bool:
        if job not in self.doing:
            return False
        self.doing.remove(job)
        return True


class FifoMachine(JobQueueMachine):
    """Four lines; what is not ready can't be told apart from what is gone, so a delete is of reserved jobs only."""

    words = {"push": "put", "pop": "reserve", "ack": "delete", "it": "job", "thing": "body", "length": "counts"}  # noqa: RUF012
    only = {"delete": ("reserved", "deleted")}  # noqa: RUF012

    def make(self) -> Fifo:
        return Fifo()

    def push(self, thing: bytes) -> None:
        self.queue.push(thing)

    def pop(self) -> Any:
        return self.queue.pop()

    def ack(self, it: bytes) -> Any:
        return self.queue.ack(it)

    def length(self) -> int:
        return len(self.queue.todo) + len(self.queue.doing)


class Lifo(Fifo):
    """The bug: the last comes first."""

    def push(self, job: bytes) -> None:
        self.todo.appendleft(job)


def test_a_queue_with_next_to_nothing_in_its_own_words() -> None:
    assert difference(FifoMachine, histories=15) is None
    assert not hasattr(FifoMachine, "pass_time"), "a queue in which time does nothing"
    found = found_in(type("LifoMachine", (FifoMachine,), {"make": lambda self: Lifo()}))
    assert found.program[1:] == (
        "job_0 = state.push(thing=b'0')",
        "job_1 = state.push(thing=b'1')",
        "state.pop()",
    )
    assert (found.found, found.expected, found.reason.clause) == ("job_1", "job_0", "S9")


def test_a_queue_without_order_gives_any_ready_job_but_no_other() -> None:
    kind = type("AnyOrder", (FifoMachine,), {"make": lambda self: Lifo(), "ordered": False})
    assert difference(kind, histories=15) is None

    class Twice(Lifo):
        """Gives a job to two."""

        def pop(self) -> bytes | None:
            return self.doing[0] if self.doing else super().pop()

    found = found_in(type("TwiceMachine", (FifoMachine,), {"make": lambda self: Twice(), "ordered": False}))
    assert found.program[1:] == ("job_0 = state.push(thing=b'0')", "state.pop()", "state.pop()")
    assert found.reason.clause == "S8"


def test_what_is_left_out_is_not_tried_and_what_is_set_to_none_is_gone() -> None:
    kind = type("Less", (QueueMachine,), {"pause": None, "close": None, "touch": None})
    seen: set[str] = set()

    class Watched(kind):  # type: ignore[misc, valid-type]
        def teardown(self) -> None:
            seen.update(step.op for step in self.steps)

    assert difference(Watched, histories=15) is None
    assert {"put", "reserve", "release", "advance", "kick_n"} <= seen
    assert seen.isdisjoint({"pause", "close", "touch"})


def test_a_queue_with_fixed_values_says_them() -> None:
    class Fixed(JobQueueMachine):
        refusals = (NoSuchJob, NotYours)
        defaults = {"ttr": 3, "priority": 7}  # noqa: RUF012

        def make(self) -> Queue:
            return Queue(clock=lambda: self.now)

        def put(self, body: bytes) -> int:
            made: int = self.queue.put(body, 7, 0, 3, "default")
            return made

        def reserve(self, client: str) -> Any:
            return self.queue.reserve(client, ["default"])

        def stats(self, job: int) -> Any:
            return {key: value for key, value in self.queue.stats(job).items() if key in ("state", "ttr", "priority")}

        def advance(self, seconds: int) -> None:
            pass

    assert difference(Fixed, histories=15) is None
    found = found_in(type("Other", (Fixed,), {"defaults": {"ttr": 3}}))
    assert found.reason.clause == "S17"


def test_values_may_be_the_users_own() -> None:
    class Narrow(QueueMachine):
        values = {"priority": st.sampled_from([0, 2**32])}  # noqa: RUF012

    found = found_in(Narrow)
    assert len(found.program) == 2
    assert (found.expected, found.reason.clause) == ("a refusal: bad-value", "S24")


def test_kinds_of_refusals_are_compared_where_they_are_said() -> None:
    class Kinds(QueueMachine):
        refusals = {NoSuchJob: "missing", NotYours: "unauthorized"}  # noqa: RUF012

    found = found_in(Kinds)  # NoSuchJob is also what the queue says for a job in a wrong state
    assert (found.found, found.expected) == ("a refusal: missing", "a refusal: wrong-state")


def test_a_method_may_call_another_one() -> None:
    class Nested(QueueMachine):
        def kick_some(self, tube: str, n: int) -> Any:
            return super().kick_some(tube=tube, n=n)

    assert difference(Nested, histories=5) is None


# ---------------------------------------------------------------------- mistakes in a mapping


def wrong(**namespace: Any) -> str:
    """What a mapping with these names is told."""
    with pytest.raises(TypeError) as told:
        type("Wrong", (JobQueueMachine,), namespace)()
    return str(told.value)


def test_a_mapping_with_a_mistake_is_told_what_to_change() -> None:
    def put(self: Any, body: bytes) -> None: ...
    def reserve(self: Any, timeout: int) -> None: ...

    assert "it needs make(self) and put(self, …)" in wrong()
    assert "it needs make(self)" in wrong(put=put)
    assert "Wrong.relase is no operation; is 'release' meant?" in wrong(put=put, relase=put)
    assert "parameter 'prio', which says nothing here" in wrong(put=lambda self, prio: None)
    assert "parameter 'job', which delete needs" in wrong(put=put, delete=lambda self, client: None)
    assert "expected a method, or None where the queue has no kick" in wrong(put=put, kick=3)
    assert "so clients wait: map answers(self)" in wrong(put=put, reserve=reserve)
    assert "ordered = False is for queues in which no client waits" in wrong(
        put=put, reserve=reserve, answers=lambda self: [], ordered=False
    )
    assert "only names 'ack', which is not mapped" in wrong(put=put, only={"ack": ("ready",)})
    wrong_statistics = type(
        "Odd", (FifoMachine,), {"stats": lambda self, job: {"colour": 1}, "make": lambda self: Fifo()}
    )
    with pytest.raises(TypeError, match="'colour', which says nothing here: it may have state, tube"):
        difference(wrong_statistics)


def test_what_a_reserve_tells_prints_as_it_is_written() -> None:
    assert (repr(WAITING), repr(DEADLINE_SOON)) == ("WAITING", "DEADLINE_SOON")
