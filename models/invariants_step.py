"""One step, as the invariants see it: a call with its arguments by name, its answers in one form, its records."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from jsm.records import TransitionRecord
from models.picture import Picture

POSITIONAL: Final[Mapping[str, tuple[str, ...]]] = {
    "put": ("now",),
    "delete": ("job_id", "client_id"),
    "release": ("job_id", "client_id"),
    "release_with": ("now", "job_id", "client_id"),
    "touch": ("now", "job_id", "client_id"),
    "bury": ("now", "job_id", "client_id"),
    "kick": ("job_id",),
    "kick_n": ("tube", "n"),
    "peek_ready_job": ("tube",),
    "peek_delayed_job": ("tube",),
    "peek_buried_job": ("tube",),
    "get_job": ("job_id",),
    "append_reservation": ("now", "client_id"),
    "reserve_job": ("now", "job_id", "client_id"),
    "cancel_reservation": ("client_id",),
    "tick": ("now",),
    "pause_tube": ("now", "tube", "seconds"),
    "use_tube": ("client_id", "tube"),
    "watch_tube": ("client_id", "tube"),
    "ignore_tube": ("client_id", "tube"),
    "close_client": ("client_id",),
    "check_client_state": ("client_ids",),
    "get_tubes": (),
    "get_stats_job_as_yaml": ("now", "job_id"),
    "get_stats_tube_as_yaml": ("now", "tube"),
    "get_stats_as_yaml": ("now", "process"),
    "count_command": ("name",),
    "stop": (),
}
"""The operations, and the parameters that a call may give by their place."""

LOOKS: Final = (
    *("peek_ready_job", "peek_delayed_job", "peek_buried_job", "get_job", "check_client_state", "get_tubes"),
    *("get_stats_job_as_yaml", "get_stats_tube_as_yaml", "get_stats_as_yaml", "count_command", "next_tick_at"),
)
"""The operations that change no job, tube or client; `next_tick_at` is one that counts and records nothing."""

MATCHED, DEADLINE_SOON, TIMEOUT, QUEUED = "matched", "deadline-soon", "timeout", "queued"

_STATUSES: Final[Mapping[Any, str]] = {
    **dict.fromkeys((3, "matched", "Matched"), MATCHED),
    **dict.fromkeys((2, "deadline-soon", "DeadlineSoon"), DEADLINE_SOON),
    **dict.fromkeys((4, "timeout", "Timeout"), TIMEOUT),
    **dict.fromkeys((1, "queued", "Queued"), QUEUED),
}


class Told(NamedTuple):
    """An answer to a request for a job, whatever form it came in; the body is None where the form has none."""

    request_id: str
    client: str
    status: str
    job: int
    body: bytes | None


class Step:
    """What one call, or several, did: two pictures, the records between them, and how the call ended.

    `outcome` is `{"ok": value}` or `{"refused": category}`; the value may be the machine's own, that value as
    `models.calls.plain` gives it, or as a command record carries it.
    """

    __slots__ = (
        "after",
        "args",
        "before",
        "changed",
        "matches",
        "moves",
        "now",
        "op",
        "records",
        "refused",
        "told",
        "value",
    )

    def __init__(
        self,
        before: Picture,
        op: str,
        args: Mapping[str, Any],
        outcome: Mapping[str, Any],
        records: Sequence[TransitionRecord],
        after: Picture,
    ) -> None:
        self.before = before
        self.op = op
        self.args = args
        self.refused: str | None = outcome.get("refused")
        self.value = outcome.get("ok")
        self.records = records
        self.after = after
        given = args.get("now")
        self.now: int = before.clock if given is None else given
        self.told = [] if self.refused else _told(op, args, self.value)
        moves: dict[int, list[TransitionRecord]] = {}
        for record in records:
            moves.setdefault(record[2], []).append(record)
        self.moves = moves  # by job
        self.matches: list[Any] | None = None  # what `models.invariants_waits` worked out of it, for its next rule
        old = before.jobs.get
        # Every job after the step that is not as it was, and what it was; None: it is new.
        self.changed = [(old(number), job) for number, job in after.jobs.items() if old(number) != job]


def arguments(op: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """A call's arguments by name."""
    return {**dict(zip(POSITIONAL.get(op, ()), args, strict=False)), **kwargs} if args else kwargs


def _told(op: str, args: Mapping[str, Any], value: Any) -> list[Told]:
    if op == "tick":
        return [_answer(each) for each in value or ()]
    if op in ("append_reservation", "reserve_job"):
        return [_answer(value)] if value else [Told("", args["client_id"], "nothing", 0, None)]
    return []


def _answer(value: Any) -> Told:
    if isinstance(value, Mapping):
        return Told(
            value["request_id"], value["client_id"], _STATUSES.get(value["status"], "unknown"), value["job_id"], None
        )
    return Told(value[0], value[1], _STATUSES.get(value[2], str(value[2])), value[3], value[4])
