"""The corpus: recorded conversations and malformed inputs, read from JSON and checked in every field.

Two forms of files, told apart by their key. `{"conversations": […]}` holds scripts with several connections: each
step sends something or waits for replies, and says what the recorded server answered. `{"cases": […]}` holds single
inputs, well-formed or not, with the reply that protocol.txt asks for and the one that was observed. Strings are
latin-1, one character a byte. `models/data/conformance/README.md` describes every field; a file that breaks the
form is refused with the place, the value and what should stand there.
"""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from jsm.errors import BadValueError

EOF_MARK: Final = b"<EOF>"
"""What stands in a reply for the server's closing of the connection."""

_SECONDS_MAX: Final = 10**6  # of a wait: days, where a slip of the pen would be years
_BYTES_MAX: Final = 1 << 26  # of an input with repeated parts

T = TypeVar("T")


class CorpusError(BadValueError):
    """A file of the corpus can't be read: which file, which entry, which field, what stands there, what should."""


class StepOp(StrEnum):
    """What a step does."""

    SEND = "send"
    RECV = "recv"  # a reply arrives with nothing sent
    NONE = "none"  # no byte is pending
    CLOSE = "close"
    SHUT = "shut"  # half-close: the client sends no more, and still reads
    DRAIN = "drain"  # the server takes no more jobs


class Step(NamedTuple):
    """One step of a conversation."""

    connection: int  # from 1; 0 where none is concerned (drain)
    op: StepOp
    wait_seconds: int  # that pass before the step
    slack_seconds: float  # that a live replay lets pass in addition, so that the instant has surely come
    send: bytes
    reply: bytes  # with masks {{volatile}} and {{n}}; EOF_MARK for an end of the stream
    replies: int
    tolerance: Mapping[str, int]  # by key of the reply's YAML: by how much the number may differ


class Conversation(NamedTuple):
    """A script with what the recorded server answered, for a server that was started for it."""

    name: str
    steps: tuple[Step, ...]
    note: str
    known_race: str  # why the recorded server doesn't always answer so; empty: it does
    do_not_imitate: bool  # the last reply is a fault of the recorded server: a right one differs there, only there

    @property
    def wait_seconds(self) -> int:
        """The seconds that pass in it, without slack."""
        return sum(step.wait_seconds for step in self.steps)


class InputOp(NamedTuple):
    """Something done after the input was sent: more bytes, a half-close, or a pause for the input to arrive."""

    op: str  # "send", "shut" or "sleep"
    data: bytes = b""
    seconds: float = 0.0


class MalformedInput(NamedTuple):
    """One input on one connection, and the replies that it may get."""

    name: str
    setup: tuple[bytes, ...]  # sent on another connection before; DRAIN and PARTIAL stand for actions
    send: bytes
    ops: tuple[InputOp, ...]
    expect_doc: bytes  # what protocol.txt asks for, read strictly; empty: no reply yet
    observed: bytes  # what the recorded server answered
    probe: bytes  # sent after that, to see whether the stream is still in step
    probe_observed: bytes
    in_step: bool | None  # whether the recorded server answered the probe; None: it had closed the connection
    arguments: tuple[str, ...]  # of the server
    reference: str  # the section of protocol.txt


DRAIN: Final = b"<DRAIN>"
"""In a setup: tell the server to take no more jobs."""
PARTIAL: Final = b"<PARTIAL>"
"""In a setup: another connection holds a put whose body has come in part only."""
_MARKS: Final = (DRAIN, PARTIAL)


Entry = Conversation | MalformedInput


class Corpus(NamedTuple):
    """What the files hold, in their order."""

    conversations: tuple[Conversation, ...]
    inputs: tuple[MalformedInput, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Both, the conversations first."""
        return (*self.conversations, *self.inputs)

    def only(self, names: Iterable[str]) -> "Corpus":
        """The entries of these names. Raises `CorpusError` for one that isn't there."""
        wanted = list(names)
        known = {entry.name for entry in self.entries}
        for name in wanted:
            if name not in known:
                near = sorted(each for each in known if name in each)[:3]
                hint = f"; near it: {', '.join(near)}" if near else ""
                raise CorpusError("name", name, f"the name of a conversation or an input{hint}")
        return Corpus(
            tuple(each for each in self.conversations if each.name in wanted),
            tuple(each for each in self.inputs if each.name in wanted),
        )


class Folder(Protocol):
    """Where files are: a folder, or a package's data."""

    def joinpath(self, child: str, /) -> Any:
        """The file of that name."""


FILES: Final = ("transcripts.json", "bad_inputs.json", "more.json")
"""The files of the corpus that is installed."""


def data_folder() -> Folder:
    """The folder of the corpus that is installed with the package."""
    return resources.files("models").joinpath("data", "conformance")


def installed_corpus() -> Corpus:
    """The whole corpus that is installed."""
    folder = data_folder()
    return join((_read(name, folder.joinpath(name).read_bytes()) for name in FILES), "the installed corpus")


def read_corpus(paths: Iterable[Path | str]) -> Corpus:
    """The conversations and inputs of these files. Raises `CorpusError` naming file, entry, field, value, remedy."""
    names = [str(path) for path in paths]
    corpora = []
    for name in names:
        try:
            content = Path(name).read_bytes()
        except OSError as error:
            raise CorpusError(name, error.strerror, "a file of conversations or inputs that can be read") from None
        corpora.append(_read(name, content))
    return join(corpora, ", ".join(names))


def join(corpora: Iterable[Corpus], where: str) -> Corpus:
    """Several corpora as one. Raises `CorpusError` when two entries have one name."""
    given = list(corpora)
    whole = Corpus(
        tuple(each for corpus in given for each in corpus.conversations),
        tuple(each for corpus in given for each in corpus.inputs),
    )
    seen: set[str] = set()
    for entry in whole.entries:
        if entry.name in seen:
            raise CorpusError(f"{where}: name", entry.name, "a name that no other entry has")
        seen.add(entry.name)
    return whole


def _read(file: str, content: bytes) -> Corpus:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CorpusError(file, content[:40].decode("latin-1"), f"a JSON document ({error})") from None
    if not isinstance(document, dict) or not ("conversations" in document or "cases" in document):
        raise CorpusError(file, document, 'an object with the key "conversations" or "cases"')
    top = _Fields(file, document)
    conversations = [
        _conversation(_Fields(f"{file}: conversation {number}", each))
        for number, each in enumerate(top.value("conversations", list, "a list", default=[]), start=1)
    ]
    inputs = [
        _input(_Fields(f"{file}: case {number}", each))
        for number, each in enumerate(top.value("cases", list, "a list", default=[]), start=1)
    ]
    return join([Corpus(tuple(conversations), tuple(inputs))], file)


class _Fields:
    """The fields of an object, with the place where it stands."""

    def __init__(self, where: str, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise CorpusError(where, fields, "an object")
        self.where = where
        self._fields = fields
        name = fields.get("name")
        if isinstance(name, str) and name:
            self.where = f"{where} ({name})"

    def value(self, field: str, kind: type[T] | tuple[type[T], ...], expected: str, *, default: T | None = None) -> T:
        """A field of that type; `default` where it is left out, if there is one."""
        if field not in self._fields and default is not None:
            return default
        value = self._fields.get(field)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise CorpusError(f"{self.where}: {field}", value, expected)
        return value

    def text(self, field: str, *, default: str | None = None) -> str:
        """A field that is a text."""
        return self.value(field, str, "a text", default=default)

    def data(self, field: str, *, default: str | None = None) -> bytes:
        """A field that is a latin-1 string."""
        return self.latin(field, self.text(field, default=default))

    def latin(self, field: str, text: object) -> bytes:
        """A string as bytes, one a character."""
        if isinstance(text, str):
            try:
                return text.encode("latin-1")
            except UnicodeEncodeError:
                pass
        raise CorpusError(f"{self.where}: {field}", text, "a text of characters up to U+00FF, one a byte")

    def truth(self, field: str) -> bool | None:
        """A field that is true, false, or null or left out."""
        value = self._fields.get(field)
        if value is not None and type(value) is not bool:
            raise CorpusError(f"{self.where}: {field}", value, "true, false or null")
        return value

    def whole(self, field: str, *, maximum: int, default: int | None = None) -> int:
        """A field that is an integer from 0 to the maximum."""
        expected = f"an integer from 0 to {maximum}"
        value = self.value(field, int, expected, default=default)
        if not 0 <= value <= maximum:
            raise CorpusError(f"{self.where}: {field}", value, expected)
        return value


def _conversation(fields: _Fields) -> Conversation:
    name = _name(fields)
    steps = tuple(
        _step(_Fields(f"{fields.where}, step {number}", each))
        for number, each in enumerate(fields.value("steps", list, "a list of steps"), start=1)
    )
    if not steps:
        raise CorpusError(f"{fields.where}: steps", [], "at least one step")
    do_not_imitate = fields.value("do_not_imitate", bool, "true or false", default=False)
    if do_not_imitate and not steps[-1].reply:
        raise CorpusError(f"{fields.where}: do_not_imitate", True, "a last step with a reply, which is the fault")
    _check_connections(fields.where, steps)
    return Conversation(
        name,
        steps,
        fields.text("note", default=""),
        fields.text("known_race", default=""),
        do_not_imitate,
    )


def _step(fields: _Fields) -> Step:
    op = fields.value("op", str, f"one of {', '.join(StepOp)}")
    if op not in list(StepOp):
        raise CorpusError(f"{fields.where}: op", op, f"one of {', '.join(StepOp)}")
    slack = fields.value("slack", (int, float), "a number of seconds, at least 0", default=0)
    if not 0 <= slack <= _SECONDS_MAX:
        raise CorpusError(f"{fields.where}: slack", slack, "a number of seconds, at least 0")
    step = Step(
        connection=fields.whole("conn", maximum=10**6),
        op=StepOp(op),
        wait_seconds=fields.whole("wait", maximum=_SECONDS_MAX, default=0),
        slack_seconds=slack,
        send=fields.data("send", default=""),
        reply=fields.data("reply", default=""),
        replies=fields.whole("n_replies", maximum=10**6, default=0),
        tolerance=_tolerance(fields),
    )
    if step.op is not StepOp.DRAIN and step.connection == 0:
        raise CorpusError(f"{fields.where}: conn", 0, "a connection's number, from 1")
    if bool(step.send) != (step.op is StepOp.SEND):
        expected = "bytes to send" if step.op is StepOp.SEND else f'"", since {step.op} sends nothing'
        raise CorpusError(f"{fields.where}: send", step.send.decode("latin-1"), expected)
    if step.op not in (StepOp.SEND, StepOp.RECV) and (step.reply or step.replies):
        raise CorpusError(f"{fields.where}: reply", step.reply.decode("latin-1"), f'"", since {step.op} gets none')
    if bool(step.reply.removesuffix(EOF_MARK)) != bool(step.replies):
        raise CorpusError(f"{fields.where}: n_replies", step.replies, "the number of replies in `reply`")
    return step


def _check_connections(where: str, steps: tuple[Step, ...]) -> None:
    """A connection that is closed is used no more, and one that is half-closed sends no more."""
    closed: set[int] = set()
    shut: set[int] = set()
    for number, step in enumerate(steps, start=1):
        silent = step.op in (StepOp.SEND, StepOp.SHUT) and step.connection in shut
        if step.op is not StepOp.DRAIN and (step.connection in closed or silent):
            raise CorpusError(f"{where}, step {number}: conn", step.connection, "a connection that is still open")
        if step.op is StepOp.CLOSE:
            closed.add(step.connection)
        if step.op is StepOp.SHUT:
            shut.add(step.connection)


def _tolerance(fields: _Fields) -> dict[str, int]:
    given = fields.value("tolerance", dict, "an object of keys and numbers", default={})
    for key, value in given.items():
        if type(value) is not int or value < 0:
            raise CorpusError(f"{fields.where}: tolerance[{key!r}]", value, "an integer of at least 0")
    return dict(given)


def _input(fields: _Fields) -> MalformedInput:
    name = _name(fields)
    send = fields.data("send", default="")
    parts = fields.value("send_parts", list, "a list of texts and repetitions", default=[])
    if parts and send:
        raise CorpusError(f"{fields.where}: send", send.decode("latin-1")[:40], '"" beside `send_parts`')
    whole = b"".join(_part(fields, part) for part in parts) or send
    if len(whole) > _BYTES_MAX:
        raise CorpusError(f"{fields.where}: send_parts", f"{len(whole)} bytes", f"at most {_BYTES_MAX} bytes")
    arguments = fields.value("args", list, "a list of the server's arguments", default=[])
    for argument in arguments:
        if not isinstance(argument, str):
            raise CorpusError(f"{fields.where}: args", argument, "a list of texts")
    return MalformedInput(
        name=name,
        setup=_setup(fields.data("setup", default="")),
        send=whole,
        ops=tuple(_input_op(fields, each) for each in fields.value("ops", list, "a list of steps", default=[])),
        expect_doc=fields.data("expect_doc"),
        observed=fields.data("observed"),
        probe=fields.data("probe_after", default=""),
        probe_observed=fields.data("probe_observed", default=""),
        in_step=fields.truth("in_sync"),
        arguments=tuple(arguments),
        reference=fields.text("ref", default=""),
    )


def _name(fields: _Fields) -> str:
    name = fields.text("name")
    if not name or name != name.strip():
        raise CorpusError(f"{fields.where}: name", name, "a name")
    return name


def _setup(text: bytes) -> tuple[bytes, ...]:
    """What to send and the marks, in their order."""
    parts = [text]
    for mark in _MARKS:
        parts = [
            piece
            for part in parts
            for index, between in enumerate([part] if part in _MARKS else part.split(mark))
            for piece in ([mark, between] if index else [between])
        ]
    return tuple(part for part in parts if part)


def _part(fields: _Fields, part: Any) -> bytes:
    if isinstance(part, str):
        return fields.latin("send_parts", part)
    if isinstance(part, dict):
        times = part.get("times")
        if type(times) is int and 0 <= times <= _BYTES_MAX and isinstance(part.get("repeat"), str):
            piece = fields.latin("send_parts", part["repeat"])
            if len(piece) * times <= _BYTES_MAX:
                return piece * times
    raise CorpusError(f"{fields.where}: send_parts", part, 'a text, or {"repeat": text, "times": number}')


def _input_op(fields: _Fields, given: Any) -> InputOp:
    match given:
        case ["send", str(text)]:
            return InputOp("send", data=fields.latin("ops", text))
        case ["shut"]:
            return InputOp("shut")
        case ["sleep", int() | float() as seconds] if 0 <= seconds <= _SECONDS_MAX and type(seconds) is not bool:
            return InputOp("sleep", seconds=seconds)
    raise CorpusError(f"{fields.where}: ops", given, '["send", text], ["shut"] or ["sleep", seconds]')
