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

from collections import Counter
from math import factorial
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


class Before(NamedTuple):
    """The parts of a state's key, and where they come from."""

    parts: list[bytes]  # the head, tubes, jobs
    clients: list[bytes]
    tubes: int
    number: dict[int, int]  # the place of each job, counted from 1
    next_job_id: int
    waits: tuple[int, int, int]


def _waits(state: State) -> tuple[int, int, int]:
    """What changes whenever somebody begins or ends to wait, or becomes known."""
    return state.next_ask, len(state.waiting), len(state.clients)


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
        self._places = {name: place for place, name in enumerate(self._clients)}
        self._rows: dict[tuple[object, ...], bytes] = {}  # of jobs while the clock is at `NOW`
        self._numbers: dict[tuple[int, ...], dict[int, int]] = {}  # by ids: the place of each, counted from 1

    def of(self, machine: Machine) -> bytes:
        """The key of the machine's state. O(n log n) for n jobs, tubes and clients."""
        return self._encode(machine._state)[0]

    def of_names(self, machine: Machine) -> tuple[bytes, Names]:
        """The key, and which jobs and clients its numbers stand for."""
        return self._encode(machine._state)

    def before(self, machine: Machine) -> Before | None:
        """What `after` starts from; None where something is overdue or owed: there all keys are made afresh."""
        state = machine._state
        if state.owed or _late(state.delays, state.clock) or _late(state.expiries, state.clock):
            return None
        ids = range(1, state.next_job_id) if self._keep_ids else state.jobs
        number = {job_id: place for place, job_id in enumerate(ids, 1)}
        rows = [self._row_now(state.jobs[job_id]) if job_id in state.jobs else _GONE for job_id in number]
        tubes = self._tube_parts(state, number)
        clients = self._client_parts(state, number, self._clients)
        parts = [bytes((len(number), len(tubes))), *tubes, *rows]
        return Before(parts, clients, len(tubes), number, state.next_job_id, _waits(state))

    def after(self, machine: Machine, before: Before, moved: Sequence[TransitionRecord]) -> bytes:
        """The key after a call that has moved those jobs and no others. As `of`, but faster.

        Right as long as the call did not set the clock forward, pause a tube or change a client's references.
        """
        state = machine._state
        jobs, number, tubes = state.jobs, before.number, before.tubes
        if state.owed or len(state.tubes) != tubes:
            return self.of(machine)
        parts = before.parts.copy()
        if state.next_job_id != before.next_job_id:
            number = {**number, before.next_job_id: len(number) + 1}
            parts[0] = bytes((len(number), tubes))
            parts.append(_GONE)
        holders: list[ClientID] = []
        buried = False
        for _, _, job_id, _, source, _, target, client in moved:
            if job_id in jobs:
                parts[tubes + number[job_id]] = self._row_now(jobs[job_id])
            elif self._keep_ids:
                parts[tubes + job_id] = _GONE
            else:
                return self.of(machine)
            if source is RESERVED or target is RESERVED:
                holders.append(client)  # type: ignore[arg-type]  # who holds a job has a name
            if source is BURIED or target is BURIED:
                buried = True
        if buried:
            parts[1 : tubes + 1] = self._tube_parts(state, number)
        clients = before.clients
        if _waits(state) != before.waits:
            clients = self._client_parts(state, number, self._clients)
        elif holders:
            clients = clients.copy()
            for name in holders:
                clients[self._places[name]] = self._client_parts(state, number, (name,))[0]
        if self._exchange_clients:
            clients = sorted(clients, reverse=True)
        return b"".join((*parts, *clients))

    def arrangements(self, key: bytes) -> int:
        """How many states the key stands for: one for each way to give the clients their names."""
        if not self._exchange_clients:
            return 1
        parts, at = [], len(key) - self._client_bytes(key)
        for _ in self._clients:
            parts.append(key[at : at + 1 + key[at]])
            at += 1 + key[at]
        ways = factorial(len(parts))
        for count in Counter(parts).values():
            ways //= factorial(count)
        return ways

    def _client_bytes(self, key: bytes) -> int:
        """How many of the last bytes are about clients."""
        at = 2
        for _ in range(key[1]):
            at += 3 + key[at + 2]
        return len(key) - at - 6 * key[0]

    def _encode(self, state: State) -> tuple[bytes, Names]:
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
        parts = [bytes((len(ids), len(state.tubes))), *self._tube_parts(state, number)]
        late = [_late(state.delays, clock), _late(state.expiries, clock)]
        parts += [self._row(jobs[job_id], clock, late) if job_id in jobs else _GONE for job_id in ids]
        clients, names = self._client_parts(state, number, self._clients), list[str](self._clients)
        if self._exchange_clients:
            pairs = sorted(zip(clients, self._clients, strict=True), reverse=True)
            clients, names = [part for part, _ in pairs], [name for _, name in pairs]
        return b"".join((*parts, *clients)), Names(list(ids), names)

    def _tube_parts(self, state: State, number: dict[int, int]) -> list[bytes]:
        """What the key says of each tube, its buried jobs in their order included."""
        parts = []
        for tube in state.tubes.values():
            ends_at = tube.pause_ends_at
            pause = 0 if ends_at is None else _ZERO + max(ends_at - state.clock, 0)
            order = [number[key & ID_MASK] for key in sorted(tube.buried)] if tube.buried.keys else ()
            parts.append(bytes((self._tube_code[tube.name], pause, len(order), *order)))
        return parts

    def _row_now(self, job: Job) -> bytes:
        """The row of a job, while the clock is at `NOW` and nothing is overdue."""
        part = (job.key, job.state._value_, job.priority, job.delay_seconds, job.ttr_seconds, job.tube.name)
        row = self._rows.get(part)
        if row is None:
            row = self._row(job, NOW, [_NOTHING, _NOTHING])
            if len(self._rows) < _NUMBERS_MAX:
                self._rows[part] = row
        return row

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

    def _client_parts(self, state: State, number: dict[int, int], clients: Iterable[ClientID]) -> list[bytes]:
        """What the key says of each client, led by its length."""
        clock, owed = state.clock, state.owed
        places = {ask: place for place, ask in enumerate(state.waiting, 1)} if state.waiting else _NOTHING
        late = _late(state.wait_deadlines, clock) if state.waiting else _NOTHING
        parts = []
        for name in clients:
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
        return parts

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
