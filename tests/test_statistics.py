"""The statistics are byte for byte what beanstalkd prints, with real numbers in every place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jsm.errors import BadValueError
from jsm.job import ClientID, JobID, JobView, TubeName
from jsm.states import LIVE_STATES, JobState
from jsm.statistics import (
    COMMAND_NAMES,
    PROCESS_KEYS,
    MachineStatistics,
    ProcessValue,
    TubeStatistics,
    format_stats,
    format_stats_job,
    format_stats_tube,
    get_statistics,
)

UNITS = 1_000_000

JOB = JobView(
    id=JobID(2),
    tube=TubeName("default"),
    body=b"x",
    priority=5,
    delay_seconds=3,
    ttr_seconds=60,
    state=JobState.RESERVED,
    created_at=100,
    ready_at=0,
    expires_at=170,
    buried_at=0,
    reserved_by=ClientID("a"),
    reserves=11,
    timeouts=12,
    releases=13,
    buries=14,
    kicks=15,
)

TUBE = TubeStatistics(
    name="a-b",
    urgent=1,
    ready=2,
    reserved=3,
    delayed=4,
    buried=5,
    total_jobs=6,
    using=7,
    watching=8,
    waiting=9,
    deletes=10,
    pauses=11,
    pause_seconds=12,
    pause_ends_at=112,
)

MACHINE = MachineStatistics(
    urgent=1,
    ready=2,
    reserved=3,
    delayed=4,
    buried=5,
    commands={name: 100 + place for place, name in enumerate(COMMAND_NAMES)},
    job_timeouts=6,
    total_jobs=7,
    max_job_size=65_535,
    tubes=8,
    waiting=9,
)

# The layout of a running server's answer to `stats` (HEAD of 2025), numbers and names replaced.
STATS = b"""\
---
current-jobs-urgent: 1
current-jobs-ready: 2
current-jobs-reserved: 3
current-jobs-delayed: 4
current-jobs-buried: 5
cmd-put: 100
cmd-peek: 101
cmd-peek-ready: 102
cmd-peek-delayed: 103
cmd-peek-buried: 104
cmd-reserve: 105
cmd-reserve-with-timeout: 106
cmd-delete: 107
cmd-release: 108
cmd-use: 109
cmd-watch: 110
cmd-ignore: 111
cmd-bury: 112
cmd-kick: 113
cmd-touch: 114
cmd-stats: 115
cmd-stats-job: 116
cmd-stats-tube: 117
cmd-list-tubes: 118
cmd-list-tube-used: 119
cmd-list-tubes-watched: 120
cmd-pause-tube: 121
job-timeouts: 6
total-jobs: 7
max-job-size: 65535
current-tubes: 8
current-connections: 10
current-producers: 11
current-workers: 12
current-waiting: 9
total-connections: 13
pid: 14
version: "1.13"
rusage-utime: 0.002066
rusage-stime: 12.500000
uptime: 15
binlog-oldest-index: 16
binlog-current-index: 17
binlog-records-migrated: 18
binlog-records-written: 19
binlog-max-size: 20
draining: true
id: b6cae4b5264c83b5
hostname: "vm"
os: "#1 SMP PREEMPT_DYNAMIC @0"
platform: "x86_64"
"""

PROCESS: dict[str, ProcessValue] = {
    "current-connections": 10,
    "current-producers": 11,
    "current-workers": 12,
    "total-connections": 13,
    "pid": 14,
    "version": "1.13",
    "rusage-utime": 0.002066,
    "rusage-stime": 12.5,
    "uptime": 15,
    "binlog-oldest-index": 16,
    "binlog-current-index": 17,
    "binlog-records-migrated": 18,
    "binlog-records-written": 19,
    "binlog-max-size": 20,
    "draining": True,
    "id": "b6cae4b5264c83b5",
    "hostname": "vm",
    "os": "#1 SMP PREEMPT_DYNAMIC @0",
    "platform": "x86_64",
}


def time_left(now: int, job: JobView, units_per_second: int = 1) -> int | str:
    return get_statistics(now, job, units_per_second=units_per_second)["time-left"]


def lines_of(body: bytes) -> dict[str, str]:
    shown = {}
    for line in body.decode().splitlines()[1:]:
        key, value = line.split(": ", 1)
        shown[key] = value
    return shown


def test_stats_job_has_every_number_in_its_place() -> None:
    assert format_stats_job(110, JOB, 1) == (
        b'---\nid: 2\ntube: "default"\nstate: reserved\npri: 5\nage: 10\ndelay: 3\nttr: 60\ntime-left: 60\nfile: 0\n'
        b"reserves: 11\ntimeouts: 12\nreleases: 13\nburies: 14\nkicks: 15\n"
    )


def test_stats_job_equals_a_recorded_reply() -> None:
    recorded = (
        b'OK 150\r\n---\nid: 2\ntube: "default"\nstate: reserved\npri: 0\nage: 1\ndelay: 0\nttr: 60\ntime-left: 58\n'
        b"file: 0\nreserves: 1\ntimeouts: 0\nreleases: 0\nburies: 0\nkicks: 0\n\r\n"
    )
    job = JobView(
        JobID(2),
        TubeName("default"),
        b"",
        0,
        0,
        60,
        JobState.RESERVED,
        created_at=0,
        ready_at=0,
        expires_at=60 * UNITS + 5,
        buried_at=0,
        reserved_by=ClientID("a"),
        reserves=1,
        timeouts=0,
        releases=0,
        buries=0,
        kicks=0,
    )
    body = format_stats_job(UNITS + 6, job, UNITS)
    assert b"OK %d\r\n%s\r\n" % (len(body), body) == recorded


def test_stats_tube_has_every_number_in_its_place() -> None:
    assert format_stats_tube(110, TUBE, 1) == (
        b'---\nname: "a-b"\ncurrent-jobs-urgent: 1\ncurrent-jobs-ready: 2\ncurrent-jobs-reserved: 3\n'
        b"current-jobs-delayed: 4\ncurrent-jobs-buried: 5\ntotal-jobs: 6\ncurrent-using: 7\ncurrent-watching: 8\n"
        b"current-waiting: 9\ncmd-delete: 10\ncmd-pause-tube: 11\npause: 12\npause-time-left: 2\n"
    )


def test_stats_tube_has_the_size_of_a_recorded_reply() -> None:
    fresh = TubeStatistics("default", 0, 0, 0, 0, 0, 1, 2, 2, 0, 1, 0, 0, None)
    assert len(format_stats_tube(0, fresh, 1)) == 267


def test_stats_has_every_number_in_its_place() -> None:
    assert format_stats(MACHINE, PROCESS) == STATS


def test_stats_without_a_process_shows_the_defaults() -> None:
    shown = lines_of(format_stats(MACHINE, None))
    assert list(shown) == list(lines_of(STATS))
    assert shown["draining"] == "false"
    assert shown["pid"] == "0"
    assert shown["version"] == '""'
    assert shown["id"] == "0000000000000000"
    assert shown["rusage-utime"] == "0.000000"
    assert format_stats(MACHINE, dict(PROCESS_KEYS)) == format_stats(MACHINE, None)


def test_stats_needs_every_counter_of_the_machine() -> None:
    with pytest.raises(KeyError):
        format_stats(MACHINE._replace(commands={"put": 1}), None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pids", 1),
        ("current-waiting", 1),  # the machine knows it, nobody else may say it
        ("pid", "1"),
        ("pid", -1),
        ("pid", True),
        ("pid", 1.0),
        ("uptime", 1.5),
        ("rusage-utime", "1"),
        ("rusage-utime", -0.1),
        ("rusage-utime", float("nan")),
        ("rusage-utime", float("inf")),
        ("rusage-utime", True),
        ("rusage-stime", 10**400),
        ("draining", 1),
        ("draining", "true"),
        ("hostname", 5),
        ("hostname", 'a"b'),
        ("os", "a\nb"),
        ("os", "a\\b"),
        ("platform", "\ud800"),
        ("id", ""),
        ("id", "a b"),
    ],
)
def test_stats_refuses_a_bad_process_value_and_names_it(key: str, value: ProcessValue) -> None:
    with pytest.raises(BadValueError, match=key):
        format_stats(MACHINE, {key: value})


def test_whole_seconds_of_processor_time_may_be_given_as_an_integer() -> None:
    assert b"rusage-utime: 3.000000\n" in format_stats(MACHINE, {"rusage-utime": 3})


def test_time_left_is_that_of_the_state() -> None:
    job = JOB._replace(ready_at=150, expires_at=170)
    assert time_left(110, job._replace(state=JobState.RESERVED)) == 60
    assert time_left(110, job._replace(state=JobState.DELAYED)) == 40
    assert time_left(110, job._replace(state=JobState.READY)) == 0
    assert time_left(110, job._replace(state=JobState.BURIED)) == 0


def test_seconds_are_rounded_down_one_unit_before_at_and_after() -> None:
    job = JOB._replace(created_at=UNITS, expires_at=3 * UNITS)
    ages = [get_statistics(2 * UNITS + d, job, units_per_second=UNITS)["age"] for d in (-1, 0, 1)]
    assert ages == [0, 1, 1]
    assert [time_left(2 * UNITS + d, job, UNITS) for d in (-1, 0, 1)] == [1, 1, 0]
    assert [time_left(3 * UNITS + d, job, UNITS) for d in (-1, 0, 1)] == [0, 0, 0]


def test_an_overdue_job_and_a_clock_before_its_creation_show_no_negative_number() -> None:
    assert time_left(1_000, JOB) == 0
    assert get_statistics(50, JOB)["age"] == 0


def test_a_pause_shows_until_a_tick_ends_it() -> None:
    shown = [lines_of(format_stats_tube(112 + d, TUBE, 1)) for d in (-1, 0, 1)]
    assert [line["pause"] for line in shown] == ["12", "12", "12"]
    assert [line["pause-time-left"] for line in shown] == ["1", "0", "0"]
    unpaused = lines_of(format_stats_tube(0, TUBE._replace(pause_seconds=0, pause_ends_at=None), 1))
    assert (unpaused["pause"], unpaused["pause-time-left"]) == ("0", "0")


def test_the_last_fraction_of_a_pause_still_counts_as_paused() -> None:
    shown = lines_of(format_stats_tube(112 * UNITS - 1, TUBE._replace(pause_ends_at=112 * UNITS), UNITS))
    assert (shown["pause"], shown["pause-time-left"]) == ("12", "0")


@settings(deadline=None)
@given(
    now=st.integers(0, 2**70),
    created_at=st.integers(0, 2**70),
    ends_at=st.integers(0, 2**70),
    state=st.sampled_from(LIVE_STATES),
    units=st.sampled_from((1, 10, UNITS)),
)
def test_durations_are_whole_and_never_negative(
    now: int, created_at: int, ends_at: int, state: JobState, units: int
) -> None:
    job = JOB._replace(created_at=created_at, expires_at=ends_at, ready_at=ends_at, state=state)
    shown = lines_of(format_stats_job(now, job, units))
    assert int(shown["age"]) == max(0, (now - created_at) // units)
    left = max(0, (ends_at - now) // units) if state in (JobState.DELAYED, JobState.RESERVED) else 0
    assert int(shown["time-left"]) == left
