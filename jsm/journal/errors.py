"""What can be wrong with files: each error is one line that names the file, and says what to do where that is known."""

from pathlib import Path

from jsm.errors import JsmError


class JournalError(JsmError):
    """The system refuses to read or write a file; `__cause__` is its error."""

    wire_reply = "INTERNAL_ERROR"

    def __init__(self, path: Path, doing: str, error: OSError) -> None:
        super().__init__(f"{path}: {doing}: {error.strerror or error}")
        self.path = path


class JournalDamagedError(JournalError):
    """What stands in a file of the journal can't be true: where, what is wrong, what to do."""

    def __init__(self, path: Path, offset: int, problem: str, remedy: str) -> None:
        JsmError.__init__(self, f"{path}, byte {offset}: {problem}; {remedy}")
        self.path = path
        self.offset = offset  # of the first byte of what is wrong, from 0
        self.problem = problem
        self.remedy = remedy


class JournalUnfitError(JournalError):
    """A folder can't be used as asked: another server has it, or it was written with other settings."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        JsmError.__init__(self, f"{path}: {problem}; {remedy}")
        self.path = path
        self.problem = problem
        self.remedy = remedy


class NotDurableError(JournalError):
    """Calls that were made can't be forced to the disk: their results must not be told to anybody."""
