"""Refusals: their order, their wire replies, what they say, and what stands outside."""

import pytest

from jsm import errors
from jsm.errors import BadValueError, EntryMissingError, InvariantViolation, JsmError, Refusal, ResultError
from jsm.machine import Machine
from tests.machines import full_machine
from tests.refusals import PRECEDENCE

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, JsmError)]


def test_categories_stand_in_the_order_of_precedence() -> None:
    assert [str(kind) for kind in Refusal] == ["stopped", *PRECEDENCE]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_refusal_has_a_category_and_a_reply_that_a_client_knows(kind: type[JsmError]) -> None:
    assert kind.refusal in Refusal
    assert kind.wire_reply in {"BAD_FORMAT", "NOT_FOUND", "JOB_TOO_BIG", "NOT_IGNORED", "INTERNAL_ERROR"}


def test_a_missing_owner_and_a_missing_job_look_the_same_on_the_wire() -> None:
    assert {errors.NotOwnerError.wire_reply, errors.UnknownJobError.wire_reply} == {"NOT_FOUND"}
    assert errors.IllegalTransitionError.wire_reply == "NOT_FOUND"


def test_refusals_are_also_of_pythons_own_kinds() -> None:
    assert issubclass(BadValueError, ValueError)
    assert issubclass(EntryMissingError, LookupError)


def test_a_bad_value_names_field_value_and_remedy_on_one_short_line() -> None:
    error = BadValueError("tube", "x" * 5000, "a name")
    assert (error.field, error.expected) == ("tube", "a name")
    assert str(error).startswith("tube = 'xxx")
    assert len(str(error)) < 130
    assert "\n" not in str(BadValueError("tube", "a\nb", "a name"))


def test_refusals_carry_their_fields() -> None:
    machine = full_machine()
    with pytest.raises(errors.TimeBackwardsError) as early:
        machine.tick(3)
    assert (early.value.now, early.value.clock) == (3, 10)
    with pytest.raises(errors.IllegalTransitionError) as illegal:
        machine.kick(2)  # type: ignore[arg-type]
    assert (illegal.value.job_id, illegal.value.state, illegal.value.trigger) == (2, "ready", "kick")
    with pytest.raises(errors.NotOwnerError) as stranger:
        machine.release(1, "b")  # type: ignore[arg-type]
    assert (stranger.value.job_id, stranger.value.client_id) == (1, "b")


def test_a_result_error_has_its_cause() -> None:
    cause = ValueError("why")
    error = ResultError("r", 5, cause)
    assert (error.request_id, error.error_code, error.error, error.__cause__) == ("r", 5, cause, cause)
    assert str(error) == "request 'r' failed with code 5: why"
    assert not isinstance(error, JsmError)


def test_a_broken_invariant_is_no_refusal() -> None:
    error = InvariantViolation("each_job_in_one_container", "job 1 is in two")
    assert not isinstance(error, JsmError)
    assert (error.name, str(error)) == ("each_job_in_one_container", "each_job_in_one_container: job 1 is in two")


def test_settings_are_refused_as_values() -> None:
    with pytest.raises(BadValueError, match="units_per_second = 0"):
        Machine(units_per_second=0)
