"""Short histories on a genuine machine, whose last step can be doctored to see whether an invariant notices."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from jsm.errors import JsmError, StoppedError
from jsm.machine import Machine
from jsm.records import TransitionRecord
from models.calls import Call
from models.invariants import check_state, check_step
from models.invariants_rule import Tally
from models.invariants_worlds import Notebook
from models.picture import Picture, picture_of


class Scene(NamedTuple):
    """One step: the pictures around a call, how it ended, its records."""

    before: Picture
    call: Call
    outcome: Mapping[str, Any]
    records: Sequence[TransitionRecord]
    after: Picture

    def check(self, tally: Tally | None = None) -> None:
        """Check the step, then the picture after it."""
        check_step(*self, tally)
        check_state(self.after, tally)

    def undone(self, *, clock: int | None = None) -> "Scene":
        """The same call, as if it had done nothing but, perhaps, set the clock."""
        after = self.before if clock is None else self.before._replace(clock=clock)
        return self._replace(after=after, records=[])


class Stage:
    """A machine on which a history is played, with its records."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.notebook = Notebook()
        self.machine = Machine(observer=self.notebook) if machine is None else machine
        self.picture = picture_of(self.machine)

    def play(self, call: Call) -> Scene:
        """Make one call, refused or not."""
        before = self.picture
        outcome = outcome_of(self.machine, call)
        with contextlib.suppress(StoppedError):  # nothing more is seen of it
            self.picture = picture_of(self.machine)
        return Scene(before, call, outcome, self.notebook.torn_out(), self.picture)


def outcome_of(machine: Any, call: Call) -> dict[str, Any]:
    """How a call ended, in the form that `check_step` takes."""
    try:
        return {"ok": getattr(machine, call.op)(*call.args, **call.kwargs)}
    except JsmError as error:
        return {"refused": str(error.refusal)}


def scene(*calls: Call) -> Scene:
    """The last of the calls as a scene, each of them checked as it is."""
    stage = Stage()
    for call in calls:
        last = stage.play(call)
        last.check()
    return last


# ---------------------------------------------------------------------- short words for calls


def put(tube: str = "default", *, at: int = 0, pri: int = 0, delay: int = 0, ttr: int = 9, body: bytes = b"x") -> Call:
    """A put."""
    return Call("put", (at,), {"priority": pri, "delay_seconds": delay, "ttr_seconds": ttr, "body": body, "tube": tube})


def ask(client: str, *tubes: str, at: int = 0, until: int | None = None) -> Call:
    """An ask for a job of the tubes, `default` when none is named."""
    kwargs = {"request_id": f"{client}{at}", "tubes": tubes or ("default",), "deadline_at": until}
    return Call("append_reservation", (at, client), kwargs)


def tick(at: int) -> Call:
    """A tick."""
    return Call("tick", (at,))


def take(job: int, client: str = "a", *, at: int = 0) -> Call:
    """A reserve by id."""
    return Call("reserve_job", (at, job, client))


def bury(job: int, client: str = "a", *, at: int = 0, pri: int = 0) -> Call:
    """A bury."""
    return Call("bury", (at, job, client), {"priority": pri})


def call(op: str, *args: Any, **kwargs: Any) -> Call:
    """Any call."""
    return Call(op, args, kwargs)


# ---------------------------------------------------------------------- doctored pictures


def with_job(picture: Picture, job: int, **fields: Any) -> Picture:
    """The picture with other fields of a job."""
    return picture._replace(jobs={**picture.jobs, job: picture.jobs[job]._replace(**fields)})


def without_job(picture: Picture, job: int) -> Picture:
    """The picture without a job."""
    return picture._replace(jobs={number: view for number, view in picture.jobs.items() if number != job})


def with_client(picture: Picture, client: str, **fields: Any) -> Picture:
    """The picture with other fields of a client, wherever it is shown."""
    entry = replace(picture.clients[client], **fields)
    return picture._replace(
        clients={**picture.clients, client: entry},
        waiting=[entry if wait.client_id == client else wait for wait in picture.waiting],
    )


def with_tube(picture: Picture, tube: str, **fields: Any) -> Picture:
    """The picture with other fields of a tube."""
    return picture._replace(tubes={**picture.tubes, tube: replace(picture.tubes[tube], **fields)})
