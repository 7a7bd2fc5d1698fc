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
from jsm.job import ClientID
from jsm.states import BURIED, DELAYED, READY, RESERVED, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jsm._heap import KeyHeap
    from jsm._job import Job
    from jsm._state import State
    from jsm.machine import Machine
    from jsm.records import TransitionRecord

NOW: Final = 1_000
"""The clock of every state that is made from a key: late enough for all that is overdue."""

_ZERO: Final = 100  # the byte of an instant that is the clock's
_CODES: Final = {READY: 1, DELAYED: 2, RESERVED: 3, BURIED: 4}
_STATES: Final = (JobState.DELETED, READY, DELAYED, RESERVED, BURIED)
_IDLE: Final = bytes((7, 1, 0, 0, 0, 0, 0, 0))  # a client that has nothing
_NUMBERS_MAX: Final = 10_000
_GONE: Final = bytes(6)  # a job that left the machine while somebody was still owed the answer about it


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
        self._clients = tuple(map(ClientID, clients))
        self._values = (tuple(priorities), tuple(ttrs), tuple(delays))
        self._watch_lists = tuple(watch_lists)
        self._tube_code = {name: code for code, name in enumerate(tubes)}
        self._list_code = {frozenset(names): code for code, names in enumerate(watch_lists)}
        self._priority_code = {value: code for code, value in enumerate(priorities)}
        self._ttr_code = {value: code for code, value in enumerate(ttrs)}
        self._delay_code = {value: code for code, value in enumerate(delays)}
        self._keep_delays = keep_delays
        self._past_delay = len(delays) - 1  # the longest, so that who takes it for one that still runs is found out
        self._exchange_clients = exchange_clients
        self._keep_ids = keep_ids
        self._stranger = bytes((0,)) if keep_strangers else _IDLE
        self._names: list[str] = list(clients)
        self._numbers: dict[tuple[int, ...], dict[int, int]] = {}  # by ids: the place of each, counted from 1

    def of(self, machine: Machine) -> bytes:
        """The key of the machine's state. O(n log n) for n jobs, tubes and clients."""
        return self._encode(machine._state, {})[0]

    def of_names(self, machine: Machine) -> tuple[bytes, Names]:
        """The key, and which jobs and clients its numbers stand for."""
        return self._encode(machine._state, {})

    def rows(self, machine: Machine) -> dict[int, bytes]:
        """What the key says of each job by itself: for `after`, while the clock stands and nothing is overdue."""
        state = machine._state
        if _late(state.delays, state.clock) or _late(state.expiries, state.clock):
            return {}
        rows: dict[int, bytes] = {}
        self._encode(state, rows)
        return rows

    def after(self, machine: Machine, rows: dict[int, bytes], moved: Iterable[TransitionRecord]) -> bytes:
        """The key after a call that has moved those jobs and no others, with the rows of before. As `of`, but faster.

        Right as long as the call did not set the clock forward.
        """
        known = rows.copy()
        for record in moved:
            known.pop(record.job, None)
        return self._encode(machine._state, known)[0]

    def _encode(self, state: State, rows: dict[int, bytes]) -> tuple[bytes, Names]:
        """Key and names; `rows` has what is known of jobs, and gets what is made."""
        clock, jobs, owed = state.clock, state.jobs, state.owed
        if self._keep_ids:
            ids = tuple(range(1, state.next_job_id))
        elif owed:
            ids = tuple(sorted({*jobs, *(answer.job_id for answer in owed.values())}))
        else:
            ids = tuple(jobs)
        number = self._numbers.get(ids)
        if number is None:  # few are ever needed: the machine's ids begin with 1 in every state that a key was made
            number = {job_id: place for place, job_id in enumerate(ids, 1)}
            if len(self._numbers) < _NUMBERS_MAX:
                self._numbers[ids] = number
        parts = [bytes((len(ids), len(state.tubes)))]
        for tube in state.tubes.values():
            ends_at = tube.pause_ends_at
            pause = 0 if ends_at is None else _ZERO + max(ends_at - clock, 0)
            order = [number[key & ID_MASK] for key in sorted(tube.buried)] if tube.buried.keys else ()
            parts.append(bytes((self._tube_code[tube.name], pause, len(order), *order)))
        late: list[dict[int, int]] = []
        for job_id in ids:
            row = rows.get(job_id)
            if row is None:
                job = jobs.get(job_id)
                if job is None:
                    parts.append(_GONE)
                    continue
                if not late:
                    late = [_late(state.delays, clock), _late(state.expiries, clock)]
                row = rows[job_id] = self._row(job, clock, late)
            parts.append(row)
        return b"".join((*parts, *self._client_parts(state, number))), Names(list(ids), self._names)

    def _row(self, job: Job, clock: int, late: list[dict[int, int]]) -> bytes:
        """What the key says of a job by itself."""
        kind = job.state
        due = 0
        if kind is DELAYED or kind is RESERVED:
            due = (job.key >> ID_BITS) - clock
            if due <= 0:
                due = late[kind is RESERVED][due]
            due += _ZERO
        return bytes(
            (
                _CODES[kind],
                self._tube_code[job.tube.name],
                self._priority_code[job.priority],
                self._ttr_code[job.ttr_seconds],
                self._delay_code[job.delay_seconds] if self._keep_delays or kind is DELAYED else self._past_delay,
                due,
            )
        )

    def _client_parts(self, state: State, number: dict[int, int]) -> list[bytes]:
        """What the key says of each client, led by its length; sets `_names` to the clients in that order."""
        clock, owed = state.clock, state.owed
        places = {ask: place for place, ask in enumerate(state.waiting, 1)} if state.waiting else _NOTHING
        late = _late(state.wait_deadlines, clock) if state.waiting else _NOTHING
        parts = []
        for name in self._clients:
            client = state.clients.get(name)
            if client is None:
                parts.append(self._stranger)
                continue
            if not (client.ask or client.held.keys or client.watches or client.uses or owed):
                parts.append(_IDLE)
                continue
            uses = 1 if client.uses is None else 2 + self._tube_code[client.uses.name]
            watches = sum([1 << self._tube_code[tube] for tube in client.watches]) if client.watches else 0
            held = sorted([number[key & ID_MASK] for key in client.held]) if client.held.keys else ()
            place = names = until = owed_place = owed_job = 0
            if client.ask:
                place = places[client.ask]
                names = self._list_code[frozenset([tube.name for tube in client.waits_on])]
                at = client.deadline_at
                if at is not None:
                    until = _ZERO + (at - clock if at > clock else late[at - clock])
            elif owed and name in owed:
                owed_place = list(owed).index(name) + 1
                owed_job = number[owed[name].job_id]
            parts.append(bytes((7 + len(held), uses, watches, place, names, until, owed_place, owed_job, *held)))
        if not self._exchange_clients:
            return parts
        pairs = sorted(zip(parts, self._clients, strict=True), reverse=True)
        self._names = [name for _, name in pairs]
        return [part for part, _ in pairs]

    def description(self, key: bytes) -> Description:
        """The state that a key stands for, with the clock at `NOW` and the jobs' numbers for ids."""
        count = key[0]
        tubes = []
        burials: dict[int, int] = {}
        at = 2
        for _ in range(key[1]):
            pause, buried = key[at + 1], key[at + 2]
            tubes.append((self._tubes[key[at]], NOW + pause - _ZERO if pause else None))
            at += 3
            for job_id in key[at : at + buried]:
                burials[job_id] = len(burials) + 1
            at += buried
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
            for job_id in part[7:]:
                owners[job_id] = name
        jobs = []
        for job_id, (kind, tube, priority, ttr, delay, due) in enumerate(rows, 1):
            if kind:
                state = _STATES[kind]
                due = burials[job_id] if state is BURIED else due + NOW - _ZERO
                jobs.append(
                    JobPart(
                        job_id,
                        self._tubes[tube],
                        state,
                        priorities[priority],
                        delays[delay],
                        ttrs[ttr],
                        due,
                        owners.get(job_id),
                    )
                )
        next_job_id = count + (1 if self._keep_ids else 2)  # somebody had the last id, and is gone
        return Description(NOW, next_job_id, tubes, jobs, clients, [(name, job) for _, name, job in sorted(owed)])


_NOTHING: Final[dict[int, int]] = {}


def _late(timer: KeyHeap, clock: int) -> dict[int, int]:
    """What is due in a timer, by how late it is: 0 for the latest instant, -1 for the one before it, and so on."""
    if not timer.keys or timer.keys[0] >> ID_BITS > clock:
        return _NOTHING
    late = sorted({instant for key in timer if (instant := (key >> ID_BITS) - clock) <= 0}, reverse=True)
    return {instant: -place for place, instant in enumerate(late)}
