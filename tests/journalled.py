"""What a machine recovered from a journal must be like, and histories to try that with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from jsm.errors import JsmError
from jsm.journal import SYNC_ALWAYS, DurableMachine, SyncPolicy, open_journal
from jsm.journal.recovery import forget_statistics
from jsm.machine import Machine
from jsm.observed import ObservedMachine
from models.calls import Call, plain
from tests.machines import Parts
from tests.simulated_disk import SimulatedDisk

FOLDER = Path("/simulated")
SMALL = 1_500  # bytes of a file, so that there are many


def put(now: int, body: bytes = b"x", *, tube: str = "default", delay: int = 0, priority: int = 0) -> Call:
    """A put with what matters here."""
    arguments = {"priority": priority, "delay_seconds": delay, "ttr_seconds": 5, "body": body, "tube": tube}
    return Call("put", (now,), arguments)


def ask(now: int, client: str, *, until: int | None = None) -> Call:
    """A reservation of the tubes `default` and `t`."""
    return Call(
        "append_reservation", (now, client), {"request_id": "r", "tubes": ["default", "t"], "deadline_at": until}
    )


HISTORY: list[Call] = [
    Call("use_tube", ("a", "t")),
    Call("watch_tube", ("a", "t"), {"now": 1}),
    put(1, b'\x00\xff\n"\\ \xc3\xa9', priority=2),
    put(2, tube="t"),
    ask(2, "a"),
    ask(3, "b"),
    Call("bury", (3, 1, "b"), {"priority": 7}),
    put(4, b"", tube="t", delay=3),
    Call("touch", (4, 2, "a")),
    ask(5, "b", until=5),
    ask(5, "b", until=9),
    Call("delete", (99, "a")),
    Call("release_with", (5, 2, "a"), {"priority": 1, "delay_seconds": 1}),
    Call("tick", (6,)),
    Call("release", (2, "b"), {"now": 6}),
    Call("pause_tube", (6, "t", 3)),
    Call("kick_n", ("default", 5), {"now": 6}),
    Call("reserve_job", (7, 3, "c")),
    Call("tick", (7,)),
    put(8, b"y" * 300),
    Call("tick", (9,)),
    Call("bury", (9, 3, "c"), {"priority": 0}),
    Call("kick", (3,), {"now": 9}),
    ask(9, "d", until=20),
    Call("cancel_reservation", ("d",)),
    Call("watch_tube", ("d", "u")),
    Call("watch_tube", ("d", "t")),
    Call("ignore_tube", ("d", "u"), {"now": 10}),
    Call("close_client", ("a",), {"now": 10}),
    Call("delete", (4, "z"), {"now": 10}),
    Call("tick", (12,)),
    put(12, b"z", tube="t"),
    ask(12, "e"),
    ask(12, "f", until=15),
    Call("bury", (13, 5, "e"), {"priority": 3}),
    Call("tick", (19,)),
    put(20, delay=9),
    Call("reserve_job", (20, 3, "f")),
]
"""Each operation of the journal, waits that end in each way, jobs in all states, and what is not written."""

IN_VAIN = [ask(5, "b", until=5), Call("delete", (99, "a")), Call("tick", (7,)), Call("tick", (12,))]
"""The calls of the history that change nothing but the clock."""


def opened(
    disk: SimulatedDisk, *, sync: SyncPolicy = SYNC_ALWAYS, file_size: int = SMALL, **others: Any
) -> DurableMachine:
    """A durable machine on a simulated disk."""
    return open_journal(FOLDER, disk=disk, sync=sync, file_size=file_size, **others)


def made(machine: Machine | ObservedMachine | DurableMachine, call: Call) -> tuple[str, Any]:
    """How a call ended: what it returned, or the class and text of its refusal."""
    try:
        return "ok", plain(getattr(machine, call.op)(*call.args, **call.kwargs))
    except JsmError as error:
        return type(error).__name__, str(error)


def state_of(machine: Machine | DurableMachine) -> Parts:
    """A machine's whole state but for its clock, which calls that are not written move too."""
    snapshot = machine.snapshot()
    header = replace(snapshot.header(), clock=0)
    return Parts(header, list(snapshot.snapshot_jobs()), list(snapshot.snapshot_clients()))


def recovered_state(calls: list[Call]) -> Parts:
    """What recovery must give after these calls, whatever they were answered."""
    return recovered_states(calls)[-1]


def recovered_states(calls: list[Call]) -> list[Parts]:
    """What recovery must give after none, one, two … of these calls."""
    return [_restarted([*calls[:count]]) for count in range(len(calls) + 1)]


def restart(machine: Machine) -> Parts:
    """Do to a machine what a restart of its server does to it."""
    forget_statistics(machine)
    for entry in list(machine.snapshot().snapshot_clients()):
        machine.close_client(entry.client_id)
    return state_of(machine)


def _restarted(calls: list[Call]) -> Parts:
    machine = Machine()
    for call in calls:
        made(machine, call)
    return restart(machine)
