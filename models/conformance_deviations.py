"""The table of deviations: where this project answers otherwise than the recorded server, on purpose, and why.

The table is data, `models/data/conformance/deviations.toml`. The tests read it: an entry that no longer deviates fails
them, as does a difference that has no entry. `jsm conform` reads it: a server that answers like this project, where
that is declared, conforms.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from models.conformance_corpus import Corpus, CorpusError, data_folder, join

FILE_NAME = "deviations.toml"


class Deviation(NamedTuple):
    """Why an entry is answered otherwise, and by what."""

    name: str  # of the conversation or input
    reason: str
    reference: str  # the sections of this project's specification and of protocol.txt
    steps: Mapping[int, bytes]  # of a conversation, by the step's number from 1: the reply
    reply: bytes | None = None  # to an input
    probe: bytes | None = None  # to the probe after an input


class Dialect(NamedTuple):
    """How releases of beanstalkd differ in what they print; `models.conformance` knows what each means."""

    name: str
    reason: str


class Deviations(NamedTuple):
    """The table, each part by name."""

    conversations: Mapping[str, Deviation]
    inputs: Mapping[str, Deviation]
    dialects: Mapping[str, Dialect]


NO_DEVIATIONS = Deviations({}, {}, {})


def installed_deviations() -> Deviations:
    """The table that is installed with the package."""
    return _parse(FILE_NAME, data_folder().joinpath(FILE_NAME).read_bytes())


def read_deviations(path: Path) -> Deviations:
    """The table of a file. Raises `CorpusError` naming file, entry, field and remedy."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(str(path), error.strerror, "a table of deviations that can be read") from None
    return _parse(str(path), content)


def check_names(table: Deviations, corpus: Corpus) -> None:
    """Raise `CorpusError` unless every entry names something of the corpus, and every step is there."""
    whole = join([corpus], "the corpus")
    steps = {each.name: len(each.steps) for each in whole.conversations}
    inputs = {each.name for each in whole.inputs}
    for deviation in table.conversations.values():
        if deviation.name not in steps:
            raise CorpusError(f"{FILE_NAME}: conversation", deviation.name, "the name of a conversation")
        for number in deviation.steps:
            if not 1 <= number <= steps[deviation.name]:
                raise CorpusError(f"{FILE_NAME}: {deviation.name}: step", number, f"1 to {steps[deviation.name]}")
    for name in table.inputs:
        if name not in inputs:
            raise CorpusError(f"{FILE_NAME}: input", name, "the name of an input")


def _parse(file: str, content: bytes) -> Deviations:
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except ValueError as error:
        raise CorpusError(file, str(error), "a TOML document") from None
    for key in document:
        if key not in ("conversation", "input", "dialect"):
            raise CorpusError(f"{file}: {key}", document[key], "the tables conversation, input and dialect only")
    conversations = [_conversation(file, each) for each in document.get("conversation", [])]
    inputs = [_input(file, each) for each in document.get("input", [])]
    dialects = [Dialect(_text(file, each, "name"), _text(file, each, "reason")) for each in document.get("dialect", [])]
    return Deviations(
        {each.name: each for each in conversations},
        {each.name: each for each in inputs},
        {each.name: each for each in dialects},
    )


def _conversation(file: str, entry: Mapping[str, Any]) -> Deviation:
    name = _text(file, entry, "name")
    steps = {}
    for key, reply in entry.get("steps", {}).items():
        if not key.isdigit():
            raise CorpusError(f"{file}: {name}: steps", key, "the number of a step, from 1")
        steps[int(key)] = _latin(file, name, reply)
    if not steps:
        raise CorpusError(f"{file}: {name}: steps", steps, "the steps that are answered otherwise, with their replies")
    return Deviation(name, _text(file, entry, "reason"), _text(file, entry, "reference"), steps)


def _input(file: str, entry: Mapping[str, Any]) -> Deviation:
    name = _text(file, entry, "name")
    reply = entry.get("reply")
    probe = entry.get("probe")
    if reply is None and probe is None:
        raise CorpusError(f"{file}: {name}: reply", None, "the reply to the input, or `probe`: the one to the probe")
    return Deviation(
        name,
        _text(file, entry, "reason"),
        _text(file, entry, "reference"),
        {},
        None if reply is None else _latin(file, name, reply),
        None if probe is None else _latin(file, name, probe),
    )


def _text(file: str, entry: Mapping[str, Any], field: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not value:
        raise CorpusError(f"{file}: {entry.get('name', 'an entry')}: {field}", value, "a text")
    return value


def _latin(file: str, name: str, text: object) -> bytes:
    try:
        if isinstance(text, str):
            return text.encode("latin-1")
    except UnicodeEncodeError:
        pass
    raise CorpusError(f"{file}: {name}", text, "a text of characters up to U+00FF, one a byte")
