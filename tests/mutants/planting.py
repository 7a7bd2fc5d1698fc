"""Tools to plant faults with: they reach into a machine's state, which nothing outside of the tests may do.

Faults are planted in the public operations, before or after the machine's own, and in the heaps of its state, so
that they stay planted however the machine's inner calls are arranged.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jsm._client import Client
from jsm._heap import ID_BITS, KeyHeap
from jsm._job import Job
from jsm._tube import Tube
from jsm.job import ClientID, TubeName
from jsm.machine import Machine
from jsm.snapshot import MachineSnapshot

FAR = 1 << 160
"""Added to a key, it makes an instant that never comes, of the same id."""


def accepts(machine: Machine, now: object) -> bool:
    """Whether the machine would take a call at this instant."""
    return not machine._stopped and type(now) is int and now >= machine.clock


def instant_of(key: int) -> int:
    """The instant in a key of a timer."""
    return key >> ID_BITS


def everything(key: int) -> bool:
    """Whether a key is one: for `held_back`."""
    return key >= 0


@contextmanager
def held_back(heap: KeyHeap, which: Callable[[int], bool]) -> Iterator[None]:
    """Hide some keys of a heap from the machine for a while."""
    kept = sorted(key for key in heap if which(key))
    for key in kept:
        heap.remove(key)
    try:
        yield
    finally:
        for key in kept:
            heap.push(key)


def never_due(timer: KeyHeap, which: Callable[[int], bool]) -> None:
    """Let some keys of a timer never come due."""
    for key in sorted(key for key in timer if key < FAR and which(key)):
        timer.remove(key)
        timer.push(key + FAR)


def job_of(machine: Machine, job_id: object) -> Job | None:
    """The live job with an id, if that is one."""
    return machine._state.jobs.get(job_id) if type(job_id) is int else None


def client_of(machine: Machine, client_id: object) -> Client | None:
    """The client with an id, if the machine knows one."""
    return machine._state.clients.get(ClientID(client_id)) if isinstance(client_id, str) else None


def tube_of(machine: Machine, name: object) -> Tube | None:
    """The tube with a name, if there is one."""
    return machine._state.tubes.get(TubeName(name)) if isinstance(name, str) else None


def set_expiry(machine: Machine, job: Job, at: int) -> None:
    """Let a reserved job expire at another instant."""
    state, owner = machine._state, job.owner
    assert owner is not None
    for heap in (state.expiries, owner.held):
        heap.remove(job.key)
        heap.push(at << ID_BITS | job.id)
    job.key = at << ID_BITS | job.id
    if owner.ask:
        state.update_margin(owner)


def forget_margin(machine: Machine, client: Client) -> None:
    """Let a waiting client get no warning, until the machine looks at what it holds again."""
    if client.margin:
        machine._state.margins.remove(client.margin)
        client.margin = 0


def waiting(machine: Machine) -> list[Client]:
    """The clients that wait, in order of asking."""
    return list(machine._state.waiting.values())


def wait_again(machine: Machine, order: list[Client]) -> None:
    """Let the waiting clients have asked in another order."""
    state = machine._state
    asks = sorted(state.waiting)
    state.waiting = dict(zip(asks, order, strict=True))
    for ask, client in state.waiting.items():
        client.ask, client.margin = ask, 0
    for tube in state.tubes.values():
        tube.waiters = KeyHeap(client.ask for client in order if tube in client.waits_on)
    with_deadline = [client for client in order if client.deadline_at is not None]
    state.wait_deadlines = KeyHeap((client.deadline_at or 0) << ID_BITS | client.ask for client in with_deadline)
    state.margins = KeyHeap()
    for client in order:
        state.update_margin(client)


class Spoilt(Machine):
    """A machine whose snapshots are of a class of its own."""

    __slots__ = ()

    Snapshot: type[MachineSnapshot]

    def snapshot(self) -> MachineSnapshot:
        return self.Snapshot(self)
