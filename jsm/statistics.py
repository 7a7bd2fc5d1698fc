"""The three statistics of the protocol, as beanstalkd prints them: `stats-job`, `stats-tube`, `stats`.

Pure formatting: whoever counts (the machine, the server) passes the numbers in. A text is the *body* of the
server's answer, from `---` to the last line feed, without the `OK` line and the closing carriage return and
line feed. Names are quoted (`name: "x"`), keys stand in beanstalkd's order. Durations are whole seconds,
rounded down; an age or a time left is never negative.

Source: beanstalkd `doc/protocol.txt`, commands `stats-job`, `stats-tube`, `stats`; the layout is that of
its present replies (release 1.12 prints the same lines, names without their quotes).
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from jsm.errors import BadValueError
from jsm.job import JobView
from jsm.states import JobState

COMMAND_NAMES: Final = (
    "put",
    "peek",
    "peek-ready",
    "peek-delayed",
    "peek-buried",
    "reserve",
    "reserve-with-timeout",
    "delete",
    "release",
    "use",
    "watch",
    "ignore",
    "bury",
    "kick",
    "touch",
    "stats",
    "stats-job",
    "stats-tube",
    "list-tubes",
    "list-tube-used",
    "list-tubes-watched",
    "pause-tube",
)
"""The commands that `stats` counts, in its order; its keys are these with `cmd-` in front."""

ProcessValue = int | float | str | bool
"""What `process` may hold: counts, seconds of processor time, names, and whether the server drains."""

PROCESS_KEYS: Final[Mapping[str, ProcessValue]] = MappingProxyType(
    {
        "current-connections": 0,
        "current-producers": 0,  # connections that have put
        "current-workers": 0,  # connections that have reserved
        "total-connections": 0,
        "pid": 0,
        "version": "",
        "rusage-utime": 0.0,  # seconds
        "rusage-stime": 0.0,  # seconds
        "uptime": 0,  # whole seconds
        "binlog-oldest-index": 0,
        "binlog-current-index": 0,
        "binlog-records-migrated": 0,
        "binlog-records-written": 0,
        "binlog-max-size": 10_485_760,  # bytes
        "draining": False,
        "id": "0000000000000000",  # of the server process: random there, so given and never drawn here
        "hostname": "",
        "os": "",
        "platform": "",
    }
)
"""What only the process around a machine knows, each with the value that `stats` shows when it isn't given."""

_SECONDS_LIMIT = 2**63  # of processor time; also refuses infinities and what is not a number
_PLAIN_TEXT = re.compile(r"[^\x00-\x1f\x7f\"\\\ud800-\udfff]*")
_IDENTIFIER = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)


class TubeStatistics(NamedTuple):
    """What `stats-tube` tells of a tube."""

    name: str
    urgent: int  # ready jobs with a priority below 1024
    ready: int
    reserved: int
    delayed: int
    buried: int
    total_jobs: int  # jobs put into the tube since it exists
    using: int
    watching: int
    waiting: int
    deletes: int
    pauses: int
    pause_seconds: int  # as asked for
    pause_ends_at: int | None  # in time units; None: not paused


class MachineStatistics(NamedTuple):
    """What `stats` tells of a machine."""

    urgent: int
    ready: int
    reserved: int
    delayed: int
    buried: int
    commands: Mapping[str, int]  # by the names of `COMMAND_NAMES`, all of them
    job_timeouts: int
    total_jobs: int
    max_job_size: int
    tubes: int
    waiting: int


def get_statistics(now: int, job: JobView, *, units_per_second: int = 1) -> dict[str, int | str]:
    """The statistics of a job at `now` (time units), by key in the order of `stats-job`.

    `time-left` is the rest of a delay or of a ttr, 0 in the other states and when it is overdue; `file` is 0,
    since the machine has no binlog.
    """
    return {
        "id": job.id,
        "tube": job.tube,
        "state": str(job.state),
        "pri": job.priority,
        "age": _whole_seconds(now - job.created_at, units_per_second),
        "delay": job.delay_seconds,
        "ttr": job.ttr_seconds,
        "time-left": _time_left(now, job, units_per_second),
        "file": 0,
        "reserves": job.reserves,
        "timeouts": job.timeouts,
        "releases": job.releases,
        "buries": job.buries,
        "kicks": job.kicks,
    }


def format_stats_job(now: int, job: JobView, units_per_second: int) -> bytes:
    """The body of the answer to `stats-job` at `now` (time units)."""
    lines = ["---\n"]
    for key, value in get_statistics(now, job, units_per_second=units_per_second).items():
        lines.append(f'{key}: "{value}"\n' if key == "tube" else f"{key}: {value}\n")
    return "".join(lines).encode("ascii")


def format_stats_tube(now: int, tube: TubeStatistics, units_per_second: int) -> bytes:
    """The body of the answer to `stats-tube` at `now` (time units).

    `pause` is the length of the running pause as asked for. One whose end is reached runs on until the tick that
    ends it, with 0 seconds left.
    """
    pause_left = 0 if tube.pause_ends_at is None else _whole_seconds(tube.pause_ends_at - now, units_per_second)
    return (
        f'---\nname: "{tube.name}"\n'
        f"current-jobs-urgent: {tube.urgent}\n"
        f"current-jobs-ready: {tube.ready}\n"
        f"current-jobs-reserved: {tube.reserved}\n"
        f"current-jobs-delayed: {tube.delayed}\n"
        f"current-jobs-buried: {tube.buried}\n"
        f"total-jobs: {tube.total_jobs}\n"
        f"current-using: {tube.using}\n"
        f"current-watching: {tube.watching}\n"
        f"current-waiting: {tube.waiting}\n"
        f"cmd-delete: {tube.deletes}\n"
        f"cmd-pause-tube: {tube.pauses}\n"
        f"pause: {tube.pause_seconds}\n"
        f"pause-time-left: {pause_left}\n"
    ).encode("ascii")


def format_stats(statistics: MachineStatistics, process: Mapping[str, ProcessValue] | None) -> bytes:
    """The body of the answer to `stats`.

    `process` gives what the machine can't know, by the names of `PROCESS_KEYS`; what it leaves out has the
    value there. Raises `BadValueError` for another key, a wrong type, or a text that YAML would read otherwise.
    """
    texts = _process_texts(process)
    lines = [
        "---",
        f"current-jobs-urgent: {statistics.urgent}",
        f"current-jobs-ready: {statistics.ready}",
        f"current-jobs-reserved: {statistics.reserved}",
        f"current-jobs-delayed: {statistics.delayed}",
        f"current-jobs-buried: {statistics.buried}",
        *(f"cmd-{name}: {statistics.commands[name]}" for name in COMMAND_NAMES),
        f"job-timeouts: {statistics.job_timeouts}",
        f"total-jobs: {statistics.total_jobs}",
        f"max-job-size: {statistics.max_job_size}",
        f"current-tubes: {statistics.tubes}",
    ]
    for key, text in texts.items():
        if key == "total-connections":  # beanstalkd lists the waiting clients among the connections
            lines.append(f"current-waiting: {statistics.waiting}")
        lines.append(f"{key}: {text}")
    return ("\n".join(lines) + "\n").encode()


def _whole_seconds(units: int, units_per_second: int) -> int:
    """A duration rounded down to whole seconds; 0 when negative."""
    return units // units_per_second if units > 0 else 0


def _time_left(now: int, job: JobView, units_per_second: int) -> int:
    """The seconds until the job's delay or ttr ends; 0 in the states that have neither."""
    if job.state is JobState.DELAYED:
        return _whole_seconds(job.ready_at - now, units_per_second)
    if job.state is JobState.RESERVED:
        return _whole_seconds(job.expires_at - now, units_per_second)
    return 0


def _process_texts(process: Mapping[str, ProcessValue] | None) -> dict[str, str]:
    """The text that `stats` shows for every key of `PROCESS_KEYS`."""
    given = {} if process is None else process
    for key in given:
        if key not in PROCESS_KEYS:
            raise BadValueError("process", key, f"one of the keys {', '.join(PROCESS_KEYS)}")
    return {
        key: _process_text(f"process[{key!r}]", key, given.get(key, default)) for key, default in PROCESS_KEYS.items()
    }


def _process_text(field: str, key: str, value: ProcessValue) -> str:
    """One value as `stats` shows it; the type of the key's default says what it has to be."""
    default = PROCESS_KEYS[key]
    if isinstance(default, bool):
        if type(value) is not bool:
            raise BadValueError(field, value, "True or False")
        return "true" if value else "false"
    if isinstance(default, int):
        if type(value) is not int or value < 0:
            raise BadValueError(field, value, "an integer of at least 0")
        return str(value)
    if isinstance(default, float):
        if not isinstance(value, int | float) or type(value) is bool or not 0 <= value < _SECONDS_LIMIT:
            raise BadValueError(field, value, "a number of seconds from 0 to below 2^63")
        return f"{value:.6f}"
    if type(value) is not str:
        raise BadValueError(field, value, "a text")
    if key == "id":  # the one text that beanstalkd prints without quotes
        if _IDENTIFIER.fullmatch(value) is None:
            raise BadValueError(field, value, "1 to 64 letters and digits")
        return value
    if _PLAIN_TEXT.fullmatch(value) is None:
        raise BadValueError(field, value, "a text without control characters, double quotes and backslashes")
    return f'"{value}"'
