"""Tiny random histories: as the specification made them, or, mostly, with something spoilt."""

from dataclasses import dataclass
from random import Random
from typing import Any

from models.histories import History, Operation, make_history
from models.spec import Spec
from models.spec_world import Answer, Refused

TUBES = ("default", "t")


@dataclass
class _Plan:
    client: str
    op: str
    args: dict[str, Any]
    called_at: int
    placed_at: int
    place: int


class TinyHistory:
    """One random run of the specification, as its clients see it."""

    def __init__(self, seed: int, *, operations: int, clients: int, second: int = 2) -> None:
        self.random = Random(seed)
        self.spec = Spec(units_per_second=second)
        self.second = second
        self.waits = seed % 2  # every other history is mostly about who waits, and is served first
        self.count = operations
        self.clients = [f"c{number}" for number in range(1, clients + 1)]
        self.free_at = dict.fromkeys(self.clients, 0)
        self.noted: list[Operation] = []
        self.plans: dict[str, _Plan] = {}

    def run(self) -> History:
        """The history, spoilt or not."""
        now = 0
        left = self.count
        while left and now < 30:
            waiting = {wait.client for wait in self.spec.waiting}
            free = [each for each in self.clients if each not in waiting and self.free_at[each] <= now]
            if free and self.random.random() < 0.7:
                left -= 1
                client = self.random.choice(free)
                self._do(self._plan(client, now, self.count - left))
                continue
            now += 1
            self._tick(now)
        for plan in list(self.plans.values()):  # nobody waits for their answers
            self.noted.append(Operation(plan.client, plan.called_at, None, plan.op, plan.args, None))
        spoilt = self.random.random() < 0.9
        return make_history(self._spoil() if spoilt else self.noted, units_per_second=self.second)

    def _plan(self, client: str, now: int, place: int) -> _Plan:
        called_at = self.random.randint(self.free_at[client], now)
        ops = ["put"] * 4 + ["reserve"] * 4 + ["delete", "delete", "release", "release_with", "touch", "bury", "kick"]
        ops += ["kick_n", "reserve_job", "get_job", "peek_ready_job", "peek_delayed_job", "peek_buried_job"]
        ops += ["pause_tube"] + ["reserve"] * 12 * self.waits + ["put"] * 6 * self.waits
        op = self.random.choice(ops)
        return _Plan(client, op, self._args(op), called_at, now, place)

    def _args(self, op: str) -> dict[str, Any]:
        random = self.random
        tube = random.choice(TUBES)
        match op:
            case "put":
                return {
                    "tube": tube,
                    "priority": random.randint(0, 1),
                    "delay_seconds": random.choice([0, 0, 1]),
                    "ttr_seconds": random.choice([1, 2]),
                }
            case "reserve":
                tubes = random.choice([["default"], ["t"], ["default", "t"]])
                return {"tubes": tubes, "timeout_seconds": random.choice([0, 1, 1, 2, None])}
            case "release_with":
                return {"job_id": self._job(), "priority": random.randint(0, 1), "delay_seconds": random.randint(0, 1)}
            case "bury":
                return {"job_id": self._job(), "priority": 0}
            case "kick_n":
                return {"tube": tube, "n": random.randint(1, 2)}
            case "pause_tube":
                return {"tube": "default", "seconds": random.randint(0, 1)}
            case "peek_ready_job" | "peek_delayed_job" | "peek_buried_job":
                return {"tube": tube}
        return {"job_id": self._job()}

    def _job(self) -> int:
        return self.random.randint(1, max(self.spec.next_job_id - 1, 1))

    def _do(self, plan: _Plan) -> None:
        spec, now, args, client = self.spec, plan.placed_at, plan.args, plan.client
        later: Any = getattr(spec, plan.op, None)
        try:
            match plan.op:
                case "put":
                    value = spec.put(now, **args, body=b"")
                case "reserve":
                    seconds = args["timeout_seconds"]
                    deadline = None if seconds is None else now + seconds * self.second
                    value = spec.append_reservation(
                        now, client, request_id=client, tubes=args["tubes"], deadline_at=deadline
                    )
                case "delete" | "release":
                    value = later(args["job_id"], client, now=now)
                case "touch" | "reserve_job":
                    value = later(now, args["job_id"], client)
                case "release_with" | "bury":
                    kept = {name: each for name, each in args.items() if name != "job_id"}
                    value = later(now, args["job_id"], client, **kept)
                case "pause_tube":
                    value = spec.pause_tube(now, args["tube"], args["seconds"])
                case _:
                    value = later(*args.values(), now=now)
        except Refused as refusal:
            self._answer(plan, now, {"refused": refusal.category})
        else:
            if isinstance(value, Answer) and value.status == "queued":
                self.plans[client] = plan
            else:
                self._answer(plan, now, self._outcome(plan.op, value))
        self._tick(now)

    def _outcome(self, op: str, value: Any) -> dict[str, Any]:
        if isinstance(value, Answer):
            return {"ok": {"job_id": value.job_id}} if value.status == "matched" else {"refused": value.status}
        if op in ("get_job", "peek_ready_job", "peek_delayed_job", "peek_buried_job"):
            return {"ok": {"job_id": value.id}}
        return {"ok": value}

    def _tick(self, now: int) -> None:
        for answer in self.spec.tick(now):
            self._answer(self.plans.pop(answer.client), now, self._outcome("reserve", answer))

    def _answer(self, plan: _Plan, now: int, outcome: dict[str, Any]) -> None:
        returned_at = now + self.random.choice([0, 0, 1, 2])
        self.free_at[plan.client] = returned_at
        operation = Operation(plan.client, plan.called_at, returned_at, plan.op, plan.args, outcome)
        if self.random.random() < 0.12:
            operation = operation._replace(returned_at=None, outcome=None)
            self.free_at[plan.client] = 1000
        self.noted.append(operation)

    def _spoil(self) -> list[Operation]:
        """The operations with one outcome, window or number changed."""
        random = self.random
        noted = list(self.noted)
        place = random.randrange(len(noted))
        operation = noted[place]
        kind = random.randrange(4)
        if kind == 0 and operation.returned_at is not None:
            shift = random.choice([-3, -2, -1, 1, 2])
            called_at = max(0, operation.called_at + shift)
            noted[place] = operation._replace(
                called_at=called_at, returned_at=max(called_at, operation.returned_at + shift)
            )
        elif kind == 1 and operation.returned_at is not None:
            noted[place] = operation._replace(returned_at=operation.called_at)
        elif operation.outcome is not None:
            noted[place] = operation._replace(outcome=self._other(operation))
        if not _is_possible(noted):
            return self.noted
        return noted

    def _other(self, operation: Operation) -> dict[str, Any]:
        random = self.random
        outcomes: list[dict[str, Any]]
        match operation.op:
            case "put":
                outcomes = [{"ok": random.randint(1, 4)}]
            case "reserve":
                outcomes = [{"refused": "timeout"}, {"refused": "deadline-soon"}, {"ok": {"job_id": self._job()}}]
            case "kick_n":
                outcomes = [{"ok": random.randint(0, 2)}]
            case "get_job" | "reserve_job" | "peek_ready_job" | "peek_delayed_job" | "peek_buried_job":
                number = operation.args.get("job_id", self._job())
                outcomes = [{"ok": {"job_id": number}}, {"refused": "missing"}]
            case "pause_tube":
                outcomes = [{"ok": None}]
            case _:
                outcomes = [{"ok": None}, {"refused": "missing"}, {"refused": "wrong-state"}, {"refused": "not-found"}]
        return random.choice(outcomes)


def _is_possible(noted: list[Operation]) -> bool:
    """Whether no client has two reserves under way."""
    try:
        make_history(noted, units_per_second=1)
    except ValueError:
        return False
    return True


def tiny_history(seed: int, *, operations: int = 5, clients: int = 4) -> History:
    """A tiny random history."""
    return TinyHistory(seed, operations=operations, clients=clients).run()
