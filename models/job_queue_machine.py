"""A test of your own job queue against the specification: say what your methods are called, and get random histories.

Subclass `JobQueueMachine`, say how a queue is made, and write a line for each operation that the queue has. Ten lines
for a queue with priorities, delays and a ttr:

    from models.job_queue_machine import JobQueueMachine
    from your_project import Queue

    class QueueMachine(JobQueueMachine):
        refusals = (KeyError, PermissionError)
        def make(self): return Queue(clock=lambda: self.now)
        def put(self, priority, delay, ttr): return self.queue.put(priority, delay, ttr)
        def reserve(self, client): return self.queue.reserve(client)
        def delete(self, job, client): self.queue.delete(job, client)
        def release(self, job, client): self.queue.release(job, client)
        def bury(self, job, client): self.queue.bury(job, client)
        def kick(self, job): self.queue.kick(job)
        def state(self, job): return self.queue.jobs[job].state

    TestQueue = QueueMachine.TestCase

pytest runs `TestQueue`; `QueueMachine.check()` does the same. Hypothesis chooses what is called, and with what. After
every step the queue and `models.spec.Spec` are compared: the answer or refusal, and all that may be looked at. What
differs is raised as a `QueueDifference` with the shortest program that shows it, in your own words: the lines of the
program are Python, which can be kept as a test. `TestQueue.settings` is how much is tried (Hypothesis's settings).

**What a queue has** it says by what is mapped; what is left out does not exist.

- Operations (`models.job_queue_words`): put, reserve, reserve_job (by name), delete, release, bury, touch, kick,
  kick_n, pause, cancel (of a wait), close (of a client), reload (save, and load into `self.queue`).
- Looks, called after every step: state, stats (a dict, as far as the queue has it), counts (a dict by state, or the
  number of jobs), peek_ready, peek_delayed, peek_buried, list_tubes.
- Parameters: `put(self, body)` is a queue without priorities, delays, ttr and tubes; `release(self, job, delay)` has
  a delay; `delete(self, job)` asks for no owner; `reserve(self, client, tubes, timeout)` waits. Every method may have
  `now`. A put returns what names the job, or None if its body does. A reserve returns a job, None, `WAITING` or
  `DEADLINE_SOON`.
- Words: `words = {"ack": "delete", "owner": "client", "active": "reserved"}` for methods, parameters and states
  that are called otherwise in your queue. They keep their names in all that is printed.
- Time is `self.now`, in whole seconds. What is due happens by itself at its instant; if it happens in a method of the
  queue's own only, map that as `tick`. A clock that has to be pushed is `advance(self, seconds)`.
- Waiting clients: a reserve with a `timeout` (None: for ever) may return `WAITING`; `answers(self)`, or the tick,
  returns what came since: a list of (client, job or None or `DEADLINE_SOON`).

**How a queue refuses**: by the exceptions in `refusals`, or by returning False. As a dict, {KeyError: "missing",
PermissionError: "unauthorized"}, the kinds of refusals (SPEC 1) are compared too. Any other exception is a fault.

**Where a queue differs on purpose**: `ordered = False` (any ready job will do), `margin = True` (it sends
`DEADLINE_SOON`), `only = {"delete": ("reserved",)}` (an operation is tried on jobs in these states only, "deleted"
ones included), `defaults = {"ttr": 60}` (what a put without such a parameter has), `values = {"priority":
st.integers(0, 9)}` (a strategy for a parameter), `tube_names`, `client_names`, `max_job_size`.
"""

import unittest
from collections.abc import Collection, Mapping, Sequence
from functools import cache, wraps
from math import inf
from typing import Any, ClassVar, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from models.job_queue_draws import Choice, Job, body_of, choices, client_of, job_of, passing, tube_of
from models.job_queue_judge import Judge, QueueDifference, Refusals
from models.job_queue_oracle import EVERYWHERE, Oracle
from models.job_queue_shortest import Step, shortest
from models.job_queue_words import (
    ALWAYS,
    DEADLINE_SOON,
    LOOKS,
    OPERATIONS,
    WAITING,
    Mapped,
    check_names,
    mapped,
)

__all__ = ["DEADLINE_SOON", "WAITING", "JobQueueMachine", "QueueDifference", "Refusals"]

_PLAIN: Final[Mapping[str, Sequence[int | None]]] = {
    "priority": (0, 1, 2),
    "delay": (0, 0, 1, 2),
    "ttr": (5, 1, 2),
    "timeout": (0, None, 1, 2),
    "n": (1, 0, 2, 3),
    "seconds": (1, 2, 0),
}
"""Small numbers, so that they meet: equal priorities, instants that coincide. The plainest first."""

_RUNS: Final = settings(
    max_examples=400,
    stateful_step_count=30,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
"""How a mapping is tested unless its author says otherwise: many short histories, since most faults need few steps.
What they show is made short by `models.job_queue_shortest`, so Hypothesis need not shrink it. Targets are left out:
on planted bugs, a score of seen pairs of edges found fewer in the same number of histories."""

_CLIENTS_CALLS: Final = [op for op, operation in OPERATIONS.items() if "client" in operation.words]
_TIMED: Final = ("delay", "ttr", "timeout", "seconds")
_PASS_TIME: Final = Mapped("pass_time", lambda self, seconds: None, {"seconds": "seconds"})
_SETTINGS: Final = (
    *("client_names", "tube_names", "refusals", "words", "only", "values", "defaults", "ordered", "margin"),
    "max_job_size",
)


class _TestCases:
    """What `TestCase` of a mapping is: a test that fails with the shortest program."""

    def __get__(self, machine: object, kind: type["JobQueueMachine"]) -> type[unittest.TestCase]:
        return _test_case(kind)


@cache
def _test_case(kind: type["JobQueueMachine"]) -> type[unittest.TestCase]:
    class TestCase(unittest.TestCase):
        settings = _RUNS

        def runTest(self) -> None:  # noqa: N802 - unittest's name
            kind.check(self.settings)

    TestCase.__name__ = TestCase.__qualname__ = f"{kind.__name__}.TestCase"
    TestCase.__module__ = kind.__module__
    return TestCase


class JobQueueMachine(RuleBasedStateMachine):
    """Random histories of a queue that a subclass maps, compared with the specification. See the module."""

    client_names: ClassVar[Sequence[str]] = ("a", "b", "c")
    tube_names: ClassVar[Sequence[str]] = ("default", "other")
    refusals: ClassVar[Refusals] = ()
    words: ClassVar[Mapping[str, str]] = {}
    only: ClassVar[Mapping[str, Collection[str]]] = {}
    values: ClassVar[Mapping[str, st.SearchStrategy[Any]]] = {}
    defaults: ClassVar[Mapping[str, int]] = {}
    ordered: ClassVar[bool] = True
    margin: ClassVar[bool] = False
    max_job_size: ClassVar[int] = 65535

    TestCase: Any = _TestCases()

    _mapped: ClassVar[Mapping[str, Mapped]] = {}
    arguments_of: ClassVar[Mapping[str, Mapping[str, st.SearchStrategy[Any]]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = dict(vars(cls))
        check_names(cls.__name__, own, cls.words, _SETTINGS)
        found = dict(cls._mapped)
        names = {meaning: name for name, meaning in cls.words.items()}
        for meaning in (*OPERATIONS, *LOOKS):
            for name in (meaning, names.get(meaning, meaning)):
                if name in own:
                    found.pop(meaning, None)
                    if own[name] is not None:
                        found[meaning] = mapped(cls.__name__, meaning, name, own[name], cls.words)
        cls._mapped = found
        cls._check_mapping()
        timed = "tick" in found or any(word in _TIMED for each in found.values() for word in each.parameters.values())
        if timed:
            found.setdefault("advance", _PASS_TIME)
        for meaning, each in found.items():
            if meaning in OPERATIONS:
                setattr(cls, each.name, cls._method(meaning, each))
        cls.arguments_of = {
            meaning: {name: cls._strategy(meaning, word) for name, word in each.parameters.items() if word != ALWAYS}
            for meaning, each in found.items()
            if meaning in OPERATIONS
        }

    def __init__(self) -> None:
        kind = type(self)
        if "put" not in self._mapped:
            raise TypeError(f"{kind.__name__} is no mapping yet: it needs make(self) and put(self, …)")
        super().__init__()
        self.now = 0
        self.oracle = Oracle(
            margin=self.margin, max_job_size=self.max_job_size, tubes=self.tube_names, defaults=self.defaults
        )
        self.jobs: list[Job] = []  # all that were put, in order; the specification's id is the place + 1
        self.steps: list[Step] = []  # all that were made
        self.moods: dict[str, int] = {}  # how much each operation is liked in this history
        self.drawn: dict[str, Any] = {}  # the arguments of the step that is being made, as far as they are chosen
        self.ticks = "tick" in self._mapped  # whether what is due waits for a tick
        self.queue: Any = self.make()
        self._judge = Judge(self, self._mapped, self.refusals, self.words)
        self._judge.look("make", refused=False, since=0)

    def make(self) -> Any:
        """Make a new, empty queue: what `self.queue` is. A mapping says how."""
        raise TypeError(f"{type(self).__name__} is no mapping yet: it needs make(self)")

    @classmethod
    def check(cls, how: settings | None = None) -> None:
        """Test the mapping; raises the `QueueDifference` of the shortest program that was found.

        `how` is how Hypothesis runs it; left out, what `TestCase.settings` says.
        """
        found = cls._find(cls.TestCase.settings if how is None else how)
        if (
            found is not None
        ):  # shortened here, so that no exception names Hypothesis's own, longer program as a context
            found = shortest(cls, found.steps, found)
            raise found from found.__cause__

    @classmethod
    def _find(cls, how: settings) -> QueueDifference | None:
        try:
            run_state_machine_as_test(cls, settings=how)
        except QueueDifference as difference:
            return difference
        return None

    def repeat(self, op: str, arguments: Mapping[str, Any]) -> Any:
        """Make a step of an earlier history, if it can be made here: a put's job, or nothing."""
        given = self._mapped[op]
        words = {given.parameters[name]: value for name, value in arguments.items()}
        if "job" in words and words["job"] not in self.jobs_for(op):
            return None
        clients = self.clients_for(op)
        if op in _CLIENTS_CALLS and words.get("client", *clients[:1]) not in clients:
            return None
        if op == "pause" and words.get("tube", EVERYWHERE) not in self.tubes_for(op):
            return None
        if op == "advance" and words["seconds"] > self.patience():
            return None
        if "body" in words and "body" not in self.values:
            body = next(name for name in arguments if given.parameters[name] == "body")
            arguments = {**arguments, body: self.next_body()}
        return self._step(op, given, arguments)

    @classmethod
    def name_of(cls, op: str) -> str:
        """What the mapping calls an operation."""
        return cls._mapped[op].name

    @classmethod
    def meaning_of(cls, op: str, name: str) -> str:
        """What a parameter of a mapped operation means."""
        return cls._mapped[op].parameters[name]

    @classmethod
    def plain_values(cls, op: str, name: str) -> list[Any]:
        """The values that a parameter may have in a short program beside those that it had, the plainest first."""
        word = cls.meaning_of(op, name)
        named = {"client": cls.client_names, "tube": cls.tube_names, "tubes": [[each] for each in cls.tube_names]}
        if word in cls.values:
            return []
        return list(named[word] if word in named else _PLAIN.get(word, ()))

    def patience(self) -> float:
        """How many seconds may pass at once: while clients wait, who is answered must not depend on how time is cut."""
        due = self.oracle.next_tick_at()
        return inf if due is None or self.ticks or not self.oracle.waiting else due - self.now

    @classmethod
    def _check_mapping(cls) -> None:
        """Raise `TypeError` where the parts of a mapping don't fit together."""
        waits = "reserve" in cls._mapped and "timeout" in cls._mapped["reserve"].parameters.values()
        if waits and "answers" not in cls._mapped and "tick" not in cls._mapped:
            raise TypeError(
                f"{cls.__name__}.reserve has a timeout, so clients wait: map answers(self), or a tick that returns "
                f"the answers"
            )
        if waits and not cls.ordered:
            raise TypeError(f"{cls.__name__}: ordered = False is for queues in which no client waits: no timeout")
        unknown = [op for op in cls.only if op not in cls._mapped]
        if unknown:
            raise TypeError(
                f"{cls.__name__}.only names {unknown[0]!r}, which is not mapped; use the words of this module"
            )

    @rule(call=choices())
    def step(self, call: Choice) -> None:
        """Make the chosen call on the queue and on the specification, and compare."""
        self._step(call.op, self._mapped[call.op], call.arguments)

    @classmethod
    def _method(cls, op: str, given: Mapped) -> Any:
        """What a mapped method becomes: a call on both, as programs make it."""

        @wraps(given.function)
        def method(self: "JobQueueMachine", /, *positional: Any, **arguments: Any) -> Any:
            if self._judge.busy:  # one method of the mapping calls another
                return given.function(self, *positional, **arguments)
            return self._step(op, given, arguments)

        return method

    @classmethod
    def _strategy(cls, op: str, word: str) -> st.SearchStrategy[Any]:
        """Where the values of a parameter come from."""
        if word in cls.values:
            return cls.values[word]
        match word:
            case "job":
                return job_of(op)
            case "client":
                return client_of(op)
            case "tube":
                return tube_of(op)
            case "tubes":
                return st.lists(st.sampled_from(cls.tube_names), min_size=1, unique=True)
            case "body":
                return body_of()
            case "seconds" if op == "advance":
                return passing()
        return st.sampled_from(_PLAIN[word])

    def next_body(self) -> bytes:
        """A body that no other job has."""
        return f"{len(self.jobs)}".encode()

    def clients_for(self, op: str) -> list[str]:
        """The clients that can call the operation: those that wait do nothing but stop waiting."""
        oracle = self.oracle
        if op == "cancel":
            return [client for client in self.client_names if oracle.is_waiting(client)]
        if op == "close":
            return [c for c in self.client_names if oracle.held(c) or oracle.is_waiting(c) or oracle.is_owed(c)]
        return [c for c in self.client_names if not oracle.is_waiting(c) and not oracle.is_owed(c)]

    def jobs_for(self, op: str) -> list[Job]:
        """The jobs that the operation may be tried on."""
        only = self.only.get(op)
        if only is None:
            return self.jobs
        return [job for job in self.jobs if (self.oracle.state_of(job.id) or "deleted") in only]

    def tubes_for(self, op: str) -> list[str]:
        """The tubes that the operation may be tried on; a pause needs one that exists, and holds a job here."""
        if op != "pause":
            return list(self.tube_names)
        return list(dict.fromkeys(job.tube for job in self.oracle.jobs.values()))

    def possible(self) -> list[str]:
        """The operations that have something to work on."""
        return [op for op in self.arguments_of if self._is_possible(op)]

    def _is_possible(self, op: str) -> bool:
        if "job" in self._mapped[op].parameters.values() and not self.jobs_for(op):
            return False
        if op in ("reload", "kick_n") and not self.oracle.jobs:
            return False
        if op == "pause" and not self.tubes_for(op):
            return False
        return op not in _CLIENTS_CALLS or bool(self.clients_for(op))

    def _step(self, op: str, given: Mapped, arguments: Mapping[str, Any]) -> Any:
        """Call the queue's operation and compare; a put that is not refused returns its job."""
        arguments = {name: arguments[name] for name in given.parameters if name in arguments}  # in the author's order
        words = self._words_of(op, given, arguments)
        known = len(self.jobs)
        self.steps.append(Step(op, arguments, known + 1))
        try:
            self._judge.step(op, given, arguments, words)
        finally:
            self.drawn.clear()
        return self.jobs[-1] if len(self.jobs) > known else None

    def _words_of(self, op: str, given: Mapped, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What the arguments mean, completed by what this queue does not say."""
        words = {given.parameters[name]: value for name, value in arguments.items()}
        job = words.get("job")
        if "client" not in words and "client" in OPERATIONS[op].words:
            held = self.oracle.jobs.get(job.id) if job is not None else None
            owner = held.reserved_by if held is not None else None
            words["client"] = owner or next(iter(self.clients_for(op)))
        if op == "put":
            words.setdefault("body", self.next_body())
        return words
