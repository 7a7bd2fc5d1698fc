"""Histories by hand: one operation a line, short enough to see what is wrong with them."""

from typing import Any

from models.histories import History, Operation, make_history

SECOND = 10  # time units of the histories here


def op(client: str, called_at: int, returned_at: int | None, name: str, *args: Any, to: Any = None) -> Operation:
    """An operation. `to`: a text is a refusal, a number the job (or count) that came back, None nothing.

    `returned_at` None: it never returned.
    """
    names = {
        "put": ("tube", "priority", "delay_seconds", "ttr_seconds"),
        "reserve": ("tubes", "timeout_seconds"),
        "release_with": ("job_id", "priority", "delay_seconds"),
        "bury": ("job_id", "priority"),
        "kick_n": ("tube", "n"),
        "pause_tube": ("tube", "seconds"),
        "close_client": (),
        "peek_ready_job": ("tube",),
        "peek_delayed_job": ("tube",),
        "peek_buried_job": ("tube",),
    }.get(name, ("job_id",))
    given: dict[str, Any] = dict(zip(names, args, strict=True))
    if name == "reserve":
        given["tubes"] = given["tubes"].split()
    outcome: dict[str, Any] | None
    if returned_at is None:
        outcome = None
    elif isinstance(to, str):
        outcome = {"refused": to}
    elif to is None or name in ("put", "kick_n"):
        outcome = {"ok": to}
    else:
        outcome = {"ok": {"job_id": to}}
    return Operation(client, called_at, returned_at, name, given, outcome)


def put(
    called_at: int,
    returned_at: int | None,
    job: int,
    *,
    tube: str = "t",
    priority: int = 0,
    delay: int = 0,
    ttr: int = 9,
    client: str = "producer",
) -> Operation:
    """A put that gave a job."""
    return op(client, called_at, returned_at, "put", tube, priority, delay, ttr, to=job)


def reserve(
    client: str, called_at: int, returned_at: int | None, to: Any, *, tubes: str = "t", timeout: int | None = 0
) -> Operation:
    """A reserve that gave a job, or ended in words."""
    return op(client, called_at, returned_at, "reserve", tubes, timeout, to=to)


def history(*operations: Operation) -> History:
    """The history of these."""
    return make_history(operations, units_per_second=SECOND)
