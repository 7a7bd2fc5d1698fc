"""A machine whose calls are recorded: it tells an observer of every call, refusals and looks included.

`Machine` itself makes transition records only, and only when it has an observer, so a machine that nobody
watches pays nothing for either kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, update_wrapper
from inspect import Signature, signature
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from jsm.errors import BadValueError, JsmError
from jsm.interface import ClientStates
from jsm.job import JobView
from jsm.limits import MAX_JOB_SIZE
from jsm.machine import Machine
from jsm.records import CommandRecord, Observer
from jsm.reservations import Reservation

if TYPE_CHECKING:
    from jsm.job import TubeName
    from jsm.snapshot import MachineSnapshot
    from jsm.states import JobState

P = ParamSpec("P")
R = TypeVar("R")


def _recorded(operation: Callable[Concatenate[Machine, P], R]) -> Callable[Concatenate[ObservedMachine, P], R]:
    """The operation, followed by its command record, whether it returned or was refused."""
    parameters = signature(operation)
    name = operation.__name__

    def call(self: ObservedMachine, /, *args: P.args, **kwargs: P.kwargs) -> R:
        machine = self.machine
        bound = parameters.bind(machine, *args, **kwargs)
        given = bound.arguments
        for field, value in given.items():
            if isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | memoryview | Mapping):
                given[field] = tuple(value)  # an iterator can be read once only
        try:
            result: R = getattr(machine, name)(*bound.args[1:], **bound.kwargs)  # a subclass may have its own
        except JsmError as error:
            outcome = {"refused": str(error.refusal), "error": type(error).__name__, "message": str(error)}
            self._tell(name, given, outcome)
            raise
        self._tell(name, given, {"ok": to_json(result)})
        return result

    update_wrapper(call, operation)
    return call


class ObservedMachine:
    """A `Machine` whose observer receives both kinds of records. The operations are those of `jsm.interface.JSM`.

    `make_machine` is `Machine` or a subclass, whose own operations are then the recorded ones.
    """

    __slots__ = ("_observer", "machine")

    def __init__(
        self,
        *,
        observer: Observer,
        units_per_second: int = 1,
        max_job_size: int = MAX_JOB_SIZE,
        make_machine: Callable[..., Machine] = Machine,
    ) -> None:
        self.machine = make_machine(units_per_second=units_per_second, max_job_size=max_job_size, observer=observer)
        self._observer = observer

    put = _recorded(Machine.put)
    delete = _recorded(Machine.delete)
    release = _recorded(Machine.release)
    release_with = _recorded(Machine.release_with)
    touch = _recorded(Machine.touch)
    bury = _recorded(Machine.bury)
    kick = _recorded(Machine.kick)
    kick_n = _recorded(Machine.kick_n)
    peek_ready_job = _recorded(Machine.peek_ready_job)
    peek_delayed_job = _recorded(Machine.peek_delayed_job)
    peek_buried_job = _recorded(Machine.peek_buried_job)
    get_job = _recorded(Machine.get_job)
    append_reservation = _recorded(Machine.append_reservation)
    reserve_job = _recorded(Machine.reserve_job)
    cancel_reservation = _recorded(Machine.cancel_reservation)
    tick = _recorded(Machine.tick)
    pause_tube = _recorded(Machine.pause_tube)
    use_tube = _recorded(Machine.use_tube)
    watch_tube = _recorded(Machine.watch_tube)
    ignore_tube = _recorded(Machine.ignore_tube)
    close_client = _recorded(Machine.close_client)
    check_client_state = _recorded(Machine.check_client_state)
    get_tubes = _recorded(Machine.get_tubes)
    get_stats_job_as_yaml = _recorded(Machine.get_stats_job_as_yaml)
    get_stats_tube_as_yaml = _recorded(Machine.get_stats_tube_as_yaml)
    get_stats_as_yaml = _recorded(Machine.get_stats_as_yaml)
    count_command = _recorded(Machine.count_command)
    stop = _recorded(Machine.stop)

    @property
    def clock(self) -> int:
        """See `Machine.clock`."""
        return self.machine.clock

    @property
    def units_per_second(self) -> int:
        """See `Machine.units_per_second`."""
        return self.machine.units_per_second

    @property
    def max_job_size(self) -> int:
        """See `Machine.max_job_size`."""
        return self.machine.max_job_size

    @property
    def record_seq(self) -> int:
        """See `Machine.record_seq`."""
        return self.machine.record_seq

    def count_jobs(self, tube: TubeName | None = None) -> dict[JobState, int]:
        """See `Machine.count_jobs`; an internal look is not recorded."""
        return self.machine.count_jobs(tube)

    def next_tick_at(self) -> int | None:
        """See `Machine.next_tick_at`; an internal look is not recorded."""
        return self.machine.next_tick_at()

    def snapshot(self) -> MachineSnapshot:
        """See `Machine.snapshot`; neither reading nor restoring is recorded."""
        return self.machine.snapshot()

    def _tell(self, name: str, given: Mapping[str, Any], outcome: Mapping[str, Any]) -> None:
        machine = self.machine
        args = {field: to_json(value) for field, value in given.items() if field != "self"}
        client = args.get("client_id")
        self._observer.command(
            CommandRecord(
                machine.record_seq,
                machine.clock,
                client if isinstance(client, str) else None,
                name,
                args,
                outcome,
            )
        )


OPERATIONS: Final[Mapping[str, Callable[..., Any]]] = {
    name: operation for name, operation in vars(ObservedMachine).items() if hasattr(operation, "__wrapped__")
}
"""The recorded operations by the name that a command record's `op` bears."""


@cache
def _signature(op: str) -> Signature:
    """The parameters of an operation, `self` included."""
    return signature(getattr(Machine, op))


def apply(machine: Machine | ObservedMachine, record: CommandRecord) -> Mapping[str, Any]:
    """Repeat a recorded call on a machine and return its outcome in the record's form.

    Raises `BadValueError` for an operation that doesn't exist or arguments that it doesn't take.
    """
    if record.op not in OPERATIONS:
        raise BadValueError("op", record.op, f"one of {', '.join(OPERATIONS)}")
    args = dict(record.args)
    if isinstance(args.get("body"), str):
        args["body"] = args["body"].encode("latin-1")
    operation = getattr(machine, record.op)
    try:
        _signature(record.op).bind(machine, **args)
    except TypeError as error:
        raise BadValueError("args", dict(record.args), f"the parameters of {record.op} ({error})") from None
    try:
        return {"ok": to_json(operation(**args))}
    except JsmError as error:
        return {"refused": str(error.refusal), "error": type(error).__name__, "message": str(error)}


def to_json(value: Any) -> Any:
    """An argument or a result as JSON's values: bytes become text of code points 0–255."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("latin-1")
        case Reservation():
            return {
                "request_id": value.request_id,
                "client_id": value.client_id,
                "status": str(value.status),
                "job_id": value.job_id,
            }
        case JobView() | ClientStates():
            return {field: to_json(part) for field, part in value._asdict().items()}
        case Mapping():
            return {str(key): to_json(part) for key, part in value.items()}
        case list() | tuple():
            return [to_json(part) for part in value]
        case _:  # a caller's mistake, which the machine refuses; the record shows what it was
            return repr(value)
