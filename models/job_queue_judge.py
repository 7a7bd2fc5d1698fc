"""One step on a queue and on the specification, and the comparison of what both say.

A difference is raised as `QueueDifference`: the call, what it gave, what was expected, why, and the program so far.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from models import job_queue_reasons as reasons
from models.job_queue_draws import Job
from models.job_queue_oracle import EVERYWHERE, Outcome, answer_of
from models.job_queue_reasons import Reason
from models.job_queue_words import ALWAYS, DEADLINE_SOON, LOOKS, STATISTICS, Mapped, Told

if TYPE_CHECKING:
    from models.job_queue_machine import JobQueueMachine
    from models.job_queue_shortest import Step

Refusals = tuple[type[Exception], ...] | Mapping[type[Exception], str]
"""The exceptions by which a queue refuses, with their kinds (SPEC 1) if they are to be compared."""

_ENDED_SHOWN: Final = 3
"""How many of the jobs that are gone are still looked at: the last ones."""

_REFUSALS: Final = "an answer, or one of the refusals that the mapping names"
_GONE: Final = (None, "deleted")


class QueueDifference(AssertionError):
    """A queue does not do what the specification says."""

    def __init__(
        self,
        what: str,
        *,
        found: str,
        expected: str,
        reason: Reason,
        program: Sequence[str],
        steps: Sequence["Step"],
    ) -> None:
        lines = "\n".join(f"    {line}" for line in program)
        super().__init__(f"{what}\n  found:    {found}\n  expected: {expected}\n  because {reason}\nafter\n{lines}")
        self.what = what
        self.found = found
        self.expected = expected
        self.reason = reason
        self.program = tuple(program)
        self.steps = tuple(steps)


class _Found(NamedTuple):
    """How an operation of the queue ended."""

    value: Any = None
    refused: bool = False
    kind: str = ""  # of the refusal, where the mapping says so
    how: str = ""  # the refusal in words


class Judge:
    """Makes steps for one history."""

    def __init__(
        self,
        machine: "JobQueueMachine",
        methods: Mapping[str, Mapped],
        refusals: Refusals,
        words: Mapping[str, str],
    ) -> None:
        self.busy = False  # whether a method of the queue is being called
        self.program = [f"state = {type(machine).__name__}()"]
        self._machine = machine
        self._oracle = machine.oracle
        self._methods = methods
        self._refusals = refusals
        self._words = words

    def step(self, op: str, given: Mapped, arguments: Mapping[str, Any], words: Mapping[str, Any]) -> None:
        """Call the operation on both and compare all that can be seen; raises `QueueDifference`."""
        oracle, machine = self._oracle, self._machine
        call = _text_of(given, arguments)
        self.program.append(f"job_{len(machine.jobs)} = state.{call}" if op == "put" else f"state.{call}")
        since = len(oracle.records)
        if op == "advance":
            machine.now += words["seconds"]
            oracle.now = machine.now
        job = words.get("job")
        before = None if job is None else oracle.jobs.get(job.id)
        found = self._call(given, arguments)
        told: list[Any] = []
        refused = False
        if op == "tick":
            told = self._told(found.value)
            expected = [(a.client, answer_of(a)) for a in oracle.tick(machine.now)]
        else:
            outcome = self._outcome(op, words, found, call)
            refused = bool(outcome.refused)
            self._compare(op, call, found, outcome, words, before)
            expected = [] if machine.ticks else oracle.settle()
        self._compare_answers(call, told, expected)
        self.look(op, refused=refused, since=since)

    def look(self, op: str, *, refused: bool, since: int) -> None:
        """Compare everything that the mapping lets one see."""
        for look, given in self._methods.items():
            if look not in LOOKS or look == "answers":
                continue
            if "job" in LOOKS[look].must:
                self._look_at_jobs(look, given, op, refused=refused, since=since)
            elif look == "list_tubes":
                names = [tube.name for tube in self._oracle.tubes]
                found = sorted(str(name) for name in self._call(given, {}).value)
                self._require(f"{given.name}()", found == sorted(names), found, sorted(names), reasons.LIVES_ON)
            else:
                self._look_at_tubes(look, given)

    # One operation

    def _outcome(self, op: str, words: Mapping[str, Any], found: _Found, call: str) -> Outcome:
        """What should have happened, as the specification does it now."""
        plain: dict[str, Any] = {word: value.id if isinstance(value, Job) else value for word, value in words.items()}
        if isinstance(plain.get("body"), str):
            plain["body"] = plain["body"].encode()
        if op == "reserve" and not self._machine.ordered:
            taken = self._named(found.value, call)
            if isinstance(taken, Job):
                tubes = self._oracle.watched(plain)
                names = self._names()
                wrong = reasons.of_taken(self._oracle, taken.id, tubes, names)
                self._require(call, wrong is None, taken, "another job, or none", wrong or reasons.KEPT)
                return self._oracle.take(plain["client"], taken.id)
        return self._oracle.run(op, plain)

    def _compare(
        self, op: str, call: str, found: _Found, outcome: Outcome, words: Mapping[str, Any], before: Any
    ) -> None:
        """Compare how the operation ended on both."""
        if op == "reserve" and not outcome.refused:
            self._compare_reserved(call, found, outcome, words)
            return
        if outcome.refused:
            reason = reasons.BY_REFUSAL[outcome.refused]
            self._require(call, found.refused, "it is accepted", f"a refusal: {outcome.refused}", reason)
            same = found.kind in ("", outcome.refused)
            self._require(call, same, f"a refusal: {found.kind}", f"a refusal: {outcome.refused}", reason)
            return
        reason = reasons.of_allowed(op, before, words.get("client", ""))
        self._require(call, not found.refused, f"a refusal ({found.how})", "it is accepted", reason)
        if op == "put":
            self._compare_put(call, found, outcome, words)
        if op == "kick_n" and found.value is not None:
            same = found.value == outcome.value
            self._require(call, same, found.value, outcome.value, reasons.BY_TRIGGER["kick"])

    def _compare_put(self, call: str, found: _Found, outcome: Outcome, words: Mapping[str, Any]) -> None:
        """Note the new job under the name that the queue gives it."""
        handle = words["body"] if found.value is None else found.value
        again = next((job for job in self._machine.jobs if job.handle == handle), None)
        self._require(call, again is None, f"{handle!r}, as {again} was named", "a new name", reasons.NEVER_AGAIN)
        self._machine.jobs.append(Job(outcome.value, handle))

    def _compare_reserved(self, call: str, found: _Found, outcome: Outcome, words: Mapping[str, Any]) -> None:
        """Compare what a client got."""
        got = None if found.refused else self._named(found.value, call)
        want = self._wanted(outcome.value)
        if got == want:
            return
        names, oracle = self._names(), self._oracle
        if isinstance(want, Job) and isinstance(got, Job):
            reason = reasons.of_best(oracle, want.id, got.id, oracle.watched(words), names)
        elif isinstance(want, Job):
            reason = reasons.of_missed(oracle, want.id, names)
        elif isinstance(got, Job):
            reason = reasons.of_taken(oracle, got.id, oracle.watched(words), names) or reasons.ANSWERED_ONCE
        else:
            reason = reasons.MARGIN if DEADLINE_SOON in (want, got) else reasons.ANSWERED_ONCE
        self._require(call, False, _what(got), _what(want), reason)

    # Answers to waiting clients

    def _told(self, value: Any) -> list[Any]:
        """The answers in what a tick returned, if it returned any."""
        return list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes) else []

    def _compare_answers(self, call: str, told: list[Any], expected: list[tuple[str, int | Told | None]]) -> None:
        """Compare who was told what since the last step, in any order."""
        given = self._methods.get("answers")
        if given is not None:
            told = told + self._told(self._call(given, {}).value)
        elif not (self._machine.ticks and (told or expected)):
            return
        found = sorted(((client, self._named(value, call)) for client, value in told), key=repr)
        wanted = sorted(((client, self._wanted(value)) for client, value in expected), key=repr)
        if found == wanted:
            return
        missing = [each for each in wanted if each not in found]
        if missing:
            client, want = missing[0]
            got = dict(found).get(client, "nothing")
            reason = self._why_told(client, want, dict(found).get(client))
            what = f"what {client!r}, who waits, is told after {call}"
            self._require(what, False, got if got == "nothing" else _what(got), _what(want), reason)
        client, got = next(each for each in found if each not in wanted or found.count(each) > 1)
        reason = reasons.ANSWERED_ONCE
        if isinstance(got, Job):
            reason = self._why_not(got) or reason
        self._require(f"what {client!r} is told after {call}", False, _what(got), "nothing", reason)

    def _why_told(self, client: str, want: Job | Told | None, got: Job | Told | None) -> Reason:
        if isinstance(want, Job):
            return reasons.of_missed(self._oracle, want.id, self._names())
        if isinstance(got, Job):
            return self._why_not(got) or reasons.ANSWERED_ONCE
        return reasons.MARGIN if want is DEADLINE_SOON else reasons.IN_TIME

    def _why_not(self, got: Job) -> Reason | None:
        return reasons.of_taken(self._oracle, got.id, self._oracle.tube_names, self._names())

    # Looks

    def _look_at_jobs(self, look: str, given: Mapped, op: str, *, refused: bool, since: int) -> None:
        """Look at each live job, and at those that went last."""
        oracle = self._oracle
        gone = [job for job in self._machine.jobs if job.id not in oracle.jobs][-_ENDED_SHOWN:]
        word = next(name for name, meaning in given.parameters.items() if meaning == "job")
        for job in [job for job in self._machine.jobs if job.id in oracle.jobs] + gone:
            found = self._call(given, {word: job}, look=True)
            call = f"{given.name}({word}={job})"
            why = reasons.of_state(oracle, job.id, since, op=op, refused=refused)
            if look == "state":
                state = None if found.refused else self._word(found.value)
                want = oracle.state_of(job.id)
                same = state == want or (want is None and state in _GONE)
                self._require(call, same, state or "no job", want or "no job", why)
                continue
            there = not found.refused and found.value is not None
            self._require(
                call, there == (job not in gone), "a job" if there else "no job", oracle.state_of(job.id), why
            )
            if there:
                self._compare_statistics(call, found.value, oracle.statistics_of(oracle.jobs[job.id]), why)

    def _compare_statistics(self, call: str, found: Mapping[str, Any], wanted: Mapping[str, Any], why: Reason) -> None:
        for name, value in found.items():
            word = self._words.get(name, name)
            if word not in STATISTICS:
                raise TypeError(f"{call} has {name!r}, which says nothing here: it may have {', '.join(STATISTICS)}")
            got = (
                self._word(value)
                if word == "state"
                else value.encode()
                if isinstance(value, str) and word == "body"
                else value
            )
            reason = why if word == "state" else reasons.BY_STATISTIC[word]
            self._require(f"{call}[{name!r}]", got == wanted[word], got, wanted[word], reason)

    def _look_at_tubes(self, look: str, given: Mapped) -> None:
        """Counts and peeks, of each tube if the mapping tells them apart."""
        word = next((name for name, meaning in given.parameters.items() if meaning == "tube"), None)
        for tube in self._machine.tube_names if word is not None else (None,):
            arguments = {} if word is None else {word: tube}
            call = _text_of(given, arguments)
            found = self._call(given, arguments, look=True)
            if look == "counts":
                self._compare_counts(call, found.value, self._oracle.counts(tube))
                continue
            first = self._oracle.first(look.removeprefix("peek_"), EVERYWHERE if tube is None else tube)
            want = self._wanted(first)
            got = None if found.refused else self._named(found.value, call)
            self._require(call, got == want, _what(got), _what(want), reasons.BY_LOOK[look])

    def _compare_counts(self, call: str, found: Any, wanted: Mapping[str, int]) -> None:
        counted = found if isinstance(found, Mapping) else {"jobs": found}
        for name, count in counted.items():
            word = self._word(name)
            if word not in wanted:
                raise TypeError(f"{call} has {name!r}, which says nothing here: it may have {', '.join(wanted)}")
            self._require(f"{call}, {name}", count == wanted[word], count, wanted[word], reasons.COUNTED)

    # The queue

    def _call(self, given: Mapped, arguments: Mapping[str, Any], *, look: bool = False) -> _Found:
        """Call a method of the mapping. An exception that is no refusal goes on, with the program as a note."""
        passed = {name: value.handle if isinstance(value, Job) else value for name, value in arguments.items()}
        passed |= {name: self._machine.now for name, word in given.parameters.items() if word == ALWAYS}
        self.busy = True
        value, crash = None, None
        try:
            value = given.function(self._machine, **passed)
        except Exception as error:
            kind = next((kind for kind in self._refusals if isinstance(error, kind)), None)
            if kind is None:
                crash = error
            else:
                named = self._refusals[kind] if isinstance(self._refusals, Mapping) else ""
                return _Found(None, refused=True, kind=named, how=repr(error))
        finally:
            self.busy = False
        if crash is not None:
            self._require(_text_of(given, arguments), False, f"{crash!r} is raised", _REFUSALS, reasons.ENDS, crash)
        return _Found(None, refused=True, how="False") if value is False and not look else _Found(value)

    def _named(self, value: Any, call: str) -> Job | Told | None:
        """The job that the queue means."""
        if value is None or isinstance(value, Told):
            return value
        for job in reversed(self._machine.jobs):
            if job.handle == value:
                return job
        self._require(call, False, f"{value!r}, which no put returned", "a job, or None", reasons.KEPT)
        return None

    def _wanted(self, value: int | Told | None) -> Job | Told | None:
        return self._machine.jobs[value - 1] if isinstance(value, int) else value

    def _word(self, value: Any) -> Any:
        """A state in the words of the specification."""
        plain = value.value if isinstance(value, Enum) else value
        return self._words.get(plain, plain)

    def _names(self) -> dict[int, str]:
        return {job.id: job.name for job in self._machine.jobs}

    def _require(
        self,
        what: str,
        holds: bool,
        found: object,
        expected: object,
        reason: Reason,
        cause: Exception | None = None,
    ) -> None:
        """Raise the difference unless both agree; the only place, so that Hypothesis takes all differences as one."""
        if not holds:
            raise QueueDifference(
                what,
                found=_text(found),
                expected=_text(expected),
                reason=reason,
                program=self.program,
                steps=self._machine.steps,
            ) from cause


def _text_of(given: Mapped, arguments: Mapping[str, Any]) -> str:
    return f"{given.name}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _what(answer: Job | Told | None) -> str:
    """What a client is told, in words."""
    if isinstance(answer, Told):
        return f"{answer!r}: {answer.value}"
    return "no job" if answer is None else answer.name
