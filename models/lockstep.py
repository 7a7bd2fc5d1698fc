"""The machine in lock-step with the specification.

`Lockstep` calls each operation on a `Machine` and on `models.spec.Spec`. After each call it compares how they
ended, the transition records and the whole state; the first difference raises `Difference` with the calls so far.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jsm.errors import JsmError
from jsm.machine import Machine
from jsm.records import TransitionRecord
from models.calls import Call, plain, run_spec, state_of_machine, state_of_spec
from models.spec import Spec
from models.spec_world import Refused


class Difference(AssertionError):
    """The machine and the specification disagree."""

    def __init__(self, what: str, machine: object, spec: object, calls: Sequence[Call]) -> None:
        shown = "\n".join(f"  {call}" for call in calls)
        super().__init__(f"{what}\n machine: {machine!r}\n spec:    {spec!r}\nafter\n{shown}")
        self.what = what
        self.calls = list(calls)


class Lockstep:
    """A machine and a specification with the same settings, of which every call is compared."""

    def __init__(
        self,
        *,
        units_per_second: int = 1,
        max_job_size: int = 65535,
        looks: bool = True,
        make_machine: Callable[..., Machine] = Machine,
    ) -> None:
        self.looks = looks  # whether to call every look after each call, which counts in the cmd-* of both
        self.settings = {"units_per_second": units_per_second, "max_job_size": max_job_size}
        self.records: list[TransitionRecord] = []
        self.make_machine = make_machine  # a subclass with a planted fault, in the tests of the tests
        self.machine = make_machine(**self.settings, observer=self)
        self.spec = Spec(units_per_second=units_per_second, max_job_size=max_job_size)
        self.calls: list[Call] = []

    def transition(self, record: TransitionRecord) -> None:
        """Note what the machine says that happened."""
        self.records.append(record)

    def do(self, call: Call) -> Any:
        """Call the operation on both and return what both returned; raises `Refused` when both refused."""
        self.calls.append(call)
        spec_outcome = self._outcome(lambda: run_spec(self.spec, call))
        machine_outcome = self._outcome(lambda: plain(getattr(self.machine, call.op)(*call.args, **call.kwargs)))
        if call.op == "get_stats_as_yaml" and "ok" in machine_outcome and "ok" in spec_outcome:
            machine_outcome["ok"] = _keep(machine_outcome["ok"], spec_outcome["ok"])
        self._compare("outcome", machine_outcome, spec_outcome)
        self._compare("records", [tuple(record) for record in self.records], [tuple(r) for r in self.spec.records])
        if not self.spec.stopped:
            self._compare_worlds()
        if "refused" in spec_outcome:
            raise Refused(spec_outcome["refused"])
        return spec_outcome["ok"]

    def reload(self) -> None:
        """Go on with a new machine that was restored from a snapshot of this one."""
        self.calls.append(Call("reload"))
        source = self.machine.snapshot()
        heir = self.make_machine(**self.settings, observer=self)
        target = heir.snapshot()
        target.restore_header(source.header())
        target.restore_jobs(source.snapshot_jobs())
        target.restore_clients(source.snapshot_clients())
        target.finalize_restore()
        self.machine = heir
        self._compare_worlds()

    def _outcome(self, run: Callable[[], Any]) -> dict[str, Any]:
        try:
            return {"ok": run()}
        except Refused as refusal:
            return {"refused": refusal.category}
        except JsmError as error:
            return {"refused": str(error.refusal)}
        except Exception as error:
            return {"crashed": repr(error)}

    def _compare(self, what: str, machine: Any, spec: Any) -> None:
        if machine != spec:
            if isinstance(machine, dict) and isinstance(spec, dict) and machine.keys() == spec.keys():
                for key in spec:
                    self._compare(f"{what} {key}", machine[key], spec[key])
            raise Difference(what, machine, spec, self.calls)

    def _compare_worlds(self) -> None:
        """Compare everything that can be seen: the snapshot, the timer, the views, the peeks, the statistics."""
        machine, spec = self.machine, self.spec
        self._compare("next_tick_at", machine.next_tick_at(), spec.next_tick_at())
        self._compare("state", state_of_machine(machine), state_of_spec(spec))
        if not self.looks:
            return
        looks = [Call("get_tubes"), Call("check_client_state", (["a", "b", "c", "d"],))]
        for tube in [tube.name for tube in spec.tubes]:
            looks += [Call(f"peek_{state}_job", (tube,)) for state in ("ready", "delayed", "buried")]
            looks.append(Call("get_stats_tube_as_yaml", (spec.clock, tube)))
        for job_id in spec.jobs:
            looks += [Call("get_job", (job_id,)), Call("get_stats_job_as_yaml", (spec.clock, job_id))]
        looks.append(Call("get_stats_as_yaml", (spec.clock,)))
        for look in looks:
            seen = self._outcome(lambda look=look: plain(getattr(machine, look.op)(*look.args, **look.kwargs)))  # type: ignore[misc]
            expected = self._outcome(lambda look=look: run_spec(spec, look))  # type: ignore[misc]
            if look.op == "get_stats_as_yaml" and "ok" in seen:
                seen["ok"] = _keep(seen["ok"], expected["ok"])
            self._compare(f"look {look}", seen, expected)


def _keep(pairs: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """The statistics that the specification knows, in the order in which the machine lists them."""
    return {key: value for key, value in pairs.items() if key in wanted}


def replay(lockstep: Lockstep, calls: Iterable[Call]) -> None:
    """Make the calls, refusals included; raises `Difference` at the first difference."""
    for call in calls:
        if call.op == "reload":
            lockstep.reload()
            continue
        with contextlib.suppress(Refused):
            lockstep.do(call)


def shortest(make: Callable[[], Lockstep], calls: Sequence[Call]) -> Difference:
    """The difference that is left when no single call can be left out any more. O(calls²) calls, mostly.

    Raises `ValueError` when the calls, on what `make` makes, show no difference.
    """
    found = difference_of(make(), calls)
    if found is None:
        raise ValueError("these calls show no difference")
    before = len(calls) + 1
    while len(found.calls) < before:  # what went may have been the only use of something earlier: once more
        before = len(found.calls)
        for place in reversed(range(before)):
            kept = found.calls
            again = difference_of(make(), kept[:place] + kept[place + 1 :])
            found = again or found
    return found


def difference_of(lockstep: Lockstep, calls: Sequence[Call]) -> Difference | None:
    """The first difference that the calls show, or None."""
    try:
        replay(lockstep, calls)
    except Difference as difference:
        return difference
    return None
