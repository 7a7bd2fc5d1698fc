"""A job queue of somebody else, once right and often with one planted bug, and mappings of it.

`Queue` shares nothing with the project: plain lists, time by a callable, exceptions of its own. Each subclass has one
bug of the classes of INVARIANTS section 2; its docstring says which. `QueueMachine` maps all of the queue;
`tests/test_job_queue_machine.py` maps smaller ones.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from models.job_queue_machine import WAITING, JobQueueMachine, Refusals


class NoSuchJob(Exception):
    """There is no such job, or not in a state for that."""


class NotYours(Exception):
    """The job is held by somebody else."""


class Item:
    """A job."""

    def __init__(self, number: int, body: bytes, priority: int, ttr: int, tube: str) -> None:
        self.number, self.body, self.priority, self.ttr, self.tube = number, body, priority, ttr, tube
        self.state = "ready"
        self.until = 0  # when it is ready, or expires
        self.owner: str | None = None
        self.timeouts = self.reserves = self.kicks = 0


class Queue:
    """A queue with priorities, delays, ttr, tubes, pauses and clients that wait."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.items: dict[int, Item] = {}
        self.count = 0
        self.graveyard: list[int] = []  # buried, oldest first
        self.line: list[tuple[str, Sequence[str], int | None]] = []  # client, tubes, until
        self.mail: list[tuple[str, int | None]] = []
        self.pauses: dict[str, int] = {}

    # What clients call

    def put(self, body: bytes, priority: int, delay: int, ttr: int, tube: str) -> int:
        self.catch_up()
        item = Item(self.new_number(), body, priority, ttr, tube)
        self.items[item.number] = item
        if delay:
            item.state, item.until = "delayed", self.clock() + delay
        self.serve()
        return item.number

    def reserve(self, client: str, tubes: Sequence[str], timeout: int | None = 0) -> int | None:
        self.catch_up()
        item = self.best(tubes)
        if item is not None:
            self.hand_out(item, client)
            return item.number
        if timeout != 0:
            self.line.append((client, tubes, None if timeout is None else self.clock() + timeout))
        return None

    def reserve_job(self, number: int, client: str) -> None:
        self.catch_up()
        item = self.items.get(number)
        if item is None or item.state == "reserved":
            raise NoSuchJob(number)
        self.hand_out(item, client)

    def delete(self, number: int, client: str) -> None:
        self.catch_up()
        item = self.find(number)
        if item.state == "reserved":
            self.check_owner(item, client)
        self.forget(item)
        self.forget_tubes()

    def release(self, number: int, client: str, priority: int, delay: int) -> None:
        item = self.held(number, client)
        item.priority = priority
        self.free(item)
        if delay:
            item.state, item.until = "delayed", self.clock() + delay
        self.serve()

    def bury(self, number: int, client: str) -> None:
        item = self.held(number, client)
        item.state, item.owner = "buried", None
        self.graveyard.append(number)

    def touch(self, number: int, client: str) -> None:
        item = self.held(number, client)
        item.until = self.clock() + item.ttr

    def kick(self, number: int) -> None:
        self.catch_up()
        item = self.find(number)
        if item.state not in ("buried", "delayed"):
            raise NoSuchJob(number)
        self.dig_out(item)
        self.serve()

    def kick_some(self, tube: str, n: int) -> int:
        self.catch_up()
        kicked = self.kickable(tube)[:n]
        for item in kicked:
            self.dig_out(item)
        self.serve()
        return len(kicked)

    def pause(self, tube: str, seconds: int) -> None:
        self.catch_up()
        self.pauses[tube] = self.clock() + seconds
        self.catch_up()

    def close(self, client: str) -> None:
        self.catch_up()
        self.line = [waiting for waiting in self.line if waiting[0] != client]
        for item in self.items.values():
            if item.owner == client:
                self.free(item)
        self.serve()
        self.forget_tubes()

    def news(self) -> list[tuple[str, int | None]]:
        """What clients that wait were told since the last call."""
        self.catch_up()
        mail, self.mail = self.mail, []
        return mail

    def is_waiting(self, client: str) -> bool:
        return any(waiting[0] == client for waiting in self.line)

    # What can be seen

    def stats(self, number: int) -> dict[str, Any]:
        self.catch_up()
        item = self.find(number)
        left = self.time_left(item)
        return {**vars(item), "time_left": left}

    def first(self, state: str, tube: str) -> int | None:
        self.catch_up()
        if state == "buried":
            found = self.buried(tube)
        else:
            found = sorted(self.in_state(state, [tube]), key=self.rank if state == "ready" else self.due)
        return found[0].number if found else None

    def size(self) -> dict[str, int]:
        self.catch_up()
        states = [item.state for item in self.items.values()]
        return {state: states.count(state) for state in ("ready", "delayed", "reserved", "buried")}

    def save(self) -> Any:
        """Everything, to be loaded by another queue."""
        return copy.deepcopy({name: value for name, value in vars(self).items() if name != "clock"})

    def load(self, saved: Any) -> None:
        vars(self).update(saved)

    # The parts

    def new_number(self) -> int:
        self.count += 1
        return self.count

    def in_state(self, state: str, tubes: Sequence[str]) -> list[Item]:
        return [item for item in self.items.values() if item.state == state and item.tube in tubes]

    def rank(self, item: Item) -> tuple[int, int]:
        return item.priority, item.number

    def due(self, item: Item) -> tuple[int, int]:
        return item.until, item.number

    def is_due(self, until: int) -> bool:
        return until <= self.clock()

    def best(self, tubes: Sequence[str]) -> Item | None:
        open_tubes = [tube for tube in tubes if tube not in self.pauses]
        return min(self.in_state("ready", open_tubes), key=self.rank, default=None)

    def buried(self, tube: str) -> list[Item]:
        return [self.items[number] for number in self.graveyard if self.items[number].tube == tube]

    def kickable(self, tube: str) -> list[Item]:
        return self.buried(tube) or sorted(self.in_state("delayed", [tube]), key=self.due)

    def hand_out(self, item: Item, client: str) -> None:
        self.leave_graveyard(item)
        item.state, item.owner, item.until = "reserved", client, self.clock() + item.ttr
        item.reserves += 1

    def free(self, item: Item) -> None:
        item.state, item.owner = "ready", None

    def expire(self, item: Item) -> None:
        self.free(item)
        item.timeouts += 1

    def dig_out(self, item: Item) -> None:
        self.leave_graveyard(item)
        item.state = "ready"
        item.kicks += 1

    def forget(self, item: Item) -> None:
        self.leave_graveyard(item)
        del self.items[item.number]

    def leave_graveyard(self, item: Item) -> None:
        if item.number in self.graveyard:
            self.graveyard.remove(item.number)

    def time_left(self, item: Item) -> int:
        return max(item.until - self.clock(), 0) if item.state in ("reserved", "delayed") else 0

    def find(self, number: int) -> Item:
        if number not in self.items:
            raise NoSuchJob(number)
        return self.items[number]

    def check_owner(self, item: Item, client: str) -> None:
        if item.owner != client:
            raise NotYours(item.number)

    def held(self, number: int, client: str) -> Item:
        self.catch_up()
        item = self.find(number)
        if item.state != "reserved":
            raise NoSuchJob(number)
        self.check_owner(item, client)
        return item

    def catch_up(self) -> None:
        """Do what time has brought."""
        for item in [item for item in self.items.values() if item.state == "delayed" and self.is_due(item.until)]:
            item.state = "ready"
        self.pauses = {tube: until for tube, until in self.pauses.items() if not self.is_due(until)}
        for item in [item for item in self.items.values() if item.state == "reserved" and self.is_due(item.until)]:
            self.expire(item)
        self.serve()
        self.give_up()

    def serve(self) -> None:
        """Give ready jobs to those that wait, the best job first."""
        while True:
            pairs = [
                (self.rank(item), place, item)
                for place, (_, tubes, _) in enumerate(self.line)
                if (item := self.best(tubes))
            ]
            if not pairs:
                return
            _, place, item = min(pairs, key=lambda pair: pair[:2])
            client = self.line[place][0]
            self.leave_line(place)
            self.hand_out(item, client)
            self.mail.append((client, item.number))

    def leave_line(self, place: int) -> None:
        del self.line[place]

    def give_up(self) -> None:
        """Tell those whose time to wait has passed."""
        late = [waiting for waiting in self.line if waiting[2] is not None and self.is_due(waiting[2])]
        self.mail += [(client, None) for client, _, _ in late]
        self.line = [waiting for waiting in self.line if waiting not in late]
        self.forget_tubes()

    def forget_tubes(self) -> None:
        """A tube with no job in it, and nobody who waits for one, is gone, and its pause with it."""
        known = {item.tube for item in self.items.values()}.union(*(tubes for _, tubes, _ in self.line), ["default"])
        self.pauses = {tube: until for tube, until in self.pauses.items() if tube in known}


class QueueMachine(JobQueueMachine):
    """All that `Queue` has, in its own words."""

    kind: Callable[..., Queue] = Queue
    refusals: ClassVar[Refusals] = (NoSuchJob, NotYours)
    words = {"kick_some": "kick_n", "number": "job", "size": "counts", "news": "answers"}  # noqa: RUF012

    def make(self) -> Queue:
        return self._new()

    def _new(self) -> Queue:
        return type(self).kind(clock=lambda: self.now)

    def put(self, body: bytes, priority: int, delay: int, ttr: int, tube: str) -> Any:
        return self.queue.put(body, priority, delay, ttr, tube)

    def reserve(self, client: str, tubes: list[str], timeout: int | None) -> Any:
        return self.queue.reserve(client, tubes, timeout) or (WAITING if self.queue.is_waiting(client) else None)

    def reserve_job(self, number: int, client: str) -> None:
        self.queue.reserve_job(number, client)

    def delete(self, number: int, client: str) -> None:
        self.queue.delete(number, client)

    def release(self, number: int, client: str, priority: int, delay: int) -> None:
        self.queue.release(number, client, priority, delay)

    def bury(self, number: int, client: str) -> None:
        self.queue.bury(number, client)

    def touch(self, number: int, client: str) -> None:
        self.queue.touch(number, client)

    def kick(self, number: int) -> None:
        self.queue.kick(number)

    def kick_some(self, tube: str, n: int) -> Any:
        return self.queue.kick_some(tube, n)

    def pause(self, tube: str, seconds: int) -> None:
        self.queue.pause(tube, seconds)

    def close(self, client: str) -> None:
        self.queue.close(client)

    def reload(self) -> None:
        saved = self.queue.save()
        self.queue = self._new()
        self.queue.load(saved)

    def news(self) -> Any:
        return self.queue.news()

    def stats(self, number: int) -> Any:
        found = self.queue.stats(number)
        return {name: value for name, value in found.items() if name not in ("number", "until")}

    def size(self) -> Any:
        return self.queue.size()

    def peek_ready(self, tube: str) -> Any:
        return self.queue.first("ready", tube)

    def peek_delayed(self, tube: str) -> Any:
        return self.queue.first("delayed", tube)

    def peek_buried(self, tube: str) -> Any:
        return self.queue.first("buried", tube)
