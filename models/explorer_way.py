"""The way from an empty machine to what an exploration has found, as calls that anybody can make again.

The exploration meets a fault in a state in which every job has had a long life and other jobs came and went
(`jsm.image.load`). Where the shortest way to the state doesn't show the fault, jobs are given a past on the way, which
leaves them where they were but for what the key leaves out: ids, counters, delays that are over.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from jsm.image import restart
from models.calls import Call
from models.finding import Counterexample, Finding, find_fault
from models.named_calls import RELOAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsm.machine import Machine
    from models.expander import Expander

_PASTS: Final = (
    (),
    ("others",),
    ("delay",),
    ("delay", "release", "bury"),
    ("expiry",),
    ("others", "expiry", "delay", "release", "bury"),
)
"""What happens to a job, and around it, before it is where a put leaves it: the less the better."""

_SEEN_BY_EXPLORING: Final = "The machine agrees with the specification in every state and at every call"


def counterexample(expander: Expander, codes: Sequence[int], text: str) -> Counterexample:
    """What the calls with these codes show, made one after the other; `text` says what the exploration saw."""
    for past in _PASTS:
        calls = _Way(expander, past).made(codes)
        finding = find_fault(calls, make_machine=expander.make_machine)
        if finding is not None:
            return Counterexample(tuple(calls[: finding.step + 1]), finding)
    calls = _Way(expander, ()).made(codes) or [Call("tick", (0,))]  # where the empty machine itself is wrong
    finding = Finding("explored_state", "", _SEEN_BY_EXPLORING, "agreement", text, len(calls) - 1)
    return Counterexample(tuple(calls), finding)


class _Way:
    """Calls, and the machine that they are made on to learn its ids and instants."""

    def __init__(self, expander: Expander, past: tuple[str, ...]) -> None:
        self._expander = expander
        self._past = past
        self._machine: Machine = expander.make_machine()
        self._calls: list[Call] = []

    def made(self, codes: Sequence[int]) -> list[Call]:
        """The calls with these codes on states of the exploration, as calls on the machine."""
        expander = self._expander
        for code in codes:
            call = expander.real(expander.ops[code].call, self._machine)
            if self._past and call.op == "put":
                self._put(call)
            else:
                self._make(call)
            if expander.scope.settled:
                self._make(Call("tick", (self._machine.clock,)))
        return self._calls

    def _make(self, call: Call) -> None:
        self._calls.append(call)
        with suppress(Exception):  # refused, or the fault itself
            if call.op == RELOAD:
                restart(self._machine, self._expander.make_machine)
            else:
                getattr(self._machine, call.op)(*call.args, **call.kwargs)

    def _put(self, put: Call) -> None:
        """A put whose job has a past, in a machine that had another job before."""
        past, scope = self._past, self._expander.scope
        delay, client, priority = max(scope.delays), scope.client_names[0], put.kwargs["priority"]
        is_first = not self._calls
        if "others" in past and scope.puts is None:
            self._make(put)
            self._make(Call("delete", (self._newest(), client)))
        if put.kwargs["delay_seconds"]:
            self._make(put)
            return
        if delay and "delay" in past:
            self._make(Call("put", put.args, {**put.kwargs, "delay_seconds": delay}))
            self._make(Call("kick", (self._newest(),)))
        else:
            self._make(put)
        job = self._newest()
        if "release" in past:
            self._reserve(job, client)
            self._make(Call("release", (job, client)))
        if "bury" in past:
            self._reserve(job, client)
            self._make(Call("bury", (self._machine.clock, job, client), {"priority": priority}))
            self._make(Call("kick", (job,)))
        if "expiry" in past and is_first:  # later on, time would pass for others, too
            self._reserve(job, client)
            self._make(Call("tick", (self._machine.clock + put.kwargs["ttr_seconds"],)))

    def _reserve(self, job: int, client: str) -> None:
        self._make(Call("reserve_job", (self._machine.clock, job, client)))

    def _newest(self) -> int:
        """The job that was put last."""
        return max(self._expander.keys.of_names(self._machine)[1].jobs, default=0)
