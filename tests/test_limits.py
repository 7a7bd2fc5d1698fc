"""The protocol's limits: each value at, one inside and one outside its bound."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jsm.errors import BadValueError, BodyTooBigError, EmptyClientError
from jsm.limits import (
    check_body,
    check_client_id,
    check_job_and_client,
    check_job_id,
    check_priority,
    check_put_numbers,
    check_seconds,
    check_tube_name,
    check_watch_list,
)

GOOD_NUMBERS = [0, 1, 2**32 - 2, 2**32 - 1]
BAD_NUMBERS: list[Any] = [-1, 2**32, 2**64, True, False, 1.0, "1", None, b"1"]
NAME_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+/;.$_()"


@pytest.mark.parametrize("value", GOOD_NUMBERS)
def test_numbers_within_their_bounds_pass(value: int) -> None:
    check_priority(value)
    check_seconds("delay_seconds", value)
    check_put_numbers(value, value, value)


@pytest.mark.parametrize("value", BAD_NUMBERS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_numbers_outside_their_bounds_are_refused_by_name(value: Any, place: int) -> None:
    numbers: list[Any] = [0, 0, 0]
    numbers[place] = value
    field = ("priority", "delay_seconds", "ttr_seconds")[place]
    with pytest.raises(BadValueError) as refused:
        check_put_numbers(*numbers)
    assert (refused.value.field, refused.value.value) == (field, value)
    with pytest.raises(BadValueError, match=r"^priority = "):
        check_priority(value)
    with pytest.raises(BadValueError, match=r"^seconds = "):
        check_seconds("seconds", value)


@settings(derandomize=True, database=None, deadline=None)
@given(st.text(st.sampled_from(NAME_CHARACTERS), min_size=1, max_size=200).filter(lambda name: name[0] != "-"))
def test_legal_tube_names_pass(name: str) -> None:
    check_tube_name(name)


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(st.text(max_size=4))
def test_a_tube_name_passes_exactly_if_its_characters_do(name: str) -> None:
    legal = bool(name) and name[0] != "-" and set(name) <= set(NAME_CHARACTERS)
    try:
        check_tube_name(name)
    except BadValueError:
        assert not legal
    else:
        assert legal


def test_a_tube_name_has_at_most_200_bytes() -> None:
    check_tube_name("t" * 200)
    with pytest.raises(BadValueError):
        check_tube_name("t" * 201)


@pytest.mark.parametrize("size", [0, 1, 9, 10])
def test_a_body_up_to_the_limit_passes_as_bytes(size: int) -> None:
    for kind in (bytes, bytearray, memoryview):
        assert check_body(kind(bytes(size)), 10) == bytes(size)


def test_a_body_past_the_limit_says_both_sizes() -> None:
    with pytest.raises(BodyTooBigError, match=r"11 bytes.*10 bytes"):
        check_body(bytes(11), 10)


@pytest.mark.parametrize("body", ["text", None, 5, [1], (1,)])
def test_a_body_is_bytes(body: Any) -> None:
    with pytest.raises(BadValueError):
        check_body(body, 10)


def test_the_watch_list_keeps_the_order_and_counts_a_name_once() -> None:
    for tubes in (["b", "a", "b"], ("b", "a", "b"), iter("bab")):
        assert check_watch_list(tubes) == ("b", "a")  # type: ignore[arg-type]


@pytest.mark.parametrize("tubes", [[], (), iter(()), "t", b"t", None, 5, [5], [None], [["t"]], ["t", "-"], [True]])
def test_a_bad_watch_list_is_refused(tubes: Any) -> None:
    for _ in range(2):  # remembered lists are refused again
        with pytest.raises(BadValueError):
            check_watch_list(tubes)


def test_ids_are_of_their_types_and_a_client_is_not_empty() -> None:
    check_job_and_client(1, "a")
    check_job_id(-5)  # whether a job has it is another question
    bad_id: Any
    for bad_id in (True, 1.0, "1", None):
        with pytest.raises(BadValueError):
            check_job_id(bad_id)
    for bad_id in (b"a", 5, None):
        with pytest.raises(BadValueError):
            check_client_id(bad_id)
    with pytest.raises(EmptyClientError):
        check_client_id("")
    with pytest.raises(BadValueError):
        check_job_and_client("1", "")  # type: ignore[arg-type]
