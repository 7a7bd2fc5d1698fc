"""A counterexample as numbered steps: what was asked, what came of it, what changed, and what should have been."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Final

from models.finding import Counterexample
from models.retelling import Step, Story

_WIDTH: Final = 110
"""Characters a line, which every log shows without breaking it."""

_NOTHING: Final = "nothing changed"


def steps(counterexample: Counterexample, story: Story) -> str:
    """The text, with a line feed at its end."""
    return "\n".join(_lines(counterexample, story)) + "\n"


def headline(counterexample: Counterexample) -> str:
    """One line: what does not hold, and how many calls show it."""
    finding, calls, start = counterexample.finding, len(counterexample.calls), counterexample.loop_start
    clause = f" ({finding.clause})" if finding.clause else ""
    text = f"{finding.name}{clause} is broken by {calls} call{'s' if calls > 1 else ''}"
    if start is None:
        return text
    return (
        f"{text}, of which {'the last repeats' if start == calls - 1 else f'the last {calls - start} repeat'} for ever"
    )


def instant(at: int, units_per_second: int) -> str:
    """An instant, with its seconds where they are not the same number."""
    return f"{at}" if units_per_second == 1 else f"{at} ({at / units_per_second:.9g} s)"


def round_length(counterexample: Counterexample, story: Story) -> int:
    """How much later the calls of a loop come in each round, in time units."""
    start = counterexample.loop_start or 0
    before = story.steps[start - 1].at if start else 0
    return story.steps[-1].at - before


def _lines(counterexample: Counterexample, story: Story) -> Iterator[str]:
    finding = counterexample.finding
    yield headline(counterexample)
    yield from _wrapped("  ", finding.text)
    yield ""
    for place, step in enumerate(story.steps):
        if place == counterexample.loop_start:
            later = round_length(counterexample, story)
            each = f", each round {later} later" if later else ""
            yield f"  ┌─ from here on the same for ever{each}"
        bar = "  │" if counterexample.loop_start is not None and place >= counterexample.loop_start else "   "
        last = place == len(story.steps) - 1
        yield from _step(step, counterexample.units_per_second, f"{bar}{'✗' if last else ' '}", bar + " ")
        if last:
            yield from _should(story, bar)
    if counterexample.loop_start is not None:
        yield f"  └─ back to call {counterexample.loop_start + 1}"
    yield ""
    yield from _wrapped("  found:     ", finding.found)
    yield from _wrapped("  expected:  ", finding.expected)


def _step(step: Step, units_per_second: int, first: str, next_: str) -> Iterator[str]:
    """A call, and what it changed below it."""
    head = f"{first}{step.number:>2}. at {instant(step.at, units_per_second)}: "
    body = " " * 6
    yield from _wrapped(head, f"{step.words} → {step.answer}", next_ + body)
    for change in step.changes or (_NOTHING,):
        yield from _wrapped(next_ + body, change)


def _should(story: Story, bar: str) -> Iterator[str]:
    """What the specification says to the last call, if that is something else."""
    last, expected = story.steps[-1], story.expected
    head, indent = f"{bar}✓{last.number:>2}. by the specification → ", f"{bar} {' ' * 6}"
    if (last.answer, last.changes) != (expected.answer, expected.changes):
        yield from _wrapped(head, expected.answer, indent)
        if expected.changes or last.changes:
            for change in expected.changes or (_NOTHING,):
                yield from _wrapped(indent, change)
    elif story.apart:
        yield f"{head}the same, but then"
        for line in story.apart:
            yield from _wrapped(indent, line)


def _wrapped(first: str, text: str, following: str | None = None) -> list[str]:
    """The text after `first`, broken between words, lines after the first one indented."""
    following = " " * len(first) if following is None else following
    return wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=following,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    ) or [first.rstrip()]
