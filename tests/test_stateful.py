"""Rules that Hypothesis strings together: the machine in lock-step with the specification, restored at any step."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models.calls import Call
from models.lockstep import Lockstep, replay

CLIENT = st.sampled_from(["a", "b", "c"])
TUBE = st.sampled_from(["default", "t", "u"])
PLACE = st.integers(0, 5)
SECONDS = st.sampled_from([0, 0, 1, 2, 5])


class Histories(RuleBasedStateMachine):
    """Each rule makes one call on both; what `Lockstep` compares after it is everything that can be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.both = Lockstep(looks=False)
        self.second = 1

    @initialize(second=st.sampled_from([1, 3, 1000]))
    def begin(self, second: int) -> None:
        """Choose the clock's rate."""
        self.both, self.second = Lockstep(units_per_second=second, looks=False), second

    @property
    def now(self) -> int:
        """The clock of the specification."""
        return self.both.spec.clock

    def call(self, op: str, *args: Any, **kwargs: Any) -> None:
        """Call on both, refused or not."""
        replay(self.both, [Call(op, args, kwargs)])

    def pick(self, place: int, *states: str) -> tuple[int, str]:
        """A job in one of the states if there is one, and its owner."""
        jobs = list(self.both.spec.jobs.values())
        fitting = [job for job in jobs if job.state in states] or jobs
        if not fitting:
            return place, "a"
        job = fitting[place % len(fitting)]
        return job.id, job.reserved_by or "a"

    @rule(tube=TUBE, priority=st.sampled_from([0, 1, 1024]), delay=SECONDS, ttr=SECONDS)
    def put(self, tube: str, priority: int, delay: int, ttr: int) -> None:
        """A new job."""
        self.call("put", self.now, priority=priority, delay_seconds=delay, ttr_seconds=ttr, body=b"x", tube=tube)

    @rule(client=CLIENT, tubes=st.lists(TUBE, min_size=1, max_size=3), wait=st.sampled_from([None, 0, 1, 3]))
    def ask(self, client: str, tubes: list[str], wait: int | None) -> None:
        """A client asks for a job."""
        until = None if wait is None else self.now + wait * self.second
        self.call("append_reservation", self.now, client, request_id="r", tubes=tubes, deadline_at=until)

    @rule(passed=st.sampled_from([0, 0, 1, 2]))
    def tick(self, passed: int) -> None:
        """A tick, now or a little later."""
        self.call("tick", self.now + passed)

    @precondition(lambda self: self.both.spec.next_tick_at() is not None)
    @rule(off=st.sampled_from([-1, 0, 0, 1]))
    def tick_when_due(self, off: int) -> None:
        """A tick at the next due instant, one unit before, or one after."""
        due = self.both.spec.next_tick_at()
        assert due is not None
        self.call("tick", max(self.now, due + off))

    @rule(place=PLACE, op=st.sampled_from(["delete", "release"]), stranger=st.none() | CLIENT)
    def leave(self, place: int, op: str, stranger: str | None) -> None:
        """An owner deletes or releases."""
        job_id, owner = self.pick(place, "reserved")
        self.call(op, job_id, stranger or owner)

    @rule(place=PLACE, priority=PLACE, delay=SECONDS)
    def release_with(self, place: int, priority: int, delay: int) -> None:
        """An owner releases with a delay."""
        job_id, owner = self.pick(place, "reserved")
        self.call("release_with", self.now, job_id, owner, priority=priority, delay_seconds=delay)

    @rule(place=PLACE, stranger=st.none() | CLIENT)
    def touch(self, place: int, stranger: str | None) -> None:
        """An owner touches."""
        job_id, owner = self.pick(place, "reserved")
        self.call("touch", self.now, job_id, stranger or owner)

    @rule(place=PLACE, priority=PLACE)
    def bury(self, place: int, priority: int) -> None:
        """An owner buries."""
        job_id, owner = self.pick(place, "reserved")
        self.call("bury", self.now, job_id, owner, priority=priority)

    @rule(place=PLACE)
    def kick(self, place: int) -> None:
        """One job is kicked."""
        self.call("kick", self.pick(place, "buried", "delayed")[0])

    @rule(tube=TUBE, n=PLACE)
    def kick_n(self, tube: str, n: int) -> None:
        """Some jobs are kicked."""
        self.call("kick_n", tube, n)

    @rule(place=PLACE, client=CLIENT)
    def reserve_job(self, place: int, client: str) -> None:
        """A job is reserved by its id."""
        self.call("reserve_job", self.now, self.pick(place, "ready", "delayed", "buried")[0], client)

    @rule(tube=TUBE, seconds=SECONDS)
    def pause(self, tube: str, seconds: int) -> None:
        """A tube is paused."""
        self.call("pause_tube", self.now, tube, seconds)

    @rule(client=CLIENT, tube=TUBE, op=st.sampled_from(["use_tube", "watch_tube", "ignore_tube"]))
    def refer(self, client: str, tube: str, op: str) -> None:
        """A client's references change."""
        self.call(op, client, tube)

    @rule(client=CLIENT, op=st.sampled_from(["close_client", "cancel_reservation"]))
    def go(self, client: str, op: str) -> None:
        """A client goes, or stops waiting."""
        self.call(op, client)

    @rule()
    def restore(self) -> None:
        """The rest of the history happens on a machine that was restored from a snapshot."""
        self.both.reload()

    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        """A ready job and a client that waits for it never stand without a tick being due."""
        spec = self.both.spec
        ready = {job.tube for job in spec.jobs.values() if job.state == "ready"}
        ready -= {tube.name for tube in spec.tubes if tube.pause_ends_at is not None}
        if any(not ready.isdisjoint(wait.tubes) for wait in spec.waiting):
            assert self.both.machine.next_tick_at() == spec.clock


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=400,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
