"""The report of changes of one token: what mutmut says is read right, and nothing survives in silence."""

from pathlib import Path

import pytest

from reports.tools import mutmut
from reports.tools.mutmut import Survivor, statuses, survivors, text_of
from reports.tools.survivors import REASONS, reason_of

RESULTS = """
    jsm.machine.xǁMachineǁput__mutmut_1: killed
    jsm.machine.xǁMachineǁcount_jobs__mutmut_16: survived
    jsm._snapshot_checks.x__checked__mutmut_2: survived
    jsm._heap.xǁKeyHeapǁpush__mutmut_3: timeout
"""
SHOWN = {
    "jsm.machine.xǁMachineǁcount_jobs__mutmut_16": "strict=False",
    "jsm._snapshot_checks.x__checked__mutmut_2": "something new",
}


@pytest.fixture
def _asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of mutmut's that were made beforehand."""

    def answer(_: Path, command: str, *arguments: str) -> str:
        if command == "results":
            return RESULTS
        after = SHOWN[arguments[0]]
        lines = ("--- jsm/x.py", "+++ jsm/x.py", "@@ -1 +1 @@", " def f():", "-    old | line", f"+    {after}")
        return "\n".join([f"# {arguments[0]}: survived", *lines, ""])

    monkeypatch.setattr(mutmut, "_asked", answer)


@pytest.mark.usefixtures("_asked")
def test_survivors_are_named_with_their_change() -> None:
    results = statuses(Path())
    assert list(results.values()) == ["killed", "survived", "survived", "timeout"]
    assert survivors(Path(), results) == [
        Survivor("jsm/_snapshot_checks.py", "_checked", "old | line", "something new"),
        Survivor("jsm/machine.py", "Machine.count_jobs", "old | line", "strict=False"),
    ]


@pytest.mark.usefixtures("_asked")
def test_the_report_counts_and_explains() -> None:
    results = statuses(Path())
    text = text_of(results, survivors(Path(), results))
    assert "4 changes, 2 noticed: 50.0%." in text
    assert "| `jsm/machine.py` | 2 | 1 | 50.0% |" in text
    assert "| `jsm/_snapshot_checks.py`: `_checked` | `old \\| line` | `something new` | **not explained** |" in text


def test_every_reason_is_for_one_line() -> None:
    assert reason_of("Machine.count_jobs", "return dict(zip(LIVE_STATES, counts, ))") is not None
    assert reason_of("Machine.put", "return dict(zip(LIVE_STATES, counts, ))") is None
    assert len({(function, part) for function, part, _ in REASONS}) == len(REASONS)
