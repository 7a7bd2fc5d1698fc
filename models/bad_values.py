"""Calls that are to be refused for their values, whatever the state: what the bounds of a world leave out."""

from typing import Any, Final

from jsm.image import request_of
from jsm.limits import MAX_JOB_SIZE
from jsm.relative_key import NOW
from models.calls import Call

_PUT: Final = {"priority": 0, "delay_seconds": 0, "ttr_seconds": 1, "body": b"", "tube": "default"}
_ASK: Final[dict[str, Any]] = {"request_id": request_of("a"), "tubes": ("default",), "deadline_at": None}
_BAD_NAME: Final = "-t"
_GOOD_NAME: Final = "9-+/;.$_()aZ"  # of no tube
_TOO_GREAT: Final = 2**32
BAD_VALUES: Final = (
    *(
        Call("put", (NOW,), {**_PUT, name: value})
        for name, value in (
            ("priority", -1), ("priority", _TOO_GREAT), ("delay_seconds", -1), ("delay_seconds", _TOO_GREAT),
            ("ttr_seconds", -1), ("ttr_seconds", _TOO_GREAT), ("tube", ""), ("tube", _BAD_NAME), ("tube", "t" * 201),
            ("body", bytes(MAX_JOB_SIZE + 1)),
        )
    ),
    Call("put", (NOW - 1,), _PUT),
    Call("release_with", (NOW, 1, "a"), {"priority": _TOO_GREAT, "delay_seconds": 0}),
    Call("release_with", (NOW, 1, "a"), {"priority": 0, "delay_seconds": -1}),
    Call("bury", (NOW, 1, "a"), {"priority": -1}),
    *(
        Call("append_reservation", (NOW, "a"), {**_ASK, name: value})
        for name, value in (
            ("deadline_at", NOW - 1), ("tubes", ()), ("tubes", (_BAD_NAME,)), ("tubes", ("default", "")),
        )
    ),
    Call("append_reservation", (NOW, ""), _ASK),
    Call("delete", (True, "a")),
    *(Call(op, (1, "")) for op in ("delete", "release")),
    *(Call(op, (NOW, 1, "")) for op in ("touch", "reserve_job")),
    *(Call(op, ("",)) for op in ("cancel_reservation", "close_client")),
    *(Call(op, (NOW - 1, 1, "a")) for op in ("touch", "reserve_job")),
    Call("tick", (NOW - 1,)),
    Call("kick_n", ("default", -1)),
    Call("kick_n", (_BAD_NAME, 1)),
    Call("kick_n", (_GOOD_NAME, 1)),  # accepted, and does nothing
    Call("pause_tube", (NOW, "default", -1)),
    Call("pause_tube", (NOW, "default", _TOO_GREAT)),
    Call("pause_tube", (NOW, "nowhere", 1)),
    *(Call(op, ("a", _BAD_NAME)) for op in ("use_tube", "watch_tube", "ignore_tube")),
    *(Call(op, ("", "default")) for op in ("use_tube", "watch_tube", "ignore_tube")),
    *(Call(f"peek_{state}_job", (_GOOD_NAME,)) for state in ("ready", "delayed", "buried")),
    Call("get_stats_tube_as_yaml", (NOW, _GOOD_NAME)),
    Call("count_command", ("fly",)),
)  # fmt: skip
"""On a state whose clock is `NOW` and whose jobs are numbered from 1 on; the machine has the default limits."""

TTR_RAISED: Final = Call("put", (NOW,), {**_PUT, "ttr_seconds": 0})
"""A put whose ttr is raised to a second: the one value out of bounds that is taken."""
