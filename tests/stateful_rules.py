"""Rules that Hypothesis strings together, for any world that takes calls, and the coverage of all its histories.

A world says how a call is made, which jobs it has, what time it is and when something is due. A world that `aims` tells
Hypothesis how many pairs of edges a history went through: it then searches near the histories with many.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from hypothesis import HealthCheck, settings, target
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from jsm.machine import Machine
from jsm.records import CommandRecord, TransitionRecord
from jsm.transitions import Transition, transitions
from models.calls import Call
from models.graph import EdgePair, edge_name, edge_pairs, pair_name, transition_graph
from models.named_calls import named
from models.watcher import TransitionWatcher
from tests.refusals import TABLE
from tests.test_transitions import ATTEMPTED

CLIENTS = ["a", "b", "c"]
CLIENT = st.sampled_from(CLIENTS)
TUBE = st.sampled_from(["default", "t", "u"])
STAGES = ["ready", "delayed", "reserved", "buried", "deleted"]
PLACE = st.integers(0, 5)
PRIORITY = st.sampled_from([0, 1, 1024])
SECONDS = st.sampled_from([0, 0, 1, 2, 5])

OPERATION_OF = {"release-0": "release_with", "release-5": "release_with", "reserve-job": "reserve_job"}
REFUSED_CELLS = sorted(
    {
        ("new" if state == "unborn" else state, OPERATION_OF.get(operation, operation), outcome)
        for state, _, operation, outcome in ATTEMPTED
        if not outcome.startswith(">")
    }
)
"""The refusals of the hand-written square: (state of the job, operation, kind)."""

ALLOWED = {
    "ready": ("delete", "reserve_job"),
    "delayed": ("delete", "reserve_job", "kick"),
    "buried": ("delete", "reserve_job", "kick"),
}
"""What anybody can do with a job."""

SPOILT = [
    (op, kind, change)
    for op, (_, faults, _) in TABLE.items()
    for kind, changes in faults.items()
    if kind in ("bad-value", "empty-client")
    for change in changes
]
"""Every argument that is refused whatever the state is."""


class Live(NamedTuple):
    """A job, as far as rules look at it."""

    id: int
    state: str
    owner: str | None


class Coverage:
    """What all histories of a test have met."""

    def __init__(self) -> None:
        self.edges: Counter[Transition] = Counter()
        self.pairs: Counter[EdgePair] = Counter()
        self.cells: Counter[tuple[str, str, str]] = Counter()
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.histories = 0

    def add(self, watcher: TransitionWatcher) -> int:
        """Add a history; how many pairs of edges it went through."""
        report = watcher.report()
        self.histories += 1
        self.edges.update(report.edges)
        self.pairs.update(report.edge_pairs)
        self.cells.update(report.refused_cells)
        self.refusals.update(report.refusals)
        return len(report.edge_pairs) - len(report.edge_pairs_never_seen)

    def missing(self) -> dict[str, list[str]]:
        """The edges, pairs of edges and refused cells that no history met; empty where there are none."""
        missing = {
            "edges": [edge_name(edge) for edge in transitions() if not self.edges[edge]],
            "pairs": [pair_name(pair) for pair in edge_pairs(transition_graph()) if not self.pairs[pair]],
            "refused cells": [" ".join(cell) for cell in REFUSED_CELLS if not self.cells[cell]],
        }
        return {what: names for what, names in missing.items() if names}


def profile(histories: int, steps: int = 40) -> settings:
    """Always the same histories, and no clock that could fail a test."""
    return settings(
        max_examples=histories,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def histories(kind: type["Rules"], how: settings) -> Coverage:
    """Run a machine; what its histories met."""
    coverage = Coverage()
    counted = type(kind.__name__, (kind,), {"coverage": coverage, "__module__": kind.__module__})
    run_state_machine_as_test(counted, settings=how)
    return coverage


class Rules(RuleBasedStateMachine):
    """The rules; a subclass is the world."""

    coverage: ClassVar[Coverage] = Coverage()
    aims: ClassVar[bool] = False  # whether Hypothesis is told to search near histories with many pairs of edges
    machine_of: ClassVar[Any] = Machine  # or a subclass with a planted fault

    def __init__(self) -> None:
        super().__init__()
        self.watcher = TransitionWatcher()

    # The world

    def make(self, call: Call) -> None:
        """Make a call, refused or not, and check what can be seen."""
        raise TypeError("a world says how")

    @property
    def now(self) -> int:
        """The clock."""
        raise TypeError("a world says what")

    @property
    def second(self) -> int:
        """Time units a second."""
        return 1

    def due(self) -> int | None:
        """The next instant at which a tick does something."""
        raise TypeError("a world says when")

    def live(self) -> Sequence[Live]:
        """The jobs, by id."""
        raise TypeError("a world says which")

    def begin(self, second: int) -> None:
        """Begin anew, with so many time units a second, if the world can."""

    def transition(self, record: TransitionRecord) -> None:
        """Watch a transition."""
        self.watcher.transition(record)

    def refused(self, call: Call, kind: str) -> None:
        """Count a refusal."""
        found = named(call)
        args: Mapping[str, Any] = {} if found is None else found.args
        self.watcher.command(CommandRecord(0, 0, None, call.op, args, {"refused": kind}))

    def teardown(self) -> None:
        """Count what the history met."""
        met = self.coverage.add(self.watcher)
        if self.aims:
            target(float(met), label="pairs of edges")

    # The rules

    def call(self, op: str, *args: Any, **kwargs: Any) -> None:
        """Make a call."""
        self.make(Call(op, args, kwargs))

    def has(self, *states: str) -> bool:
        """Whether there is a job in one of the states."""
        return any(job.state in states for job in self.live())

    def pick(self, place: int, *states: str) -> tuple[int, str]:
        """A job in one of the states if there is one, else any, or one that is gone or never was; and its owner."""
        jobs = self.live()
        fitting = [job for job in jobs if job.state in states] or jobs
        if not fitting:
            return place, "a"
        job = fitting[place % len(fitting)]
        return job.id, job.owner or "a"

    def put_one(self, tube: str, priority: int, delay: int, ttr: int) -> None:
        """Make a job."""
        self.call("put", self.now, priority=priority, delay_seconds=delay, ttr_seconds=ttr, body=b"x", tube=tube)

    @initialize(
        second=st.sampled_from([1, 3, 1000]),
        jobs=st.lists(st.tuples(TUBE, CLIENT, st.sampled_from(STAGES)), min_size=1, max_size=4),
    )
    def stock(self, second: int, jobs: list[tuple[str, str, str]]) -> None:
        """A machine with jobs in all states, so that what follows a rare state is not rare."""
        self.begin(second)
        for tube, client, stage in jobs:
            self.put_one(tube, 1, 2 * (stage == "delayed"), 3)
            job_id = max((job.id for job in self.live()), default=0)
            if stage in ("reserved", "buried"):
                self.call("reserve_job", self.now, job_id, client)
            if stage == "buried":
                self.call("bury", self.now, job_id, client, priority=0)
            if stage == "deleted":
                self.call("delete", job_id, client)

    @rule(tube=TUBE, priority=PRIORITY, ttr=SECONDS)
    def put(self, tube: str, priority: int, ttr: int) -> None:
        """A new job."""
        self.put_one(tube, priority, 0, ttr)

    @rule(tube=TUBE, priority=PRIORITY, delay=st.sampled_from([1, 2, 5]), ttr=SECONDS)
    def put_delayed(self, tube: str, priority: int, delay: int, ttr: int) -> None:
        """A new job that is delayed."""
        self.put_one(tube, priority, delay, ttr)

    @rule(client=CLIENT, tubes=st.lists(TUBE, min_size=1, max_size=3), wait=st.sampled_from([None, 1, 3]))
    def ask(self, client: str, tubes: list[str], wait: int | None) -> None:
        """A client asks for a job."""
        until = None if wait is None else self.now + wait * self.second
        self.call("append_reservation", self.now, client, request_id="r", tubes=tubes, deadline_at=until)

    @rule(client=CLIENT)
    def ask_now(self, client: str) -> None:
        """A client asks for any job, without waiting."""
        tubes = ["default", "t", "u"]
        self.call("append_reservation", self.now, client, request_id="r", tubes=tubes, deadline_at=self.now)

    @rule(passed=st.sampled_from([0, 0, 1, 2]))
    def tick(self, passed: int) -> None:
        """A tick, now or a little later."""
        self.call("tick", self.now + passed)

    @precondition(lambda self: self.due() is not None)
    @rule(off=st.sampled_from([-1, 0, 0, 1]))
    def tick_when_due(self, off: int) -> None:
        """A tick at the next due instant, one unit before, or one after."""
        due = self.due()
        assert due is not None
        self.call("tick", max(self.now, due + off))

    def as_owner(self, place: int, op: str, delay: int) -> None:
        """The owner of a reserved job does something with it."""
        self.attempt(op, *self.pick(place, "reserved"), delay=delay)

    @precondition(lambda self: self.has("reserved"))
    @rule(place=PLACE, op=st.sampled_from(["bury", "touch", "release_with"]), delay=SECONDS)
    def keep(self, place: int, op: str, delay: int) -> None:
        """An owner keeps the job, or puts it off."""
        self.as_owner(place, op, delay)

    @precondition(lambda self: self.has("reserved"))
    @rule(place=PLACE, op=st.sampled_from(["bury", "release", "release_with", "touch", "delete"]), delay=SECONDS)
    def give_up(self, place: int, op: str, delay: int) -> None:
        """An owner gives the job up, mostly."""
        self.as_owner(place, op, delay)

    @precondition(lambda self: self.has("ready", "delayed", "buried"))
    @rule(place=PLACE, state=st.sampled_from(["ready", "delayed", "buried"]))
    def discard(self, place: int, state: str) -> None:
        """Anybody deletes."""
        self.call("delete", self.pick(place, state)[0], "c")

    @precondition(lambda self: self.has("buried", "delayed"))
    @rule(place=PLACE)
    def kick(self, place: int) -> None:
        """One job is kicked."""
        self.call("kick", self.pick(place, "buried", "delayed")[0])

    @rule(tube=TUBE, n=PLACE)
    def kick_n(self, tube: str, n: int) -> None:
        """Some jobs are kicked."""
        self.call("kick_n", tube, n)

    @precondition(lambda self: self.has("delayed", "buried"))
    @rule(place=PLACE, client=CLIENT)
    def dig_out(self, place: int, client: str) -> None:
        """A job that is not ready is reserved by its id."""
        self.call("reserve_job", self.now, self.pick(place, "delayed", "buried")[0], client)

    @precondition(lambda self: self.has("ready", "delayed", "buried"))
    @rule(place=PLACE, client=CLIENT, state=st.sampled_from(["ready", "delayed", "buried"]))
    def reserve_job(self, place: int, client: str, state: str) -> None:
        """A job is reserved by its id."""
        self.call("reserve_job", self.now, self.pick(place, state)[0], client)

    @precondition(lambda self: bool(self.live()))
    @rule(place=PLACE)
    def trespass(self, place: int) -> None:
        """Somebody tries all that can't be done: with a job of each state, one that is gone, and one that never was."""
        live = list(self.live())
        jobs = {job.state: job for job in live[place:] + live[:place]}
        for job in (*jobs.values(), Live(self.gone(place), "deleted", None), Live(1000, "new", None)):
            for op in sorted({op for _, op, _ in REFUSED_CELLS}):
                if op not in ALLOWED.get(job.state, ()):
                    self.attempt(op, job.id, "b" if job.owner == "a" else "a", delay=1)

    def attempt(self, op: str, job_id: int, client: str, delay: int) -> None:
        """Call an operation on a job."""
        known: dict[str, Any] = {"job_id": job_id, "client_id": client, "now": self.now, "delay_seconds": delay}
        self.call(op, **{name: known.get(name, value) for name, value in TABLE[op][0].items()})

    def gone(self, place: int) -> int:
        """A job that is gone, if there is one."""
        jobs = [job.id for job in self.live()]
        past = [job_id for job_id in range(1, max(jobs, default=0)) if job_id not in jobs]
        return past[place % len(past)] if past else 1001

    @rule(tube=TUBE, seconds=SECONDS)
    def pause(self, tube: str, seconds: int) -> None:
        """A tube is paused."""
        self.call("pause_tube", self.now, tube, seconds)

    @rule(client=CLIENT, tube=TUBE, op=st.sampled_from(["use_tube", "watch_tube", "ignore_tube"]))
    def refer(self, client: str, tube: str, op: str) -> None:
        """A client's references change."""
        self.call(op, client, tube)

    @rule(client=CLIENT, op=st.sampled_from(["close_client", "cancel_reservation"]), holds=st.booleans())
    def go(self, client: str, op: str, holds: bool) -> None:
        """A client goes, or stops waiting; if it `holds`, one that has a job, where there is one."""
        holders = [job.owner for job in self.live() if job.owner is not None]
        self.call(op, holders[0] if holds and holders else client)

    @rule(spoilt=st.sampled_from(SPOILT), back=st.booleans())
    def spoil(self, spoilt: tuple[str, str, dict[str, Any]], back: bool) -> None:
        """A call that is refused for one of its arguments, or for its instant."""
        op, _, change = spoilt
        good = TABLE[op][0]
        fresh: dict[str, Any] = {name: self.now - back for name in ("now", "deadline_at") if name in good}
        self.call(op, **(good | fresh | change))
