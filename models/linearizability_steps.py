"""A history made ready for the search: operations as steps over small integers, and what can be searched apart.

A step is what has to be placed at one instant within a window. Most operations are one step. A reserve that timed out
after waiting is two, the begin of its wait and the end, since nothing that it waited for may have been there between.

Histories of tubes that have nothing to do with each other are searched apart (Horn & Kroening, "Faster linearizability
checking via P-compositionality", 2015). What ties tubes together: a watch list, the tubes that one client reserves
from (a job that it holds warns its waits everywhere by DEADLINE_SOON), and a put of unknown outcome, whose job may be
any that nobody is known to have put.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from random import Random
from typing import Any, Final

from models.histories import History, Operation

NEVER: Final = 1 << 62
"""The instant of what never happened, in time units."""

ID_STEP: Final = 1 << 20
"""The distance of two ids in keys of jobs, which leaves room for jobs whose ids nobody saw."""

NO_BODY: Final = -1

UNSEEN: Final = frozenset({"get_job", "peek_ready_job", "peek_delayed_job", "peek_buried_job"})
"""What has no effect, so that it says nothing unless somebody saw its answer."""


class Step:
    """What has to be placed, or may be (`optional`), at one instant between `call` and `end`."""

    __slots__ = (
        "after",
        "alone",
        "blocking",
        "body",
        "call",
        "client",
        "code",
        "count",
        "delay",
        "end",
        "expect",
        "job",
        "kind",
        "number",
        "operation",
        "optional",
        "orphans",
        "priority",
        "rank",
        "sure_end",
        "timeout",
        "ttr",
        "tube",
        "tubes",
        "yields",
    )

    def __init__(self, kind: str, operation: Operation, client: int) -> None:
        self.kind = kind
        self.operation = operation
        self.client = client
        self.number = 0  # its place in the order of calls
        self.call = operation.called_at
        self.end = NEVER if operation.returned_at is None else operation.returned_at
        self.optional = operation.returned_at is None
        self.expect: str | None = None  # the refusal that the client saw
        self.job = 0  # key of the job that it names, 0: none, or unknown
        self.tube = 0
        self.tubes: tuple[int, ...] = ()
        self.priority: int | None = None  # None: unchanged
        self.delay = 0  # in units; also the length of a pause
        self.ttr = 0  # in units
        self.timeout: int | None = None  # in units; None: no limit
        self.count = 0  # how many jobs a kick_n is to kick, or kicked
        self.body = NO_BODY
        self.rank = 0  # of a put with a known id: its place among them
        self.blocking = False  # whether a reserve may wait
        self.yields = False  # whether, where waits are served in order, its own begin can matter
        self.alone = False  # whether it concerns a job that nothing else at the same time concerns
        self.after: tuple[Step, ...] = ()  # of the same client, ended at the instant of this call
        self.orphans: tuple[int, ...] = ()  # of a put that never returned: keys that its job may have
        self.code = 0
        self.sure_end = self.end

    def __str__(self) -> str:
        shown = str(self.operation)
        return f"begin of the wait of {shown}" if self.kind == "begin" else shown


class Part:
    """Steps that are searched together."""

    __slots__ = ("after", "bodies", "by_number", "clients", "ids", "steps", "tubes", "users", "wide")

    def __init__(self, steps: list[Step], names: "Names") -> None:
        self.steps = steps
        self.by_number = {step.number: step for step in steps}
        self.after = {  # what is searched elsewhere can't be waited for here
            step.number: tuple(each.number for each in step.after if each.number in self.by_number)
            for step in steps
            if step.after
        }
        self.clients = names.clients
        self.tubes = names.tubes
        self.bodies = names.bodies
        puts = [step for step in steps if step.kind == "put"]
        self.ids = sorted({step.job for step in puts if step.job}.union(*(step.orphans for step in puts)))
        self.users: dict[int, list[Step]] = {}  # job → the steps that must be placed and need it alive
        for step in steps:
            if step.job and step.expect is None and not step.optional:
                self.users.setdefault(step.job, []).append(step)
        self.wide = any(step.kind == "pause_tube" for step in steps)  # then a tube's life matters


class Names:
    """Numbers for the names of clients, tubes and bodies, in order of their first use."""

    def __init__(self) -> None:
        self.clients: list[str] = []
        self.tubes: list[str] = ["default"]
        self.bodies: list[str] = []
        self._client: dict[str, int] = {}
        self._tube: dict[str, int] = {"default": 0}
        self._body: dict[str, int] = {}

    def client(self, name: str) -> int:
        """The client's number."""
        return _number(name, self._client, self.clients)

    def tube(self, name: str) -> int:
        """The tube's number; that of `default` is 0."""
        return _number(name, self._tube, self.tubes)

    def body(self, body: str | None) -> int:
        """The body's number, `NO_BODY` for one that nobody noted."""
        return NO_BODY if body is None else _number(body, self._body, self.bodies)


def _number(name: str, numbers: dict[str, int], names: list[str]) -> int:
    found = numbers.setdefault(name, len(names))
    if found == len(names):
        names.append(name)
    return found


def steps_of(history: History, *, earliness: int) -> tuple[list[Step], Names]:
    """All steps in order of their calls, and the names that their numbers stand for."""
    names = Names()
    steps: list[Step] = []
    for operation in history.operations:
        steps += _steps(operation, names, history.units_per_second, earliness)
    steps.sort(key=lambda step: step.call)
    random = Random(0)
    for number, step in enumerate(steps):
        step.number = number
        step.code = random.getrandbits(128)
    _order_clients(steps)
    _order_puts(steps)
    _name_orphans(steps)
    _find_lone(steps)
    _find_yielding(steps)
    return steps, names


def _steps(operation: Operation, names: Names, second: int, earliness: int) -> list[Step]:
    """The steps of one operation."""
    args, outcome = operation.args, operation.outcome
    step = Step(operation.op, operation, names.client(operation.client))
    refused = outcome["refused"] if outcome is not None and "refused" in outcome else None
    if refused in ("bad-value", "failed"):
        step.kind = "nothing"
        return [step]
    step.expect = refused
    value: Any = None if outcome is None else outcome.get("ok")
    if "job_id" in args:
        step.job = args["job_id"] * ID_STEP
    if isinstance(value, Mapping):
        step.job = value["job_id"] * ID_STEP
        step.body = names.body(value.get("body"))
    if "tube" in args:
        step.tube = names.tube(args["tube"])
    step.priority = args.get("priority")
    step.delay = args.get("delay_seconds", args.get("seconds", 0)) * second
    match operation.op:
        case "put":
            step.job = 0 if value is None else value * ID_STEP
            step.ttr = max(args["ttr_seconds"], 1) * second
            step.body = names.body(args.get("body"))
        case "kick_n":
            step.count = args["n"] if value is None else value
            step.rank = args["n"]
        case "release":
            step.delay = 0
        case "reserve":
            return _reserve_steps(step, names, second, earliness)
    return [step]


def _reserve_steps(step: Step, names: Names, second: int, earliness: int) -> list[Step]:
    """A reserve is one step, but two when it timed out after a wait."""
    args = step.operation.args
    step.tubes = tuple(dict.fromkeys(names.tube(tube) for tube in args["tubes"]))
    seconds = args["timeout_seconds"]
    step.timeout = None if seconds is None else seconds * second
    step.blocking = seconds != 0
    if step.expect == "deadline-soon":
        step.kind = "warned"
    if step.expect != "timeout":
        return [step]
    step.kind = "timeout"
    if not step.blocking or step.timeout is None:
        return [step]
    begin = Step("begin", step.operation, step.client)
    begin.tubes, begin.timeout, begin.blocking = step.tubes, step.timeout, True
    begin.end = begin.sure_end = step.end - step.timeout + earliness
    step.call = max(step.call, step.call + step.timeout - earliness)
    step.after = (begin,)
    return [begin, step]


def _order_clients(steps: list[Step]) -> None:
    """What a client calls at the instant at which its last operation returned comes after that."""
    ended: dict[tuple[int, int], list[Step]] = {}
    for step in steps:
        if step.kind == "timeout" and step.after:
            earlier: list[Step] = []  # its begin has them
        else:
            earlier = ended.get((step.client, step.call), [])
        step.after = (*step.after, *earlier)
        end = step.operation.returned_at
        if step.kind != "begin" and end is not None:
            ended.setdefault((step.client, end), []).append(step)


def _order_puts(steps: list[Step]) -> None:
    """Ids grow, so a put with a known id comes after those of all lower ones and before those of all greater ones."""
    puts = sorted((step for step in steps if step.kind == "put" and step.job), key=lambda step: step.job)
    for rank, step in enumerate(puts):
        step.rank = rank
    least = NEVER
    for step in reversed(puts):
        least = step.sure_end = min(least, step.end)


def _name_orphans(steps: list[Step]) -> None:
    """The jobs that somebody saw and nobody is known to have put may come from puts that never returned."""
    put = {step.job for step in steps if step.kind == "put"}
    proofs = (None, "wrong-state", "unauthorized")
    seen = {step.job for step in steps if step.kind != "put" and step.expect in proofs and not step.optional}
    orphans = tuple(sorted(job for job in seen if job and job not in put))
    for step in steps:
        if step.kind == "put" and not step.job:
            step.orphans = orphans


def _find_lone(steps: list[Step]) -> None:
    """Mark the deletes of which neither the job nor the client concerns another operation at the same time."""
    last: dict[tuple[str, int], Step] = {}
    for step in steps:
        step.alone = step.kind == "delete" and step.expect is None and not step.optional
        for key in (("job", step.job), ("client", step.client)):
            if key[1] == 0 and key[0] == "job":
                continue
            before = last.get(key)
            if before is not None and before.end >= step.call:
                before.alone = step.alone = False
            if before is None or before.end <= step.end:
                last[key] = step


def _find_yielding(steps: list[Step]) -> None:
    """Mark the reserves that may wait already when a wait begins that times out; they may have to, see `Rules`."""
    begins = [step for step in steps if step.kind == "begin"]
    for step in steps:
        if step.kind == "reserve" and step.blocking:
            step.yields = any(
                step.call <= begin.end and begin.call <= step.end and begin.client != step.client for begin in begins
            )


# ---------------------------------------------------------------------- parts


def parts_of(steps: list[Step], names: Names) -> list[Part]:
    """The steps by connected tubes, parts and steps in order of their calls."""
    roots = list(range(len(names.tubes)))

    def find(tube: int) -> int:
        while roots[tube] != tube:
            roots[tube] = roots[roots[tube]]
            tube = roots[tube]
        return tube

    def tie(tubes: Iterable[int]) -> int:
        """Make them one; their root."""
        first, *rest = (find(tube) for tube in tubes)
        for tube in rest:
            roots[find(tube)] = find(first)
        return find(first)

    home = {step.job: step.tube for step in steps if step.kind == "put" and step.job}
    reserves: dict[int, int] = {}  # client → a tube that it reserves from
    unknown = [step.tube for step in steps if step.kind == "put" and not step.job]
    for step in steps:
        if step.tubes:
            tie(step.tubes)
        if step.orphans:
            tie(unknown)
            home.update((job, unknown[0]) for job in step.orphans)
    for step in steps:
        takes = step.tubes or ((home[step.job],) if step.kind == "reserve_job" and step.job in home else ())
        if takes:
            reserves[step.client] = tie((takes[0], reserves.get(step.client, takes[0])))

    def part_of(step: Step) -> int | None:
        if step.tubes:
            return find(step.tubes[0])
        if step.job:
            return find(home[step.job]) if step.job in home else -1
        if step.kind == "close_client":
            return find(reserves[step.client]) if step.client in reserves else None
        return None if step.kind == "nothing" else find(step.tube)

    found: dict[int, list[Step]] = {}
    for step in steps:
        part = part_of(step)
        if part is not None and not (step.optional and step.kind in UNSEEN):  # else it does nothing to any job
            found.setdefault(part, []).append(step)
    return [Part(each, names) for each in found.values()]


def whole_part(steps: list[Step], names: Names) -> Part:
    """All steps in one part."""
    return Part([step for step in steps if not (step.optional and step.kind in UNSEEN)], names)


def put_order(steps: Iterable[Step]) -> Iterator[tuple[Step, Step]]:
    """Each put of a known id with the one of the next known id."""
    puts = sorted((step for step in steps if step.kind == "put" and step.job), key=lambda step: step.job)
    yield from pairwise(puts)
