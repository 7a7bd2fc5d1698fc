"""The invariants of what the machine answers to whoever asks: statistics, peeks, views, all against a recount."""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from models.invariants_rule import LIVE, Broken, Rule, clause
from models.picture import STRANGER, Looks, Picture

if TYPE_CHECKING:
    from jsm.job import JobView

_URGENT_BELOW: Final = 1024


class Shown(NamedTuple):
    """A picture, and what the machine answered right after it was taken."""

    picture: Picture
    looks: Looks


@clause("S6")
def statistics_equal_a_recount(shown: Shown) -> bool:
    """The machine's statistics of jobs, tubes, waiting clients and totals equal a recount."""
    picture = shown.picture
    expected: dict[str, Any] = {
        "current-jobs-urgent": _urgent(picture, None),
        **_counts(picture, None),
        "job-timeouts": picture.job_timeouts,
        "total-jobs": picture.total_jobs,
        "max-job-size": picture.max_job_size,
        "current-tubes": len(picture.tubes),
        "current-waiting": len(picture.waiting),
        **{f"cmd-{name}": count + (name == "stats") for name, count in picture.commands.items()},
    }
    for key, value in expected.items():
        if shown.looks.stats.get(key) != value:
            raise Broken(f"{key}: {shown.looks.stats.get(key)}", str(value))
    return bool(picture.jobs)


@clause("S6")
def tube_statistics_equal_a_recount(shown: Shown) -> bool:
    """A tube's statistics of jobs, clients, pause and totals equal a recount; no time left is negative."""
    picture = shown.picture
    for name, tube in picture.tubes.items():
        clients = picture.clients.values()
        left = 0 if tube.pause_ends_at is None else _seconds(picture, tube.pause_ends_at - picture.clock)
        expected: dict[str, Any] = {
            "name": name,
            "current-jobs-urgent": _urgent(picture, name),
            **_counts(picture, name),
            "total-jobs": tube.total_jobs,
            "current-using": sum(client.uses == name for client in clients),
            "current-watching": sum(name in client.watches for client in clients),
            "current-waiting": sum(name in wait.watched_tubes for wait in picture.waiting),
            "cmd-delete": tube.deletes,
            "cmd-pause-tube": tube.pauses,
            "pause": tube.pause_seconds,
            "pause-time-left": left,
        }
        _compare(f"tube {name!r}", shown.looks.tubes[name], expected)
    return bool(picture.jobs)


@clause("S6 S14")
def job_statistics_equal_the_job(shown: Shown) -> bool:
    """A job's statistics show the job; its age and its time left are whole seconds, never negative."""
    picture = shown.picture
    for job_id, job in picture.jobs.items():
        ends_at = {"delayed": job.ready_at, "reserved": job.expires_at}.get(job.state, picture.clock)
        expected: dict[str, Any] = {
            "id": job_id,
            "tube": job.tube,
            "state": str(job.state),
            "pri": job.priority,
            "age": _seconds(picture, picture.clock - job.created_at),
            "delay": job.delay_seconds,
            "ttr": job.ttr_seconds,
            "time-left": _seconds(picture, ends_at - picture.clock),
            "file": 0,
            "reserves": job.reserves,
            "timeouts": job.timeouts,
            "releases": job.releases,
            "buries": job.buries,
            "kicks": job.kicks,
        }
        _compare(f"job {job_id}", shown.looks.jobs[job_id], expected)
    return bool(picture.jobs)


@clause("S25")
def a_look_at_a_job_shows_it(shown: Shown) -> bool:
    """Whoever looks at a job by its id sees it as it is, its body byte for byte."""
    for job_id, job in shown.picture.jobs.items():
        if shown.looks.views[job_id] != job:
            raise Broken(f"the look at job {job_id} shows {shown.looks.views[job_id]}", f"{job}")
    return bool(shown.picture.jobs)


@clause("S9 S10 S12")
def peeks_show_what_comes_next(shown: Shown) -> bool:
    """Peeks show the ready job of least (priority, id), the delayed of least (instant, id), the one buried first."""
    picture = shown.picture
    orders = (
        ("ready", lambda job: (job.priority, job.id)),
        ("delayed", lambda job: (job.ready_at, job.id)),
        ("buried", lambda job: (picture.bury_numbers.get(job.id, 0), job.id)),
    )
    for tube in picture.tubes:
        for (state, order), seen in zip(orders, shown.looks.peeks[tube], strict=True):
            jobs = [job for job in picture.jobs.values() if job.state == state and job.tube == tube]
            expected: JobView | None = min(jobs, key=order, default=None)
            if seen != expected:
                raise Broken(
                    f"the peek at the {state} jobs of {tube!r} shows {None if seen is None else seen.id}",
                    f"{None if expected is None else expected.id}",
                )
    return bool(picture.jobs)


@clause("S20")
def every_client_is_in_one_state(shown: Shown) -> bool:
    """A client is waiting, not waiting, or unknown, as the waits and the known clients say."""
    picture = shown.picture
    waits = {wait.client_id: True for wait in picture.waiting}
    expected = (
        [client for client in picture.clients if client in waits],
        [client for client in picture.clients if client not in waits],
        [STRANGER],
    )
    if tuple(shown.looks.clients) != expected:
        raise Broken(f"waiting, not waiting, unknown are {tuple(shown.looks.clients)}", f"{expected}")
    return bool(picture.clients)


def _compare(what: str, found: Any, expected: dict[str, Any]) -> None:
    for key, value in expected.items():
        if found.get(key) != value:
            raise Broken(f"{what}: {key}: {found.get(key)}", str(value))


def _counts(picture: Picture, tube: str | None) -> dict[str, int]:
    """The statistics of jobs by state, of all tubes or of one."""
    jobs = [job for job in picture.jobs.values() if tube in (None, job.tube)]
    return {f"current-jobs-{state}": sum(job.state == state for job in jobs) for state in LIVE}


def _urgent(picture: Picture, tube: str | None) -> int:
    return sum(
        job.state == "ready" and job.priority < _URGENT_BELOW and tube in (None, job.tube)
        for job in picture.jobs.values()
    )


def _seconds(picture: Picture, units: int) -> int:
    return max(units, 0) // picture.units_per_second


LOOK_RULES: Final[tuple[Rule[Shown], ...]] = (
    statistics_equal_a_recount,
    tube_statistics_equal_a_recount,
    job_statistics_equal_the_job,
    a_look_at_a_job_shows_it,
    peeks_show_what_comes_next,
    every_client_is_in_one_state,
)
"""What holds of the answers to looks."""
