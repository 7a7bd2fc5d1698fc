"""The oracle of the checker: every order, every instant, tried out on `models.spec`. For tiny histories only.

Nothing here is clever. Time goes on a unit at a time. At each instant any operation that may happen then is tried, and
any timer that may fire; each on a copy of the specification, which says what is allowed. No memo, no bounds, no parts.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

from models.histories import History, Operation
from models.spec import Spec
from models.spec_world import Answer, Refused, Wait

UNSEEN = 1 << 40


class Naive:
    """A search for a linearization of one history, by exhaustion."""

    def __init__(self, history: History, *, lateness: int, budget: int = 200_000) -> None:
        self.operations = history.operations
        self.second = history.units_per_second
        self.lateness = lateness
        self.budget = budget
        self.horizon = max(
            (op.called_at if op.returned_at is None else op.returned_at for op in self.operations), default=0
        )

    def accepts(self) -> bool:
        """Whether some order at some instants is one that the specification allows. Raises `OverflowError`."""
        return self._search(Spec(units_per_second=self.second), frozenset(), {}, 0, fired=False)

    def _search(self, spec: Spec, placed: frozenset[int], ids: dict[int, int], now: int, *, fired: bool) -> bool:
        self.budget -= 1
        if self.budget < 0:
            raise OverflowError("the history is too large for the naive search")
        if all(place in placed or op.returned_at is None for place, op in enumerate(self.operations)):
            return True
        if self._pairs(spec):
            if any(self._search(*each, now, fired=False) for each in self._match(spec, placed, ids)):
                return True
            return fired and any(self._search(each, placed, ids, now, fired=True) for each in self._fire(spec, now))
        for place, operation in enumerate(self.operations):
            if place in placed or not self._is_open(place, operation, placed, now):
                continue
            for after, known in self._place(copy.deepcopy(spec), operation, place, dict(ids), now):
                waits = any(wait.request_id == str(place) for wait in after.waiting)
                if waits and any(wait.request_id == str(place) for wait in spec.waiting):
                    continue
                done = placed if waits else placed | {place}
                if self._search(after, done, known, now, fired=False):
                    return True
        for each, done in self._end_waits(spec, placed, now):
            if self._search(each, done, ids, now, fired=False):
                return True
        if any(self._search(each, placed, ids, now, fired=True) for each in self._fire(spec, now)):
            return True
        if now >= self.horizon or self._is_overdue(spec, placed, now):
            return False
        return self._search(spec, placed, ids, now + 1, fired=False)

    def _is_open(self, place: int, operation: Operation, placed: frozenset[int], now: int) -> bool:
        end = UNSEEN if operation.returned_at is None else operation.returned_at
        if not operation.called_at <= now <= end:
            return False
        return all(
            earlier in placed
            or other.client != operation.client
            or other.returned_at is None
            or other.returned_at > operation.called_at
            for earlier, other in enumerate(self.operations[:place])
        )

    def _is_overdue(self, spec: Spec, placed: frozenset[int], now: int) -> bool:
        """Whether time can't go on: something has returned that is not placed, or a timer can't be later."""
        if any(
            op.returned_at is not None and op.returned_at <= now and place not in placed
            for place, op in enumerate(self.operations)
        ):
            return True
        dues = [job.ready_at for job in spec.jobs.values() if job.state == "delayed"]
        dues += [job.expires_at for job in spec.jobs.values() if job.state == "reserved"]
        dues += [tube.pause_ends_at for tube in spec.tubes if tube.pause_ends_at is not None]
        for wait in spec.waiting:
            ends_at = spec.wait_ends_at(wait)
            dues += [] if ends_at is None else [ends_at]
        return any(due + self.lateness <= now for due in dues)

    def _fire(self, spec: Spec, now: int) -> Iterator[Spec]:
        """Each timer that is due, alone."""
        for job in spec.jobs.values():
            if job.state == "delayed" and job.ready_at <= now:
                after = self._at(spec, now)
                after.move(after.jobs[job.id], "delay-elapsed", "ready", None)
                yield after
            if job.state == "reserved" and job.expires_at <= now:
                after = self._at(spec, now)
                after.move(after.jobs[job.id], "ttr-expired", "ready", None)
                yield after
        for tube in spec.tubes:
            if tube.pause_ends_at is not None and tube.pause_ends_at <= now:
                after = self._at(spec, now)
                after.change_tube(tube.name, pause_ends_at=None)
                yield after

    def _at(self, spec: Spec, now: int) -> Spec:
        after = copy.deepcopy(spec)
        after.clock = now
        return after

    def _pairs(self, spec: Spec) -> bool:
        return any(spec.ready(spec.unpaused(wait.tubes)) for wait in spec.waiting)

    def _match(
        self, spec: Spec, placed: frozenset[int], ids: dict[int, int]
    ) -> Iterator[tuple[Spec, frozenset[int], dict[int, int]]]:
        """The specification's best pair, if the client saw it so."""
        after = copy.deepcopy(spec)
        pairs = [
            (job.priority, job.id, order)
            for order, wait in enumerate(after.waiting)
            for job in after.ready(after.unpaused(wait.tubes))
        ]
        _, job_id, order = min(pairs)
        wait = after.waiting.pop(order)
        answer = after.reserve(after.jobs[job_id], "reserve", wait.client, wait.request_id)
        place = int(wait.request_id)
        if self._fits(self.operations[place], self._outcome("reserve", answer, ids)):
            yield after, placed | {place}, ids

    def _end_waits(self, spec: Spec, placed: frozenset[int], now: int) -> Iterator[tuple[Spec, frozenset[int]]]:
        """Each wait that a warning or its deadline may end."""
        for wait in spec.waiting:
            place = int(wait.request_id)
            operation = self.operations[place]
            if operation.returned_at is not None and now > operation.returned_at:
                continue
            after = self._at(spec, now)
            status = self._end_of(after, wait, now)
            if status and (operation.outcome is None or operation.outcome == {"refused": status}):
                after.end_wait(wait.client)
                yield after, placed | {place}

    def _end_of(self, spec: Spec, wait: Wait, now: int) -> str:
        if spec.in_margin(wait.client):
            return "deadline-soon"
        if wait.deadline_at is not None and wait.deadline_at <= now <= wait.deadline_at + self.lateness:
            return "timeout"
        return ""

    def _place(
        self, spec: Spec, operation: Operation, place: int, ids: dict[int, int], now: int
    ) -> Iterator[tuple[Spec, dict[int, int]]]:
        """The operation on the specification, if it ends as the client saw it."""
        own = {number: mine for mine, number in ids.items()}  # history's id → specification's
        if operation.op == "put" and not self._may_put(operation, ids):
            return
        try:
            value = self._run(spec, operation, place, own, now)
        except Refused as refusal:
            if operation.outcome is not None and operation.outcome.get("refused") in (refusal.category, "not-found"):
                yield spec, ids
            return
        if isinstance(value, Answer) and value.status == "queued":
            yield spec, ids
            return
        if operation.op == "put":
            if operation.outcome is not None and "refused" not in operation.outcome:
                yield spec, {**ids, value: operation.outcome["ok"]}
            elif operation.outcome is None:
                for number in self._possible_ids(ids):
                    yield copy.deepcopy(spec), {**ids, value: number}
            return
        if self._fits(operation, self._outcome(operation.op, value, ids)):
            yield spec, ids

    def _may_put(self, operation: Operation, ids: dict[int, int]) -> bool:
        if operation.outcome is None:
            return True
        known = [number for number in ids.values() if number < UNSEEN]
        return all(number < operation.outcome["ok"] for number in known)

    def _possible_ids(self, ids: dict[int, int]) -> list[int]:
        """The ids that the job of a put of unknown outcome may have: those that somebody named, or a new one."""
        named = {op.args["job_id"] for op in self.operations if "job_id" in op.args}
        put = set()
        for op in self.operations:
            if op.outcome is not None and op.op == "put":
                put.add(op.outcome.get("ok"))
            elif op.outcome is not None and isinstance(op.outcome.get("ok"), dict):
                named.add(op.outcome["ok"]["job_id"])
        known = [number for number in ids.values() if number < UNSEEN]
        return [*sorted(each for each in named - put if each > max(known, default=0)), UNSEEN + len(ids)]

    def _run(self, spec: Spec, operation: Operation, place: int, own: dict[int, int], now: int) -> Any:
        args, client = operation.args, operation.client
        job_id = own.get(args.get("job_id", 0), 1000)
        later: Callable[..., Any] = getattr(spec, operation.op, lambda: None)
        match operation.op:
            case "put":
                return spec.put(now, **{**args, "body": b""})
            case "reserve":
                if any(wait.request_id == str(place) for wait in spec.waiting):
                    return Answer(str(place), client, "queued")
                seconds = args["timeout_seconds"]
                deadline = None if seconds is None else now + seconds * self.second
                return spec.append_reservation(
                    now, client, request_id=str(place), tubes=args["tubes"], deadline_at=deadline
                )
            case "reserve_job":
                return spec.reserve_job(now, job_id, client)
            case "delete" | "release":
                return later(job_id, client, now=now)
            case "release_with":
                kept = {"priority": args["priority"], "delay_seconds": args["delay_seconds"]}
                return spec.release_with(now, job_id, client, **kept)
            case "touch":
                return spec.touch(now, job_id, client)
            case "bury":
                return spec.bury(now, job_id, client, priority=args["priority"])
            case "kick" | "get_job":
                return later(job_id, now=now)
            case "kick_n":
                return spec.kick_n(args["tube"], args["n"], now=now)
            case "pause_tube":
                return spec.pause_tube(now, args["tube"], args["seconds"])
            case "close_client":
                return spec.close_client(client, now=now)
        return later(args["tube"], now=now)

    def _outcome(self, op: str, value: Any, ids: dict[int, int]) -> Any:
        """What a client would have seen."""
        if isinstance(value, Answer):
            return {"ok": ids[value.job_id]} if value.status == "matched" else {"refused": value.status}
        if op in ("get_job", "peek_ready_job", "peek_delayed_job", "peek_buried_job"):
            return {"ok": ids[value.id]}
        return {"ok": value}

    def _fits(self, operation: Operation, outcome: dict[str, Any]) -> bool:
        seen = operation.outcome
        if seen is None:
            return "ok" in outcome
        if isinstance(seen.get("ok"), dict):
            return outcome == {"ok": seen["ok"]["job_id"]}
        return outcome == seen
