"""The calls that are to be refused for their values: machine and specification refuse each, and for that."""

import pytest

from jsm.errors import JsmError
from jsm.machine import Machine
from jsm.relative_key import NOW
from models.bad_values import BAD_VALUES
from models.calls import Call, run_spec
from models.explorer import explore
from models.scope import OPERATIONS, SCOPES
from models.spec import Spec
from models.spec_world import Refused
from tests.mutants.value_faults import (
    EmptyClientOwnsAll,
    KickCountWraps,
    LooseIds,
    NumbersWrap,
    TimeGoesBack,
    TtrZeroStays,
)

ACCEPTED = Call("kick_n", ("9-+/;.$_()aZ", 1))
HELD = (
    Call("put", (NOW,), {"priority": 0, "delay_seconds": 0, "ttr_seconds": 9, "body": b"", "tube": "default"}),
    Call("reserve_job", (NOW, 1, "a")),
)
"""Calls after which the owner of job 1 is refused nothing but bad values."""


@pytest.mark.parametrize("call", BAD_VALUES, ids=str)
def test_both_refuse_it_for_the_same_reason(call: Call) -> None:
    machine, spec = Machine(), Spec()
    for held in HELD:
        getattr(machine, held.op)(*held.args, **held.kwargs)
        run_spec(spec, held)
    if call == ACCEPTED:
        assert getattr(machine, call.op)(*call.args, **call.kwargs) == run_spec(spec, call) == 0
        return
    with pytest.raises(JsmError) as by_machine:
        getattr(machine, call.op)(*call.args, **call.kwargs)
    with pytest.raises(Refused) as by_spec:
        run_spec(spec, call)
    assert str(by_machine.value.refusal) == by_spec.value.category
    assert by_spec.value.category in ("bad-value", "empty-client", "time-backwards", "missing")


def test_every_operation_that_takes_values_is_there() -> None:
    assert {call.op for call in BAD_VALUES} >= set(OPERATIONS) - {"kick", "reload"}
    assert len({str(call) for call in BAD_VALUES}) == len(BAD_VALUES)


@pytest.mark.parametrize(
    "machine",
    [NumbersWrap, KickCountWraps, EmptyClientOwnsAll, LooseIds, TimeGoesBack, TtrZeroStays],
    ids=lambda m: m.__name__,
)
def test_a_machine_that_takes_them_is_found_out(machine: type[Machine]) -> None:
    scope = SCOPES["tiny"].but(bad_values=True, operations=("put", "reserve_job", "tick"), late=False)
    assert explore(scope).verdict == "holds"
    result = explore(scope, make_machine=machine)
    assert result.verdict == "violated"
    assert result.counterexample is not None
