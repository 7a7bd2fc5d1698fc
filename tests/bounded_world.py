"""The worlds that SPIN counts, explored twice more: over plain tuples, and over the real machine.

Both explorations here go over the same canonical states and the same list of possible operations; what an operation
does is computed by `abstract_step` in the one and by the machine in the other. For a third one, `scope_of` says a world
in the words of `models.explorer`. Job numbers count from 0 here.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from jsm.interface import JobRecord, SnapshotHeader
from jsm.machine import Machine
from jsm.reservations import ClientResvEntry
from models.calls import Call
from models.promela import DELAY_SECONDS, TTR_SECONDS, World
from models.scope import SCOPES, Scope

TUBES = ("default", "other")
CLIENTS = ("a", "b", "c")
STATES = ("new", "ready", "delayed", "reserved", "buried", "gone")
"""In the order of their numbers in the model."""

Operation = tuple[Any, ...]


class Job(NamedTuple):
    """A job that was put; `left` is the rest of a delay or of a ttr in seconds."""

    state: str
    priority: int = 0
    left: int = 0
    owner: int | None = None
    tube: int = 0


class Wait(NamedTuple):
    """A client that waits; `left` is the rest of its deadline in seconds, None for ever."""

    client: int
    tubes: tuple[int, ...]
    left: int | None


class State(NamedTuple):
    """A canonical state: ids in order, time as what is left, orders as lists."""

    jobs: tuple[Job, ...]
    buried: tuple[tuple[int, ...], ...]  # by tube, the one buried first first
    queue: tuple[Wait, ...]  # in the order of asking
    pauses: tuple[int, ...]  # by tube, seconds left


class Explored(NamedTuple):
    """How large a world is."""

    states: int
    transitions: int  # possible operations, over all states
    sum_of_transitions: int


Step = Callable[[State, Operation], State]


def first_state(world: World) -> State:
    """Nothing was put, nobody waits."""
    return State((), ((),) * world.tubes, (), (0,) * world.tubes)


def explore(world: World, step: Step) -> Explored:
    """Visit all states breadth first."""
    frontier = [first_state(world)]
    numbers = {frontier[0]: number_of(world, frontier[0])}
    transitions = total = 0
    while frontier:
        found = []
        for state in frontier:
            before = 2 * numbers[state] + 1
            for operation in operations(world, state):
                after = step(state, operation)
                if after not in numbers:
                    numbers[after] = number_of(world, after)
                    found.append(after)
                transitions += 1
                total += before * (2 * numbers[after] + 1)
        frontier = found
    return Explored(len(numbers), transitions, total % 2**32)


def operations(world: World, state: State) -> Iterator[Operation]:
    """What can be done in a state of the world."""
    tubes, priorities = range(world.tubes), (0, 1)
    waiting = [wait.client for wait in state.queue]
    free = [client for client in range(world.clients) if world.busy_waiters or client not in waiting]
    if len(state.jobs) < world.jobs:
        yield from (("put", tube, priority, delay) for tube in tubes for priority in priorities for delay in (0, 1))
    deadlines = [None] if world.deadline_seconds is None else [None, *range(world.deadline_seconds + 1)]
    for client in range(world.clients):
        if client in waiting:
            yield ("cancel", client)
        else:
            names = [(0,)] if world.tubes == 1 else [(0,), (1,), (0, 1)]
            yield from (("ask", client, named, left) for named in names for left in deadlines)
    if world.close:
        yield from (("close", client) for client in free)
    for number, job in enumerate(state.jobs):
        if job.state == "reserved" and job.owner in free:
            yield ("touch", number, job.owner)
            yield ("delete", number, job.owner)
            for priority in priorities if world.new_priorities else (job.priority,):
                yield from (("release", number, job.owner, priority, delay) for delay in (0, 1))
                yield ("bury", number, job.owner, priority)
        if job.state in ("ready", "delayed", "buried"):
            yield ("delete", number, None)
            if world.reserve_by_id:
                yield from (("reserve", number, client) for client in free)
        if job.state in ("delayed", "buried"):
            yield ("kick", number)
    for tube in tubes:
        if any(job.tube == tube and job.state in ("delayed", "buried") for job in state.jobs):
            yield ("kick-1", tube)
    if world.pause_seconds:
        existing = [tube for tube in tubes if _exists(tube, state.jobs, state.queue)]
        yield from (("pause", tube, seconds) for tube in existing for seconds in range(world.pause_seconds + 1))
    yield ("second",)


def number_of(world: World, state: State) -> int:
    """The state as digits to a large odd base, modulo 2^32: what `encode` in the model computes."""
    digits = []
    for number, job in enumerate(state.jobs + (Job("new"),) * (world.jobs - len(state.jobs))):
        rank = state.buried[job.tube].index(number) + 1 if job.state == "buried" else 0
        digits += [STATES.index(job.state), job.priority, job.left, 0 if job.owner is None else job.owner + 1, rank]
        digits += [job.tube] * (world.tubes > 1)
    for client in range(world.clients):
        wait = next((each for each in state.queue if each.client == client), None)
        digits.append(0 if wait is None else state.queue.index(wait) + 1)
        if world.tubes > 1:
            digits.append(0 if wait is None else sum(1 << tube for tube in wait.tubes))
        if world.deadline_seconds is not None:
            digits.append(0 if wait is None else 255 if wait.left is None else wait.left)
    if world.pause_seconds:
        digits += state.pauses
    value = len(state.jobs)
    for digit in digits:
        value = (value * 1000003 + digit) % 2**32
    return value


# ---------------------------------------------------------------------- over plain tuples


def abstract_step(world: World, state: State, operation: Operation) -> State:
    """The operation and what follows from it at once."""
    jobs, queue, pauses = list(state.jobs), list(state.queue), list(state.pauses)
    buried = [list(each) for each in state.buried]
    match operation:
        case ("put", tube, priority, delay):
            jobs.append(Job("delayed" if delay else "ready", priority, delay * DELAY_SECONDS, None, tube))
        case ("ask", client, tubes, left):
            queue.append(Wait(client, tubes, left))
        case ("cancel", client):
            queue = [wait for wait in queue if wait.client != client]
        case ("touch", number, _):
            jobs[number] = jobs[number]._replace(left=TTR_SECONDS)
        case ("delete", number, _):
            jobs[number] = Job("gone")
        case ("release", number, _, priority, delay):
            jobs[number] = Job("delayed" if delay else "ready", priority, delay, None, jobs[number].tube)
        case ("bury", number, _, priority):
            jobs[number] = Job("buried", priority, tube=jobs[number].tube)
            buried[jobs[number].tube].append(number)
        case ("reserve", number, client):
            jobs[number] = jobs[number]._replace(state="reserved", left=TTR_SECONDS, owner=client)
        case ("kick", number):
            jobs[number] = _ready(jobs[number])
        case ("kick-1", tube):
            soonest = sorted((job.left, n) for n, job in enumerate(jobs) if (job.state, job.tube) == ("delayed", tube))
            number = buried[tube][0] if buried[tube] else soonest[0][1]
            jobs[number] = _ready(jobs[number])
        case ("close", client):
            queue = [wait for wait in queue if wait.client != client]
            jobs = [_ready(job) if job.owner == client else job for job in jobs]
        case ("pause", tube, seconds):
            pauses[tube] = seconds
        case ("second",):
            jobs = [_older(job) for job in jobs]
            queue = [wait if wait.left is None else wait._replace(left=wait.left - 1) for wait in queue]
            pauses = [max(left - 1, 0) for left in pauses]
    _settle(world, jobs, queue, pauses)
    in_order = tuple(tuple(number for number in each if jobs[number].state == "buried") for each in buried)
    return State(tuple(jobs), in_order, tuple(queue), tuple(pauses))


def _ready(job: Job) -> Job:
    return Job("ready", job.priority, tube=job.tube)


def _older(job: Job) -> Job:
    """The job a second later."""
    if job.left == 0:
        return job
    return _ready(job) if job.left == 1 else job._replace(left=job.left - 1)


def _settle(world: World, jobs: list[Job], queue: list[Wait], pauses: list[int]) -> None:
    """Serve the best pair until none is left, then warn, then time out; unneeded tubes lose their pause."""
    while pairs := [
        (job.priority, number, place)
        for place, wait in enumerate(queue)
        for number, job in enumerate(jobs)
        if job.state == "ready" and job.tube in wait.tubes and not pauses[job.tube]
    ]:
        _, number, place = min(pairs)
        jobs[number] = jobs[number]._replace(state="reserved", left=TTR_SECONDS, owner=queue.pop(place).client)
    warned = [job.owner for job in jobs if job.state == "reserved" and job.left <= 1 and world.deadline_soon]
    queue[:] = [wait for wait in queue if wait.client not in warned and wait.left != 0]
    pauses[:] = [left if _exists(tube, jobs, queue) else 0 for tube, left in enumerate(pauses)]


def _exists(tube: int, jobs: Sequence[Job], queue: Sequence[Wait]) -> bool:
    """Whether a tube is there: it holds a job, or a client waits on it; `default` always is."""
    if tube == 0 or any(tube in wait.tubes for wait in queue):
        return True
    return any(job.tube == tube and job.state != "gone" for job in jobs)


# ---------------------------------------------------------------------- over the real machine


def seconds_of(world: World) -> int:
    """The machine's seconds to one of the world's.

    Two, unless there is DeadlineSoon: so no job is ever a second from its expiry, and nobody is warned.
    """
    return 1 if world.deadline_soon else 2


class Saved(NamedTuple):
    """A machine's snapshot, read out."""

    header: SnapshotHeader
    jobs: list[JobRecord]
    clients: list[ClientResvEntry]


class RealWorld:
    """The real machine, which is put into a state, does an operation and says in which state it is."""

    def __init__(self, world: World, make_machine: Callable[[], Machine] = Machine) -> None:
        self.world = world
        self.second = seconds_of(world)
        self.machine = make_machine()
        self.saved = {first_state(world): self._save()}

    def explore(self) -> Explored:
        """Visit all states that the machine comes to."""
        return explore(self.world, self.step)

    def step(self, state: State, operation: Operation) -> State:
        """The operation and the tick after it, from a state that was reached before."""
        target = self.machine.snapshot()
        saved = self.saved[state]
        target.restore_header(saved.header)
        target.restore_jobs(saved.jobs)
        target.restore_clients(saved.clients)
        target.finalize_restore()
        if operation != ("second",):
            call = self.call_of(operation)
            getattr(self.machine, call.op)(*call.args, **call.kwargs)
        self.machine.tick(self.machine.clock + self.second * (operation == ("second",)))
        saved = self._save()
        after = self.state_of(saved)
        self.saved.setdefault(after, saved)
        return after

    def call_of(self, operation: Operation) -> Call:
        """The operation as a call of the machine."""
        now, second = self.machine.clock, self.second
        match operation:
            case ("put", tube, priority, delay):
                words = {"priority": priority, "delay_seconds": delay * DELAY_SECONDS * second}
                fixed = {"ttr_seconds": TTR_SECONDS * second, "body": b"", "tube": TUBES[tube]}
                return Call("put", (now,), {**words, **fixed})
            case ("ask", client, tubes, left):
                until = None if left is None else now + left * second
                named = [TUBES[tube] for tube in tubes]
                return Call(
                    "append_reservation",
                    (now, CLIENTS[client]),
                    {"request_id": "", "tubes": named, "deadline_at": until},
                )
            case ("cancel", client):
                return Call("cancel_reservation", (CLIENTS[client],))
            case ("touch", number, client):
                return Call("touch", (now, number + 1, CLIENTS[client]))
            case ("delete", number, client):
                return Call("delete", (number + 1, "anyone" if client is None else CLIENTS[client]))
            case ("release", number, client, priority, delay):
                words = {"priority": priority, "delay_seconds": delay * DELAY_SECONDS * second}
                return Call("release_with", (now, number + 1, CLIENTS[client]), words)
            case ("bury", number, client, priority):
                return Call("bury", (now, number + 1, CLIENTS[client]), {"priority": priority})
            case ("reserve", number, client):
                return Call("reserve_job", (now, number + 1, CLIENTS[client]))
            case ("kick", number):
                return Call("kick", (number + 1,))
            case ("kick-1", tube):
                return Call("kick_n", (TUBES[tube], 1))
            case ("close", client):
                return Call("close_client", (CLIENTS[client],))
            case ("pause", tube, seconds):
                return Call("pause_tube", (now, TUBES[tube], seconds * second))
        raise ValueError(f"no such operation: {operation}")

    def state_of(self, saved: Saved) -> State:
        """The canonical state of a machine that was read out."""
        header, clock = saved.header, saved.header.clock
        live = {int(record.job.id): record for record in saved.jobs}
        jobs = []
        for job_id in range(1, header.next_job_id):
            if job_id not in live:
                jobs.append(Job("gone"))
                continue
            job = live[job_id].job
            left = self._left(max(job.ready_at, job.expires_at), clock)
            owner = None if job.reserved_by is None else CLIENTS.index(job.reserved_by)
            jobs.append(Job(str(job.state), job.priority, left or 0, owner, TUBES.index(job.tube)))
        burials = sorted((record.bury_number, record.job.id - 1) for record in saved.jobs if record.bury_number)
        tubes = range(self.world.tubes)
        buried = tuple(tuple(number for _, number in burials if jobs[number].tube == tube) for tube in tubes)
        queue = tuple(
            Wait(
                CLIENTS.index(client.client_id),
                tuple(sorted(TUBES.index(tube) for tube in client.watched_tubes)),
                self._left(client.deadline_at, clock),
            )
            for client in saved.clients
            if client.is_waiting
        )
        ends = {str(tube.name): tube.pause_ends_at for tube in header.tubes}
        pauses = tuple(self._left(ends.get(TUBES[tube]), clock) or 0 for tube in tubes)
        return State(tuple(jobs), buried, queue, pauses)

    def _left(self, instant: int | None, clock: int) -> int | None:
        """Seconds of the world until an instant; 0 for an instant that doesn't apply."""
        return None if instant is None else max(instant - clock, 0) // self.second

    def _save(self) -> Saved:
        snapshot = self.machine.snapshot()
        return Saved(snapshot.header(), list(snapshot.snapshot_jobs()), list(snapshot.snapshot_clients()))


# ---------------------------------------------------------------------- for the explorer


def scope_of(world: World) -> Scope:
    """The world as a scope of the explorer, with the same operations; release and bury set any priority in it."""
    second = seconds_of(world)
    timeouts = [] if world.deadline_seconds is None else [second * left for left in range(world.deadline_seconds + 1)]
    spin = SCOPES["spin"]
    further = {"pause_tube": world.pause_seconds > 0, "reserve_job": world.reserve_by_id, "close_client": world.close}
    return spin.but(
        jobs=world.jobs,
        puts=world.jobs,
        clients=world.clients,
        tubes=world.tubes,
        delays=(0, second * DELAY_SECONDS),
        ttrs=(second * TTR_SECONDS,),
        timeouts=(None, *timeouts),
        pauses=tuple(second * left for left in range(world.pause_seconds + 1)),
        step=second,
        busy_waiters=world.busy_waiters,
        # Without a change of priority a release is one of the releases with it, and would only be counted twice.
        operations=(
            *(name for name in spin.operations if name != "release"),
            *(name for name, wanted in further.items() if wanted),
        ),
    )
