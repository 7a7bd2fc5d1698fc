"""What a sweep varies: `KEY=RANGE`, where a range is values with commas, `LOW..HIGH`, or `LOW..HIGH:STEP`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sim.input_errors import ScenarioError

VALUES_MAX: Final = 10_000
"""Of one range: more is a mistyped step."""

_NUMBER: Final = r"[+-]?[0-9]+(?:\.[0-9]+)?"
_RANGE: Final = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::({_NUMBER}))?")
_REMEDY: Final = "write it like workers.count=1..8, run.seed=1,2,5 or machine.x=0.5..2:0.25"


@dataclass(frozen=True, slots=True)
class Axis:
    """A key of a scenario and the values that it takes, as they are written after `--set KEY=`."""

    key: str
    values: tuple[str, ...]


def axis_of(text: str, option: str = "--over") -> Axis:
    """`KEY=RANGE` taken apart. Raises `ScenarioError`."""
    key, equals, written = (part.strip() for part in text.partition("="))
    if not equals or not key or not written:
        raise ScenarioError(f"{option} {text}", "", None, "this is not KEY=RANGE", _REMEDY)
    found = _RANGE.fullmatch(written)
    values = _steps(found, f"{option} {text}") if found else _listed(written)
    if not all(values):
        raise ScenarioError(f"{option} {text}", "", None, "a value between the commas is missing", _REMEDY)
    if len(set(values)) < len(values):
        raise ScenarioError(f"{option} {text}", "", None, "a value is there twice", "name each once")
    return Axis(key, tuple(values))


def axes_of(texts: Sequence[str]) -> list[Axis]:
    """Several of them. Raises `ScenarioError`, also for a key that is there twice."""
    axes = [axis_of(text) for text in texts]
    keys = [axis.key for axis in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise ScenarioError(f"--over {key}", "", None, "the key is there twice", "put its values into one --over")
    return axes


def _steps(found: re.Match[str], where: str) -> list[str]:
    low, high = Decimal(found[1]), Decimal(found[2])
    step = Decimal(found[3]) if found[3] else Decimal(1)
    if step <= 0 or low > high:
        raise ScenarioError(where, "", None, "the range is empty", "write LOW..HIGH:STEP with LOW ≤ HIGH and STEP > 0")
    count = int((high - low) / step) + 1
    if count > VALUES_MAX:
        raise ScenarioError(
            where, "", None, f"the range has {count:,} values", f"take a step that gives {VALUES_MAX:,} or fewer"
        )
    return [str(low + step * number) for number in range(count)]


def _listed(text: str) -> list[str]:
    """The parts between commas that stand outside of brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and not depth:
            parts.append("")
            continue
        parts[-1] += letter
    return [part.strip() for part in parts]
