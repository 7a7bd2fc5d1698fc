"""What can be seen of a machine from outside, as expressions of a test, with what the specification expects of each."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from jsm.errors import JsmError, NoJobInStateError, UnknownJobError
from jsm.machine import Machine
from models.spec import Spec
from models.spec_world import Job


class Observation(NamedTuple):
    """An expression over `machine`, and the value that it is to have, or the refusal that it is to raise."""

    expression: str
    expected: Any  # a value, or a class of `JsmError`

    def holds(self, machine: Machine) -> bool:
        """Whether the expression, evaluated as it will stand in the test, has the value. Never raises."""
        try:
            value = eval(self.expression, {"machine": machine})  # the text is this module's own
        except Exception as error:
            return isinstance(self.expected, type) and isinstance(error, self.expected)
        return not isinstance(self.expected, type) and bool(value == self.expected)


_HEADER: Final = "machine.snapshot().header()"
_CLIENTS: Final = "machine.snapshot().snapshot_clients()"


def observations(spec: Spec) -> Iterator[Observation]:
    """All that there is to see, what users look at first, what only a snapshot shows last; each once."""
    yield from _of_jobs(spec)
    yield from _of_clients_and_tubes(spec)
    yield Observation("machine.next_tick_at()", spec.next_tick_at())
    yield from _of_peeks(spec)
    yield from _of_statistics(spec)
    yield from _of_snapshots(spec)


def _of_jobs(spec: Spec) -> Iterator[Observation]:
    for job_id in range(1, spec.next_job_id):
        job = spec.jobs.get(job_id)
        look = f"machine.get_job({job_id})"
        if job is None:
            yield Observation(look, UnknownJobError)
            continue
        for field in ("state", "reserved_by", *Job._fields):
            if field != "bury_number":
                yield Observation(f"{look}.{field}", getattr(job, field))
    yield Observation(f"machine.get_job({spec.next_job_id})", UnknownJobError)


def _of_clients_and_tubes(spec: Spec) -> Iterator[Observation]:
    names = list(spec.clients)
    waiting = [name for name in names if spec.is_waiting(name)]
    others = [name for name in names if name not in waiting]
    if names:
        yield Observation(f"machine.check_client_state({literal(names)})", (waiting, others, []))
    tubes = [tube.name for tube in spec.tubes]
    yield Observation("machine.get_tubes()", tubes)
    for tube in tubes:
        for state in ("ready", "delayed", "reserved", "buried"):
            number = sum(job.tube == tube and job.state == state for job in spec.jobs.values())
            yield Observation(f"machine.count_jobs({literal(tube)})[{literal(state)}]", number)


def _of_peeks(spec: Spec) -> Iterator[Observation]:
    for tube in (tube.name for tube in spec.tubes):
        for state, jobs in (
            ("ready", spec.ready([tube])),
            ("delayed", spec.delayed(tube)),
            ("buried", spec.buried(tube)),
        ):
            look = f"machine.peek_{state}_job({literal(tube)})"
            yield Observation(f"{look}.id", jobs[0].id) if jobs else Observation(look, NoJobInStateError)


def _of_statistics(spec: Spec) -> Iterator[Observation]:
    clock = spec.clock
    looks = [(f"machine.get_stats_as_yaml({clock})", spec.stats(clock))]
    looks += [
        (f"machine.get_stats_tube_as_yaml({clock}, {literal(tube.name)})", spec.stats_tube(clock, tube.name))
        for tube in spec.tubes
    ]
    looks += [
        (f"machine.get_stats_job_as_yaml({clock}, {job_id})", spec.stats_job(clock, job_id)) for job_id in spec.jobs
    ]
    for look, pairs in looks:
        for key, value in pairs.items():
            if type(value) is int and not key.startswith("cmd-"):  # the looks above have counted as commands
                yield Observation(f"{literal(f'{key}: {value}'.encode())} in {look}.splitlines()", True)


def _of_snapshots(spec: Spec) -> Iterator[Observation]:
    for field, value in (
        ("clock", spec.clock),
        ("next_job_id", spec.next_job_id),
        ("record_seq", len(spec.records)),
        ("next_bury_number", spec.next_bury_number),
        ("total_jobs", spec.total_jobs),
        ("job_timeouts", spec.job_timeouts),
        ("jobs", len(spec.jobs)),
        ("clients", len(spec.clients)),
    ):
        yield Observation(f"{_HEADER}.{field}", value)
    for field in ("pause_seconds", "pause_ends_at", "total_jobs", "deletes", "pauses"):
        tubes = {tube.name: getattr(tube, field) for tube in spec.tubes}
        yield Observation(f"{{tube.name: tube.{field} for tube in {_HEADER}.tubes}}", tubes)
    jobs: Mapping[str, Any] = {
        "job.id": lambda job: job.id,
        "bury_number": lambda job: job.bury_number,
    }
    stream = "machine.snapshot().snapshot_jobs()"
    for text, value_of in jobs.items():
        values = [value_of(spec.jobs[job_id]) for job_id in sorted(spec.jobs)]
        yield Observation(f"[each.{text} for each in {stream}]", values)
    waits = [(wait.client, wait.tubes, wait.deadline_at, spec.wait_ends_at(wait)) for wait in spec.waiting]
    fields = "client.client_id, client.watched_tubes, client.deadline_at, client.tick_at"
    yield Observation(
        f"[client.client_id for client in {_CLIENTS} if client.is_waiting]", [wait.client for wait in spec.waiting]
    )
    yield Observation(f"[({fields}) for client in {_CLIENTS} if client.is_waiting]", waits)
    owed = [(answer.client, answer.job_id) for answer in spec.owed]
    yield Observation(f"[(client.client_id, client.owed.job_id) for client in {_CLIENTS} if client.owed]", owed)
    references = {name: (client.uses, client.watches) for name, client in spec.clients.items()}
    yield Observation(f"{{client.client_id: (client.uses, client.watches) for client in {_CLIENTS}}}", references)


def literal(value: object) -> str:
    """A value as the source of a program, in the double quotes of a formatted one."""
    match value:
        case str() | bytes():
            text = repr(str(value) if isinstance(value, str) else value)
            prefix = "b" if isinstance(value, bytes) else ""
            inner = text.removeprefix("b")[1:-1] if prefix else text[1:-1]
            return text if '"' in inner or "\\'" in inner else f'{prefix}"{inner}"'
        case list():
            return f"[{', '.join(map(literal, value))}]"
        case tuple():
            return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
        case dict():
            return f"{{{', '.join(f'{literal(key)}: {literal(each)}' for key, each in value.items())}}}"
        case type() if issubclass(value, JsmError):
            return value.__name__
        case _:
            return repr(value)
