"""How a server's answers to the corpus are judged: conversation by conversation, input by input.

- *ok*: every reply is the recorded one, or the one that `protocol.txt` asks for where a malformed input got another.
- *deviates as declared*: the replies of `models.conformance_deviations`, with their reason.
- *as recorded*: a malformed input's reply is beanstalkd's, though `protocol.txt`, read strictly, asks for another.
- *differs*: anything else, with the steps, what was sent, expected and got.

Which of two replies to a malformed input is the standard: `expect_doc`, except where the text can't be read as a
stream of replies, since bytes that the client meant as a body are read as commands: there the recorded one.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from models.conformance_corpus import (
    EOF_MARK,
    Conversation,
    Corpus,
    CorpusError,
    Entry,
    MalformedInput,
    StepOp,
    installed_corpus,
    read_corpus,
)
from models.conformance_deviations import Deviation, Deviations, installed_deviations
from models.conformance_match import difference, matches, shown, without_quotes
from models.conformance_player import (
    CannotPlay,
    Leftover,
    MakePlayer,
    Played,
    PlayedInput,
    Player,
    PlayerError,
    play,
    play_input,
)

__all__ = [
    "CannotPlay",
    "Corpus",
    "CorpusError",
    "Difference",
    "Judgement",
    "MakePlayer",
    "Player",
    "PlayerError",
    "Report",
    "Verdict",
    "conform",
    "installed_corpus",
    "installed_deviations",
    "judge_conversation",
    "judge_input",
    "read_corpus",
]

UNQUOTED: Final = "unquoted-names"
"""The dialect of releases up to 1.12: names in statistics without their quotes."""

RACE_ATTEMPTS: Final = 3
"""How often a conversation that the recorded server itself doesn't always keep is played at most."""

_TAKES_ARGUMENTS: Final = re.compile(
    rb"(put|use|reserve-with-timeout|reserve-job|delete|release|bury|touch|watch|ignore|peek|kick|kick-job|stats-job"
    rb"|stats-tube|pause-tube)\r\n"
)
_PROBE: Final = b"list-tube-used\r\n"


class Verdict(StrEnum):
    """How a server did on one entry."""

    OK = "ok"
    DECLARED = "deviates-as-declared"
    RECORDED = "as-recorded"
    DIFFERS = "differs"
    LEFT_OUT = "left-out"


class Difference(NamedTuple):
    """A reply that is not the expected one."""

    step: int  # from 1; 0: what no step asked for
    connection: int
    action: str  # what was done, in words and bytes
    expected: bytes
    got: bytes

    @property
    def lines(self) -> tuple[str, ...]:
        """Both replies, line by line."""
        return difference(self.expected, self.got)


class Judgement(NamedTuple):
    """How a server did on one entry, and why that is so."""

    name: str
    kind: str  # "conversation" or "input"
    verdict: Verdict
    reason: str = ""
    reference: str = ""
    differences: tuple[Difference, ...] = ()


class Report(NamedTuple):
    """How a server did on a corpus."""

    judgements: tuple[Judgement, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many entries got each verdict."""
        found = [judgement.verdict for judgement in self.judgements]
        return {str(verdict): found.count(verdict) for verdict in Verdict}

    @property
    def verdict(self) -> str:
        """`violated` when something differs, `undetermined` when nothing was played, else `holds`."""
        counts = self.counts
        if counts[Verdict.DIFFERS]:
            return "violated"
        return "undetermined" if counts[Verdict.LEFT_OUT] == len(self.judgements) else "holds"

    def strictly(self) -> "Report":
        """The same with beanstalkd's own replies to malformed inputs taken as differences."""
        return Report(
            tuple(
                each._replace(verdict=Verdict.DIFFERS) if each.verdict is Verdict.RECORDED else each
                for each in self.judgements
            )
        )

    def to_json(self) -> dict[str, Any]:
        """The report as JSON's values; replies as latin-1 strings."""
        return {
            "verdict": self.verdict,
            "counts": self.counts,
            "findings": [_to_json(each) for each in self.judgements if each.verdict is not Verdict.OK],
        }


def _to_json(judgement: Judgement) -> dict[str, Any]:
    return {
        "name": judgement.name,
        "kind": judgement.kind,
        "verdict": str(judgement.verdict),
        "reason": judgement.reason,
        "reference": judgement.reference,
        "differences": [
            {
                "step": each.step,
                "connection": each.connection,
                "action": each.action,
                "expected": each.expected.decode("latin-1"),
                "got": each.got.decode("latin-1"),
            }
            for each in judgement.differences
        ],
    }


# ---------------------------------------------------------------------- conversations


def judge_conversation(
    conversation: Conversation, played: Sequence[Played], left: Sequence[Leftover], table: Deviations
) -> Judgement:
    """How the replies of a whole conversation are to be judged."""
    declared = table.conversations.get(conversation.name)
    used: dict[str, str] = {}  # reasons of accepted deviations, with their references
    differences = []
    imitated = ""
    for number, (step, got) in enumerate(played, start=1):
        is_fault = conversation.do_not_imitate and number == len(played)
        verdict = _accepted(step.reply, got, step.tolerance, None if declared is None else declared.steps.get(number))
        if is_fault and verdict is not None:
            imitated = f"the fault of the recorded server: {conversation.note}".removesuffix(": ")
            differences.append(_difference(number, step.connection, step.op, step.send, b"another reply", got))
        if verdict is None and not is_fault:
            differences.append(_difference(number, step.connection, step.op, step.send, step.reply, got))
        elif verdict == UNQUOTED and not is_fault:
            used[_dialect_reason(table)] = ""
        elif verdict == "declared" and declared is not None:
            used[declared.reason] = declared.reference
    differences += [Difference(0, each.connection, "at the end", b"", each.got) for each in left]
    name = conversation.name
    if differences:
        reason = imitated or conversation.known_race
        return Judgement(name, "conversation", Verdict.DIFFERS, reason, differences=tuple(differences))
    if used:
        return Judgement(
            name, "conversation", Verdict.DECLARED, "; ".join(used), "; ".join(filter(None, used.values()))
        )
    return Judgement(name, "conversation", Verdict.OK)


def _accepted(expected: bytes, got: bytes, tolerance: Mapping[str, int], declared: bytes | None) -> str | None:
    """Why a reply is accepted: as recorded, as declared, in another release's dialect; None: it is not."""
    if matches(expected, got, tolerance):
        return "recorded"
    if declared is not None and matches(declared, got, tolerance):
        return "declared"
    for each in (expected, declared):
        if each is not None and matches(without_quotes(each), got, tolerance):
            return UNQUOTED
    return None


def _dialect_reason(table: Deviations) -> str:
    dialect = table.dialects.get(UNQUOTED)
    return UNQUOTED if dialect is None else dialect.reason


def _difference(number: int, connection: int, op: StepOp, send: bytes, expected: bytes, got: bytes) -> Difference:
    words = {
        StepOp.SEND: f"send {shown(send)}",
        StepOp.RECV: "wait for a reply",
        StepOp.NONE: "expect no byte",
        StepOp.CLOSE: "close",
        StepOp.SHUT: "half-close",
        StepOp.DRAIN: "drain",
    }
    return Difference(number, connection, words[op], expected, got)


# ---------------------------------------------------------------------- inputs


def standard_of(given: MalformedInput) -> tuple[bytes, bytes]:
    """The reply that the input should get, and the one to the probe after it."""
    if _is_read_on(given):
        return given.observed, given.probe_observed
    if given.expect_doc == given.observed or given.probe != _PROBE or given.in_step:
        return given.expect_doc, given.probe_observed
    if given.expect_doc.endswith(EOF_MARK):
        return given.expect_doc, b""
    return given.expect_doc, b"USING default\r\n"


def _is_read_on(given: MalformedInput) -> bool:
    """Whether what was meant as a body was read as commands, so that more replies came than the text asks for."""
    is_put = any(line.startswith(b"put ") for line in given.send.split(b"\r\n"))
    more = len(given.observed) > len(given.expect_doc) > 0
    return is_put and more and given.observed.startswith(given.expect_doc)


def judge_input(given: MalformedInput, played: PlayedInput, table: Deviations) -> Judgement:
    """How the replies to one input are to be judged."""
    expected, probe = standard_of(given)
    declared = table.inputs.get(given.name)
    if _fits(expected, played.got, given) and matches(probe, played.probe_got):
        return Judgement(given.name, "input", Verdict.OK)
    if declared is not None and _is_declared(declared, (expected, probe), played):
        return Judgement(given.name, "input", Verdict.DECLARED, declared.reason, declared.reference)
    differences = []
    if not _fits(expected, played.got, given):
        differences.append(Difference(1, 1, f"send {shown(given.send)}", expected, played.got))
    if not matches(probe, played.probe_got):
        differences.append(Difference(2, 1, f"send {shown(given.probe)}", probe, played.probe_got))
    if _same(given.observed, played.got) and _same(given.probe_observed, played.probe_got):
        reason = "beanstalkd's reply, where protocol.txt, read strictly, asks for another"
        return Judgement(given.name, "input", Verdict.RECORDED, reason, given.reference, tuple(differences))
    return Judgement(given.name, "input", Verdict.DIFFERS, "", given.reference, tuple(differences))


def _fits(expected: bytes, got: bytes, given: MalformedInput) -> bool:
    """Whether a reply is the standard; a bare name of a command that takes arguments may be told either of two."""
    either = (b"BAD_FORMAT\r\n", b"UNKNOWN_COMMAND\r\n")
    if _TAKES_ARGUMENTS.fullmatch(given.send) and expected in either:
        return got in either
    return _same(expected, got)


def _same(expected: bytes, got: bytes) -> bool:
    """Whether a reply is the expected one, in the recorded release's words or an older one's."""
    return matches(expected, got) or matches(without_quotes(expected), got)


def _is_declared(declared: Deviation, standard: tuple[bytes, bytes], played: PlayedInput) -> bool:
    reply = standard[0] if declared.reply is None else declared.reply
    probe = standard[1] if declared.probe is None else declared.probe
    return matches(reply, played.got) and matches(probe, played.probe_got)


# ---------------------------------------------------------------------- a whole corpus


def conform(
    corpus: Corpus,
    make_player: MakePlayer,
    *,
    table: Deviations,
    is_left_out: Callable[[Entry], str] = lambda entry: "",
    over: Callable[[Callable[[Entry], Judgement], Iterable[Entry]], Iterable[Judgement]] = map,
) -> Iterator[Judgement]:
    """Play and judge every entry, each with a fresh server, in the corpus' order.

    `is_left_out` gives the reason why an entry is not to be played; `over` is `map`, or a parallel one.
    Raises `PlayerError` when the server can't be started.
    """

    def judge(entry: Entry) -> Judgement:
        reason = is_left_out(entry)
        if reason:
            return _left_out(entry, reason)
        return judge_entry(entry, make_player, table=table)

    yield from over(judge, corpus.entries)


def judge_entry(entry: Entry, make_player: MakePlayer, *, table: Deviations) -> Judgement:
    """Play one entry with a fresh server and judge it; one with a known race again, until it holds."""
    try:
        if isinstance(entry, MalformedInput):
            with make_player(entry.arguments) as player:
                return judge_input(entry, play_input(entry, player), table)
        for _ in range(RACE_ATTEMPTS if entry.known_race else 1):
            with make_player(()) as player:
                judgement = judge_conversation(entry, *play(entry, player), table)
            if judgement.verdict is not Verdict.DIFFERS:
                break
        return judgement
    except CannotPlay as error:
        return _left_out(entry, str(error))


def _left_out(entry: Entry, reason: str) -> Judgement:
    kind = "input" if isinstance(entry, MalformedInput) else "conversation"
    return Judgement(entry.name, kind, Verdict.LEFT_OUT, reason)
