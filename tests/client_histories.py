"""Histories of simulated concurrent clients of the true machine: every one of them has a linearization."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Any

from jsm.errors import JsmError
from jsm.machine import Machine
from jsm.reservations import Reservation, ReservationStatus
from models.histories import History, Operation, make_history

SECOND = 1000

REFUSALS = {ReservationStatus.TIMEOUT: "timeout", ReservationStatus.DEADLINE_SOON: "deadline-soon"}


@dataclass
class Habits:
    """What the clients do, and how fast it reaches the server and comes back."""

    clients: int = 4
    operations: int = 200  # of all clients together
    tubes: tuple[str, ...] = ("default", "t")
    way_max: int = 50  # units from a call to the server, and back
    think_max: int = 400  # units between a return and the next call
    late_max: int = 0  # units by which a timer may fire late
    crash: float = 0.0  # how likely it is that an operation never returns, and that the client closes then
    weights: Mapping[str, int] = field(
        default_factory=lambda: {
            "put": 12,
            "reserve": 14,
            "delete": 8,
            "release": 2,
            "release_with": 2,
            "touch": 2,
            "bury": 3,
            "kick": 2,
            "kick_n": 2,
            "reserve_job": 2,
            "get_job": 2,
            "peek_ready_job": 2,
            "peek_delayed_job": 1,
            "peek_buried_job": 1,
            "pause_tube": 1,
        }
    )


@dataclass
class _Under:
    """An operation under way."""

    client: str
    called_at: int
    op: str
    args: dict[str, Any]
    crashes: bool
    placed_at: int = -1


class ClientsOfMachine:
    """A server's loop over a `Machine`, and its clients, in one random but repeatable run."""

    def __init__(self, seed: int, habits: Habits, *, make_machine: Callable[..., Machine] = Machine) -> None:
        self.random = Random(seed)
        self.habits = habits
        self.machine = make_machine(units_per_second=SECOND)
        self.events: list[tuple[int, int, str, Any]] = []
        self.count = 0
        self.noted: list[Operation] = []
        self.held: dict[str, list[int]] = {}
        self.seen: list[int] = []
        self.waiting: dict[str, _Under] = {}
        self.left = habits.operations
        self.ticks: list[int] = []
        self.connections = 0

    def run(self) -> History:
        """The whole history."""
        for _ in range(self.habits.clients):
            self._connect(self.random.randint(0, self.habits.think_max))
        armed = -1
        while self.events:
            at, _, what, about = heappop(self.events)
            if what == "tick":
                self._tick(at)
            elif what == "call":
                self._call(at, about)
            elif what == "close":
                self.machine.close_client(about, now=max(at, self.machine.clock))
                self._tick(at)
            else:
                self._serve(at, about)
            due = self.machine.next_tick_at()
            if due is not None and due != armed:
                armed = due
                self._at(max(due, at) + self.random.randint(0, self.habits.late_max), "tick", None)
        return make_history(self.noted, units_per_second=SECOND)

    def _connect(self, at: int) -> None:
        self.connections += 1
        self._at(at, "call", f"c{self.connections}")

    def _at(self, at: int, what: str, about: Any) -> None:
        self.count += 1
        heappush(self.events, (at, self.count, what, about))

    def _call(self, at: int, client: str) -> None:
        """The client thinks of something to do, and it is on its way."""
        if self.left == 0:
            return
        self.left -= 1
        op = self.random.choices(list(self.habits.weights), list(self.habits.weights.values()))[0]
        crashes = self.random.random() < self.habits.crash
        under = _Under(client, at, op, self._args(op, client), crashes)
        self._at(at + self.random.randint(0, self.habits.way_max), "serve", under)
        if crashes:
            closes_at = at + self.random.randint(0, 3 * self.habits.way_max)
            self._at(closes_at + self.random.randint(0, self.habits.way_max), "close", client)
            self.noted.append(Operation(client, at, None, op, under.args, None))
            self.noted.append(Operation(client, closes_at, None, "close_client", {}, None))
            self._connect(closes_at + self.random.randint(0, self.habits.think_max))

    def _args(self, op: str, client: str) -> dict[str, Any]:
        random = self.random
        tube = random.choice(self.habits.tubes)
        held = self.held.setdefault(client, [])
        mine = random.choice(held) if held and random.random() < 0.9 else self._any_job()
        match op:
            case "put":
                delay = random.choice([0, 0, 0, 1, 2])
                return {
                    "tube": tube,
                    "priority": random.randint(0, 3),
                    "delay_seconds": delay,
                    "ttr_seconds": random.choice([1, 2, 5]),
                    "body": f"b{self.count}",
                }
            case "reserve":
                tubes = random.sample(self.habits.tubes, random.randint(1, len(self.habits.tubes)))
                return {"tubes": tubes, "timeout_seconds": random.choice([0, 0, 1, 2, 4])}
            case "delete" | "release" | "touch":
                return {"job_id": mine}
            case "release_with":
                return {"job_id": mine, "priority": random.randint(0, 3), "delay_seconds": random.choice([0, 1])}
            case "bury":
                return {"job_id": mine, "priority": random.randint(0, 3)}
            case "kick" | "reserve_job" | "get_job":
                return {"job_id": self._any_job()}
            case "kick_n":
                return {"tube": tube, "n": random.randint(1, 3)}
            case "pause_tube":
                return {"tube": "default", "seconds": random.choice([0, 1, 1, 2])}
        return {"tube": tube}

    def _any_job(self) -> int:
        recent = self.seen[-8:] or [1]
        return self.random.choice(recent)

    def _serve(self, at: int, under: _Under) -> None:
        """The server does what a client asked for, and at once what that makes due."""
        now = max(at, self.machine.clock)
        try:
            value = self._run(now, under)
        except JsmError as error:
            self._answer(now, under, {"refused": str(error.refusal)})
        else:
            if not (isinstance(value, Reservation) and value.status is ReservationStatus.QUEUED):
                self._answer(now, under, self._outcome(under, value))
            else:
                self.waiting[under.client] = under
        self._tick(now)

    def _run(self, now: int, under: _Under) -> Any:
        machine, client, args = self.machine, under.client, under.args
        match under.op:
            case "put":
                return machine.put(now, **{**args, "body": args["body"].encode("latin-1")})
            case "reserve":
                seconds = args["timeout_seconds"]
                deadline = None if seconds is None else now + seconds * SECOND
                return machine.append_reservation(now, client, request_id="", tubes=args["tubes"], deadline_at=deadline)
            case "reserve_job":
                return machine.reserve_job(now, args["job_id"], client)
            case "delete" | "release":
                return getattr(machine, under.op)(args["job_id"], client, now=now)
            case "release_with":
                return machine.release_with(
                    now, args["job_id"], client, priority=args["priority"], delay_seconds=args["delay_seconds"]
                )
            case "touch":
                return machine.touch(now, args["job_id"], client)
            case "bury":
                return machine.bury(now, args["job_id"], client, priority=args["priority"])
            case "kick_n":
                return machine.kick_n(args["tube"], args["n"], now=now)
            case "pause_tube":
                return machine.pause_tube(now, args["tube"], args["seconds"])
        return getattr(machine, under.op)(*args.values(), now=now)  # kick, get_job, the peeks

    def _outcome(self, under: _Under, value: Any) -> dict[str, Any]:
        if isinstance(value, Reservation):
            if value.status in REFUSALS:
                return {"refused": REFUSALS[value.status]}
            self.held[under.client].append(value.job_id)
            self.seen.append(value.job_id)
            return {"ok": {"job_id": value.job_id, "body": value.body.decode("latin-1")}}
        if under.op == "put":
            self.seen.append(value)
        if under.op in ("put", "kick_n"):
            return {"ok": value}
        if under.op in ("get_job", "peek_ready_job", "peek_delayed_job", "peek_buried_job"):
            return {"ok": {"job_id": value.id, "body": value.body.decode("latin-1")}}
        if under.op in ("delete", "release", "release_with", "bury"):
            held = self.held[under.client]
            if under.args["job_id"] in held:
                held.remove(under.args["job_id"])
        return {"ok": None}

    def _tick(self, at: int) -> None:
        now = max(at, self.machine.clock)
        for answer in self.machine.tick(now):
            under = self.waiting.pop(answer.client_id)
            self._answer(now, under, self._outcome(under, answer))

    def _answer(self, now: int, under: _Under, outcome: dict[str, Any]) -> None:
        if under.crashes:
            return
        returned_at = now + self.random.randint(0, self.habits.way_max)
        self.noted.append(Operation(under.client, under.called_at, returned_at, under.op, under.args, outcome))
        self._at(returned_at + self.random.randint(0, self.habits.think_max), "call", under.client)


def client_history(seed: int, habits: Habits, *, make_machine: Callable[..., Machine] = Machine) -> History:
    """A history of simulated clients of the true machine, or of one with a planted fault."""
    return ClientsOfMachine(seed, habits, make_machine=make_machine).run()
