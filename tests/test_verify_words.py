"""Values and records in words: where two differ first, and instants in seconds however large they are."""

from typing import Any

import pytest

from jsm.states import JobState
from models.verify_words import Apart, apart, event_of, instant, shown
from tests.recorded import rows, short_story


@pytest.mark.parametrize(
    ("expected", "found", "difference"),
    [
        (1, 1, None),
        (1, 1.0, Apart("", "1", "1.0")),
        (1, True, Apart("", "1", "true")),
        (None, 0, Apart("", "null", "0")),
        (JobState.READY, "ready", None),
        (JobState.READY, "buried", Apart("", '"ready"', '"buried"')),
        ([1, 2], [1], Apart("[1]", "2", "nothing more")),
        ([1], [1, 2], Apart("[1]", "nothing more", "2")),
        ([{"a": 1}], [{"a": 2}], Apart("[0].a", "1", "2")),
        ({"a": 1}, {}, Apart("a", "1", "nothing")),
        ({}, {"a": 1}, Apart("a", "nothing", "1")),
        ({"a": [{}]}, {"a": [{}]}, None),
    ],
)
def test_the_first_difference_of_two_values(expected: Any, found: Any, difference: Apart | None) -> None:
    assert apart(expected, found) == difference


def test_instants_are_given_in_seconds_too() -> None:
    assert [instant(7, 1), instant(1_500_000, 1_000_000), instant(1, 3)] == [
        "7",
        "1500000 (1.5 s)",
        "1 (0.333333333 s)",
    ]
    assert instant(10**400, 10).endswith("(1.00000000e+399 s)")


def test_values_are_cut() -> None:
    assert shown("\u00e9\n") == '"\\u00e9\\n"'
    assert len(shown("x" * 500)) == 240


def test_records_are_sentences() -> None:
    (record,) = rows("4 9 1 t ready reserve reserved a")
    text = "transition 4: job 1 in tube 't' went from ready by reserve to reserved for client 'a' at 9"
    assert event_of(record, 1) == text
    calls = [event_of(each, 1) for each in short_story() if len(each) == 6]
    assert "client 'c' called delete(job_id=3, client_id=\"c\") at 2: refused, unauthorized" in calls
    assert "a call of kick(job_id=3) at 2: accepted" in calls
    assert 'a call of get_tubes() at 67: answered ["default", "u", "t"]' in calls
