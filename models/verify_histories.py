"""A history of what clients saw, checked by `models.linearizability`, as a report of `jsm verify`."""

from collections.abc import Iterable, Sequence

from models.histories import read_history
from models.linearizability import MAX_STATES, check_history
from models.linearizability_words import Rejection
from models.verify_guards import Action
from models.verify_result import UNDETERMINED, Report, TraceFinding
from models.verify_rules import LINEARIZABLE
from models.verify_words import counted

_SHOWN_OPERATIONS = 10  # of an accepted beginning's end


def verify_history(
    lines: Iterable[str | bytes],
    *,
    lateness: int | None = None,
    max_states: int | None = None,
    deviations: Sequence[str] = (),
) -> Report:
    """Check the lines of a history, header first; it is read whole.

    The settings are those of `check_history`. Raises `TraceError` for a line that can't be read, `BadValueError` for a
    setting.
    """
    bound = MAX_STATES if max_states is None else max_states
    result = check_history(read_history(lines), lateness=lateness, max_states=bound, deviations=deviations)
    names = ("operations", "pending", "clients", "parts", "states", "hidden")
    counts = {name: getattr(result, name) for name in names}
    operations, clients = counted(result.operations, "operation"), counted(result.clients, "client")
    seen = f"{operations} of {clients}, {result.pending:,} of which never returned"
    summary = [seen, f"{counted(result.states, 'state')} searched in {counted(result.parts, 'part')}"]
    document = result.as_json()
    return Report(
        verdict=result.verdict,
        counts={**counts, "findings": int(result.rejection is not None)},
        summary=tuple(summary),
        checks={LINEARIZABLE: 0 if result.verdict == UNDETERMINED else 1},
        findings=() if result.rejection is None else (_finding(result.rejection),),
        unreported=0,
        notes=(f"Undetermined: {result.reason}.",) if result.reason else (),
        more={"rejection": document["rejection"]} if "rejection" in document else {},
    )


def _finding(rejection: Rejection) -> TraceFinding:
    """Why no order of the operations goes on."""
    operation = rejection.operation
    left_out = max(len(rejection.prefix) - _SHOWN_OPERATIONS, 0)
    context = [f"… {left_out} before"] if left_out else []
    context += [*rejection.prefix[left_out:], "then", *rejection.state]
    return TraceFinding(
        rule=LINEARIZABLE.name,
        line=operation.line,
        record=rejection.placed + 1,
        accepted_line=None,
        event=str(operation),
        expected=rejection.reason,
        found=str(operation),
        actions=tuple(Action(action, False, reason) for action, reason in rejection.guards),
        context=tuple(context),
    )
