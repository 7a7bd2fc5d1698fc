"""What is wrong with something that a person gave: a scenario, an override, a log of jobs.

Each error is one line that names the file, the field, the value, the problem and the remedy, and keeps the
parts as attributes. Commands turn an `InputError` into that line and exit code 2.
"""


class InputError(Exception):
    """The root: a file, a field in it (may be empty), the value there, what is wrong with it, what to do.

    `value` is the text to show after `field = `, or None when there is no value to show.
    """

    def __init__(self, file: str, field: str, value: str | None, problem: str, remedy: str) -> None:
        super().__init__(file, field, value, problem, remedy)
        self.file = file
        self.field = field
        self.value = value
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        """The one line."""
        place = self.field if self.value is None else f"{self.field} = {shortened(self.value)}"
        parts = [part for part in (self.file, place) if part]
        return one_line(f"{': '.join([*parts, self.problem])}; {self.remedy}")


class ScenarioError(InputError):
    """A scenario, or an override of one of its keys, that can't be run."""


class LogError(InputError):
    """A log of jobs that can't be read at all; single bad lines are counted instead."""


def shortened(text: str, length_max: int = 80) -> str:
    """`text`, cut so that an error message stays one readable line."""
    return text if len(text) <= length_max else f"{text[: length_max - 1]}…"


def one_line(text: str) -> str:
    """`text` with every run of white space as one space."""
    return " ".join(text.split())
