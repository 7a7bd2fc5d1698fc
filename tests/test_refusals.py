"""Refusals: each operation's faults change nothing, wrong types are named, each cause has a class of its own."""

from typing import Any

import pytest

from jsm.errors import (
    BadValueError,
    BodyTooBigError,
    ClientIsWaitingError,
    IllegalTransitionError,
    InvalidReservationTimeoutError,
    JsmError,
    LastWatchedTubeError,
    NoJobInStateError,
    NoReservationFoundError,
    NotOwnerError,
    StoppedError,
    UnknownJobError,
    UnknownTubeError,
)
from tests.machines import full_machine, outcome, state_but_commands
from tests.refusals import CLOCK, HELD, READY, TABLE, double_faults, good_calls, single_faults


@pytest.mark.parametrize("op", TABLE)
def test_a_refused_call_changes_nothing(op: str) -> None:
    machine = full_machine()
    before, due = state_but_commands(machine), machine.next_tick_at()
    for spoilt in [*single_faults(op), *double_faults(op)]:
        with pytest.raises(JsmError) as refused:
            getattr(machine, op)(**spoilt.call.kwargs)
        assert refused.value.refusal == spoilt.category, spoilt
        assert state_but_commands(machine) == before, spoilt
        assert machine.next_tick_at() == due, spoilt


OPTIONAL_NOW = {
    "delete", "release", "kick", "kick_n", "peek_ready_job", "peek_delayed_job", "peek_buried_job", "get_job",
    "cancel_reservation", "use_tube", "watch_tube", "ignore_tube", "close_client", "check_client_state", "get_tubes",
}  # fmt: skip
"""The operations of the seed that have no `now`."""

VALUES: list[Any] = [True, 1.0, "1", None, b"1", [1]]
RIGHT_TYPE: dict[str, list[Any]] = {
    "body": [b"1"],
    "client_id": ["1"],
    "deadline_at": [None],
    "request_id": ["1"],
    "tube": ["1"],
}
"""The values that are no fault of the field."""

WRONG_TYPES = [
    (op, field, value)
    for op, (good, _, _) in TABLE.items()
    for field in good
    for value in VALUES
    if not any(value is right or value == right != 1 for right in RIGHT_TYPE.get(field, []))
    if not (field == "now" and value is None and op in OPTIONAL_NOW)
]
NAMED = {"tubes": {"tubes", "tube"}, "client_ids": {"client_ids", "client_id"}}
"""A list is refused as a whole or for what stands in it."""


@pytest.mark.parametrize(("op", "field", "value"), WRONG_TYPES)
def test_an_argument_of_a_wrong_type_is_refused_by_name(op: str, field: str, value: Any) -> None:
    machine = full_machine()
    before = state_but_commands(machine)
    with pytest.raises(BadValueError) as refused:
        getattr(machine, op)(**(TABLE[op][0] | {field: value}))
    assert refused.value.field in NAMED.get(field, {field})
    assert refused.value.field in str(refused.value)
    assert state_but_commands(machine) == before


REFUSED: list[tuple[type[JsmError], str, tuple[Any, ...], dict[str, Any]]] = [
    (UnknownJobError, "delete", (99, "a"), {}),
    (UnknownTubeError, "peek_ready_job", ("nowhere",), {}),
    (UnknownTubeError, "pause_tube", (CLOCK, "nowhere", 1), {}),
    (NoJobInStateError, "peek_ready_job", ("q",), {}),
    (IllegalTransitionError, "kick", (READY,), {}),
    (IllegalTransitionError, "touch", (CLOCK, READY, "a"), {}),
    (NotOwnerError, "delete", (HELD, "b"), {}),
    (NoReservationFoundError, "reserve_job", (CLOCK, HELD, "b"), {}),
    (LastWatchedTubeError, "ignore_tube", ("w", "only"), {}),
    (ClientIsWaitingError, "cancel_reservation", ("c",), {}),
    (
        ClientIsWaitingError,
        "append_reservation",
        (CLOCK, "b"),
        {"request_id": "", "tubes": ["t"], "deadline_at": None},
    ),
    (
        InvalidReservationTimeoutError,
        "append_reservation",
        (CLOCK, "e"),
        {"request_id": "", "tubes": ["t"], "deadline_at": CLOCK - 1},
    ),
    (
        BodyTooBigError,
        "put",
        (CLOCK,),
        {"priority": 0, "delay_seconds": 0, "ttr_seconds": 1, "body": bytes(65536), "tube": "t"},
    ),
]


@pytest.mark.parametrize(("error", "op", "args", "kwargs"), REFUSED, ids=lambda part: getattr(part, "__name__", None))
def test_each_refusal_has_its_own_class(
    error: type[JsmError], op: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(JsmError) as refused:
        getattr(full_machine(), op)(*args, **kwargs)
    assert type(refused.value) is error


def test_a_stopped_machine_refuses_every_call_before_it_looks_at_it() -> None:
    machine = full_machine()
    machine.stop()
    for op in TABLE:
        for spoilt in [*single_faults(op), *(good for good in good_calls() if good.call.op == op)]:
            assert outcome(machine, spoilt.call)[0] == "StoppedError", spoilt
    for again in (machine.stop, machine.snapshot, machine.next_tick_at):
        with pytest.raises(StoppedError):
            again()
