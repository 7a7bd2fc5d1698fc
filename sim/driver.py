"""The bridge from SimPy's clock to the machine: it ticks at every instant at which something is due.

SimPy runs on the machine's integer time units, so no instant is ever rounded. The driver keeps one wake-up armed,
for the next instant that the machine names; SimPy can't cancel one, so a wake-up that is no longer the armed one
is ignored when it fires. Wake-ups come before everything else that happens at their instant: what is due has
moved before a worker or a producer acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from simpy.core import EmptySchedule
from simpy.events import URGENT, Event

from jsm.reservations import Reservation, ReservationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jsm.job import ClientID, TubeName
    from jsm.machine import Machine
    from jsm.observed import ObservedMachine
    from jsm.records import TransitionRecord
    from sim.environment import UnitEnvironment

AnyMachine: TypeAlias = "Machine | ObservedMachine"

_QUEUED = ReservationStatus.QUEUED  # a plain name: see `jsm.states.READY`

CHUNK = 4_096
"""Records that pile up before the watchers get them."""


class RecordBuffer:
    """A machine's observer that keeps the records until they are flushed to the watchers, a chunk at a time.

    `transition` is a list's own `append`: nothing cheaper can be called for each record.
    """

    __slots__ = ("_consumers", "records", "transition")

    def __init__(self, consumers: Sequence[Callable[[Sequence[TransitionRecord]], None]]) -> None:
        self.records: list[TransitionRecord] = []
        self.transition = self.records.append
        self._consumers = tuple(consumers)

    def flush(self) -> None:
        """Hand everything to each watcher; an exception of one of them passes through."""
        if self.records:
            chunk = self.records.copy()
            self.records.clear()
            for consume in self._consumers:
                consume(chunk)


class Driver:
    """Drives one machine on one SimPy environment."""

    def __init__(self, env: UnitEnvironment, machine: AnyMachine, buffer: RecordBuffer) -> None:
        self.env = env
        self.machine = machine
        self.stopped = False
        self._buffer = buffer
        self._waits: dict[ClientID, Callable[[Reservation], object]] = {}  # by waiting client: whom to tell
        self._armed_at: int | None = None
        # Bound once: these are called for every job.
        self._next_tick_at = machine.next_tick_at
        self._tick = machine.tick
        self._append = machine.append_reservation

    def settle(self) -> None:
        """Tick if anything is due, tell the clients that are answered, and arm the next wake-up.

        To be called after every operation that may make a job ready, start a timer or a wait.
        """
        due = self._next_tick_at()
        if due is None:
            return
        now = self.env.now
        if due <= now:
            for answer in self._tick(now):
                self._waits.pop(answer.client_id)(answer)
            due = self._next_tick_at()
            if due is None:
                return
        armed_at = self._armed_at
        if armed_at is None or due < armed_at:
            self._arm(due)

    def reserve(
        self,
        client_id: ClientID,
        tubes: Sequence[TubeName],
        timeout: int | None,
        answered: Callable[[Reservation], object],
    ) -> Reservation | None:
        """Ask for a job, with a timeout in units or None: the answer, or None: `answered` will be called with it.

        `answered` must not call the driver or the machine: it is called between a tick and what follows it.
        """
        now = self.env.now
        deadline_at = None if timeout is None else now + timeout
        answer = self._append(now, client_id, request_id="", tubes=tubes, deadline_at=deadline_at)
        if answer.status is not _QUEUED:
            self.settle()
            return answer
        self._waits[client_id] = answered
        self.settle()
        return None

    def close(self, client_id: ClientID) -> None:
        """Close a client's connection; whatever it waits for never comes."""
        self._waits.pop(client_id, None)
        self.machine.close_client(client_id, now=self.env.now)
        self.settle()

    def stop(self) -> None:
        """Let `run` return before the next event."""
        self.stopped = True

    def run(self, until: int) -> None:
        """Run until `stop` is called, nothing is left to happen, or an instant is reached, which is not played."""
        horizon = Event(self.env)
        horizon._ok, horizon._value = True, None
        horizon.callbacks = [lambda _: self.stop()]
        self.env.schedule(horizon, URGENT, until - self.env.now)
        step, buffer = self.env.step, self._buffer
        try:
            while not self.stopped:
                step()
                if len(buffer.records) >= CHUNK:
                    buffer.flush()
        except EmptySchedule:
            pass

    def _arm(self, due: int) -> None:
        self._armed_at = due
        wake_up = Event(self.env)
        wake_up._ok, wake_up._value = True, due
        wake_up.callbacks = [self._wake]
        self.env.schedule(wake_up, URGENT, due - self.env.now)

    def _wake(self, wake_up: Event) -> None:
        if wake_up._value == self._armed_at:
            self._armed_at = None
            self.settle()
