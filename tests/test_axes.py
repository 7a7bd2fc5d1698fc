"""Ranges of a sweep: what they hold, and the line that a wrong one gets."""

import pytest

from sim.axes import Axis, axes_of, axis_of
from sim.input_errors import ScenarioError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1..4", ("1", "2", "3", "4")),
        ("a=0.5..1.5:0.25", ("0.50", "0.75", "1.00", "1.25", "1.50")),
        ("a=1..6:2", ("1", "3", "5")),
        ("a=-1..1", ("-1", "0", "1")),
        ("a=7", ("7",)),
        (" a = 1, 2 ,5 ", ("1", "2", "5")),
        ("a=drained,duration", ("drained", "duration")),
        ('a=["x","y"],["z"]', ('["x","y"]', '["z"]')),
        ('a={kind = "poisson", rate_per_second = 1},2', ('{kind = "poisson", rate_per_second = 1}', "2")),
        ("a='x,y',z", ("'x,y'", "z")),
    ],
)
def test_ranges(text: str, values: tuple[str, ...]) -> None:
    assert axis_of(text) == Axis("a", values)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a", "--over a: this is not KEY=RANGE; "),
        ("a=", "--over a=: this is not KEY=RANGE; "),
        ("a=1,,2", "--over a=1,,2: a value between the commas is missing; "),
        ("a=1,2,1", "--over a=1,2,1: a value is there twice; name each once"),
        ("a=4..1", "--over a=4..1: the range is empty; write LOW..HIGH:STEP with LOW ≤ HIGH and STEP > 0"),
        ("a=1..4:0", "--over a=1..4:0: the range is empty; "),
        (
            "a=0..1:0.00001",
            "--over a=0..1:0.00001: the range has 100,001 values; take a step that gives 10,000 or fewer",
        ),
    ],
)
def test_wrong_ranges(text: str, line: str) -> None:
    with pytest.raises(ScenarioError) as error:
        axis_of(text)
    assert str(error.value).startswith(line)


def test_a_key_is_named_once() -> None:
    assert [axis.key for axis in axes_of(["a=1", "b=2"])] == ["a", "b"]
    with pytest.raises(ScenarioError, match="--over a: the key is there twice"):
        axes_of(["a=1", "a=2"])
