"""Calls as data: one history of operations for any implementation, and both worlds in the same words.

A `Call` is made on a machine by its own method, on the specification by `run_spec`; `plain` takes the machine's types
off what it returns, and `state_of_machine` and `state_of_spec` say everything that there is to compare.
"""

import re
from typing import Any, NamedTuple

from jsm.job import JobView
from jsm.machine import Machine
from jsm.reservations import Reservation
from models.spec import Spec
from models.spec_world import Answer, Job

STATISTICS = {
    "get_stats_job_as_yaml": "stats_job",
    "get_stats_tube_as_yaml": "stats_tube",
    "get_stats_as_yaml": "stats",
}
"""The machine's statistics are text, the specification's are dicts with names of their own."""


class Call(NamedTuple):
    """An operation and its arguments, to be called on any implementation."""

    op: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}  # noqa: RUF012 - never changed

    def __str__(self) -> str:
        arguments = [repr(value) for value in self.args] + [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{self.op}({', '.join(arguments)})"


def run_spec(spec: Spec, call: Call) -> Any:
    """Call an operation on the specification; a job is its fields without the burial number. Raises `Refused`."""
    value = getattr(spec, STATISTICS.get(call.op, call.op))(*call.args, **call.kwargs)
    if isinstance(value, Job):
        return tuple(value)[:-1]
    if isinstance(value, list):
        return [tuple(each) if isinstance(each, Answer) else each for each in value]
    return tuple(value) if isinstance(value, tuple) else value


def state_of_spec(spec: Spec) -> dict[str, Any]:
    """The specification's world, in the words of `state_of_machine`."""
    return {
        "clock": (spec.clock, spec.clock),
        "settings": (spec.second, spec.second, spec.max_job_size, spec.max_job_size),
        "numbers": (spec.next_job_id, len(spec.records), spec.next_bury_number),
        "totals": (spec.total_jobs, spec.job_timeouts),
        "commands": list(spec.commands.items()),
        "tubes": [tuple(tube) for tube in spec.tubes],
        "counts": (len(spec.jobs), len(spec.clients)),
        "jobs": [(tuple(spec.jobs[job_id])[:-1], spec.jobs[job_id].bury_number) for job_id in sorted(spec.jobs)],
        "owed": [tuple(answer) for answer in spec.owed],
        "waiting": [(*wait, spec.wait_ends_at(wait)) for wait in spec.waiting],
        "clients": sorted((name, client.uses, client.watches) for name, client in spec.clients.items()),
    }


def plain(value: Any) -> Any:
    """The machine's value without its own types."""
    if isinstance(value, Reservation):
        return (
            value.request_id,
            value.client_id,
            value.status.name.lower().replace("_", "-"),
            value.job_id,
            value.body,
        )
    if isinstance(value, JobView):
        return tuple(value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return parse_statistics(value)
    if isinstance(value, tuple):
        return tuple(plain(each) for each in value)
    return value


def parse_statistics(text: bytes) -> dict[str, int | str]:
    """The pairs of a statistics body, in order; raises `ValueError` for a line that is none."""
    lines = text.decode().splitlines()
    if lines[0] != "---":
        raise ValueError(f"the first line is {lines[0]!r}, not '---'")
    pairs: dict[str, int | str] = {}
    for line in lines[1:]:
        found = re.fullmatch(r'([a-z-]+): (?:"(.*)"|(.*))', line)
        if found is None or found[1] in pairs:
            raise ValueError(f"not a pair, or a second one: {line!r}")
        bare = found[3]
        pairs[found[1]] = int(bare) if bare is not None and re.fullmatch(r"-?[0-9]+", bare) else found[2] or bare or ""
    return pairs


def state_of_machine(machine: Machine) -> dict[str, Any]:
    """Everything that a snapshot of the machine says."""
    snapshot = machine.snapshot()
    header = snapshot.header()
    jobs = list(snapshot.snapshot_jobs())
    clients = list(snapshot.snapshot_clients())
    return {
        "clock": (header.clock, machine.clock),
        "settings": (header.units_per_second, machine.units_per_second, header.max_job_size, machine.max_job_size),
        "numbers": (header.next_job_id, header.record_seq, header.next_bury_number),
        "totals": (header.total_jobs, header.job_timeouts),
        "commands": list(header.commands.items()),
        "tubes": [
            (tube.name, tube.pause_seconds, tube.pause_ends_at, tube.total_jobs, tube.deletes, tube.pauses)
            for tube in header.tubes
        ],
        "counts": (header.jobs, header.clients),
        "jobs": [(tuple(each.job), each.bury_number) for each in jobs],
        "owed": [plain(client.owed) for client in clients if client.owed is not None],
        "waiting": [
            (client.client_id, client.request_id, client.watched_tubes, client.deadline_at, client.tick_at)
            for client in clients
            if client.is_waiting
        ],
        "clients": sorted((client.client_id, client.uses, client.watches) for client in clients),
    }
