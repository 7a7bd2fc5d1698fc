"""Lassos: none in the machine, and each promise broken by a planted fault."""

from collections.abc import Callable

import pytest

from jsm.job import ClientID, JobID, TubeName
from jsm.machine import Machine
from jsm.reservations import Reservation
from models.liveness import PROMISES, check_liveness
from models.renderings import FORMS, render
from models.scope import SCOPES, Scope

WORLD = SCOPES["tiny"].but(refusals=False, ahead=False, late=False, ttrs=(1, 2), timeouts=(None, 1, 2))


def test_the_machine_keeps_every_promise_and_each_is_open_somewhere() -> None:
    result = check_liveness(SCOPES["promises"])
    assert (result.verdict, result.states) == ("holds", 2_217)
    assert set(result.open_promises) == set(PROMISES)
    assert min(result.open_promises.values()) > 0


class LazyTtr(Machine):
    """A ttr starts again by itself whenever it is about to run out."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        """Touch what would expire, then tick."""
        for record in list(self.snapshot().snapshot_jobs()):
            owner = record.job.reserved_by
            if owner is not None and record.job.expires_at <= now:
                self.touch(now, record.job.id, owner)
        return super().tick(now)


class EndlessDelay(Machine):
    """A delay that ends begins again."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        """Tick, and delay anew what became ready by it."""
        delayed = [r.job.id for r in self.snapshot().snapshot_jobs() if r.job.state == "delayed"]
        answers = super().tick(now)
        for job_id in delayed:
            if self._state.jobs[job_id].state == "ready":
                self.reserve_job(now, job_id, ClientID("a"))
                self.release_with(now, job_id, ClientID("a"), priority=0, delay_seconds=1)
        return answers


class DeafToDeadlines(Machine):
    """A wait with a deadline is put off by a second at each tick."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        """Ask anew for whoever would time out."""
        for entry in list(self.snapshot().snapshot_clients()):
            if entry.is_waiting and entry.deadline_at is not None and entry.deadline_at <= now:
                self.cancel_reservation(entry.client_id)
                self.append_reservation(
                    now, entry.client_id, request_id="", tubes=entry.watched_tubes, deadline_at=now + 1
                )
        return super().tick(now)


class PauseForGood(Machine):
    """A pause that ends is begun anew."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        """Pause again what would go on."""
        for tube in self.snapshot().header().tubes:
            if tube.pause_ends_at is not None and tube.pause_ends_at <= now:
                self.pause_tube(now, tube.name, 1)
        return super().tick(now)


class OverlooksWaiters(Machine):
    """A put wakes nobody."""

    __slots__ = ()

    def put(self, now: int, **values: object) -> JobID:
        """Put, and let no tube be matchable by it."""
        job_id = super().put(now, **values)  # type: ignore[arg-type]
        self._state.matchable.clear()
        return job_id


class Restless(Machine):
    """A touch is made ten times."""

    __slots__ = ()

    def touch(self, now: int, job_id: JobID, client_id: ClientID) -> None:
        """Touch and touch again."""
        for _ in range(10):
            super().touch(now, job_id, client_id)


class ServesNobody(Machine):
    """A job is given back to the tube at once, whoever reserved it."""

    __slots__ = ()

    def tick(self, now: int) -> list[Reservation]:
        """Tick, and release what was matched."""
        answers = super().tick(now)
        for answer in answers:
            if answer.job_id:
                self.release(answer.job_id, answer.client_id)
        return answers

    def append_reservation(
        self, now: int, client_id: ClientID, *, request_id: str, tubes: object, deadline_at: int | None
    ) -> Reservation:
        """Answer, and release what was matched."""
        answer = super().append_reservation(
            now, client_id, request_id=request_id, tubes=[TubeName("default")], deadline_at=deadline_at
        )
        if answer.job_id:
            self.release(answer.job_id, client_id)
        return answer


FAULTS: dict[str, tuple[type[Machine], Scope]] = {
    "a_reserved_job_is_left_by_its_deadline": (LazyTtr, WORLD),
    "a_delay_ends": (EndlessDelay, WORLD),
    "a_wait_with_a_deadline_is_answered": (DeafToDeadlines, WORLD),
    "no_job_waits_beside_a_waiting_client": (OverlooksWaiters, WORLD),
    "a_pause_ends": (PauseForGood, WORLD),
    "every_call_ends": (Restless, WORLD),
    "a_live_worker_serves_all": (ServesNobody, WORLD),
}


def test_every_promise_has_a_fault() -> None:
    assert set(FAULTS) == set(PROMISES)


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str) -> None:
    machine, world = FAULTS[name]
    result = check_liveness(world, make_machine=machine)
    assert result.verdict == "violated"
    shown = result.counterexample
    assert shown is not None
    assert shown.finding.name == name


class CountsUrgentTwice(Machine):
    """A put counts its job as urgent twice."""

    __slots__ = ()

    def put(self, now: int, **values: object) -> JobID:
        """Put, and count once more."""
        job_id = super().put(now, **values)  # type: ignore[arg-type]
        self._state.urgent += 1
        return job_id


def test_a_fault_that_breaks_no_promise_is_a_violation_too() -> None:
    result = check_liveness(WORLD, make_machine=CountsUrgentTwice)
    assert (result.verdict, result.why) == ("violated", "")
    assert result.counterexample is not None
    assert result.counterexample.finding.name == "statistics_equal_a_recount"
    assert [call.op for call in result.counterexample.calls] == ["put"]


@pytest.mark.parametrize("machine", [LazyTtr, PauseForGood])
def test_a_lasso_is_a_history_and_a_loop_in_which_a_second_passes(machine: Callable[..., Machine]) -> None:
    shown = check_liveness(WORLD, make_machine=machine).counterexample
    assert shown is not None
    assert shown.loop_start is not None
    loop = shown.calls[shown.loop_start :]
    assert any(call.op == "tick" for call in loop)
    for form in FORMS:
        assert render(shown, form, make_machine=machine)


def test_a_bound_leaves_it_undetermined() -> None:
    result = check_liveness(WORLD, states_max=10)
    assert (result.verdict, result.counterexample) == ("undetermined", None)
    assert "more than 10 states" in result.why
