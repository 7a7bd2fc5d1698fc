"""The invariants of two machines side by side: a snapshot and its restore, and the same calls made twice."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from jsm.errors import JsmError, StoppedError
from jsm.machine import Machine
from jsm.records import TransitionRecord
from models.calls import Call
from models.invariants_rule import Broken, BrokenInvariant, Described, Tally
from models.picture import Picture, differences, picture_of

A_SNAPSHOT_CHANGES_NOTHING: Final = Described(
    "a_snapshot_changes_nothing", "S28", "Taking a snapshot changes nothing of the machine"
)
A_RESTORED_MACHINE_GOES_ON: Final = Described(
    "a_restored_machine_goes_on", "S27", "A machine restored from a snapshot is like the original, timers included"
)
THE_SAME_CALLS_DO_THE_SAME: Final = Described(
    "the_same_calls_do_the_same", "S34", "The same calls give the same answers, records and state on every machine"
)
WORLDS: Final = (A_SNAPSHOT_CHANGES_NOTHING, A_RESTORED_MACHINE_GOES_ON, THE_SAME_CALLS_DO_THE_SAME)
"""The invariants of this module."""

TICKS: Final = 4
"""How many ticks a restored machine is made to do: enough to see that its timers and its heaps live."""


class Notebook:
    """An observer that keeps the transitions."""

    def __init__(self) -> None:
        self.records: list[TransitionRecord] = []

    def transition(self, record: TransitionRecord) -> None:
        """Keep one."""
        self.records.append(record)

    def torn_out(self) -> list[TransitionRecord]:
        """What was kept since the last time, to be forgotten."""
        records, self.records = self.records, []
        return records


def check_restore(
    machine: Machine,
    check_tick: Callable[[Picture, Call, dict[str, Any], list[TransitionRecord], Picture], None],
    tally: Tally,
    *,
    make_machine: Callable[..., Machine] = Machine,
) -> None:
    """Restore a snapshot into a new machine, compare the two, and let the new one do its next ticks.

    `check_tick` is `check_step` and `check_state` of a tick of the new machine; the first machine is only looked at.
    O(n log n). Raises `BrokenInvariant`.
    """
    picture = picture_of(machine)
    notebook = Notebook()
    heir = make_machine(units_per_second=picture.units_per_second, max_job_size=picture.max_job_size, observer=notebook)
    source, target = machine.snapshot(), heir.snapshot()
    target.restore_header(source.header())
    target.restore_jobs(source.snapshot_jobs())
    target.restore_clients(source.snapshot_clients())
    target.finalize_restore()
    _compare(A_SNAPSHOT_CHANGES_NOTHING, picture, picture_of(machine))
    tally[A_SNAPSHOT_CHANGES_NOTHING.name] += 1
    before = picture_of(heir)
    _compare(A_RESTORED_MACHINE_GOES_ON, picture, before)
    tally[A_RESTORED_MACHINE_GOES_ON.name] += bool(picture.jobs)
    for _ in range(TICKS):
        due_at = before.next_tick_at
        if due_at is None:
            break
        outcome = {"ok": heir.tick(due_at)}
        after = picture_of(heir)
        try:
            check_tick(before, Call("tick", (due_at,)), outcome, notebook.torn_out(), after)
        except BrokenInvariant as error:
            raise _broken(A_RESTORED_MACHINE_GOES_ON, picture, f"after its restore: {error}", "no difference") from None
        before = after


def check_same(calls: Iterable[Call], tally: Tally, *, make_machine: Callable[[Notebook], Machine]) -> None:
    """Make the calls on two new machines, which have to agree at each; `make_machine` is given the observer.

    Raises `BrokenInvariant`.
    """
    rule = THE_SAME_CALLS_DO_THE_SAME
    first, second = Notebook(), Notebook()
    machines = (make_machine(first), make_machine(second))
    for number, call in enumerate(calls):
        tally[rule.name] += 1
        ends = [_outcome(machine, call) for machine in machines]
        picture = None if ends[0] == ("StoppedError",) or call.op == "stop" else picture_of(machines[0])
        if ends[0] != ends[1] or first.records != second.records:
            found = f"call {number}, {call}, gave {ends[0]}, records {first.records}"
            raise _broken(rule, picture, found, f"{ends[1]}, records {second.records}, as on the other machine")
        if picture is not None:
            _compare(rule, picture, picture_of(machines[1]))
        first.torn_out()
        second.torn_out()


def _outcome(machine: Machine, call: Call) -> tuple[Any, ...]:
    try:
        return ("ok", getattr(machine, call.op)(*call.args, **call.kwargs))
    except StoppedError:
        return ("StoppedError",)
    except JsmError as error:
        return (type(error).__name__, str(error))


def _compare(rule: Described, expected: Picture, found: Picture) -> None:
    for field, old, new in differences(expected, found):
        raise _broken(rule, expected, f"{field} is {new!r}", f"{old!r}")


def _broken(rule: Described, picture: Picture | None, found: str, expected: str) -> BrokenInvariant:
    at, units = (0, 1) if picture is None else (picture.clock, picture.units_per_second)
    return BrokenInvariant(rule, Broken(found, expected), at=at, units_per_second=units)
