"""A machine's state up to time and names: equal keys mean that every later call ends the same way.

Two states have the same key when one becomes the other by shifting the clock, by renaming the jobs in the order of
their ids, and by exchanging clients. That makes the states of a bounded world finitely many, however long it runs and
however many jobs were ever put.

Outside the key, since no later call depends on it: the instant itself, the ids, bury numbers and ask numbers but for
their order; by how much something is overdue, but for the order of what is; all counters (reserves, timeouts,
releases, buries, kicks, totals, `cmd-*`); when a job was put or buried; bodies and request ids; the order of a
client's watch references; the layout of heaps and their stale keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from jsm._heap import ID_BITS, ID_MASK
from jsm.image import ClientPart, Description, JobPart
from jsm.states import BURIED, DELAYED, READY, RESERVED, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsm._heap import KeyHeap
    from jsm._state import State
    from jsm.machine import Machine

NOW: Final = 1_000
"""The clock of every state that is made from a key: late enough for all that is overdue."""

_ZERO: Final = 100  # the byte of an instant that is the clock's
_CODES: Final = {READY: 1, DELAYED: 2, RESERVED: 3, BURIED: 4}
_STATES: Final = (JobState.DELETED, READY, DELAYED, RESERVED, BURIED)
_GONE: Final = (0, 0, 0, 0, 0, 0)  # a job that left the machine while somebody was still owed the answer about it


class Names(NamedTuple):
    """Who is who: the machine's own names in the order of the key's."""

    jobs: list[int]  # the n-th job of the key, counted from 1
    clients: list[str]


class RelativeKeys:
    """Keys of machines whose calls keep to some tubes, clients and values, each fewer than 100."""

    def __init__(
        self,
        *,
        tubes: Sequence[str],
        clients: Sequence[str],
        priorities: Sequence[int],
        delays: Sequence[int],
        ttrs: Sequence[int],
        watch_lists: Sequence[tuple[str, ...]],
        exchange_clients: bool = True,
        keep_ids: bool = False,
        keep_delays: bool = True,
        keep_strangers: bool = True,
    ) -> None:
        """`keep_ids`: jobs keep their ids, also of what is gone, for worlds with so many puts in all and no more;
        `keep_delays`: the delay that is over tells states apart, though nothing but a view depends on it;
        `keep_strangers`: a client that was never seen is not one that has nothing."""
        self._tubes = tuple(tubes)
        self._clients = tuple(clients)
        self._values = (tuple(priorities), tuple(ttrs), tuple(delays))
        self._watch_lists = tuple(watch_lists)
        self._tube_code = {name: code for code, name in enumerate(tubes)}
        self._list_code = {frozenset(names): code for code, names in enumerate(watch_lists)}
        self._priority_code = {value: code for code, value in enumerate(priorities)}
        self._ttr_code = {value: code for code, value in enumerate(ttrs)}
        self._delay_code = {value: code for code, value in enumerate(delays)}
        self._keep_delays = keep_delays
        self._exchange_clients = exchange_clients
        self._keep_ids = keep_ids
        self._stranger = b"" if keep_strangers else bytes((1, 0, 0, 0, 0, 0, 0))

    def of(self, machine: Machine) -> bytes:
        """The key of the machine's state. O(n log n) for n jobs, tubes and clients."""
        return self._encode(machine._state)[0]

    def of_names(self, machine: Machine) -> tuple[bytes, Names]:
        """The key, and which jobs and clients its numbers stand for."""
        return self._encode(machine._state)

    def _encode(self, state: State) -> tuple[bytes, Names]:
        clock = state.clock
        ids = list(state.jobs)
        owed = state.owed
        if self._keep_ids:
            ids = list(range(1, state.next_job_id))
        elif owed:
            ids = sorted({*ids, *(answer.job_id for answer in owed.values())})
        number = {job_id: place for place, job_id in enumerate(ids, 1)} if ids else {}
        out = [len(ids), len(state.tubes)]
        for tube in state.tubes.values():
            ends_at = tube.pause_ends_at
            out.append(self._tube_code[tube.name])
            out.append(0 if ends_at is None else _ZERO + max(ends_at - clock, 0))
        late_delays = _late(state.delays, clock)
        late_expiries = _late(state.expiries, clock)
        for job_id in ids:
            job = state.jobs.get(job_id)
            if job is None:
                out += _GONE
                continue
            kind = job.state
            if kind is READY:
                due = 0
            elif kind is BURIED:
                due = sum(key <= job.key for key in job.tube.buried)
            else:
                due = (job.key >> ID_BITS) - clock
                if due <= 0:
                    due = (late_delays if kind is DELAYED else late_expiries)[due]
                due += _ZERO
            out += (
                _CODES[kind],
                self._tube_code[job.tube.name],
                self._priority_code[job.priority],
                self._ttr_code[job.ttr_seconds],
                self._delay_code[job.delay_seconds] if self._keep_delays or kind is DELAYED else 0,
                due,
            )
        late_waits = _late(state.wait_deadlines, clock) if state.waiting else _NOTHING
        places = {ask: place for place, ask in enumerate(state.waiting, 1)} if state.waiting else {}
        owed_places = {client_id: place for place, client_id in enumerate(owed, 1)} if owed else {}
        parts = []
        for name in self._clients:
            client = state.clients.get(name)  # type: ignore[call-overload]
            if client is None:
                parts.append((self._stranger, name))
                continue
            part = [1 if client.uses is None else 2 + self._tube_code[client.uses.name]]
            part.append(sum(1 << self._tube_code[tube] for tube in client.watches))
            if client.ask:
                part += (places[client.ask], self._list_code[frozenset(t.name for t in client.waits_on)])
                at = client.deadline_at
                if at is None:
                    part.append(0)
                else:
                    part.append(_ZERO + (at - clock if at > clock else late_waits[at - clock]))
            else:
                part += (0, 0, 0)
            if client.id in owed_places:
                part += (owed_places[client.id], number[owed[client.id].job_id])
            else:
                part += (0, 0)
            part += sorted(number[key & ID_MASK] for key in client.held)
            parts.append((bytes(part), name))
        if self._exchange_clients:
            parts.sort(reverse=True)
        key = bytes(out)
        for text, _ in parts:
            key += bytes((len(text),)) + text
        return key, Names(ids, [name for _, name in parts])

    def description(self, key: bytes) -> Description:
        """The state that a key stands for, with the clock at `NOW` and the jobs' numbers for ids."""
        count, tube_count = key[0], key[1]
        at = 2 + 2 * tube_count
        tubes = []
        for place in range(2, at, 2):
            pause = key[place + 1]
            tubes.append((self._tubes[key[place]], NOW + pause - _ZERO if pause else None))
        priorities, ttrs, delays = self._values
        rows = [key[place : place + 6] for place in range(at, at + 6 * count, 6)]
        at += 6 * count
        owners: dict[int, str] = {}
        clients, owed = [], []
        for name in self._clients:
            part = key[at + 1 : at + 1 + key[at]]
            at += 1 + key[at]
            if not part:
                continue
            uses = None if part[0] == 1 else self._tubes[part[0] - 2]
            watches = tuple(tube for code, tube in enumerate(self._tubes) if part[1] >> code & 1)
            place = part[2]
            deadline_at = NOW + part[4] - _ZERO if part[4] else None
            waits_on = self._watch_lists[part[3]] if place else ()
            clients.append(ClientPart(name, uses, watches, waits_on, deadline_at, place))
            if part[5]:
                owed.append((part[5], name, part[6]))
            owners.update(dict.fromkeys(part[7:], name))
        jobs = []
        for job_id, (kind, tube, priority, ttr, delay, due) in enumerate(rows, 1):
            if kind:
                state = _STATES[kind]
                if state is DELAYED or state is RESERVED:
                    due += NOW - _ZERO
                jobs.append(
                    JobPart(
                        job_id, self._tubes[tube], state, priorities[priority], delays[delay], ttrs[ttr], due,
                        owners.get(job_id),
                    )
                )  # fmt: skip
        return Description(NOW, count + 1, tubes, jobs, clients, [(name, job) for _, name, job in sorted(owed)])


_NOTHING: Final[dict[int, int]] = {}


def _late(timer: KeyHeap, clock: int) -> dict[int, int]:
    """What is due in a timer, by how late it is: 0 for the latest instant, -1 for the one before it, and so on."""
    if not timer.keys or timer.keys[0] >> ID_BITS > clock:
        return _NOTHING
    late = sorted({instant for key in timer if (instant := (key >> ID_BITS) - clock) <= 0}, reverse=True)
    return {instant: -place for place, instant in enumerate(late)}
